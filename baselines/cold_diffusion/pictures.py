"""Pictures: grids of restored images, and solve rates against restoration steps, with one maze being restored."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps
from easy_to_hard.plotting import new_figure
from easy_to_hard.scores.reference import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLES: Final = {"direct": "at once", "algorithm_1": "Algorithm 1", "algorithm_2": "Algorithm 2"}
_INCH: Final = 0.75
_ALGORITHMS: Final = ("algorithm_1", "algorithm_2")
_WALL: Final = (0.16, 0.17, 0.20)
_GONE: Final = (0.82, 0.82, 0.84)
_LEFT: Final = (0.27, 0.52, 0.95)
_START: Final = (0.13, 0.65, 0.35)
_GOAL: Final = (0.86, 0.20, 0.18)


def plot_grid(rows: Mapping[str, Tensor]) -> "Figure":
    """Draw rows of images below one another, each with its name.

    Args:
        rows: name -> (N, C, H, W) float in [0, 1], the same N in each; C is 1 or 3.

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
        line[0].set_ylabel(_TITLES.get(name, name), rotation=0, ha="right", va="center", fontsize=8)
    return figure


def curves_of(
    measurements: Sequence[Measurement], *, restorer: str, degradation: str, sampler: str
) -> dict[int, tuple[list[int], list[float]]]:
    """A restorer's solve rates by steps: difficulty -> (steps, rates), with the direct answer at one step."""
    points: dict[int, list[tuple[int, float]]] = {}
    for one in measurements:
        facts = one.condition
        wanted = facts["restorer"] == restorer and facts["degradation"] == degradation
        if one.name == "solve rate" and wanted and facts["sampler"] in ("direct", sampler):
            points.setdefault(int(facts["difficulty"]), []).append((int(facts["steps"]), one.value))
    return {
        difficulty: ([steps for steps, _ in sorted(found)], [rate for _, rate in sorted(found)])
        for difficulty, found in sorted(points.items())
    }


def plot_solving(
    measurements: Sequence[Measurement],
    *,
    restorer: str,
    degradation: str,
    trained_steps: int,
    difficulty_name: str,
    strip: tuple[SolutionMaps, dict[int, Tensor]] | None = None,
) -> "Figure":
    """Plot solve rates against steps, one panel per algorithm and one line per difficulty, above a maze being restored.

    Args:
        measurements: with the solve rates.
        restorer: name of the restorer.
        degradation: name of the degradation.
        trained_steps: marked by a vertical line.
        difficulty_name: such as "size".
        strip: a maze and its states by severity, as `way_back` returns them; None for none.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    import matplotlib

    figure = new_figure(9.0, 5.4 if strip is not None else 3.8)
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.2, 1.4)) if strip is not None else (figure, None)
    top, bottom = parts
    panels = top.subplots(1, 2, sharey=True)
    for axes, sampler in zip(panels, _ALGORITHMS, strict=True):
        curves = curves_of(measurements, restorer=restorer, degradation=degradation, sampler=sampler)
        colors = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.88, max(len(curves), 1)))
        for color, (difficulty, (steps, rates)) in zip(colors, curves.items(), strict=True):
            label = f"{difficulty_name} {difficulty}"
            axes.plot(steps, [100 * rate for rate in rates], "o-", markersize=3, color=color, label=label)
        axes.axvline(trained_steps, color="0.55", linewidth=1, linestyle=":", label="as in training")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_ylim(-3, 103)
        axes.set_xlabel("steps back (1: the direct answer)")
        axes.set_title(f"{_TITLES[sampler]}: {restorer}", fontsize=10, loc="left")
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("solved (%)")
    panels[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    if strip is not None and bottom is not None:
        _draw_strip(bottom, *strip)
    return figure


def _draw_strip(figure: Any, puzzles: SolutionMaps, states: dict[int, Tensor]) -> None:
    """The first maze at eight severities, evenly spread."""
    most = max(states)
    shown = sorted({round(severity) for severity in np.linspace(most, 0, 8)}, reverse=True)
    for axes, severity in zip(figure.subplots(1, len(shown)), shown, strict=True):
        axes.imshow(maze_picture(puzzles.condition[0], states[severity][0, 0]), interpolation="nearest")
        axes.set_title(f"t = {severity}", fontsize=9)
        axes.set_axis_off()


def maze_picture(condition: Tensor, state: Tensor) -> NDArray[np.float64]:
    """A state as a picture (P, P, 3) in [0, 1]: remaining path blue, removed positions gray, walls dark.

    Args:
        condition: (3, P, P) float: free, start, goal.
        state: (P, P) float, above 0 on the remaining path.
    """
    free, start, goal = (channel.cpu().numpy() > 0 for channel in condition)
    picture = np.where((state.cpu().numpy() > 0)[..., None], _LEFT, _GONE)
    picture[~free] = _WALL
    picture[start], picture[goal] = _START, _GOAL
    return picture
