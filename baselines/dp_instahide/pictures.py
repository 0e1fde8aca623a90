"""Plots: heat maps over k and b, and curves of epsilon and of solve rates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE, Account, MixingMechanism
from easy_to_hard.baselines.dp_instahide.measurements import ACCURACY, EFFECT, RELEASED, SOLVE_RATE_SEEDS
from easy_to_hard.plotting import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from easy_to_hard.scores.reference import Measurement, ReferenceResult

_COLORS: Final = ("#1f6fb4", "#d9822b", "#3a923a", "#8e44ad", "#555555")
_HALVES: Final = 0.55


def draw_images(result: "ReferenceResult") -> "Figure":
    """Clean accuracy and attack success over the grid, and epsilon against b.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    released = [one for one in result.measurements if one.condition.get("defence") == RELEASED]
    figure = new_figure(11.5, 3.6)
    first, second, third = figure.subplots(1, 3)
    names = {"clean accuracy (%)": (ACCURACY, "viridis"), "attack success above chance (%)": (EFFECT, "magma")}
    for axes, (title, (name, colors)) in zip((first, second), names.items(), strict=True):
        values = {
            (int(one.condition["k"]), float(one.condition["b"])): 100 * one.value
            for one in released
            if one.name == name and "against" not in one.condition
        }
        draw_grid(axes, values, title=title, colors=colors)
    settings = result.settings
    draw_epsilon(
        third,
        records=settings["train_images"],
        mix_counts=sorted({1, *settings["mix_counts"]}),
        diameters={f"D1 = {settings['diameter']:g} (pixels as they are)": settings["diameter"], "D1 = 1": 1.0},
        delta=settings["delta"],
        marks=settings["noise_scales"],
    )
    return figure


def draw_grid(axes: "Axes", values: Mapping[tuple[int, float], float], *, title: str, colors: str) -> None:
    """A heat map with a number in each cell; white where nothing was measured.

    Args:
        axes: where to draw.
        values: (k, b) -> percent.
        title: title of the panel.
        colors: name of a matplotlib colormap.
    """
    mix_counts = sorted({k for k, _ in values})
    scales = sorted({b for _, b in values})
    table = np.array([[values.get((k, b), np.nan) for b in scales] for k in mix_counts])
    axes.imshow(table, cmap=colors, vmin=0, vmax=100, aspect="auto")
    for row, line in enumerate(table):
        for column, value in enumerate(line):
            if np.isfinite(value):
                dark = value < 100 * _HALVES
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(scales)), [f"{b:.3g}" for b in scales])
    axes.set_yticks(range(len(mix_counts)), [str(k) for k in mix_counts])
    axes.set_xlabel("scale of the noise, b")
    axes.set_ylabel("records mixed, k")
    axes.set_title(title, fontsize=10, loc="left")


def draw_epsilon(
    axes: "Axes",
    *,
    records: int,
    mix_counts: Sequence[int],
    diameters: Mapping[str, float],
    delta: float,
    marks: Sequence[float],
) -> None:
    """The smallest bound on epsilon of as many releases as records, for replacing one, against b.

    A color for each k, a line style for each diameter.
    """
    scales = np.logspace(-2, 3, 31)
    for style, diameter in zip(("-", "--"), diameters.values(), strict=False):
        for color, mix_count in zip(_COLORS, mix_counts, strict=False):
            totals = []
            for scale in scales.tolist():
                mixing = MixingMechanism(records=records, mix_count=mix_count, noise_scale=scale, diameter=diameter)
                totals.append(Account(mixing=mixing, releases=records, delta=delta).total)
            axes.plot(scales, totals, color=color, linestyle=style, linewidth=1.6)
    axes.axhspan(VACUOUS_ABOVE, 1e10, color="0.93", zorder=0)
    axes.text(900, 3e3, "vacuous", ha="right", va="bottom", color="0.4", fontsize=8)
    for mark in marks:
        axes.axvline(mark, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-3, 1e9)
    axes.set_xlabel("scale of the noise, b (dotted: tried)")
    axes.set_title(f"epsilon of {records:,} releases (smallest bound)", fontsize=10, loc="left")
    axes.grid(color="0.92")
    _legend(axes, {f"k = {k}": {"color": c} for c, k in zip(_COLORS, mix_counts, strict=False)}, diameters)


def _legend(axes: "Axes", lines: Mapping[str, Mapping[str, Any]], styles: Sequence[str] | Mapping[str, Any]) -> None:
    """Draw a legend with entries for colors, then for line styles."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **options) for options in lines.values()]
    handles += [Line2D([], [], color="0.3", linestyle=style) for style, _ in zip(("-", "--"), styles, strict=False)]
    axes.legend(handles, [*lines, *styles], frameon=False, fontsize=7)


def draw_puzzles(result: "ReferenceResult") -> "Figure":
    """Solve rate against b for each k, a panel for each difficulty.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    found = [one for one in result.measurements if one.name == SOLVE_RATE_SEEDS]
    difficulties = sorted({int(one.condition["difficulty"]) for one in found})
    figure = new_figure(4.4 * len(difficulties), 3.4)
    for axes, difficulty in zip(figure.subplots(1, len(difficulties), squeeze=False)[0], difficulties, strict=True):
        here = [one for one in found if one.condition["difficulty"] == difficulty]
        _draw_rates(axes, here)
        trained = " (trained)" if difficulty == result.settings["difficulty"] else ""
        axes.set_title(f"{result.data.replace('_', ' ')}, {difficulty}{trained}", fontsize=10, loc="left")
        axes.set_ylabel(f"{SOLVE_RATE_SEEDS} (%)")
    return figure


def _draw_rates(axes: "Axes", found: Sequence["Measurement"]) -> None:
    scales = sorted({float(one.condition["b"]) for one in found})
    for color, mix_count in zip(_COLORS, sorted({int(one.condition["k"]) for one in found}), strict=False):
        line = sorted((one for one in found if one.condition["k"] == mix_count), key=lambda one: one.condition["b"])
        places = [scales.index(float(one.condition["b"])) for one in line]
        values = [100 * one.value for one in line]
        axes.plot(places, values, marker="o", color=color, linewidth=1.6, label=f"k = {mix_count}")
        if all(one.low is not None for one in line):
            low, high = ([100 * min(max(getattr(one, end), 0), 1) for one in line] for end in ("low", "high"))
            axes.fill_between(places, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(scales)), [f"{b:.3g}" for b in scales])
    axes.set_ylim(-3, 103)
    axes.set_xlabel("scale of the noise, b")
    axes.grid(color="0.92")
    axes.legend(frameon=False, fontsize=8)
