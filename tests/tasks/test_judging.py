"""`Task.judge`: what is true of answers that are not the target, against plain Python and python-chess."""

import random
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import mate_oracles
import numpy as np
import pytest
from chess_oracles import chess, encode, kinds_of, position_of, random_play, thrown_boards

from easy_to_hard.generators.chess import sample, to_fens, to_planes
from easy_to_hard.generators.chess.answers import judge_moves
from easy_to_hard.generators.mazes.answers import valid_paths
from easy_to_hard.tasks import TASKS, DataSpec, Instances, generate

MAZE_VARIANTS = TASKS["mazes"].variants
LICHESS = Path(__file__).parents[2] / "../shared/data/lichess_puzzles_sample.csv.zst"


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if not task.imported])
def test_targets_pass_and_constants_do_not(name: str) -> None:
    task = TASKS[name]
    difficulty = task.train_difficulty
    instances = generate(DataSpec(task=name, difficulty=difficulty, split="test"), 50)[1]
    targets = task.encode(instances.data, difficulty, None)[1]
    wanted = {"mazes": {"valid_path"}, "chess_mates": {"legal", "winning_key"}}.get(name, set())
    for answers, passes in ((targets, True), (targets * 0, False), (targets * 0 + 1, False), (targets * 2, False)):
        facts = task.judge(instances, answers, difficulty)
        assert set(facts) == wanted
        for values in facts.values():
            assert values.dtype == np.bool_
            assert values.tolist() == [passes] * 50
    nobody = Instances(data=instances.data[:0])
    assert all(values.shape == (0,) for values in task.judge(nobody, targets[:0], difficulty).values())


# ---- mazes


def is_path(picture: Any, answer: Any) -> bool:
    """The definition, on the picture: whole free positions, connected, two of them ends and the others in between."""
    small = answer[1:-1:2, 1:-1:2]
    if not np.array_equal(answer, np.pad(np.kron(small, np.ones((2, 2), dtype=np.uint8)), 1)):
        return False
    red, green, blue = picture[:, 1:-1:2, 1:-1:2]
    ends = {tuple(np.argwhere(green > red)[0].tolist()), tuple(np.argwhere(red > green)[0].tolist())}
    marked = {tuple(place) for place in np.argwhere(small).tolist()}
    if not set(small.ravel().tolist()) <= {0, 1} or not ends <= marked:
        return False
    if not all(red[place] or green[place] or blue[place] for place in marked):
        return False
    beside = {(y, x): marked & {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} for y, x in marked}
    reached, front = set(ends), list(ends)[:1]
    while front:
        reached |= set(front)
        front = [near for place in front for near in beside[place] if near not in reached]
    return reached == marked and all(len(beside[place]) == (1 if place in ends else 2) for place in marked)


def mazes_of(size: int, variant: str, number: int) -> tuple[Instances, Any, Any]:
    spec = DataSpec(task="mazes", difficulty=size, variant=variant, split="test")
    instances = generate(spec, number)[1]
    return instances, *TASKS["mazes"].encode(instances.data, size, None)


def place_of(answer: Any, place: Any) -> Any:
    """The 2 x 2 pixels of a position, to be written to."""
    y, x = place
    return answer[2 * y + 1 : 2 * y + 3, 2 * x + 1 : 2 * x + 3]


def simple_paths(picture: Any, most: int, seed: int) -> list[Any]:
    """Answers that are simple paths of the positions from start to goal, found by going on until stuck."""
    red, green, blue = picture[:, 1:-1:2, 1:-1:2]
    start, goal = (tuple(np.argwhere(mask)[0].tolist()) for mask in (green > red, red > green))
    rng, found = random.Random(seed), []
    for _ in range(most):
        path = [start]
        while path and path[-1] != goal:
            y, x = path[-1]
            ways = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            ways = [(v, u) for v, u in ways if (blue[v, u] or (v, u) == goal) and (v, u) not in path]
            path = [*path, rng.choice(ways)] if ways else []
        if path:
            small = np.zeros(red.shape, dtype=np.uint8)
            small[tuple(zip(*path, strict=True))] = 1
            found.append(np.pad(np.kron(small, np.ones((2, 2), dtype=np.uint8)), 1))
    return found


@pytest.mark.parametrize("variant", MAZE_VARIANTS)
@pytest.mark.parametrize("size", [9, 13])
def test_paths_that_somebody_changed(size: int, variant: str) -> None:
    """Random changes of a target, one to three of them, each a pixel, a position, or a position beside the path."""
    rng = random.Random(size)
    instances, inputs, targets = mazes_of(size, variant, 150)
    answers = targets.copy()
    side = size + 2
    for answer in answers:
        for _ in range(rng.randint(0, 3)):
            on_path = [(y, x) for y, x in np.argwhere(answer[1:-1:2, 1:-1:2]).tolist()]
            y, x = rng.choice(on_path)
            step_y, step_x = rng.choice([(0, 1), (1, 0), (0, -1), (-1, 0)])
            change = rng.randrange(4)
            if change == 0:
                answer[rng.randrange(2 * side + 2), rng.randrange(2 * side + 2)] ^= 1
            else:
                beside = min(max(y + step_y, 0), side - 1), min(max(x + step_x, 0), side - 1)
                place_of(answer, [(y, x), beside, (rng.randrange(side), rng.randrange(side))][change - 1])[:] ^= 1
    expected = [is_path(picture, answer) for picture, answer in zip(inputs, answers, strict=True)]
    assert valid_paths(instances.data, answers).tolist() == expected
    assert 20 < sum(expected) < 80


def test_one_pixel_more_or_less_is_no_path() -> None:
    instances, _, targets = mazes_of(9, "", 1)
    pixels = targets[0].size
    answers = targets.repeat(pixels, axis=0)
    answers.reshape(pixels, -1)[np.arange(pixels), np.arange(pixels)] ^= 1
    assert not valid_paths(instances.data.repeat(pixels, axis=0), answers).any()


def test_detours_are_paths_and_are_not_the_shortest() -> None:
    instances, inputs, targets = mazes_of(13, "looped", 30)
    detours = 0
    for number, (picture, target) in enumerate(zip(inputs, targets, strict=True)):
        paths = simple_paths(picture, 20, number)
        for path in paths:
            assert path.sum() > target.sum() or np.array_equal(path, target)
        detours += sum(not np.array_equal(path, target) for path in paths)
        cells = instances.data[number : number + 1].repeat(len(paths), axis=0)
        assert valid_paths(cells, np.array(paths or target[None][:0])).all()
    assert detours > 30


def test_two_paths_in_one_answer_are_a_path_only_where_they_are_the_same() -> None:
    instances, inputs, _ = mazes_of(13, "looped", 30)
    wrong = 0
    for number, picture in enumerate(inputs):
        paths = simple_paths(picture, 12, number)
        both = np.array([one | other for one, other in combinations(paths, 2)] or picture[:0])
        expected = [is_path(picture, answer) for answer in both]
        cells = instances.data[number : number + 1].repeat(len(both), axis=0)
        assert valid_paths(cells, both.reshape(len(both), *picture.shape[1:])).tolist() == expected
        wrong += expected.count(False)
    assert wrong > 30


@pytest.mark.parametrize("variant", MAZE_VARIANTS)
def test_a_wall_across_the_path_closes_it(variant: str) -> None:
    instances, _, targets = mazes_of(9, variant, 60)
    for cells, target in zip(instances.data, targets, strict=True):
        on_path = target[1:-1:2, 1:-1:2]
        for bit, passages in ((1, on_path[1::2, 2:-1:2]), (2, on_path[2:-1:2, 1::2])):
            for place in np.argwhere(passages).tolist():
                closed = cells.copy()
                closed[tuple(place)] &= ~np.uint8(bit)
                assert not valid_paths(closed[None], target[None])[0]


def test_branches_walls_and_loops_are_no_paths() -> None:
    cells = np.zeros((1, 3, 3), dtype=np.uint8)
    # Bits: 1 open to the east, 2 open to the south, 8 start, 16 goal. A ring of four cells at the right.
    cells[0] = [[1 | 8, 1 | 2, 2 | 16], [0, 1, 0], [0, 0, 0]]

    def answer(*places: tuple[int, int]) -> Any:
        drawn = np.zeros((1, 16, 16), dtype=np.uint8)
        for place in places:
            place_of(drawn[0], place)[:] = 1
        return drawn

    straight = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    around = [(1, 1), (1, 2), (1, 3), (2, 3), (3, 3), (3, 4), (3, 5), (2, 5), (1, 5)]
    assert valid_paths(cells, answer(*straight))[0]
    assert valid_paths(cells, answer(*around))[0]
    wrong = {
        "the ring": {*straight, *around},
        "a branch": [*straight, (2, 3)],
        "a longer branch": [*straight, (2, 3), (3, 3)],
        "beyond the goal": [*straight, (2, 5)],
        "a wall beside": [*straight, (2, 1)],
        "the outer wall": [*straight, (1, 0)],
        "a post": [*straight, (2, 2)],
        "no start": straight[1:],
        "no goal": straight[:-1],
        "only the ends": [straight[0], straight[-1]],
        "not whole": straight[:3],
        "through a wall": [(1, 1), (2, 1), (3, 1), (3, 2), (3, 3), (2, 3), (1, 3), (1, 4), (1, 5)],
    }
    for name, places in wrong.items():
        assert not valid_paths(cells, answer(*places))[0], name
    closed = cells.copy()
    closed[0, 0, 1] = 2
    assert not valid_paths(closed, answer(*straight))[0]
    for missing in (8, 16):
        assert not valid_paths(cells & np.uint8(~missing & 255), answer(*straight))[0]


def test_threads_and_memory_order_do_not_matter() -> None:
    instances, _, targets = mazes_of(59, "", 300)
    answers = np.asfortranarray(targets)
    answers[::3, 60, 60] ^= 1
    expected = [number % 3 != 0 for number in range(300)]
    for threads in (1, 2, 5):
        assert valid_paths(instances.data, answers, threads).tolist() == expected


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (np.zeros((1, 24, 24), dtype=np.uint8), r"uint8 of shape \(2, 24, 24\), not uint8 of shape \(1, 24, 24\)"),
        (np.zeros((2, 24, 24), dtype=np.int64), "not int64 of shape"),
    ],
)
def test_answers_to_other_mazes(answers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        valid_paths(np.zeros((2, 5, 5), dtype=np.uint8), answers)


# ---- chess


def rows_of(board: Any, move: Any, number: int = 1) -> Any:
    """(number, 9) uint64, the position and the move that is said to be the solution."""
    return np.append(position_of(board), np.uint64(encode(board, move)))[None].repeat(number, axis=0)


def answer_of(board: Any, *squares: int) -> Any:
    """(8, 8) with 1 on squares as White sees them, in the mover's perspective."""
    answer = np.zeros((8, 8), dtype=np.uint8)
    for square in squares:
        answer[chess.square_rank(square) if board.turn else 7 - chess.square_rank(square), square % 8] = 1
    return answer


def pair(move: Any) -> frozenset[int]:
    return frozenset((move.from_square, move.to_square))


def test_all_pairs_of_squares_in_positions_of_all_kinds() -> None:
    """2,016 pairs on each board: legal are those of python-chess' legal moves."""
    kinds: Counter[str] = Counter()
    pairs = [frozenset(squares) for squares in combinations(range(64), 2)]
    boards = [board.copy() for board, legal, _ in random_play(60, 1) if legal]
    for board in [*boards, *thrown_boards(100, 2)]:
        moves = list(board.legal_moves)
        kinds.update(kinds_of(board, moves))
        answers = np.array([answer_of(board, *squares) for squares in pairs])
        legal, winning = judge_moves(rows_of(board, moves[0], len(pairs)), answers)
        assert {squares for squares, fine in zip(pairs, legal, strict=True) if fine} == set(map(pair, moves))
        assert {squares for squares, fine in zip(pairs, winning, strict=True) if fine} == {pair(moves[0])}
    needed = {"check", "double check", "pin", "castling", "castling of Black", "promotion", "promotion of Black"}
    assert needed | {"en passant", "en passant forbidden"} <= set(kinds)


def test_answers_that_are_no_pair() -> None:
    board = chess.Board()
    move = chess.Move.from_uci("e2e4")
    right = answer_of(board, chess.E2, chess.E4)
    wrong = [
        answer_of(board, chess.E2),
        answer_of(board, chess.E2, chess.E4, chess.E3),
        answer_of(board, chess.E2, chess.E4, chess.A8),
        right * np.uint8(3),
        right + 2 * answer_of(board, chess.A1),
        1 - right,
        right[::-1],
    ]
    answers = np.array([right, *wrong])
    for facts in judge_moves(rows_of(board, move, len(answers)), answers, 1):
        assert facts.tolist() == [True] + [False] * len(wrong)


MATES = {
    "castling among others": "r3k2r/8/8/2b1r1q1/3p4/8/p4K2/8 b kq - 0 1",
    "castling alone": "8/1N1P3R/8/1P2QpP1/4R3/3k4/8/R3K2R w KQ f6 0 1",
    "en passant": "8/3r4/7p/b6b/Pp1k4/8/1p4q1/R3K2R b KQ a3 0 1",
    "en passant of White": "k7/P7/6p1/RP1pP3/4B3/3B4/6p1/R3K2R w KQ d6 0 1",
    "a knight only": "8/P4P2/1k6/R2Q3R/8/8/2B5/R3K2R w KQ - 0 1",
    "a knight of Black only": "4k3/8/8/8/Ppr3q1/1K3Q2/rpp5/8 b - - 0 1",
    "promotions of two pawns": "3k4/1R3PP1/8/8/2R5/4p3/5R2/R3K2R w KQ - 0 1",
}


def winners(board: Any, within: int) -> set[frozenset[int]]:
    """The pairs of the moves that force mate within so many moves, by brute force."""
    return {pair(move) for move in list(board.legal_moves) if mate_oracles.is_key(board, move, within)}


def check_winners(board: Any, within: int) -> int:
    """Compares all legal moves of a board, each with a solution that is another of them; returns how many pairs win."""
    expected = winners(board, within)
    moves = list({pair(move): move for move in board.legal_moves}.values())
    assert len(moves) > 1
    rows = np.concatenate([rows_of(board, moves[number - 1]) for number in range(len(moves))])
    answers = np.array([answer_of(board, *pair(move)) for move in moves])
    legal, winning = judge_moves(rows, answers, within)
    assert legal.all()
    assert {pair(move) for move, wins in zip(moves, winning, strict=True) if wins} == expected, board.fen()
    return len(expected)


@pytest.mark.parametrize("name", MATES)
def test_special_moves_that_mate(name: str) -> None:
    board = chess.Board(MATES[name])
    assert check_winners(board, 1) > 0
    assert check_winners(board.mirror(), 1) > 0


@pytest.mark.parametrize(("within", "number"), [(1, 200), (2, 12)])
def test_moves_that_force_mate_by_brute_force(within: int, number: int) -> None:
    boards = [board for board in mate_oracles.attacking_boards(number, within) if board.legal_moves.count() > 8]
    counts = [check_winners(board, within) for board in boards]
    assert max(counts) > 1
    assert min(counts) == 0


@pytest.mark.parametrize(("mate_in", "number"), [(3, 5), (4, 2)])
def test_the_key_of_a_generated_mate_is_the_only_winner(mate_in: int, number: int) -> None:
    """Every legal move: the search finds the key, though the row's own move is another."""
    rows = sample(mate_in, np.arange(number), split="test").rows
    for row in rows:
        board = chess.Board(to_fens(row[None])[0])
        moves = list({pair(move): move for move in board.legal_moves}.values())
        others = np.concatenate([rows_of(board, moves[number - 1]) for number in range(len(moves))])
        answers = np.array([answer_of(board, *pair(move)) for move in moves])
        winning = judge_moves(others, answers, mate_in)[1]
        target = to_planes(row[None])[1][0]
        assert [np.array_equal(answer, target) for answer in answers] == winning.tolist()
        assert not judge_moves(others[:1], target[None], mate_in - 1)[1][0]


def test_themes_say_whether_another_mate_wins() -> None:
    board = chess.Board("6k1/8/8/8/8/8/R7/1R2K3 w - - 0 1")
    first, other, slow = (chess.Move.from_uci(uci) for uci in ("a2a7", "b1b7", "a2a6"))
    assert winners(board, 2) == {pair(first), pair(other)}
    assert pair(slow) in winners(board, 3)
    themes = ["mateIn2 mate short", "short mate mateIn2", "mateIn1", "mateIn3", "mate fork", "", "mateIn22"]
    instances = Instances(data=rows_of(board, first, len(themes)), columns={"themes": np.array(themes)})
    judge = TASKS["chess_puzzles"].judge
    for move, expected in (
        (first, [True] * 7),
        (other, [True, True, False, True, False, False, False]),
        (slow, [False, False, False, True, False, False, False]),
    ):
        answers = answer_of(board, *pair(move))[None].repeat(len(themes), axis=0)
        facts = judge(instances, answers, 1200)
        assert facts["legal"].all()
        assert facts["winning_key"].tolist() == expected


def test_real_mates_in_one_by_python_chess() -> None:
    if not LICHESS.exists():
        pytest.skip("the shared sample of Lichess puzzles is not here")
    others = 0
    for number, (board, solution, mate_in) in enumerate(mate_oracles.lichess_mates(LICHESS, 1)):
        expected = winners(board, 1)
        moves = list(board.legal_moves)
        instances = Instances(
            data=rows_of(board, solution, len(moves)),
            columns={"themes": np.array([f"mate mateIn{mate_in}"]).repeat(len(moves))},
        )
        answers = np.array([answer_of(board, *pair(move)) for move in moves])
        winning = TASKS["chess_puzzles"].judge(instances, answers, 0)["winning_key"]
        assert {pair(move) for move, wins in zip(moves, winning, strict=True) if wins} == expected
        others += len(expected) > 1
        if number == 400:
            break
    assert others > 2


def test_threads_do_not_matter() -> None:
    rows = sample(2, np.arange(300), split="test").rows
    targets = to_planes(rows)[1]
    targets[::2] = targets[::2][::-1]
    one = judge_moves(rows, targets, 2, 1)
    assert 0 < one[0].sum() < 300
    for threads in (2, 5):
        for ours, theirs in zip(judge_moves(rows, targets, 2, threads), one, strict=True):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rows", "answers", "mate_in", "message"),
    [
        (np.zeros((2, 8), np.uint64), np.zeros((2, 8, 8), np.uint8), 1, r"rows must be uint64 of shape \(N, 9\)"),
        (np.zeros((2, 9), np.int64), np.zeros((2, 8, 8), np.uint8), 1, "not int64"),
        (np.zeros((2, 9), np.uint64), np.zeros((3, 8, 8), np.uint8), 1, r"\(2, 8, 8\), not uint8 of shape \(3, 8, 8\)"),
        (np.zeros((2, 9), np.uint64), np.zeros((2, 8, 8), np.float32), 1, "not float32"),
        (np.zeros((2, 9), np.uint64), np.zeros((2, 8, 8), np.uint8), 9, "mate_in must be from 0 to 8 moves, not 9"),
        (np.zeros((2, 9), np.uint64), np.zeros((2, 8, 8), np.uint8), [1, -1], "not -1"),
    ],
)
def test_what_is_no_answer_to_a_puzzle(rows: Any, answers: Any, mate_in: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_moves(rows, answers, mate_in)
