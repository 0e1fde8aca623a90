"""The instances that a method is tested on, and their hash, which a result file holds."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from easy_to_hard.datasets.sources import read_place
from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.storage.files import Chunk, TensorHash
from easy_to_hard.tasks import Array, DataSpec, Instances, generate, get_task

if TYPE_CHECKING:
    from torch import Tensor

_HASHED_AT_A_TIME: Final = 64


def instance_tensors(spec: DataSpec, data: Array) -> "tuple[Tensor, Tensor]":
    """Inputs (N, channels, *size) float32 and targets (N, *size) int64 from instances in compact form, (N, ...)."""
    # Only tensors need torch: predictions are scored without it.
    from easy_to_hard.datasets.graded import to_tensors

    task = get_task(spec.task)
    return to_tensors(task, *task.encode(data, spec.difficulty, None))


def one_item(spec: DataSpec, index: int) -> "tuple[Tensor, Tensor]":
    """Inputs (1, channels, *size) float32 and targets (1, *size) int64 of the instance with that number.

    Raises:
        ValueError: the number is below 0, or 2^63 or more.
    """
    if not 0 <= check_integer("--index", index) < 2**63:
        raise ValueError(f"--index must be at least 0 and below 2^63, not {shown(index)}")
    return instance_tensors(spec, get_task(spec.task).generate(spec, np.array([index]), None).data)


class Items:
    """The first distinct instances of a spec; slicing makes tensors of them.

    Args:
        spec: which instances.
        num_items: how many; fewer where the split, or the place, does not hold that many.
        place: a built folder or a Hub repo (`read_place`) to read them from; "" to generate them.

    Raises:
        NotEnoughInstancesError: the split holds none.
        FileNotFoundError, StorageError, HubError: they cannot be read.
    """

    def __init__(self, spec: DataSpec, num_items: int, place: str = "") -> None:
        self.spec = spec
        if place:
            self._instances = Instances(data=read_place(place, spec)[:num_items])
            return
        held = get_task(spec.task).count_instances(spec)
        self._instances = generate(spec, num_items if held is None else min(num_items, max(held, 1)))[1]

    def __len__(self) -> int:
        return len(self._instances)

    def manifest_entry(self) -> dict[str, Any]:
        """What the items are, and the SHA-256 of their inputs and targets as stored in the files of a built folder."""
        digest = TensorHash()
        task = get_task(self.spec.task)
        for first in range(0, len(self), _HASHED_AT_A_TIME):
            data = self._instances.data[first : first + _HASHED_AT_A_TIME]
            inputs, targets = task.encode(data, self.spec.difficulty, None)
            digest.update(
                Chunk(indices=np.arange(len(data), dtype=np.uint64), inputs=inputs, targets=targets, columns={})
            )
        spec = self.spec
        return {
            "config": spec.config,
            "split": spec.split,
            "seed": spec.seed,
            "split_rule": spec.split_rule,
            "rows": len(self),
            **digest.digests(),
        }

    def __getitem__(self, part: slice) -> "tuple[Tensor, Tensor]":
        """Inputs (items, channels, *size) float32 and targets (items, *size) int64."""
        return instance_tensors(self.spec, self._instances.data[part])

    def instances(self, part: slice) -> Instances:
        """The items themselves."""
        columns = {name: column[part] for name, column in self._instances.columns.items()}
        return Instances(data=self._instances.data[part], columns=columns)


def manifest_sha256(entries: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256, in hexadecimal, of the `Items.manifest_entry` of each difficulty that a result was measured on."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def validation_items(items: Items, num_items: int) -> Items:
    """The first items of the same difficulty and variant in the validation split; none is in the test split."""
    return Items(replace(items.spec, split="validation"), num_items)


def slices(num_items: int, batch_size: int) -> Iterator[slice]:
    """The slices that divide the items into batches; the last may be smaller."""
    for start in range(0, num_items, batch_size):
        yield slice(start, min(start + batch_size, num_items))
