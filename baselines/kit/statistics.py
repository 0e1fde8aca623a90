"""From what each seed gave to a measurement with a 95 % interval: the one way, for all methods.

- Counted items: Wilson's interval.
- A mean over seeds (or nets): Student's t. That of a bounded quantity, see `RANGES`, is cut off at the ends of the
  range: the mean lies within it, so that what is cut off never held the mean and the coverage stays as it was
  (Mandelkern 2002, Statistical Science 17, 149-172). Such a mean has an interval from `LEAST_SEEDS` seeds on: with
  two, Student's t spans 12.7 standard errors, which is nearly all of the range.
- A mean over the items of one net, or of nets whose items differ much: a percentile bootstrap over nets and items.
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
"""Unit -> the least and the largest value of a quantity that is measured in it; other units have no bounds."""

LEAST_SEEDS: Final = 3

_LARGEST_QUANTILE: Final = 2.0**20
_RESAMPLES: Final = 2000
# By which a sum of shares may miss an end of the range.
_ROUNDING: Final = 1e-6
# How files from before units told it name differences.
_NAMES_A_DIFFERENCE: Final = re.compile(
    r"above unpoisoned|less that of none|less unpoisoned|less chance|difference$|^change of"
)
_OF_EFFECTS: Final = "attack success difference"


def difference_unit(unit: str) -> str:
    """Of a difference of two quantities measured in that unit; two changes of one share are taken to cancel it."""
    return {SHARE: SHARE_DIFFERENCE, PROBABILITY: PROBABILITY_DIFFERENCE}.get(unit, unit)


def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """How far Student's t stays from 0 with that probability: 12.706 at one degree of freedom and 95 %.

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
    """P(|T| <= t): the finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
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
    """The mean of one value a seed, with its 95 % interval by Student's t, kept within what the unit allows.

    A single seed has no interval, and of a unit in `RANGES` none have that are fewer than `LEAST_SEEDS`.

    Args:
        name: of the quantity.
        values: one a seed.
        unit: of them; one of `RANGES` bounds values and interval.
        condition: what it was measured under.
        num_items: that each value is of.

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
    """One value less another, seed by seed, as `over_seeds` has it.

    Args:
        name: of the difference.
        ones, others: one value a seed each, of the same seeds in the same order.
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
        ValueError: counts that do not fit one another.
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
    """The difference of two shares of counted items, from the least to the most that their Wilson intervals leave.

    It holds the difference with at least 90 % whatever the two have to do with each other (Bonferroni), and with more
    than 95 % where they are independent; 0 is outside exactly where the two intervals do not meet.

    Args:
        name: of the difference.
        one, other: (correct, total) each.
        condition: what it was measured under.

    Raises:
        ValueError: counts that do not fit one another.
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
    """The measurement with the middle 95 % of a bootstrap's draws as its interval.

    Args:
        measured: the value, without an interval or with another.
        draws: (D,) float64, the same quantity in each draw.
    """
    low, high = (float(end) for end in np.quantile(np.asarray(draws, dtype=np.float64), (0.025, 0.975)))
    # Rounding must not put the value outside, nor an end outside the range.
    least, largest = RANGES.get(measured.unit, (-math.inf, math.inf))
    return replace(measured, low=max(min(low, measured.value), least), high=min(max(high, measured.value), largest))


def bootstrap_means(nets: Sequence[Tensor]) -> Tensor:
    """Draws of the mean over nets of the mean over their items, both drawn with replacement.

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
        value: of it.
        num_items: that it is of.
        right: of a share of counted items, how many; None for other figures.
        sample: values of single items, (n,) float64, whose mean the figure is; NaN of an item that has none. None
            where there are no such values.
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
        """The mean of one value an item, NaN for an item that has none; 0 where no item has one, and then `num_items`.

        Args:
            name, unit, condition: as in `Measurement`.
            values: one an item.
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
        """ "NAME, difference": this less another one, item by item; an item must have a value on both sides.

        Args:
            other: of the same items.
            condition: of the difference.

        Raises:
            ValueError: one of them is not the mean over items.
        """
        if self.sample is None or other.sample is None:
            raise ValueError(f"{self.name} and {other.name} must both have a value for each item to be compared")
        values = (self.sample - other.sample).tolist()
        unit = difference_unit(self.unit)
        return Figure.of_items(f"{self.name}, difference", values, unit=unit, condition=condition)

    def to_row(self) -> dict[str, Any]:
        """JSON-able; NaN of the sample is left out."""
        row = {one.name: getattr(self, one.name) for one in fields(self)}
        sample = None if self.sample is None else self.sample[~self.sample.isnan()].tolist()
        return row | {"condition": dict(self.condition), "sample": sample}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Figure":
        """The figure that `to_row` wrote."""
        sample = row["sample"]
        return cls(**{**row, "sample": None if sample is None else torch.tensor(sample, dtype=torch.float64)})


def summarize(seeds: Sequence[Sequence[Figure]], *, resampled: Sequence[str] = ()) -> list[Measurement]:
    """One measurement for each figure, in the order in which they first come.

    With several seeds the interval is by Student's t over them, or for the names in `resampled` a bootstrap over
    seeds and their items. With one seed it is Wilson's for counted items, for a mean over items a bootstrap over
    them, which speaks of that net alone, and there is none for other figures.

    Args:
        seeds: the figures of each seed; a seed without a figure, or with one of no items, is left out of that one.
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
    """A measurement of a file from before the rules above, as they give it; one that follows them is not changed.

    A file holds no seeds' values, and they are not needed: Wilson's and bootstrap intervals are within their range,
    those by Student's t are cut off at it, and those over fewer than `LEAST_SEEDS` seeds go. Differences of shares get
    the unit that says so.
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
    """The unit of a quantity of which a file says the unit; files from before differences had one of their own too."""
    if unit == SHARE and name == _OF_EFFECTS:
        return EFFECT_DIFFERENCE
    names = name, str(condition.get("items", ""))
    return difference_unit(unit) if any(_NAMES_A_DIFFERENCE.search(one) for one in names) else unit


def is_counted(measurement: Measurement) -> bool:
    """Whether a measurement is a share of counted items: its interval is the one that Wilson gives its count."""
    count = round(measurement.value * measurement.num_items)
    if measurement.unit != SHARE or measurement.low is None or measurement.high is None:
        return False
    if not 0 <= count <= measurement.num_items:
        return False
    wanted = (count / measurement.num_items, *wilson_interval(count, measurement.num_items))
    told = (measurement.value, measurement.low, measurement.high)
    return all(math.isclose(one, other, abs_tol=1e-9) for one, other in zip(wanted, told, strict=True))
