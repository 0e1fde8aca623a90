"""Membership inference with shadow nets: LiRA and canary queries (Wen et al. 2022, arXiv 2210.10750)."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.canary.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True) -> "ReferenceResult":
    """Train shadow nets and attack them, on images or puzzles, whichever the recipe is of; see `Baseline.run`.

    Raises:
        ValueError: a recipe of another method.
    """
    from easy_to_hard.baselines.canary import on_images, on_puzzles
    from easy_to_hard.baselines.canary.recipes import ImageRecipe, PuzzleRecipe

    if isinstance(recipe, ImageRecipe):
        return on_images.run(recipe, folder, device=device, progress=progress)
    if isinstance(recipe, PuzzleRecipe):
        return on_puzzles.run(recipe, folder, device=device, progress=progress)
    raise ValueError(f"recipe must be an ImageRecipe or a PuzzleRecipe of canary, not {type(recipe).__name__}")
