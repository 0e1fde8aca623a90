"""Membership inference with shadow nets: LiRA and canary queries (Wen et al. 2022, arXiv 2210.10750)."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.scores.reference import Claim, ReferenceResult


def run(recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True) -> "ReferenceResult":
    """Train shadow nets and attack them; see `Baseline.run`.

    Args:
        recipe: an `ImageRecipe` or a `PuzzleRecipe`.
        folder, device, progress: see `Baseline.run`.
    """
    from easy_to_hard.baselines.canary.recipes import ImageRecipe, PuzzleRecipe

    if isinstance(recipe, ImageRecipe):
        from easy_to_hard.baselines.canary.on_images import run_on_images

        return run_on_images(recipe, folder, device=device, progress=progress)
    if isinstance(recipe, PuzzleRecipe):
        from easy_to_hard.baselines.canary.on_puzzles import run_on_puzzles

        return run_on_puzzles(recipe, folder, device=device, progress=progress)
    raise ValueError(f"recipe must be an ImageRecipe or a PuzzleRecipe of canary, not a {type(recipe).__name__}")


def claims(result: "ReferenceResult") -> "tuple[Claim, ...]":
    """The papers' claims, and what is asked of the benchmark's tasks, judged from a result; see `Baseline.claims`."""
    from easy_to_hard.baselines.canary.claims import claims_of

    return claims_of(result)
