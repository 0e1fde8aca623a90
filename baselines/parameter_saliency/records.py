"""Figures of single items on their way to a result: kept by net, and summed up over nets at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from easy_to_hard.baselines.kit import statistics
from easy_to_hard.baselines.kit.statistics import Figure, difference_unit, told_unit
from easy_to_hard.scores.reference import Measurement


@dataclass(frozen=True, kw_only=True)
class Record:
    """One quantity of one net under one condition.

    Attributes:
        name: of the quantity.
        unit: of it; "" for a pure number.
        condition: as of a `Measurement`.
        values: one for each item; may be empty.
    """

    name: str
    unit: str = "share"
    condition: Mapping[str, str | int | float] = field(default_factory=dict)
    values: Sequence[float]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def summarise(nets: Sequence[Sequence[Record]], *, resampled: Sequence[str] = ()) -> tuple[Measurement, ...]:
    """The records of all nets as measurements, as `statistics.summarise` has it; records without items are left out.

    Args:
        nets: the records of each net.
        resampled: names of quantities whose interval is a bootstrap over nets and items.
    """
    figures = [[_figure(record) for record in records if record.values] for records in nets]
    return tuple(statistics.summarise(figures, resampled=resampled))


def _figure(record: Record) -> Figure:
    return Figure(
        name=record.name,
        value=sum(record.values) / len(record.values),
        num_items=len(record.values),
        condition=record.condition,
        # A run that is taken up may have records from before differences had a unit of their own.
        unit=told_unit(record.name, record.unit, record.condition),
        sample=torch.tensor(list(record.values), dtype=torch.float64),
    )


def differences(one: Record, other: Record, *, condition: Mapping[str, str | int | float]) -> Record:
    """One record less another, item by item; both have the same items.

    An item that has no value on one of the sides, NaN, is left out.
    """
    pairs = zip(one.values, other.values, strict=True)
    return Record(
        name=f"{one.name}, difference",
        unit=difference_unit(one.unit),
        condition=condition,
        values=[first - second for first, second in pairs if first == first and second == second],
    )


def without_gaps(record: Record) -> Record:
    """The same without the items that have no value, NaN."""
    return Record(
        name=record.name,
        unit=record.unit,
        condition=record.condition,
        values=[value for value in record.values if value == value],
    )
