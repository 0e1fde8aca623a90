"""Training on lines of moves: the targets, the order they are asked in, the pool, and resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import chess as python_chess
import numpy as np
import pytest
import torch
from thinking import make_net, same_weights
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.batches import Batches
from easy_to_hard.baselines.deep_thinking.line_training import (
    LineConfig,
    LineTrainer,
    asked_moves,
    line_moves,
    relation_targets,
)
from easy_to_hard.baselines.deep_thinking.mate_lines import line_batches, line_squares, mark_lines
from easy_to_hard.baselines.deep_thinking.recipes import RECIPES, NetConfig, Recipe
from easy_to_hard.baselines.deep_thinking.training import train
from easy_to_hard.datasets.items import instance_tensors
from easy_to_hard.generators.chess import find_relations
from easy_to_hard.tasks import DataSpec, generate
from easy_to_hard.tasks.chess import two_likeliest_squares

MATES = DataSpec(task="chess_mates", difficulty=2)


@pytest.fixture(scope="module")
def batches() -> Batches:
    return line_batches(MATES, 12, 20, 8, seed=0)


def _net(kind: str = "attention", **sizes: Any) -> Any:
    shape = {"width": 8, "head_widths": (), "heads": 2, "in_channels": 12, "dimensions": 2, **sizes}
    return make_net(kind, **shape)


def _config(**changes: Any) -> LineConfig:
    return replace(LineConfig(steps=8, pool_size=16, warmup_steps=2, log_every=1), **changes)


# Lines


def test_lines_are_played_by_python_chess() -> None:
    _, instances = generate(MATES, 12)
    squares = line_squares(instances, 5)
    assert (squares[:, 3:] == -1).all()
    sides = set()
    for fen, line in zip(instances.columns["fen"], squares, strict=True):
        board = python_chess.Board(fen)
        mover = board.turn
        sides.add(mover)
        for origin, to in line[:3]:
            own, there = (
                int(s) if mover == python_chess.WHITE else python_chess.square_mirror(int(s)) for s in (origin, to)
            )
            legal = [move for move in board.legal_moves if (move.from_square, move.to_square) == (own, there)]
            assert legal
            board.push(legal[0])
        assert board.is_checkmate() or any(move.promotion for move in board.move_stack)
    assert len(sides) == 2


def test_a_batch_has_both_depths_and_the_targets_of_its_inputs(batches: Batches) -> None:
    keys: dict[bytes, Tensor] = {}
    for difficulty, count in ((1, 20), (2, 12)):
        spec = replace(MATES, difficulty=difficulty)
        for inputs, targets in zip(*instance_tensors(spec, generate(spec, count)[1].data), strict=True):
            keys[inputs.numpy().tobytes()] = targets
            keys[inputs.flip(-1).contiguous().numpy().tobytes()] = targets.flip(-1)
    lengths, seen = set(), set()
    for step in range(4):
        inputs, targets = batches(step)
        assert inputs.shape == (8, 12, 8, 8)
        assert targets.shape == (8, 3, 8, 8)
        for board, line in zip(inputs, targets, strict=True):
            seen.add(board.numpy().tobytes())
            assert torch.equal((line[0] > 0).long(), keys[board.numpy().tobytes()])
            lengths.add(int(line.flatten(1).any(dim=1).sum()))
    assert lengths == {1, 3}
    assert len(seen) == 32, "an epoch has each item once"


def test_half_of_the_boards_are_mirrored(batches: Batches) -> None:
    straight = {data.numpy().tobytes() for data in instance_tensors(MATES, generate(MATES, 12)[1].data)[0]}
    easy = replace(MATES, difficulty=1)
    straight |= {data.numpy().tobytes() for data in instance_tensors(easy, generate(easy, 20)[1].data)[0]}
    shown = [board.numpy().tobytes() in straight for step in range(8) for board in batches(step)[0]]
    assert 0.3 < np.mean(shown) < 0.7


def test_batches_are_functions_of_seed_and_step(batches: Batches) -> None:
    again = line_batches(MATES, 12, 20, 8, seed=0)
    assert torch.equal(batches(5)[0], again(5)[0])
    assert torch.equal(batches(5)[1], again(5)[1])
    assert not torch.equal(batches(5)[0], line_batches(MATES, 12, 20, 8, seed=1)(5)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DataSpec(task="mazes", difficulty=9), 5, 5, 2), "only chess_mates have lines of moves, not mazes"),
        ((MATES, 0, 5, 2), "num_items must be at least 1, not 0"),
        ((MATES, 5, -1, 2), "easier_items must not be negative, not -1"),
        ((MATES, 5, 5, 11), "batch_size must be from 1 to 10, not 11"),
    ],
)
def test_batches_that_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        line_batches(*arguments, seed=0)


def test_marks_and_moves() -> None:
    squares = np.array([[[12, 28], [52, 36], [3, 39]], [[0, 63], [-1, -1], [-1, -1]]], dtype=np.int8)
    moves = line_moves(mark_lines(squares))
    assert moves.tolist() == [[12 * 64 + 28, 52 * 64 + 36, 3 * 64 + 39], [63, -100, -100]]


def test_the_first_move_is_asked_for_last() -> None:
    moves = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, -100, -100], [9, -100, -100, -100, -100]])
    asked = {age: asked_moves(moves, torch.full((3,), age), 4).tolist() for age in (1, 4, 5, 8, 9, 100)}
    assert asked == {1: [5, 8, 9], 4: [5, 8, 9], 5: [3, 6, 9], 8: [3, 6, 9], 9: [1, 6, 9], 100: [1, 6, 9]}
    assert asked_moves(moves, torch.ones(3).long(), 0).tolist() == [1, 6, 9]


def test_relations_of_what_the_net_sees() -> None:
    instances = generate(MATES, 6)[1]
    targets = relation_targets(instance_tensors(MATES, instances.data)[0])
    assert targets.shape == (6, 3, 64, 64)
    words = find_relations(instances.data)
    for item, relation, square in np.ndindex(words.shape):
        bits = [(int(words[item, relation, square]) >> to) & 1 for to in range(64)]
        assert targets[item, relation, square].tolist() == bits


# Training


def test_it_learns_a_few_boards_by_heart(batches: Batches) -> None:
    net = _net(width=16, heads=4)
    config = _config(steps=60, learning_rate=1e-2, warmup_steps=5, pool_size=8, fresh_share=1.0, relation_weight=0.0)
    one = batches(0)
    train(net, lambda step: one, config, progress=False)
    with torch.inference_mode():
        answers = two_likeliest_squares(net(one[0], 3)[0], one[0])
    assert torch.equal(answers, (one[1][:, 0] > 0).long())


def _run(batches: Batches, folder: Path | None = None, stop_at: int | None = None, **changes: Any) -> Any:
    def after_step(step: int) -> None:
        if step == stop_at:
            raise InterruptedError

    net = _net()
    train(net, batches, _config(**changes), folder=folder, checkpoint_seconds=0, progress=False, after_step=after_step)
    return net.state_dict()


@pytest.mark.slow
def test_a_stopped_run_goes_on_bit_for_bit(batches: Batches, tmp_path: Path) -> None:
    through = _run(batches)
    with pytest.raises(InterruptedError):
        _run(batches, tmp_path, stop_at=3)
    assert same_weights(_run(batches, tmp_path), through)
    assert not same_weights(_run(batches, seed=1), through)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"relation_weight": 0.0}, {"line_weight": 0.0}, {"noise": 0.0}, {"block_iterations": 2}, {"fresh_share": 1.0}],
)
def test_every_part_has_an_effect(changes: dict[str, Any], batches: Batches) -> None:
    assert not same_weights(_run(batches, **changes), _run(batches))


def test_without_further_targets_only_the_net_is_trained(batches: Batches) -> None:
    trainer = LineTrainer(_net(), _config(relation_weight=0.0, line_weight=0.0))
    before = {name: values.clone() for name, values in trainer.state()["heads"].items()}
    trainer.update(0, *batches(0))
    weights = trainer.state()["heads"]
    assert all(not (weights[name] - before[name]).abs().max() > 1e-3 for name in before)


def test_items_stay_in_the_pool_and_grow_old(batches: Batches) -> None:
    trainer = LineTrainer(_net(), _config(iterations=3, vary_iterations=False, pool_size=8, fresh_share=0.25))
    for step in range(6):
        trainer.update(step, *batches(step))
    ages = trainer.state()["pool"]["ages"]
    assert bool((ages % 3 == 0).all())
    assert bool((ages > 0).all())
    assert len(ages.unique()) > 1
    assert int((ages == 3).sum()) == 2


def test_a_lost_run_stops_with_its_step(batches: Batches) -> None:
    net = _net()
    with torch.no_grad():
        net.projection.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="the loss is nan at step 0"):
        train(net, batches, _config(), progress=False)


# What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations must be at least 1, not 0"),
        ({"pool_size": 0}, "pool_size must be at least 1, not 0"),
        ({"fresh_share": 0.0}, "fresh_share must be above 0 and at most 1, not 0.0"),
        ({"noise": -1.0}, "noise must be at least 0, not -1.0"),
        ({"relation_weight": float("nan")}, "relation_weight must be at least 0, not nan"),
        ({"block_iterations": -1}, "block_iterations must be at least 0, not -1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, not 0.0"),
        ({"precision": "bfloat16"}, "precision must be float32, not 'bfloat16'"),
    ],
)
def test_config_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(**changes)


def test_other_nets_are_refused(batches: Batches) -> None:
    net = make_net(in_channels=12, dimensions=2)
    with pytest.raises(ValueError, match="only an attention net is trained on lines of moves, not a RecurrentNet"):
        train(net, batches, _config(), progress=False)


def _recipe(**changes: Any) -> Recipe:
    return replace(RECIPES["chess-mates-thinking"], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": NetConfig(width=8)}, "LineConfig is for attention and attention_feed_forward nets"),
        ({"training": RECIPES["chess-mates-cpu"].training}, "not for attention nets with TrainingConfig"),
        ({"fixed_items": None}, "fixed_items must be a number when training on lines, not None"),
        ({"easier_items": -1}, "easier_items must be at least 0, not -1"),
        ({"batch_size": 500}, "pool_size must be at least the batch's 500, not 128"),
        (
            {"net": NetConfig(architecture="attention_feed_forward", width=8, depth=4)},
            "a feed-forward net of depth 4 is trained on as many iterations and on new items only",
        ),
    ],
)
def test_recipes_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _recipe(**changes)
    with pytest.raises(ValueError, match="easier_items must be 0 unless training on lines, not 3"):
        replace(RECIPES["chess-mates-cpu"], easier_items=3)
