"""Moves as people write them: SAN (``Nf3``, ``exd5``, ``e8=Q+``, ``O-O``), and finding the move that a text names."""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import (
    BLACK_TO_MOVE,
    CAPTURE,
    CASTLE,
    DESTINATION_SHIFT,
    MAX_MOVES,
    MOVE_MASK,
    PAWN,
    PIECE_SHIFT,
    POSITION_WORDS,
    PROMOTION_SHIFT,
    STATE,
    as_positions,
)
from easy_to_hard.generators.chess.moves import has_legal_move, legal_moves, make

# In the order of the kinds; a pawn has no letter.
_LETTERS: Final = ("", "N", "B", "R", "Q", "K")
_SPELLING: Final = re.compile(r"([KQRBN]?)([a-h]?)([1-8]?)[-x:]?([a-h][1-8])=?([QRBNqrbn]?)")
_CASTLING: Final = re.compile(r"[Oo0]-[Oo0](-[Oo0])?")


def all_moves(position: NDArray[np.uint64]) -> list[int]:
    """The legal moves in a position, (8,) uint64 or a row that begins with it, as numbers of 15 bits, ascending."""
    return sorted(one & MOVE_MASK for one in _legal(position))


def find_moves(position: NDArray[np.uint64], text: str) -> list[int]:
    """The legal moves that a text may name.

    UCI, SAN and long algebraic notation are read; signs of check, mate, capture and praise may be missing or wrong.
    Upper and lower case are told apart, as in ``bxc4`` and ``Bxc4``, unless that names no legal move.

    Args:
        position: (8,) uint64, or a row that begins with it, see `board`.
        text: without spaces.

    Returns:
        Moves of 15 bits, ascending: one if the text names a legal move, several if it leaves open which, as ``Nd2``
        may with two knights, and ``e8`` without a promotion; none otherwise.
    """
    bare = text.rstrip("+#!?")
    moves = list(_legal(position))
    lower = bare.lower()
    return _named(position, moves, bare) or sorted(
        {*_named(position, moves, lower), *_named(position, moves, lower[:1].upper() + lower[1:])}
    )


def to_san(position: NDArray[np.uint64], move: int) -> str:
    """A legal move, of 15 bits, in the position, (8,) uint64, in SAN.

    Raises:
        ValueError: the move is not legal.
    """
    moves = list(_legal(position))
    held = next((one for one in moves if one & MOVE_MASK == move), None)
    if held is None:
        raise ValueError(f"{move} is not a legal move")
    kind, origin, to = _parts(position, held)
    letter = _LETTERS[kind]
    if held & CASTLE:
        text = "O-O" if to[0] == "g" else "O-O-O"
    else:
        mark = "x" if held & CAPTURE else ""
        rivals = [] if kind == PAWN else _rivals(position, moves, held)
        if kind == PAWN:
            place = origin[0] if mark else ""
        elif not rivals:
            place = ""
        elif all(other[0] != origin[0] for other in rivals):
            place = origin[0]
        else:
            place = origin[1] if all(other[1] != origin[1] for other in rivals) else origin
        promotion = _promotion(held)
        text = f"{letter}{place}{mark}{to}" + (f"={promotion}" if promotion else "")
    after = np.empty(POSITION_WORDS, dtype=np.uint64)
    make(_held(position), held, after)
    return text + ("" if not in_check(after) else "+" if has_legal_move(after) else "#")


def _held(position: NDArray[np.uint64]) -> NDArray[np.uint64]:
    held: NDArray[np.uint64] = as_positions(np.asarray(position)[None])[0]
    return held


def _legal(position: NDArray[np.uint64]) -> Iterator[int]:
    """The legal moves in the kernels' form."""
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    yield from moves[: legal_moves(_held(position), moves)].tolist()


def _parts(position: NDArray[np.uint64], move: int) -> tuple[int, str, str]:
    """Kind, origin and destination, as White names the squares."""
    turn = 56 if position[STATE] & BLACK_TO_MOVE else 0
    origin, to = (move & 63) ^ turn, ((move >> DESTINATION_SHIFT) & 63) ^ turn
    return (move >> PIECE_SHIFT) & 7, *(f"{'abcdefgh'[square % 8]}{square // 8 + 1}" for square in (origin, to))  # type: ignore[return-value]


def _promotion(move: int) -> str:
    return _LETTERS[(move >> PROMOTION_SHIFT) & 7]


def _rivals(position: NDArray[np.uint64], moves: list[int], move: int) -> list[str]:
    """The squares of other pieces of the same kind that can go to the same square."""
    kind, origin, to = _parts(position, move)
    others = (_parts(position, one) for one in moves)
    return [place for other, place, there in others if (other, there) == (kind, to) and place != origin]


def _named(position: NDArray[np.uint64], moves: list[int], text: str) -> list[int]:
    """The moves that have such a spelling, case by case."""
    if castling := _CASTLING.fullmatch(text):
        file = "c" if castling[1] else "g"
        return [one & MOVE_MASK for one in moves if one & CASTLE and _parts(position, one)[2][0] == file]
    spelling = _SPELLING.fullmatch(text)
    if spelling is None:
        return []
    letter, file, rank, to, promotion = spelling.groups()
    found = []
    for one in moves:
        kind, origin, there = _parts(position, one)
        # Without a letter, it is a pawn, or whatever stands on the square that is named.
        fits = letter == _LETTERS[kind] and not one & CASTLE if letter or not (file and rank) else True
        if fits and there == to and file in origin and rank in origin and promotion.upper() in ("", _promotion(one)):
            found.append(one & MOVE_MASK)
    return sorted(found)
