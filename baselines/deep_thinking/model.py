"""The nets of deep thinking: published recurrent nets and their feed-forward controls, and all other architectures.

`RecurrentNet` has one block with or without recall (Bansal et al. 2022, arXiv 2202.05826; without recall it is the net
of Schwarzschild et al. 2021, arXiv 2106.04537), and `FeedForwardNet` has a separate block for every iteration;
`LipschitzNet`, a contraction, `CellularNet`, a rule for a cell and its neighbors, and `AttentionNet`, for boards, have
files of their own.
"""

from collections.abc import Sequence
from typing import Final

import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.attention import AttentionNet, FeedForwardAttentionNet
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.lipschitz import LipschitzNet
from easy_to_hard.baselines.deep_thinking.net import (
    ARCHITECTURES,
    ConvolutionalNet,
    Iteration,
    ThinkingNet,
    architecture,
    arranged,
    check_sizes,
    convolution,
    convolve,
)

__all__ = [
    "ARCHITECTURES",
    "AttentionNet",
    "CellularNet",
    "FeedForwardAttentionNet",
    "FeedForwardNet",
    "LipschitzNet",
    "RecurrentNet",
    "ThinkingNet",
]

_NORM_GROUPS: Final = 4


class ResidualBlock(nn.Module):
    """ReLU(x + norm(conv(ReLU(norm(conv(x)))))), shape (batch, width, *grid) in and out.

    The norm, if any, is a group norm of 4 groups without weights, as in the authors' code.
    """

    def __init__(self, dimensions: int, width: int, *, group_norm: bool = False) -> None:
        super().__init__()
        self.first = convolution(dimensions, width, width)
        self.second = convolution(dimensions, width, width)
        self.norm = nn.GroupNorm(_NORM_GROUPS, width, affine=False) if group_norm else None

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block."""
        # In place where the overwritten values are not needed.
        inner = self.first(features)
        if self.norm is not None:
            inner = self.norm(inner)
        inner = self.second(F.relu(inner, inplace=True))
        if self.norm is not None:
            inner = self.norm(inner)
        return F.relu(inner.add_(features), inplace=True)


def _block_pair(dimensions: int, width: int, group_norm: bool) -> nn.Sequential:
    """The two residual blocks of an iteration."""
    return nn.Sequential(*(ResidualBlock(dimensions, width, group_norm=group_norm) for _ in range(2)))


@architecture("recurrent")
class RecurrentNet(ConvolutionalNet):
    """DT and DT-Recall: every iteration is the same; with recall it sees the input again.

    An iteration is two residual blocks, with recall after a convolution of the features concatenated with x.

    `save_pretrained(folder)` writes config.json and model.safetensors; `from_pretrained(folder, strict=True)`
    reads them back.

    Args:
        in_channels, width, head_widths, dimensions, patch: as in `ConvolutionalNet`.
        recall: whether an iteration sees the input again.
        recall_relu: whether a ReLU follows the recall convolution (the authors' 1-D net has one, the 2-D net does not).
        group_norm: whether the residual blocks normalize, in 4 groups.

    Raises:
        ValueError: as `ThinkingNet`, or a width that is not a multiple of 4 with group_norm.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        head_widths: Sequence[int],
        dimensions: int,
        recall: bool = True,
        recall_relu: bool = False,
        group_norm: bool = False,
        patch: int = 1,
    ) -> None:
        super().__init__(
            in_channels=in_channels, width=width, head_widths=head_widths, dimensions=dimensions, patch=patch
        )
        if group_norm and width % _NORM_GROUPS:
            raise ValueError(f"width must be a multiple of {_NORM_GROUPS} with group_norm, not {width}")
        self.recall_relu = recall_relu
        # One kernel, as published: its first `width` input channels see the features, the others the input.
        self.recall = convolution(dimensions, width + self._seen_channels, width) if recall else None
        self.blocks: nn.Module = _block_pair(dimensions, width, group_norm)

    def _apply_blocks(self, features: Tensor, number: int) -> Tensor:
        del number
        after: Tensor = self.blocks(features)
        return after

    def iteration(self, x: Tensor) -> Iteration:
        """See `ThinkingNet.iteration`: a convolution is linear, so recall's share for the input is computed once."""
        if self.recall is None:
            return self._apply_blocks
        kernel = arranged(self.recall.weight[:, : self.width])
        input_share = convolve(self._see(x), arranged(self.recall.weight[:, self.width :]))

        def iterate(features: Tensor, number: int) -> Tensor:
            recalled = convolve(features, kernel).add_(input_share)
            return self._apply_blocks(F.relu(recalled, inplace=True) if self.recall_relu else recalled, number)

        return iterate


@architecture("feed_forward")
class FeedForwardNet(RecurrentNet):
    """The feed-forward controls: a pair of residual blocks for each iteration, with a shared recall convolution.

    It is shared as in the authors' code, so with recall only the blocks are untied.

    Args:
        in_channels, width, head_widths, dimensions, recall, recall_relu, group_norm, patch: as in `RecurrentNet`.
        depth: number of iterations, 30 as published.

    Raises:
        ValueError: as `RecurrentNet`, or a depth below 1.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        head_widths: Sequence[int],
        dimensions: int,
        depth: int = 30,
        recall: bool = False,
        recall_relu: bool = False,
        group_norm: bool = False,
        patch: int = 1,
    ) -> None:
        check_sizes(depth=depth)
        super().__init__(
            in_channels=in_channels,
            width=width,
            head_widths=head_widths,
            dimensions=dimensions,
            recall=recall,
            recall_relu=recall_relu,
            group_norm=group_norm,
            patch=patch,
        )
        self.depth = depth
        self.blocks = nn.ModuleList(_block_pair(dimensions, width, group_norm) for _ in range(depth))

    def _apply_blocks(self, features: Tensor, number: int) -> Tensor:
        assert isinstance(self.blocks, nn.ModuleList)
        after: Tensor = self.blocks[number](features)
        return after
