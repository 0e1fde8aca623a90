"""Defenses by augmentation: mixup, CutMix, Cutout and MaxUp, as described in arXiv 2011.09527.

The authors' published code differs: its MaxUp takes the highest loss over draws of different items, and piles the boxes
of all draws on one tensor; its default strength of 0 turns mixing off. Here MaxUp takes each item's own highest loss.

torchvision's MixUp and CutMix are not used: they mix an item with its neighbor in the batch, two at a time, and draw
from the global random state, whereas nets that train together each need draws of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.victims import Augment, Generators

# MaxUp begins after 5 of 40 epochs.
_MAXUP_FROM: Final = 5 / 40
# Cutout's box covers this share of what its side ratio leaves: 18 of 32 pixels a side in the authors' code.
_CUTOUT_KEPT: Final = 0.66


@dataclass(frozen=True, kw_only=True)
class Mixup:
    """k-way mixup (arXiv 1710.09412): weights from a flat Dirichlet, one draw per batch, and k permutations.

    Attributes:
        ways: k, the number of items mixed into one, at least 2.
    """

    ways: int = 2

    def __call__(
        self, images: Tensor, targets: Tensor, *, generators: Generators, progress: float
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`."""
        shares = torch.stack([flat_dirichlet(self.ways, one) for one in generators])
        orders = [permutations(images.shape[1], generators) for _ in range(self.ways)]
        return mix(images, orders, shares)[:, None], mix(targets, orders, shares)[:, None]


def flat_dirichlet(ways: int, generator: torch.Generator) -> Tensor:
    """Weights (ways,) float32 from Dirichlet(1, ..., 1), which sum to 1."""
    drawn = torch.empty(ways).exponential_(generator=generator)
    return drawn / drawn.sum()


def permutations(count: int, generators: Generators) -> Tensor:
    """A random permutation for each net: (S, count) int64."""
    return torch.stack([torch.randperm(count, generator=one) for one in generators])


def mix(values: Tensor, orders: Sequence[Tensor], shares: Tensor) -> Tensor:
    """sum_i shares_i * values in the i-th order.

    Args:
        values: (S, B, ...).
        orders: k tensors (S, B) int64.
        shares: (S, k), the weights for each net.
    """
    columns = shares.to(values.device).view(*shares.shape, *(1 for _ in values.shape[1:]))
    return torch.stack([columns[:, way] * arrange(values, order) for way, order in enumerate(orders)]).sum(0)


def arrange(values: Tensor, order: Tensor) -> Tensor:
    """values (S, B, ...) with each net's items in its own order (S, B)."""
    rows = torch.arange(len(values), device=values.device)[:, None]
    return values[rows, order.to(values.device)]


def draw_boxes(areas: Tensor, sides: Sequence[int], generators: Generators) -> Tensor:
    """A box with a uniformly drawn center for each net, clipped at the border of the image.

    Args:
        areas: (S,) float, area of the box before clipping, as a share of the image.
        sides: height and width of the image.
        generators: one for each net.

    Returns:
        (S, 1, 1, H, W) float32, 1 inside.
    """
    half = areas.sqrt() / 2
    centers = torch.stack([torch.rand(2, generator=one) for one in generators])
    masks = []
    for axis, size in enumerate(sides):
        reach = (half * size).round()
        middle = (centers[:, axis] * size).floor()
        places = torch.arange(size)
        masks.append((places >= (middle - reach)[:, None]) & (places < (middle + reach)[:, None]))
    return (masks[0][:, :, None] & masks[1][:, None, :]).float()[:, None, None]


@dataclass(frozen=True, kw_only=True)
class CutMix:
    """CutMix (arXiv 1905.04899): a box from another item is pasted in, and the labels are mixed by area.

    Attributes:
        probability: that a batch is changed.
    """

    probability: float = 0.5

    def __call__(
        self, images: Tensor, targets: Tensor, *, generators: Generators, progress: float
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`; the pasted item's label has the share of the box after clipping at the border."""
        drawn = torch.stack([torch.rand(2, generator=one) for one in generators])
        # lambda is uniform, Beta(1, 1): the box has an area of 1 - lambda.
        areas = (1 - drawn[:, 0]) * (drawn[:, 1] < self.probability)
        boxes = draw_boxes(areas, images.shape[3:], generators).to(images.device)
        order = permutations(images.shape[1], generators)
        pasted = boxes.mean((2, 3, 4))[..., None]
        mixed = images * (1 - boxes) + arrange(images, order) * boxes
        return mixed[:, None], (targets * (1 - pasted) + arrange(targets, order) * pasted)[:, None]


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """Cutout (arXiv 1708.04552): one box per batch is filled with the mean color of the batch.

    Deviates: the mean color is that of the batch, not of the whole set, to save a pass over the data.
    """

    def __call__(
        self, images: Tensor, targets: Tensor, *, generators: Generators, progress: float
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`."""
        areas = torch.full((len(images),), 1 - _CUTOUT_KEPT)
        boxes = draw_boxes(areas, images.shape[3:], generators).to(images.device)
        color = images.mean((1, 3, 4), keepdim=True)
        return (images * (1 - boxes) + color * boxes)[:, None], targets[:, None]


@dataclass(frozen=True, kw_only=True)
class MaxUp:
    """MaxUp (arXiv 2002.09024): train on each item's highest loss over several draws of an augmentation.

    Attributes:
        inner: the augmentation, which makes one version of each item (M = 1).
        draws: number of draws, at least 2.
        begins: share of training at the start in which items are not augmented.
    """

    inner: Augment
    draws: int = 4
    begins: float = _MAXUP_FROM

    def __call__(
        self, images: Tensor, targets: Tensor, *, generators: Generators, progress: float
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`."""
        if progress < self.begins:
            return images[:, None], targets[:, None]
        versions = [self.inner(images, targets, generators=generators, progress=progress) for _ in range(self.draws)]
        return torch.cat([one for one, _ in versions], 1), torch.cat([one for _, one in versions], 1)


DEFENSES: Final[MappingProxyType[str, Callable[[], Augment | None]]] = MappingProxyType(
    {
        "none": lambda: None,
        "mixup": lambda: Mixup(ways=2),
        "mixup4": lambda: Mixup(ways=4),
        "cutmix": CutMix,
        "cutout": Cutout,
        "maxup": lambda: MaxUp(inner=Cutout()),
        # It adds noise to gradients, not to images: see `VictimConfig.private`.
        "dp_sgd": lambda: None,
    }
)
