"""Images as shadow nets are trained on them and attacked by: normalised, shifted, mirrored."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.canary.classifiers import build_classifier
from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.seeds import seed_of


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A random shift, the border filled with 0, and a random mirror image.

    Attributes:
        shift: most pixels in each direction, at least 0.
        mirror: whether left and right may be swapped.
    """

    shift: int
    mirror: bool

    def __call__(self, images: Tensor, rng: torch.Generator, fill: Tensor) -> Tensor:
        """Each image by a draw of its own.

        Args:
            images: (B, C, H, W) float, anywhere.
            rng: on the CPU.
            fill: (C,) float, the value of 0 in the images' units.

        Returns:
            (B, C, H, W) float.
        """
        count, _, height, width = images.shape
        shifts = torch.randint(0, 2 * self.shift + 1, (2, count), generator=rng).to(images.device)
        mirrored = (torch.rand(count, generator=rng) < 0.5).to(images.device) & self.mirror
        # Around 0 the padding is black, whatever the normalisation.
        padded = F.pad(images - fill[:, None, None], (self.shift,) * 4)
        rows = shifts[0][:, None] + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device).expand(count, -1)
        columns = shifts[1][:, None] + torch.where(mirrored[:, None], columns.flip(1), columns)
        of_image = torch.arange(count, device=images.device)[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[of_image, rows[:, :, None], columns[:, None, :]]
        return moved.permute(0, 3, 1, 2) + fill[:, None, None]


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """See `ShadowTask`.

    Attributes:
        images: (n, C, H, W) float32, normalised.
        labels: (n,) int64.
        mean, std: (C,) float32, of pixels in [0, 1], over the training images.
        augmentation: of training and of LiRA's queries.
        architecture, width: see `build_classifier`.
        seed: of the augmentation.
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    augmentation: Augmentation
    architecture: str
    width: int
    seed: int

    @property
    def black(self) -> Tensor:
        """The value of a black pixel, (C,)."""
        return -self.mean / self.std

    @property
    def white(self) -> Tensor:
        """The value of a white pixel, (C,)."""
        return (1 - self.mean) / self.std

    def build(self, seed: int) -> nn.Module:
        """A classifier before training."""
        _, channels, side, _ = self.images.shape
        return build_classifier(self.architecture, channels=channels, side=side, width=self.width, seed=seed)

    def batches(self, indices: Tensor, *, step: int, first: int) -> tuple[Tensor, ...]:
        """Augmented images (K, B, C, H, W) and labels (K, B); each net's draws are its own, however many at once."""
        at = indices.to(self.images.device)
        rows = []
        for number, own in enumerate(at):
            rng = torch.Generator().manual_seed(seed_of("augment", self.seed, first + number, step))
            rows.append(self.augmentation(self.images[own], rng, self.black))
        return torch.stack(rows), self.labels[at]

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], *, step: int) -> Tensor:
        """Mean cross-entropy, ()."""
        del step
        images, labels = batch
        return F.cross_entropy(net(images).float(), labels)


def build_image_task(
    train: ImageSet,
    num_points: int,
    *,
    augmentation: Augmentation,
    architecture: str,
    width: int,
    seed: int,
    device: torch.device,
) -> ImageTask:
    """The first so many images as a task; the normalisation is of all training images, not of a net's members.

    Raises:
        ValueError: there are fewer images.
    """
    units = train.images.float() / 255
    mean, std = units.mean(dim=(0, 2, 3)), units.std(dim=(0, 2, 3)).clamp_min(1e-3)
    chosen = train.first(num_points)
    return ImageTask(
        images=normalised(chosen.images, mean, std).to(device),
        labels=chosen.labels.to(device),
        mean=mean.to(device),
        std=std.to(device),
        augmentation=augmentation,
        architecture=architecture,
        width=width,
        seed=seed,
    )


def normalised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """uint8 (B, C, H, W) to float32 of mean 0 and spread 1."""
    return (images.float() / 255 - mean[:, None, None]) / std[:, None, None]


def augmented_queries(task: ImageTask, num_points: int, num_queries: int, *, seed: int) -> Tensor:
    """LiRA's queries, and where canaries start: training augmentations of each of the first points.

    Returns:
        (num_points, num_queries, C, H, W) float32, on the device; the same for a point however many points there are.
    """
    rows = []
    for number, image in enumerate(task.images[:num_points]):
        rng = torch.Generator().manual_seed(seed_of("queries", seed, number))
        rows.append(task.augmentation(image.expand(num_queries, -1, -1, -1), rng, task.black))
    return torch.stack(rows)
