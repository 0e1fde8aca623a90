"""How close restored images are to the originals: RMSE, SSIM, and the distances FID and KID between two sets.

All take images in [0, 1]. FID and KID compare features, so their values are comparable only if the features are the
same: the papers use those of an Inception net (`inception_features`), which needs a file of weights. The features of
EfficientNet-Lite0 (`pretrained_features`) need none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.degradations.base import gaussian
from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.pretrained import EfficientNetLite0

_WINDOW: Final = 11
_WINDOW_STD: Final = 1.5
_SSIM_CONSTANTS: Final = (0.01**2, 0.03**2)
_BATCH: Final = 250
_PRETRAINED_SIDE: Final = 128


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features that FID and KID compare.

    Attributes:
        name: of the net, in words, for the results.
        extract: images (B, C, H, W) float in [0, 1] -> (B, D) float.
    """

    name: str
    extract: Callable[[Tensor], Tensor]

    def of(self, images: Tensor) -> Tensor:
        """The features of images: (N, C, H, W) -> (N, D) float64, on the CPU, computed in batches."""
        with torch.no_grad():
            return torch.cat([self.extract(part).double().cpu() for part in torch.split(images, _BATCH)])


def _require_alike(found: Tensor, wanted: Tensor) -> None:
    if found.shape != wanted.shape or found.ndim != 4 or not len(found):
        raise ValueError(
            f"both sets of images must have the same (N, C, H, W), not {tuple(found.shape)} and {tuple(wanted.shape)}"
        )


def rmse(restored: Tensor, originals: Tensor) -> float:
    """The root of the mean squared error over all images and pixels together: a number in [0, 1].

    Raises:
        ValueError: shapes that differ, or no images.
    """
    _require_alike(restored, originals)
    return float((restored.double() - originals.double()).square().mean().sqrt())


def ssim(restored: Tensor, originals: Tensor) -> float:
    """Mean structural similarity over the images (Wang et al. 2004): Gaussian window 11 x 11, std 1.5, range 1.

    Windows lie completely inside the image. 1 for equal images.

    Raises:
        ValueError: shapes that differ, no images, or sides below 11.
    """
    _require_alike(restored, originals)
    if min(restored.shape[2:]) < _WINDOW:
        raise ValueError(f"images must have sides of at least {_WINDOW}, not {tuple(restored.shape[2:])}")
    axis = gaussian(_WINDOW, _WINDOW_STD)
    axis = axis / axis.sum()

    def smooth(images: Tensor) -> Tensor:
        channels = images.shape[1]
        rows = functional.conv2d(images, axis.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return functional.conv2d(rows, axis.reshape(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    total = 0.0
    for first, second in zip(torch.split(restored, _BATCH), torch.split(originals, _BATCH), strict=True):
        a, b = first.double().cpu(), second.double().cpu()
        mean_a, mean_b = smooth(a), smooth(b)
        var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
        covariance = smooth(a * b) - mean_a * mean_b
        c1, c2 = _SSIM_CONSTANTS
        brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        structure = (2 * covariance + c2) / (var_a + var_b + c2)
        total += float((brightness * structure).mean(dim=(1, 2, 3)).sum())
    return total / len(restored)


def _require_features(first: Tensor, second: Tensor) -> None:
    fits = first.ndim == second.ndim == 2 and first.shape[1] == second.shape[1]
    if not fits or min(len(first), len(second)) < 2:
        shown = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise ValueError(f"features must be (N, D) and (M, D) with N and M at least 2, not {shown}")


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
    return root


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """FID: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two Gaussians fitted to features (arXiv 1706.08500, eq. 6).

    The estimate is biased upwards, by less the more images there are.

    Args:
        first: (N, D) float64.
        second: (M, D) float64.

    Raises:
        ValueError: features that do not fit, or fewer than two of them.
    """
    _require_features(first, second)
    means = first.mean(dim=0), second.mean(dim=0)
    covariances = [features.T.cov().reshape(features.shape[1], -1) for features in (first, second)]
    root = _root(covariances[0])
    # tr (S1 S2)^(1/2) = tr (S1^(1/2) S2 S1^(1/2))^(1/2), whose matrix is symmetric.
    shared = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0).sqrt().sum()
    spread = covariances[0].trace() + covariances[1].trace() - 2 * shared
    return max(0.0, float((means[0] - means[1]).square().sum() + spread))


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """KID: the squared maximum mean discrepancy under (x y / D + 1)^3 (arXiv 1801.01401), from all pairs at once.

    Unbiased for any number of images: about 0, and just as often below, if both sets have the same distribution. Not so
    for restored images and their originals, which are not independent: there it lies lower.

    Args:
        first: (N, D) float64.
        second: (M, D) float64.

    Raises:
        ValueError: features that do not fit, or fewer than two of them.
    """
    _require_features(first, second)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def between_others(features: Tensor) -> float:
        values = kernel(features, features)
        return float((values.sum() - values.trace()) / (len(features) * (len(features) - 1)))

    return between_others(first) + between_others(second) - 2 * float(kernel(first, second).mean())


def inception_features(weights: Path, device: torch.device | str = "cpu") -> Features:
    """The 2048 features of the Inception net that papers use for FID, through torch-fidelity.

    Args:
        weights: the file `weights-inception-2015-12-05-6726825d.pth`; nothing is downloaded here.
        device: where the net computes.

    Raises:
        ImportError: torch-fidelity or torchvision is not installed.
        FileNotFoundError: no such file.
        ValueError: the file holds something other than weights.
    """
    if not weights.is_file():
        raise FileNotFoundError(
            f"no Inception weights at {weights}: FID as papers give it needs the file of torch-fidelity's releases; "
            "without it features of a classifier trained here are compared"
        )
    try:
        # torch-fidelity loads the weights as a pickle; a file that passes here holds nothing but tensors.
        torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{weights} is not a file of weights: {str(error).splitlines()[0][:200]}") from error
    try:
        # torch-fidelity imports it.
        import_torchvision()
        from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-not-found,unused-ignore]
            FeatureExtractorInceptionV3,
        )
    except ModuleNotFoundError as error:
        raise ImportError("Inception features need torch-fidelity: pip install torch-fidelity") from error
    net: Any = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights)).to(device)

    def extract(images: Tensor) -> Tensor:
        color = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        features: Tensor = net((color.to(device).clamp(0, 1) * 255).round().byte())[0]
        return features

    return Features(name="Inception pool features (torch-fidelity, inception-v3-compat)", extract=extract)


def pretrained_features(device: torch.device | str = "cpu") -> Features:
    """The 1,280 features of an EfficientNet-Lite0 that was trained on ImageNet, of images scaled to 128 pixels.

    The weights come with the extra `pretrained`. With no more images than features the Fréchet distance is far above
    its limit, but equally so for every way of restoring; KID is not.

    Args:
        device: where the net computes.

    Raises:
        ImportError: a package is missing; the message says how to install it.
    """
    net = EfficientNetLite0(_PRETRAINED_SIDE).to(device)
    return Features(
        name=f"features of EfficientNet-Lite0 (ImageNet), images scaled to {_PRETRAINED_SIDE} pixels",
        extract=lambda images: net.features(images.to(device).clamp(0, 1)),
    )
