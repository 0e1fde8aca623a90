"""Figures of single items on their way to a result: kept by net, and summed up over nets at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.shared import generator_of
from easy_to_hard.reference.results import Measurement, over_seeds

_RESAMPLES: Final = 2000


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
    """The records of all nets as measurements, in the order of the first net.

    With several nets the interval is Student's t over the nets' means. A single net's is a bootstrap over its items,
    and so is that of the quantities in `resampled`, where nets and then their items are drawn again.

    Args:
        nets: the records of each net.
        resampled: names of quantities.

    Returns:
        a measurement for each condition that has items in at least one net; nets without any are left out of it.
    """
    grouped: dict[tuple[Any, ...], list[Record]] = {}
    for records in nets:
        for record in records:
            if record.values:
                grouped.setdefault((record.name, *record.condition.items()), []).append(record)
    return tuple(_measure(records, bootstrap=records[0].name in resampled) for records in grouped.values())


def _measure(records: Sequence[Record], *, bootstrap: bool) -> Measurement:
    first, means = records[0], [sum(record.values) / len(record.values) for record in records]
    mean = over_seeds(
        first.name,
        means,
        unit=first.unit,
        condition=first.condition,
        num_items=min(len(record.values) for record in records),
    )
    if len(records) > 1 and not bootstrap:
        return mean
    low, high = bootstrap_interval([torch.tensor(list(record.values)).double() for record in records])
    return Measurement(
        name=mean.name,
        value=mean.value,
        # Rounding must not put the mean outside.
        low=min(low, mean.value),
        high=max(high, mean.value),
        unit=mean.unit,
        condition=mean.condition,
        num_items=mean.num_items,
        num_seeds=mean.num_seeds,
    )


def bootstrap_interval(nets: Sequence[Tensor]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over nets of the mean over their items, both drawn with replacement.

    Args:
        nets: the values (N,) float64 of each net's items, N at least 1.
    """
    rng = generator_of("bootstrap", len(nets), *(len(values) for values in nets))
    resampled = torch.stack(
        [values[torch.randint(len(values), (_RESAMPLES, len(values)), generator=rng)].mean(1) for values in nets]
    )
    drawn = torch.randint(len(nets), (len(nets), _RESAMPLES), generator=rng)
    means = resampled.gather(0, drawn).mean(0)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def differences(one: Record, other: Record, *, condition: Mapping[str, str | int | float]) -> Record:
    """One record less another, item by item; both have the same items.

    An item that has no value on one of the sides, NaN, is left out.
    """
    pairs = zip(one.values, other.values, strict=True)
    return Record(
        name=f"{one.name}, difference",
        unit=one.unit,
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
