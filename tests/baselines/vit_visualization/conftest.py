"""What the tests of vit_visualization share."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.baselines.vit_visualization.activation_maximization import Ascent
from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, MazeRecipe, get_recipe

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
