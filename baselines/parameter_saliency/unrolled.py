"""Profiles of a recurrent net iteration by iteration: not only which filter goes wrong, but when.

Every call of the net, the start, each iteration and the reading of the answer, gets a copy of the weights of its own.
The gradients of the copies add up to that of the weights they share.
"""

from collections.abc import Mapping
from typing import Final, Literal, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from easy_to_hard.baselines.kit.puzzles import Puzzles, item_losses
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet, filter_means

BY_CALL: Final = "share of an item's saliency by call of the net"

_Stage: TypeAlias = Literal["start", "iterate", "read"]


class Recurrent(Protocol):
    """What a recurrent net must be able to do, as those of deep thinking can."""

    def initial_state(self, x: Tensor) -> Tensor:
        """The features (B, width, *grid) before the first iteration, of inputs (B, C, *size)."""

    def step(self, state: Tensor, x: Tensor, iterations: int) -> Tensor:
        """The features so many iterations later."""

    def read_out(self, state: Tensor) -> Tensor:
        """Logits (B, classes, *size)."""


class _Stages(nn.Module):
    """The parts of a net's answer as calls of one module, so that `functional_call` can give each its weights."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, stage: _Stage, inputs: Tensor, state: Tensor) -> Tensor:
        net = cast(Recurrent, self.net)
        if stage == "start":
            return net.initial_state(inputs)
        return net.step(state, inputs, 1) if stage == "iterate" else net.read_out(state)


def copies_loss(stages: nn.Module, copies: Mapping[str, Tensor], iterations: int, item: Puzzles) -> Tensor:
    """The loss () of one item, a batch of one, where every call has weights of its own.

    Args:
        stages: made of the net by `as_stages`.
        copies: name -> (iterations + 2, *shape): of the start, the iterations, and the reading.
        iterations: T.
        item: of length 1.
    """
    middle: list[_Stage] = ["iterate"] * iterations
    order: list[_Stage] = ["start", *middle, "read"]
    state = item.inputs
    for number, stage in enumerate(order):
        weights = {f"net.{name}": copy[number] for name, copy in copies.items()}
        state = functional_call(stages, weights, (stage, item.inputs, state))
    return item_losses(state, item)[0]


def as_stages(net: nn.Module) -> nn.Module:
    """A recurrent net as `copies_loss` takes it.

    Raises:
        ValueError: it is not one.
    """
    missing = [name for name in ("initial_state", "step", "read_out") if not hasattr(net, name)]
    if missing:
        raise ValueError(f"a {type(net).__name__} has no {missing[0]}: it is not a recurrent net")
    return _Stages(net)


def profiles_by_call(net: ProfiledNet, items: Puzzles, iterations: int) -> Tensor:
    """Saliency of each filter at each call of the net, for each item.

    Args:
        net: of a recurrent net.
        items: N of them.
        iterations: T, as the net answers after.

    Returns:
        (N, T + 2, F) float32, at least 0: of the start, each iteration and the reading; 0 where a filter is not used.
    """
    stages, convolutions = as_stages(net.module), net.convolutions()
    copies = {name: weights.expand(iterations + 2, *weights.shape) for name, weights in convolutions.items()}

    def of_one(inputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        item = Puzzles(inputs=inputs[None], targets=targets[None], mask=mask[None])
        gradients = grad(lambda values: copies_loss(stages, values, iterations, item))(copies)
        return vmap(lambda of_call: filter_means(of_call, net.filters))(gradients)

    return torch.cat([vmap(of_one)(part.inputs, part.targets, part.mask) for part in net.chunks(items)])
