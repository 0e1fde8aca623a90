"""Mate puzzles: every one has the mate that it promises and one key; splits, streams, repeats."""

import os
from contextlib import nullcontext
from typing import Any

import mate_oracles as oracles
import numpy as np
import pytest
from chess_oracles import chess, encode, position_of

from easy_to_hard import DataSpec, NotEnoughInstancesError
from easy_to_hard.generators.chess import (
    MateBatch,
    canonical_hashes,
    first_distinct,
    parse_fens,
    sample,
    sampling,
    solve,
    to_fens,
    to_lines,
    to_ucis,
)
from easy_to_hard.generators.chess.board import MOVE_MASK, POSITION_WORDS
from easy_to_hard.generators.chess.mates import mate_within, new_search
from easy_to_hard.generators.splits import SPLITS, split_of
from easy_to_hard.tasks import generate

FIELDS = tuple(MateBatch.__dataclass_fields__)
# Items by variant, mate_in and split: 10,000 of the default, and 300 balanced ones of each depth.
TEN_THOUSAND = {
    ("", 1): {"train": 3000, "validation": 1000, "test": 1000},
    ("", 2): {"train": 2200, "validation": 700, "test": 700},
    ("", 3): {"train": 700, "validation": 200, "test": 200},
    ("", 4): {"train": 200, "validation": 50, "test": 50},
    **{("balanced", mate_in): {"test": 300} for mate_in in (1, 2, 3, 4)},
}


@pytest.fixture(autouse=True)
def _nothing_drawn_yet() -> Any:
    """Each test draws its puzzles itself."""
    sampling._DRAWN.clear()
    yield
    sampling._DRAWN.clear()


def _puzzles(batch: MateBatch) -> list[tuple[Any, Any]]:
    """Board and key of each puzzle."""
    ucis = to_ucis(batch.rows[:, POSITION_WORDS].astype(np.int64), batch.rows)
    return [(chess.Board(fen), chess.Move.from_uci(uci)) for fen, uci in zip(to_fens(batch.rows), ucis, strict=True)]


def _equal(one: MateBatch, other: MateBatch) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("mate_in", "count"), [(1, 60), (2, 40)])
def test_puzzles_as_the_brute_force_has_them(mate_in: int, count: int, split: str) -> None:
    for board, key in _puzzles(sample(mate_in, range(count), split=split)):
        assert oracles.confirm(board, key, mate_in) == "confirmed", board.fen()


@pytest.mark.parametrize(("mate_in", "count"), [(3, 20), (4, 3)])
def test_deeper_puzzles_as_the_solver_has_them(mate_in: int, count: int) -> None:
    """From mate in 3 on, a mate with at most one move without check is there too."""
    batch, search = sample(mate_in, range(count), split="validation"), new_search(2**14)
    solution = solve(batch.rows, mate_in)
    assert (solution.mate_in == mate_in).all()
    assert np.array_equal(solution.keys[:, 0], batch.rows[:, POSITION_WORDS].astype(np.int16))
    assert (solution.keys[:, 1] == -1).all()
    assert np.array_equal(solution.lines, batch.lines)
    for row in batch.rows:
        assert mate_within(row[:POSITION_WORDS].copy(), mate_in, search, 1) == mate_in


@pytest.mark.parametrize(("mate_in", "count"), [(1, 300), (2, 100), (3, 10)])
def test_what_a_puzzle_says_of_itself(mate_in: int, count: int) -> None:
    batch = sample(mate_in, range(count), split="test")
    assert [getattr(batch, name).dtype for name in FIELDS] == [np.uint64, np.int16, np.int32, np.uint64]
    shapes = [getattr(batch, name).shape for name in FIELDS]
    assert shapes == [(count, 9), (count, 2 * mate_in - 1), (count,), (count,)]
    lines = to_lines(batch.lines, batch.rows)
    for i, (board, key) in enumerate(_puzzles(batch)):
        assert board.is_valid()
        assert board.fen().split()[2:] == ["-", "-", "0", "1"]
        assert np.array_equal(batch.rows[i, :POSITION_WORDS], position_of(board))
        assert encode(board, key) == batch.lines[i, 0] == batch.rows[i, POSITION_WORDS]
        assert batch.rows[i, POSITION_WORDS] <= MOVE_MASK
        assert board.legal_moves.count() == batch.legal_moves[i]
        for move in map(chess.Move.from_uci, lines[i].split()):
            assert board.is_legal(move)
            board.push(move)
        assert board.is_checkmate()


@pytest.mark.parametrize(("mate_in", "count"), [(1, 80), (2, 40), (3, 6)])
def test_columns(mate_in: int, count: int) -> None:
    """The task's columns, from python-chess."""
    _, made = generate(DataSpec(task="chess_mates", difficulty=mate_in, split="validation"), count)
    columns = made.columns
    checks, captures = 0, 0
    for i, (fen, uci) in enumerate(zip(columns["fen"], columns["move"], strict=True)):
        board, key = chess.Board(str(fen)), chess.Move.from_uci(str(uci))
        assert board.fen() == fen
        assert (columns["mate_in"][i], columns["legal_moves"][i]) == (mate_in, board.legal_moves.count())
        assert columns["key_is_check"][i] == board.gives_check(key)
        assert columns["key_is_capture"][i] == board.is_capture(key)
        assert str(columns["board_hash"][i]) == f"{int(canonical_hashes(parse_fens([str(fen)]))[0]):016x}"
        line = str(columns["line"][i]).split()
        assert line[0] == uci
        for move in line:
            board.push(chess.Move.from_uci(move))
        assert board.is_checkmate()
        checks, captures = checks + int(columns["key_is_check"][i]), captures + int(columns["key_is_capture"][i])
    assert 0 < captures < count
    assert checks == count if mate_in == 1 else checks > 0


@pytest.mark.parametrize("mate_in", [1, 2])
def test_colors_are_balanced(mate_in: int) -> None:
    """Within 5 standard deviations of a half."""
    count = {1: 1500, 2: 300}[mate_in]
    black = sum(board.turn == chess.BLACK for board, _ in _puzzles(sample(mate_in, range(count))))
    assert abs(black - count / 2) < 5 * np.sqrt(count / 4)


@pytest.mark.slow
@pytest.mark.parametrize(("mate_in", "count"), [(1, 120), (2, 40), (3, 6)])
def test_an_item_depends_on_nothing_but_its_number(mate_in: int, count: int) -> None:
    """Not on the other items of a call, their order, or the number of threads."""
    whole = sample(mate_in, range(count), split="validation", seed=5, num_threads=1)
    order = np.random.default_rng(0).permutation(count)
    for threads in (2, 3, None):
        again = sample(mate_in, order, split="validation", seed=5, num_threads=threads)
        assert all(np.array_equal(getattr(again, name), getattr(whole, name)[order]) for name in FIELDS)
    for item in (0, count // 2, count - 1):
        alone = sample(mate_in, [item], split="validation", seed=5)
        assert all(np.array_equal(getattr(alone, name), getattr(whole, name)[item : item + 1]) for name in FIELDS)
    twice = sample(mate_in, [3, 3, 2**64 - 1], split="validation", seed=5)
    assert np.array_equal(twice.rows[0], twice.rows[1])
    assert not np.array_equal(twice.rows[0], twice.rows[2])


def test_splits_share_no_board() -> None:
    """Nor one board of another with colors exchanged, left and right exchanged, or both."""
    hashes = {}
    for split in SPLITS:
        batch = sample(1, range(150), split=split)
        assert np.array_equal(batch.board_hashes, canonical_hashes(batch.rows))
        assert {split_of(int(value)) for value in batch.board_hashes} == {split}
        for board, _ in _puzzles(batch)[:40]:
            flipped = board.transform(chess.flip_horizontal)
            images = [position_of(each) for each in (board, board.mirror(), flipped, flipped.mirror())]
            assert len({image[:POSITION_WORDS].tobytes() for image in images}) >= 3
            values = {int(value) for value in canonical_hashes(np.stack(images))}
            assert len(values) == 1
            assert split_of(values.pop()) == split
        hashes[split] = set(batch.board_hashes.tolist())
    assert not hashes["train"] & hashes["validation"] | hashes["train"] & hashes["test"]
    assert not hashes["validation"] & hashes["test"]


def test_shares_of_the_splits() -> None:
    """Where all boards are let in, 80, 10 and 10 of 100 belong to the splits: within 5 standard deviations."""
    count = 2000
    drawn = [split_of(int(value)) for value in sample(1, range(count), split_rule="original").board_hashes]
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        assert abs(drawn.count(split) - share * count) < 5 * np.sqrt(count * share * (1 - share))


def test_other_seeds_splits_and_depths_give_other_puzzles() -> None:
    """The streams are independent: hardly a board in common, and no item of the same number equal."""
    streams = {
        "train": sample(1, range(200)),
        "seed 1": sample(1, range(200), seed=1),
        "seed -1": sample(1, range(200), seed=-1),
        "original": sample(1, range(200), split_rule="original"),
        "original test": sample(1, range(200), split="test", split_rule="original"),
        "mate in 2": sample(2, range(60)),
    }
    names = list(streams)
    for i, name in enumerate(names):
        for other in names[i + 1 :]:
            if {name, other} == {"train", "original"}:
                continue
            one, two = streams[name].board_hashes, streams[other].board_hashes
            assert len(set(one.tolist()) & set(two.tolist())) <= 4, (name, other)


def test_first_distinct() -> None:
    """The numbers of the first boards that have not come before."""
    indices = first_distinct(250, mate_in=1, split="test", seed=3, split_rule="hash")
    assert indices.dtype == np.uint64
    sampling._DRAWN.clear()
    hashes = sample(1, range(int(indices[-1]) + 1), split="test", seed=3).board_hashes.tolist()
    assert indices.tolist() == [i for i, value in enumerate(hashes) if value not in hashes[:i]]
    assert len(indices) == 250
    assert first_distinct(0, mate_in=1, split="test", seed=3, split_rule="hash").tolist() == []


def _fake_sample(boards: int | None, calls: list[int]) -> Any:
    """In place of `sample`: item i shows board i // 3, or i modulo `boards`."""

    def fake(mate_in: int, indices: Any, **options: Any) -> MateBatch:
        items = np.asarray(indices, dtype=np.int64)
        calls.extend(items.tolist())
        hashes = items // 3 if boards is None else items % boards
        return MateBatch(
            rows=np.repeat(hashes[:, None], 9, axis=1).astype(np.uint64),
            lines=np.zeros((len(items), 1), dtype=np.int16),
            legal_moves=np.ones(len(items), dtype=np.int32),
            board_hashes=hashes.astype(np.uint64),
        )

    return fake


def test_first_distinct_leaves_out_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn twice, and all that is drawn is told."""
    calls: list[int] = []
    told: list[int] = []
    monkeypatch.setattr(sampling, "sample", _fake_sample(None, calls))
    indices = first_distinct(100, mate_in=5, split="train", seed=0, split_rule="hash", progress=told.append)
    assert indices.tolist() == list(range(0, 300, 3))
    assert calls == list(range(len(calls)))
    assert sum(told) == len(calls)
    assert len(told) > 20


def test_not_enough_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends, says how many there were, and gives them where no more are asked for."""
    calls: list[int] = []
    monkeypatch.setattr(sampling, "sample", _fake_sample(7, calls))
    assert len(first_distinct(7, mate_in=1, split="train", seed=0, split_rule="hash")) == 7
    with pytest.raises(
        NotEnoughInstancesError, match=r"mate in 1 in split 'train': \d+ draws gave 7 distinct boards, .* 8 asked for"
    ):
        first_distinct(8, mate_in=1, split="train", seed=0, split_rule="hash")
    assert len(calls) < 1000


def test_no_puzzle_in_all_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives up after so many games; here after none."""
    monkeypatch.setattr(sampling, "_MAX_GAMES", 0)
    monkeypatch.setattr(sampling, "_sample", sampling._sample.py_func)
    with pytest.raises(NotEnoughInstancesError, match="no mate in 2 in split 'test' among 0 games"):
        sample(2, [0], split="test", num_threads=1)


def test_what_was_drawn_changes_nothing() -> None:
    """`first_distinct` keeps what it drew; `sample` gives the same with and without, and not for another name."""
    options = {"split": "validation", "seed": 4}
    items = [5, 0, 17, 5]
    before = sample(1, items, **options)
    indices = first_distinct(30, mate_in=1, split_rule="hash", **options)
    assert len(sampling._DRAWN) == 1
    kept = sample(1, items, **options)
    assert _equal(kept, before)
    for name in FIELDS:
        getattr(kept, name)[:] = 0
    assert _equal(sample(1, items, **options), before)
    beyond = int(indices[-1]) + 50
    mixed = sample(1, [0, beyond], **options)
    assert np.array_equal(mixed.rows[0], before.rows[1])
    for other in ({"seed": 5}, {"split": "train"}, {"split_rule": "original"}):
        assert not _equal(sample(1, items, **{**options, **other}), before)
    assert not np.array_equal(sample(2, items, **options).rows, before.rows)
    assert sample(1, [], **options).rows.shape == (0, 9)


def test_what_was_drawn_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "sample", _fake_sample(100, []))
    for seed in range(40):
        first_distinct(3, mate_in=1, split="train", seed=seed, split_rule="hash")
    kept = [seed for _, _, _, seed, _ in sampling._DRAWN]
    assert kept == list(range(8, 40))


@pytest.mark.parametrize(("arguments", "options", "message"), [
    ((0, [0]), {}, "mate_in must be from 1 to 6, not 0"),
    ((7, [0]), {}, "mate_in must be from 1 to 6, not 7"),
    ((True, [0]), {}, "mate_in must be an integer, not True"),
    ((1.0, [0]), {}, "mate_in must be an integer, not 1.0"),
    (("2", [0]), {}, "mate_in must be an integer, not '2'"),
    ((1, [-1]), {}, "indices must not be negative, not -1"),
    ((1, [0.5]), {}, "indices must be a list of integers"),
    ((1, [0]), {"split": "dev"}, "unknown split 'dev': choose one of train, validation, test"),
    ((1, [0]), {"split_rule": "none"}, "unknown split_rule 'none': choose one of hash, original"),
    ((1, [0]), {"seed": 0.5}, "seed must be an integer, not 0.5"),
    ((1, [0]), {"seed": True}, "seed must be an integer, not True"),
])  # fmt: skip
@pytest.mark.parametrize("drawn", [False, True], ids=["fresh", "drawn"])
def test_wrong_arguments(arguments: Any, options: dict[str, Any], message: str, drawn: bool) -> None:
    """Also where the items, and those of seed 1, have been drawn before."""
    for seed in (0, 1) if drawn else ():
        first_distinct(2, mate_in=1, split="train", seed=seed, split_rule="hash")
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        sample(*arguments, **options)


def test_wrong_number_of_threads() -> None:
    with pytest.raises(ValueError, match="num_threads must be at least 1, not 0"):
        sample(1, [0], num_threads=0)


@pytest.mark.parametrize("mate_in", [0, 7])
def test_wrong_difficulty_of_the_task(mate_in: int) -> None:
    with pytest.raises(ValueError, match=f"mate_in must be from 1 to 6, not {mate_in}"):
        DataSpec(task="chess_mates", difficulty=mate_in)


def test_the_other_solvers_can_say_no() -> None:
    """A mate in 2 with its key, with another move, and with a number that is too large or too small."""
    board = chess.Board("5k2/7P/8/8/2P5/1N6/6N1/R3K2R w - - 0 1")
    key, other = chess.Move.from_uci("a1a7"), chess.Move.from_uci("a1a8")
    asked = [(key, 2), (other, 2), (key, 3), (key, 1)]
    answers = [oracles.confirm(board, move, mate_in) for move, mate_in in asked]
    assert answers == ["confirmed", "keys a1a7", "mate in 2", "mate in 0"]
    path = oracles.find_stockfish()
    if path is not None:
        with oracles.Stockfish(path) as judge:
            answers = [judge.confirm(board, move, mate_in).split(", ")[0] for move, mate_in in asked]
        assert answers == ["confirmed", "a1a7 mates in 2", "a1a7 mates in 2", "unsettled"]


@pytest.mark.slow
@pytest.mark.skipif(
    "EASY_TO_HARD_LONG_TESTS" not in os.environ, reason="takes minutes: set EASY_TO_HARD_LONG_TESTS=1 to run it"
)
@pytest.mark.parametrize(("variant", "mate_in"), TEN_THOUSAND)
def test_ten_thousand_puzzles_by_other_solvers(variant: str, mate_in: int) -> None:
    """10,000 puzzles: mate in exactly so many, one key. Up to 2 by a brute force on python-chess, then by Stockfish.

    The brute force also decides the few that Stockfish leaves open. Stockfish comes from ``apt install stockfish``
    (Debian, Ubuntu) or stockfishchess.org. To run it:
    ``EASY_TO_HARD_LONG_TESTS=1 python -m pytest tests/generators/test_chess_sampling.py -k ten_thousand -s``.
    """
    path = oracles.find_stockfish() or ""
    if mate_in > 2 and not path:
        pytest.skip("needs Stockfish: apt install stockfish")
    checked, left_open, wrong = 0, 0, []
    with oracles.Stockfish(path) if mate_in > 2 else nullcontext() as judge:
        for split, count in TEN_THOUSAND[variant, mate_in].items():
            for board, key in _puzzles(sample(mate_in, range(count), variant=variant, split=split)):
                answer = judge.confirm(board, key, mate_in) if judge else "unsettled"
                if answer == "unsettled":
                    answer, left_open = oracles.confirm(board, key, mate_in), left_open + 1
                checked += 1
                if answer != "confirmed":
                    wrong.append(f"{board.fen()} {key.uci()}: {answer}")
    by_brute_force = f"{left_open:,} of them by brute force"
    print(f"\n{variant} mate in {mate_in}: {checked:,} puzzles checked, {by_brute_force}, {len(wrong)} disagreements")
    assert wrong == []


@pytest.mark.parametrize(
    ("mate_in", "split", "fen", "line"),
    [
        (1, "train", "N4br1/R7/nQ1pk1p1/6Bp/4KP2/2p4P/6P1/5BNR w - - 0 1", "f1c4"),
        (1, "test", "r1bq1knr/p2R1pp1/2n1p3/P6p/1pp2P1b/6P1/1PPPP3/RNBQKBN1 b - - 0 1", "h4g3"),
        (2, "train", "8/5k2/3b4/7P/r1q1P2P/2P2P2/5B2/3K2NR b - - 0 1", "c4d3 d1c1 d6a3"),
        (2, "test", "8/8/7k/8/7q/1p6/1P6/3K4 b - - 0 1", "h4f2 d1c1 f2c2"),
        (3, "train", "8/2k5/R5P1/4R3/4p3/4P3/1P6/3K4 w - - 0 1", "e5e7 c7b8 d1e2 b8c8 a6a8"),
        (3, "test", "8/4k3/8/p2QK3/P7/8/8/8 w - - 0 1", "d5b7 e7d8 e5d6 d8e8 b7e7"),
    ],
)
def test_items_stay_what_they_are(mate_in: int, split: str, fen: str, line: str) -> None:
    """Item 5, on every machine and in every version: whoever changes it makes another benchmark."""
    batch = sample(mate_in, [5], split=split)
    assert to_fens(batch.rows) == [fen]
    assert to_lines(batch.lines, batch.rows) == [line]
