"""Saliency profiles: how much each filter's weights pull at the loss of one item (arXiv 2108.01335).

Images are taken as puzzles of one position: targets and mask (N, 1), logits (B, classes, 1).
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
"""Name of a parameter of the net -> values in place of its own."""

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Below this a filter's standard deviation counts as none, as in the authors' code.
_NO_SPREAD: Final = 1e-14
_LOGITS_AT_ONCE: Final = 256


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of a net's convolutions, in the order of its parameters.

    Attributes:
        names: of the convolutions' weights.
        counts: filters of each.
    """

    names: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, net: nn.Module) -> "Filters":
        """All filters of a net, of convolutions of any dimension; biases, norms and linear layers have none.

        Raises:
            ValueError: the net has no convolution.
        """
        ours = {id(module.weight) for module in net.modules() if isinstance(module, _CONVOLUTIONS)}
        found = {name: len(weights) for name, weights in net.named_parameters() if id(weights) in ours}
        if not found:
            raise ValueError(f"a {type(net).__name__} has no convolutions, whose filters are to be compared")
        return cls(names=tuple(found), counts=tuple(found.values()))

    def __len__(self) -> int:
        return sum(self.counts)

    def layers(self) -> Tensor:
        """The number of each filter's convolution, from 0: (F,) int64."""
        return torch.repeat_interleave(torch.arange(len(self.counts)), torch.tensor(self.counts))

    def of_layers(self, chosen: Tensor) -> dict[str, Tensor]:
        """A mask (F,) bool of filters, cut up: name of the weights -> (filters of it,) bool."""
        return dict(zip(self.names, torch.split(chosen, list(self.counts)), strict=True))


def filter_means(gradients: Mapping[str, Tensor], filters: Filters) -> Tensor:
    """Mean absolute gradient of each filter's weights; absolute first, so that signs do not cancel.

    Args:
        gradients: of one item's loss, name -> (filters, in_channels, *kernel).
        filters: of the net; F of them.

    Returns:
        (F,), at least 0, in the order of `filters`.
    """
    return torch.cat([gradients[name].abs().flatten(1).mean(1) for name in filters.names])


class _Answering(nn.Module):
    """A net and its answer in one module, as `functional_call` needs it."""

    def __init__(self, net: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.net = net
        self._answer = answer

    def forward(self, inputs: Tensor) -> Tensor:
        return self._answer(self.net, inputs)


class ProfiledNet:
    """A net of whose answers saliency profiles are taken; its weights stay as they are.

    Args:
        module: put in eval mode; its weights ask for no gradient from here on.
        answer: its logits; of a recurrent net after the same number of iterations always.
        chunk: items whose gradients are held at once, at least 1.

    Attributes:
        module, chunk: as given.
        filters: of the net.
        weights: of the net, all, by name.
        device: where they are.

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
        """The weights of the convolutions by name."""
        return {name: self.weights[name] for name in self.filters.names}

    def call(self, inputs: Tensor, changed: Weights) -> Tensor:
        """Logits (B, classes, *positions) of inputs (B, C, *size) on its device, with some weights changed."""
        logits: Tensor = functional_call(
            self._answering, {f"net.{name}": weights for name, weights in changed.items()}, (inputs,)
        )
        return logits

    def logits(self, inputs: Tensor, changed: Weights | None = None) -> Tensor:
        """The same in chunks, without a graph, for inputs on any device."""
        with torch.no_grad():
            parts = torch.split(inputs, _LOGITS_AT_ONCE)
            return torch.cat([self.call(part.to(self.device), changed or {}) for part in parts])

    def loss(self, weights: Weights, inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Mean cross-entropy () over one item's own positions: inputs (C, *size), targets and mask (*positions).

        The positions that count are its own, or the loss of a maze would go with its size.
        """
        one = Puzzles(inputs=inputs[None], targets=targets[None], mask=mask[None])
        return item_losses(self.call(one.inputs, weights), one)[0]

    def profile(self, weights: Weights, inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Saliency (F,) of each filter for one item, to be differentiated once more where one likes."""
        return filter_means(grad(self.loss)(weights, inputs, targets, mask), self.filters)

    def profiles(self, items: Puzzles) -> Tensor:
        """Saliency of each filter for each item, by its true answer: (N, F) float32, at least 0."""
        of_chunk = vmap(self.profile, in_dims=(None, 0, 0, 0))
        convolutions = self.convolutions()
        return torch.cat([of_chunk(convolutions, part.inputs, part.targets, part.mask) for part in self.chunks(items)])

    def chunks(self, items: Puzzles) -> Iterator[Puzzles]:
        """The items in chunks on the net's device."""
        for start in range(0, len(items), self.chunk):
            yield items[start : start + self.chunk].to(self.device)


@dataclass(frozen=True, kw_only=True)
class Standard:
    """How salient each filter is over many items.

    Attributes:
        mean: (F,) float64.
        spread: (F,) float64, the sample standard deviation, and 1 where there is none.
    """

    mean: Tensor
    spread: Tensor

    @classmethod
    def of(cls, profiles: Tensor) -> "Standard":
        """Of the profiles (N, F) of at least two items; ValueError of fewer."""
        if len(profiles) < 2:
            raise ValueError(f"at least 2 items are needed for a standard deviation, not {len(profiles)}")
        values = profiles.double()
        mean = values.mean(0)
        spread = ((values - mean).square().sum(0) / (len(values) - 1)).sqrt()
        return cls(mean=mean, spread=torch.where(spread <= _NO_SPREAD, 1.0, spread))

    def apply(self, profiles: Tensor) -> Tensor:
        """z = (s - mean) / spread, of profiles (..., F), in their type."""
        return (profiles - self.mean.to(profiles)) / self.spread.to(profiles)
