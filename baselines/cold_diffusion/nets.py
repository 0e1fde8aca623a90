"""The restorer with ConvNeXt blocks (arXiv 2208.09392, for MNIST and color), and parts that both restorers share."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_HEADS: Final = 4
_HEAD_WIDTH: Final = 32


class SeverityCode(nn.Module):
    """Sines and cosines of a severity at wavelengths from 2 pi to 20,000 pi (arXiv 1706.03762), then two layers.

    Args:
        width: of the code, even and at least 4.
        hidden: width of the hidden layer.
        out: width of the output.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        if width < 4 or width % 2:
            raise ValueError(f"width must be even and at least 4, not {width}")
        exponents = torch.arange(width // 2, dtype=torch.float32) / (width // 2 - 1)
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * exponents), persistent=False)
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, out))

    def forward(self, severity: Tensor) -> Tensor:
        """(B,) int64 -> (B, out) float. As in the paper's code, the first severity, 1, is coded as 0."""
        frequencies = self.get_buffer("frequencies")
        angles = (severity.to(frequencies) - 1).unsqueeze(1) * frequencies
        coded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return coded


class ChannelNorm(nn.Module):
    """Layer norm over the channels at each pixel, with a scale and a shift for each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        last = features.permute(0, 2, 3, 1)
        normed = functional.layer_norm(last, self.scale.shape, self.scale, self.shift)
        return normed.permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """A depthwise 7x7 convolution, the severity added, a norm, and two 3x3 convolutions; with a shortcut.

    Args:
        in_channels, out_channels: the shortcut is a 1x1 convolution if they differ.
        code_width: of the severity's code; None for a block that does not see it.
        norm: whether there is a norm.
    """

    def __init__(self, in_channels: int, out_channels: int, *, code_width: int | None, norm: bool = True) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 7, padding=3, groups=in_channels)
        self.shift = None if code_width is None else nn.Sequential(nn.GELU(), nn.Linear(code_width, in_channels))
        self.layers = nn.Sequential(
            ChannelNorm(in_channels) if norm else nn.Identity(),
            nn.Conv2d(in_channels, 2 * out_channels, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(2 * out_channels, out_channels, 3, padding=1),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Tensor, code: Tensor | None) -> Tensor:
        """Features (B, in, H, W) and code (B, code_width) -> (B, out, H, W)."""
        hidden = self.depthwise(features)
        if self.shift is not None and code is not None:
            hidden = hidden + self.shift(code)[:, :, None, None].to(hidden.dtype)
        result: Tensor = self.layers(hidden) + self.shortcut(features)
        return result


class LinearAttention(nn.Module):
    """Attention whose cost grows with the number of pixels, not its square; with a norm before it and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = _HEADS * _HEAD_WIDTH
        self.norm = ChannelNorm(channels)
        self.project_in = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.project_out = nn.Conv2d(inner, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, _, height, width = features.shape
        projected = self.project_in(self.norm(features)).reshape(batch, 3, _HEADS, _HEAD_WIDTH, height * width)
        queries, keys, values = projected.unbind(dim=1)
        context = keys.softmax(dim=-1).to(values.dtype) @ values.mT
        attended = context.mT @ (queries * _HEAD_WIDTH**-0.5)
        result: Tensor = features + self.project_out(attended.reshape(batch, -1, height, width))
        return result


class ConvNextUNet(nn.Module):
    """A U-Net of ConvNeXt blocks and linear attention: estimates the clean image from a degraded one at once.

    The first block, which reads the image, and the last layer, which makes one, run in float32 even under autocast: a
    strong blur leaves only small differences of an image, which bfloat16 cannot represent.

    Args:
        channels: of the images.
        width: channels of the first level.
        multipliers: of the width, one per level; each level but the last halves the sides.
        attention: whether levels have attention.
        patch: squares of patch x patch pixels become the channels of one pixel, which saves time (1 in the paper).
    """

    def __init__(
        self, channels: int, *, width: int, multipliers: Sequence[int], attention: bool = True, patch: int = 1
    ) -> None:
        super().__init__()
        if patch < 1:
            raise ValueError(f"patch must be at least 1, not {patch}")
        widths = [width * multiplier for multiplier in multipliers]
        self.divisor = patch * 2 ** (len(widths) - 1)
        self.patch = patch
        self.code = SeverityCode(width, 4 * width, width)
        inner = channels * patch**2
        self.first = ConvNextBlock(inner, widths[0], code_width=width, norm=False)
        sizes = [(widths[0],) * 2, *((before, here, here) for before, here in pairwise(widths))]
        self.down = nn.ModuleList(
            _Level(channels, width, attention, _halve(channels[-1]) if number < len(widths) - 1 else nn.Identity())
            for number, channels in enumerate(sizes)
        )
        self.middle = _Level(widths[-1:] * 2, width, attention, nn.Identity())
        self.middle_last = ConvNextBlock(widths[-1], widths[-1], code_width=width)
        self.up = nn.ModuleList(
            _Level((2 * here, below, below), width, attention, _double(below))
            for below, here in reversed(list(pairwise(widths)))
        )
        self.last = ConvNextBlock(widths[0], widths[0], code_width=None)
        self.head = nn.Conv2d(widths[0], inner, 1)

    def forward(self, degraded: Tensor, severity: Tensor) -> Tensor:
        """(B, C, H, W) float and (B,) int64 from 1 -> estimates (B, C, H, W) float32, not clamped.

        Raises:
            ValueError: a side that is not a multiple of `divisor`.
        """
        require_divisible(degraded, self.divisor)
        code = self.code(severity)
        with torch.autocast(degraded.device.type, enabled=False):
            features = self.first(functional.pixel_unshuffle(degraded.float(), self.patch), code.float())
        kept = []
        for level in self.down:
            features, before = level(features, code)
            kept.append(before)
        features, _ = self.middle(features, code)
        features = self.middle_last(features, code)
        for level in self.up:
            features, _ = level(torch.cat([features, kept.pop()], dim=1), code)
        features = self.last(features, None)
        with torch.autocast(degraded.device.type, enabled=False):
            return functional.pixel_shuffle(self.head(features.float()), self.patch)


class _Level(nn.Module):
    """Blocks from one number of channels to the next, attention, and a change of resolution."""

    def __init__(self, channels: Sequence[int], code_width: int, attention: bool, resize: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ConvNextBlock(before, here, code_width=code_width) for before, here in pairwise(channels)
        )
        self.attention = LinearAttention(channels[-1]) if attention else nn.Identity()
        self.resize = resize

    def forward(self, features: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """The features after the change of resolution, and those just before it."""
        for block in self.blocks:
            features = block(features, code)
        features = self.attention(features)
        return self.resize(features), features


def _halve(channels: int) -> nn.Module:
    return nn.Conv2d(channels, channels, 4, stride=2, padding=1)


def _double(channels: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)


def require_divisible(images: Tensor, divisor: int) -> None:
    """Raise a ValueError if a side of the images (B, C, H, W) is not a multiple of the divisor."""
    if images.shape[2] % divisor or images.shape[3] % divisor:
        shown = "x".join(str(side) for side in images.shape[2:])
        raise ValueError(f"the sides of the images must be multiples of {divisor}, not {shown}")
