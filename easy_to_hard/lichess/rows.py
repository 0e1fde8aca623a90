"""Converts blocks of lines to Arrow batches of puzzles and to rejected rows."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easy_to_hard.generators.chess.board import ROW_WORDS
from easy_to_hard.generators.chess.fen import MAX_FEN
from easy_to_hard.generators.chess.fen import REASONS as FEN_REASONS
from easy_to_hard.lichess import csv_rows
from easy_to_hard.lichess.csv_rows import BAD_COUNT, BAD_FEN, COLUMNS, FEWEST, LAYOUT, MOST, NUMBERS, REASONS, TEXTS
from easy_to_hard.lichess.reading import BLOCK_BYTES, ConvertError

_NEEDED: Final = ("PuzzleId", "FEN", "Moves", "Rating")
# In files without a header, OpeningTags, the last column, may be absent.
_FEWEST_UNNAMED: Final = len(COLUMNS) - 1
_ROWS_AT_A_TIME: Final = 2**14
_SHOWN_BYTES: Final = 200

# The puzzle's nine words, as bytes; planes and splits are computed from them.
WORDS: Final = "words"
SCHEMA: Final = pa.schema(
    [
        *(pa.field(name, pa.int32(), nullable=name != "rating") for name in NUMBERS),
        *(pa.field(name, pa.string(), nullable=False) for name in TEXTS),
        pa.field(WORDS, pa.binary(8 * ROW_WORDS), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that is not a puzzle.

    Attributes:
        line: its number in the file, from 1.
        kind: the reason without details, for counting.
        reason: the full reason.
        text: the row; bytes that are not UTF-8 or not printable appear as ``\\xNN``.
    """

    line: int
    kind: str
    reason: str
    text: str


class RowReader:
    """Reads blocks of lines, in order.

    It remembers a hash of each PuzzleId to find repeated ones: 16 to 32 bytes of memory per row. The probability that
    any of 10^7 different ids is mistaken for a repeated one is below 10^-5.

    Attributes:
        rows_in: lines read so far, without the header.
        ignored: unknown columns of the header.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._layout: NDArray[np.int64] | None = None
        self._line = 1
        self._seen = np.zeros(2**18, dtype=np.uint64)
        self._known = 0
        rows = _ROWS_AT_A_TIME
        self._texts = np.empty((len(TEXTS), max(BLOCK_BYTES, MAX_FEN * rows) + MAX_FEN), dtype=np.uint8)
        self._ends = np.zeros((len(TEXTS), rows + 1), dtype=np.int32)
        self._numbers = np.empty((rows + 1, len(NUMBERS)), dtype=np.int64)
        self._words = np.empty((rows, ROW_WORDS), dtype=np.uint64)
        self._rejects = np.empty((rows, 5), dtype=np.int64)
        self.rows_in = 0
        self.ignored: tuple[str, ...] = ()

    def read(self, text: NDArray[np.uint8]) -> Iterator[tuple[pa.RecordBatch, list[Reject]]]:
        """Yield the puzzles of a block in batches of `SCHEMA`, in the order of the file, each with its rejects.

        Raises:
            ConvertError: the header lacks a required column, or names one twice.
        """
        start = 0
        if self._layout is None:
            self._layout, start = self._read_header(text)
        while start < len(text):
            self._make_room()
            begun = start
            start, lines, rows, rejected = csv_rows.read_lines(
                text,
                begun,
                len(text),
                self._line,
                self._layout,
                self._texts,
                self._ends,
                self._numbers,
                self._words,
                self._seen,
                self._rejects,
            )
            self._line += lines
            self.rows_in += lines
            self._known += rows
            yield self._batch(rows), [self._reject(text, *row) for row in self._rejects[:rejected].tolist()]

    def _make_room(self) -> None:
        if 2 * (self._known + _ROWS_AT_A_TIME) > len(self._seen):
            larger = np.zeros(2 * len(self._seen), dtype=np.uint64)
            csv_rows.rehash(self._seen, larger)
            self._seen = larger

    def _read_header(self, text: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
        """The layout, and where the rows begin. A first line without any known column name is a row."""
        first = text[: csv_rows.MAX_LINE].tobytes().split(b"\n", 1)[0]
        line = first.decode("utf-8", "replace").replace("\0", "?").strip("\r").replace("\r", "?")
        names = next(csv.reader([line]), [])
        layout = np.empty(LAYOUT, dtype=np.int64)
        if not set(names) & set(COLUMNS):
            layout[: len(COLUMNS)] = range(len(COLUMNS))
            layout[FEWEST], layout[MOST] = _FEWEST_UNNAMED, len(COLUMNS)
            return layout, 0
        for name in _NEEDED:
            if names.count(name) != 1:
                raise ConvertError(f"{self._name}: the header must have {', '.join(_NEEDED)} once each, not {first!r}")
        if len(names) > csv_rows.MAX_FIELDS:
            raise ConvertError(f"{self._name}: the header has {len(names)} columns, more than {csv_rows.MAX_FIELDS}")
        layout[: len(COLUMNS)] = [names.index(name) if name in names else -1 for name in COLUMNS]
        layout[FEWEST] = layout[MOST] = len(names)
        self.ignored = tuple(name for name in names if name not in COLUMNS)
        self._line = 2
        return layout, min(len(first) + 1, len(text))

    def _batch(self, rows: int) -> pa.RecordBatch:
        numbers = self._numbers[:rows].astype(np.int32)
        columns = [
            pa.array(numbers[:, i], mask=numbers[:, i] == csv_rows.NO_NUMBER if name != "rating" else None)
            for i, name in enumerate(NUMBERS)
        ]
        for i in range(len(TEXTS)):
            ends = self._ends[i, : rows + 1].copy()
            text = self._texts[i, : ends[rows]].copy()
            columns.append(pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(text)))
        words = pa.py_buffer(self._words[:rows].copy())
        columns.append(pa.FixedSizeBinaryArray.from_buffers(SCHEMA.field(WORDS).type, rows, [None, words]))
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    def _reject(self, text: NDArray[np.uint8], line: int, code: int, detail: int, start: int, stop: int) -> Reject:
        kind, reason = _describe(code, detail, self._layout)
        shown = text[start:stop].tobytes()
        if code == csv_rows.TOO_LONG:
            shown = shown[:_SHOWN_BYTES]
        return Reject(line=line, kind=kind, reason=reason, text=_printable(shown))


def _describe(code: int, detail: int, layout: NDArray[np.int64] | None) -> tuple[str, str]:
    """(reason without details, full reason)."""
    kind = REASONS[code]
    if code in (csv_rows.NOT_INTEGER, csv_rows.OUT_OF_RANGE):
        kind = kind.format(COLUMNS[detail])
    elif code == BAD_FEN:
        kind = kind.format(FEN_REASONS[detail])
    elif code == BAD_COUNT and layout is not None:
        fewest, most = layout[FEWEST], layout[MOST]
        return kind, f"{kind}: {detail}, not {fewest}" + (f" or {most}" if most != fewest else "")
    elif code == csv_rows.TOO_LONG:
        return kind, f"{kind}: more than {csv_rows.MAX_LINE:,} bytes"
    elif code in (csv_rows.NOT_UCI, csv_rows.ILLEGAL):
        return kind, f"{kind}: number {detail}"
    return kind, kind


def _printable(row: bytes) -> str:
    text = row.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(symbol if symbol.isprintable() else symbol.encode("unicode_escape").decode() for symbol in text)


def words_of(table: pa.Table) -> NDArray[np.uint64]:
    """(N, ROW_WORDS) uint64: positions and moves of a table that has the column `WORDS`."""
    column = table[WORDS].combine_chunks()
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    values = np.frombuffer(array.buffers()[1], dtype=np.uint64)
    first = array.offset * ROW_WORDS
    return values[first : first + len(array) * ROW_WORDS].reshape(-1, ROW_WORDS)
