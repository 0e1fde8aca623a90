"""A dataset of datasets, which sends them all to one worker of a `DataLoader`; here since a worker can import this."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch.utils.data import Dataset, IterableDataset, default_collate

Key: TypeAlias = tuple[str, list[int]]


class Together(Dataset[Any]):
    """Item (name, numbers) is a batch of the dataset of that name, as its `DataLoader` makes it.

    Args:
        parts: name to dataset; a stream gives its first batches, as many as there are numbers.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.parts = dict(parts)

    def __getitem__(self, key: Key) -> list[torch.Tensor]:
        name, numbers = key
        part = self.parts[name]
        if isinstance(part, IterableDataset):
            stream = iter(part)
            return default_collate([next(stream) for _ in numbers])
        return default_collate(part.__getitems__(numbers))
