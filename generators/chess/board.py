"""How a position and a move are stored, and tables for the board.

A position is 8 words of 64 bits, SEEN BY THE MOVER: when Black is to move the board is mirrored top to bottom, so the
mover's pawns always go up and one set of rules serves both colors. Square 8 * rank + file is bit 8 * rank + file;
a1 is square 0 and the mover's own back rank is rank 0.

A move is an integer: origin, destination << 6, promotion << 12 (0 none, 1 knight, 2 bishop, 3 rook, 4 queen), with
squares as the mover sees them. The kernels store what they know about a move in the bits above (`MOVE_MASK` removes
them).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel

# Words of a position. Queens are on both DIAGONALS and STRAIGHTS.
OWN, ENEMY, PAWNS, KNIGHTS, DIAGONALS, STRAIGHTS, KINGS, STATE = range(8)
POSITION_WORDS: Final = 8
# A puzzle is a position and its move.
ROW_WORDS: Final = 9

# STATE: castling rights, the en-passant square (0 where there is none: it is never a1), who moves, the two clocks.
OWN_SHORT, OWN_LONG, ENEMY_SHORT, ENEMY_LONG = (np.uint64(1 << i) for i in range(4))
CASTLING: Final = np.uint64(0xF)
EN_PASSANT_SHIFT: Final = np.uint64(8)
EN_PASSANT: Final = np.uint64(0x3F00)
BLACK_TO_MOVE: Final = np.uint64(1 << 16)
HALFMOVES_SHIFT: Final = np.uint64(32)
FULLMOVES_SHIFT: Final = np.uint64(48)
CLOCK_MASK: Final = np.uint64(0xFFFF)

# Kinds of pieces, numbered as in promotions; a pawn is 0, a king is 5.
PAWN, KNIGHT, BISHOP, ROOK, QUEEN, KING = range(6)
MOVE_MASK: Final = 0x7FFF
DESTINATION_SHIFT, PROMOTION_SHIFT, PIECE_SHIFT = 6, 12, 15
CAPTURE, EN_PASSANT_CAPTURE, CASTLE, DOUBLE_STEP = (1 << i for i in range(18, 22))
# No position that a game can reach has more than 218 legal moves; `fen` accepts only material that a game can have.
MAX_MOVES: Final = 256

RANK_1: Final = np.uint64(0xFF)
RANK_3: Final = np.uint64(0xFF0000)
RANK_8: Final = np.uint64(0xFF00000000000000)
NOT_FILE_A: Final = np.uint64(0xFEFEFEFEFEFEFEFE)
NOT_FILE_H: Final = np.uint64(0x7F7F7F7F7F7F7F7F)

_LINES: Final = (((0, 1), (0, -1)), ((1, 0), (-1, 0)), ((1, 1), (-1, -1)), ((1, -1), (-1, 1)))


def _squares_from(square: int, step: tuple[int, int], most: int = 7) -> list[int]:
    """The squares reached by repeating a step (ranks, files) as long as it stays on the board."""
    squares, (rank, file) = [], divmod(square, 8)
    for _ in range(most):
        rank, file = rank + step[0], file + step[1]
        if not (0 <= rank < 8 and 0 <= file < 8):
            break
        squares.append(8 * rank + file)
    return squares


def _word(squares: list[int]) -> int:
    return sum(1 << square for square in squares)


def _leaps(steps: list[tuple[int, int]]) -> NDArray[np.uint64]:
    """(64,): the squares that a piece with these steps reaches from each square."""
    words = [_word([to for step in steps for to in _squares_from(square, step, 1)]) for square in range(64)]
    return np.array(words, dtype=np.uint64)


def _rays() -> NDArray[np.uint64]:
    """(64, 8): the squares above and below each square on its rank, file, diagonal and antidiagonal."""
    rays = np.zeros((64, 8), dtype=np.uint64)
    for square in range(64):
        for line, steps in enumerate(_LINES):
            for step in steps:
                squares = _squares_from(square, step)
                if squares:
                    rays[square, 2 * line + (squares[0] < square)] = _word(squares)
    return rays


def _between_and_lines() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(64, 64) each: the squares strictly between two, and the whole line through both; 0 where there is none."""
    between, lines = np.zeros((2, 64, 64), dtype=np.uint64)
    for square in range(64):
        for steps in _LINES:
            whole = _word([to for step in steps for to in _squares_from(square, step)]) | 1 << square
            for step in steps:
                squares = _squares_from(square, step)
                for place, other in enumerate(squares):
                    between[square, other] = _word(squares[:place])
                    lines[square, other] = whole
    return between, lines


KNIGHT_LEAPS: Final = _leaps([(a, b) for a in (-2, -1, 1, 2) for b in (-2, -1, 1, 2) if abs(a) != abs(b)])
KING_STEPS: Final = _leaps([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)])
# The squares that a pawn on each square attacks, going up and going down.
PAWN_ATTACKS_UP: Final = _leaps([(1, -1), (1, 1)])
PAWN_ATTACKS_DOWN: Final = _leaps([(-1, -1), (-1, 1)])
RAYS: Final = _rays()
BETWEEN, LINES = _between_and_lines()

_ONE = np.uint64(1)


def as_positions(positions: NDArray[np.uint64], count: int | None = None) -> NDArray[np.uint64]:
    """The first eight words of each row, contiguous: the kernels do not check that there are as many as they read.

    Raises:
        ValueError: the rows are not uint64, too short, or not `count` of them.
    """
    rows = np.asarray(positions)
    if rows.ndim != 2 or rows.shape[1] < POSITION_WORDS or count not in (None, len(rows)):
        wanted = "N" if count is None else count
        raise ValueError(f"positions must be of shape ({wanted}, {POSITION_WORDS}), not {rows.shape}")
    if rows.dtype != np.uint64:
        raise ValueError(f"positions must be uint64, not {rows.dtype}")
    return np.ascontiguousarray(rows[:, :POSITION_WORDS])


@kernel(inline="always")
def exchange_rights(rights):  # type: ignore[no-untyped-def]
    """Castling rights as the other side sees them: own and enemy's exchanged."""
    return rights >> np.uint64(2) | (rights & np.uint64(3)) << np.uint64(2)


@kernel(inline="always")
def copy_position(position, out):  # type: ignore[no-untyped-def]
    """Write a position to another array."""
    for word in range(POSITION_WORDS):
        out[word] = position[word]


@kernel(counted=False)
def kind_at(position, square):  # type: ignore[no-untyped-def]
    """Kind of the piece on a square, 0 (pawn) to 5 (king), or -1 if there is none."""
    shift = np.uint64(square)
    if (position[PAWNS] >> shift) & _ONE:
        return 0
    if (position[KNIGHTS] >> shift) & _ONE:
        return 1
    diagonal, straight = (position[DIAGONALS] >> shift) & _ONE, (position[STRAIGHTS] >> shift) & _ONE
    if diagonal or straight:
        return 1 + np.int64(diagonal) + 2 * np.int64(straight)
    return 5 if (position[KINGS] >> shift) & _ONE else -1
