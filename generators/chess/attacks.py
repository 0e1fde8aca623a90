"""Which squares a piece attacks.

Attacks of sliding pieces are found by the subtraction of obstructions: of the pieces on a line, the nearest one below
and the nearest one above bound what is attacked, and one subtraction marks everything between them. It needs 4 kB of
tables.
"""

import numpy as np

from easy_to_hard.generators.bits import leading_zeros, reverse_bytes, trailing_zeros
from easy_to_hard.generators.chess.board import (
    DIAGONALS,
    ENEMY,
    KING_STEPS,
    KINGS,
    KNIGHT_LEAPS,
    KNIGHTS,
    NOT_FILE_A,
    NOT_FILE_H,
    OWN,
    PAWN_ATTACKS_UP,
    PAWNS,
    RAYS,
    STRAIGHTS,
)
from easy_to_hard.generators.kernels import kernel

_1 = np.uint64(1)
_7 = np.uint64(7)
_9 = np.uint64(9)
_63 = np.uint64(63)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel(inline="always")
def _on_line(above, below, occupied):  # type: ignore[no-untyped-def]
    """The squares of a line up to and including the nearest pieces, from the rays above and below a square."""
    upper = occupied & above
    nearest_above = upper & (np.uint64(0) - upper)
    up_to_below = _ALL << (_63 - leading_zeros((occupied & below) | _1))
    return (above | below) & (nearest_above + nearest_above + up_to_below)


@kernel(inline="always")
def straight_attacks(square, occupied):  # type: ignore[no-untyped-def]
    """The squares that a rook on `square` attacks."""
    return _on_line(RAYS[square, 0], RAYS[square, 1], occupied) | _on_line(RAYS[square, 2], RAYS[square, 3], occupied)


@kernel(inline="always")
def diagonal_attacks(square, occupied):  # type: ignore[no-untyped-def]
    """The squares that a bishop on `square` attacks."""
    return _on_line(RAYS[square, 4], RAYS[square, 5], occupied) | _on_line(RAYS[square, 6], RAYS[square, 7], occupied)


@kernel(inline="always")
def attacks_down(pawns):  # type: ignore[no-untyped-def]
    """The squares that any of the pawns attack, for pawns that move down the board."""
    return ((pawns & NOT_FILE_A) >> _9) | ((pawns & NOT_FILE_H) >> _7)


@kernel(inline="always")
def enemy_attackers(position, square, occupied):  # type: ignore[no-untyped-def]
    """The enemy's pieces that attack `square`, if the board is occupied as given."""
    enemy = position[ENEMY]
    return enemy & (
        (PAWN_ATTACKS_UP[square] & position[PAWNS])
        | (KNIGHT_LEAPS[square] & position[KNIGHTS])
        | (KING_STEPS[square] & position[KINGS])
        | (diagonal_attacks(square, occupied) & position[DIAGONALS])
        | (straight_attacks(square, occupied) & position[STRAIGHTS])
    )


@kernel(inline="always")
def enemy_attacks(position, occupied):  # type: ignore[no-untyped-def]
    """All squares that the enemy attacks, if the board is occupied as given."""
    enemy = position[ENEMY]
    attacked = attacks_down(enemy & position[PAWNS]) | KING_STEPS[trailing_zeros(enemy & position[KINGS])]
    pieces = enemy & position[KNIGHTS]
    while pieces:
        attacked |= KNIGHT_LEAPS[trailing_zeros(pieces)]
        pieces &= pieces - _1
    pieces = enemy & position[DIAGONALS]
    while pieces:
        attacked |= diagonal_attacks(trailing_zeros(pieces), occupied)
        pieces &= pieces - _1
    pieces = enemy & position[STRAIGHTS]
    while pieces:
        attacked |= straight_attacks(trailing_zeros(pieces), occupied)
        pieces &= pieces - _1
    return attacked


@kernel(inline="always")
def own_king(position):  # type: ignore[no-untyped-def]
    """The square of the mover's king."""
    return trailing_zeros(position[OWN] & position[KINGS])


@kernel(counted=False)
def in_check(position):  # type: ignore[no-untyped-def]
    """Whether the mover's king is attacked."""
    return enemy_attackers(position, own_king(position), position[OWN] | position[ENEMY]) != 0


@kernel(counted=False)
def turn_board(position, out):  # type: ignore[no-untyped-def]
    """Write the same placement as the other side sees it: mirrored top to bottom, own and enemy exchanged."""
    own = reverse_bytes(position[OWN])
    out[OWN] = reverse_bytes(position[ENEMY])
    out[ENEMY] = own
    for word in range(PAWNS, KINGS + 1):
        out[word] = reverse_bytes(position[word])
