"""Rows of a run as measurements with intervals, and the guarantees that belong to them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE, Account
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, make_grid
from easy_to_hard.baselines.dp_instahide.recipes import PAPER_MIX, PAPER_NOISE
from easy_to_hard.baselines.dp_instahide.stages import Row
from easy_to_hard.baselines.dp_instahide.study import Study
from easy_to_hard.baselines.kit.statistics import SHARE, SHARE_DIFFERENCE, over_seeds
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.scores.reference import Claim, Measurement, ReferenceResult

METHOD: Final = "dp_instahide"

ACCURACY: Final = "clean accuracy"
SUCCESS: Final = "attack success"
EFFECT: Final = "attack success less unpoisoned"
AUC: Final = "membership AUC"
RELEASE_EPSILON: Final = "epsilon of a release"
TOTAL_EPSILON: Final = "epsilon of all releases"
CLAIMED: Final = "claimed epsilon"
PROVEN: Final = "refuted epsilon"
EXACT: Final = "exact epsilon"


def reference_cell(mix_counts: Sequence[int], noise_scales: Sequence[float]) -> Cell:
    """The cell of the grid that is nearest to the paper's setting, k = 4 with noise of 16/255."""
    noisy = [one for one in make_grid(tuple(mix_counts), tuple(noise_scales), 10**9) if one.noise_scale]
    return min(
        noisy or [Cell(mix_count=max(mix_counts), noise_scale=0.0)],
        key=lambda one: (abs(one.mix_count - PAPER_MIX), abs(one.noise_scale - PAPER_NOISE)),
    )


def cell_condition(cell: Cell) -> dict[str, Any]:
    """k and b as conditions have them."""
    return {"k": cell.mix_count, "b": rounded(cell.noise_scale)}


def rounded(noise_scale: float) -> float:
    """b to four digits after the point, for people."""
    return round(noise_scale, 4)


def result_of(
    *,
    question: str,
    preset: str,
    data: str,
    seeds: Sequence[int],
    device: str,
    seconds: float,
    settings: Mapping[str, Any],
    measurements: Sequence[Measurement],
    claims: Sequence[Claim],
) -> ReferenceResult:
    """The result of a run of this package, as it is."""
    return ReferenceResult(
        method=METHOD,
        preset=preset,
        data=data,
        question=question,
        commit=source_commit(),
        package_version=__version__,
        seeds=seeds,
        device=device,
        seconds=round(seconds, 1),
        settings=settings,
        measurements=measurements,
        claims=claims,
    )


def grouped(rows: Sequence[Row], names: Sequence[str]) -> dict[str, tuple[dict[str, Any], list[Row]]]:
    """Rows of all seeds under one condition, which is made of those of the names that a row has."""
    groups: dict[str, tuple[dict[str, Any], list[Row]]] = {}
    for row in rows:
        condition = {name: rounded(row[name]) if name == "b" else row[name] for name in names if name in row}
        groups.setdefault(repr(condition), (condition, []))[1].append(row)
    return groups


def image_measurements(rows: Sequence[Row], study: Study) -> Iterator[Measurement]:
    """Accuracy, success, membership AUC and epsilon of each defence."""
    num_test, num_train = len(study.test), len(study.train)
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
            yield Measurement(
                name=TOTAL_EPSILON,
                value=found[0]["epsilon"],
                condition={**condition, "adjacency": "add or remove one", "delta": study.recipe.delta},
                num_items=num_train,
            )
        if found[0].get("b"):
            online = condition["defence"] != "fixed releases"
            releases = num_train * (study.recipe.victim.epochs if online else 1)
            cell = Cell(mix_count=found[0]["k"], noise_scale=found[0]["b"])
            yield from guarantee(cell, condition, num_train, study.diameter, releases, study.recipe.delta)


def effect_of(row: Row) -> float:
    """Attack success less that of the clean net of the same seed."""
    effect: float = row["success"] - row["unpoisoned success"]
    return effect


def guarantee(
    cell: Cell, condition: dict[str, Any], records: int, diameter: float, releases: int, delta: float
) -> Iterator[Measurement]:
    """Epsilon of one release and of all, with its rule and whether it is vacuous."""
    mixing = cell.mixing(records, diameter)
    if mixing is None:
        return
    account = Account(mixing=mixing, releases=releases, delta=delta)
    yield Measurement(name=RELEASE_EPSILON, value=mixing.epsilon, condition=condition, num_items=records)
    facts: dict[str, Any] = {
        "releases": releases,
        "diameter": diameter,
        "composition": account.rule,
        "delta": delta if account.rule == "advanced" else 0,
        "adjacency": "replace one",
        "verdict": "vacuous" if account.vacuous else f"at most {VACUOUS_ABOVE:g}",
    }
    yield Measurement(name=TOTAL_EPSILON, value=account.total, condition={**condition, **facts}, num_items=records)


def audit_measurements(rows: Sequence[Row]) -> Iterator[Measurement]:
    """Claimed, exact and refuted epsilon of each attack."""
    for row in rows:
        for name, key in ((CLAIMED, "claimed"), (EXACT, "exact"), (PROVEN, "proven")):
            if row[key] is not None:
                yield Measurement(name=name, value=row[key], condition=row["condition"], num_items=row["trials"])
