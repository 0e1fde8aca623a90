"""What instances look like: a small PNG of the first test item of each difficulty.

Mazes are drawn at one pixel a position and bit strings at one pixel a bit; the page enlarges them. Neither needs
anything but the standard library; chess boards need matplotlib.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.tasks import DataSpec, config_name, get_task

Colour: TypeAlias = tuple[int, int, int, int]

# Red, green, blue and opacity, each 0 to 255.
_MAZE_COLOURS: Final[tuple[Colour, ...]] = (
    (41, 44, 51, 255),
    (250, 250, 250, 255),
    (69, 133, 242, 255),
    (33, 166, 89, 255),
    (219, 51, 46, 255),
)
_WALL, _FREE, _PATH, _START, _GOAL = range(5)
# A place without a bit is see-through; then bits 0 and 1, parities 0 and 1.
_BIT_COLOURS: Final[tuple[Colour, ...]] = (
    (0, 0, 0, 0),
    (205, 218, 236, 255),
    (35, 92, 176, 255),
    (246, 218, 190, 255),
    (191, 92, 8, 255),
)
_BIT, _PARITY = 1, 3
# Bits of the longest string that is wrapped to lines of so many; longer ones to lines of `_LONGEST_LINE`.
_LINES: Final = {64: 16, 256: 32, 1024: 64, 2048: 128}
_LONGEST_LINE: Final = 256
# The page shows small pictures at a whole number of screen pixels for each of theirs, near this many across.
_SHOWN_PIXELS: Final = 132
# FEN and key of the first test item of each config: to search for a mate in 5 takes seconds. A test makes them anew.
MATES: Final[Mapping[int, tuple[str, str]]] = {
    1: ("rnbq1k1r/ppppp1b1/5pQp/4N1p1/3P4/PP3P2/2P1P1PP/RNB1KB1R w - - 0 1", "g6f7"),
    2: ("8/8/8/4k3/8/7q/1K6/7r b - - 0 1", "h1h2"),
    3: ("B1b2k1r/3p1p2/n3p2p/2P1P1P1/p4p2/P1P2P1P/P3q3/R1B2R1K b - - 0 1", "e2f1"),
    4: ("5k1r/n7/5N2/5B1p/3P3P/2p1p3/Q5P1/4K2R w - - 0 1", "a2e6"),
    5: ("4k1nr/8/2N1p1pp/p7/4P3/2P5/2N3Kb/3QB2R w - - 0 1", "d1d8"),
}
_BOARD_INCHES: Final = 1.5
_BOARD_DOTS_AN_INCH: Final = 190


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of an instance and its solution.

    Attributes:
        name: of the file.
        png: its bytes.
        width, height: at which the page shows it, in CSS pixels.
        sharp: whether it is to be enlarged without smoothing.
        label: what it shows, in words.
    """

    name: str
    png: bytes
    width: int
    height: int
    sharp: bool
    label: str


def draw(task: str, variant: str, difficulty: int) -> Picture | None:
    """The first test item, solved; None where a task's instances are not made but read from a folder.

    Args:
        task: name in `TASKS`.
        variant: one of its variants; "" for the default.
        difficulty: one that the task has; of mates, one in `MATES`, else there is no picture.

    Raises:
        ImportError: a chess board is wanted and matplotlib is not installed; the message says how to get it.
    """
    return _draw(task, get_task(task).check_variant(variant), difficulty)


@lru_cache(maxsize=256)
def _draw(task: str, variant: str, difficulty: int) -> Picture | None:
    return _DRAWINGS[task](variant, difficulty) if task in _DRAWINGS else None


def png(pixels: NDArray[np.uint8], colours: tuple[Colour, ...]) -> bytes:
    """A picture as PNG, four bits a pixel.

    Args:
        pixels: (H, W) uint8, each the number of a colour.
        colours: at most 16.
    """
    height, width = pixels.shape
    padded = np.zeros((height, width + width % 2), dtype=np.uint8)
    padded[:, :width] = pixels
    # Each line starts with the number of its filter, 0 for none.
    lines = np.zeros((height, 1 + padded.shape[1] // 2), dtype=np.uint8)
    lines[:, 1:] = padded[:, ::2] << 4 | padded[:, 1::2]
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    table = b"".join(bytes(colour[:3]) for colour in colours)
    opacity = bytes(colour[3] for colour in colours)
    chunks = {
        b"IHDR": header,
        b"PLTE": table,
        b"tRNS": opacity,
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _first_item(task: str, variant: str, difficulty: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    spec = DataSpec(task=task, difficulty=difficulty, variant=variant, split="test")
    data = get_task(task).generate(spec, np.zeros(1, dtype=np.uint64), 1).data
    inputs, targets = get_task(task).encode(data, difficulty, 1)
    return inputs[0], targets[0]


def _draw_maze(variant: str, size: int) -> Picture:
    image, path = _first_item("mazes", variant, size)
    # A position is two by two pixels, and there is a pixel of padding all round.
    red, green, blue = image[:, 1:-1:2, 1:-1:2] > 0
    pixels = np.full(blue.shape, _WALL, dtype=np.uint8)
    pixels[blue] = _FREE
    pixels[blue & (path[1:-1:2, 1:-1:2] > 0)] = _PATH
    pixels[green & ~red] = _START
    pixels[red & ~green] = _GOAL
    kind = "" if variant == "depth_first" else f", {variant.replace('_', ' ')}"
    label = f"a maze of size {size}{kind}, with its shortest path from start to goal"
    return _picture(config_name("mazes", size, variant), pixels, _MAZE_COLOURS, label)


def _draw_strings(variant: str, num_bits: int) -> Picture:
    bits, parities = _first_item("prefix_sums", variant, num_bits)
    width = next((width for most, width in _LINES.items() if num_bits <= most), _LONGEST_LINE)
    lines = -(-num_bits // width)
    # Bits, the parities below them, and an empty line before the next.
    pixels = np.zeros((lines, 3, width), dtype=np.uint8)
    for row, values, first in ((0, bits, _BIT), (1, parities, _PARITY)):
        filled = np.zeros(lines * width, dtype=np.uint8)
        filled[:num_bits] = values.reshape(-1) + first
        pixels[:, row] = filled.reshape(lines, width)
    label = f"a string of {num_bits:,} bits (blue) and, below each line of it, the parity of every prefix (orange)"
    return _picture(f"prefix_sums_{num_bits}", pixels.reshape(-1, width)[:-1], _BIT_COLOURS, label)


def _picture(name: str, pixels: NDArray[np.uint8], colours: tuple[Colour, ...], label: str) -> Picture:
    height, width = pixels.shape
    scale = max(1, round(_SHOWN_PIXELS / width))
    # What is larger than that both ways is made smaller.
    sharp = min(width, height) <= _SHOWN_PIXELS
    shown = scale * width if sharp else _SHOWN_PIXELS
    return Picture(
        name=f"{name}.png",
        png=png(pixels, colours),
        width=shown,
        height=round(height * shown / width),
        sharp=sharp,
        label=label,
    )


def _draw_mate(variant: str, mate_in: int) -> Picture | None:
    from easy_to_hard.plotting import new_figure
    from easy_to_hard.task_plots import PLOTS

    if mate_in not in MATES:
        return None
    task = get_task("chess_mates")
    fen, move = MATES[mate_in]
    assert task.from_columns is not None
    data = task.from_columns({"fen": np.array([fen]), "move": np.array([move])})
    planes, targets = task.encode(data, mate_in, 1)
    figure = new_figure(_BOARD_INCHES, _BOARD_INCHES)
    PLOTS["chess_mates"](planes[0], targets[0], figure.subplots(), data[0])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_BOARD_DOTS_AN_INCH, transparent=True, metadata={"Software": None})
    side = "White" if " w " in fen else "Black"
    return Picture(
        name=f"chess_mates_{mate_in}.png",
        png=buffer.getvalue(),
        width=_SHOWN_PIXELS,
        height=_SHOWN_PIXELS,
        sharp=False,
        label=f"{side} mates in {mate_in}, with {move[:2]} to {move[2:4]}",
    )


_DRAWINGS: Final[Mapping[str, Callable[[str, int], Picture | None]]] = {
    "mazes": _draw_maze,
    "prefix_sums": _draw_strings,
    "chess_mates": _draw_mate,
}
