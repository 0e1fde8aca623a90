"""Changed images and mazes: frequencies removed, the middle or the border hidden, positions of a maze walled up."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.maze_features import places_of

# Cutoffs as shares of the highest frequency along a side; a filter keeps the frequencies below or above one.
CUTOFFS: Final = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)

_BATCH: Final = 500


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


def center_box(side: int) -> slice:
    """The rows (and columns) of the middle box, which has half of the image's area."""
    box = round(side * 0.5**0.5)
    first = (side - box) // 2
    return slice(first, first + box)


def only_center(images: Tensor) -> Tensor:
    """Images with all but the middle box set to 0."""
    box = center_box(images.shape[-1])
    hidden = torch.zeros_like(images)
    hidden[..., box, box] = images[..., box, box]
    return hidden


def only_border(images: Tensor) -> Tensor:
    """Images with the middle box set to 0."""
    return images - only_center(images)


def count_right(
    answer: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    change: Callable[[Tensor], Tensor] = lambda images: images,
) -> int:
    """The number of images that a net classifies correctly after a change.

    Args:
        answer: (B, C, H, W) float in [0, 1] -> logits (B, classes).
        images: (N, C, H, W).
        labels: (N,) int64.
        change: images -> changed images.
    """
    pairs = zip(torch.split(images, _BATCH), torch.split(labels, _BATCH), strict=True)
    return sum(int((answer(change(some)).argmax(dim=1) == right).sum()) for some, right in pairs)


def hide(inputs: Tensor, positions: Tensor) -> Tensor:
    """Mazes (N, 3, H, W) with the given positions (N, h, w) bool turned into wall."""
    pixels = positions.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    framed = torch.nn.functional.pad(pixels, (1, 1, 1, 1))
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
