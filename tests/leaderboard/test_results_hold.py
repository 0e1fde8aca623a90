"""The results that come with the package, scored again as far as a minute goes."""

from pathlib import Path

import numpy as np
import pytest

from easy_to_hard.leaderboard.collect import read_published, read_results, shipped_predictions, shipped_results
from easy_to_hard.leaderboard.rescoring import score_again
from easy_to_hard.results import read_result
from easy_to_hard.tasks import get_task

# Positions of a difficulty's answers that take a solver a second or two.
_POSITIONS = 12_000_000
_NET_ITEMS = 30


def _results(kind: str) -> list[Path]:
    paths = sorted(shipped_results().glob("*.json"))
    return [path for path in paths if (read_result(path).get("submission") or {}).get("kind") == kind]


def _affordable(path: Path) -> tuple[int, ...]:
    """The easiest difficulties, up to three, whose answers are no more than that."""
    result = read_result(path)
    shapes = get_task(result["task"]).shapes
    costs = {
        score["difficulty"]: score["num_items"] * int(np.prod(shapes(score["difficulty"])[1]))
        for score in result["scores"]
    }
    return tuple(difficulty for difficulty, cost in costs.items() if cost <= _POSITIONS)[:3]


@pytest.mark.parametrize("path", _results("callable"), ids=lambda path: path.stem)
def test_solvers(path: Path) -> None:
    difficulties = _affordable(path)
    assert difficulties
    result, differences = score_again(path, difficulties=difficulties, progress=False)
    assert not differences
    assert {score.config for score in result.scores} <= {score["config"] for score in read_result(path)["scores"]}


@pytest.mark.parametrize("path", _results("model"), ids=lambda path: path.stem)
def test_nets(path: Path) -> None:
    difficulties = _affordable(path)[:1]
    result, differences = score_again(path, difficulties=difficulties, most_items=_NET_ITEMS, progress=False)
    assert not differences
    assert [score.num_items for score in result.scores] == [_NET_ITEMS]


def test_predictions() -> None:
    files = {path.name for path in shipped_predictions().glob("*") if path.suffix in (".parquet", ".npz")}
    results = {read_result(path)["submission"]["source"]: path for path in _results("predictions")}
    assert files <= set(results), "each file of predictions has a result"
    for name in files:
        assert not score_again(results[name], progress=False)[1]


def test_solvers_and_nets_are_among_them() -> None:
    assert len(_results("callable")) >= 5
    assert len(_results("model")) >= 2
    assert len(read_results((shipped_results(),))) == len(list(shipped_results().glob("*.json")))
    assert read_published()


def test_places_without_results(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no result files"):
        read_results((tmp_path,))
    with pytest.raises(FileNotFoundError, match=r"nothing\.json: no such file"):
        read_results((tmp_path / "nothing.json",))
