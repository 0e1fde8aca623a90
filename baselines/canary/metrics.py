"""How well scores tell members from non-members, over many targets, with bootstrap intervals.

The bootstrap is not the one of `kit.statistics`, which is of means of items that each net draws for itself. Here all
targets are asked about the same points, which are drawn once for all of them; the figures are areas and rates at a
threshold, not means of items; and attacks must see the same draws, so that their difference has an interval.
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
    """Such as "TPR at 1 % FPR"."""
    return f"TPR at {100 * level:g} % FPR"


def require_resolution(level: float, non_members: int) -> None:
    """ValueError where so few non-members cannot show a false-positive rate this low.

    Args:
        level: in (0, 1).
        non_members: how many there are for a target.
    """
    if not 0 < level < 1:
        raise ValueError(f"a false-positive rate must be between 0 and 1, both excluded, not {level:g}")
    if non_members * level < 1 - 1e-9:
        needed = int(np.ceil(1 / level - 1e-9))
        raise ValueError(
            f"a false-positive rate of {level:g} needs at least {needed:,} non-members a target, not {non_members:,}"
        )


def roc_points(scores: Floats, members: NDArray[np.bool_], weights: Floats | None = None) -> tuple[Floats, Floats]:
    """The ROC curve: false- and true-positive rates from (0, 0) to (1, 1), each threshold once.

    Args:
        scores: (P,) float64, higher for members; equal scores are taken together.
        members: (P,) bool.
        weights: (D, P) float64, at least 0, how often each counts in each of D draws; None for once.

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
        # A draw without any of them, which a bootstrap of few points can make, counts as none found.
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
        draws: (D,) float64, the same in each draw of the bootstrap.
        num_targets, num_points: what it is of.
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
        """With the middle 95 % of the draws as its interval."""
        items = self.num_targets * self.num_points
        found = Measurement(name=name, value=self.value, unit=unit, condition=condition, num_items=items)
        return of_draws(found, self.draws)


def measure_attack(
    scores: Floats, members: NDArray[np.bool_], *, levels: Sequence[float] = (), seed: int = 0, draws: int = DRAWS
) -> dict[str, Performance]:
    """The metrics of an attack: of each target by itself, then their mean.

    The bootstrap draws targets and points anew, both, for the same points are shown to all targets. Attacks that are
    judged with the same seed see the same draws.

    Args:
        scores: (T, P) float64.
        members: (T, P) bool.
        levels: false-positive rates.
        seed: of the bootstrap.
        draws: D, at least 1.

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
