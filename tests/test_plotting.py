"""Pictures: right colors in the right places, clear errors, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from easy_to_hard import MazeDataset, PrefixSumDataset
from easy_to_hard.plotting import new_figure, plot_bits, save_figure
from easy_to_hard.task_plots import plot_difficulties, plot_item
from easy_to_hard.tasks import TASKS, DataSpec, Task, get_task

MADE = [name for name, task in TASKS.items() if not task.imported]


@pytest.mark.parametrize("name", MADE)
def test_every_task_can_be_drawn(name: str) -> None:
    spec = DataSpec(task=name, difficulty=get_task(name).train_difficulty)
    item, target, data = get_task(name).example(spec)
    figure = new_figure(2, 2)
    axes = figure.subplots()
    assert get_task(name).plot(item, target, data, axes) is axes
    assert axes.has_data()
    # The solution is not needed, nor what else is known.
    assert get_task(name).plot(item).has_data()


def test_the_plot_of_a_task_that_has_none_of_its_own() -> None:
    item, target, data = get_task("mazes").example(DataSpec(task="mazes", difficulty=9))
    image = Task.plot(get_task("mazes"), item, target, data).images[0].get_array()
    assert image is not None
    assert np.array_equal(np.asarray(image) >= 2, target > 0)
    assert np.array_equal(np.asarray(image) % 2 == 1, item.any(axis=0))
    strings = get_task("prefix_sums")
    assert type(strings).plot is Task.plot


def test_maze_picture_has_its_five_colors() -> None:
    image, path = MazeDataset("unused", num_samples=1)[0]
    pixels = get_task("mazes").plot(image, path).images[0].get_array()
    assert pixels is not None
    colors, numbers = np.unique(np.asarray(pixels).reshape(-1, 3), axis=0, return_counts=True)
    assert len(colors) == 5
    on_path = int(path.sum()) - 8
    free = int((image.sum(0) == 3).sum())
    assert sorted(numbers) == sorted([4, 4, on_path, free - on_path, 24 * 24 - free - 8])
    unsolved = get_task("mazes").plot(image).images[0].get_array()
    assert len(np.unique(np.asarray(unsolved).reshape(-1, 3), axis=0)) == 4


def test_prefix_sum_picture_has_a_cell_a_bit() -> None:
    bits, parities = PrefixSumDataset("unused", 100, num_samples=1)[0]
    cells = np.asarray(plot_bits(bits, parities).collections[0].get_array())[::-1]
    assert cells.shape == (5, 64)
    assert np.array_equal(np.concatenate([cells[0], cells[3, :36]]), (bits[0] > 0).numpy())
    assert np.array_equal(np.concatenate([cells[1], cells[4, :36]]), parities.numpy())


@pytest.mark.parametrize(("task", "difficulties"), [("mazes", [9, 13]), ("prefix_sums", [16, 100])])
def test_difficulties_are_drawn_and_saved(task: str, difficulties: list[int], tmp_path: Path) -> None:
    path = save_figure(plot_difficulties(task, difficulties, examples=2), tmp_path / "new" / "grid.png")
    assert imread(path).shape[2] == 4
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_item_is_saved_as_its_ending_says(ending: str, tmp_path: Path) -> None:
    path = save_figure(plot_item(DataSpec(task="mazes", difficulty=9), 3), tmp_path / f"maze.{ending}")
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[ending])


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"image must be \(3, H, W\), not \(24, 24\)"):
        get_task("mazes").plot(np.zeros((24, 24)))
    with pytest.raises(ValueError, match="5 bits cannot have 4 answers"):
        plot_bits(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="at least one difficulty and one example are needed"):
        plot_difficulties("mazes", [])
    with pytest.raises(ValueError, match=r"cannot write a picture as 'maze\.xyz': end it in one of .*png"):
        save_figure(new_figure(1, 1), tmp_path / "maze.xyz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["prefix_sums", "mazes", "chess_mates"])
def test_notebooks_show_plots(name: str) -> None:
    task = get_task(name)
    difficulty = task.train_difficulty
    spec = DataSpec(task=name, difficulty=difficulty)
    for shown in (task.plot(*task.example(spec)), plot_item(spec, 0), plot_difficulties(name, (difficulty,))):
        assert shown._repr_png_().startswith(b"\x89PNG")
