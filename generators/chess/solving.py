"""The mate solver for many positions at once."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK, as_positions
from easy_to_hard.generators.chess.fen import require_possible
from easy_to_hard.generators.chess.mates import (
    GENERATION,
    LIMIT,
    MAX_MATE_IN,
    NO_LIMIT,
    SEARCHED,
    UNDECIDED,
    can_mate,
    find_keys,
    find_one_key,
    new_search,
    solution_line,
    table_entries,
)
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks

Keys = Literal["all", "one"]
KEYS: Final[tuple[Keys, ...]] = ("all", "one")


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The forced mates in N positions.

    Attributes:
        mate_in: (N,) int32, the mover's moves to mate with best play; 0 if none is forced within the limit; -1 if that,
            or what else was asked for, was not decided within `most_nodes`.
        keys: (N, 256) int16, the moves that force mate in that many, see `board`, then -1; (N, 1) if one was asked for.
        lines: (N, 2 most - 1) int16, the longest defense, each move as its own mover sees it, then -1; (N, 0) if one
            key was asked for.
        nodes: (N,) int64, how many positions were searched.
    """

    mate_in: NDArray[np.int32]
    keys: NDArray[np.int16]
    lines: NDArray[np.int16]
    nodes: NDArray[np.int64]


@kernel
def _solve(positions, most, one, budgets, mate_in, keys, lines):  # type: ignore[no-untyped-def]
    scratch, moves, table, refutations, _ = new_search(1)
    found, line = np.empty(MAX_MOVES, dtype=np.int64), np.empty(2 * MAX_MATE_IN, dtype=np.int64)
    for i in range(positions.shape[0]):
        position, budget = positions[i], budgets[i]
        keys[i], lines[i] = -1, -1
        refutations[:] = 0
        answer, within = 0, 0
        while answer == 0 and within < most:
            within += 1
            # Clearing a large table takes longer than most searches: it is made when it is needed. What was searched
            # before counts for nothing, so that the number of nodes depends on this position alone.
            entries = table_entries(within)
            if len(table) < entries:
                table = np.zeros((entries, 2), dtype=np.uint64)
            budget[GENERATION] = MAX_MATE_IN * i + within
            search = scratch, moves, table[:entries], refutations, budget
            if one:
                answer = find_one_key(position, within, search, found)
            else:
                answer = can_mate(position, within, search, MAX_MATE_IN)
                if answer == 1:
                    answer = find_keys(position, within, search, found, MAX_MOVES)
                    if answer > 0 and not solution_line(position, within, search, line):
                        answer = UNDECIDED
        mate_in[i] = within if answer > 0 else answer
        if answer > 0:
            for j in range(answer):
                keys[i, j] = found[j] & MOVE_MASK
            for j in range(min(2 * within - 1, lines.shape[1])):
                lines[i, j] = line[j]


def check_keys(keys: str) -> Keys:
    """Return `keys`, or raise ValueError that lists what is allowed."""
    if keys not in KEYS:
        raise ValueError(f"unknown keys {keys!r}: choose one of {', '.join(KEYS)}")
    return keys


def solve(
    positions: NDArray[np.uint64],
    most: int,
    num_threads: int | None = None,
    *,
    keys: str = "all",
    most_nodes: int | None = None,
) -> Solution:
    """Find the movers' forced mates by a search of all moves; the result is exact.

    An interrupt (Ctrl-C) stops the search at once.

    Args:
        positions: (N, 8) uint64, or rows that begin with them, see `board`.
        most: limit on the mover's moves, 1 to 8. Each further move takes about thirty times as long.
        num_threads: None for one per core. The result does not depend on it.
        keys: "all", and the line of the longest defense; or "one", which takes a fraction of the time. It is any key,
            not always the first of all. `mate_in` is exact in both.
        most_nodes: how many positions may be searched for each of the given ones, at least 1; None for no limit.

    Raises:
        ValueError: `most`, `keys` or `most_nodes` is out of range, or a row is not a position such as a FEN may have.
    """
    most, one = check_integer("most", most, 1, MAX_MATE_IN), check_keys(keys) == "one"
    limit = NO_LIMIT if most_nodes is None else check_integer("most_nodes", most_nodes, 1, NO_LIMIT)
    held = as_positions(positions)
    require_possible(held)
    count = len(held)
    mate_in = np.empty(count, dtype=np.int32)
    found = np.empty((count, 1 if one else MAX_MOVES), dtype=np.int16)
    lines = np.empty((count, 0 if one else 2 * most - 1), dtype=np.int16)
    budgets = np.zeros((count, 3), dtype=np.int64)
    budgets[:, LIMIT] = limit
    run_in_chunks(
        lambda a, b: _solve(held[a:b], most, one, budgets[a:b], mate_in[a:b], found[a:b], lines[a:b]),
        count,
        num_threads,
        nanoseconds=2e3 * 30.0 ** (most - 1),
        stop=lambda: budgets[:, LIMIT].fill(0),
    )
    return Solution(mate_in=mate_in, keys=found, lines=lines, nodes=np.minimum(budgets[:, SEARCHED], limit))
