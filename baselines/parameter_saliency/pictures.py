"""Plots: curves of pruning and tuning, neighbors, input saliency, and profiles over iterations."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.kit.evaluation import save_picture
from easy_to_hard.baselines.parameter_saliency.input_saliency import MAP_KINDS, LocatedErrors
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES
from easy_to_hard.baselines.parameter_saliency.pruning import CORRECTED, KEPT, TRUE_CONFIDENCE
from easy_to_hard.baselines.parameter_saliency.tuning import ALL, CONFIDENCE, GROUPS, OTHERS, SPOILT
from easy_to_hard.baselines.parameter_saliency.unrolled import BY_CALL
from easy_to_hard.plotting import new_figure
from easy_to_hard.scores.reference import Condition, Measurement
from easy_to_hard.tasks import get_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS: Final = {"salient": "#c8321e", "random": "#4a7fd0", "least": "#8a8f98", ALL: "#2a9d63"}
_WORDS: Final = {"salient": "most salient", "random": "random", "least": "least salient", ALL: ALL}
_EXAMPLES: Final = 4
# Of the picture of neighbors.
_ROWS: Final = 5
_COLUMNS: Final = 5


def save_figures(measurements: Sequence[Measurement], out: Path) -> None:
    """Save the plots that need only measurements, if matplotlib is installed."""
    save_picture(lambda: plot_pruning(measurements), out / "pruning.png")
    save_picture(lambda: plot_tuning(measurements), out / "tuning.png")
    if any(one.name == BY_CALL for one in measurements):
        save_picture(lambda: plot_iterations(measurements), out / "iterations.png")


def plot_pruning(measurements: Sequence[Measurement]) -> "Figure":
    """Items corrected, confidence in the true answer and damage, against the number of filters turned off."""
    titles = {
        CORRECTED: "wrong items corrected (%)",
        TRUE_CONFIDENCE: "change of true confidence (points)",
        KEPT: "right items still right (%)",
    }
    return _plot_over_k(measurements, [(name, {}, title) for name, title in titles.items()], "filters turned off")


def plot_tuning(measurements: Sequence[Measurement]) -> "Figure":
    """What a step on one wrong item does to its neighbors in saliency and to right items, against its filters."""
    near: Condition = {"items": GROUPS[0]}
    panels = [
        (OTHERS, near, "neighbors corrected (%)"),
        (CONFIDENCE, near, "neighbors: true confidence (points)"),
        (SPOILT, {}, "right items still right (%)"),
    ]
    return _plot_over_k(measurements, panels, "filters that take the step")


def _plot_over_k(
    measurements: Sequence[Measurement], panels: Sequence[tuple[str, Condition, str]], xlabel: str
) -> "Figure":
    """Curves over k for each choice of filters, and a line for a step by all weights, in panels.

    Args:
        measurements: of a run.
        panels: name, condition besides choice and k, and title of what is shown.
        xlabel: what k counts.
    """
    figure = new_figure(10.5, 3.4)
    for axes, (name, where, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for choice in CHOICES:
            points = sorted(
                (
                    one
                    for one in measurements
                    if one.name == name and {**one.condition, "k": 0} == {"filters": choice, "k": 0, **where}
                ),
                key=lambda one: one.condition["k"],
            )
            # Shifted, or one interval would hide another.
            aside = 1.06 ** (CHOICES.index(choice) - 1)
            _curve(axes, [int(one.condition["k"]) * aside for one in points], points, _COLORS[choice], _WORDS[choice])
        for whole in (one for one in measurements if one.name == name and one.condition == {"filters": ALL, **where}):
            axes.axhline(100 * whole.value, color=_COLORS[ALL], linestyle="--", linewidth=1.2, label=ALL)
        axes.set_xscale("log")
        counts = [one.condition["k"] for one in points]
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_xlabel(xlabel)
        axes.set_title(title, fontsize=10, loc="left")
        _plain(axes)
    axes.legend(frameon=False, fontsize=9, loc="best")
    return figure


def plot_neighbors(images: Tensor, labels: Sequence[str], near: Tensor) -> "Figure":
    """Some wrong images, each with its nearest neighbors in saliency; neighbors of the same error type have red titles.

    Args:
        images: (N, C, H, W) float.
        labels: the error type of each image.
        near: (N, n) int64, the nearest first.
    """
    rows = range(0, len(images), max(1, len(images) // _ROWS))[:_ROWS]
    columns = min(_COLUMNS, near.shape[1])
    figure = new_figure(1.5 * (1 + columns), 1.72 * len(rows))
    grid = figure.subplots(len(rows), 1 + columns, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for place, (axes, number) in enumerate(zip(line, [row, *near[row, :columns].tolist()], strict=True)):
            _draw_image(axes, images[number].cpu())
            alike = place > 0 and labels[number] == labels[row]
            axes.set_title(labels[number], fontsize=6.5, color="#c8321e" if alike else "0.2", pad=2)
    grid[0][0].annotate("wrong item", (0, 1.22), xycoords="axes fraction", fontsize=8)
    grid[0][1].annotate("nearest in saliency", (0, 1.22), xycoords="axes fraction", fontsize=8)
    return figure


def plot_iterations(measurements: Sequence[Measurement]) -> "Figure":
    """Each call's share of an item's saliency, for right and for wrong items."""
    figure = new_figure(6.8, 3.4)
    axes = figure.subplots()
    for items, color in (("wrong", "#c8321e"), ("right", "#2a9d63")):
        points = [one for one in measurements if one.name == BY_CALL and one.condition["items"] == items]
        _curve(axes, range(len(points)), points, color, f"{items} items")
    axes.set_xticks(range(len(points)), [str(one.condition["call"]) for one in points], fontsize=8)
    axes.set_xlabel("call of the net: start, iterations, answer")
    axes.set_ylabel("share of the saliency (%)")
    axes.legend(frameon=False)
    _plain(axes)
    return figure


def plot_inputs(located: LocatedErrors, data: str) -> "Figure":
    """Some wrong items next to the inputs that make filters salient; regions of interest are outlined.

    Args:
        located: items and maps.
        data: "mazes", "prefix_sums" or the name of a set of images.
    """
    shown = range(min(_EXAMPLES, len(located.items)))
    flat = located.items.inputs.ndim == 3
    columns = 1 + len(MAP_KINDS)
    figure = new_figure(2.2 * columns, (0.9 if flat else 2.15) * len(shown) + 0.4)
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for row in shown:
        _draw_item(grid[row][0], located, row, data)
        for axes, kind in zip(grid[row][1:], MAP_KINDS, strict=True):
            axes.imshow(
                displayed(located.maps[kind][row].cpu()), cmap="magma", vmin=0, vmax=1, aspect="auto" if flat else 1
            )
            axes.set_axis_off()
            for region, color in zip(located.regions.values(), ("#35d0ff", "#7dff6b"), strict=False):
                _outline(axes, region[row].cpu().numpy(), color)
    regions = " and ".join(f"{name} ({color})" for name, color in zip(located.regions, ("blue", "green"), strict=False))
    for axes, title in zip(grid[0], ("the wrong answer", *MAP_KINDS), strict=True):
        axes.set_title(title, fontsize=9)
    if regions:
        figure.supxlabel(f"outlined: {regions}", fontsize=9)
    return figure


def _draw_item(axes: "Axes", located: LocatedErrors, row: int, data: str) -> None:
    item, predicted = located.items.inputs[row].cpu(), located.predicted[row].cpu()
    if data == "mazes":
        get_task(data).plot(item, predicted * located.items.mask[row].cpu(), ax=axes)
    elif data == "prefix_sums":
        get_task(data).plot(item, predicted, ax=axes)
        axes.set_yticks(axes.get_yticks(), ["input", "answer"] * (len(axes.get_yticks()) // 2), fontsize=7)
    else:
        _draw_image(axes, item)
        box = {"facecolor": (0, 0, 0, 0.6), "linewidth": 0, "pad": 1.5}
        words = located.labels[row]
        axes.text(0.02, 0.03, words, transform=axes.transAxes, color="white", fontsize=7, bbox=box)
        for region in located.regions.values():
            _outline(axes, region[row].cpu().numpy(), "#35d0ff")


def _draw_image(axes: "Axes", image: Tensor) -> None:
    """Draw an image (C, H, W), scaled to its own range."""
    low, high = image.amin(), image.amax()
    pixels = ((image - low) / (high - low).clamp(min=1e-6)).permute(1, 2, 0).numpy()
    axes.imshow(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, cmap="gray")
    axes.set_axis_off()


def displayed(values: Tensor) -> NDArray[np.float32]:
    """A map as the paper shows it: clipped to its 90th to 99th percentile, scaled to [0, 1], blurred 3 x 3.

    A string has too few positions for that: its map is only scaled.

    Args:
        values: (H, W) or (L,) float.

    Returns:
        (H, W) float32 in [0, 1]; for a string, (1, L).
    """
    if values.ndim == 1:
        line: NDArray[np.float32] = (values / values.amax().clamp(min=1e-20))[None].numpy()
        return line
    low, high = torch.quantile(values.flatten(), torch.tensor([0.9, 0.99])).tolist()
    scaled = ((values - low) / max(high - low, 1e-20)).clamp(0, 1)
    taps = torch.tensor([0.25, 0.5, 0.25])
    padded = F.pad(scaled[None, None], (1, 1, 1, 1), mode="replicate")
    blurred: NDArray[np.float32] = F.conv2d(padded, torch.outer(taps, taps)[None, None])[0, 0].numpy()
    return blurred


def _outline(axes: "Axes", region: NDArray[np.bool_], color: str) -> None:
    """Draw the edges of a mask (H, W) or (L,) between pixels."""
    mask = np.pad(region if region.ndim == 2 else region[None], 1)
    for y, x in zip(*np.nonzero(mask[1:] != mask[:-1]), strict=True):
        axes.plot([x - 1.5, x - 0.5], [y - 0.5, y - 0.5], color=color, linewidth=0.8)
    for y, x in zip(*np.nonzero(mask[:, 1:] != mask[:, :-1]), strict=True):
        axes.plot([x - 0.5, x - 0.5], [y - 1.5, y - 0.5], color=color, linewidth=0.8)


def _curve(axes: "Axes", xs: Any, points: Sequence[Measurement], color: str, label: str) -> None:
    axes.errorbar(
        list(xs),
        [100 * one.value for one in points],
        yerr=_errors(points),
        fmt="o-",
        markersize=3,
        linewidth=1.5,
        capsize=2,
        color=color,
        label=label,
    )


def _errors(points: Sequence[Measurement]) -> list[list[float]]:
    """How far intervals reach below and above, in percent; 0 for points without one."""
    low = [100 * (one.value - one.low) if one.low is not None else 0.0 for one in points]
    high = [100 * (one.high - one.value) if one.high is not None else 0.0 for one in points]
    return [low, high]


def _plain(axes: "Axes") -> None:
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
