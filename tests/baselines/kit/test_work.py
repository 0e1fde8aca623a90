"""Estimates of what a run would take."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.augmentation_defense.recipes import get_image_recipe as get_defense_recipe
from easy_to_hard.baselines.augmentation_defense.recipes import get_puzzle_recipe
from easy_to_hard.baselines.canary.recipes import get_image_preset
from easy_to_hard.baselines.cold_diffusion.recipes import get_image_recipe as get_restoration_recipe
from easy_to_hard.baselines.dp_instahide.recipes import get_image_recipe as get_mixing_recipe
from easy_to_hard.baselines.kit.work import Estimate, Work, describe_estimates, estimate
from easy_to_hard.baselines.vit_visualization.recipes import get_recipe as get_vit_recipe

CPU = torch.device("cpu")


def test_a_step_is_timed_after_a_first_one_and_scaled_to_all_items(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def prepare(items: int, device: torch.device) -> Callable[[], object]:
        def step() -> None:
            calls.append(items)
            now[0] += 2.0 if len(calls) == 1 else 0.25

        return step

    found = estimate(Work(name="wait", nets=3, steps=5, items=64, prepare=prepare), CPU)
    assert calls == [16, 16]
    assert found.step_seconds == 4 * 0.25
    assert found.seconds == pytest.approx(15 * found.step_seconds)
    assert found.peak_bytes > 2**20
    table = describe_estimates([found], CPU)
    assert "wait" in table
    assert "at most 16 items" in table


def test_the_sum_is_over_all_kinds() -> None:
    works = [Work(name=name, nets=1, steps=3600, items=1, prepare=lambda *_: print) for name in ("one", "two")]
    table = describe_estimates([Estimate(work=work, step_seconds=1.5, peak_bytes=2**30) for work in works], CPU)
    assert "about 3.00 hours" in table
    assert "memory so far 1.0 GiB" in table


def test_a_plan_counts_the_nets_of_a_run() -> None:
    recipe = get_defense_recipe("small", "cifar10")
    nets = {work.name: work.nets for work in get_baseline("augmentation_defense").plan(recipe)}
    assert nets == {f"train nets, {name}": 20 for name in recipe.defenses}
    crafted = get_defense_recipe("paper", "cifar10", "gradient_matching")
    nets = {work.name: work.nets for work in get_baseline("augmentation_defense").plan(crafted)}
    assert nets["optimize poisons, none"] == 10 * 8
    assert nets["train nets, none"] == 10 * 8 + 8
    canary = get_image_preset("paper", "cifar10")
    works = {work.name: work for work in get_baseline("canary").plan(canary)}
    assert works["train shadow nets"].nets == canary.shadows * len(canary.seeds)
    assert works["make offline canaries"].steps == 30 * 2
    restorers = {
        work.name: work for work in get_baseline("cold_diffusion").plan(get_restoration_recipe("paper", "mnist"))
    }
    assert (restorers["train restorers"].nets, restorers["train restorers"].steps) == (1, 700_000)
    # 100 batches of test images, at once and in two ways of 20 steps.
    assert restorers["restore images"].steps == 100 * 41
    generated = replace(get_restoration_recipe("paper", "folder", "blur_to_mean"), generate=250)
    steps = {work.name: work.steps for work in get_baseline("cold_diffusion").plan(generated)}
    assert steps == {"train restorers": 700_000, "generate images": 3 * 2 * 300}
    vit = {work.name: work for work in get_baseline("vit_visualization").plan(get_vit_recipe("paper"))}
    assert vit["make images for neurons"].nets == 12 * 24
    assert vit["make images for neurons"].steps == 400
    vit = {work.name: work for work in get_baseline("vit_visualization").plan(get_vit_recipe("smoke", "mnist"))}
    assert vit["train the ViT"].steps == 150
    mixing = get_baseline("dp_instahide").plan(get_mixing_recipe("paper", "cifar10"))
    assert all(work.nets > 0 and work.steps > 0 for work in mixing)


def test_a_plan_of_restorers_can_be_timed() -> None:
    recipe = replace(get_restoration_recipe("smoke", "mnist", "pixelate"), generate=10)
    found = [estimate(work, CPU) for work in get_baseline("cold_diffusion").plan(recipe)]
    assert [one.work.name for one in found] == ["train restorers", "restore images", "generate images"]
    assert all(one.step_seconds > 0 for one in found)


def test_what_has_no_plan_says_so() -> None:
    with pytest.raises(ValueError, match="a dry run is for images, not for mazes"):
        get_baseline("augmentation_defense").plan(get_puzzle_recipe("small", "mazes"))
    with pytest.raises(ValueError, match="there is no dry run for this method"):
        get_baseline("deep_thinking").plan(get_puzzle_recipe("small", "mazes"))
