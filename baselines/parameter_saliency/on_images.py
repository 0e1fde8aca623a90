"""The evaluation on images: small nets trained here, a pretrained net from a package, or the paper's nets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import ImageSet, import_torchvision, load_images, to_unit_range
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.pretrained import CIFAR10_IN_IMAGENET, EfficientNetLite0, GroupedClasses
from easy_to_hard.baselines.kit.puzzles import Puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.training import train_classifier
from easy_to_hard.baselines.parameter_saliency.error_types import PATCH, Errors, class_errors
from easy_to_hard.baselines.parameter_saliency.evaluation import Answers, NetSource, evaluate
from easy_to_hard.baselines.parameter_saliency.input_saliency import LocatedErrors
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, Items, ProfiledNet
from easy_to_hard.baselines.parameter_saliency.recipes import EFFICIENTNET, TORCHVISION, ImageRecipe
from easy_to_hard.scores.reference import ReferenceResult

_WIDTHS: Final = (16, 32, 32, 64)
_STRIDES: Final = (1, 2, 2, 1)

_PATCH_TRIES: Final = 30
# Right images to try for each wrong one that is needed: not all of them can be made wrong.
_PLANTABLE: Final = 3
_DONORS: Final = 500


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Evaluate the recipe's nets; see `evaluate`, and `load_images` for further errors."""
    return evaluate(_nets_of(recipe, get_device(device)), folder, device=device, progress=progress)


def _nets_of(recipe: ImageRecipe, device: torch.device) -> "Classifiers":
    if recipe.model in TORCHVISION:
        return load_torchvision_nets(recipe, device)
    test = load_images(recipe.data, recipe.data_root, train=False, download=recipe.download)
    if recipe.model == EFFICIENTNET:
        return PretrainedNets(recipe=recipe, test=test, device=device, note=test.note)
    train = load_images(recipe.data, recipe.data_root, train=True, download=recipe.download)
    note = "; ".join(filter(None, (train.note, test.note)))
    return SmallNets(recipe=recipe, train=train, test=test, device=device, note=note)


def class_logits(net: nn.Module, images: Tensor) -> Tensor:
    """The answer of a classifier, in the form of a one-position puzzle: logits (B, classes, 1)."""
    logits: Tensor = net(images)
    return logits[:, :, None]


def as_items(images: Tensor, labels: Tensor) -> Puzzles:
    """Images (N, C, H, W) float and classes (N,) as one-position puzzles."""
    return Puzzles(inputs=images, targets=labels[:, None], mask=torch.ones_like(labels[:, None], dtype=torch.bool))


@dataclass(frozen=True, kw_only=True)
class Classifiers(NetSource):
    """Nets that classify images; errors with a known place are made by planting patches."""

    recipe: ImageRecipe

    def errors(self, wrong: Puzzles, predicted: Tensor) -> Errors:
        """The true class and the predicted one."""
        return class_errors(wrong, predicted, tuple(CIFAR10_IN_IMAGENET) if self.recipe.data == "cifar10" else ())

    def locate(self, answers: Answers) -> LocatedErrors | None:
        """Right images with a patch that makes them wrong; None if no image could be made wrong."""
        net, recipe, items = answers.mistakes.net, self.recipe, answers.items
        planted, places = plant_patches(
            net,
            items[answers.is_right.nonzero()[: _PLANTABLE * recipe.mapped, 0]].to(net.device),
            items[: min(len(items) // 2, _DONORS)].inputs.to(net.device),
            side=recipe.patch,
            tries=_PATCH_TRIES,
            count=recipe.mapped,
            seed=answers.mistakes.seed,
        )
        if not len(planted):
            return None
        predicted = net.logits(planted.inputs).argmax(1)
        return LocatedErrors(
            items=planted,
            predicted=predicted,
            labels=self.errors(planted, predicted).labels,
            profiles=answers.standard.apply(net.profiles(planted)),
            regions={PATCH: places},
        )


@dataclass(frozen=True, kw_only=True)
class SmallNets(Classifiers):
    """Small nets with 144 filters, trained here.

    Attributes:
        train, test: the images.

    Raises:
        ValueError: fewer test images than the recipe's items, or all training images of one class.
    """

    train: ImageSet
    test: ImageSet

    def __post_init__(self) -> None:
        if int(self.train.labels.max()) < 1:
            raise ValueError(f"all images of {self.train.name} are of one class: a classifier needs two or more")
        self.test.first(self.recipe.items)
        if self.recipe.patch > min(self.test.images.shape[2:]):
            raise ValueError(f"patch must be at most the side of an image, not {self.recipe.patch}")

    def count_filters(self) -> int:
        """Number of filters, the same for all nets."""
        return len(Filters.of(build_small_net(self.train.images.shape[1], 2, 0), self.recipe.aggregation))

    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Puzzles]:
        """The seed's net, and the first test images."""
        train, recipe = self.train, self.recipe
        net = build_small_net(train.images.shape[1], int(train.labels.max()) + 1, seed).to(self.device)
        train_classifier(
            net,
            train.images,
            train.labels,
            recipe.loop(seed),
            batch_size=recipe.batch_size,
            as_input=to_unit_range,
            settings={"images": train.name, "num_images": len(train)},
            folder=folder,
            name=f"seed{seed}",
            progress=progress,
        )
        test = self.test.first(recipe.items)
        items = as_items(to_unit_range(test.images), test.labels).to(self.device)
        return profiled(net, recipe), items


def build_small_net(channels: int, classes: int, seed: int) -> SmallConvNet:
    """Four convolutions, each with batch norm and ReLU, a mean over the image, and a linear layer."""
    with seeded("small_cnn", seed):
        return SmallConvNet(channels, classes, widths=_WIDTHS, strides=_STRIDES, norm=True)


def profiled(net: nn.Module, recipe: ImageRecipe) -> ProfiledNet:
    """A classifier with the recipe's profiles."""
    return ProfiledNet(net, class_logits, chunk=recipe.chunk, aggregation=recipe.aggregation)


@dataclass(frozen=True, kw_only=True)
class PretrainedNets(Classifiers):
    """EfficientNet-Lite0 on CIFAR-10, whose classes are groups of ImageNet's; each seed has other images.

    Attributes:
        test: the images.

    Raises:
        ValueError: fewer images than the recipe's items.
    """

    test: ImageSet
    locates: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.test.first(self.recipe.items)

    def count_filters(self) -> int:
        """Number of filters of the net."""
        return len(Filters.of(build_pretrained(self.recipe.side), self.recipe.aggregation))

    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Items]:
        """The net and some of the images, drawn by the seed; nothing is trained."""
        del folder, progress
        chosen = torch.randperm(len(self.test), generator=generator_of("images", seed))[: self.recipe.items]
        images = self.test.images[chosen].float() / 255
        images = F.interpolate(images, (self.recipe.side,) * 2, mode="bicubic").clamp(0, 1)
        return profiled(build_pretrained(self.recipe.side).to(self.device), self.recipe), as_items(
            images, self.test.labels[chosen]
        )

    def locate(self, answers: Answers) -> LocatedErrors:
        """The first wrong items, with no known places."""
        mistakes, first = answers.mistakes, slice(self.recipe.mapped)
        return LocatedErrors(
            items=mistakes.wrong[first],
            predicted=mistakes.predicted[first],
            labels=answers.errors.labels[first],
            profiles=mistakes.profiles[first],
            regions={},
        )


def build_pretrained(side: int) -> GroupedClasses:
    """EfficientNet-Lite0 for CIFAR-10 on images of a side; ImportError if its packages are missing."""
    return GroupedClasses(EfficientNetLite0(side), CIFAR10_IN_IMAGENET.values())


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """Images that are read from their files when they are asked for; none is held in memory.

    Attributes:
        files: torchvision's `ImageFolder`.
        order: numbers of the files, (N,) int64.
    """

    files: Any
    order: Tensor

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, chosen: slice | Tensor) -> Puzzles:
        """Read some of the images."""
        images, labels = zip(*(self.files[row] for row in self.order[chosen].tolist()), strict=True)
        return as_items(torch.stack(images), torch.tensor(labels))


@dataclass(frozen=True, kw_only=True)
class TorchvisionNets(Classifiers):
    """A net from torchvision, and images in `root/CLASS/*`, with folders in the order of ImageNet's classes.

    Attributes:
        files: torchvision's `ImageFolder`.
        net: the net, with its weights.
    """

    files: Any
    net: nn.Module

    def count_filters(self) -> int:
        """Number of filters of the net."""
        return len(Filters.of(self.net, self.recipe.aggregation))

    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Items]:
        """The net and some of the images, drawn by the seed; nothing is trained."""
        del folder, progress
        order = torch.randperm(len(self.files), generator=generator_of("images", seed))[: self.recipe.items]
        return profiled(self.net.to(self.device), self.recipe), ImageFiles(files=self.files, order=order)


def load_torchvision_nets(recipe: ImageRecipe, device: torch.device) -> TorchvisionNets:
    """Find the images, and fetch the weights with torchvision's own download.

    Raises:
        FileNotFoundError: no such folder, or no images in it.
        ValueError: too few images.
        RuntimeError: the weights cannot be downloaded.
        ImportError: torchvision is not installed.
    """
    name, root = recipe.model, recipe.data_root
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: --data-root must hold ImageNet's validation set as CLASS/*.JPEG")
    torchvision = import_torchvision()
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        files = torchvision.datasets.ImageFolder(str(root), transform=weights.transforms())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no images in {root}: {str(error).splitlines()[0]}") from error
    if len(files) < recipe.items:
        raise ValueError(f"items must be at most {len(files)}, all images in {root}, not {recipe.items}")
    try:
        net = torchvision.models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:150]
        raise RuntimeError(
            f"the weights of {name} cannot be downloaded: {reason}; torchvision downloads them once"
        ) from error
    return TorchvisionNets(recipe=recipe, files=files, net=net, device=device)


def plant_patches(
    net: ProfiledNet, right: Puzzles, donors: Tensor, *, side: int, tries: int, count: int, seed: int
) -> tuple[Puzzles, Tensor]:
    """Plant patches in right items, and keep the items that become wrong by the patch alone.

    Each try copies a patch from a random place of another image to a random place of the item. An item is kept with the
    first patch that makes its answer wrong.

    Args:
        net: the net.
        right: items that it gets right, inputs (N, C, H, W).
        donors: (M, C, H, W), images from which patches are taken.
        side: side of the patch in pixels, at most H and W.
        tries: tries per item, at least 1.
        count: most items to return.
        seed: seed for drawing places and donors.

    Returns:
        the wrong items, possibly none, and where their patches are: (n, H, W) bool.
    """
    rng = generator_of("patches", seed)
    height, width = right.inputs.shape[-2:]
    inputs, places = [], []
    done = torch.zeros(len(right), dtype=torch.bool, device=right.inputs.device)
    rows = []
    for _ in range(tries):
        tried, patches = right.inputs.clone(), torch.zeros_like(right.inputs[:, 0], dtype=torch.bool)
        for item in range(len(right)):
            donor = int(torch.randint(len(donors), (), generator=rng))
            top, left, above, beside = (
                int(torch.randint(edge - side + 1, (), generator=rng)) for edge in (height, width) * 2
            )
            tried[item, :, top : top + side, left : left + side] = donors[
                donor, :, above : above + side, beside : beside + side
            ]
            patches[item, top : top + side, left : left + side] = True
        flipped = ~solved(net.logits(tried), right) & ~done
        done |= flipped
        inputs.append(tried[flipped])
        places.append(patches[flipped])
        rows.append(flipped.nonzero()[:, 0])
    chosen = torch.cat(rows)[:count]
    return right[chosen].with_inputs(torch.cat(inputs)[:count]), torch.cat(places)[:count]
