"""One step of gradient descent on a few filters and one wrong item: which items does it help? (arXiv 2108.01335)

The learning rate is raised until the step corrects the item, so that each choice of filters is judged by the smallest
step that works.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.func import grad

from easy_to_hard.baselines.kit.puzzles import Puzzles, solved
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES, Choice, Mistakes
from easy_to_hard.baselines.parameter_saliency.neighbors import look, nearest
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet
from easy_to_hard.scores.reference import Condition

ALL: Final = "all weights"
ITEM: Final = "corrected by a step on itself"
OTHERS: Final = "corrected by a step on another item"
SPOILT: Final = "right items still right after a step"
GROUPS: Final = ("saliency neighbours", "lookalikes", "random wrong items")

# Starting at a rate at which a step does almost nothing, so that the first rate that corrects an item is the smallest;
# the authors' experiment starts at 1e-3.
RATES: Final = tuple(1e-5 * 2**power for power in range(20))


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The outcome of a step on one wrong item.

    Attributes:
        rate: the smallest learning rate that corrects the item; if none does, this and all other values are NaN.
        groups: group of `GROUPS` -> share of its items that are corrected too.
        kept: share of right items that stay right.
    """

    rate: float = math.nan
    groups: Mapping[str, float]
    kept: float = math.nan


def gradients_of(net: ProfiledNet, item: Puzzles) -> dict[str, Tensor]:
    """The gradients of one item's loss with respect to all weights, by name."""
    one = item.to(net.device)
    found: dict[str, Tensor] = grad(net.loss)(net.weights, one.inputs[0], one.targets[0], one.mask[0])
    return found


def only(net: ProfiledNet, gradients: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    """The gradients of the chosen filters (F,) bool, zero for the other filters; other weights are left out."""
    return {
        name: gradients[name] * of_layer.view(-1, *[1] * (gradients[name].ndim - 1))
        for name, of_layer in net.filters.of_layers(chosen).items()
    }


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


def tune(mistakes: Mistakes, k: int, *, neighbours: int, rates: Sequence[float] = RATES) -> list[Figure]:
    """Take a step on each wrong item, with k salient, random or least salient filters, and with all weights.

    Args:
        mistakes: the wrong items.
        k: number of filters that the step changes.
        neighbours: number of neighbors of each kind to test.
        rates: learning rates to try, from low to high.

    Returns:
        for each choice: corrected at any rate (0 or 1) and, for items that are, the shares of other wrong items that
        are corrected too and of right items that stay right; then differences, item by item.

    Raises:
        ValueError: a k that is not from 1 to the number of filters.
    """
    groups = {
        GROUPS[0]: nearest(mistakes.profiles, neighbours),
        GROUPS[1]: nearest(look(mistakes.wrong.inputs), neighbours),
        GROUPS[2]: random_others(mistakes, neighbours),
    }
    choices: tuple[Choice | str, ...] = (*CHOICES, ALL)
    found: dict[str, list[Tuned]] = {choice: [] for choice in choices}
    for item in range(mistakes.tried):
        gradients = gradients_of(mistakes.net, mistakes.wrong[item : item + 1])
        for choice in CHOICES:
            chosen = mistakes.choose_filters(item, k, choice, "tune")
            found[choice].append(_try(mistakes, item, only(mistakes.net, gradients, chosen), groups, rates))
        found[ALL].append(_try(mistakes, item, gradients, groups, rates))
    return _figures(found, k)


def random_others(mistakes: Mistakes, count: int) -> Tensor:
    """Random other wrong items for each tried item: (tried, min(count, N - 1)) int64."""
    rows = []
    for item in range(mistakes.tried):
        order = torch.randperm(len(mistakes.wrong) - 1, generator=generator_of("others", mistakes.seed, item))[:count]
        rows.append(order + (order >= item))
    return torch.stack(rows).to(mistakes.profiles.device)


def _try(
    mistakes: Mistakes, item: int, gradients: Mapping[str, Tensor], groups: Mapping[str, Tensor], rates: Sequence[float]
) -> Tuned:
    rate = smallest_rate(mistakes.net, mistakes.wrong[item : item + 1], gradients, rates)
    if math.isnan(rate):
        return Tuned(groups=dict.fromkeys(groups, math.nan))
    weights = stepped(mistakes.net, gradients, rate)
    rows = torch.cat([near[item] for near in groups.values()])
    others = mistakes.wrong[rows]
    logits = mistakes.net.logits(torch.cat([others.inputs, mistakes.right.inputs]), weights)
    right = solved(logits[: len(rows)], others).float()
    shares = torch.stack(
        [part.mean() for part in torch.split(right, [near.shape[1] for near in groups.values()])]
    ).tolist()
    kept = solved(logits[len(rows) :], mistakes.right).float().mean()
    return Tuned(rate=rate, groups=dict(zip(groups, shares, strict=True)), kept=float(kept))


def _figures(found: Mapping[str, Sequence[Tuned]], k: int) -> list[Figure]:
    figures, of_others = [], {}
    for choice, tuned in found.items():
        condition: Condition = {"filters": choice} | ({} if choice == ALL else {"k": k})
        corrected = [float(not math.isnan(one.rate)) for one in tuned]
        figures.append(Figure.of_items(ITEM, corrected, condition=condition))
        for group in GROUPS:
            values = [one.groups[group] for one in tuned]
            of_others[choice, group] = Figure.of_items(OTHERS, values, condition={**condition, "items": group})
        of_others[choice, SPOILT] = Figure.of_items(SPOILT, [one.kept for one in tuned], condition=condition)
        rates = [math.log10(one.rate) for one in tuned]
        figures.append(Figure.of_items("decimal logarithm of the smallest rate", rates, unit="", condition=condition))
    near = GROUPS[0]
    shown: Condition = {"filters": "salient", "k": k}
    compared = [
        of_others["salient", near].less(of_others["salient", group], {**shown, "items": near, "less": group})
        for group in GROUPS[1:]
    ]
    for choice in ("random", "least", ALL):
        for what in (near, SPOILT):
            condition = {**shown, "items": near if what == near else "right items", "against": choice}
            compared.append(of_others["salient", what].less(of_others[choice, what], condition))
    return [*figures, *of_others.values(), *compared]
