"""Plots: sheets of neurons, each with its made image and the items that activate it most, and curves."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from easy_to_hard.baselines.kit.evaluation import save_picture
from easy_to_hard.baselines.vit_visualization.features import NeuronImages
from easy_to_hard.plotting import new_figure
from easy_to_hard.scores.reference import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

SHEET: Final = "neurons.png"

_DASHED: Final = ("(untrained)", "high-pass")
_INCH: Final = 0.62
_DPI: Final = 100
_COLORS: Final = 256


def save_sheet(shown: NeuronImages, folder: Path, *, layer_name: str) -> None:
    """Save the sheet of some neurons, if matplotlib is installed, with a palette, since noise is hard to compress.

    Args:
        shown: the neurons.
        folder: where to save it as `SHEET`.
        layer_name: "block" or "iteration".
    """
    path = folder / SHEET
    save_picture(lambda: plot_sheet(*shown.columns(), layer_name=layer_name), path, dpi=_DPI)
    if path.is_file():
        reduce_colors(path)


def plot_sheet(columns: "Mapping[int, Tensor]", maps: "Mapping[int, Tensor]", *, layer_name: str) -> "Figure":
    """Draw a block of rows for each layer, with one neuron per row.

    Args:
        columns: layer -> (neurons, 1 + k, C, H, W) float in [0, 1] on the CPU: the image made, then the k best items.
        maps: layer -> (neurons, h, w): the neuron's map on its best item, drawn last.
        layer_name: "block" or "iteration"; they are counted from 1.

    Raises:
        ImportError: matplotlib is not installed.
    """
    layers, count = list(columns), max(len(part) for part in columns.values())
    items = next(iter(columns.values())).shape[1]
    wide = items + 1
    across = 1 if len(layers) == 1 else 2 if len(layers) <= 4 else 3
    down = -(-len(layers) // across)
    figure = new_figure(_INCH * (wide + 0.35) * across, (_INCH * count + 0.32) * down)
    parts = figure.subfigures(down, across, squeeze=False).flatten()
    for part, layer in zip(parts, layers, strict=False):
        part.suptitle(f"{layer_name} {layer + 1}: made | best items | map", fontsize=7)
        axes = part.subplots(count, wide, squeeze=False)
        for ax in axes.flatten():
            ax.set_axis_off()
        for line, images, local in zip(axes, columns[layer], maps[layer], strict=False):
            for ax, image in zip(line, images, strict=False):
                _show_image(ax, image)
            line[-1].imshow(local.numpy(), cmap="magma", interpolation="nearest")
    return figure


def save_rows(rows: "Mapping[str, Tensor]", path: Path) -> None:
    """Save rows of images with their names, if matplotlib is installed, with a palette.

    Args:
        rows: name of the row -> (n, C, H, W) float in [0, 1] on the CPU.
        path: an image file to write.
    """
    save_picture(lambda: _plot_rows(rows), path, dpi=_DPI)
    if path.is_file():
        reduce_colors(path)


def _plot_rows(rows: "Mapping[str, Tensor]") -> "Figure":
    wide = max(len(images) for images in rows.values())
    figure = new_figure(2 * _INCH * wide + 0.9, 2 * _INCH * len(rows))
    axes = figure.subplots(len(rows), wide, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
        for ax, image in zip(line, images, strict=False):
            _show_image(ax, image)
    return figure


def _show_image(ax: "Axes", image: "Tensor") -> None:
    """Show an image (C, H, W) float in [0, 1], gray or in color."""
    pixels = image.permute(1, 2, 0).numpy()
    shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def reduce_colors(path: Path) -> None:
    """Rewrite an image file with a palette."""
    # It is installed with matplotlib.
    from PIL import Image

    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(_COLORS)
    reduced.save(path, optimize=True)


def save_curves(
    points: Iterable[tuple[str, float, Measurement]], path: Path, *, across: str, up: str, title: str
) -> None:
    """Save curves with their intervals, if there are any and matplotlib is installed.

    Args:
        points: label of the curve, place on the x axis, and the measurement there. Curves for untrained nets and
            high-pass filters are dashed.
        path: an image file to write: .png, .svg or .pdf.
        across, up: labels of the x and the y axis.
        title: title of the plot.
    """
    curves: dict[str, list[tuple[float, Measurement]]] = {}
    for label, place, measured in points:
        curves.setdefault(label, []).append((place, measured))
    if curves:
        save_picture(lambda: _plot_curves(curves, across=across, up=up, title=title), path, dpi=_DPI)


def _plot_curves(
    curves: Mapping[str, list[tuple[float, Measurement]]], *, across: str, up: str, title: str
) -> "Figure":
    figure = new_figure(7.2, 3.8)
    axes = figure.subplots()
    for label, points in curves.items():
        places = [place for place, _ in points]
        style = "--" if label.endswith(_DASHED) else "-"
        values = [one.value for _, one in points]
        (line,) = axes.plot(places, values, marker="o", markersize=3.5, linestyle=style, label=label)
        ends = [(one.low, one.high) for _, one in points if one.low is not None and one.high is not None]
        if len(ends) == len(points):
            lows, highs = zip(*ends, strict=True)
            axes.fill_between(places, lows, highs, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure
