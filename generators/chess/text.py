"""Positions and moves as strings, many at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import (
    BLACK_TO_MOVE,
    MOVE_MASK,
    POSITION_WORDS,
    PROMOTION_SHIFT,
    QUEEN,
    STATE,
    as_positions,
)
from easy_to_hard.generators.chess.fen import MAX_FEN, REASONS, read_fen, write_fen
from easy_to_hard.generators.chess.uci import MAX_UCI, read_uci, write_uci
from easy_to_hard.generators.kernels import kernel

_LINE_FEED, _RETURN = ord("\n"), ord("\r")


@kernel
def _read_fens(text, ends, positions, reasons):  # type: ignore[no-untyped-def]
    start = 0
    for i in range(ends.shape[0]):
        stop = ends[i]
        while stop > start and (text[stop - 1] == _LINE_FEED or text[stop - 1] == _RETURN):
            stop -= 1
        reasons[i] = read_fen(text, start, stop, positions[i])
        start = ends[i]


@kernel
def _read_ucis(text, ends, positions, moves):  # type: ignore[no-untyped-def]
    start = 0
    for i in range(ends.shape[0]):
        moves[i] = read_uci(text, start, ends[i], positions[i])
        start = ends[i]


@kernel
def _write_fens(positions, text, lengths):  # type: ignore[no-untyped-def]
    for i in range(positions.shape[0]):
        lengths[i] = write_fen(positions[i], text[i])


@kernel
def _write_ucis(moves, positions, text, lengths):  # type: ignore[no-untyped-def]
    for i in range(positions.shape[0]):
        lengths[i] = write_uci(moves[i], positions[i], text[i])


def _joined(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All texts as concatenated bytes, and where each one ends."""
    whole = "".join(texts)
    if whole.isascii():
        ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
        return np.frombuffer(whole.encode() or b" ", dtype=np.uint8), ends
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded) or b" ", dtype=np.uint8), ends


def _listed(texts: Sequence[str], what: str) -> list[str]:
    if isinstance(texts, str):
        raise ValueError(f"{what} must be a list of strings, not the string {texts!r}")
    return [str(text) for text in texts]


def parse_fens(fens: Sequence[str]) -> NDArray[np.uint64]:
    """Convert FENs to (N, 8) uint64 positions, see `board`; line ends after them are ignored.

    Raises:
        ValueError: one is not a FEN, or not a legal position; the message names it and says why.
    """
    fens = _listed(fens, "FENs")
    positions = np.empty((len(fens), POSITION_WORDS), dtype=np.uint64)
    reasons = np.empty(len(fens), dtype=np.int64)
    _read_fens(*_joined(fens), positions, reasons)
    for row in np.flatnonzero(reasons)[:1]:
        raise ValueError(f"FEN {fens[row]!r}: {REASONS[reasons[row]]}")
    return positions


def to_fens(positions: NDArray[np.uint64]) -> list[str]:
    """Convert (N, 8) positions, or rows that begin with them, to FENs."""
    text = np.empty((len(positions), MAX_FEN), dtype=np.uint8)
    lengths = np.empty(len(positions), dtype=np.int64)
    _write_fens(as_positions(positions), text, lengths)
    return [row[:length].tobytes().decode() for row, length in zip(text, lengths, strict=True)]


def parse_ucis(ucis: Sequence[str], positions: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Convert moves such as ``e2e4`` or ``a7a8q`` to (N,) int64 of 15 bits, see `board`, without checking legality.

    Raises:
        ValueError: one is not of this form, and the message names it; or the number of positions differs.
    """
    ucis = _listed(ucis, "moves")
    moves = np.empty(len(ucis), dtype=np.int64)
    _read_ucis(*_joined(ucis), as_positions(positions, len(ucis)), moves)
    for row in np.flatnonzero(moves < 0)[:1]:
        raise ValueError(f"move {ucis[row]!r} is not of the form e2e4 or a7a8q")
    return moves


def to_ucis(moves: NDArray[np.int64], positions: NDArray[np.uint64]) -> list[str]:
    """Convert (N,) moves in (N, 8) positions to UCI.

    Raises:
        ValueError: the numbers of positions and moves differ, or one is not a move.
    """
    text = np.empty((len(moves), MAX_UCI), dtype=np.uint8)
    lengths = np.empty(len(moves), dtype=np.int64)
    bare = np.asarray(moves).astype(np.int64)
    for row in np.flatnonzero((bare < 0) | ((bare >> PROMOTION_SHIFT & 7) > QUEEN))[:1]:
        raise ValueError(f"{bare[row]} is not a move")
    bare = np.ascontiguousarray(bare & MOVE_MASK)
    _write_ucis(bare, as_positions(positions, len(moves)), text, lengths)
    return [row[:length].tobytes().decode() for row, length in zip(text, lengths, strict=True)]


def to_lines(lines: NDArray[np.int16], positions: NDArray[np.uint64]) -> list[str]:
    """Convert lines to space-separated UCI: (N, P) alternating moves from (N, 8) positions, each as its mover sees it.

    A line ends before its first -1.

    Raises:
        ValueError: the numbers of positions and lines differ, or anything else in a line is not a move.
    """
    turns = as_positions(positions, len(lines)).copy()
    texts: list[list[str]] = [[] for _ in range(len(lines))]
    there = np.ones(len(lines), dtype=np.bool_)
    for ply in range(lines.shape[1]):
        there &= lines[:, ply] != -1
        for row, uci in zip(np.flatnonzero(there), to_ucis(lines[there, ply], turns[there]), strict=True):
            texts[row].append(uci)
        turns[:, STATE] ^= BLACK_TO_MOVE
    return [" ".join(line) for line in texts]
