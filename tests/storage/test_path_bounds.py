"""Mazes within bounds of path length, on their way through the package: folders, classes, streams, texts and scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset

from easy_to_hard import MazeDataset, StreamingDataset, build, cli, load, verify
from easy_to_hard.leaderboard.ranking import ladder
from easy_to_hard.storage.presets import Part
from easy_to_hard.tasks import DataSpec, generate
from easy_to_hard.text import items_of, make_items

VARIANT = "looped_20to30"
CONFIG = f"mazes_{VARIANT}_13"


def test_a_folder_of_them_is_read_as_they_are_generated(tmp_path: Path) -> None:
    part = Part(task="mazes", difficulty=13, variant=VARIANT, split="test", rows=20)
    build(tmp_path / "data", parts=[part], progress=False)
    assert verify(tmp_path / "data", progress=False).problems == ()
    rows = load_dataset(str(tmp_path / "data"), CONFIG, split="test", cache_dir=str(tmp_path / "cache"))
    assert set(rows["path_length"]) <= set(range(20, 32, 2))
    read = load("mazes", 13, variant=VARIANT, split="test", source="folder", root=tmp_path / "data")
    made = MazeDataset("unused", False, 13, variant=VARIANT, num_samples=20)
    assert torch.equal(read.inputs, made.inputs)
    assert torch.equal(read.targets, made.targets)


def test_a_stream_and_texts_are_of_them() -> None:
    stream = StreamingDataset("mazes", 13, variant=VARIANT, batch_size=4, split="test")
    _, paths = stream.batch(3)
    # A position is two by two pixels.
    assert set((paths.sum(dim=(1, 2)) // 4 - 1).tolist()) <= set(range(20, 32, 2))
    item = make_items("mazes", 13, 3, variant=VARIANT)[2]
    assert item.id == f"{CONFIG}/test/0/{item.index}"
    assert np.array_equal(items_of([item.id])[0].data, item.data)
    spec = DataSpec(task="mazes", difficulty=13, variant=VARIANT, split="test")
    assert np.array_equal(generate(spec, 3)[1].data[2], item.data)


def test_a_solver_is_scored_and_ranked_on_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", "--callable", "easy_to_hard.leaderboard.solvers:breadth_first", "--task", "mazes"]
    command += ["--variant", VARIANT, "--difficulties", "13", "--items", "5", "--quiet"]
    assert cli.main([*command, "--out", str(tmp_path / "a.json")]) == 0
    told = capsys.readouterr().out
    assert "100.0 %" in told
    # Of the mazes of size 9, none has a path as long.
    assert ladder("mazes", "looped_60to80") == (13, 17, 25, 33, 59, 101, 201, 401, 801)
    assert "0 of 10 rungs measured" in told
    assert cli.main(["leaderboard", "--results", str(tmp_path / "a.json"), "--out", str(tmp_path / "page")]) == 0
    assert VARIANT.replace("_", " ") in (tmp_path / "page" / "index.html").read_text()
