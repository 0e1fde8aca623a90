"""Legal moves, and what becomes of the board: against known counts and against python-chess."""

import os
from typing import Any

import numpy as np
import pytest
from chess_oracles import KINDS, PERFT, Comparison, chess, encode, position_of, random_play, thrown_boards

from easy_to_hard.generators.chess import parse_fens, parse_ucis, to_fens, to_ucis
from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK
from easy_to_hard.generators.chess.moves import find_legal, has_legal_move, legal_moves, make
from easy_to_hard.generators.chess.perft import perft

BULK_ONLY_ABOVE = 10_000_000

# Counts that are widely used to find one mistake each: FEN, depth, sequences of moves.
SINGLE_MISTAKES = {
    "en passant would uncover the king along the rank": ("3k4/3p4/8/K1P4r/8/8/8/8 b - - 0 1", 6, 1134888),
    "en passant would uncover the king along a diagonal": ("8/5bk1/8/2Pp4/8/1K6/8/8 w - d6 0 1", 6, 824064),
    "en passant gives check": ("8/8/1k6/2b5/2pP4/8/5K2/8 b - d3 0 1", 6, 1440467),
    "short castling gives check": ("5k2/8/8/8/8/8/8/4K2R w K - 0 1", 6, 661072),
    "long castling gives check": ("3k4/8/8/8/8/8/8/R3K3 w Q - 0 1", 6, 803711),
    "castling rights are lost": ("r3k2r/1b4bq/8/8/8/8/7B/R3K2R w KQkq - 0 1", 4, 1274206),
    "castling is prevented": ("r3k2r/8/3Q4/8/8/5q2/8/R3K2R b KQkq - 0 1", 4, 1720476),
    "a promotion stops a check": ("2K2r2/4P3/8/8/8/8/8/3k4 w - - 0 1", 6, 3821001),
    "discovered checks": ("8/8/1P2K3/8/2n5/1q6/8/5k2 b - - 0 1", 5, 1004658),
    "a promotion gives check": ("4k3/1P6/8/8/8/8/K7/8 w - - 0 1", 6, 217342),
    "underpromotion gives check": ("8/P1k5/K7/8/8/8/8/8 w - - 0 1", 6, 92683),
    "stalemate by the own pawn": ("K1k5/8/P7/8/8/8/8/8 w - - 0 1", 6, 2217),
    "stalemate and checkmate": ("8/k1P5/8/1K6/8/8/8/8 w - - 0 1", 7, 567584),
    "double checks": ("8/8/2k5/5q2/5n2/8/5K2/8 b - - 0 1", 4, 23527),
}

# FEN, and what its en-passant captures or castlings are: written down by hand.
WORKED_OUT = {
    "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1": [],
    "8/8/8/2k5/3Pp3/8/8/4K3 b - d3 0 1": ["e4d3"],
    "8/8/8/1k6/3Pp3/8/8/4KQ2 b - d3 0 1": ["e4d3"],
    "4k3/8/8/2PpP3/8/8/8/4K3 w - d6 0 1": ["c5d6", "e5d6"],
    "4r1k1/8/8/2PpP3/8/8/8/4K3 w - d6 0 1": ["c5d6"],
    "4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1c1", "e1g1"],
    "1r2k3/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1c1", "e1g1"],
    "3rk3/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1g1"],
    "2r1k3/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1g1"],
    "4kr2/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1c1"],
    "4k1r1/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1c1"],
    "4k2r/8/8/8/8/8/8/R3K2R w KQ - 0 1": ["e1c1", "e1g1"],
    "3kr3/8/8/8/8/8/8/R3K2R w KQ - 0 1": [],
    "4k3/8/8/8/8/8/8/RN2K1NR w KQ - 0 1": [],
    "4k3/8/8/8/8/8/8/R3K2R w - - 0 1": [],
    "r3k2r/8/8/8/8/8/8/4K3 b kq - 0 1": ["e8c8", "e8g8"],
    "r3k2r/8/8/8/8/8/8/3RK3 b kq - 0 1": ["e8g8"],
    "r3k2r/8/8/8/8/8/8/4K3 b q - 0 1": ["e8c8"],
}


def _moves_of(position: Any) -> Any:
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    return moves[: legal_moves(position, moves)]


@pytest.mark.slow
@pytest.mark.parametrize("bulk", [False, True], ids=["every move made", "bulk"])
@pytest.mark.parametrize("fen", PERFT)
def test_perft(fen: str, bulk: bool) -> None:
    position = parse_fens([fen])[0]
    depths = [depth for depth, nodes in enumerate(PERFT[fen], 1) if bulk or nodes <= BULK_ONLY_ABOVE]
    assert perft(position, 0, bulk) == 1
    assert [perft(position, depth, bulk) for depth in depths] == list(PERFT[fen][: len(depths)])


@pytest.mark.parametrize("mistake", SINGLE_MISTAKES)
def test_perft_of_both_colors(mistake: str) -> None:
    fen, depth, nodes = SINGLE_MISTAKES[mistake]
    for position in parse_fens([fen, chess.Board(fen).mirror().fen()]):
        assert perft(position, depth, True) == nodes


@pytest.mark.parametrize("fen", WORKED_OUT)
def test_castling_and_en_passant(fen: str) -> None:
    board = chess.Board(fen)
    ours = [move & MOVE_MASK for move in _moves_of(parse_fens([fen])[0])]
    special = [move for move in map(chess.Move.from_uci, _squares()) if encode(board, move) in ours]
    found = [move.uci() for move in special if board.is_castling(move) or board.is_en_passant(move)]
    assert sorted(found) == WORKED_OUT[fen]


def _squares() -> list[str]:
    return [a + b for a in chess.SQUARE_NAMES for b in chess.SQUARE_NAMES if a != b]


def test_most_moves() -> None:
    """218 is the most that a game can come to, and the scratch space holds them."""
    fens = [
        "R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1",
        "3Q4/1Q4Q1/4Q3/2Q4R/Q4Q2/3Q4/1Q4Rp/1K1BBNNk w - - 0 1",
    ]
    for position in parse_fens(fens):
        assert len(set(_moves_of(position).tolist())) == 218


def test_end_of_the_game() -> None:
    """Fool's mate, a back-rank mate with Black to move, two stalemates, a check with one way out."""
    fens = {
        "rnb1kbnr/pppp1ppp/8/4p3/6Pq/5P2/PPPPP2P/RNBQKBNR w KQkq - 1 3": (True, False),
        "4R1k1/5ppp/8/8/8/8/8/4K3 b - - 0 1": (True, False),
        "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1": (False, False),
        "8/8/8/8/8/5k2/5p2/5K2 w - - 0 1": (False, False),
        "4R1k1/5pp1/8/8/8/8/8/4K3 b - - 0 1": (True, True),
        "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1": (False, True),
    }
    for position, (check, moves) in zip(parse_fens(list(fens)), fens.values(), strict=True):
        assert (in_check(position), has_legal_move(position), len(_moves_of(position)) > 0) == (check, moves, moves)


@pytest.mark.parametrize("fen", WORKED_OUT)
def test_castling_may_be_written_as_the_king_taking_its_rook(fen: str) -> None:
    """Of all pairs of squares python-chess takes the same for a legal move, and means the same move by them."""
    positions, scratch = parse_fens([fen]), np.empty(MAX_MOVES, dtype=np.int64)
    for text in _squares():
        try:
            meant = chess.Board(fen).parse_uci(text).uci()
        except ValueError:
            meant = None
        moves = parse_ucis([text], positions)
        legal = find_legal(positions[0], moves[0], scratch) >= 0
        assert (to_ucis(moves, positions)[0] if legal else None) == meant, text


def test_find_legal() -> None:
    """Every legal move is found with all its bits, and of all other 15-bit numbers none."""
    scratch = np.empty(MAX_MOVES, dtype=np.int64)
    for fen in list(PERFT)[1:4]:
        position = parse_fens([fen])[0]
        whole = {move & MOVE_MASK: move for move in _moves_of(position).tolist()}
        found = [find_legal(position, move, scratch) for move in range(MOVE_MASK + 1)]
        assert found == [whole.get(move, -1) for move in range(MOVE_MASK + 1)]


def test_make_leaves_the_position_alone() -> None:
    position = parse_fens([list(PERFT)[1]])[0]
    before, made = position.copy(), np.empty_like(position)
    for move in _moves_of(position):
        make(position, move, made)
        assert np.array_equal(position, before)


def _compare_games(comparison: Comparison, count: int, seed: int, every: int) -> None:
    """The engine plays along with its own positions; on each `every`-th position it makes all the moves."""
    position, children, fens = None, [], []
    for number, (board, legal, played) in enumerate(random_play(count, seed)):
        if not board.move_stack:
            position = position_of(board)
        comparison.check_position(board, legal, position)
        for move in legal if number % every == 0 else [played] * (played is not None):
            after = comparison.after(board, position, move)
            children.append(after)
            board.push(move)
            fens.append(board.fen())
            board.pop()
            if move == played:
                following = after
        position = following
    assert to_fens(np.stack(children)) == fens


def _compare_thrown(comparison: Comparison, count: int, seed: int) -> None:
    for board in thrown_boards(count, seed):
        legal, position = list(board.legal_moves), position_of(board)
        comparison.check_position(board, legal, position)
        assert to_fens(position[None]) == [board.fen()]
        for move in legal[:: max(1, len(legal) // 3)]:
            comparison.after(board, position, move)


@pytest.mark.slow
def test_positions_as_python_chess_has_them() -> None:
    """4,500 positions of random games and 3,000 of thrown pieces; every kind of position occurs."""
    comparison = Comparison()
    _compare_games(comparison, 4500, seed=0, every=10)
    _compare_thrown(comparison, 3000, seed=0)
    assert comparison.positions == 7500
    assert set(comparison.kinds) == set(KINDS)


@pytest.mark.slow
@pytest.mark.skipif(
    "EASY_TO_HARD_LONG_TESTS" not in os.environ, reason="takes minutes: set EASY_TO_HARD_LONG_TESTS=1 to run it"
)
def test_many_positions_as_python_chess_has_them() -> None:
    """150,000 positions of random games and 50,000 of thrown pieces.

    To run it: ``EASY_TO_HARD_LONG_TESTS=1 python -m pytest tests/generators/test_chess_moves.py -k many -s``.
    """
    games, thrown = Comparison(), Comparison()
    _compare_games(games, 150_000, seed=1, every=4)
    _compare_thrown(thrown, 50_000, seed=1)
    for comparison in (games, thrown):
        print(f"\n{comparison.positions:,} positions, {comparison.moves:,} moves made: {comparison.kinds}")
    assert set(games.kinds) >= set(KINDS) - {"en passant forbidden"}
    assert set(thrown.kinds) >= set(KINDS) - {"stalemate"}
