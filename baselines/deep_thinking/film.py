"""One instance while it is being solved: what the net would answer after each iteration, as a picture or a film.

This needs matplotlib (``pip install "easy-to-hard[plot]"``), which is imported when a picture is made.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import Evaluation, TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.film_pictures import (
    DRAWN_CHANNELS,
    Frame,
    draw_image_film,
    draw_image_strip,
    draw_sums,
    rows_of,
)
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.scoring import check_task, thinking_budget
from easy_to_hard.datasets.items import one_item
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.plotting import new_figure, save_figure
from easy_to_hard.storage.writing import replacing
from easy_to_hard.tasks import AnswerRules, DataSpec, get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STRIP_KINDS: Final = (".png", ".svg", ".pdf")
_FILM_DPI: Final = 100
_FILM_FRAMES: Final = 40
_STRIP_FRAMES: Final = 12


def choose_frames(last: int, count: int) -> list[int]:
    """Iterations from 1 to `last` at about equal ratios: close together at first, where most changes.

    Args:
        last: at least 1.
        count: at least 2.

    Returns:
        `count` different iterations, ascending, including 1 and `last`; all of them if there are fewer.

    Raises:
        ValueError: a number below its minimum.
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
    """Answers after each of the given iterations, in ascending order.

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


def _check_drawable(model: ThinkingNet, inputs: Tensor, iterations: Sequence[int]) -> None:
    _check_iterations(iterations)
    if inputs.ndim - 2 == model.dimensions and inputs.shape[1] in DRAWN_CHANNELS[model.dimensions]:
        return
    raise ValueError(
        "only strings (1, 1, length), mazes (1, 3, height, width) and boards (1, 12, 8, 8) are drawn, "
        f"not {tuple(inputs.shape)}"
    )


def film_strip(
    model: ThinkingNet, inputs: Tensor, targets: Tensor, iterations: Sequence[int], rules: AnswerRules
) -> "Figure":
    """One instance being solved, in one picture.

    A maze is drawn after each of the iterations, side by side: the deeper a cell's blue, the likelier it is on the
    path. So is a chess board, with blue where the squares of the move are likely to be. For a string there is a row for
    every iteration from 0 to the last one given (for 120 of them, if there are more), between the bits on top and the
    right parities at the bottom, and a bar that is green where all are right.

    Args:
        model: the net; its device is used.
        inputs: (1, 3, H, W) float in {0, 1}, a maze; (1, 12, 8, 8) float in {0, 1}, a chess board; or (1, 1, length)
            float in {-0.5, 0.5}, a string.
        targets: (1, *size) int64 in {0, 1}.
        iterations: at least one, each at least 0; 0 is what the net would answer before the first.
        rules: what counts as an answer.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: other inputs, no iteration, one below 0, or more than a feed-forward net has.
    """
    _check_drawable(model, inputs, iterations)
    if model.dimensions == 2:
        return draw_image_strip(_plain(inputs[0]), think_frames(model, inputs, targets, iterations, rules))
    last = max(iterations)
    frames = think_frames(model, inputs, targets, rows_of(last), rules)
    return draw_sums(_plain(inputs[0, 0] > 0), _plain(targets[0]), frames, last)


def _film(
    model: ThinkingNet, inputs: Tensor, targets: Tensor, iterations: Sequence[int], rules: AnswerRules
) -> "Iterator[Figure]":
    """A figure for each frame of the animation; a string's picture fills up row by row."""
    _check_drawable(model, inputs, iterations)
    if model.dimensions == 2:
        yield from draw_image_film(_plain(inputs[0]), think_frames(model, inputs, targets, iterations, rules))
        return
    last = max(iterations)
    rows = sorted({*iterations, *rows_of(last)})
    frames = think_frames(model, inputs, targets, rows, rules)
    for iteration in sorted(set(iterations)):
        shown = [frame for frame in frames if frame.iteration <= iteration]
        yield draw_sums(_plain(inputs[0, 0] > 0), _plain(targets[0]), shown, last)


def _pixels(figure: "Figure") -> NDArray[np.uint8]:
    """The pixels (height, width, 3) of a figure."""
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
    """Raise a ValueError if a film cannot be written as that file, or an ImportError without matplotlib."""
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

    The film has a frame for each of the iterations and repeats after the last one.

    Args:
        path: the file; its folder is made when missing.
        model, inputs, targets, iterations, rules: as for `film_strip`.
        frame_seconds: how long a frame of a film is shown, at least 0.02.
        last_seconds: how long the last frame is shown, at least 0.02.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: another file extension, a time too short, or as `film_strip`.
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


def film_instance(
    model: ThinkingNet,
    facts: ModelFacts,
    out: Path,
    *,
    spec: DataSpec,
    index: int,
    iterations: int | None = None,
    frames: int | None = None,
) -> Evaluation:
    """Write a film or a strip of one instance being solved.

    Args:
        model, facts: the net.
        out: .gif, .png, .svg, or .pdf.
        spec: of the instance; its task must be the net's.
        index: the instance's number.
        iterations: the last one shown; None for the one at which the features settle, as in an evaluation.
        frames: pictures, at least 2; None for 12 in a strip, close together at first, and 40 in a film, evenly spread.

    Returns:
        The evaluation of the net on that one item.

    Raises:
        ValueError: numbers out of range, another file extension, a task that is not the net's.
        ImportError: matplotlib is not installed.
    """
    if frames is not None:
        check_integer("frames", frames, 2)
    if iterations is not None:
        check_integer("iterations", iterations, 1)
    check_task(facts, spec.task)
    check_ending(out)
    rules = get_task(spec.task).answers
    item = one_item(spec, index)
    if iterations is None:
        most = thinking_budget(model, facts, spec.difficulty)
        config = EvaluationConfig(max_iterations=most, stop_when_settled=True)
    else:
        config = EvaluationConfig(max_iterations=iterations, exit_rule="fixed")
    evaluation = evaluate(model, TensorItems(*item), rules, config, progress=False)
    last = evaluation.last_iteration
    if out.suffix.lower() == ".gif":
        shown = sorted({round(number) for number in np.linspace(0, last, frames or _FILM_FRAMES)})
    else:
        shown = choose_frames(last, frames or _STRIP_FRAMES)
    write_film(out, model, *item, shown, rules)
    return evaluation
