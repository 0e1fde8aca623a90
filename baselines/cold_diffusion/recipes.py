"""Everything that decides a run on images, and the named ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, get_args

import torch
from torch import nn

from easy_to_hard.baselines.cold_diffusion.nets import ConvNextUNet
from easy_to_hard.baselines.cold_diffusion.nets_ddpm import DdpmUNet
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.generators.integers import check_integer_fields

Architecture = Literal["convnext", "ddpm"]

# What the paper resizes to before it crops, for augmentation and for evaluation alike.
PAPER_MARGIN: Final = 1.12


@dataclass(frozen=True, kw_only=True)
class RestorerConfig:
    """The shape of a restorer, but for the channels of the images.

    Attributes:
        architecture: "convnext" or "ddpm".
        width: channels of the first level.
        multipliers: of the width, one a level.
        attention: whether there is any: linear on every level of a convnext, full on the second level of a ddpm.
        patch: of a convnext: squares of so many pixels a side become one pixel's channels.
        dropout: of a ddpm.
    """

    architecture: Architecture
    width: int
    multipliers: tuple[int, ...]
    attention: bool = True
    patch: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.architecture not in get_args(Architecture):
            raise ValueError(f"architecture must be one of convnext, ddpm, not {self.architecture!r}")

    def build(self, channels: int, seed: int) -> nn.Module:
        """A net whose weights are a function of the seed alone; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed_of("restorer", seed))
            if self.architecture == "ddpm":
                return DdpmUNet(
                    channels,
                    width=self.width,
                    multipliers=self.multipliers,
                    attention_levels=(1,) if self.attention else (),
                    dropout=self.dropout,
                )
            return ConvNextUNet(
                channels,
                width=self.width,
                multipliers=self.multipliers,
                attention=self.attention,
                patch=self.patch,
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run on images but for the images, the degradation, the seeds and the device.

    Attributes:
        title: what it is, in a line.
        side: of the images, in pixels.
        margin: images are resized to this times the side; training takes a random square of them, flipped half the
            time, evaluation the middle. 1 for neither.
        gentle: degradations are as gentle, and T as small, as a small net learns in minutes; else the paper's.
        most_severities: T is at most so many; 0 for no limit.
        restorer: the net.
        batch_size: images a (micro-)batch.
        loop: how it is trained; its seed is replaced by the run's.
        test_images: how many are restored; 0 for all.
        classifier_steps: of training the classifier whose features FID and KID compare.
        seeds: of the runs, where none are given.
    """

    title: str
    side: int
    margin: float = 1.0
    gentle: bool = False
    most_severities: int = 0
    restorer: RestorerConfig
    batch_size: int
    loop: LoopConfig
    test_images: int
    classifier_steps: int = 2500
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_integer_fields(self)


def _paper(side: int, restorer: RestorerConfig) -> Recipe:
    """The settings of the authors' code: commit f8b1379 of arpitbansal297/Cold-Diffusion-Models."""
    return Recipe(
        title="as the authors trained: days on a GPU",
        side=side,
        margin=PAPER_MARGIN,
        restorer=restorer,
        batch_size=32,
        loop=LoopConfig(steps=700_000, learning_rate=2e-5, micro_batches=2),
        test_images=0,
        classifier_steps=2500,
    )


_CONVNEXT: Final = RestorerConfig(architecture="convnext", width=64, multipliers=(1, 2, 4, 8))
_DDPM: Final = RestorerConfig(architecture="ddpm", width=128, multipliers=(1, 2, 2, 2), dropout=0.1)
_SMALL_NET: Final = RestorerConfig(architecture="convnext", width=24, multipliers=(1, 2), attention=False, patch=2)

_SMALL: Final = Recipe(
    title="a small net, minutes a seed on a core",
    side=28,
    gentle=True,
    restorer=_SMALL_NET,
    batch_size=32,
    loop=LoopConfig(
        steps=1500,
        learning_rate=2e-3,
        decay="linear",
        gradient_clip=1.0,
        ema_decay=0.9,
        ema_from=0,
        precision="auto",
    ),
    test_images=1000,
    seeds=(0, 1, 2),
)

_SMOKE: Final = replace(
    _SMALL,
    title="a minute, to see that all works",
    most_severities=5,
    restorer=replace(_SMALL_NET, width=16),
    loop=replace(_SMALL.loop, steps=400),
    test_images=100,
    classifier_steps=150,
    seeds=(0,),
)

_SIDES: Final = {"mnist": 28, "cifar10": 32, "folder": 64}
_PAPER: Final[Mapping[str, Recipe]] = MappingProxyType(
    {"mnist": _paper(32, _CONVNEXT), "cifar10": _paper(32, _DDPM), "folder": _paper(128, _CONVNEXT)}
)

PRESETS: Final[Mapping[str, Callable[[str], Recipe]]] = MappingProxyType(
    {
        "smoke": lambda data: replace(_SMOKE, side=_SIDES[data]),
        "small": lambda data: replace(_SMALL, side=_SIDES[data]),
        "paper": lambda data: _PAPER[data],
    }
)


def get_preset(name: str, data: str) -> Recipe:
    """The preset of that name for a set of images.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name](data)
