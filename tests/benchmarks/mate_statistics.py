"""How alike the mate puzzles of train and test are, and how like those of Lichess: prints Markdown.

``python tests/benchmarks/mate_statistics.py [LICHESS.csv.zst] [--items 2000] [--deepest 3]``; without the file, what is
made here alone. It takes a quarter of an hour, most of it for the balanced mates in 3; with mates in 4, an hour more.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "generators"))

import mate_oracles as oracles
from chess_oracles import chess, encode, position_of
from test_balanced_mates import castled, offers

from easy_to_hard.generators.chess import VARIANTS, sample, tightest_checks, to_fens, to_ucis
from easy_to_hard.generators.chess.board import POSITION_WORDS

VALUES = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9, chess.KING: 0}
Puzzle = tuple[Any, Any]


def _material(board: Any, color: bool) -> int:
    """In pawns, 1, 3, 3, 5, 9."""
    return sum(value * len(board.pieces(kind, color)) for kind, value in VALUES.items())


NUMBERS: dict[str, Callable[[Any, Any], int]] = {
    "pieces": lambda board, key: chess.popcount(board.occupied),
    "material of the mover": lambda board, key: _material(board, board.turn),
    "material of the enemy": lambda board, key: _material(board, not board.turn),
    "lead of the mover": lambda board, key: _material(board, board.turn) - _material(board, not board.turn),
    "legal moves": lambda board, key: board.legal_moves.count(),
}
SHARES: dict[str, Callable[[Any, Any], bool]] = {
    "key is a check": lambda board, key: board.gives_check(key),
    "key is a capture": lambda board, key: board.is_capture(key),
    "key is a promotion": lambda board, key: key.promotion is not None,
    "key of a queen": lambda board, key: board.piece_type_at(key.from_square) == chess.QUEEN,
    "enemy has a queen": lambda board, key: bool(board.pieces(chess.QUEEN, not board.turn)),
    "key offers queen or rook": offers,
    "enemy king castled, by its square": lambda board, key: castled(board),
    "key is the check with the fewest replies": lambda board, key: (
        int(tightest_checks(position_of(board)[None])[0]) == encode(board, key)
    ),
    "mover in check": lambda board, key: board.is_check(),
    "Black to move": lambda board, key: board.turn == chess.BLACK,
}


def generated(mate_in: int, variant: str, split: str, count: int) -> list[Puzzle]:
    """Boards and keys of the first puzzles of a split."""
    rows = sample(mate_in, range(count), variant=variant, split=split).rows
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


def compare_all(sets: dict[str, list[Puzzle]]) -> list[str]:
    """A row for each number and share, a column for each set: means, and percent."""
    rows = [
        [name, *(f"{np.mean([of(*puzzle) for puzzle in puzzles]):{form}}" for puzzles in sets.values())]
        for kinds, form in ((NUMBERS, ".1f"), (SHARES, ".0%"))
        for name, of in kinds.items()
    ]
    header = ["", *(f"{name} ({len(puzzles):,})" for name, puzzles in sets.items())]
    return [f"| {' | '.join(row)} |" for row in (header, ["---", *["---:"] * len(sets)], *rows)]


def main() -> int:
    """Print the tables; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lichess", nargs="?", type=Path)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--deepest", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.lichess is not None and not arguments.lichess.is_file():
        parser.error(f"there is no file {arguments.lichess}")
    depths = range(1, arguments.deepest + 1)
    lichess: dict[int, list[Puzzle]] = {mate_in: [] for mate_in in depths}
    if arguments.lichess is not None:
        for board, key, mate_in in oracles.lichess_mates(arguments.lichess, arguments.deepest):
            if len(lichess[mate_in]) < arguments.items:
                lichess[mate_in].append((board, key))
    for mate_in in depths:
        tested = {}
        for variant in VARIANTS:
            name = variant or "default"
            train, test = (generated(mate_in, variant, split, arguments.items) for split in ("train", "test"))
            print(f"\nMate in {mate_in}, {name}: train and test\n")
            print("\n".join(compare_numbers(("train", "test"), train, test, NUMBERS)), end="\n\n")
            print("\n".join(compare_shares(("train", "test"), train, test)))
            tested[name] = test
        if lichess[mate_in]:
            tested["Lichess"] = lichess[mate_in]
        print(f"\nMate in {mate_in}\n")
        print("\n".join(compare_all(tested)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
