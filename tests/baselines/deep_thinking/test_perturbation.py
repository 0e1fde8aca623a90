"""Perturbations, on nets whose every answer is known."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from thinking import BITS_LENGTH, Keeps, Recalls, Scripted, bit_items, parities
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import TensorItems
from easy_to_hard.baselines.deep_thinking.model import FeedForwardNet, RecurrentNet
from easy_to_hard.baselines.deep_thinking.net import Iteration, ThinkingNet
from easy_to_hard.baselines.deep_thinking.perturbation import (
    PerturbationConfig,
    PerturbationResult,
    perturb,
)
from easy_to_hard.tasks import get_task

RULES = get_task("prefix_sums").answers


class _Walks(Scripted):
    """Carries the parity one position further in each iteration, as the trained nets do."""

    def iteration(self, x: Tensor) -> Iteration:
        bits = (x > 0).float()

        def iterate(features: Tensor, number: int) -> Tensor:
            before = torch.nn.functional.pad(features, (1, 0))[..., :-1]
            return (bits + before.round()).remainder(2)

        return iterate


class _Plays(Scripted):
    """Right after the iterations of a script, counted from 1, and wrong after all others."""

    def __init__(self, script: str) -> None:
        super().__init__()
        self._right = [letter == "1" for letter in script]

    def iteration(self, x: Tensor) -> Iteration:
        right = parities(x)[:, None]
        return lambda features, number: right if self._right[number] else 1 - right


def _perturb(model: ThinkingNet, items: TensorItems | None = None, **settings: Any) -> PerturbationResult:
    config = PerturbationConfig(**{"at": 3, "iterations": 12, **settings})
    return perturb(model, bit_items() if items is None else items, RULES, config, progress=False)


def test_without_recall_a_swap_leaves_the_donors_answer() -> None:
    result = _perturb(Keeps(), kind="swap")
    assert result.curve == (1.0,) * 3 + (0.0,) * 9
    assert result.donor_curve == (0.0,) * 3 + (1.0,) * 9
    assert result.recovery_times == (None,) * 5
    assert (result.share_recovered, result.mean_recovery_time) == (0.0, None)


@pytest.mark.parametrize("kind", ["swap", "zero", "noise", "flip"])
def test_a_net_that_ignores_its_features_is_back_at_once(kind: str) -> None:
    result = _perturb(Recalls(), kind=kind)
    assert result.curve == (1.0,) * 12
    assert result.recovery_times == (1,) * 5
    assert (result.share_recovered, result.mean_recovery_time) == (1.0, 1.0)
    assert (result.donor_curve is not None) == (kind == "swap")


def test_zero_leaves_the_answer_of_no_features() -> None:
    bits = torch.tensor([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    result = _perturb(Keeps(), TensorItems(bits.float()[:, None] - 0.5, bits.cumsum(dim=1) % 2), kind="zero")
    # Zero features read out as parity 0 everywhere: right for the first string alone.
    assert result.correct == (2,) * 3 + (1,) * 9
    assert result.recovery_times == (1, None)


def test_a_flip_changes_the_parities_from_its_position_on() -> None:
    # Before, the right answers are the old ones; features that stay give them still, so after it all are wrong.
    assert _perturb(Keeps(), kind="flip").curve == (1.0,) * 3 + (0.0,) * 9
    # One iteration carries the change one position further: from position p it takes length - p of them.
    for position in range(BITS_LENGTH):
        result = _perturb(_Walks(), kind="flip", position=position, iterations=20)
        assert result.positions == (position,) * 5
        assert result.recovery_times == (BITS_LENGTH - position,) * 5


def test_random_positions_and_noise_go_by_seed_and_item_alone() -> None:
    torch.manual_seed(0)
    model = RecurrentNet(in_channels=1, width=4, head_widths=(4,), dimensions=1)
    seen: list[Tensor] = []

    def decode(logits: Tensor, inputs: Tensor) -> Tensor:
        seen.append(logits)
        return RULES.decode(logits, inputs)

    def logits_after(kind: Any, **settings: Any) -> tuple[Tensor, PerturbationResult]:
        seen.clear()
        config = PerturbationConfig(kind=kind, at=0, iterations=5, **settings)
        result = perturb(model, bit_items(), replace(RULES, decode=decode), config, progress=False)
        return torch.cat(seen[::5]), result

    for kind in ("noise", "flip"):
        logits, result = logits_after(kind)
        in_parts, same = logits_after(kind, batch_size=2)
        torch.testing.assert_close(in_parts, logits)
        assert same.positions == result.positions
        other, _ = logits_after(kind, seed=1)
        assert not torch.allclose(other, logits)
    assert result.positions is not None
    assert len(set(result.positions)) > 1


@pytest.mark.parametrize("lowest", [0.0, -3.0])
def test_noise_has_mean_and_deviation_of_the_features(lowest: float) -> None:
    states: list[Tensor] = []

    class Watched(Keeps):
        def initial_state(self, x: Tensor) -> Tensor:
            return torch.linspace(lowest, 3, 20_000).expand(len(x), 1, -1)

        def iteration(self, x: Tensor) -> Iteration:
            return lambda features, number: (states.append(features), features)[1]

        def read_out(self, state: Tensor) -> Tensor:
            return super().read_out(state[..., :BITS_LENGTH])

    _perturb(Watched(), kind="noise", at=0, iterations=5)
    noise, features = states[0], torch.linspace(lowest, 3, 20_000)
    assert not torch.equal(noise[0], noise[1])
    if lowest == 0:
        # A twenty-fifth of a Gaussian of mean 1.5 and deviation 0.87 is below 0, and is put to 0.
        assert noise.min() == 0
        assert 0.02 < (noise == 0).float().mean() < 0.06
    else:
        assert noise.mean().item() == pytest.approx(features.mean().item(), abs=0.03)
        assert noise.std().item() == pytest.approx(features.std().item(), rel=0.02)
        assert noise.min() < -3


def test_recovery_is_the_first_of_five_right_answers_in_a_row() -> None:
    def recovery(script: str) -> int | None:
        result = _perturb(_Plays("000" + script), kind="zero", iterations=3 + len(script))
        assert result.correct == tuple(5 * int(letter) for letter in "000" + script)
        assert len(set(result.recovery_times)) == 1
        return result.recovery_times[0]

    assert recovery("11111") == 1
    assert recovery("0111110") == 2
    assert recovery("111101111100") == 6
    assert recovery("1111100000011111") == 1
    assert recovery("0011110") is None


def test_right_answers_before_the_perturbation_do_not_count_for_recovery() -> None:
    result = _perturb(_Plays("1111" + "1000111110"), kind="zero", at=4, iterations=14)
    assert result.recovery_times == (5,) * 5


def test_the_last_item_is_not_left_alone() -> None:
    result = _perturb(Keeps(), kind="swap", batch_size=2)
    assert result.num_items == 5
    assert result.donor_correct == (0,) * 3 + (5,) * 9


def test_a_feed_forward_net_goes_on_with_the_right_block() -> None:
    model = FeedForwardNet(in_channels=1, width=4, head_widths=(4,), dimensions=1, depth=12)
    _perturb(model, kind="swap")
    with pytest.raises(ValueError, match="12 iterations"):
        _perturb(model, kind="swap", iterations=13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "twist"}, "swap, zero, noise, flip, not 'twist'"),
        ({"at": -1}, "at must be from 0 to 7.*not -1"),
        ({"at": 8}, "at must be from 0 to 7.*not 8"),
        ({"iterations": 4}, "iterations must be at least 5, not 4"),
        ({"batch_size": 0}, "batch_size must be at least 1 for 'zero', not 0"),
        ({"kind": "swap", "batch_size": 1}, "batch_size must be at least 2 for 'swap', not 1"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"position": 1}, "position.*'flip' only, not 1"),
        ({"kind": "flip", "position": -1}, "position must be at least 0.*not -1"),
        ({"kind": "flip", "position": BITS_LENGTH}, f"position must be from 0 to {BITS_LENGTH - 1}, not {BITS_LENGTH}"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _perturb(Keeps(), **{"kind": "zero", **settings})


def test_items_are_checked() -> None:
    maze_net = RecurrentNet(in_channels=3, width=4, head_widths=(4,), dimensions=2)
    with pytest.raises(ValueError, match="'flip' is not defined for mazes"):
        _perturb(maze_net, TensorItems(torch.ones(2, 3, 8, 8), torch.zeros(2, 8, 8).long()), kind="flip")
    with pytest.raises(ValueError, match="at least one item"):
        _perturb(Keeps(), TensorItems(torch.ones(0, 1, 4), torch.zeros(0, 4).long()), kind="zero")
    with pytest.raises(ValueError, match="at least two items"):
        _perturb(Keeps(), bit_items(1), kind="swap")
    with pytest.raises(ValueError, match=r"-0\.5 or 0\.5, not 0"):
        _perturb(Keeps(), TensorItems(torch.zeros(2, 1, 4), torch.zeros(2, 4).long()), kind="flip")
