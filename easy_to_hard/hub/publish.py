"""Publish a built folder as a dataset repo of the Hub: checked first, in one commit, under a version that stays."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard import __version__
from easy_to_hard.cards.benchmark import EVAL
from easy_to_hard.downloads import Patience
from easy_to_hard.hub.repo import Repo, Snapshot
from easy_to_hard.hub.retrying import HUB_PATIENCE, HubError
from easy_to_hard.hub.upload import PublishReport, Upload, upload
from easy_to_hard.manifest import MANIFEST, README, read_manifest
from easy_to_hard.verification import verify

_NEEDED: Final = (README, MANIFEST)
_OPTIONAL: Final = (EVAL, "rejects.csv")
_SHARD: Final = re.compile(r"\w[\w.-]*/(train|validation|test)-\d{5}-of-\d{5}\.parquet", re.ASCII)
_PICTURE: Final = re.compile(r"images/\w[\w.-]*\.png", re.ASCII)
# What makes one dataset another, rather than more or less of it.
_IDENTITY: Final = ("preset", "seed", "split_rule")
_SHOWN_PROBLEMS: Final = 3


class UnsoundFolderError(HubError):
    """A folder does not pass `verify`.

    Attributes:
        problems: a line each.
    """

    def __init__(self, root: Path, problems: Sequence[str]) -> None:
        more = len(problems) - _SHOWN_PROBLEMS
        shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        super().__init__(f"{root} is not published, since it does not pass `easy-to-hard verify`: {shown}")
        self.problems = tuple(problems)


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    replace: bool = False,
    token: str | None = None,
    message: str | None = None,
    progress: bool = True,
    patience: Patience = HUB_PATIENCE,
    show: Callable[[PublishReport], None] | None = None,
) -> PublishReport:
    """Bring a dataset repo to what a built or converted folder holds.

    The repo is made when it is missing. Files of this layout that the folder does not hold are removed from the
    repo; what others put there stays. Nothing is sent if the repo holds the same already.

    Args:
        folder: what `easy_to_hard.build` or `convert-lichess` made.
        repo_id: "owner/name".
        private: make a new repo private.
        revision: name of the version, a tag such as "v1". A version never changes: one that exists with the same
            files is fine, and with others refused.
        dry_run: look, and send nothing; needs no token for a repo that is public or missing.
        replace: allow that the repo holds another dataset (other preset, seed or split rule).
        token: None for HF_TOKEN, or what `hf auth login` stored.
        message: of the commit; by default what the folder is.
        progress: show bars, and what is tried again.
        patience: how often each call is tried; its timeout is not used.
        show: called with what will be sent, before it is.

    Raises:
        UnsoundFolderError: `verify` finds problems; nothing is contacted.
        HubError: no token, a version or dataset that must not be overwritten, or the Hub does not take it.
        StorageError: the folder holds no manifest.
        ValueError: repo_id or revision cannot be such names.
    """
    root = Path(folder).expanduser()
    repo = Repo(repo_id, "dataset", token=token, writes=not dry_run, patience=patience, progress=progress)
    manifest = read_manifest(root)
    files = published_files(root, manifest)
    described = ", ".join(f"{name.replace('_', ' ')} {manifest[name]}" for name in _IDENTITY)
    wanted = Upload(
        files=files,
        owned=is_of_layout,
        message=message or f"easy-to-hard {__version__}: {described}",
        tag=revision,
        private=private,
        check=lambda there, before: None if replace else _check_same_dataset(there, before, manifest),
        strangers=_strangers(root, files),
        dry_run=dry_run,
    )
    problems = verify(root, progress=progress).problems
    if problems:
        raise UnsoundFolderError(root, problems)
    return upload(repo, wanted, show)


def is_of_layout(path: str) -> bool:
    """Whether a path in a repo is one that `publish` writes."""
    return path in (*_NEEDED, *_OPTIONAL) or bool(_SHARD.fullmatch(path) or _PICTURE.fullmatch(path))


def published_files(root: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """Path in the repo to the file, of all that is published of a folder.

    Raises:
        UnsoundFolderError: a path in the manifest leads elsewhere, or a file is missing.
    """
    shards = [str(entry["path"]) for entry in manifest["files"]]
    odd = [f"{MANIFEST}: {path!r} is no path of a shard" for path in shards if not _SHARD.fullmatch(path)]
    missing = [f"{path}: missing" for path in (*shards, *_NEEDED) if not (root / path).is_file()]
    if odd or missing:
        raise UnsoundFolderError(root, odd or missing)
    pictures = sorted(path.relative_to(root).as_posix() for path in root.glob("images/*.png"))
    optional = [path for path in (*_OPTIONAL, *filter(_PICTURE.fullmatch, pictures)) if (root / path).is_file()]
    return {path: root / path for path in (*_NEEDED, *optional, *shards)}


def _strangers(root: Path, files: dict[str, Path]) -> tuple[str, ...]:
    """What else lies in the folder; hidden files and folders (locks, unfinished builds) go without saying."""
    paths = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
    visible = (path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    return tuple(path for path in visible if path not in files)


def _check_same_dataset(repo: Repo, before: Snapshot, manifest: dict[str, Any]) -> None:
    """HubError if the repo holds another dataset than the manifest's."""
    ours = {name: manifest[name] for name in _IDENTITY}
    if MANIFEST not in before.files:
        others = [path for path in before.files if is_of_layout(path) and path != README]
        if others:
            raise HubError(f"{repo.repo_id} holds data of somebody else ({others[0]}): give --replace to write over it")
        return
    assert before.commit is not None
    try:
        there = json.loads(repo.read_text(MANIFEST, before.commit))
        theirs = {name: there[name] for name in _IDENTITY}
    except (ValueError, KeyError, TypeError):
        raise HubError(
            f"{repo.repo_id} holds a {MANIFEST} that is not readable: give --replace to write over it"
        ) from None
    if theirs != ours:
        told = ", ".join(
            f"{name} {theirs[name]!r}, not {ours[name]!r}" for name in _IDENTITY if theirs[name] != ours[name]
        )
        raise HubError(f"{repo.repo_id} holds another dataset ({told}): choose another repo, or give --replace")
