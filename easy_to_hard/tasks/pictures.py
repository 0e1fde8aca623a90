"""Small PNG pictures of instances for the leaderboard's page, and how large they are shown there.

A picture made of pixels, such as a maze with one pixel per position, needs only the standard library; one made from a
figure needs matplotlib.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Red, green, blue and opacity, each 0 to 255.
Color: TypeAlias = tuple[int, int, int, int]

# The page shows small pictures at a whole number of screen pixels for each of theirs, near this many across.
_SHOWN_PIXELS: Final = 132
# The side, in inches, of a figure that makes such a small picture.
FIGURE_INCHES: Final = 1.5
_DOTS_AN_INCH: Final = 190


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of an instance and its solution.

    Attributes:
        name: of the file.
        png: the file's bytes.
        width, height: the size at which the page shows it, in CSS pixels.
        sharp: whether to enlarge it without smoothing.
        label: what it shows, in words.
    """

    name: str
    png: bytes
    width: int
    height: int
    sharp: bool
    label: str


def picture_of_pixels(name: str, pixels: NDArray[np.uint8], colors: tuple[Color, ...], label: str) -> Picture:
    """Make a picture from pixels; the page shows it enlarged if it is small.

    Args:
        name: of the file, without its extension.
        pixels: (H, W) uint8, each an index into `colors`.
        colors: at most 16.
        label: what it shows, in words.
    """
    height, width = pixels.shape
    scale = max(1, round(_SHOWN_PIXELS / width))
    # A picture larger than that in both directions is reduced.
    sharp = min(width, height) <= _SHOWN_PIXELS
    shown = scale * width if sharp else _SHOWN_PIXELS
    return Picture(
        name=f"{name}.png",
        png=png(pixels, colors),
        width=shown,
        height=round(height * shown / width),
        sharp=sharp,
        label=label,
    )


def picture_of_figure(name: str, figure: "Figure", label: str) -> Picture:
    """Make a picture from a square figure of `FIGURE_INCHES`.

    Args:
        name: of the file, without its extension.
        figure: a matplotlib figure.
        label: what it shows, in words.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_AN_INCH, transparent=True, metadata={"Software": None})
    return Picture(
        name=f"{name}.png",
        png=buffer.getvalue(),
        width=_SHOWN_PIXELS,
        height=_SHOWN_PIXELS,
        sharp=False,
        label=label,
    )


def png(pixels: NDArray[np.uint8], colors: tuple[Color, ...]) -> bytes:
    """Encode a picture as PNG, with four bits per pixel.

    Args:
        pixels: (H, W) uint8, each an index into `colors`.
        colors: at most 16.
    """
    height, width = pixels.shape
    padded = np.zeros((height, width + width % 2), dtype=np.uint8)
    padded[:, :width] = pixels
    # Each line starts with the number of its filter, 0 for none.
    lines = np.zeros((height, 1 + padded.shape[1] // 2), dtype=np.uint8)
    lines[:, 1:] = padded[:, ::2] << 4 | padded[:, 1::2]
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    table = b"".join(bytes(color[:3]) for color in colors)
    opacity = bytes(color[3] for color in colors)
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
