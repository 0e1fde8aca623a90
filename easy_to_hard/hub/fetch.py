"""Datasets from the Hub: the manifest at one commit, then the wanted files, each checked by its SHA-256.

Downloads stay in the Hub's cache and are found there the next time, with or without a network. The commit is fixed when
the manifest is read, so all files are of one version even if the repo changes in the meantime.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from easy_to_hard.extras import naming_extra
from easy_to_hard.frozen import frozen_problems
from easy_to_hard.hub.content import check_cached, forget_cached
from easy_to_hard.hub.retrying import DOWNLOAD_PATIENCE, HubError, parse_repo_id, retrying
from easy_to_hard.storage.downloads import PASSING_STATUSES
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.manifest import MANIFEST, README, StorageError, parse_manifest

_REPO_TYPE: Final = "dataset"


@dataclass(frozen=True, kw_only=True)
class HubDataset:
    """A dataset repo at one commit.

    Attributes:
        repo_id: "owner/name".
        commit: 40 hexadecimal digits.
        root: the cache folder in which the files of this commit appear as they are fetched.
        manifest: see `easy_to_hard.storage.manifest`.
    """

    repo_id: str
    commit: str
    root: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.repo_id}@{self.commit[:12]}"

    def fetch(self, entries: Sequence[dict[str, Any]]) -> list[Path]:
        """The paths of the files of these manifest entries; those not in the cache are downloaded.

        Even where the manifest claims that they are the benchmark's, their bytes may differ: see
        `easy_to_hard.frozen.is_proven_by_its_bytes`.

        Raises:
            StorageError: a file does not match the manifest, even after a second download; it is not kept.
            HubError: a file cannot be fetched.
        """
        for problem in frozen_problems(self.manifest, entries):
            raise StorageError(f"{self.name}/{problem}")
        return [self._fetch(entry) for entry in entries]

    def _fetch(self, entry: dict[str, Any]) -> Path:
        problem: StorageError | None = None
        for _ in range(2):
            try:
                path = _download(self.repo_id, entry["path"], self.commit)
            except HubError:
                if problem is None:
                    raise
                break
            found = file_sha256(path)
            if found == entry["sha256"]:
                return path
            forget_cached(path)
            problem = StorageError(
                f"{self.name}/{entry['path']}: SHA-256 is {found}, the manifest says {entry['sha256']}; "
                "the file was removed from the cache"
            )
        assert problem is not None
        raise problem

    def fetch_all(self) -> Path:
        """Fetch all files of the manifest, and README.md: a folder as `easy_to_hard.build` makes it.

        Raises:
            StorageError, HubError: as in `fetch`.
        """
        self.fetch(self.manifest["files"])
        _download(self.repo_id, README, self.commit)
        return self.root


def open_dataset(repo_id: str, revision: str | None = None) -> HubDataset:
    """Open a dataset repo by reading its manifest.

    Args:
        repo_id: "owner/name".
        revision: tag, branch or commit; None for the newest commit of the branch main.

    Raises:
        ValueError: `repo_id` is not the id of a repo.
        HubError: there is no such repo or revision, or the Hub cannot be reached and the cache has no copy.
        StorageError: the repo is not a dataset of this package.
    """
    parse_repo_id(repo_id)
    for last in (False, True):
        path = _download(repo_id, MANIFEST, revision)
        commit = path.parent.name
        where = f"{repo_id}@{commit[:12]}/{MANIFEST}"
        try:
            content = check_cached(path, where).read_bytes()
        except HubError:
            if last:
                raise
        else:
            manifest = parse_manifest(content, where)
            return HubDataset(repo_id=repo_id, commit=commit, root=path.parent, manifest=manifest)
    raise AssertionError("the second attempt returns or raises")


def _download(repo_id: str, path: str, revision: str | None) -> Path:
    """Fetch a file of a repo from the Hub, or from the cache if the Hub cannot be reached or need not be."""
    with naming_extra("the Hub needs"):
        from huggingface_hub import hf_hub_download, try_to_load_from_cache

    at = f"{repo_id}@{revision[:12]}" if revision else repo_id
    try:
        return retrying(
            lambda: Path(hf_hub_download(repo_id, path, repo_type=_REPO_TYPE, revision=revision)),
            what=f"get {path} of the dataset {at}",
            patience=DOWNLOAD_PATIENCE,
        )
    except HubError as error:
        # By itself, huggingface_hub turns to the cache only when no connection is made at all.
        cached = try_to_load_from_cache(repo_id, path, repo_type=_REPO_TYPE, revision=revision)
        if error.status not in (None, *PASSING_STATUSES) or not isinstance(cached, str):
            raise
        tqdm.write(f"{error}; using what is in the cache", file=sys.stderr)
        return Path(cached)
