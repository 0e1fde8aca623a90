"""What vision transformers learn, after Ghiasi et al. 2022 (arXiv 2212.06727), on images and on mazes."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.vit_visualization.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True) -> "ReferenceResult":
    """Evaluate the method by an `ImageRecipe` or a `MazeRecipe`; see `Baseline.run`."""
    from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, MazeRecipe

    if isinstance(recipe, ImageRecipe):
        from easy_to_hard.baselines.vit_visualization.on_images import evaluate_on_images

        return evaluate_on_images(recipe, folder, device=device, progress=progress)
    if isinstance(recipe, MazeRecipe):
        from easy_to_hard.baselines.vit_visualization.on_puzzles import evaluate_on_mazes

        return evaluate_on_mazes(recipe, folder, device=device, progress=progress)
    raise ValueError(f"recipe must be one of the recipes of vit_visualization, not a {type(recipe).__name__}")
