"""Rows of the Lichess file for tests: real ones, broken ones, and what python-chess makes of a row."""

import csv
import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from easy_to_hard.generators.chess.fen import REASONS as FEN_REASONS
from easy_to_hard.lichess.convert import ConvertReport, convert

chess: Any = pytest.importorskip("chess")

EXCERPT = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
SHARED = Path(__file__).parents[3] / "shared" / "data"
HEADER = b"PuzzleId,FEN,Moves,Rating,RatingDeviation,Popularity,NbPlays,Themes,GameUrl,OpeningTags"
_ID, _FEN, _MOVES, _RATING, _DEVIATION, _POPULARITY, _PLAYS, _THEMES, _URL, _TAGS = range(10)


def excerpt() -> list[bytes]:
    """The 200 rows that come with the tests, without header and line ends."""
    return EXCERPT.read_bytes().splitlines()[1:]


def good_rows(count: int, seed: int = 0) -> list[bytes]:
    """So many real rows with ids, ratings and popularities of their own."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        fields = rng.choice(_EXCERPT).split(b",")
        fields[_ID] = b"g%05d" % number
        fields[_RATING] = b"%d" % rng.choice([0, 700, 1199, 1200, 1500, 1500, 1501, 2600, 3000, 5000])
        fields[_POPULARITY] = b"%d" % rng.randint(-100, 100)
        rows.append(b",".join(fields))
    return rows


_EXCERPT = excerpt()


def expected_puzzle(fen: str, moves: str) -> tuple[str, str, str]:
    """fen, move and line of a row, by python-chess; fails where a move is illegal."""
    board = chess.Board(fen)
    first, *solution = moves.split()
    board.push(board.parse_uci(first))
    position = board.fen()
    for move in solution:
        board.push(board.parse_uci(move))
    return position, solution[0], " ".join(solution)


def expected_planes(fen: str, move: str, *, mover: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(12, 8, 8) and (8, 8) by python-chess: White's rank 1 first, or the mover's back rank."""
    board = chess.Board(fen)
    inputs, targets = np.zeros((12, 64), dtype=np.uint8), np.zeros(64, dtype=np.uint8)
    kinds = [chess.KING, chess.QUEEN, chess.BISHOP, chess.KNIGHT, chess.ROOK, chess.PAWN]
    turn = 56 if mover and not board.turn else 0
    for square, piece in board.piece_map().items():
        inputs[6 * (piece.color != board.turn) + kinds.index(piece.piece_type), square ^ turn] = 1
    chosen = chess.Move.from_uci(move)
    targets[[chosen.from_square ^ turn, chosen.to_square ^ turn]] = 1
    return inputs.reshape(12, 8, 8), targets.reshape(8, 8)


# ---- files and folders


def write_rows(path: Path, lines: list[bytes], header: bytes | None = HEADER, end: bytes = b"\n") -> Path:
    path.write_bytes(b"".join(line + end for line in ([] if header is None else [header]) + lines))
    return path


def convert_quietly(source: str | Path, root: Path, **options: Any) -> ConvertReport:
    return convert(source, root, progress=False, **options)


def read_table(root: Path) -> pa.Table:
    """All rows of a folder by rank."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(root.glob("*/*.parquet"))]).sort_by("rank")


def read_rejects(root: Path) -> list[tuple[int, str]]:
    with (root / "rejects.csv").open(newline="", encoding="utf-8") as file:
        return [(int(row["line"]), row["reason"]) for row in csv.DictReader(file)]


def _integer(text: str) -> int | None:
    return int(text) if text else None


def expected_rows(lines: list[bytes]) -> list[dict[str, Any]]:
    """The rows of a file with today's columns in the order of their ratings, by csv and python-chess."""
    found = []
    names = HEADER.decode().split(",")
    for row in csv.DictReader(io.StringIO(b"\n".join(lines).decode()), names):
        fen, move, line = expected_puzzle(row["FEN"], row["Moves"])
        found.append(
            {
                "fen": fen,
                "move": move,
                "line": line,
                "rating": int(row["Rating"]),
                "rating_deviation": _integer(row["RatingDeviation"]),
                "popularity": _integer(row["Popularity"]),
                "plays": _integer(row["NbPlays"]),
                "themes": row["Themes"],
                "puzzle_id": row["PuzzleId"],
                "game_url": row["GameUrl"],
                "opening_tags": row["OpeningTags"],
            }
        )
    found.sort(key=lambda row: row["rating"])
    return [{**row, "rank": rank} for rank, row in enumerate(found)]


def puzzles(root: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in read_table(root).drop_columns("index").to_pylist()]


# ---- rows that are no puzzles

Maker = Callable[[list[bytes], random.Random], tuple[bytes, str]]


def _with(column: int, value: bytes, reason: str) -> Maker:
    def make(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
        return b",".join([*fields[:column], value, *fields[column + 1 :]]), reason

    return make


def _cut(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
    row = b",".join(fields)
    cut = row[: rng.randint(1, row.rindex(b","))]
    return cut, f"wrong number of fields: {cut.count(b',') + 1}, not 10"


def _too_many(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
    more = rng.choice([1, 2, 100])
    return b",".join(fields) + b"," * more, f"wrong number of fields: {10 + more}, not 10"


def _with_byte(*symbols: bytes, reason: str) -> Maker:
    """The bytes somewhere in the row."""

    def make(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
        row = b",".join(fields)
        place = rng.randint(1, len(row) - 1)
        return row[:place] + rng.choice(symbols) + row[place:], reason

    return make


def _move(number: int, move: bytes, reason: str) -> Maker:
    """Another move in place of the one of that number, from 1."""

    def make(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
        moves = fields[_MOVES].split(b" ")
        moves[number - 1] = move
        return b",".join([*fields[:_MOVES], b" ".join(moves), *fields[_MOVES + 1 :]]), f"{reason}: number {number}"

    return make


def _one_move(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
    first = fields[_MOVES].split(b" ")[0]
    return b",".join([*fields[:_MOVES], first, *fields[_MOVES + 1 :]]), "fewer than two moves"


def _move_after_the_end(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
    # The opponent's move again: his piece is no longer there, or it is not his turn.
    moves = fields[_MOVES].split(b" ")
    return _move(len(moves) + 1, moves[-1], "illegal move")(
        [*fields[:_MOVES], fields[_MOVES] + b" x", *fields[3:]], rng
    )


def _utf16(fields: list[bytes], rng: random.Random) -> tuple[bytes, str]:
    return b",".join(fields).decode().encode("utf-16-le"), "NUL byte"


_BAD_FENS: Sequence[tuple[int, bytes]] = (
    (1, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP w KQkq - 0 1"),
    (1, b"rnbqkbnr/pppppppp/9/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"),
    (1, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNX w KQkq - 0 1"),
    (1, b"rnbqkbnr/pppppppp/7/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"),
    (2, b"rnbq1bnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQ - 0 1"),
    (2, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKKNR w KQkq - 0 1"),
    (3, b"rnbqkbPr/pppppppp/8/8/8/8/PPPPPPP1/RNBQKBNR w KQkq - 0 1"),
    (4, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1"),
    (5, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQKq - 0 1"),
    (5, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w ABab - 0 1"),
    (6, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/1NBQKBNR w KQkq - 0 1"),
    (7, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq e6 0 1"),
    (7, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq e9 0 1"),
    (8, b"rnbqkbnr/ppppp1pp/8/7Q/8/8/PPPPPPPP/RNB1KBNR w KQkq - 0 1"),
    (9, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - -1 1"),
    (9, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 x"),
    (10, b""),
    (10, b"nonsense"),
    (10, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w  KQkq - 0 1"),
    (10, b"rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0"),
    (11, b"rnbqkbnr/pppppppp/p7/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"),
)

BROKEN: Sequence[Maker] = (
    _cut,
    _too_many,
    lambda fields, rng: (b"", "empty line"),
    lambda fields, rng: (b",".join(fields[:-1]) + b"," + b"x" * 9000, "line too long: more than 8,192 bytes"),
    _with_byte(b"\0", reason="NUL byte"),
    _utf16,
    _with_byte(b"\t", b"\r", b"\x1b", b"\x7f", reason="control character"),
    _with_byte(b"\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", reason="not UTF-8"),
    _with(_THEMES, b'"fork', "quote not closed, or in the wrong place"),
    _with(_THEMES, b'"fork"pin', "quote not closed, or in the wrong place"),
    _with(_TAGS, b'a"b"', "quote not closed, or in the wrong place"),
    _with(_ID, b"", "PuzzleId is empty"),
    _with(_ID, b"g00000", "PuzzleId occurred before"),
    *(
        _with(_RATING, value, "Rating is not an integer")
        for value in (b"", b"nan", b"NaN", b"1500.5", b"1e3", b"-", b"+5")
    ),
    *(_with(_RATING, value, "Rating is out of range") for value in (b"-1", b"5001", b"9" * 30, b"%d" % (2**64 + 1500))),
    _with(_DEVIATION, b"seventy", "RatingDeviation is not an integer"),
    _with(_POPULARITY, b"-2147483648", "Popularity is out of range"),
    _with(_PLAYS, b"2147483648", "NbPlays is out of range"),
    *(_with(_FEN, fen, f"FEN: {FEN_REASONS[reason]}") for reason, fen in _BAD_FENS),
    _with(_MOVES, b"", "fewer than two moves"),
    _one_move,
    _move_after_the_end,
    *(_move(1, move, "illegal move") for move in (b"a1a1", b"e1e8q")),
    _move(2, b"h8h8", "illegal move"),
    *(_move(2, move, "move not in UCI form") for move in (b"e2e9", b"E2E4", b"e7e8k", b"Nf3", b"0000", b"", b"e2e4e5")),
)
"""One for each way of being broken: real fields to a row and the reason for which it is rejected."""


def mixed(good: list[bytes], broken: int, seed: int = 0) -> tuple[list[bytes], list[tuple[int, str]]]:
    """Good rows, the first of them first, with broken ones between: all rows, and (line, reason) of the broken ones.

    Line 1 is a header.
    """
    rng = random.Random(seed)
    rows, expected = [good[0]], []
    left = ["good"] * (len(good) - 1) + ["broken"] * broken
    rng.shuffle(left)
    rest, number = iter(good[1:]), 0
    for kind in left:
        if kind == "good":
            rows.append(next(rest))
            continue
        fields = rng.choice(_EXCERPT).split(b",")
        fields[_ID] = b"b%05d" % number
        row, reason = BROKEN[number % len(BROKEN)](fields, rng)
        rows.append(row)
        expected.append((len(rows) + 1, reason))
        number += 1
    return rows, expected
