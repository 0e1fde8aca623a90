"""Writes files whole or not at all, syncs them to disk, and raises errors that name the file.

A file is written as ``.NAME.PID.tmp`` next to its final place, synced, and renamed. A process that is killed leaves the
temporary file behind; the next one that writes the same file, or takes over the folder, removes it.
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
# Writing in pieces stops when less than a piece of disk space is left.
_FULL_BYTES: Final = 2**16


class WriteError(OSError):
    """A file could not be written; the message names it, and says if the disk is full."""


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
    """Yield a temporary name to write to; what is there at the end is synced to disk and becomes `path`.

    Args:
        path: the final path of the file.
        needed: bytes it will have, for the message if the disk is full; None where that is not known.

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
    """Sync a file's content, or a folder's names, to disk; folders are skipped on systems that cannot sync them."""
    folder = path.is_dir()
    if folder and os.name != "posix":
        return
    # Some network file systems can sync only files, and a folder may not be readable.
    with contextlib.suppress(OSError) if folder else contextlib.nullcontext():
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def telling(path: Path, *, needed: int | None = None, written: Path | None = None) -> Iterator[None]:
    """Make write errors name the file, and say so if the disk is full.

    Args:
        path: of the file.
        needed: bytes it will have; None where that is not known.
        written: where they are written; None for `path`.

    Raises:
        WriteError: the disk is full, however the writer of the file reported it, or the system's error named no file.
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
    """Whether an error means a full disk. Writers in other languages say so in a message, or just say they failed."""
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


# ---- what killed processes leave behind


def temporary_of(path: Path) -> Path:
    """The name under which this process writes a file, or a folder, before it is renamed."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a name is one of `temporary_of`."""
    return _TEMPORARY.fullmatch(path.name) is not None


def clear_leftovers(folder: Path, *, of: str = "") -> None:
    """Remove the temporary files that killed processes left behind.

    Args:
        folder: where to look.
        of: the name of a file, to look only for its temporary files, only in the folder itself, and spare those of
            running processes; "" for all in the folder and below it, which must then belong to this process alone.
    """
    if not folder.is_dir():
        return
    try:
        held = list(folder.iterdir() if of else folder.rglob(".*.tmp"))
    except PermissionError:
        # The folder may be writable but not readable.
        return
    for path in held:
        found = _TEMPORARY.fullmatch(path.name)
        if found is not None and (not of or (found["name"] == of and not _is_alive(int(found["pid"])))):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether the process exists; True if that cannot be determined."""
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
    """Whether a folder is missing, or holds nothing but a lock and what killed processes left behind."""
    return not folder.exists() or (
        folder.is_dir() and all(path.name == LOCK or is_temporary(path) for path in folder.iterdir())
    )


@contextlib.contextmanager
def hold_folder(folder: Path, what: str) -> Iterator[None]:
    """Lock a folder for this process, and clear it of what killed ones left; a new one is removed if it stays empty.

    Args:
        folder: created if missing.
        what: what another process that has the folder is doing there, for the message, such as "training".

    Raises:
        ValueError: another process has the folder.
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
        unused = bool(made) and holds_nothing(folder)
        if unused:
            remove(folder)
        lock.release()
        for place in made if unused else ():
            # On Windows the folder is still there. Another process may have put something into any of them.
            with contextlib.suppress(OSError):
                place.rmdir()


def remove_lock(path: Path) -> None:
    """Remove the file of a lock that is held; on Windows, where no open file can be removed, its release does that."""
    with contextlib.suppress(PermissionError):
        path.unlink(missing_ok=True)
