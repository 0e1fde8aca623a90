"""Fresh instances that are not new are said to be none, and splits of few instances are said to be such."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easy_to_hard import TASKS, DataSpec, MazeDataset, StreamingDataset, build, generate
from easy_to_hard.cli import main
from easy_to_hard.leaderboard.fresh import seen_lines, seen_shares
from easy_to_hard.storage.presets import Part, benchmark_tests


def _spec(task: str, difficulty: int, **options: Any) -> DataSpec:
    return DataSpec(**{"task": task, "difficulty": difficulty, "split": "test", "seed": 7, **options})


def _seen_one_by_one(spec: DataSpec, num_items: int) -> tuple[float, float]:
    asked = generate(spec, num_items)[1]
    known = generate(replace(spec, seed=0), benchmark_tests()[spec.config].rows)[1]
    layouts = set(known.columns["layout_hash"].tolist())
    items = [row.tolist() for row in known.data]
    same_layout = sum(value in layouts for value in asked.columns["layout_hash"].tolist())
    return same_layout / num_items, sum(row.tolist() in items for row in asked.data) / num_items


def test_shares_equal_those_of_a_plain_count() -> None:
    assert seen_shares(_spec("mazes", 9), 60) == _seen_one_by_one(_spec("mazes", 9), 60)


def test_the_frozen_items_have_all_been_seen_and_most_layouts_of_size_9() -> None:
    assert seen_shares(_spec("mazes", 9, seed=0), 100) == (1.0, 1.0)
    layout, instance = seen_shares(_spec("mazes", 9), 2000)
    assert 0.75 < layout < 0.9
    assert 0 < instance < 0.02
    assert seen_shares(_spec("mazes", 11), 500)[0] < 0.02
    assert seen_shares(_spec("prefix_sums", 16), 500)[0] > 0.7


@pytest.mark.parametrize("name", ["mazes", "prefix_sums"])
def test_fresh_instances_are_new_from_the_difficulty_that_is_said(name: str) -> None:
    task = TASKS[name]
    for variant in task.variants or ("",):
        spec = _spec(name, task.new_from, variant=variant)
        assert max(seen_shares(spec, 1000)) <= 0.001


@pytest.mark.parametrize("name", ["mazes", "prefix_sums"])
def test_splits_are_alike_from_the_difficulty_that_is_said(name: str) -> None:
    """A thousand instances, counted up to symmetry, in the smallest split."""
    task = TASKS[name]
    for variant in task.variants or ("",):
        instances = generate(_spec(name, task.alike_from, variant=variant), 1500)[1]
        hashes = instances.columns.get("layout_hash", instances.data)
        assert len(np.unique(hashes)) > 900
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.sample_count(_spec(name, task.alike_from), 10)


def test_what_is_not_alike_is_warned_of(tmp_path: Path) -> None:
    for make in (
        lambda: MazeDataset("unused", size=7, num_samples=2),
        lambda: generate(_spec("prefix_sums", 8), 2),
        lambda: StreamingDataset("mazes", 7, batch_size=2),
        lambda: build(tmp_path, parts=[Part(task="mazes", difficulty=7, split="test", rows=2)], progress=False),
    ):
        with pytest.warns(UserWarning, match="its splits hold few instances and are not alike; from .* on they are"):
            make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MazeDataset("unused", size=7, num_samples=2, split_rule="original")


def test_lines_are_of_results_on_fresh_test_instances() -> None:
    scores = [{"config": name, "num_items": 50} for name in ("mazes_9", "mazes_13", "mazes_7")]
    result = {"task": "mazes", "data_seed": 7, "split": "test", "scores": scores}
    lines = list(seen_lines(result))
    assert len(lines) == 1
    assert lines[0].startswith("mazes_9: of these fresh instances ")
    assert list(seen_lines({**result, "data_seed": 0})) == []
    assert list(seen_lines({**result, "split": "validation"})) == []
    puzzles = {**result, "task": "chess_puzzles", "scores": []}
    assert "the same ones in another order" in next(seen_lines(puzzles))


@pytest.mark.parametrize(
    "words",
    [
        "score --model mazes-cpu --fresh-seed 7 --difficulties 9 --items 3 --quiet",
        "evaluate --model mazes-cpu --seed 7 --difficulties 9 --items 3 --iterations 2 --quiet",
    ],
)
def test_commands_say_it_where_fresh_scores_are_shown(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    assert "mazes_9: of these fresh instances " in capsys.readouterr().out


def test_info_says_from_where_splits_are_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    told = capsys.readouterr().out
    for task in TASKS.values():
        line = f"from {task.alike_from} on; test instances of other seeds are new from {task.new_from} on"
        assert (line in told) == (task.alike_from > 0)
