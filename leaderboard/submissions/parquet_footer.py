"""What a parquet file says of its own size, read without unpacking anything.

Arrow tells the same, but ends the interpreter over some footers that are damaged, and takes a page's word for how much
it unpacks to. The format: https://parquet.apache.org/docs/file-format/, in Thrift's compact protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

# Field numbers of parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_ROWS = 1, 3
_CHUNK = 3
_PATH, _NUM_VALUES, _UNPACKED, _PACKED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 5, 6, 7, 9, 11
_PAGE_UNPACKED, _PAGE_PACKED, _PAGE_HEADERS, _PAGE_VALUES = 2, 3, (5, 8), 1

_MAGIC: Final = b"PAR1"
_MOST_FOOTER: Final = 2**24
_MOST_PAGE_HEADER: Final = 2**16
_MOST_PAGE: Final = 2**28
_MOST_DEPTH: Final = 16


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A column of a row group.

    Attributes:
        column: name of the top-level column.
        num_values: entries of all its lists; an empty or null list counts as one.
        num_bytes: unpacked.
        start, end: of its pages in the file.
    """

    column: str
    num_values: int
    num_bytes: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Footer:
    """Numbers of rows, of the file and of each row group, and what columns there are in these."""

    num_rows: int
    group_rows: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    def of(self, column: str) -> list[Chunk]:
        """The chunks of a column."""
        return [chunk for chunk in self.chunks if chunk.column == column]


def read_footer(path: Path) -> Footer:
    """Read the footer.

    Raises:
        ValueError: there is none, or it cannot be read.
        EOFError: the file ends before it should.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length + 12 > size:
            raise ValueError("damaged, or no .parquet file at all (it does not end as one)")
        if length > _MOST_FOOTER:
            raise ValueError(f"the footer takes {length:,} bytes: at most {_MOST_FOOTER:,} are allowed")
        file.seek(size - 8 - length)
        told = _Thrift(file.read(length)).struct()
    try:
        groups = told[_ROW_GROUPS]
        return Footer(
            num_rows=int(told[_NUM_ROWS]),
            group_rows=tuple(int(group[_GROUP_ROWS]) for group in groups),
            chunks=tuple(_chunk(column[_CHUNK]) for group in groups for column in group[_COLUMNS]),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"damaged, or no .parquet file at all (its footer lacks {error})") from error


def check_pages(path: Path, chunks: list[Chunk]) -> None:
    """Refuse pages that unpack to more than the footer says.

    Raises:
        ValueError: there are such, or one that is too large to be held.
        EOFError: the file ends before they do.
    """
    with path.open("rb") as file:
        for chunk in chunks:
            values, unpacked = 0, 0
            for page_values, page_bytes in _pages(file, chunk):
                values, unpacked = values + page_values, unpacked + page_bytes
                if page_bytes > _MOST_PAGE:
                    raise ValueError(f"a page of {page_bytes:,} bytes: write pages of at most {_MOST_PAGE:,} bytes")
            # The headers of pages count as well, where the footer does.
            if values != chunk.num_values or unpacked > chunk.num_bytes:
                told = f"{values:,} values, {unpacked:,} bytes, its footer {chunk.num_values:,}, {chunk.num_bytes:,}"
                raise ValueError(f"damaged: the pages of column {chunk.column} say {told}")


def _chunk(facts: dict[int, Any]) -> Chunk:
    start = min(facts[_DATA_PAGE], facts.get(_DICTIONARY_PAGE) or facts[_DATA_PAGE])
    return Chunk(
        column=facts[_PATH][0].decode(errors="replace"),
        num_values=facts[_NUM_VALUES],
        num_bytes=facts[_UNPACKED],
        start=start,
        end=start + facts[_PACKED],
    )


def _pages(file: BinaryIO, chunk: Chunk) -> Iterator[tuple[int, int]]:
    """Of each page: entries, 0 for a dictionary, and bytes once unpacked."""
    at = chunk.start
    while at < chunk.end:
        file.seek(max(0, at))
        thrift = _Thrift(file.read(_MOST_PAGE_HEADER))
        header = thrift.struct()
        headers = [header[number] for number in _PAGE_HEADERS if number in header]
        try:
            packed, unpacked = int(header[_PAGE_PACKED]), int(header[_PAGE_UNPACKED])
            values = int(headers[0][_PAGE_VALUES]) if headers else 0
        except (KeyError, TypeError) as error:
            raise ValueError(f"damaged: a page of column {chunk.column} has no header") from error
        if min(packed, unpacked, values) < 0:
            raise ValueError(f"damaged: a page of column {chunk.column} of less than nothing")
        yield values, unpacked
        at += thrift.at + packed


class _Thrift:
    """Reads values of Thrift's compact protocol: structs as {field number: value}, lists as lists, strings as bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The struct that begins here."""
        if depth > _MOST_DEPTH:
            raise ValueError("damaged, or no .parquet file at all (structs without end)")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._take(1)[0]) != 0:
            number = number + (head >> 4) if head >> 4 else self._integer()
            # Of a field, the type is the value where that is true or false.
            fields[number] = head & 15 == 1 if head & 15 in (1, 2) else self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._take(1)[0]
        if kind in (4, 5, 6):
            return self._integer()
        if kind in (7, 13):
            return self._take(8 if kind == 7 else 16)
        if kind == 8:
            return self._take(self._natural())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"damaged, or no .parquet file at all (there is no type {kind})")

    def _list(self, depth: int) -> list[Any]:
        head = self._take(1)[0]
        length = head >> 4 if head >> 4 < 15 else self._natural()
        if depth > _MOST_DEPTH or length > len(self._content) - self.at:
            raise ValueError(f"damaged, or no .parquet file at all (a list of {length} values)")
        return [self._value(head & 15, depth + 1) for _ in range(length)]

    def _natural(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("damaged, or no .parquet file at all (a number without end)")

    def _integer(self) -> int:
        value = self._natural()
        return value >> 1 ^ -(value & 1)

    def _take(self, length: int) -> bytes:
        if length > len(self._content) - self.at:
            raise EOFError("it is cut off")
        self.at += length
        return self._content[self.at - length : self.at]
