"""The schemas: files in the repository keep to them, broken ones do not, and they name what the code writes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from easy_to_hard.scores.results import DifficultyScore, Result, Submission
from easy_to_hard.tasks import parse_config

FOLDER = Path(__file__).parents[2] / "leaderboard"
RESULT_SCHEMA = json.loads((FOLDER / "result.schema.json").read_text(encoding="utf-8"))
PUBLISHED_SCHEMA = json.loads((FOLDER / "published.schema.json").read_text(encoding="utf-8"))
PUBLISHED = json.loads((FOLDER / "published.json").read_text(encoding="utf-8"))

SCORE = DifficultyScore(
    difficulty=9,
    config="mazes_9",
    num_items=500,
    num_correct=400,
    mean_iterations=12.5,
    mean_first_solved=3.25,
    num_settled=450,
    recorded_iterations=(1, 2, 30),
    recorded_correct=(0, 100, 400),
    cell_accuracy=0.987,
    checks={"valid_path": 410},
    macs_per_item=1.5e9,
)
FULL = Result(
    method="deep_thinking",
    preset="mazes-cpu",
    task="mazes",
    trained_on="mazes_9",
    commit="0123456789abcdef0123456789abcdef01234567",
    package_version="0.1.0",
    data_manifest_sha256="0" * 64,
    seed=3,
    split="test",
    data_seed=7,
    parameters=65_088,
    trained_iterations=20,
    device="CPU",
    training_seconds=1243.7,
    evaluation_seconds=2.5,
    iterations_rule="the last",
    scores=(SCORE,),
    provenance="re-scored",
    submission=Submission(kind="predictions", source="answers.parquet", sha256="f" * 64),
    authors="A. Person",
    link="https://example.org/code",
)


def broken(schema: Mapping[str, Any], instance: object) -> list[str]:
    """What is wrong with it; the file's own numbers and words only, as JSON has them."""
    plain = json.loads(json.dumps(instance))
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(plain)]


@pytest.mark.parametrize("schema", [RESULT_SCHEMA, PUBLISHED_SCHEMA], ids=["result", "published"])
def test_schemas_are_schemas_that_describe_every_key_and_allow_no_other(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    objects = [part for part in (schema, *schema["$defs"].values()) if part["type"] == "object"]
    assert objects
    for part in objects:
        assert part["additionalProperties"] is False
        assert set(part["required"]) <= set(part["properties"])
        for key, value in part["properties"].items():
            assert len(value["description"]) > 15, key


@pytest.mark.parametrize("path", sorted((FOLDER / "results").glob("*.json")), ids=lambda path: path.stem)
def test_results_of_this_repository(path: Path) -> None:
    assert broken(RESULT_SCHEMA, json.loads(path.read_text(encoding="utf-8"))) == []


def test_a_full_result_and_the_barest_one() -> None:
    assert broken(RESULT_SCHEMA, FULL.to_dict()) == []
    bare = replace(
        FULL,
        trained_on="",
        commit=None,
        parameters=None,
        trained_iterations=None,
        scores=(DifficultyScore(difficulty=9, config="mazes_9", num_items=1, num_correct=0),),
        submission=None,
        authors="",
        link="",
    )
    assert broken(RESULT_SCHEMA, bare.to_dict()) == []
    without_hash = replace(FULL, submission=Submission(kind="callable", source="solvers:fill"))
    assert broken(RESULT_SCHEMA, without_hash.to_dict()) == []


def test_the_keys_are_those_that_the_code_writes() -> None:
    assert set(RESULT_SCHEMA["properties"]) == set(FULL.to_dict())
    assert set(RESULT_SCHEMA["$defs"]["score"]["properties"]) == set(SCORE.to_dict())
    assert set(RESULT_SCHEMA["$defs"]["submission"]["properties"]) == set(FULL.to_dict()["submission"])
    for kind in RESULT_SCHEMA["$defs"]["submission"]["properties"]["kind"]["enum"]:
        Submission(kind=kind, source="x")
    for provenance in RESULT_SCHEMA["properties"]["provenance"]["enum"]:
        replace(FULL, provenance=provenance)


def test_keys_that_old_files_lack_are_optional() -> None:
    old = FULL.to_dict()
    for key in ("provenance", "submission", "authors", "link"):
        del old[key]
    for key in ("cell_accuracy", "checks", "macs_per_item", "mean_first_solved", "num_settled"):
        del old["scores"][0][key]
    assert broken(RESULT_SCHEMA, old) == []


def changed(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda result: result.__setitem__(key, value)


def score_changed(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda result: result["scores"][0].__setitem__(key, value)


# A count above num_items, lists of different lengths, or a config of another task are not for a schema to see:
# `Result` and `ranking.variant_of` refuse those.
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda result: result.pop("seed"), "'seed' is a required property"),
        (lambda result: result["scores"][0].pop("num_items"), "'num_items' is a required property"),
        (lambda result: result["submission"].pop("source"), "is not valid under any"),
        (changed("note", "x"), "'note' was unexpected"),
        (score_changed("note", "x"), "'note' was unexpected"),
        (changed("format", 2), "1 was expected"),
        (changed("method", ""), "''"),
        (changed("seed", "0"), "'0' is not of type 'integer'"),
        (changed("seed", 0.5), "0.5 is not of type 'integer'"),
        (changed("data_seed", None), "None is not of type 'integer'"),
        (changed("commit", "main"), "'main' does not match"),
        (changed("data_manifest_sha256", "0" * 63), "does not match"),
        (changed("split", "dev"), "'dev' is not one of"),
        (changed("parameters", -1), "-1 is less than"),
        (changed("trained_iterations", 0), "0 is less than"),
        (changed("training_seconds", -1), "-1 is less than"),
        (changed("evaluation_seconds", "1"), "'1' is not of type 'number'"),
        (changed("provenance", "re-scored on a fresh seed"), "is not one of"),
        (changed("submission", {"kind": "pickle", "source": "x", "sha256": None}), "is not valid under any"),
        (changed("submission", "model"), "is not valid under any"),
        (changed("link", "javascript:alert(1)"), "does not match"),
        (changed("scores", []), "[]"),
        (changed("scores", {}), "{} is not of type 'array'"),
        (score_changed("accuracy", 1.2), "1.2 is greater than"),
        (score_changed("num_items", 0), "0 is less than"),
        (score_changed("num_correct", -1), "-1 is less than"),
        (score_changed("interval_95", [0.5]), "[0.5] is too short"),
        (score_changed("interval_95", [0.5, 1.5]), "1.5 is greater than"),
        (score_changed("config", "mazes"), "'mazes' does not match"),
        (score_changed("difficulty", "9"), "'9' is not of type 'integer'"),
        (score_changed("recorded_iterations", [0]), "0 is less than"),
        (score_changed("recorded_iterations", [1, 1]), "has non-unique elements"),
        (score_changed("recorded_accuracy", [2]), "2 is greater than"),
        (score_changed("cell_accuracy", 1.01), "is not valid under any"),
        (score_changed("checks", {"legal": 0.5}), "0.5 is not of type 'integer'"),
        (score_changed("checks", {"Legal move": 1}), "does not match"),
        (score_changed("checks", [1]), "[1] is not of type 'object'"),
        (score_changed("macs_per_item", -1.0), "-1.0 is less than"),
    ],
)
def test_broken_results(spoil: Callable[[dict[str, Any]], object], message: str) -> None:
    result = json.loads(json.dumps(FULL.to_dict()))
    spoil(result)
    (found,) = broken(RESULT_SCHEMA, result)
    assert message in found


def test_published_figures_keep_to_their_schema() -> None:
    assert broken(PUBLISHED_SCHEMA, PUBLISHED) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("accuracy", 93.35, "is not valid under any"),
        ("accuracy", "0.9", "is not valid under any"),
        ("statistic", "best", "'best' is not one of"),
        ("sureness", "from memory", "'from memory' is not one of"),
        ("arxiv", "2202.05826", "is valid under each of"),
        ("doi", "https://doi.org/10.5281/zenodo.8173654", "does not match"),
        ("iterations", 0, "0 is less than"),
        ("runs", 0, "0 is less than"),
        ("figure", 3, "'figure' was unexpected"),
    ],
)
def test_broken_figures(key: str, value: object, message: str) -> None:
    figure = dict(next(figure for figure in PUBLISHED if "doi" in figure))
    (found,) = broken(PUBLISHED_SCHEMA, [figure | {key: value}])
    assert message in found
    assert broken(PUBLISHED_SCHEMA, [figure, figure])
    del figure["doi"]
    assert broken(PUBLISHED_SCHEMA, [figure])


def test_published_figures_agree_with_the_configs_they_name() -> None:
    for figure in PUBLISHED:
        assert parse_config(figure["config"]) == (figure["task"], figure["variant"], figure["difficulty"]), figure
        task, _, difficulty = parse_config(figure["trained_on"])
        assert task == figure["task"], figure
        assert difficulty <= figure["difficulty"], figure
        assert figure["accuracy"] is None or 0 <= figure["accuracy"] <= 1, figure
        assert (figure["accuracy"] is None) == (figure["statistic"] in ("first at least 99 %", "solved")), figure
        if figure["statistic"] in ("at iterations", "first at least 99 %", "solved"):
            assert figure["iterations"] is not None, figure
        if figure["statistic"].startswith("single pass"):
            assert figure["iterations"] is None, figure


def test_no_figure_is_given_twice_and_no_curve_is_above_its_peak() -> None:
    names = ("paper", "method", "config", "runs")
    seen = [tuple(figure[name] for name in (*names, "statistic", "iterations")) for figure in PUBLISHED]
    assert len(set(seen)) == len(seen)
    peaks = {
        tuple(figure[name] for name in names): figure["accuracy"]
        for figure in PUBLISHED
        if figure["statistic"].startswith("peak")
    }
    assert len(peaks) > 15
    for figure in PUBLISHED:
        peak = peaks.get(tuple(figure[name] for name in names))
        if figure["accuracy"] is not None and peak is not None:
            assert figure["accuracy"] <= peak, figure
