"""Shortest paths on the board."""

import numpy as np

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import (
    ON_PATH,
    board_stride,
    is_open,
    neighbor,
    parent_direction,
    set_parent,
)


@kernel
def search(cells, side, start, distances, routes, queue):  # type: ignore[no-untyped-def]
    """Breadth-first search from `start` that counts shortest paths.

    Sets every cell's parent toward the start, its distance in cells, and `routes`: the number of shortest paths to it,
    with 2 standing for two or more. The three arrays have a number for each place on the board: int32, or uint8 for
    `routes`.
    """
    stride = board_stride(side)
    distances[:] = -1
    distances[start] = 0
    routes[start] = np.uint8(1)
    queue[0] = start
    head, tail = 0, 1
    while head < tail:
        cell = np.int64(queue[head])
        head += 1
        for direction in range(4):
            if not is_open(cells, cell, direction, stride):
                continue
            after = neighbor(cell, direction, stride)
            if distances[after] < 0:
                distances[after] = distances[cell] + 1
                routes[after] = routes[cell]
                set_parent(cells, after, direction ^ 2)
                queue[tail] = after
                tail += 1
            elif distances[after] == distances[cell] + 1:
                routes[after] = np.uint8(2)


@kernel
def mark_path(cells, side, start, goal):  # type: ignore[no-untyped-def]
    """Mark the path from the goal along the parents to the start; return its length in grid steps."""
    stride = board_stride(side)
    steps = 0
    cell = goal
    cells[cell] |= ON_PATH
    while cell != start:
        cell = neighbor(cell, parent_direction(cells, cell), stride)
        cells[cell] |= ON_PATH
        steps += 2
    return steps
