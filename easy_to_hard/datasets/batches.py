"""Datasets that hold instances in a compact form and expand them on access, whole batches at a time."""

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import default_collate_fn_map

Tensors: TypeAlias = tuple[Tensor, ...]
Transform: TypeAlias = Callable[[Tensor], Tensor]


class _BatchItem(tuple[Tensor, ...]):
    """An item of a `_Batch`; the type tells `default_collate` that the batch is collated already."""

    __slots__ = ()


class _Batch(Sequence[Tensors]):
    """Items that are already stacked in a few tensors, so that collating them costs nothing."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> Any:
        chosen = [tensor[index] for tensor in self.tensors]
        return _Batch(chosen) if isinstance(index, slice) else _BatchItem(chosen)


def _collate_batch(batch: Sequence[Tensors], *, collate_fn_map: Any = None) -> list[Tensor]:
    if isinstance(batch, _Batch):
        return batch.tensors
    return [torch.stack(tensors) for tensors in zip(*batch, strict=True)]


default_collate_fn_map[_BatchItem] = _collate_batch


class BatchedDataset(Dataset[Tensors]):
    """N instances from which `_tensors` makes inputs, targets and whatever else an item has.

    Args:
        transform: applied to each input.
        target_transform: applied to each target.
    """

    def __init__(self, transform: Transform | None, target_transform: Transform | None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        raise NotImplementedError

    def _tensors(self, rows: Any) -> Tensors:
        """The stacked inputs, targets, ... of the rows that a slice or an array of integers selects."""
        raise NotImplementedError

    def _transformed(self, inputs: Tensor, targets: Tensor, *others: Tensor) -> Tensors:
        if self.transform is not None:
            inputs, targets = self._apply(self.transform, inputs, targets)
        if self.target_transform is not None:
            targets = self.target_transform(targets)
        return inputs, targets, *others

    def _apply(self, transform: Transform, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return transform(inputs), targets

    def __getitem__(self, index: Any) -> Tensors:
        """One item for an integer; for a slice, list or tensor of integers, all of them, stacked."""
        if isinstance(index, SupportsIndex) and not (isinstance(index, (Tensor, np.ndarray)) and index.ndim):
            try:
                row = range(len(self))[index]
            except IndexError:
                raise IndexError(f"there is no item {int(index)}: the dataset holds {len(self):,}") from None
            return self._transformed(*(tensor[0] for tensor in self._tensors(slice(row, row + 1))))
        return self._transformed(*self._tensors(np.asarray(index) if not isinstance(index, slice) else index))

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Tensors]:
        """A batch of items, made in one go; `DataLoader` calls it."""
        batch = _Batch(self._tensors(np.asarray(indices)))
        if self.transform is None and self.target_transform is None:
            return batch
        return [self._transformed(*item) for item in batch]

    @property
    def inputs(self) -> Tensor:
        """All inputs as one float tensor: computed anew at every call, so use it for small sets."""
        return self._tensors(slice(None))[0]

    @property
    def targets(self) -> Tensor:
        """All targets as one int64 tensor: computed anew at every call, so use it for small sets."""
        return self._tensors(slice(None))[1]
