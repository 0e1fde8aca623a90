"""Build a Hub-layout folder of parquet shards, and verify one.

A folder holds ``<config>/<split>-00000-of-00001.parquet``, a README.md whose YAML names the configs, and
manifest.json. While a build runs, ``.build/progress.jsonl`` lists the shards that are whole; a build that was
killed takes them over, once their hashes have been checked, and makes the rest. The result is the same, byte for
byte, as that of a build that was never stopped.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from tqdm import tqdm

from easy_to_hard import __version__
from easy_to_hard.card import dataset_card
from easy_to_hard.files import file_sha256, row_bytes, write_atomically, write_json, write_shard
from easy_to_hard.generators.parallel import default_threads
from easy_to_hard.presets import Part, get_preset
from easy_to_hard.tasks import DataSpec, get_task

MANIFEST: Final = "manifest.json"
README: Final = "README.md"
_STATE: Final = ".build"
_LOCK: Final = ".lock"
FORMAT: Final = 1
_SHARD_BYTES: Final = 2**29


class StorageError(RuntimeError):
    """A folder cannot be built, or is not what it says it is."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file to be: rows [start, stop) of a part."""

    part: Part
    start: int
    stop: int
    path: str


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build did.

    Attributes:
        root: the folder.
        made: shards written by this call.
        kept: shards that were there already, whole.
        rows: rows of all shards.
        size: bytes of all shards.
    """

    root: Path
    made: int
    kept: int
    rows: int
    size: int


def plan_shards(parts: Sequence[Part]) -> list[Shard]:
    """The files of a build: a part is cut into equal shards of at most 512 MiB once decoded."""
    shards = []
    for part in parts:
        number = -(-part.rows * row_bytes(get_task(part.task), part.difficulty) // _SHARD_BYTES)
        bounds = np.linspace(0, part.rows, number + 1).round().astype(int).tolist()
        for i in range(number):
            path = f"{part.config}/{part.split}-{i:05d}-of-{number:05d}.parquet"
            shards.append(Shard(part=part, start=bounds[i], stop=bounds[i + 1], path=path))
    return shards


def build(
    root: str | Path,
    *,
    preset: str = "small",
    seed: int = 0,
    split_rule: str = "hash",
    parts: Sequence[Part] | None = None,
    num_threads: int | None = None,
    progress: bool = True,
) -> BuildReport:
    """Make the datasets of a preset in a folder, or finish them where a former build was stopped.

    Args:
        root: the folder, made when it is missing; ``~`` is expanded.
        preset: name in `PRESETS`; only a label when `parts` is given.
        seed: any integer.
        split_rule: "hash" or "original", see `easy_to_hard.generators.splits`.
        parts: what to make instead of the preset's.
        num_threads: shards made at a time; None for one a core. The bytes do not depend on it.
        progress: show a bar.

    Raises:
        StorageError: the folder holds something else, or another process is building there.
        NotEnoughInstancesError: a split has fewer distinct instances than the preset asks for.
        ValueError: unknown preset or split rule.
    """
    root = Path(root).expanduser()
    chosen = tuple(get_preset(preset) if parts is None else parts)
    header = {
        "format": FORMAT,
        "package_version": __version__,
        "preset": preset,
        "seed": seed,
        "split_rule": split_rule,
    }
    shards = plan_shards(chosen)
    specs = {part: _spec(part, seed, split_rule) for part in chosen}
    if root.exists() and not root.is_dir():
        raise StorageError(f"{root} is a file, not a folder")
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / _LOCK, timeout=0):
            return _build(root, header, shards, specs, num_threads, progress)
    except Timeout as error:
        raise StorageError(
            f"{root}: another process is building there; wait for it or choose another folder"
        ) from error


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


def _build(
    root: Path,
    header: dict[str, Any],
    shards: list[Shard],
    specs: dict[Part, DataSpec],
    num_threads: int | None,
    progress: bool,
) -> BuildReport:
    journal = _Journal(root, header, [shard.path for shard in shards])
    entries = journal.whole_files()
    missing = [shard for shard in shards if shard.path not in entries]
    rows = sum(shard.stop - shard.start for shard in shards)
    with tqdm(total=rows, unit="row", unit_scale=True, desc=f"building {root}", disable=not progress) as bar:
        bar.update(rows - sum(shard.stop - shard.start for shard in missing))
        for entry in _make_shards(root, missing, specs, num_threads, bar):
            journal.add(entry)
            entries[entry["path"]] = entry
    files = [entries[shard.path] for shard in shards]
    write_atomically(root / README, dataset_card(header, files))
    write_json(root / MANIFEST, {**header, "files": files})
    journal.close()
    size = sum(entry["bytes"] for entry in files)
    return BuildReport(root=root, made=len(missing), kept=len(shards) - len(missing), rows=rows, size=size)


def _make_shards(
    root: Path, missing: list[Shard], specs: dict[Part, DataSpec], num_threads: int | None, bar: "tqdm[Any]"
) -> Iterator[dict[str, Any]]:
    """Yield the manifest entry of each shard as it is done."""
    distinct = _DistinctIndices(specs)
    guard = threading.Lock()

    def report(rows: int) -> None:
        with guard:
            bar.update(rows)

    def make(shard: Shard) -> dict[str, Any]:
        temporary = root / _STATE / shard.path.replace("/", "-")
        indices = distinct.of(shard.part)[shard.start : shard.stop]
        digests = write_shard(temporary, specs[shard.part], indices, report)
        final = root / shard.path
        final.parent.mkdir(exist_ok=True)
        entry = _entry(shard, specs[shard.part], temporary, digests)
        os.replace(temporary, final)
        return entry

    pool = ThreadPoolExecutor(max_workers=default_threads() if num_threads is None else num_threads)
    try:
        # The longest first, so that no thread is left alone with one at the end.
        order = sorted(missing, key=lambda shard: -(shard.stop - shard.start) * specs[shard.part].difficulty ** 2)
        for done in as_completed([pool.submit(make, shard) for shard in order]):
            yield done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _DistinctIndices:
    """The indices of a part's distinct instances, worked out once, however many shards it has."""

    def __init__(self, specs: dict[Part, DataSpec]) -> None:
        self._specs = specs
        self._locks = {part: threading.Lock() for part in specs}
        self._indices: dict[Part, NDArray[np.uint64]] = {}

    def of(self, part: Part) -> NDArray[np.uint64]:
        with self._locks[part]:
            if part not in self._indices:
                self._indices[part] = get_task(part.task).first_distinct(self._specs[part], part.rows, 1)
            return self._indices[part]


def _entry(shard: Shard, spec: DataSpec, path: Path, digests: dict[str, str]) -> dict[str, Any]:
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
        **digests,
    }


class _Journal:
    """Which shards of a folder are whole. Made before anything is written, gone when the manifest stands."""

    def __init__(self, root: Path, header: dict[str, Any], paths: list[str]) -> None:
        self._root = root
        self._state = root / _STATE
        self._file = self._state / "progress.jsonl"
        self._plan = {**header, "paths": paths}
        self._known = self._read()
        self._state.mkdir(exist_ok=True)
        for leftover in self._state.glob("*.parquet"):
            leftover.unlink()
        write_atomically(self._file, "".join(json.dumps(line) + "\n" for line in [self._plan, *self._known]))

    def _read(self) -> list[dict[str, Any]]:
        """Entries of the former build, from its journal or its manifest; StorageError if it made something else."""
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines()
            plan, entries = json.loads(lines[0]), [_parse(line) for line in lines[1:]]
        elif (self._root / MANIFEST).exists():
            manifest = read_manifest(self._root)
            entries = manifest.pop("files")
            plan = {**manifest, "paths": [entry["path"] for entry in entries]}
        else:
            strangers = [path.name for path in self._root.iterdir() if path.name not in (_LOCK, _STATE)]
            if strangers:
                raise StorageError(f"{self._root} is not empty and holds no dataset: found {sorted(strangers)[0]}")
            return []
        for key, value in self._plan.items():
            if plan.get(key) != value:
                told = "other files" if key == "paths" else f"{key} {plan.get(key)!r}, not {value!r}"
                raise StorageError(f"{self._root} holds another dataset ({told}): choose another folder")
        return [entry for entry in entries if entry is not None]

    def whole_files(self) -> dict[str, dict[str, Any]]:
        """Entries whose file is there and has the hash it had when it was written."""
        whole = {}
        for entry in self._known:
            path = self._root / entry["path"]
            if path.is_file() and file_sha256(path) == entry["sha256"]:
                whole[entry["path"]] = entry
        return whole

    def add(self, entry: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        shutil.rmtree(self._state)


def _parse(line: str) -> dict[str, Any] | None:
    """A line of the journal; None for the last one of a build that was killed while writing it."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry


def read_manifest(root: str | Path) -> dict[str, Any]:
    """The manifest of a built folder.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    path = Path(root).expanduser() / MANIFEST
    if not path.is_file():
        raise StorageError(f"{path} is missing: is {root} a finished build? (easy-to-hard build --out {root})")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON: {error}") from error
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("files"), list):
        raise StorageError(f"{path}: format {manifest.get('format')!r} is not known to this version ({FORMAT})")
    return manifest
