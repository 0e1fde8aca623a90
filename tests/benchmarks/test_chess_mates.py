"""Mate puzzles a second by depth and split, and how long the solver takes on the mates of Lichess; one thread."""

from pathlib import Path
from typing import Any

import mate_oracles as oracles
import numpy as np
import pytest
from chess_oracles import position_of, random_play

from easy_to_hard.generators.chess import sample, sampling, solve

# Puzzles a round, and rounds.
COUNTS = {1: (1000, 5), 2: (200, 5), 3: (40, 3), 4: (10, 2)}
EXCERPT = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
LICHESS = Path(__file__).parents[3] / "shared" / "data" / "lichess_puzzles_sample.csv.zst"
MOST_ROWS = 300


@pytest.fixture(scope="module")
def lichess() -> dict[int, Any]:
    """Positions of the rows mateIn1 to mateIn4, at most 300 of each: of the large file if there is one."""
    positions: dict[int, list[Any]] = {number: [] for number in range(1, 5)}
    for board, _, number in oracles.lichess_mates(LICHESS if LICHESS.exists() else EXCERPT, 4):
        if len(positions[number]) < MOST_ROWS:
            positions[number].append(position_of(board))
        if all(len(found) == MOST_ROWS for found in positions.values()):
            break
    return {number: np.stack(found) for number, found in positions.items()}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("mate_in", COUNTS)
def test_puzzles(timed: Any, mate_in: int, split: str) -> None:
    """What `first_distinct` keeps would be given again, so it is left out."""
    sampling._DRAWN.clear()
    count, rounds = COUNTS[mate_in]
    draw = lambda: sample(mate_in, np.arange(count), split=split, num_threads=1)  # noqa: E731
    batch = timed(f"chess mates {mate_in}", f"{split} split", count, draw, rounds=rounds, warmup=1)
    assert len(batch.rows) == count


@pytest.mark.parametrize("mate_in", [1, 2, 3, 4])
def test_solver(timed: Any, lichess: dict[int, Any], mate_in: int) -> None:
    """In how many moves, all keys and the whole line."""
    positions = lichess[mate_in][: 100 if mate_in == 4 else None]
    find = lambda: solve(positions, mate_in, 1)  # noqa: E731
    solution = timed("chess, mates of Lichess solved", f"mate in {mate_in}", len(positions), find, rounds=3, warmup=1)
    assert (solution.mate_in == mate_in).all()


@pytest.mark.parametrize("mate_in", [1, 2, 3, 4])
def test_solver_finds_one_key(timed: Any, lichess: dict[int, Any], mate_in: int) -> None:
    """In how many moves, and one key."""
    positions = lichess[mate_in][: 100 if mate_in == 4 else None]
    find = lambda: solve(positions, mate_in, 1, keys="one")  # noqa: E731
    solution = timed(
        "chess, one key to mates of Lichess", f"mate in {mate_in}", len(positions), find, rounds=3, warmup=1
    )
    assert (solution.mate_in == mate_in).all()


@pytest.mark.parametrize("most", [1, 2, 3])
def test_solver_finds_none(timed: Any, most: int) -> None:
    """Positions of random games, of which hardly one holds a mate."""
    boards = [position_of(board) for number, (board, _, _) in enumerate(random_play(2000, 7)) if number % 20 == 0]
    positions = np.stack(boards)
    timed(
        "chess, mate ruled out", f"within {most}", len(positions), lambda: solve(positions, most, 1), rounds=2, warmup=1
    )
