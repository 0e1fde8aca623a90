"""Mate solvers that share no code with the package's: brute force on python-chess, and Stockfish through UCI.

For tests and benchmarks only: both are under the GPL, so the package itself uses neither.
"""

import csv
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

chess: Any = pytest.importorskip("chess")

# Searched in turn until the answer is settled; 2 mate_in is added. Stockfish prunes, so it needs more than the mate.
STOCKFISH_DEPTHS = (10, 16, 22)


def forces_mate(board: Any, within: int, quiet: int = 99) -> bool:
    """Whether the mover can force mate within so many moves (at least 1), at most `quiet` of them without check.

    The definition, written down; of the last moves only those that give check are tried, which are all that can mate.
    """
    for move in list(board.legal_moves):
        check = board.gives_check(move)
        if (check or (within > 1 and quiet > 0)) and is_key(board, move, within, quiet - (not check)):
            return True
    return False


def is_key(board: Any, move: Any, within: int, quiet: int = 99) -> bool:
    """Whether the enemy is mated within so many moves of the mover, of which `move` is the first."""
    board.push(move)
    try:
        replies = list(board.legal_moves)
        if not replies:
            return bool(board.is_check())
        if within == 1:
            return False
        for reply in replies:
            board.push(reply)
            mated = forces_mate(board, within - 1, quiet)
            board.pop()
            if not mated:
                return False
        return True
    finally:
        board.pop()


def solve(board: Any, most: int) -> tuple[int, list[Any]]:
    """In how many moves mate is forced (0: not within `most`), and all first moves that force it as soon."""
    for within in range(1, most + 1):
        keys = [move for move in list(board.legal_moves) if is_key(board, move, within)]
        if keys:
            return within, keys
    return 0, []


def confirm(board: Any, key: Any, mate_in: int) -> str:
    """The answer of the brute force to: is mate forced in exactly `mate_in`, by `key` alone? "confirmed" or why not."""
    found, keys = solve(board, mate_in)
    if found != mate_in:
        return f"mate in {found}"
    return "confirmed" if keys == [key] else f"keys {' '.join(move.uci() for move in keys)}"


def attacking_boards(count: int, seed: int) -> Iterator[Any]:
    """Legal positions with a mover who is well ahead, so that many hold mates; both colors move.

    Some kings can castle, some pawns can be taken en passant, many can promote.
    """
    rng = random.Random(seed)
    while count:
        board = chess.Board(None)
        _place_attack(board, rng)
        squares = [file + 40 for file in range(8) if _was_passed(board, file)]
        if squares and rng.random() < 0.7:
            board.ep_square = rng.choice(squares)
        if board.is_valid():
            count -= 1
            yield board if rng.random() < 0.5 else board.mirror()


def _place_attack(board: Any, rng: random.Random) -> None:
    """White to move: a king, two to five pieces and a pawn that can promote; Black a king and up to five pieces."""
    squares = rng.sample(range(8, 56), 12)
    kings = rng.choice((4, squares[0])), rng.choice((60, rng.randrange(56, 64), squares[1]))
    for square, color in zip(kings, chess.COLORS, strict=True):
        board.set_piece_at(square, chess.Piece(chess.KING, color))
    white = [rng.choice((2, 3, 4, 4, 5)) for _ in range(rng.randint(1, 4))] + [chess.PAWN]
    black = [rng.choice((1, 1, 1, 2, 3, 4, 5)) for _ in range(rng.randint(0, 5))]
    for place, kind in enumerate(white + black):
        board.set_piece_at(squares[2 + place], chess.Piece(kind, place < len(white)))
    board.set_piece_at(rng.randrange(48, 56), chess.Piece(chess.PAWN, chess.WHITE))
    if rng.random() < 0.3:
        file = rng.randrange(7)
        board.set_piece_at(file + 32, chess.Piece(chess.PAWN, chess.BLACK))
        board.set_piece_at(file + 33, chess.Piece(chess.PAWN, chess.WHITE))
    for king, color in zip(kings, chess.COLORS, strict=True):
        for corner in (king - 4, king + 3) if king in (4, 60) and rng.random() < 0.7 else ():
            board.set_piece_at(corner, chess.Piece(chess.ROOK, color))
            board.castling_rights |= chess.BB_SQUARES[corner]
    for color, king in zip(chess.COLORS, kings, strict=True):
        board.set_piece_at(king, chess.Piece(chess.KING, color))


def _was_passed(board: Any, file: int) -> bool:
    """Whether a black pawn on the fifth rank can have come there by two squares."""
    black_pawn = board.piece_at(32 + file) == chess.Piece(chess.PAWN, chess.BLACK)
    return black_pawn and not board.piece_at(40 + file) and not board.piece_at(48 + file)


def find_stockfish() -> str | None:
    """The path of the engine, which Debian installs where only games are looked for; None where there is none."""
    return shutil.which("stockfish") or shutil.which("stockfish", path="/usr/games")


class Stockfish:
    """Stockfish as a judge of puzzles; a context manager that ends the engine."""

    def __init__(self, path: str) -> None:
        engine: Any = pytest.importorskip("chess.engine")
        self._limit = engine.Limit
        self._engine = engine.SimpleEngine.popen_uci(path)
        self._engine.configure({"Threads": 1, "Hash": 32})
        self.name = self._engine.id["name"]

    def __enter__(self) -> "Stockfish":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._engine.quit()

    def confirm(self, board: Any, key: Any, mate_in: int) -> str:
        """As `confirm`, from its two best moves: `key` mates in `mate_in`, the other takes longer.

        "unsettled" where it does not see the mate so soon: what it says of a mate is proved, but its pruning may hide a
        shorter one at any depth.
        """
        for depth in STOCKFISH_DEPTHS:
            limit = self._limit(depth=depth + 2 * mate_in)
            lines = self._engine.analyse(board, limit, multipv=2, game=object())
            mates = {line["pv"][0]: line["score"].relative.mate() or 0 for line in lines}
            soon = {move: mate for move, mate in mates.items() if 0 < mate <= mate_in}
            if soon:
                answer = ", ".join(f"{move.uci()} mates in {mate}" for move, mate in soon.items())
                return "confirmed" if soon == {key: mate_in} else answer
        return "unsettled"


def lichess_mates(path: Path, most: int) -> Iterator[tuple[Any, Any, int]]:
    """Rows of Lichess with a theme mateIn1 to mateIn`most`: the board after the first move, the solution, the number.

    path: .csv or .csv.zst with a header.
    """
    import zstandard

    themes = {f"mateIn{number}": number for number in range(1, most + 1)}
    with (
        zstandard.open(path, "rt", newline="")
        if path.suffix == ".zst"
        else path.open(encoding="utf-8", newline="") as file
    ):
        for row in csv.DictReader(file):
            numbers = [themes[theme] for theme in row["Themes"].split() if theme in themes]
            if numbers:
                board, moves = chess.Board(row["FEN"]), [chess.Move.from_uci(uci) for uci in row["Moves"].split()]
                board.push(moves[0])
                yield board, moves[1], min(numbers)
