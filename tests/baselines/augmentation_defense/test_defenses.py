"""The augmentations that defend."""

import pytest
import torch

from easy_to_hard.baselines.augmentation_defense.defenses import (
    DEFENSES,
    CutMix,
    Cutout,
    MaxUp,
    Mixup,
)
from easy_to_hard.baselines.kit.victims import crop_and_flip, soft_losses, worst_of_draws


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def a_batch(nets: int = 2, count: int = 6, side: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(nets, count, 3, side, side, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(count).expand(nets, count, count).clone()
    return images, targets


def test_mixup_mixes_images_as_labels() -> None:
    images, targets = a_batch()
    mixed, soft = Mixup(ways=4)(images, targets, generators=generators(0, 1), progress=0.0)
    assert mixed.shape == (2, 1, *images.shape[1:])
    # Each item has a class of its own, so that the targets say of what the images are made.
    assert torch.allclose(mixed[:, 0], torch.einsum("sbk,skchw->sbchw", soft[:, 0], images), atol=1e-6)
    assert torch.allclose(soft.sum(-1), torch.ones(2, 1, 6))
    assert (soft[0] > 0).sum(-1).max() > 2
    assert not torch.equal(soft[0], soft[1])


def test_loss_is_linear_in_soft_targets() -> None:
    logits = torch.randn(5, 4)
    one, other = torch.eye(4)[[0, 1, 2, 3, 0]], torch.eye(4)[[3, 1, 0, 2, 2]]
    mixed = soft_losses(logits, 0.3 * one + 0.7 * other)
    assert torch.allclose(mixed, 0.3 * soft_losses(logits, one) + 0.7 * soft_losses(logits, other), atol=1e-6)


def test_cutmix_shares_the_label_by_the_area_that_was_pasted() -> None:
    images, targets = a_batch(nets=8)
    images = images[:1].expand(8, *images.shape[1:]).clone()
    images += torch.arange(6.0).view(1, 6, 1, 1, 1)
    mixed, soft = CutMix(probability=1.0)(images, targets, generators=generators(*range(8)), progress=0.0)
    seen = set()
    for net in range(8):
        for item in range(6):
            pasted = (mixed[net, 0, item] != images[net, item]).all(0).double().mean()
            assert float(soft[net, 0, item, item]) == pytest.approx(1 - float(pasted), abs=1e-6) or float(
                soft[net, 0, item, item]
            ) == pytest.approx(1.0)
            seen.add(round(float(pasted), 3))
    assert len(seen) > 4
    untouched, same = CutMix(probability=0.0)(images, targets, generators=generators(*range(8)), progress=0.0)
    assert torch.equal(untouched[:, 0], images)
    assert torch.equal(same[:, 0], targets)


def test_cutout_hides_the_mean_color() -> None:
    images, targets = a_batch(side=32)
    cut, same = Cutout()(images, targets, generators=generators(0, 5), progress=0.0)
    assert torch.equal(same[:, 0], targets)
    hidden = (cut[:, 0] != images).all(2).float().mean((2, 3))
    # 18 or 19 of 32 pixels a side, less where the border cuts it.
    assert 0.05 < float(hidden.min()) <= float(hidden.max()) <= (19 / 32) ** 2
    where = (cut[0, 0, 0] != images[0, 0]).all(0)
    assert torch.allclose(cut[0, 0, 0][:, where].mean(1), images[0].mean((0, 2, 3)), atol=1e-5)


def test_maxup_takes_each_items_own_worst_draw() -> None:
    losses = torch.tensor([[1.0, 5.0, 2.0], [4.0, 0.0, 3.0]])
    assert float(worst_of_draws(losses)) == pytest.approx((4 + 5 + 3) / 3)
    assert float(worst_of_draws(losses)) >= float(losses.mean())
    images, targets = a_batch()
    maxup = MaxUp(inner=Cutout(), draws=3, begins=0.5)
    assert maxup(images, targets, generators=generators(0, 1), progress=0.4)[0].shape[1] == 1
    versions, soft = maxup(images, targets, generators=generators(0, 1), progress=0.5)
    assert versions.shape[:3] == (2, 3, 6)
    assert torch.equal(soft, targets[:, None].expand_as(soft))
    # One box a draw: they do not pile up.
    hidden = (versions != images[:, None]).all(3).flatten(3).float().mean(-1)
    assert float(hidden.max()) <= (8 / 12) ** 2
    assert not torch.equal(versions[:, 0], versions[:, 1])


@pytest.mark.parametrize("name", list(DEFENSES))
def test_what_one_net_draws_is_its_own(name: str) -> None:
    augment = DEFENSES[name]()
    if augment is None:
        return
    images, targets = a_batch()
    both, _ = augment(images, targets, generators=generators(3, 4), progress=0.9)
    alone, _ = augment(images[1:], targets[1:], generators=generators(4), progress=0.9)
    assert torch.allclose(both[1:], alone, atol=1e-6)


def test_crops_shift_and_flips_mirror() -> None:
    images, _ = a_batch()
    assert crop_and_flip(images, 0, False, generators(0, 1)) is images
    flipped = crop_and_flip(images, 0, True, generators(0, 1))
    ways = {
        "same" if torch.equal(one, other) else "mirrored" if torch.equal(one, other.flip(-1)) else "else"
        for one, other in zip(flipped.flatten(0, 1), images.flatten(0, 1), strict=True)
    }
    assert ways == {"same", "mirrored"}
    cropped = crop_and_flip(images + 1, 2, False, generators(0, 1))
    for one, other in zip(cropped.flatten(0, 1), (images + 1).flatten(0, 1), strict=True):
        padded = torch.nn.functional.pad(other, (2, 2, 2, 2))
        assert any(torch.equal(one, padded[:, i : i + 12, j : j + 12]) for i in range(5) for j in range(5))
