"""What the chess tasks share: positions and moves, stored as text and encoded as planes from the mover's side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.chess.text import text_of_puzzle
from easy_to_hard.generators import chess
from easy_to_hard.generators.chess.answers import judge_moves
from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, STATE
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks.pieces import AnswerRules, Array, Instances, check_logits
from easy_to_hard.tasks.task import Bits, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor


def two_likeliest_squares(logits: "Tensor", inputs: "Tensor") -> "Tensor":
    """Predictions that mark a move: 1 on the two squares with the largest logits of class 1, else 0."""
    check_logits(logits, inputs)
    scores = logits[:, 1].flatten(1)
    predictions = scores.new_zeros(scores.shape).long().scatter_(1, scores.topk(2, dim=1).indices, 1)
    return predictions.view(logits[:, 1].shape)


class Chess(Task):
    """The one right move in a position: rows (N, 9) of 64-bit words, of which the last is the move."""

    input_channels = chess.planes.PLANES
    stores_tensors = False
    answers = AnswerRules(decode=two_likeliest_squares)

    def shapes(self, difficulty: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shape of a board's planes, and of a board."""
        return (chess.planes.PLANES, 8, 8), (8, 8)

    def encode(self, data: Array, difficulty: int, num_threads: int | None) -> tuple[Bits, Bits]:
        """Planes and target squares, as the mover sees the board."""
        return chess.to_planes(data, "mover", num_threads)

    def from_columns(self, columns: Mapping[str, Array]) -> Array:
        """(N, 9) uint64 rows from the columns fen and move."""
        # Only files need Arrow.
        import pyarrow as pa

        from easy_to_hard.chess.columns import read_rows

        return read_rows(pa.array(columns["fen"], type=pa.string()), pa.array(columns["move"], type=pa.string()))

    def splits_of(self, data: Array, difficulty: int) -> list[str]:
        """The split of each position, by the canonical hash of the board."""
        return [split_of(int(value)) for value in chess.canonical_hashes(data)]

    def judge_moves(
        self, instances: Instances, predictions: Array, mate_in: int | NDArray[np.int64]
    ) -> dict[str, NDArray[np.bool_]]:
        """Whether an answer is a legal move, and whether it wins: forces mate in time, or is the solution's move."""
        legal, winning = judge_moves(instances.data, predictions, mate_in)
        return {"legal": legal, "winning_key": winning}

    def text(self, item: Array, target: Array, data: Array) -> str:
        """The board as text, White at the bottom."""
        return text_of_puzzle(item, target, _black_moves(data), "mover")

    def plot(self, item: Any, target: Any = None, data: Any = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the board and the move."""
        from easy_to_hard.chess.plots import plot_chess_puzzle

        who_moves = None if data is None else _black_moves(data)
        return plot_chess_puzzle(item, target, ax, who_moves=who_moves, perspective="mover")


def _black_moves(data: Array) -> bool:
    """Whether Black is to move in a row."""
    return bool(data[STATE] & BLACK_TO_MOVE)
