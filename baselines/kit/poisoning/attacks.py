"""Poisoned sets of images and the success of attacks: what evaluations of defenses against poisoning share.

Patch backdoors are here, attacks that optimize their poisons in `crafting`, the attacked nets in `kit.victims`, and
private training with its accountant in `kit.private_training`. Images are uint8 throughout: a poison can always be
stored as an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of

PATCH_SIDE: Final = 4


@dataclass(frozen=True, kw_only=True)
class Poisoned:
    """A training set, some items of which were changed by an attacker.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: (N,) int64 from 0, as the victim sees them.
        poisoned: (N,) bool, the items that were changed; all False for a clean set.

    Raises:
        ValueError: shapes or dtypes that do not fit.
    """

    images: Tensor
    labels: Tensor
    poisoned: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), not {self.images.dtype} {tuple(self.images.shape)}")
        if not len(self.images) == len(self.labels) == len(self.poisoned):
            lengths = len(self.images), len(self.labels), len(self.poisoned)
            raise ValueError(f"there must be as many images as labels and marks, not {lengths}")

    def __len__(self) -> int:
        return len(self.images)


def clean_set(images: Tensor, labels: Tensor) -> Poisoned:
    """A set without poison, from images (N, C, H, W) uint8 and labels (N,)."""
    return Poisoned(images=images, labels=labels, poisoned=torch.zeros(len(images), dtype=torch.bool))


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A patch that is put over the lower right corner of an image.

    Attributes:
        pattern: (C, P, P) uint8, each value 0 or 255, so that no stamped pixel leaves the range of an image. The
            attackers' published code divides the patch by the standard deviation without subtracting the mean first,
            which gives values that no image has.
    """

    pattern: Tensor

    def stamp(self, images: Tensor) -> Tensor:
        """The images (..., C, H, W) with the patch: uint8, or float in [0, 1]; a copy."""
        side = self.pattern.shape[-1]
        pattern = self.pattern.to(images.device)
        stamped = images.clone()
        stamped[..., -side:, -side:] = pattern if images.dtype == torch.uint8 else pattern.to(images.dtype) / 255
        return stamped


def make_trigger(channels: int, *, seed: int, side: int = PATCH_SIDE) -> Trigger:
    """A random pattern of 0 and 255, drawn independently for each channel of a pixel (arXiv 2011.09527)."""
    bits = torch.randint(0, 2, (channels, side, side), generator=generator_of("trigger", seed))
    return Trigger(pattern=(255 * bits).byte())


@dataclass(frozen=True, kw_only=True)
class Backdoor:
    """A set with a backdoor in it, and the trigger of the backdoor.

    Attributes:
        train: the poisoned set.
        trigger: the patch that was stamped on the poisons.
        source: class of the images that the attacker wants to pass for the target class when stamped.
        target: class that the attacker wants stamped images to be given.
    """

    train: Poisoned
    trigger: Trigger
    source: int
    target: int

    def attacked(self, images: Tensor, labels: Tensor) -> Tensor:
        """The test images of the source class, stamped: (M, C, H, W) of the dtype of images (N, C, H, W)."""
        return self.trigger.stamp(images[labels == self.source])


def patch_backdoor(
    images: Tensor,
    labels: Tensor,
    *,
    source: int,
    target: int,
    share: float,
    seed: int,
    clean_label: bool = False,
    side: int = PATCH_SIDE,
) -> Backdoor:
    """A patch backdoor: BadNets (arXiv 1708.06733), or with clean labels as in arXiv 2011.09527.

    Args:
        images: (N, C, H, W) uint8, clean.
        labels: (N,) int64.
        source: class of the images that the attacker wants to pass for the target class when stamped, at test time.
        target: class that the attacker wants stamped images to be given.
        share: of the whole set to poison, in (0, 1]; at least one item, and at most all of the class's items.
        seed: decides the patch and the items.
        clean_label: whether the poisons are stamped images of the target class; otherwise they are stamped images of
            the source class with the label of the target.
        side: of the patch, in pixels.

    Raises:
        ValueError: a share outside (0, 1], a patch that is too large, source and target the same, or no item of the
            class that poisons are made of.
    """
    check_budget(share)
    if not 1 <= side <= min(images.shape[2:]):
        raise ValueError(f"side of the patch must be from 1 to {min(images.shape[2:])}, not {side}")
    if source == target:
        raise ValueError(f"source and target must be different classes, not both {source}")
    trigger = make_trigger(images.shape[1], seed=seed, side=side)
    chosen = choose_items(labels, target if clean_label else source, share, seed=seed)
    new_images, new_labels = images.clone(), labels.clone()
    new_images[chosen] = trigger.stamp(images[chosen])
    new_labels[chosen] = target
    poisoned = torch.zeros(len(images), dtype=torch.bool)
    poisoned[chosen] = True
    train = Poisoned(images=new_images, labels=new_labels, poisoned=poisoned)
    return Backdoor(train=train, trigger=trigger, source=source, target=target)


def check_budget(share: float) -> None:
    """Check that the budget of an attack is a valid share.

    Raises:
        ValueError: it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"budget must be a share of the training set above 0 and at most 1, not {share}")


def choose_items(labels: Tensor, label: int, share: float, *, seed: int) -> Tensor:
    """Items of one class to poison: indices (P,) int64, chosen by the seed.

    P is the share times the number of all items, at least 1 and at most the size of the class.

    Raises:
        ValueError: the class has no items.
    """
    of_class = torch.nonzero(labels == label).flatten()
    if not len(of_class):
        raise ValueError(f"no image of class {label} to make poisons of")
    count = min(max(1, round(share * len(labels))), len(of_class))
    order = torch.randperm(len(of_class), generator=generator_of("poisons", seed))
    return of_class[order[:count]]


@dataclass(frozen=True, kw_only=True)
class AttackSuccess:
    """How often an attack succeeded.

    Attributes:
        rates: of each poisoned net, in [0, 1]: the share of attacked items that are given the target class.
        unpoisoned: the same for nets that were trained in the same way on the clean set.
        num_items: attacked items.
    """

    rates: tuple[float, ...]
    unpoisoned: tuple[float, ...]
    num_items: int


def attack_success(predicted: Tensor, unpoisoned: Tensor, target: int) -> AttackSuccess:
    """Success of an attack, from what nets predict for the attacked items.

    Args:
        predicted: (S, M) int64, classes that S poisoned nets give to M attacked items.
        unpoisoned: (S, M) int64, the same for S clean nets, with the same seeds in the same order.
        target: the class that the attacker wants.

    Raises:
        ValueError: no items, or shapes that differ.
    """
    if predicted.shape != unpoisoned.shape or not predicted.numel():
        raise ValueError(f"both predictions must be (S, M), not {[*predicted.shape]} and {[*unpoisoned.shape]}")
    rates, others = ((given == target).double().mean(1).tolist() for given in (predicted, unpoisoned))
    return AttackSuccess(rates=tuple(rates), unpoisoned=tuple(others), num_items=predicted.shape[1])


def accuracies(predicted: Tensor, labels: Tensor) -> Sequence[float]:
    """Share of items (N,) that each of S nets gets right, from predictions (S, N)."""
    right: list[float] = (predicted == labels.to(predicted.device)).double().mean(1).tolist()
    return right
