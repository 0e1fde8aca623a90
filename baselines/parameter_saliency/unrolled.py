"""Profiles of a recurrent net iteration by iteration: not only which filter goes wrong, but when.

Every call of the net (the start, each iteration and the reading of the answer) gets its own copy of the weights. The
gradients of the copies add up to the gradient of the shared weights.
"""

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from easy_to_hard.baselines.kit.puzzles import Puzzles, item_losses
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet

BY_CALL: Final = "share of an item's saliency by call of the net"

_Stage: TypeAlias = Literal["start", "iterate", "read"]


class Recurrent(Protocol):
    """What a recurrent net must be able to do; deep thinking's nets can."""

    def initial_state(self, x: Tensor) -> Tensor:
        """The features (B, width, *grid) before the first iteration, of inputs (B, C, *size)."""

    def step(self, state: Tensor, x: Tensor, iterations: int) -> Tensor:
        """The features after `iterations` more iterations."""

    def read_out(self, state: Tensor) -> Tensor:
        """Logits (B, classes, *size)."""


class _Stages(nn.Module):
    """The parts of a net's answer as calls of one module, so that `functional_call` can give each its own weights."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, stage: _Stage, inputs: Tensor, state: Tensor) -> Tensor:
        net = cast(Recurrent, self.net)
        if stage == "start":
            return net.initial_state(inputs)
        return net.step(state, inputs, 1) if stage == "iterate" else net.read_out(state)


def copies_loss(stages: nn.Module, copies: Mapping[str, Tensor], iterations: int, item: Puzzles) -> Tensor:
    """The loss () of one item if every call has its own weights.

    Args:
        stages: the net, converted by `as_stages`.
        copies: name -> (iterations + 2, *shape): weights for the start, the iterations, and the reading.
        iterations: T.
        item: a batch of one item.
    """
    middle: list[_Stage] = ["iterate"] * iterations
    order: list[_Stage] = ["start", *middle, "read"]
    state = item.inputs
    for number, stage in enumerate(order):
        weights = {f"net.{name}": copy[number] for name, copy in copies.items()}
        state = functional_call(stages, weights, (stage, item.inputs, state))
    return item_losses(state, item)[0]


def as_stages(net: nn.Module) -> nn.Module:
    """Convert a recurrent net for `copies_loss`.

    Raises:
        ValueError: the net is not recurrent.
    """
    missing = [name for name in ("initial_state", "step", "read_out") if not hasattr(net, name)]
    if missing:
        raise ValueError(f"a {type(net).__name__} has no {missing[0]}: it is not a recurrent net")
    return _Stages(net)


def profiles_by_call(net: ProfiledNet, items: Puzzles, iterations: int) -> Tensor:
    """Saliency of each filter at each call of the net, for each item.

    Args:
        net: a recurrent net.
        items: N items.
        iterations: T, the number of iterations after which the net answers.

    Returns:
        (N, T + 2, F) float32, at least 0: for the start, each iteration and the reading; 0 where a filter is not used.
    """
    stages, convolutions = as_stages(net.module), net.convolutions()
    copies = {name: weights.expand(iterations + 2, *weights.shape) for name, weights in convolutions.items()}

    def of_one(inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        item = Puzzles(inputs=inputs[None], targets=targets[None], mask=mask[None])
        gradients = grad(lambda values: copies_loss(stages, values, iterations, item))(copies)
        return vmap(net.filters.profile)(gradients)

    return torch.cat([vmap(of_one)(part.inputs, part.targets, part.mask) for part in net.chunks(items)])
