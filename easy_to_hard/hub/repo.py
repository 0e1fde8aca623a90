"""A Hub repo to write to: what it holds, its versions, and commits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal

from easy_to_hard.extras import naming_extra
from easy_to_hard.hub.content import LocalFile
from easy_to_hard.hub.retrying import HubError, T, parse_repo_id, retrying
from easy_to_hard.storage.downloads import Patience

_BRANCH: Final = "main"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A repo at one commit.

    Attributes:
        commit: 40 hexadecimal digits; None where there is no commit yet.
        private: whether access is restricted.
        files: path -> what huggingface_hub says about the file.
    """

    commit: str | None
    private: bool
    files: Mapping[str, Any]


class Repo:
    """A Hub repo; every call is retried where that may help.

    Args:
        repo_id: "owner/name".
        repo_type: "dataset" or "model".
        token: None for the one that huggingface_hub finds.
        writes: whether it will be written to, which needs a token.
        patience: how often calls are tried.
        progress: show bars and retries.

    Raises:
        ValueError: `repo_id` is not an id.
        HubError: there is no token, or HF_HUB_OFFLINE is set.
        MissingExtraError: huggingface_hub is not installed.
    """

    def __init__(
        self,
        repo_id: str,
        repo_type: Literal["dataset", "model"],
        *,
        token: str | None,
        writes: bool,
        patience: Patience,
        progress: bool,
    ) -> None:
        with naming_extra("the Hub needs"):
            from huggingface_hub import HfApi, constants, get_token

        self.repo_id, self.repo_type = parse_repo_id(repo_id), repo_type
        self._patience, self.progress = patience, progress
        if constants.HF_HUB_OFFLINE:
            raise HubError("HF_HUB_OFFLINE is set: publishing needs the network, unset it and try again")
        self._token = token or get_token()
        if writes and self._token is None:
            raise HubError(
                f"no token, and {repo_id} cannot be written without one: "
                "set HF_TOKEN or run 'hf auth login' with a token that may write (huggingface.co/settings/tokens)"
            )
        self._api = HfApi(token=self._token)
        self.url = f"{self._api.endpoint}/{'datasets/' if repo_type == 'dataset' else ''}{repo_id}"

    def _retrying(self, what: str, call: Callable[[], T]) -> T:
        return retrying(call, what=what, patience=self._patience, progress=self.progress)

    def snapshot(self, revision: str = _BRANCH) -> Snapshot | None:
        """What the repo holds; None if it does not exist, or cannot be read without a token."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        def read() -> Snapshot | None:
            try:
                info: Any = self._api.repo_info(self.repo_id, repo_type=self.repo_type, revision=revision)
            except RevisionNotFoundError:
                if revision != _BRANCH:
                    raise
                info = self._api.repo_info(self.repo_id, repo_type=self.repo_type)
                return Snapshot(commit=None, private=bool(info.private), files={})
            except RepositoryNotFoundError as error:
                status = error.response.status_code
                if status == HTTPStatus.NOT_FOUND or (status == HTTPStatus.UNAUTHORIZED and self._token is None):
                    return None
                raise
            tree = self._api.list_repo_tree(self.repo_id, repo_type=self.repo_type, revision=info.sha, recursive=True)
            files = {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}
            return Snapshot(commit=info.sha, private=bool(info.private), files=files)

        return self._retrying(f"read {self.repo_id} at {revision}", read)

    def tags(self) -> set[str]:
        """Names of all versions."""
        refs = self._retrying(
            f"read the versions of {self.repo_id}",
            lambda: self._api.list_repo_refs(self.repo_id, repo_type=self.repo_type),
        )
        return {tag.name for tag in refs.tags}

    def read_text(self, path: str, commit: str) -> str:
        """A file of the repo at a commit."""
        from huggingface_hub import hf_hub_download

        local = self._retrying(
            f"read {path} of {self.repo_id}",
            lambda: hf_hub_download(
                self.repo_id, path, repo_type=self.repo_type, revision=commit, token=self._token or False
            ),
        )
        return Path(local).read_text(encoding="utf-8", errors="replace")

    def create(self, private: bool) -> None:
        """Create the repo; no error if it has been created in the meantime."""
        self._retrying(
            f"create {self.repo_id}",
            lambda: self._api.create_repo(self.repo_id, repo_type=self.repo_type, private=private, exist_ok=True),
        )

    def commit(self, added: Mapping[str, LocalFile], deleted: Sequence[str], message: str, parent: str | None) -> str:
        """Send files and commit them; returns the commit.

        Raises:
            HubError: with status 412 if the branch is no longer at `parent`; or a file has changed since it was read,
                and nothing is committed.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        additions = [
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(local.path)) for path, local in added.items()
        ]
        where: Any = {"repo_type": self.repo_type, "revision": _BRANCH}
        what = f"send {len(added)} files to {self.repo_id}"
        with _bars(self.progress):
            self._retrying(
                what,
                lambda: self._api.preupload_lfs_files(self.repo_id, additions, free_memory=False, **where),
            )
            for addition in additions:
                # What huggingface_hub has sent, or is about to send, must be what was compared.
                local = added[addition.path_in_repo]
                if addition.upload_info.sha256.hex() != local.sha256:
                    raise HubError(f"{local.path} changed while it was being published: give the same command again")
            info = self._retrying(
                what,
                lambda: self._api.create_commit(
                    self.repo_id,
                    [*additions, *(CommitOperationDelete(path_in_repo=path) for path in deleted)],
                    commit_message=message,
                    parent_commit=parent,
                    **where,
                ),
            )
        return str(info.oid)

    def add_tag(self, tag: str, commit: str) -> None:
        """Tag a commit.

        Raises:
            HubError: with status 409 if the tag exists.
        """
        self._retrying(
            f"name the version {tag} of {self.repo_id}",
            lambda: self._api.create_tag(self.repo_id, tag=tag, revision=commit, repo_type=self.repo_type),
        )


@contextmanager
def _bars(shown: bool) -> Iterator[None]:
    """Show or hide huggingface_hub's progress bars, in line with this package's."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()
