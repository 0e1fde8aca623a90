"""Predictions a second that are read from a file and checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from easy_to_hard.leaderboard.submissions import benchmark_rows, read_submission
from easy_to_hard.tasks import TASKS, DataSpec, generate, parse_config

CONFIGS = ("prefix_sums_512", "mazes_17", "mazes_59", "mazes_201", "chess_mates_2")
# What repeats the first so many answers is as long, and is made sooner.
DISTINCT = 200


def _answers(config: str) -> Any:
    """(rows, entries) uint8: right ones, over and over."""
    task, variant, difficulty = parse_config(config)
    data = generate(DataSpec(task=task, difficulty=difficulty, variant=variant, split="test"), DISTINCT)[1].data
    targets = TASKS[task].encode(data, difficulty, None)[1]
    return np.resize(targets.reshape(DISTINCT, -1), (benchmark_rows(config), targets[0].size))


def _write_parquet(path: Path, config: str, answers: Any, order: Any) -> None:
    offsets = np.arange(len(answers) + 1, dtype=np.int32) * answers.shape[1]
    lists = pa.ListArray.from_arrays(offsets, pa.array(answers[order].reshape(-1)))
    pq.write_table(pa.table({"config": pa.repeat(config, len(answers)), "index": order, "prediction": lists}), path)


def _parquet(path: Path, config: str, answers: Any) -> None:
    _write_parquet(path, config, answers, np.arange(len(answers)))


def _shuffled(path: Path, config: str, answers: Any) -> None:
    _write_parquet(path, config, answers, np.random.default_rng(0).permutation(len(answers)))


def _integers(path: Path, config: str, answers: Any) -> None:
    _parquet(path, config, answers.astype(np.int64))


def _npz(path: Path, config: str, answers: Any) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **{config: answers})


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("label", "write"), [
    ("parquet", _parquet), ("parquet, shuffled", _shuffled), ("parquet, int64", _integers), ("npz", _npz),
])  # fmt: skip
def test_prediction_files(timed: Any, tmp_path: Path, config: str, label: str, write: Callable[..., None]) -> None:
    path, answers = tmp_path / ("answers.npz" if label == "npz" else "answers.parquet"), _answers(config)
    write(path, config, answers)
    (read,) = timed(f"read {config}", label, len(answers), lambda: list(read_submission(path)), rounds=3, warmup=1)
    assert np.array_equal(read.predictions.reshape(answers.shape), answers)
