"""The images of a run, read and brought to their side."""

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.image_data import FOLDER_SIDE, ImageSet, load_images
from easy_to_hard.baselines.vit_visualization.recipes import SIDES, TINY_VIT, VIT_SMALL, ImageRecipe

CHOSEN_ON: Final = 2000
"""Number of training images by which the best place of a patch is chosen."""

Composable: TypeAlias = tuple[tuple[ImageSet, ImageSet], tuple[ImageSet, ImageSet]]
"""(digits, photographs) for training and for test."""


@dataclass(frozen=True, kw_only=True)
class PreparedImages:
    """The images of a run: test images float in [0, 1] on the device, training images as bytes.

    Attributes:
        train: training images; of a folder, for a net that is not trained here, only some.
        test, labels: test images and their classes.
        classes: number of classes.
        note: remarks on the data.
        composable: what training and test pictures are composed of; None where MNIST or CIFAR-10 is missing.
    """

    train: ImageSet
    test: Tensor
    labels: Tensor
    classes: int
    note: str
    composable: Composable | None = None


def prepare_images(recipe: ImageRecipe, device: torch.device) -> PreparedImages:
    """Read the images, and put the test images in a fixed random order. Raises the errors of `load_images`."""
    here = recipe.model == TINY_VIT
    side, most = (FOLDER_SIDE, (0, 0)) if here else (recipe.side, (CHOSEN_ON, recipe.test_images))
    train, test = (
        load_images(recipe.data, recipe.data_root, train=split, download=recipe.download, side=side, most=count)
        for split, count in zip((True, False), most, strict=True)
    )
    if here:
        train, test = train.resized(SIDES[recipe.data]), test.resized(SIDES[recipe.data])
    note = "; ".join(filter(None, (train.note, test.note)))
    classes = int(train.labels.max()) + 1
    if recipe.model != VIT_SMALL and recipe.test_images:
        test = in_fixed_order(test).first(min(len(test), recipe.test_images))
    return PreparedImages(
        train=train,
        test=to_unit_interval(test.images.to(device)),
        labels=test.labels.to(device),
        classes=classes,
        note=note,
        composable=_composable(recipe, (train, test)),
    )


def _composable(recipe: ImageRecipe, photographs: tuple[ImageSet, ImageSet]) -> Composable | None:
    if recipe.model != VIT_SMALL or recipe.data != "cifar10":
        return None
    try:
        train, test = (load_images("mnist", recipe.data_root, train=split) for split in (True, False))
    except FileNotFoundError:
        return None
    return (train, photographs[0]), (test, photographs[1])


def in_fixed_order(images: ImageSet) -> ImageSet:
    """The images in a fixed random order, since folders have their classes one after another."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return replace(images, images=images.images[order], labels=images.labels[order])


def to_unit_interval(images: Tensor) -> Tensor:
    """Convert uint8 to float32 in [0, 1]."""
    return images.float() / 255
