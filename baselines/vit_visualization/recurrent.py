"""Recurrent nets for mazes as their channels are looked at: an iteration is a layer, a channel a neuron."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BORDER: Final = 1
_POSITION: Final = 2


class RecurrentSubject:
    """The features of a recurrent net after the last ReLU of each iteration.

    Args:
        net: with `initial_state(x)`, `states(state, x, iterations)`, `read_out(state)` and `width`; its features stand
            for pixels, or for patches of 2 x 2 of them from the second pixel on.
        iterations: how many it is given.

    Attributes:
        depth: the iterations.
    """

    def __init__(self, net: nn.Module, iterations: int) -> None:
        self.net: Any = net
        self.depth = iterations

    def neurons(self, layer: int) -> int:
        """Channels, the same after every iteration."""
        del layer
        return int(self.net.width)

    def _states(self, images: Tensor, iterations: int) -> Iterator[Tensor]:
        states: Iterator[Tensor] = self.net.states(self.net.initial_state(images), images, iterations)
        return states

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """(B, 3, H, W) float -> the features at the maze's positions after some iterations, (B, width, h, w) each.

        Layer 0 is after the first iteration.
        """
        found = {}
        for layer, state in enumerate(self._states(images, max(layers) + 1)):
            if layer in layers:
                found[layer] = at_positions(state, images.shape[-1])
        return [found[layer] for layer in layers]

    def logits(self, images: Tensor) -> Tensor:
        """The answer after all iterations, (B, 2, H, W)."""
        state = self.net.initial_state(images)
        for following in self._states(images, self.depth):
            state = following
        logits: Tensor = self.net.read_out(state)
        return logits


def at_positions(features: Tensor, side: int) -> Tensor:
    """Features (B, n, ., .) on the grid of a maze's positions, ((side - 2) / 2)^2 of them.

    Args:
        features: one a pixel, or one a position with a ring of them around.
        side: of the picture, in pixels.

    Raises:
        ValueError: features on another grid.
    """
    positions = (side - 2 * _BORDER) // _POSITION
    inner = features[..., 1:-1, 1:-1]
    if features.shape[-1] == side:
        return F.avg_pool2d(inner, _POSITION)
    if inner.shape[-1] == positions:
        return inner
    raise ValueError(f"features must be {side} or {positions + 2} a side, not {features.shape[-1]}")


def freeze(net: nn.Module, device: torch.device) -> nn.Module:
    """The net on the device, in eval mode, without gradients of its weights."""
    return net.to(device).eval().requires_grad_(False)
