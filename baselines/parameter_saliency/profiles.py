"""Saliency profiles: the size of each filter's gradients of the loss of one item (arXiv 2108.01335).

A profile can also be of single weights, or keep the gradients' signs. Images are treated as one-position puzzles:
targets and mask (N, 1), logits (B, classes, 1).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from easy_to_hard.baselines.kit.puzzles import Puzzles, item_losses

Answer: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""(net, inputs (B, C, *size)) -> logits (B, classes, *positions)."""

Aggregation: TypeAlias = Literal["filters", "signed filters", "weights"]
"""What a profile holds: for each filter the mean of its weights' absolute gradients (the default), or of the gradients
with their signs; or each weight's absolute gradient."""

Weights: TypeAlias = Mapping[str, Tensor]
"""Name of a parameter of the net -> values that replace its own."""

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# A filter's standard deviation below this counts as none, as in the authors' code.
_NO_SPREAD: Final = 1e-14
_LOGITS_AT_ONCE: Final = 256


class Items(Protocol):
    """Items of which any part can be had, such as images that are read when they are asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, chosen: slice | Tensor) -> Puzzles:
        """Some of them: a slice, or indices (n,) int64."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a profile has a value for, in the order of the net's parameters: filters, or each of their weights.

    Attributes:
        names: names of the convolutions' weights.
        shapes: shapes of these weights, (filters, in_channels, *kernel).
        aggregation: what a profile holds; see `Aggregation`.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    aggregation: Aggregation = "filters"

    @classmethod
    def of(cls, net: nn.Module, aggregation: Aggregation = "filters") -> "Filters":
        """All filters of a net, in convolutions of any dimension; biases, norms and linear layers have none.

        Raises:
            ValueError: the net has no convolution.
        """
        ours = {id(module.weight) for module in net.modules() if isinstance(module, _CONVOLUTIONS)}
        found = {name: weights.shape for name, weights in net.named_parameters() if id(weights) in ours}
        if not found:
            raise ValueError(f"a {type(net).__name__} has no convolutions, so it has no filters to compare")
        return cls(names=tuple(found), shapes=tuple(found.values()), aggregation=aggregation)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of filters, or of weights, in each convolution."""
        return tuple(shape.numel() if self.aggregation == "weights" else shape[0] for shape in self.shapes)

    def __len__(self) -> int:
        return sum(self.counts)

    def layers(self) -> Tensor:
        """The number of each filter's convolution, from 0: (F,) int64."""
        return torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))

    def of_layers(self, chosen: Tensor) -> dict[str, Tensor]:
        """A mask (F,) bool, split by convolution: name of the weights -> bool, to be multiplied with these weights."""
        parts = torch.split(chosen, list(self.counts))
        return {
            name: part.view(shape if self.aggregation == "weights" else (-1, *[1] * (len(shape) - 1)))
            for name, shape, part in zip(self.names, self.shapes, parts, strict=True)
        }

    def profile(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """The profile (F,) of one item, by the gradients of its loss: name -> (filters, in_channels, *kernel).

        Absolute values are taken before the mean, so that signs do not cancel, unless they are to be kept.
        """
        parts = [gradients[name] for name in self.names]
        if self.aggregation == "weights":
            return torch.cat([part.abs().flatten() for part in parts])
        kept = parts if self.aggregation == "signed filters" else [part.abs() for part in parts]
        return torch.cat([part.flatten(1).mean(1) for part in kept])


class _Answering(nn.Module):
    """A net and the function that gets its answer in one module, as `functional_call` needs."""

    def __init__(self, net: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.net = net
        self._answer = answer

    def forward(self, inputs: Tensor) -> Tensor:
        return self._answer(self.net, inputs)


class ProfiledNet:
    """A net whose saliency profiles are computed; its weights do not change.

    Args:
        module: the net; it is put in eval mode, and its weights no longer require gradients.
        answer: computes its logits; for a recurrent net, always after the same number of iterations.
        chunk: number of items whose gradients are held at once, at least 1.
        aggregation: what profiles hold; see `Aggregation`.

    Attributes:
        module, chunk: as given.
        filters: the net's filters.
        weights: all of the net's weights, by name.
        device: the weights' device.

    Raises:
        ValueError: a chunk below 1, or a net without convolutions.
    """

    def __init__(
        self, module: nn.Module, answer: Answer, *, chunk: int = 32, aggregation: Aggregation = "filters"
    ) -> None:
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, not {chunk}")
        self.module = module.eval().requires_grad_(False)
        self.chunk = chunk
        self.filters = Filters.of(module, aggregation)
        self.weights: dict[str, Tensor] = dict(module.named_parameters())
        self.device = next(iter(self.weights.values())).device
        self._answering = _Answering(module, answer)

    def convolutions(self) -> dict[str, Tensor]:
        """The weights of the convolutions, by name."""
        return {name: self.weights[name] for name in self.filters.names}

    def call(self, inputs: Tensor, changed: Weights) -> Tensor:
        """Logits (B, classes, *positions) of inputs (B, C, *size) on its device, with some weights changed."""
        logits: Tensor = functional_call(
            self._answering, {f"net.{name}": weights for name, weights in changed.items()}, (inputs,)
        )
        return logits

    def logits(self, inputs: Tensor, changed: Weights | None = None) -> Tensor:
        """The logits of inputs on any device, computed in chunks and without gradients; see `call`."""
        with torch.no_grad():
            parts = torch.split(inputs, _LOGITS_AT_ONCE)
            return torch.cat([self.call(part.to(self.device), changed or {}) for part in parts])

    def loss(self, weights: Weights, inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Mean cross-entropy () over one item's masked positions: inputs (C, *size), targets and mask (*positions).

        It is a mean over the item's own positions, or the loss of a maze would depend on its size.
        """
        one = Puzzles(inputs=inputs[None], targets=targets[None], mask=mask[None])
        return item_losses(self.call(one.inputs, weights), one)[0]

    def profile(self, weights: Weights, inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Saliency (F,) of each filter for one item; it can be differentiated again."""
        return self.filters.profile(grad(self.loss)(weights, inputs, targets, mask))

    def profiles(self, items: Items) -> Tensor:
        """Saliency of each filter for each item, from the loss of its true answer: (N, F) float32."""
        return torch.cat([self.chunk_profiles(part) for part in self.chunks(items)])

    def chunk_profiles(self, items: Puzzles) -> Tensor:
        """The profiles (n, F) of a few items on the net's device, all at once."""
        of_items = vmap(self.profile, in_dims=(None, 0, 0, 0))
        found: Tensor = of_items(self.convolutions(), items.inputs, items.targets, items.mask)
        return found

    def chunks(self, items: Items) -> Iterator[Puzzles]:
        """Yield the items in chunks, on the net's device."""
        for start in range(0, len(items), self.chunk):
            yield items[start : start + self.chunk].to(self.device)


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Mean and standard deviation of each filter's saliency over many items, updated a few items at a time.

    Only the two sums are held, never the items' profiles: 0.4 MB for the 26,560 filters of a ResNet-50.

    Attributes:
        count: number of items.
        mean: (F,) float64.
        squares: (F,) float64, the sum of squared differences from the mean.
    """

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, profiles: Tensor) -> "Standard":
        """The statistics of the profiles (N, F) of some items, at least one."""
        values = profiles.double()
        mean = values.mean(0)
        return cls(count=len(values), mean=mean, squares=(values - mean).square().sum(0))

    def updated(self, profiles: Tensor) -> "Standard":
        """The statistics with more items; exact, by Chan et al. 1983 (The American Statistician 37, 242-247)."""
        more = Standard.of(profiles)
        count = self.count + more.count
        gap = more.mean - self.mean
        squares = self.squares + more.squares + gap.square() * (self.count * more.count / count)
        return replace(self, count=count, mean=self.mean + gap * (more.count / count), squares=squares)

    @property
    def spread(self) -> Tensor:
        """The sample standard deviation (F,) float64; 1 where it is zero. ValueError if there is only one item."""
        if self.count < 2:
            raise ValueError(f"at least 2 items are needed for a standard deviation, not {self.count}")
        spread = (self.squares / (self.count - 1)).sqrt()
        return torch.where(spread <= _NO_SPREAD, 1.0, spread)

    def apply(self, profiles: Tensor) -> Tensor:
        """Standardize profiles (..., F): z = (s - mean) / spread, in their dtype."""
        return (profiles - self.mean.to(profiles)) / self.spread.to(profiles)
