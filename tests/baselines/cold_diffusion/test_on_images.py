"""The whole evaluation on images, in small."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.cold_diffusion.claims import compare, image_claims
from easy_to_hard.baselines.cold_diffusion.metrics import Features
from easy_to_hard.baselines.cold_diffusion.on_images import draw_batch, measure_generated, middle
from easy_to_hard.baselines.cold_diffusion.pictures import plot_grid
from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe, get_image_recipe
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
    recipe = tiny(mnist_root, seeds=(3, 1), degradation="blur_to_mean", generate=6)
    result = run(recipe, tmp_path / "a")
    # Again in another folder, and once more where all is trained.
    assert plain(run(recipe, tmp_path / "b")) == plain(result)
    assert plain(run(recipe, tmp_path / "a")) == plain(result)
    assert (result.method, result.seeds, result.data) == ("cold_diffusion", (3, 1), "mnist")
    for state in ("degraded", "direct", "algorithm_1", "algorithm_2"):
        for name in ("RMSE", "SSIM", "FID", "KID"):
            found = find_measurement(result.measurements, name, {"state": state})
            assert (found.num_items, found.num_seeds, found.low is None) == (16, 2, False)
    assert find_measurement(result.measurements, "diversity", {"state": "generated, broken symmetry"}).num_items == 6
    assert len(result.claims) == 3
    assert result.settings["degradation"]["steps"] == 2
    assert result.settings["features"] == "features of a small CNN trained on MNIST here"
    for name in ("grid.png", "generated.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    # What was measured is kept, and so is the net, from which it is measured anew where it is gone.
    (tmp_path / "a" / "seed3" / "restored.json").unlink()
    assert plain(run(recipe, tmp_path / "a")) == plain(result)
    other = run(replace(recipe, seeds=(1,), generate=0), tmp_path / "a")
    assert find_measurement(other.measurements, "RMSE", {"state": "direct"}).low is None
    assert [claim.held for claim in other.claims] == [None, None, None]
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in severities"):
        run(replace(recipe, severities=3), tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degradation": "rain"}, "unknown degradation 'rain'"),
        ({"severities": -1}, "severities must be at least 0, not -1"),
        ({"generate": -1}, "generate must be at least 0, not -1"),
        ({"components": 0}, "components must be at least 1, not 0"),
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
        ({"degradation": "pixelate", "severities": 6}, "side 28 cannot be pixelated 6 times"),
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
    assert [recipe.steps for recipe in recipes] == [5, 5, 10, 40, 20, 200]


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
        assert {claim.verdict for claim in image_claims([*found, *rmse, worse])} == {"not tested"}
        assert {claim.verdict for claim in image_claims(found)} == {"not decided"}
        return [claim.held for claim in image_claims([*found, *rmse, better])]

    assert decided([8.0, 8.4, 7.6], [20.0, 21.0, 19.0], [0.11, 0.111, 0.109]) == [True, True, True]
    assert decided([12.0, 12.4, 11.6], [9.0, 9.5, 8.5], [0.15, 0.151, 0.149]) == [False, False, False]
    assert decided([5.0, 15.0, 9.0], [5.0, 14.0, 12.0], [0.09, 0.15, 0.12]) == [None, None, None]


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
