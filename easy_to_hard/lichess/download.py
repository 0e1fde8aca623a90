"""Download the puzzle file of the Lichess database, and keep a record of which one it is.

Lichess replaces the file each month and keeps no earlier ones, so a snapshot is pinned by a record beside the file:
``<name>.json`` holds its name, URL, ETag, Last-Modified, length, SHA-256 and date.
"""

import contextlib
import datetime
import email.utils
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from easy_to_hard.storage.downloads import (
    DEFAULT_PATIENCE,
    Downloaded,
    DownloadError,
    Patience,
    WrongChecksumError,
    check_sha256,
    download,
    remove_part,
)
from easy_to_hard.storage.files import file_sha256, write_json

LICHESS_URL: Final = "https://database.lichess.org/lichess_db_puzzle.csv.zst"
_SNAPSHOT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class LichessFile:
    """A puzzle file on disk.

    Attributes:
        path: the file.
        snapshot: its name.
        size: bytes.
        sha256: hexadecimal.
        downloaded: False if the file was already there.
    """

    path: Path
    snapshot: str
    size: int
    sha256: str
    downloaded: bool


def download_lichess(
    out: str | Path,
    *,
    snapshot: str | None = None,
    url: str | None = None,
    sha256: str | None = None,
    patience: Patience = DEFAULT_PATIENCE,
    progress: bool = True,
) -> LichessFile:
    """Download the puzzle file, or check the one that is there.

    Where a record of the file exists, the bytes must match it, so that a snapshot's name always means the same bytes.

    Args:
        out: the file; ``~`` is expanded.
        snapshot: its name, such as "2026-11"; None for the recorded one, or the month in which the file was made.
        url: where to download it from; None for the recorded URL, or `LICHESS_URL`.
        sha256: the expected hash, in hexadecimal; None for the recorded one, or any.
        patience: how often to try.
        progress: show a bar.

    Raises:
        DownloadError: it cannot be downloaded, or is not the file that was asked for (then it is not kept).
        ValueError: the snapshot name or the hash is not valid.
    """
    out = Path(out).expanduser()
    if out.is_dir():
        raise ValueError(f"{out} is a folder: give the file to be, such as {out / 'lichess.csv.zst'}")
    if snapshot is not None and not _SNAPSHOT.fullmatch(snapshot):
        raise ValueError(f"snapshot must be at most 64 letters, digits, '.', '_' or '-', not {snapshot!r}")
    expected = None if sha256 is None else check_sha256(sha256)
    record_path = out.with_name(out.name + ".json")
    record = _read_record(record_path)
    if record is not None:
        if snapshot not in (None, record["snapshot"]):
            raise DownloadError(f"{out} is snapshot {record['snapshot']!r}, not {snapshot!r}: choose another file")
        if expected not in (None, record["sha256"]):
            raise DownloadError(f"{record_path} has SHA-256 {record['sha256']}, not {expected}: choose another file")
        expected = record["sha256"]
    url = url or (LICHESS_URL if record is None else record["url"])
    if out.exists():
        return _check_present(out, record_path, record, snapshot, url, expected)

    def note(got: Downloaded) -> None:
        # Before the file gets its name: without a record, nothing would say which file it is.
        if record is None:
            new = _new_record(snapshot or _month(got.last_modified), url, got.size, got.sha256)
            write_json(record_path, new | {"etag": got.etag, "last_modified": got.last_modified})

    try:
        got = download(url, out, sha256=expected, patience=patience, progress=progress, before_naming=note)
    except WrongChecksumError as error:
        if record is None:
            raise
        raise DownloadError(f"{error}: the server has another file than snapshot {record['snapshot']!r}") from error
    named = snapshot or _month(got.last_modified) if record is None else record["snapshot"]
    return LichessFile(path=out, snapshot=named, size=got.size, sha256=got.sha256, downloaded=True)


def _check_present(
    out: Path, record_path: Path, record: dict[str, Any] | None, snapshot: str | None, url: str, expected: str | None
) -> LichessFile:
    if expected is None:
        raise DownloadError(f"{out} exists, but there is no record of which file it is: give --sha256, or remove it")
    found = file_sha256(out)
    if found != expected:
        raise DownloadError(f"{out}: SHA-256 is {found}, not {expected}: remove it to download it again")
    remove_part(out)
    size = out.stat().st_size
    if record is None:
        record = _new_record(snapshot or _month(None), url, size, found)
        write_json(record_path, record)
    return LichessFile(path=out, snapshot=record["snapshot"], size=size, sha256=found, downloaded=False)


def _new_record(snapshot: str, url: str, size: int, sha256: str) -> dict[str, Any]:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "snapshot": snapshot,
        "url": url,
        "etag": None,
        "last_modified": None,
        "bytes": size,
        "sha256": sha256,
        "date": date,
    }


def _read_record(path: Path) -> dict[str, Any] | None:
    """The record beside the file; None where there is none."""
    if not path.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if all(isinstance(record[key], str) for key in ("snapshot", "url", "sha256")):
            return record
    except (ValueError, KeyError, TypeError):
        pass
    raise DownloadError(f"{path} is not the record of a download: choose another file or remove it")


def _month(last_modified: str | None) -> str:
    """Year and month from the header, or else today's."""
    day = datetime.datetime.now(datetime.UTC)
    if last_modified is not None:
        with contextlib.suppress(ValueError):
            day = email.utils.parsedate_to_datetime(last_modified)
    return f"{day:%Y-%m}"
