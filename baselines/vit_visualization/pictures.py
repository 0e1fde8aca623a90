"""Sheets of neurons: the image made for each, and beside it the items it answers most to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from torch import Tensor

from easy_to_hard.plotting import new_figure, save_figure

_DASHED: Final = ("(untrained)", "high-pass")
_INCH: Final = 0.62
_DPI: Final = 100
_COLOURS: Final = 256


def save_sheet(columns: Mapping[int, Tensor], path: Path, *, layer_name: str, maps: Mapping[int, Tensor]) -> Path:
    """Draw a block of rows for each layer, a neuron a row.

    Args:
        columns: layer -> (neurons, 1 + k, C, H, W) float in [0, 1] on the CPU: the image made, then the k best items.
        path: a picture: .png, .svg or .pdf.
        layer_name: "block" or "iteration", which are counted from 1.
        maps: layer -> (neurons, h, w): the neuron's map on its best item, drawn last.

    Raises:
        ImportError: matplotlib is not installed.
    """
    layers, count = list(columns), max(len(part) for part in columns.values())
    items = next(iter(columns.values())).shape[1]
    wide = items + 1
    across = _split(len(layers))
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
                pixels = image.permute(1, 2, 0).numpy()
                ax.imshow(
                    pixels[:, :, 0] if pixels.shape[2] == 1 else pixels,
                    cmap="gray",
                    vmin=0,
                    vmax=1,
                    interpolation="nearest",
                )
            line[-1].imshow(local.numpy(), cmap="magma", interpolation="nearest")
    return _with_fewer_colours(save_figure(figure, path, dpi=_DPI))


def _split(layers: int) -> int:
    """Blocks side by side."""
    return 1 if layers == 1 else 2 if layers <= 4 else 3


def _with_fewer_colours(path: Path) -> Path:
    """The same picture with a palette: noise in full colour is hard to compress."""
    if path.suffix.lower() != ".png":
        return path
    # It is there where matplotlib is.
    from PIL import Image

    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(_COLOURS)
    reduced.save(path, optimize=True)
    return path


def save_curves(
    curves: Mapping[str, Sequence[tuple[float, float, float | None, float | None]]],
    path: Path,
    *,
    across: str,
    up: str,
    title: str,
) -> Path:
    """Draw curves with their intervals.

    Args:
        curves: label -> points (x, value, low, high); no interval where the ends are None. Those of untrained nets and
            of high-pass filters are dashed.
        path: a picture: .png, .svg or .pdf.
        across, up: what the axes say.
        title: over all.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(7.2, 3.8)
    axes = figure.subplots()
    for label, points in curves.items():
        places, values, lows, highs = zip(*points, strict=True)
        dashed = label.endswith(_DASHED)
        (line,) = axes.plot(places, values, marker="o", markersize=3.5, linestyle="--" if dashed else "-", label=label)
        if None not in lows:
            axes.fill_between(places, lows, highs, color=line.get_color(), alpha=0.12, linewidth=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return save_figure(figure, path, dpi=_DPI)
