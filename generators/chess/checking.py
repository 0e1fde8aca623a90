"""The check that leaves the fewest replies: a rule that finds many mates without looking further."""

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK, POSITION_WORDS, as_positions
from easy_to_hard.generators.chess.fen import require_possible
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.kernels import kernel


@kernel
def _tightest_checks(positions, chosen):  # type: ignore[no-untyped-def]
    moves, replies = np.empty(MAX_MOVES, dtype=np.int64), np.empty(MAX_MOVES, dtype=np.int64)
    after = np.empty(POSITION_WORDS, dtype=np.uint64)
    for i in range(positions.shape[0]):
        chosen[i], fewest = -1, MAX_MOVES
        for j in range(legal_moves(positions[i], moves)):
            make(positions[i], moves[j], after)
            if not in_check(after):
                continue
            move, number = moves[j] & MOVE_MASK, legal_moves(after, replies)
            if number < fewest or (number == fewest and move < chosen[i]):
                chosen[i], fewest = move, number


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
