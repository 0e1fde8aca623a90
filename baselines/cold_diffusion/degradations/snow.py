"""Snow that gets denser with severity (arXiv 2208.09392; after ImageNet-C, arXiv 1903.12261)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation, Shape, gaussian
from easy_to_hard.baselines.cold_diffusion.degradations.separable import convolution_matrix
from easy_to_hard.baselines.cold_diffusion.sampling import Degrade
from easy_to_hard.generators.integers import check_field

_GRAY_WEIGHTS: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class SnowLevel:
    """How hard it snows; ramps go from the first step to the last.

    Attributes:
        mean, std: of the layer of flakes before any processing.
        zoom: how much larger flakes are than a pixel.
        streak: length of the kernel of the motion blur, odd.
        threshold: below it a layer is zero.
        blur: std of the motion blur.
        brightness: of the image under the snow, if it varies.
    """

    mean: float
    std: float
    zoom: float
    streak: int
    threshold: tuple[float, float]
    blur: tuple[float, float]
    brightness: tuple[float, float]


_HEAVY: Final = {"mean": 0.55, "std": 0.3, "zoom": 2.5}
SNOW_LEVELS: Final[Mapping[int, SnowLevel]] = MappingProxyType(
    {
        1: SnowLevel(
            mean=0.1, std=0.3, zoom=3.0, streak=5, threshold=(0.7, 0.3), blur=(0.5, 5.0), brightness=(0.95, 0.7)
        ),
        2: SnowLevel(**_HEAVY, streak=11, threshold=(1.15, 0.7), blur=(0.05, 12.0), brightness=(0.95, 0.55)),
        3: SnowLevel(**_HEAVY, streak=11, threshold=(1.15, 0.7), blur=(0.05, 16.0), brightness=(0.95, 0.4)),
        4: SnowLevel(**_HEAVY, streak=11, threshold=(1.15, 0.55), blur=(0.05, 20.0), brightness=(0.95, 0.3)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Snow(Degradation):
    """D(x, t) = 2 clip(base + s_t + r_t, 0, 1) - 1 with s_t a layer of streaks and r_t the same rotated by 180 degrees.

    Deviates: each image has a layer of its own (in the paper's code a batch shares one by default).

    Attributes:
        level: 1 to 4; in the paper CIFAR-10 3, CelebA 4, both with T = 200 and a fixed brightness.
        fixed_brightness: whether the image under the snow keeps its brightness.
    """

    level: int = 3
    fixed_brightness: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "level", self.level in SNOW_LEVELS, f"one of {', '.join(map(str, SNOW_LEVELS))}")

    def _freeze(self, shape: Shape, rng: torch.Generator, device: torch.device) -> Degrade:
        batch, channels, height, width = shape
        level = SNOW_LEVELS[self.level]
        flakes = _flakes(level, batch, height, width, rng).to(device)
        upright = (torch.rand(batch, generator=rng) < 0.5).reshape(-1, 1, 1, 1).to(device)
        thresholds, brightness = (_ramp(ends, self.steps).to(device) for ends in (level.threshold, level.brightness))
        down, along = (_streaks(level, self.steps, side, device) for side in (height, width))

        def degrade(images: Tensor, severity: Tensor) -> Tensor:
            step = (severity - 1).clamp(min=0)
            layer = torch.where(flakes < thresholds[step].reshape(-1, 1, 1, 1), 0.0, flakes).clamp(0, 1)
            snow = torch.where(upright, down[step].unsqueeze(1) @ layer, layer @ along[step].unsqueeze(1).mT)
            base = (images + 1) / 2
            if not self.fixed_brightness:
                share = brightness[step].reshape(-1, 1, 1, 1)
                base = share * base + (1 - share) * base.maximum(1.5 * _gray(base, channels) + 0.5)
            return 2 * (base + snow + snow.flip(2, 3)).clamp(0, 1) - 1

        return degrade


def _ramp(ends: tuple[float, float], steps: int) -> Tensor:
    return torch.linspace(*ends, steps, dtype=torch.float64).float()


def _gray(images: Tensor, channels: int) -> Tensor:
    if channels != 3:
        return images.mean(dim=1, keepdim=True)
    weights = torch.tensor(_GRAY_WEIGHTS, dtype=images.dtype, device=images.device)
    return (images * weights.reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _flakes(level: SnowLevel, batch: int, height: int, width: int, rng: torch.Generator) -> Tensor:
    """Normal noise of the image's size, whose middle is enlarged to the full size: (batch, 1, height, width)."""
    noise = level.mean + level.std * torch.randn(batch, 1, height, width, generator=rng)
    inner = [math.ceil(side / level.zoom) for side in (height, width)]
    top, left = ((side - small) // 2 for side, small in zip((height, width), inner, strict=True))
    middle = noise[:, :, top : top + inner[0], left : left + inner[1]]
    enlarged = [max(side, round(small * level.zoom)) for side, small in zip((height, width), inner, strict=True)]
    layer = functional.interpolate(middle, enlarged, mode="bilinear", align_corners=True)
    top, left = ((large - side) // 2 for large, side in zip(enlarged, (height, width), strict=True))
    return layer[:, :, top : top + height, left : left + width]


@lru_cache(maxsize=16)
def _streaks(level: SnowLevel, steps: int, size: int, device: torch.device) -> Tensor:
    """The motion blur along an axis, one matrix per step: (steps, size, size) float32."""
    kernels = (gaussian(level.streak, float(std)) for std in _ramp(level.blur, steps))
    matrices = [convolution_matrix(size, kernel / kernel.sum(), "reflect") for kernel in kernels]
    return torch.stack(matrices).float().to(device)
