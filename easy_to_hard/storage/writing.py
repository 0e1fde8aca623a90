"""How files are written: whole or not at all, on the disk when it is said so, and with errors that name the file.

A file is written as ``.NAME.PID.tmp`` beside its place, synced, and renamed. A process that is killed leaves that
behind; the next one that writes the same file, or takes the folder for its own, removes it.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

LOCK: Final = ".lock"
_TEMPORARY: Final = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.tmp")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXT: Final = os.strerror(errno.ENOSPC)
# What is written in pieces stops when less than a piece is left.
_FULL_BYTES: Final = 2**16


class WriteError(OSError):
    """A file that could not be written; the message names it, and says if the disk is full."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all; text as UTF-8.

    Raises:
        OSError: it cannot be written; the message names it.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path, needed=len(data)) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, two spaces of indentation, keys in the order given."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def replacing(path: Path, *, needed: int | None = None) -> Iterator[Path]:
    """Yield a temporary name to write; what is there at the end becomes `path`, and is on the disk.

    Args:
        path: of the file to be.
        needed: bytes it will have, for the message where the disk is full; None where that is not known.

    Raises:
        OSError: it cannot be written; the message names it, and nothing is left.
    """
    clear_leftovers(path.parent, of=path.name)
    temporary = temporary_of(path)
    try:
        with telling(path, needed=needed, written=temporary):
            yield temporary
            put(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def put(source: Path, path: Path) -> None:
    """Rename a file, so that neither its content nor its name is lost in a power failure."""
    sync(source)
    os.replace(source, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names; where there is no such call for folders, not them."""
    folder = path.is_dir()
    if folder and os.name != "posix":
        return
    # Some network file systems know it for files alone, and a folder may be closed to reading.
    with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def telling(path: Path, *, needed: int | None = None, written: Path | None = None) -> Iterator[None]:
    """Say which file it was where writing fails, and that the disk is full where it is.

    Args:
        path: of the file.
        needed: bytes it will have; None where that is not known.
        written: where they are written; None for `path`.

    Raises:
        WriteError: the disk is full, in whatever way the writer of the file put it, or the system named no file.
    """
    try:
        yield
    except WriteError:
        raise
    except Exception as error:
        if _is_full(error, path):
            raise WriteError(f"cannot write {path}: the disk is full{_missing(needed, written or path)}") from error
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:
            raise WriteError(f"cannot write {path}: {error.strerror}") from error
        raise


def _is_full(error: Exception, path: Path) -> bool:
    """Whether an error is that of a full disk. Writers in other languages say so in a text, or that they failed."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    if _FULL_TEXT in str(error):
        return True
    with contextlib.suppress(OSError):
        return not isinstance(error, ValueError) and shutil.disk_usage(path.parent).free < _FULL_BYTES
    return False


def _missing(needed: int | None, written: Path) -> str:
    if needed is None:
        return ""
    try:
        have = written.stat().st_blocks * 512 if written.is_file() else 0
        free = shutil.disk_usage(written.parent).free + have
    except (OSError, AttributeError):
        return f" ({needed:,} bytes are needed)"
    return f" ({needed:,} bytes are needed, {free:,} are free)"


# ---- what killed processes leave


def temporary_of(path: Path) -> Path:
    """The name under which this process writes a file, or a folder, before it is renamed."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a name is one of `temporary_of`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def clear_leftovers(folder: Path, *, of: str = "") -> None:
    """Remove what processes that are no more left half-written.

    Args:
        folder: where.
        of: the name of a file, to look for its temporaries in the folder alone and spare those of processes that are
            still there; "" for all in the folder and below it, which must then be this process's alone.
    """
    if not folder.is_dir():
        return
    try:
        held = list(folder.iterdir() if of else folder.rglob(".*.tmp"))
    except PermissionError:
        # A folder that may be written to and not looked into.
        return
    for path in held:
        found = _TEMPORARY.fullmatch(path.name)
        if found is not None and (not of or (found["name"] == of and not _is_alive(int(found["pid"])))):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether there is such a process; True where that cannot be told."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


# ---- folders


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is missing, or holds nothing but a lock and what killed processes left."""
    return not folder.exists() or (
        folder.is_dir() and all(path.name == LOCK or is_temporary(path) for path in folder.iterdir())
    )


@contextlib.contextmanager
def hold_folder(folder: Path, what: str) -> Iterator[None]:
    """Make a folder this process's alone, and clear it of what killed ones left; a new one goes if nothing comes of it.

    Args:
        folder: made when missing.
        what: is going on there where it is another's, such as "training".

    Raises:
        ValueError: another process has it.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder: choose another --out")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"another {what} is going on in {folder}: choose another --out") from None
    try:
        clear_leftovers(folder)
        yield
    finally:
        if made and holds_nothing(folder):
            remove(folder)
            for parent in made[1:]:
                # Another process may have put something there.
                with contextlib.suppress(OSError):
                    parent.rmdir()
        lock.release()
