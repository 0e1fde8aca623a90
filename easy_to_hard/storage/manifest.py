"""manifest.json: which files a folder holds, how they were made, and their hashes."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard.generators.splits import SPLITS
from easy_to_hard.tasks import TASKS, DataSpec, config_name, get_task

MANIFEST: Final = "manifest.json"
README: Final = "README.md"
FORMAT: Final = 2
# The form of a shard's path: nothing else is read, downloaded, removed or published as a shard.
SHARD: Final = re.compile(
    rf"(?P<config>\w[\w.-]*)/(?P<split>{'|'.join(SPLITS)})-(?P<number>\d{{5}})-of-(?P<total>\d{{5}})\.parquet", re.ASCII
)
_DIGESTS: Final = ("sha256", "inputs_sha256", "targets_sha256")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_HEADER: Final = {"package_version": str, "preset": str, "seed": int, "split_rule": str}
_ENTRY: Final = {
    **dict.fromkeys(("path", "config", "task", "variant", "split", *_DIGESTS), str),
    **dict.fromkeys(("difficulty", "rows", "bytes", "num_bytes", "target_ones"), int),
}


class StorageError(RuntimeError):
    """A folder cannot be built, or is not what it claims to be."""


def read_manifest(root: str | Path) -> dict[str, Any]:
    """The manifest of a built folder.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    path = Path(root).expanduser() / MANIFEST
    if not path.is_file():
        raise StorageError(f"{path} is missing: is {root} a finished build? (easy-to-hard build --out {root})")
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(content: bytes, where: str) -> dict[str, Any]:
    """Parse the bytes of a manifest; `where` says in messages where it is from.

    It may come from an untrusted source, so all of it is checked: no path in it leads out of the folder.

    Raises:
        StorageError: it is not a manifest, is in a format that this version does not know, or names invalid files.
    """
    try:
        manifest = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{where} is not valid JSON: {error}") from error
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or not isinstance(manifest.get("files"), list)
    ):
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise StorageError(f"{where}: format {found!r} is not known to this version ({FORMAT})")
    _check_types(manifest, _HEADER, where)
    edges = manifest.get("edges", [])
    if not isinstance(edges, list) or any(type(edge) is not int for edge in edges):
        raise StorageError(f"{where}: edges must be whole numbers, not {edges!r}")
    for number, entry in enumerate(manifest["files"], 1):
        check_entry(entry, f"{where}, file {number}")
    _check_paths(manifest["files"], where)
    return manifest


def check_entry(entry: Any, where: str) -> None:
    """Check that an entry of a manifest, or of a journal, is well formed.

    Raises:
        StorageError: it is not; the message says which part, and what it must be.
    """
    _check_types(entry, _ENTRY, where)
    path = entry["path"]
    found = SHARD.fullmatch(path)
    if found is None or int(found["number"]) >= int(found["total"]):
        raise StorageError(f"{where}: {path!r} is not the path of a shard, such as mazes_9/test-00000-of-00001.parquet")
    for name in ("config", "split"):
        if entry[name] != found[name]:
            raise StorageError(f"{where}: {name} is {entry[name]!r}, and the path is {path}")
    if entry["task"] in TASKS:
        config = config_name(entry["task"], entry["difficulty"], entry["variant"])
        if entry["config"] != config:
            raise StorageError(f"{where}: config is {entry['config']!r}, and the task's is {config!r}")
    for name in _DIGESTS:
        if _DIGEST.fullmatch(entry[name]) is None:
            raise StorageError(f"{where}: {name} must be 64 hexadecimal digits, not {entry[name]!r}")
    if entry["rows"] < 1:
        raise StorageError(f"{where}: rows must be at least 1, not {entry['rows']}")


def _check_types(found: Any, wanted: Mapping[str, type], where: str) -> None:
    if not isinstance(found, dict):
        raise StorageError(f"{where}: must be an object, not {found!r}")
    for name, kind in wanted.items():
        # True and False are integers in Python.
        if type(found.get(name)) is not kind:
            told = repr(found[name]) if name in found else "missing"
            raise StorageError(f"{where}: {name} is {told}, but must be of type {kind.__name__}")


def _check_paths(entries: Sequence[dict[str, Any]], where: str) -> None:
    """Check that no file is named twice, and that the files of a split agree on how many there are."""
    known: set[str] = set()
    totals: dict[tuple[str, str], str] = {}
    for entry in entries:
        path, (config, split, _, total) = entry["path"], _parts(entry["path"])
        if path in known:
            raise StorageError(f"{where} names {path} twice")
        if totals.setdefault((config, split), total) != total:
            raise StorageError(
                f"{where} names {path} where others of {config}, {split}, are of {totals[config, split]}"
            )
        known.add(path)


def _parts(path: str) -> tuple[str, str, str, str]:
    """Config, split, number and total in the path of a shard."""
    found = SHARD.fullmatch(path)
    assert found is not None
    return found["config"], found["split"], found["number"], found["total"]


def absent_shards(entries: Sequence[dict[str, Any]]) -> list[str]:
    """The paths of missing shards: ``.../train-00001-of-00002.parquet`` if the entries have only the first of two."""
    known = {entry["path"] for entry in entries}
    wanted = (
        f"{config}/{split}-{number:05d}-of-{total}.parquet"
        for config, split, total in {(parts[0], parts[1], parts[3]) for parts in map(_parts, known)}
        for number in range(int(total))
    )
    return sorted(path for path in wanted if path not in known)


def files_of(manifest: dict[str, Any], spec: DataSpec, where: str) -> list[dict[str, Any]]:
    """The entries of a spec's config and split, in the order of their rows.

    Raises:
        StorageError: some or all are missing, or they were made with another seed or split rule; the message says what
            there is.
    """
    if not get_task(spec.task).imported:
        for name, wanted in (("seed", spec.seed), ("split_rule", spec.split_rule)):
            if manifest[name] != wanted:
                raise StorageError(f"{where} was made with {name} {manifest[name]!r}, not {wanted!r}")
    entries = [entry for entry in manifest["files"] if entry["config"] == spec.config]
    if not entries:
        held = [entry["config"] for entry in manifest["files"] if entry["task"] == spec.task]
        told = ", ".join(dict.fromkeys(held)) or f"no {spec.task} at all"
        raise StorageError(f"{where} has no {spec.config}: it holds {told}")
    of_split = [entry for entry in entries if entry["split"] == spec.split]
    if not of_split:
        splits = ", ".join(dict.fromkeys(entry["split"] for entry in entries))
        raise StorageError(f"{where} has no split {spec.split!r} of {spec.config}: it holds {splits}")
    absent = absent_shards(of_split)
    if absent:
        raise StorageError(f"{where} lacks {absent[0]}: its {MANIFEST} does not name it; build or download it again")
    return sorted(of_split, key=lambda entry: str(entry["path"]))
