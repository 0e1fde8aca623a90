"""Hashes of wall layouts.

The layout hash is the same for the 8 images of a layout under the symmetries of the square, and differs for any two
other layouts, barring chance (64 bits). With random tables A and B, the hash of a set of open passages at positions
(y, x) of the (2m + 1)^2 grid is the sum of A[y] B[x] modulo 2^64; rotating or mirroring the maze reverses or swaps the
tables, so all eight hashes come from four sums per row. The canonical hash is the least of them. The sums are looked up
for four cells at a time.
"""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.mazes.board import board_stride
from easy_to_hard.generators.random import mix64, random_words, stream_key

_LOW_BITS = np.uint64(0x0101010101010101)
_GATHER = np.uint64(0x0102040810204080)


def hash_tables(side: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The tables from which the hashes of a size are computed; they depend only on the size, not on any seed.

    Returns:
        ``(rows, sums)``: (2m + 1, 4) with A, A reversed, B, B reversed at each position, and
        (2, nibbles, 16, 4) with the sums of those over each set of four neighboring passages, to the east
        and to the south.
    """
    positions = 2 * side + 1
    words = random_words(stream_key("mazes", "layout hash", side, "", 0), 0, 4 * positions).view(np.uint64)
    a, b = words[:positions], words[positions:]
    rows = np.ascontiguousarray(np.stack([a, a[::-1], b, b[::-1]], axis=1))
    stride = int(board_stride(side))
    chosen = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(np.uint64)
    sums = np.empty((2, stride // 4, 16, 4), dtype=np.uint64)
    for direction in range(2):
        padded = np.zeros((stride, 4), dtype=np.uint64)
        passages = rows[2 - direction :: 2][:side]
        padded[: len(passages)] = passages
        sums[direction] = np.einsum("sk,nkc->nsc", chosen, padded.reshape(-1, 4, 4))
    return rows, sums


@kernel
def hash_board(cells, side, rows, sums):  # type: ignore[no-untyped-def]
    """(hash of the layout as it is, hash up to symmetry), both uint64."""
    octets = cells.view(np.uint64)
    width = board_stride(side) // 8
    h0 = h1 = h2 = h3 = h4 = h5 = h6 = h7 = np.uint64(0)
    for y in range(side):
        for direction in range(2):
            a = a_reversed = b = b_reversed = np.uint64(0)
            for x in range(width):
                bits = ((octets[(y + 1) * width + x] >> np.uint64(direction)) & _LOW_BITS) * _GATHER
                left = sums[direction, 2 * x, (bits >> np.uint64(56)) & np.uint64(15)]
                right = sums[direction, 2 * x + 1, bits >> np.uint64(60)]
                a += left[0] + right[0]
                a_reversed += left[1] + right[1]
                b += left[2] + right[2]
                b_reversed += left[3] + right[3]
            row = rows[2 * y + 1 + direction]
            h0 += row[0] * b
            h1 += row[1] * b
            h2 += row[0] * b_reversed
            h3 += row[1] * b_reversed
            h4 += row[2] * a
            h5 += row[2] * a_reversed
            h6 += row[3] * a
            h7 += row[3] * a_reversed
    exact = mix64(h0)
    least = min(
        min(min(exact, mix64(h1)), min(mix64(h2), mix64(h3))),
        min(min(mix64(h4), mix64(h5)), min(mix64(h6), mix64(h7))),
    )
    # The least of eight is not uniform; mixing it once more makes it so.
    return exact, mix64(least)


@kernel
def _hash_mazes(mazes, board, rows, sums, out):  # type: ignore[no-untyped-def]
    side = mazes.shape[1]
    stride = board_stride(side)
    for n in range(mazes.shape[0]):
        for y in range(side):
            for x in range(side):
                board[(y + 1) * stride + x] = mazes[n, y, x] & np.uint8(3)
        out[n] = hash_board(board, side, rows, sums)[1]


def layout_hashes(cells: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash the walls of (N, m, m) uint8 mazes: (N,) uint64, equal for mirrored and rotated layouts."""
    side = cells.shape[1]
    out = np.empty(len(cells), dtype=np.uint64)
    board = np.zeros((side + 2) * board_stride(side), dtype=np.uint8)
    _hash_mazes(np.ascontiguousarray(cells), board, *hash_tables(side), out)
    return out
