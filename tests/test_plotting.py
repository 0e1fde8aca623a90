"""Pictures: right colours in the right places, clear errors, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from easy_to_hard import DataSpec, MazeDataset, PrefixSumDataset
from easy_to_hard.plotting import new_figure, plot_maze, plot_prefix_sum, save_figure
from easy_to_hard.task_plots import PLOTS, plot_difficulties, plot_item
from easy_to_hard.tasks import TASKS


def test_every_task_can_be_drawn() -> None:
    assert set(PLOTS) == set(TASKS)


def test_maze_picture_has_its_five_colours() -> None:
    image, path = MazeDataset("unused", num_samples=1)[0]
    pixels = plot_maze(image, path).images[0].get_array()
    assert pixels is not None
    colours, numbers = np.unique(np.asarray(pixels).reshape(-1, 3), axis=0, return_counts=True)
    assert len(colours) == 5
    on_path = int(path.sum()) - 8
    free = int((image.sum(0) == 3).sum())
    assert sorted(numbers) == sorted([4, 4, on_path, free - on_path, 24 * 24 - free - 8])
    unsolved = plot_maze(image).images[0].get_array()
    assert len(np.unique(np.asarray(unsolved).reshape(-1, 3), axis=0)) == 4


def test_prefix_sum_picture_has_a_cell_a_bit() -> None:
    bits, parities = PrefixSumDataset("unused", 100, num_samples=1)[0]
    cells = np.asarray(plot_prefix_sum(bits, parities).collections[0].get_array())[::-1]
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
        plot_maze(np.zeros((24, 24)))
    with pytest.raises(ValueError, match="5 bits cannot have 4 parities"):
        plot_prefix_sum(np.zeros(5), np.zeros(4))
    with pytest.raises(ValueError, match="at least one difficulty and one example are needed"):
        plot_difficulties("mazes", [])
    with pytest.raises(ValueError, match=r"cannot write a picture as 'maze\.xyz': end it in one of .*png"):
        save_figure(new_figure(1, 1), tmp_path / "maze.xyz")
    assert not list(tmp_path.iterdir())
