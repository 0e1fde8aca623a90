"""Pictures and films of a net at work: the right frames, the right colors, whole files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from PIL import Image
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.film import choose_frames, film_strip, think_frames, write_film
from easy_to_hard.baselines.deep_thinking.model import FeedForwardNet, RecurrentNet
from easy_to_hard.baselines.deep_thinking.net import ConvolutionalNet, Iteration
from easy_to_hard.datasets.items import Items
from easy_to_hard.tasks import DataSpec, get_task

SUMS, MAZES = get_task("prefix_sums").answers, get_task("mazes").answers


class _Told(ConvolutionalNet):
    """Is told the answer, and gives it from the second iteration on."""

    def __init__(self, targets: Tensor, dimensions: int, in_channels: int | None = None) -> None:
        super().__init__(
            in_channels=in_channels or {1: 1, 2: 3}[dimensions], width=1, head_widths=(), dimensions=dimensions
        )
        self._answer = targets[:, None].float()

    def initial_state(self, x: Tensor) -> Tensor:
        return torch.zeros_like(self._answer)

    def iteration(self, x: Tensor) -> Iteration:
        return lambda features, number: self._answer if number >= 1 else features

    def read_out(self, state: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(state), 20 * (state - 0.5)], dim=1)


def _item(task: str, difficulty: int) -> tuple[Tensor, Tensor]:
    return Items(DataSpec(task=task, difficulty=difficulty), 1)[0:1]


def _maze_net(patch: int = 2) -> RecurrentNet:
    torch.manual_seed(0)
    return RecurrentNet(in_channels=3, width=4, head_widths=(4,), dimensions=2, patch=patch)


def _string_net() -> RecurrentNet:
    torch.manual_seed(0)
    return RecurrentNet(in_channels=1, width=4, head_widths=(4,), dimensions=1)


@pytest.mark.parametrize(
    ("last", "count", "frames"),
    [
        (1, 2, [1]),
        (5, 9, [1, 2, 3, 4, 5]),
        (16, 5, [1, 2, 4, 8, 16]),
        (1000, 4, [1, 10, 100, 1000]),
        (9, 8, [1, 2, 3, 4, 5, 6, 7, 9]),
    ],
)
def test_frames_are_chosen_in_equal_ratios(last: int, count: int, frames: list[int]) -> None:
    assert choose_frames(last, count) == frames


def test_chosen_frames_are_as_many_as_asked_for() -> None:
    for last in (*range(1, 60), 200, 1000):
        for count in (2, 3, 7, 24, 55):
            frames = choose_frames(last, count)
            assert len(frames) == min(last, count)
            assert frames == sorted(set(frames))
            assert (frames[0], frames[-1]) == (1, last)


@pytest.mark.parametrize(("last", "count"), [(0, 3), (5, 1)])
def test_chosen_frames_need_a_range(last: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"not {last} and {count}"):
        choose_frames(last, count)


def test_frames_are_what_the_net_answers() -> None:
    inputs, targets = _item("mazes", 9)
    model = _maze_net()
    frames = think_frames(model, inputs, targets, [5, 0, 2, 5], MAZES)
    assert [frame.iteration for frame in frames] == [0, 2, 5]
    for frame in frames:
        logits, _ = model(inputs, frame.iteration)
        wanted = logits.softmax(dim=1)[0, 1].detach().numpy()
        np.testing.assert_allclose(frame.probabilities, wanted, rtol=1e-4)
        assert not frame.solved
    told = think_frames(_Told(targets, 2), inputs, targets, range(4), MAZES)
    assert [frame.solved for frame in told] == [False, False, True, True]


@pytest.mark.parametrize(("count", "lines"), [(1, 1), (6, 1), (8, 2), (13, 3)])
def test_maze_strip_has_a_panel_a_frame(count: int, lines: int) -> None:
    inputs, targets = _item("mazes", 5)
    figure = film_strip(_Told(targets, 2), inputs, targets, range(count), MAZES)
    assert len(figure.axes) == count
    assert len({round(axes.get_subplotspec().rowspan.start) for axes in figure.axes}) == lines
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"iteration {number}" for number in range(count)]
    assert [axes.get_title(loc="right") for axes in figure.axes] == ["", "", *["✓ solved"] * count][:count]


def test_maze_panel_is_blue_on_the_path_only() -> None:
    inputs, targets = _item("mazes", 9)
    axes = film_strip(_Told(targets, 2), inputs, targets, [2], MAZES).axes[0]
    maze, overlay = (np.asarray(image.get_array()) for image in axes.images)
    free = (inputs[0] > 0).all(dim=0).numpy()
    assert (overlay[..., 3] > 0.99)[free].sum() == targets.sum() - 8
    assert np.array_equal(overlay[..., 3] > 0.5, free & (targets[0] == 1).numpy())
    assert not overlay[..., 3][~free].any()
    assert len(np.unique(maze.reshape(-1, 3), axis=0)) == 4


def test_board_panel_is_blue_on_the_move_only(tmp_path: Path) -> None:
    inputs, targets = _item("chess_mates", 1)
    told, rules = _Told(targets, 2, in_channels=12), get_task("chess_mates").answers
    axes = film_strip(told, inputs, targets, [2], rules).axes[0]
    assert axes.get_title(loc="right") == "✓ solved"
    (image,) = axes.images
    assert image.origin == "lower"
    assert np.array_equal(np.asarray(image.get_array())[..., 3] > 0.5, targets[0].bool().numpy())
    film = write_film(tmp_path / "board.gif", told, inputs, targets, [0, 1, 2], rules)
    with Image.open(film) as pictures:
        assert pictures.n_frames == 3


def _rows(figure_axes: Sequence[object]) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure_axes if axes.images]  # type: ignore[attr-defined]


def test_string_strip_has_a_row_an_iteration() -> None:
    inputs, targets = _item("prefix_sums", 20)
    figure = film_strip(_Told(targets, 1), inputs, targets, [7], SUMS)
    # Bits, answers, whether solved, target, and the colors' legend.
    assert len(figure.axes) == 5
    bits, answers, solved, target = _rows(figure.axes[:4])
    assert np.array_equal(bits[0], (inputs[0, 0] > 0).numpy())
    assert np.array_equal(target, targets.numpy())
    assert answers.shape == (8, 20)
    assert np.array_equal(answers[2:] > 0.5, targets.bool().expand(6, -1).numpy())
    assert solved[:, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    labels = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert labels == ["✓ solved"]


def test_many_iterations_share_120_rows() -> None:
    inputs, targets = _item("prefix_sums", 8)
    figure = film_strip(_Told(targets, 1), inputs, targets, [500], SUMS)
    assert _rows(figure.axes)[1].shape == (120, 8)
    figure = film_strip(_string_net(), inputs, targets, [0], SUMS)
    assert _rows(figure.axes)[1].shape == (1, 8)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("task", ["mazes", "prefix_sums"])
def test_strip_is_saved_as_its_ending_says(task: str, ending: str, tmp_path: Path) -> None:
    inputs, targets = _item(task, 5)
    model = _maze_net() if task == "mazes" else _string_net()
    path = write_film(tmp_path / "new" / f"film.{ending}", model, inputs, targets, [1, 3], get_task(task).answers)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[ending])
    assert [file.name for file in path.parent.iterdir()] == [f"film.{ending}"]
    if ending == "png":
        assert imread(path).std() > 0.05


@pytest.mark.parametrize("task", ["mazes", "prefix_sums"])
def test_film_has_a_frame_an_iteration_and_waits_at_the_end(task: str, tmp_path: Path) -> None:
    inputs, targets = _item(task, 5)
    model = _Told(targets, 2 if task == "mazes" else 1)
    path = write_film(
        tmp_path / "new" / "film.GIF", model, inputs, targets, [4, 0, 1, 2], get_task(task).answers, frame_seconds=0.1
    )
    assert [file.name for file in path.parent.iterdir()] == ["film.GIF"]
    with Image.open(path) as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
        assert film.info["loop"] == 0
        durations, pictures = [], []
        for number in range(4):
            film.seek(number)
            durations.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")))
    assert durations == [100, 100, 100, 2000]
    assert (pictures[0][0, 0] == 255).all()
    assert (pictures[1] != pictures[2]).any()


def test_arguments_are_checked(tmp_path: Path) -> None:
    maze, string = _item("mazes", 5), _item("prefix_sums", 5)
    with pytest.raises(ValueError, match=r"'film\.mp4': end it in one of \.gif, \.png, \.svg, \.pdf"):
        write_film(tmp_path / "film.mp4", _maze_net(), *maze, [1], MAZES)
    with pytest.raises(ValueError, match=r"0\.02 seconds, not 0\.01"):
        write_film(tmp_path / "film.gif", _maze_net(), *maze, [1], MAZES, frame_seconds=0.01)
    with pytest.raises(ValueError, match="one input and one target, not 2 and 2"):
        film_strip(_maze_net(), *(torch.cat([part, part]) for part in maze), [1], MAZES)
    for iterations in ([], [-1, 3]):
        with pytest.raises(ValueError, match="iterations must be at least one, each at least 0"):
            film_strip(_string_net(), *string, iterations, SUMS)
    with pytest.raises(ValueError, match=r"only strings .* are drawn, not \(1, 1, 5\)"):
        film_strip(_maze_net(), *string, [1], SUMS)
    boards = RecurrentNet(in_channels=5, width=4, head_widths=(4,), dimensions=2)
    with pytest.raises(ValueError, match=r"not \(1, 5, 8, 8\)"):
        film_strip(boards, torch.zeros(1, 5, 8, 8), torch.zeros(1, 8, 8).long(), [1], MAZES)
    shallow = FeedForwardNet(in_channels=1, width=4, head_widths=(4,), dimensions=1, depth=2)
    with pytest.raises(ValueError, match="2 iterations, fewer than the 3"):
        film_strip(shallow, *string, [3], SUMS)
    assert list(tmp_path.iterdir()) == []
