"""The ranking: scores worked out by hand, what cannot raise them, which results count, and who is flagged."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easy_to_hard.leaderboard.ranking import (
    FLAG_LEVEL,
    area_score,
    chance_of_drop,
    flagged_configs,
    ladder,
    overthinking_gap,
    overview,
    reach,
    score_of,
    standings,
    variant_of,
)
from easy_to_hard.scores.results import DifficultyScore, Result, read_result
from easy_to_hard.storage.presets import PRESETS, Part
from easy_to_hard.tasks import TASKS, config_name, parse_config

RESULTS = Path(__file__).parents[2] / "leaderboard" / "results"
LADDERS = [(task.name, variant) for task in TASKS.values() for variant in task.variants or ("",)]


def make(counts: Mapping[str, tuple[int, int] | Sequence[int]], **changes: Any) -> dict[str, Any]:
    """A result from config -> (right, items)."""
    scores = [
        DifficultyScore(difficulty=parse_config(config)[2], config=config, num_correct=right, num_items=items)
        for config, (right, items) in counts.items()
    ]
    facts: dict[str, Any] = {
        "method": "deep_thinking",
        "preset": "mazes-cpu",
        "task": "mazes",
        "trained_on": "mazes_9",
        "commit": None,
        "package_version": "0.1.0",
        "data_manifest_sha256": "0" * 64,
        "seed": 0,
        "device": "CPU",
        "training_seconds": 1.0,
        "evaluation_seconds": 1.0,
        "iterations_rule": "the last",
    }
    return Result(scores=scores, **facts | changes).to_dict()


def test_ladders() -> None:
    assert ladder("chess_mates", "") == (1, 2, 3, 4, 5)
    assert ladder("mazes", "") == ladder("mazes", "depth_first") == (9, 13, 17, 25, 33, 59, 101, 201, 401, 801)
    assert ladder("mazes", "looped") == (9, 13, 33, 59)
    assert ladder("prefix_sums", "") == (32, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    assert ladder("chess_puzzles", "") == ladder("chess_puzzles", "rating") == TASKS["chess_puzzles"].difficulties
    assert ladder("chess_puzzles", "rank")[:3] == (0, 600_000, 700_000)


@pytest.mark.parametrize(("task", "variant"), LADDERS)
def test_every_ladder_rises_from_what_is_trained_on_and_is_tested(task: str, variant: str) -> None:
    rungs = ladder(task, variant)
    assert len(rungs) >= 2
    assert list(rungs) == sorted(set(rungs))
    assert rungs[0] == TASKS[task].train_difficulty
    presets = ("full", "mates-balanced")
    tested = {part.config for preset in presets for part in PRESETS[preset] if part.split == "test"}
    assert TASKS[task].imported or {config_name(task, rung, variant) for rung in rungs} <= tested


@pytest.mark.parametrize(("task", "variant", "message"), [("go", "", "'go'"), ("mazes", "round", "'round' of mazes")])
def test_ladder_errors(task: str, variant: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ladder(task, variant)


def with_parts(monkeypatch: pytest.MonkeyPatch, *parts: tuple[int, str]) -> None:
    """Put mazes of these difficulties and splits into the place of the frozen benchmark."""
    made = tuple(Part(task="mazes", difficulty=size, split=split, rows=1) for size, split in parts)
    monkeypatch.setattr("easy_to_hard.storage.presets.PRESETS", {"full": made})


def test_a_ladder_has_two_rungs_or_more_and_each_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    with_parts(monkeypatch, (7, "test"), (9, "test"), (11, "test"), (13, "validation"), (17, "test"))
    assert ladder("mazes", "") == (9, 17)
    with_parts(monkeypatch, (7, "test"), (9, "test"), (11, "train"))
    with pytest.raises(ValueError, match=r"two difficulties, .* tests \(9,\) of mazes depth_first"):
        ladder("mazes", "")


def test_variant_of() -> None:
    assert variant_of(make({"mazes_9": (1, 2), "mazes_13": (1, 2)})) == "depth_first"
    assert variant_of(make({"mazes_looped_9": (1, 2)})) == "looped"
    assert variant_of(make({"prefix_sums_32": (1, 2)}, task="prefix_sums")) == ""
    with pytest.raises(ValueError, match="one variant, not of depth_first, looped"):
        variant_of(make({"mazes_9": (1, 2), "mazes_looped_9": (1, 2)}))
    with pytest.raises(ValueError, match="'mazes_9' is not of task 'chess_mates' and difficulty 9"):
        variant_of(make({"mazes_9": (1, 2)}, task="chess_mates"))
    wrong = make({"mazes_9": (1, 2)})
    wrong["scores"][0]["difficulty"] = 801
    with pytest.raises(ValueError, match="'mazes_9' is not of task 'mazes' and difficulty 801"):
        variant_of(wrong)


def test_area_score_by_hand() -> None:
    # Mates in 1, 2, 3, 4, 5 lie at 0, 1, 1.585, 2, 2.322; the last two were not measured.
    area = (1.0 + 0.6) / 2 * 1 + (0.6 + 0.2) / 2 * math.log2(3 / 2) + (0.2 + 0.0) / 2 * math.log2(4 / 3)
    assert area_score({1: 1.0, 2: 0.6, 3: 0.2}, "chess_mates", "") == pytest.approx(100 * area / math.log2(5))
    # All right from 32 to 512, four of eight doublings, then nothing: half of the fifth counts.
    held = dict.fromkeys((rung for rung in ladder("prefix_sums", "") if rung <= 512), 1.0)
    assert area_score(held, "prefix_sums", "") == pytest.approx(100 * 4.5 / 8)
    # Ratings are logarithms already: 200 of the 2,600 points lie between 1,200 and 1,400.
    one = area_score({1200: 1.0, 1400: 1.0}, "chess_puzzles", "rating")
    assert one == pytest.approx(100 * (1200 / 2 + 200 + 200 / 2) / 2600)


@pytest.mark.parametrize(("task", "variant"), LADDERS)
def test_area_score_of_all_of_one_accuracy_is_that_accuracy(task: str, variant: str) -> None:
    for accuracy in (0.0, 0.37, 1.0):
        score = area_score(dict.fromkeys(ladder(task, variant), accuracy), task, variant)
        assert score == pytest.approx(100 * accuracy, abs=1e-9)
        assert score <= 100


def test_rounding_pushes_no_score_past_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_to_hard.leaderboard.ranking.ladder", lambda task, variant: (13, 15))
    assert area_score({13: 1.0, 15: 1.0}, "mazes", "") == 100


def test_leaving_out_a_difficulty_never_raises_the_score_and_others_do_not_count() -> None:
    draw = np.random.default_rng(5)
    for _ in range(50):
        accuracies = {rung: float(draw.random()) for rung in ladder("mazes", "")}
        whole = area_score(accuracies, "mazes", "")
        for left_out in accuracies:
            rest = {rung: accuracy for rung, accuracy in accuracies.items() if rung != left_out}
            assert area_score(rest, "mazes", "") < whole
        assert area_score(accuracies | {7: 1.0, 61: 1.0, 1601: 1.0}, "mazes", "") == whole


@pytest.mark.parametrize("accuracy", [-0.1, 1.01, math.nan])
def test_area_score_errors(accuracy: float) -> None:
    with pytest.raises(ValueError, match=f"accuracy at difficulty 9 must be from 0 to 1, not {accuracy}"):
        area_score({9: accuracy}, "mazes", "")


def test_a_rung_of_few_items_counts_as_not_measured() -> None:
    assert score_of(make({"mazes_9": (10, 10), "mazes_13": (9, 9)})) == score_of(make({"mazes_9": (10, 10)})) > 0


def test_reach() -> None:
    # The lower bound of n out of n is n / (n + 3.8415): 0.8985 for 34, 0.9011 for 35.
    assert reach(make({"mazes_9": (35, 35), "mazes_13": (34, 34)})) == 9
    assert reach(make({"mazes_9": (500, 500), "mazes_33": (100, 100), "mazes_59": (850, 1000)})) == 33
    assert reach(make({"mazes_9": (1, 500), "mazes_59": (100, 100)})) == 59
    assert reach(make({"mazes_9": (500, 500), "mazes_61": (500, 500)})) == 9, "61 is no rung"
    assert reach(make({"mazes_9": (500, 500), "mazes_1601": (50, 50)})) == 1601, "beyond the ladder"
    assert reach(make({"mazes_7": (500, 500), "mazes_9": (1, 500)})) is None, "below the ladder"


def with_curves(*curves: Sequence[float]) -> dict[str, Any]:
    result = make({f"mazes_{9 + 2 * place}": (0, 10) for place in range(len(curves))})
    for score, curve in zip(result["scores"], curves, strict=True):
        score["recorded_accuracy"] = list(curve)
        score["recorded_iterations"] = list(range(1, len(curve) + 1))
    return result


def test_overthinking_gap_is_of_the_worst_difficulty() -> None:
    assert overthinking_gap(with_curves([0.1, 0.9, 0.8], [0.2, 0.7, 0.1], [])) == pytest.approx(0.6)
    assert overthinking_gap(with_curves([0.1, 0.9, 0.9])) == 0
    assert overthinking_gap(with_curves([], [])) is None


def test_chance_of_drop_by_hand() -> None:
    # Fisher's tea, eight cups, four with milk first: all right 1 / 70, three or more 17 / 70.
    assert chance_of_drop((4, 4), (0, 4)) == pytest.approx(1 / 70)
    assert chance_of_drop((3, 4), (1, 4)) == pytest.approx(17 / 70)
    assert chance_of_drop((0, 4), (4, 4)) == pytest.approx(1)
    assert chance_of_drop((0, 5), (0, 7)) == pytest.approx(1)


def test_chance_of_drop_is_exact() -> None:
    draw = np.random.default_rng(6)
    for _ in range(200):
        items, others = (int(number) for number in draw.integers(1, 400, 2))
        right, other_right = int(draw.integers(0, items + 1)), int(draw.integers(0, others + 1))
        every = right + other_right
        ways = [
            math.comb(items, count) * math.comb(others, every - count) for count in range(right, min(items, every) + 1)
        ]
        exact = float(Fraction(sum(ways), math.comb(items + others, every)))
        assert chance_of_drop((right, items), (other_right, others)) == pytest.approx(exact, rel=1e-9)
        assert chance_of_drop((0, items), (other_right, others)) <= 1, "rounding pushes none past 1"


@pytest.mark.parametrize("counts", [((5, 4), (1, 4)), ((1, 4), (-1, 4)), ((0, 0), (1, 4))])
def test_chance_of_drop_errors(counts: Any) -> None:
    with pytest.raises(ValueError, match="from 0 to the number of items, not "):
        chance_of_drop(*counts)


def simulated(draw: np.random.Generator, accuracies: Sequence[float], items: int, **changes: Any) -> dict[str, Any]:
    rungs = range(9, 9 + 2 * len(accuracies), 2)
    right = draw.binomial(items, accuracies)
    return make({f"mazes_{rung}": (int(count), items) for rung, count in zip(rungs, right, strict=True)}, **changes)


def test_nets_that_do_not_know_the_frozen_set_are_hardly_ever_flagged() -> None:
    draw = np.random.default_rng(7)
    flagged = 0
    for _ in range(1500):
        accuracies = draw.choice([0.01, 0.3, 0.9, 0.99, 1.0], 5)
        frozen, fresh = simulated(draw, accuracies, 300), simulated(draw, accuracies, 200, data_seed=1)
        flagged += bool(flagged_configs(frozen, fresh))
    # 0.1 % is promised. Without Bonferroni it would be about 0.3 %, at 5 % a config one net in six.
    assert flagged / 1500 < 0.01
    assert flagged <= 5


def test_nets_that_know_the_frozen_set_are_flagged() -> None:
    draw = np.random.default_rng(8)
    for _ in range(50):
        frozen = simulated(draw, [1.0, 1.0, 1.0, 0.5], 1000)
        fresh = simulated(draw, [1.0, 0.9, 1.0, 0.5], 1000, data_seed=3)
        assert flagged_configs(frozen, fresh) == ("mazes_11",)
        assert flagged_configs(fresh, frozen) == ()


def test_flags_are_of_what_both_have_at_a_level_shared_among_them() -> None:
    # The chance lies between half the level and the level: flagged alone, not as one of two.
    frozen_counts, fresh_counts = (100, 100), (90, 100)
    assert FLAG_LEVEL / 2 < chance_of_drop(frozen_counts, fresh_counts) < FLAG_LEVEL
    alone = make({"mazes_9": frozen_counts, "mazes_11": (5, 5)}), make({"mazes_9": fresh_counts, "mazes_13": (5, 5)})
    assert flagged_configs(*alone) == ("mazes_9",)
    pair = make({"mazes_9": frozen_counts, "mazes_11": (5, 5)}), make({"mazes_9": fresh_counts, "mazes_11": (5, 5)})
    assert flagged_configs(*pair) == ()
    assert flagged_configs(make({"mazes_9": (9, 9)}), make({"mazes_11": (0, 9)})) == ()


def test_the_result_with_the_most_rungs_counts_and_the_others_stand_beside_it() -> None:
    wide = make({"mazes_9": (9, 10), "mazes_13": (8, 10), "mazes_33": (7, 10)})
    narrow = make({"mazes_9": (1000, 1000), "mazes_61": (10, 10), "mazes_63": (10, 10), "mazes_65": (10, 10)})
    many = make({"mazes_33": (100, 100)})
    few = make({"mazes_59": (50, 50)})
    for order in ([wide, narrow, many, few], [few, many, narrow, wide]):
        (standing,) = standings(order)
        assert standing.result is wide
        assert list(standing.also) == [narrow, many, few]
    (standing,) = standings([few, many])
    assert (standing.result, standing.also) == (many, (few,))


def test_of_equals_the_re_scored_result_counts() -> None:
    counts = {"mazes_9": (9, 10), "mazes_13": (8, 10)}
    own, ours = make(counts), make(counts, provenance="re-scored")
    for order in ([own, ours], [ours, own]):
        (standing,) = standings(order)
        assert (standing.result, standing.also, standing.provenance) == (ours, (own,), "re-scored")


def test_what_makes_another_net() -> None:
    changes: list[dict[str, Any]] = [{}, {"method": "x"}, {"preset": "x"}, {"seed": 1}, {"trained_on": ""}]
    nets = [make({"mazes_9": (9, 10)}, **change) for change in changes]
    nets += [make({"mazes_looped_9": (9, 10)}), make({"chess_mates_1": (9, 10)}, task="chess_mates")]
    assert len(standings(nets)) == len(nets)


def test_fresh_instances() -> None:
    frozen = make({"mazes_9": (1000, 1000), "mazes_13": (700, 1000)}, provenance="re-scored")
    fresh = make({"mazes_9": (850, 1000), "mazes_13": (710, 1000)}, data_seed=77, provenance="re-scored")
    fewer = make({"mazes_9": (1, 2)}, data_seed=78)
    (standing,) = standings([fewer, fresh, frozen])
    assert (standing.result, standing.fresh, standing.also) == (frozen, fresh, (fewer,))
    assert standing.flags == ("mazes_9",)
    assert standing.provenance == "re-scored on a fresh seed"
    assert standing.ranked
    (standing,) = standings([frozen])
    assert (standing.fresh, standing.flags, standing.provenance) == (None, (), "re-scored")
    own = make({"mazes_9": (850, 1000)}, data_seed=77)
    (standing,) = standings([frozen, own])
    assert (standing.fresh, standing.provenance) == (own, "re-scored"), "nobody else has seen the fresh ones"
    # A fresh result never takes the frozen one's place, however much it holds.
    (standing,) = standings([fresh, make({"mazes_9": (1, 2)})])
    assert standing.result["data_seed"] == 0
    assert standing.score < 10


def test_a_file_of_before_provenance_is_self_reported() -> None:
    old = make({"mazes_9": (9, 10)})
    for key in ("provenance", "submission", "authors", "link"):
        del old[key]
    for key in ("cell_accuracy", "checks", "macs_per_item"):
        del old["scores"][0][key]
    assert standings([old])[0].provenance == "self-reported"


@pytest.mark.parametrize(
    ("changes", "ranked", "remark"),
    [
        ({}, True, ""),
        ({"trained_on": ""}, True, ""),
        ({"trained_on": "mazes_7"}, True, ""),
        ({"trained_on": "mazes_11"}, False, "trained on mazes_11, harder than size 9"),
        ({"trained_on": "mazes_looped_9"}, True, "trained on mazes_looped_9, another variant"),
        ({"trained_on": "mazes_looped_13"}, False, "trained on mazes_looped_13, harder than size 9"),
        ({"trained_on": "prefix_sums_512"}, True, "trained on prefix_sums_512, another task"),
        ({"trained_on": "my mazes"}, False, "trained on 'my mazes', which is not a config of the benchmark"),
        ({"split": "validation"}, False, "scored on the validation split"),
        ({"data_seed": 5}, False, "not scored on the frozen benchmark, only on data seed 5"),
    ],
)
def test_who_is_ranked(changes: dict[str, Any], ranked: bool, remark: str) -> None:
    (standing,) = standings([make({"mazes_9": (9, 10)}, **changes)])
    assert (standing.ranked, standing.remark) == (ranked, remark)


def test_the_test_split_counts_before_another_and_only_it_is_fresh() -> None:
    test = make({"mazes_9": (9, 10)})
    validation = make({"mazes_9": (90, 100), "mazes_13": (90, 100)}, split="validation")
    other_fresh = make({"mazes_9": (90, 100)}, split="validation", data_seed=4)
    (standing,) = standings([validation, other_fresh, test])
    assert (standing.result, standing.fresh) == (test, None)
    assert standing.also == (validation, other_fresh)


def test_order_of_standings() -> None:
    results = [
        make({"mazes_looped_9": (10, 10)}),
        make({"mazes_9": (10, 10)}, seed=0, trained_on="mazes_33"),
        make({"mazes_9": (5, 10)}, seed=1),
        make({"mazes_9": (7, 10)}, seed=2),
        make({"mazes_9": (7, 10)}, seed=3, method="a"),
        make({"mazes_9": (7, 10), "mazes_1601": (99, 99)}, seed=4),
        make({"prefix_sums_32": (1, 10)}, task="prefix_sums"),
    ]
    found = [(standing.task, standing.variant, standing.result["seed"]) for standing in standings(results)]
    assert found == [
        ("prefix_sums", "", 0),
        *(("mazes", "depth_first", seed) for seed in (4, 3, 2, 1, 0)),
        ("mazes", "looped", 0),
    ]
    assert [standing.result for standing in standings(results[::-1])] == [s.result for s in standings(results)]


def perfect(task: str, share: float, preset: str, **changes: Any) -> dict[str, Any]:
    counts = {config_name(task, rung): (round(1000 * share), 1000) for rung in ladder(task, "")}
    return make(counts, task=task, preset=preset, trained_on="", **changes)


def test_overview_takes_the_median_over_seeds_and_counts_a_missing_task_as_0() -> None:
    results = [
        perfect("prefix_sums", share, "prefix-sums-cpu", seed=seed) for seed, share in enumerate((0.9, 0.3, 0.4))
    ]
    results += [perfect("mazes", share, "mazes-cpu", seed=seed) for seed, share in enumerate((0.2, 0.6))]
    results += [perfect("chess_mates", 1.0, "chess-mates-cpu", seed=0)]
    results += [perfect("mazes", 0.99, "deadend-filling", method="deadend_filling")]
    results += [perfect("chess_mates", 0.06, "chess-mates", method="search")]
    first, second, third = overview(standings(results))
    assert (first.method, first.family) == ("deep_thinking", "cpu")
    assert first.scores == pytest.approx({"prefix_sums": 40, "mazes": 40, "chess_mates": 100})
    assert first.seeds == {"prefix_sums": 3, "mazes": 2, "chess_mates": 1}
    assert first.mean == pytest.approx(60)
    assert (second.method, second.family, second.mean) == ("deadend_filling", "deadend-filling", pytest.approx(33))
    assert second.scores["prefix_sums"] is None
    assert second.seeds == {"prefix_sums": 0, "mazes": 1, "chess_mates": 0}
    assert (third.method, third.family, third.mean) == ("search", "", pytest.approx(2))


def test_overview_leaves_out_variants_imported_tasks_and_what_is_not_ranked() -> None:
    results = [
        make({"mazes_looped_9": (10, 10)}),
        make({"chess_puzzles_0": (10, 10)}, task="chess_puzzles"),
        make({"mazes_9": (10, 10)}, trained_on="mazes_33"),
    ]
    assert len(standings(results)) == 3
    assert overview(standings(results)) == []


def test_the_results_of_this_repository() -> None:
    results = [read_result(path) for path in sorted(RESULTS.glob("*.json"))]
    ranking = standings(results)
    held = [result for standing in ranking for result in (standing.result, standing.fresh, *standing.also) if result]
    assert sorted(map(id, held)) == sorted(map(id, results)), "each result stands in one place"
    assert all(0 <= standing.score <= 100 for standing in ranking)
    assert {entry.method for entry in overview(ranking)} >= {"deep_thinking"}
