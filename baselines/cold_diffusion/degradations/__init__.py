"""The degradations of images (arXiv 2208.09392, section 4), by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation
from easy_to_hard.baselines.cold_diffusion.degradations.blending import Animorphosis, Desaturate, Mask, Noise
from easy_to_hard.baselines.cold_diffusion.degradations.separable import Blur, Pixelate
from easy_to_hard.baselines.cold_diffusion.degradations.snow import Snow

Build: TypeAlias = Callable[[int, int, Tensor | None], Degradation]
"""(steps, side of the images, other images) -> the degradation, with the paper's settings for images of that side."""

_LARGE_SIDE: Final = 64
_TINY_SIDE: Final = 16


@dataclass(frozen=True, kw_only=True)
class NamedDegradation:
    """A degradation in the registry.

    Attributes:
        build: makes it as in the paper; raises ValueError for settings that are not allowed, and for animorphosis
            without other images.
        paper_steps: T in the paper, for images of up to 64 pixels a side (MNIST, CIFAR-10) and for larger ones.
        erases: whether nothing of an image is left at the last severity, or nothing but its mean color. Such
            degradations are for generation.
    """

    build: Build
    paper_steps: tuple[int, int]
    erases: bool = False

    def steps(self, side: int) -> int:
        """The default T."""
        return self.paper_steps[side > _LARGE_SIDE]


def _blur(steps: int, side: int, others: Tensor | None) -> Blur:
    if side > _LARGE_SIDE:
        return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=15, padding="reflect")
    # The paper's kernel, cut off at 11 pixels, has a standard deviation of 3 pixels on images of 32 a side.
    return Blur(steps=steps, std=1.7 if side <= _TINY_SIDE else 7.0, kernel_size=11)


def _blur_to_mean(steps: int, side: int, others: Tensor | None) -> Blur:
    return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=27, to_mean=True)


def _animorphosis(steps: int, side: int, others: Tensor | None) -> Animorphosis:
    if others is None:
        raise ValueError("animorphosis needs a second set of images: give --others")
    return Animorphosis(steps=steps, others=others)


def _named(build: Build, small: int, large: int, *, erases: bool = False) -> NamedDegradation:
    return NamedDegradation(build=build, paper_steps=(small, large), erases=erases)


# The settings are those of the commands in the README of the authors' code and of its scripts' defaults, commit f8b1379
# of arpitbansal297/Cold-Diffusion-Models, whose names for them stand beside them.
DEGRADATIONS: Final[Mapping[str, NamedDegradation]] = MappingProxyType(
    {
        # "Constant" on MNIST, "Exponential_reflect" on CelebA.
        "blur": _named(_blur, 20, 200),
        # "Special_6_routine", on CIFAR-10.
        "blur_offset": _named(
            lambda steps, side, others: Blur(steps=steps, std=0.01, growth="offset", padding="reflect"), 50, 50
        ),
        # "Exponential", to generate CelebA and AFHQ.
        "blur_to_mean": _named(_blur_to_mean, 300, 300, erases=True),
        # "Incremental", on CelebA.
        "mask": _named(lambda steps, side, others: Mask(steps=steps, std=0.2 if side > _LARGE_SIDE else 0.1), 50, 100),
        # "Random_Incremental", on MNIST and CIFAR-10.
        "mask_random": _named(lambda steps, side, others: Mask(steps=steps, random_center=True), 50, 50),
        # "Incremental", reversed and of constant color, to generate CelebA.
        "mask_colour": _named(
            lambda steps, side, others: Mask(steps=steps, std=0.05, first=1, fill="color", order="inwards"),
            750,
            750,
            erases=True,
        ),
        # "Incremental_factor_2".
        "pixelate": _named(lambda steps, side, others: Pixelate(steps=steps, resizing="bicubic"), 3, 4),
        "snow": _named(lambda steps, side, others: Snow(steps=steps, level=4 if side > _LARGE_SIDE else 3), 200, 200),
        # "Linear".
        "desaturate": _named(lambda steps, side, others: Desaturate(steps=steps), 20, 20),
        "animorphosis": _named(_animorphosis, 200, 200, erases=True),
        # The hot baseline.
        "noise": _named(lambda steps, side, others: Noise(steps=steps), 200, 200, erases=True),
    }
)


def get_degradation(name: str) -> NamedDegradation:
    """The degradation of that name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {name!r}: choose one of {', '.join(DEGRADATIONS)}")
    return DEGRADATIONS[name]
