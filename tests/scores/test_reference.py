"""Reference evaluations and their files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from easy_to_hard.baselines import BASELINES
from easy_to_hard.baselines.kit.statistics import of_share, over_seeds
from easy_to_hard.scores.reference import (
    Claim,
    Measurement,
    ReferenceResult,
    find_measurement,
    read_reference_result,
    write_reference_result,
)

ROOT = Path(__file__).parents[2] / "leaderboard"
SCHEMA = json.loads((ROOT / "reference.schema.json").read_text(encoding="utf-8"))

RESULT = ReferenceResult(
    method="cold_diffusion",
    preset="smoke",
    data="mnist",
    question="Does it restore?",
    commit=None,
    package_version="0.1.0",
    seeds=(0, 1),
    device="cpu",
    seconds=1.5,
    settings={"steps": 3, "net": {"width": 8}},
    measurements=(
        over_seeds("RMSE", [0.1, 0.3], condition={"sampler": "direct"}, num_items=10),
        of_share("solve rate", 3, 4, condition={"size": 9}, num_seeds=2),
    ),
    claims=(Claim(text="It does.", source="arXiv 2208.09392", held=None, evidence="RMSE 0.2"),),
)


def test_find_measurement_needs_the_whole_condition() -> None:
    found = find_measurement(RESULT.measurements, "RMSE", {"sampler": "direct"})
    assert found.value == pytest.approx(0.2)
    for name, condition in (("RMSE", {}), ("SSIM", {"sampler": "direct"}), ("RMSE", {"sampler": "direct", "steps": 3})):
        with pytest.raises(ValueError, match=f"{name} was not measured under"):
            find_measurement(RESULT.measurements, name, condition)


def test_round_trip_and_schema(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_reference_result(RESULT, path)
    assert read_reference_result(path) == RESULT
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)


def test_verdicts_and_what_files_had_before_them(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    pairs = ((True, "held"), (False, "did not hold"), (None, "not decided"), (None, "not tested"))
    for held, verdict in pairs:
        claim = replace(RESULT.claims[0], held=None, verdict=verdict)
        assert (claim.held, claim.verdict) == (held, verdict)
        write_reference_result(replace(RESULT, claims=(claim,)), path)
        values = json.loads(path.read_text())
        assert (values["claims"][0]["held"], values["claims"][0]["verdict"]) == (held, verdict)
        assert read_reference_result(path).claims == (claim,)
        # A file from before there were verdicts.
        del values["claims"][0]["verdict"]
        jsonschema.validate(values, SCHEMA)
        path.write_text(json.dumps(values))
        assert read_reference_result(path).claims[0].verdict == ("not decided" if held is None else verdict)
        for other in {True, False, None} - {held}:
            path.write_text(
                json.dumps(RESULT.to_dict() | {"claims": [values["claims"][0] | {"held": other, "verdict": verdict}]})
            )
            with pytest.raises(ValueError, match=f"result.json .*: held {other} contradicts the verdict '{verdict}'"):
                read_reference_result(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": float("nan")}, "RMSE must be finite, not nan"),
        ({"low": 0.0}, "must have both ends or none, not 0.0 and None"),
        ({"low": 0.3, "high": 0.4}, r"RMSE 0.2 must lie in its interval \[0.3, 0.4\]"),
        ({"num_items": 0}, "num_items must be at least 1, not 0"),
        ({"num_seeds": 0}, "num_seeds must be at least 1, not 0"),
        ({"name": ""}, "must have a name"),
    ],
)
def test_measurement_errors(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Measurement(name="RMSE", value=0.2, num_items=3), **changes)


def test_result_errors() -> None:
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="seeds must be at least one"):
            replace(RESULT, seeds=seeds)
    with pytest.raises(ValueError, match="at least one measurement"):
        replace(RESULT, measurements=())
    with pytest.raises(ValueError, match=r'RMSE was measured twice under \{"sampler": "direct"\}'):
        replace(RESULT, measurements=(*RESULT.measurements, RESULT.measurements[0]))
    with pytest.raises(ValueError, match="a claim must have a source"):
        replace(RESULT.claims[0], source="")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "holds a list of 0: an object is wanted"),
        ('{"format": 2}', "is not a reference result of format 1"),
        ('{"format": 1}', "lacks claims, .*seeds"),
    ],
)
def test_reading_errors_name_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"broken\.json.*{message}"):
        read_reference_result(path)


def test_reading_checks_what_is_inside(tmp_path: Path) -> None:
    measured = RESULT.to_dict()["measurements"][0]
    for key, value, message in (
        ("measurements", [{"name": "RMSE"}], r": measurements\[0\] lacks condition, high"),
        ("measurements", [measured, measured], " is not a reference result: .* was measured twice"),
        ("measurements", [measured | {"value": "many"}], r": measurements\[0\]\.value is \"many\", of type number is"),
        ("claims", [3], r": claims\[0\] is 3, of type object is wanted"),
        ("seeds", [1, 1], ": seeds is a list of 2, a list without repetitions is wanted"),
        ("seeds", None, ": seeds is null, of type array is wanted"),
        ("note", 1, ": Additional properties are not allowed"),
    ):
        path = tmp_path / "broken.json"
        path.write_text(json.dumps(RESULT.to_dict() | {key: value}))
        with pytest.raises(ValueError, match=rf"broken\.json{message}"):
            read_reference_result(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"seeds": []},
        {"measurements": []},
        {"method": ""},
        {"more": 1},
        {"seconds": -1},
        {"claims": [{"text": "a", "source": "b", "held": "yes", "evidence": "c"}]},
        {"claims": [{"text": "a", "source": "b", "held": True, "verdict": "maybe", "evidence": "c"}]},
        {"measurements": [{"name": "a", "value": 1}]},
    ],
)
def test_schema_rejects(changes: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(json.dumps(RESULT.to_dict() | changes)), SCHEMA)


def test_files_of_the_repository() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for path in sorted((ROOT / "results" / "reference").glob("*.json")):
        jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
        assert read_reference_result(path).method in BASELINES
