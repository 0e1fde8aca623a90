"""Puzzles as planes for a network, and back (the encoding of Schwarzschild et al. 2021, arXiv 2108.06011)."""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.bits import reverse_bytes, store_64_bits
from easy_to_hard.generators.chess.board import (
    BLACK_TO_MOVE,
    DESTINATION_SHIFT,
    DIAGONALS,
    ENEMY,
    FULLMOVES_SHIFT,
    KINGS,
    KNIGHTS,
    OWN,
    PAWNS,
    POSITION_WORDS,
    ROW_WORDS,
    STATE,
    STRAIGHTS,
)
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

Perspective = Literal["mover", "white"]
PERSPECTIVES: Final[tuple[Perspective, ...]] = ("mover", "white")
PLANES: Final = 12

_1 = np.uint64(1)


@kernel
def _write_planes(rows, inputs, targets, turn_black):  # type: ignore[no-untyped-def]
    """Write each row's twelve planes to flat `inputs` and its two squares to flat `targets`."""
    words = np.empty(6, dtype=np.uint64)
    for i in range(rows.shape[0]):
        row = rows[i]
        diagonals, straights = row[DIAGONALS], row[STRAIGHTS]
        words[0] = row[KINGS]
        words[1] = diagonals & straights
        words[2] = diagonals & ~straights
        words[3] = row[KNIGHTS]
        words[4] = straights & ~diagonals
        words[5] = row[PAWNS]
        move = row[POSITION_WORDS]
        target = _1 << (move & np.uint64(63)) | _1 << ((move >> np.uint64(DESTINATION_SHIFT)) & np.uint64(63))
        turn = turn_black and row[STATE] & BLACK_TO_MOVE != 0
        for side in range(2):
            pieces = row[OWN] if side == 0 else row[ENEMY]
            for kind in range(6):
                word = words[kind] & pieces
                store_64_bits(inputs, ((2 * i + side) * 6 + kind) * 64, reverse_bytes(word) if turn else word)
        store_64_bits(targets, i * 64, reverse_bytes(target) if turn else target)


def check_perspective(perspective: str) -> Perspective:
    """Return `perspective`, or raise ValueError that lists them."""
    if perspective not in PERSPECTIVES:
        raise ValueError(f"unknown perspective {perspective!r}: choose one of {', '.join(PERSPECTIVES)}")
    return perspective


def to_planes(
    rows: NDArray[np.uint64], perspective: str = "mover", num_threads: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Convert puzzles to inputs and targets.

    Args:
        rows: (N, 9) uint64, positions and their moves, see `board`.
        perspective: "mover": row 0 is the back rank of the side to move, so its pawns go to higher rows; "white":
            row 0 is rank 1, whichever side moves, as in the original. Columns are files a to h in both.
        num_threads: None for one per core.

    Returns:
        ``(inputs, targets)``: (N, 12, 8, 8) uint8 in {0, 1}, the mover's king, queens, bishops, knights, rooks and
        pawns, then the other side's; and (N, 8, 8) uint8, 1 on the origin and the destination of the move.

    Raises:
        ValueError: the perspective is unknown, or the rows have a different shape.
    """
    if rows.ndim != 2 or rows.shape[1] != ROW_WORDS:
        raise ValueError(f"rows must be of shape (N, {ROW_WORDS}), not {rows.shape}")
    turn_black = check_perspective(perspective) == "white"
    inputs = np.empty((len(rows), PLANES, 8, 8), dtype=np.uint8)
    targets = np.empty((len(rows), 8, 8), dtype=np.uint8)
    run_in_chunks(
        lambda a, b: _write_planes(rows[a:b], inputs[a:b].reshape(-1), targets[a:b].reshape(-1), turn_black),
        len(rows),
        num_threads,
        nanoseconds=60,
    )
    return inputs, targets


def _words(planes: NDArray[Any]) -> NDArray[np.uint64]:
    """Convert (..., 8, 8) planes to (...) words."""
    flat = np.ascontiguousarray(planes).reshape(*planes.shape[:-2], 64)
    return np.packbits(flat, axis=-1, bitorder="little").view("<u8")[..., 0]


def from_planes(inputs: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Convert (N, 12, 8, 8) planes in the mover's perspective to (N, 8) positions with White to move.

    Planes do not show castling rights, the en-passant square or the clocks, so these are taken as absent.
    """
    words = _words(inputs).reshape(-1, 2, 6)
    positions = np.zeros((len(words), POSITION_WORDS), dtype=np.uint64)
    king, queen, bishop, knight, rook, pawn = (words[:, 0, kind] | words[:, 1, kind] for kind in range(6))
    positions[:, OWN], positions[:, ENEMY] = (np.bitwise_or.reduce(words[:, side], axis=1) for side in range(2))
    positions[:, PAWNS], positions[:, KNIGHTS], positions[:, KINGS] = pawn, knight, king
    positions[:, DIAGONALS], positions[:, STRAIGHTS] = bishop | queen, rook | queen
    positions[:, STATE] = _1 << FULLMOVES_SHIFT
    return positions
