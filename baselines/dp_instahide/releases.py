"""Classifiers trained on what the mechanism gives away: a fixed set of releases, or fresh mixtures in each batch."""

from collections.abc import Sequence
from typing import Protocol

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


class Source(Protocol):
    """Where S nets get their batches from."""

    seeds: Sequence[int]
    count: int
    channels: int

    def batch(self, epoch: int, number: int, size: int) -> tuple[Tensor, Tensor]:
        """Images (S, B, C, H, W) float32 in [0, 1] and soft labels (S, B, K) that sum to 1."""


def release_items(
    images: Tensor, labels: Tensor, chosen: Tensor, noise_scale: float, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images and labels, mixed and noised as one record, then cut back to their box.

    Args:
        images: (n, C, H, W) uint8.
        labels: (n, K) float, one-hot.
        chosen: (M, k) int64.
        noise_scale: b, in units of the images' [0, 1].
        rng: on the CPU.

    Returns:
        images (M, C, H, W) uint8 and labels (M, K) float32 that sum to 1.
    """
    # Noise has the unit of [0, 1], and bytes are mixed as they are: 255 times as large.
    noisy = release(images, chosen, 255 * noise_scale, rng)
    return noisy.round().clamp(0, 255).byte(), as_shares(release(labels, chosen, noise_scale, rng))


class FixedReleases:
    """A set of M releases for each net, drawn once: what is trained on it is post-processing.

    Args:
        sets: the private sets of the S nets, of the same shape.
        cells: k and b of each.
        seeds: of each net's releases and batches.
        releases: M.
        classes: K.
        device: where.
    """

    def __init__(
        self,
        sets: Sequence[Poisoned],
        cells: Sequence[Cell],
        seeds: Sequence[int],
        *,
        releases: int,
        classes: int,
        device: torch.device,
    ) -> None:
        self.seeds, self.count, self.channels = seeds, releases, sets[0].images.shape[1]
        self._device = device
        images, labels = [], []
        for one, cell, seed in zip(sets, cells, seeds, strict=True):
            # The same for a poisoned set and its clean one: they are compared with one another.
            rng = generator_of("releases", seed, cell.mix_count, repr(cell.noise_scale))
            chosen = choose_records(len(one), cell.mix_count, releases, rng)
            one_hot = F.one_hot(one.labels, classes).float()
            made = release_items(one.images.to(device), one_hot.to(device), chosen, cell.noise_scale, rng)
            images.append(made[0])
            labels.append(made[1])
        self._images, self._labels = torch.stack(images), torch.stack(labels)

    def batch(self, epoch: int, number: int, size: int) -> tuple[Tensor, Tensor]:
        """See `Source`."""
        orders = [
            torch.randperm(self.count, generator=generator_of("order", seed, epoch))[
                number * size : (number + 1) * size
            ]
            for seed in self.seeds
        ]
        chosen = torch.stack(orders).to(self._device)
        nets = torch.arange(len(chosen), device=self._device)[:, None]
        return self._images[nets, chosen].float() / 255, self._labels[nets, chosen]


class FreshReleases:
    """New releases in each batch, as augmentation is done: M grows with every epoch.

    Args: as of `FixedReleases`; an epoch is of `releases` items.
    """

    def __init__(
        self,
        sets: Sequence[Poisoned],
        cells: Sequence[Cell],
        seeds: Sequence[int],
        *,
        releases: int,
        classes: int,
        device: torch.device,
    ) -> None:
        self.seeds, self.count, self.channels = seeds, releases, sets[0].images.shape[1]
        self._cells = cells
        self._images = [one.images.to(device) for one in sets]
        self._labels = [F.one_hot(one.labels, classes).float().to(device) for one in sets]

    def batch(self, epoch: int, number: int, size: int) -> tuple[Tensor, Tensor]:
        """See `Source`."""
        size = min(size, self.count - number * size)
        images, labels = [], []
        for own, targets, cell, seed in zip(self._images, self._labels, self._cells, self.seeds, strict=True):
            rng = generator_of("fresh", seed, epoch, number, cell.mix_count, repr(cell.noise_scale))
            chosen = choose_records(len(own), cell.mix_count, size, rng)
            made = release_items(own, targets, chosen, cell.noise_scale, rng)
            images.append(made[0])
            labels.append(made[1])
        return torch.stack(images).float() / 255, torch.stack(labels)


def train_on(
    source: Source, config: VictimConfig, *, device: torch.device, progress: bool = False, title: str = "releases"
) -> Stacked:
    """Train a net for each of the source's seeds, from scratch, by SGD as `VictimConfig` says.

    Args:
        source: of batches.
        config: how; `private` is not for releases.
        device: where; on a GPU that has it forward passes run in bfloat16.
        progress: whether to show a bar.
        title: of the bar.

    Raises:
        RuntimeError: a loss is no longer finite.
    """
    stacked = Stacked([config.build(source.channels, seed) for seed in source.seeds], device)
    draws = generators_by_epoch("crops", source.seeds)

    def backward(epoch: int, number: int) -> Tensor:
        images, labels = source.batch(epoch, number, config.batch_size)
        images = crop_and_flip(images, config.crop, config.flip, draws(epoch))
        return set_gradients(stacked, images[:, None], labels[:, None])

    with progress_bar(total=config.steps(source.count), desc=title, show=progress) as bar:
        descend_victims(stacked, config, source.count, backward, on_step=bar.update)
    return stacked
