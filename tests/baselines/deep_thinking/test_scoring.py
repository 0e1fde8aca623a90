"""Multiply-accumulates, against counts by hand."""

import pytest

from easy_to_hard.baselines.deep_thinking.model import FeedForwardNet, RecurrentNet
from easy_to_hard.baselines.deep_thinking.scoring import count_macs


def test_string_net() -> None:
    net = RecurrentNet(in_channels=1, width=4, head_widths=(2, 2), dimensions=1, recall=True)
    length = 10
    projection, head = 3 * 1 * 4, 3 * (4 * 2 + 2 * 2 + 2 * 2)
    # The input's share of the recall convolution is computed once.
    recalled_input, each = 3 * 1 * 4, 3 * 4 * 4 * 5
    assert count_macs(net, (1, length), 0) == length * (projection + head + recalled_input)
    assert count_macs(net, (1, length), 7.5) == length * (projection + head + recalled_input + 7.5 * each)


def test_maze_net_and_its_size() -> None:
    net = RecurrentNet(in_channels=3, width=4, head_widths=(2, 2), dimensions=2, recall=False)
    once, each = 9 * (3 * 4 + 4 * 2 + 2 * 2 + 2 * 2), 9 * 4 * 4 * 4
    assert count_macs(net, (3, 24, 24), 2) == 24 * 24 * (once + 2 * each)
    assert count_macs(net, (3, 1608, 1608), 2) == 1608 * 1608 * (once + 2 * each)


def test_patches_make_the_grid_smaller() -> None:
    net = RecurrentNet(in_channels=3, width=4, head_widths=(8, 8), dimensions=2, recall=False, patch=2)
    assert count_macs(net, (3, 24, 24), 1) - count_macs(net, (3, 24, 24), 0) == 13 * 13 * 9 * 4 * 4 * 4


def test_feed_forward_net() -> None:
    net = FeedForwardNet(in_channels=1, width=4, head_widths=(2, 2), dimensions=1, depth=3)
    assert count_macs(net, (1, 8), 3) - count_macs(net, (1, 8), 2) == pytest.approx(8 * 3 * 4 * 4 * 4)
