"""How well scores tell members from non-members, over many targets and seeds, with bootstrap intervals.

The bootstrap differs from that in `kit.statistics`, which is for means over items that are drawn separately for each
net. Here all targets are asked about the same points, which are drawn once for all of them; the figures are areas and
rates at a threshold instead of means over items; and all attacks must see the same draws, so that their difference has
an interval. The targets of one seed are attacked with the same nets and queries, so seeds are drawn first, and targets
within them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.statistics import LEAST_SEEDS, of_draws
from easy_to_hard.scores.reference import Condition, Measurement

AUC: Final = "AUC"
BALANCED: Final = "balanced accuracy"
DRAWS: Final = 2000

Floats = NDArray[np.float64]


def level_name(level: float) -> str:
    """The metric's name at a level, such as "TPR at 1 % FPR"."""
    return f"TPR at {100 * level:g} % FPR"


def require_resolution(level: float, non_members: int) -> None:
    """Raise a ValueError if there are too few non-members to measure a false-positive rate this low.

    Args:
        level: in (0, 1).
        non_members: number of non-members per target.
    """
    if not 0 < level < 1:
        raise ValueError(f"a false-positive rate must be between 0 and 1, both excluded, not {level:g}")
    if non_members * level < 1 - 1e-9:
        needed = int(np.ceil(1 / level - 1e-9))
        raise ValueError(
            f"a false-positive rate of {level:g} needs at least {needed:,} non-members per target, not {non_members:,}"
        )


def roc_points(
    scores: Floats, members: NDArray[np.bool_], weights: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The ROC curve: false- and true-positive rates from (0, 0) to (1, 1), each threshold once.

    Args:
        scores: (P,) float64, higher for members; equal scores share a threshold.
        members: (P,) bool.
        weights: (P, D) float, at least 0, how often each point counts in each of D draws; None for one draw in which
            each counts once.

    Returns:
        (G, D) false-positive rates and (G, D) true-positive rates, of the weights' dtype.

    Raises:
        ValueError: scores that are not finite, or no member or no non-member.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    if members.all() or not members.any():
        raise ValueError(f"there must be members and non-members, not {int(members.sum())} of {len(members)}")
    order = np.argsort(-scores, kind="stable")
    ordered, inside = scores[order], members[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    counts = np.ones((len(scores), 1)) if weights is None else weights[order]
    rates = []
    for chosen in (~inside, inside):
        sums = np.zeros((len(ends) + 1, counts.shape[1]), dtype=counts.dtype)
        sums[1:] = np.cumsum(counts * chosen[:, None], axis=0, dtype=counts.dtype)[ends]
        # A draw without any of them, which can occur in a bootstrap of few points, counts as none found.
        rates.append(sums / np.maximum(sums[-1], 1e-12))
    return rates[0], rates[1]


def roc_metrics(fpr: NDArray[Any], tpr: NDArray[Any], levels: Sequence[float]) -> dict[str, NDArray[Any]]:
    """AUC, balanced accuracy and, for each level, the TPR at the last threshold with an FPR below it: (D,) each."""
    found = {
        AUC: ((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1])).sum(axis=0) / 2,
        BALANCED: (tpr - fpr).max(axis=0) / 2 + 0.5,
    }
    for level in levels:
        found[level_name(level)] = np.where(fpr < level, tpr, 0).max(axis=0)
    return found


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One metric of one attack.

    Attributes:
        value: mean over the targets.
        draws: (D,) float64, the same mean in each draw of the bootstrap.
        num_targets, num_points: numbers of targets, in all seeds together, and of points behind it.
        num_seeds: number of seeds.
    """

    value: float
    draws: Floats
    num_targets: int
    num_points: int
    num_seeds: int = 1

    def minus(self, other: "Performance") -> "Performance":
        """The difference, draw by draw: both must be of the same targets and points."""
        return replace(self, value=self.value - other.value, draws=self.draws - other.draws)

    def measured(self, name: str, condition: Condition, unit: str = "") -> Measurement:
        """The metric as a measurement, with a bootstrap interval; none for two seeds, as in `kit.statistics`."""
        items = self.num_targets * self.num_points
        found = Measurement(
            name=name, value=self.value, unit=unit, condition=condition, num_items=items, num_seeds=self.num_seeds
        )
        return found if 1 < self.num_seeds < LEAST_SEEDS else of_draws(found, self.draws)


def measure_attack(
    scores: Floats,
    members: NDArray[np.bool_],
    *,
    levels: Sequence[float] = (),
    seed: int = 0,
    target_seed: int = 0,
    draws: int = DRAWS,
) -> dict[str, Performance]:
    """The metrics of an attack: computed for each target by itself, then averaged.

    The bootstrap resamples both targets and points; all targets see the same points. Attacks that are measured with the
    same seeds see the same draws.

    Args:
        scores: (T, P) float64.
        members: (T, P) bool.
        levels: false-positive rates.
        seed: of the draws of points; the same for targets that are asked about the same points.
        target_seed: of the draws of targets; different for different targets.
        draws: number of bootstrap draws D, at least 1.

    Returns:
        name of the metric -> its performance.
    """
    targets, points = scores.shape
    of_points = np.random.default_rng(seed_of("bootstrap", seed)).multinomial(
        points, np.full(points, 1 / points), size=draws
    )
    # Counts of points are small numbers, which float32 adds exactly, in half the time.
    weights = np.ascontiguousarray(of_points.T, dtype=np.float32)
    of_targets = np.random.default_rng(seed_of("targets", seed, target_seed)).multinomial(
        targets, np.full(targets, 1 / targets), size=draws
    )
    exact: list[Mapping[str, Floats]] = []
    resampled: list[Mapping[str, Floats]] = []
    for one, own in zip(scores, members, strict=True):
        exact.append(roc_metrics(*roc_points(one, own), levels))
        resampled.append(roc_metrics(*roc_points(one, own, weights), levels))
    found = {}
    for name in exact[0]:
        of_draw = np.stack([row[name] for row in resampled], axis=1, dtype=np.float64)
        found[name] = Performance(
            value=float(np.mean([row[name][0] for row in exact])),
            draws=(of_draw * of_targets).sum(axis=1) / targets,
            num_targets=targets,
            num_points=points,
        )
    return found


def over_all_seeds(seeds: Sequence[Performance]) -> Performance:
    """The mean over seeds of one metric of one attack; the bootstrap draws seeds too.

    Performances of the same seeds see the same draws of them.

    Args:
        seeds: one for each seed, with equally many draws; of each draw, those of all seeds must be of the same points,
            or of points drawn independently.
    """
    if len(seeds) == 1:
        return seeds[0]
    rng = np.random.default_rng(seed_of("seeds", len(seeds)))
    rows = np.stack([one.draws for one in seeds])
    drawn = rng.integers(len(seeds), size=rows.shape)
    return Performance(
        value=float(np.mean([one.value for one in seeds])),
        draws=np.take_along_axis(rows, drawn, axis=0).mean(axis=0),
        num_targets=sum(one.num_targets for one in seeds),
        num_points=seeds[0].num_points,
        num_seeds=len(seeds),
    )
