"""What CLS and the patches represent: CLS kept apart, the head on patches, the head after fewer blocks.

Ghiasi et al. 2022 (arXiv 2212.06727), section 5 and table 1, and the logs of the authors' repository.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

_BATCH: Final = 250


class TokenNet(Protocol):
    """A vision transformer with CLS, split into its parts.

    Attributes:
        depth: number of blocks.
    """

    depth: int

    def embed(self, images: Tensor) -> Tensor:
        """Tokens (B, T, d) before the first block, CLS first, of images (B, C, H, W) float in [0, 1]."""

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The tokens after a block, and a second value, which is ignored."""

    def classify(self, tokens: Tensor) -> Tensor:
        """The last norm and the head: (..., d) -> (..., classes)."""


def isolated_logits(net: TokenNet, images: Tensor, blocks: int) -> Tensor:
    """The logits if CLS and the patches do not see each other in the first blocks: (B, classes).

    Args:
        net: a net with CLS.
        images: (B, C, H, W) float in [0, 1].
        blocks: number of first blocks, from 0 (as trained) to all (CLS never sees the image).
    """
    tokens = net.embed(images)
    cls, patches = tokens[:, :1], tokens[:, 1:]
    for layer in range(blocks):
        cls, patches = net.block(cls, layer)[0], net.block(patches, layer)[0]
    tokens = torch.cat([cls, patches], dim=1)
    for layer in range(blocks, net.depth):
        tokens, _ = net.block(tokens, layer)
    return net.classify(tokens[:, 0])


def tokens_after(net: TokenNet, images: Tensor) -> Iterator[Tensor]:
    """Yield the tokens (B, T, d) before the first block and after each block."""
    tokens = net.embed(images)
    yield tokens
    for layer in range(net.depth):
        tokens, _ = net.block(tokens, layer)
        yield tokens


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Whether the head is right on different tokens, image by image.

    Attributes:
        cls, patch_mean, all_mean: (N,) bool, on CLS, on the mean of the patches, on the mean of all tokens.
        confident: (N,) bool, on the patch with the highest confidence in a class.
        patches: (N, patches) bool, on each patch.
    """

    cls: Tensor
    patch_mean: Tensor
    all_mean: Tensor
    confident: Tensor
    patches: Tensor


def heads_right(net: TokenNet, images: Tensor, labels: Tensor) -> Heads:
    """Apply the head to CLS, to patches and to means of the tokens.

    Args:
        net: a net with CLS.
        images: (N, C, H, W) float in [0, 1].
        labels: (N,) int64.
    """
    parts: list[tuple[Tensor, ...]] = []
    for some, right in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True):
        *_, tokens = tokens_after(net, some)
        means = torch.stack([tokens[:, 0], tokens[:, 1:].mean(dim=1), tokens.mean(dim=1)], dim=1)
        of_means = net.classify(means).argmax(dim=-1) == right[:, None]
        logits = net.classify(tokens[:, 1:])
        answers = logits.argmax(dim=-1)
        surest = logits.softmax(dim=-1).amax(dim=-1).argmax(dim=1)
        confident = answers.gather(1, surest[:, None])[:, 0] == right
        parts.append((*of_means.unbind(dim=1), confident, answers == right[:, None]))
    cls, patch_mean, all_mean, confident, patches = (torch.cat(part) for part in zip(*parts, strict=True))
    return Heads(cls=cls, patch_mean=patch_mean, all_mean=all_mean, confident=confident, patches=patches)


def isolation_right(net: TokenNet, images: Tensor, labels: Tensor) -> list[int]:
    """The number of right answers with CLS kept apart in the first 0, 1, ... and all blocks."""
    pairs = list(zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True))
    return [
        sum(int((isolated_logits(net, some, blocks).argmax(dim=1) == right).sum()) for some, right in pairs)
        for blocks in range(net.depth + 1)
    ]


def early_right(net: TokenNet, images: Tensor, labels: Tensor) -> list[int]:
    """The number of right answers of the head on CLS after 0, 1, ... and all blocks."""
    right = [0] * (net.depth + 1)
    for some, answers in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True):
        for number, tokens in enumerate(tokens_after(net, some)):
            right[number] += int((net.classify(tokens[:, 0]).argmax(dim=1) == answers).sum())
    return right
