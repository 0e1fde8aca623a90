"""manifest.json: which files a folder holds, how they were made, and their hashes."""

import json
from pathlib import Path
from typing import Any, Final

from easy_to_hard.tasks import DataSpec, get_task

MANIFEST: Final = "manifest.json"
README: Final = "README.md"
FORMAT: Final = 2


class StorageError(RuntimeError):
    """A folder cannot be built, or is not what it says it is."""


def read_manifest(root: str | Path) -> dict[str, Any]:
    """The manifest of a built folder.

    Raises:
        StorageError: there is none, or it cannot be read.
    """
    path = Path(root).expanduser() / MANIFEST
    if not path.is_file():
        raise StorageError(f"{path} is missing: is {root} a finished build? (easy-to-hard build --out {root})")
    return parse_manifest(path.read_text(encoding="utf-8"), str(path))


def parse_manifest(text: str, where: str) -> dict[str, Any]:
    """The manifest in a text; `where` it is from, for the message.

    Raises:
        StorageError: it is none, or of a format that this version does not know.
    """
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise StorageError(f"{where} is not valid JSON: {error}") from error
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or not isinstance(manifest.get("files"), list)
    ):
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise StorageError(f"{where}: format {found!r} is not known to this version ({FORMAT})")
    return manifest


def files_of(manifest: dict[str, Any], spec: DataSpec, where: str) -> list[dict[str, Any]]:
    """The entries of a spec's config and split, in the order of their rows.

    Raises:
        StorageError: there are none, or they were made with another seed or split rule; the message says what there is.
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
    return sorted(of_split, key=lambda entry: str(entry["path"]))
