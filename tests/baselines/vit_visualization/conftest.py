"""What the tests of vit_visualization share."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.baselines.vit_visualization.activation_maximization import Ascent
from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, MazeRecipe, get_recipe


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """The nets here are too small to be shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


_SMALL: Final[dict[str, Any]] = {
    "preset": "smoke",
    "depth": 2,
    "width": 8,
    "batch_size": 8,
    "loop": LoopConfig(steps=3, learning_rate=1e-3, ema_decay=0.0, ema_from=0),
    "neurons": 2,
}


@pytest.fixture
def image_recipe(mnist_root: Path) -> ImageRecipe:
    """Tiny, two seeds."""
    ascent = Ascent(steps=2, copies=2)
    return ImageRecipe(
        **_SMALL, data="mnist", data_root=mnist_root, conv_width=4, test_images=12, ascent=ascent, seeds=(0, 1)
    )


@pytest.fixture
def maze_recipe() -> MazeRecipe:
    """Tiny, two seeds."""
    return MazeRecipe(
        **_SMALL,
        data="mazes",
        ascent=replace(get_recipe("small", "mazes").ascent, steps=2, copies=2),
        harder_sizes=(9,),
        maze_size=7,
        train_mazes=10,
        test_mazes=12,
        iterations=4,
        seeds=(0, 1),
    )


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A folder with 40 training and 20 test images in MNIST's files: bars that lie (class 0) or stand (class 1)."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            place = rng.integers(6, 20)
            (image.T if label else image)[place : place + 3, 4:24] = 255
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            (folder / f"{split}-{kind}-ubyte").write_bytes(header + values.tobytes())
    return tmp_path / "data"
