"""Figures, and pictures of bit strings and accuracies, with matplotlib (``pip install "easy-to-hard[plot]"``).

matplotlib is imported only when a picture is made.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.extras import naming_extra
from easy_to_hard.storage.writing import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BITS_A_LINE: Final = 64
# Colors go from easy to hard along one color scale, without its palest end.
_PALETTE: Final = "viridis"
_PALETTE_RANGE: Final = (0.0, 0.88)


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, `width` by `height` inches, that belongs to no window; notebooks show it.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    with naming_extra("plots need"):
        from easy_to_hard.notebook_figure import NotebookFigure
    return NotebookFigure(width, height)


def new_axes(width: float, height: float) -> "Axes":
    """The only axes of an empty figure, `width` by `height` inches, that belongs to no window; notebooks show it.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    figure = new_figure(width, height)
    from easy_to_hard.notebook_figure import NotebookAxes

    return figure.add_subplot(axes_class=NotebookAxes)


def plot_bits(bits: Any, answer: Any = None, ax: "Axes | None" = None) -> "Axes":
    """Draw a bit string and, below it, an answer of the same length, 64 positions per line; dark is 1.

    Args:
        bits: (L,) or (1, L) array or tensor; above 0 is 1, so both {0, 1} and {-0.5, 0.5} work.
        answer: (L,) in {0, 1}; None to leave it out.
        ax: where to draw; None for a new figure.
    """
    rows = [np.asarray(bits).reshape(-1) > 0]
    if answer is not None:
        rows.append(np.asarray(answer).reshape(-1) > 0)
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"{len(rows[0])} bits cannot have {len(rows[1])} answers")
    length = len(rows[0])
    drawing = _lines_of_bits(rows)
    axes = ax if ax is not None else new_axes(0.5 + 0.12 * drawing.shape[1], 0.5 + 0.2 * len(drawing))
    axes.pcolormesh(drawing[::-1], cmap="Blues", vmin=-0.15, vmax=1.1, edgecolors="white", linewidth=0.6)
    axes.set_aspect("equal")
    lines = -(-length // BITS_A_LINE)
    labels = [(line, row) for line in range(lines) for row in range(len(rows))]
    places = [len(drawing) - 0.5 - line * (len(rows) + 1) - row for line, row in labels]
    axes.set_yticks(places, [("input" if row == 0 else "target") for _, row in labels], fontsize=7)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _lines_of_bits(rows: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Wrap rows of bits to lines, with an empty line between each two; NaN where there is no bit."""
    length = len(rows[0])
    width = min(length, BITS_A_LINE)
    lines = -(-length // BITS_A_LINE)
    drawing = np.full((lines * (len(rows) + 1) - 1, width), np.nan)
    for line in range(lines):
        for number, row in enumerate(rows):
            part = row[line * BITS_A_LINE : (line + 1) * BITS_A_LINE]
            drawing[line * (len(rows) + 1) + number, : len(part)] = part
    return drawing


def save_figure(figure: Any, path: str | Path, *, dpi: int = 150) -> Path:
    """Write a figure, whole or not at all; the extension (.png, .svg, .pdf) sets the format.

    Args:
        figure: a figure, or axes, whose figure is saved.
        path: the file; its folder is created if missing.
        dpi: dots per inch, for pixel formats.

    Raises:
        ValueError: matplotlib does not know the extension.
    """
    path = Path(path).expanduser()
    figure = getattr(figure, "figure", None) or figure
    kinds = figure.canvas.get_supported_filetypes()
    kind = path.suffix.lstrip(".").lower()
    if kind not in kinds:
        raise ValueError(f"cannot write a picture as {path.name!r}: end it in one of {', '.join(sorted(kinds))}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi)
    return path


def plot_accuracy_curves(
    curves: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    *,
    title: str,
    trained_iterations: int | None = None,
) -> "Figure":
    """Plot accuracy against iterations on a logarithmic axis, one line per difficulty.

    Args:
        curves: label -> (iterations, at least 1; accuracies in [0, 1]), from easy to hard.
        title: of the plot.
        trained_iterations: marked by a vertical line; None for no mark.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: there is no curve, or one has no points.
    """
    if not curves or any(len(iterations) == 0 for iterations, _ in curves.values()):
        raise ValueError(f"each of the curves needs at least one point: {list(curves)}")
    figure = new_figure(7.6, 4.4)
    axes = figure.subplots()
    for color, (label, (iterations, accuracies)) in zip(_colors(len(curves)), curves.items(), strict=True):
        percent = [100 * accuracy for accuracy in accuracies]
        axes.plot(iterations, percent, color=color, linewidth=1.8, label=label)
    if trained_iterations is not None:
        axes.axvline(trained_iterations, color="0.55", linewidth=1, linestyle=":")
        axes.annotate(
            "most in training",
            (trained_iterations, 100),
            xytext=(-4, -2),
            textcoords="offset points",
            color="0.4",
            fontsize=8,
            rotation=90,
            ha="right",
            va="top",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(-2, 102)
    axes.set_xlabel("iterations")
    axes.set_ylabel("exact match (%)")
    axes.set_title(title, fontsize=11, loc="left")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def _colors(number: int) -> list[Any]:
    import matplotlib

    low, high = _PALETTE_RANGE
    colors = matplotlib.colormaps[_PALETTE]
    return [colors(low + (high - low) * i / max(1, number - 1)) for i in range(number)]


def svg_markup(figure: "Figure") -> str:
    """The figure as an ``<svg>`` element to put into a page: text stays text, without a date or random ids."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "easy-to-hard"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    markup = buffer.getvalue()
    return re.sub(r"\A.*?(?=<svg)", "", markup, flags=re.DOTALL).strip()
