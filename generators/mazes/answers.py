"""Judges answers to a maze beyond equality with the target: whether they are paths at all."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import EAST, GOAL, SOUTH, START
from easy_to_hard.generators.parallel import run_in_chunks

_EAST, _SOUTH = np.uint8(EAST), np.uint8(SOUTH)
_NOWHERE: Final = -1


@kernel
def _sum_of(prediction):  # type: ignore[no-untyped-def]
    """The sum of all pixels, which is the number of set pixels if none is more than 1."""
    # 32 bits are enough for up to 4,096 x 4,096 pixels, and are added twice as fast as 64.
    total = np.uint32(0)
    for pixel in prediction:
        total += np.uint32(pixel)
    return np.int64(total)


@kernel(inline="always")
def _is_set(prediction, row, column, width):  # type: ignore[no-untyped-def]
    """Whether all four pixels of a position are set, to 1 or at least to the same bits."""
    first = (2 * row + 1) * width + 2 * column + 1
    above = prediction[first] & prediction[first + 1]
    return above & prediction[first + width] & prediction[first + width + 1]


@kernel
def _way_on(cells, here, side, came, prediction):  # type: ignore[no-untyped-def]
    """The one direction, other than `came`, in which an open and set passage leads on; -1 for none or several."""
    y, x = here // side, here % side
    width = 4 * side + 4
    way, ways = _NOWHERE, 0
    for direction in range(4):
        if direction == came:
            continue
        if direction == 0:
            is_open = x + 1 < side and cells[here] & _EAST
        elif direction == 1:
            is_open = y + 1 < side and cells[here] & _SOUTH
        elif direction == 2:
            is_open = x > 0 and cells[here - 1] & _EAST
        else:
            is_open = y > 0 and cells[here - side] & _SOUTH
        step = 1 - (direction & 2)
        row, column = (2 * y + 1 + step, 2 * x + 1) if direction & 1 else (2 * y + 1, 2 * x + 1 + step)
        if is_open and _is_set(prediction, row, column, width):
            way = direction
            ways += 1
    return way if ways == 1 else _NOWHERE


@kernel(inline="always")
def _find(cells, mark):  # type: ignore[no-untyped-def]
    """The first cell with that mark, or -1."""
    for cell in range(cells.shape[0]):
        if cells[cell] & np.uint8(mark):
            return cell
    return _NOWHERE


@kernel
def _is_path(cells, side, prediction):  # type: ignore[no-untyped-def]
    """Whether the set pixels form a path: walk from the start, and check that the walk covers all of them.

    Of two neighboring free positions, one is a passage, which has two free neighbors, so a path never touches itself:
    at every cell there is exactly one way on, or it is not a path. Therefore a walk never visits a cell twice, and it
    ends.
    """
    width = 4 * side + 4
    here, goal, came = _find(cells, START), _find(cells, GOAL), _NOWHERE
    if here == _NOWHERE or not _is_set(prediction, 2 * (here // side) + 1, 2 * (here % side) + 1, width):
        return False
    # Pixels: each position has four, of at least 1, so what they add up to shows whether anything else is set.
    walked = 4
    while here != goal:
        way = _way_on(cells, here, side, came, prediction)
        if way == _NOWHERE:
            return False
        here += (side if way & 1 else 1) * (1 - (way & 2))
        if not _is_set(prediction, 2 * (here // side) + 1, 2 * (here % side) + 1, width):
            return False
        came = way ^ 2
        walked += 8
    return walked == _sum_of(prediction)


@kernel
def _judge(cells, side, predictions, valid):  # type: ignore[no-untyped-def]
    for n in range(valid.shape[0]):
        valid[n] = _is_path(cells[n], side, predictions[n])


def valid_paths(
    cells: NDArray[np.uint8], predictions: NDArray[np.uint8], num_threads: int | None = None
) -> NDArray[np.bool_]:
    """Find which answers are a path from the start to the goal, whether it is the shortest or not.

    Such an answer is 1 only on whole free positions (2 x 2 pixels) that make up one simple path with the start and the
    goal as its ends, and 0 everywhere else.

    Args:
        cells: (N, m, m) uint8, the mazes, see `board`.
        predictions: (N, H, W) uint8, H = W = 4 m + 4, as the targets of `to_images`; anything but 0 and 1 is wrong.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        (N,) bool.

    Raises:
        ValueError: the shapes do not fit, or the predictions are not uint8.
    """
    number, side = cells.shape[:2]
    wanted = (number, 4 * side + 4, 4 * side + 4)
    if predictions.shape != wanted or predictions.dtype != np.uint8:
        raise ValueError(
            f"predictions must be uint8 of shape {wanted}, not {predictions.dtype} of shape {predictions.shape}"
        )
    flat_cells = np.ascontiguousarray(cells).reshape(number, side * side)
    flat_predictions = np.ascontiguousarray(predictions).reshape(number, wanted[1] * wanted[2])
    valid = np.empty(number, dtype=np.bool_)
    run_in_chunks(
        lambda a, b: _judge(flat_cells[a:b], side, flat_predictions[a:b], valid[a:b]),
        number,
        num_threads,
        nanoseconds=6.0 * side * side,
    )
    return valid
