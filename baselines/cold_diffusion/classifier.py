"""A small classifier trained in the run, whose features FID and KID compare if no Inception weights are available."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.metrics import Features
from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.training import Loop, LoopConfig, train_part

FEATURE_WIDTH: Final = 64
_BATCH: Final = 128
_EVALUATED: Final = 500
_SCALED: Final = 5000
# Of weights and batches: one classifier for all seeds of a run.
_SEED: Final = 0
_TITLES: Final = {"mnist": "MNIST", "cifar10": "CIFAR-10", "folder": "these images"}


def build_classifier(channels: int, classes: int) -> nn.Sequential:
    """A net of two parts: images (B, channels, H, W) float in [0, 1] -> 64 features -> logits (B, classes)."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)
        features = SmallConvNet(
            channels, FEATURE_WIDTH, widths=(16, 32, 64), strides=(2, 2, 1), kernels=(5, 3, 3), grid=4
        )
        return nn.Sequential(nn.Sequential(features, nn.ReLU()), nn.Linear(FEATURE_WIDTH, classes))


def _standardized(body: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """The features minus their mean over images (N, C, H, W) uint8, divided by their standard deviation.

    The scale of a net's features is arbitrary, and KID grows with its sixth power.
    """
    with torch.no_grad():
        features = torch.cat([body(part.float() / 255) for part in torch.split(images, _EVALUATED)])
    mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-3)
    return lambda batch: (body(batch) - mean) / scale


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A trained classifier's features and accuracy.

    Attributes:
        features: the 64 features before the last layer, each of mean 0 and variance 1 over training images.
        num_right: number of test images classified correctly.
        num_test: number of test images.
    """

    features: Features
    num_right: int
    num_test: int


def train_classifier(
    train: ImageSet, test: ImageSet, *, steps: int, folder: RunFolder, progress: bool
) -> TrainedClassifier:
    """Train the classifier on labeled images, on the CPU, or continue from the run's folder.

    Args:
        train, test: images of one kind and size.
        steps: batches of 128.
        folder: of the run.
        progress: whether to show a progress bar.

    Raises:
        ValueError: all images are of one class.
    """
    if int(train.labels.max()) < 1:
        raise ValueError(f"all images of {train.name} are of one class: training the features needs two or more")
    net = build_classifier(train.images.shape[1], int(train.labels.max()) + 1)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rows = torch.randint(len(train), (_BATCH,), generator=generator_of("classifier", _SEED, step))
        return functional.cross_entropy(current(train.images[rows].float() / 255), train.labels[rows])

    config = LoopConfig(steps=steps, learning_rate=2e-3, decay="linear", ema_from=0, ema_decay=0.9, seed=_SEED)
    settings = {"images": train.name, "num_images": len(train), "side": train.images.shape[-1]}
    train_part(Loop(net, loss_at, config, settings), folder, "classifier", progress=progress)
    with torch.no_grad():
        answers = torch.cat([net(part.float() / 255).argmax(dim=1) for part in torch.split(test.images, _EVALUATED)])
    return TrainedClassifier(
        features=Features(
            name=f"features of a small CNN trained on {_TITLES.get(train.name, train.name)} here",
            extract=_standardized(net[0], train.images[:_SCALED]),
        ),
        num_right=int((answers == test.labels).sum()),
        num_test=len(test),
    )
