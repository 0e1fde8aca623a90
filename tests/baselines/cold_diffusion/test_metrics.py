"""The metrics, each against a value worked out another way."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.metrics import (
    Features,
    frechet_distance,
    inception_features,
    kernel_distance,
    pretrained_features,
    rmse,
    ssim,
)
from easy_to_hard.baselines.kit.pretrained import is_installed


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_rmse_is_over_all_images_together() -> None:
    """Errors 0 and 0.6: sqrt((0 + 0.36) / 2), not the mean of 0 and 0.6."""
    originals = torch.zeros(2, 1, 4, 4)
    restored = originals.clone()
    restored[1] = 0.6
    assert rmse(restored, originals) == pytest.approx(math.sqrt(0.18))


def test_ssim_of_windows_worked_out_one_by_one() -> None:
    first, second = random(2, 1, 13, 12), random(2, 1, 13, 12, seed=1)
    weights = [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / 4.5) for j in range(11)] for i in range(11)]
    window = torch.tensor(weights, dtype=torch.float64) / sum(map(sum, weights))
    values = []
    for a, b in zip(first[:, 0].double(), second[:, 0].double(), strict=True):
        for top in range(3):
            for left in range(2):
                x, y = (image[top : top + 11, left : left + 11] for image in (a, b))
                mx, my = float((window * x).sum()), float((window * y).sum())
                vx, vy = float((window * (x - mx) ** 2).sum()), float((window * (y - my) ** 2).sum())
                cov = float((window * (x - mx) * (y - my)).sum())
                values.append((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    assert ssim(first, second) == pytest.approx(sum(values) / len(values))
    assert ssim(first, first) == pytest.approx(1)


def test_ssim_of_constants_by_hand() -> None:
    """Nothing varies, so only brightness counts: (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)."""
    first, second = torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.6)
    assert ssim(first, second) == pytest.approx(0.2401 / 0.4001)


def test_frechet_distance_of_axes_by_hand() -> None:
    """Means 0 and (3, 4); variances (1, 4) and (9, 1), along the axes: 25 + (1 - 3)^2 + (2 - 1)^2."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64) * math.sqrt(0.75)
    first = corners * torch.tensor([1.0, 2.0])
    second = corners * torch.tensor([3.0, 1.0]) + torch.tensor([3.0, 4.0])
    assert frechet_distance(first, second) == pytest.approx(30)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_by_the_eigenvalues_of_the_product() -> None:
    """tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of S1 S2, which is not symmetric."""
    mixing = random(4, 4).double()
    first, second = random(50, 4).double(), random(60, 4, seed=1).double() @ mixing
    s1, s2 = first.T.cov(), second.T.cov()
    roots = torch.linalg.eigvals(s1 @ s2).real.clamp(min=0).sqrt().sum()
    wanted = (first.mean(0) - second.mean(0)).square().sum() + s1.trace() + s2.trace() - 2 * roots
    assert frechet_distance(first, second) == pytest.approx(float(wanted))
    assert frechet_distance(second, first) == pytest.approx(float(wanted))


def test_kernel_distance_pair_by_pair() -> None:
    first, second = random(5, 3).double(), random(4, 3, seed=1).double() + 1

    def kernel(x: Tensor, y: Tensor) -> float:
        return (float(x @ y) / 3 + 1) ** 3

    own = [kernel(first[i], first[j]) for i in range(5) for j in range(5) if i != j]
    other = [kernel(second[i], second[j]) for i in range(4) for j in range(4) if i != j]
    across = [kernel(x, y) for x in first for y in second]
    wanted = sum(own) / 20 + sum(other) / 12 - 2 * sum(across) / 20
    assert kernel_distance(first, second) == pytest.approx(wanted)


def test_kernel_distance_is_unbiased() -> None:
    """Of one distribution it is about 0, with either sign; the Frechet distance is not."""
    rng = torch.Generator().manual_seed(0)
    pairs = [torch.randn(2, 12, 3, generator=rng).double().unbind() for _ in range(200)]
    kernels = torch.tensor([kernel_distance(*pair) for pair in pairs])
    assert abs(float(kernels.mean())) < 3 * float(kernels.std()) / math.sqrt(200)
    assert min(frechet_distance(*pair) for pair in pairs) > 0


def test_features_come_in_batches() -> None:
    features = Features(name="means", extract=lambda images: images.mean(dim=(2, 3)))
    images = random(510, 2, 3, 3)
    torch.testing.assert_close(features.of(images), images.double().mean(dim=(2, 3)))


def test_errors(tmp_path: Path) -> None:
    for metric in (rmse, ssim):
        with pytest.raises(ValueError, match=r"have the same \(N, C, H, W\), not \(2, 1, 12, 12\) and \(2, 1, 12"):
            metric(torch.zeros(2, 1, 12, 12), torch.zeros(2, 1, 12, 13))
        with pytest.raises(ValueError, match="both sets of images must have the same"):
            metric(torch.zeros(0, 1, 12, 12), torch.zeros(0, 1, 12, 12))
    with pytest.raises(ValueError, match=r"sides of at least 11, not \(10, 12\)"):
        ssim(torch.zeros(2, 1, 10, 12), torch.zeros(2, 1, 10, 12))
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=r"N and M at least 2, not \(1, 3\) and \(5, 3\)"):
            distance(torch.zeros(1, 3), torch.zeros(5, 3))
        with pytest.raises(ValueError, match=r"not \(4, 3\) and \(5, 2\)"):
            distance(torch.zeros(4, 3), torch.zeros(5, 2))
    with pytest.raises(FileNotFoundError, match=r"no Inception weights at .*none\.pth"):
        inception_features(tmp_path / "none.pth")
    (tmp_path / "other.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"other\.pth is not a file of weights"):
        inception_features(tmp_path / "other.pth")


@pytest.mark.skipif(not is_installed(), reason="needs the extra [pretrained]")
def test_pretrained_features_of_images_of_any_size() -> None:
    """Gray or in color; what lies outside [0, 1] counts as its end; flat images are farther away than darker ones."""
    features = pretrained_features()
    assert features.name == "features of EfficientNet-Lite0 (ImageNet), images scaled to 128 pixels"
    gray = random(2, 1, 16, 16)
    assert features.of(gray).shape == (2, 1280)
    torch.testing.assert_close(features.of(gray), features.of(gray.expand(-1, 3, -1, -1)))
    torch.testing.assert_close(features.of(gray * 3 - 1), features.of((gray * 3 - 1).clamp(0, 1)))
    images = random(40, 3, 32, 32)
    flat = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    of_images = features.of(images)
    near, far = (kernel_distance(features.of(other), of_images) for other in (images * 0.95, flat))
    assert abs(near) < far
