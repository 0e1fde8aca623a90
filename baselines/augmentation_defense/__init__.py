"""Strong data augmentation against poisoning and backdoors (arXiv 2011.09527)."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.augmentation_defense.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe, PuzzleRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(
    recipe: "ImageRecipe | PuzzleRecipe", folder: Path, *, device: str = "cpu", progress: bool = True
) -> "ReferenceResult":
    """Attack images under each defense, or plant a backdoor in puzzles; see `Baseline.run`."""
    from easy_to_hard.baselines.augmentation_defense.on_images import run_on_images
    from easy_to_hard.baselines.augmentation_defense.on_puzzles.evaluation import run_on_puzzles
    from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe

    if isinstance(recipe, ImageRecipe):
        return run_on_images(recipe, folder, device=device, progress=progress)
    return run_on_puzzles(recipe, folder, device=device, progress=progress)
