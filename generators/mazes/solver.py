"""A solver that works on the pictures, as a network does; it shares no code with the generator, so it can check it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel

_WALL, _FREE, _START, _GOAL = 0, 1, 2, 3


def read_positions(inputs: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert (N, 3, H, W) pictures to (N, H / 2 - 1, W / 2 - 1) uint8: 0 wall, 1 free, 2 start, 3 goal."""
    lit = np.asarray(inputs)[:, :, 1:-1:2, 1:-1:2] > 0
    red, green, blue = lit[:, 0], lit[:, 1], lit[:, 2]
    positions = np.full(red.shape, _WALL, dtype=np.uint8)
    positions[red & green & blue] = _FREE
    positions[green & ~red] = _START
    positions[red & ~green] = _GOAL
    return positions


@kernel
def _flood(positions, goal, start, distances, queue):  # type: ignore[no-untyped-def]
    height, width = positions.shape
    distances[:] = -1
    distances[goal] = 0
    queue[0] = goal
    head, tail = 0, 1
    while head < tail and distances[start] < 0:
        here = queue[head]
        head += 1
        y, x = here // width, here % width
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            v, u = y + dy, x + dx
            if 0 <= v < height and 0 <= u < width and positions[v, u] != _WALL and distances[v * width + u] < 0:
                distances[v * width + u] = distances[here] + 1
                queue[tail] = v * width + u
                tail += 1


@kernel
def _descend(positions, goal, start, distances, solution):  # type: ignore[no-untyped-def]
    """Walk from the start toward the goal; return whether there was exactly one way down at each step."""
    height, width = positions.shape
    unique = True
    here = start
    solution[here // width, here % width] = np.uint8(1)
    while here != goal:
        y, x = here // width, here % width
        ways = 0
        step = here
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            v, u = y + dy, x + dx
            if 0 <= v < height and 0 <= u < width and distances[v * width + u] == distances[here] - 1:
                step = v * width + u
                ways += 1
        unique = unique and ways == 1
        here = step
        solution[here // width, here % width] = np.uint8(1)
    return unique


def solve(inputs: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.bool_]]:
    """Find a shortest path in each picture by breadth-first search.

    Args:
        inputs: (N, 3, H, W), positive where a channel is lit.

    Returns:
        ``(targets, lengths, unique)``: (N, H, W) uint8, 1 on the path, including both ends; (N,) int32, steps between
        neighboring positions; (N,) bool, whether no other path is as short. A picture without a path, or without
        exactly one start and one goal, gets length -1 and an empty path.
    """
    positions = read_positions(inputs)
    number, height, width = positions.shape
    solutions = np.zeros_like(positions)
    lengths = np.full(number, -1, dtype=np.int32)
    unique = np.zeros(number, dtype=np.bool_)
    distances = np.empty(height * width, dtype=np.int32)
    queue = np.empty(height * width, dtype=np.int32)
    for n in range(number):
        starts = np.flatnonzero(positions[n] == _START)
        goals = np.flatnonzero(positions[n] == _GOAL)
        if len(starts) != 1 or len(goals) != 1:
            continue
        start, goal = int(starts[0]), int(goals[0])
        _flood(positions[n], goal, start, distances, queue)
        lengths[n] = distances[start]
        if lengths[n] >= 0:
            unique[n] = _descend(positions[n], goal, start, distances, solutions[n])
    targets = np.zeros((number, 2 * height + 2, 2 * width + 2), dtype=np.uint8)
    targets[:, 1:-1, 1:-1] = solutions.repeat(2, axis=1).repeat(2, axis=2)
    return targets, lengths, unique
