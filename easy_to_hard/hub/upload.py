"""Make a Hub repo match a set of files, in one commit, and tag the version.

What is there is compared first, so only files that differ are sent, and an interrupted run resumes: objects that had
arrived are not sent again, and a commit that lacks its tag gets it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final

from easy_to_hard.hub.content import LocalFile
from easy_to_hard.hub.repo import Repo, Snapshot
from easy_to_hard.hub.retrying import HubError, parse_tag

# Files of a new repo.
_OF_THE_HUB: Final = ".gitattributes"


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """What is sent, or would be.

    Attributes:
        repo_id: "owner/name".
        url: URL of its page.
        created: whether the repo is new.
        added, changed, deleted, unchanged: paths in the repo.
        strangers: paths in the folder that are not published.
        size: bytes of the files that are sent.
        commit: the commit that holds the files; None before a repo's first commit.
        tag: name of the version; None for none.
        dry_run: whether this was a dry run, in which nothing is sent.
    """

    repo_id: str
    url: str
    created: bool
    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: tuple[str, ...]
    strangers: tuple[str, ...] = ()
    size: int
    commit: str | None
    tag: str | None
    dry_run: bool

    @property
    def is_empty(self) -> bool:
        """Whether the repo already holds these files."""
        return not (self.added or self.changed or self.deleted)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The state that a repo should be brought to.

    Attributes:
        files: path in the repo -> file.
        owned: whether a path in the repo is of this layout; of the paths not in `files`, only such are removed.
        published: given the repo as it is, the paths that were published there earlier; only such are removed.
        message: of the commit.
        tag: name of the version; None for none.
        private: whether to make a new repo private.
        check_files: raises HubError for files that are not what they should be.
        check: raises HubError for a repo that must not be overwritten as planned.
        strangers: paths in the folder that are not published, for the report.
        dry_run: send nothing.
    """

    files: Mapping[str, Path]
    owned: Callable[[str], bool]
    message: str
    published: Callable[[Repo, Snapshot], Collection[str]] = lambda _repo, snapshot: snapshot.files
    tag: str | None = None
    private: bool = False
    check_files: Callable[[Mapping[str, LocalFile]], None] = lambda _files: None
    check: Callable[[Repo, Snapshot, PublishReport], None] = lambda _repo, _snapshot, _plan: None
    strangers: tuple[str, ...] = ()
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.tag is not None:
            parse_tag(self.tag)


def upload(repo: Repo, wanted: Upload, show: Callable[[PublishReport], None] | None = None) -> PublishReport:
    """Compare, send what differs in one commit, and tag the version.

    Args:
        repo: where to upload.
        wanted: what to upload.
        show: called with the plan before anything is sent.

    Raises:
        HubError: the version exists with other files, the repo must not be overwritten, somebody else is publishing
            there at the same time, a file changes in the meantime, or the Hub rejects the commit.
    """
    local = {path: LocalFile.read(file) for path, file in wanted.files.items()}
    wanted.check_files(local)
    for last in (False, True):
        before = repo.snapshot()
        tagged = _tagged(repo, wanted, local, before)
        plan = _plan(repo, wanted, local, before if tagged is None else tagged)
        if before is not None and tagged is None:
            _check(repo, wanted, before, plan)
        if show is not None and not last:
            show(plan)
        if tagged is not None or wanted.dry_run:
            return plan
        try:
            commit = _send(repo, wanted, local, plan)
        except HubError as error:
            # Somebody else has committed, or our own commit arrived but the response to it was lost.
            if error.status != HTTPStatus.PRECONDITION_FAILED or last:
                raise
            continue
        if wanted.tag is not None:
            _name(repo, wanted, local, commit)
        return replace(plan, commit=commit)
    raise AssertionError("the second attempt returns or raises")


def _plan(repo: Repo, wanted: Upload, local: Mapping[str, LocalFile], before: Snapshot | None) -> PublishReport:
    there = {} if before is None else before.files
    added = tuple(path for path in local if path not in there)
    changed = tuple(path for path in local if path in there and not local[path].is_same(there[path]))
    deleted = tuple(path for path in there if path not in local and wanted.owned(path))
    if deleted and before is not None:
        published = wanted.published(repo, before)
        deleted = tuple(path for path in deleted if path in published)
    return PublishReport(
        repo_id=repo.repo_id,
        url=repo.url,
        created=before is None,
        added=added,
        changed=changed,
        deleted=deleted,
        unchanged=tuple(path for path in local if path not in {*added, *changed}),
        strangers=wanted.strangers,
        size=sum(local[path].size for path in (*added, *changed)),
        commit=None if before is None else before.commit,
        tag=wanted.tag,
        dry_run=wanted.dry_run,
    )


def _tagged(repo: Repo, wanted: Upload, local: Mapping[str, LocalFile], before: Snapshot | None) -> Snapshot | None:
    """The version, if it is already published with these files.

    Raises:
        HubError: it is published with other files.
    """
    if wanted.tag is None or before is None or wanted.tag not in repo.tags():
        return None
    tagged = repo.snapshot(wanted.tag)
    difference = _difference(local, tagged)
    if difference:
        raise HubError(
            f"{repo.repo_id} has a version {wanted.tag} with other files ({difference}), and a version is never "
            "changed: choose another --revision"
        )
    return tagged


def _difference(local: Mapping[str, LocalFile], there: Snapshot | None, deleted: Collection[str] = ()) -> str:
    """The first file that differs, in words; "" where there is none."""
    files = {} if there is None else there.files
    for path, file in local.items():
        if path not in files:
            return f"{path} is not there"
        if not file.is_same(files[path]):
            return f"{path} differs"
    return next((f"{path} is still there" for path in deleted if path in files), "")


def _check(repo: Repo, wanted: Upload, before: Snapshot, plan: PublishReport) -> None:
    if wanted.private and not before.private:
        raise HubError(
            f"{repo.repo_id} is public already: make it private on {repo.url}/settings, or publish without --private"
        )
    if not plan.is_empty:
        wanted.check(repo, before, plan)


def _check_new(repo: Repo, wanted: Upload, made: Snapshot | None) -> None:
    """Raise HubError if somebody else has just created the repo."""
    others = [] if made is None else [path for path in made.files if path != _OF_THE_HUB]
    if others or (wanted.private and made is not None and not made.private):
        told = f"holds {others[0]}" if others else "is public"
        raise HubError(f"{repo.repo_id} was just created by somebody else and {told}: look at {repo.url}")


def _send(repo: Repo, wanted: Upload, local: Mapping[str, LocalFile], plan: PublishReport) -> str:
    """Send what differs, and check that it arrived; returns the commit."""
    if plan.created:
        repo.create(wanted.private)
    if plan.is_empty and plan.commit is not None:
        return plan.commit
    parent = plan.commit
    if plan.created:
        # The Hub makes its own first commit in a new repo.
        made = repo.snapshot()
        _check_new(repo, wanted, made)
        parent = None if made is None else made.commit
    sent = {path: local[path] for path in (*plan.added, *plan.changed)}
    commit = repo.commit(sent, plan.deleted, wanted.message, parent)
    # The Hub silently leaves out files that a .gitignore in the repo names.
    difference = _difference(local, repo.snapshot(commit), plan.deleted)
    if difference:
        raise HubError(f"{repo.repo_id} does not hold at {commit[:12]} what was sent to it: {difference}")
    return commit


def _name(repo: Repo, wanted: Upload, local: Mapping[str, LocalFile], commit: str) -> None:
    """Tag the version; no error if the tag is already there, as when the response to the first attempt was lost."""
    assert wanted.tag is not None
    try:
        repo.add_tag(wanted.tag, commit)
    except HubError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        _tagged(repo, wanted, local, repo.snapshot())
