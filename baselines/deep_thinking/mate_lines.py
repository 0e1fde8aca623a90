"""Forced mates of two depths with the lines of their longest defenses, in batches."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.batches import Batches
from easy_to_hard.datasets.items import instance_tensors
from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, STATE
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.tasks import DataSpec, generate
from easy_to_hard.tasks.pieces import Instances

ORIGIN: Final = 1
DESTINATION: Final = 2
_UPSIDE_DOWN: Final = 56
_NO_SQUARE: Final = -1


def line_squares(instances: Instances, plies: int) -> NDArray[np.int8]:
    """Origin and destination of each move of the lines, of both sides, as the first mover sees the board.

    Args:
        instances: of chess_mates, with the column `line`.
        plies: at least as many as the longest line has.

    Returns:
        (N, plies, 2) int8, squares 8 rank + file; -1 after the end of a line.
    """
    squares = np.full((len(instances), plies, 2), _NO_SQUARE, dtype=np.int8)
    for i, line in enumerate(instances.columns["line"].tolist()):
        for ply, move in enumerate(line.split()):
            for end in range(2):
                file, rank = move[2 * end : 2 * end + 2]
                squares[i, ply, end] = 8 * (int(rank) - 1) + ord(file) - ord("a")
    black = (instances.data[:, STATE] & BLACK_TO_MOVE).astype(bool)
    squares[black] = np.where(squares[black] < 0, squares[black], squares[black] ^ _UPSIDE_DOWN)
    return squares


def mark_lines(squares: NDArray[np.int8]) -> Tensor:
    """Squares of lines, (N, plies, 2) as from `line_squares`, as marks: (N, plies, 8, 8) int64.

    A plane is 1 on the origin and 2 on the destination of its move, else 0; all 0 after the end of a line.
    """
    marks = np.zeros((*squares.shape[:2], 64), dtype=np.int64)
    items, plies = np.nonzero(squares[..., 0] >= 0)
    for end, mark in enumerate((ORIGIN, DESTINATION)):
        marks[items, plies, squares[items, plies, end]] = mark
    return torch.from_numpy(marks.reshape(*squares.shape[:2], 8, 8))


def line_batches(spec: DataSpec, num_items: int, easier_items: int, batch_size: int, seed: int) -> Batches:
    """Batches of mates and, as they come, of those that are a move shallower, all in another order each epoch.

    Each is seen from the left or, half of the time, exchanged left and right: a mate stays one, since no position has
    castling rights. Items left over at the end of an epoch are dropped. Batches are a function of (seed, step) alone.

    Args:
        spec: the deeper mates, of chess_mates.
        num_items: how many distinct ones of them, at least 1.
        easier_items: how many distinct ones a move shallower, at least 0.
        batch_size: from 1 to the number of all items.
        seed: at least 0.

    Returns:
        Step number from 0 -> inputs (batch, 12, 8, 8) float and targets (batch, 2 difficulty - 1, 8, 8) int64, a plane
        for each half-move of the line of the longest defense, the key first, as `mark_lines` gives them.

    Raises:
        ValueError: another task, or a number out of range.
        NotEnoughInstancesError: the split holds fewer instances.
    """
    if spec.task != "chess_mates":
        raise ValueError(f"only chess_mates have lines of moves, not {spec.task}")
    total = check_integer("num_items", num_items, 1) + check_integer("easier_items", easier_items, 0)
    check_integer("batch_size", batch_size, 1, total)
    plies = 2 * spec.difficulty - 1
    parts = [generate(spec, num_items)[1]]
    if easier_items:
        shallower = DataSpec(
            task=spec.task,
            variant=spec.variant,
            difficulty=spec.difficulty - 1,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
        )
        parts.append(generate(shallower, easier_items)[1])
    data = np.concatenate([part.data for part in parts])
    squares = np.concatenate([line_squares(part, plies) for part in parts])
    batches_an_epoch = total // batch_size
    order: tuple[int, NDArray[np.int64]] | None = None

    def batch(step: int) -> tuple[Tensor, Tensor]:
        nonlocal order
        epoch, number = divmod(step, batches_an_epoch)
        if order is None or order[0] != epoch:
            order = epoch, np.random.default_rng((seed, epoch)).permutation(total)
        items = order[1][number * batch_size : (number + 1) * batch_size]
        inputs, marks = instance_tensors(spec, data[items])[0], mark_lines(squares[items])
        mirrored = torch.from_numpy(np.random.default_rng((seed, step, 1)).random(batch_size) < 0.5)[
            :, None, None, None
        ]
        return torch.where(mirrored, inputs.flip(-1), inputs), torch.where(mirrored, marks.flip(-1), marks)

    return batch
