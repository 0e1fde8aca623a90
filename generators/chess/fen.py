"""FEN: positions as text, read and written on bytes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.bits import count_bits
from easy_to_hard.generators.chess.attacks import attacks_down, in_check, turn_board
from easy_to_hard.generators.chess.board import (
    BLACK_TO_MOVE,
    CASTLING,
    CLOCK_MASK,
    DIAGONALS,
    EN_PASSANT,
    EN_PASSANT_CAPTURE,
    EN_PASSANT_SHIFT,
    ENEMY,
    FULLMOVES_SHIFT,
    HALFMOVES_SHIFT,
    KINGS,
    KNIGHTS,
    MAX_MOVES,
    OWN,
    PAWNS,
    POSITION_WORDS,
    RANK_1,
    RANK_8,
    STATE,
    STRAIGHTS,
    exchange_rights,
    kind_at,
)
from easy_to_hard.generators.chess.moves import legal_moves
from easy_to_hard.generators.chess.uci import read_square, write_square
from easy_to_hard.generators.kernels import kernel

# What is wrong with a FEN: `read_fen` returns an index into this list.
REASONS: Final = (
    "",
    "the board does not have eight ranks of eight squares, or has adjacent numbers or a character that is no piece",
    "each side must have one king",
    "a pawn stands on the first or the last rank",
    "the side to move must be w or b",
    "castling must be - or some of KQkq, each once",
    "castling is allowed without king and rook in place",
    "the en-passant square is not behind a pawn that has just moved two squares",
    "the side that has moved is in check",
    "the clocks must be whole numbers of at most four digits",
    "there must be four or six fields, with one space between them",
    "a side has more pieces than its eight pawns and their promotions can give",
)
(
    _FINE,
    _BAD_BOARD,
    _BAD_KINGS,
    _BAD_PAWNS,
    _BAD_SIDE,
    _BAD_CASTLING,
    _LOST_CASTLING,
    _BAD_EN_PASSANT,
    _BAD_CHECK,
    _BAD_CLOCK,
    _BAD_FIELDS,
    _TOO_MANY,
) = range(len(REASONS))
START_FEN: Final = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
MAX_FEN: Final = 100

_0 = np.uint64(0)
_1 = np.uint64(1)
_8 = np.uint64(8)
_LAST_CLOCK = 9999
_SPACE, _SLASH, _DASH = ord(" "), ord("/"), ord("-")
_DIGIT_0 = ord("0")
_SMALL_B, _SMALL_W = ord("b"), ord("w")
# Letters in the order of the kinds.
_PIECES = np.frombuffer(b"pnbrqk", dtype=np.uint8)
_RIGHTS = np.frombuffer(b"KQkq", dtype=np.uint8)
# Squares of king and rook for each right, as White sees them.
_HOME_KINGS = np.array([4, 4, 60, 60], dtype=np.uint64)
_HOME_ROOKS = np.array([7, 0, 63, 56], dtype=np.uint64)


def _kinds_of_letters() -> NDArray[np.int8]:
    """(256,): the kind of piece that a letter stands for, plus 8 for White's; -1 for any other byte."""
    kinds = np.full(256, -1, dtype=np.int8)
    for kind, letter in enumerate("pnbrqk"):
        kinds[ord(letter)], kinds[ord(letter.upper())] = kind, kind + 8
    return kinds


_KINDS = _kinds_of_letters()


@kernel
def _read_board(text, start, stop, board):  # type: ignore[no-untyped-def]
    """Read the placement into `board`, White's view and White's pieces as OWN; returns where it ends, or -1."""
    board[:] = _0
    rank, file, place, after_digit = 7, 0, start, False
    while place < stop and text[place] != _SPACE:
        letter = text[place]
        place += 1
        if letter == _SLASH:
            if file != 8 or rank == 0:
                return -1
            rank, file, after_digit = rank - 1, 0, False
            continue
        if _DIGIT_0 < letter <= _DIGIT_0 + 8:
            if after_digit:
                return -1
            file += letter - _DIGIT_0
            after_digit = True
        else:
            after_digit = False
            kind = _KINDS[letter]
            if kind < 0 or file > 7:
                return -1
            bit = _1 << np.uint64(8 * rank + file)
            board[OWN if kind >= 8 else ENEMY] |= bit
            kind &= 7
            if kind == 0:
                board[PAWNS] |= bit
            elif kind == 1:
                board[KNIGHTS] |= bit
            elif kind == 5:
                board[KINGS] |= bit
            else:
                if kind != 3:
                    board[DIAGONALS] |= bit
                if kind != 2:
                    board[STRAIGHTS] |= bit
            file += 1
        if file > 8:
            return -1
    return place if rank == 0 and file == 8 else -1


@kernel
def _too_many(side, board):  # type: ignore[no-untyped-def]
    """Whether a side has more pawns and promoted pieces than eight.

    More than `MAX_MOVES` legal moves would be written past the end of the array. With material that a game can have,
    there are at most 218; with arbitrary sixteen pieces, 241 have been seen.
    """
    diagonals, straights = side & board[DIAGONALS], side & board[STRAIGHTS]
    total = np.int64(count_bits(side & board[PAWNS]))
    for pieces, at_the_start in (
        (side & board[KNIGHTS], 2),
        (diagonals & ~straights, 2),
        (straights & ~diagonals, 2),
        (diagonals & straights, 1),
    ):
        promoted = np.int64(count_bits(pieces)) - at_the_start
        if promoted > 0:
            total += promoted
    return total > 8


@kernel
def _check_board(board):  # type: ignore[no-untyped-def]
    own, enemy = board[OWN], board[ENEMY]
    if count_bits(own & board[KINGS]) != _1 or count_bits(enemy & board[KINGS]) != _1:
        return _BAD_KINGS
    if board[PAWNS] & (RANK_1 | RANK_8):
        return _BAD_PAWNS
    return _TOO_MANY if _too_many(own, board) or _too_many(enemy, board) else _FINE


@kernel
def _check_mover(position, turned):  # type: ignore[no-untyped-def]
    """That the mover cannot take the enemy king; `turned` (uint64, 8) is overwritten."""
    turn_board(position, turned)
    return _BAD_CHECK if in_check(turned) else _FINE


@kernel
def _check_positions(positions, reasons):  # type: ignore[no-untyped-def]
    """Write to `reasons` an index into `REASONS` for each position, 0 if all is well."""
    turned = np.empty(POSITION_WORDS, dtype=np.uint64)
    for i in range(positions.shape[0]):
        reason = _check_board(positions[i])
        reasons[i] = _check_mover(positions[i], turned) if reason == _FINE else reason


def require_possible(positions: NDArray[np.uint64]) -> None:
    """Raise ValueError for the first of (N, 8) uint64 positions whose pieces are not such as a FEN may have.

    The kernels have room for `MAX_MOVES` moves and expect one king per side, which cannot be taken.
    """
    shared, kinds = positions[:, OWN] & positions[:, ENEMY], np.zeros(len(positions), dtype=np.uint64)
    for words in ((PAWNS,), (KNIGHTS,), (DIAGONALS, STRAIGHTS), (KINGS,)):
        pieces = np.bitwise_or.reduce(positions[:, words], axis=1)
        shared |= kinds & pieces
        kinds |= pieces
    for row in np.flatnonzero((shared != 0) | (kinds != positions[:, OWN] | positions[:, ENEMY]))[:1]:
        raise ValueError(f"position {row}: a square holds more than one piece, or a piece of no side")
    reasons = np.empty(len(positions), dtype=np.int64)
    _check_positions(positions, reasons)
    for row in np.flatnonzero(reasons)[:1]:
        raise ValueError(f"position {row}: {REASONS[reasons[row]]}")


@kernel
def _read_castling(text, start, stop, board):  # type: ignore[no-untyped-def]
    """Read the castling rights; returns (KQkq bits, reason)."""
    rights = _0
    if stop - start == 1 and text[start] == _DASH:
        return rights, _FINE
    if stop == start:
        return rights, _BAD_CASTLING
    rooks = board[STRAIGHTS] & ~board[DIAGONALS]
    for place in range(start, stop):
        which = -1
        for i in range(4):
            if text[place] == _RIGHTS[i]:
                which = i
        if which < 0 or (rights >> np.uint64(which)) & _1:
            return rights, _BAD_CASTLING
        side = board[OWN] if which < 2 else board[ENEMY]
        king, rook = _1 << _HOME_KINGS[which], _1 << _HOME_ROOKS[which]
        if not side & board[KINGS] & king or not side & rooks & rook:
            return rights, _LOST_CASTLING
        rights |= _1 << np.uint64(which)
    return rights, _FINE


@kernel
def _read_clock(text, start, stop):  # type: ignore[no-untyped-def]
    """Read a whole number of one to four digits; returns -1 if it is none."""
    if not 1 <= stop - start <= 4:
        return -1
    value = 0
    for place in range(start, stop):
        digit = int(text[place]) - _DIGIT_0
        if not 0 <= digit <= 9:
            return -1
        value = 10 * value + digit
    return value


@kernel
def _set_en_passant(position, square):  # type: ignore[no-untyped-def]
    """Store the square (the mover's view) if a pawn has just passed it; it is kept only if a pawn can capture there."""
    occupied = position[OWN] | position[ENEMY]
    if not 40 <= square < 48:
        return _BAD_EN_PASSANT
    bit = _1 << np.uint64(square)
    if occupied & (bit | bit << _8) or not position[ENEMY] & position[PAWNS] & (bit >> _8):
        return _BAD_EN_PASSANT
    if attacks_down(bit) & position[OWN] & position[PAWNS]:
        position[STATE] |= np.uint64(square) << EN_PASSANT_SHIFT
    return _FINE


@kernel
def _field_ends(text, start, stop, ends):  # type: ignore[no-untyped-def]
    """Find where each space-separated field ends; returns how many there are, -1 for an empty one or too many."""
    count, place = 0, start
    while True:
        first = place
        while place < stop and text[place] != _SPACE:
            place += 1
        if place == first or count == ends.shape[0]:
            return -1
        ends[count] = place
        count += 1
        if place == stop:
            return count
        place += 1


@kernel
def read_fen(text, start, stop, position):  # type: ignore[no-untyped-def]
    """Read text[start:stop] (uint8) into a position; returns an index into `REASONS`, 0 if all is well.

    A FEN has four or six fields. An en-passant square on which no pawn can capture is dropped; a move number of 0 is
    read as 1.
    """
    ends = np.empty(6, dtype=np.int64)
    count = _field_ends(text, start, stop, ends)
    if count != 4 and count != 6:
        return _BAD_FIELDS
    board = np.empty(POSITION_WORDS, dtype=np.uint64)
    if _read_board(text, start, stop, board) != ends[0]:
        return _BAD_BOARD
    reason = _check_board(board)
    if reason != _FINE:
        return reason
    side = text[ends[0] + 1]
    if ends[1] - ends[0] != 2 or (side != _SMALL_W and side != _SMALL_B):
        return _BAD_SIDE
    black = side == _SMALL_B
    rights, reason = _read_castling(text, ends[1] + 1, ends[2], board)
    if reason != _FINE:
        return reason
    halfmoves, fullmoves = 0, 1
    if count == 6:
        halfmoves = _read_clock(text, ends[3] + 1, ends[4])
        fullmoves = _read_clock(text, ends[4] + 1, ends[5])
        if halfmoves < 0 or fullmoves < 0:
            return _BAD_CLOCK
        fullmoves = max(fullmoves, 1)
    if black:
        turn_board(board, position)
        rights = exchange_rights(rights)
    else:
        position[:] = board
    position[STATE] = rights | np.uint64(halfmoves) << HALFMOVES_SHIFT | np.uint64(fullmoves) << FULLMOVES_SHIFT
    if black:
        position[STATE] |= BLACK_TO_MOVE
    if ends[3] - ends[2] != 2 or text[ends[2] + 1] != _DASH:
        square = read_square(text, ends[2] + 1) if ends[3] - ends[2] == 3 else np.int64(-1)
        reason = _set_en_passant(position, square ^ 56 if black else square)
        if reason != _FINE:
            return reason
    return _check_mover(position, board)


@kernel
def _write_number(value, text, place):  # type: ignore[no-untyped-def]
    digits = 1
    while value >= 10**digits:
        digits += 1
    for i in range(digits):
        text[place + i] = _DIGIT_0 + value // 10 ** (digits - 1 - i) % 10
    return place + digits


@kernel
def _write_board(position, text):  # type: ignore[no-untyped-def]
    black = position[STATE] & BLACK_TO_MOVE != 0
    place = 0
    for rank in range(7, -1, -1):
        empty = 0
        for file in range(8):
            square = (8 * rank + file) ^ (56 if black else 0)
            kind = kind_at(position, square)
            if kind < 0:
                empty += 1
                continue
            if empty:
                text[place] = _DIGIT_0 + empty
                place, empty = place + 1, 0
            white = ((position[OWN] >> np.uint64(square)) & _1 != 0) != black
            text[place] = _PIECES[kind] - (32 if white else 0)
            place += 1
        if empty:
            text[place] = _DIGIT_0 + empty
            place += 1
        if rank:
            text[place] = _SLASH
            place += 1
    return place


@kernel
def _can_take_en_passant(position):  # type: ignore[no-untyped-def]
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    captures = 0
    for i in range(legal_moves(position, moves)):
        captures |= moves[i] & EN_PASSANT_CAPTURE
    return captures != 0


@kernel
def write_fen(position, text):  # type: ignore[no-untyped-def]
    """Write a position's FEN, with six fields, to `text` (uint8, at least 100 long); returns its length.

    The en-passant square is written only if a capture on it is legal; clocks are capped at 9999, so that what is
    written can be read back.
    """
    state = position[STATE]
    black = state & BLACK_TO_MOVE != 0
    place = _write_board(position, text)
    text[place] = _SPACE
    text[place + 1] = _SMALL_B if black else _SMALL_W
    text[place + 2] = _SPACE
    place += 3
    rights = state & CASTLING
    if black:
        rights = exchange_rights(rights)
    for i in range(4):
        if (rights >> np.uint64(i)) & _1:
            text[place] = _RIGHTS[i]
            place += 1
    if rights == _0:
        text[place] = _DASH
        place += 1
    text[place] = _SPACE
    place += 1
    square = np.int64((state & EN_PASSANT) >> EN_PASSANT_SHIFT)
    if square and _can_take_en_passant(position):
        place = write_square(square ^ 56 if black else square, text, place)
    else:
        text[place] = _DASH
        place += 1
    for shift in (HALFMOVES_SHIFT, FULLMOVES_SHIFT):
        text[place] = _SPACE
        place = _write_number(min(np.int64((state >> shift) & CLOCK_MASK), _LAST_CLOCK), text, place + 1)
    return place
