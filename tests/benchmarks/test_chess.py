"""The chess engine: perft, planes from FEN, and the conversion of puzzles beside the original's loop.

python-chess is the baseline. Everything runs on one thread.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pytest
import torch
import zstandard
from chess_oracles import PERFT, chess, random_play, thrown_boards
from chess_oracles import to_planes as planes_of

from easy_to_hard.generators.chess import parse_fens, to_planes
from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, MAX_MOVES, POSITION_WORDS, ROW_WORDS, STATE
from easy_to_hard.generators.chess.fen import read_fen
from easy_to_hard.generators.chess.moves import find_legal, make
from easy_to_hard.generators.chess.perft import perft
from easy_to_hard.generators.chess.uci import read_uci
from easy_to_hard.lichess.reading import line_blocks
from easy_to_hard.lichess.rows import SCHEMA, RowReader, words_of

ROOT = Path(__file__).parents[2]
EXCERPT = ROOT / "tests" / "data" / "lichess_puzzles_200.csv"
SAMPLE = ROOT.parent / "shared" / "data" / "lichess_puzzles_sample.csv.zst"
POSITIONS = dict(zip(("start position", "Kiwipete", *(f"position {n}" for n in range(3, 7))), PERFT, strict=True))

# The original numbers White's pieces in this order, then Black's.
PIECES = "KQBNRPkqbnrp"

_SPACE = ord(" ")
# FENs, moves, ratings.
Columns = tuple[list[str], list[str], Any]
Tensors = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("bulk", [False, True], ids=["every move made", "bulk"])
@pytest.mark.parametrize("name", POSITIONS)
def test_perft(timed: Any, benchmark: Any, name: str, bulk: bool) -> None:
    counts = PERFT[POSITIONS[name]]
    position, depth = parse_fens([POSITIONS[name]])[0], len(counts)
    how = "bulk" if bulk else "every move made"
    benchmark.extra_info.update(position=name, depth=depth, how=how)
    perft(position, 1, bulk)
    label = f"{name}, depth {depth}, {how}"
    nodes = timed("chess perft", label, counts[-1], lambda: perft(position, depth, bulk), rounds=3, warmup=0)
    assert nodes == counts[-1]


def _python_chess_perft(board: Any, depth: int) -> int:
    if depth == 0:
        return 1
    nodes = 0
    for move in board.legal_moves:
        board.push(move)
        nodes += _python_chess_perft(board, depth - 1)
        board.pop()
    return nodes


def test_python_chess_perft(timed: Any) -> None:
    label = "plain python-chess, start position, depth 4"
    timed("chess perft", label, 197_281, lambda: _python_chess_perft(chess.Board(), 4), rounds=1, warmup=0)


@pytest.fixture(scope="module")
def fens() -> list[str]:
    """50,000 different positions of random games, and thrown ones."""
    games = dict.fromkeys(board.fen() for board, _, _ in random_play(45_000, 21))
    return [*games, *(board.fen() for board in thrown_boards(50_000 - len(games), 22))]


def _planes(fens: list[str]) -> Any:
    positions = parse_fens(fens)
    rows = np.zeros((len(positions), positions.shape[1] + 1), dtype=np.uint64)
    rows[:, :-1] = positions
    return to_planes(rows, num_threads=1)


def test_fens(timed: Any, fens: list[str]) -> None:
    positions = timed("chess, FEN read", "ours", len(fens), lambda: parse_fens(fens), rounds=9)
    assert len(positions) == len(fens)


def test_python_chess_fens(timed: Any, fens: list[str]) -> None:
    some = fens[::50]
    timed("chess, FEN read", "plain python-chess", len(some), lambda: [chess.Board(fen) for fen in some], rounds=3)


def test_planes(timed: Any, fens: list[str]) -> None:
    inputs, _ = timed("chess, planes from FEN", "ours", len(fens), lambda: _planes(fens), rounds=9)
    assert inputs.any(axis=(2, 3))[:, 0].all()


def test_python_chess_planes(timed: Any, fens: list[str]) -> None:
    some, no_move = fens[::50], chess.Move.null()
    expected = timed(
        "chess, planes from FEN",
        "plain python-chess and NumPy",
        len(some),
        lambda: [planes_of(chess.Board(fen), no_move, "mover")[0] for fen in some],
        rounds=3,
    )
    assert np.array_equal(_planes(some)[0], np.stack(expected))


def _piece_numbers(board_field: str) -> torch.Tensor:
    """(8, 8) float, 0 where a square is empty; row 0 is rank 1."""
    numbers = torch.zeros(8, 8)
    for row, rank in enumerate(reversed(board_field.split("/"))):
        column = 0
        for letter in rank:
            if letter.isdigit():
                column += int(letter)
            else:
                numbers[row, column] = PIECES.index(letter) + 1
                column += 1
    return numbers


def convert_as_the_original(table: Any) -> Tensors:
    """What the original script does with each row: the opponent's move is played, its board read from the new FEN."""
    inputs, targets = torch.zeros(len(table), 12, 8, 8), torch.zeros(len(table), 8, 8, dtype=torch.long)
    who_moves, ratings = torch.zeros(len(table), 1), torch.zeros(len(table), 1)
    for place, (_, row) in enumerate(table.iterrows()):
        first, second = row["Moves"].split()[:2]
        board = chess.Board(row["FEN"])
        board.push(chess.Move.from_uci(first))
        board_field, side = board.fen().split()[:2]
        numbers = _piece_numbers(board_field)
        for channel in range(12):
            inputs[place, channel] = numbers == (channel + (6 if side == "b" else 0)) % 12 + 1
        for square in (second[:2], second[2:4]):
            targets[place, int(square[1]) - 1, "abcdefgh".index(square[0])] = 1
        who_moves[place] = float(side == "b")
        ratings[place] = row["Rating"]
    return inputs, targets, who_moves, ratings


@numba.njit(nogil=True)
def _read_puzzles(fens, fen_ends, moves, move_ends, rows):  # type: ignore[no-untyped-def]
    """Read each FEN, play the first move, which must be legal, and note the second; returns how many were no puzzle."""
    before, scratch = np.empty(POSITION_WORDS, dtype=np.uint64), np.empty(MAX_MOVES, dtype=np.int64)
    fen_start, move_start, wrong = 0, 0, 0
    for i in range(len(rows)):
        reason = read_fen(fens, fen_start, fen_ends[i], before)
        first = find_legal(before, read_uci(moves, move_start, move_start + 4, before), scratch)
        if first < 0 and moves[move_start + 4] != _SPACE:
            first = find_legal(before, read_uci(moves, move_start, move_start + 5, before), scratch)
        if reason or first < 0:
            wrong += 1
            continue
        make(before, first, rows[i])
        start = move_start + (5 if moves[move_start + 4] == _SPACE else 6)
        stop = start + 4
        while stop < move_ends[i] and moves[stop] != _SPACE:
            stop += 1
        rows[i, POSITION_WORDS] = np.uint64(read_uci(moves, start, stop, rows[i]))
        fen_start, move_start = fen_ends[i], move_ends[i]
    return wrong


def _joined(strings: list[str]) -> tuple[Any, Any]:
    return np.frombuffer("".join(strings).encode(), dtype=np.uint8), np.cumsum(
        np.fromiter(map(len, strings), dtype=np.int64)
    )


def _rows_of(fens: list[str], moves: list[str]) -> Any:
    rows = np.empty((len(fens), ROW_WORDS), dtype=np.uint64)
    assert _read_puzzles(*_joined(fens), *_joined(moves), rows) == 0
    return rows


def _arrays(columns: Columns) -> tuple[Any, ...]:
    """From the strings of the table to arrays of uint8, as puzzles are stored."""
    fens, moves, ratings = columns
    rows = _rows_of(fens, moves)
    return *to_planes(rows, "white", num_threads=1), (rows[:, STATE] & BLACK_TO_MOVE) != 0, ratings


def convert_as_we_do(columns: Columns) -> Tensors:
    """From the strings of the table to the very tensors of the original."""
    inputs, targets, black, ratings = (torch.from_numpy(array) for array in _arrays(columns))
    return inputs.float(), targets.long(), black.float()[:, None], ratings.float()[:, None]


def _read_lines(text: bytes) -> Any:
    """From lines of CSV, as `convert-lichess` reads them: every field and every move of every row is checked."""
    reader = RowReader("benchmark")
    batches = (batch for block in line_blocks(iter([text])) for batch, _ in reader.read(block))
    return to_planes(words_of(pa.Table.from_batches(batches, SCHEMA)), "white", num_threads=1)


def _excerpt(times: int) -> bytes:
    """The rows of the excerpt, again and again with other names: the reader takes each name once."""
    header, *rows = EXCERPT.read_text().splitlines()
    repeated = [f"{i}x{row}" for i in range(times) for row in rows]
    return ("\n".join([header, *repeated]) + "\n").encode()


def _table(text: bytes) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(list(csv.DictReader(io.StringIO(text.decode())))).astype({"Rating": int})


def _columns(table: Any) -> Columns:
    return table["FEN"].tolist(), table["Moves"].tolist(), table["Rating"].to_numpy(copy=True)


@pytest.fixture(scope="module")
def sample() -> bytes:
    """The lines of the 85,564 puzzles; of the excerpt, again and again, where the sample is not there."""
    if not SAMPLE.is_file():
        return _excerpt(100)
    with SAMPLE.open("rb") as file:
        return zstandard.ZstdDecompressor().stream_reader(file).read()


CONVERSION = "chess, puzzles to planes and targets"


def test_original_conversion(timed: Any) -> None:
    """The table is read beforehand."""
    table = _table(_excerpt(2))
    made = timed(
        CONVERSION, "original conversion loop", 400, lambda: convert_as_the_original(table), rounds=5, warmup=1
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(convert_as_we_do(_columns(table)), made, strict=True))


def test_our_conversion(timed: Any, sample: bytes) -> None:
    columns = _columns(_table(sample))
    inputs, *_ = timed(CONVERSION, "ours, to uint8", len(columns[0]), lambda: _arrays(columns), rounds=9)
    assert np.array_equal(inputs, _read_lines(sample)[0])


def test_our_conversion_to_tensors(timed: Any, sample: bytes) -> None:
    fens, moves, ratings = _columns(_table(sample))
    columns = fens[:20_000], moves[:20_000], ratings[:20_000]
    label = "ours, to the same float32 and int64 tensors"
    timed(CONVERSION, label, len(columns[0]), lambda: convert_as_we_do(columns), rounds=9)


def test_our_reader(timed: Any, sample: bytes) -> None:
    label = "ours, from lines of CSV, every field and move checked, to uint8"
    timed(CONVERSION, label, sample.count(b"\n") - 1, lambda: _read_lines(sample), rounds=5)
