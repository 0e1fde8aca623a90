"""Reads Thrift's compact protocol, in which parquet writes its footer and page headers."""

from typing import Any, Final

_MOST_DEPTH: Final = 16
# One byte may stand for a value that takes a hundred bytes in memory.
_MOST_VALUES: Final = 2**20


class Thrift:
    """Reads values: structs as {field number: value}, lists as lists, strings as bytes.

    Args:
        content: the bytes to read, from the beginning.

    Attributes:
        at: where in the content the next value begins.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = _MOST_VALUES
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read the struct that begins here.

        Raises:
            ValueError: it is not a struct, it is too deep or too large, or a field occurs twice.
            EOFError: the content ends before it does.
        """
        if depth > _MOST_DEPTH:
            raise ValueError("damaged, or not a .parquet file at all (structs never end)")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._take(1)[0]) != 0:
            number = number + (head >> 4) if head >> 4 else self._integer()
            if number in fields:
                raise ValueError(f"damaged, or not a .parquet file at all (field {number} of a struct occurs twice)")
            # For a boolean field, the type is the value.
            fields[number] = head & 15 == 1 if head & 15 in (1, 2) else self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"a header of more than {_MOST_VALUES:,} values: fewer row groups or columns are allowed")
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
        raise ValueError(f"damaged, or not a .parquet file at all (there is no type {kind})")

    def _list(self, depth: int) -> list[Any]:
        head = self._take(1)[0]
        length = head >> 4 if head >> 4 < 15 else self._natural()
        if depth > _MOST_DEPTH or length > len(self._content) - self.at:
            raise ValueError(f"damaged, or not a .parquet file at all (a list of {length} values)")
        return [self._value(head & 15, depth + 1) for _ in range(length)]

    def _natural(self) -> int:
        value = shift = 0
        while shift < 70:
            byte = self._take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("damaged, or not a .parquet file at all (a number never ends)")

    def _integer(self) -> int:
        value = self._natural()
        return value >> 1 ^ -(value & 1)

    def _take(self, length: int) -> bytes:
        if length > len(self._content) - self.at:
            raise EOFError("it is cut off")
        self.at += length
        return self._content[self.at - length : self.at]
