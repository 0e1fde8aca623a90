"""Play that gives positions: the weight of each move, the draw by weight, checks, the end of a game."""

from collections import Counter
from typing import Any

import numpy as np
import oracles
import pytest
from chess_oracles import chess, encode, position_of, random_play, thrown_boards
from mate_oracles import attacking_boards

from easy_to_hard.generators.chess import parse_fens
from easy_to_hard.generators.chess.attacks import attacks_down, enemy_attacks
from easy_to_hard.generators.chess.board import ENEMY, MAX_MOVES, MOVE_MASK, OWN, PAWNS, POSITION_WORDS
from easy_to_hard.generators.chess.games import GIVES_CHECK, choose_move, is_over, mark_checks, move_weight
from easy_to_hard.generators.chess.moves import find_legal, legal_moves
from easy_to_hard.generators.random import BUFFER_BYTES, CURSOR_WORDS, open_stream

ANY, RARE, VICTIM, RESCUE, CHECK, CASTLE, PROMOTION = 4, 1, 8, 4, 12, 20, 40

# What the move shows: FEN, move, its weight.
RULES = {
    "a pawn goes ahead": ("4k3/8/8/8/8/8/4P3/4K3 w - - 0 1", "e2e4", ANY),
    "a knight goes where nobody looks": ("4k3/8/8/8/8/8/8/N3K3 w - - 0 1", "a1b3", ANY),
    "a king steps": ("4k3/8/8/8/8/8/8/N3K3 w - - 0 1", "e1e2", RARE),
    "castling": ("4k3/8/8/8/8/8/8/R3K2R w KQ - 0 1", "e1c1", ANY + CASTLE),
    "castling gives check": ("5k2/8/8/8/8/8/8/4K2R w K - 0 1", "e1g1", ANY + CASTLE + CHECK),
    "a check": ("4k3/8/8/8/8/8/8/R3K3 w - - 0 1", "a1a8", ANY + CHECK),
    "an uncovered check": ("4k3/8/8/8/4B3/8/8/K3R3 w - - 0 1", "e4b1", ANY + CHECK),
    "a rook goes where a knight takes it": ("4k3/8/2n5/8/8/8/8/R3K3 w - - 0 1", "a1a5", RARE),
    "a knight goes where a knight takes it": ("4k3/8/2n5/8/8/2N5/8/4K3 w - - 0 1", "c3d5", ANY),
    "a knight goes where a knight may take it": ("4k3/8/2n5/8/8/5N2/8/4K3 w - - 0 1", "f3e5", ANY),
    "a knight goes where a pawn takes it": ("4k3/8/3p4/8/8/5N2/8/4K3 w - - 0 1", "f3e5", RARE),
    "a pawn goes where a pawn takes it": ("4k3/8/3p4/8/4P3/8/8/4K3 w - - 0 1", "e4e5", ANY),
    "a rook's check where a king takes it": ("4k3/8/8/8/8/8/8/K2R4 w - - 0 1", "d1d8", RARE + CHECK),
    "takes a free pawn": ("4k3/8/8/8/8/8/p7/R3K3 w - - 0 1", "a1a2", ANY + VICTIM),
    "takes a free knight": ("4k3/8/8/8/8/8/n7/R3K3 w - - 0 1", "a1a2", ANY + 3 * VICTIM),
    "takes a free bishop": ("4k3/8/8/8/8/8/b7/R3K3 w - - 0 1", "a1a2", ANY + 3 * VICTIM),
    "takes a free rook that attacks it": ("4k3/8/8/8/8/8/r7/R3K3 w - - 0 1", "a1a2", ANY + 5 * VICTIM + 5 * RESCUE),
    "takes a free queen": ("4k3/8/8/8/8/2N5/q7/4K3 w - - 0 1", "c3a2", ANY + 9 * VICTIM),
    "takes a guarded rook with a rook": ("4k3/8/8/8/8/1p6/r7/R3K3 w - - 0 1", "a1a2", ANY + 5 * VICTIM),
    "takes a guarded knight with a rook": ("4k3/8/8/8/8/1p6/n7/R3K3 w - - 0 1", "a1a2", RARE),
    "takes a guarded pawn with a pawn": ("4k3/8/2p5/3p4/4P3/8/8/4K3 w - - 0 1", "e4d5", ANY + VICTIM),
    "takes en passant": ("4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 1", "e5d6", ANY + VICTIM),
    "takes en passant into danger": ("4kb2/8/8/3pP3/8/8/8/4K3 w - d6 0 1", "e5d6", ANY + VICTIM),
    "takes en passant out of danger": ("4k3/8/8/3pP2r/8/8/8/4K3 w - d6 0 1", "e5d6", ANY + VICTIM + RESCUE),
    "a king takes": ("7k/8/8/8/8/8/4p3/4K3 w - - 0 1", "e1e2", ANY + VICTIM),
    "a queen leaves danger": ("4k3/8/8/8/3p4/2Q5/8/4K3 w - - 0 1", "c3c2", ANY + 9 * RESCUE),
    "a queen stays in danger": ("4k3/8/8/8/r2p4/2Q5/8/4K3 w - - 0 1", "c3a3", RARE),
    "a knight leaves danger": ("4k3/8/8/8/3p4/2N5/8/4K3 w - - 0 1", "c3b1", ANY + 3 * RESCUE),
    "a pawn leaves danger": ("4k3/8/8/3n4/5P2/8/8/4K3 w - - 0 1", "f4f5", ANY + RESCUE),
    "a king leaves danger": ("4r2k/8/8/8/8/8/8/4K3 w - - 0 1", "e1d1", RARE),
    "a pawn becomes a queen": ("7k/P7/8/8/8/8/7K/8 w - - 0 1", "a7a8q", ANY + PROMOTION + CHECK),
    "a pawn becomes a queen without check": ("8/P6k/8/8/8/8/7K/8 w - - 0 1", "a7a8q", ANY + PROMOTION),
    "a pawn becomes a rook": ("8/P6k/8/8/8/8/7K/8 w - - 0 1", "a7a8r", RARE),
    "a pawn becomes a knight with check": ("8/PPk5/8/8/8/8/7K/8 w - - 0 1", "a7a8n", RARE + CHECK),
    "a pawn takes and becomes a queen": ("1r6/P6k/8/8/8/8/7K/8 w - - 0 1", "a7b8q", ANY + 5 * VICTIM + PROMOTION),
    "a pawn takes and becomes a bishop": ("1r6/P6k/8/8/8/8/7K/8 w - - 0 1", "a7b8b", RARE),
}


def _attacked(position: Any) -> tuple[Any, Any]:
    attacked = enemy_attacks(position, position[OWN] | position[ENEMY])
    return np.uint64(attacked), np.uint64(attacks_down(position[ENEMY] & position[PAWNS]))


def _moves_with_checks(position: Any) -> Any:
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    count = legal_moves(position, moves)
    mark_checks(position, moves, count, np.empty(8, dtype=np.uint64), np.empty(POSITION_WORDS, dtype=np.uint64))
    return moves[:count]


@pytest.mark.parametrize("rule", RULES)
def test_weight_of_a_move(rule: str) -> None:
    """Of both colors."""
    fen, uci, weight = RULES[rule]
    board = chess.Board(fen)
    move = encode(board, chess.Move.from_uci(uci))
    for each in (board, board.mirror()):
        position = position_of(each)
        found = [one for one in _moves_with_checks(position) if one & MOVE_MASK == move]
        assert [move_weight(position, one, *_attacked(position)) for one in found] == [weight]


def test_every_move_can_come() -> None:
    """Weights are positive, so no position is out of reach."""
    for board, _, _ in random_play(300, 3):
        position = position_of(board)
        attacked = _attacked(position)
        assert all(move_weight(position, move, *attacked) >= 1 for move in _moves_with_checks(position))


def _kinds(board: Any, move: Any) -> list[str]:
    """In which ways a move that gives check does so."""
    board.push(move)
    uncovered = any(square != move.to_square for square in board.checkers())
    board.pop()
    named = {
        "castling": board.is_castling(move),
        "en passant": board.is_en_passant(move),
        "promotion": move.promotion is not None,
        "uncovered": uncovered,
        "capture": board.is_capture(move),
    }
    return [name for name, is_so in named.items() if is_so] + [chess.piece_name(board.piece_type_at(move.from_square))]


def test_checks_as_python_chess_has_them() -> None:
    """On 2,700 positions each move is marked if it gives check, and left as it is otherwise."""
    kinds: Counter[str] = Counter()
    scratch = np.empty(MAX_MOVES, dtype=np.int64)
    moves, checks, after = np.empty(MAX_MOVES, np.int64), np.empty(8, np.uint64), np.empty(8, np.uint64)
    boards = [board.copy(stack=False) for board, _, _ in random_play(1500, 4)]
    for board in [*boards, *attacking_boards(1000, 5), *thrown_boards(200, 6)]:
        position = position_of(board)
        count = legal_moves(position, moves)
        number = mark_checks(position, moves, count, checks, after)
        marked = {int(move) & MOVE_MASK: bool(move & GIVES_CHECK) for move in moves[:count]}
        checking = [move for move in board.legal_moves if board.gives_check(move)]
        assert {move for move, check in marked.items() if check} == {encode(board, move) for move in checking}
        assert number == len(checking)
        assert all(find_legal(position, int(m) & MOVE_MASK, scratch) == m & ~GIVES_CHECK for m in moves[:count])
        for move in checking:
            kinds.update(_kinds(board, move))
    assert set(kinds) == {"castling", "en passant", "promotion", "uncovered", "capture", *chess.PIECE_NAMES[1:]}


@pytest.mark.parametrize("fen", [
    "r1bqkbnr/pppp1ppp/2n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQK2R w KQkq - 0 1",
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R b KQkq - 0 1",
    "8/PPk5/8/8/8/8/7K/8 w - - 0 1",
])  # fmt: skip
def test_moves_are_drawn_by_weight(fen: str) -> None:
    position = parse_fens([fen])[0]
    moves, attacked = _moves_with_checks(position), _attacked(position)
    weights = np.array([move_weight(position, move, *attacked) for move in moves])
    buffer, cursor = np.empty(BUFFER_BYTES, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)
    open_stream(buffer, cursor, np.uint64(1), np.uint64(2))
    scratch, number = np.empty(MAX_MOVES, dtype=np.int64), 40_000
    drawn = Counter(int(choose_move(position, moves, len(moves), scratch, buffer, cursor)) for _ in range(number))
    counts = [drawn[int(move)] for move in moves]
    assert sum(counts) == number
    assert oracles.chi_square(counts, weights * (number / weights.sum())) < 5
    assert oracles.chi_square(counts, np.full(len(moves), number / len(moves))) > 20


def test_draws_depend_on_the_stream_alone() -> None:
    position = parse_fens(["r1bqkbnr/pppp1ppp/2n5/1B2p3/4P3/5N2/PPPP1PPP/RNBQK2R w KQkq - 0 1"])[0]
    moves, scratch = _moves_with_checks(position), np.empty(MAX_MOVES, dtype=np.int64)
    buffer, cursor = np.empty(BUFFER_BYTES, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)

    def draw(index: int) -> list[int]:
        open_stream(buffer, cursor, np.uint64(9), np.uint64(index))
        return [int(choose_move(position, moves, len(moves), scratch, buffer, cursor)) for _ in range(50)]

    first, second = draw(1), draw(2)
    assert first != second
    assert draw(1) == first


@pytest.mark.parametrize(("fen", "over"), [
    ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", False),
    ("4k3/8/8/8/8/8/8/4K3 w - - 0 1", True),
    ("4k3/8/8/8/8/8/8/4K2N w - - 0 1", False),
    ("4k3/8/8/8/8/8/8/4K2Q w - - 59 90", False),
    ("4k3/8/8/8/8/8/8/4K2Q w - - 60 90", True),
    ("4k3/8/8/8/8/8/8/4K2Q b - - 77 90", True),
])  # fmt: skip
def test_end_of_a_game(fen: str, over: bool) -> None:
    assert is_over(parse_fens([fen])[0]) == over
