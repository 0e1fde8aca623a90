"""Evaluation: against one that stores every output, and its memory."""

import gc
import math
import os
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thinking import KINDS, make_lipschitz, make_net, mazes, strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import (
    Evaluation,
    EvaluationConfig,
    TensorItems,
    evaluate,
)
from easy_to_hard.baselines.deep_thinking.model import RecurrentNet
from easy_to_hard.tasks import AnswerRules, get_task

_STRINGS = get_task("prefix_sums").answers


def _evaluate(net: Any, x: Tensor, y: Tensor, rules: AnswerRules = _STRINGS, **config: Any) -> Evaluation:
    return evaluate(net, TensorItems(x, y), rules, EvaluationConfig(**config), progress=False)


def _lively(kind: str, **sizes: Any) -> Any:
    """A net whose answers go on changing: an untrained one soon gives the same everywhere."""
    net = make_net(kind, **{"width": 8, "head_widths": (6,), "depth": 12, **sizes})
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if not name.startswith("head") and weights.ndim > 1:
                weights *= 1.6
    return net.eval()


def _given_answers(net: Any, x: Tensor, rules: AnswerRules, iterations: int) -> Tensor:
    """Targets that the net does give at some iteration, another one from item to item."""
    with torch.no_grad():
        answers = [rules.decode(net(x, t)[0], x) for t in range(1, iterations + 1)]
    return torch.stack([answers[(7 * item) % iterations][item] for item in range(len(x))])


def _dividing_change(net: Any, x: Tensor, iterations: int) -> float:
    """A `settled_change` that about half of the items come down to."""
    with torch.no_grad():
        states = torch.stack([net(x, t)[1] for t in range(iterations + 1)]).flatten(2)
    changes = (states[1:] - states[:-1]).abs().amax(dim=2) / states[1:].abs().amax(dim=2)
    # Not one of the values themselves, so that rounding is of no account.
    low, high = changes.amin(dim=0).sort().values[len(x) // 2 - 1 : len(x) // 2 + 1].tolist()
    return (float(low) + float(high)) / 2


def _naive(
    net: Any,
    x: Tensor,
    y: Tensor,
    rules: AnswerRules,
    iterations: int,
    exit_rule: str,
    settled_change: float,
    exit_at: int,
) -> dict[str, Any]:
    """Every state and output at once."""
    with torch.no_grad():
        outputs = [net(x, t) for t in range(iterations + 1)]
    states = torch.stack([state for _, state in outputs]).flatten(2)
    logits = torch.stack([logits for logits, _ in outputs[1:]])
    exact = torch.stack([(rules.decode(step, x) == y).flatten(1).all(dim=1) for step in logits]).numpy()
    sure = logits.softmax(dim=2).amax(dim=2)
    if rules.mask is not None:
        sure = sure * rules.mask(x)
    confidence = sure.flatten(2).sum(dim=2).numpy()
    change = ((states[1:] - states[:-1]).abs().amax(dim=2) / states[1:].abs().amax(dim=2)).numpy()

    items = np.arange(len(x))
    most_confident = np.stack([confidence[: t + 1].argmax(axis=0) for t in range(iterations)])
    is_settled = change <= settled_change
    settled_at = np.where(is_settled.any(axis=0), is_settled.argmax(axis=0), iterations - 1)
    chosen = {
        "settled": settled_at,
        "max_confidence": most_confident[-1],
        "fixed": np.full(len(x), exit_at - 1),
    }[exit_rule]
    ever = exact.any(axis=0)
    return {
        "num_items": len(x),
        "num_correct": int(exact[chosen, items].sum()),
        "num_settled": int(is_settled.any(axis=0).sum()),
        "mean_iterations": float((chosen + 1).mean()),
        "last_iteration": int(chosen.max() + 1),
        "correct": tuple(exact.sum(axis=1).tolist()),
        "confident_correct": tuple(int(exact[best, items].sum()) for best in most_confident),
        "mean_first_solved": float((exact.argmax(axis=0) + 1)[ever].mean()) if ever.any() else None,
    }


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4, 30])
@pytest.mark.parametrize(
    ("exit_rule", "exit_iteration"), [("settled", None), ("max_confidence", None), ("fixed", None), ("fixed", 5)]
)
@pytest.mark.parametrize("task", ["prefix_sums", "mazes"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_exit_equals_a_naive_evaluation(
    kind: str, task: str, exit_rule: str, exit_iteration: int | None, batch_size: int
) -> None:
    rules, iterations = get_task(task).answers, 12
    if task == "mazes":
        net, x = _lively(kind, in_channels=3, dimensions=2, patch=2), mazes(9, 5, variant="looped")[0]
    else:
        net, x = _lively(kind), strings(13, 6, seed=9)[0]
    # Another batch size rounds in another way, which in float32 may move an item across the line.
    net, x = net.double(), x.double()
    y = _given_answers(net, x, rules, iterations)
    settled_change = _dividing_change(net, x, iterations)
    found = _evaluate(
        net,
        x,
        y,
        rules,
        max_iterations=iterations,
        exit_rule=exit_rule,
        exit_iteration=exit_iteration,
        settled_change=settled_change,
        batch_size=batch_size,
    )
    expected = _naive(net, x, y, rules, iterations, exit_rule, settled_change, exit_iteration or iterations)
    for name, value in expected.items():
        assert getattr(found, name) == (pytest.approx(value) if isinstance(value, float) else value), name
    assert 0 < found.num_settled < len(x)
    assert max(found.correct) > 0
    assert found.accuracy == expected["num_correct"] / len(x)
    assert found.curve == tuple(count / len(x) for count in expected["correct"])
    assert found.peak_accuracy == max(expected["correct"]) / len(x)
    assert found.peak_iteration == expected["correct"].index(max(expected["correct"])) + 1
    assert [found.accuracy_at(t) for t in (1, 7, 12, 99)] == [found.curve[t] for t in (0, 6, 11, 11)]
    low, high = found.interval
    assert 0 <= low <= found.accuracy <= high <= 1


def test_the_naive_comparison_tells_the_exits_apart() -> None:
    net, x = _lively("recurrent"), strings(13, 6, seed=9)[0]
    y = _given_answers(net, x, _STRINGS, 12)
    change = _dividing_change(net, x, 12)
    found = [
        _evaluate(net, x, y, max_iterations=12, settled_change=change, exit_rule=rule)
        for rule in ("settled", "max_confidence", "fixed")
    ]
    assert len({one.mean_iterations for one in found}) == 3
    assert len(set(found[0].correct)) > 2
    assert found[1].confident_correct != found[1].correct
    assert found[1].confident_correct[-1] == found[1].num_correct
    assert found[2].correct[-1] == found[2].num_correct


def test_iterations_count_from_one() -> None:
    found = _evaluate(_lively("recurrent"), *strings(5, 6), max_iterations=4)
    with pytest.raises(ValueError, match="iteration must be at least 1, not 0"):
        found.accuracy_at(0)


def test_never_right_is_none() -> None:
    x, y = strings(5, 6)
    assert _evaluate(make_net(), x, y + 2, max_iterations=3).mean_first_solved is None


class _Countdown(RecurrentNet):
    """Its features are the input until item i settles, at iteration i + 2; its answer is right up to `good`."""

    def __init__(self, good: int) -> None:
        super().__init__(in_channels=1, width=1, head_widths=(), dimensions=1)
        self.good = good
        self.number = 0
        self.iterations_run = 0

    def initial_state(self, x: Tensor) -> Tensor:
        self.number = 0
        return torch.ones_like(x)

    def states(self, state: Tensor, x: Tensor, iterations: int, done: int = 0) -> Any:
        settle_at = x[:, :1, :1]
        for self.number in range(1, iterations + 1):
            self.iterations_run += 1
            state = state + (self.number < settle_at)
            yield state

    def read_out(self, state: Tensor) -> Tensor:
        right = torch.zeros(len(state), 2, state.shape[2])
        right[:, 1 if self.number <= self.good else 0] = 1
        return right


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_count(kind: str, threads: int) -> None:
    net, x = _lively(kind), strings(23, 9, seed=5)[0]
    y = _given_answers(net, x, _STRINGS, 9)
    alone = _evaluate(net, x, y, max_iterations=9, batch_size=4)
    together = _evaluate(net, x, y, max_iterations=9, batch_size=4, threads=threads)
    assert replace(together, seconds=alone.seconds) == alone
    assert 0 < alone.correct[-1] < 23
    other = _evaluate(net, x, y, max_iterations=9, batch_size=23, threads=threads)
    assert other.correct == alone.correct
    assert torch.get_num_threads() == 1


def _countdown_items(settle_at: list[int]) -> tuple[Tensor, Tensor]:
    x = torch.tensor(settle_at, dtype=torch.float32)[:, None, None].expand(-1, 1, 3).contiguous()
    return x, torch.ones(len(settle_at), 3, dtype=torch.int64)


def test_the_answer_counts_where_the_features_settle() -> None:
    x, y = _countdown_items([2, 5, 50])
    evaluation = _evaluate(_Countdown(good=4), x, y, max_iterations=8)
    # Item 0 settles at 2 and is right there; item 1 at 5, where it no longer is; item 2 never, so 8 counts.
    assert evaluation.num_correct == 1
    assert evaluation.num_settled == 2
    assert evaluation.mean_iterations == pytest.approx((2 + 5 + 8) / 3)
    assert evaluation.last_iteration == 8
    assert evaluation.correct == (3, 3, 3, 3, 0, 0, 0, 0)
    assert evaluation.peak_iteration == 1
    assert evaluation.mean_first_solved == 1
    assert "at most 0.0001" in evaluation.iterations_rule
    assert "last of 8" in evaluation.iterations_rule


def test_rules_in_words() -> None:
    assert EvaluationConfig(max_iterations=9, exit_rule="fixed", exit_iteration=4).iterations_rule == (
        "iteration 4 for all items"
    )
    assert EvaluationConfig(max_iterations=9, exit_rule="fixed").iterations_rule == "iteration 9 for all items"
    assert (
        "most confident iteration of 9"
        in EvaluationConfig(max_iterations=9, exit_rule="max_confidence").iterations_rule
    )


def test_equal_confidence_takes_the_first() -> None:
    x, y = _countdown_items([2, 5])
    evaluation = _evaluate(_Countdown(good=4), x, y, max_iterations=8, exit_rule="max_confidence")
    assert evaluation.mean_iterations == 1
    assert evaluation.confident_correct == (2,) * 8


def test_the_choice_does_not_see_the_targets() -> None:
    net, (x, y) = _lively("recurrent"), strings(10, 4)
    for exit_rule in ("settled", "max_confidence", "fixed"):
        one = _evaluate(net, x, y, max_iterations=30, exit_rule=exit_rule, settled_change=0.3)
        two = _evaluate(net, x, 1 - y, max_iterations=30, exit_rule=exit_rule, settled_change=0.3)
        assert one.correct != two.correct
        assert (one.mean_iterations, one.num_settled) == (two.mean_iterations, two.num_settled)


def test_walls_have_no_confidence() -> None:
    """However sure of them the net becomes, the choice is by the cells that count."""

    class Walled(_Countdown):
        def read_out(self, state: Tensor) -> Tensor:
            # Less sure of the first two positions with every iteration, and surer of the last one.
            right = torch.zeros(len(state), 2, state.shape[2])
            right[:, 1, :2] = 1 / self.number
            right[:, 1, 2] = 20 * self.number
            return right

    x, y = _countdown_items([50, 50])

    def mask(inputs: Tensor) -> Tensor:
        return torch.tensor([True, True, False]).expand(len(inputs), 3)

    rules = replace(_STRINGS, mask=mask)
    config = {"max_iterations": 6, "exit_rule": "max_confidence"}
    assert _evaluate(Walled(good=9), x, y, rules, **config).mean_iterations == 1
    x, y = x[..., 2:], y[..., 2:]
    assert _evaluate(_Countdown(good=9), x, y, **config).mean_iterations == 1


# Stopping early


def test_stops_when_all_have_settled() -> None:
    x, y = _countdown_items([2, 3, 6, 4])
    net = _Countdown(good=5)
    evaluation = _evaluate(net, x, y, max_iterations=100, batch_size=2, stop_when_settled=True)
    assert net.iterations_run == 3 + 6
    # The first batch stops at 3 with 2 right and holds them; the second is wrong from 6 on.
    assert evaluation.correct == (4, 4, 4, 4, 4, 2)
    assert evaluation.num_correct == 3
    assert evaluation.num_settled == 4


def test_stops_not_before_the_least_number() -> None:
    x, y = _countdown_items([2, 3, 6, 4])
    for least, run in ((1, 3 + 6), (5, 5 + 6), (9, 9 + 9), (100, 20 + 20)):
        net = _Countdown(good=5)
        evaluation = _evaluate(net, x, y, max_iterations=20, batch_size=2, stop_when_settled=True, min_iterations=least)
        assert net.iterations_run == run
        assert (evaluation.num_correct, evaluation.num_settled) == (3, 4)


@pytest.mark.slow
@pytest.mark.parametrize("exit_rule", ["settled", "fixed"])
@pytest.mark.parametrize("batch_size", [3, 40])
def test_stopping_changes_nothing_for_a_net_that_settles(exit_rule: str, batch_size: int) -> None:
    net, x = make_lipschitz(contraction=0.5, scale=2.0), strings(20, 6)[0]
    y = _given_answers(net, x, _STRINGS, 3)
    config = {"max_iterations": 60, "exit_rule": exit_rule, "batch_size": batch_size}
    on = _evaluate(net, x, y, **config)
    early = _evaluate(net, x, y, **config, stop_when_settled=True)
    assert len(on.correct) == 60
    assert len(early.correct) < 40
    assert on.num_correct > 0
    assert on.num_settled == 20
    names = ("num_correct", "num_settled", "mean_iterations", "last_iteration", "mean_first_solved", "peak_iteration")
    assert [getattr(on, name) for name in names] == [getattr(early, name) for name in names]
    assert [on.accuracy_at(t) for t in range(1, 80)] == [early.accuracy_at(t) for t in range(1, 80)]
    later = _evaluate(net, x, y, **config, stop_when_settled=True, min_iterations=45)
    assert len(later.correct) == 45


def test_features_that_are_not_numbers_never_settle() -> None:
    x, y = _countdown_items([2, 2])
    x[0] = math.nan
    net = make_net(width=2, head_widths=())
    evaluation = _evaluate(net, x, y, max_iterations=5)
    assert evaluation.num_settled <= 1


@pytest.mark.parametrize(
    "exit_rule",
    [
        "settled",
        "fixed",
        "max_confidence",
    ],
)
def test_answers_that_are_not_numbers_are_of_an_iteration(exit_rule: str) -> None:
    x, y = strings(3, 6)
    evaluation = _evaluate(make_net(), x * math.nan, y, max_iterations=5, exit_rule=exit_rule)
    assert evaluation.mean_iterations >= 1


def test_features_that_are_all_zero_have_settled() -> None:
    """As of a net all of whose ReLUs are dead; nothing changes any more."""
    net = make_net(recall=False)
    with torch.no_grad():
        net.projection.weight.zero_()
    assert _evaluate(net, *strings(3, 6), max_iterations=5).num_settled == 3


def test_bfloat16_is_for_the_convolutions() -> None:
    net, x = _lively("recurrent"), strings(40, 6)[0]
    y = _given_answers(net, x, _STRINGS, 4)
    seen: set[torch.dtype] = set()
    net.head[-1].register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    full, half = (_evaluate(net, x, y, max_iterations=4, precision=precision) for precision in ("float32", "bfloat16"))
    assert seen == {torch.float32, torch.bfloat16}
    assert abs(full.accuracy_at(1) - half.accuracy_at(1)) < 0.3
    assert next(net.parameters()).dtype == torch.float32


# Memory


def _most_alive(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """States and outputs that an evaluation keeps at a time."""
    net = make_net()
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    outputs: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = [0, 0]
    read_out = net.read_out

    def spy(state: Tensor) -> Tensor:
        logits: Tensor = read_out(state)
        alive.add(state)
        outputs.add(logits)
        most[:] = max(most[0], len(alive)), max(most[1], len(outputs))
        return logits

    monkeypatch.setattr(net, "read_out", spy)
    _evaluate(net, *strings(3, 6), max_iterations=50)
    return most[0], most[1]


def test_memory_does_not_grow_with_the_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two states, the current and the former one, are alive at any time."""
    states, outputs = _most_alive(monkeypatch)
    assert states <= 2
    assert outputs <= 1


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("exit_rule", ["settled", "max_confidence"])
def test_ten_thousand_iterations_take_the_memory_of_one_thousand(
    exit_rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = make_net(width=1, head_widths=(), recall=False)
    net.blocks = torch.nn.Identity()
    x, y = strings(1, 32)
    read_out, number = net.read_out, 0
    seen: dict[int, tuple[int, int, int]] = {}

    def spy(state: Tensor) -> Tensor:
        nonlocal number
        number += 1
        if number in (1_000, 10_000):
            with warnings.catch_warnings():
                # Of a module that warns of any look at it.
                warnings.simplefilter("ignore")
                tensors = [one for one in gc.get_objects() if isinstance(one, Tensor)]
            large = sum(one.numel() > 1 for one in tensors)
            seen[number] = _resident(), large, len(tensors) - large
        logits: Tensor = read_out(state)
        return logits

    monkeypatch.setattr(net, "read_out", spy)
    _evaluate(net, x, y, max_iterations=10_000, exit_rule=exit_rule)
    (early, large_early, small_early), (late, large_late, small_late) = seen[1_000], seen[10_000]
    assert large_late <= large_early
    assert small_late - small_early <= 2 * 9_000
    assert late - early < 9_000 * 2048


# Errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_iterations": 0}, "max_iterations must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"min_iterations": 0}, "min_iterations must be at least 1, not 0"),
        ({"settled_change": -1.0}, "settled_change must be at least 0, not -1.0"),
        ({"settled_change": math.nan}, "settled_change must be at least 0, not nan"),
        ({"exit_rule": "peak"}, "exit_rule must be one of settled, max_confidence, fixed, not 'peak'"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16, not 'float16'"),
        ({"exit_rule": "fixed", "exit_iteration": 0}, "exit_iteration must be from 1 to 2, not 0"),
        ({"exit_rule": "fixed", "exit_iteration": 3}, "exit_iteration must be from 1 to 2, not 3"),
    ],
)
def test_evaluation_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**{"max_iterations": 2, **changes})


def test_item_errors() -> None:
    x, y = strings(3, 6)
    with pytest.raises(ValueError, match="as many targets as inputs, not 2 for 3"):
        TensorItems(x, y[:2])
    with pytest.raises(ValueError, match="there must be at least one item to evaluate"):
        _evaluate(make_net(), x[:0], y[:0], max_iterations=2)


@pytest.mark.parametrize("threads", [None, 2])
def test_a_feed_forward_net_is_not_run_beyond_its_depth(threads: int | None) -> None:
    net, (x, y) = make_net("feed_forward", depth=4), strings(3, 6)
    assert len(_evaluate(net, x, y, max_iterations=4, threads=threads).correct) == 4
    with pytest.raises(ValueError, match="this net has 4 iterations, fewer than the 5 asked for"):
        _evaluate(net, x, y, max_iterations=5, threads=threads)
