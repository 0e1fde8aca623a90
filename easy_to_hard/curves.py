"""Accuracy against iterations, drawn with matplotlib (``pip install "easy-to-hard[plot]"``)."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from easy_to_hard.plotting import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From easy to hard along one colour scale, without its palest end.
_PALETTE: Final = "viridis"
_PALETTE_RANGE: Final = (0.0, 0.88)


def plot_accuracy_curves(
    curves: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    *,
    title: str,
    trained_iterations: int | None = None,
) -> "Figure":
    """One line for each difficulty, on a logarithmic axis of iterations.

    Args:
        curves: label -> (iterations, at least 1; accuracies in [0, 1]), from easy to hard.
        title: of the plot.
        trained_iterations: marked by a vertical line; None for no mark.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: no curve, or one without points.
    """
    if not curves or any(len(iterations) == 0 for iterations, _ in curves.values()):
        raise ValueError(f"each of the curves needs at least one point: {list(curves)}")
    figure = new_figure(7.6, 4.4)
    axes = figure.subplots()
    for colour, (label, (iterations, accuracies)) in zip(_colours(len(curves)), curves.items(), strict=True):
        percent = [100 * accuracy for accuracy in accuracies]
        axes.plot(iterations, percent, color=colour, linewidth=1.8, label=label)
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


def _colours(number: int) -> list[Any]:
    import matplotlib

    low, high = _PALETTE_RANGE
    colours = matplotlib.colormaps[_PALETTE]
    return [colours(low + (high - low) * i / max(1, number - 1)) for i in range(number)]


def svg_markup(figure: "Figure") -> str:
    """The figure as an ``<svg>`` element to put into a page: text stays text, and no date or random ids."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "easy-to-hard"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    markup = buffer.getvalue()
    return re.sub(r"\A.*?(?=<svg)", "", markup, flags=re.DOTALL).strip()
