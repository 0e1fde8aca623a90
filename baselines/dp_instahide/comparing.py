"""Differences between defences, seed by seed: what mixing with noise is measured against."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.measuring import cell_condition, effect_of, grouped, reference_cell
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.baselines.dp_instahide.stages import Row
from easy_to_hard.baselines.kit.statistics import EFFECT_DIFFERENCE, SHARE_DIFFERENCE, over_seeds
from easy_to_hard.scores.reference import Measurement

ACCURACY_DIFFERENCE: Final = "clean accuracy difference"
SUCCESS_DIFFERENCE: Final = "attack success difference"

NOISE_ALONE: Final = "noise alone"
MIXUP_ALONE: Final = "mixup alone"
MATCHED: Final = "DP-SGD at the nearest accuracy"
UNDEFENDED: Final = "none"

_Group = tuple[dict[str, Any], list[Row]]


def comparisons(rows: Sequence[Row], recipe: ImageRecipe) -> Iterator[Measurement]:
    """Both (k, b) at the setting nearest to the paper's, less no defence, each half of it, and DP-SGD."""
    groups = [*grouped(rows, ("defence", "k", "b", "noise multiplier")).values()]
    cell = reference_cell(recipe.mix_counts, recipe.noise_scales)
    here = cell_condition(cell)
    released = {(one["k"], one["b"]): found for one, found in groups if one["defence"] == "fixed releases"}
    ours = released[here["k"], here["b"]]
    others: dict[str, list[Row]] = {UNDEFENDED: _of(groups, UNDEFENDED)[0][1]}
    if here["b"] and here["k"] > 1:
        others |= {NOISE_ALONE: released[1, here["b"]], MIXUP_ALONE: released[here["k"], 0.0]}
    if private := _of(groups, "DP-SGD"):
        others[MATCHED] = nearest_accuracy(ours, private)[1]
    for name, theirs in others.items():
        yield from _differences(ours, theirs, {"defence": "fixed releases", **here, "against": name})
    for condition, found in _of(groups, "fresh mixing"):
        yield from _differences(found, others[UNDEFENDED], {**condition, "against": UNDEFENDED})


def nearest_accuracy(ours: Sequence[Row], others: Sequence[_Group]) -> _Group:
    """That of the others whose mean clean accuracy is nearest to ours."""
    wanted = _mean_accuracy(ours)
    return min(others, key=lambda one: abs(_mean_accuracy(one[1]) - wanted))


def _mean_accuracy(rows: Sequence[Row]) -> float:
    return statistics.fmean(row["accuracy"] for row in rows)


def _of(groups: Sequence[_Group], defence: str) -> list[_Group]:
    return [one for one in groups if one[0]["defence"] == defence]


def _differences(ours: Sequence[Row], theirs: Sequence[Row], condition: Mapping[str, Any]) -> Iterator[Measurement]:
    pairs = [*zip(ours, theirs, strict=True)]
    lost = [one["accuracy"] - other["accuracy"] for one, other in pairs]
    gained = [effect_of(one) - effect_of(other) for one, other in pairs]
    for name, values, unit in (
        (ACCURACY_DIFFERENCE, lost, SHARE_DIFFERENCE),
        (SUCCESS_DIFFERENCE, gained, EFFECT_DIFFERENCE),
    ):
        yield over_seeds(name, values, unit=unit, condition=condition, num_items=ours[0]["attacked"])
