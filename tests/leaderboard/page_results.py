"""Results and published figures for tests of the leaderboard page."""

from collections.abc import Mapping, Sequence
from typing import Any

from easy_to_hard.scores.results import DifficultyScore, Result
from easy_to_hard.tasks import config_name


def make_score(
    task: str, difficulty: int, correct: int, *, variant: str = "", items: int = 100, **changes: Any
) -> DifficultyScore:
    """A score whose curve rises to the right answers; `changes` are further fields of it."""
    given: dict[str, Any] = {
        "mean_iterations": 7.0,
        "recorded_iterations": (1, 2, 5),
        "recorded_correct": (0, correct // 2, correct),
        **changes,
    }
    config = config_name(task, difficulty, variant)
    return DifficultyScore(difficulty=difficulty, config=config, num_items=items, num_correct=correct, **given)


def make_result(
    method: str,
    correct: Mapping[int, int] | Sequence[DifficultyScore],
    *,
    task: str = "prefix_sums",
    variant: str = "",
    **changes: Any,
) -> dict[str, Any]:
    """A result, as `read_result` gives it.

    Args:
        method: its name.
        correct: difficulty -> right answers of 100, or the scores themselves.
        task, variant: of the configs.
        changes: further fields of `Result`.
    """
    scores = correct
    if isinstance(correct, Mapping):
        scores = [make_score(task, difficulty, right, variant=variant) for difficulty, right in correct.items()]
    trained = {"prefix_sums": 32, "mazes": 9, "chess_mates": 1, "chess_puzzles": 0}[task]
    given: dict[str, Any] = {
        "method": method,
        "preset": "some-preset",
        "task": task,
        "trained_on": config_name(task, trained),
        "commit": "c" * 40,
        "package_version": "0.1.0",
        "data_manifest_sha256": "ab" * 32,
        "seed": 3,
        "parameters": 12_345,
        "trained_iterations": 2,
        "device": "one CPU",
        "training_seconds": 60.0,
        "evaluation_seconds": 7300.0,
        "iterations_rule": "the last one",
        "scores": scores,
        **changes,
    }
    return Result(**given).to_dict()


def make_figure(method: str, difficulty: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    """A figure of a paper on mazes, as in published.json."""
    return {
        "paper": "A Paper (Somebody, 2030)",
        "arxiv": "2101.00001",
        "method": method,
        "task": "mazes",
        "variant": "depth_first",
        "trained_on": "mazes_9",
        "config": f"mazes_{difficulty}",
        "difficulty": difficulty,
        "accuracy": accuracy,
        "iterations": 30,
        "statistic": "peak",
        "runs": 4,
        "source": "table 7",
        "sureness": "read in the source",
        **changes,
    }
