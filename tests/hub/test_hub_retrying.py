"""Calls of the Hub that are tried again, and the line that is left of those that fail; ids and versions."""

import http.client
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from easy_to_hard.hub.retrying import HUB_PATIENCE, HubError, parse_repo_id, parse_tag, retrying, split_revision
from easy_to_hard.storage.downloads import Patience, WrongChecksumError

THREE = Patience(attempts=3, first_wait=1.0, longest_wait=10.0)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def _http(status: int, kind: type[HfHubHTTPError] = HfHubHTTPError, told: str = "", **headers: str) -> HfHubHTTPError:
    response: Any = SimpleNamespace(status_code=status, headers=headers, request=None)
    return kind(f"{status}\n\nlong story", response=response, server_message=told or None)


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return call


class TimeoutException(Exception):
    """Named as the base of its kind in an HTTP client is."""


class ReadTimeoutOfAClient(TimeoutException):
    pass


PASSING = [
    *(_http(status) for status in (408, 429, 500, 502, 503, 504)),
    ConnectionResetError("gone"),
    TimeoutError(),
    http.client.IncompleteRead(b""),
    ReadTimeoutOfAClient("slow"),
    OSError("Consistency check failed: file should be of size 3 but has size 2 (x)."),
    _caused(LocalEntryNotFoundError("an error happened"), _http(503)),
    _caused(LocalEntryNotFoundError("an error happened"), ConnectionRefusedError("no")),
    _caused(RuntimeError("Error while uploading 'x' to the Hub."), _http(500)),
    _caused(RuntimeError("Error while uploading 'x' to the Hub."), BrokenPipeError()),
]


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_passes_is_tried_again(error: Exception, waits: list[float]) -> None:
    assert retrying(_failing(error, error), what="read x", patience=THREE, progress=False) == "done"
    assert waits == pytest.approx([1.0, 2.0], abs=0.1)
    with pytest.raises(HubError, match="cannot read x after 3 attempts ") as raised:
        retrying(_failing(error, error, error), what="read x", patience=THREE, progress=False)
    assert "\n" not in str(raised.value)
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (_http(400, told="bad\nname"), "cannot read x (HTTP 400 Bad Request: bad name)", 400),
        (
            _http(401),
            "cannot read x (HTTP 401 Unauthorized): the token is missing or not valid, set HF_TOKEN or run "
            "'hf auth login'",
            401,
        ),
        (
            _http(403, told="no"),
            "cannot read x (HTTP 403 Forbidden: no): the token lacks the permission, set HF_TOKEN or run 'hf auth "
            "login' with one that has it",
            403,
        ),
        (
            _http(404, RepositoryNotFoundError),
            "cannot read x (HTTP 404 Not Found): there is no such repo, or it is private and the token gives no access "
            "(set HF_TOKEN or run 'hf auth login')",
            404,
        ),
        (
            _http(404, RevisionNotFoundError),
            "cannot read x (HTTP 404 Not Found): the repo has no such revision",
            404,
        ),
        (
            _http(404, RemoteEntryNotFoundError),
            "cannot read x (HTTP 404 Not Found): the repo has no such file at this revision",
            404,
        ),
        (_http(599), "cannot read x (HTTP 599)", 599),
        (
            OfflineModeIsEnabled("offline"),
            "cannot read x: HF_HUB_OFFLINE is set, and what is needed is not in the cache; unset it and try again",
            None,
        ),
        (
            LocalEntryNotFoundError("not in the cache\nand more"),
            "cannot read x: HF_HUB_OFFLINE is set, and what is needed is not in the cache; unset it and try again",
            None,
        ),
        (
            _caused(LocalEntryNotFoundError("no"), ValueError("odd")),
            "cannot read x: it is not in the cache, and the Hub did not tell (ValueError: odd)",
            None,
        ),
        (RuntimeError("odd\nmore"), "cannot read x (RuntimeError: odd)", None),
        (ValueError("invalid card"), "cannot read x (ValueError: invalid card)", None),
        (
            _http(429, **{"Retry-After": "11"}),
            "cannot read x (HTTP 429 Too Many Requests): the server asks to wait 11 s",
            429,
        ),
    ],
)
def test_what_does_not_pass_is_one_line(error: Exception, message: str, status: int | None, waits: list[float]) -> None:
    with pytest.raises(HubError) as raised:
        retrying(_failing(error), what="read x", patience=THREE, progress=False)
    assert (str(raised.value), raised.value.status) == (message, status)
    assert not waits


@pytest.mark.parametrize(
    "error", [OSError(28, "no space left"), WrongChecksumError("x"), KeyError("x"), HubError("cannot do y")], ids=str
)
def test_what_is_not_the_hub_s_goes_through(error: Exception, waits: list[float]) -> None:
    with pytest.raises(type(error)) as raised:
        retrying(_failing(error), what="read x", patience=THREE, progress=False)
    assert raised.value is error
    assert not waits


def test_the_server_s_wait_is_kept(waits: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    errors = [_http(429, **{"Retry-After": "7"}), _caused(RuntimeError("upload"), _http(503, **{"Retry-After": "0"}))]
    assert retrying(_failing(*errors), what="send x", patience=THREE) == "done"
    assert waits == [7.0, 0.0]
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "cannot send x (HTTP 429 Too Many Requests); attempt 2 of 3 in 7 s"


def test_time_that_the_call_took_counts_as_waited(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    errors = [_http(500), _http(500), _http(500), _http(500)]

    def slow() -> str:
        clock[0] += 5.0
        if errors:
            raise errors.pop()
        return "done"

    assert retrying(slow, what="send x", progress=False) == "done"
    assert waits == [0.0, 0.0, 0.0, 3.0]
    assert HUB_PATIENCE.attempts == 5


def test_an_interrupt_is_not_caught(waits: list[float]) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retrying(interrupted, what="read x")
    assert not waits


@pytest.mark.parametrize("repo_id", ["a/b", "Org-1/my.data_set", "a/_b", "o/" + "x" * 94])
def test_ids(repo_id: str) -> None:
    assert parse_repo_id(repo_id) == repo_id
    assert split_revision(repo_id) == (repo_id, None)
    for revision in ("v1", "main", "refs/pr/1", "0" * 40, "v1.0-rc.1"):
        assert split_revision(f"{repo_id}@{revision}") == (repo_id, revision)


@pytest.mark.parametrize(
    "repo_id",
    ["", "a", "/b", "a/", "a/b/c", "a b/c", "a/b@v1", "-a/b", "a/-b", "a/b.git", "a--b/c", "a/b..c", "a/b.", "a/b-",
     "../x", "./x", "a/é", "a/b\n", "o/" + "x" * 95, "https://huggingface.co/a/b"],
)  # fmt: skip
def test_no_ids(repo_id: str) -> None:
    with pytest.raises(ValueError, match="a Hub repo is named owner/name"):
        parse_repo_id(repo_id)


@pytest.mark.parametrize("revision", ["", " v1", "v 1", "/v1", "-v1", "v1@v2", "v1\n"])
def test_no_revisions(revision: str) -> None:
    with pytest.raises(ValueError, match=r"a revision is a tag, branch or commit, such as a/b@v1"):
        split_revision(f"a/b@{revision}")


def test_versions() -> None:
    for tag in ("v1", "1.0", "v1.0-rc.1", "2026_11"):
        assert parse_tag(tag) == tag
    for tag in ("", "main", "v 1", "refs/x", "-1", ".v1", "v1.", "a..b", "v.lock", "0" * 40, "v1\n"):
        with pytest.raises(ValueError, match="a version is named in letters"):
            parse_tag(tag)


def test_an_unknown_host_is_not_tried_again(waits: list[float]) -> None:
    def call() -> None:
        try:
            raise socket.gaierror(-2, "Name or service not known")
        except OSError:
            raise ConnectionError("no such host")  # noqa: B904

    with pytest.raises(HubError, match=r"^cannot read it \(ConnectionError: no such host\): look at the connection"):
        retrying(call, what="read it", patience=THREE)
    assert waits == []
