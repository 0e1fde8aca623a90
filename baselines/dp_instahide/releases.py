"""Classifiers trained on what the mechanism releases: a fixed set of releases, or fresh mixtures in each batch."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.dp_instahide.mechanism import Cell, as_shares, choose_records, release
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import (
    VictimConfig,
    crop_and_flip,
    descend_victims,
    generators_by_epoch,
    set_gradients,
)
from easy_to_hard.progress import progress_bar


def release_items(
    images: Tensor, labels: Tensor, chosen: Tensor, noise_scale: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mix images and labels as one record, add noise, and clip them to their range.

    Args:
        images: (n, C, H, W) uint8.
        labels: (n, K) float, one-hot.
        chosen: (M, k) int64.
        noise_scale: b, in units of the images' [0, 1].
        rng: on the CPU.

    Returns:
        images (M, C, H, W) uint8 and labels (M, K) float32 that sum to 1.
    """
    # The noise scale is for data in [0, 1], but bytes are mixed: it must be 255 times as large.
    noisy = release(images, chosen, 255 * noise_scale, rng)
    return noisy.round().clamp(0, 255).byte(), as_shares(release(labels, chosen, noise_scale, rng))


class Releases:
    """What S nets are trained on: a set of M releases for each, drawn once, or fresh ones in each batch.

    Training on a fixed set is post-processing. With fresh releases, as in augmentation, their number grows with every
    epoch.

    Args:
        sets: the private set of each net, all with the same shape.
        cells: k and b of each net.
        seeds: seed of each net's releases and batches.
        count: M, the number of releases per epoch.
        classes: K.
        device: where to keep the data.
        fresh: whether to draw fresh releases for each batch.
    """

    def __init__(
        self,
        sets: Sequence[Poisoned],
        cells: Sequence[Cell],
        seeds: Sequence[int],
        *,
        count: int,
        classes: int,
        device: torch.device,
        fresh: bool = False,
    ) -> None:
        self.seeds, self.count, self.channels = seeds, count, sets[0].images.shape[1]
        self._cells, self._device = cells, device
        self._images = [one.images.to(device) for one in sets]
        self._labels = [F.one_hot(one.labels, classes).float().to(device) for one in sets]
        self._fixed = None if fresh else self._make(count, "releases")

    def _make(self, size: int, purpose: str, *batch: int) -> tuple[Tensor, Tensor]:
        """Draw `size` releases for each net: images (S, M, C, H, W) uint8 and labels (S, M, K)."""
        images, labels = [], []
        for own, targets, cell, seed in zip(self._images, self._labels, self._cells, self.seeds, strict=True):
            # The same draws for a poisoned set and its clean version, since they are compared.
            rng = generator_of(purpose, seed, *batch, cell.mix_count, repr(cell.noise_scale))
            chosen = choose_records(len(own), cell.mix_count, size, rng)
            made = release_items(own, targets, chosen, cell.noise_scale, rng)
            images.append(made[0])
            labels.append(made[1])
        return torch.stack(images), torch.stack(labels)

    def batch(self, epoch: int, number: int, size: int) -> tuple[Tensor, Tensor]:
        """A batch: images (S, B, C, H, W) float32 in [0, 1] and soft labels (S, B, K) that sum to 1."""
        first, last = number * size, min((number + 1) * size, self.count)
        if self._fixed is None:
            images, labels = self._make(last - first, "fresh", epoch, number)
            return images.float() / 255, labels
        images, labels = self._fixed
        orders = [torch.randperm(self.count, generator=generator_of("order", seed, epoch)) for seed in self.seeds]
        chosen = torch.stack(orders)[:, first:last].to(self._device)
        nets = torch.arange(len(chosen), device=self._device)[:, None]
        return images[nets, chosen].float() / 255, labels[nets, chosen]


def train_on(
    source: Releases, config: VictimConfig, *, device: torch.device, progress: bool = False, title: str = "releases"
) -> Stacked:
    """Train a net for each of the source's seeds, from scratch, with SGD as `VictimConfig` describes.

    Args:
        source: what they are trained on.
        config: training settings, without DP-SGD, which would protect releases, not records.
        device: where to train; on a GPU that supports it, forward passes run in bfloat16.
        progress: whether to show a progress bar.
        title: label of the bar.

    Raises:
        ValueError: private training.
        RuntimeError: a loss is no longer finite.
    """
    if config.private is not None:
        raise ValueError("training on releases is not private training: config.private must be None")
    stacked = Stacked([config.build(source.channels, seed) for seed in source.seeds], device)
    draws = generators_by_epoch("crops", source.seeds)

    def backward(epoch: int, number: int) -> Tensor:
        images, labels = source.batch(epoch, number, config.batch_size)
        images = crop_and_flip(images, config.crop, config.flip, draws(epoch))
        return set_gradients(stacked, images[:, None], labels[:, None])

    with progress_bar(total=config.steps(source.count), desc=title, show=progress) as bar:
        descend_victims(stacked.weights, config, source.count, backward, on_step=bar.update)
    return stacked
