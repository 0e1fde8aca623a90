"""The restorer with residual blocks, as in denoising diffusion (arXiv 2208.09392, for CIFAR-10; arXiv 2006.11239)."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.nets import SeverityCode, require_divisible

_MOST_GROUPS: Final = 32


def _norm(channels: int) -> nn.GroupNorm:
    # 32 groups for 128 channels, as in the paper; never groups of a single channel: subtracting a channel's mean would
    # remove the severity, which is added to whole channels.
    return nn.GroupNorm(math.gcd(_MOST_GROUPS, max(1, channels // 4)), channels)


class ResidualBlock(nn.Module):
    """Group norm, SiLU, and a 3x3 convolution, twice, with the severity added in between, and a shortcut.

    Args:
        in_channels, out_channels: the shortcut is a 1x1 convolution if they differ.
        code_width: of the severity's code.
        dropout: in [0, 1), before the second convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, *, code_width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Sequential(_norm(in_channels), nn.SiLU(), nn.Conv2d(in_channels, out_channels, 3, padding=1))
        self.shift = nn.Sequential(nn.SiLU(), nn.Linear(code_width, out_channels))
        self.leave = nn.Sequential(
            _norm(out_channels), nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(out_channels, out_channels, 3, padding=1)
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        """Features (B, in, H, W) and code (B, code_width) -> (B, out, H, W)."""
        hidden = self.enter(features)
        hidden = hidden + self.shift(code)[:, :, None, None].to(hidden.dtype)
        result: Tensor = self.leave(hidden) + self.shortcut(features)
        return result


class SelfAttention(nn.Module):
    """Attention with one head over all pixels, with a norm before it and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.project_in = nn.Conv2d(channels, 3 * channels, 1)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = features.shape
        projected = self.project_in(self.norm(features)).reshape(batch, 3, channels, height * width)
        queries, keys, values = projected.mT.unbind(dim=1)
        attended = functional.scaled_dot_product_attention(queries, keys, values)
        result: Tensor = features + self.project_out(attended.mT.reshape(batch, channels, height, width))
        return result


class _Step(nn.Module):
    """A residual block, and attention if wanted."""

    def __init__(self, before: int, here: int, code_width: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.block = ResidualBlock(before, here, code_width=code_width, dropout=dropout)
        self.attention = SelfAttention(here) if attention else nn.Identity()

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        attended: Tensor = self.attention(self.block(features, code))
        return attended


class DdpmUNet(nn.Module):
    """A U-Net of residual blocks: estimates the clean image from a degraded one at once.

    The first and the last convolution run in float32 even under autocast (see `ConvNextUNet`).

    Args:
        channels: of the images.
        width: channels of the first level.
        multipliers: of the width, one per level; each level but the last halves the sides.
        blocks: residual blocks per level on the way down; one more on the way up.
        attention_levels: numbers of the levels with attention, from 0.
        dropout: in the residual blocks, in [0, 1).
    """

    def __init__(
        self,
        channels: int,
        *,
        width: int,
        multipliers: Sequence[int],
        blocks: int = 2,
        attention_levels: Sequence[int] = (1,),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        widths = [width * multiplier for multiplier in multipliers]
        code_width = 4 * width
        self.divisor = 2 ** (len(widths) - 1)
        self.code = SeverityCode(width, code_width, code_width)
        self.first = nn.Conv2d(channels, width, 3, padding=1)

        def step(before: int, here: int, level: int) -> _Step:
            return _Step(before, here, code_width, dropout, level in attention_levels)

        kept, before = [width], width
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, here in enumerate(widths):
            for _ in range(blocks):
                self.down.append(step(before, here, level))
                kept.append(here)
                before = here
            if level < len(widths) - 1:
                self.down.append(nn.Conv2d(here, here, 3, stride=2, padding=1))
                kept.append(here)
        self.middle = nn.ModuleList(_Step(before, before, code_width, dropout, first) for first in (True, False))
        for level, here in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(step(before + kept.pop(), here, level))
                before = here
            if level > 0:
                self.up.append(
                    nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(here, here, 3, padding=1))
                )
        self.last = nn.Sequential(_norm(before), nn.SiLU())
        self.head = nn.Conv2d(before, channels, 3, padding=1)

    def forward(self, degraded: Tensor, severity: Tensor) -> Tensor:
        """(B, C, H, W) float and (B,) int64 from 1 -> estimates (B, C, H, W) float32, not clamped.

        Raises:
            ValueError: a side that is not a multiple of `divisor`.
        """
        require_divisible(degraded, self.divisor)
        code = self.code(severity)
        with torch.autocast(degraded.device.type, enabled=False):
            features = self.first(degraded.float())
        kept = [features]
        for layer in self.down:
            features = layer(features, code) if isinstance(layer, _Step) else layer(features)
            kept.append(features)
        for layer in self.middle:
            features = layer(features, code)
        for layer in self.up:
            if isinstance(layer, _Step):
                features = layer(torch.cat([features, kept.pop()], dim=1), code)
            else:
                features = layer(features)
        features = self.last(features)
        with torch.autocast(degraded.device.type, enabled=False):
            estimate: Tensor = self.head(features.float())
        return estimate
