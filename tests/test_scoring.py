"""Scores and result files."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from easy_to_hard import scoring
from easy_to_hard.scoring import DifficultyScore, Result, exact_match, read_result, wilson_interval, write_result


def _score(**changes: Any) -> DifficultyScore:
    base = DifficultyScore(
        difficulty=32,
        config="prefix_sums_32",
        num_items=10,
        num_correct=8,
        mean_iterations=12.5,
        recorded_iterations=(1, 2, 5),
        recorded_correct=(0, 3, 8),
    )
    return replace(base, **changes)


def _result(**changes: Any) -> Result:
    base = Result(
        method="deep_thinking",
        preset="demo",
        task="prefix_sums",
        trained_on="prefix_sums_16",
        commit=None,
        package_version="0.1.0",
        data_manifest_sha256="ab" * 32,
        seed=3,
        device="cpu",
        training_seconds=60.0,
        evaluation_seconds=30.0,
        iterations_rule="the last",
        scores=(_score(difficulty=64, config="prefix_sums_64"), _score()),
    )
    return replace(base, **changes)


def test_exact_match_needs_every_position() -> None:
    targets = np.array([[0, 1, 1], [1, 0, 0]])
    predictions = np.array([[0, 1, 1], [1, 0, 1]])
    assert exact_match(predictions, targets).tolist() == [True, False]
    assert exact_match(torch.tensor(predictions), targets).tolist() == [True, False]
    grids = np.zeros((2, 3, 3), dtype=np.uint8)
    grids[1, 2, 2] = 1
    assert exact_match(grids, np.zeros((2, 3, 3))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [([[0]], [[0, 0]], r"\(1, 1\) do not fit .*\(1, 2\)"), ([], [], "at least one item"), (1, 1, "at least one item")],
)
def test_exact_match_errors(predictions: Any, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact_match(predictions, targets)


@pytest.mark.parametrize(
    ("correct", "total", "confidence", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I: 81/263, 15/148, 0/20, 1/29, to four places.
        (81, 263, 0.95, 0.2553, 0.3662),
        (15, 148, 0.95, 0.0624, 0.1605),
        (0, 20, 0.95, 0.0, 0.1611),
        (1, 29, 0.95, 0.0061, 0.1718),
        # All right: low = n / (n + z^2), z = 1.959964.
        (100, 100, 0.95, 100 / 103.841459, 1.0),
    ],
)
def test_wilson_interval(correct: int, total: int, confidence: float, low: float, high: float) -> None:
    assert wilson_interval(correct, total, confidence) == pytest.approx((low, high), abs=6e-5)


def test_wilson_interval_holds_the_share_and_mirrors() -> None:
    for total in (1, 7, 1000):
        for correct in range(0, total + 1, max(1, total // 13)):
            low, high = wilson_interval(correct, total)
            assert 0 <= low <= correct / total <= high <= 1
            other_low, other_high = wilson_interval(total - correct, total)
            assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))
    wide, narrow = wilson_interval(5, 10, 0.99), wilson_interval(5, 10, 0.9)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "total must be at least 1, not 0"),
        ((5, 4), "correct must be from 0 to 4, not 5"),
        ((-1, 4), "correct must be from 0 to 4, not -1"),
        ((1, 4, 1.0), "confidence must be between 0 and 1, not 1.0"),
    ],
)
def test_wilson_errors(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wilson_interval(*arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_items": 0}, "num_items must be at least 1, not 0"),
        ({"num_correct": 11}, "from 0 to 10, not 11"),
        ({"recorded_correct": (0, 3, 12)}, "from 0 to 10, not 12"),
        ({"recorded_correct": (0, 3)}, "each of the 3 recorded_iterations, not 2"),
    ],
)
def test_score_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _score(**changes)


def test_result_needs_different_configs() -> None:
    for scores in ((), (_score(), _score())):
        with pytest.raises(ValueError, match="scores must be of at least one config"):
            _result(scores=scores)


def test_result_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("an older one")
    write_result(_result(scores=(_score(recorded_iterations=range(1, 4)),)), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"], "no temporary file stays"
    result = read_result(path)
    assert result["commit"] is None
    assert result["data_manifest_sha256"] == "ab" * 32
    (score,) = result["scores"]
    assert score["accuracy"] == 0.8
    assert score["interval_95"] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert score["recorded_iterations"] == [1, 2, 3]
    assert score["recorded_accuracy"] == [0.0, 0.3, 0.8]
    assert '"recorded_iterations": [ 1, 2, 3 ]' in path.read_text()
    assert read_result(path) == _result(scores=(_score(recorded_iterations=range(1, 4)),)).to_dict()


def test_scores_are_in_order_of_difficulty() -> None:
    assert [score["difficulty"] for score in _result().to_dict()["scores"]] == [32, 64]


def test_numbers_in_text_are_left_alone(tmp_path: Path) -> None:
    rule = "see [1,\n 2] and [ 3 ]"
    write_result(_result(iterations_rule=rule), tmp_path / "result.json")
    assert read_result(tmp_path / "result.json")["iterations_rule"] == rule


def test_a_number_that_is_none_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_result(_result(training_seconds=float("nan")), tmp_path / "result.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "result.json is not valid JSON"),
        ("[]", "result.json is not a result of format 1"),
        (json.dumps({"format": 2}), "not a result of format 1"),
        (json.dumps({"format": 1, "method": "a"}), "lacks commit, data_manifest_sha256"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_result(path)


def test_commit_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = scoring.source_commit()
    assert commit is None or re.fullmatch("[0-9a-f]{40}", commit)
    monkeypatch.setattr(scoring, "__file__", str(tmp_path / "package" / "scoring.py"))
    assert scoring.source_commit() is None
