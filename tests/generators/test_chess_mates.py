"""The mate solver: against a brute force on python-chess, problems with known keys, and the mates of Lichess."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import mate_oracles as oracles
import numpy as np
import pytest
from chess_oracles import chess, encode, position_of, random_play, thrown_boards

from easy_to_hard.generators.chess import parse_fens, sample, solve, to_fens, to_lines
from easy_to_hard.generators.chess.board import CASTLING, EN_PASSANT, MAX_MOVES, MOVE_MASK, STATE
from easy_to_hard.generators.chess.mates import (
    MAX_MATE_IN,
    find_keys,
    mate_within,
    mates_in_one,
    new_search,
    only_key,
    solution_line,
)

EXCERPT = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
LICHESS = Path(__file__).parents[3] / "shared" / "data" / "lichess_puzzles_sample.csv.zst"

# FEN, moves to mate (0: none within 2), all keys. What each shows is said before it.
PROBLEMS = {
    "en passant mates": ("3rkr2/5p2/8/3pP3/8/7B/8/4R1K1 w - d6 0 1", 1, "e5d6"),
    "en passant mates where nothing else does so soon": ("4k3/1PK5/8/3pPR2/8/4Q2R/5PB1/8 w - d6 0 1", 1, "e5d6"),
    "en passant is the key": ("8/k7/8/2r5/1Pp5/2p5/4p3/K7 b - b3 0 1", 2, "c4b3"),
    "the same without the square": ("8/k7/8/2r5/1Pp5/2p5/4p3/K7 b - - 0 1", 0, ""),
    "en passant as one of many": (
        "8/8/5q2/2r5/6Pp/1r6/3pk3/6K1 b - g3 0 1",
        2,
        "f6f2 f6f1 d2d1q d2d1r c5c1 h4g3 b3h3",
    ),
    "short castling mates": ("4R3/8/8/8/8/5k1P/7P/4K2R w K - 0 1", 1, "e1g1"),
    "short castling of Black mates": ("r3k2r/6r1/B1qpPK2/8/5R2/8/5p2/8 b kq - 0 1", 1, "e8g8"),
    "long castling is the key": ("4k3/2P5/8/8/8/8/5R1P/R3K2R w KQ - 0 1", 2, "e1c1"),
    "long castling of Black is the key": ("r3k2r/6P1/8/8/p7/8/3r2p1/2K5 b kq - 0 1", 2, "e8c8"),
    "the defender castles out of it": ("r3k2r/K1PR4/1P6/2N5/2R5/8/8/8 w kq - 0 1", 0, ""),
    "a knight mates": ("8/PNP2b2/1k6/6R1/3n3p/8/1r1R2Q1/R3K2R w KQ - 0 1", 1, "a7a8n"),
    "a knight of Black mates": ("8/1P1P4/2R1B3/5nn1/2q5/K1p2kb1/1p6/8 b - - 0 1", 1, "b2b1n"),
    "a knight is the key": ("8/3P2R1/2k5/8/1K6/4Q3/1P6/8 w - - 0 1", 2, "d7d8n"),
    "a queen would stalemate, a rook mates": ("8/k1P5/2K5/8/8/8/8/8 w - - 0 1", 2, "c7c8r"),
    "five mates, and a stalemate beside them": ("7k/5K2/8/6Q1/8/8/8/8 w - - 0 1", 1, "g5g7 g5h6 g5h5 g5h4 g5g8"),
    "stalemate all round": ("k7/2Q5/8/8/8/8/8/K7 b - - 0 1", 0, ""),
    "mated already": ("4R1k1/5ppp/8/8/8/8/8/4K3 b - - 0 1", 0, ""),
    "two lone kings": ("8/8/4k3/8/8/3K4/8/8 w - - 0 1", 0, ""),
    "Morphy's problem, a quiet key that gives a rook": ("kbK5/pp6/1P6/8/8/8/8/R7 w - - 0 1", 2, "a1a6"),
    "a quiet key, to the seventh rank": ("5k2/7P/8/8/2P5/1N6/6N1/R3K2R w KQ - 0 1", 2, "a1a7"),
    "the start": ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", 0, ""),
    "the fool's mate": ("rnbqkbnr/pppp1ppp/8/4p3/6P1/5P2/PPPPP2P/RNBQKBNR b KQkq - 0 2", 1, "d8h4"),
    "the scholar's mate": ("r1bqkb1r/pppp1ppp/2n2n2/4p2Q/2B1P3/8/PPPP1PPP/RNB1K1NR w KQkq - 4 4", 1, "h5f7"),
}

# Endings with a rook or a queen, most by a quiet key: few enough moves for the brute force.
THREE_MOVERS = {
    "8/8/8/8/4K1k1/2Q5/8/8 w - - 0 1": "c3g7",
    "8/8/8/3K4/8/8/7Q/2k5 w - - 0 1": "d5d4 d5c4",
    "8/8/8/4K3/7k/8/8/2R5 w - - 0 1": "e5f4",
    "8/8/1R6/8/4K3/8/7k/8 w - - 0 1": "e4f3",
    "8/7k/8/4K3/5R2/8/8/8 w - - 0 1": "e5f6",
}
# Mates in 6, 7 and 8 of a queen, as Stockfish 15 has them too.
DEEP = {"7K/8/5k2/8/8/8/2Q5/8 w - - 0 1": 6, "8/2k5/8/8/1Q6/8/4K3/8 w - - 0 1": 7, "4K3/8/5Q2/8/8/8/4k3/8 w - - 0 1": 8}


def _ours(boards: list[Any], most: int, threads: int = 1) -> list[tuple[int, set[int]]]:
    solution = solve(np.stack([position_of(board) for board in boards]), most, threads)
    return [
        (int(mate_in), set(keys[keys >= 0].tolist()))
        for mate_in, keys in zip(solution.mate_in, solution.keys, strict=True)
    ]


def _theirs(board: Any, most: int) -> tuple[int, set[int]]:
    mate_in, keys = oracles.solve(board, most)
    return mate_in, {encode(board, key) for key in keys}


def _solve_lines(boards: list[Any], most: int) -> list[tuple[int, list[Any]]]:
    """Of each board in how many moves mate is forced, and the line as moves of python-chess."""
    positions = np.stack([position_of(board) for board in boards])
    solution = solve(positions, most)
    lines = []
    for i, mate_in in enumerate(solution.mate_in.tolist()):
        moves = solution.lines[i : i + 1, : max(0, 2 * mate_in - 1)]
        ucis = to_lines(moves, positions[i : i + 1])[0].split() if mate_in else []
        lines.append((mate_in, [chess.Move.from_uci(uci) for uci in ucis]))
    return lines


@pytest.fixture(scope="module")
def mixed_boards() -> list[Any]:
    """Positions of all sorts, 390 of them; none is chosen for what the solver says of it."""
    attacks = list(oracles.attacking_boards(250, 0))
    games = [board.copy() for number, (board, _, _) in enumerate(random_play(600, 1)) if number % 15 == 0]
    lichess = [board for board, _, _ in oracles.lichess_mates(EXCERPT, 4)][:60]
    return [*attacks, *games, *lichess, *thrown_boards(40, 2)]


@pytest.fixture(scope="module")
def answers(mixed_boards: list[Any]) -> list[tuple[int, set[int]]]:
    """What the brute force says of them: in how many moves mate is forced, at most 2, and by which."""
    return [_theirs(board, 2) for board in mixed_boards]


@pytest.fixture(scope="module")
def mixed_positions(mixed_boards: list[Any]) -> Any:
    return np.stack([position_of(board) for board in mixed_boards])


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name: str) -> None:
    """Both solvers find what is known of them; also with the colors exchanged."""
    fen, mate_in, ucis = PROBLEMS[name]
    board = chess.Board(fen)
    keys = {encode(board, chess.Move.from_uci(uci)) for uci in ucis.split()}
    assert _theirs(board, 2) == (mate_in, keys)
    assert _ours([board, board.mirror()], 2) == [(mate_in, keys)] * 2


@pytest.mark.slow
def test_every_key_as_the_brute_force_has_it(mixed_boards: list[Any], answers: list[tuple[int, set[int]]]) -> None:
    for board, ours, theirs in zip(mixed_boards, _ours(mixed_boards, 2), answers, strict=True):
        assert ours == theirs, board.fen()
    number_of = Counter(mate_in for mate_in, _ in answers)
    assert len(answers) >= 350
    assert min(number_of[0], number_of[1], number_of[2]) >= 40
    assert sum(len(keys) > 1 for _, keys in answers) >= 30
    assert sum(board.turn == chess.BLACK for board in mixed_boards) >= 100
    two_movers = [board for board, (mate_in, _) in zip(mixed_boards, answers, strict=True) if mate_in == 2]
    assert sum(not any(map(board.gives_check, oracles.solve(board, 2)[1])) for board in two_movers) >= 5


@pytest.mark.parametrize("fen", THREE_MOVERS)
def test_mate_in_three_as_the_brute_force_has_it(fen: str) -> None:
    board = chess.Board(fen)
    found = 3, {encode(board, chess.Move.from_uci(uci)) for uci in THREE_MOVERS[fen].split()}
    assert _theirs(board, 3) == found
    assert _ours([board, board.mirror()], 3) == [found] * 2


@pytest.mark.slow
@pytest.mark.parametrize("fen", DEEP)
def test_deep_mates(fen: str) -> None:
    """As deep as the solver goes; one move less is not enough."""
    [(mate_in, line)] = _solve_lines([chess.Board(fen)], MAX_MATE_IN)
    assert (mate_in, len(line)) == (DEEP[fen], 2 * DEEP[fen] - 1)
    board = chess.Board(fen)
    for move in line:
        assert board.is_legal(move)
        board.push(move)
    assert board.is_checkmate()


def test_castling_and_en_passant_count() -> None:
    """The solver does not take a position for the same one without its rights, in whatever order it sees the two."""
    fens = [PROBLEMS[name][0] for name in ("en passant is the key", "long castling is the key")]
    fens += [PROBLEMS["the defender castles out of it"][0]]
    with_rights = parse_fens(fens)
    without = with_rights.copy()
    without[:, STATE] &= ~(CASTLING | EN_PASSANT)
    both = np.concatenate([with_rights, without])
    for order in (np.arange(6), np.array([3, 4, 5, 0, 1, 2])):
        found = np.empty(6, dtype=int)
        found[order] = solve(both[order], 2, 1).mate_in
        # Without castling, mate in 2 needs another move: the brute force says which.
        boards = [chess.Board(fen) for fen in to_fens(both)]
        assert found.tolist() == [oracles.solve(board, 2)[0] for board in boards]
        assert found[0] != found[3]
        assert found[2] != found[5]


def _everything(positions: Any, most: int, search: Any) -> list[Any]:
    """What the kernels say of each position, one after the other with the same search."""
    found = []
    for position in positions:
        keys, line = np.empty(MAX_MOVES, dtype=np.int64), np.full(2 * most, -1, dtype=np.int64)
        mate_in = mate_within(position, most, search, MAX_MATE_IN)
        count = 0
        if mate_in:
            count = find_keys(position, mate_in, search, keys, MAX_MOVES)
            solution_line(position, mate_in, search, line)
        found.append((mate_in, (keys[:count] & MOVE_MASK).tolist(), line.tolist()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("entries", [1, 2, 2**6, 2**16])
def test_answers_depend_on_no_table(mixed_positions: Any, entries: int) -> None:
    """Any size of the table, however full it is of other positions: the same keys and lines as with one of its own."""
    positions = mixed_positions[::4]
    alone = [_everything([position], 3, new_search(2**12))[0] for position in positions]
    search = new_search(entries)
    assert _everything(positions, 3, search) == alone
    assert _everything(positions[::-1], 3, search) == alone[::-1]
    assert sum(mate_in == 3 for mate_in, _, _ in alone) >= 3


def test_answers_depend_on_no_earlier_question(mixed_positions: Any) -> None:
    """Shallow after deep, deep after shallow, all moves after checks alone and the other way round."""
    positions = mixed_positions[::4]
    questions = [(1, 8), (2, 8), (3, 8), (3, 0), (3, 1), (2, 0)]
    fresh = {q: [mate_within(p, q[0], new_search(2**12), q[1]) for p in positions] for q in questions}
    assert fresh[3, 0] != fresh[3, 1]
    assert fresh[2, 0] != fresh[2, 8]
    for order in (questions, questions[::-1], questions[3:] + questions[:3]):
        search = new_search(2**12)
        for most, quiet in order:
            assert [mate_within(p, most, search, quiet) for p in positions] == fresh[most, quiet]


def test_answers_depend_on_no_threads(mixed_positions: Any) -> None:
    """Nor on who else is asked about, nor on whether rows hold a move as well."""
    whole = solve(mixed_positions, 3, 1)
    rows = np.concatenate([mixed_positions, np.ones((len(mixed_positions), 1), dtype=np.uint64)], axis=1)
    order = np.random.default_rng(0).permutation(len(rows))
    for held, threads, place in ((rows, 2, slice(None)), (mixed_positions, 5, slice(None)), (rows[order], None, order)):
        again = solve(held, 3, threads)
        for name in ("mate_in", "keys", "lines"):
            assert np.array_equal(getattr(again, name), getattr(whole, name)[place]), name
    single = solve(mixed_positions[7:8], 3)
    assert np.array_equal(single.keys, whole.keys[7:8])


def test_solution_lines(mixed_boards: list[Any]) -> None:
    """Each attacker's move mates soonest and each reply puts it off longest, by the brute force; mate at the end."""
    long_ones = 0
    for start, (mate_in, line) in zip(mixed_boards, _solve_lines(mixed_boards, 2), strict=True):
        assert len(line) == max(0, 2 * mate_in - 1)
        board = start.copy()
        for ply, move in enumerate(line):
            assert board.is_legal(move)
            left = mate_in - ply // 2
            if ply % 2 == 0:
                assert oracles.solve(board, left)[0] == left
                assert oracles.is_key(board, move, left)
            board.push(move)
            if ply % 2:
                # The attacker must need all the moves that are left: no reply puts off more.
                assert oracles.solve(board, left - 1)[0] == left - 1
        assert board.is_checkmate() == (mate_in > 0 or start.is_checkmate())
        long_ones += mate_in == 2
    assert long_ones >= 40


def test_long_solution_lines() -> None:
    """Mates in 3 and 4: along the line one move less each time, and never more by another reply."""
    for mate_in, count in ((3, 12), (4, 2)):
        boards = [chess.Board(fen) for fen in to_fens(sample(mate_in, range(count)).rows)]
        for start, (found, line) in zip(boards, _solve_lines(boards, mate_in), strict=True):
            assert (found, len(line)) == (mate_in, 2 * mate_in - 1)
            board = start.copy()
            for ply, move in enumerate(line):
                assert board.is_legal(move)
                left = mate_in - ply // 2
                if ply % 2 == 0:
                    assert _ours([board], left)[0][0] == left
                    assert encode(board, move) in _ours([board], left)[0][1]
                else:
                    after = [board.copy() for _ in range(board.legal_moves.count())]
                    for one, reply in zip(after, board.legal_moves, strict=True):
                        one.push(reply)
                    assert max(number for number, _ in _ours(after, left - 1)) == left - 1
                    assert all(number > 0 for number, _ in _ours(after, left - 1))
                board.push(move)
                if ply % 2:
                    assert _ours([board], left - 1)[0][0] == left - 1
            assert board.is_checkmate()


@pytest.mark.slow
def test_quiet_moves_are_counted(mixed_boards: list[Any], mixed_positions: Any) -> None:
    """With no, or one, move without check the kernel finds what the brute force finds with as many."""
    search, found = new_search(2**10), Counter()
    for board, position in zip(mixed_boards, mixed_positions, strict=True):
        for quiet in (0, 1):
            mate_in = next((n for n in (1, 2) if oracles.forces_mate(board, n, quiet)), 0)
            assert mate_within(position, 2, search, quiet) == mate_in, board.fen()
            found[quiet, mate_in] += 1
    assert found[0, 2] + 5 <= found[1, 2]


def test_quiet_moves_are_counted_along_the_way() -> None:
    """In mates in 3, where it is not the last two moves alone that may be quiet."""
    search, found = new_search(2**10), set()
    for fen, position in zip(THREE_MOVERS, parse_fens(list(THREE_MOVERS)), strict=True):
        for quiet in (0, 1, 2):
            mates = oracles.forces_mate(chess.Board(fen), 3, quiet)
            assert mate_within(position, 3, search, quiet) == (3 if mates else 0), (fen, quiet)
            found.add((quiet, mates))
    assert {(1, False), (1, True), (2, True)} <= found


def test_only_key(answers: list[tuple[int, set[int]]], mixed_positions: Any) -> None:
    """-1 where mate is sooner, later, nowhere or by several moves."""
    search, found = new_search(2**10), 0
    for (mate_in, keys), position in zip(answers, mixed_positions, strict=True):
        for asked in (1, 2):
            expected = min(keys) if asked == mate_in and len(keys) == 1 else -1
            key = only_key(position, asked, search)
            assert (key & MOVE_MASK if key >= 0 else key) == expected, to_fens(position[None])
            found += expected >= 0
    assert found >= 40


def test_search_for_keys_stops(mixed_positions: Any) -> None:
    """No more keys than asked for, and those are the first of all."""
    search, several = new_search(2**10), 0
    moves, checks, after = np.empty(MAX_MOVES, dtype=np.int64), np.empty(8, np.uint64), np.empty(8, np.uint64)
    for position in mixed_positions:
        mate_in = mate_within(position, 2, search, MAX_MATE_IN)
        whole, some = np.full((2, MAX_MOVES), -1, dtype=np.int64)
        count = find_keys(position, mate_in or 1, search, whole, MAX_MOVES)
        for most in (1, 2, 3):
            assert find_keys(position, mate_in or 1, search, some, most) == min(most, count)
            assert some[: min(most, count)].tolist() == whole[: min(most, count)].tolist()
        if mate_in == 1:
            assert mates_in_one(position, moves, checks, after, 2) == min(2, count)
        several += count > 3
    assert several >= 10


def test_shape_of_a_solution() -> None:
    fens = [
        PROBLEMS[name][0]
        for name in ("five mates, and a stalemate beside them", "Morphy's problem, a quiet key that gives a rook")
    ]
    solution = solve(parse_fens([*fens, PROBLEMS["the start"][0]]), 3)
    assert (solution.mate_in.dtype, solution.keys.dtype, solution.lines.dtype) == (np.int32, np.int16, np.int16)
    assert (solution.mate_in.shape, solution.keys.shape, solution.lines.shape) == ((3,), (3, MAX_MOVES), (3, 5))
    assert solution.mate_in.tolist() == [1, 2, 0]
    for row, keys, plies in ((0, 5, 1), (1, 1, 3), (2, 0, 0)):
        assert (solution.keys[row, :keys] >= 0).all()
        assert (solution.keys[row, keys:] == -1).all()
        assert (solution.lines[row, :plies] >= 0).all()
        assert (solution.lines[row, plies:] == -1).all()
    empty = solve(np.empty((0, 8), dtype=np.uint64), 2)
    assert (empty.mate_in.shape, empty.keys.shape, empty.lines.shape) == ((0,), (0, MAX_MOVES), (0, 3))


@pytest.mark.parametrize("most", [0, -1, 9])
def test_number_of_moves_is_checked(most: int) -> None:
    with pytest.raises(ValueError, match=f"most must be from 1 to 8, not {most}"):
        solve(parse_fens([PROBLEMS["the start"][0]]), most)


@pytest.mark.slow
@pytest.mark.skipif(
    "EASY_TO_HARD_LONG_TESTS" not in os.environ, reason="takes minutes: set EASY_TO_HARD_LONG_TESTS=1 to run it"
)
@pytest.mark.skipif(not LICHESS.exists(), reason=f"needs {LICHESS.name}")
def test_all_mates_of_lichess() -> None:
    """Every row with a theme mateIn1 to mateIn4 holds such a mate, and its first move is a key of it.

    To run it: ``EASY_TO_HARD_LONG_TESTS=1 python -m pytest tests/generators/test_chess_mates.py -k lichess -s``.
    """
    rows = list(oracles.lichess_mates(LICHESS, 4))
    print("\n| theme | rows | mate found | sooner | another key first | move is a key | more than one key | seconds |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for number in range(1, 5):
        chosen = [(board, move) for board, move, mate_in in rows if mate_in == number]
        moves = np.array([encode(board, move) for board, move in chosen])
        positions = np.stack([position_of(board) for board, _ in chosen])
        start = time.perf_counter()
        solution = solve(positions, number, 1)
        seconds = time.perf_counter() - start
        is_key = (solution.keys == moves[:, None]).any(axis=1)
        counts = [
            len(chosen), (solution.mate_in > 0).sum(), (solution.mate_in < number).sum(),
            (solution.keys[:, 0] != moves).sum(), is_key.sum(), (solution.keys[:, 1] >= 0).sum(),
        ]  # fmt: skip
        print(f"| mateIn{number} | " + " | ".join(f"{count:,}" for count in counts) + f" | {seconds:.1f} |")
        assert (solution.mate_in > 0).all()
        assert is_key.all(), to_fens(positions[~is_key])
