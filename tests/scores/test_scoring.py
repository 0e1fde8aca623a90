"""Scores."""

from typing import Any

import numpy as np
import pytest
import torch

from easy_to_hard.scores.scoring import exact_match, wilson_interval


def test_exact_match_needs_every_position() -> None:
    targets = np.array([[0, 1, 1], [1, 0, 0]])
    predictions = np.array([[0, 1, 1], [1, 0, 1]])
    assert exact_match(predictions, targets).tolist() == [True, False]
    assert exact_match(torch.tensor(predictions), targets).tolist() == [True, False]
    grids = np.zeros((2, 3, 3), dtype=np.uint8)
    grids[1, 2, 2] = 1
    assert exact_match(grids, np.zeros((2, 3, 3))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("predictions", "targets", "message"),
    [([[0]], [[0, 0]], r"\(1, 1\) do not fit .*\(1, 2\)"), ([], [], "at least one item"), (1, 1, "at least one item")],
)
def test_exact_match_errors(predictions: Any, targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact_match(predictions, targets)


@pytest.mark.parametrize(
    ("correct", "total", "confidence", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table I: 81/263, 15/148, 0/20, 1/29, to four places.
        (81, 263, 0.95, 0.2553, 0.3662),
        (15, 148, 0.95, 0.0624, 0.1605),
        (0, 20, 0.95, 0.0, 0.1611),
        (1, 29, 0.95, 0.0061, 0.1718),
        # All right: low = n / (n + z^2), z = 1.959964.
        (100, 100, 0.95, 100 / 103.841459, 1.0),
    ],
)
def test_wilson_interval(correct: int, total: int, confidence: float, low: float, high: float) -> None:
    assert wilson_interval(correct, total, confidence) == pytest.approx((low, high), abs=6e-5)


def test_wilson_interval_holds_the_share_and_mirrors() -> None:
    for total in (1, 7, 1000):
        for correct in range(0, total + 1, max(1, total // 13)):
            low, high = wilson_interval(correct, total)
            assert 0 <= low <= correct / total <= high <= 1
            other_low, other_high = wilson_interval(total - correct, total)
            assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))
    wide, narrow = wilson_interval(5, 10, 0.99), wilson_interval(5, 10, 0.9)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "total must be at least 1, not 0"),
        ((5, 4), "correct must be from 0 to 4, not 5"),
        ((-1, 4), "correct must be from 0 to 4, not -1"),
        ((1, 4, 1.0), "confidence must be between 0 and 1, not 1.0"),
    ],
)
def test_wilson_errors(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wilson_interval(*arguments)
