"""What every degradation of images has in common (arXiv 2208.09392, section 4 and appendix).

A degradation holds its settings. `Degradation.freeze` makes all its random draws for the images of a batch and returns
the pure function D(x, t) that the samplers call; nothing is drawn after that.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.sampling import Degrade, checked
from easy_to_hard.generators.integers import check_field, check_integer_fields

Shape = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Degradation(ABC):
    """A way to degrade images, by severities from 0 (not at all) to `steps`.

    Attributes:
        steps: T, at least 1.
        color_only: class attribute, whether images must have three channels.

    Raises:
        ValueError: a setting out of its range.
    """

    steps: int
    color_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "steps", self.steps >= 1, "at least 1")

    def freeze(self, shape: Sequence[int], rng: torch.Generator, device: torch.device | str = "cpu") -> Degrade:
        """Make the random draws for a batch of images.

        Args:
            shape: (B, C, H, W) of the batch.
            rng: on the CPU, so that a seed gives the same draws on every device.
            device: where the images will be.

        Returns:
            D(images (B, C, H, W) float in [-1, 1], severity (B,) int64 in 0..steps) -> (B, C, H, W) float. It raises
            ValueError on another shape or a severity out of range. Images may leave [-1, 1], as estimates do.

        Raises:
            ValueError: a shape that the degradation does not support.
        """
        if len(shape) != 4:
            raise ValueError(f"images must be of shape (batch, channels, height, width), not {tuple(shape)}")
        batch, channels, height, width = shape
        if self.color_only and channels != 3:
            raise ValueError(f"{type(self).__name__} needs images with 3 channels, not {channels}")
        return self._checked(self._freeze((batch, channels, height, width), rng, torch.device(device)), shape)

    def _checked(self, degrade: Degrade, shape: Sequence[int]) -> Degrade:
        exact = checked(degrade, self.steps)

        def of_shape(images: Tensor, severity: Tensor) -> Tensor:
            if tuple(images.shape) != tuple(shape):
                raise ValueError(f"images must be of shape {tuple(shape)} as when frozen, not {tuple(images.shape)}")
            return exact(images, severity)

        return of_shape

    @abstractmethod
    def _freeze(self, shape: Shape, rng: torch.Generator, device: torch.device) -> Degrade:
        """Do what `freeze` does, with checked arguments; the result at severity 0 is not used."""


class Blending(Degradation):
    """A degradation from the image to some other end, which stays the same over a trajectory."""

    @abstractmethod
    def draw_last(self, shape: Shape, rng: torch.Generator) -> Tensor:
        """Draw the end that images turn into, (B, C, H, W) float32 or broadcastable to it, on the CPU."""

    @abstractmethod
    def _blend(self, last: Tensor, shape: Shape, rng: torch.Generator) -> Degrade:
        """The degradation to the given end, with all other random draws made."""

    def _freeze(self, shape: Shape, rng: torch.Generator, device: torch.device) -> Degrade:
        return self._blend(self.draw_last(shape, rng).to(device), shape, rng)

    def freeze_at(self, last: Tensor, rng: torch.Generator) -> Degrade:
        """Freeze with a given end instead of a drawn one.

        Args:
            last: (B, C, H, W) float.
            rng: for all other random draws.
        """
        batch, channels, height, width = last.shape
        return self._checked(self._blend(last, (batch, channels, height, width), rng), last.shape)


def to_eight_bits(images: Tensor) -> Tensor:
    """Round images in [-1, 1] to 256 levels, as in a file; values beyond continue in the same steps.

    Deviates: the authors' code ("discrete") cuts off the rest instead of rounding.
    """
    return ((images + 1) * 127.5).round() / 127.5 - 1


def gaussian(length: int, std: float, center: float | None = None) -> Tensor:
    """A Gaussian window, exp(-(i - center)^2 / (2 std^2)) for i from 0: (length,) float64; by default centered."""
    middle = (length - 1) / 2 if center is None else center
    return torch.exp(-((torch.arange(length, dtype=torch.float64) - middle) ** 2) / (2 * std**2))
