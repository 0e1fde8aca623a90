"""UCI: moves as text, read and written on bytes."""

from typing import Final

import numpy as np

from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, DESTINATION_SHIFT, KINGS, OWN, PROMOTION_SHIFT, STATE
from easy_to_hard.generators.kernels import kernel

MAX_UCI: Final = 5

_A1, _C1, _E1, _G1, _H1 = (np.int64(square) for square in (0, 2, 4, 6, 7))
_1, _E1_WORD = np.uint64(1), np.uint64(1 << 4)
_DIGIT_0, _SMALL_A = ord("0"), ord("a")
# Letters in the order of the kinds.
_PIECES = np.frombuffer(b"pnbrqk", dtype=np.uint8)


@kernel
def read_square(text, start):  # type: ignore[no-untyped-def]
    """Read the square named by two characters such as e4, as White sees it; returns -1 if it is none."""
    file, rank = np.int64(text[start]) - _SMALL_A, np.int64(text[start + 1]) - (_DIGIT_0 + 1)
    return 8 * rank + file if 0 <= file < 8 and 0 <= rank < 8 else np.int64(-1)


@kernel
def write_square(square, text, place):  # type: ignore[no-untyped-def]
    """Write a square such as e4, as White sees it, starting at text[place]; returns the place after it."""
    text[place] = _SMALL_A + square % 8
    text[place + 1] = _DIGIT_0 + 1 + square // 8
    return place + 2


@kernel
def read_uci(text, start, stop, position):  # type: ignore[no-untyped-def]
    """Read the move in text[start:stop] (uint8) as 15 bits, as the mover sees it; returns -1 if it is not UCI.

    Castling may be written as the king moving two squares (e1g1) or taking its rook (e1h1); it is read as the former.
    """
    if stop - start != 4 and stop - start != 5:
        return np.int64(-1)
    origin, to = read_square(text, start), read_square(text, start + 2)
    if origin < 0 or to < 0:
        return np.int64(-1)
    if position[STATE] & BLACK_TO_MOVE:
        origin, to = origin ^ 56, to ^ 56
    # A king that takes its own rook, as in Chess960, castles; it can take no other piece of its own side.
    own_king = position[OWN] & position[KINGS] & _E1_WORD
    if origin == _E1 and to in (_A1, _H1) and own_king and (position[OWN] >> np.uint64(to)) & _1:
        to = _G1 if to == _H1 else _C1
    promotion = 0
    if stop - start == 5:
        for kind in range(1, 5):
            if text[start + 4] == _PIECES[kind]:
                promotion = kind
        if promotion == 0:
            return np.int64(-1)
    return origin | to << DESTINATION_SHIFT | promotion << PROMOTION_SHIFT


@kernel
def write_uci(move, position, text):  # type: ignore[no-untyped-def]
    """Write a move of the position's mover to `text` (uint8, at least 5 long); returns its length."""
    turn = 56 if position[STATE] & BLACK_TO_MOVE else 0
    write_square((move & 63) ^ turn, text, 0)
    write_square(((move >> DESTINATION_SHIFT) & 63) ^ turn, text, 2)
    promotion = (move >> PROMOTION_SHIFT) & 7
    if promotion:
        text[4] = _PIECES[promotion]
        return 5
    return 4
