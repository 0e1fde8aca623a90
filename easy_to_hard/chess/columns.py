"""Convert Arrow columns of FENs and moves to rows of a position and its move, without a Python object per row."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import MAX_MOVES, POSITION_WORDS, ROW_WORDS
from easy_to_hard.generators.chess.fen import REASONS, read_fen
from easy_to_hard.generators.chess.moves import find_legal
from easy_to_hard.generators.chess.uci import read_uci
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

# What is wrong with a row: an index into the list of reasons in `fen`, or one of these.
_NOT_UCI: Final = len(REASONS)
_NOT_LEGAL: Final = len(REASONS) + 1


@kernel
def _read_rows(fens, fen_offsets, moves, move_offsets, rows, reasons):  # type: ignore[no-untyped-def]
    """Read the FEN that starts at fen_offsets[i], and its move, into rows[i]; reasons[i] becomes 0 or what is wrong."""
    legal = np.empty(MAX_MOVES, dtype=np.int64)
    for i in range(rows.shape[0]):
        position = rows[i, :POSITION_WORDS]
        reasons[i] = read_fen(fens, np.int64(fen_offsets[i]), np.int64(fen_offsets[i + 1]), position)
        if reasons[i] != 0:
            continue
        move = read_uci(moves, np.int64(move_offsets[i]), np.int64(move_offsets[i + 1]), position)
        if move < 0:
            reasons[i] = _NOT_UCI
        elif find_legal(position, move, legal) < 0:
            reasons[i] = _NOT_LEGAL
        rows[i, POSITION_WORDS] = np.uint64(move)


def _text(column: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of a column's strings and the N + 1 offsets where they begin and end; nothing is copied."""
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} FENs or moves are empty")
    _, offsets, text = column.buffers()
    if not len(column):
        return np.zeros(1, dtype=np.uint8), np.zeros(1, dtype=np.int32)
    places = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(text if text is not None and text.size else b" ", dtype=np.uint8), places


def read_rows(fens: pa.Array, moves: pa.Array, num_threads: int | None = None) -> NDArray[np.uint64]:
    """Convert puzzles from text to rows, see `easy_to_hard.generators.chess.board`.

    Args:
        fens: (N,) strings, the positions.
        moves: (N,) strings, a legal move in each position, in UCI.
        num_threads: None for one per core.

    Returns:
        (N, 9) uint64: the eight words of the position, then the move.

    Raises:
        ValueError: a FEN or move is malformed, or a move is not legal; the message names the first such row.
    """
    if len(fens) != len(moves):
        raise ValueError(f"{len(fens)} FENs cannot have {len(moves)} moves")
    rows = np.empty((len(fens), ROW_WORDS), dtype=np.uint64)
    reasons = np.empty(len(fens), dtype=np.int64)
    fen_text, fen_places = _text(fens)
    move_text, move_places = _text(moves)

    def read(start: int, stop: int) -> None:
        places = fen_places[start : stop + 1], move_places[start : stop + 1]
        _read_rows(fen_text, places[0], move_text, places[1], rows[start:stop], reasons[start:stop])

    run_in_chunks(read, len(rows), num_threads, nanoseconds=700)
    for row in np.flatnonzero(reasons)[:1]:
        raise ValueError(_complaint(int(reasons[row]), fens[row].as_py(), moves[row].as_py()))
    return rows


def _complaint(reason: int, fen: Any, move: Any) -> str:
    if reason == _NOT_UCI:
        return f"move {move!r} in FEN {fen!r} is not of the form e2e4 or a7a8q"
    if reason == _NOT_LEGAL:
        return f"move {move!r} is not legal in FEN {fen!r}"
    return f"FEN {fen!r}: {REASONS[reason]}"
