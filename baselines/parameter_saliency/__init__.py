"""Parameter-space saliency (arXiv 2108.01335): which filters of a net are to blame for a wrong answer."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.parameter_saliency.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True) -> "ReferenceResult":
    """Evaluate the method by an `ImageRecipe` or a `PuzzleRecipe`; see `Baseline.run`."""
    from easy_to_hard.baselines.parameter_saliency.recipes import ImageRecipe, PuzzleRecipe

    if isinstance(recipe, ImageRecipe):
        from easy_to_hard.baselines.parameter_saliency.on_images import evaluate_on_images

        return evaluate_on_images(recipe, folder, device=device, progress=progress)
    if isinstance(recipe, PuzzleRecipe):
        from easy_to_hard.baselines.parameter_saliency.on_puzzles import evaluate_on_puzzles

        return evaluate_on_puzzles(recipe, folder, device=device, progress=progress)
    raise ValueError(f"recipe must be one of the recipes of parameter_saliency, not a {type(recipe).__name__}")
