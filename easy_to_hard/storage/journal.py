"""Records which files of an unfinished build are complete.

A build records each finished file in ``.build/<name>.jsonl``, where the name is that of its share of the work. A file
listed in a journal is kept if it still has the hash it had when it was written.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from filelock import FileLock, Timeout

from easy_to_hard.storage.files import file_sha256, write_atomically
from easy_to_hard.storage.manifest import MANIFEST, StorageError, check_entry, read_manifest
from easy_to_hard.storage.writing import clear_leftovers, is_temporary, remove_lock, telling

_STATE: Final = ".build"
_LOCK: Final = ".lock"
# What builds leave behind (nothing else is ever removed): locks of shares, journals, shards, and unfinished journals.
_SHARE_LOCK: Final = re.compile(r"\.lock-\d+-of-\d+")
_LEFT: Final = re.compile(r"(all|\d+-of-\d+)\.(jsonl|\S+\.parquet)|\.(all|\d+-of-\d+)\.jsonl\.\d+\.tmp")
# How long to wait for the builds of other shares to begin.
_BEGIN_SECONDS: Final = 30


@contextmanager
def open_journal(root: Path, header: dict[str, Any], paths: list[str], name: str) -> Iterator["Journal"]:
    """Open the journal of a share, which no other build of the same share, or of the whole, has open.

    Args:
        root: an existing folder.
        header: of the planned manifest.
        paths: all files of the build, including those of other shares.
        name: of the share; "all" for the whole, which no other build at all may have open.

    Raises:
        StorageError: another process is building there, or the folder holds something else.
    """
    own = [] if name == "all" else [root / f"{_LOCK}-{name}"]
    new = [path for path in (root / _LOCK, *own) if not path.exists()]
    with ExitStack() as held:
        try:
            with ExitStack() as beginning:
                beginning.enter_context(FileLock(root / _LOCK, timeout=0 if name == "all" else _BEGIN_SECONDS))
                for path in own or _share_locks(root):
                    held.enter_context(FileLock(path, timeout=0))
                try:
                    # No other share begins meanwhile, so whatever else is in the folder has a journal.
                    journal = Journal(root, header, paths, name)
                except StorageError:
                    # A folder that is refused is left as it was.
                    for path in new:
                        remove_lock(path)
                    raise
                if name == "all":
                    # A build of the whole keeps the folder locked; builds of shares let one another in.
                    held.push(beginning.pop_all())
        except Timeout as error:
            raise StorageError(
                f"{root}: another process is building there; wait for it or choose another folder"
            ) from error
        yield journal


def _share_locks(root: Path) -> list[Path]:
    return sorted(path for path in root.glob(f"{_LOCK}-*") if _SHARE_LOCK.fullmatch(path.name))


class Journal:
    """The journal of one share, plus what the other journals and the manifest say.

    Args:
        root: the folder.
        header: of the planned manifest.
        paths: all files of the build, including those of other shares.
        name: of the share; "all" for the whole.

    Raises:
        StorageError: the folder holds something else.
    """

    def __init__(self, root: Path, header: dict[str, Any], paths: list[str], name: str) -> None:
        self._root = root
        self._state = root / _STATE
        self._name = name
        self._file = self._state / f"{name}.jsonl"
        self._plan = {**header, "paths": paths}
        self._check_state()
        if name == "all":
            # Shares write at the same time, and each clears only what it writes itself.
            clear_leftovers(root)
        known = self._read()
        self._state.mkdir(exist_ok=True)
        self._known = [entry for _, entries in known for entry in entries]
        for leftover in self._state.glob(f"{name}.*.parquet"):
            leftover.unlink()
        mine = next((entries for path, entries in known if path == self._file), [])
        write_atomically(self._file, "".join(json.dumps(line) + "\n" for line in [self._plan, *mine]))

    def _check_state(self) -> None:
        """Raise StorageError if something that is not ours has the name of our state folder."""
        told = "it does not belong to a build; choose another folder, or remove it"
        if self._state.is_symlink() or (self._state.exists() and not self._state.is_dir()):
            raise StorageError(f"{self._state} is not a folder: {told}")
        strangers = sorted(path.name for path in self._left() if not _is_ours(path))
        if strangers:
            raise StorageError(f"{self._state} holds {strangers[0]}: {told}")

    def _left(self) -> list[Path]:
        """The files in the state folder."""
        return list(self._state.iterdir()) if self._state.is_dir() else []

    def _read(self) -> list[tuple[Path, list[dict[str, Any]]]]:
        """The entries in the journals and the manifest."""
        known = []
        for path in sorted(self._state.glob("*.jsonl")):
            # Damaged lines are skipped: their files are made again.
            plan, *entries = [_parse(line) for line in path.read_bytes().splitlines()] or [None]
            known.append((path, [entry for entry in entries if entry is not None and _is_entry(entry)]))
            if plan is not None:
                self._check(plan)
        if (self._root / MANIFEST).exists():
            manifest = read_manifest(self._root)
            entries = manifest.pop("files")
            known.append((self._root / MANIFEST, entries))
            self._check({**manifest, "paths": [entry["path"] for entry in entries]})
        ours = {_STATE, _LOCK, *(path.name for path in _share_locks(self._root))}
        strangers = sorted(
            path.name for path in self._root.iterdir() if path.name not in ours and not is_temporary(path)
        )
        if not known and strangers:
            raise StorageError(f"{self._root} is not empty and holds no dataset: found {strangers[0]}")
        return known

    def _check(self, plan: dict[str, Any]) -> None:
        for key, value in self._plan.items():
            found = plan.get(key)
            if found != value:
                told = "other files" if key == "paths" else f"{key} {found!r}, not {value!r}"
                raise StorageError(f"{self._root} holds another dataset ({told}): choose another folder")

    def whole_files(self, paths: list[str]) -> dict[str, dict[str, Any]]:
        """The entries of the files that exist and still have the hash they had when they were written."""
        hashes: dict[str, str] = {}
        whole = {}
        for entry in self._known:
            path = entry["path"]
            if path in paths and (self._root / path).is_file():
                hashes[path] = hashes.get(path) or file_sha256(self._root / path)
                if hashes[path] == entry["sha256"]:
                    whole[path] = entry
        return whole

    def temporary(self, path: str) -> Path:
        """Where a file is written before it is renamed; a new name each time, as an earlier build may still write."""
        return self._state / f"{self._name}.{uuid4().hex}.{path.replace('/', '-')}"

    def add(self, entry: dict[str, Any]) -> None:
        """Record a complete file."""
        with telling(self._file), self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Remove the state, now that everything is in the manifest."""
        for path in filter(_is_ours, self._left()):
            path.unlink(missing_ok=True)
        for path in _share_locks(self._root):
            remove_lock(path)
        # A thread of a stopped build may have written its file just now.
        with suppress(OSError):
            self._state.rmdir()


def _is_ours(path: Path) -> bool:
    """Whether a file in the state folder belongs to a build."""
    return _LEFT.fullmatch(path.name) is not None and not path.is_symlink() and not path.is_dir()


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parse a line of a journal; None if it is damaged, like the last line of a build killed while writing it."""
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _is_entry(entry: dict[str, Any]) -> bool:
    """Whether a line is the complete entry of a file."""
    try:
        check_entry(entry, "")
    except StorageError:
        return False
    return True
