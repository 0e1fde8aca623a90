"""Judges answers to a puzzle beyond equality with the target: whether they are legal moves, and whether they win."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.chess.board import DESTINATION_SHIFT, MAX_MOVES, POSITION_WORDS, ROW_WORDS
from easy_to_hard.generators.chess.mates import MAX_MATE_IN, forces_mate, new_search
from easy_to_hard.generators.chess.moves import legal_moves
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

_TABLE_ENTRIES: Final = 2**16
_1 = np.uint64(1)


@kernel(counted=False)
def _squares_of(move):  # type: ignore[no-untyped-def]
    """The word with a move's origin and destination set."""
    return _1 << np.uint64(move & 63) | _1 << np.uint64((move >> DESTINATION_SHIFT) & 63)


@kernel
def _judge(rows, squares, within, legal, winning):  # type: ignore[no-untyped-def]
    search = new_search(_TABLE_ENTRIES)
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    after, child = np.empty(POSITION_WORDS, dtype=np.uint64), np.empty(POSITION_WORDS, dtype=np.uint64)
    for i in range(rows.shape[0]):
        position = rows[i, :POSITION_WORDS]
        legal[i], winning[i] = False, squares[i] == _squares_of(np.int64(rows[i, POSITION_WORDS]))
        for j in range(legal_moves(position, moves)):
            # Two squares belong to at most one move, except for promotions, any of which may win.
            if _squares_of(moves[j]) == squares[i]:
                legal[i] = True
                if within[i] and not winning[i]:
                    winning[i] = forces_mate(position, moves[j], within[i], search, MAX_MATE_IN, after, child)


def judge_moves(
    rows: NDArray[np.uint64], predictions: NDArray[np.uint8], mate_in: ArrayLike = 0, num_threads: int | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find which answers are legal moves, and which are winning ones.

    An answer is a move if it is 1 on the move's origin and destination and 0 on all other squares; it does not say what
    a pawn is promoted to, so it counts as every promotion. A move wins if its squares are those of the row's own move,
    or if it forces mate within `mate_in` moves, as found by a search of all moves.

    Args:
        rows: (N, 9) uint64, positions and their moves, see `board`.
        predictions: (N, 8, 8) uint8, squares as the mover sees them; anything but 0 and 1 is wrong.
        mate_in: () or (N,) integers from 0 to 8; where it is 0, only the row's own move wins.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        ``(legal, winning)``: (N,) bool each. A winning answer is always legal.

    Raises:
        ValueError: the shapes do not match, the predictions are not uint8, or `mate_in` is out of range.
    """
    number = len(rows)
    if rows.ndim != 2 or rows.shape[1] != ROW_WORDS or rows.dtype != np.uint64:
        raise ValueError(f"rows must be uint64 of shape (N, {ROW_WORDS}), not {rows.dtype} of shape {rows.shape}")
    if predictions.shape != (number, 8, 8) or predictions.dtype != np.uint8:
        found = f"{predictions.dtype} of shape {predictions.shape}"
        raise ValueError(f"predictions must be uint8 of shape ({number}, 8, 8), not {found}")
    within = np.broadcast_to(np.asarray(mate_in, dtype=np.int64), (number,)).copy()
    for wrong in within[(within < 0) | (within > MAX_MATE_IN)][:1]:
        raise ValueError(f"mate_in must be from 0 to {MAX_MATE_IN} moves, not {wrong}")
    flat = np.ascontiguousarray(predictions).reshape(number, 64)
    squares = np.packbits(flat, axis=1, bitorder="little").view("<u8")[:, 0]
    # No move is on no square.
    squares = np.where((flat <= 1).all(axis=1), squares, np.uint64(0))
    held, legal, winning = np.ascontiguousarray(rows), np.empty(number, np.bool_), np.empty(number, np.bool_)
    run_in_chunks(
        lambda a, b: _judge(held[a:b], squares[a:b], within[a:b], legal[a:b], winning[a:b]),
        number,
        num_threads,
        nanoseconds=1e3 * 5.0 ** int(within.max(initial=0)),
    )
    return legal, winning
