"""Which squares of a position are related: what each piece attacks, where it may go, and from where it gives check."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.attacks import diagonal_attacks, in_check, straight_attacks
from easy_to_hard.generators.chess.board import (
    DESTINATION_SHIFT,
    DIAGONALS,
    ENEMY,
    KING_STEPS,
    KINGS,
    KNIGHT_LEAPS,
    KNIGHTS,
    MAX_MOVES,
    OWN,
    PAWN_ATTACKS_DOWN,
    PAWN_ATTACKS_UP,
    PAWNS,
    POSITION_WORDS,
    STRAIGHTS,
    as_positions,
)
from easy_to_hard.generators.chess.fen import require_possible
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

ATTACKS, MOVES, CHECKS = range(3)
RELATIONS: Final = 3

_0 = np.uint64(0)
_1 = np.uint64(1)


@kernel(counted=False)
def attacks_of(position, square):  # type: ignore[no-untyped-def]
    """The squares that the piece on a square, of either side, attacks; none if there is none."""
    piece = _1 << square
    occupied = position[OWN] | position[ENEMY]
    if not occupied & piece:
        return _0
    if piece & position[PAWNS]:
        return PAWN_ATTACKS_UP[square] if piece & position[OWN] else PAWN_ATTACKS_DOWN[square]
    if piece & position[KNIGHTS]:
        return KNIGHT_LEAPS[square]
    if piece & position[KINGS]:
        return KING_STEPS[square]
    attacked = _0
    if piece & position[DIAGONALS]:
        attacked |= diagonal_attacks(square, occupied)
    if piece & position[STRAIGHTS]:
        attacked |= straight_attacks(square, occupied)
    return attacked


@kernel
def _find_relations(positions, words):  # type: ignore[no-untyped-def]
    moves, after = np.empty(MAX_MOVES, dtype=np.int64), np.empty(POSITION_WORDS, dtype=np.uint64)
    for i in range(positions.shape[0]):
        words[i, MOVES:] = 0
        for square in range(64):
            words[i, ATTACKS, square] = attacks_of(positions[i], np.uint64(square))
        for j in range(legal_moves(positions[i], moves)):
            origin, to = moves[j] & 63, _1 << np.uint64((moves[j] >> DESTINATION_SHIFT) & 63)
            words[i, MOVES, origin] |= to
            make(positions[i], moves[j], after)
            if in_check(after):
                words[i, CHECKS, origin] |= to


def find_relations(positions: NDArray[np.uint64], num_threads: int | None = None) -> NDArray[np.uint64]:
    """For each square of each position, the squares that its piece is related to, as a word of 64 bits.

    Args:
        positions: (N, 8) uint64, or rows that begin with them, see `board`.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        (N, 3, 64) uint64: the squares that the piece of either side attacks; those that the mover's piece may legally
        go to; and those of the latter from which check is given, by this piece or another one.

    Raises:
        ValueError: a row is not a position such as a FEN may have.
    """
    held = as_positions(positions)
    require_possible(held)
    words = np.empty((len(held), RELATIONS, 64), dtype=np.uint64)
    run_in_chunks(lambda a, b: _find_relations(held[a:b], words[a:b]), len(held), num_threads, nanoseconds=5_000)
    return words
