"""Where instances come from, besides being generated: a built folder, or a Hub repo. Nothing here needs torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from easy_to_hard.frozen import frozen_problems, is_proven_by_its_bytes
from easy_to_hard.storage.files import file_sha256, instances_of, read_whole
from easy_to_hard.storage.manifest import MANIFEST, StorageError, files_of, read_manifest
from easy_to_hard.tasks import Array, DataSpec, get_task

SOURCES: Final = ("generate", "folder", "hub", "original")


def check_source(source: str, repo_id: str | None, revision: str | None) -> str:
    """Return the source; ValueError where there is no such source, or repo or revision is missing or does not apply."""
    if revision is not None and (not isinstance(revision, str) or not revision):
        raise ValueError(f"revision must be a tag, branch or commit, or None for the newest, not {revision!r}")
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}: choose one of {', '.join(SOURCES)}")
    if source == "hub" and not repo_id:
        raise ValueError("source 'hub' needs repo_id='owner/name', the Hub repo of the dataset")
    if source != "hub" and (repo_id or revision):
        given = f"repo_id {repo_id!r}" if repo_id else f"revision {revision!r}"
        raise ValueError(f"{given} is for source 'hub', not for source {source!r}")
    return source


def read_folder(root: Path, spec: DataSpec) -> Array:
    """The instances of a config and split in a built folder, (N, ...) in the task's compact form.

    Raises:
        FileNotFoundError, StorageError: as in `folder_files`, or the content of a file does not match the manifest.
    """
    manifest, entries = folder_files(root, spec)
    return _decode(spec, manifest, entries, [root / entry["path"] for entry in entries])


def read_hub(repo_id: str, revision: str | None, spec: DataSpec) -> tuple[Array, str]:
    """The instances of a config and split in a Hub repo, (N, ...) in the task's compact form, and the repo's commit.

    Raises:
        HubError: the Hub cannot be reached, or has no such repo, revision or file.
        StorageError: a file does not match the manifest, or the repo does not hold these instances.
    """
    from easy_to_hard.hub.fetch import open_dataset

    data = open_dataset(repo_id, revision)
    entries = files_of(data.manifest, spec, data.name)
    return _decode(spec, data.manifest, entries, data.fetch(entries)), data.commit


def read_place(place: str, spec: DataSpec) -> Array:
    """The instances of a config and split of a dataset that has been built, (N, ...) in the task's compact form.

    Args:
        place: a folder, or a Hub repo: "owner/name" or "owner/name@revision".
        spec: which instances.

    Raises:
        FileNotFoundError, StorageError, HubError: as in `read_folder` and `read_hub`.
    """
    if is_hub_repo(place):
        from easy_to_hard.hub.retrying import split_revision

        return read_hub(*split_revision(place), spec)[0]
    return read_folder(Path(place).expanduser(), spec)


def _decode(
    spec: DataSpec, manifest: dict[str, Any], entries: Sequence[dict[str, Any]], paths: Sequence[Path]
) -> Array:
    """The instances in files whose bytes have been checked."""
    task, instances = get_task(spec.task), []
    for entry, path in zip(entries, paths, strict=True):
        hashed = not is_proven_by_its_bytes(manifest, entry)
        instances += [instances_of(task, chunk) for chunk in read_whole(path, entry, task, hashed=hashed)]
    return np.concatenate(instances)


def folder_files(root: Path, spec: DataSpec) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The manifest of a built folder, and its entries for a config and split, after checking the bytes of their files.

    Raises:
        FileNotFoundError: there is no dataset, or a file is missing.
        StorageError: a file does not match the manifest, or the folder is not what it claims to be.
    """
    if not (root / MANIFEST).is_file():
        raise FileNotFoundError(
            f"no dataset in {root}, it has no {MANIFEST}: build it with 'easy-to-hard build --out {root}', "
            "or use source='generate'"
        )
    manifest = read_manifest(root)
    entries = files_of(manifest, spec, str(root))
    for problem in frozen_problems(manifest, entries):
        raise StorageError(f"{root}/{problem}")
    for entry in entries:
        path = root / entry["path"]
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: 'easy-to-hard build --out {root}' makes it again")
        found = file_sha256(path)
        if found != entry["sha256"]:
            raise StorageError(f"{path}: SHA-256 is {found}, the manifest says {entry['sha256']}")
    return manifest, entries


def is_hub_repo(place: str) -> bool:
    """Whether "owner/name" or "owner/name@revision" names a Hub repo rather than a folder that exists or might."""
    folder = Path(place).expanduser()
    return place.count("/") == 1 and not folder.exists() and not folder.parent.is_dir()
