"""A tiny vision transformer, small enough to be trained here, for images and for mazes.

Blocks are those of ViT (Dosovitskiy et al. 2021): pre-norm, with exact GELU. A maze's tokens are its positions, 2 x 2
pixels each, and every token predicts its own four pixels, without a CLS token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.generators.integers import check_field, check_integer_fields

Positions = Literal["learned", "relative"]

_MLP_RATIO: Final = 4
_MAZE_PATCH: Final = 2
_MAZE_CLASSES: Final = 2


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """The shape of a tiny ViT.

    Attributes:
        side: side of the training images, in pixels; for mazes, without the border of one pixel.
        channels: number of channels of the images.
        patch: side of a token's patch in pixels; must divide `side`.
        classes: number of classes, per image or per pixel.
        depth: number of blocks.
        width: width of a token (d); a block has 4d features.
        heads: number of attention heads; must divide `width`.
        positions: "learned", a vector for each place, or "relative", an attention bias for each offset.
        shared: whether all blocks have the same weights (a looped transformer).
        dense: whether it predicts every pixel of a maze, and has no CLS token.

    Raises:
        ValueError: a value that is not allowed.
    """

    side: int
    channels: int
    patch: int
    classes: int
    depth: int
    width: int
    heads: int = 4
    positions: Positions = "learned"
    shared: bool = False
    dense: bool = False

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("side", "channels", "patch", "classes", "depth", "width", "heads"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        if self.side % self.patch:
            raise ValueError(f"patch must divide the side {self.side}, not be {self.patch}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide the width {self.width}, not be {self.heads}")
        check_field(self, "positions", self.positions in get_args(Positions), "one of learned, relative")

    @property
    def grid(self) -> int:
        """Number of tokens per side."""
        return self.side // self.patch

    def build(self, seed: int) -> "TinyVit":
        """A net whose weights depend only on the seed; the global random state is left unchanged."""
        with seeded("tiny vit", seed):
            return TinyVit(self)


def maze_config(
    size: int, *, depth: int, width: int, positions: Positions = "relative", shared: bool = False
) -> VitConfig:
    """The shape for mazes of a size: one token per position, size + 2 per side."""
    return VitConfig(
        side=_MAZE_PATCH * (size + 2),
        channels=3,
        patch=_MAZE_PATCH,
        classes=_MAZE_CLASSES,
        depth=depth,
        width=width,
        positions=positions,
        shared=shared,
        dense=True,
    )


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        width: width of a token.
        heads: number of attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.mix = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.into = nn.Linear(width, _MLP_RATIO * width)
        self.out_of = nn.Linear(_MLP_RATIO * width, width)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One block.

        Args:
            tokens: (B, T, d).
            bias: (heads, T, T), added to the attention scores; None for no bias.

        Returns:
            the tokens after the block, and the features (B, T, 4d): the MLP's hidden activations after GELU.
        """
        batch, count, width = tokens.shape
        parts = self.mix(self.norm_attention(tokens)).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mask = None if bias is None else bias[None].to(query.dtype)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        tokens = tokens + self.joined(attended.transpose(1, 2).reshape(batch, count, width))
        features = F.gelu(self.into(self.norm_mlp(tokens)))
        return tokens + self.out_of(features), features


class TinyVit(nn.Module):
    """A tiny ViT; see `VitConfig`.

    Attributes:
        config: the shape.
        depth: number of blocks.
        prefix: number of tokens before those of the patches: 1 with CLS, else 0.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.depth = config.depth
        self.prefix = 0 if config.dense else 1
        self.patches = nn.Conv2d(config.channels, config.width, config.patch, stride=config.patch)
        self.cls = nn.Parameter(0.02 * torch.randn(self.prefix, config.width))
        count = self.prefix + config.grid**2
        learned = config.positions == "learned"
        self.places = nn.Parameter(0.02 * torch.randn(count, config.width)) if learned else None
        self.offsets = None if learned else nn.Parameter(_nearness(config.heads, config.grid))
        blocks = 1 if config.shared else config.depth
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(config.width)
        pixels = config.patch**2 if config.dense else 1
        self.head = nn.Linear(config.width, config.classes * pixels)

    def neurons(self, layer: int) -> int:
        """Number of features of a block."""
        del layer
        return _MLP_RATIO * self.config.width

    def embed(self, images: Tensor) -> Tensor:
        """Tokens before the first block.

        Args:
            images: (B, C, H, W) float in [0, 1]; mazes with their border.

        Returns:
            (B, prefix + patches, d), CLS first.

        Raises:
            ValueError: positions are learned, and the images have another side than in training.
        """
        if self.config.dense:
            images = images[..., 1:-1, 1:-1]
        if self.places is not None and tuple(images.shape[2:]) != (self.config.side,) * 2:
            raise ValueError(f"sides must be {self.config.side} with learned positions, not {tuple(images.shape[2:])}")
        tokens = self.patches(2 * images - 1).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(images), -1, -1), tokens], dim=1)
        return tokens if self.places is None else tokens + self.places

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Apply the block with number `layer`, from 0; returns tokens (B, T, d) and features (B, T, 4d)."""
        module = self.blocks[0 if self.config.shared else layer]
        outcome: tuple[Tensor, Tensor] = module(tokens, self._bias(tokens.shape[1]))
        return outcome

    def _bias(self, count: int) -> Tensor | None:
        """The attention bias (heads, T, T); offsets beyond those in training are treated as the farthest of those.

        CLS, if there is one, has no bias.
        """
        if self.offsets is None:
            return None
        side, most = round((count - self.prefix) ** 0.5), self.config.grid - 1
        places = torch.arange(side, device=self.offsets.device)
        steps = (places[:, None] - places).clamp(-most, most) + most
        pairs = self.offsets[:, steps[:, None, :, None], steps[None, :, None, :]]
        bias = pairs.reshape(len(pairs), side**2, side**2)
        return F.pad(bias, (self.prefix, 0, self.prefix, 0))

    def classify(self, tokens: Tensor) -> Tensor:
        """The last norm and the head: (..., d) -> (..., classes), or (..., 4 pixels x classes) for mazes."""
        logits: Tensor = self.head(self.norm(tokens))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes), or (B, 2, H, W) for mazes, of images (B, C, H, W) float in [0, 1]."""
        tokens = self.embed(images)
        for layer in range(self.depth):
            tokens, _ = self.block(tokens, layer)
        if not self.config.dense:
            return self.classify(tokens[:, 0])
        logits = as_maps(self.classify(tokens))
        return F.pad(F.pixel_shuffle(logits, self.config.patch), (1, 1, 1, 1))

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The features of some blocks as maps over the image, without CLS.

        Args:
            images: (B, C, H, W) float in [0, 1].
            layers: from 0.

        Returns:
            (B, 4d, h, w) for each of the layers.
        """
        tokens, found = self.embed(images), {}
        for layer in range(max(layers) + 1):
            tokens, features = self.block(tokens, layer)
            if layer in layers:
                found[layer] = as_maps(features[:, self.prefix :])
        return [found[layer] for layer in layers]


def _nearness(heads: int, grid: int) -> Tensor:
    """The initial bias for each offset, (heads, 2 grid - 1, 2 grid - 1): heads prefer near tokens, each to its degree.

    It falls by 2, 1, 1/2, ... per step of distance (ALiBi, Press et al. 2022, on a grid), with some noise.
    """
    steps = torch.arange(1 - grid, grid).abs()
    distance = steps[:, None] + steps
    slopes = 2.0 ** (1 - torch.arange(heads))
    return -slopes[:, None, None] * distance + 0.02 * torch.randn(heads, *distance.shape)


def as_maps(tokens: Tensor) -> Tensor:
    """Arrange tokens (B, side * side, n) as maps (B, n, side, side)."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), tokens.shape[2], side, side)


def freeze(net: nn.Module, device: torch.device) -> nn.Module:
    """Move a net to the device, and put it in eval mode, with weights that require no gradient."""
    return net.to(device).eval().requires_grad_(False)
