"""Result files."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from easy_to_hard import environment
from easy_to_hard.scores.results import DifficultyScore, Result, Submission, read_result, write_result


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_items": 0}, "num_items must be at least 1, not 0"),
        ({"num_correct": 11}, "from 0 to 10, not 11"),
        ({"recorded_correct": (0, 3, 12)}, "from 0 to 10, not 12"),
        ({"recorded_correct": (0, 3)}, "each of the 3 recorded_iterations, not 2"),
        ({"checks": {"valid_path": 11}}, "from 0 to 10, not 11"),
        ({"cell_accuracy": 1.5}, "cell_accuracy must be from 0 to 1, not 1.5"),
    ],
)
def test_score_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _score(**changes)


def test_result_needs_different_configs() -> None:
    for scores in ((), (_score(), _score())):
        with pytest.raises(ValueError, match="scores must be for at least one config"):
            _result(scores=scores)


def test_provenance_and_submission_are_of_known_kinds() -> None:
    with pytest.raises(ValueError, match="provenance must be one of self-reported, re-scored, not 'sure'"):
        _result(provenance="sure")
    with pytest.raises(ValueError, match="kind must be one of model, predictions, replies, callable, not 'letter'"):
        Submission(kind="letter", source="a")  # type: ignore[arg-type]
    submission = {"kind": "predictions", "source": "a.parquet", "sha256": "ab"}
    assert _result(submission=Submission(**submission)).to_dict()["submission"] == submission


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
        ("[]", "result.json holds a list of 0: an object is wanted"),
        (json.dumps({"format": 2}), "not a result of format 1"),
        (json.dumps({"format": 1, "method": "a"}), "it lacks commit, data_manifest_sha256"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_result(path)


def test_commit_is_that_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = environment.source_commit()
    assert commit is None or re.fullmatch("[0-9a-f]{40}", commit)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "package" / "results.py"))
    assert environment.source_commit() is None
