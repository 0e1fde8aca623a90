"""Publish a built folder as a dataset repo on the Hub: checked first, in one commit, under a permanent version."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard.cards.croissant import CROISSANT
from easy_to_hard.cards.folder import EVAL
from easy_to_hard.environment import __version__
from easy_to_hard.hub.content import LocalFile
from easy_to_hard.hub.published import IDENTITY, REJECTS, card_pictures, check_overwriting, published_before
from easy_to_hard.hub.repo import Repo
from easy_to_hard.hub.retrying import HUB_PATIENCE, HubError
from easy_to_hard.hub.upload import PublishReport, Upload, upload
from easy_to_hard.storage.downloads import Patience
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.manifest import MANIFEST, README, SHARD, read_manifest
from easy_to_hard.storage.verification import verify

_NEEDED: Final = (README, MANIFEST)
_SHOWN_PROBLEMS: Final = 3


class UnsoundFolderError(HubError):
    """A folder does not pass `verify`.

    Attributes:
        problems: one line per problem.
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
    """Make a dataset repo hold what a built or converted folder holds.

    The repo is created if it does not exist. Files that were published there earlier and that the folder does not hold
    are removed, with `replace`; what others put there stays. Nothing is sent if the repo already holds the same.

    Args:
        folder: what `easy_to_hard.build` or `convert-lichess` made.
        repo_id: "owner/name".
        private: make a new repo private.
        revision: name of the version, a tag such as "v1". A version never changes: if it exists, it must have the same
            files, or publishing is refused.
        dry_run: compare, and send nothing; needs no token for a repo that is public or does not exist.
        replace: allow overwriting another dataset (other preset, seed or split rule) or somebody else's README.md, and
            deleting files of an earlier version that this folder lacks.
        token: None for HF_TOKEN, or what `hf auth login` stored.
        message: of the commit; by default, a description of the folder.
        progress: show bars and retries.
        patience: how often each call is tried; its timeout is not used.
        show: called with the plan of what will be sent, before it is sent.

    Raises:
        UnsoundFolderError: `verify` finds problems, or a file is a symbolic link, and nothing is contacted; or a file
            changes in the meantime, and nothing is sent.
        HubError: there is no token, a version or dataset must not be overwritten, or the Hub rejects the commit.
        StorageError: the folder holds no manifest.
        ValueError: repo_id or revision is not a valid name.

    Example:
        >>> from easy_to_hard import build, publish
        >>> report = build("data", preset="tiny", progress=False)
        >>> plan = publish("data", "you/easy-to-hard", dry_run=True, progress=False)
        >>> plan.created, "README.md" in plan.added, plan.deleted
        (True, True, ())
    """
    root = Path(folder).expanduser()
    repo = Repo(repo_id, "dataset", token=token, writes=not dry_run, patience=patience, progress=progress)
    manifest = read_manifest(root)
    files = published_files(root, manifest)
    shards = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    expected = {path: shards[path] if path in shards else file_sha256(file) for path, file in files.items()}
    described = ", ".join(f"{name.replace('_', ' ')} {manifest[name]}" for name in IDENTITY)
    wanted = Upload(
        files=files,
        owned=is_of_layout,
        message=message or f"easy-to-hard {__version__}: {described}",
        tag=revision,
        private=private,
        published=published_before,
        check_files=lambda local: _check_unchanged(root, local, expected),
        check=lambda there, before, plan: check_overwriting(there, before, plan, manifest, replace),
        strangers=_strangers(root, files),
        dry_run=dry_run,
    )
    problems = verify(root, progress=progress).problems
    if problems:
        raise UnsoundFolderError(root, problems)
    return upload(repo, wanted, show)


def is_of_layout(path: str) -> bool:
    """Whether a path in a repo is one that `publish` writes."""
    return path in (*_NEEDED, *_optional()) or SHARD.fullmatch(path) is not None


def _optional() -> tuple[str, ...]:
    return CROISSANT, EVAL, REJECTS, *card_pictures()


def published_files(root: Path, manifest: dict[str, Any]) -> dict[str, Path]:
    """Everything in a folder that is published: path in the repo -> file.

    Raises:
        UnsoundFolderError: a file is missing, or is a symbolic link.
    """
    shards = [str(entry["path"]) for entry in manifest["files"]]
    optional = [path for path in _optional() if (root / path).is_file()]
    files = {path: root / path for path in (*_NEEDED, *optional, *shards)}
    problems = [f"{path}: missing" for path, file in files.items() if not file.is_file()]
    # The target of a link may never have been meant for publication.
    links = [path for path, file in files.items() if file.is_symlink() or file.parent.resolve() != _within(root, path)]
    problems += [f"{path}: a symbolic link, which is not published; put a copy in its place" for path in links]
    if not shards:
        problems.append(f"{MANIFEST}: names no file")
    if problems:
        raise UnsoundFolderError(root, problems)
    return files


def _within(root: Path, path: str) -> Path:
    """The folder that a path would be in if no links were followed."""
    return root.resolve() / Path(path).parent


def _check_unchanged(root: Path, local: Mapping[str, LocalFile], expected: Mapping[str, str]) -> None:
    """Raise UnsoundFolderError if a file has changed since before the folder was verified."""
    problems = [
        f"{path}: changed in the meantime, its SHA-256 is {file.sha256} and was {expected[path]}"
        for path, file in local.items()
        if file.sha256 != expected[path]
    ]
    if problems:
        raise UnsoundFolderError(root, problems)


def _strangers(root: Path, files: dict[str, Path]) -> tuple[str, ...]:
    """What else is in the folder, apart from hidden files and folders (locks, unfinished builds)."""
    paths = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
    visible = (path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    return tuple(path for path in visible if path not in files)
