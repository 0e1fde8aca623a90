"""The nets that are looked into, and the items that they answer."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import ImageSet, load_images, to_unit_range
from easy_to_hard.baselines.kit.puzzles import Puzzles, Solvers, make_puzzles
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.training import Loop
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, Subject, right_answers
from easy_to_hard.baselines.parameter_saliency.recipes import Recipe

_CHANNELS: Final = (16, 32, 32, 64)
_STRIDES: Final = (1, 2, 2, 1)

# A recurrent net's training ends where so many validation puzzles are solved, which is looked at each so many steps.
_ENOUGH: Final = 0.6
_LOOKED_AT: Final = 25
_VALIDATED: Final = 200


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A net and its test items.

    Attributes:
        subject: the net.
        items: on the net's device where they fit.
        note: what is to be said of the data; may be empty.
    """

    subject: Subject
    items: Puzzles
    note: str = ""


class SmallCnn(nn.Module):
    """Four convolutions, each with batch norm and ReLU, a mean over the picture, and a linear layer: 144 filters.

    Args:
        channels: of the images.
        classes: how many.
        seed: of the weights.
    """

    def __init__(self, channels: int, classes: int, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed_of("small_cnn", seed))
            layers: list[nn.Module] = []
            for width, stride in zip(_CHANNELS, _STRIDES, strict=True):
                layers += [nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            self.features = nn.Sequential(*layers)
            self.classify = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float in [-1, 1] -> (B, classes) logits."""
        logits: Tensor = self.classify(self.features(images).mean((2, 3)))
        return logits


def classes_of(net: nn.Module, images: Tensor) -> Tensor:
    """The answer of a classifier as that of a puzzle of one position: logits (B, classes, 1)."""
    logits: Tensor = net(images)
    return logits[:, :, None]


def as_items(images: Tensor, labels: Tensor) -> Puzzles:
    """Images (N, C, H, W) float and classes (N,) as puzzles of one position."""
    return Puzzles(inputs=images, targets=labels[:, None], mask=torch.ones_like(labels[:, None], dtype=torch.bool))


@dataclass(frozen=True, kw_only=True)
class ImageNets:
    """Small nets trained on labelled images.

    Attributes:
        recipe: how.
        train, test: the images.
        device: of nets and items.

    Raises:
        ValueError: fewer test images than the recipe's items, or all training images of one class.
    """

    recipe: Recipe
    train: ImageSet
    test: ImageSet
    device: torch.device

    def __post_init__(self) -> None:
        if int(self.train.labels.max()) < 1:
            raise ValueError(f"all images of {self.train.name} are of one class: a classifier needs two or more")
        self.test.first(self.recipe.items)
        if self.recipe.patch > min(self.test.images.shape[2:]):
            raise ValueError(f"patch must be at most the side of an image, not {self.recipe.patch}")

    def count_filters(self) -> int:
        """Of a `SmallCnn`."""
        return sum(_CHANNELS)

    def examine(self, seed: int, folder: Path, *, progress: bool) -> Examined:
        """A net, trained or taken from the folder's checkpoint, and the first test images."""
        train, recipe = self.train, self.recipe
        images, labels = train.images.to(self.device), train.labels.to(self.device)
        net = SmallCnn(images.shape[1], int(labels.max()) + 1, seed=seed).to(self.device)

        def loss_at(current: nn.Module, step: int) -> Tensor:
            rows = torch.randint(len(images), (recipe.batch_size,), generator=generator_of("batch", seed, step))
            rows = rows.to(self.device)
            return F.cross_entropy(current(to_unit_range(images[rows])), labels[rows])

        settings = {"images": train.name, "num_images": len(train), "batch_size": recipe.batch_size}
        Loop(net, loss_at, recipe.loop(seed), settings).run(folder, progress=progress)
        test = self.test.first(recipe.items)
        items = as_items(to_unit_range(test.images), test.labels).to(self.device)
        note = "; ".join(filter(None, (train.note, self.test.note)))
        return Examined(subject=Subject(net, classes_of, chunk=recipe.chunk), items=items, note=note)


def load_image_nets(recipe: Recipe, data: str, root: Path, device: torch.device) -> ImageNets:
    """The images read, the nets not yet trained; errors as `load_images`."""
    train, test = (load_images(data, root, train=split) for split in (True, False))
    return ImageNets(recipe=recipe, train=train, test=test, device=device)


class _EnoughError(Exception):
    """Ends a training; no more is wrong."""


@dataclass(frozen=True, kw_only=True)
class PuzzleNets:
    """Recurrent nets on puzzles: trained for too short a time to be always right, or one that is given.

    Training ends when 60 % of validation puzzles are solved, or after the recipe's steps: a net that is always right,
    as these soon are, has no wrong items to look into.

    Attributes:
        recipe: how.
        task: "mazes" or "prefix_sums".
        solvers: builds and trains nets.
        shipped: a trained net, the same for each seed; None to train one by `solvers`.
        device: of nets and items.
    """

    recipe: Recipe
    task: str
    solvers: Solvers
    shipped: nn.Module | None
    device: torch.device

    def count_filters(self) -> int:
        """Of the net that is given, or of any that is trained."""
        return len(Filters.of(self.solvers.build(0) if self.shipped is None else self.shipped))

    def examine(self, seed: int, folder: Path, *, progress: bool) -> Examined:
        """A net, trained or taken from the folder's checkpoint, and fresh test puzzles of the seed."""
        recipe = self.recipe
        # First, as there may be fewer than are asked for.
        items = make_puzzles(self.task, recipe.difficulty, recipe.items, split="test", seed=seed).to(self.device)
        net = self._train(seed, folder, progress) if self.shipped is None else self.shipped.to(self.device)
        return Examined(subject=Subject(net, self.answer(), chunk=recipe.chunk), items=items)

    def answer(self) -> Callable[[nn.Module, Tensor], Tensor]:
        """Logits after the recipe's iterations."""
        return lambda net, inputs: self.solvers.logits(net, inputs, self.recipe.iterations)

    def _train(self, seed: int, folder: Path, progress: bool) -> nn.Module:
        recipe = self.recipe
        puzzles = make_puzzles(self.task, recipe.difficulty, recipe.training_puzzles, seed=seed).to(self.device)
        checked = make_puzzles(
            self.task, recipe.difficulty, min(_VALIDATED, recipe.items), split="validation", seed=seed
        ).to(self.device)
        net = self.solvers.build(seed).to(self.device)

        def loss_at(current: nn.Module, step: int) -> Tensor:
            if step % _LOOKED_AT == 0 and self._solve_rate(current, checked) >= _ENOUGH:
                raise _EnoughError
            rows = torch.randint(len(puzzles), (recipe.batch_size,), generator=generator_of("batch", seed, step))
            return self.solvers.training_loss(current, puzzles[rows.to(self.device)], seed=seed, step=step)

        settings: dict[str, Any] = {
            name: recipe.settings()[name]
            for name in ("batch_size", "width", "difficulty", "iterations", "training_puzzles")
        }
        loop = Loop(net, loss_at, recipe.loop(seed), {"task": self.task, **settings})
        # A checkpoint that was written at the end ends the training of a run that goes on there, too.
        with contextlib.suppress(_EnoughError):
            loop.run(folder, progress=progress)
        return net

    def _solve_rate(self, net: nn.Module, puzzles: Puzzles) -> float:
        with torch.no_grad():
            logits = self.solvers.logits(net, puzzles.inputs, self.recipe.iterations)
        return float(right_answers(logits, puzzles).float().mean())
