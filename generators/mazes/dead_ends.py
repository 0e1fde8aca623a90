"""Fills dead ends until none is left: a local rule on each position and its four neighbors, applied repeatedly."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.solver import read_positions
from easy_to_hard.generators.parallel import run_in_chunks

_WALL, _FREE = np.uint8(0), np.uint8(1)


@kernel
def _first_front(positions, width, ways, front):  # type: ignore[no-untyped-def]
    """Count the ways out of each position; write the dead ends to `front` and return how many there are."""
    count = 0
    for place in range(width, positions.shape[0] - width):
        ways[place] = 0
        for step in (1, width, -1, -width):
            ways[place] += positions[place + step] != _WALL
        if positions[place] == _FREE and ways[place] <= 1:
            front[count] = place
            count += 1
    return count


@kernel
def _fill(positions, width, most, ways, front):  # type: ignore[no-untyped-def]
    """Turn all dead ends of flat `positions` into walls at once, up to `most` times; returns how often.

    A new dead end can appear only next to a filled one, so each position is visited only a few times in total.
    """
    first, last = 0, _first_front(positions, width, ways, front)
    for sweep in range(1, most + 1):
        if first == last:
            return sweep
        count = last
        for k in range(first, last):
            positions[front[k]] = _WALL
            for step in (1, width, -1, -width):
                beside = front[k] + step
                ways[beside] -= 1
                # It has just become a dead end; with fewer ways, it is already listed for this sweep or the next.
                if positions[beside] == _FREE and ways[beside] == 1:
                    front[count] = beside
                    count += 1
        first, last = last, count
    return most


@kernel
def _fill_all(positions, width, most, sweeps):  # type: ignore[no-untyped-def]
    ways = np.empty(positions.shape[1], dtype=np.int8)
    front = np.empty(positions.shape[1], dtype=np.int32)
    for n in range(sweeps.shape[0]):
        sweeps[n] = _fill(positions[n], width, most, ways, front)


def fill_dead_ends(
    inputs: NDArray[Any], most: int, num_threads: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Fill the dead ends of mazes, sweep by sweep, and answer with what stays free.

    In a sweep, every free position with at most one free neighbor becomes a wall, all at once, except the start and the
    goal. In a maze without loops, only the path is left; loops have no dead ends and stay.

    Args:
        inputs: (N, 3, H, W), positive where a channel is lit.
        most: the maximum number of sweeps, at least 1.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        ``(predictions, sweeps)``: (N, H, W) uint8, 1 on what is left; (N,) int64, number of sweeps up to and including
        the first that changed nothing, at most `most`.

    Raises:
        ValueError: `most` is below 1.
    """
    most = check_integer("most", most, 1)
    # With a wall all around, no neighbor is off the board.
    positions = np.pad(read_positions(inputs), ((0, 0), (1, 1), (1, 1)))
    number, height, width = positions.shape
    flat, sweeps = positions.reshape(number, height * width), np.empty(number, dtype=np.int64)
    run_in_chunks(
        lambda a, b: _fill_all(flat[a:b], width, most, sweeps[a:b]),
        number,
        num_threads,
        nanoseconds=10.0 * height * width,
    )
    left = (positions[:, 1:-1, 1:-1] != _WALL).astype(np.uint8)
    return np.pad(left.repeat(2, axis=1).repeat(2, axis=2), ((0, 0), (1, 1), (1, 1))), sweeps
