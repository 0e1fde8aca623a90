"""A stable sort by rating of more rows than memory holds: sorted runs on disk, merged.

Ratings are small whole numbers, so the merge needs no comparisons: the number of rows of each rating in each run says
where every row goes. Runs are read from files, not mapped, so that what was read does not stay in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easy_to_hard.lichess.csv_rows import MAX_RATING
from easy_to_hard.storage.writing import telling

_RUN_ROWS: Final = 2**17
_BATCH_ROWS: Final = 2**10
# About how many rows each table from the merge has.
TABLE_ROWS: Final = 2**15


def _by_rating(table: pa.Table) -> pa.Table:
    """The table sorted by rating, with ties in their original order."""
    table = table.combine_chunks()
    return table.take(pa.array(np.argsort(table["rating"].to_numpy(), kind="stable"))).combine_chunks()


class RatingSort:
    """Takes batches with a column `rating` from 0 to `MAX_RATING` and returns their rows sorted."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._batches: list[pa.RecordBatch] = []
        self._held = 0
        self._counts: list[NDArray[np.int64]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows of the file."""
        self._batches.append(batch)
        self._held += len(batch)
        if self._held >= _RUN_ROWS:
            self._spill()

    def _path(self, run: int) -> Path:
        return self._folder / f"run-{run}.arrow"

    def _spill(self) -> None:
        table = _by_rating(pa.Table.from_batches(self._batches, self._schema))
        self._batches, self._held = [], 0
        path = self._path(len(self._counts))
        with telling(path), pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._schema) as writer:
            writer.write_table(table, max_chunksize=_BATCH_ROWS)
        self._counts.append(np.bincount(table["rating"].to_numpy(), minlength=MAX_RATING + 1))

    def tables(self) -> Iterator[pa.Table]:
        """All rows, sorted, ties in the order of the file, in tables of about `TABLE_ROWS` rows. Can be called once."""
        if self._held:
            self._spill()
        counts = np.array(self._counts, dtype=np.int64).reshape(-1, MAX_RATING + 1)
        runs = [_Run(self._path(run)) for run in range(len(counts))]
        try:
            for low, high in _windows(counts.sum(axis=0)):
                rows = counts[:, low:high].sum(axis=1).tolist()
                if high - low == 1:
                    # Nothing to sort: the runs follow one another, however many rows have this rating.
                    yield from (table for run, number in zip(runs, rows, strict=True) for table in run.pieces(number))
                else:
                    yield _by_rating(pa.concat_tables([run.read(n) for run, n in zip(runs, rows, strict=True) if n]))
        finally:
            for run in runs:
                run.close()


def _windows(totals: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of ratings that cover all rows, each with at most `TABLE_ROWS` rows or a single rating."""
    low, held = 0, 0
    for rating, number in enumerate(totals.tolist()):
        if held and held + number > TABLE_ROWS:
            yield low, rating
            held = 0
        if not held:
            low = rating
        held += number
    if held:
        yield low, len(totals)


class _Run:
    """A sorted run, read from beginning to end."""

    def __init__(self, path: Path) -> None:
        self._file = pa.OSFile(str(path))
        self._reader = pa.ipc.open_file(self._file)
        self._next = 0
        self._rest: pa.RecordBatch | None = None

    def read(self, rows: int) -> pa.Table:
        """The next rows."""
        batches = []
        while rows > 0:
            if not self._rest:
                self._rest = self._reader.get_batch(self._next)
                self._next += 1
            taken = self._rest.slice(0, rows)
            self._rest = self._rest.slice(len(taken))
            rows -= len(taken)
            batches.append(taken)
        return pa.Table.from_batches(batches, self._reader.schema)

    def pieces(self, rows: int) -> Iterator[pa.Table]:
        """The next rows, at most `TABLE_ROWS` at a time."""
        while rows > 0:
            table = self.read(min(rows, TABLE_ROWS))
            rows -= len(table)
            yield table

    def close(self) -> None:
        self._file.close()
