"""The content of files, identified by the hashes that the Hub uses."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from easy_to_hard.hub.retrying import HubError

_PIECE_BYTES: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file to be published, and the hashes by which the Hub identifies files: one for large files, one for small."""

    path: Path
    size: int
    sha256: str
    blob_id: str

    @classmethod
    def read(cls, path: Path) -> "LocalFile":
        """Read the whole file and hash it."""
        size = path.stat().st_size
        sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                sha256.update(piece)
                blob.update(piece)
        return cls(path=path, size=size, sha256=sha256.hexdigest(), blob_id=blob.hexdigest())

    def is_same(self, remote: Any) -> bool:
        """Whether a file of a `Snapshot` has the same content."""
        if remote.lfs is not None:
            return bool(remote.lfs.sha256 == self.sha256)
        return bool(remote.blob_id == self.blob_id)

    def name_like(self, other: str) -> str:
        """Whichever of the two hashes is of the same kind as `other`; "" if `other` is neither kind."""
        return next((own for own in (self.sha256, self.blob_id) if len(own) == len(other)), "")


def check_cached(path: Path, where: str) -> Path:
    """Return the path of a file in the Hub's cache if its content matches its name there.

    huggingface_hub itself checks only the length. It names what it downloads by the hash that the Hub gave; where
    links cannot be made there is no such name, and nothing is checked.

    Raises:
        HubError: the content has a different hash; the file is removed from the cache.
    """
    stored = path.resolve()
    found = LocalFile.read(stored).name_like(stored.name)
    if stored == path.absolute() or found in ("", stored.name):
        return path
    forget_cached(path)
    raise HubError(f"{where}: its hash is {found}, the Hub says {stored.name}; the file was removed from the cache")


def forget_cached(path: Path) -> None:
    """Remove a file from the Hub's cache, so that it is downloaded again.

    The target of its link is removed only if it is in the repo's own part of the cache: a link that somebody else put
    there may lead to one of their files.
    """
    stored = path.resolve()
    blobs = [folder.parent / "blobs" for folder in path.parents if folder.name == "snapshots"]
    if any(stored.parent == folder.resolve() for folder in blobs):
        stored.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
