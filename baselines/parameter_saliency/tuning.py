"""One step of gradient descent on a few filters and one wrong item: which items does it help? (arXiv 2108.01335)

All choices of filters take a step of the same rate, as in the paper. A second analysis, of our own, gives each choice
the smallest rate that corrects the item: all items are then corrected, by steps of very different sizes, and what is
compared is what else such a step does.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import torch
from torch import Tensor
from torch.func import grad

from easy_to_hard.baselines.kit.puzzles import Puzzles, solved
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import PROBABILITY_DIFFERENCE, SHARE, Figure
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES, Mistakes
from easy_to_hard.baselines.parameter_saliency.neighbors import look, nearest
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet
from easy_to_hard.scores.reference import Condition

ALL: Final = "all weights"
ITEM: Final = "corrected by a step on itself"
OTHERS: Final = "corrected by a step on another item"
CONFIDENCE: Final = "change of the true answer's confidence by a step on another item"
SPOILT: Final = "right items still right after a step"
GROUPS: Final = ("saliency neighbours", "lookalikes", "random wrong items")
SMALLEST: Final = "smallest that corrects the item"

# From a rate at which a step does almost nothing, so that the first rate that corrects an item is the smallest.
RATES: Final = tuple(1e-5 * 2**power for power in range(20))

_Tried: TypeAlias = tuple[str, int]
"""A choice of filters and k, or `ALL` and 0."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The other wrong items on which steps are tested, and how confident the net is of their true answers at first.

    Attributes:
        rows: group of `GROUPS` -> numbers of items for each item that is tried (at least), (N, n) int64.
        before: (N,), the confidence of each wrong item.
    """

    rows: Mapping[str, Tensor]
    before: Tensor

    @classmethod
    def of(cls, mistakes: Mistakes, count: int) -> "Groups":
        """Neighbors in saliency, items that look alike, and random ones: `count` of each for each item."""
        rows = {
            GROUPS[0]: nearest(mistakes.profiles, count),
            GROUPS[1]: nearest(look(mistakes.wrong.inputs), count),
            GROUPS[2]: random_others(mistakes, count),
        }
        logits = mistakes.net.logits(mistakes.wrong.inputs)
        return cls(rows=rows, before=mistakes.confidence(logits, mistakes.wrong.targets, slice(None)))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a step on one wrong item.

    Attributes:
        corrected: whether the item is right after the step.
        others: group of `GROUPS` -> share of its items that are corrected too; NaN if no step was taken.
        confidence: group -> mean change of its items' confidence in the true answer, likewise.
        kept: share of right items that stay right, likewise.
    """

    corrected: bool
    others: Mapping[str, float]
    confidence: Mapping[str, float]
    kept: float


def gradients_of(net: ProfiledNet, item: Puzzles) -> dict[str, Tensor]:
    """The gradients of one item's loss with respect to all weights, by name."""
    one = item.to(net.device)
    found: dict[str, Tensor] = grad(net.loss)(net.weights, one.inputs[0], one.targets[0], one.mask[0])
    return found


def only(net: ProfiledNet, gradients: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    """The gradients of the chosen filters (F,) bool, zero for the other filters; other weights are left out."""
    return {name: gradients[name] * of_layer for name, of_layer in net.filters.of_layers(chosen).items()}


def stepped(net: ProfiledNet, gradients: Mapping[str, Tensor], rate: float) -> dict[str, Tensor]:
    """The weights after one step of plain gradient descent."""
    return {name: net.weights[name] - rate * gradient for name, gradient in gradients.items()}


def smallest_rate(net: ProfiledNet, item: Puzzles, gradients: Mapping[str, Tensor], rates: Sequence[float]) -> float:
    """The first of the rates whose step makes the item right; NaN if none does."""
    for rate in rates:
        logits = net.logits(item.inputs, stepped(net, gradients, rate))
        if bool(solved(logits, item)[0]):
            return rate
    return math.nan


def tune(mistakes: Mistakes, counts: Sequence[int], groups: Groups, *, rate: float) -> list[Figure]:
    """Take a step of one rate on each wrong item, by k salient, random or least salient filters, and by all weights.

    Args:
        mistakes: the wrong items.
        counts: the values of k, the number of filters that the step changes.
        groups: the other items on which steps are tested.
        rate: the learning rate.

    Returns:
        for each choice: whether the item is corrected (0 or 1), the shares of other wrong items that are corrected and
        the change of their confidence, and the share of right items that stay right; then differences, item by item.

    Raises:
        ValueError: a k that is not from 1 to the number of filters.
    """
    found: dict[_Tried, list[Outcome]] = {}
    for item in range(mistakes.tried):
        gradients = gradients_of(mistakes.net, mistakes.wrong[item : item + 1])
        attempt = partial(_try, mistakes, item, groups)
        for k in counts:
            for choice in CHOICES:
                chosen = only(mistakes.net, gradients, mistakes.choose_filters(item, k, choice, "tune"))
                found.setdefault((choice, k), []).append(attempt(stepped(mistakes.net, chosen, rate)))
        found.setdefault((ALL, 0), []).append(attempt(stepped(mistakes.net, gradients, rate)))
    return _figures(found, {})


def tune_by_smallest_rate(
    mistakes: Mistakes, k: int, groups: Groups, *, rates: Sequence[float] = RATES
) -> list[Figure]:
    """The second analysis: as `tune`, but each choice takes the first of the rates that corrects the item.

    The figures have the condition "rate", and their values are over the items that a step corrects at some rate.
    """
    found: dict[_Tried, list[Outcome]] = {}
    sizes: dict[_Tried, list[float]] = {}
    for item in range(mistakes.tried):
        one = mistakes.wrong[item : item + 1]
        gradients = gradients_of(mistakes.net, one)
        parts: dict[_Tried, Mapping[str, Tensor]] = {
            (choice, k): only(mistakes.net, gradients, mistakes.choose_filters(item, k, choice, "tune"))
            for choice in CHOICES
        }
        parts[ALL, 0] = gradients
        for key, part in parts.items():
            rate = smallest_rate(mistakes.net, one, part, rates)
            weights = None if math.isnan(rate) else stepped(mistakes.net, part, rate)
            found.setdefault(key, []).append(_try(mistakes, item, groups, weights))
            sizes.setdefault(key, []).append(math.log10(rate))
    figures = [
        Figure.of_items(
            "decimal logarithm of the rate", values, condition={**_condition(key), "rate": SMALLEST}, unit=""
        )
        for key, values in sizes.items()
    ]
    return figures + _figures(found, {"rate": SMALLEST})


def random_others(mistakes: Mistakes, count: int) -> Tensor:
    """For each item that is tried, other wrong ones at random: (tried, n) int64."""
    total, rows = len(mistakes.wrong), []
    for item in range(mistakes.tried):
        rng = generator_of("random wrong items", mistakes.seed, item)
        order = torch.randperm(total - 1, generator=rng)[:count]
        rows.append(order + (order >= item))
    return torch.stack(rows).to(mistakes.profiles.device)


def _try(mistakes: Mistakes, item: int, groups: Groups, weights: Mapping[str, Tensor] | None) -> Outcome:
    if weights is None:
        nothing = dict.fromkeys(groups.rows, math.nan)
        return Outcome(corrected=False, others=nothing, confidence=nothing, kept=math.nan)
    rows = torch.cat(
        [torch.tensor([item], device=groups.before.device), *(near[item] for near in groups.rows.values())]
    )
    others = mistakes.wrong[rows]
    logits = mistakes.net.logits(torch.cat([others.inputs, mistakes.right.inputs]), weights)
    logits, of_right = logits[: len(rows)], logits[len(rows) :]
    right = solved(logits, others).float()
    changes = mistakes.confidence(logits, others.targets, rows) - groups.before[rows]
    sizes = [near.shape[1] for near in groups.rows.values()]

    def means(values: Tensor) -> dict[str, float]:
        parts = torch.split(values[1:], sizes)
        return dict(zip(groups.rows, torch.stack([part.mean() for part in parts]).tolist(), strict=True))

    return Outcome(
        corrected=bool(right[0]),
        others=means(right),
        confidence=means(changes),
        kept=float(solved(of_right, mistakes.right).float().mean()),
    )


def _condition(key: _Tried) -> Condition:
    choice, k = key
    return {"filters": choice} | ({"k": k} if k else {})


def _figures(found: Mapping[_Tried, Sequence[Outcome]], more: Condition) -> list[Figure]:
    """The figures of each choice and k, and the differences between "salient" and the others, with more conditions."""
    figures: dict[tuple[_Tried, str, str], Figure] = {}
    for key, outcomes in found.items():
        condition = {**_condition(key), **more}
        values = {
            (ITEM, ""): (SHARE, [float(one.corrected) for one in outcomes]),
            (SPOILT, ""): (SHARE, [one.kept for one in outcomes]),
        }
        for group in GROUPS:
            values[OTHERS, group] = (SHARE, [one.others[group] for one in outcomes])
            values[CONFIDENCE, group] = (PROBABILITY_DIFFERENCE, [one.confidence[group] for one in outcomes])
        for (name, group), (unit, of_items) in values.items():
            where = {**condition, "items": group} if group else condition
            figures[key, name, group] = Figure.of_items(name, of_items, unit=unit, condition=where)
    compared, near = [], GROUPS[0]
    for key in found:
        if key[0] != CHOICES[0]:
            continue
        ours: Condition = {**_condition(key), **more}
        for name in (OTHERS, CONFIDENCE):
            compared += [
                figures[key, name, near].less(figures[key, name, group], {**ours, "items": near, "less": group})
                for group in GROUPS[1:]
            ]
        for name, group in ((OTHERS, near), (CONFIDENCE, near), (SPOILT, "")):
            compared += [
                figures[key, name, group].less(
                    figures[other, name, group], {**ours, "items": group or "right items", "against": other[0]}
                )
                for other in ((CHOICES[1], key[1]), (CHOICES[2], key[1]), (ALL, 0))
            ]
    return [*figures.values(), *compared]
