"""The recurrent nets of deep thinking, with and without recall (Bansal et al. 2022, arXiv 2202.05826).

One family covers strings (1-D), mazes and chess boards (2-D): a projection, one recurrent block that is
applied as often as wanted, and a head that reads an answer out of the features at any iteration.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, TypedDict

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

_CONV_LAYERS: Final[dict[int, type[nn.Conv1d] | type[nn.Conv2d]]] = {1: nn.Conv1d, 2: nn.Conv2d}
_NUM_CLASSES: Final = 2
_MODEL_CARD: Final = """---
{{ card_data }}
---

A recurrent net of the `deep_thinking` baseline of easy-to-hard (Bansal et al. 2022, {{ paper_url }}).

```python
from easy_to_hard.baselines.deep_thinking.model import RecurrentNet

model = RecurrentNet.from_pretrained("path or name of this repo", strict=True)
logits, state = model(inputs, iterations=30)
```
"""


class NetArguments(TypedDict):
    """The keyword arguments of `RecurrentNet`."""

    in_channels: int
    width: int
    head_widths: Sequence[int]
    dimensions: int
    recall: bool
    recall_relu: bool


# The sizes of the authors' released code (github.com/aks2203/deep-thinking); `demo` is ours, small enough
# for a minute on two CPU cores. The recall convolution is followed by a ReLU in the 1-D net only.
PRESETS: Final = MappingProxyType(
    {
        "prefix_sums": NetArguments(
            in_channels=1, width=400, head_widths=(400, 200), dimensions=1, recall=True, recall_relu=True
        ),
        "mazes": NetArguments(
            in_channels=3, width=128, head_widths=(32, 8), dimensions=2, recall=True, recall_relu=False
        ),
        "chess": NetArguments(
            in_channels=12, width=512, head_widths=(32, 8), dimensions=2, recall=True, recall_relu=False
        ),
        "demo": NetArguments(
            in_channels=1, width=64, head_widths=(64, 32), dimensions=1, recall=True, recall_relu=False
        ),
    }
)


def preset(name: str) -> NetArguments:
    """The arguments of a named net.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _convolution(dimensions: int, in_channels: int, out_channels: int) -> nn.Conv1d | nn.Conv2d:
    """A convolution that is 3 wide, keeps the size and has no bias, like every one in the paper's nets."""
    return _CONV_LAYERS[dimensions](in_channels, out_channels, kernel_size=3, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """ReLU(x + conv(ReLU(conv(x)))), shape (batch, width, *size) in and out."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.first = _convolution(dimensions, width, width)
        self.second = _convolution(dimensions, width, width)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block."""
        # In place where the overwritten values are no one's.
        inner = F.relu(self.first(features), inplace=True)
        return F.relu(self.second(inner).add_(features), inplace=True)


class RecurrentNet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="easy-to-hard",
    tags=["easy-to-hard", "deep-thinking"],
    license="mit",
    paper_url="https://arxiv.org/abs/2202.05826",
    model_card_template=_MODEL_CARD,
):
    """A recurrent net, optionally with recall: the input is seen again at every iteration.

    Features start as ReLU(conv(x)). An iteration is, with recall, a convolution of the features joined with
    x, then two residual blocks. The head is convolutions with ReLU between. Sizes are free: the same weights
    run on any length or image size, for any number of iterations.

    `save_pretrained(folder)` writes config.json and model.safetensors; `from_pretrained(folder, strict=True)`
    reads them back.

    Args:
        in_channels: channels of the input.
        width: channels of the features.
        head_widths: channels between the head's convolutions; the last one gives 2 classes.
        dimensions: 1 for strings, 2 for images and boards.
        recall: whether an iteration sees the input again.
        recall_relu: whether a ReLU follows the recall convolution (the authors' 1-D net has one, the 2-D not).

    Raises:
        ValueError: a number below 1, or dimensions other than 1 and 2.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        head_widths: Sequence[int],
        dimensions: int,
        recall: bool = True,
        recall_relu: bool = False,
    ) -> None:
        super().__init__()
        if dimensions not in _CONV_LAYERS:
            raise ValueError(f"dimensions must be 1 or 2, not {dimensions!r}")
        sizes = {"in_channels": in_channels, "width": width}
        sizes |= {f"head_widths[{i}]": size for i, size in enumerate(head_widths)}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, not {size!r}")
        self.dimensions = dimensions
        self.width = width
        self.recall_relu = recall_relu
        self.projection = _convolution(dimensions, in_channels, width)
        # One kernel, as published: its first `width` input channels see the features, the others the input.
        self.recall = _convolution(dimensions, width + in_channels, width) if recall else None
        self.blocks = nn.Sequential(ResidualBlock(dimensions, width), ResidualBlock(dimensions, width))
        channels = [width, *head_widths, _NUM_CLASSES]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [_convolution(dimensions, before, after), nn.ReLU()]
        self.head = nn.Sequential(*layers[:-1])

    def initial_state(self, x: Tensor) -> Tensor:
        """Features before the first iteration.

        Args:
            x: (batch, in_channels, *size) float.

        Returns:
            (batch, width, *size) float, at least 0.
        """
        return F.relu(self.projection(x))

    def states(self, state: Tensor, x: Tensor, iterations: int) -> Iterator[Tensor]:
        """The features after each of the next iterations, one at a time.

        The recall convolution is linear, so its share for the input is computed once, not at each iteration.

        Args:
            state: (batch, width, *size) float features.
            x: (batch, in_channels, *size) float.
            iterations: how many, at least 0.

        Yields:
            (batch, width, *size) float, at least 0; `iterations` of them.

        Raises:
            ValueError: iterations below 0.
        """
        if iterations < 0:
            raise ValueError(f"iterations must be at least 0, not {iterations}")
        if self.recall is None:
            for _ in range(iterations):
                state = self.blocks(state)
                yield state
            return
        convolve = F.conv1d if self.dimensions == 1 else F.conv2d
        features_kernel = self.recall.weight[:, : self.width].contiguous()
        input_share = convolve(x, self.recall.weight[:, self.width :], padding=1)
        for _ in range(iterations):
            recalled = convolve(state, features_kernel, padding=1).add_(input_share)
            state = self.blocks(F.relu(recalled, inplace=True) if self.recall_relu else recalled)
            yield state

    def step(self, state: Tensor, x: Tensor, iterations: int) -> Tensor:
        """The features `iterations` iterations later; shapes as in `states`."""
        for following in self.states(state, x, iterations):
            state = following
        return state

    def read_out(self, state: Tensor) -> Tensor:
        """The head: class logits (batch, 2, *size) float from features (batch, width, *size) float."""
        logits: Tensor = self.head(state)
        return logits

    def forward(self, x: Tensor, iterations: int, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Think for some iterations, from the start or from where an earlier call stopped.

        Args:
            x: (batch, in_channels, *size) float.
            iterations: how many, at least 0.
            state: (batch, width, *size) float features to go on from; None for the start.

        Returns:
            logits (batch, 2, *size) float and the features (batch, width, *size) float.

        Raises:
            ValueError: iterations below 0.
        """
        state = self.step(self.initial_state(x) if state is None else state, x, iterations)
        return self.read_out(state), state


def initialise(arguments: NetArguments, seed: int) -> RecurrentNet:
    """A net whose weights are a function of the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return RecurrentNet(**arguments)
