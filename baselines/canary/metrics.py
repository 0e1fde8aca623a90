"""How well scores tell members from non-members, over many targets, with bootstrap intervals.

The bootstrap differs from that in `kit.statistics`, which is for means over items that are drawn separately for each
net. Here all targets are asked about the same points, which are drawn once for all of them; the figures are areas and
rates at a threshold instead of means over items; and all attacks must see the same draws, so that their difference has
an interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.statistics import of_draws
from easy_to_hard.scores.reference import Condition, Measurement

AUC: Final = "AUC"
BALANCED: Final = "balanced accuracy"
DRAWS: Final = 200

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


def roc_points(scores: Floats, members: NDArray[np.bool_], weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The ROC curve: false- and true-positive rates from (0, 0) to (1, 1), each threshold once.

    Args:
        scores: (P,) float64, higher for members; equal scores share a threshold.
        members: (P,) bool.
        weights: (D, P) float64, at least 0, how often each point counts in each of D draws; None for one draw in which
            each counts once.

    Returns:
        (D, G) false-positive rates and (D, G) true-positive rates.

    Raises:
        ValueError: scores that are not finite, or no member or no non-member.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    if members.all() or not members.any():
        raise ValueError(f"there must be members and non-members, not {int(members.sum())} of {len(members)}")
    counts = np.ones((1, len(scores))) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(scores) - 1)
    rates = []
    for chosen in (~members, members):
        sums = np.cumsum(counts[:, order] * chosen[order], axis=1)[:, ends]
        # A draw without any of them, which can occur in a bootstrap of few points, counts as none found.
        share = sums / np.maximum(sums[:, -1:], 1e-12)
        rates.append(np.concatenate([np.zeros((len(counts), 1)), share], axis=1))
    return rates[0], rates[1]


def roc_metrics(fpr: Floats, tpr: Floats, levels: Sequence[float]) -> dict[str, Floats]:
    """AUC, balanced accuracy and, for each level, the TPR at the last threshold with an FPR below it: (D,) each."""
    found = {
        AUC: ((fpr[:, 1:] - fpr[:, :-1]) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2,
        BALANCED: (1 - (fpr + 1 - tpr) / 2).max(axis=1),
    }
    for level in levels:
        found[level_name(level)] = np.where(fpr < level, tpr, 0).max(axis=1)
    return found


@dataclass(frozen=True, kw_only=True)
class Performance:
    """One metric of one attack.

    Attributes:
        value: mean over the targets.
        draws: (D,) float64, the same mean in each draw of the bootstrap.
        num_targets, num_points: numbers of targets and points behind it.
    """

    value: float
    draws: Floats
    num_targets: int
    num_points: int

    def minus(self, other: "Performance") -> "Performance":
        """The difference, draw by draw: both must be of the same targets and points."""
        return Performance(
            value=self.value - other.value,
            draws=self.draws - other.draws,
            num_targets=self.num_targets,
            num_points=self.num_points,
        )

    def measured(self, name: str, condition: Condition, unit: str = "") -> Measurement:
        """The metric as a measurement, with the middle 95 % of the draws as its interval."""
        items = self.num_targets * self.num_points
        found = Measurement(name=name, value=self.value, unit=unit, condition=condition, num_items=items)
        return of_draws(found, self.draws)


def measure_attack(
    scores: Floats, members: NDArray[np.bool_], *, levels: Sequence[float] = (), seed: int = 0, draws: int = DRAWS
) -> dict[str, Performance]:
    """The metrics of an attack: computed for each target by itself, then averaged.

    The bootstrap resamples both targets and points; all targets see the same points. Attacks that are measured with the
    same seed see the same draws.

    Args:
        scores: (T, P) float64.
        members: (T, P) bool.
        levels: false-positive rates.
        seed: of the bootstrap.
        draws: number of bootstrap draws D, at least 1.

    Returns:
        name of the metric -> its performance.
    """
    targets, points = scores.shape
    rng = np.random.default_rng(seed_of("bootstrap", seed))
    of_points = rng.multinomial(points, np.full(points, 1 / points), size=draws).astype(np.float64)
    of_targets = rng.multinomial(targets, np.full(targets, 1 / targets), size=draws) / targets
    weights = np.concatenate([np.ones((1, points)), of_points])
    rows: list[Mapping[str, Floats]] = [
        roc_metrics(*roc_points(one, own, weights), levels) for one, own in zip(scores, members, strict=True)
    ]
    found = {}
    for name in rows[0]:
        values = np.stack([row[name] for row in rows], axis=1)
        found[name] = Performance(
            value=float(values[0].mean()),
            draws=(values[1:] * of_targets).sum(axis=1),
            num_targets=targets,
            num_points=points,
        )
    return found
