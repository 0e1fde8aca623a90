"""Instances as NumPy arrays, for any framework: a set of them, or an endless stream. Nothing here needs torch."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.generators.random import stream_key
from easy_to_hard.tasks import DataSpec, generate, get_task

Arrays: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_INDEX_END = 2**64


def arrays(
    task: str,
    difficulty: int,
    *,
    split: str = "train",
    indices: ArrayLike | None = None,
    num_samples: int | None = None,
    variant: str = "",
    seed: int = 0,
    split_rule: str = "hash",
    root: str | Path = "",
    num_threads: int | None = None,
) -> Arrays:
    """Make instances of a task as NumPy arrays, with the shapes and values of the files that `build` writes.

    | task | inputs | targets |
    |---|---|---|
    | ``prefix_sums`` | (N, L): the bits | (N, L): the parity of each prefix |
    | ``mazes`` | (N, 3, H, W), H = W = 2 size + 6: the picture, channels first | (N, H, W): 1 on the shortest path |
    | chess tasks | (N, 12, 8, 8): planes of pieces | (N, 8, 8): 1 on the two squares of the move |

    All are uint8 in {0, 1}. The PyTorch classes give the same instances as float32 and int64, with an axis for the
    channel and 0.5 subtracted in the case of bits.

    Args:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, moves to mate, lowest rating of the band.
        split: "train", "validation" or "test"; they share no instance.
        indices: (N,) item numbers of the stream, in any order, from 0 to 2^64 - 1; some items of a stream are equal
            where there are few instances. None for the first distinct ones, as in `load`.
        num_samples: how many of these; None for the task's default.
        variant: "" for the task's default.
        seed: another seed gives other instances.
        split_rule: "original" draws every split from all instances.
        root: the folder of a task that is read from files rather than generated.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        ``(inputs, targets)``.

    Raises:
        NotEnoughInstancesError: the split holds fewer.
        ValueError: an argument is not allowed, or both `indices` and `num_samples` are given.

    Example:
        >>> from easy_to_hard import arrays
        >>> bits, parities = arrays("prefix_sums", 16, indices=[5])
        >>> bits
        array([[0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]], dtype=uint8)
        >>> parities
        array([[0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]], dtype=uint8)
        >>> images, paths = arrays("mazes", 9, split="test", num_samples=2)
        >>> images.shape, paths.shape
        ((2, 3, 24, 24), (2, 24, 24))
    """
    spec = DataSpec(
        task=task,
        difficulty=difficulty,
        variant=variant,
        split=split,
        seed=seed,
        split_rule=split_rule,
        root=str(root),
    )
    if num_threads is not None:
        check_integer("num_threads", num_threads, 1)
    if indices is None:
        data = generate(spec, num_samples, num_threads=num_threads)[1].data
    elif num_samples is None:
        data = get_task(task).generate(spec, check_indices(indices), num_threads).data
    else:
        raise ValueError(f"give indices or num_samples, not both: num_samples is {num_samples}")
    return get_task(task).encode(data, difficulty, num_threads)


def check_indices(indices: ArrayLike) -> NDArray[np.uint64]:
    """Return item numbers as (N,) uint64, or raise ValueError that names the first that is none."""
    given: NDArray[Any] = np.asarray(indices)
    if given.ndim != 1:
        raise ValueError(f"indices must be of shape (N,), not {given.shape}")
    if given.size and given.dtype.kind not in "iu":
        # Python integers from 2^63 on may come as floats or objects.
        return np.array([check_integer("an index", one, 0, _INDEX_END - 1) for one in indices], dtype=np.uint64)  # type: ignore[union-attr]
    if given.size and given.min() < 0:
        raise ValueError(f"an index must be at least 0, not {shown(int(given.min()))}")
    return given.astype(np.uint64)


class Stream:
    """Which batches there are, and which of them this process yields; the arguments are those of `ArrayStream`.

    `ArrayStream` yields them as they are, `StreamingDataset` as tensors.
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
        rank: int = 0,
        world_size: int = 1,
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
        self.world_size = check_integer("world_size", world_size, 1)
        self.rank = check_integer("rank", rank)
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must be from 0 to world_size - 1 = {shown(world_size - 1)}, not {shown(rank)}")
        self._length = self._task.stream_length(self.spec)

    def _make(self, number: int) -> Arrays:
        """Make batch `number` as arrays, independent of earlier calls."""
        first = check_integer("batch number", number, 0) * self.batch_size
        if first + self.batch_size > _INDEX_END:
            raise ValueError(f"batch number must be below {_INDEX_END // self.batch_size}, not {shown(number)}")
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
        return self._task.encode(data, self.spec.difficulty, None)

    def _round(self, number: int) -> DataSpec:
        """The spec of the stream's n-th pass through all instances."""
        if number == 0:
            return self.spec
        spec = self.spec
        seed = stream_key(f"round {number}", spec.variant, spec.difficulty, spec.split, spec.seed)
        return replace(spec, seed=seed)

    def numbers(self, part: int = 0, parts: int = 1) -> Iterator[int]:
        """The numbers of the batches that this process yields; of these, the share of one of its `parts` workers."""
        return count(self.start + self.rank * parts + part, self.world_size * parts)


class ArrayStream(Stream):
    """An endless stream of fresh batches as NumPy arrays: nothing is stored, and any batch can be made by its number.

    Batch b holds items b B to (b + 1) B - 1 of the stream, where B is `batch_size`, so training resumes anywhere
    (`start`). S processes that share a stream take turns: the k-th yields batches start + k, start + k + S, ... Every
    loop begins at `start` again. `StreamingDataset` gives the same batches as tensors.

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
        rank, world_size: which of how many processes this is, for example `jax.process_index()` and
            `jax.process_count()`.

    Yields:
        ``(inputs, targets)``, uint8 in {0, 1}, shaped as in `arrays`.

    Raises:
        ValueError: an argument is not allowed.
        NotEnoughInstancesError: the split holds no instance at all.

    Example:
        >>> from easy_to_hard import ArrayStream
        >>> stream = ArrayStream("mazes", 9, batch_size=50, start=1_000)
        >>> images, paths = next(iter(stream))
        >>> images.shape, paths.shape
        ((50, 3, 24, 24), (50, 24, 24))
        >>> bool((stream.batch(1_000)[0] == images).all())
        True
    """

    def batch(self, number: int) -> Arrays:
        """Batch `number`, independent of earlier calls."""
        return self._make(number)

    def __iter__(self) -> Iterator[Arrays]:
        return map(self.batch, self.numbers())
