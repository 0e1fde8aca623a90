"""Writes sorted puzzles as the arrays that the original's files held (Schwarzschild et al. 2021, arXiv 2108.06011).

``chess_data/`` then holds, in the order of the ratings, with N the number of puzzles:

- ``data.npy``      (N, 12, 8, 8) uint8 in {0, 1}: the mover's K Q B N R P, then the other side's; rank 1 first,
  whichever side moves, files a to h
- ``targets.npy``   (N, 8, 8) uint8 in {0, 1}: 1 on the origin and the destination of the move, same orientation
- ``who_moves.npy`` (N, 1) uint8: 0 White, 1 Black
- ``rating.npy``    (N, 1) int32
"""

from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa

from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, STATE
from easy_to_hard.generators.chess.planes import to_planes
from easy_to_hard.lichess.bands import row_pieces
from easy_to_hard.lichess.rows import words_of
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.writing import telling

FOLDER: Final = "chess_data"
_ROWS: Final = 2**13
_ARRAYS: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "data.npy": ("|u1", (12, 8, 8)),
    "targets.npy": ("|u1", (8, 8)),
    "who_moves.npy": ("|u1", (1,)),
    "rating.npy": ("<i4", (1,)),
}


class PlaneWriter:
    """Writes the four files, a few thousand rows at a time, so that memory does not grow with them."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder, self._rows = folder / FOLDER, rows
        self._folder.mkdir(parents=True)
        self._files: dict[str, IO[bytes]] = {}
        for name, (dtype, shape) in _ARRAYS.items():
            self._files[name] = (self._folder / name).open("wb")
            header = {"descr": dtype, "fortran_order": False, "shape": (rows, *shape)}
            np.lib.format.write_array_header_1_0(self._files[name], header)

    def add(self, table: pa.Table) -> None:
        """Write the next rows, with columns as in `rows.SCHEMA`."""
        for piece in row_pieces(table, _ROWS):
            words = words_of(piece)
            inputs, targets = to_planes(words, "white", num_threads=1)
            black = (words[:, STATE] & BLACK_TO_MOVE) != 0
            ratings = piece["rating"].to_numpy().astype("<i4")
            for name, values in zip(_ARRAYS, (inputs, targets, black.astype(np.uint8), ratings), strict=True):
                with telling(self._folder / name):
                    self._files[name].write(np.ascontiguousarray(values).data)

    def close(self) -> list[dict[str, Any]]:
        """Finish the files; returns a description of each."""
        entries = []
        for name, file in self._files.items():
            file.close()
            path, (dtype, shape) = self._folder / name, _ARRAYS[name]
            entries.append(
                {
                    "path": f"{FOLDER}/{name}",
                    "shape": [self._rows, *shape],
                    "dtype": np.dtype(dtype).name,
                    "bytes": path.stat().st_size,
                    "sha256": file_sha256(path),
                }
            )
        return entries
