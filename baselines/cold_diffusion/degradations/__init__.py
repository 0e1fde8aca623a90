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


@dataclass(frozen=True, kw_only=True)
class NamedDegradation:
    """A degradation in the registry.

    Attributes:
        title: what it does, in a line.
        build: makes it as in the paper.
        paper_steps: T in the paper, for images of up to 64 pixels a side (MNIST, CIFAR-10) and for larger ones.
        gentle: makes it so that a small net learns to undo it in minutes; None for as in the paper.
        gentle_steps: T then.
    """

    title: str
    build: Build
    paper_steps: tuple[int, int]
    gentle: Build | None = None
    gentle_steps: int

    def steps(self, side: int, *, gentle: bool) -> int:
        """T where none is asked for."""
        return self.gentle_steps if gentle else self.paper_steps[side > _LARGE_SIDE]

    def make(self, steps: int, side: int, others: Tensor | None, *, gentle: bool) -> Degradation:
        """The degradation.

        Args:
            steps: T.
            side: of the images.
            others: (N, C, side, side) float in [-1, 1], for animorphosis; None for none.
            gentle: whether for a small net.

        Raises:
            ValueError: settings that are not allowed, or no others where they are needed.
        """
        return (self.gentle if gentle and self.gentle is not None else self.build)(steps, side, others)


def _blur(steps: int, side: int, others: Tensor | None) -> Blur:
    if side > _LARGE_SIDE:
        return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=15, padding="reflect")
    return Blur(steps=steps, std=7.0, kernel_size=11)


def _gentle_blur(steps: int, side: int, others: Tensor | None) -> Blur:
    return Blur(steps=steps, std=1.5)


def _blur_to_mean(steps: int, side: int, others: Tensor | None) -> Blur:
    return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=27, to_mean=True)


def _animorphosis(steps: int, side: int, others: Tensor | None) -> Animorphosis:
    if others is None:
        raise ValueError("animorphosis needs a second set of images: give --others")
    return Animorphosis(steps=steps, others=others)


DEGRADATIONS: Final[Mapping[str, NamedDegradation]] = MappingProxyType(
    {
        "blur": NamedDegradation(
            title="Gaussian blur, kernel after kernel",
            build=_blur,
            paper_steps=(20, 200),
            gentle=_gentle_blur,
            gentle_steps=10,
        ),
        "blur_offset": NamedDegradation(
            title="Gaussian blur as on CIFAR-10, its std from 0.35 by 0.01",
            build=lambda steps, side, others: Blur(steps=steps, std=0.01, growth="offset", padding="reflect"),
            paper_steps=(50, 50),
            gentle_steps=50,
        ),
        "blur_to_mean": NamedDegradation(
            title="Gaussian blur down to the mean colour, for generation",
            build=_blur_to_mean,
            paper_steps=(300, 300),
            gentle_steps=40,
        ),
        "mask": NamedDegradation(
            title="a Gaussian hole that grows in the middle",
            build=lambda steps, side, others: Mask(steps=steps, std=0.2 if side > _LARGE_SIDE else 0.1),
            paper_steps=(50, 100),
            gentle_steps=50,
        ),
        "mask_random": NamedDegradation(
            title="a Gaussian hole that grows anywhere",
            build=lambda steps, side, others: Mask(steps=steps, random_centre=True),
            paper_steps=(50, 50),
            gentle_steps=50,
        ),
        "mask_colour": NamedDegradation(
            title="fades to a colour of its own from the outside in, for generation",
            build=lambda steps, side, others: Mask(steps=steps, std=0.05, fill="colour", order="inwards"),
            paper_steps=(750, 750),
            gentle_steps=750,
        ),
        "pixelate": NamedDegradation(
            title="ever larger pixels",
            build=lambda steps, side, others: Pixelate(steps=steps),
            paper_steps=(3, 4),
            gentle_steps=3,
        ),
        "snow": NamedDegradation(
            title="snow",
            build=lambda steps, side, others: Snow(steps=steps, level=4 if side > _LARGE_SIDE else 3),
            paper_steps=(200, 200),
            gentle_steps=40,
        ),
        "desaturate": NamedDegradation(
            title="colours fade to grey",
            build=lambda steps, side, others: Desaturate(steps=steps),
            paper_steps=(20, 20),
            gentle_steps=20,
        ),
        "animorphosis": NamedDegradation(
            title="turns into an image of another set", build=_animorphosis, paper_steps=(200, 200), gentle_steps=40
        ),
        "noise": NamedDegradation(
            title="Gaussian noise, the hot baseline",
            build=lambda steps, side, others: Noise(steps=steps),
            paper_steps=(200, 200),
            gentle_steps=40,
        ),
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
