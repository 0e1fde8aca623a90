"""Recurrent nets that think longer on harder problems (arXiv 2106.04537, 2202.05826)."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.extras import naming_extra

if TYPE_CHECKING:
    from easy_to_hard.baselines.deep_thinking.recipes import Recipe
    from easy_to_hard.baselines.deep_thinking.training import TrainingReport

# Before any module of this package, so that all of them say what they need.
with naming_extra("nets need"):
    import torch  # noqa: F401


def run(
    recipe: "Recipe", folder: Path, *, device: str = "cpu", threads: int | None = None, progress: bool = True
) -> "TrainingReport | None":
    """Train a net, or continue training that was stopped; the folder then holds the net, its log, and its recipe.

    Args:
        recipe: what to train and how: one of `recipes.RECIPES`, with any of its settings changed.
        folder: made when missing; one that holds another run is refused.
        device: "cpu" or "cuda".
        threads: CPU threads; None for one for narrow nets and torch's choice for wide ones.
        progress: whether to show a progress bar.

    Returns:
        A report on the training; None if it had already finished, and there was nothing to do.

    Raises:
        ValueError: no such device, task, or recipe; the folder holds a run of another recipe, or one in progress.
        RuntimeError: the loss is no longer finite.
    """
    from easy_to_hard.baselines.deep_thinking.training_run import train_recipe

    return train_recipe(recipe, folder, device=device, threads=threads, progress=progress)
