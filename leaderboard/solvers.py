"""Solvers that were not trained: a rule, a search, or chance.

Each is a submission of kind callable, such as ``easy_to_hard.leaderboard.solvers:dead_end_filling``:
``solver(inputs, iterations)`` returns ``(predictions, iterations_used)``.

- inputs: as for a network, an array or a tensor: (B, 1, L) in {-0.5, 0.5}, (B, 3, H, W) or (B, 12, 8, 8) in {0, 1}
- iterations: the most it may use, at least 1
- predictions: (B, *size) uint8 in {0, 1}; iterations_used: (B,) int64, from 1 to `iterations`

The answer to an item depends only on that item and on `iterations`. Inputs of any other shape and iterations below 1
raise ValueError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import chess, mazes
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.mazes.dead_ends import fill_dead_ends
from easy_to_hard.generators.random import mix64
from easy_to_hard.tasks import TASKS

if TYPE_CHECKING:
    from torch import Tensor

Inputs: TypeAlias = Union[NDArray[Any], "Tensor"]
Answer: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64]]

# A mate that is one move longer takes ten times as long to find.
DEEPEST_MATE: Final = 5
_LICHESS_MATE: Final = 3
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_STRINGS, _MAZES, _BOARDS = ("B", 1, "L"), ("B", 3, "H", "W"), ("B", 12, 8, 8)


def _lit(inputs: Inputs, iterations: int, *shapes: tuple[str | int, ...]) -> NDArray[np.bool_]:
    """Which inputs are positive; ValueError if they have none of the shapes, in which letters stand for any number."""
    values = inputs.detach().cpu().numpy() if hasattr(inputs, "detach") else np.asarray(inputs)
    if not any(_fits(values.shape, shape) for shape in shapes):
        wanted = " or ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
        raise ValueError(f"inputs must be of shape {wanted}, not {values.shape}")
    check_integer("iterations", iterations, 1)
    lit: NDArray[np.bool_] = values > 0
    return lit


def _fits(found: tuple[int, ...], shape: tuple[str | int, ...]) -> bool:
    sizes = zip(found, shape, strict=False)
    return len(found) == len(shape) and all(isinstance(wanted, str) or size == wanted for size, wanted in sizes)


def _all_shapes() -> list[tuple[str | int, ...]]:
    """The input shapes of all tasks, with letters for dimensions that grow with the difficulty."""
    shapes: dict[tuple[str | int, ...], None] = {}
    for task in TASKS.values():
        first, second = (task.shapes(difficulty)[1] for difficulty in task.difficulties[:2])
        sizes = first if first == second else ("L",) if len(first) == 1 else ("H", "W")
        shapes["B", task.input_channels, *sizes] = None
    return list(shapes)


def _once(predictions: NDArray[np.uint8]) -> Answer:
    return predictions, np.ones(len(predictions), dtype=np.int64)


def zeros(inputs: Inputs, iterations: int) -> Answer:
    """Answer 0 at every position."""
    lit = _lit(inputs, iterations, *_all_shapes())
    return _once(np.zeros((len(lit), *lit.shape[2:]), dtype=np.uint8))


def random(inputs: Inputs, iterations: int) -> Answer:
    """Flip a fair coin for each position, from a generator whose seed is a hash of the item."""
    lit = _lit(inputs, iterations, *_all_shapes())
    number, size = len(lit), lit.shape[2:]
    content = np.packbits(lit.reshape(number, prod(lit.shape[1:])), axis=1)
    content = np.pad(content, ((0, 0), (0, -content.shape[1] % 8))).view("<u8")
    # Each word is mixed with its place, so that swapping words gives another seed.
    seeds = np.add.reduce(mix64(content ^ (_GOLDEN * np.arange(1, content.shape[1] + 1, dtype=np.uint64))), axis=1)
    words = mix64(mix64(seeds)[:, None] + _GOLDEN * np.arange(1, prod(size) // 64 + 2, dtype=np.uint64))
    coins = np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=prod(size))
    return _once(coins.reshape(number, *size))


def prefix_parity(inputs: Inputs, iterations: int) -> Answer:
    """Solve prefix sums by doubling: iterations add to every position the one 1, 2, 4, ... places before it.

    The parallel scan of Hillis and Steele (1986, CACM 29, 1170-1183), modulo 2. After t iterations a position holds the
    sum of the last 2^t bits, so ceil(log2 L) are enough.
    """
    sums = _lit(inputs, iterations, _STRINGS)[:, 0].astype(np.uint8)
    used = min(iterations, max(1, (sums.shape[1] - 1).bit_length()))
    for t in range(used):
        sums[:, 2**t :] ^= sums[:, : -(2**t)].copy()
    return sums, np.full(len(sums), used, dtype=np.int64)


def dead_end_filling(inputs: Inputs, iterations: int) -> Answer:
    """Solve mazes by filling dead ends: each iteration turns all of them into walls, and the answer is what is left.

    Exact without loops. A loop has no dead end, so it stays, and no answer to a `looped` maze is ever right, or even a
    path: it contains the path, but 69 % of what it marks is off the path at size 9, and 96 % at size 59 (measured on
    the frozen test items). The last iteration used is the one that changed nothing.
    """
    return fill_dead_ends(_lit(inputs, iterations, _MAZES), iterations)


def breadth_first(inputs: Inputs, iterations: int) -> Answer:
    """Solve mazes by breadth-first search, one position further per iteration; all 0 if the end is not reached.

    Exact for all mazes, with or without loops; if there are several shortest paths, the answer is one of them.
    """
    predictions, lengths, _ = mazes.solve(_lit(inputs, iterations, _MAZES))
    met = (lengths >= 0) & (lengths <= iterations)
    predictions[~met] = 0
    return predictions, np.where(met, lengths, iterations).astype(np.int64)


def mate_search(inputs: Inputs, iterations: int) -> Answer:
    """Solve chess by looking for mates in 1, 2, ... moves, at most `iterations` and 5: a move that forces the shortest.

    All 0 if there is none. All moves of both sides are searched, but planes show neither castling rights nor the
    en-passant square, so neither castling nor capturing on that square is considered.
    """
    positions = chess.from_planes(_lit(inputs, iterations, _BOARDS).astype(np.uint8))
    most = min(iterations, DEEPEST_MATE)
    solution = chess.solve(positions, most, keys="one")
    used = np.where(solution.mate_in > 0, solution.mate_in, most)
    return _squares(positions, solution.keys[:, 0]), used.astype(np.int64)


def fewest_replies(inputs: Inputs, iterations: int) -> Answer:
    """Answer chess with the check that leaves the fewest legal replies; all 0 if no move gives check.

    Of several such checks, the one with the lowest number: by promotion, then destination, then origin, each square
    counted from the mover's a1 along the ranks. Like `mate_search`, it considers neither castling nor capturing en
    passant.
    """
    positions = chess.from_planes(_lit(inputs, iterations, _BOARDS).astype(np.uint8))
    return _once(_squares(positions, chess.tightest_checks(positions)))


def _squares(positions: NDArray[np.uint64], moves: NDArray[Any]) -> NDArray[np.uint8]:
    """(N, 8, 8): 1 on the two squares of each move; all 0 for -1."""
    rows = np.concatenate([positions, np.maximum(moves, 0).astype(np.uint64)[:, None]], axis=1)
    predictions = chess.to_planes(rows)[1]
    predictions[moves < 0] = 0
    return predictions


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A solver that was not trained.

    Attributes:
        name: of the function here, and of the method in results.
        title: a one-line title for display.
        tasks: names in `TASKS` of the tasks it solves.
        iterations_rule: how many iterations it gets, in words.
        enough: maps (task, difficulty) to that number.
        solve: the function.
    """

    name: str
    title: str
    tasks: tuple[str, ...]
    iterations_rule: str
    enough: Callable[[str, int], int]
    solve: Callable[[Inputs, int], Answer]

    @property
    def source(self) -> str:
        """The name ``module:function``, as in a submission."""
        return f"{__name__}:{self.name}"


def _number_of_positions(task: str, size: int) -> int:
    # A path visits each of the m x m cells at most once; a maze without loops has 2 m^2 - 1 free positions.
    return 2 * ((size + 1) // 2) ** 2


def _depth_of_mate(task: str, difficulty: int) -> int:
    return min(difficulty, DEEPEST_MATE) if task == "chess_mates" else _LICHESS_MATE


_ALL: Final = (
    Solver(
        name="zeros",
        title="All zeros",
        tasks=tuple(TASKS),
        iterations_rule="one; it does not iterate",
        enough=lambda task, difficulty: 1,
        solve=zeros,
    ),
    Solver(
        name="random",
        title="A fair coin for each position",
        tasks=tuple(TASKS),
        iterations_rule="one; it does not iterate",
        enough=lambda task, difficulty: 1,
        solve=random,
    ),
    Solver(
        name="prefix_parity",
        title="Parallel scan by doubling",
        tasks=("prefix_sums",),
        iterations_rule="ceil(log2 L), which is enough for L bits",
        enough=lambda task, num_bits: max(1, (num_bits - 1).bit_length()),
        solve=prefix_parity,
    ),
    Solver(
        name="dead_end_filling",
        title="Dead-end filling",
        tasks=("mazes",),
        iterations_rule="until nothing changes, at most twice the number of cells",
        enough=_number_of_positions,
        solve=dead_end_filling,
    ),
    Solver(
        name="breadth_first",
        title="Breadth-first search",
        tasks=("mazes",),
        iterations_rule="until the end is met, at most twice the number of cells",
        enough=_number_of_positions,
        solve=breadth_first,
    ),
    Solver(
        name="mate_search",
        title="Search for forced mates",
        tasks=("chess_mates", "chess_puzzles"),
        iterations_rule="until a mate is found, at most as deep as the difficulty says (3 moves for Lichess puzzles)",
        enough=_depth_of_mate,
        solve=mate_search,
    ),
    Solver(
        name="fewest_replies",
        title="Check with the fewest replies",
        tasks=("chess_mates", "chess_puzzles"),
        iterations_rule="one; it does not iterate",
        enough=lambda task, difficulty: 1,
        solve=fewest_replies,
    ),
)

SOLVERS: Final[Mapping[str, Solver]] = {solver.name: solver for solver in _ALL}
