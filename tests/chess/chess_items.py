"""Lichess puzzles and their tensors by python-chess and NumPy, and small folders and files of them."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import zstandard
from numpy.typing import NDArray

chess: Any = pytest.importorskip("chess")

SHARED = Path(__file__).resolve().parents[2] / "../shared/data/lichess_puzzles_sample.csv.zst"
EXCERPT = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
ROWS = 1_200
EDGES = (0, 1200, 1600, 2000)
SPLITS = ("train", "validation", "test")
Item = tuple[NDArray[Any], NDArray[Any], float]


@dataclass(frozen=True, kw_only=True)
class Puzzle:
    """A line of the database after the opponent's move, by python-chess; a split by its number."""

    fen: str
    move: str
    rating: int
    themes: str
    puzzle_id: str
    split: str


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A folder and the puzzles in it, in the order of ranks."""

    root: Path
    puzzles: list[Puzzle]

    def ranks(self, fits: Callable[[Puzzle], bool]) -> list[int]:
        return [rank for rank, puzzle in enumerate(self.puzzles) if fits(puzzle)]


def source_text() -> str:
    """CSV of the first rows of the shared sample, or the excerpt where there is no sample."""
    if not SHARED.exists():
        return EXCERPT.read_text()
    with SHARED.open("rb") as file:
        reader = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        return "".join(next(reader) for _ in range(ROWS + 1))


def read_puzzles(text: str) -> list[Puzzle]:
    puzzles = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        board = chess.Board(row["FEN"])
        opponent, move = row["Moves"].split()[:2]
        board.push_uci(opponent)
        puzzles.append(
            Puzzle(
                fen=board.fen(),
                move=move,
                rating=int(row["Rating"]),
                themes=row["Themes"],
                puzzle_id=row["PuzzleId"],
                split=SPLITS[number % 10 - 7 if number % 10 > 7 else 0],
            )
        )
    return sorted(puzzles, key=lambda puzzle: puzzle.rating)


def table_of(puzzles: Sequence[Puzzle], ranks: Sequence[int]) -> pa.Table:
    chosen = [puzzles[rank] for rank in ranks]
    return pa.table(
        {
            "fen": [puzzle.fen for puzzle in chosen],
            "move": [puzzle.move for puzzle in chosen],
            "rating": pa.array([puzzle.rating for puzzle in chosen], pa.int32()),
            "themes": [puzzle.themes for puzzle in chosen],
            "puzzle_id": [puzzle.puzzle_id for puzzle in chosen],
            "rank": pa.array(ranks, pa.int64()),
        }
    )


def write_folder(root: Path, puzzles: Sequence[Puzzle], *, prefix: str = "chess_puzzles_", group: int = 50) -> Path:
    """What `convert-lichess` writes, with fewer columns and small row groups; `split` is the puzzle's own."""
    for low, high in zip(EDGES, (*EDGES[1:], 10_000), strict=True):
        for split in SPLITS:
            ranks = [r for r, p in enumerate(puzzles) if low <= p.rating < high and p.split == split]
            if ranks:
                path = root / f"{prefix}{low}" / f"{split}-00000-of-00001.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table_of(puzzles, ranks), path, row_group_size=group)
    return root


def expected_item(fen: str, move: str, perspective: str, flip_target: bool = False) -> Item:
    """Planes, target and who moves by python-chess and NumPy."""
    board, played = chess.Board(fen), chess.Move.from_uci(move)
    kinds = (chess.KING, chess.QUEEN, chess.BISHOP, chess.KNIGHT, chess.ROOK, chess.PAWN)
    planes, target = np.zeros((12, 8, 8), np.float32), np.zeros((8, 8), np.int64)
    for channel, (color, kind) in enumerate((c, k) for c in (board.turn, not board.turn) for k in kinds):
        for square in board.pieces(kind, color):
            planes[channel, chess.square_rank(square), chess.square_file(square)] = 1
    for square in (played.from_square, played.to_square):
        target[chess.square_rank(square), chess.square_file(square)] = 1
    if perspective == "mover" and board.turn == chess.BLACK:
        planes, target = np.flip(planes, 1), np.flip(target, 0)
    return planes, np.flip(target, 0) if flip_target else target, float(board.turn == chess.BLACK)


def expected_tensors(puzzles: Sequence[tuple[str, str]], *options: Any) -> list[torch.Tensor]:
    """Planes, targets and who moves of (FEN, move), stacked."""
    planes, targets, who_moves = zip(*(expected_item(fen, move, *options) for fen, move in puzzles), strict=True)
    stacked = [torch.from_numpy(np.stack(planes)), torch.from_numpy(np.stack(targets))]
    return [*stacked, torch.tensor(who_moves, dtype=torch.float32).reshape(-1, 1)]


def equal(ours: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    """The same number of tensors with the same types, shapes and values."""
    pairs = list(zip(ours, others, strict=True))
    return all(a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b) for a, b in pairs)
