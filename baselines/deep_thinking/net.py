"""What all nets of deep thinking have in common, for strings (1-D), mazes, and chess boards (2-D).

They start from features, apply an iteration any number of times, and can read an answer out of the features at any
time. The nets themselves are in model.py, lipschitz.py, and cellular.py.
"""

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Self, TypeVar

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.model_files import read_net
from easy_to_hard.generators.integers import check_integer

Iteration = Callable[[Tensor, int], Tensor]

NUM_CLASSES: Final = 2
_MODEL_CARD: Final = """---
{{ card_data }}
---

A net of the `deep_thinking` baseline of easy-to-hard (Bansal et al. 2022, {{ paper_url }}).

```python
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model

model, facts = load_model("path or name of this repo")
logits, state = model(inputs, iterations=30)
```

From the command line: `easy-to-hard evaluate --model "path or name of this repo"`.
"""


_CONV_LAYERS: Final[dict[int, type[nn.Conv1d] | type[nn.Conv2d]]] = {1: nn.Conv1d, 2: nn.Conv2d}


def convolution(dimensions: int, in_channels: int, out_channels: int, *, bias: bool = False) -> nn.Conv1d | nn.Conv2d:
    """A convolution that is 3 wide and keeps the size; without bias by default, like all in the papers' nets."""
    layer = _CONV_LAYERS[dimensions](in_channels, out_channels, kernel_size=3, padding=1, bias=bias)
    layer.weight.data = arranged(layer.weight.data)
    return layer


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a convolution with a given kernel (out_channels, in_channels, 3) or (out_channels, in_channels, 3, 3)."""
    return F.conv1d(x, kernel, bias, padding=1) if kernel.ndim == 3 else F.conv2d(x, kernel, bias, padding=1)


def arranged(kernel: Tensor) -> Tensor:
    """A contiguous copy of a kernel; in 2-D with channels last in memory, which is twice as fast on a CPU."""
    if kernel.ndim == 4:
        # vmap does not support this memory format.
        with contextlib.suppress(RuntimeError):
            return kernel.contiguous(memory_format=torch.channels_last)
    return kernel.contiguous()


def check_sizes(**sizes: int) -> None:
    """Raise a ValueError that names the first of the numbers that is not an integer or is below 1."""
    for name, size in sizes.items():
        check_integer(name, size, 1)


class ThinkingNet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="easy-to-hard",
    tags=["easy-to-hard", "deep-thinking"],
    license="mit",
    paper_url="https://arxiv.org/abs/2202.05826",
    model_card_template=_MODEL_CARD,
):
    """Base class of the nets: they think from any state for any number of iterations, on inputs of any size.

    With `patch` p > 1 the features stand for patches of p x p pixels, the grid moved p - 1 pixels up and left: a maze,
    whose positions are 2 x 2 pixels inside a border of one, has one feature vector per position at p = 2. That is not
    in the papers; at p = 2 an iteration costs a quarter and reaches twice as far.

    Args:
        in_channels: channels of the input.
        width: channels of the features.
        dimensions: 1 for strings, 2 for images and boards.
        patch: side of a patch in pixels; 1 as published, more only in 2-D.

    Raises:
        ValueError: a number below 1, dimensions other than 1 and 2, or patches in 1-D.
    """

    # Maximum number of iterations; None for no limit.
    depth: int | None = None

    def __init__(self, *, in_channels: int, width: int, dimensions: int, patch: int = 1) -> None:
        super().__init__()
        if dimensions not in _CONV_LAYERS:
            raise ValueError(f"dimensions must be 1 or 2, not {dimensions!r}")
        check_sizes(in_channels=in_channels, width=width, patch=patch)
        if patch > 1 and dimensions == 1:
            raise ValueError(f"patch must be 1 with dimensions=1, not {patch}")
        self.in_channels = in_channels
        self.dimensions = dimensions
        self.width = width
        self.patch = patch

    @classmethod
    def from_pretrained(  # type: ignore[override]  # the mixin's takes any keyword
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
        map_location: str = "cpu",
        strict: bool = True,
    ) -> Self:
        """Load a net of this class or a subclass from a folder or a Hub repo, in evaluation mode.

        Args:
            pretrained_model_name_or_path: the folder, or "owner/name".
            revision: tag, branch, or commit of the repo.
            token, cache_dir, local_files_only, force_download: as in huggingface_hub.
            map_location: device of the weights.
            strict: whether all weights must be there, and no others.

        Raises:
            FileNotFoundError: there is no such net, or it cannot be downloaded.
            ValueError: its files are damaged, or it is not of this class.
        """
        fetch = partial(
            hf_hub_download,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        return read_net(cls, ARCHITECTURES, pretrained_model_name_or_path, revision, fetch, strict=strict).to(
            map_location
        )

    @property
    def _seen_channels(self) -> int:
        """Channels of the input after its patches have become channels."""
        return self.in_channels * int(self.patch**self.dimensions)

    def _see(self, x: Tensor) -> Tensor:
        """The input with its patches as channels; checks its type and shape."""
        if not x.is_floating_point():
            raise ValueError(f"inputs must be float32, as the PyTorch classes give them, not {x.dtype}: use .float()")
        if x.ndim != self.dimensions + 2 or x.shape[1] != self.in_channels:
            sizes = ", ".join(("length",) if self.dimensions == 1 else ("height", "width"))
            raise ValueError(
                f"this net takes inputs of shape (batch, {self.in_channels}, {sizes}), not {tuple(x.shape)}"
            )
        if any(side % self.patch for side in x.shape[2:]):
            raise ValueError(f"sides must be multiples of patch = {self.patch}, not {tuple(x.shape[2:])}")
        return self.patches(x)

    def patches(self, pixels: Tensor) -> Tensor:
        """Turn patches into channels: (batch, channels, *size) -> (batch, channels patch^dimensions, *grid).

        Values beyond the border are 0.
        """
        if self.patch == 1:
            return pixels
        return F.pixel_unshuffle(F.pad(pixels, (self.patch - 1, 1) * 2), self.patch)

    def pixels(self, patches: Tensor) -> Tensor:
        """The inverse of `patches`."""
        if self.patch == 1:
            return patches
        first = self.patch - 1
        return F.pixel_shuffle(patches, self.patch)[..., first:-1, first:-1]

    @abstractmethod
    def initial_state(self, x: Tensor) -> Tensor:
        """Features before the first iteration.

        Args:
            x: (batch, in_channels, *size) float.

        Returns:
            (batch, width, *grid) float; the grid is the size, with patches (size / patch + 1).

        Raises:
            ValueError: an x of another shape.
        """

    @abstractmethod
    def iteration(self, x: Tensor) -> Iteration:
        """The function that an iteration applies when x, (batch, in_channels, *size) float, is the input.

        Returns:
            (features, number of the iteration from 0) -> features. What depends on x alone is computed once, here.
        """

    def states(self, state: Tensor, x: Tensor, iterations: int, done: int = 0) -> Iterator[Tensor]:
        """The features after each of the next iterations, one at a time.

        Args:
            state: (batch, width, *grid) float features; not overwritten.
            x: (batch, in_channels, *size) float.
            iterations: how many, at least 0.
            done: number of iterations that led to `state`; only in `FeedForwardNet` do iterations differ.

        Yields:
            (batch, width, *grid) float; `iterations` of them.

        Raises:
            ValueError: iterations or done below 0, or together more than `depth`.
        """
        if min(check_integer("iterations", iterations), check_integer("done", done)) < 0:
            raise ValueError(f"iterations and done must be at least 0, not {iterations} and {done}")
        if self.depth is not None and done + iterations > self.depth:
            raise ValueError(f"this net has {self.depth} iterations, fewer than the {done + iterations} asked for")
        iterate = self.iteration(x)
        for number in range(done, done + iterations):
            state = iterate(state, number)
            yield state

    def step(self, state: Tensor, x: Tensor, iterations: int, done: int = 0) -> Tensor:
        """The features `iterations` iterations later; arguments as for `states`."""
        for following in self.states(state, x, iterations, done):
            state = following
        return state

    @abstractmethod
    def read_out(self, state: Tensor) -> Tensor:
        """The head: class logits (batch, 2, *size) float from features (batch, width, *grid) float."""

    def forward(self, x: Tensor, iterations: int, state: Tensor | None = None, done: int = 0) -> tuple[Tensor, Tensor]:
        """Think for a number of iterations, from the start or from where an earlier call stopped.

        Args:
            x: (batch, in_channels, *size) float.
            iterations: how many, at least 0.
            state: (batch, width, *grid) float features to continue from; None for the start.
            done: iterations that led to `state`, as for `states`.

        Returns:
            logits (batch, 2, *size) float and the features (batch, width, *grid) float.

        Raises:
            ValueError: as `states` and `initial_state`.
        """
        state = self.step(self.initial_state(x) if state is None else state, x, iterations, done)
        return self.read_out(state), state

    def is_recurrent(self, name: str) -> bool:
        """Whether the parameter of that name belongs to the iteration, and not to projection or head."""
        return not name.startswith(("projection.", "head."))

    def is_decayed(self, name: str) -> bool:
        """Whether weight decay applies to the parameter of that name."""
        del name
        return True

    def count_parameters(self) -> int:
        """Number of weights."""
        return sum(weights.numel() for weights in self.parameters())


ARCHITECTURES: Final[dict[str, type[ThinkingNet]]] = {}
"""Names of architectures, as in config.json -> classes; importing model.py fills it."""

_Kind = TypeVar("_Kind", bound=type[ThinkingNet])


def architecture(name: str) -> Callable[[_Kind], _Kind]:
    """A class decorator that registers a net in `ARCHITECTURES`."""

    def enter(kind: _Kind) -> _Kind:
        ARCHITECTURES[name] = kind
        return kind

    return enter


class ConvolutionalNet(ThinkingNet):
    """Nets whose features start as ReLU(conv(x)) and whose head is convolutions with ReLUs between them, as published.

    Args:
        in_channels, width, dimensions, patch: as in `ThinkingNet`.
        head_widths: channels between the head's convolutions; the last one gives 2 classes.

    Raises:
        ValueError: as `ThinkingNet`.
    """

    def __init__(
        self, *, in_channels: int, width: int, head_widths: Sequence[int], dimensions: int, patch: int = 1
    ) -> None:
        super().__init__(in_channels=in_channels, width=width, dimensions=dimensions, patch=patch)
        check_sizes(**{f"head_widths[{i}]": size for i, size in enumerate(head_widths)})
        self.projection = convolution(dimensions, self._seen_channels, width)
        channels = [width, *head_widths, NUM_CLASSES * patch**dimensions]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [convolution(dimensions, before, after), nn.ReLU()]
        self.head = nn.Sequential(*layers[:-1])

    def initial_state(self, x: Tensor) -> Tensor:
        """See `ThinkingNet.initial_state`; these features are at least 0."""
        return F.relu(self.projection(self._see(x)))

    def read_out(self, state: Tensor) -> Tensor:
        """See `ThinkingNet.read_out`."""
        return self.pixels(self.head(state))
