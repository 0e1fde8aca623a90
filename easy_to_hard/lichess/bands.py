"""Writes sorted puzzles as parquet files: a folder for each band of ratings or ranks, a file for each split."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from easy_to_hard.generators.chess.hashes import canonical_hashes
from easy_to_hard.generators.chess.planes import to_planes
from easy_to_hard.generators.splits import SPLITS, split_range
from easy_to_hard.lichess.csv_rows import MAX_RATING
from easy_to_hard.lichess.rows import SCHEMA, WORDS, words_of
from easy_to_hard.storage.files import Chunk, TensorHash, arrow_bytes, file_sha256
from easy_to_hard.storage.writing import telling
from easy_to_hard.tasks import config_name
from easy_to_hard.tasks.chess_puzzles import DEFAULT_EDGES

TASK: Final = "chess_puzzles"
# The first is the default.
BANDS: Final = tuple(DEFAULT_EDGES)
COLUMNS: Final = (
    "fen",
    "move",
    "line",
    "rating",
    "rating_deviation",
    "popularity",
    "plays",
    "themes",
    "puzzle_id",
    "game_url",
    "opening_tags",
)
FILE_SCHEMA: Final = pa.schema([*(SCHEMA.field(name) for name in COLUMNS), ("rank", pa.int64()), ("index", pa.int64())])
# Columns with many repeated values.
_REPETITIVE: Final = ["rating", "rating_deviation", "popularity", "themes", "opening_tags"]
_GROUP_ROWS: Final = 2**16
# Planes take 832 bytes a row.
_HASHED_ROWS: Final = 2**13
# Level 9, as in `files`, makes these texts 3 % smaller and the whole conversion a fifth slower.
_ZSTD_LEVEL: Final = 6
_SPLIT_ENDS: Final = np.array([split_range(split, "hash")[1] for split in SPLITS[:-1]], dtype=np.uint64)


def check_edges(bands: str, edges: Sequence[int] | None) -> tuple[int, ...]:
    """The edges of the bands; None stands for the default ones.

    Raises:
        ValueError: the kind of band is unknown, or the edges do not begin with 0 and ascend.
    """
    if bands not in BANDS:
        raise ValueError(f"unknown bands {bands!r}: choose one of {', '.join(BANDS)}")
    if edges is None:
        return DEFAULT_EDGES[bands]
    for edge in edges:
        if isinstance(edge, bool) or not isinstance(edge, (int, np.integer)):
            raise ValueError(f"edges must be whole numbers, not {edge!r}")
    given = [int(edge) for edge in edges]
    if given[:1] != [0] or sorted(set(given)) != given:
        raise ValueError(f"edges must begin with 0, so that every puzzle has a band, and ascend, not {given}")
    if bands == "rating" and given[-1] > MAX_RATING:
        raise ValueError(f"edges of ratings must be at most {MAX_RATING}, not {given[-1]}")
    return tuple(given)


class BandWriter:
    """Writes puzzles that come in the order of their ratings, band by band."""

    def __init__(self, folder: Path, bands: str, edges: tuple[int, ...]) -> None:
        self._folder, self._bands, self._edges = folder, bands, edges
        self._band = -1
        self._writers: dict[str, _SplitWriter] = {}
        self._rank = 0
        self.files: list[dict[str, Any]] = []

    def add(self, table: pa.Table) -> None:
        """Write the next rows, with columns as in `SCHEMA`."""
        ranks = np.arange(self._rank, self._rank + len(table))
        self._rank += len(table)
        table = table.append_column("rank", pa.array(ranks))
        keys = table["rating"].to_numpy() if self._bands == "rating" else ranks
        bands = np.searchsorted(self._edges, keys, side="right") - 1
        splits = np.searchsorted(_SPLIT_ENDS, canonical_hashes(words_of(table)), side="right")
        for band in np.unique(bands).tolist():
            if band != self._band:
                self._close_band()
                self._band = band
            for split in np.unique(splits[bands == band]).tolist():
                rows = (bands == band) & (splits == split)
                self._writer(SPLITS[split]).add(table.filter(pa.array(rows)))

    def _writer(self, split: str) -> "_SplitWriter":
        if split not in self._writers:
            config = config_name(TASK, self._edges[self._band], self._bands)
            self._writers[split] = _SplitWriter(self._folder, f"{config}/{split}-00000-of-00001.parquet")
        return self._writers[split]

    def _close_band(self) -> None:
        low = self._edges[self._band]
        config = config_name(TASK, low, self._bands)
        for split in SPLITS:
            if split in self._writers:
                identity = {"config": config, "task": TASK, "difficulty": low, "variant": self._bands, "split": split}
                self.files.append(self._writers.pop(split).close(identity))

    def close(self) -> list[dict[str, Any]]:
        """Finish the last files; returns the manifest's entries."""
        self._close_band()
        return self.files


class _SplitWriter:
    """One file, written a row group at a time."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name = folder / name, name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._path.absolute(),
            FILE_SCHEMA,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=_REPETITIVE,
            use_content_defined_chunking=True,
            write_page_index=True,
        )
        self._tensors = TensorHash()
        self._tables: list[pa.Table] = []
        self._held = self._rows = 0

    def add(self, table: pa.Table) -> None:
        for piece in row_pieces(table, _HASHED_ROWS):
            words = words_of(piece)
            inputs, targets = to_planes(words, "mover", num_threads=1)
            none = np.empty(0, dtype=np.uint64)
            self._tensors.update(Chunk(indices=none, inputs=inputs, targets=targets, columns={}))
        index = np.arange(self._rows, self._rows + len(table))
        self._rows += len(table)
        self._tables.append(table.drop_columns(WORDS).append_column("index", pa.array(index)).select(FILE_SCHEMA.names))
        self._held += len(table)
        if self._held >= _GROUP_ROWS:
            self._write(whole_groups=True)

    def _write(self, *, whole_groups: bool) -> None:
        held = pa.concat_tables(self._tables)
        rows = self._held - self._held % _GROUP_ROWS if whole_groups else self._held
        with telling(self._path):
            self._writer.write_table(held.slice(0, rows).cast(FILE_SCHEMA), row_group_size=_GROUP_ROWS)
        # A copy; a slice would keep everything already written in memory.
        self._tables = [held.slice(rows).combine_chunks()]
        self._held -= rows

    def close(self, identity: dict[str, Any]) -> dict[str, Any]:
        if self._held:
            self._write(whole_groups=False)
        self._writer.close()
        return {
            "path": self._name,
            **identity,
            "rows": self._rows,
            "bytes": self._path.stat().st_size,
            "num_bytes": arrow_bytes(self._path),
            "sha256": file_sha256(self._path),
            **self._tensors.digests(),
            "target_ones": self._tensors.target_ones,
        }


def row_pieces(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    """A table in pieces of at most `rows` rows."""
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)
