"""Reads the selected puzzles from a folder that `easy-to-hard convert-lichess` wrote, by rank.

It holds ``chess_puzzles_<rating>/<split>-00000-of-00001.parquet``, or ``chess_puzzles_rank_<rank>/...`` where the bands
are ranges of ranks. A puzzle's rank is its place, from 0, among all puzzles sorted by rating.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from numbers import Real
from operator import and_
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

from easy_to_hard.chess.columns import read_rows
from easy_to_hard.generators.chess.board import ROW_WORDS
from easy_to_hard.generators.splits import check_split
from easy_to_hard.storage.manifest import StorageError

_FILE: Final = re.compile(r"(?P<split>[a-z]+)-\d+-of-\d+\.parquet")
# Bands by rating and bands by rank hold the same puzzles, so only the first kind found is read.
_BANDS: Final = (re.compile(r"chess_puzzles_\d+"), re.compile(r"chess_puzzles_rank_\d+"))
_TASK: Final = "chess_puzzles"
_NEEDED: Final = ("fen", "move", "rank")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which puzzles of a folder are wanted: those that meet every condition.

    Attributes:
        ranks: first rank and one past the last; None for all.
        rating: lowest rating and one past the highest; None for all.
        themes: puzzles with at least one of them; empty for all.
        split: "train", "validation" or "test"; None for all.

    Raises:
        ValueError: a value is not allowed; the message says which, and what is allowed.
    """

    ranks: tuple[int, int] | None = None
    rating: tuple[float, ...] | None = None
    themes: tuple[str, ...] = ()
    split: str | None = None

    def __post_init__(self) -> None:
        if self.ranks is not None:
            if any(isinstance(rank, bool) or not isinstance(rank, (int, np.integer)) for rank in self.ranks):
                raise ValueError("idx_start and idx_end must be integers, not {!r} and {!r}".format(*self.ranks))
            if not 0 <= self.ranks[0] < self.ranks[1]:
                raise ValueError("idx_start must be from 0 to idx_end - 1, not {} with idx_end {}".format(*self.ranks))
        if self.rating is not None:
            pair = isinstance(self.rating, Sequence) and len(self.rating) == 2
            if not pair or not all(isinstance(bound, Real) for bound in self.rating):
                raise ValueError(f"rating must be two numbers (low, high), not {self.rating!r}")
            if not self.rating[0] < self.rating[1]:
                raise ValueError(f"rating must be (low, high) with low below high, not {tuple(self.rating)}")
        for theme in self.themes:
            if not isinstance(theme, str) or not re.fullmatch(r"\w+", theme):
                raise ValueError(f"a theme is one word such as 'fork' or 'mateIn2', not {theme!r}")
        if self.split is not None:
            check_split(self.split)

    def __str__(self) -> str:
        parts = [] if self.ranks is None else ["ranks [{}, {})".format(*self.ranks)]
        parts += [] if self.rating is None else ["rating [{}, {})".format(*self.rating)]
        parts += [f"themes {' or '.join(self.themes)}"] if self.themes else []
        parts += [] if self.split is None else [f"split {self.split}"]
        return ", ".join(parts) or "all puzzles"

    def expression(self) -> Any:
        """The condition on a row, apart from its split, as an Arrow expression; None where there is none."""
        conditions = []
        for name, bounds in (("rank", self.ranks), ("rating", self.rating)):
            if bounds is not None:
                conditions += [pc.field(name) >= bounds[0], pc.field(name) < bounds[1]]
        if self.themes:
            any_of = f"(^| )({'|'.join(self.themes)})( |$)"
            conditions.append(pc.match_substring_regex(pc.field("themes"), any_of))
        return reduce(and_, conditions) if conditions else None


class PuzzleFolder:
    """The parquet files of a folder; opening it reads their footers only.

    Raises:
        FileNotFoundError: there are none; the message says how to make them.
        ValueError: a file is not readable or lacks a column.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = _find_files(root)
        if not self._files:
            raise FileNotFoundError(
                f"no chess_puzzles_*/train-*.parquet in {root}: get the puzzles with "
                f"'easy-to-hard download-lichess --out lichess.csv.zst' (some 300 MB), then "
                f"'easy-to-hard convert-lichess lichess.csv.zst --out {root}'"
            )
        try:
            named = [frozenset(fragment.physical_schema.names) for fragment in self._data.get_fragments()]
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{root}: not readable ({error})") from error
        # Files with the same columns have one set, which is sent to a worker once.
        kinds = {names: names for names in named}
        self._names = [kinds[names] for names in named]
        self._require(_NEEDED)

    @cached_property
    def _data(self) -> pads.FileSystemDataset:
        return pads.dataset([str(path.absolute()) for path in self._files], format="parquet")

    def __getstate__(self) -> dict[str, Any]:
        # A worker that needs the files opens them itself: pickled, their footers would take more than the puzzles.
        return {name: value for name, value in self.__dict__.items() if name != "_data"}

    def __len__(self) -> int:
        return int(self._data.count_rows())

    def has(self, column: str) -> bool:
        """Whether every file has that column."""
        return all(column in names for names in self._names)

    def _require(self, columns: Sequence[str]) -> None:
        for path, names in zip(self._files, self._names, strict=True):
            missing = [name for name in columns if name not in names]
            if missing:
                raise ValueError(f"{path} has no column {missing[0]!r}, only {', '.join(sorted(names))}")

    def check(self, selection: Selection) -> None:
        """Check that all of the ranks are there, each once.

        Raises:
            ValueError: they are not, or the files lack a column that the selection needs.
        """
        self._require([*(["rating"] if selection.rating else []), *(["themes"] if selection.themes else [])])
        if selection.ranks is None:
            return
        first, stop = selection.ranks
        held = self._data.count_rows(filter=Selection(ranks=selection.ranks).expression())
        if held != stop - first:
            raise ValueError(
                f"{self.root} holds {held} of the {stop - first} puzzles of ranks [{first}, {stop}), and {len(self)} "
                "in all: pass idx_start and idx_end, or rating=(low, high)"
            )

    def read(self, selection: Selection, columns: Sequence[str]) -> pa.Table:
        """Columns of the selected puzzles, and their ranks, in the order of ranks.

        Row groups without any selected puzzle are not read.

        Raises:
            ValueError: no puzzle is selected, or a file cannot be read.
        """
        self._require(columns)
        files = [path for path in self._files if selection.split in (None, _split_of(path))]
        try:
            data = pads.dataset([str(path.absolute()) for path in files], schema=self._data.schema, format="parquet")
            table = data.to_table(columns=sorted({*columns, "rank"}), filter=selection.expression())
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.root}: not readable ({error})") from error
        if len(table) == 0:
            raise ValueError(f"no puzzle in {self.root} fits {selection}; it holds {len(self)}")
        return table.take(pa.array(np.argsort(table["rank"].to_numpy(), kind="stable")))

    def rows(self, table: pa.Table) -> NDArray[np.uint64]:
        """Convert the columns fen and move to (N, 9) uint64 rows, see `easy_to_hard.generators.chess.board`.

        Raises:
            ValueError: a FEN or move is malformed, or a move is not legal.
        """
        rows, start = np.empty((len(table), ROW_WORDS), dtype=np.uint64), 0
        try:
            for batch in table.to_batches():
                rows[start : start + len(batch)] = read_rows(batch["fen"], batch["move"])
                start += len(batch)
        except ValueError as error:
            raise ValueError(f"{self.root}: {error}") from error
        return rows


def needed_files(manifest: dict[str, Any], selection: Selection, where: str) -> list[dict[str, Any]]:
    """The entries of a manifest that may hold selected puzzles, judging by split and by band of rating or rank.

    Raises:
        StorageError: there are none.
    """
    needed = []
    edges = {low: high for low, high in pairwise([*manifest.get("edges", []), math.inf])}
    for entry in manifest["files"]:
        bounds = selection.rating if entry["variant"] == "rating" else selection.ranks
        low = entry["difficulty"]
        within = bounds is None or (low < bounds[1] and bounds[0] < edges.get(low, math.inf))
        if entry["task"] == _TASK and selection.split in (None, entry["split"]) and within:
            needed.append(entry)
    if not needed:
        held = ", ".join(sorted({entry["config"] for entry in manifest["files"]}))
        raise StorageError(f"{where} has no puzzles of {selection}: it holds {held}")
    return needed


def _split_of(path: Path) -> str | None:
    match = _FILE.fullmatch(path.name)
    return match["split"] if match else None


def _find_files(root: Path) -> list[Path]:
    for band in _BANDS:
        folders = [folder for folder in root.glob("chess_puzzles_*") if band.fullmatch(folder.name)]
        files = [path for folder in folders for path in folder.glob("*.parquet") if _split_of(path)]
        if files:
            return sorted(files)
    return []
