"""Commands whose standard files are closed, or are terminals with few characters."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from easy_to_hard import build
from easy_to_hard.cli import main
from easy_to_hard.lichess.convert import convert
from easy_to_hard.lichess.reading import ConvertError
from easy_to_hard.storage.presets import Part
from easy_to_hard.tasks import DataSpec, generate, get_task

pytestmark = pytest.mark.posix
PUZZLES = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
PART = Part(task="prefix_sums", difficulty=70, split="test", rows=3)


def _run(words: str, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    command = f"{sys.executable} -m easy_to_hard.cli {words}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)


@pytest.mark.slow
def test_everything_closed_is_no_error(tmp_path: Path) -> None:
    build(tmp_path / "expected", parts=[PART], progress=False)
    told = _run("generate prefix_sums 70 --split test --num 3 --out made <&- >&- 2>&-", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    for path in (tmp_path / "expected" / PART.config).iterdir():
        assert (tmp_path / "made" / PART.config / path.name).read_bytes() == path.read_bytes()


def test_a_failure_with_a_closed_standard_error_has_its_code_and_says_nothing_elsewhere(tmp_path: Path) -> None:
    told = _run("show mazes 8 2>&-", tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (2, "", "")


def test_a_closed_standard_input_is_said_in_one_line(tmp_path: Path) -> None:
    told = _run("convert-lichess - --out made <&-", tmp_path)
    assert told.returncode == 1
    assert told.stderr == (
        "easy-to-hard: error: standard input is closed: give a file instead of -, or pipe data into it\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_carriage_return_in_the_first_line(tmp_path: Path) -> None:
    header, _, rows = PUZZLES.read_bytes().partition(b"\n")
    source = tmp_path / "puzzles.csv"
    source.write_bytes(header.rstrip(b"\r").replace(b",Moves", b"\r,Moves") + b"\n" + rows)
    with pytest.raises(ConvertError, match=r"the header must have .* once each, not "):
        convert(source, tmp_path / "made", progress=False)
    first, _, others = rows.partition(b"\n")
    source.write_bytes(first.replace(b",", b",\r", 1) + b"\r\n" + others)
    report = convert(source, tmp_path / "other", progress=False)
    assert report.rows_out > 150
    assert report.rows_out == report.rows_in - 1
    source.write_bytes(rows.replace(b"\r", b"").replace(b"\n", b"\r"))
    with pytest.raises(ConvertError):
        convert(source, tmp_path / "third", progress=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_walls_and_paths_differ_on_any_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert main(["show", "mazes", "9"]) == 0
    sys.stdout.flush()
    drawing = get_task("mazes").text(*_first_maze())
    assert {"█", "·", " "} < set(drawing)
    expected = drawing if encoding == "utf-8" else drawing.replace("█", "#").replace("·", ".")
    assert written.getvalue().decode(encoding).startswith(expected)


def _first_maze():  # type: ignore[no-untyped-def]
    spec = DataSpec(task="mazes", difficulty=9)
    data = generate(spec, 1)[1].data
    inputs, targets = get_task("mazes").encode(data, 9, None)
    return inputs[0], targets[0], data[0]
