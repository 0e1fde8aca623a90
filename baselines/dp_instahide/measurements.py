"""Turn the rows of a run into measurements with intervals, their guarantees, and differences between defenses."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE, Account
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, make_grid
from easy_to_hard.baselines.dp_instahide.recipes import PAPER_MIX, PAPER_NOISE, ImageRecipe
from easy_to_hard.baselines.kit.run_folder import Row
from easy_to_hard.baselines.kit.statistics import EFFECT_DIFFERENCE, SHARE, SHARE_DIFFERENCE, over_seeds
from easy_to_hard.scores.reference import Measurement

# The values of the condition "defence".
UNDEFENDED: Final = "none"
RELEASED: Final = "fixed releases"
FRESH: Final = "fresh mixing"
PRIVATE: Final = "DP-SGD"

ACCURACY: Final = "clean accuracy"
SUCCESS: Final = "attack success"
EFFECT: Final = "attack success less unpoisoned"
AUC: Final = "membership AUC"
RELEASE_EPSILON: Final = "epsilon of a release"
TOTAL_EPSILON: Final = "epsilon of all releases"
LOOSER_EPSILON: Final = "epsilon of all releases by a looser bound"
PRIVATE_EPSILON: Final = "epsilon of private training"
CLAIMED: Final = "claimed epsilon"
PROVEN: Final = "refuted epsilon"
EXACT: Final = "exact epsilon"
SOLVE_RATE: Final = "solve rate"
SOLVE_RATE_SEEDS: Final = "solve rate over seeds"
POSITIONS: Final = "position accuracy"
ACCURACY_DIFFERENCE: Final = "clean accuracy difference"
SUCCESS_DIFFERENCE: Final = "attack success difference"

# The values of the conditions "adjacency" and "bound".
REPLACE: Final = "replace one"
ADD_OR_REMOVE: Final = "add or remove one"
RENYI: Final = "Rényi divergences"

NOISE_ALONE: Final = "noise alone"
MIXUP_ALONE: Final = "mixup alone"
MATCHED: Final = "DP-SGD at the nearest accuracy"

_Group: TypeAlias = tuple[dict[str, Any], list[Row]]


def reference_cell(mix_counts: Sequence[int], noise_scales: Sequence[float]) -> Cell:
    """The cell of the grid that is nearest to the paper's setting, k = 4 with noise of 16/255."""
    noisy = [one for one in make_grid(tuple(mix_counts), tuple(noise_scales), 10**9) if one.noise_scale]
    return min(
        noisy or [Cell(mix_count=max(mix_counts), noise_scale=0.0)],
        key=lambda one: (abs(one.mix_count - PAPER_MIX), abs(one.noise_scale - PAPER_NOISE)),
    )


def cell_condition(cell: Cell) -> dict[str, Any]:
    """k and b, as they are in a measurement's condition."""
    return {"k": cell.mix_count, "b": rounded(cell.noise_scale)}


def rounded(noise_scale: float) -> float:
    """b, rounded to four decimal places."""
    return round(noise_scale, 4)


def grouped(rows: Sequence[Row], names: Sequence[str]) -> dict[str, tuple[dict[str, Any], list[Row]]]:
    """Group the rows of all seeds by condition: the values of those of the names that a row has."""
    groups: dict[str, tuple[dict[str, Any], list[Row]]] = {}
    for row in rows:
        condition = {name: rounded(row[name]) if name == "b" else row[name] for name in names if name in row}
        groups.setdefault(repr(condition), (condition, []))[1].append(row)
    return groups


def image_measurements(
    rows: Sequence[Row], recipe: ImageRecipe, *, num_train: int, num_test: int, diameter: float
) -> Iterator[Measurement]:
    """Accuracy, attack success, membership AUC and epsilon of each defense, and differences between defenses."""
    for condition, found in grouped(rows, ("defence", "k", "b", "noise multiplier")).values():
        attacked = found[0]["attacked"]
        values = {
            ACCURACY: ([row["accuracy"] for row in found], num_test, SHARE),
            SUCCESS: ([row["success"] for row in found], attacked, SHARE),
            EFFECT: ([effect_of(row) for row in found], attacked, SHARE_DIFFERENCE),
            AUC: ([row["membership AUC"] for row in found], num_train + num_test, SHARE),
        }
        for name, (of_seeds, count, unit) in values.items():
            yield over_seeds(name, of_seeds, unit=unit, condition=condition, num_items=count)
        if found[0].get("epsilon") is not None:
            yield from private_guarantee(found[0], condition, num_train, recipe.delta)
        if found[0].get("b"):
            online = condition["defence"] != RELEASED
            releases = num_train * (recipe.victim.epochs if online else 1)
            cell = Cell(mix_count=found[0]["k"], noise_scale=found[0]["b"])
            yield from guarantee(cell, condition, num_train, diameter, releases, recipe.delta)
    yield from _comparisons(rows, recipe)


def effect_of(row: Row) -> float:
    """Attack success less that of the clean net of the same seed."""
    effect: float = row["success"] - row["unpoisoned success"]
    return effect


def guarantee(
    cell: Cell, condition: dict[str, Any], records: int, diameter: float, releases: int, delta: float
) -> Iterator[Measurement]:
    """Epsilon of one release, and of all releases by each bound, the smallest first, and whether it is vacuous."""
    mixing = cell.mixing(records, diameter)
    if mixing is None:
        return
    account = Account(mixing=mixing, releases=releases, delta=delta)
    yield Measurement(name=RELEASE_EPSILON, value=mixing.epsilon, condition=condition, num_items=records)
    facts: dict[str, Any] = {"releases": releases, "diameter": diameter, "adjacency": REPLACE}
    bounds = account.bounds
    for bound in sorted(bounds, key=lambda name: bounds[name]):
        stated = {**condition, **facts, "bound": bound, "delta": account.delta_of(bound)}
        if bound == account.bound:
            stated["verdict"] = "vacuous" if account.vacuous else f"at most {VACUOUS_ABOVE:g}"
        if math.isfinite(bounds[bound]):
            name = TOTAL_EPSILON if bound == account.bound else LOOSER_EPSILON
            yield Measurement(name=name, value=bounds[bound], condition=stated, num_items=records)


def private_guarantee(row: Row, condition: dict[str, Any], records: int, delta: float) -> Iterator[Measurement]:
    """Epsilon of DP-SGD for adding or removing a record, as is usual, and for replacing one, as of releases."""
    for key, adjacency, bound in (
        ("epsilon", ADD_OR_REMOVE, RENYI),
        ("replacement epsilon", REPLACE, RENYI),
    ):
        yield Measurement(
            name=PRIVATE_EPSILON,
            value=row[key],
            condition={**condition, "adjacency": adjacency, "bound": bound, "delta": delta},
            num_items=records,
        )


def audit_measurements(rows: Sequence[Row]) -> Iterator[Measurement]:
    """Claimed, exact and refuted epsilon of each attack."""
    for row in rows:
        for name, key in ((CLAIMED, "claimed"), (EXACT, "exact"), (PROVEN, "proven")):
            if row[key] is not None:
                yield Measurement(name=name, value=row[key], condition=row["condition"], num_items=row["trials"])


def _comparisons(rows: Sequence[Row], recipe: ImageRecipe) -> Iterator[Measurement]:
    """Differences of (k, b) at the setting nearest to the paper's from no defense, noise or mixup alone, and DP-SGD."""
    groups = [*grouped(rows, ("defence", "k", "b", "noise multiplier")).values()]
    cell = reference_cell(recipe.mix_counts, recipe.noise_scales)
    here = cell_condition(cell)
    released = {(one["k"], one["b"]): found for one, found in groups if one["defence"] == RELEASED}
    ours = released[here["k"], here["b"]]
    others: dict[str, list[Row]] = {UNDEFENDED: _of(groups, UNDEFENDED)[0][1]}
    if here["b"] and here["k"] > 1:
        others |= {NOISE_ALONE: released[1, here["b"]], MIXUP_ALONE: released[here["k"], 0.0]}
    if private := _of(groups, PRIVATE):
        others[MATCHED] = nearest_accuracy(ours, private)[1]
    for name, theirs in others.items():
        yield from _differences(ours, theirs, {"defence": RELEASED, **here, "against": name})
    for condition, found in _of(groups, FRESH):
        yield from _differences(found, others[UNDEFENDED], {**condition, "against": UNDEFENDED})


def nearest_accuracy(ours: Sequence[Row], others: Sequence[_Group]) -> _Group:
    """The one of `others` whose mean clean accuracy is nearest to ours."""
    wanted = _mean_accuracy(ours)
    return min(others, key=lambda one: abs(_mean_accuracy(one[1]) - wanted))


def _mean_accuracy(rows: Sequence[Row]) -> float:
    return statistics.fmean(row["accuracy"] for row in rows)


def _of(groups: Sequence[_Group], defense: str) -> list[_Group]:
    return [one for one in groups if one[0]["defence"] == defense]


def _differences(ours: Sequence[Row], theirs: Sequence[Row], condition: Mapping[str, Any]) -> Iterator[Measurement]:
    pairs = [*zip(ours, theirs, strict=True)]
    lost = [one["accuracy"] - other["accuracy"] for one, other in pairs]
    gained = [effect_of(one) - effect_of(other) for one, other in pairs]
    for name, values, unit in (
        (ACCURACY_DIFFERENCE, lost, SHARE_DIFFERENCE),
        (SUCCESS_DIFFERENCE, gained, EFFECT_DIFFERENCE),
    ):
        yield over_seeds(name, values, unit=unit, condition=condition, num_items=ours[0]["attacked"])
