"""Feature inversion: the image whose features in a block are those of a given image.

As in the authors' code for Ghiasi et al. 2022 (arXiv 2212.06727): the norm of the difference of all features, plus TV,
without augmentation. What cannot be recovered is what the block no longer represents.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.activation_maximization import (
    BETAS,
    FeatureNet,
    cosine_rate,
    total_variation,
)
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar

# The norm is relative to that of the target, so that one weight of TV fits all blocks.
_TV_WEIGHT: Final = 0.0005


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """How images are recovered.

    Attributes:
        images: number of images; 0 to invert none.
        steps: steps of Adam; the authors' are 400.
        learning_rate: initial learning rate; it falls to 0 along a cosine.
        smoothness: multiplies the weight of TV, 0.0005.
    """

    images: int = 0
    steps: int = 400
    learning_rate: float = 0.1
    smoothness: float = 1.0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "images", self.images >= 0, "at least 0")
        check_field(self, "steps", self.steps >= 1, "at least 1")


def invert(
    net: FeatureNet, images: Tensor, layer: int, inversion: Inversion, *, seed: int, progress: bool = False
) -> Tensor:
    """Images with nearly the same features in a block.

    Args:
        net: on the device, with weights that require no gradient.
        images: (N, C, H, W) float in [0, 1].
        layer: from 0.
        inversion: how; its `images` is not used.
        seed: seed of the initial images, which are uniform noise.
        progress: whether to show a progress bar.

    Returns:
        (N, C, H, W) float32 in [0, 1].
    """
    with torch.no_grad():
        target = net.maps(images, [layer])[0]
    size = target.flatten(1).norm(dim=1)
    found = torch.rand(images.shape, generator=generator_of("inversion", seed)).to(images.device).requires_grad_()
    optimizer = torch.optim.Adam([found], lr=inversion.learning_rate, betas=BETAS)
    for step in progress_bar(range(inversion.steps), desc=f"invert block {layer + 1}", show=progress):
        distance = (net.maps(found, [layer])[0] - target).flatten(1).norm(dim=1) / size
        loss = distance + _TV_WEIGHT * inversion.smoothness * total_variation(found)
        (found.grad,) = torch.autograd.grad(loss.sum(), found)
        for group in optimizer.param_groups:
            group["lr"] = cosine_rate(inversion.learning_rate, step, inversion.steps)
        optimizer.step()
        with torch.no_grad():
            found.clamp_(0, 1)
    return found.detach()
