"""Random play that leads to positions that look like chess: moves are weighted by a simple sense of material.

Captures that win material, moves out of danger, checks, castling and promotions are likelier; moves that give a piece
away are rarer, but they do occur, so that kings get mated in the end. There is no opening book and no search.
"""

from typing import Final

import numpy as np

from easy_to_hard.generators.bits import count_bits
from easy_to_hard.generators.chess.attacks import attacks_down, enemy_attacks
from easy_to_hard.generators.chess.board import (
    CAPTURE,
    CASTLE,
    CLOCK_MASK,
    DESTINATION_SHIFT,
    EN_PASSANT_CAPTURE,
    ENEMY,
    HALFMOVES_SHIFT,
    KING,
    OWN,
    PAWN,
    PAWNS,
    PIECE_SHIFT,
    PROMOTION_SHIFT,
    QUEEN,
    STATE,
    kind_at,
)
from easy_to_hard.generators.chess.mates import SPECIAL, find_checks, gives_check
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.random import next_below

# Values of pawn, knight, bishop, rook, queen and king, in pawns; a king is never given away.
VALUES: Final = np.array([1, 3, 3, 5, 9, 0], dtype=np.int64)
# Weights of a move, see `move_weight`.
_ANY, _RARE, _VICTIM, _RESCUE, _CHECK, _CASTLE, _PROMOTION = 4, 1, 8, 4, 12, 20, 40
# A game ends after this many half-moves, or this many without a capture or a pawn move.
MAX_PLIES: Final = 200
_MAX_QUIET_PLIES: Final = np.uint64(60)

_CHECK_SHIFT: Final = 22
GIVES_CHECK: Final = 1 << _CHECK_SHIFT

_1 = np.uint64(1)


@kernel(counted=False)
def move_weight(position, move, attacked, attacked_by_pawns):  # type: ignore[no-untyped-def]
    """The weight of a legal move, to which its probability is proportional.

    Args:
        position: the mover's.
        move: legal, with `GIVES_CHECK` set if it gives check.
        attacked, attacked_by_pawns: squares that the enemy, and the enemy's pawns, attack.
    """
    kind = (move >> PIECE_SHIFT) & 7
    origin, to = np.uint64(move & 63), np.uint64((move >> DESTINATION_SHIFT) & 63)
    into_danger, from_danger = (attacked >> to) & _1 != 0, (attacked >> origin) & _1 != 0
    weight = _ANY
    if move & CAPTURE:
        victim = PAWN if move & EN_PASSANT_CAPTURE else kind_at(position, to)
        if into_danger and VALUES[victim] < VALUES[kind]:
            weight = _RARE
        else:
            weight += _VICTIM * VALUES[victim]
    else:
        threatened = kind != PAWN and into_danger and (VALUES[kind] >= 5 or (attacked_by_pawns >> to) & _1 != 0)
        if threatened or (kind == KING and not move & CASTLE):
            weight = _RARE
    if from_danger and not into_danger:
        weight += _RESCUE * VALUES[kind]
    promotion = (move >> PROMOTION_SHIFT) & 7
    if promotion:
        weight = weight + _PROMOTION if promotion == QUEEN else _RARE
    if move & CASTLE:
        weight += _CASTLE
    return weight + _CHECK if move & GIVES_CHECK else weight


@kernel(counted=False)
def mark_checks(position, moves, count, checks, after):  # type: ignore[no-untyped-def]
    """Set the bit `GIVES_CHECK` in each of the first `count` moves that gives check; returns how many do."""
    find_checks(position, checks)
    number = np.int64(0)
    for i in range(count):
        move = moves[i]
        # Most moves neither uncover a check nor are special: they are looked up without a branch, which is faster.
        if move & SPECIAL or (checks[6] >> np.uint64(move & 63)) & _1:
            check = np.int64(gives_check(position, move, checks, after))
        else:
            to = np.uint64((move >> DESTINATION_SHIFT) & 63)
            check = np.int64((checks[(move >> PIECE_SHIFT) & 7] >> to) & _1)
        moves[i] = move | check << _CHECK_SHIFT
        number += check
    return number


@kernel(counted=False)
def choose_move(position, moves, count, weights, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw one of the first `count` of `moves`, which `mark_checks` has marked, by weight from the stream."""
    attacked = enemy_attacks(position, position[OWN] | position[ENEMY])
    attacked_by_pawns = attacks_down(position[ENEMY] & position[PAWNS])
    total = 0
    for i in range(count):
        total += move_weight(position, moves[i], attacked, attacked_by_pawns)
        weights[i] = total
    drawn, chosen = next_below(buffer, cursor, total), 0
    while weights[chosen] <= drawn:
        chosen += 1
    return moves[chosen]


@kernel(counted=False)
def is_over(position):  # type: ignore[no-untyped-def]
    """Whether only the kings are left, or nothing has happened for a long time."""
    quiet = (position[STATE] >> HALFMOVES_SHIFT) & CLOCK_MASK
    return quiet >= _MAX_QUIET_PLIES or count_bits(position[OWN] | position[ENEMY]) <= np.uint64(2)
