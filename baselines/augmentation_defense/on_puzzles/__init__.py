"""Backdoors that are planted in easy puzzles and tried on harder ones: this benchmark's own question."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easy_to_hard.baselines.augmentation_defense.recipes import PuzzleRecipe
    from easy_to_hard.scores.reference import ReferenceResult


def run(recipe: "PuzzleRecipe", folder: Path, *, device: str, progress: bool) -> "ReferenceResult":
    """Plant a backdoor in easy puzzles and try it on harder ones; see `Baseline.run`."""
    # Not at the top: recipes use modules of this folder to check themselves.
    from easy_to_hard.baselines.augmentation_defense.on_puzzles import evaluation

    return evaluation.run(recipe, folder, device=device, progress=progress)
