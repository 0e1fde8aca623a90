"""Downloads from a server of our own that misbehaves in every way, and the record beside the Lichess file."""

import email.utils
import hashlib
import itertools
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from lichess_server import Fault, FileServer, serving

from easy_to_hard.commands.chess import DownloadLichess
from easy_to_hard.lichess.download import download_lichess
from easy_to_hard.storage.downloads import DownloadError, Patience, WrongChecksumError, download

CONTENT = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=4, first_wait=0.01, longest_wait=0.1)
ONCE = Patience(attempts=1)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as running:
        yield running


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _get(server: FileServer, path: Path, patience: Patience = QUICK, sha256: str | None = SHA256) -> bytes:
    assert download(server.url, path, sha256=sha256, patience=patience, progress=False).path == path
    return path.read_bytes()


def test_a_file_comes_whole_and_nothing_else_stays(server: FileServer, tmp_path: Path) -> None:
    got = download(server.url, tmp_path / "new" / "file", progress=False)
    assert (got.size, got.sha256, got.etag) == (1_000_000, SHA256, '"version-1"')
    assert got.last_modified == "Mon, 02 Nov 2026 10:00:00 GMT"
    assert got.path.read_bytes() == CONTENT
    assert _names(tmp_path / "new") == ["file"]
    assert server.asked == [(None, None)]


def test_a_connection_that_drops_halfway_is_taken_up(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut=500_000), Fault(cut=100_000)]
    assert _get(server, tmp_path / "file") == CONTENT
    assert _names(tmp_path) == ["file"]
    first, second, third = server.asked
    assert first == (None, None)
    starts = [int(str(wanted).removeprefix("bytes=").rstrip("-")) for wanted, _ in (second, third)]
    # At most one piece of 64 KiB of what came is lost.
    assert 400_000 < starts[0] <= 500_000
    assert starts[0] < starts[1] <= starts[0] + 100_000
    assert second[1] == third[1] == '"version-1"'


def test_a_part_is_kept_for_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError, match=r"cannot download http.*what was downloaded is kept in .*file\.part"):
        _get(server, tmp_path / "file", ONCE)
    assert _names(tmp_path) == ["file.part", "file.part.json"]
    assert _get(server, tmp_path / "file", ONCE) == CONTENT
    assert server.asked[1][0] is not None
    assert _names(tmp_path) == ["file"]


def test_a_part_that_is_whole_needs_no_request(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError):
        _get(server, tmp_path / "file", ONCE)
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert _get(server, tmp_path / "file", ONCE) == CONTENT
    assert len(server.asked) == 1


@pytest.mark.parametrize("validator", ["etag", "last_modified", "weak etag", "length", "nothing"])
def test_a_file_that_changes_between_two_tries_is_fetched_anew(
    server: FileServer, tmp_path: Path, validator: str
) -> None:
    if validator == "weak etag":
        server.etag, server.last_modified = 'W/"weak-1"', ""
    elif validator != "etag":
        server.etag = ""
        server.last_modified = server.last_modified if validator == "last_modified" else ""
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError):
        _get(server, tmp_path / "file", ONCE)
    other = random.Random(1).randbytes(900_000 if validator == "length" else 1_000_000)
    server.content = other
    server.etag = {"etag": '"version-2"', "weak etag": 'W/"weak-2"'}.get(validator, "")
    server.last_modified = "Tue, 01 Dec 2026 10:00:00 GMT" if validator == "last_modified" else ""
    if validator == "nothing":
        # Nothing tells the two apart but the checksum.
        with pytest.raises(WrongChecksumError):
            _get(server, tmp_path / "file", sha256=hashlib.sha256(other).hexdigest())
        assert _names(tmp_path) == []
    assert _get(server, tmp_path / "file", sha256=hashlib.sha256(other).hexdigest()) == other
    # A weak tag is no condition for a part.
    asked = {"etag": '"version-1"', "last_modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
    assert server.asked[1][1] == asked.get(validator)


def test_a_part_of_a_changed_file_is_seen_though_the_server_ignores_the_condition(
    server: FileServer, tmp_path: Path
) -> None:
    server.heeds_if_range = False
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError):
        _get(server, tmp_path / "file", ONCE)
    server.content, server.etag = CONTENT[::-1], '"version-2"'
    assert _get(server, tmp_path / "file", sha256=None) == CONTENT[::-1]
    assert server.asked[2] == (None, None)


def test_a_server_without_ranges_sends_all_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    server.faults = [Fault(cut=500_000)]
    assert _get(server, tmp_path / "file") == CONTENT


@pytest.mark.parametrize("sends_length", [True, False])
def test_a_server_that_sends_another_range_is_not_believed(
    server: FileServer, tmp_path: Path, sends_length: bool
) -> None:
    server.shift = 10
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError):
        _get(server, tmp_path / "file", ONCE)
    server.sends_length = sends_length
    assert _get(server, tmp_path / "file") == CONTENT
    assert [wanted is None for wanted, _ in server.asked] == [True, False, True]


def test_a_server_that_sends_a_range_in_portions_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.most = 300_000
    server.faults = [Fault(cut=500_000)]
    assert _get(server, tmp_path / "file", Patience(attempts=4, first_wait=0)) == CONTENT
    assert len(server.asked) == 3


def test_a_part_longer_than_the_file_is_dropped(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(cut=500_000)]
    with pytest.raises(DownloadError):
        _get(server, tmp_path / "file", ONCE)
    (tmp_path / "file.part").write_bytes(bytes(1_000_001))
    assert _get(server, tmp_path / "file") == CONTENT


def test_a_part_of_unknown_origin_or_of_another_address_is_not_used(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(bytes(500_000))
    assert _get(server, tmp_path / "file") == CONTENT
    (tmp_path / "other.part").write_bytes(bytes(500_000))
    (tmp_path / "other.part.json").write_text(json.dumps({"url": "http://elsewhere/file", "total": 1_000_000}))
    assert _get(server, tmp_path / "other") == CONTENT
    (tmp_path / "third.part").write_bytes(bytes(500_000))
    (tmp_path / "third.part.json").write_text('{"url": 3, "unknown"')
    assert _get(server, tmp_path / "third") == CONTENT
    assert server.asked == [(None, None)] * 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_tried_again(server: FileServer, tmp_path: Path, status: int) -> None:
    server.faults = [Fault(status=status, headers={"Retry-After": "0"}), Fault(status=status), Fault(cut=500_000)]
    assert _get(server, tmp_path / "file") == CONTENT
    assert len(server.asked) == 4


def test_the_number_of_tries_is_bounded(server: FileServer, tmp_path: Path) -> None:
    server.faults = [Fault(status=500)] * 20
    with pytest.raises(DownloadError, match=r"cannot download http://127.*\(HTTP 500 Internal Server Error\)$"):
        _get(server, tmp_path / "file")
    assert len(server.asked) == 4
    assert _names(tmp_path) == []


def _waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr("easy_to_hard.storage.downloads.time", SimpleNamespace(sleep=waits.append, time=time.time))
    return waits


def test_waits_double_up_to_the_longest_and_heed_retry_after(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _waits(monkeypatch)
    server.faults = [Fault(status=503)] * 5 + [Fault(status=429, headers={"Retry-After": "7"})]
    _get(server, tmp_path / "file", Patience(attempts=7, first_wait=2, longest_wait=9))
    assert waits == [2, 4, 8, 9, 9, 7]
    waits.clear()
    server.faults = [Fault(status=503, headers={"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)})]
    _get(server, tmp_path / "other", Patience(attempts=2))
    assert 25 < waits[0] <= 30
    waits.clear()
    server.faults = [Fault(status=503, headers={"Retry-After": "soon"})]
    _get(server, tmp_path / "third", Patience(attempts=2, first_wait=3))
    assert waits == [3]


def test_a_server_that_wants_too_long_a_wait_is_given_up(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = _waits(monkeypatch)
    server.faults = [Fault(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(DownloadError, match="HTTP 429"):
        _get(server, tmp_path / "file")
    assert waits == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_lasting_errors_are_not_tried_again(server: FileServer, tmp_path: Path, status: int) -> None:
    server.faults = [Fault(status=status)]
    with pytest.raises(DownloadError, match=rf"cannot download http://127.* \(HTTP {status} "):
        _get(server, tmp_path / "file")
    assert len(server.asked) == 1


def test_dead_servers_and_wrong_addresses_are_one_line(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:1/file", "no address", "ftp://127.0.0.1/file"):
        with pytest.raises(DownloadError, match="cannot download") as caught:
            download(url, tmp_path / "file", patience=Patience(attempts=2, first_wait=0), progress=False)
        assert "\n" not in str(caught.value)
    assert _names(tmp_path) == []


def test_a_wrong_checksum_names_both_and_keeps_nothing(server: FileServer, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(WrongChecksumError, match=rf"SHA-256 is [0-9a-f]{{64}}, not {SHA256}; the file was removed"):
        _get(server, tmp_path / "file")
    assert _names(tmp_path) == []
    assert len(server.asked) == 1


def test_a_file_without_a_length_comes_too(server: FileServer, tmp_path: Path) -> None:
    server.sends_length = False
    assert _get(server, tmp_path / "file") == CONTENT


def test_bytes_are_stored_as_they_come(server: FileServer, tmp_path: Path) -> None:
    """A header that claims that the file is packed for the way changes nothing."""
    server.faults = [Fault(headers={"Content-Encoding": "gzip"})]
    assert _get(server, tmp_path / "file", ONCE) == CONTENT


def test_a_full_disk_is_seen_before_anything_is_written(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=999_999))
    with pytest.raises(DownloadError, match=r"has 999,999 bytes free, http.* needs 1,000,000"):
        _get(server, tmp_path / "file")
    assert not (tmp_path / "file.part").exists()


def test_progress_is_shown_unless_unwanted(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(server.url, tmp_path / "quiet", progress=False)
    assert capsys.readouterr().err == ""
    download(server.url, tmp_path / "shown")
    assert "shown: 100%" in capsys.readouterr().err


def test_arguments_are_checked(tmp_path: Path) -> None:
    for wrong in ({"attempts": 0}, {"first_wait": -1}, {"first_wait": 100}, {"timeout": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Patience(**wrong)
    with pytest.raises(ValueError, match="sha256 must be 64 hexadecimal digits, not 'abc'"):
        download("http://127.0.0.1:1", tmp_path / "file", sha256="abc")


# ---- the Lichess file and its record


def _lichess(server: FileServer, out: Path, **options: str) -> bool:
    return download_lichess(out, url=server.url, patience=QUICK, progress=False, **options).downloaded


def test_the_record_says_which_file_it_is(server: FileServer, tmp_path: Path) -> None:
    out = tmp_path / "puzzles.csv.zst"
    file = download_lichess(out, snapshot="2026-11", url=server.url, sha256=SHA256.upper(), progress=False)
    assert (file.path, file.snapshot, file.size, file.sha256, file.downloaded) == (out, "2026-11", 10**6, SHA256, True)
    record = json.loads((tmp_path / "puzzles.csv.zst.json").read_text())
    assert len(record.pop("date")) == 10
    assert record == {
        "snapshot": "2026-11",
        "url": server.url,
        "etag": '"version-1"',
        "last_modified": "Mon, 02 Nov 2026 10:00:00 GMT",
        "bytes": 1_000_000,
        "sha256": SHA256,
    }
    assert not _lichess(server, out, snapshot="2026-11")
    assert len(server.asked) == 1


class _KilledError(BaseException):
    """What no `except Exception` catches, as little as a kill."""


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_killed_at_a_rename_it_goes_on_as_if_it_had_not_been(
    number: int, renamed: bool, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three files get their names: what a part is of, the record, and the file."""
    out, numbers, rename = tmp_path / "puzzles.csv.zst", itertools.count(), os.replace

    def rename_until(source: Path, target: Path) -> None:
        last = next(numbers) == number
        if renamed or not last:
            rename(source, target)
        if last:
            raise _KilledError

    monkeypatch.setattr(os, "replace", rename_until)
    with pytest.raises(_KilledError):
        _lichess(server, out, snapshot="2026-11")
    monkeypatch.setattr(os, "replace", rename)
    assert _lichess(server, out) == (number < 2 or not renamed)
    assert _names(tmp_path) == [out.name, f"{out.name}.json"]
    assert out.read_bytes() == CONTENT
    assert json.loads((tmp_path / f"{out.name}.json").read_text())["sha256"] == SHA256


def test_a_snapshot_is_named_after_the_month_of_the_file(server: FileServer, tmp_path: Path) -> None:
    server.last_modified = "Fri, 03 Apr 2020 10:00:00 GMT"
    assert download_lichess(tmp_path / "a", url=server.url, progress=False).snapshot == "2020-04"
    server.last_modified = "long ago"
    assert len(download_lichess(tmp_path / "b", url=server.url, progress=False).snapshot) == 7


def test_a_snapshot_means_the_same_bytes_for_ever(server: FileServer, tmp_path: Path) -> None:
    out = tmp_path / "puzzles.csv.zst"
    _lichess(server, out, snapshot="2026-11")
    out.unlink()
    assert _lichess(server, out, snapshot="2026-11")
    out.unlink()
    server.content, server.etag = CONTENT[::-1], '"version-2"'
    with pytest.raises(DownloadError, match=rf"not {SHA256}.* another file than snapshot '2026-11'"):
        download_lichess(out, snapshot="2026-11", patience=QUICK, progress=False)
    assert _names(tmp_path) == ["puzzles.csv.zst.json"]
    assert len(server.asked) == 3


def test_another_snapshot_and_damaged_files_are_refused(server: FileServer, tmp_path: Path) -> None:
    out = tmp_path / "puzzles.csv.zst"
    _lichess(server, out, snapshot="2026-11")
    with pytest.raises(DownloadError, match="is snapshot '2026-11', not '2026-12': choose another file"):
        _lichess(server, out, snapshot="2026-12")
    with pytest.raises(DownloadError, match=rf"has SHA-256 {SHA256}, not {'0' * 64}"):
        _lichess(server, out, sha256="0" * 64)
    out.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match=rf"SHA-256 is .*, not {SHA256}: remove it to download it again"):
        _lichess(server, out)
    assert out.exists()
    (tmp_path / "puzzles.csv.zst.json").write_text("[]")
    with pytest.raises(DownloadError, match="is not the record of a download"):
        _lichess(server, out)
    assert len(server.asked) == 1


def test_a_file_without_record_needs_a_checksum(server: FileServer, tmp_path: Path) -> None:
    out = tmp_path / "puzzles.csv.zst"
    out.write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="there is no record of which file it is: give --sha256, or remove it"):
        _lichess(server, out)
    assert not _lichess(server, out, sha256=SHA256, snapshot="mine")
    assert not _lichess(server, out, snapshot="mine")
    assert server.asked == []


def test_snapshot_names_are_checked(tmp_path: Path) -> None:
    for name in ("", "../x", "a b", "x" * 65):
        with pytest.raises(ValueError, match="snapshot must be at most 64 letters"):
            download_lichess(tmp_path / "file", snapshot=name)


def test_the_command_tells_what_came(server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "puzzles.csv.zst"
    command = DownloadLichess(out=out, snapshot="2026-11", url=server.url, quiet=True)
    assert command.run() == 0
    told = f"{out}: snapshot 2026-11, 1,000,000 bytes, SHA-256 {SHA256}"
    assert capsys.readouterr() == (f"{told}\n", "")
    assert command.run() == 0
    assert capsys.readouterr().out == f"{told}, already there\n"
