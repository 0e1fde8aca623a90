"""Choosing, pruning, tuning and neighbors, on nets whose answers can be worked out."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.parameter_saliency.mistakes import Mistakes, choose_filters
from easy_to_hard.baselines.parameter_saliency.neighbors import look, nearest, purity
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet
from easy_to_hard.baselines.parameter_saliency.pruning import (
    CORRECTED,
    KEPT,
    TRUE_CONFIDENCE,
    WRONG_CONFIDENCE,
    prune,
    pruned,
)
from easy_to_hard.baselines.parameter_saliency.tuning import (
    ALL,
    CONFIDENCE,
    GROUPS,
    ITEM,
    OTHERS,
    SMALLEST,
    SPOILT,
    Groups,
    gradients_of,
    only,
    random_others,
    smallest_rate,
    stepped,
    tune,
    tune_by_smallest_rate,
)


def apply(net: nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = net(inputs)
    return logits


def items(values: list[tuple[float, float]], target: int) -> Puzzles:
    """Items of one position and two channels."""
    inputs = torch.tensor(values)[:, :, None]
    targets = torch.full((len(values), 1), target)
    return Puzzles(inputs=inputs, targets=targets, mask=torch.ones_like(targets, dtype=torch.bool))


@pytest.fixture
def mistakes() -> Mistakes:
    """Three filters are the logits of three classes: (a, 2 b, 0). With a = b = 1 the second wins, and is to blame."""
    net = nn.Conv1d(2, 3, 1, bias=False)
    net.weight.data = torch.tensor([[[1.0], [0.0]], [[0.0], [2.0]], [[0.0], [0.0]]])
    wrong = items([(1.0, 1.0), (1.0, 1.5), (1.0, 1.25)], 0)
    return Mistakes(
        net=ProfiledNet(net, apply),
        wrong=wrong,
        right=items([(0.0, 1.0), (0.0, 3.0)], 1),
        profiles=torch.tensor([[0.0, 3.0, -2.0], [0.1, 3.0, -2.0], [0.0, 2.0, -1.0]]),
        predicted=torch.ones(3, 1, dtype=torch.int64),
        tried=2,
        seed=0,
    )


def values_of(figure: Figure) -> list[float]:
    """Of the items that have one."""
    values: list[float] = figure.to_row()["sample"]
    return values


def found(figures: list[Figure], name: str, **condition: str | int) -> list[float]:
    return next(values_of(one) for one in figures if one.name == name and dict(one.condition) == condition)


def test_choices() -> None:
    profile = torch.tensor([0.5, -3.0, 2.0, 1.0])
    chosen = {
        choice: choose_filters(profile, 2, choice, rng=generator_of("x")).tolist()
        for choice in ("salient", "least", "random")
    }
    assert chosen["salient"] == [False, False, True, True]
    assert chosen["least"] == [True, True, False, False]
    assert sum(chosen["random"]) == 2
    several = {tuple(choose_filters(profile, 2, "random", rng=generator_of(i)).tolist()) for i in range(30)}
    assert len(several) > 3
    with pytest.raises(ValueError, match="k must be from 1 to 4, the filters of the net, not 5"):
        choose_filters(profile, 5, "random", rng=generator_of("x"))


def test_pruning_turns_off_whole_filters_and_leaves_the_net(mistakes: Mistakes) -> None:
    before = mistakes.net.weights["weight"].clone()
    changed = pruned(mistakes.net, torch.tensor([False, True, False]))["weight"]
    assert changed[1].tolist() == [[0.0], [0.0]]
    assert torch.equal(changed[[0, 2]], before[[0, 2]])
    assert torch.equal(mistakes.net.weights["weight"], before)


def test_pruning_by_hand(mistakes: Mistakes) -> None:
    figures = prune(mistakes, [1, 2])
    assert found(figures, CORRECTED, filters="salient", k=2) == [1.0, 1.0]
    assert found(figures, CORRECTED, filters="salient", k=1) == [1.0, 1.0]
    assert found(figures, CORRECTED, filters="least", k=1) == [0.0, 0.0]
    # Right items need the filter that is turned off: with it at zero all classes are even, and the first is given.
    assert found(figures, KEPT, filters="salient", k=1) == [0.0, 0.0]
    assert found(figures, KEPT, filters="least", k=1) == [1.0, 1.0]
    before, after = torch.tensor([1.0, 2.0, 0.0]).softmax(0), torch.tensor([1.0, 0.0, 0.0]).softmax(0)
    wrong, true = (float(after[index] - before[index]) for index in (1, 0))
    assert found(figures, WRONG_CONFIDENCE, filters="salient", k=1)[0] == pytest.approx(wrong, abs=1e-6)
    assert found(figures, TRUE_CONFIDENCE, filters="salient", k=1)[0] == pytest.approx(true, abs=1e-6)
    difference = found(figures, f"{CORRECTED}, difference", filters="salient", against="least", k=1)
    assert difference == [1.0, 1.0]


def test_the_smallest_rate_by_hand(mistakes: Mistakes) -> None:
    one = mistakes.wrong[:1]
    gradients = only(mistakes.net, gradients_of(mistakes.net, one), torch.tensor([False, True, False]))
    # The second logit is 2 - rate * p; the step is enough where that is below the first one, 1.
    share = float(torch.tensor([1.0, 2.0, 0.0]).softmax(0)[1])
    needed = 1 / (2 * share)  # both input channels are 1, so that the logit falls by 2 * rate * p
    rates = (0.5 * needed, 0.99 * needed, 1.01 * needed, 2 * needed)
    assert smallest_rate(mistakes.net, one, gradients, rates) == rates[2]
    assert math.isnan(smallest_rate(mistakes.net, one, gradients, rates[:2]))
    changed = stepped(mistakes.net, gradients, 1.0)["weight"]
    assert torch.equal(changed[[0, 2]], mistakes.net.weights["weight"][[0, 2]])
    assert not torch.equal(changed[1], mistakes.net.weights["weight"][1])


def test_tuning_takes_the_same_step_for_all_choices(mistakes: Mistakes) -> None:
    before = mistakes.net.weights["weight"].clone()
    groups = Groups.of(mistakes, 5)
    # One step on the first item lowers the second logit, 2, by 2 * rate * p: enough for it, too little for the others.
    first, second = (float(torch.tensor([1.0, top, 0.0]).softmax(0)[1]) for top in (2.0, 3.0))
    rate = 1.01 / (2 * first)
    figures = tune(mistakes, [1], groups, rate=rate)
    assert torch.equal(mistakes.net.weights["weight"], before)
    # The second item's own step lowers its logit, 3, by rate * p * (1 + 1.5^2), which is enough as well.
    assert rate * second * 3.25 > 2
    assert found(figures, ITEM, filters="salient", k=1) == [1.0, 1.0]
    assert found(figures, ITEM, filters="least", k=1) == [0.0, 0.0]
    assert found(figures, OTHERS, filters="salient", k=1, items=GROUPS[0]) == [0.0, 1.0]
    assert found(figures, OTHERS, filters="least", k=1, items=GROUPS[0]) == [0.0, 0.0]
    # Right items lose the only logit that they have.
    assert found(figures, SPOILT, filters="least", k=1) == [1.0, 1.0]
    change = found(figures, CONFIDENCE, filters="salient", k=1, items=GROUPS[0])[0]
    after = [
        torch.tensor([1.0, top - rate * first * (1 + b), 0.0]).softmax(0)[0] for top, b in ((3.0, 1.5), (2.5, 1.25))
    ]
    at_first = [torch.tensor([1.0, top, 0.0]).softmax(0)[0] for top in (3.0, 2.5)]
    assert change == pytest.approx(float(sum(after) - sum(at_first)) / 2, abs=1e-6)
    ahead = found(figures, f"{OTHERS}, difference", filters="salient", k=1, items=GROUPS[0], against="least")
    assert ahead == [0.0, 1.0]


def test_the_second_analysis_corrects_every_item_that_can_be(mistakes: Mistakes) -> None:
    figures = tune_by_smallest_rate(mistakes, 1, Groups.of(mistakes, 5))
    assert {figure.condition["rate"] for figure in figures} == {SMALLEST}
    assert found(figures, ITEM, filters="salient", k=1, rate=SMALLEST) == [1.0, 1.0]
    assert found(figures, ITEM, filters=ALL, rate=SMALLEST) == [1.0, 1.0]
    # The third filter is never the answer, and no step on it alone helps.
    assert found(figures, ITEM, filters="least", k=1, rate=SMALLEST) == [0.0, 0.0]
    assert found(figures, SPOILT, filters="least", k=1, rate=SMALLEST) == []
    # The second item asks for the largest step, which is enough for the others; that of the first is for none.
    assert found(figures, OTHERS, filters="salient", k=1, items=GROUPS[0], rate=SMALLEST)[1] == 1.0
    where = {"filters": "salient", "k": 1, "items": GROUPS[0], "against": "least", "rate": SMALLEST}
    assert found(figures, f"{OTHERS}, difference", **where) == []


def test_confidence_counts_the_positions_that_were_wrong() -> None:
    net = nn.Conv1d(1, 2, 1)
    targets = torch.tensor([[0, 0, 0]])
    wrong = Puzzles(inputs=torch.zeros(1, 1, 3), targets=targets, mask=torch.tensor([[True, True, False]]))
    mistakes = Mistakes(
        net=ProfiledNet(net, apply),
        wrong=wrong,
        right=wrong,
        profiles=torch.zeros(1, 2),
        predicted=torch.tensor([[0, 1, 1]]),
        tried=1,
        seed=0,
    )
    logits = torch.tensor([[[3.0, 0.0, 7.0], [0.0, 1.0, 0.0]]])
    # Of the three positions the first was right, and the last does not count.
    expected = float(torch.tensor([0.0, 1.0]).softmax(0)[0])
    assert mistakes.confidence(logits, targets, slice(None)).tolist() == pytest.approx([expected])


def test_random_others_are_others(mistakes: Mistakes) -> None:
    rows = random_others(replace(mistakes, tried=3), 2)
    assert [sorted(row) for row in rows.tolist()] == [[1, 2], [0, 2], [0, 1]]
    assert random_others(mistakes, 1).shape == (2, 1)


def test_neighbors_by_cosine() -> None:
    rows = torch.tensor([[1.0, 0.0], [10.0, 1.0], [0.0, 1.0], [0.1, 5.0]])
    assert nearest(rows, 1)[:, 0].tolist() == [1, 0, 3, 2]
    assert nearest(rows, 9).shape == (4, 3)
    assert all(item not in row for item, row in enumerate(nearest(rows, 9).tolist()))
    with pytest.raises(ValueError, match="at least one neighbor and two items are needed, not 1 and 1"):
        nearest(rows[:1], 1)


def test_large_pictures_are_compared_when_shrunk() -> None:
    assert look(torch.rand(3, 3, 64, 64)).shape == (3, 3 * 32 * 32)
    assert look(torch.rand(3, 1, 28, 28)).shape == (3, 28 * 28)


def test_purity_by_hand() -> None:
    near = torch.tensor([[1, 2], [0, 3], [3, 0], [2, 1]])
    figures = purity(near, ["a", "a", "b", "b"], space="saliency")
    values = {str(figure.condition["items"]): values_of(figure) for figure in figures}
    assert values["neighbours"] == [0.5, 0.5, 0.5, 0.5]
    assert values["chance"] == pytest.approx([1 / 3] * 4)
    assert values["neighbours less chance"] == pytest.approx([1 / 6] * 4)
