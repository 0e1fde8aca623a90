"""The command line: what it prints, its exit codes, errors of one line."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pyarrow.parquet as pq
import pytest

from easy_to_hard import MazeDataset
from easy_to_hard.cli import main
from easy_to_hard.environment import __version__
from easy_to_hard.tasks import TASKS


def test_build_verify_and_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    assert main(["build", "--out", str(root), "--preset", "tiny", "--quiet"]) == 0
    assert "370 rows in 14 files, " in capsys.readouterr().out
    assert main(["build", "--out", str(root), "--preset", "tiny"]) == 0
    assert "14 files (14 already there)" in capsys.readouterr().out
    assert main(["verify", str(root)]) == 0
    assert "all is well, 370 rows in 14 files" in capsys.readouterr().out
    shard = root / "mazes_13" / "test-00000-of-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 64
    shard.write_bytes(content)
    assert main(["verify", str(root), "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(rf"{shard}: SHA-256 is [0-9a-f]{{64}}, the manifest says [0-9a-f]{{64}}", captured.err)


def test_build_shows_progress_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["build", "--out", str(tmp_path / "a"), "--preset", "tiny"])
    assert "building" in capsys.readouterr().err
    main(["build", "--out", str(tmp_path / "b"), "--preset", "tiny", "--quiet"])
    assert capsys.readouterr().err == ""


def test_generate_npz_and_parquet_agree(tmp_path: Path) -> None:
    for name in ("a.npz", "a.parquet"):
        arguments = ["generate", "mazes", "13", "--num", "7", "--split", "test", "--variant", "wilson"]
        assert main([*arguments, "--out", str(tmp_path / "new" / name)]) == 0
    data = np.load(tmp_path / "new" / "a.npz", allow_pickle=False)
    table = pq.read_table(tmp_path / "new" / "a.parquet")
    expected = MazeDataset("unused", size=13, split="test", variant="wilson", num_samples=7)
    assert np.array_equal(data["input"], expected.inputs.numpy())
    assert table["path_length"].to_pylist() == data["path_length"].tolist()
    assert table["layout_hash"].to_pylist() == data["layout_hash"].tolist()
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.npz", "a.parquet"}


@pytest.mark.parametrize("task", TASKS)
def test_show_in_the_terminal_and_as_picture(
    task: str, lichess_folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    difficulty = str(TASKS[task].train_difficulty)
    root = ["--root", str(lichess_folder("rating"))] if TASKS[task].imported else []
    assert main(["show", task, difficulty, "--index", "3", *root]) == 0
    assert f"{task}_{difficulty}, split train, seed 0, item 3" in capsys.readouterr().out
    assert main(["show", task, difficulty, "--out", str(tmp_path / "item.png"), *root]) == 0
    assert (tmp_path / "item.png").read_bytes().startswith(b"\x89PNG")


def test_shown_maze_is_the_maze(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "mazes", "9"])
    lines = capsys.readouterr().out.splitlines()[:11]
    image, path = MazeDataset("unused", num_samples=1)[0]
    text = np.array([list(line[::2]) for line in lines])
    cells = image[:, 1:-1:2, 1:-1:2].numpy()
    assert np.array_equal(text == "█", cells.sum(0) == 0)
    assert np.array_equal(text != "█", cells.sum(0) > 0)
    assert np.array_equal(np.isin(text, ["S", "G", "·"]), path[1:-1:2, 1:-1:2].numpy() == 1)
    assert cells[:, text == "S"].ravel().tolist() == [0, 1, 0]
    assert cells[:, text == "G"].ravel().tolist() == [1, 0, 0]


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    lines = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["easy-to-hard"].startswith(__version__)
    assert lines["numba"] == numba.__version__


def test_info_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for task in TASKS.values():
        assert task.title in out
        assert all(variant in out for variant in task.variants)
    assert "number of bits: 16 to 64, 72, 128, 256" in out
    starts = {line.index(count) for line in out.splitlines() if (count := " configs, ") in line}
    assert len(starts) == 1, "the columns of the presets are even"
    assert "full" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Expected one of {build, verify, generate, export, show, info"),
        ("reference cold-difusion", "no method 'cold-difusion': perhaps you meant cold-diffusion (see easy-to-hard r"),
        ("reference xyz --out a", "no method 'xyz': choose one of cold-diffusion, canary, parameter-saliency, vit-"),
        ("buidl", "no command 'buidl': perhaps you meant build (see easy-to-hard --help)"),
        ("x", "no command 'x': choose one of build, verify, generate"),
        ("build", "Missing from easy-to-hard build: --out PATH"),
        ("build --out x --sed 3", "Unrecognized options: --sed, 3; perhaps you meant --seed INT"),
        ("build --out x --preset huge", "unknown preset 'huge': choose one of tiny, demo, small, full"),
        ("build --out x --split-rule none", "unknown split_rule 'none': choose one of hash, original"),
        ("build --out x --threads 0", "--threads must be at least 1, not 0"),
        ("show chess 3", "unknown task 'chess': choose one of prefix_sums, mazes, chess_mates, chess_puzzles"),
        ("show mazes x", "Error parsing DIFFICULTY"),
        ("show mazes 8", "size must be an odd number from 3 to 1601, not 8"),
        ("show mazes 9 --variant prim", "unknown variant 'prim' of mazes: depth_first"),
        ("show mazes 9 --split dev", "unknown split 'dev'"),
        ("show mazes 9 --index -1", "indices must not be negative, not -1"),
        ("show prefix_sums 4 --index 12", "item 12 does not exist (the last is 11)"),
        ("show mazes 9 --out maze.xyz", "cannot write a picture as 'maze.xyz'"),
        ("generate mazes 9 --out x.txt", "--out must end in .parquet or .npz, or be a folder, not 'x.txt'"),
        ("generate mazes 9 --out x.npz --num 0", "num_samples must be at least 1, not 0"),
        ("generate mazes 5 --split test --out x.npz", "mazes_5 has 0 distinct instances in split 'test'"),
    ],
)
def test_wrong_usage_is_code_2_and_one_line(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("easy-to-hard: error: ")
    assert message in captured.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verify nowhere", "manifest.json is missing: is nowhere a finished build?"),
        ("build --out file", "file is a file, not a folder"),
        ("build --out .", "is not empty and holds no dataset: found file"),
        ("show mazes 9 --out file/maze.png", "File exists"),
    ],
)
def test_failure_is_code_1_and_one_line(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(words.split()) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("easy-to-hard: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["show", "--help"]])
def test_help_is_code_0(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "usage: easy-to-hard" in capsys.readouterr().out


@pytest.mark.posix
def test_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m easy_to_hard.cli show mazes 201 | head -n 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_wrong_usage_is_one_line_on_any_terminal(encoding: str, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "easy_to_hard.cli", "build", "--out", "x", "--sed", "3"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert result.returncode == 2
    meant = "perhaps you meant --seed INT (see easy-to-hard build --help)"
    assert result.stderr == f"easy-to-hard: error: Unrecognized options: --sed, 3; {meant}\n"


@pytest.mark.parametrize("command", [["score", "--help"], ["train", "--help"], ["reference", "--help"], ["--help"]])
def test_help_ends_in_a_terminal_of_any_width(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "help" in told
    for columns in ("1", "3", "5", "39"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(command) == 0
        assert capsys.readouterr().out == told, "as in 40 columns"
        assert os.environ["COLUMNS"] == columns


def test_complaints_in_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("1", "5"):
        monkeypatch.setenv("COLUMNS", columns)
        assert main(["score", "--no-such-option"]) == 2
        assert "--no-such-option" in capsys.readouterr().err
