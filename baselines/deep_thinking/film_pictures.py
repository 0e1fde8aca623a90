"""Drawings of what a net would answer after an iteration: for mazes, chess boards, and strings of bits.

This needs matplotlib (``pip install "easy-to-hard[plot]"``), which is imported when a picture is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.chess.plots import plot_chess_puzzle
from easy_to_hard.plotting import new_figure
from easy_to_hard.tasks import get_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PATH: Final = (0.12, 0.38, 0.90)
_SOLVED: Final = (0.10, 0.58, 0.30)
_UNSOLVED: Final = "0.93"
_GRAY: Final = "0.35"
# Bits: pale is 0, dark is 1, as in the pictures of the data.
_BITS: Final[dict[str, Any]] = {"cmap": "Blues", "vmin": -0.15, "vmax": 1.1, "interpolation": "nearest"}
_PANELS_A_LINE: Final = 6
_PANEL_INCHES: Final = 1.9
_FILM_INCHES: Final = 3.4
_FINEST_PIXELS_AN_INCH: Final = 40
_MOST_ROWS: Final = 120


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the net would answer after an iteration.

    Attributes:
        iteration: its number; 0 is before the first.
        probabilities: (*size) float in [0, 1], of class 1: on the path, parity 1.
        solved: whether the answer is right everywhere.
    """

    iteration: int
    probabilities: NDArray[np.floating[Any]]
    solved: bool


# ---- mazes and boards


def _draw_maze(axes: "Axes", image: NDArray[Any], frame: Frame) -> None:
    """Draw a maze; the deeper a cell's blue, the likelier it is on the path."""
    get_task("mazes").plot(image, ax=axes)
    overlay = np.zeros((*image.shape[1:], 4))
    overlay[..., :3] = _PATH
    # Not on walls, nor on start and goal, which keep their colors.
    overlay[..., 3] = np.where((image > 0).all(axis=0), frame.probabilities, 0)
    axes.imshow(overlay, interpolation="nearest")
    # The outermost wall is three pixels thick in the data: one is enough to see.
    height, width = image.shape[1:]
    axes.set_xlim(1.5, width - 2.5)
    axes.set_ylim(height - 2.5, 1.5)


def _draw_board(axes: "Axes", planes: NDArray[Any], frame: Frame) -> None:
    """Draw a chess board as the mover sees it; the deeper a square's blue, the likelier it is part of the move."""
    plot_chess_puzzle(planes, None, axes, perspective="mover")
    overlay = np.zeros((8, 8, 4))
    overlay[..., :3] = _PATH
    overlay[..., 3] = frame.probabilities
    # Above the squares and below the pieces.
    axes.imshow(overlay, interpolation="nearest", origin="lower", zorder=2)


# By the channels of the input.
_DRAWINGS: Final = {3: _draw_maze, 12: _draw_board}
DRAWN_CHANNELS: Final = {1: (1,), 2: tuple(_DRAWINGS)}
"""Channels of the inputs that can be drawn, by their dimensions."""


def _draw_panel(axes: "Axes", image: NDArray[Any], frame: Frame) -> None:
    _DRAWINGS[len(image)](axes, image, frame)
    axes.set_title(f"iteration {frame.iteration}", loc="left", fontsize=9, color=_GRAY, pad=4)
    if frame.solved:
        axes.set_title("✓ solved", loc="right", fontsize=9, color=_SOLVED, pad=4)


def _panel_size(image: NDArray[Any], least_width: float) -> tuple[float, float]:
    """A panel's width and height in inches, including the title."""
    _, height, width = image.shape
    inches = max(least_width, width / _FINEST_PIXELS_AN_INCH)
    return inches, inches * height / width + 0.28


def draw_image_strip(image: NDArray[Any], frames: Sequence[Frame]) -> "Figure":
    """A maze (3, H, W) or board (12, 8, 8) after each of the frames' iterations, side by side."""
    # Lines of about the same length: 8 panels are 4 + 4, not 6 + 2.
    lines = -(-len(frames) // _PANELS_A_LINE)
    columns = -(-len(frames) // lines)
    width, height = _panel_size(image, _PANEL_INCHES)
    figure = new_figure(width * columns, height * lines)
    for number, frame in enumerate(frames, start=1):
        _draw_panel(figure.add_subplot(lines, columns, number), image, frame)
    return figure


def draw_image_film(image: NDArray[Any], frames: Sequence[Frame]) -> "Iterator[Figure]":
    """A maze (3, H, W) or board (12, 8, 8) after each of the frames' iterations, one picture each."""
    for frame in frames:
        figure = new_figure(*_panel_size(image, _FILM_INCHES))
        _draw_panel(figure.add_subplot(), image, frame)
        yield figure


# ---- strings


def rows_of(last: int) -> list[int]:
    """The iterations that are rows of the picture: all from 0 to the last, or 120 evenly spread ones."""
    return sorted({round(row) for row in np.linspace(0, last, min(last + 1, _MOST_ROWS))})


def _hide_frame(axes: "Axes") -> None:
    axes.tick_params(length=0, labelsize=8, labelcolor=_GRAY)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_bits(axes: "Axes", bits: NDArray[Any], name: str) -> None:
    axes.imshow(bits[None], aspect="auto", extent=(0.5, len(bits) + 0.5, 1, 0), **_BITS)
    axes.set_yticks([0.5], [name])
    axes.set_xticks([])
    axes.set_xlim(0.5, len(bits) + 0.5)
    _hide_frame(axes)


def _draw_answers(axes: "Axes", frames: Sequence[Frame], last: int) -> Any:
    """Draw a row for each iteration up to the last frame's, in axes with room for `last`."""
    from matplotlib.ticker import MaxNLocator

    probabilities = np.stack([frame.probabilities for frame in frames])
    length, end = probabilities.shape[1], frames[-1].iteration + 0.5
    drawing = axes.imshow(probabilities, aspect="auto", extent=(0.5, length + 0.5, end, -0.5), **_BITS)
    axes.set_xlim(0.5, length + 0.5)
    axes.set_ylim(last + 0.5, -0.5)
    axes.set_xticks([])
    axes.set_ylabel("iteration", fontsize=9, color=_GRAY)
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    _hide_frame(axes)
    return drawing


def _draw_solved(axes: "Axes", frames: Sequence[Frame], last: int) -> None:
    """Draw a bar beside the rows, green where the answer is right everywhere."""
    from matplotlib.colors import ListedColormap

    solved = np.array([[float(frame.solved)] for frame in frames])
    colors = ListedColormap([_UNSOLVED, _SOLVED])
    extent = (0, 1, frames[-1].iteration + 0.5, -0.5)
    axes.imshow(solved, aspect="auto", extent=extent, cmap=colors, vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlim(0, 1)
    axes.set_ylim(last + 0.5, -0.5)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    first = next((frame.iteration for frame in frames if frame.solved), None)
    # Invisible until then, so that the layout does not change.
    axes.set_yticks([first or 0], ["✓ solved"])
    _hide_frame(axes)
    axes.tick_params(labelcolor="none" if first is None else _SOLVED)


def draw_sums(bits: NDArray[Any], parities: NDArray[Any], frames: Sequence[Frame], last: int) -> "Figure":
    """A picture of a string: bits on top, a row per iteration, and the parities of the prefixes at the bottom."""
    rows = min(last + 1, _MOST_ROWS)
    middle = min(max(0.11 * rows, 1.6), 5.0)
    figure = new_figure(min(max(0.16 * len(bits), 4.2), 8.5) + 1.6, middle + 1.1)
    axes: dict[str, Axes] = figure.subplot_mosaic(
        [["bits", "."], ["answers", "solved"], ["parities", "."]],
        height_ratios=[0.22, middle, 0.22],
        width_ratios=[1, 0.018],
    )
    _draw_bits(axes["bits"], bits, "input")
    drawing = _draw_answers(axes["answers"], frames, last)
    _draw_solved(axes["solved"], frames, last)
    _draw_bits(axes["parities"], parities, "target")
    axes["parities"].set_xlabel(f"position 1 to {len(bits)}", fontsize=9, color=_GRAY)
    bar = figure.colorbar(drawing, ax=list(axes.values()), fraction=0.03, shrink=0.5, aspect=18, pad=0.02)
    bar.ax.set_ylim(0, 1)
    bar.set_ticks([0, 0.5, 1])
    bar.set_label("probability of parity 1", fontsize=8, color=_GRAY)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=_GRAY)
    return figure
