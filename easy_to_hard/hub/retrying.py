"""Retries calls to huggingface_hub, with a one-line error when they fail; checks ids of repos."""

import logging
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, TypeVar

from tqdm import tqdm

from easy_to_hard.storage.downloads import PASSING_STATUSES, Patience, retry_after

T = TypeVar("T")

# huggingface_hub tries some requests 6 times by itself, which takes 23 s.
HUB_PATIENCE: Final = Patience(attempts=5)
# For downloads, in which huggingface_hub tries each request up to 6 times by itself, over 23 s.
DOWNLOAD_PATIENCE: Final = Patience(attempts=2)
_REPO_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_LONGEST_REPO_ID: Final = 96
_REVISION: Final = re.compile(r"[\w.][\w./-]*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT: Final = re.compile("[0-9a-f]{40}")
# The HTTP client of huggingface_hub used to be requests and is now httpx: the connection errors of both.
_CONNECTION_ERRORS: Final = frozenset(
    {
        "ChunkedEncodingError",
        "ConnectionError",
        "IncompleteRead",
        "NetworkError",
        "ProtocolError",
        "ProxyError",
        "RemoteProtocolError",
        "Timeout",
        "TimeoutError",
        "TimeoutException",
    }
)
_LONGEST_REASON: Final = 300


class HubError(RuntimeError):
    """A request to the Hub failed; the message is one line.

    Attributes:
        status: status code of the HTTP response; None where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def parse_repo_id(repo_id: str) -> str:
    """Return the id, or raise.

    Raises:
        ValueError: it is not of the form owner/name.
    """
    whole = _REPO_ID.fullmatch(repo_id) is not None and len(repo_id) <= _LONGEST_REPO_ID
    if not whole or "--" in repo_id or ".." in repo_id or repo_id.endswith(("-", ".", ".git")):
        raise ValueError(
            f"a Hub repo is named owner/name, in letters, digits, '-', '_' and '.' (no '--', no '..'), "
            f"at most {_LONGEST_REPO_ID} characters, not {repo_id!r}"
        )
    return repo_id


def split_revision(name: str) -> tuple[str, str | None]:
    """The repo id and the revision (a tag, branch or commit) of ``owner/name`` or ``owner/name@revision``.

    Raises:
        ValueError: it is neither.
    """
    repo_id, at, revision = name.partition("@")
    if at and _REVISION.fullmatch(revision) is None:
        raise ValueError(f"a revision is a tag, branch or commit, such as {repo_id}@v1, not {revision!r}")
    return parse_repo_id(repo_id), revision if at else None


def parse_tag(tag: str) -> str:
    """Return the name of a version, or raise.

    Raises:
        ValueError: it cannot be a tag, or would hide a branch or a commit.
    """
    whole = _TAG.fullmatch(tag) is not None and ".." not in tag and not tag.endswith((".", ".lock"))
    if not whole or tag == "main" or _COMMIT.fullmatch(tag):
        raise ValueError(f"a version is named in letters, digits, '-', '_' and '.', such as v1, not {tag!r}")
    return tag


def retrying(call: Callable[[], T], *, what: str, patience: Patience = HUB_PATIENCE, progress: bool = True) -> T:
    """Make a call, and retry it if the failure may be temporary: `PASSING_STATUSES`, lost connections, partial files.

    huggingface_hub tries some requests up to 6 times by itself, which takes 23 s; that time counts as waited.

    Args:
        call: calls huggingface_hub; may be called several times.
        what: what it does, in words that follow "cannot", such as "read owner/name at v1".
        patience: how often it is called, and the waits in between; its timeout is not used here.
        progress: report failures and retries on standard error.

    Raises:
        HubError: the call failed; the message says what failed, why, and what to do.
        Exception: any error of the call that is neither the Hub's nor the network's.
    """
    for attempt in range(1, patience.attempts + 1):
        began = time.monotonic()
        try:
            with _told_here_alone():
                return call()
        except Exception as error:
            reason = _passing_reason(error)
            asked = _asked_wait(error)
            wait = None if reason is None or _has_no_network(error) else patience.wait_after(attempt, asked)
            if reason is None or wait is None:
                _give_up(error, what, attempt)
                raise
            if asked is None:
                wait = max(0.0, wait - (time.monotonic() - began))
            if progress:
                told = f"cannot {what} ({reason}); attempt {attempt + 1} of {patience.attempts} in {wait:.0f} s"
                tqdm.write(told, file=sys.stderr)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _told_here_alone() -> Iterator[None]:
    """Keep huggingface_hub from reporting each of its own attempts."""
    logger = logging.getLogger("huggingface_hub.utils._http")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: huggingface_hub wraps errors of uploads and look-ups in others."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__


def _response(error: BaseException) -> Any:
    """The innermost HTTP response behind an error; None where there was none."""
    answers = (getattr(link, "response", None) for link in _chain(error))
    return next((answer for answer in reversed(list(answers)) if answer is not None), None)


def _asked_wait(error: BaseException) -> float | None:
    response = _response(error)
    return None if response is None else retry_after(response.headers.get("Retry-After"))


def _is_offline(error: BaseException) -> bool:
    """Whether the call failed because huggingface_hub was told not to use the network."""
    from huggingface_hub import constants
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    links = list(_chain(error))
    looked_only_here = isinstance(links[-1], LocalEntryNotFoundError) and constants.HF_HUB_OFFLINE
    return looked_only_here or any(isinstance(link, OfflineModeIsEnabled) for link in links)


def _has_no_network(error: BaseException) -> bool:
    """Whether not even the server's address was found, in which case waiting does not help."""
    links = list(_chain(error))
    # The HTTP clients' own libraries raise without naming the cause.
    while (context := links[-1].__context__) is not None and context not in links:
        links.append(context)
    return any(isinstance(link, socket.gaierror) for link in links)


def _passing_reason(error: BaseException) -> str | None:
    """Why the call failed, in words, if it may succeed on another try; else None."""
    response = _response(error)
    if response is not None:
        return _status_text(response.status_code) if response.status_code in PASSING_STATUSES else None
    if _is_offline(error):
        return None
    for link in _chain(error):
        if _CONNECTION_ERRORS & {kind.__name__ for kind in type(link).__mro__}:
            return _first_line(link)
        if str(link).startswith("Consistency check failed"):
            return "only part of the file was received"
    return None


def _status_text(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."


def _give_up(error: Exception, what: str, attempts: int) -> None:
    """Raise HubError if the error is the Hub's or the network's; otherwise return."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    tried = f" after {attempts} attempts" if attempts > 1 else ""
    response = _response(error)
    if response is not None:
        status = response.status_code
        message = f"cannot {what}{tried} ({_status_text(status)}{_server_words(error)}){_advice(error, status)}"
        raise HubError(message, status) from error
    if _is_offline(error):
        raise HubError(
            f"cannot {what}: HF_HUB_OFFLINE is set, and what is needed is not in the cache; unset it and try again"
        ) from error
    passing = _passing_reason(error)
    if passing is not None:
        raise HubError(f"cannot {what}{tried} ({passing}): look at the connection and try again") from error
    root = _first_line(list(_chain(error))[-1])
    if isinstance(error, LocalEntryNotFoundError):
        raise HubError(f"cannot {what}: it is not in the cache, and the Hub did not tell ({root})") from error
    # What huggingface_hub raises unwrapped: a failed upload, a malformed response, or a malformed README.md.
    if type(error) in (RuntimeError, ValueError):
        raise HubError(f"cannot {what} ({root})") from error


def _server_words(error: BaseException) -> str:
    """What the server wrote, on one line."""
    written = [getattr(link, "server_message", None) for link in _chain(error)]
    words = next((" ".join(text.split()) for text in written if text), "")
    return f": {words[:_LONGEST_REASON]}" if words else ""


def _advice(error: BaseException, status: int) -> str:
    """What to do about a response, as the end of the error line."""
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    links = list(_chain(error))
    if any(isinstance(link, RevisionNotFoundError) for link in links):
        return ": the repo has no such revision"
    if any(isinstance(link, EntryNotFoundError) for link in links) and status == HTTPStatus.NOT_FOUND:
        return ": the repo has no such file at this revision"
    token = "set HF_TOKEN or run 'hf auth login'"
    if any(isinstance(link, RepositoryNotFoundError) for link in links) and status != HTTPStatus.FORBIDDEN:
        return f": there is no such repo, or it is private and the token gives no access ({token})"
    if status == HTTPStatus.UNAUTHORIZED:
        return f": the token is missing or not valid, {token}"
    if status == HTTPStatus.FORBIDDEN:
        return f": the token lacks the permission, {token} with one that has it"
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ": somebody else has changed the repo in the meantime, try again"
    if status in PASSING_STATUSES:
        asked = _asked_wait(error)
        return ": try again later" if asked is None else f": the server asks to wait {asked:.0f} s"
    return ""
