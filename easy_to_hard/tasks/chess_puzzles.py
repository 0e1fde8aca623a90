"""Lichess puzzles as a task: read from the folder that `easy-to-hard convert-lichess` wrote.

Arrow is imported when a folder is read, so that other tasks do not wait for it.
"""

from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.random import mix64, stream_key
from easy_to_hard.generators.splits import NotEnoughInstancesError
from easy_to_hard.tasks.chess import Chess
from easy_to_hard.tasks.pieces import Array, Instances
from easy_to_hard.tasks.task import DataSpec

if TYPE_CHECKING:
    import pyarrow as pa

# A band holds the ratings, or the ranks, from its edge to the next.
DEFAULT_EDGES: Final = MappingProxyType(
    {
        "rating": (0, 1200, 1400, 1600, 1800, 2000, 2200, 2400, 2600),
        "rank": (0, 600_000, 700_000, 800_000, 900_000, 1_000_000, 1_100_000),
    }
)
_COLUMNS: Final = MappingProxyType(
    {"fen": "string", "move": "string", "rating": "int32", "themes": "string", "puzzle_id": "string"}
)
_HIGHEST_EDGE: Final = 10**9
# Lichess's themes for puzzles with a mate, in which other moves may be as good: Lichess accepts any mate in one.
_MATE_THEMES: Final = {f"mateIn{number}": number for number in (1, 2, 3)}


def _files(spec: DataSpec) -> list[Path]:
    """Return the files of a band and split, or raise FileNotFoundError that lists the bands there are."""
    root = Path(spec.root).expanduser().absolute()
    files = sorted((root / spec.config).glob(f"{spec.split}-*.parquet"))
    if not files:
        bands = sorted({path.parent.name for path in root.glob(f"chess_puzzles_*/{spec.split}-*.parquet")})
        known = ", ".join(bands) or "none: make the folder with 'easy-to-hard convert-lichess'"
        raise FileNotFoundError(f"no {spec.config}/{spec.split}-*.parquet in {root}; there are {known}")
    return files


@lru_cache(maxsize=16)
def _read(files: tuple[tuple[str, int, int], ...]) -> "tuple[Array, pa.Table]":
    """Rows and columns of files, which are identified by size and time too, so that a changed file is read again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from easy_to_hard.chess.columns import read_rows

    table = pa.concat_tables([pq.read_table(path, columns=list(_COLUMNS)) for path, _, _ in files]).combine_chunks()
    fens, moves = (table[name].combine_chunks() for name in ("fen", "move"))
    return read_rows(fens, moves), table


def _puzzles(spec: DataSpec) -> "tuple[Array, pa.Table]":
    stats = [(path, path.stat()) for path in _files(spec)]
    return _read(tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@lru_cache(maxsize=16)
def _order(count: int, key: int) -> NDArray[np.int64]:
    """A random order of `count` rows."""
    return np.argsort(mix64(np.arange(count, dtype=np.uint64) ^ np.uint64(key)), kind="stable")


class ChessPuzzles(Chess):
    """The first move of the solution of a Lichess puzzle."""

    name = "chess_puzzles"
    title = "Chess: the first move of the solution of a Lichess puzzle"
    description = (
        "`fen` is the position after the opponent's move, `move` the solution's first in UCI. The package makes of "
        "it an input (12, 8, 8) and a target (8, 8), 1 on the move's two squares, as the mover sees the board."
    )
    reference = "Lichess puzzle database (CC0); Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011"
    difficulty_name = "lowest rating of the band"
    difficulties = DEFAULT_EDGES["rating"]
    train_difficulty = 0
    variants = tuple(DEFAULT_EDGES)
    columns = _COLUMNS
    imported = True

    def check_difficulty(self, difficulty: int) -> int:
        """Check that the difficulty can be the lower edge of a band."""
        return check_integer("the lowest rating of a band", difficulty, 0, _HIGHEST_EDGE)

    def default_samples(self, difficulty: int, split: str, variant: str) -> int:
        """All the puzzles there are."""
        return _HIGHEST_EDGE

    def count_instances(self, spec: DataSpec) -> int:
        """The number of rows in the band's files."""
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(path).num_rows for path in _files(spec))

    def stream_length(self, spec: DataSpec) -> int:
        """All the puzzles there are."""
        return self.count_instances(spec)

    def difficulties_in(self, root: str, variant: str, split: str) -> tuple[int, ...]:
        """The lower edges of the bands that a folder holds."""
        prefix = {"rating": "chess_puzzles_", "rank": "chess_puzzles_rank_"}[variant or "rating"]
        names = {path.parent.name for path in Path(root).expanduser().glob(f"chess_puzzles_*/{split}-*.parquet")}
        edges = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return tuple(sorted(int(edge) for edge in edges if edge.isdecimal()))

    def rungs_of(self, variant: str) -> tuple[int, ...]:
        """The lower edges of the default bands."""
        return DEFAULT_EDGES[self.check_variant(variant)]

    def generate(self, spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
        """Rows of the files, in an order that depends on the seed."""
        import pyarrow as pa

        rows, table = _puzzles(spec)
        if len(indices) and int(max(indices)) >= len(rows):
            raise NotEnoughInstancesError(
                f"{spec.config} has {len(rows)} puzzles in split {spec.split!r}: item {int(max(indices))} "
                "does not exist"
            )
        key = stream_key(spec.task, spec.variant, spec.difficulty, spec.split, spec.seed)
        chosen = _order(len(rows), key)[np.asarray(indices, dtype=np.int64)]
        taken = table.take(pa.array(chosen))
        columns = {
            name: np.array(taken[name].to_pylist(), dtype=str if kind == "string" else kind)
            for name, kind in _COLUMNS.items()
        }
        return Instances(data=rows[chosen], columns=columns)

    def judge(self, instances: Instances, predictions: Array, difficulty: int) -> dict[str, NDArray[np.bool_]]:
        """As for all chess tasks; in puzzles without a mate theme, only the solution is known to win."""
        themes = instances.columns["themes"].tolist()
        mate_in = [
            min((_MATE_THEMES[name] for name in names.split() if name in _MATE_THEMES), default=0) for names in themes
        ]
        return self.judge_moves(instances, predictions, np.array(mate_in, dtype=np.int64))
