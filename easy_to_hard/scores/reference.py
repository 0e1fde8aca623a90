"""The file that holds a reference evaluation: what was measured of a paper's method, and which of its claims held.

The methods of other papers answer their own questions (how good a restoration is, how much information a net leaks), so
their files are not rows of the ranking: they are kept in leaderboard/results/reference.
`leaderboard/reference.schema.json` describes them key by key.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from easy_to_hard.storage.json_files import check_schema, read_json
from easy_to_hard.storage.writing import write_atomically

REFERENCE_FORMAT: Final = 1

Condition: TypeAlias = Mapping[str, str | int | float]

Verdict = Literal["held", "did not hold", "not decided", "not tested"]
# The value of `held`, which files had before there were verdicts, for each verdict. Where two verdicts have the same
# value, it stands for the first.
_HELD: Final[Mapping[Verdict, bool | None]] = MappingProxyType(
    {"held": True, "did not hold": False, "not decided": None, "not tested": None}
)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured value, under one condition.

    Attributes:
        name: of the quantity, such as "RMSE" or "solve rate".
        value: over all seeds together: their mean or, for a share, the share of all items.
        low, high: its 95 % interval: over seeds by Student's t, for counted items by Wilson. None where there is none,
            as with a single seed.
        unit: such as "share", "difference of shares", "pixel value" or "distance"; "" for a pure number.
        condition: what it was measured under, such as {"sampler": "direct", "steps": 20}.
        num_items: number of items behind each seed's value, at least 1; for a share, the items of all seeds.
        num_seeds: at least 1.

    Raises:
        ValueError: the value is not finite or is outside its interval, or a count is below 1.
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
    """What a paper claims, and whether it held here.

    Attributes:
        text: the claim, in a sentence.
        source: where it is made, such as "arXiv 2208.09392, table 1".
        held: True or False, or None for any other verdict; derived from the verdict if that is given.
        verdict: "held", "did not hold", "not decided" by the measurements, or "not tested" because the nets cannot do
            what the test requires; derived from `held` if not given, as in files from before there were verdicts.
        evidence: the figures that support the verdict.

    Raises:
        ValueError: a text is empty, or the verdict is unknown or contradicts `held`.
    """

    text: str
    source: str
    held: bool | None = None
    verdict: Verdict | None = None
    evidence: str

    def __post_init__(self) -> None:
        verdict: Verdict = next(word for word, held in _HELD.items() if held is self.held)
        if self.verdict is not None:
            verdict = self.verdict
        if verdict not in _HELD:
            raise ValueError(f"verdict must be one of {', '.join(get_args(Verdict))}, not {verdict!r}")
        if self.held not in (None, _HELD[verdict]):
            raise ValueError(f"held {self.held} contradicts the verdict {verdict!r}")
        object.__setattr__(self, "verdict", verdict)
        object.__setattr__(self, "held", _HELD[verdict])
        for name in ("text", "source", "evidence"):
            if not getattr(self, name):
                raise ValueError(f"a claim must have a {name}, not ''")


@dataclass(frozen=True, kw_only=True)
class ReferenceResult:
    """A reference evaluation.

    Attributes:
        method: name in `BASELINES`.
        preset: the set of sizes and settings used.
        data: what it ran on, such as "mnist" or "mazes".
        question: what was asked, in a sentence.
        commit: of the code that produced the numbers; None where it is not known.
        package_version: of easy-to-hard.
        seeds: of the runs, at least one and no duplicates.
        device: what it ran on.
        seconds: wall time of all runs; the only part that differs when a run is repeated.
        settings: everything that determines the numbers; JSON-serializable.
        measurements: at least one, each name at most once per condition.
        claims: those of the paper's claims that were tested.

    Raises:
        ValueError: there are no seeds or measurements, or one occurs twice.
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
            raise ValueError(f"seeds must be at least one and all different, not {list(self.seeds)}")
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
    found = look_up(measurements, name, condition)
    if found is None:
        raise ValueError(f"{name} was not measured under {dict(condition)}")
    return found


def look_up(measurements: Sequence[Measurement], name: str, condition: Condition) -> Measurement | None:
    """The measurement of that name under exactly that condition; None if there is none."""
    same = (one for one in measurements if one.name == name and dict(one.condition) == dict(condition))
    return next(same, None)


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
        values["claims"] = tuple(_read_claim(one) for one in values["claims"])
        return ReferenceResult(**values | {"seeds": tuple(values["seeds"])})
    except ValueError as error:
        raise ValueError(f"{path} is not a reference result: {error}") from error


def _read_claim(values: Mapping[str, Any]) -> Claim:
    claim = Claim(**values)
    if claim.held is not values["held"]:
        raise ValueError(f"held {values['held']} contradicts the verdict {claim.verdict!r}")
    return claim
