"""Forced mates as a task, and what it shares with the other chess task."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easy_to_hard.chess.columns import read_rows
from easy_to_hard.chess.text import text_of_puzzle
from easy_to_hard.generators import chess
from easy_to_hard.generators.chess.answers import judge_moves
from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, CAPTURE, MAX_MOVES, POSITION_WORDS, STATE
from easy_to_hard.generators.chess.moves import find_legal, make
from easy_to_hard.generators.splits import split_of
from easy_to_hard.progress import progress_bar
from easy_to_hard.tasks.task import Array, DataSpec, Instances, Task

PUZZLE_SHAPES: Final = ((chess.planes.PLANES, 8, 8), (8, 8))


def encode_puzzles(
    data: Array, difficulty: int, num_threads: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Planes and squares as the mover sees the board."""
    return chess.to_planes(data, "mover", num_threads)


def puzzles_from_columns(columns: Mapping[str, Array]) -> Array:
    """(N, 9) uint64 rows from the columns fen and move."""
    return read_rows(pa.array(columns["fen"], type=pa.string()), pa.array(columns["move"], type=pa.string()))


def judge_puzzles(
    instances: Instances, predictions: Array, mate_in: int | NDArray[np.int64]
) -> dict[str, NDArray[np.bool_]]:
    """Whether an answer is a legal move, and whether it wins: forces mate in so many moves, or is the solution's."""
    legal, winning = judge_moves(instances.data, predictions, mate_in)
    return {"legal": legal, "winning_key": winning}


def splits_of_puzzles(data: Array, difficulty: int) -> list[str]:
    """The split that each board's canonical hash names."""
    return [split_of(int(value)) for value in chess.canonical_hashes(data)]


def black_moves(data: Array) -> bool:
    """Whether it is Black who moves in one row."""
    return bool(data[STATE] & BLACK_TO_MOVE)


def text_of_row(planes: Array, target: Array, data: Array) -> str:
    """A drawing for a terminal, White below."""
    return text_of_puzzle(planes, target, black_moves(data), "mover")


def _samples(mate_in: int, split: str) -> int:
    """Fewer of the deep ones, each of which takes ten times as long as one a move shallower."""
    train, other = {1: (50_000, 10_000), 2: (10_000, 10_000), 3: (2_000, 2_000)}.get(mate_in, (500, 500))
    if mate_in > 4:
        train, other = 100, 100
    return train if split == "train" else other


def _draw_seconds(mate_in: int) -> float:
    return (0.001, 0.002, 0.015, 0.2, 3.0, 30.0)[mate_in - 1]


def _distinct(spec: DataSpec, count: int, num_threads: int | None) -> NDArray[np.uint64]:
    # Deep mates take long to draw: on a terminal a bar says how long.
    with progress_bar(
        total=count, desc=f"drawing {spec.config}, {spec.split}", unit="mates", delay=2, leave=False
    ) as bar:
        return chess.first_distinct(
            count,
            mate_in=spec.difficulty,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
            num_threads=num_threads,
            progress=bar.update,
        )


def _generate(spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
    batch = chess.sample(
        spec.difficulty,
        indices,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )
    rows, moves = batch.rows, batch.rows[:, POSITION_WORDS].astype(np.int64)
    checks, captures = _kinds_of_keys(rows)
    columns = {
        "fen": np.array(chess.to_fens(rows), dtype=str),
        "move": np.array(chess.to_ucis(moves, rows), dtype=str),
        "line": np.array(chess.to_lines(batch.lines, rows), dtype=str),
        "mate_in": np.full(len(rows), spec.difficulty, dtype=np.int32),
        "legal_moves": batch.legal_moves,
        "key_is_check": checks,
        "key_is_capture": captures,
        "board_hash": np.array([f"{value:016x}" for value in batch.board_hashes.tolist()], dtype=str),
    }
    return Instances(data=rows, columns=columns)


def _kinds_of_keys(rows: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) whether the move of each row gives check, and whether it takes something."""
    checks, captures = np.zeros((2, len(rows)), dtype=np.bool_)
    scratch, after = np.empty(MAX_MOVES, dtype=np.int64), np.empty(POSITION_WORDS, dtype=np.uint64)
    for i, row in enumerate(rows):
        move = find_legal(row, np.int64(row[POSITION_WORDS]), scratch)
        make(row, move, after)
        checks[i], captures[i] = in_check(after), bool(move & CAPTURE)
    return checks, captures


def _solve(inputs: Array, mate_in: int) -> NDArray[np.uint8]:
    """The squares of a key move, by the full search, from the planes alone; none where there is no mate in time."""
    positions = chess.from_planes(inputs)
    solution = chess.solve(positions, mate_in)
    moves = np.maximum(solution.keys[:, 0], 0).astype(np.uint64)
    targets = chess.to_planes(np.concatenate([positions, moves[:, None]], axis=1))[1]
    targets[solution.mate_in == 0] = 0
    return targets


CHESS_MATES: Final = Task(
    name="chess_mates",
    title="Chess: the one move that forces mate in exactly so many moves",
    description=(
        "`fen` is the position, `move` the key in UCI; `line` the moves of the longest defence; `legal_moves` counts "
        "what the mover has to choose from; `key_is_check` and `key_is_capture` say what the key is; `board_hash` is "
        "equal for the images of a board under exchange of colours or of left and right. The package makes of it an "
        "input (12, 8, 8) and a target (8, 8), 1 on the key's two squares, as the mover sees the board."
    ),
    difficulty_name="moves to mate",
    difficulties=(1, 2, 3, 4, 5),
    train_difficulty=1,
    reference="easy-to-hard; the encoding is that of Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011",
    check_difficulty=chess.check_mate_in,
    default_samples=_samples,
    stream_length=lambda spec: None,
    first_distinct=_distinct,
    count_instances=lambda spec: None,
    generate=_generate,
    encode=encode_puzzles,
    from_columns=puzzles_from_columns,
    shapes=lambda mate_in: PUZZLE_SHAPES,
    columns={
        "fen": "string",
        "move": "string",
        "line": "string",
        "mate_in": "int32",
        "legal_moves": "int32",
        "key_is_check": "bool",
        "key_is_capture": "bool",
        "board_hash": "string",
    },
    solve=_solve,
    judge=judge_puzzles,
    splits_of=splits_of_puzzles,
    input_offset=0.0,
    input_channels=chess.planes.PLANES,
    text=text_of_row,
    draw_seconds=_draw_seconds,
)
