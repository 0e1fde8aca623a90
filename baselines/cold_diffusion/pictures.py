"""Grids of restored images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from easy_to_hard.plotting import new_figure, save_figure

TITLES: Final[Mapping[str, str]] = {
    "degraded": "degraded",
    "direct": "at once",
    "algorithm_1": "Algorithm 1",
    "algorithm_2": "Algorithm 2",
    "original": "original",
    "generated": "generated",
}
_INCH: Final = 0.75


def save_grid(rows: Mapping[str, Tensor], path: Path) -> Path:
    """Draw rows of images one under another, each with its name.

    Args:
        rows: name -> (N, C, H, W) float in [0, 1], the same N in each; C is 1 or 3.
        path: a picture: .png, .svg or .pdf.

    Raises:
        ValueError: no rows, or rows of different lengths.
        ImportError: matplotlib is not installed.
    """
    counts = {len(images) for images in rows.values()}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"rows must hold equally many images, at least one, not {sorted(counts)}")
    count = counts.pop()
    figure = new_figure(_INCH * (count + 1.2), _INCH * len(rows))
    axes = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            pixels = image.permute(1, 2, 0).numpy()
            ax.imshow(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
            ax.set_xticks([])
            ax.set_yticks([])
        line[0].set_ylabel(TITLES.get(name, name), rotation=0, ha="right", va="center", fontsize=8)
    return save_figure(figure, path)
