"""Everything that decides a run except its device, and the presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

import torch

from easy_to_hard.baselines.kit.evaluation import IMAGES, ReferenceRecipe
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.baselines.vit_visualization.activation_maximization import (
    Ascent,
    FeatureNet,
    Neurons,
    check_neurons,
    spread_layers,
)
from easy_to_hard.baselines.vit_visualization.inversion import Inversion
from easy_to_hard.baselines.vit_visualization.pretrained import CONV_NETS, EFFICIENTNET, TORCHVISION, is_known
from easy_to_hard.generators.integers import check_field

TINY_VIT: Final = "tiny_vit"
VIT_SMALL: Final = "vit_small"
RECURRENT: Final = "recurrent"
MAZES: Final = "mazes"
VARIANTS: Final = ("relative", "looped", "learned")
SMALL_CONV_NET: Final = "small"
PARTS: Final = ("keys", "queries", "values")

_Recipe = TypeVar("_Recipe", bound="VitRecipe")


@dataclass(frozen=True, kw_only=True)
class VitRecipe(ReferenceRecipe):
    """Settings that runs on images and on mazes share.

    Attributes:
        model: "tiny_vit", which is trained here, or another net.
        depth, width: depth and width of the tiny ViT.
        batch_size: training batch size in images; for mazes, a quarter of it.
        loop: how nets are trained; its seed is replaced by the run's.
        neurons: number of neurons to examine in each layer, drawn at random, if none are given.
        neurons_given: neurons to examine in each layer, from 0; empty for none.
        layers: number of layers to examine, evenly spread, if none are given; 0 for all.
        layers_given: layers to examine, from 0; empty for none.
        ascent: how images are made.

    Raises:
        ValueError: a name or number that is not allowed, or more than one seed for a net that is not trained here.
    """

    model: str = TINY_VIT
    depth: int
    width: int
    batch_size: int
    loop: LoopConfig
    neurons: int
    neurons_given: tuple[int, ...] = ()
    layers: int = 6
    layers_given: tuple[int, ...] = ()
    ascent: Ascent

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "width", "batch_size", "neurons"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        for name, given in (("layers", self.layers_given), ("neurons", self.neurons_given)):
            if len(set(given)) < len(given) or min(given, default=0) < 0:
                raise ValueError(f"{name} must all be different and each at least 0, not {list(given)}")
        if self.model not in (TINY_VIT, VIT_SMALL) and len(self.seeds) > 1:
            raise ValueError(f"a net of which nothing is trained here must have one seed, not {list(self.seeds)}")

    def settings(self) -> dict[str, Any]:
        """The settings that decide the figures; the loop's seed does not."""
        settings = super().settings()
        settings["loop"].pop("seed")
        return settings

    def choose(self, net: FeatureNet) -> Neurons:
        """The neurons of a net to examine, the same for all seeds.

        Raises:
            ValueError: a layer or neuron that the net does not have.
        """
        layers = tuple(sorted(self.layers_given)) or spread_layers(net.depth, self.layers)
        check_neurons(net, layers, self.neurons_given)
        of_layer = {}
        for layer in layers:
            order = torch.randperm(net.neurons(layer), generator=generator_of("neurons", layer)).tolist()
            of_layer[layer] = self.neurons_given or tuple(sorted(order[: self.neurons]))
        return Neurons(layers=layers, of_layer=of_layer)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(VitRecipe):
    """A run on images; the roll of `ascent` is for a side of 224 pixels, and smaller images are rolled by less.

    Attributes:
        conv_net: convolutional net with which the ViT is compared: "small", which is trained here, "efficientnet_lite0"
            beside "vit_small", or one of torchvision's beside a downloaded ViT.
        conv_width: width of the small convolutional net.
        side: side of the images for nets that are not trained here, in pixels.
        crop, flip: augmentation in training: random crops after padding by `crop` pixels, and mirroring.
        probe_images: number of training images of a linear probe, drawn for each seed.
        test_images: number of test images; 0 for all. For "vit_small", they are drawn for each seed.
        inversion: how images are recovered from the features of "vit_small".
        parts: besides the MLP's features, parts of attention for which images are made: "keys", "queries", "values".
        pictures: for "vit_small", whether to make pictures after the figures of all seeds.
    """

    conv_net: str = SMALL_CONV_NET
    conv_width: int
    side: int = 224
    crop: int = 0
    flip: bool = False
    probe_images: int = 0
    test_images: int
    inversion: Inversion = field(default_factory=Inversion)
    parts: tuple[str, ...] = ()
    pictures: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("conv_width", 1), ("side", 1), ("crop", 0), ("probe_images", 0), ("test_images", 0)):
            check_field(self, name, getattr(self, name) >= least, f"at least {least}")
        known = self.model in (TINY_VIT, VIT_SMALL, EFFICIENTNET) or is_known(self.model)
        others = ", ".join((TINY_VIT, VIT_SMALL, EFFICIENTNET, *TORCHVISION, "timm:NAME", "clip:NAME"))
        check_field(self, "model", known, f"one of {others} on images")
        conv_nets = (SMALL_CONV_NET, *CONV_NETS)
        check_field(self, "conv_net", self.conv_net in conv_nets, f"one of {', '.join(conv_nets)}")
        check_field(self, "parts", set(self.parts) <= set(PARTS), f"some of {', '.join(PARTS)}")
        if self.model == VIT_SMALL:
            check_field(self, "probe_images", self.probe_images > 0, "above 0 for a net without classes")
            check_field(self, "test_images", self.test_images > 0, "above 0 for a net without classes")

    def seed_settings(self) -> dict[str, Any]:
        """Everything that decides the figures of one seed; pictures can be made later."""
        return {name: value for name, value in super().seed_settings().items() if name != "pictures"}


@dataclass(frozen=True, kw_only=True)
class MazeRecipe(VitRecipe):
    """A run on mazes.

    Attributes:
        maze_size: size of the training mazes.
        harder_sizes: larger sizes at which nets that accept them are also tested.
        train_mazes, test_mazes: number of mazes.
        iterations: number of iterations of the recurrent net.
        variants: variants of the tiny ViT: "relative" or "learned" positions, or "looped" (relative positions and
            shared blocks); the first is the one whose features are examined in full.
    """

    maze_size: int = 9
    harder_sizes: tuple[int, ...] = (11, 13)
    train_mazes: int = 5000
    test_mazes: int = 200
    iterations: int = 30
    variants: tuple[str, ...] = VARIANTS

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("test_mazes", "train_mazes", "iterations"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        known = bool(self.variants) and set(self.variants) <= set(VARIANTS)
        check_field(self, "variants", known, f"some of {', '.join(VARIANTS)}")
        check_field(self, "model", self.model in (TINY_VIT, RECURRENT), f"one of {TINY_VIT}, {RECURRENT} on mazes")


_LOOP: Final = LoopConfig(steps=600, learning_rate=2e-3, decay="linear", gradient_clip=1.0, ema_decay=0.0, ema_from=0)

# Small nets, minutes per seed on a core.
_SMALL_IMAGES: Final = ImageRecipe(
    preset="small",
    data="cifar10",
    depth=6,
    width=64,
    conv_width=24,
    batch_size=64,
    loop=replace(_LOOP, steps=2000),
    test_images=1000,
    neurons=8,
    ascent=Ascent(steps=200),
    seeds=(0, 1, 2),
)
# For mazes: rolls by whole positions, the symmetries of a square, no color changes, pixels pulled to 0 or 1.
_SMALL_MAZES: Final = MazeRecipe(
    preset="small",
    data=MAZES,
    depth=6,
    width=64,
    batch_size=64,
    loop=_LOOP,
    neurons=8,
    ascent=Ascent(
        steps=200,
        color=False,
        noise=0.0,
        roll=4,
        roll_step=2,
        dihedral=True,
        binary=0.5,
        smoothness=0.1,
    ),
    seeds=(0, 1, 2),
)


def _smoke(recipe: _Recipe) -> _Recipe:
    """The preset "smoke": a minute, to check that everything works."""
    return replace(
        recipe,
        preset="smoke",
        depth=4,
        width=32,
        batch_size=32,
        loop=replace(_LOOP, steps=150),
        neurons=3,
        ascent=replace(recipe.ascent, steps=40),
        seeds=(0,),
    )


def _paper(recipe: _Recipe) -> _Recipe:
    """The preset "paper": images made as published; nets that are trained here are larger than in "small"."""
    return replace(
        recipe,
        preset="paper",
        depth=12,
        width=192,
        batch_size=256,
        loop=replace(_LOOP, steps=50_000, learning_rate=5e-4),
        neurons=24,
        # Section 3 and the authors' code; the other fields of an `Ascent` are theirs by default.
        ascent=replace(recipe.ascent, steps=400),
    )


IMAGE_PRESETS: Final[Mapping[str, ImageRecipe]] = MappingProxyType(
    {
        "smoke": replace(_smoke(_SMALL_IMAGES), conv_width=8, test_images=200, probe_images=100),
        "small": _SMALL_IMAGES,
        # The ViT-B/16 of tables 1 and 2 (84.20 %), at the side that it was tuned for, beside table 2's first conv net.
        "paper": replace(
            _paper(_SMALL_IMAGES),
            data="folder",
            model="timm:vit_base_patch16_384.orig_in21k_ft_in1k",
            conv_net="resnet50",
            conv_width=64,
            side=384,
            # Of the paper's 50,000, so that they fit into memory.
            test_images=5000,
            layers=0,
            seeds=(0,),
        ),
    }
)
MAZE_PRESETS: Final[Mapping[str, MazeRecipe]] = MappingProxyType(
    {
        "smoke": replace(
            _smoke(_SMALL_MAZES),
            harder_sizes=(11,),
            train_mazes=500,
            test_mazes=40,
            iterations=20,
            variants=("relative",),
        ),
        "small": _SMALL_MAZES,
        "paper": replace(_paper(_SMALL_MAZES), train_mazes=50_000, test_mazes=1000),
    }
)

# A ViT-S/14 with probes; images are scaled to sides that are multiples of 14 pixels.
_PROBED: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "smoke": {"side": 56, "probe_images": 60, "test_images": 20, "layers": 2, "seeds": (0,)},
        "small": {
            "side": 84,
            "probe_images": 160,
            "test_images": 40,
            "layers": 3,
            "neurons": 3,
            "inversion": Inversion(images=3, steps=80),
            "parts": PARTS,
            "seeds": (0, 1, 2, 3, 4),
        },
        "paper": {
            "side": 224,
            "probe_images": 10_000,
            "test_images": 2000,
            "inversion": Inversion(images=8),
            "parts": PARTS,
            "seeds": (0, 1, 2, 3, 4),
        },
    }
)
# Few steps and copies, since a step takes a second; smoother, as chosen by the look of other neurons.
_PROBED_ASCENT: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {"smoke": {"steps": 4, "copies": 2}, "small": {"steps": 48, "copies": 2, "smoothness": 5.0}, "paper": {}}
)
# The authors' code, for CLIP.
_CLIP_RATE: Final = 1.0
_CONV_NET_BESIDE: Final = "resnet50"
# Random crops, in pixels, and mirroring, by data.
_AUGMENTATION: Final = {"mnist": (2, False), "cifar10": (4, True), "folder": (8, True)}

# Sides of patches and of images, in pixels.
PATCHES: Final[Mapping[str, int]] = MappingProxyType({"mnist": 4, "cifar10": 4, "folder": 8})
SIDES: Final[Mapping[str, int]] = MappingProxyType({"mnist": 28, "cifar10": 32, "folder": 64})


def get_recipe(preset: str, data: str = "", model: str = "") -> ImageRecipe | MazeRecipe:
    """The recipe of a preset for data and model, by default the preset's; a net that is not trained here has one seed.

    The default data are mazes, since they need no files, unless the preset is "paper" or the model is one for images.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if data not in (*IMAGES, MAZES, ""):
        raise ValueError(f"data must be one of {', '.join((*IMAGES, MAZES))}, not {data!r}")
    if preset not in IMAGE_PRESETS:
        raise ValueError(f"unknown preset {preset!r}: choose one of {', '.join(IMAGE_PRESETS)}")
    if not data:
        data = MAZES if preset != "paper" and model in ("", TINY_VIT, RECURRENT) else IMAGE_PRESETS[preset].data
    if data == MAZES:
        of_mazes = MAZE_PRESETS[preset]
        model = model or of_mazes.model
        return replace(of_mazes, model=model, seeds=of_mazes.seeds if model == TINY_VIT else of_mazes.seeds[:1])
    recipe = IMAGE_PRESETS[preset]
    model = model or recipe.model
    crop, flip = _AUGMENTATION[data]
    return replace(recipe, data=data, crop=crop, flip=flip, **_changes_for(model, recipe))


def _changes_for(model: str, recipe: ImageRecipe) -> dict[str, Any]:
    """What differs in a preset for a model."""
    if model == TINY_VIT:
        return {"model": model, "conv_net": SMALL_CONV_NET}
    if model == VIT_SMALL:
        ascent = replace(recipe.ascent, **_PROBED_ASCENT[recipe.preset])
        return {"model": model, "conv_net": EFFICIENTNET, "ascent": ascent, **_PROBED[recipe.preset]}
    rate = _CLIP_RATE if model.startswith("clip:") else recipe.ascent.learning_rate
    return {
        "model": model,
        "conv_net": _CONV_NET_BESIDE,
        "ascent": replace(recipe.ascent, learning_rate=rate),
        "seeds": recipe.seeds[:1],
    }
