"""How a maze is stored: one byte per cell.

Outside the kernels, a maze of size s is (m, m) uint8, m = (s + 1) / 2, the sum of `EAST` (no wall to the east),
`SOUTH` (no wall to the south), `PATH` (on the shortest path), `START` and `GOAL`.

Inside them, it is a board: rows of `stride` bytes, a multiple of 8 and more than m, with one row of border above and
below; the bytes to the right of a row are border too, and serve as the left border of the next row. On a board, bits 3
and 4 hold the direction of the parent in the tree, and bit 5 says that a cell is visited. A direction is 0 east,
1 south, 2 west, 3 north; ``d ^ 2`` is the opposite.
"""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel

EAST, SOUTH, PATH, START, GOAL = 1, 2, 4, 8, 16

VISITED = np.uint8(32)
BORDER = np.uint8(128)
ON_PATH = np.uint8(PATH)
_PARENT_SHIFT = np.uint8(3)
_PARENT_BITS = np.uint8(24)
_KEPT_BITS = np.uint8(EAST | SOUTH | PATH)


def empty_board(side: int) -> NDArray[np.uint8]:
    """A flat board of (side + 2) * stride bytes with every wall standing."""
    stride = board_stride(side)
    board = np.full((side + 2, stride), VISITED | BORDER, dtype=np.uint8)
    board[1:-1, :side] = 0
    return board.reshape(-1)


@kernel
def board_stride(side):  # type: ignore[no-untyped-def]
    """Bytes in a row of the board."""
    return (side + 8) // 8 * 8


@kernel(inline="always")
def cell_at(number, side):  # type: ignore[no-untyped-def]
    """The place on the board of cell `number`, counted row by row."""
    # 32-bit unsigned division takes a fraction of the time of the signed 64-bit one.
    row = np.int64(np.uint32(number) // np.uint32(side))
    return (row + 1) * board_stride(side) + number - row * side


@kernel(inline="always")
def neighbor(cell, direction, stride):  # type: ignore[no-untyped-def]
    """The cell one step away."""
    step = stride if direction & 1 else 1
    return cell - step if direction & 2 else cell + step


@kernel(inline="always")
def open_way(cells, cell, direction, stride):  # type: ignore[no-untyped-def]
    """Remove the wall on that side of the cell; it is stored with the western or northern one of the two cells."""
    owner = neighbor(cell, direction, stride) if direction & 2 else cell
    cells[owner] |= np.uint8(1 << (direction & 1))


@kernel(inline="always")
def is_open(cells, cell, direction, stride):  # type: ignore[no-untyped-def]
    """Whether there is no wall on that side of the cell."""
    owner = neighbor(cell, direction, stride) if direction & 2 else cell
    return (cells[owner] >> np.uint8(direction & 1)) & np.uint8(1)


@kernel(inline="always")
def set_parent(cells, cell, direction):  # type: ignore[no-untyped-def]
    """Record that the parent of the cell lies in that direction."""
    cells[cell] = (cells[cell] & ~_PARENT_BITS) | np.uint8(direction << _PARENT_SHIFT)


@kernel(inline="always")
def parent_direction(cells, cell):  # type: ignore[no-untyped-def]
    """The direction of the cell's parent."""
    return np.int64((cells[cell] >> _PARENT_SHIFT) & np.uint8(3))


@kernel
def count_ways(cells, cell, stride):  # type: ignore[no-untyped-def]
    """The number of open sides of the cell: 1 in a dead end."""
    ways = np.int64(0)
    for direction in range(4):
        ways += np.int64(is_open(cells, cell, direction, stride))
    return ways


@kernel
def write_cells(cells, side, start, goal, out):  # type: ignore[no-untyped-def]
    """Copy a solved board to (side, side) uint8, without border and scratch bits."""
    stride = board_stride(side)
    for y in range(side):
        base = (y + 1) * stride
        for x in range(side):
            out[y, x] = cells[base + x] & _KEPT_BITS
    out[start // stride - 1, start % stride] |= np.uint8(START)
    out[goal // stride - 1, goal % stride] |= np.uint8(GOAL)
