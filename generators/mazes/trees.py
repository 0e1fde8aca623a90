"""How the walls of a maze are drawn: one function per distribution of trees, and the removal of walls for loops."""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import (
    BORDER,
    ON_PATH,
    VISITED,
    board_stride,
    cell_at,
    is_open,
    neighbor,
    open_way,
    parent_direction,
    set_parent,
)
from easy_to_hard.generators.random import POSITION, next_below, next_byte, refill

_REDRAW = np.uint8(255)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_0, _1, _2, _3, _4, _5, _8, _9, _15, _255 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 5, 8, 9, 15, 255))
# _SPREAD[b] has bit k of b in its byte k.
_SPREAD = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view("<u8")[:, 0].copy()


def _choice_table() -> NDArray[np.uint8]:
    """[mask, byte] -> one of the directions that are not in the mask, all equally likely, or a request to redraw.

    252 = 21 * 12 of the 256 bytes are used, since 12 is a multiple of 1, 2, 3 and 4.
    """
    table = np.full((16, 256), _REDRAW, dtype=np.uint8)
    for mask in range(15):
        directions = [d for d in range(4) if not mask >> d & 1]
        for byte in range(252):
            table[mask, byte] = directions[byte % 12 % len(directions)]
    return table


_CHOICE = _choice_table()


@kernel
def grow_depth_first(cells, stride, stack, depth, remaining, goal, buffer, cursor):  # type: ignore[no-untyped-def]
    """Visit `remaining` further cells by randomized depth-first search from the top of the stack.

    The procedure of the original mazes (arXiv 2108.06011): from the current cell, go to a random unvisited neighbor,
    or back if there is none. `stack` (uint32) holds the way from the root; ``stack[depth]`` is the current cell, which
    is visited. When the goal is reached, that way is the path, and is marked.

    Indices are unsigned, which saves the check for negative ones on the critical path. The code that draws a direction
    is repeated in `grow_depth_first_on_word`, since a separate function would cost an eighth of the time.

    Returns:
        ``(depth, steps)``: the new depth, and the depth at which the goal was met (-1 if it was not).
    """
    steps = np.int64(-1)
    position, end = cursor[POSITION], np.uint64(buffer.shape[0])
    top, south, goal = np.uint64(depth), np.uint64(stride), np.uint64(goal)
    while remaining:
        cell = np.uint64(stack[top])
        seen = (
            ((cells[cell + _1] >> np.uint8(5)) & np.uint8(1))
            | ((cells[cell + south] >> np.uint8(4)) & np.uint8(2))
            | ((cells[cell - _1] >> np.uint8(3)) & np.uint8(4))
            | ((cells[cell - south] >> np.uint8(2)) & np.uint8(8))
        )
        if seen == np.uint8(15):
            top -= _1
            continue
        direction = _REDRAW
        while direction == _REDRAW:
            if position == end:
                refill(buffer, cursor)
                position = np.uint64(0)
            direction = _CHOICE[seen, buffer[position]]
            position += _1
        step = south if direction & np.uint8(1) else _1
        after = cell - step if direction & np.uint8(2) else cell + step
        owner = after if direction & np.uint8(2) else cell
        cells[owner] |= np.uint8(1) << (direction & np.uint8(1))
        cells[after] |= VISITED
        top += _1
        stack[top] = after
        remaining -= 1
        if after == goal:
            steps = np.int64(top)
            for k in range(top + _1):
                cells[np.uint64(stack[k])] |= ON_PATH
    cursor[POSITION] = position
    return np.int64(top), steps


@kernel
def grow_depth_first_on_word(cells, side, stack, goal, buffer, cursor):  # type: ignore[no-untyped-def]
    """Like `grow_depth_first`, for a board of at most 8 rows of 8 bytes, whose cells are the bits of a word.

    It makes the same draws and the same maze in two thirds of the time; ``stack[0]`` is the root. Returns the depth of
    the goal.
    """
    steps = np.int64(0)
    position, end = cursor[POSITION], np.uint64(buffer.shape[0])
    rows = cells.view(np.uint64)
    visited = _ALL
    for y in range(1, side + 1):
        visited ^= ((_1 << np.uint64(side)) - _1) << np.uint64(8 * y)
    visited |= _1 << np.uint64(stack[0])
    east, south, path, top, goal = _0, _0, _0, _0, np.uint64(goal)
    remaining = side * side - 1
    while remaining:
        cell = np.uint64(stack[top])
        around = visited >> (cell - _8)
        seen = (around >> _9) & _1 | (around >> _15) & _2 | (around >> _5) & _4 | (around << _3) & _8
        if seen == _15:
            top -= _1
            continue
        direction = _REDRAW
        while direction == _REDRAW:
            if position == end:
                refill(buffer, cursor)
                position = _0
            direction = _CHOICE[seen, buffer[position]]
            position += _1
        step = _8 if direction & np.uint8(1) else _1
        after = cell - step if direction & np.uint8(2) else cell + step
        way = _1 << (after if direction & np.uint8(2) else cell)
        vertical = _0 - np.uint64(direction & np.uint8(1))
        south |= way & vertical
        east |= way & ~vertical
        visited |= _1 << after
        top += _1
        stack[top] = after
        remaining -= 1
        if after == goal:
            steps = np.int64(top)
            for k in range(top + _1):
                path |= _1 << np.uint64(stack[k])
    cursor[POSITION] = position
    for y in range(1, side + 1):
        shift = np.uint64(8 * y)
        rows[y] |= (
            _SPREAD[(east >> shift) & _255]
            | _SPREAD[(south >> shift) & _255] << _1
            | _SPREAD[(path >> shift) & _255] << _2
        )
    return steps


@kernel
def grow_wilson(cells, side, root, buffer, cursor):  # type: ignore[no-untyped-def]
    """Grow a uniform spanning tree by loop-erased random walks (Wilson, STOC 1996); parents point to the root."""
    stride = board_stride(side)
    cells[root] |= VISITED
    for number in range(side * side):
        first = cell_at(number, side)
        cell = first
        while not cells[cell] & VISITED:
            direction = np.int64(next_byte(buffer, cursor) & np.uint8(3))
            after = neighbor(cell, direction, stride)
            if not cells[after] & BORDER:
                set_parent(cells, cell, direction)
                cell = after
        # What is left of the walk once its loops are erased: the last way out of each cell.
        cell = first
        while not cells[cell] & VISITED:
            cells[cell] |= VISITED
            direction = parent_direction(cells, cell)
            open_way(cells, cell, direction, stride)
            cell = neighbor(cell, direction, stride)


@kernel
def _find(labels, cell):  # type: ignore[no-untyped-def]
    while labels[cell] != cell:
        labels[cell] = labels[labels[cell]]
        cell = labels[cell]
    return cell


@kernel
def grow_kruskal(cells, side, walls, labels, buffer, cursor):  # type: ignore[no-untyped-def]
    """Go through the walls in random order and open each that separates two components (Kruskal); sets no parents.

    `walls` has room for two numbers per cell, and `labels` for one per place on the board, int32.
    """
    stride = board_stride(side)
    count = _list_walls(cells, side, walls)
    for cell in range(cells.shape[0]):
        labels[cell] = cell
    remaining = side * side - 1
    while remaining:
        wall = _take_wall(walls, count, buffer, cursor)
        count -= 1
        cell, direction = wall >> 1, wall & 1
        one, other = _find(labels, cell), _find(labels, neighbor(cell, direction, stride))
        if one != other:
            labels[one] = other
            open_way(cells, cell, direction, stride)
            remaining -= 1


@kernel
def remove_walls(cells, side, number, walls, buffer, cursor):  # type: ignore[no-untyped-def]
    """Open a uniformly random set of `number` standing inner walls."""
    count = _list_walls(cells, side, walls)
    for _ in range(number):
        wall = _take_wall(walls, count, buffer, cursor)
        count -= 1
        open_way(cells, wall >> 1, wall & 1, board_stride(side))


@kernel
def _list_walls(cells, side, walls):  # type: ignore[no-untyped-def]
    """Write the standing inner walls, as 2 cell + direction, to `walls`; return how many there are."""
    stride = board_stride(side)
    count = 0
    for number in range(side * side):
        cell = cell_at(number, side)
        for direction in range(2):
            inner = not cells[neighbor(cell, direction, stride)] & BORDER
            if inner and not is_open(cells, cell, direction, stride):
                walls[count] = 2 * cell + direction
                count += 1
    return count


@kernel
def _take_wall(walls, count, buffer, cursor):  # type: ignore[no-untyped-def]
    """One step of a Fisher-Yates shuffle: take a random one of the first `count` walls out of the list."""
    chosen = next_below(buffer, cursor, count)
    wall = np.int64(walls[chosen])
    walls[chosen] = walls[count - 1]
    return wall
