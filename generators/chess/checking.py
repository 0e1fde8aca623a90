"""The check that leaves the fewest replies: a rule that finds many mates without looking further."""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK, POSITION_WORDS, as_positions
from easy_to_hard.generators.chess.fen import require_possible
from easy_to_hard.generators.chess.games import GIVES_CHECK, mark_checks
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.scratch import on_stack


@kernel(counted=False)
def tightest_check(position, moves, count, after):  # type: ignore[no-untyped-def]
    """Of the first `count` of `moves`, which `mark_checks` has marked, the check with the fewest replies, of several
    the one with the lowest number; -1 if none gives check.

    after: (8,) uint64, overwritten.
    """
    replies = on_stack(MAX_MOVES)
    chosen, fewest = np.int64(-1), MAX_MOVES
    for i in range(count):
        if not moves[i] & GIVES_CHECK:
            continue
        make(position, moves[i], after)
        number = legal_moves(after, replies)
        if number < fewest or (number == fewest and moves[i] & MOVE_MASK < chosen & MOVE_MASK):
            chosen, fewest = moves[i], number
    return chosen


@kernel
def _tightest_checks(positions, chosen):  # type: ignore[no-untyped-def]
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    checks, after = np.empty(8, dtype=np.uint64), np.empty(POSITION_WORDS, dtype=np.uint64)
    for i in range(positions.shape[0]):
        count = legal_moves(positions[i], moves)
        mark_checks(positions[i], moves, count, checks, after)
        move = tightest_check(positions[i], moves, count, after)
        chosen[i] = move if move < 0 else move & MOVE_MASK


def tightest_checks(positions: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The move that gives check and leaves the fewest legal replies, of several the one with the lowest number.

    Args:
        positions: (N, 8) uint64, or rows that begin with them, see `board`.

    Returns:
        (N,) int64, moves of 15 bits; -1 where no move gives check.

    Raises:
        ValueError: a row is not a position such as a FEN may have.
    """
    held = as_positions(positions)
    require_possible(held)
    chosen = np.empty(len(held), dtype=np.int64)
    _tightest_checks(held, chosen)
    return chosen
