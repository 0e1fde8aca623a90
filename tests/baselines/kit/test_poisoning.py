"""Backdoors, optimized poisons, and how their success is counted."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.functional import one_hot

from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.kit.poisoning.attacks import (
    Backdoor,
    Poisoned,
    attack_success,
    clean_set,
    make_trigger,
    patch_backdoor,
)
from easy_to_hard.baselines.kit.poisoning.crafting import (
    CraftConfig,
    Targeted,
    collide_features,
    craft_poisons,
    match_gradients,
    one_less_cosine,
    view_of,
    within,
)
from easy_to_hard.baselines.kit.poisoning.filters import (
    FILTERS,
    activation_clustering,
    spectral_signatures,
    suspects,
    without,
)
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import VictimConfig

CPU = torch.device("cpu")
CONFIG = VictimConfig(epochs=1, widths=(4, 4), classes=3)


def some_images(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randint(0, 256, (count, 1, 16, 16), generator=torch.Generator().manual_seed(1)).byte()
    return images, torch.arange(count) % 3


def a_backdoor(**changes: Any) -> Backdoor:
    settings = {"source": 1, "target": 2, "share": 0.1, "seed": 0, **changes}
    return patch_backdoor(*some_images(), **settings)


def test_badnets_stamps_the_source_and_changes_its_label() -> None:
    images, labels = some_images()
    backdoor = a_backdoor()
    train = backdoor.train
    assert int(train.poisoned.sum()) == 6
    assert set(labels[train.poisoned].tolist()) == {1}
    assert set(train.labels[train.poisoned].tolist()) == {2}
    assert torch.equal(train.images[~train.poisoned], images[~train.poisoned])
    assert torch.equal(train.images[train.poisoned], backdoor.trigger.stamp(images[train.poisoned]))
    attacked = backdoor.attacked(images, labels)
    assert len(attacked) == 20
    assert torch.equal(attacked[..., -4:, -4:], backdoor.trigger.pattern.expand(20, 1, 4, 4))
    assert torch.equal(attacked[..., :-4, :], images[labels == 1][..., :-4, :])


def test_clean_label_backdoor_keeps_labels() -> None:
    _, labels = some_images()
    train = a_backdoor(clean_label=True).train
    assert torch.equal(train.labels, labels)
    assert set(labels[train.poisoned].tolist()) == {2}


def test_the_patch_stays_in_the_range_of_pixels() -> None:
    trigger = make_trigger(3, seed=0, side=5)
    assert set(trigger.pattern.flatten().tolist()) == {0, 255}
    images = torch.rand(2, 3, 8, 8)
    stamped = trigger.stamp(images)
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1
    assert torch.equal(stamped[0, :, -5:, -5:], trigger.pattern / 255)
    assert not torch.equal(make_trigger(3, seed=1, side=5).pattern, trigger.pattern)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share": 0.0}, "budget must be a share of the training set above 0 and at most 1, not 0.0"),
        ({"share": 1.5}, "not 1.5"),
        ({"target": 1}, "source and target must be different classes, not both 1"),
        ({"source": 7}, "no image of class 7"),
        ({"side": 17}, "side of the patch must be from 1 to 16, not 17"),
    ],
)
def test_backdoors_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_backdoor(**changes)


def test_success_is_counted_against_unpoisoned_nets() -> None:
    success = attack_success(torch.tensor([[2, 2, 2, 0], [1, 2, 0, 0]]), torch.tensor([[2, 0, 0, 0], [2, 2, 0, 0]]), 2)
    assert success.rates == (0.75, 0.25)
    assert success.unpoisoned == (0.25, 0.5)
    with pytest.raises(ValueError, match="predictions must be"):
        attack_success(torch.zeros(1, 0), torch.zeros(1, 0), 2)


def test_gradients_that_agree_match_without_loss() -> None:
    images, _ = some_images(4)
    surrogate = Stacked([CONFIG.build(1, 0)], CPU)
    pixels = images.float() / 255
    objective = match_gradients(surrogate, pixels[0], 2)
    twos = one_hot(torch.full((1, 3), 2), 3).float()
    assert objective(pixels[None, :1], twos[:, :1])[0] == pytest.approx(0, abs=1e-5)
    assert objective(pixels[None, 1:], twos)[0] > 1e-3
    one = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert float(one_less_cosine(one, [-2 * part for part in one])) == pytest.approx(2)
    # (3, 0, 4) and (0, 0, 1): the cosine is 4 / 5, of all tensors together.
    assert float(one_less_cosine(one, [torch.zeros(2), torch.ones(1, 1)])) == pytest.approx(0.2)


def test_gradients_with_respect_to_poisons_are_those_of_finite_differences() -> None:
    images, _ = some_images(5)
    pixels = (images.double() / 255)[None, 1:]
    targets = one_hot(torch.tensor([[2, 1, 0, 2]]), 3).double()
    surrogate = Stacked([CONFIG.build(1, seed).double() for seed in (0, 1)], CPU)
    target = images[0].double() / 255
    toward = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)).double()
    for objective in (
        match_gradients(surrogate, target, 2),
        match_gradients(surrogate, target, 2, head_only=True),
        match_gradients(surrogate, target, 2, chunk=3),
        collide_features(surrogate, target, of_mean=True),
        collide_features(surrogate, target, of_mean=False),
    ):
        _, gradient = objective(pixels, targets)
        far, near = (objective(pixels + step * toward, targets)[0] for step in (2e-5, -2e-5))
        # Losses are in float32.
        assert (far - near) / 4e-5 == pytest.approx(float((gradient * toward).sum()), rel=0.05, abs=0.02)
        assert float(gradient.abs().max()) > 1e-3
    # An ensemble's loss is the mean of its nets' losses.
    alone = [match_gradients(surrogate.take([net]), target, 2)(pixels, targets)[0] for net in (0, 1)]
    assert match_gradients(surrogate, target, 2)(pixels, targets)[0] == pytest.approx(sum(alone) / 2)


def test_poisons_in_chunks_are_as_all_at_once() -> None:
    images, _ = some_images(8)
    pixels, targets = (images.float() / 255)[None, 1:], one_hot(torch.arange(7)[None] % 3, 3).float()
    surrogate = Stacked([CONFIG.build(1, 0)], CPU)
    whole, parts = (match_gradients(surrogate, images[0].float() / 255, 2, chunk=chunk) for chunk in (7, 3))
    (loss, gradient), (in_parts, gradient_in_parts) = whole(pixels, targets), parts(pixels, targets)
    assert in_parts == pytest.approx(loss, abs=1e-6)
    assert torch.allclose(gradient, gradient_in_parts, atol=1e-6)
    assert float(gradient.abs().max()) > 1e-4


def crafted(config: CraftConfig, **changes: Any) -> Targeted:
    images, labels = some_images()
    surrogate = Stacked([CONFIG.build(1, seed) for seed in range(config.surrogates)], CPU)
    settings = {"share": 0.1, "seed": 0, "view": view_of(CONFIG, 2), **changes}
    return craft_poisons(clean_set(images, labels), images[0], 2, surrogate, config, **settings)


@pytest.mark.parametrize("method", ["gradient_matching", "bullseye", "feature_collision"])
@pytest.mark.parametrize("surrogates", [1, 2])
def test_poisons_stay_within_bounds_and_do_better(method: Any, surrogates: int) -> None:
    images, labels = some_images()
    first = crafted(CraftConfig(method=method, bound=8, steps=1, step_size=0.001, surrogates=surrogates))
    long = CraftConfig(method=method, bound=8, steps=25, step_size=4, surrogates=surrogates)
    made = crafted(long)
    assert made.loss < first.loss
    assert torch.equal(made.train.images, crafted(long).train.images)
    changed = (made.train.images.int() - images.int()).abs()
    assert 1 <= int(changed.max()) <= 8
    assert torch.equal(made.train.labels, labels)
    assert set(labels[made.train.poisoned].tolist()) == {2}
    assert int(changed[~made.train.poisoned].max()) == 0
    assert made.image.shape == (1, 1, 16, 16)
    with pytest.raises(ValueError, match=f"surrogate must be a stack of 3 nets, not of {surrogates}"):
        craft_poisons(
            clean_set(images, labels),
            images[0],
            2,
            Stacked([CONFIG.build(1, 0)] * surrogates, CPU),
            CraftConfig(method=method, bound=8, steps=1, step_size=1, surrogates=3),
            share=0.1,
            seed=0,
            view=view_of(CONFIG, 2),
        )


def test_more_restarts_do_no_worse() -> None:
    config = CraftConfig(method="gradient_matching", bound=8, steps=3, step_size=4)
    assert crafted(replace(config, restarts=4)).loss <= crafted(config).loss


@pytest.mark.parametrize("defense", ["mixup", "cutmix", "cutout", "maxup"])
def test_an_adaptive_attack_goes_through_the_defense(defense: str) -> None:
    config = CraftConfig(method="gradient_matching", bound=8, steps=20, step_size=4)
    adapted = crafted(config, view=view_of(CONFIG, 2, DEFENSES[defense]()))
    assert not torch.equal(adapted.train.images, crafted(config).train.images)


def test_a_view_is_what_the_victim_sees() -> None:
    images = (some_images(6)[0].float() / 255).requires_grad_()
    rng = torch.Generator().manual_seed(0)
    shown, targets = view_of(CONFIG, 2)(images, rng)
    assert torch.equal(shown[0], images)
    assert targets[0].argmax(-1).tolist() == [2] * 6
    moved, _ = view_of(replace(CONFIG, crop=2, flip=True), 2)(images, rng)
    assert moved.shape == shown.shape
    assert not torch.equal(moved, shown)
    assert moved.requires_grad
    versions, _ = view_of(CONFIG, 2, DEFENSES["maxup"]())(images, rng)
    assert versions.shape == (4, 6, 1, 16, 16)


def features_with_poison(poisons: int = 20) -> torch.Tensor:
    """Features of 100 items around 0, of which the last ones lie apart."""
    features = torch.randn(100, 5, generator=torch.Generator().manual_seed(0))
    features[100 - poisons :, 2] += 8
    return features


def test_filters_find_what_lies_apart() -> None:
    features = features_with_poison()
    for number, found in ((30, spectral_signatures(features, 20)), (20, activation_clustering(features, 20))):
        assert int(found.sum()) == number
        assert found[80:].all()
    # No more than half of a class is removed, and a large cluster is no poison.
    assert int(spectral_signatures(features_with_poison(), 90).sum()) == 50
    assert not activation_clustering(features_with_poison(45), 45).any()


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_works_class_by_class(name: str) -> None:
    images, labels = some_images(300)
    features = torch.zeros(300, 5)
    features[labels == 1] = features_with_poison()
    features[labels != 1] = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    train = Poisoned(images=images, labels=labels, poisoned=(labels == 1) & (features[:, 2] > 4))
    found = suspects(train, features, FILTERS[name], budget=20 / 300)
    assert found[train.poisoned].all()
    left = without(train, found, seed=0)
    assert len(left) == 300
    assert not left.poisoned.any()
    assert torch.equal(without(train, found, seed=0).images, left.images)
    with pytest.raises(ValueError, match="at least one item"):
        without(train, torch.ones(300, dtype=torch.bool), seed=0)


def test_changes_are_cut_to_the_bound_and_the_box() -> None:
    cut = within(torch.tensor([0.5, -0.5, 0.05]), torch.tensor([0.95, 0.5, 0.5]), 0.1)
    assert cut.tolist() == pytest.approx([0.05, -0.1, 0.05])


def test_a_set_must_fit() -> None:
    images, labels = some_images()
    with pytest.raises(ValueError, match="images must be uint8"):
        Poisoned(images=images.float(), labels=labels, poisoned=labels > 5)
    with pytest.raises(ValueError, match="as many images as labels"):
        clean_set(images, labels[:3])
