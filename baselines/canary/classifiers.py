"""Image classifiers: a small one without batch statistics, and the wide residual net of the paper."""

from typing import Final, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet

Architecture = Literal["small_cnn", "wide_resnet"]
ARCHITECTURES: Final = get_args(Architecture)
NUM_CLASSES: Final = 10


class _WideBlock(nn.Module):
    """Batch norm, ReLU, and convolution, twice, and a shortcut around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.first = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        same = before == after and stride == 1
        self.around = None if same else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        active = F.relu(self.first_norm(features))
        around = features if self.around is None else self.around(active)
        inner = self.second(F.relu(self.second_norm(self.first(active))))
        total: Tensor = inner + around
        return total


class WideResNet(nn.Module):
    """WRN-depth-widening (Zagoruyko and Komodakis 2016, arXiv 1605.07146); WRN-28-10 as published for the attack.

    Args:
        channels: of the images.
        depth: 6 n + 4.
        widening: factor of the channels 16, 32, and 64.

    Raises:
        ValueError: a depth that is not 6 n + 4, n at least 1.
    """

    def __init__(self, *, channels: int, depth: int = 28, widening: int = 10) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 4, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth must be 6 n + 4, such as 28, not {depth}")
        self.stem = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        layers, before = [], 16
        for level, after in enumerate((16 * widening, 32 * widening, 64 * widening)):
            for number in range(blocks):
                layers.append(_WideBlock(before, after, 2 if level and not number else 1))
                before = after
        self.blocks = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(before)
        self.linear = nn.Linear(before, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 10) of normalized images (B, C, H, W)."""
        features = F.relu(self.norm(self.blocks(self.stem(images))))
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits


def build_classifier(architecture: str, *, channels: int, side: int, width: int, seed: int) -> nn.Module:
    """A net whose weights are a function of the seed alone; the global random state is left as it was.

    Args:
        architecture: "small_cnn", three convolutions without batch norm, so that a batch of queries cannot change the
            answer to another and many nets can be trained as one stack; or "wide_resnet" for WRN-28-width.
        channels, side: of the images; the side is in pixels, at least 8.
        width: channels after the small one's first convolution, twice as many after the others; or the widening.
        seed: at least 0.

    Raises:
        ValueError: another architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, not {architecture!r}")
    with seeded("classifier", seed):
        if architecture == "small_cnn":
            widths = width, 2 * width, 2 * width
            return SmallConvNet(channels, NUM_CLASSES, widths=widths, halve=True, grid=side // 8)
        return WideResNet(channels=channels, widening=width)
