"""Orders of a maze's positions: what dead-end growth adds first, and what path peeling removes last.

Everything works on the (2m + 1)^2 positions of a maze (cells, passages, and walls, including the outer wall) and not on
its pixels: a position is 2 x 2 pixels that are always equal, so that pixels hold no more information, cost four times
as much, and would put half a position between two that touch.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel

WALL: Final = 0
START: Final = 2
GOAL: Final = 3

_WALL, _START, _GOAL = np.uint8(WALL), np.uint8(START), np.uint8(GOAL)
_UNSEEN = np.int32(-1)


@kernel
def _walk(allowed, width, values, distances, queue, tail):  # type: ignore[no-untyped-def]
    """Search breadth-first from the `tail` places in the queue through allowed places; return the queue's new length.

    The outer wall is not allowed, so no neighbor is off the board.
    """
    head = 0
    while head < tail:
        here = queue[head]
        head += 1
        for step in (1, width, -1, -width):
            beside = here + step
            if allowed[beside] and values[beside] == _UNSEEN:
                values[beside] = tail
                distances[beside] = distances[here] + 1
                queue[tail] = beside
                tail += 1
    return tail


@kernel
def _growth(positions, chosen, width, ranks, distances, totals, depths):  # type: ignore[no-untyped-def]
    places = positions.shape[1]
    queue = np.empty(places, dtype=np.int32)
    for n in range(positions.shape[0]):
        free = positions[n] != _WALL
        sources = 0
        for place in range(places):
            ranks[n, place] = distances[n, place] = _UNSEEN
            if free[place] and (chosen[n, place] or positions[n, place] >= _START):
                ranks[n, place] = distances[n, place] = 0
                queue[sources] = place
                sources += 1
        tail = _walk(free, width, ranks[n], distances[n], queue, sources)
        deepest = distances[n, queue[tail - 1]] if tail else 0
        for place in range(places):
            # Unreachable positions come last.
            if free[place] and ranks[n, place] == _UNSEEN:
                ranks[n, place] = tail
                distances[n, place] = depths[n] = deepest + 1
                tail += 1
            if ranks[n, place] > 0:
                ranks[n, place] -= sources - 1
        totals[n] = tail - sources
        depths[n] = max(depths[n], deepest)


def growth_orders(
    positions: NDArray[np.uint8], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """How far each free position is from a set, which should be the path but may be any set.

    The start and the goal always belong to the set, so it is never empty; walls never do.

    Args:
        positions: (N, P, P) uint8, 0 wall, 1 free, 2 start, 3 goal; the outer ring is wall.
        chosen: (N, P, P) bool, the set.

    Returns:
        ``(ranks, distances, totals, depths)``: (N, P, P) int32 ranks by distance, 1 for the nearest position outside
        the set, with positions of equal distance in the order in which a breadth-first search from the set (row by row;
        east, south, west, north) reaches them; (N, P, P) int32 steps from the set; both are 0 in the set and -1 on
        walls, and unreachable positions come last; (N,) int32 each, the largest rank and the largest distance.
    """
    number, width = positions.shape[:2]
    flat = np.ascontiguousarray(positions).reshape(number, width * width)
    ranks, distances = np.empty(flat.shape, dtype=np.int32), np.empty(flat.shape, dtype=np.int32)
    totals, depths = np.zeros(number, dtype=np.int32), np.zeros(number, dtype=np.int32)
    _growth(flat, np.ascontiguousarray(chosen).reshape(flat.shape), width, ranks, distances, totals, depths)
    return ranks.reshape(positions.shape), distances.reshape(positions.shape), totals, depths


@kernel
def _peeling(positions, chosen, width, ranks, totals):  # type: ignore[no-untyped-def]
    places = positions.shape[1]
    queue = np.empty(places, dtype=np.int32)
    distances = np.zeros(places, dtype=np.int32)
    for n in range(positions.shape[0]):
        allowed = (positions[n] != _WALL) & (chosen[n] | (positions[n] >= _START))
        tail = 0
        for place in range(places):
            ranks[n, place] = _UNSEEN
            if positions[n, place] == _START:
                ranks[n, place] = tail
                queue[tail] = place
                tail += 1
        tail = _walk(allowed, width, ranks[n], distances, queue, tail)
        for place in range(places):
            if allowed[place] and ranks[n, place] == _UNSEEN:
                ranks[n, place] = tail
                tail += 1
        totals[n] = tail


def peeling_orders(
    positions: NDArray[np.uint8], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The order of a set's positions from the start; the set should be the path but may be any set.

    Args:
        positions: (N, P, P) uint8, 0 wall, 1 free, 2 start, 3 goal; the outer ring is wall.
        chosen: (N, P, P) bool, the set; the start and the goal always belong to it, walls never.

    Returns:
        ``(ranks, totals)``: (N, P, P) int32, 0 for the start, then by distance from it within the set, then, row by
        row, positions that cannot be reached within the set; -1 outside the set; (N,) int32, the size of the set.
    """
    number, width = positions.shape[:2]
    flat = np.ascontiguousarray(positions).reshape(number, width * width)
    ranks, totals = np.empty(flat.shape, dtype=np.int32), np.empty(number, dtype=np.int32)
    _peeling(flat, np.ascontiguousarray(chosen).reshape(flat.shape), width, ranks, totals)
    return ranks.reshape(positions.shape), totals
