"""Asymptotic alignment, on nets whose every answer is known."""

import numpy as np
import pytest
import torch
from thinking import Keeps, Recalls, Scripted, bit_items
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.alignment import asymptotic_alignment
from easy_to_hard.baselines.deep_thinking.model import RecurrentNet
from easy_to_hard.baselines.deep_thinking.net import Iteration


def test_ends_that_depend_on_the_input_alone_are_aligned() -> None:
    result = asymptotic_alignment(Recalls(), bit_items(5).inputs, 3, progress=False)
    values = (
        result.alignment,
        result.centered_alignment,
        result.self_alignment,
        result.centered_self_alignment,
    )
    assert values == pytest.approx((1, 1, 1, 1))
    assert (result.num_items, result.iterations) == (5, 3)


def test_ends_that_depend_on_the_start_alone_are_compared_with_other_inputs_only() -> None:
    # Features (1, 1), (1, 0), (0, 1): cosines of different ones are 1/sqrt(2), 1/sqrt(2) and 0.
    inputs = torch.tensor([[[0.5, -0.5]], [[0.5, 0.5]], [[-0.5, 0.5]]])
    result = asymptotic_alignment(Keeps(), inputs, 2, progress=False)
    assert result.alignment == pytest.approx(2 / 3 / np.sqrt(2))
    assert result.self_alignment == pytest.approx(1)
    # Less the mean (2/3, 2/3): (1, 1)/3, (1, -2)/3 and (-2, 1)/3.
    centered = [-1 / np.sqrt(10), -1 / np.sqrt(10), -4 / 5]
    assert result.centered_alignment == pytest.approx(np.mean(centered))
    assert result.centered_self_alignment == pytest.approx(1)


def test_features_that_depend_on_nothing_are_told_apart_by_the_centered_alignment() -> None:
    class Constant(Scripted):
        def iteration(self, x: Tensor) -> Iteration:
            return lambda features, number: torch.full_like(features, 0.3)

    result = asymptotic_alignment(Constant(), bit_items(7).inputs, 2, progress=False)
    assert (result.alignment, result.self_alignment) == pytest.approx((1, 1))
    assert (result.centered_alignment, result.centered_self_alignment) == (0, 0)


def test_alignment_of_real_nets_is_between_its_bounds() -> None:
    torch.manual_seed(0)
    for dimensions, inputs in ((1, torch.randn(4, 1, 7)), (2, torch.rand(4, 3, 8, 8).round())):
        model = RecurrentNet(in_channels=inputs.shape[1], width=4, head_widths=(4,), dimensions=dimensions)
        result = asymptotic_alignment(model, inputs, 4, progress=False)
        assert -1 <= result.centered_alignment <= 1
        assert -1 <= result.alignment <= 1


def test_alignment_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="at least two inputs to compare, not 1"):
        asymptotic_alignment(Keeps(), bit_items(1).inputs, 3)
    with pytest.raises(ValueError, match="iterations must be at least 1, not 0"):
        asymptotic_alignment(Keeps(), bit_items(2).inputs, 0)
