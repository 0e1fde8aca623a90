"""From a degraded state back to a clean one: in one step, by Algorithm 1, or by Algorithm 2 (arXiv 2208.09392).

A degradation D(x, t) has severities t from 0, where D(x, 0) = x, to `steps`; a restorer R(x_t, t) estimates the clean
x from severity t at once. Nothing here is specific to images: puzzles are solved with the same samplers.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.generators.integers import check_integer

Degrade: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(clean (B, C, *size) float, severity (B,) int64 from 0 to steps) -> degraded, of the clean one's shape.

Its random draws (a mask's place, a layer of snow, a color) are frozen: the same clean state and severity give the same
degraded state throughout a trajectory.
"""

Restore: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(degraded (B, C, *size) float, severity (B,) int64 from 1 to steps) -> estimate of the clean state."""

OnStep: TypeAlias = Callable[[int, Tensor, Tensor], object]
"""Called after each step with the severity just reached (steps - 1 down to 0), the state, and the estimate used."""


class Sampler(Protocol):
    """A way to restore; see `algorithm_2`."""

    def __call__(
        self, restore: Restore, degrade: Degrade, degraded: Tensor, steps: int, *, on_step: OnStep | None = None
    ) -> Tensor:
        """From a degraded state to an estimate of the clean one."""
        ...


def at_severity(severity: int, states: Tensor) -> Tensor:
    """One severity for a whole batch: (B,) int64, on the states' device."""
    return torch.full((len(states),), severity, dtype=torch.int64, device=states.device)


def per_item(values: Tensor, states: Tensor) -> Tensor:
    """Reshape values (B,) to (B, 1, ...), with as many dimensions as the states have."""
    return values.reshape(-1, *(1,) * (states.ndim - 1))


def checked(degrade: Degrade, steps: int) -> Degrade:
    """The degradation with its severities checked, and the clean state itself at severity 0, bit for bit.

    Args:
        degrade: its result at severity 0 is not used.
        steps: T.

    Returns:
        a function that raises ValueError for a severity that is not (B,) int64, or not from 0 to `steps`.
    """

    def exact(clean: Tensor, severity: Tensor) -> Tensor:
        if severity.shape != clean.shape[:1] or severity.dtype != torch.int64:
            found = f"{tuple(severity.shape)} {str(severity.dtype).removeprefix('torch.')}"
            raise ValueError(f"severity must be ({len(clean)},) int64, not {found}")
        low, high = (int(end) for end in severity.aminmax())
        if low < 0 or high > steps:
            raise ValueError(f"severity must be from 0 to {steps}, not {low if low < 0 else high}")
        return torch.where(per_item(severity, clean) == 0, clean, degrade(clean, severity))

    return exact


def direct(
    restore: Restore, degrade: Degrade, degraded: Tensor, steps: int, *, on_step: OnStep | None = None
) -> Tensor:
    """Estimate the clean state in a single step, R(x_T, T), the baseline of the two algorithms.

    Arguments, result, and errors are those of `algorithm_2`; the degradation is not used.
    """
    check_integer("steps", steps, 1)
    with torch.no_grad():
        estimate = restore(degraded, at_severity(steps, degraded))
    if on_step is not None:
        on_step(0, estimate, estimate)
    return estimate


def algorithm_1(
    restore: Restore, degrade: Degrade, degraded: Tensor, steps: int, *, on_step: OnStep | None = None
) -> Tensor:
    """Restore and degrade again, to one severity less each time: x_{t-1} = D(R(x_t, t), t - 1) (Algorithm 1).

    An error of the restorer goes into the next state unchanged, so errors add up. Arguments, result, and errors are
    those of `algorithm_2`.
    """

    def step(state: Tensor, estimate: Tensor, severity: int) -> Tensor:
        return degrade(estimate, at_severity(severity - 1, state))

    return descend(restore, step, degraded, steps, on_step)


def algorithm_2(
    restore: Restore, degrade: Degrade, degraded: Tensor, steps: int, *, on_step: OnStep | None = None
) -> Tensor:
    """Subtract the difference of two severities: x_{t-1} = x_t - D(xh, t) + D(xh, t - 1), xh = R(x_t, t) (Algorithm 2).

    If D(x, t) = x + t e with the same e for every x, each step is exact whatever R is; if D is smooth in t, an error of
    the restorer cancels up to the order of the step's length.

    Args:
        restore: the restorer.
        degrade: the degradation, its randomness frozen.
        degraded: (B, C, *size) float, of severity `steps`.
        steps: T, at least 1.
        on_step: called after each step.

    Returns:
        (B, C, *size) float; neither it nor any state before it is clamped, which would break the cancellation.

    Raises:
        ValueError: steps below 1.
    """

    def step(state: Tensor, estimate: Tensor, severity: int) -> Tensor:
        here, next_ = (degrade(estimate, at_severity(t, state)) for t in (severity, severity - 1))
        return state - here + next_

    return descend(restore, step, degraded, steps, on_step)


def descend(
    restore: Restore,
    step: Callable[[Tensor, Tensor, int], Tensor],
    degraded: Tensor,
    steps: int,
    on_step: OnStep | None,
) -> Tensor:
    """Take one step after another, from severity `steps` to 0.

    Args:
        restore, degraded, steps, on_step: as in `algorithm_2`, whose error is raised.
        step: (state, estimate, severity of the state) -> the state of one severity less.
    """
    check_integer("steps", steps, 1)
    state = degraded
    with torch.no_grad():
        for severity in range(steps, 0, -1):
            estimate = restore(state, at_severity(severity, state))
            state = step(state, estimate, severity)
            if on_step is not None:
                on_step(severity - 1, state, estimate)
    return state


SAMPLERS: Final[Mapping[str, Sampler]] = MappingProxyType(
    {"direct": direct, "algorithm_1": algorithm_1, "algorithm_2": algorithm_2}
)
