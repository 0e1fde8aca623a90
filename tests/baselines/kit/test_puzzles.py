"""Puzzles as the reference methods take them, and the nets that are made for them."""

import pytest
import torch
import torch.nn.functional as F

from easy_to_hard.baselines.deep_thinking.solvers import SHIPPED_NETS, RecurrentSolvers, shipped_solver
from easy_to_hard.baselines.kit.puzzles import (
    PUZZLES,
    Puzzles,
    item_losses,
    log_likelihoods,
    make_puzzles,
    mean_loss,
    position_accuracy,
    predictions,
    solved,
    walking_distances,
)


def two_by_hand() -> tuple[torch.Tensor, Puzzles]:
    """Two strings of three positions, the last of the second not counting."""
    probabilities = torch.tensor([[0.5, 0.25, 0.75], [0.75, 0.5, 0.01]])
    logits = torch.stack([(1 - probabilities).log(), probabilities.log()], dim=1)
    items = Puzzles(
        inputs=torch.zeros(2, 1, 3),
        targets=torch.tensor([[1, 0, 1], [1, 1, 1]]),
        mask=torch.tensor([[True, True, True], [True, True, False]]),
    )
    return logits, items


def test_losses_by_hand() -> None:
    logits, items = two_by_hand()
    first, second = torch.tensor([0.5, 0.75, 0.75]).log(), torch.tensor([0.75, 0.5]).log()
    torch.testing.assert_close(item_losses(logits, items), torch.stack([-first.mean(), -second.mean()]))
    torch.testing.assert_close(log_likelihoods(logits, items), torch.stack([first.sum(), second.sum()]))
    torch.testing.assert_close(mean_loss(logits, items), -torch.cat([first, second]).mean())


def test_only_positions_that_count_are_judged() -> None:
    logits, items = two_by_hand()
    # A tie is class 0.
    assert predictions(logits, items).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert solved(logits, items).tolist() == [False, False]
    torch.testing.assert_close(position_accuracy(logits, items), torch.tensor([2 / 3, 1 / 2]))
    sure = F.one_hot(items.targets * items.mask, 2).movedim(-1, 1).float()
    assert solved(sure, items).all()


@pytest.mark.parametrize("task", PUZZLES)
def test_splits_and_seeds_give_other_items(task: str) -> None:
    sets = [
        make_puzzles(task, 33, 20, split=split, seed=seed).inputs.flatten(1)
        for split, seed in (("train", 0), ("test", 0), ("train", 1))
    ]
    joined = torch.cat(sets)
    assert len(joined.unique(dim=0)) == len(joined)


def test_walls_do_not_count() -> None:
    items = make_puzzles("mazes", 9, 3)
    assert torch.equal(items.mask, items.inputs.amax(1) > 0)
    assert (items.targets.bool() & ~items.mask).sum() == 0
    assert len(items[1:]) == 2
    assert torch.equal(items.with_inputs(items.inputs * 0).mask, items.mask)


@pytest.mark.parametrize(
    ("task", "count", "message"),
    [
        ("chess_mates", 1, "task must be one of mazes, prefix_sums, not 'chess_mates'"),
        ("mazes", 0, "the number of puzzles must be at least 1, not 0"),
    ],
)
def test_errors(task: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_puzzles(task, 9, count)


@pytest.mark.parametrize("task", SHIPPED_NETS)
def test_shipped_nets_solve_what_they_were_trained_on(task: str) -> None:
    items = make_puzzles(task, 9 if task == "mazes" else 32, 20, split="test")
    with torch.no_grad():
        logits, _ = shipped_solver(task)(items.inputs, 40)
    assert solved(logits, items).all()


def test_there_is_no_other_net() -> None:
    with pytest.raises(ValueError, match="no net comes with the package for 'chess_mates': choose one of mazes"):
        shipped_solver("chess_mates")


@pytest.mark.parametrize(
    "solvers",
    [
        RecurrentSolvers(task="mazes", width=4, patch=2, max_iterations=3),
        RecurrentSolvers(task="prefix_sums", width=4, recall=False, max_iterations=3),
        RecurrentSolvers(task="prefix_sums", width=4, feed_forward=True, max_iterations=3),
    ],
)
def test_weights_and_losses_go_by_their_seeds(solvers: RecurrentSolvers) -> None:
    items = make_puzzles(solvers.task, 9, 4)
    one, same, other = (solvers.build(seed) for seed in (1, 1, 2))
    assert torch.equal(solvers.logits(one, items.inputs, 3), solvers.logits(same, items.inputs, 3))
    assert not torch.equal(solvers.logits(one, items.inputs, 3), solvers.logits(other, items.inputs, 3))
    losses = {float(solvers.training_loss(one, items, seed=0, step=step).detach()) for step in range(6)}
    again = {float(solvers.training_loss(one, items, seed=0, step=step).detach()) for step in range(6)}
    assert losses == again
    # The feed-forward net always runs all of its blocks.
    assert (len(losses) == 1) == solvers.feed_forward


def test_any_number_of_classes() -> None:
    targets = torch.tensor([[2], [0]])
    items = Puzzles(inputs=torch.zeros(2, 1, 1), targets=targets, mask=torch.ones_like(targets, dtype=torch.bool))
    logits = torch.tensor([[[0.0], [1.0], [2.0]], [[0.0], [1.0], [0.5]]])
    assert predictions(logits, items).tolist() == [[2], [1]]
    assert solved(logits, items).tolist() == [True, False]


def test_distances_go_around_walls() -> None:
    drawn = ("S..", "##.", ".#.")
    free = torch.tensor([[[place != "#" for place in line] for line in drawn]])
    start = torch.tensor([[[place == "S" for place in line] for line in drawn]])
    assert walking_distances(start, free)[0].tolist() == [[0, 1, 2], [-1, -1, 3], [-1, -1, 4]]
