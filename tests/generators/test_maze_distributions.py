"""Each variant draws from the distribution that it is named after: chi-square tests at fixed seeds.

A bound of 5 standard deviations leaves a correct generator one chance in some 10^5 to have failed here.
"""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from oracles import (
    chi_square,
    depth_first_tree,
    edges_of,
    kruskal_tree,
    original_maze,
    steps_between,
    two_sample_chi_square,
)

from easy_to_hard.generators.mazes import sample
from easy_to_hard.generators.mazes.board import EAST, GOAL, PATH, SOUTH, START

WALL_BITS = EAST | SOUTH


def _key(edges: Any) -> str:
    return str(sorted(sorted(edge) for edge in edges))


def _walls(cells: Any) -> list[bytes]:
    return [row.tobytes() for row in cells & WALL_BITS]


def _keys(cells: Any) -> Counter[str]:
    """How often each layout occurs; a layout is turned into edges once."""
    counted = Counter(_walls(cells))
    side = cells.shape[1]
    return Counter(
        {_key(edges_of(np.frombuffer(k, dtype=np.uint8).reshape(side, side))): n for k, n in counted.items()}
    )


def test_wilson_is_uniform_over_all_192_trees() -> None:
    counts = Counter(_walls(sample(5, range(200_000), variant="wilson", split_rule="original").cells))
    assert len(counts) == 192
    assert chi_square(list(counts.values()), np.full(192, 200_000 / 192)) < 5


def test_kruskal_is_not_uniform_but_agrees_with_the_oracle() -> None:
    number = 30_000
    rng = random.Random(0)
    expected = Counter(_key(kruskal_tree(3, rng)) for _ in range(number))
    counts = _keys(sample(5, range(number), variant="kruskal", split_rule="original").cells)
    assert len(counts) == 192
    assert two_sample_chi_square(counts, expected) < 5
    assert chi_square(list(counts.values()), np.full(192, number / 192)) > 20


def test_depth_first_agrees_with_the_originals_rule_tree_by_tree() -> None:
    number = 40_000
    rng = random.Random(1)
    expected: Counter[tuple[Any, ...]] = Counter()
    for _ in range(number):
        edges, start, goal = original_maze(3, rng)
        expected[_key(edges), start, goal] += 1
    counts: Counter[tuple[Any, ...]] = Counter()
    for row, seen in Counter(r.tobytes() for r in sample(5, range(number), split_rule="original").cells).items():
        cells = np.frombuffer(row, dtype=np.uint8).reshape(3, 3)
        start, goal = (tuple(np.argwhere(cells & end)[0].tolist()) for end in (START, GOAL))
        counts[_key(edges_of(cells)), start, goal] += seen
    assert two_sample_chi_square(counts, expected) < 5


@pytest.mark.parametrize(("size", "split_rule", "split"), [(9, "original", "train"), (13, "original", "test")])
def test_path_lengths_agree_with_the_originals(size: int, split_rule: str, split: str) -> None:
    number = 4000
    rng = random.Random(size)
    expected = Counter(2 * steps_between(*original_maze((size + 1) // 2, rng)) for _ in range(number))
    lengths = sample(size, range(number), split=split, split_rule=split_rule).path_lengths
    assert two_sample_chi_square(Counter(lengths.tolist()), expected) < 5


def test_open_start_grows_its_tree_from_any_cell() -> None:
    number = 20_000
    rng = random.Random(2)
    cells = [(y, x) for y in range(3) for x in range(3)]
    expected = Counter(_key(depth_first_tree(3, rng.choice(cells), rng)) for _ in range(number))
    counts = _keys(sample(5, range(number), variant="open_start", split_rule="original").cells)
    assert two_sample_chi_square(counts, expected) < 5


@pytest.mark.parametrize("variant", ["depth_first", "wilson", "kruskal"])
def test_ends_are_uniform(variant: str) -> None:
    cells = sample(7, range(48_000), variant=variant, split_rule="original").cells.reshape(-1, 16)
    starts, goals = (np.argmax(cells & end > 0, axis=1) for end in (START, GOAL))
    pairs = np.bincount(16 * starts + goals, minlength=256)
    assert pairs[:: 16 + 1].sum() == 0
    assert chi_square(pairs[pairs > 0], np.full(240, 200)) < 5


def test_goals_are_uniform_in_every_variant() -> None:
    for variant in ("open_start", "looped"):
        cells = sample(9, range(20_000), variant=variant, split_rule="original").cells.reshape(-1, 25)
        goals = np.bincount(np.argmax(cells & GOAL > 0, axis=1), minlength=25)
        assert goals.min() > 0.6 * 800
        assert np.all((cells & PATH).sum(axis=1) >= 2 * PATH)


def test_walls_to_remove_are_drawn_from_all() -> None:
    """In looped mazes each inner wall of the board is open about as often as its mirror images."""
    cells = sample(9, range(40_000), variant="looped", split_rule="original").cells
    east = (cells & EAST > 0).sum(axis=0)[:, :4].astype(float)
    south = (cells & SOUTH > 0).sum(axis=0)[:4].astype(float)
    for other in (east[::-1], east[:, ::-1], south.T):
        assert np.abs(east - other).max() < 5 * np.sqrt(2 * 40_000 * 0.25)
