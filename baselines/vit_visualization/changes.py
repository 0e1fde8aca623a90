"""Changed images and mazes: frequencies removed, patches shuffled, positions of a maze walled up."""

from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.maze_features import places_of

# Cutoffs as shares of the highest frequency along a side; a filter keeps the frequencies below or above one.
CUTOFFS: Final = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)

_BATCH: Final = 100


def _spectrum(images: Tensor, radius: float, *, below: bool) -> Tensor:
    height, width = images.shape[-2:]
    rows = torch.fft.fftfreq(height, d=1 / height, device=images.device)
    columns = torch.fft.rfftfreq(width, d=1 / width, device=images.device)
    distance = (rows[:, None].square() + columns.square()).sqrt()
    kept = distance <= radius if below else (distance > radius) | (distance == 0)
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * kept, s=(height, width))
    return filtered


def low_pass(images: Tensor, radius: float) -> Tensor:
    """Only the frequencies of at most `radius` cycles per image: (..., H, W) float, clipped to [0, 1]."""
    return _spectrum(images, radius, below=True).clamp(0, 1)


def high_pass(images: Tensor, radius: float) -> Tensor:
    """Only the frequencies of more than `radius` cycles per image, and the mean, or half would be clipped at 0.

    Deviates: the authors' code for this is a stub; keeping the mean is our choice.
    """
    return _spectrum(images, radius, below=False).clamp(0, 1)


def shuffle_patches(images: Tensor, *, side: int, grid: int, rng: torch.Generator) -> Tensor:
    """Cut each image into grid x grid patches, and put them back in a random order, each image in its own.

    Args:
        images: (N, C, H, W) float in [0, 1].
        side: side in pixels to which images are scaled first.
        grid: patches per side; must divide `side`.
        rng: on the CPU.

    Returns:
        (N, C, side, side).

    Raises:
        ValueError: grid does not divide the side.
    """
    if side % grid:
        raise ValueError(f"grid must divide the side {side}, not be {grid}")
    if tuple(images.shape[2:]) != (side, side):
        images = F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    count, channels, patch = len(images), images.shape[1], side // grid
    patches = images.reshape(count, channels, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    orders = torch.stack([torch.randperm(grid**2, generator=rng) for _ in range(count)]).to(images.device)
    mixed = patches[torch.arange(count, device=images.device)[:, None], orders]
    rows = mixed.view(count, grid, grid, channels, patch, patch).permute(0, 3, 1, 4, 2, 5)
    return rows.reshape(count, channels, side, side)


def count_right(answer: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> int:
    """The number of images that a net classifies correctly.

    Args:
        answer: (B, C, H, W) float in [0, 1] -> logits (B, classes).
        images: (N, C, H, W).
        labels: (N,) int64.
    """
    pairs = zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True)
    return sum(int((answer(some).argmax(dim=1) == right).sum()) for some, right in pairs)


def hide(inputs: Tensor, positions: Tensor) -> Tensor:
    """Mazes (N, 3, H, W) with the given positions (N, h, w) bool turned into wall."""
    pixels = positions.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    framed = F.pad(pixels, (1, 1, 1, 1))
    return inputs.masked_fill(framed[:, None], 0.0)


def hidden_positions(items: Puzzles, seed: int) -> dict[str, Tensor]:
    """Positions to hide: name -> (N, h, w) bool; start and goal are never hidden.

    Args:
        items: mazes.
        seed: seed of the random choices.
    """
    places, corners = places_of(items), items.inputs[..., 1:-1:2, 1:-1:2]
    ends = places.free & ~(corners.amin(dim=1) > 0)
    path, others = places.masks["path"] & ~ends, places.free & ~places.masks["path"] & ~ends
    noise = torch.rand(path.shape, generator=generator_of("hidden", seed)).to(path.device)
    one = noise.masked_fill(~path, -1.0).flatten(1)
    single = torch.zeros_like(one, dtype=torch.bool).scatter_(1, one.argmax(dim=1, keepdim=True), True)
    return {
        "half of the dead ends": others & (noise < 0.5),
        "all dead ends": others,
        "one position of the path": single.view_as(path) & path,
        "the path": path,
    }
