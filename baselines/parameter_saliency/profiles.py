"""Saliency profiles: the size of each filter's gradients of the loss of one item (arXiv 2108.01335).

Images are treated as one-position puzzles: targets and mask (N, 1), logits (B, classes, 1).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from easy_to_hard.baselines.kit.puzzles import Puzzles, item_losses

Answer: TypeAlias = Callable[[nn.Module, Tensor], Tensor]
"""(net, inputs (B, C, *size)) -> logits (B, classes, *positions)."""

Weights: TypeAlias = Mapping[str, Tensor]
"""Name of a parameter of the net -> values that replace its own."""

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# A filter's standard deviation below this counts as none, as in the authors' code.
_NO_SPREAD: Final = 1e-14
_LOGITS_AT_ONCE: Final = 256


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of a net's convolutions, in the order of its parameters.

    Attributes:
        names: names of the convolutions' weights.
        counts: number of filters of each convolution.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, net: nn.Module) -> "Filters":
        """All filters of a net, in convolutions of any dimension; biases, norms and linear layers have none.

        Raises:
            ValueError: the net has no convolution.
        """
        ours = {id(module.weight) for module in net.modules() if isinstance(module, _CONVOLUTIONS)}
        found = {name: len(weights) for name, weights in net.named_parameters() if id(weights) in ours}
        if not found:
            raise ValueError(f"a {type(net).__name__} has no convolutions, so it has no filters to compare")
        return cls(names=tuple(found), counts=tuple(found.values()))

    def __len__(self) -> int:
        return sum(self.counts)

    def layers(self) -> Tensor:
        """The number of each filter's convolution, from 0: (F,) int64."""
        return torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))

    def of_layers(self, chosen: Tensor) -> dict[str, Tensor]:
        """A mask (F,) bool of filters, split by convolution: name of the weights -> (its filters,) bool."""
        return dict(zip(self.names, torch.split(chosen, list(self.counts)), strict=True))


def filter_means(gradients: Mapping[str, Tensor], filters: Filters) -> Tensor:
    """Mean absolute gradient of each filter's weights; absolute first, so that signs do not cancel.

    Args:
        gradients: gradients of one item's loss, name -> (filters, in_channels, *kernel).
        filters: the net's F filters.

    Returns:
        (F,), at least 0, in the order of `filters`.
    """
    return torch.cat([gradients[name].abs().flatten(1).mean(1) for name in filters.names])


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

    Attributes:
        module, chunk: as given.
        filters: the net's filters.
        weights: all of the net's weights, by name.
        device: the weights' device.

    Raises:
        ValueError: a chunk below 1, or a net without convolutions.
    """

    def __init__(self, module: nn.Module, answer: Answer, *, chunk: int = 32) -> None:
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, not {chunk}")
        self.module = module.eval().requires_grad_(False)
        self.chunk = chunk
        self.filters = Filters.of(module)
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
        return filter_means(grad(self.loss)(weights, inputs, targets, mask), self.filters)

    def profiles(self, items: Puzzles) -> Tensor:
        """Saliency of each filter for each item, from the loss of its true answer: (N, F) float32, at least 0."""
        of_chunk = vmap(self.profile, in_dims=(None, 0, 0, 0))
        convolutions = self.convolutions()
        return torch.cat([of_chunk(convolutions, part.inputs, part.targets, part.mask) for part in self.chunks(items)])

    def chunks(self, items: Puzzles) -> Iterator[Puzzles]:
        """Yield the items in chunks, on the net's device."""
        for start in range(0, len(items), self.chunk):
            yield items[start : start + self.chunk].to(self.device)


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Mean and standard deviation of each filter's saliency over many items.

    Attributes:
        mean: (F,) float64.
        spread: (F,) float64, the sample standard deviation; 1 where it is zero.
    """

    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, profiles: Tensor) -> "Standard":
        """The statistics of the profiles (N, F) of at least two items; ValueError if there are fewer."""
        if len(profiles) < 2:
            raise ValueError(f"at least 2 items are needed for a standard deviation, not {len(profiles)}")
        values = profiles.double()
        mean = values.mean(0)
        spread = ((values - mean).square().sum(0) / (len(values) - 1)).sqrt()
        return cls(mean=mean, spread=torch.where(spread <= _NO_SPREAD, 1.0, spread))

    def apply(self, profiles: Tensor) -> Tensor:
        """Standardize profiles (..., F): z = (s - mean) / spread, in their dtype."""
        return (profiles - self.mean.to(profiles)) / self.spread.to(profiles)
