"""Repositories with a history, in memory: what the Hub of the tests (hub_server.py) keeps."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

# Kept as LFS objects whatever their size, as the real Hub's .gitattributes has it.
LFS_SUFFIXES = (".bin", ".gz", ".npy", ".parquet", ".png", ".safetensors", ".zip", ".zst")
LARGEST_REGULAR = 10 * 2**20


class Refused(Exception):
    """An answer that is no success: its HTTP status, the Hub's code (X-Error-Code) and a sentence."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass(frozen=True)
class Blob:
    """The content of a file: the hashes are those it was committed with, `data` is what is sent."""

    data: bytes
    sha1: str
    sha256: str
    lfs: bool

    @classmethod
    def of(cls, data: bytes, *, lfs: bool) -> "Blob":
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(data, git_sha1(lfs_pointer(sha256, len(data)) if lfs else data), sha256, lfs)

    @property
    def oid(self) -> str:
        """What the Hub compares files by, and their ETag: SHA-256 of LFS files, git's SHA-1 of others."""
        return self.sha256 if self.lfs else self.sha1

    def entry(self, path: str) -> dict[str, Any]:
        """The file as a listing names it."""
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(self.data), "oid": self.sha1}
        if self.lfs:
            pointer = lfs_pointer(self.sha256, len(self.data))
            entry["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(pointer)}
        return entry


def git_sha1(data: bytes) -> str:
    """The name git gives to a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """What git itself has of an LFS file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def is_lfs(path: str, size: int, sample: bytes) -> bool:
    """Whether the Hub wants the file as an LFS object: binary or large ones are; `sample` is how it begins."""
    return path.endswith(LFS_SUFFIXES) or size > LARGEST_REGULAR or b"\0" in sample


@dataclass
class Commit:
    """A snapshot of all files; `tamper` is what alone changes one."""

    id: str
    parent: "Commit | None"
    title: str
    date: str
    files: dict[str, Blob]

    def folders(self) -> set[str]:
        """All folders, without the root."""
        return {str(parent) for path in self.files for parent in PurePosixPath(path).parents} - {"."}

    def entry(self, path: str, *, expand: bool) -> dict[str, Any] | None:
        """How a listing names the file or folder; None where there is none."""
        if path in self.files:
            entry = self.files[path].entry(path)
        elif path in self.folders():
            entry = {"type": "directory", "path": path, "size": 0, "oid": git_sha1(f"{self.id}/{path}".encode())}
        else:
            return None
        if expand:
            last = self._last_to_change(path)
            entry["lastCommit"] = {"id": last.id, "title": last.title, "date": last.date}
            entry["securityFileStatus"] = {"status": "safe", "avScan": None, "pickleImportScan": None}
        return entry

    def _last_to_change(self, path: str) -> "Commit":
        def under(commit: Commit) -> dict[str, str]:
            return {
                name: blob.oid for name, blob in commit.files.items() if name == path or name.startswith(path + "/")
            }

        commit = self
        while commit.parent is not None and under(commit.parent) == under(self):
            commit = commit.parent
        return commit

    def listing(self, folder: str, *, recursive: bool, expand: bool) -> list[dict[str, Any]]:
        """What a folder ("" for the root) holds, or all below it; Refused where there is no such folder."""
        if folder and folder not in self.folders():
            raise Refused(404, f"{folder} does not exist on this revision.", "EntryNotFound")
        prefix = folder + "/" if folder else ""
        paths = [path for path in sorted(self.files.keys() | self.folders()) if path.startswith(prefix)]
        if not recursive:
            paths = [path for path in paths if "/" not in path[len(prefix) :]]
        entries = (self.entry(path, expand=expand) for path in paths)
        return [entry for entry in entries if entry is not None]


@dataclass
class Repo:
    """A dataset or model repository.

    Attributes:
        kind: "dataset" or "model".
        id: "owner/name".
        private: whether reading wants a token, where the server asks for it.
        branches: names to the newest commits; there is only "main".
        tags: names to commits.
        commits: all of them by id, oldest first; the first holds .gitattributes, as on the real Hub.
        objects: LFS objects that were uploaded, by SHA-256, whether committed or not.
    """

    kind: str
    id: str
    private: bool = False
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        self._add("initial commit", {".gitattributes": Blob.of(attributes.encode(), lfs=False)})

    @property
    def main(self) -> Commit:
        """The newest commit."""
        return self.branches["main"]

    def at(self, revision: str) -> Commit:
        """The commit of a branch, tag or full id; Refused where there is none."""
        for named in (self.branches, self.tags, self.commits):
            if revision in named:
                return named[revision]
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, header: Mapping[str, str], changes: Iterable[tuple[str, Mapping[str, Any]]]) -> Commit:
        """Applies all changes to main, or none (Refused); changes that leave everything as it is make no commit.

        Args:
            header: summary, and parentCommit, which must then be main.
            changes: pairs of "file", "lfsFile", "deletedFile" or "deletedFolder" and the value; the content of a
                "file" is bytes under "data".
        """
        if header.get("parentCommit") not in (None, self.main.id):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = dict(self.main.files)
        for kind, value in changes:
            path = value["path"].rstrip("/")
            if kind == "file":
                files[path] = Blob.of(value["data"], lfs=False)
            elif kind == "lfsFile":
                if value["oid"] not in self.objects:
                    raise Refused(400, f"The LFS object {value['oid']} of {path} was not uploaded.")
                files[path] = Blob.of(self.objects[value["oid"]], lfs=True)
            elif kind in ("deletedFile", "deletedFolder"):
                folder = kind == "deletedFolder"
                gone = [name for name in files if (name.startswith(path + "/") if folder else name == path)]
                if not gone:
                    raise Refused(404, f"{path} does not exist.", "EntryNotFound")
                for name in gone:
                    del files[name]
            else:
                raise Refused(400, f"Unknown change: {kind}.")
        if {name: blob.oid for name, blob in files.items()} == {name: b.oid for name, b in self.main.files.items()}:
            return self.main
        return self._add(header.get("summary", ""), files)

    def _add(self, title: str, files: dict[str, Blob]) -> Commit:
        parent = self.branches.get("main")
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        hashes = sorted((path, blob.oid) for path, blob in files.items())
        # The number keeps apart two commits that bring the same files back.
        seed = f"{self.kind} {self.id} {len(self.commits)} {title} {hashes}"
        made = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, date, files)
        self.commits[made.id] = self.branches["main"] = made
        return made

    def info(self, commit: Commit, *, blobs: bool) -> dict[str, Any]:
        """What the Hub tells of a repository; with `blobs`, sizes and hashes of the files too."""
        siblings: list[dict[str, Any]] = []
        for path, blob in sorted(commit.files.items()):
            sibling: dict[str, Any] = {"rfilename": path}
            if blobs:
                entry = blob.entry(path)
                sibling |= {"size": entry["size"], "blobId": blob.sha1}
                if blob.lfs:
                    sibling["lfs"] = entry["lfs"] | {"sha256": blob.sha256}
            siblings.append(sibling)
        return {
            "id": self.id,
            "author": self.id.split("/")[0],
            "sha": commit.id,
            "createdAt": next(iter(self.commits.values())).date,
            "lastModified": commit.date,
            "private": self.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
        }
