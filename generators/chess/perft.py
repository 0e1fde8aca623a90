"""Perft: the number of sequences of legal moves, the usual check of a move generator."""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import MAX_MOVES, POSITION_WORDS
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.chess.text import to_ucis
from easy_to_hard.generators.kernels import kernel


@kernel
def perft(position, depth, bulk):  # type: ignore[no-untyped-def]
    """The number of sequences of `depth` legal moves.

    Args:
        position: (8,) uint64.
        depth: at least 0.
        bulk: count the last moves without making them.
    """
    if depth == 0:
        return 1
    positions = np.empty((depth + 1, POSITION_WORDS), dtype=np.uint64)
    moves = np.empty((depth, MAX_MOVES), dtype=np.int64)
    positions[0] = position
    return _count(positions, moves, np.zeros(depth, dtype=np.int64), bulk)


@kernel(counted=False)
def _count(positions, moves, left, bulk):  # type: ignore[no-untyped-def]
    """Count from positions[0]; `left` (int64, one for each ply) is for how many moves are left to make."""
    depth = len(moves)
    last = depth - 2 if bulk else depth - 1
    nodes, ply = 0, 0
    left[0] = legal_moves(positions[0], moves[0])
    if depth == 1 and bulk:
        return left[0]
    while ply >= 0:
        if left[ply] == 0:
            ply -= 1
            continue
        left[ply] -= 1
        make(positions[ply], moves[ply, left[ply]], positions[ply + 1])
        if ply < last:
            ply += 1
            left[ply] = legal_moves(positions[ply], moves[ply])
        elif bulk:
            nodes += legal_moves(positions[ply + 1], moves[ply + 1])
        else:
            nodes += 1
    return nodes


def perft_by_move(position: NDArray[np.uint64], depth: int, bulk: bool = False) -> dict[str, int]:
    """First move (UCI) -> number of sequences of `depth` (at least 1) legal moves that begin with it."""
    moves, after = np.empty(MAX_MOVES, dtype=np.int64), np.empty(POSITION_WORDS, dtype=np.uint64)
    counts = {}
    for move in moves[: legal_moves(position, moves)]:
        make(position, move, after)
        counts[to_ucis(np.array([move]), position[None])[0]] = int(perft(after, depth - 1, bulk))
    return counts
