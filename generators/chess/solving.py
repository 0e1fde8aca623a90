"""The mate solver for many positions at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import ENEMY, KINGS, MAX_MOVES, MOVE_MASK, OWN, as_positions
from easy_to_hard.generators.chess.mates import MAX_MATE_IN, find_keys, mate_within, new_search, solution_line
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

_TABLE_ENTRIES = 2**18


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The forced mates in N positions.

    Attributes:
        mate_in: (N,) int32, the mover's moves to mate with best play, 0 if none is forced within the limit.
        keys: (N, 256) int16, the moves that force mate in that many, see `board`, then -1.
        lines: (N, 2 most - 1) int16, the longest defense, each move as its own mover sees it, then -1.
    """

    mate_in: NDArray[np.int32]
    keys: NDArray[np.int16]
    lines: NDArray[np.int16]


@kernel
def _solve(positions, most, mate_in, keys, lines):  # type: ignore[no-untyped-def]
    search = new_search(_TABLE_ENTRIES)
    found, line = np.empty(MAX_MOVES, dtype=np.int64), np.empty(2 * MAX_MATE_IN, dtype=np.int64)
    for i in range(positions.shape[0]):
        mate_in[i] = mate_within(positions[i], most, search, MAX_MATE_IN)
        keys[i], lines[i] = -1, -1
        if mate_in[i]:
            for j in range(find_keys(positions[i], mate_in[i], search, found, MAX_MOVES)):
                keys[i, j] = found[j] & MOVE_MASK
            solution_line(positions[i], mate_in[i], search, line)
            for j in range(2 * mate_in[i] - 1):
                lines[i, j] = line[j]


def solve(positions: NDArray[np.uint64], most: int, num_threads: int | None = None) -> Solution:
    """Find the movers' forced mates by a search of all moves; the result is exact.

    Args:
        positions: (N, 8) uint64, or rows that begin with them, see `board`.
        most: limit on the mover's moves, 1 to 8. Each further move takes about thirty times as long.
        num_threads: None for one per core.

    Raises:
        ValueError: `most` is out of range, or a row is not a position.
    """
    most = check_integer("most", most, 1, MAX_MATE_IN)
    held = as_positions(positions)
    for side in (OWN, ENEMY):
        kings = held[:, side] & held[:, KINGS]
        for row in np.flatnonzero((kings == 0) | (kings & (kings - np.uint64(1)) != 0))[:1]:
            raise ValueError(f"position {row} does not have one king per side")
    mate_in = np.empty(len(held), dtype=np.int32)
    keys = np.empty((len(held), MAX_MOVES), dtype=np.int16)
    lines = np.empty((len(held), 2 * most - 1), dtype=np.int16)
    run_in_chunks(
        lambda a, b: _solve(held[a:b], most, mate_in[a:b], keys[a:b], lines[a:b]),
        len(held),
        num_threads,
        nanoseconds=2e3 * 30.0 ** (most - 1),
    )
    return Solution(mate_in=mate_in, keys=keys, lines=lines)
