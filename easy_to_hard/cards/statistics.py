"""Statistics of a built folder: its columns of numbers, shares, and how many instances its splits have in common.

They depend on the rows alone, not on how the rows are divided into files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from easy_to_hard.generators.splits import SPLITS
from easy_to_hard.storage.files import instances_of, read_shard
from easy_to_hard.tasks import Task, get_task

MOST_BINS: Final = 16
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_EMPTY: Final = "·"
_HASH: Final = "_hash"


@dataclass(frozen=True, kw_only=True)
class NumberStatistics:
    """A column of integers.

    Attributes:
        least, median, mean, most: of the values.
        counts: number of values in each of at most 16 equally wide bins, the first of which begins at `least`.
    """

    least: int
    median: float
    mean: float
    most: int
    counts: tuple[int, ...]

    def sparkline(self) -> str:
        """The counts as blocks whose heights are proportional to them; a dot for an empty bin."""
        highest = max(self.counts)
        return "".join(_BLOCKS[-(-8 * count // highest) - 1] if count else _EMPTY for count in self.counts)


@dataclass(frozen=True, kw_only=True)
class SplitStatistics:
    """Statistics of one split of a config.

    Attributes:
        rows: number of rows.
        target_ones: share, in [0, 1], of the targets' positions that are 1; None where the manifest does not say.
        numbers: the statistics of each column of integers except `index`.
        shares: maps each column of booleans to the share, in [0, 1], of rows where it is true.
        distinct: maps each column of hashes to the number of distinct ones.
    """

    rows: int
    target_ones: float | None
    numbers: Mapping[str, NumberStatistics]
    shares: Mapping[str, float]
    distinct: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What two splits of a task have in common, over all its configs.

    An instance is identified by its hash where the files have one (mazes: the walls up to symmetry), so one may be in
    many rows and configs. Otherwise (bit strings) it is identified by its content, within each config.

    Attributes:
        task: name in `TASKS`.
        split: the split examined.
        other: the split it is compared with.
        distinct: number of distinct instances in `split`.
        shared: how many of these are also in `other`.
    """

    task: str
    split: str
    other: str
    distinct: int
    shared: int


@dataclass(frozen=True, kw_only=True)
class FolderStatistics:
    """Everything a card says about the rows.

    Attributes:
        splits: config -> split -> its statistics, in the order of the manifest.
        overlaps: one for each task and each pair of its splits.
    """

    splits: Mapping[str, Mapping[str, SplitStatistics]]
    overlaps: tuple[Overlap, ...]


def folder_statistics(root: Path, files: Sequence[dict[str, Any]]) -> FolderStatistics:
    """Compute statistics from the small columns of all files.

    For tasks without a hash, the instances of configs with several splits are read too.

    Args:
        root: the folder.
        files: entries of its manifest.
    """
    parts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in files:
        parts.setdefault((entry["config"], entry["split"]), []).append(entry)
    splits: dict[str, dict[str, SplitStatistics]] = {}
    for (config, split), entries in parts.items():
        splits.setdefault(config, {})[split] = _split_statistics(root, entries)
    tasks = dict.fromkeys(entry["task"] for entry in files)
    overlaps = tuple(overlap for name in tasks for overlap in _overlaps(root, get_task(name), parts))
    return FolderStatistics(splits=splits, overlaps=overlaps)


def _split_statistics(root: Path, entries: Sequence[dict[str, Any]]) -> SplitStatistics:
    task = get_task(entries[0]["task"])
    rows = sum(entry["rows"] for entry in entries)
    integers = [name for name, kind in task.columns.items() if kind.startswith(("int", "uint"))]
    truths = [name for name, kind in task.columns.items() if kind == "bool"]
    hashes = [name for name in task.columns if name.endswith(_HASH)]
    table = _read(root, entries, [*integers, *truths, *hashes])
    return SplitStatistics(
        rows=rows,
        target_ones=_target_ones(task, entries, rows),
        numbers={name: describe(table[name].to_numpy().astype(np.int64)) for name in integers},
        shares={name: (pc.sum(table[name]).as_py() or 0) / rows for name in truths},
        distinct={name: pc.count_distinct(table[name]).as_py() for name in hashes},
    )


def _read(root: Path, entries: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    if not names:
        return {}
    # Arrow mistakes a relative path such as "run:1" for an address.
    paths = [root.absolute() / entry["path"] for entry in entries]
    table = pa.concat_tables([pq.read_table(path, columns=list(names)) for path in paths])
    return {name: table[name] for name in names}


def _target_ones(task: Task, entries: Sequence[dict[str, Any]], rows: int) -> float | None:
    if any("target_ones" not in entry for entry in entries):
        return None
    positions = rows * int(np.prod(task.shapes(entries[0]["difficulty"])[1]))
    return float(sum(entry["target_ones"] for entry in entries) / positions)


def describe(values: NDArray[np.int64]) -> NumberStatistics:
    """Statistics of (N,) integers, N at least 1.

    Where the values have a step (lengths of paths are even), each bin spans a whole number of steps; otherwise the bins
    would look like a comb.
    """
    least, most = int(values.min()), int(values.max())
    steps = (values - least) // max(1, int(np.gcd.reduce(values - least)))
    width = -(-(int(steps.max()) + 1) // MOST_BINS)
    return NumberStatistics(
        least=least,
        median=float(np.median(values)),
        mean=int(values.sum()) / len(values),
        most=most,
        counts=tuple(np.bincount(steps // width).tolist()),
    )


def _overlaps(root: Path, task: Task, parts: Mapping[tuple[str, str], Sequence[dict[str, Any]]]) -> list[Overlap]:
    """The overlap of each pair of splits, the later one compared with the earlier one."""
    domains = _instances(root, task, parts)
    held = [split for split in SPLITS if any(split in splits for splits in domains)]
    overlaps = []
    for other, split in combinations(held, 2):
        distinct = shared = 0
        for splits in domains:
            if split in splits:
                distinct += len(splits[split])
                shared += pc.sum(pc.is_in(splits[split], value_set=splits[other])).as_py() if other in splits else 0
        overlaps.append(Overlap(task=task.name, split=split, other=other, distinct=distinct, shared=shared))
    return overlaps


def _instances(
    root: Path, task: Task, parts: Mapping[tuple[str, str], Sequence[dict[str, Any]]]
) -> list[dict[str, pa.Array]]:
    """The distinct instances of each split; one dictionary for each set of configs that can share instances."""
    column = next((name for name in task.columns if name.endswith(_HASH)), None)
    of_task = {key: entries for key, entries in parts.items() if entries[0]["task"] == task.name}
    configs = dict.fromkeys(config for config, _ in of_task)
    if column is not None:
        found: dict[str, pa.Array] = {}
        for split in dict.fromkeys(split for _, split in of_task):
            entries = [entry for config in configs for entry in of_task.get((config, split), ())]
            found[split] = pc.unique(_read(root, entries, [column])[column])
        return [found]
    many = [config for config in configs if sum(key[0] == config for key in of_task) > 1]
    return [
        {split: _whole_instances(root, task, entries) for (name, split), entries in of_task.items() if name == config}
        for config in many
    ]


def _whole_instances(root: Path, task: Task, entries: Sequence[dict[str, Any]]) -> pa.Array:
    """The distinct instances themselves, in their compact form, as bytes."""
    pieces = [
        np.ascontiguousarray(instances_of(task, chunk)).reshape(len(chunk), -1).view(np.uint8)
        for entry in entries
        for chunk in read_shard(root / entry["path"], task, entry["difficulty"])
    ]
    rows = np.concatenate(pieces)
    kind = pa.binary(rows.shape[1])
    return pc.unique(pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)]))
