"""Building in a folder where something else lies, or where a build ended badly: nothing but its own is removed."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from easy_to_hard import build, verify
from easy_to_hard.cli import main
from easy_to_hard.storage import building
from easy_to_hard.storage.files import write_shard
from easy_to_hard.storage.manifest import StorageError
from easy_to_hard.storage.presets import Part

PARTS = [
    Part(task="prefix_sums", difficulty=16, split="train", rows=20),
    Part(task="prefix_sums", difficulty=24, split="test", rows=20),
]
SHARE = "1-of-2.jsonl"


def _build(root: Path, **options: Any) -> building.BuildReport:
    return build(root, parts=PARTS, num_threads=1, progress=False, **options)


@pytest.mark.parametrize("name", ["debug/app", "notes.jsonl", "model.parquet", "all.jsonl/x"])
def test_a_folder_of_that_name_is_not_ours(name: str, tmp_path: Path) -> None:
    mine = tmp_path / ".build" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    what = "it does not belong to a build; choose another folder, or remove it"
    told = rf"\.build holds {name.partition('/')[0]}: {what}"
    with pytest.raises(StorageError, match=told):
        _build(tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_of_that_name_is_not_followed(there: bool, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".build").symlink_to(tmp_path / ("elsewhere" if there else "nowhere"))
    with pytest.raises(StorageError, match=r"\.build is not a folder"):
        _build(tmp_path / "data")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_other_locks_are_neither_held_nor_removed(tmp_path: Path) -> None:
    (tmp_path / ".lock-notes").write_text("mine")
    with pytest.raises(StorageError, match=r"is not empty and holds no dataset: found \.lock-notes"):
        _build(tmp_path)
    assert (tmp_path / ".lock-notes").read_text() == "mine"
    (tmp_path / ".lock-notes").rename(tmp_path / "kept")
    (tmp_path / "data").mkdir()
    _build(tmp_path / "data", shard=(1, 2))
    (tmp_path / "kept").rename(tmp_path / "data" / ".lock-notes")
    _build(tmp_path / "data")
    assert (tmp_path / "data" / ".lock-notes").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "data").glob(".*")) == [".lock", ".lock-notes"]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda content: b"", 0),
        (lambda content: b"null\n", 0),
        (lambda content: b"\xff\xfe\n", 0),
        (lambda content: content + b"7\n", 1),
        (lambda content: content + b"\xff\xfe", 1),
        (lambda content: content + b'{"path": 5}\n', 1),
        (lambda content: content[:-3], 0),
    ],
)
def test_a_damaged_journal_is_no_obstacle(damage: Callable[[bytes], bytes], kept: int, tmp_path: Path) -> None:
    _build(tmp_path / "data", shard=(1, 2))
    journal = tmp_path / "data" / ".build" / SHARE
    journal.write_bytes(damage(journal.read_bytes()))
    assert _build(tmp_path / "data").kept == kept
    assert verify(tmp_path / "data", progress=False).problems == ()
    assert not (tmp_path / "data" / ".build").exists()


def test_a_journal_of_another_dataset_still_counts(tmp_path: Path) -> None:
    _build(tmp_path, shard=(1, 2))
    journal = tmp_path / ".build" / SHARE
    plan, *entries = journal.read_text().splitlines()
    journal.write_text("\n".join([json.dumps({**json.loads(plan), "seed": 1}), *entries]))
    with pytest.raises(StorageError, match=r"holds another dataset \(seed 1, not 0\)"):
        _build(tmp_path)


@dataclass
class _Stopped:
    """A build that was interrupted while a thread of it was about to name its first file.

    Attributes:
        paths: of temporary files, in the order in which they were whole; the first is that thread's.
        go_on: lets that thread come to its end.
    """

    paths: list[Path] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """Wait for that thread."""
        self.go_on.set()
        for thread in threading.enumerate():
            if thread.name.startswith("ThreadPoolExecutor") and thread is not threading.current_thread():
                thread.join(60)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stopped]:
    """Ctrl-C as in a notebook, where the process goes on."""
    state = _Stopped()

    def slow(path: Path, *rest: Any) -> dict[str, Any]:
        facts = write_shard(path, *rest)
        state.paths.append(path)
        if len(state.paths) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            assert state.go_on.wait(60)
        return facts

    monkeypatch.setattr(building, "write_shard", slow)
    with pytest.raises(KeyboardInterrupt):
        _build(tmp_path)
    yield state
    state.end()


@pytest.mark.posix
def test_a_thread_of_a_stopped_build_writes_nothing_more(stopped: _Stopped, tmp_path: Path) -> None:
    stopped.end()
    assert stopped.paths[0].exists()
    assert list(tmp_path.glob("*/*.parquet")) == stopped.paths


@pytest.mark.posix
def test_a_thread_of_a_stopped_build_leaves_the_next_one_alone(
    stopped: _Stopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace
    replaced: list[Path] = []

    def noted(old: Path, new: Path) -> None:
        if old.suffix == ".parquet" and not replaced:
            # The next build has its first file ready, and the thread comes to its end.
            replaced.append(old)
            stopped.go_on.set()
            time.sleep(0.3)
        replace(old, new)

    monkeypatch.setattr(os, "replace", noted)
    assert _build(tmp_path).made == 2
    first, again, _ = stopped.paths
    assert first != again
    assert first.name.rpartition(".parquet")[0][-20:] == again.name.rpartition(".parquet")[0][-20:]
    assert replaced == [again]
    assert verify(tmp_path, progress=False).problems == ()


@pytest.mark.parametrize("shard", [None, (2, 2)])
def test_files_of_two_versions_of_pyarrow_are_not_mixed(
    shard: tuple[int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the machine that makes the second share, and in the folder where the shares are joined."""
    parts = [Part(task="prefix_sums", difficulty=bits, split="test", rows=2) for bits in (70, 80)]
    build(tmp_path, parts=parts, shard=(1, 2), progress=False)
    (path,) = tmp_path.glob("*/*.parquet")
    with monkeypatch.context() as patches:
        patches.setattr(building, "this_writer", lambda: "parquet-cpp-arrow version 1.0.0")
        with pytest.raises(StorageError, match=r"one version of pyarrow.* is by parquet-cpp-arrow version 1\.0\.0"):
            build(tmp_path, parts=parts, shard=shard, progress=False)
    assert list(tmp_path.glob("*/*.parquet")) == [path]
    build(tmp_path, parts=parts, shard=(2, 2), progress=False)
    writers = iter(["parquet-cpp-arrow version 1.0.0", "parquet-cpp-arrow version 26.0.0"])
    with monkeypatch.context() as patches:
        patches.setattr(building, "writer_of", lambda path: next(writers))
        with pytest.raises(StorageError, match=r"is by parquet-cpp-arrow version 26\.0\.0"):
            build(tmp_path, parts=parts, progress=False)
    assert not (tmp_path / "manifest.json").exists()
    report = build(tmp_path, parts=parts, progress=False)
    assert (report.made, report.kept) == (0, 2)
    # A finished folder stays good under any version.
    monkeypatch.setattr(building, "this_writer", lambda: "parquet-cpp-arrow version 99.0.0")
    assert build(tmp_path, parts=parts, progress=False).kept == 2


@pytest.mark.parametrize("shard", ["1/2", (1, 2, 3), (1,), [1, 2], (1.0, 2), (True, 2), 3])
def test_shares_that_are_none(shard: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shard must be \(i, n\) with i from 1 to n, not "):
        build(tmp_path / "data", preset="tiny", shard=shard, progress=False)  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("num_threads", [0, -1, 1.5, True, "2"])
def test_numbers_of_threads_that_are_none(num_threads: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"num_threads must be (at least 1|an integer), not "):
        build(tmp_path / "data", preset="tiny", num_threads=num_threads, progress=False)  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()


def test_an_empty_share_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--out", str(tmp_path), "--preset", "tiny", "--shard", "40/40", "--quiet"]) == 0
    assert "share 40/40 is empty: there are fewer files than shares\n" in capsys.readouterr().out
    assert main(["build", "--out", str(tmp_path), "--preset", "tiny", "--shard", "1/14", "--quiet"]) == 0
    assert "is empty" not in capsys.readouterr().out
