"""From the figures of each seed to a measurement with a 95 % interval, in the same way for all methods.

- Counted items: Wilson's interval.
- A mean over seeds (or nets): Student's t. For a bounded quantity (see `RANGES`) the interval is cut off at the ends of
  the range: the mean lies within it, so the part that is cut off never held the mean, and the coverage is unchanged
  (Mandelkern 2002, Statistical Science 17, 149-172). Such a mean has an interval only with `LEAST_SEEDS` or more seeds:
  with two, Student's t spans 12.7 standard errors, which is nearly all of the range.
- A mean over the items of one net, or of nets whose items differ much: a bootstrap over nets and items, with
  bias-corrected percentiles.
"""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.scores.reference import Condition, Measurement
from easy_to_hard.scores.scoring import wilson_interval

SHARE: Final = "share"
PROBABILITY: Final = "probability"
SHARE_DIFFERENCE: Final = "difference of shares"
PROBABILITY_DIFFERENCE: Final = "difference of probabilities"
EFFECT_DIFFERENCE: Final = "difference of two differences of shares"

RANGES: Final = MappingProxyType(
    {
        SHARE: (0.0, 1.0),
        PROBABILITY: (0.0, 1.0),
        SHARE_DIFFERENCE: (-1.0, 1.0),
        PROBABILITY_DIFFERENCE: (-1.0, 1.0),
        EFFECT_DIFFERENCE: (-2.0, 2.0),
    }
)
"""Unit -> the smallest and largest possible value of a quantity in that unit; other units have no bounds."""

LEAST_SEEDS: Final = 3

_LARGEST_QUANTILE: Final = 2.0**20
_RESAMPLES: Final = 2000
# By how much a sum of shares may exceed the range.
_ROUNDING: Final = 1e-6
# How far apart two draws of one value may be by rounding.
_SAME: Final = 1e-12
# How older files, without units for differences, name differences.
_NAMES_A_DIFFERENCE: Final = re.compile(
    r"above unpoisoned|less that of none|less unpoisoned|less chance|difference$|^change of"
)
_OF_EFFECTS: Final = "attack success difference"


def difference_unit(unit: str) -> str:
    """The unit of the difference of two quantities in that unit.

    A difference of differences keeps its unit: two changes of one share are assumed to cancel it.
    """
    return {SHARE: SHARE_DIFFERENCE, PROBABILITY: PROBABILITY_DIFFERENCE}.get(unit, unit)


def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """Two-sided quantile of Student's t: 12.706 at one degree of freedom and 95 %.

    Args:
        degrees: of freedom, at least 1.
        confidence: between 0 and 1, both excluded.

    Raises:
        ValueError: an argument outside its range, or a quantile beyond 2^20.
    """
    if degrees < 1:
        raise ValueError(f"degrees must be at least 1, not {degrees}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    low, high = 0.0, _LARGEST_QUANTILE
    if _t_within(high, degrees) < confidence:
        raise ValueError(f"confidence {confidence} is too close to 1 for {degrees} degrees of freedom")
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, degrees) < confidence else (low, middle)
    return high


def _t_within(t: float, degrees: int) -> float:
    """P(|T| <= t), by the finite sums for integer degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def over_seeds(
    name: str, values: Sequence[float], *, unit: str = "", condition: Condition | None = None, num_items: int
) -> Measurement:
    """The mean of one value per seed, with its 95 % interval by Student's t, kept within what the unit allows.

    There is no interval for a single seed, nor for fewer than `LEAST_SEEDS` seeds if the unit is in `RANGES`.

    Args:
        name: of the quantity.
        values: one per seed.
        unit: of the values; a unit in `RANGES` bounds values and interval.
        condition: what it was measured under.
        num_items: number of items behind each value.

    Raises:
        ValueError: no values, or one that is not finite or not in the range of its unit.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{name} must have at least one value, all finite, not {list(values)}")
    least, largest = RANGES.get(unit, (-math.inf, math.inf))
    for value in values:
        if not least - _ROUNDING <= value <= largest + _ROUNDING:
            raise ValueError(f"{name}, a {unit}, must be from {least:g} to {largest:g}, not {value}")
    mean = min(max(statistics.fmean(values), least), largest)
    low = high = None
    if len(values) >= (LEAST_SEEDS if unit in RANGES else 2):
        spread = t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        low, high = max(mean - spread, least), min(mean + spread, largest)
    return Measurement(
        name=name,
        value=mean,
        low=low,
        high=high,
        unit=unit,
        condition=condition or {},
        num_items=num_items,
        num_seeds=len(values),
    )


def of_differences(
    name: str,
    ones: Sequence[float],
    others: Sequence[float],
    *,
    unit: str = SHARE,
    condition: Condition | None = None,
    num_items: int,
) -> Measurement:
    """The mean difference of two values, subtracted seed by seed, with an interval as in `over_seeds`.

    Args:
        name: of the difference.
        ones, others: one value per seed each, for the same seeds in the same order.
        unit: of the values.
        condition, num_items: as for `over_seeds`.
    """
    values = [one - other for one, other in zip(ones, others, strict=True)]
    return over_seeds(name, values, unit=difference_unit(unit), condition=condition, num_items=num_items)


def of_share(
    name: str, correct: int, total: int, *, condition: Condition | None = None, num_seeds: int = 1
) -> Measurement:
    """A share of counted items with its 95 % Wilson interval, over the items of all seeds together.

    Raises:
        ValueError: counts that do not fit together.
    """
    low, high = wilson_interval(correct, total)
    return Measurement(
        name=name,
        value=correct / total,
        low=low,
        high=high,
        unit=SHARE,
        condition=condition or {},
        num_items=total,
        num_seeds=num_seeds,
    )


def of_share_difference(
    name: str, one: tuple[int, int], other: tuple[int, int], *, condition: Condition | None = None
) -> Measurement:
    """The difference of two shares of counted items, with the widest interval that their Wilson intervals allow.

    The interval covers the difference with at least 90 % however the two shares depend on each other (Bonferroni), and
    with more than 95 % if they are independent; 0 is outside exactly if the two Wilson intervals do not overlap.

    Args:
        name: of the difference.
        one, other: (correct, total) each.
        condition: what it was measured under.

    Raises:
        ValueError: counts that do not fit together.
    """
    (low, high), (least, most) = wilson_interval(*one), wilson_interval(*other)
    return Measurement(
        name=name,
        value=one[0] / one[1] - other[0] / other[1],
        low=low - most,
        high=high - least,
        unit=SHARE_DIFFERENCE,
        condition=condition or {},
        num_items=min(one[1], other[1]),
    )


def of_draws(measured: Measurement, draws: ArrayLike) -> Measurement:
    """The measurement with a 95 % interval from a bootstrap's draws: bias-corrected percentiles.

    The quantiles are shifted by how far the draws' median is from the value (Efron 1987, J. Am. Stat. Assoc. 82,
    171-185, with zero acceleration). Plain percentiles are off for a quantity that resampling shifts, such as a
    true-positive rate at a low false-positive rate, where repeated items move the threshold: they can even exclude the
    value. A value that is outside this interval too, which takes 97.5 % of the draws on one side of it, gets none.

    Args:
        measured: the value; its interval, if any, is replaced.
        draws: (D,) float64, the same quantity in each draw.
    """
    values = np.asarray(draws, dtype=np.float64)
    gaps = values - measured.value
    gaps[np.abs(gaps) < _SAME] = 0.0
    # Draws that equal the value count as half below it.
    below = ((gaps < 0).mean() + (gaps <= 0).mean()) / 2
    if not 0 < below < 1:
        return replace(measured, low=None, high=None)
    normal = statistics.NormalDist()
    shift = 2 * normal.inv_cdf(below)
    low, high = (
        float(measured.value + end) for end in np.quantile(gaps, [normal.cdf(shift - 1.96), normal.cdf(shift + 1.96)])
    )
    if not low <= measured.value <= high:
        return replace(measured, low=None, high=None)
    least, largest = RANGES.get(measured.unit, (-math.inf, math.inf))
    return replace(measured, low=max(low, least), high=min(high, largest))


def bootstrap_means(nets: Sequence[Tensor]) -> Tensor:
    """Bootstrap draws of the mean over nets of each net's mean over items; nets and items are drawn with replacement.

    Args:
        nets: the values (N,) float64 of each net's items, N at least 1.

    Returns:
        (2000,) float64.
    """
    rng = generator_of("bootstrap", len(nets), *(len(values) for values in nets))
    resampled = torch.stack(
        [values[torch.randint(len(values), (_RESAMPLES, len(values)), generator=rng)].mean(1) for values in nets]
    )
    drawn = torch.randint(len(nets), (len(nets), _RESAMPLES), generator=rng)
    return resampled.gather(0, drawn).mean(0)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of one seed.

    Attributes:
        name, unit, condition: as in `Measurement`.
        value: of the figure.
        num_items: number of items behind it.
        right: the count behind a share of counted items; None for other figures.
        sample: the items' values, (n,) float64, whose mean the figure is; NaN for an item that has none. None if there
            are no such values.
    """

    name: str
    value: float
    num_items: int
    condition: Condition = field(default_factory=dict)
    unit: str = ""
    right: int | None = None
    sample: Tensor | None = None

    @classmethod
    def of_count(cls, name: str, right: int, total: int, condition: Condition | None = None) -> "Figure":
        """A share of counted items."""
        return cls(name=name, value=right / total, num_items=total, condition=condition or {}, unit=SHARE, right=right)

    @classmethod
    def of_items(
        cls, name: str, values: Sequence[float], *, unit: str = SHARE, condition: Condition | None = None
    ) -> "Figure":
        """The mean of one value per item; if no item has a value, `value` and `num_items` are 0.

        Args:
            name, unit, condition: as in `Measurement`.
            values: one per item, NaN for an item that has none.
        """
        there = [value for value in values if value == value]
        return cls(
            name=name,
            value=sum(there) / max(len(there), 1),
            num_items=len(there),
            condition=condition or {},
            unit=unit,
            sample=torch.tensor(list(values), dtype=torch.float64),
        )

    def less(self, other: "Figure", condition: Condition) -> "Figure":
        """The figure "NAME, difference": this minus another, item by item, over the items with a value on both sides.

        Args:
            other: the figure of the same items to subtract.
            condition: of the difference.

        Raises:
            ValueError: one of them is not a mean over items.
        """
        if self.sample is None or other.sample is None:
            raise ValueError(f"{self.name} and {other.name} must both have a value for each item to be compared")
        values = (self.sample - other.sample).tolist()
        unit = difference_unit(self.unit)
        return Figure.of_items(f"{self.name}, difference", values, unit=unit, condition=condition)

    def to_row(self) -> dict[str, Any]:
        """The figure as a JSON-able row, without the NaN of the sample."""
        row = {one.name: getattr(self, one.name) for one in fields(self)}
        sample = None if self.sample is None else self.sample[~self.sample.isnan()].tolist()
        return row | {"condition": dict(self.condition), "sample": sample}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Figure":
        """The figure that `to_row` wrote."""
        sample = row["sample"]
        return cls(**{**row, "sample": None if sample is None else torch.tensor(sample, dtype=torch.float64)})


def summarize(seeds: Sequence[Sequence[Figure]], *, resampled: Sequence[str] = ()) -> list[Measurement]:
    """One measurement for each figure, in the order in which the figures first occur.

    With several seeds the interval is by Student's t over them, or for the names in `resampled` by a bootstrap over
    seeds and their items. With one seed it is Wilson's for counted items and a bootstrap over items for a mean over
    items, which describes that net alone; other figures have none.

    Args:
        seeds: the figures of each seed; a figure is over the seeds that have it over at least one item.
        resampled: names of figures that all have a sample.
    """
    grouped: dict[tuple[Any, ...], list[Figure]] = {}
    for figures in seeds:
        for figure in figures:
            if not figure.num_items:
                continue
            grouped.setdefault((figure.name, *sorted(figure.condition.items())), []).append(figure)
    return [_measure(figures, bootstrap=figures[0].name in resampled) for figures in grouped.values()]


def _measure(figures: Sequence[Figure], *, bootstrap: bool) -> Measurement:
    first, alone = figures[0], len(figures) == 1
    if alone and first.right is not None:
        return of_share(first.name, first.right, first.num_items, condition=first.condition)
    mean = over_seeds(
        first.name,
        [figure.value for figure in figures],
        unit=first.unit,
        condition=first.condition,
        num_items=min(figure.num_items for figure in figures),
    )
    samples = [one.sample[~one.sample.isnan()].double().cpu() for one in figures if one.sample is not None]
    enough = len(samples[0]) > 1 if alone and samples else bootstrap and mean.low is not None
    if len(samples) < len(figures) or not enough:
        return mean
    return of_draws(mean, bootstrap_means(samples).numpy())


def restated(measurement: Measurement) -> Measurement:
    """A measurement from an older file, converted to the rules above; one that follows them is not changed.

    The seeds' values, which a file does not hold, are not needed: Wilson's and bootstrap intervals are within their
    range, intervals by Student's t are cut off at its ends, and those over fewer than `LEAST_SEEDS` seeds are dropped.
    Differences of shares get the unit that says so.
    """
    unit = told_unit(measurement.name, measurement.unit, measurement.condition)
    measurement = replace(measurement, unit=unit)
    if unit not in RANGES or measurement.low is None or measurement.high is None or is_counted(measurement):
        return measurement
    if 1 < measurement.num_seeds < LEAST_SEEDS:
        return replace(measurement, low=None, high=None)
    least, largest = RANGES[unit]
    return replace(measurement, low=max(measurement.low, least), high=min(measurement.high, largest))


def told_unit(name: str, unit: str, condition: Condition) -> str:
    """The unit of a quantity from a file, given the unit in the file: older files have no units for differences."""
    if unit == SHARE and name == _OF_EFFECTS:
        return EFFECT_DIFFERENCE
    names = name, str(condition.get("items", ""))
    return difference_unit(unit) if any(_NAMES_A_DIFFERENCE.search(one) for one in names) else unit


def is_counted(measurement: Measurement) -> bool:
    """Whether a measurement is a share of counted items: its interval is Wilson's for its count."""
    count = round(measurement.value * measurement.num_items)
    if measurement.unit != SHARE or measurement.low is None or measurement.high is None:
        return False
    if not 0 <= count <= measurement.num_items:
        return False
    wanted = (count / measurement.num_items, *wilson_interval(count, measurement.num_items))
    told = (measurement.value, measurement.low, measurement.high)
    return all(math.isclose(one, other, abs_tol=1e-9) for one, other in zip(wanted, told, strict=True))
