"""A folder that is either written whole or left as it was.

Everything is made in ``.convert`` inside it and moved at the end. A killed run leaves only ``.convert`` or, if it was
killed while moving, also the list of what it was moving; the next run removes both and starts over.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from easy_to_hard.lichess.reading import ConvertError
from easy_to_hard.storage.files import write_json
from easy_to_hard.storage.manifest import MANIFEST
from easy_to_hard.storage.writing import is_temporary, remove_lock, sync

_STATE: Final = ".convert"
_LOCK: Final = ".lock"
_MOVING: Final = "moving.json"
_MADE: Final = "made"


@contextlib.contextmanager
def written_whole(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield ``(made, scratch)``: what is in `made` at the end is moved to `root`, or nothing is if an error is raised.

    Raises:
        ConvertError: the folder holds something else, or another process is writing it.
    """
    if root.exists() and not root.is_dir():
        raise ConvertError(f"{root} is a file, not a folder")
    new = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / _LOCK, timeout=0), _removed_at_the_end(root):
            _clean(root)
            state = root / _STATE
            (state / _MADE).mkdir(parents=True)
            yield state / _MADE, state
            _move(state, root)
    except Timeout as error:
        raise ConvertError(f"{root}: another process is writing there; wait for it or choose another folder") from error
    finally:
        # Only once the lock is released, since Windows removes it then; nothing happens if the folder holds anything.
        if new:
            with contextlib.suppress(OSError):
                root.rmdir()


@contextlib.contextmanager
def _removed_at_the_end(root: Path) -> Iterator[None]:
    """Remove the temporary files at the end."""
    try:
        yield
    finally:
        _undo(root)
        shutil.rmtree(root / _STATE, ignore_errors=True)
        remove_lock(root / _LOCK)


def _clean(root: Path) -> None:
    _undo(root)
    strangers = sorted(
        path.name for path in root.iterdir() if path.name not in (_LOCK, _STATE) and not is_temporary(path)
    )
    if strangers:
        raise ConvertError(f"{root} is not empty: found {strangers[0]}; choose another folder or remove it")
    if (root / _STATE).exists():
        shutil.rmtree(root / _STATE)


def clear_state(root: Path) -> None:
    """Remove what a run that was stopped after its last move left in a complete folder."""
    with contextlib.suppress(Timeout), FileLock(root / _LOCK, timeout=0):
        shutil.rmtree(root / _STATE, ignore_errors=True)
        remove_lock(root / _LOCK)


def unfinished(root: Path) -> list[str]:
    """The names that an interrupted move was to move: its list is there, but the file that is moved last is not."""
    moving = root / _STATE / _MOVING
    names: list[str] = json.loads(moving.read_text(encoding="utf-8")) if moving.exists() else []
    return [] if names and (root / names[-1]).exists() else names


def _undo(root: Path) -> None:
    """Undo an interrupted move."""
    for name in unfinished(root):
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _move(state: Path, root: Path) -> None:
    # The manifest is moved last: if it is there, everything else is.
    names = sorted((path.name for path in (state / _MADE).iterdir()), key=lambda name: (name == MANIFEST, name))
    for path in (state / _MADE).rglob("*"):
        sync(path)
    write_json(state / _MOVING, names)
    for name in names:
        os.replace(state / _MADE / name, root / name)
    sync(root)
