"""Pictures with an object in a known box: a digit of MNIST on a photograph of CIFAR-10 that says the same class.

They stand for the photographs with boxes of table 2 of Ghiasi et al. 2022 (arXiv 2212.06727): a digit d is pasted in
white on a photograph of CIFAR-10's class d, so that object and background both tell the class, as in ImageNet.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.image_data import ImageSet

SIDE: Final = 32
# A pixel of a digit above this is part of it.
_INK: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class ComposedPictures:
    """Pictures, and what is inside and outside the box of their object.

    Attributes:
        full: (N, 3, 32, 32) float in [0, 1].
        boxes: (N, 1, 32, 32) bool, True inside the box.
        labels: (N,) int64.
    """

    full: Tensor
    boxes: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "ComposedPictures":
        """The pictures on a device."""
        return ComposedPictures(full=self.full.to(device), boxes=self.boxes.to(device), labels=self.labels.to(device))

    @property
    def background(self) -> Tensor:
        """The pictures with the box set to 0, as in the authors' code."""
        return self.full.masked_fill(self.boxes, 0.0)

    @property
    def foreground(self) -> Tensor:
        """The pictures with all but the box set to 0."""
        return self.full.masked_fill(~self.boxes, 0.0)


def compose(digits: ImageSet, photographs: ImageSet, count: int, rng: torch.Generator) -> ComposedPictures:
    """Draw digits and photographs of the same classes, and put each digit at a random place.

    Args:
        digits: gray, with the classes of `photographs`.
        photographs: in color, 32 pixels a side.
        count: number of pictures.
        rng: on the CPU.
    """
    rows = torch.randint(len(digits), (count,), generator=rng)
    labels = digits.labels[rows]
    full = torch.stack([_draw(photographs, int(label), rng) for label in labels])
    boxes = torch.zeros(count, 1, SIDE, SIDE, dtype=torch.bool)
    for number, digit in enumerate(digits.images[rows, 0].float() / 255):
        height, width = digit.shape
        top, left = (int(torch.randint(SIDE - side + 1, (), generator=rng)) for side in (height, width))
        full[number, :, top : top + height, left : left + width].mul_(1 - digit).add_(digit)
        ink = (digit > _INK).nonzero()
        (first, start), (last, end) = ink.amin(0).tolist(), ink.amax(0).tolist()
        boxes[number, 0, top + first : top + last + 1, left + start : left + end + 1] = True
    return ComposedPictures(full=full, boxes=boxes, labels=labels)


def _draw(photographs: ImageSet, label: int, rng: torch.Generator) -> Tensor:
    rows = (photographs.labels == label).nonzero()[:, 0]
    return photographs.images[rows[int(torch.randint(len(rows), (), generator=rng))]].float() / 255
