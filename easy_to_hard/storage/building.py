"""Build a folder in the layout of a Hub dataset repo: alone, or in shares on many machines.

A folder holds ``<config>/<split>-00000-of-00001.parquet``, a README.md whose YAML names the configs, and
manifest.json, which is written last. A build that resumes after being killed keeps the complete files (see
`easy_to_hard.storage.journal`) and makes the rest. The result is the same, byte for byte, as that of a build that was
never stopped, or of one made in shares.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from easy_to_hard.cards.folder import card_files
from easy_to_hard.environment import __version__
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.parallel import default_threads
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.files import (
    file_sha256,
    row_bytes,
    this_writer,
    write_atomically,
    write_json,
    write_shard,
    writer_of,
)
from easy_to_hard.storage.journal import Journal, open_journal
from easy_to_hard.storage.manifest import FORMAT, MANIFEST, StorageError
from easy_to_hard.storage.presets import Part, get_preset
from easy_to_hard.storage.writing import put, telling
from easy_to_hard.tasks import DataSpec, get_task

_SHARD_BYTES: Final = 2**29
# Shard numbers have five digits in file names.
_MOST_SHARDS: Final = 99_999
# About how long it takes to pack and hash a decoded byte.
_SECONDS_A_BYTE: Final = 2e-8


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A planned file: rows [start, stop) of a part."""

    part: Part
    start: int
    stop: int
    path: str


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build did.

    Attributes:
        root: the folder.
        made: number of files written by this call.
        kept: number of complete files that were already there.
        rows: number of rows in these files.
        size: bytes in these files.
        missing: number of files of other shares that are not there yet; 0 if the folder is finished.
    """

    root: Path
    made: int
    kept: int
    rows: int
    size: int
    missing: int = 0


def plan_shards(parts: Sequence[Part]) -> list[Shard]:
    """The files of a build: a part is divided into equal shards of at most 512 MiB each when decoded."""
    shards = []
    for part in parts:
        size = part.rows * row_bytes(get_task(part.task), part.difficulty)
        number = min(part.rows, -(-size // _SHARD_BYTES))
        if number > _MOST_SHARDS:
            raise ValueError(
                f"{part.rows} rows of {part.config}, {part.split}, would fill {number} files of half a gigabyte: "
                f"there may be {_MOST_SHARDS}"
            )
        bounds = np.linspace(0, part.rows, number + 1).round().astype(int).tolist()
        for i in range(number):
            path = f"{part.config}/{part.split}-{i:05d}-of-{number:05d}.parquet"
            shards.append(Shard(part=part, start=bounds[i], stop=bounds[i + 1], path=path))
    return shards


def share_out(shards: Sequence[Shard], number: int) -> list[list[Shard]]:
    """Divide the files into `number` shares that take about the same time; each is in the order of the plan."""
    loads, shares = [0.0] * number, [set[str]() for _ in range(number)]
    for shard in sorted(shards, key=_seconds, reverse=True):
        least = loads.index(min(loads))
        loads[least] += _seconds(shard)
        shares[least].add(shard.path)
    return [[shard for shard in shards if shard.path in paths] for paths in shares]


def _seconds(shard: Shard) -> float:
    """About how many seconds a file takes on one core. To make it, items are drawn from the start of the split."""
    task = get_task(shard.part.task)
    packing = _SECONDS_A_BYTE * row_bytes(task, shard.part.difficulty) * (shard.stop - shard.start)
    return packing + task.draw_seconds(shard.part.difficulty, shard.part.variant) * shard.stop


def build(
    root: str | Path,
    *,
    preset: str = "small",
    seed: int = 0,
    split_rule: str = "hash",
    parts: Sequence[Part] | None = None,
    shard: tuple[int, int] | None = None,
    num_threads: int | None = None,
    progress: bool = True,
) -> BuildReport:
    """Build the datasets of a preset in a folder, or finish a build that was stopped.

    On many machines, each makes its share of the files with ``shard=(i, n)``, in a shared folder or in its own. Once
    all the files are in one folder (with their hidden ``.build``), a call without `shard` makes what is missing, and
    the folder is the same, byte for byte, as if one call had made it. All machines need the same version of pyarrow:
    the tensors are the same for any version, but the bytes of the files are not.

    Args:
        root: the folder, created if missing; ``~`` is expanded.
        preset: name in `PRESETS`; only a label when `parts` is given.
        seed: any integer.
        split_rule: "hash" or "original", see `easy_to_hard.generators.splits`.
        parts: what to make instead of the preset's.
        shard: (i, n), i from 1 to n: make the i-th of n shares of the files, without README.md or manifest.
        num_threads: files made at a time; None for one per core. The bytes do not depend on it.
        progress: show a bar.

    Raises:
        StorageError: the folder holds something else, or files by another version of pyarrow, or another process is
            building there.
        NotEnoughInstancesError: a split has fewer distinct instances than the preset asks for.
        ValueError: the preset or split rule is unknown, there is no such share, or num_threads is below 1.

    Example:
        >>> from easy_to_hard import build
        >>> report = build("data", preset="tiny", progress=False)
        >>> report.made + report.kept, report.rows
        (14, 370)
        >>> build("data", preset="tiny", progress=False).made  # nothing is made twice
        0
    """
    root = Path(root).expanduser()
    _check_numbers(shard, num_threads)
    chosen = tuple(get_preset(preset) if parts is None else parts)
    header = {
        "format": FORMAT,
        "package_version": __version__,
        "preset": preset,
        "seed": seed,
        "split_rule": split_rule,
    }
    specs = {part: _spec(part, seed, split_rule) for part in chosen}
    shards = plan_shards(chosen)
    if root.exists() and not root.is_dir():
        raise StorageError(f"{root} is a file, not a folder")
    root.mkdir(parents=True, exist_ok=True)
    name = "all" if shard is None else f"{shard[0]}-of-{shard[1]}"
    share = shards if shard is None else share_out(shards, shard[1])[shard[0] - 1]
    with open_journal(root, header, [shard.path for shard in shards], name) as journal:
        entries, made = _make_missing(root, journal, share, shards, specs, num_threads, progress)
        if shard is None:
            _finish(root, header, entries)
            journal.close()
    return BuildReport(
        root=root,
        made=made,
        kept=len(share) - made,
        rows=sum(entry["rows"] for entry in entries),
        size=sum(entry["bytes"] for entry in entries),
        missing=sum(not (root / shard.path).is_file() for shard in shards),
    )


def _check_numbers(shard: object, num_threads: object) -> None:
    """Raise ValueError if `shard` is not a share or `num_threads` is not a number of threads."""
    if shard is not None:
        pair = isinstance(shard, tuple) and len(shard) == 2 and all(type(number) is int for number in shard)
        if not pair or not 1 <= shard[0] <= shard[1]:  # type: ignore[index]
            raise ValueError(f"shard must be (i, n) with i from 1 to n, not {shard!r}")
    if num_threads is not None:
        check_integer("num_threads", num_threads, 1)


def _spec(part: Part, seed: int, split_rule: str) -> DataSpec:
    spec = DataSpec(
        task=part.task,
        difficulty=part.difficulty,
        variant=part.variant,
        split=part.split,
        seed=seed,
        split_rule=split_rule,
    )
    get_task(part.task).sample_count(spec, part.rows)
    return spec


def _make_missing(
    root: Path,
    journal: Journal,
    shards: list[Shard],
    planned: list[Shard],
    specs: dict[Part, DataSpec],
    num_threads: int | None,
    progress: bool,
) -> tuple[list[dict[str, Any]], int]:
    """Make the missing files; returns the manifest's entries of all files, and how many were missing."""
    entries = journal.whole_files([shard.path for shard in shards])
    missing = [shard for shard in shards if shard.path not in entries]
    _check_writers(root, planned, {shard.path for shard in missing})
    rows = sum(shard.stop - shard.start for shard in shards)
    with progress_bar(
        total=rows, unit="rows", unit_scale=True, desc=f"building {root}", always=True, show=progress
    ) as bar:
        bar.update(rows - sum(shard.stop - shard.start for shard in missing))
        for entry in _make_shards(root, journal, missing, specs, num_threads, bar):
            journal.add(entry)
            entries[entry["path"]] = entry
    return [entries[shard.path] for shard in shards], len(missing)


def _check_writers(root: Path, planned: list[Shard], missing: set[str]) -> None:
    """Raise StorageError if a build's files are, or would be, by different pyarrow versions, whose bytes differ."""
    writers = {this_writer(): "what is to be made"} if missing else {}
    for shard in planned:
        path = root / shard.path
        if shard.path in missing or not path.is_file():
            continue
        # A file that cannot be read is not complete; its own share will make it again.
        with suppress(ValueError):
            writers.setdefault(writer_of(path), shard.path)
    if len(writers) > 1:
        told = ", ".join(f"{path} is by {writer}" for writer, path in writers.items())
        raise StorageError(f"{root}: all files of a build need one version of pyarrow, whose bytes differ: {told}")


def _finish(root: Path, header: dict[str, Any], files: list[dict[str, Any]]) -> None:
    """Write everything else in the folder; the manifest comes last."""
    for path, content in card_files(root, header, files).items():
        (root / path).parent.mkdir(exist_ok=True)
        write_atomically(root / path, content)
    write_json(root / MANIFEST, {**header, "files": files})


def _make_shards(
    root: Path,
    journal: Journal,
    missing: list[Shard],
    specs: dict[Part, DataSpec],
    num_threads: int | None,
    bar: "tqdm[Any]",
) -> Iterator[dict[str, Any]]:
    """Yield the manifest entry of each file as it is done."""
    distinct = _DistinctIndices(specs)
    guard, stopped = threading.Lock(), threading.Event()

    def report(rows: int) -> None:
        if stopped.is_set():
            raise StorageError("the build was stopped")
        with guard:
            bar.update(rows)

    def make(shard: Shard) -> dict[str, Any]:
        temporary = journal.temporary(shard.path)
        indices = distinct.of(shard.part)[shard.start : shard.stop]
        report(0)
        with telling(root / shard.path, written=temporary):
            facts = write_shard(temporary, specs[shard.part], indices, report)
        final = root / shard.path
        final.parent.mkdir(exist_ok=True)
        entry = _entry(shard, specs[shard.part], temporary, facts)
        # If the build was stopped in the meantime, another one may have begun.
        report(0)
        with telling(final):
            put(temporary, final)
        return entry

    pool = ThreadPoolExecutor(max_workers=default_threads() if num_threads is None else num_threads)
    try:
        # The slowest files first, so that no thread is left working alone at the end.
        order = sorted(missing, key=_seconds, reverse=True)
        for done in as_completed([pool.submit(make, shard) for shard in order]):
            yield done.result()
    except BaseException:
        stopped.set()
        raise
    finally:
        # A thread that is looking for distinct mates cannot be interrupted; once it has found them, it writes nothing.
        pool.shutdown(wait=not stopped.is_set(), cancel_futures=True)


class _DistinctIndices:
    """The indices of a part's distinct instances, computed once, however many shards the part has."""

    def __init__(self, specs: dict[Part, DataSpec]) -> None:
        self._specs = specs
        self._locks = {part: threading.Lock() for part in specs}
        self._indices: dict[Part, NDArray[np.uint64]] = {}

    def of(self, part: Part) -> NDArray[np.uint64]:
        with self._locks[part]:
            if part not in self._indices:
                self._indices[part] = get_task(part.task).first_distinct(self._specs[part], part.rows, 1)
            return self._indices[part]


def _entry(shard: Shard, spec: DataSpec, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": shard.path,
        "config": shard.part.config,
        "task": spec.task,
        "difficulty": spec.difficulty,
        "variant": spec.variant,
        "split": spec.split,
        "rows": shard.stop - shard.start,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        **facts,
    }
