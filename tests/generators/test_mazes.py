"""Mazes: what each is, how they are drawn, how they are spread over the splits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dead_ends, draw_picture, edges_of, shortest_paths, steps_between, symmetric_images

from easy_to_hard.generators import mazes
from easy_to_hard.generators.mazes import (
    VARIANTS,
    MazeBatch,
    board,
    from_images,
    layout_hashes,
    sample,
    solve,
    to_images,
    trees,
)
from easy_to_hard.generators.mazes.board import GOAL, START
from easy_to_hard.generators.mazes.sampling import walls_to_remove
from easy_to_hard.generators.random import CURSOR_WORDS, open_stream
from easy_to_hard.generators.splits import SPLITS, NotEnoughInstancesError, split_of

SIZES = st.integers(2, 20).map(lambda m: 2 * m + 1)


def _ends(cells: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    start, goal = np.argwhere(cells & START), np.argwhere(cells & GOAL)
    assert len(start) == len(goal) == 1
    return tuple(start[0].tolist()), tuple(goal[0].tolist())


@given(SIZES, st.sampled_from(VARIANTS), st.integers(0, 5))
@settings(max_examples=60)
def test_mazes_are_what_they_should_be(size: int, variant: str, seed: int) -> None:
    """A spanning tree (with the walls taken out that a looped one lacks), a picture, its one shortest path."""
    batch = sample(size, [seed, seed + 7], variant=variant, seed=seed, split_rule="original")
    images, targets = to_images(batch.cells)
    side = (size + 1) // 2
    loops = walls_to_remove(size) if variant == "looped" else 0
    for cells, image, target, length in zip(batch.cells, images, targets, batch.path_lengths, strict=True):
        edges = edges_of(cells)
        start, goal = _ends(cells)
        assert start != goal
        assert len(edges) == side * side - 1 + loops
        assert int(image[:, 1:-1:2, 1:-1:2].any(axis=0).sum()) == 2 * side * side - 1 + loops
        assert np.array_equal(image, draw_picture(edges, side, start, goal))
        steps, routes, path = shortest_paths(image)
        assert routes == 1
        assert steps == length == 2 * steps_between(edges, start, goal)
        assert np.array_equal(path, target)
        reached = {(y, x) for y in range(side) for x in range(side) if (y, x) in {c for e in edges for c in e}}
        assert len(reached) == side * side
        if variant == "open_start":
            assert sum(start in edge for edge in edges) >= 2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [9, 11, 33])
def test_trees_are_connected(variant: str, size: int) -> None:
    for cells in sample(size, range(20), variant=variant).cells:
        edges = edges_of(cells)
        for corner in ((0, 0), (size // 2, size // 2), (0, size // 2)):
            assert steps_between(edges, (size // 4, size // 4), corner) >= 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_solver_agrees_with_the_oracle(variant: str) -> None:
    images, targets = to_images(sample(21, range(30), variant=variant, split="test").cells)
    solutions, lengths, unique = solve(images)
    assert np.array_equal(solutions, targets)
    assert unique.all()
    assert lengths.tolist() == [shortest_paths(image)[0] for image in images]


def test_solver_tells_what_has_no_solution() -> None:
    image = to_images(sample(9, [0]).cells)[0][0]
    without_goal, two_goals, walled, open_board = image.copy(), image.copy(), image.copy(), image.copy()
    goal = np.argwhere((image[0] == 1) & (image[1] == 0))
    without_goal[:, goal[:, 0], goal[:, 1]] = 1
    free = np.argwhere(image[:, 3::4, 3::4].all(axis=0))[0] * 4 + 3
    two_goals[1:, free[0] : free[0] + 2, free[1] : free[1] + 2] = 0
    y, x = goal[0]
    for v, u in ((y - 2, x), (y + 2, x), (y, x - 2), (y, x + 2)):
        walled[:, v : v + 2, u : u + 2] = 0
    open_board[:] = 0
    open_board[:, 3:9, 3:9] = 1
    open_board[:, 5:7, 5:7] = 0
    open_board[:, 3:5, 3:5] = np.array([0, 1, 0])[:, None, None]
    open_board[:, 7:9, 7:9] = np.array([1, 0, 0])[:, None, None]
    solutions, lengths, unique = solve(np.stack([without_goal, two_goals, walled, open_board]))
    assert lengths.tolist() == [-1, -1, -1, 4]
    assert not unique.any()
    assert not solutions[:3].any()
    assert solutions[3].sum() == 5 * 4


@given(SIZES, st.sampled_from(VARIANTS))
@settings(max_examples=30)
def test_pictures_are_inverted(size: int, variant: str) -> None:
    cells = sample(size, range(3), variant=variant, split_rule="original").cells
    images, targets = to_images(cells)
    assert images.dtype == targets.dtype == np.uint8
    assert images.shape[1:] == (3, 2 * size + 6, 2 * size + 6)
    assert np.array_equal(from_images(images, targets), cells)
    assert np.array_equal(from_images(images.astype(np.float32), targets.astype(np.int64)), cells)


@given(SIZES, st.sampled_from(VARIANTS))
@settings(max_examples=30)
def test_layout_hash_is_one_for_all_symmetries(size: int, variant: str) -> None:
    batch = sample(size, range(4), variant=variant, split_rule="original")
    images, targets = to_images(batch.cells)
    turned = zip(symmetric_images(images), symmetric_images(targets), strict=True)
    for image, target in turned:
        assert np.array_equal(layout_hashes(from_images(image, target)), batch.layout_hashes)


def _canonical_layout(image: Any) -> bytes:
    walls = image.any(axis=0).astype(np.uint8)
    return min(view.tobytes() for view in symmetric_images(walls))


def test_layout_hashes_differ_where_layouts_do() -> None:
    batch = sample(9, range(3000), split_rule="original")
    layouts = [_canonical_layout(image) for image in to_images(batch.cells)[0]]
    assert len(set(layouts)) == len(set(batch.layout_hashes.tolist()))
    assert len(set(zip(layouts, batch.layout_hashes.tolist(), strict=True))) == len(set(layouts))


def test_item_hashes_are_equal_for_equal_items_only() -> None:
    batch = sample(5, range(3000), split_rule="original")
    items = [cells.tobytes() for cells in batch.cells]
    assert len(set(items)) == len(set(batch.item_hashes.tolist()))
    assert len(set(zip(items, batch.item_hashes.tolist(), strict=True))) == len(set(items)) < 3000


@pytest.mark.parametrize("variant", VARIANTS)
def test_splits_share_no_layout_up_to_symmetry(variant: str) -> None:
    """Compared picture by picture, without the package's hash."""
    layouts = {}
    for split, number in (("train", 4000), ("validation", 800), ("test", 800)):
        batch = sample(9, range(number), variant=variant, split=split)
        layouts[split] = {_canonical_layout(image) for image in to_images(batch.cells)[0]}
        assert {split_of(value) for value in batch.layout_hashes.tolist()} == {split}
    assert not layouts["train"] & layouts["test"]
    assert not layouts["train"] & layouts["validation"]
    assert not layouts["validation"] & layouts["test"]


def test_splits_under_the_original_rule_share_layouts() -> None:
    train = sample(9, range(20_000), split="train", split_rule="original").layout_hashes
    test = sample(9, range(2000), split="test", split_rule="original").layout_hashes
    assert np.isin(test, train).mean() > 0.25


def _assert_same(one: MazeBatch, other: MazeBatch) -> None:
    for name in ("cells", "path_lengths", "layout_hashes", "item_hashes", "candidates"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [9, 33])
def test_bytes_do_not_depend_on_threads_order_or_batches(variant: str, size: int) -> None:
    number = 6000 if size == 9 else 400
    whole = sample(size, range(number), variant=variant, split="test", num_threads=1)
    _assert_same(whole, sample(size, range(number), variant=variant, split="test", num_threads=3))
    order = np.random.default_rng(0).permutation(number)[:50]
    assert np.array_equal(sample(size, order, variant=variant, split="test").cells, whole.cells[order])
    assert np.array_equal(sample(size, [17], variant=variant, split="test").cells[0], whole.cells[17])
    images = to_images(whole.cells, 1)
    assert all(np.array_equal(a, b) for a, b in zip(images, to_images(whole.cells, 2), strict=True))


def test_without_cells_only_the_rest_is_given() -> None:
    whole, bare = sample(9, range(20)), sample(9, range(20), keep_cells=False)
    assert bare.cells.shape == (0, 5, 5)
    assert np.array_equal(whole.item_hashes, bare.item_hashes)
    assert np.array_equal(whole.path_lengths, bare.path_lengths)


def test_seeds_and_variants_give_other_mazes() -> None:
    drawn = [sample(21, range(5), variant=variant, seed=seed) for variant in VARIANTS for seed in (0, 1)]
    hashes = [value for batch in drawn for value in batch.item_hashes.tolist()]
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [801, 1601])
def test_largest_mazes(variant: str, size: int) -> None:
    batch = sample(size, [3], variant=variant, split_rule="original")
    images, targets = to_images(batch.cells)
    solutions, lengths, unique = solve(images)
    assert np.array_equal(solutions, targets)
    assert unique.all()
    assert lengths[0] == batch.path_lengths[0]


def test_looped_mazes_lack_a_tenth_of_the_walls() -> None:
    assert [walls_to_remove(size) for size in (3, 5, 9, 59, 201)] == [1, 1, 2, 84, 303]


@pytest.mark.slow
def test_late_cells_drawn_anew_make_no_other_mazes() -> None:
    """From size 199 on, a test maze may share most of its growth with a candidate that was rejected."""
    plain = sample(199, range(1500), split_rule="original")
    picked = sample(199, range(1500), split="test")
    assert picked.candidates.max() > 16
    one, other = (np.array([dead_ends(edges_of(cells)) for cells in batch.cells[:80]]) for batch in (plain, picked))
    assert abs(one.mean() - other.mean()) < 4.5 * np.sqrt((one.var() + other.var()) / 80)
    one, other = plain.path_lengths, picked.path_lengths
    assert abs(one.mean() - other.mean()) < 4.5 * np.sqrt((one.var() + other.var()) / 1500)


@pytest.mark.parametrize("side", range(2, 7))
def test_growth_on_a_word_is_the_growth_on_the_board(side: int) -> None:
    """The fast path of the smallest sizes draws the same bytes and makes the same maze."""
    for index in range(200):
        ends = np.random.default_rng(index).choice(side * side, 2, replace=False)
        root, goal = (int(board.cell_at(int(end), side)) for end in ends)
        grown = []
        for on_word in (False, True):
            cells = board.empty_board(side)
            stack = np.full(len(cells), root, dtype=np.uint32)
            buffer, cursor = np.empty(32, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)
            open_stream(buffer, cursor, np.uint64(side), np.uint64(index))
            if on_word:
                steps = trees.grow_depth_first_on_word(cells, side, stack, goal, buffer, cursor)
            else:
                cells[root] |= board.VISITED
                stride, number = int(board.board_stride(side)), side * side - 1
                _, steps = trees.grow_depth_first(cells, stride, stack, 0, number, goal, buffer, cursor)
            out = np.empty((side, side), dtype=np.uint8)
            board.write_cells(cells, side, root, goal, out)
            grown.append((out.tolist(), int(steps), cursor.tolist()))
        assert grown[0] == grown[1]


def test_items_are_frozen() -> None:
    """Other values here mean that every maze ever published has changed."""
    found = {
        f"{variant} {size}": f"{int(sample(size, [5], variant=variant, split='test').item_hashes[0]):016x}"
        for variant in VARIANTS
        for size in (9, 33)
    }
    found["depth_first 201"] = f"{int(sample(201, [5], split='test').item_hashes[0]):016x}"
    assert found == FROZEN


@pytest.mark.parametrize(
    ("size", "options", "error", "message"),
    [
        (8, {}, ValueError, "size must be an odd number from 3 to 1601, not 8"),
        (1, {}, ValueError, "size must be an odd number from 3 to 1601, not 1"),
        (1603, {}, ValueError, "size must be an odd number from 3 to 1601, not 1603"),
        ("9", {}, ValueError, "size must be an integer, not '9'"),
        (True, {}, ValueError, "size must be an integer, not True"),
        (9, {"variant": "prim"}, ValueError, "unknown maze variant 'prim': choose one of depth_first, wilson, kruskal"),
        (9, {"split": "dev"}, ValueError, "unknown split 'dev'"),
        (9, {"split_rule": "x"}, ValueError, "unknown split_rule 'x'"),
        (9, {"num_threads": -1}, ValueError, "num_threads must be at least 1, not -1"),
        (3, {}, NotEnoughInstancesError, r"no maze of size 3 \(depth_first\) in split 'train' among 20000 candidates"),
    ],
)
def test_errors(size: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sample(size, [0], **options)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [3, 5])
def test_smallest_sizes_are_counted_exactly(size: int, variant: str) -> None:
    """All that a long stream brings is all that was counted, split by split."""
    drawn = sample(size, range(400_000), variant=variant, split_rule="original", keep_cells=False)
    _, first = np.unique(drawn.item_hashes, return_index=True)
    splits = [split_of(value) for value in drawn.layout_hashes[first].tolist()]
    for split in SPLITS:
        assert mazes.count_instances(size, variant, split) == splits.count(split)
    assert mazes.count_instances(size, variant, "train", "original") == len(first)


def _first_distinct(count: int, size: int, split: str = "train", split_rule: str = "hash") -> Any:
    return mazes.first_distinct(
        count, size=size, variant="depth_first", split=split, seed=0, split_rule=split_rule, num_threads=None
    )


@pytest.mark.parametrize(("size", "count"), [(5, 500), (7, 5000), (9, 20_000), (19, 100)])
def test_first_distinct_items_are_the_first(size: int, count: int) -> None:
    indices = _first_distinct(count, size)
    drawn = sample(size, range(int(indices[-1]) + 1), keep_cells=False).item_hashes.tolist()
    seen: set[int] = set()
    expected = [i for i, value in enumerate(drawn) if not (value in seen or seen.add(value))]
    assert indices.tolist() == expected


@pytest.mark.slow
def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(NotEnoughInstancesError, match=r"size 5 \(depth_first\) in split 'train': there are 736"):
        _first_distinct(737, 5)
    with pytest.raises(NotEnoughInstancesError, match="there are 0 distinct ones, fewer than the 1 asked for"):
        _first_distinct(1, 3)
    with pytest.raises(NotEnoughInstancesError, match=r"draws gave \d+ distinct ones, fewer than the 20000 asked for"):
        _first_distinct(20_000, 7, "test")
    assert len(_first_distinct(864, 5, split_rule="original")) == 864


FROZEN = {
    "depth_first 9": "5374a43c70eb2b76",
    "depth_first 33": "d9b87837fa107b45",
    "wilson 9": "bd009c1746894f69",
    "wilson 33": "da9af51c320edfdf",
    "kruskal 9": "36e2aa385f289c6d",
    "kruskal 33": "1e22e86a5b0b9966",
    "open_start 9": "bc66a33a3f310c4b",
    "open_start 33": "cb3acf3318b6c279",
    "looped 9": "7137ad26c4f8dcc8",
    "looped 33": "c4823d1b8a78af32",
    "depth_first 201": "22d74bf97c2d565f",
}
