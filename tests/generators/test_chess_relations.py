"""Relations between squares, against python-chess."""

import chess as python_chess
import numpy as np
import pytest

from easy_to_hard.generators.chess import find_relations, parse_fens

FENS = [
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1",
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1",
    "r2q1rk1/pP1p2pp/Q4n2/bbp1p3/Np6/1B3NBn/pPPP1PPP/R3K2R b KQ - 0 1",
    "4k3/8/8/8/4n3/8/8/q3K3 w - - 0 1",
    "4k3/P7/8/2pP4/8/8/8/4K2R w K c6 0 1",
]


def _words_by_python_chess(fen: str) -> np.ndarray:
    board = python_chess.Board(fen)
    if board.turn == python_chess.BLACK:
        board = board.mirror()
    words = np.zeros((3, 64), dtype=np.uint64)
    for square in board.piece_map():
        words[0, square] = np.uint64(int(board.attacks(square)))
    for move in board.legal_moves:
        to = np.uint64(1 << move.to_square)
        words[1, move.from_square] |= to
        if board.gives_check(move):
            words[2, move.from_square] |= to
    return words


def test_relations_are_those_of_python_chess() -> None:
    words = find_relations(parse_fens(FENS))
    expected = np.stack([_words_by_python_chess(fen) for fen in FENS])
    assert words.dtype == np.uint64
    assert np.array_equal(words, expected)
    assert words[:, 2].any(), "no position has a check to give"


def test_impossible_positions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"positions must be of shape \(N, 8\), not \(2, 3\)"):
        find_relations(np.zeros((2, 3), dtype=np.uint64))
    with pytest.raises(ValueError, match="king"):
        find_relations(np.zeros((1, 8), dtype=np.uint64))
