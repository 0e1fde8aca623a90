"""Reads a file, compressed or not, or standard input as blocks of whole lines, in constant memory."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from easy_to_hard.lichess.csv_rows import MAX_LINE

STANDARD_INPUT: Final = "-"
BLOCK_BYTES: Final = 2**21
_PIECE_BYTES: Final = 2**14
# Four bytes of Zstandard can expand to 2^17, so it is fed so little at a time that no more than 2^24 come of it.
_PACKED_BYTES: Final = 2**9
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
# Skippable frames, which may come before the first frame of data.
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
_OTHER_FORMATS: Final = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
    b"PAR1": "parquet",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class ConvertError(RuntimeError):
    """The input cannot be read, or the folder cannot be written."""


class Input:
    """The bytes of a source, counted and hashed as they are read.

    Attributes:
        name: the file's name without its folder, or "-".
        size: bytes in the file; None where that is not known.
        read: bytes read so far, before decompression.
    """

    def __init__(self, source: str | Path) -> None:
        self._path = None if str(source) == STANDARD_INPUT else Path(source).expanduser()
        self.name = STANDARD_INPUT if self._path is None else self._path.name
        self.size: int | None = None
        self.read = 0
        self._hash = hashlib.sha256()
        if self._path is None:
            if sys.stdin is None or sys.stdin.closed:
                raise ConvertError("standard input is closed: give a file instead of -, or pipe data into it")
            self._file: IO[bytes] = sys.stdin.buffer
            return
        if not self._path.is_file():
            raise ConvertError(f"{self._path} is not a file: give a .csv.zst or .csv file, or - for the standard input")
        self._file = self._path.open("rb")
        self.size = self._path.stat().st_size

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self._path is not None:
            self._file.close()

    def skip(self) -> None:
        """Read the rest, so that it is hashed."""
        while self._take(_PIECE_BYTES):
            pass

    def sha256(self) -> str:
        """The SHA-256 of all bytes read, in hexadecimal."""
        return self._hash.hexdigest()

    def _take(self, most: int) -> bytes:
        piece = self._file.read(most)
        self._hash.update(piece)
        self.read += len(piece)
        return piece

    def pieces(self) -> Iterator[bytes]:
        """The text, decompressed if its first bytes are those of Zstandard.

        Raises:
            ConvertError: it is another kind of file, or its compressed data are damaged or end early.
        """
        first = self._take(_PACKED_BYTES)
        for magic, name in _OTHER_FORMATS.items():
            if first.startswith(magic):
                raise ConvertError(f"{self.name} is {name}: it must be UTF-8 text, plain or packed by Zstandard")
        if first.startswith(_ZSTD) or first[1:4] == _ZSTD_SKIPPABLE:
            yield from self._unpack(first)
            return
        while first:
            yield first
            first = self._take(_PIECE_BYTES)

    def _unpack(self, packed: bytes) -> Iterator[bytes]:
        # `stream_reader` mistakes the end of the file for the end of the data, so each frame is read to its end.
        frame = None
        try:
            while packed:
                if frame is None:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                text = frame.decompress(packed)
                packed = frame.unused_data
                if frame.eof:
                    frame = None
                if text:
                    yield text
                packed = packed or self._take(_PACKED_BYTES)
        except zstandard.ZstdError as error:
            raise ConvertError(f"{self.name}: the compressed data are damaged ({error})") from error
        if frame is not None:
            raise ConvertError(f"{self.name}: the compressed data end early: was the download cut off?")


def without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes without the byte order mark that some programs write first."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(_BYTE_ORDER_MARK):
            break
    yield head.removeprefix(_BYTE_ORDER_MARK)
    yield from pieces


def line_blocks(pieces: Iterator[bytes]) -> Iterator[NDArray[np.uint8]]:
    """Blocks of whole lines, (B,) uint8 with B at most `BLOCK_BYTES`, each valid until the next one is requested.

    Only the very last line may lack its line break. Of a line longer than a block, only the beginning is kept, enough
    to see that it is longer than `MAX_LINE`.
    """
    buffer = bytearray(BLOCK_BYTES)
    text: NDArray[np.uint8] = np.frombuffer(buffer, dtype=np.uint8)
    filled, skipping = 0, False
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            if skipping:
                end = piece.find(b"\n", len(piece) - len(rest))
                if end < 0:
                    break
                rest, skipping = memoryview(piece)[end:], False
            number = min(len(rest), BLOCK_BYTES - filled)
            buffer[filled : filled + number] = rest[:number]
            filled, rest = filled + number, rest[number:]
            if filled < BLOCK_BYTES:
                break
            stop = buffer.rfind(b"\n") + 1
            if stop == 0:
                filled, skipping = MAX_LINE + 2, True
                continue
            yield text[:stop]
            buffer[: filled - stop] = buffer[stop:filled]
            filled -= stop
    if filled:
        yield text[:filled]
