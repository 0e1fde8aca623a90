"""Locks on Windows, where no open file can be removed, and a lock's file goes when the lock is released."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from easy_to_hard import build
from easy_to_hard.lichess import convert as converting
from easy_to_hard.lichess import folders
from easy_to_hard.storage import journal, writing
from easy_to_hard.storage.presets import Part

PUZZLES = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
PARTS = [
    Part(task="prefix_sums", difficulty=70, split="train", rows=3),
    Part(task="prefix_sums", difficulty=70, split="test", rows=3),
]
open_files: set[str] = set()


class WindowsLock(FileLock):
    """A lock that keeps its file open and removes it when it is released."""

    def _acquire(self) -> None:
        super()._acquire()
        if self.is_locked:
            open_files.add(Path(self.lock_file).name)

    def _release(self) -> None:
        super()._release()
        open_files.discard(Path(self.lock_file).name)
        Path(self.lock_file).unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(unlink: Callable[..., None]) -> Callable[..., None]:
        def replacement(path: Any, **options: Any) -> None:
            if Path(path).name in open_files:
                raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
            unlink(path, **options)

        return replacement

    for module in (folders, journal, writing):
        monkeypatch.setattr(module, "FileLock", WindowsLock)
    monkeypatch.setattr(os, "unlink", refusing(os.unlink))
    monkeypatch.setattr(Path, "unlink", refusing(Path.unlink))


def test_a_new_folder_goes_if_nothing_comes_of_it(tmp_path: Path) -> None:
    with writing.hold_folder(tmp_path / "new" / "run", "run"):
        assert open_files == {".lock"}
    assert list(tmp_path.iterdir()) == []


def test_shares_are_put_together(tmp_path: Path) -> None:
    build(tmp_path, parts=PARTS, shard=(1, 2), num_threads=1, progress=False)
    (tmp_path / ".lock-1-of-2").touch()
    build(tmp_path, parts=PARTS, num_threads=1, progress=False)
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "manifest.json").is_file()


def test_puzzles_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converting.convert(PUZZLES, tmp_path / "data", progress=False)
    assert not list((tmp_path / "data").glob(".*"))

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(converting, "write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        converting.convert(PUZZLES, tmp_path / "none", progress=False)
    assert not (tmp_path / "none").exists()
