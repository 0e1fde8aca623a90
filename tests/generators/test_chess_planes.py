"""Planes against an encoding by python-chess and NumPy, and hashes against the symmetries of chess."""

from typing import Any

import numpy as np
import pytest
from chess_oracles import PERFT, chess, encode, position_of, random_play, thrown_boards
from chess_oracles import to_planes as planes_of

from easy_to_hard.generators.chess import canonical_hashes, from_planes, parse_fens, to_fens, to_planes
from easy_to_hard.generators.chess.board import STATE
from easy_to_hard.generators.chess.planes import PERSPECTIVES
from easy_to_hard.generators.splits import split_of


@pytest.fixture(scope="module")
def puzzles() -> list[tuple[Any, Any]]:
    """2,000 boards with a legal move each, half of them of games, both colors."""
    played = [(board.copy(stack=False), move) for board, _, move in random_play(1000, 11) if move]
    return played + [
        (board, next(iter(board.legal_moves))) for board in thrown_boards(1000, 11) if any(board.legal_moves)
    ]


def _rows(puzzles: list[tuple[Any, Any]]) -> Any:
    return np.array([[*position_of(board).tolist(), encode(board, move)] for board, move in puzzles], dtype=np.uint64)


@pytest.mark.parametrize("perspective", PERSPECTIVES)
def test_planes_as_python_chess_has_them(puzzles: list[tuple[Any, Any]], perspective: str) -> None:
    inputs, targets = to_planes(_rows(puzzles), perspective)
    assert inputs.dtype == targets.dtype == np.uint8
    expected = [planes_of(board, move, perspective) for board, move in puzzles]
    assert np.array_equal(inputs, np.stack([planes for planes, _ in expected]))
    assert np.array_equal(targets, np.stack([target for _, target in expected]))
    assert {board.turn for board, _ in puzzles} == {True, False}


def test_planes_by_hand() -> None:
    """Black to move: king g8, queen d8, pawn a7, against king g1 and rook a1; d8 goes to d2."""
    rows = np.append(parse_fens(["3q2k1/p7/8/8/8/8/8/R5K1 b - - 0 1"])[0], np.uint64(3 | 51 << 6))[None]
    ones = {
        perspective: [np.argwhere(part[0]).tolist() for part in to_planes(rows, perspective)]
        for perspective in PERSPECTIVES
    }
    assert ones["white"] == [[[0, 7, 6], [1, 7, 3], [5, 6, 0], [6, 0, 6], [10, 0, 0]], [[1, 3], [7, 3]]]
    assert ones["mover"] == [[[0, 0, 6], [1, 0, 3], [5, 1, 0], [6, 7, 6], [10, 7, 0]], [[0, 3], [6, 3]]]


def test_bits_above_the_move_do_not_matter(puzzles: list[tuple[Any, Any]]) -> None:
    """The kernels' own bits and the promotion are not in the target."""
    rows = _rows(puzzles[:200])
    marked = rows.copy()
    marked[:, 8] |= np.uint64(0x3FF << 12)
    assert np.array_equal(to_planes(marked)[1], to_planes(rows)[1])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(puzzles: list[tuple[Any, Any]], threads: int) -> None:
    rows = np.tile(_rows(puzzles[:500]), (40, 1))
    inputs, targets = to_planes(rows, num_threads=threads)
    alone, alone_target = to_planes(rows[:500], num_threads=1)
    assert np.array_equal(inputs.reshape(40, 500, 12, 8, 8), np.broadcast_to(alone, (40, 500, 12, 8, 8)))
    assert np.array_equal(targets.reshape(40, 500, 8, 8), np.broadcast_to(alone_target, (40, 500, 8, 8)))


def test_from_planes_inverts(puzzles: list[tuple[Any, Any]]) -> None:
    """The placement comes back as the mover sees it; clocks, rights and color are those of a fresh board."""
    rows = _rows(puzzles)
    positions = from_planes(to_planes(rows)[0])
    assert np.array_equal(positions[:, :STATE], rows[:, :STATE])
    for fen, (board, _) in list(zip(to_fens(positions), puzzles, strict=True))[:200]:
        seen = board if board.turn else board.mirror()
        assert fen == f"{seen.board_fen()} w - - 0 1"


def test_no_rows() -> None:
    inputs, targets = to_planes(np.empty((0, 9), dtype=np.uint64))
    assert inputs.shape == (0, 12, 8, 8)
    assert targets.shape == (0, 8, 8)
    assert from_planes(inputs).shape == (0, 8)
    assert canonical_hashes(np.empty((0, 8), dtype=np.uint64)).shape == (0,)


def test_wrong_arguments() -> None:
    rows = np.zeros((3, 9), dtype=np.uint64)
    with pytest.raises(ValueError, match="unknown perspective 'black': choose one of mover, white"):
        to_planes(rows, "black")
    for wrong in (rows[:, :8], rows[0], np.zeros((3, 10), dtype=np.uint64)):
        with pytest.raises(ValueError, match="rows must be of shape"):
            to_planes(wrong)
    with pytest.raises(ValueError, match="num_threads must be at least 1, not 0"):
        to_planes(rows, num_threads=0)


def _hashes(boards: list[Any]) -> list[int]:
    return canonical_hashes(np.stack([position_of(board) for board in boards])).tolist()


def test_hash_is_one_for_all_symmetries(puzzles: list[tuple[Any, Any]]) -> None:
    """Colors exchanged, left and right exchanged, both; whatever the rights, the clocks and the en-passant square."""
    boards = [board for board, _ in puzzles]
    hashes = _hashes(boards)
    swapped = [board.mirror() for board in boards]
    mirrored = [board.transform(chess.flip_horizontal) for board in boards]
    assert _hashes(swapped) == hashes
    assert _hashes(mirrored) == hashes
    assert _hashes([board.mirror() for board in mirrored]) == hashes


def test_hash_tells_placements_apart(puzzles: list[tuple[Any, Any]]) -> None:
    """As many hashes as placements up to the symmetries; turning the board top to bottom is no symmetry."""
    boards = [board for board, _ in puzzles]
    seen = [board if board.turn else board.mirror() for board in boards]
    placements = {min(b.board_fen(), b.transform(chess.flip_horizontal).board_fen()) for b in seen}
    assert len(set(_hashes(boards))) == len(placements) > 1500
    white, black = "4k3/8/8/8/8/8/P7/4K3 w - - 0 1", "4k3/8/8/8/8/8/P7/4K3 b - - 0 1"
    assert len(set(canonical_hashes(parse_fens([white, black])).tolist())) == 2


def test_hash_sees_every_piece_and_square() -> None:
    """Two kings, and one other piece of each kind and color on each square: all different up to left and right."""
    fens = set()
    for symbol in "NBRQnbrq":
        for square in range(64):
            board = chess.Board("4k3/8/8/8/8/8/8/3K4 w - - 0 1")
            if not board.piece_at(square):
                board.set_piece_at(square, chess.Piece.from_symbol(symbol))
                fens.add(board.fen())
    boards = [board for board in map(chess.Board, fens) if board.is_valid()]
    assert len(set(_hashes(boards))) == len(boards) > 300


def test_hashes_are_spread_evenly() -> None:
    """Each bit is set in half of them, so the splits, which are ranges of hashes, have their shares."""
    hashes = np.array(sorted(set(_hashes(list(thrown_boards(4000, 12))))), dtype=np.uint64)
    shares = [(hashes >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(64)]
    assert min(shares) > 0.46
    assert max(shares) < 0.54
    train = np.mean([split_of(value) == "train" for value in hashes.tolist()])
    assert 0.78 < train < 0.82


def test_hash_takes_rows() -> None:
    positions = parse_fens(list(PERFT))
    rows = np.concatenate([positions, np.ones((len(positions), 1), dtype=np.uint64)], axis=1)
    assert np.array_equal(canonical_hashes(rows), canonical_hashes(positions))
