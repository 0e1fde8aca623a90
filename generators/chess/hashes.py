"""Hashes of positions: one for the table of the mate solver, one that decides the split of a puzzle."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import KINGS, POSITION_WORDS, as_positions
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.random import mix64

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
# Every word is mixed with its own addend, so that the same bits in two words do not cancel.
_ADDENDS: Final = np.array([(i + 1) * 0xD1342543DE82EF95 % 2**64 for i in range(POSITION_WORDS)], dtype=np.uint64)


@kernel(inline="always")
def _mirror_files(word):  # type: ignore[no-untyped-def]
    """The board with left and right exchanged: the bits of each byte in reverse order."""
    for shift, mask in (
        (np.uint64(1), np.uint64(0x5555555555555555)),
        (np.uint64(2), np.uint64(0x3333333333333333)),
        (np.uint64(4), np.uint64(0x0F0F0F0F0F0F0F0F)),
    ):
        word = ((word >> shift) & mask) | ((word & mask) << shift)
    return word


@kernel(counted=False)
def board_hash(position):  # type: ignore[no-untyped-def]
    """A hash of the placement of pieces as the mover sees it: without castling, en passant, clocks and color."""
    total = np.uint64(0)
    for word in range(KINGS + 1):
        total = mix64(total ^ position[word] ^ _ADDENDS[word]) + _GOLDEN
    return total


@kernel(counted=False)
def canonical_hash(position):  # type: ignore[no-untyped-def]
    """A hash in [0, 2^64) of the placement that is the same with colors exchanged, or left and right, or both.

    A puzzle's canonical hash decides which split it belongs to.
    """
    mirrored = np.uint64(0)
    for word in range(KINGS + 1):
        mirrored = mix64(mirrored ^ _mirror_files(position[word]) ^ _ADDENDS[word]) + _GOLDEN
    # Mixed again, since the smaller of two is not uniform and the splits are ranges.
    return mix64(min(board_hash(position), mirrored))


@kernel
def _canonical_hashes(positions, hashes):  # type: ignore[no-untyped-def]
    for i in range(positions.shape[0]):
        hashes[i] = canonical_hash(positions[i])


def canonical_hashes(positions: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`canonical_hash` of each of (N, 8) uint64 positions, or of rows that begin with them; ValueError for others."""
    hashes = np.empty(len(positions), dtype=np.uint64)
    _canonical_hashes(as_positions(positions), hashes)
    return hashes
