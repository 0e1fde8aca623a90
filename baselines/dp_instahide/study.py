"""The data and settings of the evaluation on images, which its runs, figures and claims share."""

from dataclasses import dataclass, replace

import torch

from easy_to_hard.baselines.dp_instahide.accountant import image_diameter, noise_for
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, make_grid
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.poisoning.attacks import Backdoor, patch_backdoor
from easy_to_hard.baselines.kit.victims import VictimConfig


@dataclass(frozen=True, kw_only=True)
class Study:
    """Data and settings of a run.

    Attributes:
        recipe: how.
        train, test: images.
        classes: how many.
        device: where.
        progress: whether to show bars.
    """

    recipe: ImageRecipe
    train: ImageSet
    test: ImageSet
    classes: int
    device: torch.device
    progress: bool

    @property
    def diameter(self) -> float:
        """D1 of an image in [0, 1] with its one-hot label."""
        channels, height, width = self.train.images.shape[1:]
        return image_diameter(channels, height, width, self.classes)

    @property
    def victim(self) -> VictimConfig:
        """The recipe's, for as many classes as there are."""
        return replace(self.recipe.victim, classes=self.classes)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The grid, and last the largest k with so much noise that the guarantee is one."""
        recipe = self.recipe
        grid = make_grid(recipe.mix_counts, recipe.noise_scales, len(self.train))
        most = max(cell.mix_count for cell in grid)
        enough = noise_for(
            recipe.epsilon,
            records=len(self.train),
            mix_count=most,
            diameter=self.diameter,
            releases=len(self.train),
            delta=recipe.delta,
        )
        return (*grid, Cell(mix_count=most, noise_scale=enough))

    def backdoor(self, seed: int) -> Backdoor:
        """Of that seed."""
        recipe = self.recipe
        return patch_backdoor(
            self.train.images,
            self.train.labels,
            source=recipe.source,
            target=recipe.target,
            share=recipe.budget,
            seed=seed,
        )
