"""An endless stream of fresh instances for training."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from easy_to_hard.datasets.graded import Item, to_tensors
from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.generators.random import stream_key
from easy_to_hard.tasks import DataSpec, get_task


class StreamingDataset(IterableDataset[Item]):
    """An endless stream of fresh batches for training: nothing is stored, and no batch comes twice in a loop.

    Batch b holds items b B to (b + 1) B - 1 of the stream, where B is `batch_size`, so training resumes anywhere
    (`start`), and any batch can be made from its number (`batch`). The workers of a `DataLoader` and the ranks of a
    distributed run take turns: with S of them in all, the k-th yields batches start + k, start + k + S, ... Use it as
    ``DataLoader(StreamingDataset("mazes", 9, batch_size=50), batch_size=None)``.

    Every loop over it begins at `start` again and so gives the same batches, not a new epoch of fresh ones. To continue
    where an earlier loop stopped, start another stream there::

        for epoch in range(epochs):
            stream = StreamingDataset("mazes", 9, batch_size=50, start=epoch * batches_an_epoch)
            for images, paths in itertools.islice(DataLoader(stream, batch_size=None), batches_an_epoch):
                ...

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
        self.spec = DataSpec(
            task=task,
            difficulty=difficulty,
            variant=variant,
            split=split,
            seed=seed,
            split_rule=split_rule,
            root=str(root),
        )
        self._task = get_task(task)
        self._task.sample_count(self.spec, None)
        self.batch_size = check_integer("batch_size", batch_size, 1)
        self.start = check_integer("start", start, 0)
        self.rank, self.world_size = _place(rank, world_size)
        self._length = self._task.stream_length(self.spec)

    def batch(self, number: int) -> Item:
        """Batch `number`, independent of earlier calls."""
        first = check_integer("batch number", number, 0) * self.batch_size
        if first + self.batch_size > 2**64:
            raise ValueError(f"batch number must be below {2**64 // self.batch_size}, not {shown(number)}")
        items = np.arange(self.batch_size, dtype=np.uint64) + np.uint64(first)
        if self._length is None:
            data = self._task.generate(self.spec, items, None).data
        else:
            rounds, places = np.divmod(items, np.uint64(self._length))
            data = np.concatenate(
                [
                    self._task.generate(self._round(int(again)), places[rounds == again], None).data
                    for again in np.unique(rounds)
                ]
            )
        return to_tensors(self._task, *self._task.encode(data, self.spec.difficulty, None))

    def _round(self, number: int) -> DataSpec:
        """The spec of the stream's n-th pass through all instances."""
        if number == 0:
            return self.spec
        spec = self.spec
        seed = stream_key(f"round {number}", spec.variant, spec.difficulty, spec.split, spec.seed)
        return replace(spec, seed=seed)

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        workers, worker_id = (1, 0) if worker is None else (worker.num_workers, worker.id)
        first = self.start + self.rank * workers + worker_id
        for number in count(first, self.world_size * workers):
            yield self.batch(number)


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if (rank is None) != (world_size is None):
        raise ValueError(f"give rank and world_size together, not rank={rank} and world_size={world_size}")
    if rank is None or world_size is None:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1
    world_size = check_integer("world_size", world_size, 1)
    if not 0 <= check_integer("rank", rank) < world_size:
        raise ValueError(f"rank must be from 0 to world_size - 1 = {shown(world_size - 1)}, not {shown(rank)}")
    return int(rank), world_size
