"""Everything that decides a run but for data, model, seeds and device, and the named ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.baselines.vit_visualization.maximising import Ascent
from easy_to_hard.generators.integers import check_integer_fields

# Shares of the highest frequency along a side, up to which a filter keeps frequencies or from which on.
CUTOFFS: Final = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run.

    Attributes:
        title: what it is, in a line.
        depth, width: of the tiny ViT.
        conv_width: of the convolutional net it is compared with.
        batch_size: images a step of training; a fourth as many mazes.
        loop: how nets are trained; its seed is replaced by the run's.
        test_images: on which nets are tested; 0 for all.
        neurons: looked at in each layer, drawn at random, where none are given.
        layers: looked at, evenly spread, where none are given; 0 for all.
        ascent: how images are made; its roll is for a side of 224 pixels, smaller images are rolled by less.
        maze_size: of training.
        harder_sizes: at which nets that can are tested as well.
        train_mazes, test_mazes: how many.
        iterations: of the recurrent net.
        variants: of the tiny ViT on mazes: "relative" or "learned" positions, or "looped", relative ones and shared
            blocks; the first is the one whose features are scored.
        seeds: of the runs, where none are given.
    """

    title: str
    depth: int
    width: int
    conv_width: int
    batch_size: int
    loop: LoopConfig
    test_images: int
    neurons: int
    layers: int = 6
    ascent: Ascent = field(default_factory=Ascent)
    maze_size: int = 9
    harder_sizes: tuple[int, ...] = (11, 13)
    train_mazes: int = 5000
    test_mazes: int = 200
    iterations: int = 30
    variants: tuple[str, ...] = ("relative",)
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("depth", "width", "conv_width", "batch_size", "neurons", "test_mazes", "train_mazes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


_LOOP: Final = LoopConfig(steps=600, learning_rate=2e-3, decay="linear", gradient_clip=1.0, ema_decay=0.0, ema_from=0)

_SMALL: Final = Recipe(
    title="small nets, minutes a seed on a core",
    depth=6,
    width=64,
    conv_width=24,
    batch_size=64,
    loop=_LOOP,
    test_images=1000,
    neurons=8,
    ascent=Ascent(steps=200),
    variants=("relative", "looped", "learned"),
    seeds=(0, 1, 2),
)

_SMOKE: Final = replace(
    _SMALL,
    title="a minute, to see that all works",
    depth=4,
    width=32,
    conv_width=8,
    batch_size=32,
    loop=replace(_LOOP, steps=150),
    test_images=200,
    neurons=3,
    ascent=Ascent(steps=40),
    harder_sizes=(11,),
    train_mazes=500,
    test_mazes=40,
    iterations=20,
    variants=("relative",),
    seeds=(0,),
)

_PAPER: Final = replace(
    _SMALL,
    title="images made as published (arXiv 2212.06727): 400 steps, 8 copies; hours on a GPU",
    depth=12,
    width=192,
    conv_width=64,
    batch_size=256,
    loop=replace(_LOOP, steps=50_000, learning_rate=5e-4),
    test_images=0,
    neurons=24,
    ascent=Ascent(steps=400),
    train_mazes=50_000,
    test_mazes=1000,
)

PRESETS: Final[Mapping[str, Recipe]] = MappingProxyType({"smoke": _SMOKE, "small": _SMALL, "paper": _PAPER})

# Patches and sides of the images.
PATCHES: Final[Mapping[str, int]] = MappingProxyType({"mnist": 4, "cifar10": 4, "folder": 8})
SIDES: Final[Mapping[str, int]] = MappingProxyType({"mnist": 28, "cifar10": 32, "folder": 64})


def get_preset(name: str) -> Recipe:
    """The preset of that name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
