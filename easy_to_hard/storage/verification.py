"""Check a built folder: every byte, plus a sample of rows that are generated and solved again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from easy_to_hard.cards.croissant import croissant_problems
from easy_to_hard.frozen import absent_files, frozen_problems
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.files import (
    Chunk,
    Sample,
    TensorHash,
    arrow_bytes,
    chunk_rows,
    file_sha256,
    instances_of,
    make_chunk,
    read_shard,
)
from easy_to_hard.storage.manifest import MANIFEST, README, absent_shards, read_manifest
from easy_to_hard.tasks import DataSpec, get_task

_SAMPLED_ROWS: Final = 16
_NOTHING: Final = np.empty(0, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        root: the folder.
        files, rows: how many were read.
        problems: a line each, naming the file; empty if there are none.
    """

    root: Path
    files: int
    rows: int
    problems: tuple[str, ...]


def verify(root: str | Path, *, progress: bool = True) -> VerifyReport:
    """Read a folder again and check it against its manifest.

    For every file: SHA-256 of the file and of the decoded tensors, number of rows, size on disk and in memory, the
    manifest's own sample, and another sample of rows (16 per row group) that are generated again from their item
    numbers, solved from what a network would see, and hashed to check that they belong to their split. For every
    config: no item twice, and under the "hash" rule no layout in two splits. For the folder: no file that is not in the
    manifest, a manifest that lists all files of each split, a README.md that names all configs, and a croissant.json,
    where there is one, that names all files with their hashes. For a build of the
    benchmark (preset "full", seed 0): all files of `easy_to_hard.frozen`, and their hashes.

    Raises:
        StorageError: there is no readable manifest.

    Example:
        >>> from easy_to_hard import build, verify
        >>> report = build("data", preset="tiny", progress=False)
        >>> verify("data", progress=False).problems
        ()
    """
    root = Path(root).expanduser()
    manifest = read_manifest(root)
    problems = list(_check_folder(root, manifest))
    seen = _Seen()
    rows = sum(entry["rows"] for entry in manifest["files"])
    with progress_bar(
        total=rows, unit="rows", unit_scale=True, desc=f"verifying {root}", always=True, show=progress
    ) as bar:
        for entry in manifest["files"]:
            problems += _check_file(root, entry, manifest, seen, bar.update)
    problems += seen.repeated_items()
    problems += frozen_problems(manifest, manifest["files"])
    if manifest["split_rule"] == "hash":
        problems += seen.shared_layouts()
    return VerifyReport(root=root, files=len(manifest["files"]), rows=rows, problems=tuple(problems))


def _check_folder(root: Path, manifest: dict[str, Any]) -> Iterator[str]:
    known = {entry["path"] for entry in manifest["files"]}
    for path in sorted(root.glob("*/*.parquet")):
        name = path.relative_to(root).as_posix()
        if name not in known and not name.startswith("."):
            yield f"{name}: not in the manifest"
    for name in dict.fromkeys([*absent_shards(manifest["files"]), *absent_files(manifest)]):
        yield f"{MANIFEST}: {name} is missing"
    yield from croissant_problems(root, manifest["files"])
    try:
        _, front, _ = (root / README).read_text(encoding="utf-8").split("---\n", 2)
        configs = {config["config_name"] for config in yaml.safe_load(front)["configs"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        yield f"{README}: no readable configs ({type(error).__name__}: {error})"
        return
    for config in sorted({entry["config"] for entry in manifest["files"]} - configs):
        yield f"{README}: config {config} is missing"


class _Seen:
    """The items and layouts of each split of each config, to find what occurs twice."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, list[tuple[str, Chunk]]]] = {}

    def add(self, entry: dict[str, Any], chunk: Chunk) -> None:
        """Record a chunk, without its tensors."""
        bare = Chunk(indices=chunk.indices, inputs=_NOTHING, targets=_NOTHING, columns=chunk.columns)
        part = self._parts.setdefault(entry["config"], {}).setdefault(entry["split"], [])
        part.append((entry["path"], bare))

    def repeated_items(self) -> Iterator[str]:
        """A line for each item number that occurs twice in a split."""
        for splits in self._parts.values():
            for chunks in splits.values():
                items, times = np.unique(np.concatenate([chunk.indices for _, chunk in chunks]), return_counts=True)
                yield from (f"{chunks[0][0]}: item {item} occurs twice" for item in items[times > 1])

    def shared_layouts(self) -> Iterator[str]:
        """A line for each layout that is in two splits of a config."""
        for splits in self._parts.values():
            layouts = {
                split: np.concatenate([chunk.columns[name] for _, chunk in chunks]).astype(str)
                for split, chunks in splits.items()
                for name in chunks[0][1].columns
                if name.endswith("_hash")
            }
            for one, other in combinations(layouts, 2):
                for layout in np.intersect1d(layouts[one], layouts[other]):
                    yield f"{splits[other][0][0]}: layout {layout} is in {one} too"


def _check_file(
    root: Path, entry: dict[str, Any], manifest: dict[str, Any], seen: _Seen, advance: Callable[[int], Any]
) -> list[str]:
    path = root / entry["path"]
    if not path.is_file():
        return [f"{entry['path']}: missing"]
    problems = []
    found = file_sha256(path)
    if found != entry["sha256"]:
        problems.append(f"{entry['path']}: SHA-256 is {found}, the manifest says {entry['sha256']}")
    try:
        problems += _check_rows(path, entry, manifest, seen, advance)
    except ValueError as error:
        problems.append(f"{entry['path']}: {str(error).removeprefix(f'{path}: ')}")
    return problems


def _check_rows(
    path: Path, entry: dict[str, Any], manifest: dict[str, Any], seen: _Seen, advance: Callable[[int], Any]
) -> Iterator[str]:
    task = get_task(entry["task"])
    spec = DataSpec(
        task=entry["task"],
        difficulty=entry["difficulty"],
        variant=entry["variant"],
        split=entry["split"],
        seed=manifest["seed"],
        split_rule=manifest["split_rule"],
        root=str(path.parent.parent) if task.imported else "",
    )
    tensors, rows, sample = TensorHash(), 0, Sample(entry["rows"])
    for chunk in read_shard(path, task, spec.difficulty):
        tensors.update(chunk)
        sample.update(chunk)
        rows += len(chunk)
        seen.add(entry, chunk)
        yield from (f"{entry['path']}: {problem}" for problem in _check_sample(spec, chunk))
        advance(len(chunk))
    if rows != entry["rows"]:
        yield f"{entry['path']}: {rows} rows, the manifest says {entry['rows']}"
    for name, value in {**tensors.digests(), "target_ones": tensors.target_ones}.items():
        if value != entry[name]:
            yield f"{entry['path']}: {name} of the decoded tensors is {value}, the manifest says {entry[name]}"
    facts: dict[str, Any] = {"bytes": path.stat().st_size, "num_bytes": arrow_bytes(path)}
    if rows == entry["rows"]:
        facts["sample"] = sample.facts()
    for name, value in facts.items():
        if value != entry.get(name, value):
            yield f"{entry['path']}: {name} is {value}, the manifest says {entry[name]}"


def _check_sample(spec: DataSpec, chunk: Chunk) -> Iterator[str]:
    """Generate some rows of a chunk again, solve them, and hash them."""
    task = get_task(spec.task)
    number = min(len(chunk), _SAMPLED_ROWS, chunk_rows(task, spec.difficulty))
    rows = np.unique(np.linspace(0, len(chunk) - 1, number).astype(int))
    again = None if task.imported else make_chunk(spec, chunk.indices[rows], None)
    solved = task.solve(chunk.inputs[rows], spec.difficulty)
    splits = task.splits_of(instances_of(task, chunk, rows), spec.difficulty)
    for i, row in enumerate(rows.tolist()):
        item = f"item {chunk.indices[row]}"
        if again is not None:
            same = [chunk.inputs[row], chunk.targets[row], *(values[row] for values in chunk.columns.values())]
            made = [again.inputs[i], again.targets[i], *(values[i] for values in again.columns.values())]
            if not all(np.array_equal(a, b) for a, b in zip(same, made, strict=True)):
                yield f"{item} differs from what the generator makes"
        if solved is not None and not np.array_equal(solved[i], chunk.targets[row]):
            yield f"{item}: the target is not the solution"
        if spec.split_rule == "hash" and splits[i] != spec.split:
            yield f"{item} belongs to split {splits[i]}"
