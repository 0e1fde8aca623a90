"""What every maze is, for each variant: connected, solved, the same however it is asked for, and counted right."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import edges_of, original_maze, reachable

from easy_to_hard.generators.mazes import (
    EAST,
    GOAL,
    PATH,
    SOUTH,
    START,
    VARIANTS,
    count_instances,
    first_distinct,
    from_images,
    sample,
    solve,
    to_images,
)
from easy_to_hard.generators.splits import SPLITS, NotEnoughInstancesError

SIZES = st.integers(2, 20).map(lambda m: 2 * m + 1)


@given(SIZES, st.sampled_from(VARIANTS), st.integers(-3, 2**70), st.sampled_from(SPLITS))
@settings(max_examples=40)
def test_every_cell_is_reached(size: int, variant: str, seed: int, split: str) -> None:
    """With the number of passages that `test_mazes` counts, this makes a tree a spanning tree."""
    side = (size + 1) // 2
    for cells in sample(size, [0, 1], variant=variant, seed=seed, split=split, split_rule="original").cells:
        assert reachable(edges_of(cells), (0, 0)) == {(y, x) for y in range(side) for x in range(side)}


@given(SIZES, st.sampled_from(VARIANTS))
@settings(max_examples=25)
def test_border_and_pillars_are_never_open(size: int, variant: str) -> None:
    """Positions at two even coordinates are wall always, as is the outer wall, and the padding is dark."""
    images, targets = to_images(sample(size, range(3), variant=variant, split_rule="original").cells)
    assert not images[:, :, [0, -1]].any()
    assert not images[:, :, :, [0, -1]].any()
    positions = images.any(axis=1)[:, 1:-1:2, 1:-1:2]
    assert not positions[:, ::2, ::2].any()
    assert not positions[:, [0, -1]].any()
    assert not positions[:, :, [0, -1]].any()
    assert positions[:, 1::2, 1::2].all()
    assert not (targets.astype(bool) & ~images.any(axis=1)).any()


def test_codes_hold_nothing_else() -> None:
    """No scratch bit of the kernels comes out, and no way leads off the board."""
    for variant in VARIANTS:
        cells = sample(13, range(200), variant=variant).cells
        assert not (cells & ~np.uint8(EAST | SOUTH | PATH | START | GOAL)).any()
        assert not (cells[:, :, -1] & EAST).any()
        assert not (cells[:, -1] & SOUTH).any()
        assert ((cells & START > 0).sum(axis=(1, 2)) == 1).all()
        assert ((cells & GOAL > 0).sum(axis=(1, 2)) == 1).all()
        assert ((cells & PATH > 0)[cells & (START | GOAL) > 0]).all()


def _without(image: Any, channel: int) -> Any:
    """The picture with its start (channel 1) or goal (channel 0) turned into a free position."""
    image = image.copy()
    lit = (image[channel] == 1) & (image[1 - channel] == 0)
    image[:, lit] = 1
    return image


def test_solver_wants_one_start_and_one_goal() -> None:
    image = to_images(sample(9, [0]).cells)[0][0]
    two_starts = image.copy()
    free = np.argwhere(image[:, 3::4, 3::4].all(axis=0))[0] * 4 + 3
    two_starts[:, free[0] : free[0] + 2, free[1] : free[1] + 2] = np.array([0, 1, 0])[:, None, None]
    bad = np.stack([_without(image, 1), _without(image, 0), _without(_without(image, 0), 1), two_starts, image * 0])
    solutions, lengths, unique = solve(bad)
    assert lengths.tolist() == [-1] * 5
    assert not unique.any()
    assert not solutions.any()


def test_solver_takes_pictures_of_any_type() -> None:
    images, targets = to_images(sample(13, range(5), variant="looped").cells)
    for dtype in (np.float32, np.float64, np.int64, np.bool_):
        assert np.array_equal(solve(images.astype(dtype))[0], targets)


def test_views_are_drawn_as_their_copies() -> None:
    cells = sample(9, range(40)).cells
    images, targets = to_images(cells)
    for view in (np.s_[::2], np.s_[::-1], np.s_[5:9]):
        drawn, solved = to_images(cells[view])
        assert np.array_equal(drawn, images[view])
        assert np.array_equal(solved, targets[view])
        assert np.array_equal(from_images(images[view], targets[view]), cells[view])
    assert to_images(cells[:0])[0].shape == (0, 3, 24, 24)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("split", SPLITS)
def test_all_that_is_counted_is_found(size: int, variant: str, split: str) -> None:
    """Asking for everything ends, brings distinct mazes (compared byte by byte), and one more is an error."""
    held = count_instances(size, variant, split)
    assert held is not None
    options: dict[str, Any] = {"size": size, "variant": variant, "split": split, "seed": 0, "split_rule": "hash"}
    indices = first_distinct(held, **options)
    with pytest.raises(NotEnoughInstancesError, match=f"there are {held} distinct ones, fewer than the {held + 1}"):
        first_distinct(held + 1, **options)
    if held == 0:
        with pytest.raises(NotEnoughInstancesError, match=rf"no maze of size {size} \({variant}\) in split '{split}'"):
            sample(size, [0], variant=variant, split=split)
        return
    cells = sample(size, indices, variant=variant, split=split).cells
    assert len({each.tobytes() for each in cells}) == held


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("size", "split", "seed"), [(5, "train", 3), (7, "test", 0), (9, "validation", 1)])
def test_first_distinct_items_are_the_first_byte_by_byte(variant: str, size: int, split: str, seed: int) -> None:
    count = 400
    options: dict[str, Any] = {"variant": variant, "split": split, "seed": seed, "split_rule": "hash"}
    indices = first_distinct(count, size=size, **options)
    seen: dict[bytes, int] = {}
    for index, cells in enumerate(sample(size, range(int(indices[-1]) + 1), **options).cells):
        seen.setdefault(cells.tobytes(), index)
    assert indices.tolist() == list(seen.values())
    assert indices.dtype == np.uint64


def test_the_originals_mazes_are_counted_right() -> None:
    """864 mazes of size 5 by the original's own procedure, and every one of them is drawn here."""
    rng = random.Random(3)
    found = set()
    for _ in range(30_000):
        edges, start, goal = original_maze(3, rng)
        found.add((frozenset(edges), start, goal))
    assert len(found) == count_instances(5, "depth_first", "train", "original") == 864
