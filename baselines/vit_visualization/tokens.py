"""What CLS and the patches represent: CLS kept apart, the head on patches, the head after fewer blocks.

Ghiasi et al. 2022 (arXiv 2212.06727), section 5 and table 1, and the logs of the authors' repository.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, Protocol

import torch
from torch import Tensor

_BATCH: Final = 100


class TokenNet(Protocol):
    """A vision transformer with CLS, split into its parts."""

    @property
    def depth(self) -> int:
        """Number of blocks."""

    def embed(self, images: Tensor) -> Tensor:
        """Tokens (B, T, d) before the first block, CLS first, of images (B, C, H, W) float in [0, 1]."""

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The tokens after a block, and a second value, which is ignored."""

    def norm(self, tokens: Tensor) -> Tensor:
        """The norm after the last block: (..., d) -> (..., d)."""

    def head(self, tokens: Tensor) -> Tensor:
        """The head, on tokens after the norm: (..., d) -> (..., classes)."""


def classify(net: TokenNet, tokens: Tensor) -> Tensor:
    """The last norm and the head: (..., d) -> (..., classes)."""
    return net.head(net.norm(tokens))


def isolated_logits(net: TokenNet, images: Tensor, apart: Sequence[int]) -> Iterator[Tensor]:
    """Yield the logits (B, classes) if CLS and the patches do not see each other in the first blocks.

    Args:
        net: a net with CLS.
        images: (B, C, H, W) float in [0, 1].
        apart: numbers of first blocks, ascending, from 0 (as trained) to all (CLS never sees the image).
    """
    tokens = net.embed(images)
    cls, patches = tokens[:, :1], tokens[:, 1:]
    done = 0
    for blocks in apart:
        for layer in range(done, blocks):
            cls, patches = net.block(cls, layer)[0], net.block(patches, layer)[0]
        done = blocks
        joined = torch.cat([cls, patches], dim=1)
        for layer in range(blocks, net.depth):
            joined, _ = net.block(joined, layer)
        yield classify(net, joined[:, 0])


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
        cls, patch_mean, all_mean: (N,) bool, on CLS, on the mean of the patches, on the mean of all tokens; means are
            taken after the last norm, of what the head is applied to.
        patch_mean_before: (N,) bool, on the mean of the patches before that norm.
        confident: (N,) bool, on the patch with the highest confidence in a class.
        patches: (N, patches) bool, on each patch.
    """

    cls: Tensor
    patch_mean: Tensor
    all_mean: Tensor
    patch_mean_before: Tensor
    confident: Tensor
    patches: Tensor


def heads_right(net: TokenNet, images: Tensor, labels: Tensor) -> Heads:
    """Apply the head to CLS, to patches and to means of the tokens.

    Args:
        net: a net with CLS.
        images: (N, C, H, W) float in [0, 1].
        labels: (N,) int64.
    """
    parts = [
        _heads_of(net, list(tokens_after(net, some))[-1], right)
        for some, right in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True)
    ]
    names = [one.name for one in fields(Heads)]
    return Heads(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _heads_of(net: TokenNet, tokens: Tensor, labels: Tensor) -> Heads:
    normed = net.norm(tokens)
    sources = normed[:, 0], normed[:, 1:].mean(1), normed.mean(1), net.norm(tokens[:, 1:].mean(1))
    cls, patch_mean, all_mean, before = (net.head(source).argmax(dim=-1) == labels for source in sources)
    logits = net.head(normed[:, 1:])
    answers = logits.argmax(dim=-1)
    surest = logits.softmax(dim=-1).amax(dim=-1).argmax(dim=1)
    return Heads(
        cls=cls,
        patch_mean=patch_mean,
        all_mean=all_mean,
        patch_mean_before=before,
        confident=answers.gather(1, surest[:, None])[:, 0] == labels,
        patches=answers == labels[:, None],
    )


def isolation_right(net: TokenNet, images: Tensor, labels: Tensor, apart: Sequence[int]) -> list[int]:
    """The number of right answers with CLS kept apart; see `isolated_logits`."""
    right = [0] * len(apart)
    for some, answers in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True):
        for number, logits in enumerate(isolated_logits(net, some, apart)):
            right[number] += int((logits.argmax(dim=1) == answers).sum())
    return right


def early_right(net: TokenNet, images: Tensor, labels: Tensor) -> list[int]:
    """The number of right answers of the head on CLS after 0, 1, ... and all blocks."""
    right = [0] * (net.depth + 1)
    for some, answers in zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True):
        for number, tokens in enumerate(tokens_after(net, some)):
            right[number] += int((classify(net, tokens[:, 0]).argmax(dim=1) == answers).sum())
    return right
