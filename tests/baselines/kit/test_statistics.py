"""Intervals of what seeds gave: by hand, within what the quantity can be, and in the files that are shipped."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from easy_to_hard.baselines.kit.statistics import (
    EFFECT_DIFFERENCE,
    LEAST_SEEDS,
    PROBABILITY_DIFFERENCE,
    RANGES,
    SHARE,
    SHARE_DIFFERENCE,
    Figure,
    bootstrap_means,
    is_counted,
    of_differences,
    of_draws,
    of_share,
    of_share_difference,
    over_seeds,
    restated,
    summarize,
    t_quantile,
)
from easy_to_hard.scores.reference import Measurement, read_reference_result
from easy_to_hard.scores.scoring import wilson_interval

RESULTS = Path(__file__).parents[3] / "leaderboard" / "results" / "reference"


@pytest.mark.parametrize(
    ("degrees", "confidence", "quantile"),
    [
        # From the table in any book on statistics, to five places.
        (1, 0.95, 12.70620),
        (2, 0.95, 4.30265),
        (3, 0.95, 3.18245),
        (4, 0.95, 2.77645),
        (9, 0.95, 2.26216),
        (10, 0.99, 3.16927),
        (29, 0.95, 2.04523),
        (5, 0.90, 2.01505),
    ],
)
def test_t_quantile(degrees: int, confidence: float, quantile: float) -> None:
    assert t_quantile(degrees, confidence) == pytest.approx(quantile, abs=6e-6)


def test_over_seeds_by_hand() -> None:
    """1, 2, 3: mean 2, standard deviation 1, 4.30265 / sqrt(3) = 2.48414 either way."""
    found = over_seeds("FID", [1.0, 2.0, 3.0], unit="distance", num_items=7)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2 - 2.48414, 2 + 2.48414), abs=1e-5)
    assert (found.num_seeds, found.num_items, found.unit) == (3, 7, "distance")
    alone = over_seeds("FID", [1.5], num_items=7)
    assert (alone.value, alone.low, alone.high, alone.num_seeds) == (1.5, None, None, 1)
    same = over_seeds("FID", [0.1, 0.1, 0.1], num_items=1)
    assert same.low == same.value == same.high


@pytest.mark.parametrize("unit", RANGES)
@given(data=st.data())
def test_intervals_stay_in_the_range_of_the_unit(unit: str, data: st.DataObject) -> None:
    least, largest = RANGES[unit]
    values = data.draw(st.lists(st.floats(least, largest), min_size=1, max_size=6))
    found = over_seeds("x", values, unit=unit, num_items=3)
    assert least <= found.value <= largest
    assert (found.low is None) == (len(values) < LEAST_SEEDS)
    if found.low is not None and found.high is not None:
        assert least <= found.low <= found.value <= found.high <= largest


def test_a_share_is_cut_off_where_shares_end() -> None:
    """0.05, 1, 1: the solve rate whose interval went from -0.68 to 2.05 by Student's t alone."""
    found = over_seeds("clean solve rate", [0.05, 1.0, 1.0], unit=SHARE, num_items=300)
    assert (found.value, found.low, found.high) == (pytest.approx(0.68333, abs=1e-5), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"x, a share, must be from 0 to 1, not -0\.5"):
        over_seeds("x", [0.5, -0.5], unit=SHARE, num_items=1)


def test_over_seeds_errors() -> None:
    with pytest.raises(ValueError, match=r"at least one value, all finite, not \[\]"):
        over_seeds("RMSE", [], num_items=1)
    for degrees, confidence in ((0, 0.95), (1, 1.0), (1, 1 - 1e-12)):
        with pytest.raises(ValueError, match=r"degrees|confidence"):
            t_quantile(degrees, confidence)


def test_differences_are_taken_seed_by_seed() -> None:
    found = of_differences("x", [0.9, 0.8, 0.7], [0.5, 0.4, 0.3], num_items=5)
    assert (found.value, found.unit) == (pytest.approx(0.4), SHARE_DIFFERENCE)
    assert found.low == pytest.approx(0.4)
    assert of_differences("x", [3.0], [5.0], unit="", num_items=5).value == -2


def test_share_has_a_wilson_interval() -> None:
    found = of_share("solve rate", 81, 263, num_seeds=3)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=6e-5)
    assert (found.unit, found.num_seeds, found.num_items) == ("share", 3, 263)
    assert is_counted(found)
    assert not is_counted(over_seeds("x", [0.2, 0.4, 0.5], unit=SHARE, num_items=10))


def test_a_difference_of_counts_is_decided_where_wilson_intervals_do_not_meet() -> None:
    for one, other in (((60, 100), (40, 100)), ((62, 100), (40, 100)), ((9, 9), (0, 400))):
        found = of_share_difference("x", one, other)
        apart = wilson_interval(*one)[0] > wilson_interval(*other)[1]
        assert found.low is not None
        assert (found.low > 0) == apart
        assert found.value == pytest.approx(one[0] / one[1] - other[0] / other[1])


def test_the_bootstrap_draws_nets_and_items() -> None:
    of_items = of_draws(
        Measurement(name="x", value=49.5, num_items=100),
        bootstrap_means([torch.arange(100.0, dtype=torch.float64)]).numpy(),
    )
    # The standard error of the mean of 100 even numbers is 2.9.
    assert (of_items.low, of_items.high) == pytest.approx((49.5 - 1.96 * 2.9, 49.5 + 1.96 * 2.9), abs=1)
    # Nets that agree within themselves differ still.
    nets = [torch.zeros(50, dtype=torch.float64), torch.ones(50, dtype=torch.float64)]
    assert set(bootstrap_means(nets).tolist()) == {0.0, 0.5, 1.0}


def test_an_interval_is_not_stretched_to_the_value() -> None:
    measured = Measurement(name="x", value=1.0, num_items=10)
    draws = np.random.default_rng(0).normal(size=20_000)
    # Draws around the value: plain percentiles.
    centered = of_draws(measured, 1 + draws)
    assert (centered.low, centered.high) == pytest.approx((1 - 1.96, 1 + 1.96), abs=0.05)
    # Draws whose median is a standard error too low: so the value is taken to be, and the interval goes up by two.
    shifted = of_draws(measured, draws)
    assert (shifted.low, shifted.high) == pytest.approx((2 - 1.96, 2 + 1.96), abs=0.3)
    # A value beyond nearly all draws is not one that they describe: no interval, instead of one that ends at it.
    for far in (draws - 2, draws + 5):
        assert of_draws(measured, far).low is None
    # Draws that differ from the value by rounding only.
    same = of_draws(measured, np.array([1 - 1e-16, 1 + 2e-16, 1.0]))
    assert (same.low, same.high) == (1.0, 1.0)
    top = of_draws(Measurement(name="x", value=0.95, unit=SHARE, num_items=10), 0.95 + 0.1 * draws)
    assert top.high == 1.0


def test_summarize_over_seeds_and_of_one() -> None:
    def one(value: float, **more: object) -> Figure:
        return Figure(name="x", value=value, num_items=4, unit=SHARE, **more)  # type: ignore[arg-type]

    sample = torch.tensor([0.0, 1.0, 1.0, 1.0])
    assert summarize([[one(0.75, right=3)]]) == [of_share("x", 3, 4)]
    (of_one,) = summarize([[one(0.75, sample=sample)]])
    assert of_one.low is not None
    assert 0 <= of_one.low < 0.75
    assert summarize([[one(0.75)]])[0].low is None
    assert summarize([[one(1.0, sample=torch.ones(1))]])[0].low is None
    three = [[one(value, right=round(4 * value), sample=sample)] for value in (0.5, 0.75, 1.0)]
    assert summarize(three) == [over_seeds("x", [0.5, 0.75, 1.0], unit=SHARE, num_items=4)]
    (drawn,) = summarize(three, resampled=("x",))
    assert drawn.low is not None
    assert 0.25 < drawn.low < drawn.value == 0.75
    # A seed without a figure is left out of it, and it keeps its place.
    late = Figure(name="y", value=2.0, num_items=1)
    assert [(found.name, found.num_seeds) for found in summarize([[one(0.5)], [one(0.5), late]])] == [
        ("x", 2),
        ("y", 1),
    ]


def test_figures_of_items() -> None:
    gap = float("nan")
    first, second = Figure.of_items("x", [1.0, gap, 0.5], condition={"k": 1}), Figure.of_items("x", [gap, 1.0, 1.0])
    assert (first.value, first.num_items, first.unit, first.condition) == (0.75, 2, SHARE, {"k": 1})
    less = first.less(second, {"k": 2})
    assert (less.name, less.value, less.num_items, less.unit) == ("x, difference", -0.5, 1, SHARE_DIFFERENCE)
    # What no item has a value for is left out, and gaps have no part in an interval.
    nothing = Figure.of_items("y", [gap])
    assert (nothing.value, nothing.num_items) == (0.0, 0)
    (found,) = summarize([[first, nothing]])
    assert (found.value, found.num_items) == (0.75, 2)
    assert found.low is not None
    with pytest.raises(ValueError, match="x and z must both have a value for each item"):
        first.less(Figure.of_count("z", 1, 2), {})


def test_figures_are_the_same_from_their_rows() -> None:
    items = Figure.of_items("x", [1.0, float("nan"), 1 / 3], unit="", condition={"k": 1, "of": "a"})
    share = Figure.of_count("y", 1, 3, {"net": "b"})
    plain = Figure(name="z", value=0.1, num_items=7)
    figures = [items, share, plain]
    again = [Figure.from_row(row) for row in json.loads(json.dumps([one.to_row() for one in figures]))]
    assert summarize([again]) == summarize([figures])
    assert again[1:] == [share, plain]
    assert again[0].sample is not None
    assert again[0].sample.tolist() == [1.0, 1 / 3]


@pytest.mark.parametrize(
    ("measured", "unit", "interval"),
    [
        ({"name": "solve rate", "value": 0.68, "low": -0.49, "high": 1.86}, SHARE, (0.0, 1.0)),
        ({"name": "solve rate", "value": 0.6, "low": 0.5, "high": 0.7}, SHARE, (0.5, 0.7)),
        ({"name": "F1", "value": 0.6, "low": -1.0, "high": 2.2, "num_seeds": 2}, SHARE, (None, None)),
        (
            {"name": "attack success above unpoisoned", "value": 0.9, "low": 0.5, "high": 1.3},
            SHARE_DIFFERENCE,
            (0.5, 1.0),
        ),
        (
            {"name": "clean accuracy difference", "value": -0.9, "low": -1.3, "high": -0.5},
            SHARE_DIFFERENCE,
            (-1.0, -0.5),
        ),
        (
            {"name": "attack success difference", "value": -0.9, "low": -1.3, "high": -0.5},
            EFFECT_DIFFERENCE,
            (-1.3, -0.5),
        ),
        ({"name": "made image above every real one", "value": 0.5, "low": -0.5, "high": 1.5}, SHARE, (0.0, 1.0)),
        ({"name": "change of the share", "value": 0.0, "low": -0.5, "high": 0.5}, SHARE_DIFFERENCE, (-0.5, 0.5)),
        (
            {"name": "change of confidence", "value": 0.0, "low": -1.5, "high": 1.5, "unit": "probability"},
            PROBABILITY_DIFFERENCE,
            (-1.0, 1.0),
        ),
        (
            {
                "name": "same type",
                "value": 0.0,
                "low": -1.5,
                "high": 1.5,
                "condition": {"items": "neighbours less chance"},
            },
            SHARE_DIFFERENCE,
            (-1.0, 1.0),
        ),
        ({"name": "RMSE ratio", "value": 2.0, "low": -1.0, "high": 5.0, "unit": "", "num_seeds": 2}, "", (-1.0, 5.0)),
    ],
)
def test_files_are_restated(
    measured: dict[str, object], unit: str, interval: tuple[float | None, float | None]
) -> None:
    old = Measurement(**{"unit": SHARE, "num_items": 10, "num_seeds": 3, **measured})  # type: ignore[arg-type]
    new = restated(old)
    assert (new.unit, (new.low, new.high)) == (unit, interval)
    assert (new.value, new.num_items, new.num_seeds) == (old.value, old.num_items, old.num_seeds)
    assert restated(new) == new


def test_counted_items_of_two_seeds_keep_their_interval() -> None:
    counted = of_share("solve rate", 12, 20, num_seeds=2)
    assert restated(counted) == counted


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_intervals_lie_where_the_quantity_can(path: Path) -> None:
    for one in read_reference_result(path).measurements:
        least, largest = RANGES.get(one.unit, (-float("inf"), float("inf")))
        assert least <= one.value <= largest, one
        assert restated(one) == one
        if one.low is not None and one.high is not None:
            assert least <= one.low <= one.high <= largest, one
