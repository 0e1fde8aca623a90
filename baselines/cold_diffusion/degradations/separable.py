"""Degradations that are a matrix along the rows times a matrix along the columns: Gaussian blur and pixelation.

A Gaussian kernel is the product of one kernel per axis, and so is resizing. A whole sequence of convolutions is then
one matrix per axis, D(x, t) = V_t x W_t^T, made once: exact at any boundary, and far faster than T convolutions.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation, Shape, gaussian
from easy_to_hard.baselines.cold_diffusion.sampling import Degrade
from easy_to_hard.generators.integers import check_field

Growth = Literal["constant", "linear", "offset", "exponential"]
Padding = Literal["circular", "reflect"]
Resizing = Literal["area", "bilinear", "bicubic"]


@dataclass(frozen=True, kw_only=True)
class Separable(Degradation):
    """A degradation D(x, t) = V_t x W_t^T, without random draws."""

    @abstractmethod
    def matrices(self, size: int) -> Tensor:
        """The matrices V_t of an axis of `size` pixels: (steps + 1, size, size) float64; the first is the identity."""

    def _freeze(self, shape: Shape, rng: torch.Generator, device: torch.device) -> Degrade:
        rows, columns = (_prepared(self, size, device) for size in shape[2:])

        def degrade(images: Tensor, severity: Tensor) -> Tensor:
            left, right = rows[severity].unsqueeze(1), columns[severity].unsqueeze(1)
            # In full precision: what is left of the details is a small difference of large values.
            with torch.autocast(images.device.type, enabled=False):
                return (left @ images.float() @ right.mT).to(images.dtype)

        return degrade


@lru_cache(maxsize=16)
def _prepared(degradation: Separable, size: int, device: torch.device) -> Tensor:
    return degradation.matrices(size).float().to(device)


def convolution_matrix(size: int, kernel: Tensor, padding: Padding) -> Tensor:
    """The matrix of a padded 1-D convolution with an odd kernel: (size, size) float64; rows add up to 1.

    Args:
        size: of the axis, at least 1.
        kernel: (odd length,) float64.
        padding: "circular", or "reflect" (the border pixel itself is not repeated).
    """
    matrix = torch.zeros(size, size, dtype=torch.float64)
    reach = len(kernel) // 2
    period = size if padding == "circular" else max(1, 2 * size - 2)
    for row in range(size):
        for offset, weight in enumerate(kernel.tolist(), start=-reach):
            column = (row + offset) % period
            matrix[row, column if column < size else period - column] += weight
    return matrix


@dataclass(frozen=True, kw_only=True)
class Blur(Separable):
    """Gaussian kernels one after another: D(x, t) = k_t * ... * k_1 * x.

    The paper's settings: MNIST constant, std 7, kernel 11, circular, T = 20; CIFAR-10 offset 0.35 by 0.01, kernel 11,
    reflect, T = 50; CelebA exponential 0.01, kernel 15, reflect, T = 200; generation exponential 0.01, kernel 27,
    circular, T = 300, to the mean.

    Attributes:
        std: s, in pixels, above 0, from which `growth` makes each kernel's standard deviation.
        growth: the std of kernel i (from 0) is s ("constant"), s (i + 1) ("linear"), 0.35 + s i ("offset"), or exp(s i)
            ("exponential").
        kernel_size: odd.
        padding: "circular" or "reflect".
        to_mean: whether the last severity is each channel's mean over the image.
    """

    std: float
    growth: Growth = "constant"
    kernel_size: int = 11
    padding: Padding = "circular"
    to_mean: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "std", 0 < self.std < math.inf, "above 0 and finite")
        check_field(self, "growth", self.growth in get_args(Growth), f"one of {', '.join(get_args(Growth))}")
        check_field(self, "kernel_size", self.kernel_size >= 1 and self.kernel_size % 2 == 1, "odd")
        check_field(self, "padding", self.padding in get_args(Padding), f"one of {', '.join(get_args(Padding))}")

    def std_at(self, index: int) -> float:
        """The standard deviation, in pixels, of the kernel with that index, from 0."""
        stds = {
            "constant": self.std,
            "linear": self.std * (index + 1),
            "offset": 0.35 + self.std * index,
            "exponential": math.exp(self.std * index),
        }
        return stds[self.growth]

    def matrices(self, size: int) -> Tensor:
        """The products of the first t kernels' matrices; see `Separable`."""
        composed = [torch.eye(size, dtype=torch.float64)]
        for index in range(self.steps):
            kernel = gaussian(self.kernel_size, self.std_at(index))
            composed.append(convolution_matrix(size, kernel / kernel.sum(), self.padding) @ composed[-1])
        if self.to_mean:
            composed[-1] = torch.full((size, size), 1 / size, dtype=torch.float64)
        return torch.stack(composed)


@dataclass(frozen=True, kw_only=True)
class Pixelate(Separable):
    """Super-resolution's inverse: step i (from 0) resizes to 1 / 2^(i + 1) of the side, and back by nearest pixel.

    Attributes:
        resizing: how to downscale: "area" (a plain mean over the block), "bilinear", or "bicubic" (without
            antialiasing, as in the paper).
    """

    resizing: Resizing = "area"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "resizing", self.resizing in get_args(Resizing), f"one of {', '.join(get_args(Resizing))}")

    def matrices(self, size: int) -> Tensor:
        """The products of the first t resizings; see `Separable`. ValueError if an axis is too short."""
        if size < 2**self.steps:
            raise ValueError(f"images of side {size} cannot be pixelated {self.steps} times: steps must be lower")
        unit = torch.eye(size, dtype=torch.float64)
        composed = [unit]
        for index in range(self.steps):
            image = unit.reshape(1, 1, size, size)
            small = functional.interpolate(image, (size // 2 ** (index + 1), size), mode=self.resizing)
            again = functional.interpolate(small, (size, size), mode="nearest-exact")[0, 0]
            composed.append(again @ composed[-1])
        return torch.stack(composed)
