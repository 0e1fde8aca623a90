"""The nets that are trained here: a tiny ViT and a small convolutional net on images, a tiny ViT on mazes."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.puzzles import Puzzles, mean_loss
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.training import Loop, LoopConfig
from easy_to_hard.baselines.vit_visualization.maximising import turned
from easy_to_hard.baselines.vit_visualization.recurrent import freeze
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig


class SmallConvNet(nn.Module):
    """The convolutional net that ViTs are compared with: four 3 x 3 convolutions with batch norm, and a mean.

    Args:
        channels: of the images.
        classes: how many.
        width: channels of the first two convolutions; the last two have twice as many.
    """

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_layer(channels, width, 1),
            *_layer(width, width, 2),
            *_layer(width, 2 * width, 2),
            *_layer(2 * width, 2 * width, 1),
        )
        self.head = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> logits (B, classes)."""
        logits: Tensor = self.head(self.body(2 * images - 1).mean(dim=(2, 3)))
        return logits


def _layer(before: int, after: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()


def build_conv_net(channels: int, classes: int, width: int, seed: int) -> SmallConvNet:
    """Its weights are a function of the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of("small conv net", seed))
        return SmallConvNet(channels, classes, width)


def train_on_images(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    config: LoopConfig,
    *,
    batch_size: int,
    settings: Mapping[str, Any],
    folder: Path | None,
    device: torch.device,
    progress: bool,
) -> nn.Module:
    """Train a classifier, from the folder's checkpoint where there is one.

    Args:
        net: gives logits (B, classes).
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        config: how; its seed decides the batches.
        batch_size: images a step.
        settings: whatever else decides the run.
        folder: of the checkpoint; None for nowhere.
        device: where.
        progress: whether to show a bar.

    Returns:
        the net, frozen.

    Raises:
        RuntimeError: the loss is no longer finite.
        ValueError: the checkpoint is of another run.
    """
    images, labels = images.to(device), labels.to(device)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rng = generator_of("batch", config.seed, step)
        rows = torch.randint(len(images), (batch_size,), generator=rng).to(device)
        return F.cross_entropy(current(images[rows].float() / 255), labels[rows])

    loop = Loop(net.to(device), loss_at, config, {"batch_size": batch_size, "images": len(images), **settings})
    loop.run(folder, progress=progress)
    return freeze(loop.net, device)


def train_on_mazes(
    shape: VitConfig,
    items: Puzzles,
    config: LoopConfig,
    *,
    batch_size: int,
    folder: Path | None,
    device: torch.device,
    progress: bool,
) -> TinyVit:
    """Train a tiny ViT to mark the path, from the folder's checkpoint where there is one.

    Args:
        shape: of the net; `maze_config` makes it.
        items: mazes, at any number of which a step looks.
        config: how; its seed decides weights and batches.
        batch_size: mazes a step; each is turned or mirrored at random.
        folder: of the checkpoint; None for nowhere.
        device: where.
        progress: whether to show a bar.

    Returns:
        the net, frozen.

    Raises:
        RuntimeError: the loss is no longer finite.
        ValueError: the checkpoint is of another run.
    """
    held = items.to(device)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rng = generator_of("maze batch", config.seed, step)
        rows = torch.randint(len(items), (batch_size,), generator=rng).to(device)
        turn, batch = int(torch.randint(8, (), generator=rng)), held[rows]
        inputs, targets, mask = (turned(part, turn) for part in (batch.inputs, batch.targets, batch.mask))
        batch = Puzzles(inputs=inputs, targets=targets, mask=mask)
        return mean_loss(current(batch.inputs), batch)

    settings = {"batch_size": batch_size, "items": len(items), "shape": asdict(shape)}
    net = shape.build(config.seed)
    loop = Loop(net.to(device), loss_at, config, settings)
    loop.run(folder, progress=progress)
    freeze(net, device)
    return net
