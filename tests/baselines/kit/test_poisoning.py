"""Backdoors, optimized poisons, and how their success is counted."""

from typing import Any

import pytest
import torch

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
    craft_poisons,
    match_gradients,
    one_less_cosine,
    within,
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
    assert float(objective(pixels[:1])) == pytest.approx(0, abs=1e-5)
    assert float(objective(pixels[1:])) > 1e-3
    one = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert float(one_less_cosine(one, [-2 * part for part in one])) == pytest.approx(2)
    # (3, 0, 4) and (0, 0, 1): the cosine is 4 / 5, of all tensors together.
    assert float(one_less_cosine(one, [torch.zeros(2), torch.ones(1, 1)])) == pytest.approx(0.2)


@pytest.mark.parametrize("method", ["gradient_matching", "feature_collision"])
def test_poisons_stay_within_bounds_and_do_better(method: Any) -> None:
    images, labels = some_images()
    train = clean_set(images, labels)
    surrogate = Stacked([CONFIG.build(1, 0)], CPU)
    short = CraftConfig(method=method, bound=8, steps=1, step_size=0.001)
    first = craft_poisons(train, images[0], 2, surrogate, short, share=0.1, seed=0)
    long = CraftConfig(method=method, bound=8, steps=25, step_size=4)
    made = craft_poisons(train, images[0], 2, surrogate, long, share=0.1, seed=0)
    assert made.loss < first.loss
    again = craft_poisons(train, images[0], 2, surrogate, long, share=0.1, seed=0)
    assert torch.equal(made.train.images, again.train.images)
    changed = (made.train.images.int() - images.int()).abs()
    assert 1 <= int(changed.max()) <= 8
    assert torch.equal(made.train.labels, labels)
    assert set(labels[made.train.poisoned].tolist()) == {2}
    assert int(changed[~made.train.poisoned].max()) == 0
    assert made.image.shape == (1, 1, 16, 16)


def test_changes_are_cut_to_the_bound_and_the_box() -> None:
    cut = within(torch.tensor([0.5, -0.5, 0.05]), torch.tensor([0.95, 0.5, 0.5]), 0.1)
    assert cut.tolist() == pytest.approx([0.05, -0.1, 0.05])


def test_a_set_must_fit() -> None:
    images, labels = some_images()
    with pytest.raises(ValueError, match="images must be uint8"):
        Poisoned(images=images.float(), labels=labels, poisoned=labels > 5)
    with pytest.raises(ValueError, match="as many images as labels"):
        clean_set(images, labels[:3])
