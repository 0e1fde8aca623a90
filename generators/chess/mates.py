"""Forced mates: within how many moves, by which key moves, along which line.

An and-or search over all moves of both sides, so that its result is exact. Of the attacker's moves, the checks that
leave the fewest replies are tried first; of the defender's, the replies that refuted earlier moves. A table remembers
for each position within how many moves mate is proved, and within how many it is ruled out; both are facts, so an
answer never depends on what was searched before. A search whose budget is used up gives no answer, rather than a
guess.
"""

from typing import Final

import numpy as np

from easy_to_hard.generators.bits import trailing_zeros
from easy_to_hard.generators.chess.attacks import diagonal_attacks, in_check, straight_attacks
from easy_to_hard.generators.chess.board import (
    BETWEEN,
    BISHOP,
    CASTLE,
    CASTLING,
    DESTINATION_SHIFT,
    DIAGONALS,
    EN_PASSANT,
    EN_PASSANT_CAPTURE,
    ENEMY,
    KING,
    KINGS,
    KNIGHT,
    KNIGHT_LEAPS,
    LINES,
    MAX_MOVES,
    MOVE_MASK,
    OWN,
    PAWN,
    PAWN_ATTACKS_DOWN,
    PIECE_SHIFT,
    POSITION_WORDS,
    PROMOTION_SHIFT,
    QUEEN,
    ROOK,
    STATE,
    STRAIGHTS,
    copy_position,
)
from easy_to_hard.generators.chess.hashes import board_hash
from easy_to_hard.generators.chess.moves import has_legal_move, legal_moves, make
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.random import mix64
from easy_to_hard.generators.scratch import on_stack

MAX_MATE_IN: Final = 8

# Two positions per move, and the one after the last.
_PLIES: Final = 2 * MAX_MATE_IN + 2
_0 = np.uint64(0)
_1 = np.uint64(1)
_DEPTH_BITS = np.uint64(8)
_DEPTH_MASK = np.uint64(0xFF)
# Words of a budget: how many positions have been searched, at most how many may be, and a number that entries of the
# table must have been made with to count: where it is another one, the table is as good as empty.
SEARCHED, LIMIT, GENERATION = range(3)
NO_LIMIT: Final = 2**62
# The answer of a search that has used up its budget.
UNDECIDED: Final = -1
SPECIAL: Final = CASTLE | EN_PASSANT_CAPTURE | 7 << PROMOTION_SHIFT


@kernel(counted=False)
def find_checks(position, checks):  # type: ignore[no-untyped-def]
    """Write to `checks` (uint64, 8) the squares from which each kind gives check, and the pieces that can uncover one.

    checks[kind] is for pawn to king, checks[6] holds the mover's pieces that stand alone between one of the mover's
    sliders and the enemy king, and checks[7] the square of that king.
    """
    own = position[OWN]
    occupied = own | position[ENEMY]
    king = trailing_zeros(position[ENEMY] & position[KINGS])
    diagonal, straight = diagonal_attacks(king, occupied), straight_attacks(king, occupied)
    checks[PAWN] = PAWN_ATTACKS_DOWN[king]
    checks[KNIGHT] = KNIGHT_LEAPS[king]
    checks[BISHOP], checks[ROOK] = diagonal, straight
    checks[QUEEN] = diagonal | straight
    checks[KING] = _0
    # Sliders that would attack the king if the mover's pieces nearest to it were gone.
    without = occupied & ~(own & (diagonal | straight))
    sliders = own & (
        (diagonal_attacks(king, without) & position[DIAGONALS])
        | (straight_attacks(king, without) & position[STRAIGHTS])
    )
    uncovering = _0
    while sliders:
        shields = BETWEEN[king, trailing_zeros(sliders)] & occupied
        sliders &= sliders - _1
        if shields & (shields - _1) == _0:
            uncovering |= shields & own
    checks[6], checks[7] = uncovering, king


@kernel(inline="always")
def gives_check(position, move, checks, after):  # type: ignore[no-untyped-def]
    """Whether a legal move gives check; `checks` from `find_checks`, `after` (uint64, 8) is overwritten."""
    if move & SPECIAL:
        make(position, move, after)
        return in_check(after)
    origin, to = np.uint64(move & 63), np.uint64((move >> DESTINATION_SHIFT) & 63)
    if (checks[(move >> PIECE_SHIFT) & 7] >> to) & _1:
        return True
    return (checks[6] >> origin) & _1 != _0 and (LINES[checks[7], origin] >> to) & _1 == _0


@kernel(counted=False)
def mates_in_one(position, moves, checks, after, most):  # type: ignore[no-untyped-def]
    """Write the mating moves to the front of `moves` (overwritten); returns how many there are, stopping at `most`."""
    find_checks(position, checks)
    count, found = legal_moves(position, moves), 0
    for i in range(count):
        move = moves[i]
        if gives_check(position, move, checks, after):
            make(position, move, after)
            if not has_legal_move(after):
                moves[found] = move
                found += 1
                if found == most:
                    break
    return found


@kernel(counted=False)
def _table_key(position, kind):  # type: ignore[no-untyped-def]
    """The key of a position in the table, for searches of one kind; in kind 0, all moves are allowed."""
    return mix64(board_hash(position) ^ (position[STATE] & (CASTLING | EN_PASSANT)) ^ np.uint64(kind) << np.uint64(32))


@kernel(counted=False)
def _remember(table, place, key, proved, ruled_out):  # type: ignore[no-untyped-def]
    """Store within how many moves mate is proved (0: not proved), and within how many it is ruled out."""
    if table[place, 0] == key:
        known = table[place, 1]
        if proved == _0 or (known & _DEPTH_MASK != _0 and known & _DEPTH_MASK < proved):
            proved = known & _DEPTH_MASK
        ruled_out = max(ruled_out, known >> _DEPTH_BITS)
    table[place, 0] = key
    table[place, 1] = proved | ruled_out << _DEPTH_BITS


@kernel(counted=False)
def _order_moves(position, moves, count, checks, after, replies):  # type: ignore[no-untyped-def]
    """Move the checks to the front, those with the fewest replies first; returns how many, or -1 if one mates.

    A move that mates is then the first of all moves.
    """
    find_checks(position, checks)
    front = 0
    for i in range(count):
        move = moves[i]
        if not gives_check(position, move, checks, after):
            continue
        make(position, move, after)
        number = legal_moves(after, replies)
        if number == 0:
            moves[i], moves[0] = moves[0], move
            return -1
        # Insert by the number of replies, kept above the bits of the move while sorting.
        moves[i] = moves[front]
        place = front
        while place > 0 and moves[place - 1] >> 32 > number:
            moves[place] = moves[place - 1]
            place -= 1
        moves[place] = move | number << 32
        front += 1
    for i in range(front):
        moves[i] &= 0xFFFFFFFF
    return front


@kernel(counted=False)
def _try_refutations_first(moves, count, refutations):  # type: ignore[no-untyped-def]
    """Move the two replies that last refuted a move at this ply to the front."""
    front = 0
    for refutation in refutations:
        for i in range(front, count):
            if moves[i] == refutation:
                moves[i], moves[front] = moves[front], refutation
                front += 1
                break


@kernel(
    signature="int64(uint64[:,::1], int64[:,::1], uint64[:,::1], int64[:,::1], int64[::1], int64, int64, int64)",
    counted=False,
)
def _search(positions, moves, table, refutations, budget, ply, within, quiet):  # type: ignore[no-untyped-def]
    """At an even ply, whether the mover can force mate within `within` moves (at least 1), at most `quiet` of which do
    not give check; at an odd ply, whether the mover cannot escape being mated in this way (0: is mated now).

    1 for yes, 0 for no, or `UNDECIDED`.
    """
    budget[SEARCHED] += 1
    # Another thread may lower the limit at any time.
    if budget[SEARCHED] > budget[LIMIT]:
        return UNDECIDED
    position, own_moves, child = positions[ply], moves[ply], positions[ply + 1]
    checks, after = positions[-1], positions[-2]
    if ply & 1:
        count = legal_moves(position, own_moves)
        if count == 0:
            return 1 if in_check(position) else 0
        if within == 0:
            return 0
        _try_refutations_first(own_moves, count, refutations[ply])
        for i in range(count):
            make(position, own_moves[i], child)
            answer = _search(positions, moves, table, refutations, budget, ply + 1, within, quiet)
            if answer == 0 and refutations[ply, 0] != own_moves[i]:
                refutations[ply, 1], refutations[ply, 0] = refutations[ply, 0], own_moves[i]
            if answer != 1:
                return answer
        return 1
    if within == 1:
        return mates_in_one(position, own_moves, checks, after, 1)
    # The last move always gives check.
    quiet = min(quiet, within - 1)
    key = _table_key(position, 0 if quiet == within - 1 else 1 + quiet)
    place = np.int64(key) & (table.shape[0] - 1)
    key ^= np.uint64(budget[GENERATION])
    if table[place, 0] == key:
        known = table[place, 1]
        if np.int64(known >> _DEPTH_BITS) >= within:
            return 0
        if _0 < known & _DEPTH_MASK and np.int64(known & _DEPTH_MASK) <= within:
            return 1
    count = legal_moves(position, own_moves)
    front = _order_moves(position, own_moves, count, checks, after, moves[ply + 1])
    if front < 0:
        _remember(table, place, key, _1, _0)
        return 1
    for i in range(count if quiet else front):
        make(position, own_moves[i], child)
        answer = _search(positions, moves, table, refutations, budget, ply + 1, within - 1, quiet - (i >= front))
        if answer == 1:
            _remember(table, place, key, np.uint64(within), _0)
        if answer != 0:
            return answer
    _remember(table, place, key, _0, np.uint64(within))
    return 0


@kernel(inline="always")
def table_entries(within):  # type: ignore[no-untyped-def]
    """How large a table a search for mates within so many moves needs."""
    return 1 << min(4 * within + 2, 18)


@kernel
def new_search(entries):  # type: ignore[no-untyped-def]
    """Allocate what a search needs: positions, moves, table (`entries` is a power of two), refutations, budget."""
    budget = np.zeros(3, dtype=np.int64)
    budget[LIMIT] = NO_LIMIT
    return (
        np.empty((_PLIES + 2, POSITION_WORDS), dtype=np.uint64),
        np.empty((_PLIES, MAX_MOVES), dtype=np.int64),
        np.zeros((entries, 2), dtype=np.uint64),
        np.zeros((_PLIES, 2), dtype=np.int64),
        budget,
    )


@kernel(counted=False)
def mate_within(position, most, search, quiet):  # type: ignore[no-untyped-def]
    """In how many moves, at most `most`, the mover can force mate; 0 if it cannot, or `UNDECIDED`.

    At most `quiet` of the moves may be without check; `MAX_MATE_IN` allows all, so that the answer is exact.
    """
    for within in range(1, most + 1):
        answer = can_mate(position, within, search, quiet)
        if answer:
            return within if answer == 1 else answer
    return 0


@kernel(counted=False)
def can_mate(position, within, search, quiet):  # type: ignore[no-untyped-def]
    """Whether the mover can force mate within `within` moves, at most `quiet` without check: 1, 0, or `UNDECIDED`."""
    positions, moves, table, refutations, budget = search
    copy_position(position, positions[0])
    return _search(positions, moves, table, refutations, budget, 0, within, quiet)


@kernel(counted=False)
def forces_mate(position, move, within, search, quiet, after, child):  # type: ignore[no-untyped-def]
    """Whether a legal move starts a mate in at most `within` moves, of which at most `quiet` later ones do not give
    check; not if the search is undecided.

    after, child: (8,) uint64 each, overwritten.
    """
    make(position, move, after)
    replies = on_stack(MAX_MOVES)
    count = legal_moves(after, replies)
    if count == 0:
        return in_check(after)
    if within == 1:
        return False
    for i in range(count):
        make(after, replies[i], child)
        if mate_within(child, within - 1, search, quiet) < 1:
            return False
    return True


@kernel(counted=False)
def find_keys(position, within, search, keys, most):  # type: ignore[no-untyped-def]
    """Write the moves that force mate within `within` moves to `keys`; returns how many, stopping at `most`.

    Or `UNDECIDED`, if the budget is used up before all are known.
    """
    return _find_keys(position, within, search, keys, most, MAX_MATE_IN)


@kernel(counted=False)
def find_one_key(position, within, search, keys):  # type: ignore[no-untyped-def]
    """Write a move that forces mate within `within` moves to keys[0]; returns how many: 1, 0, or `UNDECIDED`.

    The attacker tries with checks alone, then with at most one move without check, then with all moves; the defender
    has all moves every time, so what is found is proved, and only the last time is mate ruled out.
    """
    for quiet in range(min(2, within - 1)):
        found = _find_keys(position, within, search, keys, 1, quiet)
        if found:
            return found
    return _find_keys(position, within, search, keys, 1, MAX_MATE_IN)


@kernel(counted=False)
def _find_keys(position, within, search, keys, most, quiet):  # type: ignore[no-untyped-def]
    """`find_keys` among the mates in which at most `quiet` moves do not give check."""
    positions, moves, table, refutations, budget = search
    if within == 1:
        found = mates_in_one(position, moves[0], positions[-1], positions[-2], most)
        for i in range(found):
            keys[i] = moves[0, i]
        return found
    count, found = legal_moves(position, moves[0]), 0
    front = _order_moves(position, moves[0], count, positions[-1], positions[-2], moves[1])
    if front < 0:
        # There is a mate in 1, and the moves are in no order.
        front = count
    for i in range(count if quiet else front):
        make(position, moves[0, i], positions[1])
        answer = _search(positions, moves, table, refutations, budget, 1, within - 1, quiet - (i >= front))
        if answer == UNDECIDED:
            return answer
        if answer:
            keys[found] = moves[0, i]
            found += 1
            if found == most:
                break
    return found


@kernel(counted=False)
def only_key(position, mate_in, search):  # type: ignore[no-untyped-def]
    """The one move that forces mate in exactly `mate_in` moves, or -1 if mate takes fewer or more or is not unique."""
    keys = on_stack(2)
    if mate_in > 1 and mate_within(position, mate_in - 1, search, MAX_MATE_IN):
        return np.int64(-1)
    return keys[0] if find_keys(position, mate_in, search, keys, 2) == 1 else np.int64(-1)


@kernel
def solution_line(position, mate_in, search, line):  # type: ignore[no-untyped-def]
    """Write the 2 mate_in - 1 moves of the longest defense to `line`, each as its own mover sees it; returns whether
    the budget was enough.

    The attacker plays the move that mates soonest, the first of these in search order; the defender plays the first
    legal move that delays the mate longest.

    Args:
        position: one with mate in exactly `mate_in`.
        mate_in: 1 to `MAX_MATE_IN`.
        search: from `new_search`.
        line: int64, at least 2 mate_in - 1 long.
    """
    current, after = np.empty(POSITION_WORDS, dtype=np.uint64), np.empty(POSITION_WORDS, dtype=np.uint64)
    keys, replies = np.empty(1, dtype=np.int64), np.empty(MAX_MOVES, dtype=np.int64)
    current[:] = position
    for left in range(mate_in, 0, -1):
        if find_keys(current, left, search, keys, 1) < 1:
            return False
        place = 2 * (mate_in - left)
        line[place] = keys[0] & MOVE_MASK
        if left == 1:
            break
        make(current, keys[0], after)
        count = legal_moves(after, replies)
        for i in range(count):
            make(after, replies[i], current)
            if left == 2 or mate_within(current, left - 2, search, MAX_MATE_IN) == 0:
                line[place + 1] = replies[i] & MOVE_MASK
                break
    return True
