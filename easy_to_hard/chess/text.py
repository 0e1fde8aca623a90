"""Turns a puzzle's planes back into a board, and into a drawing for a terminal."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.planes import PLANES, check_perspective

# Kinds of pieces in the order of the planes; a board holds 1 to 6 for White's, -1 to -6 for Black's.
KINDS: Final = ("king", "queen", "bishop", "knight", "rook", "pawn")
_LETTERS: Final = ".KQBNRPprnbqk"


@dataclass(frozen=True, kw_only=True)
class PuzzleBoard:
    """A board as White sees it: row 0 is rank 1, column 0 is file a.

    Attributes:
        pieces: (8, 8) int8, 0 empty, 1 to 6 White's king, queen, bishop, knight, rook and pawn, -1 to -6 Black's.
        marked: (8, 8) bool, the squares of the target.
        black_moves: None where it is not known; the mover's pieces are then White's.
    """

    pieces: NDArray[np.int8]
    marked: NDArray[np.bool_]
    black_moves: bool | None

    def _of_mover(self) -> NDArray[np.bool_]:
        return self.pieces < 0 if self.black_moves else self.pieces > 0

    def origins(self) -> list[tuple[int, int]]:
        """(rank, file) of the marked squares with a piece of the mover: exactly one, if the target is a move."""
        return [(int(rank), int(file)) for rank, file in np.argwhere(self.marked & self._of_mover())]

    def destinations(self) -> list[tuple[int, int]]:
        """(rank, file) of the other marked squares: exactly one, if the target is a move."""
        return [(int(rank), int(file)) for rank, file in np.argwhere(self.marked & ~self._of_mover())]


def square_name(rank: int, file: int) -> str:
    """The name of a square, such as e4, from two numbers from 0 to 7."""
    return f"{'abcdefgh'[file]}{rank + 1}"


def read_board(planes: Any, target: Any = None, who_moves: Any = None, perspective: str = "white") -> PuzzleBoard:
    """The board of a puzzle.

    Args:
        planes: (12, 8, 8) array or tensor in {0, 1}, as `ChessPuzzleDataset` and `ChessMateDataset` give it.
        target: (8, 8), above 0 on the squares to mark, not flipped; None for none.
        who_moves: 1 or [1] where Black moves, 0 where White does; None to show the mover as White.
        perspective: of planes and target, "white" or "mover"; it matters only where Black moves.

    Raises:
        ValueError: a shape or the perspective is not allowed.
    """
    check_perspective(perspective)
    held = np.asarray(planes) > 0
    if held.shape != (PLANES, 8, 8):
        raise ValueError(f"planes must be (12, 8, 8), not {held.shape}")
    marked = np.zeros((8, 8), dtype=np.bool_) if target is None else np.asarray(target) > 0
    if marked.shape != (8, 8):
        raise ValueError(f"target must be (8, 8), not {marked.shape}")
    black_moves = None if who_moves is None else bool(np.asarray(who_moves).reshape(-1)[0] > 0)
    if black_moves and perspective == "mover":
        held, marked = held[:, ::-1], marked[::-1]
    values = np.array([*range(1, 7), *range(-1, -7, -1)], dtype=np.int8) * (-1 if black_moves else 1)
    pieces = np.where(held.any(axis=0), values[held.argmax(axis=0)], 0).astype(np.int8)
    return PuzzleBoard(pieces=pieces, marked=marked, black_moves=black_moves)


def text_of_puzzle(planes: Any, target: Any = None, who_moves: Any = None, perspective: str = "white") -> str:
    """A drawing for a terminal: White's pieces are capitals, (K) marks an origin, [.] a destination.

    For the arguments and errors, see `read_board`.
    """
    board = read_board(planes, target, who_moves, perspective)
    cells = np.array([[f" {_LETTERS[piece]} " for piece in row] for row in board.pieces.tolist()])
    for opening, closing, squares in (("(", ")", board.origins()), ("[", "]", board.destinations())):
        for square in squares:
            cells[square] = opening + str(cells[square])[1] + closing
    lines = [f"{rank + 1} {''.join(cells[rank])}" for rank in range(7, -1, -1)]
    lines.append("  " + "".join(f" {file} " for file in "abcdefgh"))
    mover = {None: "upper case", False: "White", True: "Black"}[board.black_moves]
    marks = [f"({square_name(*square)})" for square in board.origins()]
    marks += [f"[{square_name(*square)}]" for square in board.destinations()]
    lines.append(f"{mover} to move" + (f": {' to '.join(marks)}" if marks else ""))
    return "\n".join(line.rstrip() for line in lines)
