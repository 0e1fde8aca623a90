"""The whole evaluation on images, in small."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.cold_diffusion.claims import compare, generation_claims, restoration_claims
from easy_to_hard.baselines.cold_diffusion.degradations import get_degradation
from easy_to_hard.baselines.cold_diffusion.metrics import Features
from easy_to_hard.baselines.cold_diffusion.on_images import (
    build_loop,
    draw_batch,
    load,
    measure,
    measure_generated,
    middle,
    restore_all,
)
from easy_to_hard.baselines.cold_diffusion.pictures import plot_grid
from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe, RestorerConfig, get_image_recipe
from easy_to_hard.baselines.kit.statistics import over_seeds, summarize
from easy_to_hard.scores.reference import ReferenceResult, find_measurement


def tiny(root: Path, **changes: Any) -> ImageRecipe:
    recipe = get_image_recipe("smoke", "mnist")
    recipe = replace(
        recipe,
        data_root=root,
        severities=2,
        restorer=replace(recipe.restorer, width=4),
        batch_size=4,
        loop=replace(recipe.loop, steps=4),
        test_images=16,
        classifier_steps=4,
    )
    return replace(recipe, **changes)


def run(recipe: ImageRecipe, folder: Path) -> ReferenceResult:
    return get_baseline("cold_diffusion").run(recipe, folder, progress=False)


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


@pytest.mark.slow
def test_run_is_whole_and_the_same_again(mnist_root: Path, tmp_path: Path) -> None:
    recipe = tiny(mnist_root, seeds=(3, 1), degradation="pixelate", generate=6)
    result = run(recipe, tmp_path / "a")
    # Again in another folder, and once more where all is trained.
    assert plain(run(recipe, tmp_path / "b")) == plain(result)
    assert plain(run(recipe, tmp_path / "a")) == plain(result)
    assert (result.method, result.seeds, result.data) == ("cold_diffusion", (3, 1), "mnist")
    for state in ("degraded", "direct", "algorithm_1", "algorithm_2"):
        for name in ("RMSE", "SSIM", "FID", "KID"):
            found = find_measurement(result.measurements, name, {"state": state})
            assert (found.num_items, found.num_seeds, found.low is None) == (16, 2, False)
        # There are four other test images.
        assert find_measurement(result.measurements, "unpaired FID", {"state": state}).num_seeds == 2
    assert find_measurement(result.measurements, "diversity", {"state": "broken symmetry"}).num_items == 6
    assert len(result.claims) == 4
    assert result.settings["degradation"]["steps"] == 2
    assert result.settings["features"] == "features of a small CNN trained on MNIST here"
    for name in ("grid.png", "generated.png", "trajectory.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    # What was measured is kept, and so is the net, from which it is measured anew where it is gone.
    (tmp_path / "a" / "seed3" / "restored.json").unlink()
    assert plain(run(recipe, tmp_path / "a")) == plain(result)
    other = run(replace(recipe, seeds=(1,), generate=0), tmp_path / "a")
    assert find_measurement(other.measurements, "RMSE", {"state": "direct"}).low is None
    assert [claim.held for claim in other.claims] == [None, None, None]
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in severities"):
        run(replace(recipe, severities=3), tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degradation", "ways"),
    [("blur_to_mean", ("perfect symmetry", "broken symmetry")), ("noise", ("fixed noise", "estimated noise"))],
)
def test_nothing_is_restored_where_nothing_is_left(
    mnist_root: Path, tmp_path: Path, degradation: str, ways: tuple[str, str]
) -> None:
    result = run(tiny(mnist_root, degradation=degradation, generate=6), tmp_path)
    assert {str(one.condition.get("state", ways[0])) for one in result.measurements} == set(ways)
    assert [claim.source for claim in result.claims] == ["arXiv 2208.09392, section 5"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["generated.png", "trajectory.png"]


@pytest.mark.parametrize("eight_bits", [False, True])
def test_the_net_sees_eight_bits_if_it_should(eight_bits: bool) -> None:
    recipe = replace(
        tiny(Path(), eight_bits=eight_bits),
        restorer=RestorerConfig(architecture="convnext", width=4, multipliers=(1,), attention=False),
    )
    images = torch.randint(0, 256, (8, 1, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    blur = get_degradation("blur").build(2, 16, None)
    seen: list[Tensor] = []

    def restore(degraded: Tensor, severity: Tensor) -> Tensor:
        seen.append(degraded)
        return degraded

    loop = build_loop(recipe, blur, images, 0, torch.device("cpu"))
    loop.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    loop.step(0)
    restore_all(restore, blur, images, seed=0, device=torch.device("cpu"), eight_bits=eight_bits)
    whole = [bool(((one + 1) * 127.5 - ((one + 1) * 127.5).round()).abs().max() < 1e-3) for one in seen]
    # Training, and the last severity: at once and by each algorithm. States on the way back are not rounded.
    assert whole == [eight_bits, eight_bits, eight_bits, False, eight_bits, False]


def test_evaluation_crops_what_the_authors_loaders_resize(mnist_root: Path) -> None:
    """Their sides are cut to whole pixels: 35, not 36, for 32."""
    recipe = get_image_recipe("paper", "mnist")
    assert load(replace(recipe, data_root=mnist_root)).train.images.shape[2:] == (35, 35)


def test_paper_presets_are_those_of_the_commands() -> None:
    def settings(data: str, degradation: str = "") -> tuple[str, int, int, int, bool]:
        recipe = get_image_recipe("paper", data, degradation)
        return recipe.degradation, recipe.steps, recipe.loop.steps, recipe.batch_size, recipe.eight_bits

    assert settings("mnist") == ("blur", 20, 700_000, 32, False)
    assert settings("cifar10") == ("blur_offset", 50, 700_000, 32, False)
    assert settings("folder") == ("blur", 200, 700_000, 32, False)
    assert settings("mnist", "mask_random") == ("mask_random", 50, 700_000, 32, True)
    assert settings("folder", "mask") == ("mask", 100, 350_000, 100, False)
    assert settings("folder", "blur_to_mean") == ("blur_to_mean", 300, 700_000, 32, True)


def test_paired_and_unpaired_distances() -> None:
    """The originals themselves: at distance 0 of themselves, and not of others."""
    features = Features(name="pixels", extract=lambda images: images[:, 0, :3, 0])
    images = torch.rand(30, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    found = measure(images[:20], images[:20], images[20:], features)
    assert found["FID"] == pytest.approx(0, abs=1e-6)
    assert found["unpaired FID"] > 0.01
    assert "unpaired FID" not in measure(images[:20], images[:20], images[20:21], features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degradation": "rain"}, "unknown degradation 'rain'"),
        ({"severities": -1}, "severities must be at least 0, not -1"),
        ({"generate": -1}, "generate must be at least 0, not -1"),
        ({"components": 0}, "components must be at least 1, not 0"),
        ({"features": "vgg"}, "unknown features 'vgg': choose one of classifier, efficientnet_lite0"),
        (
            {"features": "efficientnet_lite0", "inception_weights": Path("none")},
            "inception weights and features 'efficientnet_lite0' exclude each other",
        ),
        ({"seeds": (1, 1)}, r"seeds must be at least one, all different, each at least 0, not \[1, 1\]"),
        ({"seeds": (-1,)}, r"not \[-1\]"),
    ],
)
def test_settings_errors(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degradation": "desaturate"}, "Desaturate needs images with 3 channels, not 1"),
        ({"degradation": "animorphosis"}, "needs a second set of images: give --others"),
        ({"degradation": "pixelate", "severities": 6}, "side 16 cannot be pixelated 6 times"),
        ({"generate": 2}, "the last states of Blur cannot be drawn"),
        ({"data": "cifar10"}, "no CIFAR-10 in"),
        ({"inception_weights": Path("none")}, "no Inception weights at none"),
    ],
)
def test_what_does_not_fit_is_said_before_training(
    mnist_root: Path, tmp_path: Path, changes: Any, message: str
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(tiny(mnist_root, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_severities_of_presets() -> None:
    recipes = [
        replace(get_image_recipe(preset, "mnist"), degradation=name)
        for preset in ("smoke", "small", "paper")
        for name in ("blur", "snow")
    ]
    assert [recipe.steps for recipe in recipes] == [5, 5, 20, 50, 20, 200]


def test_claims_are_decided_by_whole_intervals() -> None:
    def decided(fid_2: list[float], fid_1: list[float], rmse_2: list[float]) -> list[bool | None]:
        fid = {"direct": [10.0, 10.5, 9.5], "algorithm_2": fid_2, "algorithm_1": fid_1}
        errors = {"direct": [0.1, 0.1, 0.1], "algorithm_2": rmse_2, "algorithm_1": [0.2, 0.2, 0.2]}
        values = {"FID": fid, "KID": fid, "SSIM": errors, "RMSE": errors}
        found = summarize(
            [
                compare({(name, state): of[seed] for name, states in values.items() for state, of in states.items()}, 5)
                for seed in range(3)
            ]
        )
        rmse = [over_seeds("RMSE", [0.1], condition={"state": "direct"}, num_items=5)]
        better, worse = (
            over_seeds("RMSE", [before], condition={"state": "degraded"}, num_items=5) for before in (0.3, 0.05)
        )
        # A restorer that makes images worse shows nothing of the ways to use it.
        assert {claim.verdict for claim in restoration_claims([*found, *rmse, worse])} == {"not tested"}
        assert {claim.verdict for claim in restoration_claims(found)} == {"not decided"}
        assert not generation_claims(found)
        return [claim.held for claim in restoration_claims([*found, *rmse, better])]

    assert decided([8.0, 8.4, 7.6], [20.0, 21.0, 19.0], [0.11, 0.111, 0.109]) == [True, True, True]
    assert decided([12.0, 12.4, 11.6], [9.0, 9.5, 8.5], [0.15, 0.151, 0.149]) == [False, False, False]
    assert decided([5.0, 15.0, 9.0], [5.0, 14.0, 12.0], [0.09, 0.15, 0.12]) == [None, None, None]


@pytest.mark.parametrize(
    ("fid", "verdict"), [([5.0, 5.5, 4.5], "held"), ([9.0, 9.5, 8.5], "did not hold"), ([5.0, 9.0, 7.0], "not decided")]
)
def test_claims_on_generated_images(fid: list[float], verdict: str) -> None:
    seeds = [compare({("FID", "broken symmetry"): one, ("FID", "perfect symmetry"): 7.0}, 5) for one in fid]
    assert [claim.verdict for claim in generation_claims(summarize(seeds))] == [verdict]


def test_batches_are_squares_of_their_images() -> None:
    images = torch.arange(2 * 3 * 36, dtype=torch.uint8).reshape(2, 3, 6, 6)
    batch = draw_batch(images, 4, 50, torch.Generator().manual_seed(0))
    values = ((batch + 1) * 127.5).round().long()
    # A row down is 6 more, a pixel to the right 1 more, or 1 less where flipped; a channel is 36 more.
    assert (values[:, :, 1:] - values[:, :, :-1] == 6).all()
    steps = (values[:, :, :, 1:] - values[:, :, :, :-1]).unique()
    assert steps.tolist() == [-1, 1]
    assert (values[:, 1] - values[:, 0] == 36).all()
    assert len(values[:, 0, 0, 0].unique()) > 10
    same = draw_batch(images, 6, 9, torch.Generator().manual_seed(0))
    assert all(any(torch.equal(row, image) for image in images.float() / 127.5 - 1) for row in same)
    assert middle(images, 4)[0, 0].tolist() == images[0, 0, 1:5, 1:5].tolist()


def test_diversity_does_not_count_brightness() -> None:
    features = Features(name="means", extract=lambda images: images.mean(dim=(2, 3)))
    shades = torch.linspace(0, 1, 6).reshape(-1, 1, 1, 1).expand(6, 1, 4, 4)
    assert measure_generated(shades, shades, features)["diversity"] == pytest.approx(0, abs=1e-6)
    noise = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    assert measure_generated(noise, shades, features)["diversity"] > 0.1


def test_grid_errors() -> None:
    for rows in ({}, {"a": torch.zeros(2, 1, 4, 4), "b": torch.zeros(3, 1, 4, 4)}, {"a": torch.zeros(0, 1, 4, 4)}):
        with pytest.raises(ValueError, match="rows must hold equally many images, at least one"):
            plot_grid(rows)
