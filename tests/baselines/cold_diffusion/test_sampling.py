"""The way back from a degraded state."""

from typing import Any

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.sampling import (
    SAMPLERS,
    Degrade,
    Restore,
    algorithm_1,
    algorithm_2,
    direct,
)

CLEAN = torch.linspace(-1, 1, 24).reshape(2, 3, 4)


def drift(direction: Tensor) -> Degrade:
    """D(x, t) = x + t e."""
    return lambda clean, severity: clean + severity.reshape(-1, 1, 1) * direction


def off_by(offset: float) -> Restore:
    """An oracle, but for a constant."""
    return lambda degraded, severity: CLEAN + offset


def test_affine_degradation_is_undone_by_algorithm_2_whatever_the_restorer() -> None:
    degrade = drift(torch.tensor([0.5, -0.25, 1.0, 0.0]))
    degraded = degrade(CLEAN, torch.tensor([6, 6]))
    for restore in (off_by(0.3), lambda degraded, severity: degraded.cos()):
        torch.testing.assert_close(algorithm_2(restore, degrade, degraded, 6), CLEAN)
    torch.testing.assert_close(algorithm_1(off_by(0.3), degrade, degraded, 6), CLEAN + 0.3)


def test_algorithm_1_adds_up_errors_of_a_restorer_that_goes_by_its_input() -> None:
    degrade = drift(torch.ones(4))
    degraded = degrade(CLEAN, torch.tensor([5, 5]))

    def restore(state: Tensor, severity: Tensor) -> Tensor:
        return state - severity.reshape(-1, 1, 1) + 0.1

    torch.testing.assert_close(direct(restore, degrade, degraded, 5), CLEAN + 0.1)
    torch.testing.assert_close(algorithm_1(restore, degrade, degraded, 5), CLEAN + 0.5)
    torch.testing.assert_close(algorithm_2(restore, degrade, degraded, 5), CLEAN)


def test_steps_by_hand() -> None:
    """D(x, t) = x / 2^t and R(x, t) = x: 8, then 8/2 or 8 - 8/4 + 8/2 = 10, then 4 or 10 - 10/2 + 10 = 15."""
    told: dict[str, list[tuple[int, float, float]]] = {}
    for name in ("algorithm_1", "algorithm_2", "direct"):
        steps: list[tuple[int, float, float]] = []
        SAMPLERS[name](
            lambda state, severity: state,
            lambda clean, severity: clean / 2.0 ** severity.reshape(-1, 1),
            torch.tensor([[8.0]]),
            2,
            on_step=lambda t, state, estimate, steps=steps: steps.append((t, state.item(), estimate.item())),  # type: ignore[misc]
        )
        told[name] = steps
    assert told == {
        "algorithm_1": [(1, 4.0, 8.0), (0, 4.0, 4.0)],
        "algorithm_2": [(1, 10.0, 8.0), (0, 15.0, 10.0)],
        "direct": [(0, 8.0, 8.0)],
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_restorer_is_asked_at_every_severity_and_only_there(name: str) -> None:
    asked: list[list[int]] = []

    def restore(state: Tensor, severity: Tensor) -> Tensor:
        assert severity.dtype == torch.int64
        asked.append(severity.tolist())
        return state

    SAMPLERS[name](restore, drift(torch.ones(4)), CLEAN, 3)
    assert asked == ([[3, 3]] if name == "direct" else [[3, 3], [2, 2], [1, 1]])


@pytest.mark.parametrize("name", SAMPLERS)
def test_states_are_not_clamped_and_have_no_gradient(name: str) -> None:
    weight = torch.tensor(5.0, requires_grad=True)
    restored = SAMPLERS[name](lambda state, severity: state * weight, drift(torch.zeros(4)), CLEAN, 1)
    assert restored.abs().max() == 5 or name == "algorithm_2"
    assert not restored.requires_grad


@pytest.mark.parametrize("name", SAMPLERS)
def test_last_step_is_a_step(name: str) -> None:
    """With T = 1 there is but one, and it restores."""
    degrade = drift(torch.ones(4))
    restored = SAMPLERS[name](off_by(0.0), degrade, degrade(CLEAN, torch.tensor([1, 1])), 1)
    torch.testing.assert_close(restored, CLEAN)


def test_errors() -> None:
    def same(state: Tensor, severity: Tensor) -> Any:
        return state

    for sampler in SAMPLERS.values():
        with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
            sampler(same, same, CLEAN, 0)
