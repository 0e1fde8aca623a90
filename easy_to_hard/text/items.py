"""Instances that prompts are made of; each has an id from which it can be made again."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from easy_to_hard.datasets.arrays import check_indices
from easy_to_hard.tasks import DataSpec, get_task, parse_config

_ID: Final = re.compile(
    r"(?P<config>[a-z0-9_]{1,60})/(?P<split>[a-z]{1,20})/(?P<seed>0|-?[1-9][0-9]{0,1299})/(?P<index>0|[1-9][0-9]{0,19})"
)
_END: Final = 2**64


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """One instance of a task.

    Attributes:
        spec: which instances it is one of.
        index: its number among them.
        data: its compact form, see `Instances.data`.
    """

    spec: DataSpec
    index: int
    data: NDArray[Any]

    @property
    def id(self) -> str:
        """Config, split, seed and index, such as ``mazes_9/test/0/17``."""
        return f"{self.spec.config}/{self.spec.split}/{self.spec.seed}/{self.index}"


def make_items(
    task: str, difficulty: int, num: int, *, variant: str = "", split: str = "test", seed: int = 0
) -> list[Item]:
    """The first distinct instances of a difficulty, those that a dataset of that size holds.

    Raises:
        NotEnoughInstancesError: the split holds fewer.
        ValueError: an argument is not allowed.
    """
    spec = DataSpec(task=task, difficulty=difficulty, variant=variant, split=split, seed=seed)
    held = get_task(task)
    return items_at(spec, held.first_distinct(spec, held.sample_count(spec, num), None).tolist())


def items_at(spec: DataSpec, indices: Iterable[int]) -> list[Item]:
    """The items of these numbers, of which some may be equal; see `make_items` for distinct ones.

    Raises:
        ValueError: there is no such item.
    """
    numbers = check_indices(list(indices))
    data = get_task(spec.task).generate(spec, numbers, None).data
    return [Item(spec=spec, index=index, data=row) for index, row in zip(numbers.tolist(), data, strict=True)]


def items_of(ids: Sequence[str]) -> list[Item]:
    """Make the items of these ids again, in their order.

    Raises:
        ValueError: one is no id, or there is no such item.
    """
    groups: dict[DataSpec, dict[int, None]] = {}
    parsed = [_parse(one) for one in ids]
    for spec, index in parsed:
        groups.setdefault(spec, {})[index] = None
    made = {(item.spec, item.index): item for spec, indices in groups.items() for item in items_at(spec, indices)}
    return [made[key] for key in parsed]


def _parse(one: str) -> tuple[DataSpec, int]:
    match = _ID.fullmatch(one)
    if match is None or int(match["index"]) >= _END:
        raise ValueError(f"{one[:60]!r} is no id of an item: ids are like mazes_9/test/0/17")
    task, variant, difficulty = parse_config(match["config"])
    spec = DataSpec(task=task, variant=variant, difficulty=difficulty, split=match["split"], seed=int(match["seed"]))
    return spec, int(match["index"])
