"""Degradations that mix an image with something else: D(x, t) = a_t x + b_t z, pixel by pixel.

z is black, a color, another image, noise, or the image's own gray.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.degradations.base import Blending, Degradation, Shape, gaussian
from easy_to_hard.baselines.cold_diffusion.sampling import Degrade, per_item
from easy_to_hard.generators.integers import check_field

Fill = Literal["zero", "color"]
Order = Literal["outwards", "inwards"]


@dataclass(frozen=True, kw_only=True)
class Mask(Blending):
    """Inpainting: a Gaussian hole that grows, D(x, t) = a_t x + (1 - a_t) c with a_t = prod_{i < t} (1 - G_i).

    G_i is a Gaussian of peak 1 and std `std * (i + first)`, so no factor is negative, and a hole stays a hole. In
    [-1, 1] the zero that fills it is mid-gray. The settings of the authors' scripts: MNIST and CIFAR-10 std 0.1,
    T = 50, random center; CelebA std 0.2, T = 100, centered; generation std 0.05, first 1, T = 750, a color.
    Deviates: to inpaint, their nets were trained with first 11 and tested with 1; here it is 11 for both.

    Attributes:
        std: s, in pixels, above 0.
        first: m0, at least 1.
        random_center: whether each image's hole is at a random place, uniform over the image; otherwise in the middle.
        fill: "zero", or "color": c of each image is uniform in [-0.5, 0.5] per channel.
        order: "outwards", or "inwards": what is far from the center is lost first, 1 - a_t = prod_{i < T - t}
            (1 - G_i), so that the last severity is c alone.
    """

    std: float = 0.1
    first: int = 11
    random_center: bool = False
    fill: Fill = "zero"
    order: Order = "outwards"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "std", 0 < self.std < math.inf, "above 0 and finite")
        check_field(self, "first", self.first >= 1, "at least 1")
        check_field(self, "fill", self.fill in get_args(Fill), f"one of {', '.join(get_args(Fill))}")
        check_field(self, "order", self.order in get_args(Order), f"one of {', '.join(get_args(Order))}")

    def draw_last(self, shape: Shape, rng: torch.Generator) -> Tensor:
        """Draw colors (B, C, 1, 1), or zeros."""
        colors = torch.zeros(*shape[:2], 1, 1)
        return torch.rand(colors.shape, generator=rng) - 0.5 if self.fill == "color" else colors

    def _blend(self, last: Tensor, shape: Shape, rng: torch.Generator) -> Degrade:
        batch, _, height, width = shape
        kept = _kept_window(self, height, width, last.device)
        # The window is twice as large as the image, with the hole in the middle; each image gets a part of it.
        tops, lefts = (
            torch.randint(0, side + 1, (batch,), generator=rng)
            if self.random_center
            else torch.full((batch,), side // 2)
            for side in (height, width)
        )
        rows = (tops.reshape(-1, 1, 1) + torch.arange(height).reshape(1, -1, 1)).to(last.device)
        columns = (lefts.reshape(-1, 1, 1) + torch.arange(width).reshape(1, 1, -1)).to(last.device)

        def degrade(images: Tensor, severity: Tensor) -> Tensor:
            share = kept[severity.reshape(-1, 1, 1), rows, columns].unsqueeze(1)
            return share * images + (1 - share) * last

        return degrade


@lru_cache(maxsize=16)
def _kept_window(mask: Mask, height: int, width: int, device: torch.device) -> Tensor:
    """a_t over twice the image: (steps + 1, 2 height, 2 width) float32, the peak at (height - 1, width - 1)."""
    products = torch.ones(mask.steps + 1, 2 * height, 2 * width, dtype=torch.float64)
    for index in range(mask.steps):
        std = mask.std * (index + mask.first)
        rows, columns = (gaussian(2 * side, std, center=side - 1) for side in (height, width))
        products[index + 1] = products[index] * (1 - torch.outer(rows, columns))
    return (products if mask.order == "outwards" else 1 - products.flip(0)).float().to(device)


def cosine_signal(steps: int) -> Tensor:
    """A_t, the share of the signal's variance that is left: (steps + 1,) float64, from 1 (severity 0) to about 0.

    The cosine schedule of arXiv 2102.09672, equation 17, with offset 0.008 and no step above 0.999.
    """
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((times + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = (1 - curve[1:] / curve[:-1]).clamp(max=0.999)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])


@dataclass(frozen=True, kw_only=True, eq=False)
class _CosineBlending(Blending):
    """D(x, t) = sqrt(A_t) x + sqrt(1 - A_t) z, z the same for all t."""

    def _blend(self, last: Tensor, shape: Shape, rng: torch.Generator) -> Degrade:
        signal = cosine_signal(self.steps)
        kept, lost = (share.sqrt().float().to(last.device) for share in (signal, 1 - signal))

        def degrade(images: Tensor, severity: Tensor) -> Tensor:
            return per_item(kept[severity], images) * images + per_item(lost[severity], images) * last

        return degrade


@dataclass(frozen=True, kw_only=True, eq=False)
class Noise(_CosineBlending):
    """The hot baseline: D(x, t) = sqrt(A_t) x + sqrt(1 - A_t) z, z standard normal."""

    def draw_last(self, shape: Shape, rng: torch.Generator) -> Tensor:
        """Draw standard normal noise."""
        return torch.randn(shape, generator=rng)


@dataclass(frozen=True, kw_only=True, eq=False)
class Animorphosis(_CosineBlending):
    """Images turn into images of another set: like `Noise`, with z one of the others, drawn for each image.

    z stays the same for the whole trajectory. If it were estimated again from x_t at each step, D(xh, t) would be x_t
    itself, and Algorithm 2 the same as Algorithm 1.

    Attributes:
        others: (N, C, H, W) float in [-1, 1], of the shape of the images.
    """

    others: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.others.ndim != 4 or not len(self.others):
            raise ValueError(f"others must be (N, C, H, W) with N at least 1, not {tuple(self.others.shape)}")

    def draw_last(self, shape: Shape, rng: torch.Generator) -> Tensor:
        """Draw one of the others for each image; ValueError if images have another shape."""
        found = tuple(self.others.shape[1:])
        if found != tuple(shape[1:]):
            raise ValueError(f"the other images must be of shape {tuple(shape[1:])} like the images, not {found}")
        return self.others[torch.randint(len(self.others), shape[:1], generator=rng)]


Fading = Literal["linear", "constant"]


@dataclass(frozen=True, kw_only=True)
class Desaturate(Degradation):
    """Colors fade to gray: step i (from 0) is f_i I + (1 - f_i) P, P the mean over the channels.

    P P = P, so D(x, t) = F_t x + (1 - F_t) P x, F_t the product of the first t factors.

    Attributes:
        fading: "linear": f_i = 1 - (1/T) / (1 - i/T), so that F_t = 1 - t/T; or "constant": f_i = `factor`.
        factor: in [0, 1].
    """

    fading: Fading = "linear"
    factor: float = 0.9
    color_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "fading", self.fading in get_args(Fading), f"one of {', '.join(get_args(Fading))}")
        check_field(self, "factor", 0 <= self.factor <= 1, "from 0 to 1")

    def factors(self) -> Tensor:
        """f_i: (steps,) float64 in [0, 1]."""
        if self.fading == "constant":
            return torch.full((self.steps,), self.factor, dtype=torch.float64)
        left = self.steps - torch.arange(self.steps, dtype=torch.float64)
        return 1 - 1 / left

    def _freeze(self, shape: Shape, rng: torch.Generator, device: torch.device) -> Degrade:
        kept = torch.cat([torch.ones(1, dtype=torch.float64), self.factors().cumprod(0)]).float().to(device)

        def degrade(images: Tensor, severity: Tensor) -> Tensor:
            share = per_item(kept[severity], images)
            return share * images + (1 - share) * images.mean(dim=1, keepdim=True)

        return degrade
