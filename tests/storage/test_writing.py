"""Files that are written whole, kept, and named where they cannot be written."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easy_to_hard.storage import writing
from easy_to_hard.storage.writing import (
    WriteError,
    clear_leftovers,
    hold_folder,
    holds_nothing,
    is_temporary,
    replacing,
    telling,
    temporary_of,
    write_atomically,
)


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_dead_processes_left_of_a_file_goes_when_it_is_written(tmp_path: Path, dead: int) -> None:
    left, living = tmp_path / f".a.{dead}.tmp", tmp_path / f".a.{os.getppid()}.tmp"
    other, stranger = tmp_path / f".b.{dead}.tmp", tmp_path / ".a.tmp"
    for path in (left, living, other, stranger):
        path.write_text("half")
    write_atomically(tmp_path / "a", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a", living.name, other.name, stranger.name])


def test_who_has_a_folder_clears_all_of_it(tmp_path: Path, dead: int) -> None:
    run = tmp_path / "run"
    (run / "nets" / f".model.{dead}.tmp").mkdir(parents=True)
    (run / "nets" / f".model.{dead}.tmp" / "weights").write_text("half")
    (run / f".recipe.json.{os.getpid()}.tmp").write_text("half")
    (run / ".mine.tmp").write_text("keep")
    assert not holds_nothing(run)
    with hold_folder(run, "training"):
        assert sorted(path.name for path in run.rglob("*")) == [".lock", ".mine.tmp", "nets"]
        with pytest.raises(ValueError, match="another training is going on in"), hold_folder(run, "training"):
            pass


def test_a_folder_of_leftovers_holds_nothing(tmp_path: Path, dead: int) -> None:
    assert holds_nothing(tmp_path / "missing")
    assert holds_nothing(tmp_path)
    (tmp_path / f".recipe.json.{dead}.tmp").write_text("half")
    (tmp_path / ".lock").touch()
    assert holds_nothing(tmp_path)
    (tmp_path / "thesis.tex").touch()
    assert not holds_nothing(tmp_path)
    assert not holds_nothing(tmp_path / "thesis.tex")


def test_a_new_folder_goes_if_nothing_comes_of_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_folder(tmp_path / "new", "run"):
        raise RuntimeError
    assert not (tmp_path / "new").exists()
    with hold_folder(tmp_path / "new", "run"):
        (tmp_path / "new" / "part").touch()
    assert (tmp_path / "new" / "part").exists()


def test_names_of_temporaries(tmp_path: Path) -> None:
    assert is_temporary(temporary_of(tmp_path / "a.b"))
    for name in ("a.1.tmp", ".a.tmp", ".a.x.tmp", ".1.tmp", ".a.1.tmp.gz"):
        assert not is_temporary(Path(name))


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(TypeError), replacing(tmp_path / "a") as temporary:
        temporary.write_bytes("text")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_content_is_synced_before_the_name_and_the_name_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            events.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(os, "fsync", noted("sync", os.fsync))
    monkeypatch.setattr(os, "replace", noted("rename", os.replace))
    write_atomically(tmp_path / "a", "text")
    assert events == (["sync", "rename", "sync"] if os.name == "posix" else ["sync", "rename"])


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        # As pyarrow and safetensors say it.
        OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        type("SafetensorError", (Exception,), {})(
            "Error while serializing: I/O error: No space left on device (os 28)"
        ),
    ],
)
def test_a_full_disk_is_one_line_with_the_file(error: Exception, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with pytest.raises(WriteError) as told, replacing(path, needed=5_000):
        raise error
    assert str(told.value).startswith(f"cannot write {path}: the disk is full (5,000 bytes are needed, ")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WriteError, match=r"the disk is full$"), telling(path):
        raise error


def test_a_writer_that_does_not_say_why_is_asked_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So torch does: "unexpected pos 47552"."""
    with pytest.raises(RuntimeError, match="unexpected pos"), telling(tmp_path / "a"):
        raise RuntimeError("unexpected pos 47552 vs 47446")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(WriteError, match="the disk is full"), telling(tmp_path / "a"):
        raise RuntimeError("unexpected pos 47552 vs 47446")
    with pytest.raises(ValueError, match="no number"), telling(tmp_path / "a"):
        raise ValueError("no number")


def test_other_errors_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=rf"cannot write {tmp_path / 'a'}: File too large"), telling(tmp_path / "a"):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    with pytest.raises(FileNotFoundError, match="missing"):
        write_atomically(tmp_path / "missing" / "a", "text")


def test_processes_that_cannot_be_told_are_spared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dead: int) -> None:
    monkeypatch.setattr(writing, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    (tmp_path / f".a.{dead}.tmp").touch()
    clear_leftovers(tmp_path, of="a")
    assert len(list(tmp_path.iterdir())) == 1
