"""The mazes of a split are distributed as all mazes are: what is left out by the hash is left out at random.

A candidate belongs to the test split with probability 1/10, whatever it looks like. So the number of candidates
that an item took is geometric, and the accepted mazes look like any others. Candidates that share most of their
growth break this where few different endings exist: those drawn again are rejected again, and mazes that begin
like these become rare in the split.
"""

import random
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from oracles import (
    chi_square,
    dead_ends,
    edges_of,
    looped_maze,
    open_start_maze,
    original_maze,
    steps_between,
    two_sample_chi_square,
)

from easy_to_hard.generators.mazes import GOAL, START, VARIANTS, sample
from easy_to_hard.generators.mazes.sampling import walls_to_remove


def _deviation_from_geometric(candidates: Any, share: float) -> float:
    """Chi-square of candidate numbers 1 to 30 and more against the geometric law, in standard deviations."""
    observed = np.bincount(np.minimum(candidates, 31), minlength=32)[1:]
    waits = share * (1 - share) ** np.arange(30)
    return chi_square(observed, len(candidates) * np.append(waits, 1 - waits.sum()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "number"),
    [(9, 20_000), (31, 20_000), (37, 20_000), (59, 4000), (199, 2000), (201, 2000)],
)
def test_candidates_of_depth_first_mazes_are_geometric(size: int, number: int) -> None:
    candidates = sample(size, range(number), split="test", keep_cells=False).candidates
    assert abs(candidates.mean() - 10) < 5 * np.sqrt(90 / number)
    assert _deviation_from_geometric(candidates, 0.1) < 5


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS[1:-1])
def test_candidates_of_other_trees_are_geometric(variant: str) -> None:
    """Not looped mazes: those without a unique path are candidates too."""
    candidates = sample(33, range(4000), variant=variant, split="test", keep_cells=False).candidates
    assert _deviation_from_geometric(candidates, 0.1) < 5


@cache
def _oracle_of_33() -> tuple[Counter[int], Counter[int]]:
    """Path lengths and dead ends of the original's procedure, 17 x 17 cells."""
    rng = random.Random(33)
    lengths, ends = Counter[int](), Counter[int]()
    for _ in range(3000):
        edges, start, goal = original_maze(17, rng)
        lengths[2 * steps_between(edges, start, goal)] += 1
        ends[dead_ends(edges)] += 1
    return lengths, ends


@pytest.mark.slow
@pytest.mark.parametrize(("split", "split_rule"), [("train", "original"), ("train", "hash"), ("test", "hash")])
def test_size_33_agrees_with_the_originals_procedure(split: str, split_rule: str) -> None:
    lengths, ends = _oracle_of_33()
    batch = sample(33, range(3000), split=split, split_rule=split_rule, seed=7)
    assert two_sample_chi_square(Counter(batch.path_lengths.tolist()), lengths) < 5
    assert two_sample_chi_square(Counter(dead_ends(edges_of(cells)) for cells in batch.cells), ends) < 5


def _outcomes(cells: Any) -> Counter[tuple[Any, ...]]:
    """How often each (walls, start, goal) occurs."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for row, seen in Counter(each.tobytes() for each in cells).items():
        maze = np.frombuffer(row, dtype=np.uint8).reshape(cells.shape[1:])
        start, goal = (tuple(np.argwhere(maze & end)[0].tolist()) for end in (START, GOAL))
        counts[str(sorted(map(sorted, edges_of(maze)))), start, goal] += seen
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["open_start", "looped"])
def test_walls_and_ends_together_agree_with_the_oracle(variant: str) -> None:
    """Size 5, maze by maze; and what is left of it when the walls, or the ends, are looked at alone."""
    number = 30_000
    rng = random.Random(4)
    expected: Counter[tuple[Any, ...]] = Counter()
    for _ in range(number):
        if variant == "looped":
            edges, start, goal = looped_maze(3, walls_to_remove(5), rng)
        else:
            edges, start, goal = open_start_maze(3, rng)
        expected[str(sorted(map(sorted, edges))), start, goal] += 1
    counts = _outcomes(sample(5, range(number), variant=variant, split_rule="original").cells)
    assert two_sample_chi_square(counts, expected) < 5
    for part in (np.s_[:1], np.s_[1:2], np.s_[2:]):
        one, other = Counter[Any](), Counter[Any]()
        for total, outcomes in ((one, counts), (other, expected)):
            for key, seen in outcomes.items():
                total[key[part]] += seen
        assert two_sample_chi_square(one, other) < 5
