"""Bars on a terminal, plain lines elsewhere."""

import io
import re
import sys
from pathlib import Path

import pytest

from easy_to_hard import progress
from easy_to_hard.progress import progress_bar

ROOT = Path(progress.__file__).resolve().parents[1]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)


def test_lines_have_step_loss_and_what_is_left(impatient: None, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(total=4, initial=1, desc="training") as bar:
        for step in range(3):
            bar.set_postfix_str(f"loss {step}", refresh=False)
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"training: 50%, 2 of 4 steps, \d\d:\d\d elapsed, \S+ left, loss 0", lines[-3])
    assert re.fullmatch(r"training: 100%, 4 of 4 steps, \d\d:\d\d elapsed, 00:00 left, loss 2", lines[-1])
    assert not any("\r" in line or "|" in line for line in lines)


def test_a_line_without_an_end_says_no_more_than_it_knows(impatient: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar((number for number in range(2)), desc="rows", unit="rows")) == [0, 1]
    assert re.fullmatch(r"rows: 2 rows, \d\d:\d\d elapsed", capsys.readouterr().err.splitlines()[-1])


def test_what_is_quick_writes_no_line_unless_always(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in progress_bar(range(3), desc="quick"):
        pass
    assert capsys.readouterr().err == ""
    for _ in progress_bar(range(3), desc="told", always=True):
        pass
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("told: 0%")
    assert last.startswith("told: 100%")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    for _ in progress_bar(range(3), desc="shown"):
        pass
    assert "\rshown: 100%|" in stream.getvalue()


@pytest.mark.parametrize("stream", [None, "closed"])
def test_no_standard_error_is_no_bar(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", None if stream is None else closed)
    assert list(progress_bar(range(3), desc="nowhere", always=True)) == [0, 1, 2]


def test_quiet_is_quiet(impatient: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress_bar(range(3), desc="hidden", always=True, show=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_all_loops_show_their_progress_here() -> None:
    """Another bar of tqdm would be silent, or write over itself, where there is no terminal."""
    packages = [ROOT / name for name in ("easy_to_hard", "baselines", "leaderboard", "generators")]
    files = {path.resolve() for package in packages for path in package.rglob("*.py")} - {Path(progress.__file__)}
    found = [path.name for path in sorted(files) if re.search(r"(?<!\")\btqdm\(", path.read_text(encoding="utf-8"))]
    assert found == []
