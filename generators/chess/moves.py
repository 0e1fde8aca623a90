"""Legal moves: found from checks and pins, without trying them, and made by writing the position that follows."""

import numpy as np

from easy_to_hard.generators.bits import reverse_bytes, trailing_zeros
from easy_to_hard.generators.chess.attacks import (
    attacks_down,
    diagonal_attacks,
    enemy_attackers,
    enemy_attacks,
    own_king,
    straight_attacks,
)
from easy_to_hard.generators.chess.board import (
    BETWEEN,
    CAPTURE,
    CASTLE,
    CASTLING,
    CLOCK_MASK,
    DESTINATION_SHIFT,
    DIAGONALS,
    DOUBLE_STEP,
    EN_PASSANT,
    EN_PASSANT_CAPTURE,
    EN_PASSANT_SHIFT,
    ENEMY,
    FULLMOVES_SHIFT,
    HALFMOVES_SHIFT,
    KING,
    KING_STEPS,
    KINGS,
    KNIGHT,
    KNIGHT_LEAPS,
    KNIGHTS,
    LINES,
    MAX_MOVES,
    MOVE_MASK,
    NOT_FILE_A,
    NOT_FILE_H,
    OWN,
    OWN_LONG,
    OWN_SHORT,
    PAWN,
    PAWNS,
    PIECE_SHIFT,
    PROMOTION_SHIFT,
    QUEEN,
    RANK_3,
    STATE,
    STRAIGHTS,
    exchange_rights,
)
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.scratch import on_stack

_0 = np.uint64(0)
_1 = np.uint64(1)
_8 = np.uint64(8)
_16 = np.uint64(16)
_CLOCKS = CLOCK_MASK << HALFMOVES_SHIFT
_HALFMOVE = _1 << HALFMOVES_SHIFT
_FULLMOVE = _1 << FULLMOVES_SHIFT
_E1 = 4
_SHORT_EMPTY, _SHORT_SAFE = np.uint64(0x60), np.uint64(0x70)
_LONG_EMPTY, _LONG_SAFE = np.uint64(0x0E), np.uint64(0x1C)


def _rights_kept() -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """(64,): the bits of STATE that are kept when a piece leaves or enters a square."""
    kept = np.full(64, 2**64 - 1, dtype=np.uint64)
    for square, lost in ((0, 2), (4, 3), (7, 1), (56, 8), (60, 12), (63, 4)):
        kept[square] ^= np.uint64(lost)
    return kept


def _words_of_kinds() -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """(6, 5): all ones where a kind of piece is part of a word, PAWNS to KINGS."""
    words = np.zeros((6, 5), dtype=np.uint64)
    for kind, places in enumerate(((0,), (1,), (2,), (3,), (2, 3), (4,))):
        for place in places:
            words[kind, place] = 2**64 - 1
    return words


_RIGHTS_KEPT = _rights_kept()
_WORDS_OF_KINDS = _words_of_kinds()


@kernel(inline="always")
def _add(moves, count, origin, destinations, kind, enemy):  # type: ignore[no-untyped-def]
    """Write the moves of a piece to all its destinations; returns the new count."""
    start = np.int64(origin) | kind << PIECE_SHIFT
    while destinations:
        to = trailing_zeros(destinations)
        destinations &= destinations - _1
        captures = np.int64((enemy >> to) & _1)
        moves[count] = start | np.int64(to) << DESTINATION_SHIFT | captures * CAPTURE
        count += 1
    return count


@kernel(inline="always")
def _add_pawns(moves, count, destinations, step, pinned, king, flags):  # type: ignore[no-untyped-def]
    """Write the moves of pawns that reach `destinations` from `step` squares below; returns the new count."""
    while destinations:
        to = trailing_zeros(destinations)
        destinations &= destinations - _1
        origin = to - step
        if (pinned >> origin) & _1 and not (LINES[king, origin] >> to) & _1:
            continue
        move = np.int64(origin) | np.int64(to) << DESTINATION_SHIFT | flags
        if to >= np.uint64(56):
            for kind in range(QUEEN, PAWN, -1):
                moves[count] = move | kind << PROMOTION_SHIFT
                count += 1
        else:
            moves[count] = move
            count += 1
    return count


@kernel(counted=False)
def _pinned(position, king):  # type: ignore[no-untyped-def]
    """The mover's pieces that stand alone between their king and an enemy slider."""
    own, enemy = position[OWN], position[ENEMY]
    pinners = enemy & (
        (straight_attacks(king, enemy) & position[STRAIGHTS]) | (diagonal_attacks(king, enemy) & position[DIAGONALS])
    )
    pinned = _0
    while pinners:
        shields = BETWEEN[king, trailing_zeros(pinners)] & own
        pinners &= pinners - _1
        if shields & (shields - _1) == _0:
            pinned |= shields
    return pinned


@kernel(counted=False)
def _add_en_passant(position, moves, count, king):  # type: ignore[no-untyped-def]
    """Write en-passant captures, each tried on the board: two pawns leave a line at once, which pins do not show."""
    to = (position[STATE] & EN_PASSANT) >> EN_PASSANT_SHIFT
    captured = _1 << (to - _8)
    arrival = _1 << to
    pawns = position[OWN] & position[PAWNS] & attacks_down(arrival)
    occupied = position[OWN] | position[ENEMY]
    while pawns:
        origin = trailing_zeros(pawns)
        pawns &= pawns - _1
        after = (occupied ^ captured ^ (_1 << origin)) | arrival
        if enemy_attackers(position, king, after) & ~captured == _0:
            moves[count] = np.int64(origin) | np.int64(to) << DESTINATION_SHIFT | np.int64(CAPTURE | EN_PASSANT_CAPTURE)
            count += 1
    return count


@kernel(inline="always")
def _add_all_pawns(position, moves, count, allowed, pinned, king):  # type: ignore[no-untyped-def]
    own, enemy = position[OWN], position[ENEMY]
    free = ~(own | enemy)
    pawns = own & position[PAWNS]
    single = (pawns << _8) & free
    double = ((single & RANK_3) << _8) & free
    count = _add_pawns(moves, count, single & allowed, _8, pinned, king, 0)
    count = _add_pawns(moves, count, double & allowed, _16, pinned, king, DOUBLE_STEP)
    captures = enemy & allowed
    left = ((pawns & NOT_FILE_A) << np.uint64(7)) & captures
    right = ((pawns & NOT_FILE_H) << np.uint64(9)) & captures
    count = _add_pawns(moves, count, left, np.uint64(7), pinned, king, CAPTURE)
    count = _add_pawns(moves, count, right, np.uint64(9), pinned, king, CAPTURE)
    if position[STATE] & EN_PASSANT:
        count = _add_en_passant(position, moves, count, king)
    return count


@kernel(inline="always")
def _add_castling(state, moves, count, occupied, danger):  # type: ignore[no-untyped-def]
    start = _E1 | KING << PIECE_SHIFT | CASTLE
    if state & OWN_SHORT and not occupied & _SHORT_EMPTY and not danger & _SHORT_SAFE:
        moves[count] = start | (_E1 + 2) << DESTINATION_SHIFT
        count += 1
    if state & OWN_LONG and not occupied & _LONG_EMPTY and not danger & _LONG_SAFE:
        moves[count] = start | (_E1 - 2) << DESTINATION_SHIFT
        count += 1
    return count


@kernel(counted=False)
def legal_moves(position, moves):  # type: ignore[no-untyped-def]
    """Write all legal moves to `moves` (int64, 256 long); returns how many there are."""
    own, enemy = position[OWN], position[ENEMY]
    occupied = own | enemy
    king = own_king(position)
    danger = enemy_attacks(position, occupied & ~(_1 << king))
    count = _add(moves, 0, king, KING_STEPS[king] & ~own & ~danger, KING, enemy)
    allowed = ~own
    if (danger >> king) & _1:
        checkers = enemy_attackers(position, king, occupied)
        if checkers & (checkers - _1):
            return count
        allowed = checkers | BETWEEN[king, trailing_zeros(checkers)]
    elif position[STATE] & (OWN_SHORT | OWN_LONG):
        count = _add_castling(position[STATE], moves, count, occupied, danger)
    pinned = _pinned(position, king)
    count = _add_all_pawns(position, moves, count, allowed, pinned, king)
    pieces = own & position[KNIGHTS] & ~pinned
    while pieces:
        origin = trailing_zeros(pieces)
        pieces &= pieces - _1
        count = _add(moves, count, origin, KNIGHT_LEAPS[origin] & allowed, KNIGHT, enemy)
    pieces = own & (position[DIAGONALS] | position[STRAIGHTS])
    while pieces:
        origin = trailing_zeros(pieces)
        pieces &= pieces - _1
        destinations, kind = _0, 1
        if (position[DIAGONALS] >> origin) & _1:
            destinations |= diagonal_attacks(origin, occupied)
            kind += 1
        if (position[STRAIGHTS] >> origin) & _1:
            destinations |= straight_attacks(origin, occupied)
            kind += 2
        if (pinned >> origin) & _1:
            destinations &= LINES[king, origin]
        count = _add(moves, count, origin, destinations & allowed, kind, enemy)
    return count


@kernel(counted=False)
def has_legal_move(position):  # type: ignore[no-untyped-def]
    """Whether the mover has any move: cheaper than counting them."""
    own, enemy = position[OWN], position[ENEMY]
    occupied = own | enemy
    king = own_king(position)
    steps = KING_STEPS[king] & ~own
    if steps & ~enemy_attacks(position, occupied & ~(_1 << king)):
        return True
    return legal_moves(position, on_stack(MAX_MOVES)) > 0


@kernel(counted=False)
def make(position, move, out):  # type: ignore[no-untyped-def]
    """Write the position after a legal move, as the new mover sees it, to `out` (another array)."""
    origin, to = np.uint64(move & 63), np.uint64((move >> DESTINATION_SHIFT) & 63)
    kind, promotion = (move >> PIECE_SHIFT) & 7, (move >> PROMOTION_SHIFT) & 7
    left, arrival = _1 << origin, _1 << to
    own = (position[OWN] ^ left) | arrival
    enemy = position[ENEMY] & ~arrival
    cleared = ~(left | arrival)
    straights = position[STRAIGHTS] & cleared
    pawns = position[PAWNS] & cleared
    if move & (EN_PASSANT_CAPTURE | CASTLE):
        if move & CASTLE:
            rook = np.uint64(0xA0) if to > origin else np.uint64(0x09)
            own ^= rook
            straights ^= rook
        else:
            captured = arrival >> _8
            enemy ^= captured
            pawns ^= captured
    placed = np.uint64(promotion if promotion else kind)
    state = position[STATE] & _RIGHTS_KEPT[origin] & _RIGHTS_KEPT[to]
    black = (state >> _16) & _1
    rights = state & CASTLING
    clocks = state >> HALFMOVES_SHIFT << HALFMOVES_SHIFT
    clocks = (clocks & ~_CLOCKS) if kind == PAWN or move & CAPTURE else clocks + _HALFMOVE
    state = clocks + black * _FULLMOVE | (_1 - black) << _16 | exchange_rights(rights)
    if move & DOUBLE_STEP:
        # The square is kept only if a pawn can capture there: 16..23 is 40..47 in the new mover's view.
        beside = ((arrival & NOT_FILE_A) >> _1) | ((arrival & NOT_FILE_H) << _1)
        if beside & enemy & position[PAWNS]:
            state |= ((to - _8) ^ np.uint64(56)) << EN_PASSANT_SHIFT
    out[OWN] = reverse_bytes(enemy)
    out[ENEMY] = reverse_bytes(own)
    out[PAWNS] = reverse_bytes(pawns | (arrival & _WORDS_OF_KINDS[placed, 0]))
    out[KNIGHTS] = reverse_bytes((position[KNIGHTS] & cleared) | (arrival & _WORDS_OF_KINDS[placed, 1]))
    out[DIAGONALS] = reverse_bytes((position[DIAGONALS] & cleared) | (arrival & _WORDS_OF_KINDS[placed, 2]))
    out[STRAIGHTS] = reverse_bytes(straights | (arrival & _WORDS_OF_KINDS[placed, 3]))
    out[KINGS] = reverse_bytes((position[KINGS] & cleared) | (arrival & _WORDS_OF_KINDS[placed, 4]))
    out[STATE] = state


@kernel(counted=False)
def find_legal(position, move, moves):  # type: ignore[no-untyped-def]
    """The kernels' form of a move given by its lowest 15 bits, or -1 if it is not legal; `moves` is overwritten."""
    for i in range(legal_moves(position, moves)):
        if moves[i] & MOVE_MASK == move:
            return moves[i]
    return np.int64(-1)
