"""A small classifier trained on the spot, whose features FID and KID compare where no Inception weights are at hand."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.metrics import Features
from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.training import Loop, LoopConfig

FEATURE_WIDTH: Final = 64
_BATCH: Final = 128
_EVALUATED: Final = 500
_SCALED: Final = 5000
_TITLES: Final = {"mnist": "MNIST", "cifar10": "CIFAR-10", "folder": "these images"}


class SmallClassifier(nn.Module):
    """Three convolutions, a mean over what is left of the sides, and two layers.

    Args:
        channels: of the images.
        classes: how many.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(1024, FEATURE_WIDTH),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURE_WIDTH, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> (B, classes) logits."""
        logits: Tensor = self.head(self.body(images))
        return logits


def _standardised(body: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """The features less their mean over images (N, C, H, W) uint8, over their standard deviation.

    A net may make its features as large as it likes, and KID goes with their sixth power.
    """
    with torch.no_grad():
        features = torch.cat([body(part.float() / 255) for part in torch.split(images, _EVALUATED)])
    mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-3)
    return lambda batch: (body(batch) - mean) / scale


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A classifier, its features, and how good it is.

    Attributes:
        features: 64 of them, before the last layer, each of mean 0 and variance 1 over training images.
        num_right: test images whose class it gives.
        num_test: test images.
    """

    features: Features
    num_right: int
    num_test: int


def train_classifier(
    train: ImageSet, test: ImageSet, *, steps: int, seed: int, folder: Path | None, progress: bool
) -> TrainedClassifier:
    """Train it on labelled images, on the CPU, or take it up from the folder's checkpoint.

    Args:
        train, test: of one kind and size.
        steps: batches of 128.
        seed: of weights and batches.
        folder: of its checkpoint; None for nowhere.
        progress: whether to show a progress bar.

    Raises:
        ValueError: all images are of one class.
    """
    if int(train.labels.max()) < 1:
        raise ValueError(f"all images of {train.name} are of one class: features to compare them by need two or more")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = SmallClassifier(train.images.shape[1], int(train.labels.max()) + 1)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rows = torch.randint(len(train), (_BATCH,), generator=generator_of("classifier", seed, step))
        return functional.cross_entropy(current(train.images[rows].float() / 255), train.labels[rows])

    config = LoopConfig(steps=steps, learning_rate=2e-3, decay="linear", ema_from=0, ema_decay=0.9, seed=seed)
    settings = {"images": train.name, "num_images": len(train), "side": train.images.shape[-1]}
    loop = Loop(net, loss_at, config, settings)
    loop.run(folder, progress=progress)
    extract = _standardised(loop.net.get_submodule("body"), train.images[:_SCALED])
    with torch.no_grad():
        answers = torch.cat(
            [loop.net(part.float() / 255).argmax(dim=1) for part in torch.split(test.images, _EVALUATED)]
        )
    return TrainedClassifier(
        features=Features(
            name=f"features of a small CNN trained on {_TITLES.get(train.name, train.name)} here", extract=extract
        ),
        num_right=int((answers == test.labels).sum()),
        num_test=len(test),
    )
