"""DP-InstaHide (arXiv 2103.02079): mixing k records and adding Laplace noise, its accountant, and what it costs."""

from pathlib import Path
from typing import TYPE_CHECKING

from easy_to_hard.baselines.dp_instahide.claims import claims

if TYPE_CHECKING:
    from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe, PuzzleRecipe
    from easy_to_hard.scores.reference import ReferenceResult

__all__ = ["claims", "run"]


def run(
    recipe: "ImageRecipe | PuzzleRecipe", folder: Path, *, device: str = "cpu", progress: bool = True
) -> "ReferenceResult":
    """Train on releases of images or of puzzles, and count what they give away; see `Baseline.run`."""
    from easy_to_hard.baselines.dp_instahide.on_images import run_on_images
    from easy_to_hard.baselines.dp_instahide.on_puzzles import run_on_puzzles
    from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe

    if isinstance(recipe, ImageRecipe):
        return run_on_images(recipe, folder, device=device, progress=progress)
    return run_on_puzzles(recipe, folder, device=device, progress=progress)
