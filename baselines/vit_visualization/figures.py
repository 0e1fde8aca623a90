"""From what one seed gave to measurements over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.shared import generator_of, reason_of, save_state
from easy_to_hard.reference.results import Condition, Measurement, of_share, over_seeds

_RESAMPLES: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of one seed.

    Attributes:
        name, unit, condition: as in `Measurement`.
        value: of it.
        num_items: that it is of.
        right: of a share, how many; None for other figures.
        sample: values of single items, (n,) float64, whose mean the figure is; None where there are none.
    """

    name: str
    value: float
    num_items: int
    condition: Condition = field(default_factory=dict)
    unit: str = ""
    right: int | None = None
    sample: Tensor | None = None


def share(name: str, right: int, total: int, **condition: str | int | float) -> Figure:
    """A share of items."""
    return Figure(name=name, value=right / total, num_items=total, condition=condition, unit="share", right=right)


def plain(name: str, value: float, num_items: int, **condition: str | int | float) -> Figure:
    """A pure number."""
    return Figure(name=name, value=value, num_items=num_items, condition=condition)


def summarise(seeds: Sequence[Sequence[Figure]]) -> list[Measurement]:
    """One measurement for each figure, in the order of the first seed.

    With several seeds the interval is by Student's t over them. With one it is Wilson's for a share, for a mean over
    items the 95 % interval of a bootstrap over them, and there is none for other figures.
    """
    found = []
    for first in seeds[0]:
        same = [next(one for one in seed if _key(one) == _key(first)) for seed in seeds if _has(seed, first)]
        if len(same) == 1 and first.right is not None:
            found.append(of_share(first.name, first.right, first.num_items, condition=first.condition))
        elif len(same) == 1 and first.sample is not None and len(first.sample) > 1:
            found.append(_bootstrapped(first, first.sample))
        else:
            values = [one.value for one in same]
            found.append(
                over_seeds(first.name, values, unit=first.unit, condition=first.condition, num_items=first.num_items)
            )
    return found


def _key(figure: Figure) -> tuple[str, tuple[tuple[str, str | int | float], ...]]:
    return figure.name, tuple(sorted(figure.condition.items()))


def _has(seed: Sequence[Figure], figure: Figure) -> bool:
    return any(_key(one) == _key(figure) for one in seed)


def _bootstrapped(figure: Figure, sample: Tensor) -> Measurement:
    rng = generator_of("bootstrap", figure.name, len(sample))
    rows = torch.randint(len(sample), (_RESAMPLES, len(sample)), generator=rng)
    means = sample.cpu()[rows].mean(dim=1)
    low, high = (float(means.quantile(q)) for q in (0.025, 0.975))
    return Measurement(
        name=figure.name,
        value=figure.value,
        low=min(low, figure.value),
        high=max(high, figure.value),
        unit=figure.unit,
        condition=figure.condition,
        num_items=figure.num_items,
    )


def kept(path: Path, settings: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The tensors that an earlier run left in a file; None where there is no file.

    Raises:
        ValueError: the file is damaged or of a run with other settings.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] != repr(settings):
            raise ValueError("it is of a run with other settings")
        tensors: dict[str, Tensor] = state["tensors"]
    except Exception as error:
        raise ValueError(f"cannot go on from {path}: {reason_of(error)}; remove it to start anew") from error
    return tensors


def keep(path: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Leave tensors for a run that takes this one up; see `kept`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state({"settings": repr(settings), "tensors": dict(tensors)}, path)
