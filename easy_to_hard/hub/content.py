"""The content of files, by the hashes that the Hub knows it by."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from easy_to_hard.hub.retrying import HubError

_PIECE_BYTES: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file to be published, and the two hashes by which the Hub knows it: of large files and of small ones."""

    path: Path
    size: int
    sha256: str
    blob_id: str

    @classmethod
    def read(cls, path: Path) -> "LocalFile":
        """Read the file through."""
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
        """The one of the two hashes that is of the kind of `other`; "" if it is neither kind."""
        return next((own for own in (self.sha256, self.blob_id) if len(own) == len(other)), "")


def check_cached(path: Path, where: str) -> Path:
    """The file itself, if its content is what its name in the Hub's cache says.

    huggingface_hub looks at the length alone. It names what it downloads by the hash that the Hub gave; where links
    cannot be made there is no such name, and nothing is checked.

    Raises:
        HubError: the content has another hash; the file is removed from the cache.
    """
    stored = path.resolve()
    found = LocalFile.read(stored).name_like(stored.name)
    if stored == path.absolute() or found in ("", stored.name):
        return path
    forget_cached(path)
    raise HubError(f"{where}: its hash is {found}, the Hub says {stored.name}; the file was removed from the cache")


def forget_cached(path: Path) -> None:
    """Remove a file from the Hub's cache, so that it is downloaded again.

    What its link points to is removed only where it is in the repo's own part of the cache: a link that somebody else
    has put there may lead to a file of theirs.
    """
    stored = path.resolve()
    blobs = [folder.parent / "blobs" for folder in path.parents if folder.name == "snapshots"]
    if any(stored.parent == folder.resolve() for folder in blobs):
        stored.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
