"""Solvers that were not trained: what they solve, with how many iterations, and what they cannot."""

import importlib
from typing import Any

import chess
import numpy as np
import pytest
import torch

from easy_to_hard.datasets.graded import to_tensors
from easy_to_hard.generators.chess import from_planes, parse_fens, to_fens, to_planes
from easy_to_hard.generators.mazes.dead_ends import fill_dead_ends
from easy_to_hard.leaderboard.solvers import (
    SOLVERS,
    breadth_first,
    dead_end_filling,
    fewest_replies,
    mate_search,
    prefix_parity,
    random,
    zeros,
)
from easy_to_hard.scores.scoring import exact_match
from easy_to_hard.tasks import TASKS, DataSpec, generate

EXACT = ("prefix_parity", "dead_end_filling", "breadth_first", "mate_search")


def items(task: str, difficulty: int, number: int, variant: str = "") -> tuple[Any, Any]:
    """Inputs as a network gets them, and targets as an array."""
    spec = DataSpec(task=task, difficulty=difficulty, variant=variant, split="test")
    instances = generate(spec, number)[1]
    inputs, targets = to_tensors(TASKS[task], *TASKS[task].encode(instances.data, difficulty, None))
    return inputs, targets.numpy()


def cases() -> list[Any]:
    return [(name, task) for name, solver in SOLVERS.items() for task in solver.tasks if not TASKS[task].imported]


@pytest.mark.parametrize(("name", "task"), cases())
def test_each_is_a_callable_submission(name: str, task: str) -> None:
    """Types and shapes, tensors and arrays alike, any batch size, the inputs left alone, one item after another."""
    solver = SOLVERS[name]
    module, function = solver.source.split(":")
    assert getattr(importlib.import_module(module), function) is solver.solve
    assert (solver.name, len({other.title for other in SOLVERS.values()})) == (name, len(SOLVERS))
    difficulty = TASKS[task].train_difficulty
    inputs, targets = items(task, difficulty, 20)
    before = inputs.clone()
    most = solver.enough(task, difficulty)
    predictions, used = solver.solve(inputs, most)
    assert torch.equal(inputs, before)
    assert (predictions.shape, predictions.dtype) == (targets.shape, np.uint8)
    assert (used.shape, used.dtype) == ((20,), np.int64)
    assert used.min() >= 1
    assert used.max() <= most
    assert set(np.unique(predictions).tolist()) <= {0, 1}
    for same in (inputs.numpy(), inputs.to(torch.float64), inputs.requires_grad_()):
        for ours, theirs in zip(solver.solve(same, most), (predictions, used), strict=True):
            assert np.array_equal(ours, theirs)
    inputs = before
    for start in (0, 7, 19):
        for ours, theirs in zip(solver.solve(inputs[start : start + 1], most), (predictions, used), strict=True):
            assert np.array_equal(ours, theirs[start : start + 1])
    empty = solver.solve(inputs[:0], most)
    assert (empty[0].shape, empty[1].shape) == ((0, *targets.shape[1:]), (0,))


@pytest.mark.parametrize(("name", "task"), [case for case in cases() if case[0] in EXACT])
def test_solved_with_enough_iterations_and_not_with_fewer(name: str, task: str) -> None:
    solver = SOLVERS[name]
    for difficulty in TASKS[task].difficulties[:2]:
        inputs, targets = items(task, difficulty, 100)
        predictions, used = solver.solve(inputs, solver.enough(task, difficulty))
        assert np.array_equal(predictions, targets)
        again, used_again = solver.solve(inputs, 10**6)
        assert np.array_equal(again, targets)
        assert np.array_equal(used_again, used)
    fewer = 1 if name == "prefix_parity" else int(used.max()) - (2 if name == "dead_end_filling" else 1)
    if fewer:
        predictions, less = solver.solve(inputs, fewer)
        assert np.array_equal(less, np.minimum(used, fewer))
        right = exact_match(predictions, targets)
        # The last sweep of dead-end filling finds nothing to fill.
        wanted = used <= fewer + (name == "dead_end_filling")
        assert np.array_equal(right, wanted)
        assert not right.all()


@pytest.mark.parametrize("variant", TASKS["mazes"].variants)
def test_searches_of_mazes_of_all_kinds(variant: str) -> None:
    """Breadth-first search solves all; dead ends are no help where there are loops, but never cost the path."""
    for size in (9, 33):
        inputs, targets = items("mazes", size, 100, variant)
        assert np.array_equal(breadth_first(inputs, 10**6)[0], targets)
        filled, _ = dead_end_filling(inputs, 10**6)
        assert (filled >= targets).all()
        assert exact_match(filled, targets).tolist() == [variant != "looped"] * 100


def swept(picture: Any, sweeps: int) -> tuple[Any, int]:
    """Dead ends filled on whole grids, as the rule says: what is left, and how many sweeps, the idle last included."""
    small = np.asarray(picture)[:, 1:-1:2, 1:-1:2] > 0
    free, ends = small.any(axis=0), small.any(axis=0) & ~small.all(axis=0)
    for sweep in range(1, sweeps + 1):
        wide = np.pad(free, 1).astype(int)
        ways = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
        dead = free & ~ends & (ways <= 1)
        if not dead.any():
            return free, sweep
        free = free & ~dead
    return free, sweeps


@pytest.mark.parametrize("variant", TASKS["mazes"].variants)
def test_dead_ends_sweep_by_sweep(variant: str) -> None:
    inputs = items("mazes", 13, 15, variant)[0].numpy()
    # Also pictures of no maze: free positions at random, without walls round them or with no ends.
    noise = np.random.default_rng(0).random((15, 1, 15, 15)) < 0.55
    noise = np.pad(noise.repeat(2, axis=2).repeat(2, axis=3).repeat(3, axis=1), ((0, 0), (0, 0), (1, 1), (1, 1)))
    noise[:10, [0, 2], 3:5, 3:5] = False
    for pictures in (inputs, noise):
        for most in (1, 2, 3, 5, 8, 1000):
            for threads in (1, 3):
                predictions, sweeps = fill_dead_ends(pictures, most, threads)
                for picture, prediction, number in zip(pictures, predictions, sweeps, strict=True):
                    left, expected = swept(picture, most)
                    assert np.array_equal(prediction, np.pad(np.kron(left, np.ones((2, 2))), 1))
                    assert number == expected
    with pytest.raises(ValueError, match="most must be at least 1, not 0"):
        fill_dead_ends(inputs, 0)


def test_breadth_first_needs_the_length_of_the_path() -> None:
    inputs, targets = items("mazes", 13, 60)
    lengths = targets.sum(axis=(1, 2)) // 4 - 1
    for most in (1, 10, *lengths[:5].tolist(), 1000):
        predictions, used = breadth_first(inputs, most)
        assert np.array_equal(used, np.minimum(lengths, most))
        assert np.array_equal(predictions, targets * (lengths <= most)[:, None, None])
    closed = inputs.clone()
    closed[:, :, 1:-1, 14:16] = 0
    assert not breadth_first(closed, 1000)[0].all(axis=(1, 2)).any()
    assert (breadth_first(closed, 77)[1] <= 77).all()


def test_doubling_knows_the_last_bits_only() -> None:
    """After t iterations a position holds the parity of the last 2^t bits."""
    inputs, targets = items("prefix_sums", 100, 30)
    bits = (inputs[:, 0].numpy() > 0).astype(int)
    for most in range(1, 10):
        window = 2 ** min(most, 7)
        sums = np.array([[sum(row[max(0, j + 1 - window) : j + 1]) % 2 for j in range(100)] for row in bits.tolist()])
        predictions, used = prefix_parity(inputs, most)
        assert np.array_equal(predictions, sums)
        assert used.tolist() == [min(most, 7)] * 30
        assert np.array_equal(predictions, targets) == (most >= 7)
    for length in (1, 2, 3, 64, 65):
        one_more = items("prefix_sums", length, 1)
        assert np.array_equal(prefix_parity(one_more[0], SOLVERS["prefix_parity"].enough("", length))[0], one_more[1])


# What is answered: the only mate; of checks that leave two replies the lowest; nothing; the lower of two mates.
CHECKS = {
    "6k1/5ppp/8/8/8/8/8/R3K3 w - - 0 1": "a1a8",
    "7k/8/8/8/8/4K3/R7/1R6 w - - 0 1": "b1h1",
    "3k4/8/8/8/8/8/1R6/R3K3 b - - 0 1": "",
    "k7/8/1K6/8/8/8/7R/6R1 w - - 0 1": "g1g8",
}


def test_the_check_that_leaves_the_fewest_replies() -> None:
    for fen, uci in CHECKS.items():
        rows = np.concatenate([parse_fens([fen]), np.zeros((1, 1), np.uint64)], axis=1)
        predictions, used = fewest_replies(to_planes(rows)[0].astype(np.float32), 3)
        squares = {uci[:2], uci[2:]} - {""}
        assert {"abcdefgh"[file] + str(rank + 1) for rank, file in np.argwhere(predictions[0])} == squares, fen
        assert used.tolist() == [1]


def test_every_answer_is_what_the_rule_says() -> None:
    """By python-chess, on positions in which the mover is White, so that squares count the same."""
    inputs, _ = items("chess_mates", 2, 60)
    positions = from_planes(inputs.numpy().astype(np.uint8))
    predictions, _ = fewest_replies(inputs, 1)
    for fen, prediction in zip(to_fens(positions), predictions, strict=True):
        board, checks = chess.Board(fen), []
        for move in board.legal_moves:
            if board.gives_check(move):
                board.push(move)
                checks.append((board.legal_moves.count(), move.promotion or 0, move.to_square, move.from_square))
                board.pop()
        *_, to, origin = min(checks)
        assert set(np.flatnonzero(prediction).tolist()) == {to, origin}, fen


def test_mates_are_found_within_the_moves_allowed() -> None:
    inputs, targets = items("chess_mates", 3, 20)
    for most, solved in ((1, False), (2, False), (3, True), (5, True), (100, True)):
        predictions, used = mate_search(inputs, most)
        assert np.array_equal(predictions, targets * solved)
        assert used.tolist() == [min(most, 3)] * 20
    with pytest.raises(ValueError, match="position 0: each side must have one king"):
        mate_search(torch.zeros(2, 12, 8, 8), 1)
    lone = torch.zeros(1, 12, 8, 8)
    lone[0, 0, 0, 0] = lone[0, 6, 7, 7] = 1
    predictions, used = mate_search(lone, 100)
    assert (predictions.any(), used.tolist()) == (False, [5])


def test_chance_is_fair_and_depends_on_the_item_alone() -> None:
    inputs, targets = items("prefix_sums", 1000, 200)
    coins, _ = random(inputs, 1)
    # 200,000 coins: 0.5 with a standard deviation of 0.0011; of each position, of each item and of neighbors likewise.
    assert abs((coins == targets).mean() - 0.5) < 0.006
    assert abs(coins.mean() - 0.5) < 0.006
    assert np.abs(coins.mean(axis=0) - 0.5).max() < 0.2
    assert np.abs(coins.mean(axis=1) - 0.5).max() < 0.08
    assert abs((coins[:, 1:] == coins[:, :-1]).mean() - 0.5) < 0.006
    assert abs((coins[:, 64:] == coins[:, :-64]).mean() - 0.5) < 0.006
    assert abs((coins[1:] == coins[:-1]).mean() - 0.5) < 0.006
    inputs, targets = items("mazes", 9, 200)
    coins, _ = random(inputs, 1)
    assert abs((coins == targets).mean() - 0.5) < 0.007
    assert len({answer.tobytes() for answer in coins}) == 200
    order = np.random.default_rng(0).permutation(200)
    assert np.array_equal(random(inputs[order], 3)[0], coins[order])
    # One pixel makes another item, and so do two words that change places.
    changed = inputs.clone()
    changed[:, 0, 0, 0] = 1
    assert abs((random(changed, 1)[0] == coins).mean() - 0.5) < 0.007
    swapped = torch.cat([inputs[..., 8:16, :], inputs[..., :8, :], inputs[..., 16:, :]], dim=2)
    assert abs((random(swapped, 1)[0] == coins).mean() - 0.5) < 0.007


def test_chance_is_right_as_often_as_it_should_be() -> None:
    """Of 6 bits all 64 answers are equally likely, so of 10,000 items with such targets some 156 are right."""
    rng = np.random.default_rng(0)
    # Long strings, all different, of which the first six positions are looked at.
    inputs = rng.integers(0, 2, (10_000, 1, 50)) - 0.5
    coins = random(inputs, 1)[0][:, :6]
    assert np.abs(np.bincount(coins @ (1 << np.arange(6)), minlength=64) - 156.25).max() < 60
    targets = np.cumsum(inputs[:, 0, :6] > 0, axis=1) % 2
    assert 106 < exact_match(coins, targets).sum() < 207


@pytest.mark.parametrize("task", ["prefix_sums", "mazes", "chess_mates"])
def test_zeros_are_never_right(task: str) -> None:
    difficulty = TASKS[task].train_difficulty
    inputs, targets = items(task, difficulty, 100)
    predictions, used = zeros(inputs, 9)
    assert not predictions.any()
    assert used.tolist() == [1] * 100
    assert exact_match(predictions, targets).sum() == 0


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(
    "shape",
    [(2, 4, 8), (2, 8), (2, 12, 8), (2, 12, 9, 8), (2, 12, 8, 9), (2, 4, 24, 24), (2, 1, 8, 8), (2, 3, 8, 8, 8)],
)
def test_inputs_of_other_shapes(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^inputs must be of shape \(B, .*\), not \(2, "):
        SOLVERS[name].solve(torch.zeros(shape), 1)


@pytest.mark.parametrize("name", SOLVERS)
def test_no_iterations(name: str) -> None:
    task = SOLVERS[name].tasks[0]
    difficulty = TASKS[task].train_difficulty
    inputs = items(task, difficulty, 2)[0]
    for wrong, told in ((0, "be at least 1, not 0"), (1.5, r"be an integer, not 1\.5")):
        with pytest.raises(ValueError, match=f"^iterations must {told}$"):
            SOLVERS[name].solve(inputs, wrong)  # type: ignore[arg-type]
