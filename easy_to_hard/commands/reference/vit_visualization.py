"""`easy-to-hard reference vit-visualization`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from tyro.conf import arg

from easy_to_hard.commands.reference.method import MethodCommand, refuse_others, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe

_DATA: Final = ("mnist", "cifar10", "folder", "mazes")
_DATA_ROOT: Final = Path("data")


@dataclass(frozen=True, kw_only=True)
class VitVisualization(MethodCommand):
    """What vision transformers learn (arXiv 2212.06727): images that activate neurons, and what tokens represent.

    On images, it trains a tiny ViT and a convolutional net, or takes a trained ViT and a trained convolutional net; on
    mazes, it trains a tiny ViT, or takes the recurrent net that comes with the package, and scores how well feature
    maps match properties of the maze.
    An interrupted run continues when the same command is run again.
    """

    METHOD = "vit_visualization"

    preset: Annotated[str, arg(help="smoke (a minute), small (minutes per seed) or paper (hours on a GPU)")] = "smoke"
    data: Annotated[
        str,
        arg(
            help="mnist, cifar10, folder or mazes; by default mazes for smoke, which need no files, cifar10 for small, "
            "and for paper a folder with ImageNet"
        ),
    ] = ""
    model: Annotated[
        str,
        arg(
            help="tiny_vit (trained here); on images also vit_small, a ViT-S/14 beside EfficientNet-Lite0 (of the "
            "extra [pretrained]), efficientnet_lite0 alone, and nets that are downloaded: vit_b_16, vit_b_32, swin_t, "
            "timm:NAME or clip:NAME; on mazes also recurrent, which comes with this package; by default tiny_vit, and "
            "for paper ViT-B/16"
        ),
    ] = ""
    data_root: Annotated[
        Path, arg(help="for images: the folder with MNIST/raw, cifar-10-batches-py, or train/CLASS and test/CLASS")
    ] = _DATA_ROOT
    download: Annotated[bool, arg(help="download MNIST or CIFAR-10 if missing (needs torchvision)")] = False
    layers: Annotated[
        tuple[int, ...], arg(help="blocks (or iterations) to look at, from 0; by default the preset's")
    ] = ()
    neurons: Annotated[
        tuple[int, ...], arg(help="neurons to look at in each layer, from 0; by default some, drawn at random")
    ] = ()
    seeds: Annotated[tuple[int, ...], arg(help="one run for each seed; by default the preset's")] = ()
    steps: Annotated[int, arg(help="optimization steps for an image; by default the preset's")] = 0
    train_steps: Annotated[int, arg(help="training steps of a net; by default the preset's")] = 0
    batch_size: Annotated[
        int, arg(help="training batch size in images, of which mazes use a quarter; by default the preset's")
    ] = 0
    test_images: Annotated[int, arg(help="number of test images; by default the preset's")] = 0
    probe_images: Annotated[
        int, arg(help="for vit_small: number of training images of a linear probe; by default the preset's")
    ] = 0
    pictures: Annotated[
        bool, arg(help="for vit_small: make pictures, after all else; a run without them can make them later")
    ] = True
    out: Annotated[Path | None, arg(help="the run folder; by default runs/vit-visualization-DATA-MODEL-PRESET")] = None

    def recipe(self) -> "ReferenceRecipe":
        """The preset with the flags that were given."""
        if self.data:
            require_known("data", self.data, _DATA)
        for name in ("steps", "train_steps", "batch_size", "test_images", "probe_images"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 0, not {getattr(self, name)}")
        from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, get_recipe

        recipe = get_recipe(self.preset, self.data, self.model)
        recipe = replace(
            recipe,
            data_root=self.data_root,
            download=self.download,
            layers_given=self.layers,
            neurons_given=self.neurons,
            seeds=self.seeds or recipe.seeds,
            ascent=replace(recipe.ascent, steps=self.steps or recipe.ascent.steps),
            loop=replace(recipe.loop, steps=self.train_steps or recipe.loop.steps),
            batch_size=self.batch_size or recipe.batch_size,
        )
        if isinstance(recipe, ImageRecipe):
            return replace(
                recipe,
                test_images=self.test_images or recipe.test_images,
                probe_images=self.probe_images or recipe.probe_images,
                pictures=self.pictures,
            )
        given = {
            "test-images": self.test_images or None,
            "probe-images": self.probe_images or None,
            "data-root": self.data_root if self.data_root != _DATA_ROOT else None,
        }
        refuse_others("images", recipe.data, given)
        return recipe

    def name_parts(self, recipe: "ReferenceRecipe") -> Sequence[str]:
        """Data, model and preset."""
        return recipe.data, str(recipe.settings()["model"]), recipe.preset
