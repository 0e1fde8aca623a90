"""`easy-to-hard reference judge`: what is shipped follows from its figures, and old files are brought up to date."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from easy_to_hard.cli import main
from easy_to_hard.commands.reference.judge import judge_again
from easy_to_hard.scores.reference import read_reference_result

RESULTS = Path(__file__).parents[3] / "leaderboard" / "results" / "reference"
SHIPPED = sorted(RESULTS.glob("*.json"))


def written(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_follow_from_their_figures(path: Path) -> None:
    result = read_reference_result(path)
    assert judge_again(result, path) == result
    assert all("verdict" in claim for claim in json.loads(path.read_text(encoding="utf-8"))["claims"])


def test_an_old_file_is_judged_anew_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = RESULTS / "augmentation-defense-prefix-sums-small.json"
    values = json.loads(shipped.read_text(encoding="utf-8"))
    for measured in values["measurements"]:
        if measured["name"] == "clean solve rate" and measured["high"] == 1.0:
            measured["high"] = 1.5
    for claim in values["claims"]:
        del claim["verdict"]
        claim["held"] = True if claim["text"].startswith("dp_sgd") else claim["held"]
    path = written(tmp_path / "old.json", values)
    assert read_reference_result(path).claims[-1].verdict == "held"
    assert main(["reference", "judge", str(path)]) == 0
    told = capsys.readouterr().out
    assert "held -> not tested: dp_sgd stops it at size 16" in told
    assert "0 are" in told
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(shipped.read_text(encoding="utf-8"))
    before = path.read_bytes()
    assert main(["reference", "judge", str(path)]) == 0
    assert path.read_bytes() == before
    assert "->" not in capsys.readouterr().out


def test_nothing_is_written_where_one_file_cannot_be_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads((RESULTS / "dp-instahide-mazes-small.json").read_text(encoding="utf-8"))
    for claim in values["claims"]:
        del claim["verdict"]
    good = written(tmp_path / "good.json", values)
    before = good.read_bytes()
    for changes, message in (
        ({"settings": {}}, r"bad\.json lacks what dp_instahide's claims are judged by: KeyError\('difficulty'\)"),
        ({"method": "deep_thinking"}, r"bad\.json: method must be one that makes claims, .*, not 'deep_thinking'"),
    ):
        bad = written(tmp_path / "bad.json", values | changes)
        assert main(["reference", "judge", str(good), str(bad)]) != 0
        error = capsys.readouterr().err
        assert re.search(message, error)
        assert len(error.splitlines()) == 1
        assert good.read_bytes() == before
