"""The results that come with the package, scored again as far as a minute goes."""

import json
from pathlib import Path

import pytest

from easy_to_hard.leaderboard import ledger as the_ledger
from easy_to_hard.leaderboard.collect import LEDGER, read_published, read_results, shipped_predictions, shipped_results
from easy_to_hard.leaderboard.ledger import score_easiest_again
from easy_to_hard.leaderboard.rescoring import score_again
from easy_to_hard.scores.results import read_result
from easy_to_hard.scores.scoring import wilson_interval
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.json_files import read_json


def _results(kind: str) -> list[Path]:
    paths = sorted(shipped_results().glob("*.json"))
    return [path for path in paths if (read_result(path).get("submission") or {}).get("kind") == kind]


def _still_holds(path: Path) -> bool:
    """Whether it does, and comes out as the ledger says, where that says anything."""
    entered = read_json(LEDGER).get(file_sha256(path))
    found = score_easiest_again(path)
    if entered is not None:
        assert found.keys() == entered.keys()
        assert {name: score["num_items"] for name, score in found["scores"].items()} == {
            name: score["num_items"] for name, score in entered["scores"].items()
        }
    return bool(found["scores"])


@pytest.mark.slow
@pytest.mark.parametrize("path", _results("callable"), ids=lambda path: path.stem)
def test_solvers(path: Path) -> None:
    assert _still_holds(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", _results("model"), ids=lambda path: path.stem)
def test_nets(path: Path) -> None:
    assert _still_holds(path)


def test_predictions() -> None:
    files = {path.name for path in shipped_predictions().glob("*") if path.suffix in (".parquet", ".npz")}
    results = {read_result(path)["submission"]["source"]: path for path in _results("predictions")}
    assert files <= set(results), "each file of predictions has a result"
    for name in files:
        assert not score_again(results[name], progress=False)[1]


def test_the_ledger_names_the_results_that_say_re_scored_and_no_others() -> None:
    claimed = [path for path in shipped_results().glob("*.json") if read_result(path).get("provenance") == "re-scored"]
    assert {file_sha256(path): path.name for path in claimed} == {
        digest: entry["file"] for digest, entry in read_json(LEDGER).items()
    }


def test_nobody_is_re_scored_by_saying_so(tmp_path: Path) -> None:
    (path,) = (path for path in _results("callable") if path.stem == "zeros-mazes")
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())
    assert read_results((copy,))[0]["provenance"] == "re-scored", "the very file that was"
    copy.write_text(path.read_text().replace('"authors": ""', '"authors": "me"'))
    (shown,) = read_results((copy,))
    assert (shown["provenance"], read_result(copy)["provenance"]) == ("self-reported", "re-scored")


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """A result file that says of zeros that they solve mazes."""
    path, claim = tmp_path / "claim.json", read_result(shipped_results() / "zeros-mazes.json")
    easiest = claim["scores"][0]
    total = easiest["num_items"]
    easiest |= {"num_correct": total, "accuracy": 1.0, "interval_95": list(wilson_interval(total, total))}
    path.write_text(json.dumps(claim))
    return path


def test_a_result_that_does_not_hold_is_not_entered(
    claim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "rescored.json"
    monkeypatch.setattr(the_ledger, "LEDGER", ledger)
    with pytest.raises(ValueError, match=r"claim\.json does not hold: mazes_9: 0 of"):
        the_ledger.enter([claim])
    assert not ledger.exists()


def test_check_says_the_outcome_of_each(claim: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stranger, nothing, true = tmp_path / "stranger.json", tmp_path / "none.json", shipped_results() / "zeros-mazes.json"
    stranger.write_text(true.read_text().replace("easy_to_hard.leaderboard.solvers:zeros", "os:abort"))
    before = LEDGER.read_bytes()
    assert the_ledger.check([true])
    assert not the_ledger.check([claim, stranger, nothing, true])
    held, false, strange, absent, again = capsys.readouterr().out.splitlines()
    assert held == again == f"{true} holds: mazes_9 0 of 1,000"
    assert false.startswith(f"{claim} does not hold: mazes_9: 0 of 1000, the file says")
    assert strange.startswith(f"{stranger} is of a function, which is not run here")
    assert str(nothing) in absent
    assert LEDGER.read_bytes() == before


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
