"""What a dataset repo already holds, and how much of it was published by this package and may be overwritten."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import yaml

from easy_to_hard.cards.croissant import CROISSANT
from easy_to_hard.cards.folder import EVAL
from easy_to_hard.cards.images import has_image, image_path
from easy_to_hard.hub.repo import Repo, Snapshot
from easy_to_hard.hub.retrying import HubError
from easy_to_hard.hub.upload import PublishReport
from easy_to_hard.storage.manifest import MANIFEST, README, SHARD
from easy_to_hard.tasks import TASKS

REJECTS: Final = "rejects.csv"
# Keys whose change makes a different dataset, rather than more or less of the same one.
IDENTITY: Final = ("preset", "seed", "split_rule")
# One of the tags in the front matter of each card.
_TAG: Final = "easy-to-hard"
_SHOWN_PATHS: Final = 3


def card_pictures() -> tuple[str, ...]:
    """The paths of the pictures that cards show."""
    return tuple(image_path(task) for task in TASKS if has_image(task))


def published_before(repo: Repo, before: Snapshot) -> set[str]:
    """The paths that an earlier `publish` wrote, as the repo's manifest says."""
    there = _manifest_of(repo, before)
    if there is None:
        return set()
    files = there.get("files")
    entries = [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []
    shards = {str(entry.get("path")) for entry in entries if SHARD.fullmatch(str(entry.get("path")))}
    pictures = {image_path(task) for task in TASKS if has_image(task) and any(e.get("task") == task for e in entries)}
    # Converted puzzles have a source, and no draft of a benchmark file.
    return {README, MANIFEST, CROISSANT, REJECTS if "source" in there else EVAL, *pictures, *shards}


def check_overwriting(
    repo: Repo, before: Snapshot, plan: PublishReport, manifest: Mapping[str, Any], replace: bool
) -> None:
    """Check that publishing overwrites nobody else's work.

    Args:
        repo: where to publish.
        before: what it holds.
        plan: what is to be done.
        manifest: what is to be published.
        replace: whether another dataset, or what others made, may be overwritten.

    Raises:
        HubError: it would; the message says what would be overwritten, and what to do.
    """
    stray = _stray(before, plan, manifest["files"])
    if stray:
        raise HubError(
            f"{repo.repo_id} holds {stray}, which its {MANIFEST} does not name and load_dataset would read as part of "
            "this data: remove it from the repo first"
        )
    if replace:
        return
    _check_same_dataset(repo, before, manifest)
    if plan.deleted:
        more = len(plan.deleted) - _SHOWN_PATHS
        shown = ", ".join(plan.deleted[:_SHOWN_PATHS]) + (f" and {more} more" if more > 0 else "")
        raise HubError(
            f"{repo.repo_id} holds files that this folder lacks and that would be deleted ({shown}): give --replace to "
            "delete them, or choose another repo"
        )
    if README in plan.changed and not _is_our_card(_read(repo, README, before)):
        raise HubError(f"{repo.repo_id} has a {README} by somebody else: give --replace to overwrite it")


def _stray(before: Snapshot, plan: PublishReport, files: Collection[Mapping[str, Any]]) -> str:
    """A file that is not part of the data but that `load_dataset` would read as if it were; "" where there is none."""
    splits = {(entry["config"], entry["split"]) for entry in files}
    kept = {*(entry["path"] for entry in files), *plan.deleted}
    for path in before.files:
        folder, _, name = path.rpartition("/")
        if path not in kept and name.endswith(".parquet") and (folder, name.partition("-")[0]) in splits:
            return path
    return ""


def _check_same_dataset(repo: Repo, before: Snapshot, manifest: Mapping[str, Any]) -> None:
    """Raise HubError if the repo holds a dataset other than the manifest's."""
    if MANIFEST not in before.files:
        ours = (CROISSANT, EVAL, REJECTS, *card_pictures())
        others = [path for path in before.files if path in ours or SHARD.fullmatch(path)]
        if others:
            raise HubError(f"{repo.repo_id} holds somebody else's data ({others[0]}): give --replace to overwrite it")
        return
    there = _manifest_of(repo, before)
    if there is None or any(name not in there for name in IDENTITY):
        raise HubError(f"{repo.repo_id} holds a {MANIFEST} that is not readable: give --replace to overwrite it")
    told = ", ".join(
        f"{name} {there[name]!r}, not {manifest[name]!r}" for name in IDENTITY if there[name] != manifest[name]
    )
    if told:
        raise HubError(f"{repo.repo_id} holds another dataset ({told}): choose another repo, or give --replace")


def _manifest_of(repo: Repo, before: Snapshot) -> dict[str, Any] | None:
    """The repo's manifest, which may be of another version or somebody else's; None where there is no readable one."""
    if MANIFEST not in before.files:
        return None
    try:
        there = json.loads(_read(repo, MANIFEST, before))
    except (ValueError, RecursionError):
        return None
    return there if isinstance(there, dict) else None


def _read(repo: Repo, path: str, before: Snapshot) -> str:
    assert before.commit is not None
    return repo.read_text(path, before.commit)


def _is_our_card(text: str) -> bool:
    """Whether a README.md was made by this package or has no text: the Hub creates one with only a license."""
    head, _, rest = f"{text}\n".partition("---\n")
    front, end, body = rest.partition("\n---\n")
    if head.strip() or not end:
        return not text.strip()
    try:
        tags = yaml.safe_load(front)["tags"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        tags = []
    return not body.strip() or (isinstance(tags, list) and _TAG in tags)
