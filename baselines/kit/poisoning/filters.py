"""Filters that look for poisons in the features of a net that was trained on them, to train again without them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned
from easy_to_hard.baselines.kit.seeds import generator_of

# Spectral signatures removes so many times the number of poisons from each class.
_REMOVED: Final = 1.5
# Activation clustering looks at so many principal components, and takes a cluster of less than this share for poisons.
_COMPONENTS: Final = 10
_SMALL_CLUSTER: Final = 0.35
_ROUNDS: Final = 100

Filter = Callable[[Tensor, int], Tensor]
"""Features (n, width) float of the items of one class, and the largest number of poisons -> the suspicious, (n,)."""


def spectral_signatures(features: Tensor, poisons: int) -> Tensor:
    """The items that lie farthest along the class's first principal direction (arXiv 1811.00636).

    1.5 times as many as there may be poisons, but at most half of the class.

    Args:
        features: (n, width) float, of the items of one class.
        poisons: the largest number of poisons among them, at least 0.

    Returns:
        (n,) bool.
    """
    centered = features.double() - features.double().mean(0)
    direction = torch.linalg.svd(centered, full_matrices=False).Vh[0]
    count = min(round(_REMOVED * poisons), len(features) // 2)
    found = torch.zeros(len(features), dtype=torch.bool)
    found[(centered @ direction).square().topk(count).indices.cpu()] = True
    return found


def activation_clustering(features: Tensor, poisons: int) -> Tensor:
    """The smaller of two clusters of a class, if it is small enough to be poisons (arXiv 1811.03728).

    Deviates: principal instead of independent components.

    Args:
        features: (n, width) float, of the items of one class.
        poisons: not used.

    Returns:
        (n,) bool, all False if no cluster has less than 35 % of the class.
    """
    centered = features.double() - features.double().mean(0)
    parts = min(_COMPONENTS, *centered.shape)
    reduced = centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:parts].T
    labels = _two_means(reduced).cpu()
    small = labels if labels.sum() * 2 <= len(labels) else ~labels
    return small if small.sum() < _SMALL_CLUSTER * len(small) else torch.zeros_like(small)


def _two_means(points: Tensor) -> Tensor:
    """Lloyd's algorithm with two clusters, which starts from the two ends of the first axis: (n,) bool."""
    second = points[:, 0] > points[:, 0].median()
    for _ in range(_ROUNDS):
        if second.all() or not second.any():
            break
        centers = torch.stack([points[~second].mean(0), points[second].mean(0)])
        nearest = torch.cdist(points, centers).argmin(1).bool()
        if torch.equal(nearest, second):
            break
        second = nearest
    return second


FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {"spectral_signatures": spectral_signatures, "activation_clustering": activation_clustering}
)


def suspects(train: Poisoned, features: Tensor, suspicious: Filter, *, budget: float) -> Tensor:
    """What a filter finds in a set, class by class.

    Args:
        train: the set.
        features: (N, width) float, of its items in a net that was trained on it.
        suspicious: the filter.
        budget: share of the whole set that may be poisoned.

    Returns:
        (N,) bool.
    """
    found = torch.zeros(len(train), dtype=torch.bool)
    for label in torch.unique(train.labels).tolist():
        of_class = torch.nonzero(train.labels == label).flatten()
        found[of_class] = suspicious(features[of_class.to(features.device)], round(budget * len(train)))
    return found


def without(train: Poisoned, suspicious: Tensor, *, seed: int) -> Poisoned:
    """A set without some of its items, (N,) bool, in whose places come others, drawn at random.

    So sets stay equally large, as nets that are trained together need.

    Args:
        train: the set.
        suspicious: the items to remove; not all.
        seed: decides which items occur twice.

    Raises:
        ValueError: all items are suspicious.
    """
    kept = torch.nonzero(~suspicious).flatten()
    if not len(kept):
        raise ValueError("a filter must leave at least one item")
    again = torch.randint(len(kept), (len(train) - len(kept),), generator=generator_of("filter", seed))
    chosen = torch.cat([kept, kept[again]])
    return Poisoned(images=train.images[chosen], labels=train.labels[chosen], poisoned=train.poisoned[chosen])
