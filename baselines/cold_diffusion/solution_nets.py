"""A small convolutional restorer of solution maps: it sees the degraded map and the puzzle, at any size."""

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.generators.integers import check_integer

_FREQUENCIES: Final = 8
_CONVOLUTIONS: Final[dict[int, type[nn.Conv1d] | type[nn.Conv2d]]] = {1: nn.Conv1d, 2: nn.Conv2d}


class TimeCode(nn.Module):
    """How degraded a map is, as a vector for each residual block: sines and cosines, then two linear layers."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.width, self.blocks = width, blocks
        self.layers = nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.GELU(), nn.Linear(width, blocks * width))

    def forward(self, level: Tensor) -> Tensor:
        """(B,) float levels, severity / steps in (0, 1], to (blocks, B, width)."""
        angles = level.unsqueeze(1) * (math.pi / 2) * 2.0 ** torch.arange(_FREQUENCIES, device=level.device)
        codes: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return codes.view(-1, self.blocks, self.width).transpose(0, 1)


class SolutionNet(nn.Module):
    """Residual blocks of 3-wide convolutions on the degraded map joined with the puzzle.

    It sees 2 blocks + 1 positions to each side, whatever the size of the puzzle.

    Args:
        dimensions: 1 for strings, 2 for mazes.
        condition_channels: channels of the puzzle.
        width: channels of the features, at least 1.
        blocks: residual blocks, at least 1.
        time_code: whether it is told the severity; without, one step is like another.

    Raises:
        ValueError: dimensions other than 1 and 2, or a number below 1.
    """

    def __init__(self, *, dimensions: int, condition_channels: int, width: int, blocks: int, time_code: bool) -> None:
        super().__init__()
        if dimensions not in _CONVOLUTIONS:
            raise ValueError(f"dimensions must be 1 or 2, not {dimensions!r}")
        for name, size in (("condition_channels", condition_channels), ("width", width), ("blocks", blocks)):
            check_integer(name, size, 1)
        convolution = _CONVOLUTIONS[dimensions]
        self.projection = convolution(1 + condition_channels, width, kernel_size=3, padding=1)
        self.firsts = nn.ModuleList(convolution(width, width, kernel_size=3, padding=1) for _ in range(blocks))
        self.seconds = nn.ModuleList(convolution(width, width, kernel_size=3, padding=1) for _ in range(blocks))
        self.head = convolution(width, 1, kernel_size=1)
        self.time_code = TimeCode(width, blocks) if time_code else None

    def forward(self, states: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        """Logits of being on the path (of the parity being 1).

        Args:
            states: (B, 1, *size) float, degraded maps.
            condition: (B, C, *size) float, the puzzles.
            level: (B,) float, severity / steps in (0, 1]; not looked at without a time code.

        Returns:
            (B, 1, *size) float.
        """
        features = F.relu(self.projection(torch.cat([states, condition], dim=1)))
        codes = [None] * len(self.firsts) if self.time_code is None else self.time_code(level)
        for first, second, code in zip(self.firsts, self.seconds, codes, strict=True):
            inner = first(features)
            if code is not None:
                inner = inner + code.view(*code.shape, *(1,) * (inner.ndim - 2))
            features = F.relu(features + second(F.relu(inner)))
        logits: Tensor = self.head(features)
        return logits
