"""The results that come with the package, scored again as far as a minute goes."""

from pathlib import Path

import pytest

from easy_to_hard.leaderboard.collect import read_published, read_results, shipped_predictions, shipped_results
from easy_to_hard.leaderboard.rescoring import score_again
from easy_to_hard.results import read_result

_ITEMS = {"callable": 1000, "model": 30}


def _results(kind: str) -> list[Path]:
    paths = sorted(shipped_results().glob("*.json"))
    return [path for path in paths if (read_result(path).get("submission") or {}).get("kind") == kind]


def _score_easiest_again(path: Path, kind: str) -> list[str]:
    easiest = min(score["difficulty"] for score in read_result(path)["scores"])
    result, differences = score_again(path, difficulties=(easiest,), most_items=_ITEMS[kind], progress=False)
    (score,) = result.scores
    assert (score.difficulty, result.provenance) == (easiest, "re-scored")
    return differences


@pytest.mark.parametrize("path", _results("callable"), ids=lambda path: path.stem)
def test_solvers(path: Path) -> None:
    assert not _score_easiest_again(path, "callable")


@pytest.mark.parametrize("path", _results("model"), ids=lambda path: path.stem)
def test_nets(path: Path) -> None:
    assert not _score_easiest_again(path, "model")


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
