"""Wrong items with similar profiles, and whether they are wrong in the same way."""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.statistics import SHARE, SHARE_DIFFERENCE, Figure

PURITY: Final = "neighbours with the same error type"

_LOOKED_AT: Final = 32


def nearest(vectors: Tensor, count: int) -> Tensor:
    """The nearest other rows of each row by cosine similarity, the nearest first.

    Args:
        vectors: (N, D) float.
        count: how many, at least 1; at most N - 1 are returned.

    Returns:
        (N, min(count, N - 1)) int64.

    Raises:
        ValueError: a count below 1, or fewer than two rows.
    """
    if count < 1 or len(vectors) < 2:
        raise ValueError(f"at least one neighbor and two items are needed, not {count} and {len(vectors)}")
    directions = F.normalize(vectors.float(), dim=1)
    cosines = directions @ directions.T
    cosines.fill_diagonal_(-torch.inf)
    return cosines.topk(min(count, len(vectors) - 1), dim=1).indices


def look(inputs: Tensor) -> Tensor:
    """Inputs (N, C, *size) as vectors (N, D) for `nearest`, with their mean subtracted; large pictures are shrunk."""
    if inputs.ndim == 4 and min(inputs.shape[2:]) > _LOOKED_AT:
        inputs = F.adaptive_avg_pool2d(inputs, _LOOKED_AT)
    flat = inputs.flatten(1).float()
    return flat - flat.mean(0)


def purity(near: Tensor, labels: Sequence[str], *, space: str) -> list[Figure]:
    """How many neighbors share an item's error type, and how many of all other items do, which is chance.

    Args:
        near: (N, n) int64, as returned by `nearest`.
        labels: the error type of each of the N items.
        space: the space in which they are near, for the condition.

    Returns:
        three figures with one value per item: the share of neighbors, the share of all others, and the difference.
    """
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    types = torch.tensor([numbers[label] for label in labels])
    same = types[near.cpu()] == types[:, None]
    share = same.double().mean(1)
    others = (types[:, None] == types[None]).double().sum(1) - 1
    chance = others / (len(types) - 1)
    values = {
        "neighbours": (share, SHARE),
        "chance": (chance, SHARE),
        "neighbours less chance": (share - chance, SHARE_DIFFERENCE),
    }
    return [
        Figure.of_items(PURITY, found.tolist(), unit=unit, condition={"space": space, "items": what})
        for what, (found, unit) in values.items()
    ]
