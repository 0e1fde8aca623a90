"""How alike the mate puzzles of train and test are, and how like those of Lichess: prints Markdown.

``python tests/benchmarks/mate_statistics.py [LICHESS.csv.zst]``; without the file, train and test alone. It takes a
minute or two.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

import mate_oracles as oracles
from chess_oracles import chess

from easy_to_hard.generators.chess import sample, to_fens, to_ucis
from easy_to_hard.generators.chess.board import POSITION_WORDS

MATE_IN = (1, 2, 3)
ITEMS = 2000
VALUES = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9, chess.KING: 0}
Puzzle = tuple[Any, Any]


def _material(board: Any, color: bool) -> int:
    """In pawns, 1, 3, 3, 5, 9."""
    return sum(value * len(board.pieces(kind, color)) for kind, value in VALUES.items())


NUMBERS: dict[str, Callable[[Any, Any], int]] = {
    "pieces": lambda board, key: chess.popcount(board.occupied),
    "material of the mover": lambda board, key: _material(board, board.turn),
    "material of the enemy": lambda board, key: _material(board, not board.turn),
    "legal moves": lambda board, key: board.legal_moves.count(),
}
SHARES: dict[str, Callable[[Any, Any], bool]] = {
    "key is a check": lambda board, key: board.gives_check(key),
    "key is a capture": lambda board, key: board.is_capture(key),
    "key is a promotion": lambda board, key: key.promotion is not None,
    "key of a queen": lambda board, key: board.piece_type_at(key.from_square) == chess.QUEEN,
    "mover in check": lambda board, key: board.is_check(),
    "Black to move": lambda board, key: board.turn == chess.BLACK,
}


def generated(mate_in: int, split: str, count: int) -> list[Puzzle]:
    """Boards and keys of the first puzzles of a split."""
    rows = sample(mate_in, range(count), split=split).rows
    ucis = to_ucis(rows[:, POSITION_WORDS].astype(np.int64), rows)
    return [(chess.Board(fen), chess.Move.from_uci(uci)) for fen, uci in zip(to_fens(rows), ucis, strict=True)]


def kolmogorov_smirnov(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """The largest distance between the distribution functions of two samples."""
    at = np.unique(np.concatenate([one, other]))
    below = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def expected_distance(one: NDArray[np.int64], other: NDArray[np.int64], rounds: int = 200) -> tuple[float, float]:
    """Mean and 95 % quantile of the distance where both come from one distribution: by shuffling the two together."""
    rng, pooled = np.random.default_rng(0), np.concatenate([one, other])
    distances = []
    for _ in range(rounds):
        rng.shuffle(pooled)
        distances.append(kolmogorov_smirnov(pooled[: len(one)], pooled[len(one) :]))
    return float(np.mean(distances)), float(np.quantile(distances, 0.95))


def compare_numbers(names: tuple[str, str], one: list[Puzzle], other: list[Puzzle], keys: Iterable[str]) -> list[str]:
    """A row of a table for each number: mean and standard deviation of both, distance and what chance gives."""
    rows = []
    for name in keys:
        a, b = (np.array([NUMBERS[name](*puzzle) for puzzle in puzzles]) for puzzles in (one, other))
        mean, most = expected_distance(a, b)
        rows.append(
            f"| {name} | {a.mean():.2f} ± {a.std():.2f} | {b.mean():.2f} ± {b.std():.2f} "
            f"| {kolmogorov_smirnov(a, b):.3f} | {mean:.3f}, {most:.3f} |"
        )
    return [
        f"| | {names[0]} | {names[1]} | distance | by chance: mean, 95 % |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]


def compare_shares(names: tuple[str, str], one: list[Puzzle], other: list[Puzzle]) -> list[str]:
    """A row for each share: in both, and their difference in standard errors."""
    rows = []
    for name, holds in SHARES.items():
        a, b = (np.mean([holds(*puzzle) for puzzle in puzzles]) for puzzles in (one, other))
        pooled = (a * len(one) + b * len(other)) / (len(one) + len(other))
        error = np.sqrt(pooled * (1 - pooled) * (1 / len(one) + 1 / len(other)))
        rows.append(f"| {name} | {a:.1%} | {b:.1%} | {(a - b) / error if error else 0:+.1f} |")
    return [f"| | {names[0]} | {names[1]} | difference in standard errors |", "|---|---:|---:|---:|", *rows]


def main() -> int:
    """Print the tables; returns the exit code."""
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and not Path(sys.argv[1]).is_file()):
        print("usage: mate_statistics.py [LICHESS.csv.zst]", file=sys.stderr)
        return 2
    lichess: dict[int, list[Puzzle]] = {mate_in: [] for mate_in in MATE_IN}
    if len(sys.argv) == 2:
        for board, key, mate_in in oracles.lichess_mates(Path(sys.argv[1]), max(MATE_IN)):
            if len(lichess[mate_in]) < ITEMS:
                lichess[mate_in].append((board, key))
    for mate_in in MATE_IN:
        train, test = (generated(mate_in, split, ITEMS) for split in ("train", "test"))
        pairs = [("train", "test", train, test)]
        if lichess[mate_in]:
            pairs.append(("train", "Lichess", train, lichess[mate_in]))
        for name, other_name, one, other in pairs:
            print(f"\nMate in {mate_in}: {name} ({len(one):,}) and {other_name} ({len(other):,})\n")
            print("\n".join(compare_numbers((name, other_name), one, other, NUMBERS)), end="\n\n")
            print("\n".join(compare_shares((name, other_name), one, other)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
