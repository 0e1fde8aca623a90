"""Balanced mates: positions that are level or worse for the mover, play by judgment, and keys like those of people."""

import hashlib
from typing import Any

import mate_oracles as oracles
import numpy as np
import pytest
from chess_oracles import chess, encode, position_of

from easy_to_hard import ChessMateDataset
from easy_to_hard.generators.chess import MateBatch, sample, sampling, solve, tightest_checks, to_fens, to_ucis
from easy_to_hard.generators.chess.balanced import OFFER, TIGHTEST, has_trait, move_score
from easy_to_hard.generators.chess.board import MAX_MOVES, POSITION_WORDS
from easy_to_hard.generators.chess.games import GIVES_CHECK, mark_checks
from easy_to_hard.generators.chess.mates import new_search
from easy_to_hard.generators.chess.moves import find_legal, legal_moves
from easy_to_hard.generators.splits import SPLITS, split_of

_VALUES = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9, chess.KING: 0}


@pytest.fixture(scope="module")
def drawn() -> dict[int, MateBatch]:
    """300 mates in 1 and 80 in 2."""
    return {mate_in: sample(mate_in, range(count), variant="balanced") for mate_in, count in ((1, 300), (2, 80))}


def _puzzles(batch: MateBatch) -> list[tuple[Any, Any]]:
    ucis = to_ucis(batch.rows[:, POSITION_WORDS].astype(np.int64), batch.rows)
    return [(chess.Board(fen), chess.Move.from_uci(uci)) for fen, uci in zip(to_fens(batch.rows), ucis, strict=True)]


def _material(board: Any, color: bool) -> int:
    return sum(value * len(board.pieces(kind, color)) for kind, value in _VALUES.items())


def offers(board: Any, key: Any) -> bool:
    """Whether a queen or rook goes where it can be taken, and takes nothing of its worth."""
    kind, taken = board.piece_type_at(key.from_square), board.piece_type_at(key.to_square)
    if kind not in (chess.QUEEN, chess.ROOK) or (taken and _VALUES[taken] >= _VALUES[kind]):
        return False
    board.push(key)
    answer = any(reply.to_square == key.to_square for reply in board.legal_moves)
    board.pop()
    return answer


def castled(board: Any) -> bool:
    """Whether the enemy's king is where castling puts it, or next to that."""
    king = board.king(not board.turn)
    return chess.square_rank(king) == (0 if board.turn == chess.BLACK else 7) and chess.square_file(king) in (
        0,
        1,
        2,
        6,
        7,
    )


def _score(board: Any, uci: str) -> int:
    """`move_score` of a move, marked as `mark_checks` marks it."""
    position, move = position_of(board), chess.Move.from_uci(uci)
    found = find_legal(position, np.int64(encode(board, move)), np.empty(MAX_MOVES, dtype=np.int64))
    if board.gives_check(move):
        found |= GIVES_CHECK
    return int(move_score(position, np.int64(found), np.empty(POSITION_WORDS, dtype=np.uint64)))


@pytest.mark.parametrize("mate_in", [1, 2])
def test_the_mover_is_not_ahead(drawn: dict[int, MateBatch], mate_in: int) -> None:
    for board, _ in _puzzles(drawn[mate_in]):
        enemy = _material(board, not board.turn)
        assert enemy >= 15
        assert _material(board, board.turn) <= enemy


def test_the_solver_agrees(drawn: dict[int, MateBatch]) -> None:
    for mate_in, batch in drawn.items():
        solution = solve(batch.rows, mate_in)
        assert (solution.mate_in == mate_in).all()
        assert np.array_equal(solution.keys[:, 0], batch.rows[:, POSITION_WORDS].astype(np.int16))
        assert (solution.keys[:, 1] == -1).all()


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_the_brute_force_agrees(split: str) -> None:
    for board, key in _puzzles(sample(2, range(20), variant="balanced", split=split)):
        assert oracles.confirm(board, key, 2) == "confirmed", board.fen()


def test_traits_are_as_frequent_as_in_puzzles_of_people(drawn: dict[int, MateBatch]) -> None:
    """Without the shares that are drawn, 5 % offer a piece and 47 % of the kings have castled."""
    puzzles = _puzzles(drawn[2])
    assert np.mean([board.gives_check(key) for board, key in puzzles]) > 0.9
    assert 0.08 < np.mean([offers(board, key) for board, key in puzzles]) < 0.35
    assert 0.5 < np.mean([castled(board) for board, _ in puzzles]) < 0.85
    assert 0.55 < np.mean(tightest_checks(drawn[2].rows) == drawn[2].rows[:, POSITION_WORDS].astype(np.int64)) < 0.95
    assert 0.5 < np.mean([castled(board) for board, _ in _puzzles(drawn[1])]) < 0.85


def test_an_item_depends_on_nothing_but_its_number(drawn: dict[int, MateBatch]) -> None:
    sampling._DRAWN.clear()
    order = [7, 0, 33]
    again = sample(2, order, variant="balanced", num_threads=2)
    for name in MateBatch.__dataclass_fields__:
        assert np.array_equal(getattr(again, name), getattr(drawn[2], name)[order])


def test_items_stay_what_they_are(drawn: dict[int, MateBatch]) -> None:
    """The first 50 mates in 1 and 20 mates in 2."""
    rows = np.concatenate([drawn[1].rows[:50], drawn[2].rows[:20]]).astype("<u8")
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    assert digest == "764d5e0e4a1f0d3ab1ea27368a692fca58258dda89b89a2bc53739bc58bc9e08"


def test_boards_are_of_their_split() -> None:
    for split in SPLITS:
        hashes = sample(1, range(20), variant="balanced", split=split).board_hashes
        assert {split_of(int(value)) for value in hashes} == {split}


def test_the_default_is_another_stream(drawn: dict[int, MateBatch]) -> None:
    assert not np.isin(sample(1, range(300)).board_hashes, drawn[1].board_hashes).any()


def test_has_trait_as_python_chess_has_it(drawn: dict[int, MateBatch]) -> None:
    """All keys are unique, so a trait is there just where the key has it."""
    search, moves = new_search(2**12), np.empty(MAX_MOVES, dtype=np.int64)
    after, child, checks = (np.empty(POSITION_WORDS, dtype=np.uint64) for _ in range(3))
    tightest = tightest_checks(drawn[2].rows)
    seen = {OFFER: 0, TIGHTEST: 0}
    for i, (board, key) in enumerate(_puzzles(drawn[2])):
        position = drawn[2].rows[i, :POSITION_WORDS].copy()
        count = legal_moves(position, moves)
        mark_checks(position, moves, count, checks, after)
        wanted = {
            OFFER: offers(board, key) and board.gives_check(key),
            TIGHTEST: tightest[i] == drawn[2].rows[i, POSITION_WORDS],
        }
        for trait, has in wanted.items():
            assert has_trait(position, moves, count, trait, 2, search, 1, after, child) == has, board.fen()
            seen[trait] += has
    assert 0 < seen[OFFER] < seen[TIGHTEST] < len(drawn[2].rows)


def test_a_good_move_has_a_high_score() -> None:
    """In quarters of a pawn: what hangs, what is taken, castling and the pawns before the king."""
    board = chess.Board("r1bqkb1r/pppp1ppp/2n2n2/4p3/2B1P3/5N2/PPPP1PPP/RNBQK2R w KQkq - 0 1")
    assert _score(board, "e1g1") > _score(board, "d2d3") > _score(board, "e1e2")
    # The knight takes a guarded pawn: a knight for a pawn.
    assert _score(board, "f3e5") <= _score(board, "d2d3") - 4
    castled_board = chess.Board("r4rk1/pppq1ppp/8/8/8/8/PPPQ1PPP/R4RK1 w - - 0 1")
    assert _score(castled_board, "g2g4") < _score(castled_board, "a2a4")
    # A queen that is not guarded is worth nine pawns, and one for a queen is even.
    taken = chess.Board("3q2k1/5ppp/8/8/8/8/5PPP/3Q2K1 w - - 0 1")
    assert _score(taken, "d1d8") >= 4 * 9
    assert _score(taken, "d1d7") <= -4 * 9 + 12


def test_dataset() -> None:
    data = ChessMateDataset("unused", 1, variant="balanced", num_samples=5)
    assert data.spec.config == "chess_mates_balanced_1"
    assert data.fens == to_fens(sample(1, range(5), variant="balanced").rows)


def test_the_default_has_a_name() -> None:
    data = ChessMateDataset("unused", 1, variant="random", num_samples=3)
    assert data.spec == ChessMateDataset("unused", 1, num_samples=3).spec
    assert data.spec.variant == ""


@pytest.mark.parametrize("variant", ["lopsided", "Balanced"])
def test_unknown_variant(variant: str) -> None:
    with pytest.raises(ValueError, match=f"unknown variant '{variant}'.*'balanced'"):
        sample(1, [0], variant=variant)
    with pytest.raises(ValueError, match=f"unknown variant '{variant}' of chess_mates: random, balanced"):
        ChessMateDataset("unused", 1, variant=variant)
