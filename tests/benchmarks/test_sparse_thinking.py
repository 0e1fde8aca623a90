"""Mazes solved a second by the cellular net, where something changes and everywhere."""

from typing import Any

import pytest
import torch

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import evaluate
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.datasets.items import Items
from easy_to_hard.tasks import DataSpec, get_task

SIZES = {59: 4, 201: 1}


@pytest.fixture(scope="module")
def net() -> CellularNet:
    torch.set_num_threads(1)
    found = load_model("mazes-cellular")[0]
    assert isinstance(found, CellularNet)
    return found


def _iterations(net: CellularNet, items: Items) -> int:
    """As many as it takes until nothing changes."""
    config = EvaluationConfig(max_iterations=100_000, stop_when_settled=True, threads=1)
    return evaluate(net, items, get_task("mazes").answers, config, progress=False).last_iteration


@pytest.mark.parametrize("size", SIZES)
def test_sparse(timed: Any, net: CellularNet, size: int) -> None:
    items = Items(DataSpec(task="mazes", difficulty=size, split="test"), SIZES[size])
    run = lambda: _iterations(net, items)  # noqa: E731
    timed(f"thinking, mazes {size}, one thread", "where something changes", len(items), run, rounds=2, warmup=1)


@pytest.mark.parametrize("size", SIZES)
def test_everywhere(timed: Any, net: CellularNet, size: int) -> None:
    items = Items(DataSpec(task="mazes", difficulty=size, split="test"), SIZES[size])
    inputs, _ = items[:]
    # A tenth of the iterations, and so a tenth of the mazes.
    iterations = _iterations(net, items) // 10

    @torch.inference_mode()
    def run() -> None:
        for state in net.states(net.initial_state(inputs), inputs, iterations):
            net.read_out(state)

    timed(f"thinking, mazes {size}, one thread", "plain iterations", len(items) / 10, run, rounds=1, warmup=0)
