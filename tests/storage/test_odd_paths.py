"""Relative folders whose names look like addresses: Arrow must never be asked what they mean."""

import re
from pathlib import Path

import pytest

from easy_to_hard import ChessPuzzleDataset, StreamingDataset, build, load, verify
from easy_to_hard.cli import main
from easy_to_hard.leaderboard.submissions import read_submission, write_template
from easy_to_hard.lichess.convert import convert
from easy_to_hard.storage.presets import Part

NAMES = ["run:1", "s3:a b%20?#"]
KINDS = (("mazes", 9), ("prefix_sums", 70), ("chess_mates", 1))
PUZZLES = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A relative folder that is not there yet."""
    monkeypatch.chdir(tmp_path)
    return Path(request.param)


def test_a_build(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [Part(task=task, difficulty=difficulty, split="test", rows=5) for task, difficulty in KINDS]
    build(folder, parts=parts, progress=False)
    assert verify(folder, progress=False).problems == ()
    assert main(["verify", str(folder), "--quiet"]) == 0
    for part in parts:
        made = load(part.task, part.difficulty, split="test", num_samples=5)
        read = load(part.task, part.difficulty, split="test", source="folder", root=folder)
        assert (read.data == made.data).all()


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_files(folder: Path, suffix: str) -> None:
    folder.mkdir()
    assert main(["generate", "mazes", "9", "--num", "3", "--out", f"{folder}/x{suffix}"]) == 0
    path = folder / f"mine{suffix}"
    write_template(["prefix_sums_32"], path)
    assert [answered.config for answered in read_submission(path)] == ["prefix_sums_32"]
    name = Path(f"x:{suffix}")
    write_template(["prefix_sums_32"], name)
    assert [answered.config for answered in read_submission(name)] == ["prefix_sums_32"]


@pytest.mark.parametrize("bands", ["rating", "rank"])
def test_puzzles(folder: Path, bands: str) -> None:
    convert(PUZZLES, folder, bands=bands, progress=False)
    assert verify(folder, progress=False).problems == ()
    data = ChessPuzzleDataset(folder, True, 0, 30)
    assert len(data.themes) == len(data) == 30
    variant, edge = ("rating", 1400) if bands == "rating" else ("rank", 0)
    stream = StreamingDataset("chess_puzzles", edge, batch_size=3, variant=variant, root=folder)
    assert len(stream.batch(0)[0]) == 3
    assert len(load("chess_puzzles", edge, variant=variant, source="folder", root=folder)) > 0


def test_arrow_is_given_absolute_paths_everywhere() -> None:
    """In every module: a call that is not seen by the tests above is seen here."""
    root = Path(__file__).parents[2]
    calls = re.compile(r"(?:pq|pads)\.(?:ParquetFile|ParquetWriter|read_table|read_metadata|dataset)\(\s*([^,)]*)")
    places = [path for name in ("easy_to_hard", "leaderboard", "baselines") for path in (root / name).rglob("*.py")]
    found = {f"{place.parent.name}/{place.name}": calls.findall(place.read_text()) for place in places}
    assert sum(map(len, found.values())) >= 9
    # Made absolute before, or bytes.
    bytes_read = "pa.BufferReader(content.getvalue("
    known = {
        "cards/statistics.py": ["path"],
        "tasks/chess_puzzles.py": ["path", "path"],
        "storage/files.py": [bytes_read],
    }
    for name, arguments in found.items():
        wrong = [argument for argument in arguments if ".absolute(" not in argument]
        assert wrong == known.get(name, []), name
