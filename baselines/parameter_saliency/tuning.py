"""One step of gradient descent on a few filters and one wrong item: whom does it help? (arXiv 2108.01335)

The learning rate goes up until the step corrects the item, so that each choice of filters is judged by the smallest
step that does its work.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.func import grad

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.choosing import CHOICES, Case, Choice, choose_filters, filters_rng
from easy_to_hard.baselines.parameter_saliency.neighbours import look, nearest
from easy_to_hard.baselines.parameter_saliency.profiles import Subject, right_answers
from easy_to_hard.baselines.parameter_saliency.records import Record, differences, without_gaps
from easy_to_hard.scores.reference import Condition

ALL: Final = "all weights"
ITEM: Final = "corrected by a step on itself"
OTHERS: Final = "corrected by a step on another item"
SPOILT: Final = "right items still right after a step"
GROUPS: Final = ("saliency neighbours", "lookalikes", "random wrong items")

# From a rate at which a step does next to nothing, so that the first one that corrects is the smallest; the authors'
# experiment starts with 1e-3.
RATES: Final = tuple(1e-5 * 2**power for power in range(20))


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """One wrong item's step.

    Attributes:
        rate: the smallest that corrects the item; NaN where none does, and then so is all else.
        groups: share corrected of each of `GROUPS`.
        kept: share of right items that stay right.
    """

    rate: float = math.nan
    groups: Mapping[str, float]
    kept: float = math.nan


def gradients_of(subject: Subject, item: Puzzles) -> dict[str, Tensor]:
    """The gradient of one item's loss by all weights, by name."""
    one = item.to(subject.device)
    found: dict[str, Tensor] = grad(subject.loss)(subject.weights, one.inputs[0], one.targets[0], one.mask[0])
    return found


def only(subject: Subject, gradients: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    """The gradients of the chosen filters (F,) bool, zero for the other filters, and none of other weights."""
    return {
        name: gradients[name] * of_layer.view(-1, *[1] * (gradients[name].ndim - 1))
        for name, of_layer in subject.filters.of_layers(chosen).items()
    }


def stepped(subject: Subject, gradients: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    """The weights after one step of plain gradient descent."""
    return {name: subject.weights[name] - rate * gradient for name, gradient in gradients.items()}


def smallest_rate(subject: Subject, item: Puzzles, gradients: Mapping[str, Tensor], rates: Sequence[float]) -> float:
    """The first of the rates whose step makes the item right; NaN where none does."""
    for rate in rates:
        logits = subject.logits(item.inputs, stepped(subject, gradients, rate))
        if bool(right_answers(logits, item)[0]):
            return rate
    return math.nan


def tune(case: Case, k: int, *, neighbours: int, rates: Sequence[float] = RATES) -> list[Record]:
    """A step on each of the wrong items, with k salient, random or least salient filters, and with all weights.

    Args:
        case: on what.
        k: filters that the step is for.
        neighbours: of each kind that are looked at.
        rates: from low to high.

    Returns:
        for each choice: corrected at any rate (0 or 1), and, of the items that are, the shares of other wrong items
        that are corrected too, and of right items that stay right; then differences, item by item.

    Raises:
        ValueError: a k that is not from 1 to the number of filters.
    """
    groups = {
        GROUPS[0]: nearest(case.profiles, neighbours),
        GROUPS[1]: nearest(look(case.wrong.inputs), neighbours),
        GROUPS[2]: random_others(case, neighbours),
    }
    choices: tuple[Choice | str, ...] = (*CHOICES, ALL)
    found: dict[str, list[Tuned]] = {choice: [] for choice in choices}
    for item in range(case.tried):
        gradients = gradients_of(case.subject, case.wrong[item : item + 1])
        for choice in CHOICES:
            chosen = choose_filters(case.profiles[item], k, choice, rng=filters_rng(case, item, "tune"))
            found[choice].append(_try(case, item, only(case.subject, gradients, chosen), groups, rates))
        found[ALL].append(_try(case, item, gradients, groups, rates))
    return _records(found, k)


def random_others(case: Case, count: int) -> Tensor:
    """Wrong items other than each, at random: (tried, min(count, N - 1)) int64."""
    rows = []
    for item in range(case.tried):
        order = torch.randperm(len(case.wrong) - 1, generator=generator_of("others", case.seed, item))[:count]
        rows.append(order + (order >= item))
    return torch.stack(rows).to(case.profiles.device)


def _try(
    case: Case, item: int, gradients: Mapping[str, Tensor], groups: Mapping[str, Tensor], rates: Sequence[float]
) -> Tuned:
    rate = smallest_rate(case.subject, case.wrong[item : item + 1], gradients, rates)
    if math.isnan(rate):
        return Tuned(groups=dict.fromkeys(groups, math.nan))
    weights = stepped(case.subject, gradients, rate)
    rows = torch.cat([near[item] for near in groups.values()])
    others = case.wrong[rows]
    logits = case.subject.logits(torch.cat([others.inputs, case.right.inputs]), weights)
    right = right_answers(logits[: len(rows)], others).float()
    shares = torch.stack(
        [part.mean() for part in torch.split(right, [near.shape[1] for near in groups.values()])]
    ).tolist()
    kept = right_answers(logits[len(rows) :], case.right).float().mean()
    return Tuned(rate=rate, groups=dict(zip(groups, shares, strict=True)), kept=float(kept))


def _records(found: Mapping[str, Sequence[Tuned]], k: int) -> list[Record]:
    records, gapped = [], {}
    for choice, tuned in found.items():
        condition: Condition = {"filters": choice} | ({} if choice == ALL else {"k": k})
        corrected = [float(not math.isnan(one.rate)) for one in tuned]
        records.append(Record(name=ITEM, condition=condition, values=corrected))
        for group in GROUPS:
            values = [one.groups[group] for one in tuned]
            gapped[choice, group] = Record(name=OTHERS, condition={**condition, "items": group}, values=values)
        gapped[choice, SPOILT] = Record(name=SPOILT, condition=condition, values=[one.kept for one in tuned])
        rates = [math.log10(one.rate) for one in tuned if not math.isnan(one.rate)]
        records.append(
            Record(name="decimal logarithm of the smallest rate", unit="", condition=condition, values=rates)
        )
    near = GROUPS[0]
    shown: Condition = {"filters": "salient", "k": k}
    compared = [
        differences(
            gapped["salient", near], gapped["salient", group], condition={**shown, "items": near, "less": group}
        )
        for group in GROUPS[1:]
    ]
    for choice in ("random", "least", ALL):
        for what in (near, SPOILT):
            condition = {**shown, "items": near if what == near else "right items", "against": choice}
            compared.append(differences(gapped["salient", what], gapped[choice, what], condition=condition))
    return records + [without_gaps(record) for record in (*gapped.values(), *compared)]
