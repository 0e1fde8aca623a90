"""What a parquet file says about its own size, read and checked without unpacking anything.

Arrow gives the same information, but crashes the interpreter on some damaged footers, and trusts a page about how much
it unpacks to. What is accepted here is less than the format allows, but includes all that Arrow, pandas, polars and
DuckDB write: each chunk lies within the file, does not overlap others, and is filled by its pages. For the format, see
https://parquet.apache.org/docs/file-format/.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from easy_to_hard.leaderboard.submissions.thrift import Thrift

# Field numbers in parquet.thrift: of the file, a schema element, a row group, a chunk and a page.
_SCHEMA, _NUM_ROWS, _ROW_GROUPS = 2, 3, 4
_TYPE, _NAME, _CHILDREN = 1, 4, 5
_COLUMNS, _GROUP_ROWS = 1, 3
_OTHER_FILE, _CHUNK = 1, 3
_PATH, _NUM_VALUES, _UNPACKED, _PACKED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 5, 6, 7, 9, 11
_PAGE_TYPE, _PAGE_UNPACKED, _PAGE_PACKED, _PAGE_VALUES = 1, 2, 3, 1
# Type of a page -> the field with its own header, and the field in that header with the encoding.
_PAGE_HEADERS: Final = {0: (5, 2), 2: (7, 2), 3: (8, 4)}
_DICTIONARY: Final = 2
# Each value can repeat any part of the one before it, so that a few bytes unpack to gigabytes.
_DELTA_BYTE_ARRAY: Final = 7

_MAGIC: Final = b"PAR1"
_MOST_FOOTER: Final = 2**23
_MOST_PAGE_HEADER: Final = 2**16
_MOST_PAGE: Final = 2**28
_MOST_PAGES: Final = 2**16
_MOST_LEVELS: Final = 16
# A value takes 8 bytes, as many in a dictionary, and a few for its levels; a page has some overhead.
_VALUE_BYTES, _PAGE_BYTES = 24, 4096


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A column of a row group.

    Attributes:
        column: name of the top-level column.
        num_values: entries of all its lists; an empty or null list counts as one.
        num_bytes: size when unpacked.
        start, end: position of its pages in the file.
    """

    column: str
    num_values: int
    num_bytes: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Footer:
    """What the footer says.

    Attributes:
        num_rows: number of rows in the file, the sum of `group_rows`.
        group_rows: number of rows in each row group.
        columns: the top-level column of each chunk of a row group; the same in all row groups.
        chunks: the chunks of all row groups, in order.
    """

    num_rows: int
    group_rows: tuple[int, ...]
    columns: tuple[str, ...]
    chunks: tuple[Chunk, ...]

    def of(self, column: str) -> list[Chunk]:
        """The chunks of a column."""
        return [chunk for chunk in self.chunks if chunk.column == column]


def read_footer(path: Path, most_rows: int) -> Footer:
    """Read the footer, and check that its row groups and chunks are consistent with one another and with the file.

    Args:
        path: of the file.
        most_rows: the most rows that it may have.

    Raises:
        ValueError: there is no footer, it cannot be read, what it says is impossible, or it has no rows or too many.
        EOFError: the file ends before it should.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length + 12 > size:
            raise ValueError("damaged, or not a .parquet file at all (it does not end as one)")
        if length > _MOST_FOOTER:
            raise ValueError(f"the footer takes {length:,} bytes: at most {_MOST_FOOTER:,} are allowed")
        file.seek(size - 8 - length)
        told = Thrift(file.read(length)).struct()
    try:
        if not 1 <= (num_rows := _count(told, _NUM_ROWS)) <= most_rows:
            raise ValueError(f"holds {num_rows:,} rows: 1 to {most_rows:,} (the whole benchmark) are allowed")
        groups = told[_ROW_GROUPS]
        columns = _columns(told[_SCHEMA])
        footer = Footer(
            num_rows=num_rows,
            group_rows=tuple(_count(group, _GROUP_ROWS) for group in groups),
            columns=columns,
            chunks=tuple(chunk for group in groups for chunk in _chunks(group[_COLUMNS], columns)),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"damaged, or not a .parquet file at all (its footer lacks {error})") from error
    _check_footer(footer, size - 8 - length)
    return footer


def check_agreement(footer: Footer, metadata: Any) -> None:
    """Reject a file in which Arrow reads something other than what was checked.

    Args:
        footer: as read here.
        metadata: as read by Arrow.

    Raises:
        ValueError: they differ.
    """
    # Chunks are left out: if statistics do not fit the schema, Arrow crashes the interpreter when asked for one.
    groups = tuple(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    columns = [metadata.schema.column(number).path.split(".")[0] for number in range(metadata.num_columns)]
    wanted = [name.split(".")[0] for name in footer.columns]
    if (metadata.num_rows, groups, columns) != (footer.num_rows, footer.group_rows, wanted):
        _refuse("its footer can be read in two ways")


def check_pages(path: Path, chunks: Sequence[Chunk], *, whole_bytes: int | None = None) -> None:
    """Reject pages that lie outside their chunk, or unpack to more than the footer says or their values need.

    Args:
        path: of the file.
        chunks: of one column.
        whole_bytes: the most that they may unpack to together; None for as much as their number of values needs.

    Raises:
        ValueError: there are such pages, one is too large to be held in memory, or there are too many.
        EOFError: the file ends before they do.
    """
    num_pages = num_bytes = num_values = 0
    with path.open("rb") as file:
        for chunk in chunks:
            values, unpacked = 0, 0
            for page_values, page_bytes in _pages(file, chunk):
                num_pages, values, unpacked = num_pages + 1, values + page_values, unpacked + page_bytes
                if num_pages > _MOST_PAGES:
                    raise ValueError(f"column {chunk.column} has more than {_MOST_PAGES:,} pages: write larger ones")
            # Page headers count as well, since the footer counts them.
            if values != chunk.num_values or unpacked > chunk.num_bytes:
                told = f"{values:,} values, {unpacked:,} bytes, its footer {chunk.num_values:,}, {chunk.num_bytes:,}"
                raise ValueError(f"damaged: the pages of column {chunk.column} say {told}")
            num_bytes, num_values = num_bytes + unpacked, num_values + values
            most = num_values * _VALUE_BYTES + num_pages * _PAGE_BYTES if whole_bytes is None else whole_bytes
            if num_bytes > most:
                raise ValueError(f"column {chunk.column} unpacks to {num_bytes:,} bytes: at most {most:,} are allowed")


def _refuse(reason: str) -> NoReturn:
    raise ValueError(f"damaged, or not a .parquet file at all ({reason})")


def _count(facts: dict[int, Any], number: int, default: int | None = None) -> int:
    """Read a field that must be a number from 0 on."""
    value = facts[number] if default is None else facts.get(number, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        _refuse(f"field {number} is {str(value)[:60]}, a number from 0 on is wanted")
    return value


def _columns(schema: Sequence[dict[int, Any]]) -> tuple[str, ...]:
    """The top-level column that each leaf of a schema belongs to; the schema is a tree in preorder."""
    columns: list[str] = []
    top, to_come = "", [1]
    for element in schema:
        while to_come and not to_come[-1]:
            to_come.pop()
        if not to_come or len(to_come) > _MOST_LEVELS:
            _refuse("its schema is not a tree, or never ends")
        to_come[-1] -= 1
        if len(to_come) == 2:
            top = element[_NAME].decode(errors="replace")
        children = _count(element, _CHILDREN, 0)
        if not children and _TYPE in element:
            columns.append(top)
        to_come.append(children)
    if any(to_come) or not columns:
        _refuse("its schema is cut off" if columns else "it has no columns")
    return tuple(columns)


def _chunks(told: Sequence[dict[int, Any]], columns: Sequence[str]) -> Iterator[Chunk]:
    """The chunks of a row group."""
    if len(told) != len(columns):
        _refuse(f"a row group of {len(told)} columns, its schema has {len(columns)}")
    for column, one in zip(columns, told, strict=True):
        facts = one[_CHUNK]
        if facts[_PATH][0].decode(errors="replace") != column or _OTHER_FILE in one:
            _refuse("a row group has other columns than its schema, or in another file")
        data = _count(facts, _DATA_PAGE)
        # If a chunk has no dictionary, some writers say that it is at 0.
        start = min(data, _count(facts, _DICTIONARY_PAGE, 0) or data)
        yield Chunk(
            column=column,
            num_values=_count(facts, _NUM_VALUES),
            num_bytes=_count(facts, _UNPACKED),
            start=start,
            end=start + _count(facts, _PACKED),
        )


def _check_footer(footer: Footer, end: int) -> None:
    if sum(footer.group_rows) != footer.num_rows:
        _refuse(f"its row groups have {sum(footer.group_rows):,} rows, the footer says {footer.num_rows:,}")
    for group, rows in enumerate(footer.group_rows):
        for chunk in footer.chunks[group * len(footer.columns) : (group + 1) * len(footer.columns)]:
            if chunk.num_values < rows:
                _refuse(f"column {chunk.column} has {chunk.num_values:,} values in a row group of {rows:,} rows")
    for chunk in footer.chunks:
        if chunk.start < len(_MAGIC) or chunk.end > end:
            _refuse(f"bytes {chunk.start:,} to {chunk.end:,} are not in it, or are its footer")
    for one, following in pairwise(sorted(footer.chunks, key=lambda chunk: (chunk.start, chunk.end))):
        if following.start < one.end:
            _refuse(f"columns {one.column} and {following.column} share bytes, from {following.start:,} on")


def _pages(file: BinaryIO, chunk: Chunk) -> Iterator[tuple[int, int]]:
    """For each page, the number of entries in it (0 for a dictionary), and its size in bytes when unpacked."""
    at = chunk.start
    while at < chunk.end:
        file.seek(at)
        thrift = Thrift(file.read(min(_MOST_PAGE_HEADER, chunk.end - at)))
        header = thrift.struct()
        try:
            kind = header[_PAGE_TYPE]
            number, encoding = _PAGE_HEADERS[kind]
            packed, unpacked = _count(header, _PAGE_PACKED), _count(header, _PAGE_UNPACKED)
            values = _count(header[number], _PAGE_VALUES)
            encoded = _count(header[number], encoding)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"damaged: a page of column {chunk.column} has no header") from error
        if encoded == _DELTA_BYTE_ARRAY:
            raise ValueError(
                f"column {chunk.column} is of encoding DELTA_BYTE_ARRAY: write it plain, or as a dictionary"
            )
        if kind == _DICTIONARY and at != chunk.start:
            raise ValueError(f"damaged: column {chunk.column} has a dictionary that does not come first")
        if max(packed, unpacked) > _MOST_PAGE:
            told = f"a page of {max(packed, unpacked):,} bytes"
            raise ValueError(f"{told}: write pages of at most {_MOST_PAGE:,} bytes")
        at += thrift.at + packed
        if at > chunk.end:
            raise ValueError(f"damaged: a page of column {chunk.column} goes {at - chunk.end:,} bytes beyond its end")
        yield 0 if kind == _DICTIONARY else values, unpacked
