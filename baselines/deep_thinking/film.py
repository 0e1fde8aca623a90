"""One instance while it is being solved: what the net would answer after each iteration, as a picture or a film.

It needs matplotlib (``pip install "easy-to-hard[plot]"``), which is imported when a picture is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.model import ThinkingNet
from easy_to_hard.chess.plots import plot_chess_puzzle
from easy_to_hard.datasets.answers import AnswerRules
from easy_to_hard.plotting import new_figure, save_figure
from easy_to_hard.storage.writing import replacing
from easy_to_hard.tasks import get_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PATH: Final = (0.12, 0.38, 0.90)
_SOLVED: Final = (0.10, 0.58, 0.30)
_UNSOLVED: Final = "0.93"
_GREY: Final = "0.35"
# Bits: pale is 0, dark is 1, as in the pictures of the data.
_BITS: Final[dict[str, Any]] = {"cmap": "Blues", "vmin": -0.15, "vmax": 1.1, "interpolation": "nearest"}
_PANELS_A_LINE: Final = 6
_PANEL_INCHES: Final = 1.9
_FILM_INCHES: Final = 3.4
_FINEST_PIXELS_AN_INCH: Final = 40
_MOST_ROWS: Final = 120
_STRIP_KINDS: Final = (".png", ".svg", ".pdf")
_FILM_DPI: Final = 100


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the net would answer after an iteration.

    Attributes:
        iteration: from 0, before the first.
        probabilities: (*size) float in [0, 1], of class 1: on the path, parity 1.
        solved: whether the answer is right everywhere.
    """

    iteration: int
    probabilities: NDArray[np.floating[Any]]
    solved: bool


def choose_frames(last: int, count: int) -> list[int]:
    """Iterations from 1 to `last` in about equal ratios: close together at first, where most happens.

    Args:
        last: at least 1.
        count: at least 2.

    Returns:
        `count` different iterations, ascending, with 1 and `last` among them; all of them where there are fewer.

    Raises:
        ValueError: a number below that.
    """
    if last < 1 or count < 2:
        raise ValueError(f"last must be at least 1 and count at least 2, not {last} and {count}")
    if last <= count:
        return list(range(1, last + 1))
    frames = [1]
    for number in range(1, count):
        still_to_come = count - 1 - number
        frames.append(min(max(frames[-1] + 1, round(last ** (number / (count - 1)))), last - still_to_come))
    return frames


def _check_iterations(iterations: Sequence[int]) -> None:
    if not iterations or min(iterations) < 0:
        raise ValueError(f"iterations must be at least one, each at least 0, not {list(iterations)}")


def think_frames(
    model: ThinkingNet, inputs: Tensor, targets: Tensor, iterations: Sequence[int], rules: AnswerRules
) -> list[Frame]:
    """Answers after each of some iterations, in ascending order.

    Args:
        model: the net; its device is used.
        inputs: (1, channels, *size) float.
        targets: (1, *size) int64 in {0, 1}.
        iterations: at least one, each at least 0.
        rules: what counts as an answer.

    Raises:
        ValueError: not exactly one input and target, or no iteration, or one below 0.
    """
    if len(inputs) != 1 or len(targets) != 1:
        raise ValueError(f"a film has one input and one target, not {len(inputs)} and {len(targets)}")
    _check_iterations(iterations)
    wanted, last = set(iterations), max(iterations)
    device = next(model.parameters()).device
    inputs, targets = inputs.to(device), targets.to(device)
    model.eval()
    frames = []
    with torch.inference_mode():
        start = model.initial_state(inputs)
        for iteration, state in enumerate(chain([start], model.states(start, inputs, last))):
            if iteration not in wanted:
                continue
            logits = model.read_out(state)
            solved = bool((rules.decode(logits, inputs) == targets).all())
            probabilities = torch.softmax(logits[0].float(), dim=0)[1].cpu().numpy()
            frames.append(Frame(iteration=iteration, probabilities=probabilities, solved=solved))
    return frames


def _plain(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array


# ---- mazes and boards


def _draw_maze(axes: "Axes", image: NDArray[Any], frame: Frame) -> None:
    """A maze, the deeper blue the likelier on the path."""
    get_task("mazes").plot(image, ax=axes)
    overlay = np.zeros((*image.shape[1:], 4))
    overlay[..., :3] = _PATH
    # Neither on walls, nor on start and goal, which keep their colours.
    overlay[..., 3] = np.where((image > 0).all(axis=0), frame.probabilities, 0)
    axes.imshow(overlay, interpolation="nearest")
    # The outermost wall is three pixels thick in the data: one is enough to see.
    height, width = image.shape[1:]
    axes.set_xlim(1.5, width - 2.5)
    axes.set_ylim(height - 2.5, 1.5)


def _draw_board(axes: "Axes", planes: NDArray[Any], frame: Frame) -> None:
    """A chess board as the mover sees it, the deeper blue the likelier a square of the move."""
    plot_chess_puzzle(planes, None, axes, perspective="mover")
    overlay = np.zeros((8, 8, 4))
    overlay[..., :3] = _PATH
    overlay[..., 3] = frame.probabilities
    # Above the squares and below the pieces.
    axes.imshow(overlay, interpolation="nearest", origin="lower", zorder=2)


# By the channels of the input.
_DRAWINGS: Final = {3: _draw_maze, 12: _draw_board}


def _draw_panel(axes: "Axes", image: NDArray[Any], frame: Frame) -> None:
    _DRAWINGS[len(image)](axes, image, frame)
    axes.set_title(f"iteration {frame.iteration}", loc="left", fontsize=9, color=_GREY, pad=4)
    if frame.solved:
        axes.set_title("✓ solved", loc="right", fontsize=9, color=_SOLVED, pad=4)


def _panel_size(image: NDArray[Any], least_width: float) -> tuple[float, float]:
    """Width and height in inches, with the title."""
    _, height, width = image.shape
    inches = max(least_width, width / _FINEST_PIXELS_AN_INCH)
    return inches, inches * height / width + 0.28


def _image_strip(image: NDArray[Any], frames: Sequence[Frame]) -> "Figure":
    # Lines of about the same length: 8 panels are 4 + 4, not 6 + 2.
    lines = -(-len(frames) // _PANELS_A_LINE)
    columns = -(-len(frames) // lines)
    width, height = _panel_size(image, _PANEL_INCHES)
    figure = new_figure(width * columns, height * lines)
    for number, frame in enumerate(frames, start=1):
        _draw_panel(figure.add_subplot(lines, columns, number), image, frame)
    return figure


def _image_film(image: NDArray[Any], frames: Sequence[Frame]) -> "Iterator[Figure]":
    for frame in frames:
        figure = new_figure(*_panel_size(image, _FILM_INCHES))
        _draw_panel(figure.add_subplot(), image, frame)
        yield figure


# ---- strings


def _rows_of(last: int) -> list[int]:
    """The iterations that are rows of the picture: all from 0 to the last, or evenly spread ones."""
    return sorted({round(row) for row in np.linspace(0, last, min(last + 1, _MOST_ROWS))})


def _hide_frame(axes: "Axes") -> None:
    axes.tick_params(length=0, labelsize=8, labelcolor=_GREY)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_bits(axes: "Axes", bits: NDArray[Any], name: str) -> None:
    axes.imshow(bits[None], aspect="auto", extent=(0.5, len(bits) + 0.5, 1, 0), **_BITS)
    axes.set_yticks([0.5], [name])
    axes.set_xticks([])
    axes.set_xlim(0.5, len(bits) + 0.5)
    _hide_frame(axes)


def _draw_answers(axes: "Axes", frames: Sequence[Frame], last: int) -> Any:
    """A row for each iteration up to the last frame's, in a picture with room for `last`."""
    from matplotlib.ticker import MaxNLocator

    probabilities = np.stack([frame.probabilities for frame in frames])
    length, end = probabilities.shape[1], frames[-1].iteration + 0.5
    drawing = axes.imshow(probabilities, aspect="auto", extent=(0.5, length + 0.5, end, -0.5), **_BITS)
    axes.set_xlim(0.5, length + 0.5)
    axes.set_ylim(last + 0.5, -0.5)
    axes.set_xticks([])
    axes.set_ylabel("iteration", fontsize=9, color=_GREY)
    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    _hide_frame(axes)
    return drawing


def _draw_solved(axes: "Axes", frames: Sequence[Frame], last: int) -> None:
    """A bar beside the rows, green where the answer is right everywhere."""
    from matplotlib.colors import ListedColormap

    solved = np.array([[float(frame.solved)] for frame in frames])
    colours = ListedColormap([_UNSOLVED, _SOLVED])
    extent = (0, 1, frames[-1].iteration + 0.5, -0.5)
    axes.imshow(solved, aspect="auto", extent=extent, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlim(0, 1)
    axes.set_ylim(last + 0.5, -0.5)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    first = next((frame.iteration for frame in frames if frame.solved), None)
    # Unseen before, so that the picture keeps its place for it.
    axes.set_yticks([first or 0], ["✓ solved"])
    _hide_frame(axes)
    axes.tick_params(labelcolor="none" if first is None else _SOLVED)


def _sums_figure(bits: NDArray[Any], parities: NDArray[Any], frames: Sequence[Frame], last: int) -> "Figure":
    """Bits on top, a row an iteration, the parities of the prefixes at the bottom."""
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
    axes["parities"].set_xlabel(f"position 1 to {len(bits)}", fontsize=9, color=_GREY)
    bar = figure.colorbar(drawing, ax=list(axes.values()), fraction=0.03, shrink=0.5, aspect=18, pad=0.02)
    bar.ax.set_ylim(0, 1)
    bar.set_ticks([0, 0.5, 1])
    bar.set_label("probability of parity 1", fontsize=8, color=_GREY)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=_GREY)
    return figure


# ---- both


def _check_drawable(model: ThinkingNet, inputs: Tensor, iterations: Sequence[int]) -> None:
    _check_iterations(iterations)
    drawn = {1: (1,), 2: tuple(_DRAWINGS)}
    if inputs.ndim - 2 == model.dimensions and inputs.shape[1] in drawn[model.dimensions]:
        return
    raise ValueError(
        "only strings (1, 1, length), mazes (1, 3, height, width) and boards (1, 12, 8, 8) are drawn, "
        f"not {tuple(inputs.shape)}"
    )


def film_strip(
    model: ThinkingNet, inputs: Tensor, targets: Tensor, iterations: Sequence[int], rules: AnswerRules
) -> "Figure":
    """One instance being solved, in one picture.

    A maze is drawn after each of the iterations, side by side: the deeper a cell's blue, the likelier on the path; so
    is a chess board, blue where the move's squares are likely to be.
    For a string there is a row for every iteration from 0 to the last one given (for 120 of them, if there are more),
    between the bits on top and the right parities at the bottom, and a bar that is green where all are right.

    Args:
        model: the net; its device is used.
        inputs: (1, 3, H, W) float in {0, 1}, a maze; (1, 12, 8, 8) float in {0, 1}, a chess board; or (1, 1, length)
            float in {-0.5, 0.5}, a string.
        targets: (1, *size) int64 in {0, 1}.
        iterations: at least one, each at least 0; 0 is what the net would answer before the first.
        rules: what counts as an answer.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: other inputs, no iteration or one below 0, or more than a feed-forward net has.
    """
    _check_drawable(model, inputs, iterations)
    if model.dimensions == 2:
        return _image_strip(_plain(inputs[0]), think_frames(model, inputs, targets, iterations, rules))
    last = max(iterations)
    frames = think_frames(model, inputs, targets, _rows_of(last), rules)
    return _sums_figure(_plain(inputs[0, 0] > 0), _plain(targets[0]), frames, last)


def _film(
    model: ThinkingNet, inputs: Tensor, targets: Tensor, iterations: Sequence[int], rules: AnswerRules
) -> "Iterator[Figure]":
    """A figure for each frame of the animation; a string's picture fills up row by row."""
    _check_drawable(model, inputs, iterations)
    if model.dimensions == 2:
        yield from _image_film(_plain(inputs[0]), think_frames(model, inputs, targets, iterations, rules))
        return
    last = max(iterations)
    rows = sorted({*iterations, *_rows_of(last)})
    frames = think_frames(model, inputs, targets, rows, rules)
    for iteration in sorted(set(iterations)):
        shown = [frame for frame in frames if frame.iteration <= iteration]
        yield _sums_figure(_plain(inputs[0, 0] > 0), _plain(targets[0]), shown, last)


def _pixels(figure: "Figure") -> NDArray[np.uint8]:
    """(height, width, 3) of a figure."""
    figure.set_dpi(_FILM_DPI)
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _write_gif(path: Path, pictures: Sequence[NDArray[np.uint8]], frame_seconds: float, last_seconds: float) -> None:
    from PIL import Image

    # One palette for all, so that nothing flickers.
    height, width, _ = pictures[0].shape
    film = Image.fromarray(np.concatenate(pictures)).quantize(256, dither=Image.Dither.NONE)
    frames = [film.crop((0, top, width, top + height)) for top in range(0, film.height, height)]
    # In milliseconds.
    durations = [round(1000 * frame_seconds)] * (len(frames) - 1) + [round(1000 * last_seconds)]
    with replacing(path) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False
        )


def check_ending(path: Path) -> None:
    """ValueError unless a film can be written as that file; ImportError where matplotlib is not installed."""
    new_figure(1, 1)
    if path.suffix.lower() not in (".gif", *_STRIP_KINDS):
        raise ValueError(f"cannot write a film as {path.name!r}: end it in one of .gif, {', '.join(_STRIP_KINDS)}")


def write_film(
    path: str | Path,
    model: ThinkingNet,
    inputs: Tensor,
    targets: Tensor,
    iterations: Sequence[int],
    rules: AnswerRules,
    *,
    frame_seconds: float = 0.25,
    last_seconds: float = 2.0,
) -> Path:
    """Write one instance being solved, whole or not at all: as a film (.gif) or as a picture (.png, .svg, .pdf).

    The film has a frame for each of the iterations and starts anew after the last one.

    Args:
        path: the file; its folder is made when it is missing.
        model, inputs, targets, iterations, rules: as for `film_strip`.
        frame_seconds: how long a frame of a film is shown, at least 0.02.
        last_seconds: how long the last one is, at least 0.02.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: another ending, a time too short, or as `film_strip`.
    """
    path = Path(path).expanduser()
    check_ending(path)
    if path.suffix.lower() in _STRIP_KINDS:
        return save_figure(film_strip(model, inputs, targets, iterations, rules), path)
    if min(frame_seconds, last_seconds) < 0.02:
        raise ValueError(f"a frame must be shown for at least 0.02 seconds, not {min(frame_seconds, last_seconds)}")
    pictures = [_pixels(figure) for figure in _film(model, inputs, targets, iterations, rules)]
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_gif(path, pictures, frame_seconds, last_seconds)
    return path
