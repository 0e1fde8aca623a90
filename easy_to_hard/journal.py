"""Which files of an unfinished build are whole.

A build notes each finished file in ``.build/<name>.jsonl``, where the name is that of its share of the work. A file
that a journal names is taken over if it still has the hash it had when it was written.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from easy_to_hard.files import file_sha256, write_atomically
from easy_to_hard.manifest import MANIFEST, StorageError, read_manifest

_STATE: Final = ".build"
_LOCK: Final = ".lock"
# How long the builds of other shares may take to begin.
_BEGIN_SECONDS: Final = 30


@contextmanager
def lock_folder(root: Path, name: str) -> Iterator[None]:
    """Keep others out of a folder: all of them, or, for a share, those that make the same one or the whole.

    Args:
        root: the folder, which is there.
        name: of the share; "all" for the whole.

    Raises:
        StorageError: another process is building there.
    """
    with ExitStack() as held:
        try:
            with ExitStack() as beginning:
                beginning.enter_context(FileLock(root / _LOCK, timeout=0 if name == "all" else _BEGIN_SECONDS))
                others = sorted(root.glob(f"{_LOCK}-*")) if name == "all" else [root / f"{_LOCK}-{name}"]
                for path in others:
                    held.enter_context(FileLock(path, timeout=0))
                if name == "all":
                    # The whole folder stays locked; shares let each other in.
                    held.push(beginning.pop_all())
        except Timeout as error:
            raise StorageError(
                f"{root}: another process is building there; wait for it or choose another folder"
            ) from error
        yield


class Journal:
    """The journal of one share, and what is known from the others' and from the manifest.

    Args:
        root: the folder.
        header: of the manifest to be.
        paths: all files of the build, those of other shares included.
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
        known = self._read()
        self._state.mkdir(exist_ok=True)
        self._known = [entry for _, entries in known for entry in entries]
        for leftover in self._state.glob(f"{name}.*.parquet"):
            leftover.unlink()
        mine = next((entries for path, entries in known if path == self._file), [])
        write_atomically(self._file, "".join(json.dumps(line) + "\n" for line in [self._plan, *mine]))

    def _read(self) -> list[tuple[Path, list[dict[str, Any]]]]:
        """What the journals and the manifest know."""
        known = []
        for path in sorted(self._state.glob("*.jsonl")):
            lines = path.read_text(encoding="utf-8").splitlines()
            known.append((path, [entry for line in lines[1:] if (entry := _parse(line)) is not None]))
            self._check(_parse(lines[0]) if lines else None)
        if (self._root / MANIFEST).exists():
            manifest = read_manifest(self._root)
            entries = manifest.pop("files")
            known.append((self._root / MANIFEST, entries))
            self._check({**manifest, "paths": [entry["path"] for entry in entries]})
        strangers = sorted(
            path.name for path in self._root.iterdir() if path.name != _STATE and not path.name.startswith(_LOCK)
        )
        if not known and strangers:
            raise StorageError(f"{self._root} is not empty and holds no dataset: found {strangers[0]}")
        return known

    def _check(self, plan: dict[str, Any] | None) -> None:
        for key, value in self._plan.items():
            found = None if plan is None else plan.get(key)
            if found != value:
                told = "other files" if key == "paths" else f"{key} {found!r}, not {value!r}"
                raise StorageError(f"{self._root} holds another dataset ({told}): choose another folder")

    def whole_files(self, paths: list[str]) -> dict[str, dict[str, Any]]:
        """The entries of those files that are there and have the hash they had when they were written."""
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
        """Where a file is written before it is renamed."""
        return self._state / f"{self._name}.{path.replace('/', '-')}"

    def add(self, entry: dict[str, Any]) -> None:
        """Note a file that is whole."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """All is in the manifest now."""
        shutil.rmtree(self._state)
        for path in self._root.glob(f"{_LOCK}-*"):
            path.unlink()


def _parse(line: str) -> dict[str, Any] | None:
    """A line of a journal; None for the last one of a build that was killed while writing it."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry
