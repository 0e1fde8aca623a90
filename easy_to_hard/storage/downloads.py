"""Downloads over HTTP: resumed where they stopped, retried, checked, and renamed when complete.

While a file is being downloaded it is named ``<name>.part``. Beside it, ``<name>.part.json`` says which version of the
server's file it is a part of: a file that has changed in the meantime is fetched from the start.
"""

import contextlib
import email.utils
import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from tqdm import tqdm

from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.files import file_sha256, write_json
from easy_to_hard.storage.writing import put, telling

_PIECE_BYTES: Final = 2**16
# Too many requests, and servers that are about to recover.
PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_SHA256: Final = re.compile("[0-9a-f]{64}")


class DownloadError(RuntimeError):
    """A file cannot be downloaded, or is not what it should be."""


class WrongChecksumError(DownloadError):
    """The downloaded file is not the one that was requested."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a download is tried.

    Attributes:
        attempts: the most requests to make, at least 1.
        first_wait: seconds before the second request; the wait doubles before each further one.
        longest_wait: the longest wait, in seconds; if the server asks for more, the download is given up.
        timeout: seconds without a byte after which a connection counts as lost.
    """

    attempts: int = 8
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts must be at least 1, not {self.attempts}")
        if not 0 <= self.first_wait <= self.longest_wait:
            raise ValueError(f"first_wait must be from 0 to {self.longest_wait}, not {self.first_wait}")
        if self.timeout <= 0:
            raise ValueError(f"timeout must be more than 0, not {self.timeout}")

    def wait_after(self, attempt: int, asked: float | None = None) -> float | None:
        """Seconds to wait after a failed attempt; None to give up.

        Args:
            attempt: its number, from 1.
            asked: seconds that the server asked for; None where it did not say.
        """
        wait = min(self.first_wait * 2 ** (attempt - 1), self.longest_wait) if asked is None else asked
        return None if attempt >= self.attempts or wait > self.longest_wait else wait


DEFAULT_PATIENCE: Final = Patience()


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A completely downloaded file, and what the server said about it.

    Attributes:
        path: where it is.
        url: where it came from.
        size: bytes.
        sha256: hexadecimal.
        etag, last_modified: the server's headers; None where it sent none.
    """

    path: Path
    url: str
    size: int
    sha256: str
    etag: str | None
    last_modified: str | None


def check_sha256(sha256: str) -> str:
    """Return the hash in lower case, or raise ValueError if it is not 64 hexadecimal digits."""
    if not _SHA256.fullmatch(sha256.lower()):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, not {sha256!r}")
    return sha256.lower()


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    patience: Patience = DEFAULT_PATIENCE,
    progress: bool = True,
    before_naming: Callable[[Downloaded], object] = lambda got: None,
) -> Downloaded:
    """Download a file, resuming where an earlier download stopped if there was one.

    Responses with status 408, 429, 500, 502, 503 and 504, lost connections, and files that changed in the meantime are
    retried, after the time in Retry-After if the server sends it.

    Args:
        url: http or https.
        path: where the file will be; it appears once it is complete and checked. Its folder is created if missing.
        sha256: the expected hash, in hexadecimal; None checks only the length.
        patience: how often to try.
        progress: show a bar.
        before_naming: called once the file is complete and checked, before it appears, so that whatever it writes is
            there whenever the file is.

    Raises:
        WrongChecksumError: the bytes are not those requested; they are removed.
        DownloadError: the file cannot be downloaded, or the disk is too small.
        ValueError: `sha256` is not a hash.
    """
    expected = None if sha256 is None else check_sha256(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path, url)
    for attempt in range(1, patience.attempts + 1):
        try:
            _fetch(part, patience.timeout, progress)
            got = _finish(part, path, expected)
            before_naming(got)
            part.close(path)
            return got
        except _PassingError as error:
            wait = patience.wait_after(attempt, error.wait)
            if wait is None:
                raise DownloadError(f"cannot download {url} ({error}){part.told()}") from error
            if progress:
                tqdm.write(f"{error}; attempt {attempt + 1} of {patience.attempts} in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def remove_part(path: Path) -> None:
    """Remove what a download that was killed at its very end left beside the complete file."""
    for name in (path.name + ".part", path.name + ".part.json"):
        path.with_name(name).unlink(missing_ok=True)


class _PassingError(Exception):
    """Worth another try, after `wait` seconds if the server said so."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True, kw_only=True)
class _Version:
    """Which of the server's files a part belongs to, as far as the server said; `total` is its length in bytes."""

    url: str
    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None

    def validator(self) -> str | None:
        """The value to send in If-Range, for which weak tags cannot be used."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def differs(self, other: "_Version") -> bool:
        """Whether anything that both versions specify differs."""
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return any(None not in pair and pair[0] != pair[1] for pair in pairs)


class _Part:
    """The bytes received so far, and the version they belong to."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path.with_name(path.name + ".part")
        self._notes = path.with_name(path.name + ".part.json")
        self.version = _Version(url=url)
        with contextlib.suppress(OSError, ValueError, TypeError):
            noted = _Version(**json.loads(self._notes.read_text(encoding="utf-8")))
            if noted.url == url:
                self.version = noted
                return
        self.forget()

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, version: _Version) -> None:
        """Record which version is coming, before any of it is written."""
        self.path.unlink(missing_ok=True)
        write_json(self._notes, asdict(version))
        self.version = version

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)
        self.version = _Version(url=self.version.url)

    def close(self, path: Path) -> None:
        put(self.path, path)
        self._notes.unlink(missing_ok=True)

    def told(self) -> str:
        if not self.path.exists():
            return ""
        return f"; what was downloaded is kept in {self.path} and the next try resumes there"


def _fetch(part: _Part, timeout: float, progress: bool) -> None:
    """Make one request, for all missing bytes."""
    have = part.size()
    if part.version.total is not None and have == part.version.total:
        return
    # The bytes as they are stored: the server must neither compress nor decompress them in transit.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = part.version.validator()
        if validator is not None:
            headers["If-Range"] = validator
    url = part.version.url
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
            _check_status(answer, part)
            resumed = _take_up(answer, part, have)
            _check_space(part, have if resumed else 0)
            _write(answer, part, progress)
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        raise _PassingError(f"{type(error).__name__}: {error}") from error
    except requests.RequestException as error:
        raise DownloadError(f"cannot download {url} ({type(error).__name__}: {error})") from error
    if part.version.total is not None and part.size() != part.version.total:
        raise _PassingError(f"{part.size()} of {part.version.total} bytes were received")


def _check_status(answer: requests.Response, part: _Part) -> None:
    code = answer.status_code
    if code == requests.codes.requested_range_not_satisfiable:
        part.forget()
        raise _PassingError("the part did not match the server's file and was removed", wait=0)
    if code in PASSING_STATUSES:
        raise _PassingError(f"HTTP {code} {answer.reason}", retry_after(answer.headers.get("Retry-After")))
    if code not in (requests.codes.ok, requests.codes.partial_content):
        raise DownloadError(f"cannot download {answer.url} (HTTP {code} {answer.reason}){part.told()}")


def retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header; None where it is absent or not understood."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _take_up(answer: requests.Response, part: _Part, have: int) -> bool:
    """Whether the response continues where the part ends; otherwise the part is emptied."""
    length = answer.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    resumed = have > 0 and answer.status_code == requests.codes.partial_content
    first = have
    if resumed:
        total = None if total is None else total + have
        # A server may send a different range from the one requested, or only some of it.
        stated = re.match(r"bytes (\d+)-\d+/(\d+)?", answer.headers.get("Content-Range", ""))
        if stated is not None:
            first = int(stated[1])
            total = int(stated[2]) if stated[2] else total
    version = _Version(
        url=part.version.url,
        etag=answer.headers.get("ETag"),
        last_modified=answer.headers.get("Last-Modified"),
        total=total,
    )
    if not resumed:
        part.begin(version)
        return False
    # Servers that do not support If-Range send a part of whatever file they have now.
    if first != have or version.differs(part.version):
        part.forget()
        raise _PassingError("the server's file has changed", wait=0)
    return True


def _check_space(part: _Part, have: int) -> None:
    if part.version.total is None:
        return
    needed, free = part.version.total - have, shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise DownloadError(f"{part.path.parent} has {free:,} bytes free, {part.version.url} needs {needed:,}")


def _write(answer: requests.Response, part: _Part, progress: bool) -> None:
    raw: Any = answer.raw
    with (
        part.path.open("ab") as file,
        progress_bar(
            total=part.version.total,
            initial=part.size(),
            unit="B",
            unit_scale=True,
            desc=part.path.stem,
            always=True,
            show=progress,
        ) as bar,
    ):
        for piece in raw.stream(_PIECE_BYTES, decode_content=False):
            with telling(part.path, needed=part.version.total):
                file.write(piece)
            bar.update(len(piece))


def _finish(part: _Part, path: Path, expected: str | None) -> Downloaded:
    found, version = file_sha256(part.path), part.version
    if expected is not None and found != expected:
        part.forget()
        raise WrongChecksumError(f"{version.url}: SHA-256 is {found}, not {expected}; the file was removed")
    return Downloaded(
        path=path,
        url=version.url,
        size=part.size(),
        sha256=found,
        etag=version.etag,
        last_modified=version.last_modified,
    )
