"""Draw mazes: item i of a split is the first candidate in its own stream whose hash is in the split's range."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import (
    VISITED,
    board_stride,
    cell_at,
    count_ways,
    empty_board,
    write_cells,
)
from easy_to_hard.generators.mazes.layouts import hash_board, hash_tables
from easy_to_hard.generators.mazes.paths import mark_path, search
from easy_to_hard.generators.mazes.trees import (
    grow_depth_first,
    grow_depth_first_on_word,
    grow_kruskal,
    grow_wilson,
    remove_walls,
)
from easy_to_hard.generators.mazes.variants import VARIANTS, check_size, parse_variant
from easy_to_hard.generators.parallel import run_in_chunks
from easy_to_hard.generators.random import (
    BUFFER_BYTES,
    CURSOR_WORDS,
    mix64,
    next_below,
    open_stream,
    stream_key,
)
from easy_to_hard.generators.splits import NotEnoughInstancesError, as_indices, check_split, split_range

_DEPTH_FIRST, _WILSON, _KRUSKAL, _OPEN_START, _LOOPED = range(5)

# A split that contains a share p of the candidates is missed 20,000 times in a row with probability (1 - p)^20000:
# 10^-87 for p = 1 %.
_MAX_CANDIDATES = 20_000

# From 100 cells per side on, a depth-first candidate that misses the split is not discarded entirely: only its last
# eighth of cells is drawn anew, up to 15 times. Each of these is a proper depth-first maze, and with 1,250 cells or
# more there are so many endings that none occurs twice. (With few endings this would not work: mazes whose beginning
# leaves little choice would fail again and again, and be rare in the small splits.)
_LEAST_SIDE_FOR_TAILS = 100
_TAIL_SHARE = 8
_TAILS = 16
# A board with this many cells per side fits in a word.
_LARGEST_SIDE_ON_WORD = 6


@dataclass(frozen=True, kw_only=True)
class MazeBatch:
    """N mazes of one size.

    Attributes:
        cells: (N, m, m) uint8, one byte per cell, see `easy_to_hard.generators.mazes.board`.
        path_lengths: (N,) int32, steps between neighboring positions from start to goal (always even).
        layout_hashes: (N,) uint64, equal for the mirrored and rotated images of one wall layout.
        item_hashes: (N,) uint64, equal only for the same walls, start and goal.
        candidates: (N,) int32, how many candidates of the item's stream were drawn.
    """

    cells: NDArray[np.uint8]
    path_lengths: NDArray[np.int32]
    layout_hashes: NDArray[np.uint64]
    item_hashes: NDArray[np.uint64]
    candidates: NDArray[np.int32]


def walls_to_remove(size: int) -> int:
    """How many fewer walls a looped maze of that size has than a tree.

    One in ten of the (m - 1)^2 inner walls that a tree leaves standing, at least one, and at most 3 m: with more,
    larger mazes hardly ever have a unique shortest path.
    """
    side = (check_size(size) + 1) // 2
    return max(1, min(round(0.1 * (side - 1) ** 2), 3 * side))


@kernel
def _draw_ends(cells, side, variant, buffer, cursor):  # type: ignore[no-untyped-def]
    """Two distinct cells, uniform; in `open_start`, the first is uniform over the cells that are not dead ends."""
    number = side * side
    start = next_below(buffer, cursor, number)
    if variant == _OPEN_START:
        while count_ways(cells, cell_at(start, side), board_stride(side)) < 2:
            start = next_below(buffer, cursor, number)
    goal = next_below(buffer, cursor, number - 1)
    if goal >= start:
        goal += 1
    return cell_at(start, side), cell_at(goal, side)


@kernel
def _draw_depth_first(cells, side, fresh, saved, stacks, state, buffer, cursor):  # type: ignore[no-untyped-def]
    """Grow a tree from the start and mark its path; if `fresh` is false, only the last cells are drawn anew.

    `saved` and ``stacks[1]`` hold the board and the stack as they were before the last cells; `state` holds start,
    goal, depth and steps. Return (start, goal, steps).
    """
    stride = board_stride(side)
    number = side * side
    tail = number // _TAIL_SHARE if side >= _LEAST_SIDE_FOR_TAILS else 0
    if fresh:
        start, goal = _draw_ends(cells, side, _DEPTH_FIRST, buffer, cursor)
        stacks[0, 0] = start
        if side <= _LARGEST_SIDE_ON_WORD:
            return start, goal, 2 * grow_depth_first_on_word(cells, side, stacks[0], goal, buffer, cursor)
        cells[start] |= VISITED
        depth, steps = grow_depth_first(cells, stride, stacks[0], 0, number - 1 - tail, goal, buffer, cursor)
        if tail == 0:
            return start, goal, 2 * steps
        saved[:] = cells
        stacks[1, : depth + 1] = stacks[0, : depth + 1]
        state[0], state[1], state[2], state[3] = start, goal, depth, steps
    start, goal, depth, steps = state[0], state[1], state[2], state[3]
    stacks[0, : depth + 1] = stacks[1, : depth + 1]
    _, late_steps = grow_depth_first(cells, stride, stacks[0], depth, tail, goal, buffer, cursor)
    return start, goal, 2 * max(steps, late_steps)


@kernel
def _draw_other(cells, side, variant, removed, work, routes, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw walls and ends of any other variant; return (start, goal, steps of the marked path, or -1 if not unique)."""
    if variant == _WILSON:
        start, goal = _draw_ends(cells, side, variant, buffer, cursor)
        grow_wilson(cells, side, start, buffer, cursor)
        return start, goal, mark_path(cells, side, start, goal)
    _draw_walls(cells, side, variant, removed, 0, work, buffer, cursor)
    start, goal = _draw_ends(cells, side, variant, buffer, cursor)
    search(cells, side, start, work[0], routes, work[1])
    if routes[goal] != 1:
        return start, goal, -1
    return start, goal, mark_path(cells, side, start, goal)


@kernel
def _draw_walls(cells, side, variant, removed, start, work, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw the walls of a variant; only depth-first trees and uniform ones are grown from the start."""
    walls = work[2:].reshape(-1)
    if variant == _WILSON:
        grow_wilson(cells, side, start, buffer, cursor)
    elif variant == _KRUSKAL:
        grow_kruskal(cells, side, walls, work[0], buffer, cursor)
    else:
        root = start if variant == _DEPTH_FIRST else cell_at(next_below(buffer, cursor, side * side), side)
        stack = work[1].view(np.uint32)
        stack[0] = root
        cells[root] |= VISITED
        grow_depth_first(cells, board_stride(side), stack, 0, side * side - 1, 0, buffer, cursor)
    if variant == _LOOPED:
        remove_walls(cells, side, removed, walls, buffer, cursor)


@kernel
def _draw_walls_and_start(cells, side, variant, removed, work, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw walls, and a start as without bounds; return the start."""
    start, _ = _draw_ends(cells, side, _DEPTH_FIRST, buffer, cursor)
    _draw_walls(cells, side, variant, removed, start, work, buffer, cursor)
    if variant == _OPEN_START:
        start, _ = _draw_ends(cells, side, variant, buffer, cursor)
    return start


@kernel
def _draw_goal(cells, side, start, least, most, work, routes, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw a uniform one of the cells with a unique shortest path of `least` to `most` steps, and mark that path.

    Return (goal, steps), with steps -1 if there is no such cell.
    """
    distances, queue, within = work[0], work[1], work[2]
    search(cells, side, start, distances, routes, queue)
    count = 0
    for k in range(side * side):
        cell = queue[k]
        if least <= 2 * distances[cell] <= most and routes[cell] == 1:
            within[count] = cell
            count += 1
    if count == 0:
        return start, -1
    goal = np.int64(within[next_below(buffer, cursor, count)])
    return goal, mark_path(cells, side, start, goal)


@kernel
def _sample(  # type: ignore[no-untyped-def]
    side, variant, removed, least, most, key, indices, low, last, blank, rows, sums, cells, lengths, hashes, candidates
):
    places = blank.shape[0]
    board, saved, routes = np.empty_like(blank), np.empty_like(blank), np.empty_like(blank)
    work = np.empty((4, places), dtype=np.int32)
    stacks = work[:2].view(np.uint32)
    state = np.zeros(4, dtype=np.int64)
    buffer = np.empty(BUFFER_BYTES, dtype=np.uint8)
    cursor = np.empty(CURSOR_WORDS, dtype=np.uint64)
    for i in range(indices.shape[0]):
        open_stream(buffer, cursor, key, indices[i])
        candidates[i] = 0
        for number in range(_MAX_CANDIDATES):
            fresh = most or variant != _DEPTH_FIRST or side < _LEAST_SIDE_FOR_TAILS or number % _TAILS == 0
            board[:] = blank if fresh else saved
            if most:
                start = _draw_walls_and_start(board, side, variant, removed, work, buffer, cursor)
                goal, steps = start, 0
            elif variant == _DEPTH_FIRST:
                start, goal, steps = _draw_depth_first(board, side, fresh, saved, stacks, state, buffer, cursor)
            else:
                start, goal, steps = _draw_other(board, side, variant, removed, work, routes, buffer, cursor)
            if steps < 0:
                continue
            exact, canonical = hash_board(board, side, rows, sums)
            if low <= canonical <= last:
                if most:
                    goal, steps = _draw_goal(board, side, start, least, most, work, routes, buffer, cursor)
                    if steps < 0:
                        continue
                candidates[i] = number + 1
                lengths[i] = steps
                hashes[i, 0] = canonical
                hashes[i, 1] = mix64(exact + np.uint64(start * places + goal))
                if cells.shape[0]:
                    write_cells(board, side, start, goal, cells[i])
                break
        if candidates[i] == 0:
            return


def sample(
    size: int,
    indices: ArrayLike,
    *,
    variant: str = "depth_first",
    split: str = "train",
    seed: int = 0,
    split_rule: str = "hash",
    keep_cells: bool = True,
    num_threads: int | None = None,
) -> MazeBatch:
    """Draw and solve the mazes with the given indices in a split.

    Args:
        size: odd, 3 to 1601; the maze has m x m cells, m = (size + 1) / 2.
        indices: (N,) non-negative integers, in any order.
        variant: how walls and ends are drawn. "depth_first": a randomized depth-first tree grown from the
            start, as in arXiv 2108.06011; "wilson": a uniform spanning tree; "kruskal": walls opened in random
            order; "open_start": a depth-first tree grown from a random cell, with the start not in a dead end;
            "looped": such a tree with `walls_to_remove` fewer walls, drawn again until the shortest path is
            unique. Start and goal are two distinct cells, otherwise uniform. With bounds, as in "looped_100to140",
            walls and start are drawn in the same way, and the goal is uniform among the cells whose shortest path from
            the start is unique and has 100 to 140 steps; where there is no such cell, walls and start are drawn again.
        split: "train", "validation" or "test".
        seed: any integer; another seed gives another set of mazes.
        split_rule: "hash" (splits share no layout), or "original" (every split is drawn from all mazes).
        keep_cells: False leaves `cells` empty, for when only hashes and lengths are needed.
        num_threads: None for one per core. The result does not depend on it.

    Raises:
        NotEnoughInstancesError: the split holds no maze of that size and variant, or paths within the bounds are so
            rare that an item was given up after 20,000 candidates.
        ValueError: any other argument is out of range.
    """
    size = check_size(size)
    walls, bounds = parse_variant(variant, size)
    side = (size + 1) // 2
    items = as_indices(indices)
    count = len(items)
    cells = np.empty((count if keep_cells else 0, side, side), dtype=np.uint8)
    lengths = np.empty(count, dtype=np.int32)
    hashes = np.empty((count, 2), dtype=np.uint64)
    candidates = np.empty(count, dtype=np.int32)
    key = np.uint64(stream_key("mazes", variant, size, check_split(split), seed))
    low, high = split_range(split, split_rule)
    blank, tables = empty_board(side), hash_tables(side)

    def kernel(a: int, b: int) -> None:
        _sample(
            side, VARIANTS.index(walls), walls_to_remove(size), *bounds, key, items[a:b], np.uint64(low),
            np.uint64(high - 1), blank, *tables, cells[a:b], lengths[a:b], hashes[a:b], candidates[a:b],
        )  # fmt: skip
        if not candidates[a:b].all():
            told = f"no maze of size {size} ({variant}) in split {split!r} among {_MAX_CANDIDATES} candidates: "
            if bounds.most:
                told += f"hardly any has a path of {bounds.least} to {bounds.most} steps; use wider bounds"
            else:
                told += "the size has too few layouts; use a larger size, another split or split_rule='original'"
            raise NotEnoughInstancesError(told)

    run_in_chunks(kernel, count, num_threads, nanoseconds=20.0 * side * side)
    return MazeBatch(
        cells=cells,
        path_lengths=lengths,
        layout_hashes=hashes[:, 0].copy(),
        item_hashes=hashes[:, 1].copy(),
        candidates=candidates,
    )
