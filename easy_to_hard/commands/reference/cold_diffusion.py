"""`easy-to-hard reference cold-diffusion`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import arg

from easy_to_hard.commands.reference.method import MethodCommand, refuse_others, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe


@dataclass(frozen=True, kw_only=True)
class ColdDiffusion(MethodCommand):
    """Cold diffusion (arXiv 2208.09392): undo a degradation without noise, at once or step by step.

    On images, it trains a restorer and compares direct restoration, Algorithm 1 and Algorithm 2; on mazes and prefix
    sums, the degradation erases solutions, and restoring them solves the puzzles. An interrupted run continues when
    the same command is run again.
    """

    METHOD: ClassVar = "cold_diffusion"

    preset: Annotated[str, arg(help="smoke (a minute or two), small (minutes per seed) or paper (days on a GPU)")] = (
        "smoke"
    )
    data: Annotated[str, arg(help="images: mnist, cifar10 or folder; tasks: mazes or prefix_sums")] = "mazes"
    degradation: Annotated[
        str,
        arg(
            help="for images: blur, blur_offset, blur_to_mean, mask, mask_random, mask_colour, pixelate, snow, "
            "desaturate, animorphosis or noise; by default blur, or on cifar10 blur_offset, as in the paper"
        ),
    ] = ""
    others: Annotated[str, arg(help="a second set of images, into which animorphosis turns the first")] = ""
    severities: Annotated[
        int, arg(help="for images: number of severities of the degradation; by default the preset's", metavar="T")
    ] = 0
    train_steps: Annotated[int, arg(help="for images: training steps of a net; by default the preset's")] = 0
    seeds: Annotated[
        tuple[int, ...],
        arg(help="one run for each seed, by default the preset's; for tasks, one number: the first of the seeds"),
    ] = ()
    generate: Annotated[
        int,
        arg(
            help="number of images to generate from scratch; blur_to_mean, mask_colour, animorphosis and noise then "
            "restore none"
        ),
    ] = 0
    components: Annotated[int, arg(help="components of the Gaussian mixture that generation starts from")] = 1
    features: Annotated[
        str,
        arg(
            help="for images: whose features FID and KID compare: classifier (trained here) or efficientnet_lite0 "
            "(pretrained on photographs)"
        ),
    ] = "classifier"
    inception_weights: Annotated[
        Path | None,
        arg(help="torch-fidelity's file of Inception weights, for FID as in papers, instead of other features"),
    ] = None
    out: Annotated[
        Path | None, arg(help="the run folder; by default runs/cold-diffusion-DATA[-DEGRADATION]-PRESET")
    ] = None

    def recipe(self) -> "ReferenceRecipe":
        """What to run, on images or as a solver."""
        from easy_to_hard.baselines.kit.evaluation import IMAGES
        from easy_to_hard.baselines.kit.puzzles import PUZZLES

        require_known("data", self.data, (*IMAGES, *PUZZLES))
        return self._on_images() if self.data in IMAGES else self._on_puzzles()

    def name_parts(self, recipe: "ReferenceRecipe") -> tuple[str, ...]:
        """Data, degradation (for images) and preset."""
        from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe

        degradation = recipe.degradation if isinstance(recipe, ImageRecipe) else ""
        return recipe.data, degradation, recipe.preset

    def _on_images(self) -> "ReferenceRecipe":
        from easy_to_hard.baselines.cold_diffusion.recipes import get_image_recipe

        preset = get_image_recipe(self.preset, self.data, self.degradation)
        return replace(
            preset,
            data_root=self.root,
            others=self.others,
            download=self.download,
            severities=self.severities,
            seeds=self.seeds or preset.seeds,
            loop=replace(preset.loop, steps=self.train_steps or preset.loop.steps),
            generate=self.generate,
            components=self.components,
            features=self.features,
            inception_weights=self.inception_weights,
        )

    def _on_puzzles(self) -> "ReferenceRecipe":
        from easy_to_hard.baselines.cold_diffusion.recipes import get_puzzle_recipe

        refuse_others("images", self.data, {"train-steps": self.train_steps or None})
        if len(self.seeds) > 1:
            raise ValueError(f"--seeds must be one number for a task, the first of its seeds, not {list(self.seeds)}")
        preset = get_puzzle_recipe(self.preset, self.data)
        first = self.seeds[0] if self.seeds else 0
        return replace(preset, seeds=tuple(range(first, first + len(preset.seeds))))
