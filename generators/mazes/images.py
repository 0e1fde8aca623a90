"""Converts mazes to the original's pictures and back.

A maze is drawn on a grid of (2m + 1)^2 positions (cells, passages and walls, the outer wall included); each
position is 2 x 2 pixels, with one pixel of padding all around: H = W = 4m + 4 = 2s + 6.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import EAST, GOAL, PATH, SOUTH, START
from easy_to_hard.generators.parallel import run_in_chunks

# Four pixels are written at a time, as one word: the right half of a cell, the position east of it, the left half
# of the next cell. A row of pixels has m + 1 such words; the first and the last are half padding.
_LEFT, _MIDDLE, _RIGHT = np.uint32(0x00000001), np.uint32(0x00010100), np.uint32(0x01000000)
_1, _2, _3, _4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
_START_OR_GOAL = np.uint8(START | GOAL)


@kernel(inline="always")
def _write_twice(words, place, row, word):  # type: ignore[no-untyped-def]
    words[place] = word
    words[place + row] = word


@kernel
def _draw_walls_and_path(cells, first, side, free, free_at, path, path_at):  # type: ignore[no-untyped-def]
    """Draw the maze at cells[first] to the words that start at free[free_at] and path[path_at].

    Everything is flat and every index unsigned: with views, or with indices that might be negative, this takes three
    times as long.
    """
    row = side + _1
    edge = np.uint32(0)
    for k in range(_3 * row):
        free[free_at + k] = edge
        path[path_at + k] = edge
    free_at += _3 * row
    path_at += _3 * row
    last = first + side * (side - _1)
    for _ in range(side):
        below = side if first < last else np.uint64(0)
        cell, here, on, south, on_south = edge, edge, edge, edge, edge
        for x in range(side):
            after = np.uint32(cells[first + x])
            on_after = (after >> np.uint32(2)) & _LEFT
            south_after = (after >> np.uint32(1)) & _LEFT
            # An open way between two cells of the shortest path is on the path; otherwise there would be a shorter one.
            on_south_after = south_after & on_after & (np.uint32(cells[first + below + x]) >> np.uint32(2))
            on_east = on & on_after & here
            _write_twice(free, free_at + x, row, cell + (here & _LEFT) * _MIDDLE + _RIGHT)
            _write_twice(free, free_at + _2 * row + x, row, south + south_after * _RIGHT)
            _write_twice(path, path_at + x, row, on + on_after * _RIGHT + on_east * _MIDDLE)
            _write_twice(path, path_at + _2 * row + x, row, on_south + on_south_after * _RIGHT)
            cell, here, on, south, on_south = _LEFT, after, on_after, south_after, on_south_after
        _write_twice(free, free_at + side, row, _LEFT)
        _write_twice(free, free_at + _2 * row + side, row, south)
        _write_twice(path, path_at + side, row, on)
        _write_twice(path, path_at + _2 * row + side, row, on_south)
        first += side
        free_at += _4 * row
        path_at += _4 * row
    for k in range(row):
        free[free_at + k] = edge
        path[path_at + k] = edge


@kernel
def _draw(cells, side, inputs, targets):  # type: ignore[no-untyped-def]
    """Draw flat uint8 mazes to flat uint8 pictures, three planes each, and flat uint8 solutions."""
    side = np.uint64(side)
    width = _4 * side + _4
    pixels = width * width
    plane = pixels // _4
    input_words, target_words = inputs.view(np.uint32), targets.view(np.uint32)
    for n in range(np.uint64(targets.shape[0]) // pixels):
        first, red, blue = n * side * side, _3 * n * plane, (_3 * n + _2) * plane
        _draw_walls_and_path(cells, first, side, input_words, blue, target_words, n * plane)
        for k in range(plane):
            input_words[red + k] = input_words[blue + k]
            input_words[red + plane + k] = input_words[blue + k]
        for k in range(side * side):
            code = cells[first + k] & _START_OR_GOAL
            if code:
                corner = _4 * red + (_4 * (k // side) + _3) * width + _4 * (k % side) + _3
                for place in (corner, corner + _1, corner + width, corner + width + _1):
                    inputs[place] = np.uint8(code == GOAL)
                    inputs[place + pixels] = np.uint8(code == START)
                    inputs[place + _2 * pixels] = np.uint8(0)


def image_side(size: int) -> int:
    """Height and width of the picture in pixels: 2 s + 6, so 9, 13, 33, 59 give 24, 32, 72, 124."""
    return 2 * size + 6


def to_images(cells: NDArray[np.uint8], num_threads: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Convert mazes to pictures and solutions, as in the original's files.

    Args:
        cells: (N, m, m) uint8.
        num_threads: None for one per core.

    Returns:
        ``(inputs, targets)``: (N, 3, H, W) uint8 in {0, 1}, free positions white, start green, goal red;
        (N, H, W) uint8, 1 on the path, including both ends.
    """
    number, side = cells.shape[:2]
    inputs = np.empty((number, 3, 4 * side + 4, 4 * side + 4), dtype=np.uint8)
    targets = np.empty((number, 4 * side + 4, 4 * side + 4), dtype=np.uint8)
    cells = np.ascontiguousarray(cells)

    def kernel(a: int, b: int) -> None:
        _draw(cells[a:b].reshape(-1), side, inputs[a:b].reshape(-1), targets[a:b].reshape(-1))

    run_in_chunks(kernel, number, num_threads, nanoseconds=8.0 * side * side)
    return inputs, targets


def from_images(inputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert pictures and solutions back to mazes, the inverse of `to_images`.

    Args:
        inputs: (N, 3, H, W), positive where a channel is lit.
        targets: (N, H, W), positive on the path.

    Returns:
        (N, m, m) uint8.
    """
    cell_pixels = np.s_[3:-2:4]
    lit: NDArray[np.bool_] = np.asarray(inputs) > 0
    free = np.logical_or.reduce(lit, axis=1)
    cells: NDArray[np.uint8] = free[:, cell_pixels, 5::4][:, :, : free.shape[1] // 4 - 1] * np.uint8(EAST)
    cells += free[:, 5::4, cell_pixels][:, : free.shape[1] // 4 - 1] * np.uint8(SOUTH)
    cells += (np.asarray(targets)[:, cell_pixels, cell_pixels] > 0) * np.uint8(PATH)
    red, green = lit[:, 0, cell_pixels, cell_pixels], lit[:, 1, cell_pixels, cell_pixels]
    cells += (green & ~red) * np.uint8(START) + (red & ~green) * np.uint8(GOAL)
    return cells
