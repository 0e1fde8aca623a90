"""The named runs, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from thinking import make_net, same_weights

from easy_to_hard.baselines.deep_thinking.attention import AttentionNet, FeedForwardAttentionNet
from easy_to_hard.baselines.deep_thinking.batches import input_shape
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.line_training import LineConfig
from easy_to_hard.baselines.deep_thinking.lipschitz import LipschitzNet
from easy_to_hard.baselines.deep_thinking.model import ARCHITECTURES, FeedForwardNet, RecurrentNet
from easy_to_hard.baselines.deep_thinking.recipes import RECIPES, NetConfig, Recipe, get_recipe
from easy_to_hard.baselines.deep_thinking.training import TrainingReport
from easy_to_hard.baselines.deep_thinking.training_run import make_facts
from easy_to_hard.tasks import TASKS, get_task


def test_data_that_is_read_needs_its_folder() -> None:
    read = [name for name, recipe in RECIPES.items() if TASKS[recipe.task].imported]
    assert read == ["chess-puzzles-cpu", "chess-puzzles-paper"]
    for name in read:
        with pytest.raises(ValueError, match=r"chess_puzzles are read from a folder: give its root, .*convert-lichess"):
            RECIPES[name].batches()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_builds_its_net(name: str) -> None:
    recipe = get_recipe(name)
    # As it is, but for the time that random weights take.
    with torch.device("meta"):
        net = recipe.build_net()
    assert type(net) is ARCHITECTURES[recipe.net.architecture]
    assert (net.in_channels, net.dimensions) == input_shape(recipe.task)
    assert (net.width, net.patch) == (recipe.net.width, recipe.net.patch)
    get_task(recipe.task).answers
    assert recipe.title


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_batches_that_fit_its_net(name: str, lichess_folder: Callable[[str], Path]) -> None:
    recipe = get_recipe(name)
    if TASKS[recipe.task].imported:
        recipe = replace(recipe, root=str(lichess_folder(recipe.variant or "rating")), batch_size=20)
    # All but the first few items of a published set would only take time.
    small = replace(recipe, fixed_items=None if recipe.fixed_items is None else recipe.batch_size, easier_items=0)
    inputs, targets = small.batches()(0)
    channels, dimensions = input_shape(recipe.task)
    assert inputs.shape[:2] == (recipe.batch_size, channels)
    assert inputs.ndim == dimensions + 2
    # Lines have a plane for each half-move.
    plies = (2 * recipe.difficulty - 1,) if isinstance(recipe.training, LineConfig) else ()
    assert targets.shape == (recipe.batch_size, *plies, *inputs.shape[2:])
    assert torch.equal(small.batches()(0)[0], inputs)
    thin = replace(recipe.net, width=4, head_widths=(4,)).build(in_channels=channels, dimensions=dimensions, seed=0)
    logits, _ = thin(inputs[:2], 1)
    assert logits.shape == (2, 2, *inputs.shape[2:])


def test_fresh_or_fixed() -> None:
    fixed = replace(RECIPES["prefix-sums-paper"], batch_size=5, fixed_items=10)
    rows = {row.numpy().tobytes() for step in range(20) for row in fixed.batches()(step)[0]}
    assert len(rows) == 10
    fresh = replace(fixed, fixed_items=None)
    batches = fresh.batches()
    rows = {row.numpy().tobytes() for step in range(20) for row in batches(step)[0]}
    assert len(rows) == 100


def test_the_seed_is_that_of_everything() -> None:
    recipe = replace(
        RECIPES["prefix-sums-paper"], batch_size=5, fixed_items=10, net=NetConfig(width=4, head_widths=(4,))
    )
    other = replace(recipe, training=replace(recipe.training, seed=1))
    assert not torch.equal(recipe.build_net().projection.weight, other.build_net().projection.weight)
    assert not torch.equal(recipe.batches()(0)[0], other.batches()(0)[0])
    assert (recipe.spec().seed, other.spec().seed) == (0, 1)
    assert recipe.spec().split == "train"
    assert same_weights(recipe.build_net().state_dict(), recipe.build_net().state_dict())


def test_the_kinds_of_nets() -> None:
    kinds = {
        "recurrent": RecurrentNet,
        "feed_forward": FeedForwardNet,
        "lipschitz": LipschitzNet,
        "cellular": CellularNet,
        "attention": AttentionNet,
        "attention_feed_forward": FeedForwardAttentionNet,
    }
    assert dict(ARCHITECTURES) == kinds
    for name, kind in kinds.items():
        board = {"in_channels": 12, "dimensions": 2, "width": 8} if "attention" in name else {}
        assert type(make_net(name, **board)) is kind
    assert make_net("feed_forward", depth=3).depth == 3
    assert make_net().depth is None
    assert make_net(recall=False).recall is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": "transformer"},
            "one of recurrent, feed_forward, lipschitz, cellular, attention, .*, not 'transformer'",
        ),
        ({"architecture": "lipschitz", "recall": False}, "a lipschitz net has recall, no ReLU"),
        ({"architecture": "lipschitz", "recall_relu": True}, "a lipschitz net has recall, no ReLU"),
        ({"architecture": "lipschitz", "group_norm": True}, "a lipschitz net has recall, no ReLU"),
    ],
)
def test_net_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetConfig(**{"width": 8, "head_widths": (4,), **changes})


def _recipe(**changes: Any) -> Recipe:
    return replace(RECIPES["prefix-sums-paper"], **changes)


def test_recipe_errors() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        _recipe(batch_size=0)
    shallow = NetConfig(architecture="feed_forward", width=8, head_widths=(4,), depth=29)
    with pytest.raises(ValueError, match="a feed-forward net of depth 29 cannot be trained on 30 iterations"):
        _recipe(net=shallow)
    assert _recipe(net=replace(shallow, depth=30)).net.depth == 30
    with pytest.raises(ValueError, match="batch_size must be from 1 to the 99 items there are, not 100"):
        _recipe(fixed_items=99).batches()
    with pytest.raises(ValueError, match="unknown variant 'round'"):
        _recipe(task="mazes", difficulty=9, variant="round").batches()
    with pytest.raises(ValueError, match="unknown task 'chess'"):
        _recipe(task="chess").build_net()


def test_a_held_iteration_lies_within_a_feed_forward_net() -> None:
    """A stretch starts at hold_iterations - 1 at most, and goes on for up to max_iterations."""
    net = NetConfig(architecture="feed_forward", width=8, head_widths=(4,), depth=40)
    training = replace(RECIPES["prefix-sums-paper"].training, hold_share=0.5, hold_iterations=41)
    with pytest.raises(ValueError, match="a feed-forward net of depth 40 cannot be trained on 70 iterations"):
        _recipe(net=net, training=training)


def test_a_held_stretch_ends_within_a_feed_forward_net() -> None:
    net = NetConfig(architecture="feed_forward", width=8, head_widths=(4,), depth=40)
    training = replace(RECIPES["prefix-sums-paper"].training, hold_share=0.5, hold_iterations=40)
    with pytest.raises(ValueError, match="cannot be trained on 69 iterations"):
        _recipe(net=net, training=training)


def test_unknown_recipe() -> None:
    with pytest.raises(ValueError, match=r"'maze': choose one of .*prefix-sums-paper, .*mazes-paper, .*chess-mates"):
        get_recipe("maze")
    for name, recipe in RECIPES.items():
        assert get_recipe(name) is recipe


def test_facts_say_what_was_used_and_not_what_the_recipe_has() -> None:
    recipe = get_recipe("mazes-cellular")
    changed = replace(recipe, training=replace(recipe.training, steps=7, seed=3))
    report = TrainingReport(steps=7, loss=0.5, accuracy=1.0, seconds=1.0, precision="float32")
    assert make_facts(changed, report, "CPU").changes == "steps 7, not 2000"
    assert make_facts(recipe, report, "CPU").changes == ""
