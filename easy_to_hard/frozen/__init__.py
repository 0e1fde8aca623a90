"""The benchmark's frozen versions: the manifests of the builds that results are reported on.

``v1.json`` is the manifest.json of ``easy-to-hard build --preset full``. Anything built or downloaded with that preset,
seed, and split rule must have the same decoded tensors, on any machine and with any later version.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from easy_to_hard.storage.manifest import parse_manifest

VERSION: Final = "v1"
_IDENTITY: Final = ("preset", "seed", "split_rule")
_HASHES: Final = ("inputs_sha256", "targets_sha256")


@cache
def frozen_manifest() -> dict[str, Any]:
    """The manifest of the current version of the benchmark."""
    name = f"{VERSION}.json"
    return parse_manifest((files(__name__) / name).read_bytes(), name)


@cache
def _frozen_entries() -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in frozen_manifest()["files"]}


def is_frozen(manifest: dict[str, Any]) -> bool:
    """Whether a manifest claims to be the benchmark's."""
    frozen = frozen_manifest()
    return all(manifest.get(name) == frozen[name] for name in _IDENTITY)


def frozen_problems(manifest: dict[str, Any], entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with files that claim to be the benchmark's: a line each, with both hashes.

    Args:
        manifest: of the folder or repo; nothing is wrong if it does not claim to be the benchmark's.
        entries: those of the files that are to be used.
    """
    if not is_frozen(manifest):
        return
    frozen = _frozen_entries()
    for entry in entries:
        for name in _HASHES:
            wanted = frozen.get(entry["path"], {}).get(name)
            if entry[name] != wanted:
                yield f"{entry['path']}: not the benchmark's {VERSION}, where {name} is {wanted}, not {entry[name]}"


def absent_files(manifest: dict[str, Any]) -> list[str]:
    """The benchmark's files that are missing from a manifest that claims to be the benchmark's."""
    known = {entry["path"] for entry in manifest["files"]}
    return [path for path in _frozen_entries() if path not in known] if is_frozen(manifest) else []


def is_proven_by_its_bytes(manifest: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether the SHA-256 in a file's entry is enough to prove that the file is what the manifest says.

    It is not if the manifest claims to be the benchmark's and another version of pyarrow wrote the file: then the
    decoded tensors must be hashed.

    Args:
        manifest: of the folder or repo.
        entry: of a file in it, without `frozen_problems`.
    """
    return not is_frozen(manifest) or entry["sha256"] == _frozen_entries()[entry["path"]]["sha256"]
