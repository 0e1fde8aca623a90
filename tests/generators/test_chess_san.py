"""SAN against python-chess: every legal move of positions of all kinds, there and back."""

from collections import Counter

import chess
import pytest
from chess_oracles import encode, position_of, random_play, thrown_boards

from easy_to_hard.generators.chess.san import find_moves, to_san


def boards() -> list[chess.Board]:
    played = [board.copy() for board, legal, _ in random_play(12, 3) if legal]
    special = [
        "r3k2r/8/8/2b1r1q1/3p4/8/p4K2/8 b kq - 0 1",
        "k7/P7/6p1/RP1pP3/4B3/3B4/6p1/R3K2R w KQ d6 0 1",
        "3k4/1R3PP1/8/8/2R5/4p3/5R2/R3K2R w KQ - 0 1",
        "7k/8/8/1Q1Q4/8/1Q6/8/4K3 w - - 0 1",
    ]
    return [*played[::7], *thrown_boards(25, 4), *map(chess.Board, special)]


@pytest.fixture(scope="module")
def cases() -> list[tuple[chess.Board, chess.Move]]:
    return [(board, move) for board in boards() for move in board.legal_moves]


def test_names_are_those_of_python_chess(cases: list[tuple[chess.Board, chess.Move]]) -> None:
    kinds: Counter[str] = Counter()
    for board, move in cases:
        name = to_san(position_of(board), encode(board, move))
        assert name == board.san(move), (board.fen(), move.uci())
        kinds.update(sign for sign in ("+", "#", "x", "=", "O-O", "O-O-O") if sign in name)
        kinds["disambiguated"] += len(name.strip("+#x")) > 3 and name[0] in "NBRQ"
    assert min(kinds[kind] for kind in ("+", "#", "x", "=", "O-O", "O-O-O", "disambiguated")) > 0, kinds


def test_moves_are_found_by_their_names(cases: list[tuple[chess.Board, chess.Move]]) -> None:
    for board, move in cases:
        position, bits = position_of(board), encode(board, move)
        san = board.san(move)
        for name in (san, move.uci(), san.rstrip("+#"), san + "!", san.replace("x", ""), san.replace("=", "")):
            if name == san.replace("x", "") != san and board.piece_type_at(move.from_square) == chess.PAWN:
                # "ed5" is one of them.
                assert bits in find_moves(position, name)
                continue
            assert find_moves(position, name) == [bits], (board.fen(), name)
        assert bits in find_moves(position, san.lower())
        assert bits in find_moves(position, san.upper())


def test_what_leaves_open_which_move_is_meant() -> None:
    knights = position_of(chess.Board("4k3/8/8/8/8/8/8/1N2KN2 w - - 0 1"))
    assert len(find_moves(knights, "Nd2")) == 2
    assert len(find_moves(knights, "Nbd2")) == 1
    pawn = position_of(chess.Board("8/4P3/8/8/8/8/k6K/8 w - - 0 1"))
    assert len(find_moves(pawn, "e8")) == len(find_moves(pawn, "e7e8")) == 4
    assert len(find_moves(pawn, "e8=N")) == len(find_moves(pawn, "e7e8n")) == 1
    pair = position_of(chess.Board("4k3/8/8/2p5/1P1B4/8/8/4K3 w - - 0 1"))
    board = chess.Board("4k3/8/8/2p5/1P1B4/8/8/4K3 w - - 0 1")
    assert find_moves(pair, "bxc5") == [encode(board, chess.Move.from_uci("b4c5"))]
    assert find_moves(pair, "Bxc5") == [encode(board, chess.Move.from_uci("d4c5"))]
    # No pawn can go there.
    assert find_moves(pair, "be5") == [encode(board, chess.Move.from_uci("d4e5"))]


def test_what_names_no_legal_move() -> None:
    start = position_of(chess.Board())
    for text in ("", "e5", "Ke2", "O-O", "e2e5", "Nf6", "xx", "e4e5", "P@e4", "e9", "Ng1", "N", "e2e4q"):
        assert find_moves(start, text) == [], text
    with pytest.raises(ValueError, match="0 is not a legal move"):
        to_san(start, 0)
    # A king's letter does not castle.
    assert find_moves(position_of(chess.Board("4k3/8/8/8/8/8/8/4K2R w K - 0 1")), "Kg1") == []
