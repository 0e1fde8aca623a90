"""The solver from outside: one key or all, a limit on the work, interrupts, and what is no position."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from chess_oracles import chess, random_play
from mate_oracles import attacking_boards

from easy_to_hard.generators.chess import from_planes, parse_fens, sample, solve
from easy_to_hard.generators.chess.fen import START_FEN


@pytest.fixture(scope="module")
def positions() -> Any:
    """Of attacks and of games, 300 of them, and 20 mates in 3."""
    boards = [*attacking_boards(200, 5), *(board.copy() for board, _, _ in random_play(100, 6))]
    mates = sample(3, range(20)).rows[:, :8]
    return np.concatenate([parse_fens([board.fen() for board in boards]), mates])


def test_one_key_is_one_of_all(positions: Any) -> None:
    whole, one = solve(positions, 3), solve(positions, 3, keys="one")
    assert one.keys.shape == (len(positions), 1)
    assert one.lines.shape == (len(positions), 0)
    assert np.array_equal(one.mate_in, whole.mate_in)
    found = one.mate_in > 0
    assert (one.keys[~found] == -1).all()
    assert (one.keys[found] == whole.keys[found]).any(axis=1).all()
    assert all((one.mate_in == mate_in).sum() >= 10 for mate_in in (1, 2, 3))
    assert one.nodes[found].sum() < whole.nodes[found].sum() / 2


def test_a_quiet_key_is_found() -> None:
    """Morphy's problem, and a mate in 3 that needs two moves without check."""
    fens = ["kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", "8/8/8/8/8/5K2/4R3/6k1 w - - 0 1"]
    for fen in fens:
        whole, one = (solve(parse_fens([fen]), 4, keys=keys) for keys in ("all", "one"))
        assert one.mate_in[0] == whole.mate_in[0] >= 2
        assert one.keys[0, 0] in whole.keys[0]


@pytest.mark.parametrize("keys", ["all", "one"])
def test_nodes_are_limited(positions: Any, keys: str) -> None:
    """As many as were needed are enough, one less is not, and who else is asked about does not matter."""
    free = solve(positions, 3, keys=keys)
    for row in np.flatnonzero(free.nodes > 1)[::20]:
        position, needed = positions[row : row + 1], int(free.nodes[row])
        enough = solve(position, 3, keys=keys, most_nodes=needed)
        assert (enough.mate_in[0], enough.nodes[0]) == (free.mate_in[row], needed)
        assert np.array_equal(enough.keys[0], free.keys[row])
        short = solve(position, 3, keys=keys, most_nodes=needed - 1)
        assert (short.mate_in[0], short.nodes[0]) == (-1, needed - 1)
        assert (short.keys == -1).all()
        assert (short.lines == -1).all()
    limited = solve(positions, 3, keys=keys, most_nodes=300)
    assert (limited.mate_in == -1).any()
    assert np.array_equal(limited.mate_in, np.where(free.nodes <= 300, free.mate_in, -1))
    reverse = solve(positions[::-1], 3, 5, keys=keys, most_nodes=300)
    assert np.array_equal(reverse.nodes[::-1], limited.nodes)
    assert np.array_equal(reverse.keys[::-1], limited.keys)


@pytest.mark.posix
def test_an_interrupt_stops_a_long_search() -> None:
    """Within 8 moves from the start there is more to search than anyone could wait for."""
    code = f"""
import os, signal, threading
from easy_to_hard.generators.chess import parse_fens, solve
position = parse_fens([{START_FEN!r}])
solve(position, 3)
threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    solve(position, 8, 1)
except KeyboardInterrupt:
    print("stopped")
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert told.stdout == "stopped\n"


def _planes(board: Any) -> Any:
    """(1, 12, 8, 8) uint8, White to move."""
    planes = np.zeros((1, 12, 64), dtype=np.uint8)
    for square, piece in board.piece_map().items():
        planes[0, "kqbnrp".index(piece.symbol().lower()) + 6 * (piece.color == chess.BLACK), square] = 1
    return planes.reshape(1, 12, 8, 8)


WRONG = {
    "more moves than there is room for": (
        "8/k7/8/1Q1Q1Q1Q/Q1Q1Q1Q1/1Q1Q1Q1Q/Q1Q1Q1Q1/K7",
        "more pieces than its eight",
    ),
    "a pawn on the last rank": ("P3k3/8/8/8/8/8/8/4K3", "a pawn stands on the first or the last rank"),
    "the king can be taken": ("4k3/8/8/8/8/8/8/4RK2", "the side that has moved is in check"),
    "two kings": ("4k3/8/8/8/8/8/8/3KK3", "each side must have one king"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_position_is_refused(name: str) -> None:
    board, message = WRONG[name]
    fine = from_planes(_planes(chess.Board("4k3/8/8/8/8/8/8/4K3 w - - 0 1")))
    wrong = from_planes(_planes(chess.Board(f"{board} w - - 0 1")))
    with pytest.raises(ValueError, match=f"position 1: .*{message}"):
        solve(np.concatenate([fine, wrong]), 2)


@pytest.mark.parametrize("channels", [(1, 3), (4, 7), (1, 5)], ids=["queen and knight", "rook and enemy queen", "pawn"])
def test_two_pieces_on_a_square_are_refused(channels: tuple[int, int]) -> None:
    planes = _planes(chess.Board("4k3/8/8/8/8/8/8/4K3 w - - 0 1"))
    planes[0, channels, 3, 3] = 1
    with pytest.raises(ValueError, match="position 0: a square holds more than one piece"):
        solve(from_planes(planes), 2)


def test_a_piece_of_no_side_is_refused() -> None:
    positions = parse_fens([START_FEN])
    positions[0, 3] |= np.uint64(1 << 30)
    with pytest.raises(ValueError, match="position 0: a square holds more than one piece, or a piece of no side"):
        solve(positions, 1)


def test_wrong_arguments() -> None:
    positions = parse_fens([START_FEN])
    with pytest.raises(ValueError, match="unknown keys 'two': choose one of all, one"):
        solve(positions, 1, keys="two")
    for most_nodes in (0, -5):
        with pytest.raises(ValueError, match=f"most_nodes must be from 1 to .*, not {most_nodes}"):
            solve(positions, 1, most_nodes=most_nodes)
