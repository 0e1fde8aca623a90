"""Inverting arbitrary transforms without noise (arXiv 2208.09392), on images and as a solver of the tasks."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.cold_diffusion.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True) -> "ReferenceResult":
    """Evaluate on images or puzzles, whichever the recipe is of; see `Baseline.run`.

    Raises:
        ValueError: a recipe of another method.
    """
    from easy_to_hard.baselines.cold_diffusion import on_images
    from easy_to_hard.baselines.cold_diffusion.on_puzzles import evaluation
    from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe, PuzzleRecipe

    if isinstance(recipe, ImageRecipe):
        return on_images.run(recipe, folder, device=device, progress=progress)
    if isinstance(recipe, PuzzleRecipe):
        return evaluation.run(recipe, folder, device=device, progress=progress)
    raise ValueError(f"recipe must be an ImageRecipe or a PuzzleRecipe of cold_diffusion, not {type(recipe).__name__}")
