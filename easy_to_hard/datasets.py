"""PyTorch datasets: drop-in for `easy_to_hard_data` 1.0.0, generated in place of downloaded.

Positional arguments, items, dtypes, shapes and value ranges are those of the peer. Instances are held in a compact
form (a byte a maze cell, a bit a position) and drawn when asked for, whole batches at a time.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from easy_to_hard import original
from easy_to_hard.batches import BatchedDataset, Transform
from easy_to_hard.files import instances_of, read_shard
from easy_to_hard.generators.random import stream_key
from easy_to_hard.tasks import Array, DataSpec, Task, generate, get_task

Item: TypeAlias = tuple[Tensor, Tensor]

SOURCES: Final = ("generate", "folder", "original")


def to_tensors(task: Task, inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> Item:
    """Inputs and targets of the files to those of a network.

    Args:
        task: whose.
        inputs: (N, ...) uint8 in {0, 1}.
        targets: (N, ...) uint8 in {0, 1}.

    Returns:
        ``(inputs, targets)``: float32 with the task's offset added and a channel axis, and int64.
    """
    values = torch.from_numpy(inputs).to(torch.float32)
    if task.input_offset:
        values += task.input_offset
    if task.input_channels == 1:
        values = values.unsqueeze(1)
    return values, torch.from_numpy(targets).to(torch.int64)


class _GradedDataset(BatchedDataset):
    """N instances of one difficulty, held in the compact form of the task."""

    def __init__(
        self,
        root: str | Path,
        spec: DataSpec,
        *,
        num_samples: int | None,
        source: str,
        transform: Transform | None,
        target_transform: Transform | None,
        download: bool,
    ) -> None:
        super().__init__(transform, target_transform)
        self.root = Path(root).expanduser()
        self.spec = spec
        self.source = source
        self._task = get_task(spec.task)
        if source == "generate":
            self._data = generate(spec, num_samples)[1].data
        elif source in SOURCES:
            read = self._read_folder if source == "folder" else self._read_original
            self._data = _first(read(download), num_samples, f"{source} {self.root}")
        else:
            raise ValueError(f"unknown source {source!r}: choose one of {', '.join(SOURCES)}")

    def _read_folder(self, download: bool) -> Array:
        paths = sorted((self.root / self.spec.config).glob(f"{self.spec.split}-*.parquet"))
        if not paths:
            raise FileNotFoundError(
                f"no {self.spec.config}/{self.spec.split}-*.parquet in {self.root}: build it with "
                f"'easy-to-hard build --out {self.root}', or use source='generate'"
            )
        chunks = [chunk for path in paths for chunk in read_shard(path, self._task, self.spec.difficulty)]
        return np.concatenate([instances_of(self._task, chunk) for chunk in chunks])

    def _read_original(self, download: bool) -> Array:
        raise ValueError(f"{self.spec.task} has no original files: use another source")

    def _tensors(self, rows: Any) -> Item:
        inputs, targets = self._task.encode(self._data[rows], self.spec.difficulty, None)
        return to_tensors(self._task, inputs, targets)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def nbytes(self) -> int:
        """Bytes that the instances take in memory."""
        return int(self._data.nbytes)

    def __repr__(self) -> str:
        spec = self.spec
        shown = f"{self._task.difficulty_name} {spec.difficulty}" + (f", {spec.variant}" if spec.variant else "")
        return f"{type(self).__name__}({shown}, split {spec.split}, {len(self)} items, source {self.source})"


def _first(data: Array, num_samples: int | None, where: str) -> Array:
    if num_samples is None:
        return data
    if not 1 <= num_samples <= len(data):
        raise ValueError(f"num_samples must be from 1 to {len(data)}, as many as {where} has, not {num_samples}")
    return data[:num_samples]


class PrefixSumDataset(_GradedDataset):
    """Bit strings and the parity of every prefix (arXiv 2108.06011).

    An item is ``(input, target)``: (1, L) float32 in {-0.5, 0.5} and (L,) int64 in {0, 1}.

    Args:
        root: where files are looked for, and downloaded to; not used with source "generate".
        num_bits: length L of the strings, 1 to 2^20.
        download: with source "original", fetch the files when they are absent.
        split: "train", "validation" or "test"; they share no string.
        seed: another seed gives other strings.
        num_samples: how many; 10,000 by default (1,000 beyond 2^13 bits, 100 beyond 2^16), or all there are.
        transform: applied to each input.
        target_transform: applied to each target.
        split_rule: "original" draws every split from all strings.
        source: "generate"; "folder" reads what `easy-to-hard build` wrote to `root`; "original" reads the
            authors' files, which have one set a length, whatever the split.

    Raises:
        NotEnoughInstancesError: there are fewer distinct strings than num_samples in the split.
        ValueError: an argument that is not allowed.
        OriginalDataError, FileNotFoundError: files that are not there.
    """

    def __init__(
        self,
        root: str | Path,
        num_bits: int = 32,
        download: bool = True,
        *,
        split: str = "train",
        seed: int = 0,
        num_samples: int | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        split_rule: str = "hash",
        source: str = "generate",
    ) -> None:
        super().__init__(
            root,
            DataSpec(task="prefix_sums", difficulty=num_bits, split=split, seed=seed, split_rule=split_rule),
            num_samples=num_samples,
            source=source,
            transform=transform,
            target_transform=target_transform,
            download=download,
        )

    def _read_original(self, download: bool) -> Array:
        folder = original.fetch(self.root, "prefix_sums_data", download=download)
        return original.read_prefix_sums(folder, self.spec.difficulty)


class MazeDataset(_GradedDataset):
    """Mazes and their shortest paths (arXiv 2108.06011).

    An item is ``(image, path)``: (3, H, W) float32 in {0, 1}, free positions white, start green, goal red, and
    (H, W) int64, 1 on the path with both its ends; H = W = 2 size + 6.

    Args:
        root: where files are looked for, and downloaded to; not used with source "generate".
        train: True is split "train", False split "test".
        size: odd, 3 to 1601.
        transform: applied to image and path together, a (4, H, W) float tensor, as in the peer.
        download: with source "original", fetch the files when they are absent.
        split: "train", "validation" or "test", in place of `train`; they share no wall layout.
        seed: another seed gives other mazes.
        num_samples: how many. By default 50,000 to train and 10,000 else for sizes 9 to 59; 1,000 up to 201;
            100 beyond.
        variant: "depth_first", "wilson", "kruskal", "open_start" or "looped".
        target_transform: applied to each path, after `transform`.
        split_rule: "original" draws every split from all mazes.
        source: "generate"; "folder" reads what `easy-to-hard build` wrote to `root`; "original" reads the
            authors' files.

    Raises:
        NotEnoughInstancesError: there are fewer distinct mazes than num_samples in the split.
        ValueError: an argument that is not allowed.
        OriginalDataError, FileNotFoundError: files that are not there.
    """

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        size: int = 9,
        transform: Transform | None = None,
        download: bool = True,
        *,
        split: str | None = None,
        seed: int = 0,
        num_samples: int | None = None,
        variant: str = "depth_first",
        target_transform: Transform | None = None,
        split_rule: str = "hash",
        source: str = "generate",
    ) -> None:
        chosen = split if split is not None else "train" if train else "test"
        super().__init__(
            root,
            DataSpec(task="mazes", difficulty=size, variant=variant, split=chosen, seed=seed, split_rule=split_rule),
            num_samples=num_samples,
            source=source,
            transform=transform,
            target_transform=target_transform,
            download=download,
        )

    def _read_original(self, download: bool) -> Array:
        spec = self.spec
        if spec.split == "validation" or spec.variant != "depth_first":
            raise ValueError(f"the original has no {spec.variant} mazes in split {spec.split!r}: only train and test")
        folder = original.fetch(self.root, f"maze_data_{spec.split}_{spec.difficulty}", download=download)
        return original.read_mazes(folder, spec.difficulty)

    def _apply(self, transform: Transform, inputs: Tensor, targets: Tensor) -> Item:
        stacked = transform(torch.cat([inputs, targets.unsqueeze(-3).to(inputs.dtype)], dim=-3))
        return stacked[..., :3, :, :].float(), stacked[..., 3, :, :].long()


class StreamingDataset(IterableDataset[Item]):
    """Fresh instances without end, in batches, for training: nothing is stored and no batch comes twice.

    Batch b holds items b B to (b + 1) B - 1 of the stream, so training resumes anywhere (`start`), and any batch
    can be had by its number (`batch`). The workers of a `DataLoader` and the ranks of a distributed run take
    turns: with S of them in all, the k-th yields batches start + k, start + k + S, ... Use it as
    ``DataLoader(StreamingDataset("mazes", 9, batch_size=50), batch_size=None)``.

    Strings of fewer than 64 bits come to an end, and so do puzzles from a folder; the stream then goes through them
    again in another order.

    Args:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, ...
        batch_size: items a batch.
        variant: "" for the task's default.
        split: "train", "validation" or "test".
        seed: another seed gives another stream.
        split_rule: "hash" or "original".
        root: the folder of a task that is read and not made.
        start: number of the first batch.
        rank, world_size: place in a distributed run; by default those of `torch.distributed` where it is
            initialised, else 0 of 1.

    Yields:
        ``(inputs, targets)`` as in the task's dataset, stacked.

    Raises:
        ValueError: an argument that is not allowed.
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
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if start < 0:
            raise ValueError(f"start must not be negative, not {start}")
        self.batch_size, self.start = batch_size, start
        self.rank, self.world_size = _place(rank, world_size)
        self._length = self._task.stream_length(self.spec)

    def batch(self, number: int) -> Item:
        """Batch `number`, whatever was asked for before."""
        if number < 0:
            raise ValueError(f"batch number must not be negative, not {number}")
        first = number * self.batch_size
        items = np.arange(first, first + self.batch_size, dtype=np.uint64)
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
        """The spec of the stream's n-th time through all instances."""
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
    if not 0 <= rank < world_size:
        raise ValueError(f"rank must be from 0 to world_size - 1 = {world_size - 1}, not {rank}")
    return rank, world_size
