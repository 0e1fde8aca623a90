"""An endless stream of fresh instances for training."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import IterableDataset, get_worker_info

from easy_to_hard.datasets.arrays import Stream
from easy_to_hard.datasets.graded import Item, to_tensors


class StreamingDataset(Stream, IterableDataset[Item]):
    """An endless stream of fresh batches for training: nothing is stored, and no batch comes twice in a loop.

    Batch b holds items b B to (b + 1) B - 1 of the stream, where B is `batch_size`, so training resumes anywhere
    (`start`), and any batch can be made from its number (`batch`). The workers of a `DataLoader` and the ranks of a
    distributed run take turns: with S of them in all, the k-th yields batches start + k, start + k + S, ... Use it as
    ``DataLoader(StreamingDataset("mazes", 9, batch_size=50), batch_size=None)``.

    Every loop over it begins at `start` again and so gives the same batches, not a new epoch of fresh ones. To continue
    where an earlier loop stopped, start another stream there.

    Strings of fewer than 64 bits run out, and so do puzzles from a folder; the stream then goes through them again in
    another order.

    Args:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, ...
        batch_size: items per batch.
        variant: "" for the task's default.
        split: "train", "validation" or "test".
        seed: another seed gives another stream.
        split_rule: "hash" or "original".
        root: the folder of a task that is read from files rather than generated.
        start: number of the first batch.
        rank, world_size: place in a distributed run; by default those of `torch.distributed` where it is
            initialized, else 0 of 1.

    Yields:
        ``(inputs, targets)`` as in the task's dataset, stacked.

    Raises:
        ValueError: an argument is not allowed.
        NotEnoughInstancesError: the split holds no instance at all.

    Example:
        >>> from itertools import islice
        >>> from easy_to_hard import StreamingDataset
        >>> from torch.utils.data import DataLoader
        >>> for epoch in range(2):  # of 10 batches each
        ...     stream = StreamingDataset("mazes", 9, batch_size=50, start=10 * epoch)
        ...     for images, paths in islice(DataLoader(stream, batch_size=None), 10):
        ...         pass
        >>> images.shape, paths.shape
        (torch.Size([50, 3, 24, 24]), torch.Size([50, 24, 24]))
        >>> bool((stream.batch(19)[0] == images).all())
        True
    """

    def __init__(
        self,
        task: str,
        difficulty: int,
        *,
        batch_size: int,
        variant: str = "",
        split: str = "train",
        seed: int = 0,
        split_rule: str = "hash",
        root: str | Path = "",
        start: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        rank, world_size = _place(rank, world_size)
        super().__init__(
            task,
            difficulty,
            batch_size=batch_size,
            variant=variant,
            split=split,
            seed=seed,
            split_rule=split_rule,
            root=root,
            start=start,
            rank=rank,
            world_size=world_size,
        )

    def batch(self, number: int) -> Item:
        """Batch `number`, independent of earlier calls."""
        return to_tensors(self._task, *self._make(number))

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        part, parts = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return map(self.batch, self.numbers(part, parts))


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError(f"give rank and world_size together, not rank={rank} and world_size={world_size}")
    if rank is not None and world_size is not None:
        return rank, world_size
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
