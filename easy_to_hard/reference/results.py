"""The file that holds a reference evaluation: what was measured of a paper's method, and which of its claims held.

Methods of other papers answer questions of their own (how good a restoration is, how much a net gives away), so their
files are no rows of the ranking: they stand in leaderboard/results/reference. `leaderboard/reference.schema.json`
describes them key by key.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from easy_to_hard.json_files import check_schema, read_json
from easy_to_hard.scoring import wilson_interval
from easy_to_hard.writing import write_atomically

REFERENCE_FORMAT: Final = 1

Condition: TypeAlias = Mapping[str, str | int | float]

_LARGEST_QUANTILE: Final = 2.0**20


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure, under one condition.

    Attributes:
        name: of the quantity, such as "RMSE" or "solve rate".
        value: of all seeds together: their mean, or for a share that of all items.
        low, high: its 95 % interval: over seeds by Student's t, for a share by Wilson. None where there is none, as
            with a single seed.
        unit: such as "share", "pixel value" or "distance"; "" for a pure number.
        condition: what it was measured under, such as {"sampler": "direct", "steps": 20}.
        num_items: items that each seed's value is of, at least 1; for a share, those of all seeds.
        num_seeds: at least 1.

    Raises:
        ValueError: a value that is not finite or not inside its interval, or a count below 1.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    condition: Condition = field(default_factory=dict)
    num_items: int
    num_seeds: int = 1

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a measurement must have a name, not ''")
        if not math.isfinite(self.value):
            raise ValueError(f"{self.name} must be finite, not {self.value}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"the interval of {self.name} must have both ends or none, not {self.low} and {self.high}")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name} {self.value} must lie in its interval [{self.low}, {self.high}]")
        for count_name in ("num_items", "num_seeds"):
            if getattr(self, count_name) < 1:
                raise ValueError(f"{count_name} must be at least 1, not {getattr(self, count_name)}")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a paper says, and whether it was so here.

    Attributes:
        text: the claim, in a sentence.
        source: where it is made, such as "arXiv 2208.09392, table 1".
        held: True, False, or None where the measurements do not decide.
        evidence: the figures that say so.
    """

    text: str
    source: str
    held: bool | None
    evidence: str

    def __post_init__(self) -> None:
        for name in ("text", "source", "evidence"):
            if not getattr(self, name):
                raise ValueError(f"a claim must have a {name}, not ''")


@dataclass(frozen=True, kw_only=True)
class ReferenceResult:
    """A reference evaluation.

    Attributes:
        method: name in `BASELINES`.
        preset: which sizes and settings of it.
        data: what it ran on, such as "mnist" or "mazes".
        question: what was asked, in a sentence.
        commit: of the code that made the numbers; None where it is not known.
        package_version: of easy-to-hard.
        seeds: of the runs, at least one and each once.
        device: what it ran on.
        seconds: wall time of all runs; the only part that is not the same when a run is repeated.
        settings: whatever decides the numbers; JSON-able.
        measurements: at least one, each name once under a condition.
        claims: of the paper, as far as they were tried.

    Raises:
        ValueError: no seeds or measurements, or one of them twice.
    """

    method: str
    preset: str
    data: str
    question: str
    commit: str | None
    package_version: str
    seeds: Sequence[int]
    device: str
    seconds: float
    settings: Mapping[str, Any]
    measurements: Sequence[Measurement]
    claims: Sequence[Claim] = ()

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be at least one, and each another, not {list(self.seeds)}")
        if not self.measurements:
            raise ValueError("there must be at least one measurement")
        seen = set()
        for measurement in self.measurements:
            key = measurement.name, json.dumps(dict(measurement.condition), sort_keys=True)
            if key in seen:
                raise ValueError(f"{key[0]} was measured twice under {key[1]}")
            seen.add(key)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"format": REFERENCE_FORMAT, **asdict(self)}


def find_measurement(measurements: Sequence[Measurement], name: str, condition: Condition) -> Measurement:
    """The measurement of that name under exactly that condition.

    Raises:
        ValueError: there is none.
    """
    for measurement in measurements:
        if measurement.name == name and dict(measurement.condition) == dict(condition):
            return measurement
    raise ValueError(f"{name} was not measured under {dict(condition)}")


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
    """The mean of one value a seed, with its 95 % interval by Student's t; a single seed has no interval.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{name} must have at least one value, all finite, not {list(values)}")
    mean = statistics.fmean(values)
    low = high = None
    if len(values) > 1:
        spread = t_quantile(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
        low, high = mean - spread, mean + spread
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


def of_share(
    name: str, correct: int, total: int, *, condition: Condition | None = None, num_seeds: int = 1
) -> Measurement:
    """A share of items with its 95 % Wilson interval, over the items of all seeds together.

    Raises:
        ValueError: counts that do not fit one another.
    """
    low, high = wilson_interval(correct, total)
    return Measurement(
        name=name,
        value=correct / total,
        low=low,
        high=high,
        unit="share",
        condition=condition or {},
        num_items=total,
        num_seeds=num_seeds,
    )


def write_reference_result(result: ReferenceResult, path: Path) -> None:
    """Write a result as JSON, whole or not at all."""
    text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def read_reference_result(path: Path) -> ReferenceResult:
    """Read a result back.

    Raises:
        ValueError: the file is not a reference result of this format; the message names it and the field.
    """
    values = read_json(path)
    if values.get("format") != REFERENCE_FORMAT:
        raise ValueError(f"{path} is not a reference result of format {REFERENCE_FORMAT}")
    check_schema(path, values, "reference")
    del values["format"]
    try:
        values["measurements"] = tuple(Measurement(**one) for one in values["measurements"])
        values["claims"] = tuple(Claim(**one) for one in values["claims"])
        return ReferenceResult(**values | {"seeds": tuple(values["seeds"])})
    except ValueError as error:
        raise ValueError(f"{path} is not a reference result: {error}") from error
