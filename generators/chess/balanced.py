"""The variant `balanced`: games and mates that resemble those of people.

Both sides play by a simple judgment of each move: what it takes, what it leaves to be taken, castling and the pawns
before the king, room for the pieces, and how many of them aim at the enemy king. A move half a pawn worse than the best
is half as likely. No move is looked at further ahead, so mates are overlooked.

Of the positions in these games, only those count in which the mover is not ahead and the enemy has much material left.
Three traits of the mates in Lichess's puzzles are still too rare among them: a castled enemy king, a key that offers
the queen or a rook, and a key that leaves the fewest replies. So a share of the puzzles, drawn for each, must have one.
"""

from typing import Final

import numpy as np

from easy_to_hard.generators.bits import count_bits, trailing_zeros
from easy_to_hard.generators.chess.attacks import (
    diagonal_attacks,
    enemy_attacks,
    own_king,
    straight_attacks,
)
from easy_to_hard.generators.chess.board import (
    BISHOP,
    CAPTURE,
    CASTLE,
    DESTINATION_SHIFT,
    DIAGONALS,
    EN_PASSANT_CAPTURE,
    ENEMY,
    KING,
    KING_STEPS,
    KINGS,
    KNIGHT,
    KNIGHT_LEAPS,
    KNIGHTS,
    MAX_MOVES,
    OWN,
    PAWN,
    PAWN_ATTACKS_DOWN,
    PAWN_ATTACKS_UP,
    PAWNS,
    PIECE_SHIFT,
    PROMOTION_SHIFT,
    QUEEN,
    RANK_1,
    ROOK,
    STRAIGHTS,
    kind_at,
)
from easy_to_hard.generators.chess.checking import tightest_check
from easy_to_hard.generators.chess.games import GIVES_CHECK, VALUES
from easy_to_hard.generators.chess.mates import forces_mate
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.random import next_below
from easy_to_hard.generators.scratch import on_stack

# Scores are in quarters of a pawn.
_PAWN_SCORE: Final = 4
_CASTLE, _KING_MOVE, _SHIELD_PAWN, _CENTER_PAWN = 24, -12, -8, 1
_CHECK, _DEVELOP, _AIM, _ROOM = 2, 2, 2, 2
# A score so much lower makes a move half as likely; weights are 16-bit fixed point, and below one the move is not made.
_HALF_LIFE: Final = 2
_STEPS: Final = 4
_WEIGHTS: Final = np.array([round(2 ** (16 - step / _STEPS)) for step in range(_STEPS)], dtype=np.int64)
_LEAST_WEIGHT_BITS: Final = 16

# The enemy has at least this much material, and the mover no more than the enemy, in pawns.
_ENEMY_MATERIAL: Final = 15
# Traits that the key of a puzzle must have.
ANY_KEY, OFFER, TIGHTEST = range(3)
# Shares in percent of the puzzles that must have a trait; deeper mates need more offers, by moves to mate.
_CASTLED_SHARE, _TIGHT_SHARE = 40, 25
_OFFER_SHARES: Final = np.array([0, 0, 15, 20, 26, 26, 26], dtype=np.int64)

_NO_ATTACKER: Final = 0
_KING_ATTACKS: Final = 10
_1 = np.uint64(1)
_BACK_RANK: Final = 56


@kernel(counted=False)
def _cheapest_attacker(position, square, occupied, side):  # type: ignore[no-untyped-def]
    """Value of the cheapest piece of a side (OWN or ENEMY) that attacks a square; 10 for its king, 0 for none."""
    pieces = position[side]
    pawns_from = PAWN_ATTACKS_UP[square] if side == ENEMY else PAWN_ATTACKS_DOWN[square]
    if pawns_from & pieces & position[PAWNS]:
        return VALUES[PAWN]
    if KNIGHT_LEAPS[square] & pieces & position[KNIGHTS]:
        return VALUES[KNIGHT]
    queens = position[DIAGONALS] & position[STRAIGHTS]
    diagonal = diagonal_attacks(square, occupied) & pieces & position[DIAGONALS]
    straight = straight_attacks(square, occupied) & pieces & position[STRAIGHTS]
    if diagonal & ~queens:
        return VALUES[BISHOP]
    if straight & ~queens:
        return VALUES[ROOK]
    if diagonal | straight:
        return VALUES[QUEEN]
    return _KING_ATTACKS if KING_STEPS[square] & pieces & position[KINGS] else _NO_ATTACKER


@kernel(counted=False)
def _left_to_be_taken(after):  # type: ignore[no-untyped-def]
    """What the side to move can win by taking one of the enemy's pieces, and half the second best of it: a score."""
    occupied = after[OWN] | after[ENEMY]
    pieces = after[ENEMY] & ~after[KINGS] & ~after[PAWNS]
    most, second = np.int64(0), np.int64(0)
    while pieces:
        square = trailing_zeros(pieces)
        pieces &= pieces - _1
        attacker = _cheapest_attacker(after, square, occupied, OWN)
        if attacker == _NO_ATTACKER:
            continue
        won = VALUES[kind_at(after, square)]
        if _cheapest_attacker(after, square, occupied, ENEMY) != _NO_ATTACKER:
            won = max(0, won - attacker)
        if won > most:
            most, second = won, most
        elif won > second:
            second = won
    return _PAWN_SCORE * most + _PAWN_SCORE // 2 * second


@kernel(counted=False)
def _aimed_at_king(after):  # type: ignore[no-untyped-def]
    """How many of the enemy's pieces attack a square next to the king of the side to move."""
    around, occupied, enemy = KING_STEPS[own_king(after)], after[OWN] | after[ENEMY], after[ENEMY]
    count = np.int64(0)
    pieces = enemy & after[KNIGHTS]
    while pieces:
        count += np.int64(KNIGHT_LEAPS[trailing_zeros(pieces)] & around != 0)
        pieces &= pieces - _1
    pieces = enemy & after[DIAGONALS]
    while pieces:
        count += np.int64(diagonal_attacks(trailing_zeros(pieces), occupied) & around != 0)
        pieces &= pieces - _1
    pieces = enemy & after[STRAIGHTS]
    while pieces:
        count += np.int64(straight_attacks(trailing_zeros(pieces), occupied) & around != 0)
        pieces &= pieces - _1
    return count


@kernel(counted=False)
def _room(kind, square, occupied, own):  # type: ignore[no-untyped-def]
    """How many squares a knight, bishop, rook or queen reaches from a square."""
    if kind == KNIGHT:
        return np.int64(count_bits(KNIGHT_LEAPS[square] & ~own))
    reached = np.uint64(0)
    if kind != ROOK:
        reached |= diagonal_attacks(square, occupied)
    if kind != BISHOP:
        reached |= straight_attacks(square, occupied)
    return np.int64(count_bits(reached & ~own))


@kernel(counted=False)
def _is_shield(king, pawn):  # type: ignore[no-untyped-def]
    """Whether a pawn is on a king's file or next to it, and the king on its back rank, not on the d- or e-file."""
    file = king & 7
    return king < 8 and (file <= 2 or file >= 5) and abs((pawn & 7) - file) <= 1


@kernel(counted=False)
def move_score(position, move, after):  # type: ignore[no-untyped-def]
    """The judgment of a legal move, in quarters of a pawn.

    Args:
        position: the mover's.
        move: with `GIVES_CHECK` set if it gives check.
        after: (8,) uint64, overwritten with the position after the move.
    """
    make(position, move, after)
    kind = (move >> PIECE_SHIFT) & 7
    origin, to = np.uint64(move & 63), np.uint64((move >> DESTINATION_SHIFT) & 63)
    score = _AIM * _aimed_at_king(after) - _left_to_be_taken(after)
    if move & CAPTURE:
        score += _PAWN_SCORE * VALUES[PAWN if move & EN_PASSANT_CAPTURE else kind_at(position, to)]
    promotion = (move >> PROMOTION_SHIFT) & 7
    if promotion:
        score += _PAWN_SCORE * (VALUES[promotion] - VALUES[PAWN])
    if move & GIVES_CHECK:
        score += _CHECK
    if kind == KING:
        score += _CASTLE if move & CASTLE else _KING_MOVE
    elif kind == PAWN:
        if (move & 7) == 3 or (move & 7) == 4:
            score += _CENTER_PAWN
        if _is_shield(np.int64(own_king(position)), move & 63):
            score += _SHIELD_PAWN
    else:
        own, occupied = position[OWN], position[OWN] | position[ENEMY]
        gain = _room(kind, to, occupied & ~(_1 << origin), own) - _room(kind, origin, occupied, own)
        score += _ROOM * gain // _PAWN_SCORE
        if kind in (KNIGHT, BISHOP):
            leaves, returns = (RANK_1 >> origin) & _1, (RANK_1 >> to) & _1
            score += _DEVELOP * (np.int64(leaves) - np.int64(returns))
    return score


@kernel(counted=False)
def choose_good_move(position, moves, count, weights, after, buffer, cursor):  # type: ignore[no-untyped-def]
    """Draw one of the first `count` of `moves`, which `mark_checks` has marked, by its score from the stream."""
    best = np.int64(-(2**30))
    for i in range(count):
        weights[i] = move_score(position, moves[i], after)
        best = max(best, weights[i])
    total = np.int64(0)
    for i in range(count):
        steps = (best - weights[i]) * _STEPS // _HALF_LIFE
        if steps < _STEPS * _LEAST_WEIGHT_BITS:
            total += _WEIGHTS[steps % _STEPS] >> (steps // _STEPS)
        weights[i] = total
    drawn, chosen = next_below(buffer, cursor, total), 0
    while weights[chosen] <= drawn:
        chosen += 1
    return moves[chosen]


@kernel(counted=False)
def _material(position, side):  # type: ignore[no-untyped-def]
    """What a side (OWN or ENEMY) has, in pawns."""
    pieces, queens = position[side], position[DIAGONALS] & position[STRAIGHTS]
    return (
        VALUES[PAWN] * np.int64(count_bits(pieces & position[PAWNS]))
        + VALUES[KNIGHT] * np.int64(count_bits(pieces & position[KNIGHTS]))
        + VALUES[BISHOP] * np.int64(count_bits(pieces & position[DIAGONALS] & ~queens))
        + VALUES[ROOK] * np.int64(count_bits(pieces & position[STRAIGHTS] & ~queens))
        + VALUES[QUEEN] * np.int64(count_bits(pieces & queens))
    )


@kernel(counted=False)
def draw_traits(mate_in, buffer, cursor):  # type: ignore[no-untyped-def]
    """What a puzzle must have, drawn from its stream: (whether a castled enemy king, and which trait of the key)."""
    castled = next_below(buffer, cursor, 100) < _CASTLED_SHARE
    drawn = next_below(buffer, cursor, 100)
    offers = _OFFER_SHARES[mate_in]
    # The key of a mate in 1 leaves no reply: every one is the tightest, and none is an offer.
    if mate_in == 1 or drawn >= offers + _TIGHT_SHARE:
        return castled, ANY_KEY
    return castled, OFFER if drawn < offers else TIGHTEST


@kernel(counted=False)
def is_balanced(position, castled):  # type: ignore[no-untyped-def]
    """Whether the mover is not ahead, the enemy has much left and, if wanted, its king has castled, by its square."""
    enemy = _material(position, ENEMY)
    if enemy < _ENEMY_MATERIAL or _material(position, OWN) > enemy:
        return False
    king = np.int64(trailing_zeros(position[ENEMY] & position[KINGS]))
    return not castled or (king >= _BACK_RANK and ((king & 7) <= 2 or (king & 7) >= 6))


@kernel(counted=False)
def _is_offer(position, move, attacked, after):  # type: ignore[no-untyped-def]
    """Whether a legal move puts the queen or a rook where the enemy can take it, for less than it is worth.

    after: (8,) uint64, overwritten.
    """
    kind = (move >> PIECE_SHIFT) & 7
    to = np.uint64((move >> DESTINATION_SHIFT) & 63)
    if (kind != QUEEN and kind != ROOK) or not (attacked >> to) & _1:
        return False
    if move & CAPTURE and VALUES[kind_at(position, to)] >= VALUES[kind]:
        return False
    make(position, move, after)
    replies = on_stack(MAX_MOVES)
    for i in range(legal_moves(after, replies)):
        # The other side sees the board mirrored.
        if (replies[i] >> DESTINATION_SHIFT) & 63 == np.int64(to) ^ _BACK_RANK:
            return True
    return False


@kernel(counted=False)
def has_trait(position, moves, count, trait, mate_in, search, quiet, after, child):  # type: ignore[no-untyped-def]
    """Whether some check with a trait (OFFER or TIGHTEST) forces mate, which is sooner known than all keys.

    Args:
        position: the candidate.
        moves: the first `count` are the legal ones of the game's position, as `mark_checks` has marked them. The
            candidate has lost castling and en passant, so a trait may rarely be seen in a move that it has not. For
            TIGHTEST, at least one must give check.
        trait, mate_in, search, quiet: of the mate.
        after, child: (8,) uint64 each, overwritten.
    """
    if trait == TIGHTEST:
        return forces_mate(
            position, tightest_check(position, moves, count, after), mate_in, search, quiet, after, child
        )
    attacked = enemy_attacks(position, position[OWN] | position[ENEMY])
    for i in range(count):
        if not moves[i] & GIVES_CHECK or not _is_offer(position, moves[i], attacked, after):
            continue
        if forces_mate(position, moves[i], mate_in, search, quiet, after, child):
            return True
    return False
