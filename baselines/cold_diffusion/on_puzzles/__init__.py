"""Cold diffusion as a solver of the benchmark's mazes and prefix sums."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easy_to_hard.baselines.cold_diffusion.recipes import PuzzleRecipe
    from easy_to_hard.scores.reference import ReferenceResult


def run(recipe: "PuzzleRecipe", folder: Path, *, device: str, progress: bool) -> "ReferenceResult":
    """Train and test restorers that solve puzzles; see `Baseline.run`."""
    # Not at the top: recipes check themselves with modules of this folder.
    from easy_to_hard.baselines.cold_diffusion.on_puzzles import evaluation

    return evaluation.run(recipe, folder, device=device, progress=progress)
