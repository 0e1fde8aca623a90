"""Choosing, pruning, tuning, neighbours and their records, on nets whose answers can be worked out."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.choosing import Case, choose_filters
from easy_to_hard.baselines.parameter_saliency.neighbours import nearest, purity
from easy_to_hard.baselines.parameter_saliency.profiles import Subject
from easy_to_hard.baselines.parameter_saliency.pruning import (
    CORRECTED,
    KEPT,
    TRUE_CONFIDENCE,
    WRONG_CONFIDENCE,
    prune,
    pruned,
)
from easy_to_hard.baselines.parameter_saliency.records import Record, differences, summarise
from easy_to_hard.baselines.parameter_saliency.tuning import (
    ALL,
    GROUPS,
    ITEM,
    OTHERS,
    SPOILT,
    gradients_of,
    only,
    random_others,
    smallest_rate,
    stepped,
    tune,
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
def case() -> Case:
    """Three filters are the logits of three classes: (a, 2 b, 0). With a = b = 1 the second wins, and is to blame."""
    net = nn.Conv1d(2, 3, 1, bias=False)
    net.weight.data = torch.tensor([[[1.0], [0.0]], [[0.0], [2.0]], [[0.0], [0.0]]])
    wrong = items([(1.0, 1.0), (1.0, 1.5), (1.0, 1.25)], 0)
    return Case(
        subject=Subject(net, apply),
        wrong=wrong,
        right=items([(0.0, 1.0), (0.0, 3.0)], 1),
        profiles=torch.tensor([[0.0, 3.0, -2.0], [0.1, 3.0, -2.0], [0.0, 2.0, -1.0]]),
        predicted=torch.ones(3, 1, dtype=torch.int64),
        tried=2,
        seed=0,
    )


def found(records: list[Record], name: str, **condition: str | int) -> list[float]:
    return next(list(one.values) for one in records if one.name == name and dict(one.condition) == condition)


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


def test_pruning_turns_off_whole_filters_and_leaves_the_net(case: Case) -> None:
    before = case.subject.weights["weight"].clone()
    changed = pruned(case.subject, torch.tensor([False, True, False]))["weight"]
    assert changed[1].tolist() == [[0.0], [0.0]]
    assert torch.equal(changed[[0, 2]], before[[0, 2]])
    assert torch.equal(case.subject.weights["weight"], before)


def test_pruning_by_hand(case: Case) -> None:
    records = prune(case, [1], main=1)
    assert found(records, CORRECTED, filters="salient", k=1) == [1.0, 1.0]
    assert found(records, CORRECTED, filters="least", k=1) == [0.0, 0.0]
    # Right items need the filter that is turned off: with it at zero all classes are even, and the first is given.
    assert found(records, KEPT, filters="salient", k=1) == [0.0, 0.0]
    assert found(records, KEPT, filters="least", k=1) == [1.0, 1.0]
    before, after = torch.tensor([1.0, 2.0, 0.0]).softmax(0), torch.tensor([1.0, 0.0, 0.0]).softmax(0)
    wrong, true = (float(after[index] - before[index]) for index in (1, 0))
    assert found(records, WRONG_CONFIDENCE, filters="salient", k=1)[0] == pytest.approx(wrong, abs=1e-6)
    assert found(records, TRUE_CONFIDENCE, filters="salient", k=1)[0] == pytest.approx(true, abs=1e-6)
    difference = found(records, f"{CORRECTED}, difference", filters="salient", against="least", k=1)
    assert difference == [1.0, 1.0]


def test_the_smallest_rate_by_hand(case: Case) -> None:
    one = case.wrong[:1]
    gradients = only(case.subject, gradients_of(case.subject, one), torch.tensor([False, True, False]))
    # The second logit is 2 - rate * p; the step is enough where that is below the first one, 1.
    share = float(torch.tensor([1.0, 2.0, 0.0]).softmax(0)[1])
    needed = 1 / (2 * share)  # both input channels are 1, so that the logit falls by 2 * rate * p
    rates = (0.5 * needed, 0.99 * needed, 1.01 * needed, 2 * needed)
    assert smallest_rate(case.subject, one, gradients, rates) == rates[2]
    assert math.isnan(smallest_rate(case.subject, one, gradients, rates[:2]))
    changed = stepped(case.subject, gradients, 1.0)["weight"]
    assert torch.equal(changed[[0, 2]], case.subject.weights["weight"][[0, 2]])
    assert not torch.equal(changed[1], case.subject.weights["weight"][1])


def test_tuning(case: Case) -> None:
    before = case.subject.weights["weight"].clone()
    records = tune(case, 1, neighbours=5)
    assert torch.equal(case.subject.weights["weight"], before)
    assert found(records, ITEM, filters="salient", k=1) == [1.0, 1.0]
    assert found(records, ITEM, filters=ALL) == [1.0, 1.0]
    # The third filter is never the answer, and no step on it alone helps.
    assert found(records, ITEM, filters="least", k=1) == [0.0, 0.0]
    assert found(records, SPOILT, filters="least", k=1) == []
    # The second item asks for the largest step, which is enough for the others; that of the first is for none.
    assert found(records, OTHERS, filters="salient", k=1, items=GROUPS[0])[1] == 1.0
    against = found(records, f"{OTHERS}, difference", filters="salient", k=1, items=GROUPS[0], against="least")
    assert against == []


def test_random_others_are_others(case: Case) -> None:
    rows = random_others(replace(case, tried=3), 2)
    assert [sorted(row) for row in rows.tolist()] == [[1, 2], [0, 2], [0, 1]]
    assert random_others(case, 1).shape == (2, 1)


def test_neighbours_by_cosine() -> None:
    rows = torch.tensor([[1.0, 0.0], [10.0, 1.0], [0.0, 1.0], [0.1, 5.0]])
    assert nearest(rows, 1)[:, 0].tolist() == [1, 0, 3, 2]
    assert nearest(rows, 9).shape == (4, 3)
    assert all(item not in row for item, row in enumerate(nearest(rows, 9).tolist()))
    with pytest.raises(ValueError, match="at least one neighbour and two items are needed, not 1 and 1"):
        nearest(rows[:1], 1)


def test_purity_by_hand() -> None:
    near = torch.tensor([[1, 2], [0, 3], [3, 0], [2, 1]])
    records = purity(near, ["a", "a", "b", "b"], space="saliency")
    values = {str(record.condition["items"]): list(record.values) for record in records}
    assert values["neighbours"] == [0.5, 0.5, 0.5, 0.5]
    assert values["chance"] == pytest.approx([1 / 3] * 4)
    assert values["neighbours less chance"] == pytest.approx([1 / 6] * 4)


def test_records_over_nets_and_of_one_net() -> None:
    rates = ([0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    one, *others = (Record(name="x", condition={"k": 1}, values=values) for values in rates)
    several = summarise([[one], *([other] for other in others)])[0]
    assert (several.value, several.num_seeds, several.num_items) == (0.75, 3, 2)
    assert (several.low, several.high) == (pytest.approx(0.75 - 4.30265 * 0.25 / 3**0.5, rel=1e-3), 1.0)
    assert summarise([[one], [others[0]]])[0].low is None
    resampled = summarise([[one], *([other] for other in others)], resampled=("x",))[0]
    assert resampled.low is not None
    assert 0 <= resampled.low < 0.75
    # A run that is taken up may have kept a difference as a share.
    lower = [[Record(name="x, difference", values=[value, -0.5])] for value in (-0.5, -0.4, -0.3)]
    assert summarise(lower)[0].unit == "difference of shares"
    single = summarise([[one]])[0]
    assert (single.value, single.low, single.high) == (0.5, 0.0, 1.0)
    assert summarise([[Record(name="x", values=[])], [Record(name="x", values=[])]]) == ()


def test_differences_leave_out_what_has_no_value() -> None:
    one, other = (Record(name="x", values=values) for values in ([1.0, math.nan, 3.0], [0.5, 1.0, math.nan]))
    assert differences(one, other, condition={"k": 1}).values == [0.5]
