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
        build: makes it as in the paper.
        paper_steps: T in the paper, for images of up to 64 pixels a side (MNIST, CIFAR-10) and for larger ones.
        gentle: makes a weaker one that a small net learns to undo in minutes; None for the same as in the paper.
        gentle_steps: T of the gentle one.
    """

    build: Build
    paper_steps: tuple[int, int]
    gentle: Build | None = None
    gentle_steps: int

    def steps(self, side: int, *, gentle: bool) -> int:
        """The default T."""
        return self.gentle_steps if gentle else self.paper_steps[side > _LARGE_SIDE]

    def make(self, steps: int, side: int, others: Tensor | None, *, gentle: bool) -> Degradation:
        """Make the degradation.

        Args:
            steps: T.
            side: of the images.
            others: (N, C, side, side) float in [-1, 1], for animorphosis; None for none.
            gentle: whether to make the gentle one, for a small net.

        Raises:
            ValueError: settings that are not allowed, or no others for a degradation that needs them.
        """
        return (self.gentle if gentle and self.gentle is not None else self.build)(steps, side, others)


def _blur(steps: int, side: int, others: Tensor | None) -> Blur:
    if side > _LARGE_SIDE:
        return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=15, padding="reflect")
    return Blur(steps=steps, std=7.0, kernel_size=11)


def _blur_to_mean(steps: int, side: int, others: Tensor | None) -> Blur:
    return Blur(steps=steps, std=0.01, growth="exponential", kernel_size=27, to_mean=True)


def _animorphosis(steps: int, side: int, others: Tensor | None) -> Animorphosis:
    if others is None:
        raise ValueError("animorphosis needs a second set of images: give --others")
    return Animorphosis(steps=steps, others=others)


def _named(build: Build, paper_steps: tuple[int, int], gentle_steps: int) -> NamedDegradation:
    return NamedDegradation(build=build, paper_steps=paper_steps, gentle_steps=gentle_steps)


DEGRADATIONS: Final[Mapping[str, NamedDegradation]] = MappingProxyType(
    {
        "blur": NamedDegradation(
            build=_blur,
            paper_steps=(20, 200),
            gentle=lambda steps, side, others: Blur(steps=steps, std=1.5),
            gentle_steps=10,
        ),
        # As on CIFAR-10.
        "blur_offset": _named(
            lambda steps, side, others: Blur(steps=steps, std=0.01, growth="offset", padding="reflect"), (50, 50), 50
        ),
        # For generation, as "mask_colour" is.
        "blur_to_mean": _named(_blur_to_mean, (300, 300), 40),
        "mask": _named(
            lambda steps, side, others: Mask(steps=steps, std=0.2 if side > _LARGE_SIDE else 0.1), (50, 100), 50
        ),
        "mask_random": _named(lambda steps, side, others: Mask(steps=steps, random_center=True), (50, 50), 50),
        "mask_colour": _named(
            lambda steps, side, others: Mask(steps=steps, std=0.05, fill="color", order="inwards"), (750, 750), 750
        ),
        "pixelate": _named(lambda steps, side, others: Pixelate(steps=steps), (3, 4), 3),
        "snow": _named(
            lambda steps, side, others: Snow(steps=steps, level=4 if side > _LARGE_SIDE else 3), (200, 200), 40
        ),
        "desaturate": _named(lambda steps, side, others: Desaturate(steps=steps), (20, 20), 20),
        "animorphosis": _named(_animorphosis, (200, 200), 40),
        # The hot baseline.
        "noise": _named(lambda steps, side, others: Noise(steps=steps), (200, 200), 40),
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
