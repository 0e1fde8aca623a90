"""Whole evaluations, in small: on images, and on puzzles."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.dp_instahide.mechanism import Cell
from easy_to_hard.baselines.dp_instahide.on_images import membership_auc
from easy_to_hard.baselines.dp_instahide.on_puzzles import ReleasedPuzzles, release_puzzles
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe, PuzzleRecipe, get_image_recipe, get_puzzle_recipe
from easy_to_hard.baselines.dp_instahide.releases import Releases, release_items, train_on
from easy_to_hard.baselines.kit.poisoning.attacks import clean_set
from easy_to_hard.baselines.kit.puzzles import make_puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.victims import VictimConfig
from easy_to_hard.scores.reference import ReferenceResult, find_measurement

CPU = torch.device("cpu")


def tiny_images(**changes: Any) -> ImageRecipe:
    recipe = get_image_recipe("smoke", "mnist")
    victim = VictimConfig(epochs=1, widths=(4,), batch_size=32)
    small = {"train_images": 120, "test_images": 60, "victim": victim, "budget": 0.05, "trials": 1000}
    return replace(recipe, **{**small, "mix_counts": (2,), "noise_scales": (0.25,), **changes})


def run_images(recipe: ImageRecipe, root: Path, out: Path) -> ReferenceResult:
    return get_baseline("dp_instahide").run(replace(recipe, data_root=root), out, progress=False)


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


def tiny_puzzles(task: str) -> PuzzleRecipe:
    recipe = get_puzzle_recipe("smoke", task)
    small = {"train_items": 30, "test_items": 10, "steps": 3, "batch_size": 8, "width": 4, "max_iterations": 3}
    return replace(recipe, **{**small, "mix_counts": (2,), "noise_scales": (0.5,)})


def run_puzzles(recipe: PuzzleRecipe, out: Path) -> ReferenceResult:
    return get_baseline("dp_instahide").run(recipe, out, progress=False)


@pytest.mark.slow
def test_run_on_images_is_whole_and_the_same_again(mnist_root: Path, tmp_path: Path) -> None:
    recipe = tiny_images(seeds=(3, 1))
    result = run_images(recipe, mnist_root, tmp_path / "a")
    assert plain(run_images(recipe, mnist_root, tmp_path / "b")) == plain(result)
    # A part that is lost is made again as it was; the others are read.
    (tmp_path / "a" / "online-seed1.json").unlink()
    assert plain(run_images(recipe, mnist_root, tmp_path / "a")) == plain(result)
    assert (tmp_path / "a" / "grid.png").read_bytes()[:4] == b"\x89PNG"
    assert (result.method, result.seeds, result.settings["diameter"]) == ("dp_instahide", (3, 1), 28 * 28 + 2)
    released = {"defence": "fixed releases", "k": 2, "b": 0.25}
    for condition in (
        {"defence": "none"},
        released,
        {**released, "b": 0.0},
        {"defence": "fresh mixing", "k": 2, "b": 0.25},
    ):
        for name in ("clean accuracy", "attack success", "attack success less unpoisoned", "membership AUC"):
            assert find_measurement(result.measurements, name, condition).num_seeds == 2
    epsilons = [one for one in result.measurements if one.name == "epsilon of all releases"]
    facts = [(one.condition["defence"], one.condition.get("releases")) for one in epsilons]
    assert facts.count(("fixed releases", 120)) == 3
    # The last has noise enough for an epsilon of 20, which is all that it was chosen for.
    assert 19.9 < min(one.value for one in epsilons if one.condition.get("verdict") == "at most 20") <= 20
    for one in epsilons:
        assert (one.condition["adjacency"], one.condition["bound"]) == ("replace one", "privacy loss distribution")
        cell = {name: one.condition[name] for name in ("defence", "k", "b")}
        others = [
            other
            for other in result.measurements
            if other.name == "epsilon of all releases by a looser bound" and cell.items() <= other.condition.items()
        ]
        assert len(others) == 2
        assert all(other.value >= one.value for other in others)
    private = [one for one in result.measurements if one.name == "epsilon of private training"]
    assert [one.condition["adjacency"] for one in private] == ["add or remove one", "replace one"]
    assert private[0].value < private[1].value
    assert [claim.held for claim in result.claims][:2] == [True, False]
    assert len(result.measurements) <= 150
    one_seed = run_images(replace(recipe, seeds=(1,)), mnist_root, tmp_path / "a")
    assert find_measurement(one_seed.measurements, "clean accuracy", released).low is None
    assert {claim.verdict for claim in one_seed.claims[2:6]} <= {"not decided", "not tested"}
    with pytest.raises(ValueError, match="it belongs to a run that differs in budget; choose another --out"):
        run_images(replace(recipe, budget=0.1), mnist_root, tmp_path / "a")
    (tmp_path / "a" / "audit.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot resume from .*audit\.json: .*; remove it to make that part again"):
        run_images(recipe, mnist_root, tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0.0}, "budget must be a share of the training set above 0 and at most 1, not 0.0"),
        ({"mix_counts": (121,)}, "k must be from 1 to n = 120, the number of records, not 121"),
        ({"noise_scales": (0.0,)}, "b, the scale of the noise, must be above 0 and finite, not 0.0"),
        ({"seeds": (1, 1)}, r"seeds must be at least one, all different, each at least 0, not \[1, 1\]"),
        ({"source": 9}, "no image of class 9"),
        ({"train_images": 121}, "the number of images must be from 1 to 120"),
    ],
)
def test_bad_settings_are_refused_before_any_training(
    mnist_root: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as failure:
        run_images(tiny_images(**changes), mnist_root, tmp_path / "run")
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["prefix_sums", "mazes"])
def test_run_on_puzzles_is_whole_and_the_same_again(task: str, tmp_path: Path) -> None:
    recipe = tiny_puzzles(task)
    result = run_puzzles(recipe, tmp_path / "a")
    assert plain(run_puzzles(recipe, tmp_path / "b")) == plain(result)
    name = "seed0-k2-b0.5000"
    (tmp_path / "a" / f"{name}.json").unlink()
    assert plain(run_puzzles(recipe, tmp_path / "a")) == plain(result)
    positions = make_puzzles(task, recipe.difficulty, 1).targets[0].numel()
    assert result.settings["diameter"] == positions * (4 if task == "mazes" else 2)
    rates = [one for one in result.measurements if one.name == "solve rate"]
    # Two k with b of 0 and 0.5, one more for the guarantee, two difficulties.
    assert (len(rates), rates[0].num_items) == (10, 20)
    assert (tmp_path / "a" / "grid.png").read_bytes()[:4] == b"\x89PNG"
    # A net of four channels learns neither task in three steps, so that nothing is said of mixing.
    assert [claim.verdict for claim in result.claims] == ["held", "not tested", "not tested"]


def test_released_items_are_the_averages() -> None:
    images = torch.tensor([0, 100, 255, 51], dtype=torch.uint8).view(4, 1, 1, 1)
    labels = F.one_hot(torch.tensor([0, 1, 2, 1]), 3).float()
    mixed, shares = release_items(images, labels, torch.tensor([[0, 1], [2, 3]]), 0.0, generator_of("x"))
    assert mixed.flatten().tolist() == [50, 153]
    assert shares.tolist() == [[0.5, 0.5, 0], [0, 0.5, 0.5]]
    # Noise of scale b is in units of [0, 1]: its mean size on a gray image is 255 b.
    gray = torch.full((1, 1, 100, 100), 128, dtype=torch.uint8)
    noisy, shares = release_items(gray, labels[:1], torch.zeros(1, 1, dtype=torch.int64), 0.05, generator_of("y"))
    assert float((noisy.float() - 128).abs().mean()) == pytest.approx(255 * 0.05, rel=0.05)
    assert shares[0, 0] < 1


def test_fixed_releases_stay_and_fresh_ones_do_not() -> None:
    images = torch.randint(0, 256, (20, 1, 4, 4), generator=generator_of("images")).byte()
    private = clean_set(images, torch.arange(20) % 2)
    options: dict[str, Any] = {"count": 20, "classes": 2, "device": CPU}
    cells = [Cell(mix_count=2, noise_scale=0.1)] * 2
    fixed, fresh = (Releases([private] * 2, cells, [0, 1], fresh=one, **options) for one in (False, True))
    epochs = [
        torch.cat([source.batch(epoch, n, 8)[0] for n in range(3)], dim=1).flatten(2).sum(2)
        for source in (fixed, fresh)
        for epoch in (0, 1)
    ]
    assert all(epoch.shape == (2, 20) for epoch in epochs)
    assert torch.allclose(epochs[0].sort(1).values, epochs[1].sort(1).values)
    assert not torch.allclose(epochs[2].sort(1).values, epochs[3].sort(1).values)
    # Another seed has other releases, and the same one has them again.
    assert not torch.allclose(epochs[0][0].sort().values, epochs[0][1].sort().values)
    assert torch.equal(Releases([private] * 2, cells, [0, 1], **options).batch(0, 0, 8)[0], fixed.batch(0, 0, 8)[0])


def test_nets_learn_from_releases() -> None:
    labels = torch.arange(64) % 2
    images = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    images[labels == 1, :, :4] = 255
    cells = [Cell(mix_count=1, noise_scale=0.05), Cell(mix_count=2, noise_scale=0.05)]
    source = Releases([clean_set(images, labels)] * 2, cells, [0, 0], count=64, classes=2, device=CPU)
    config = VictimConfig(epochs=15, batch_size=16, widths=(4,), classes=2)
    assert (train_on(source, config, device=CPU).predict(images) == labels).double().mean(1).tolist() == [1, 1]


def test_released_puzzles() -> None:
    items = make_puzzles("prefix_sums", 8, 2)
    released = release_puzzles(items, Cell(mix_count=2, noise_scale=0.0), releases=3, seed=0)
    assert torch.equal(released.inputs, items.inputs.mean(0).expand(3, -1, -1))
    assert torch.equal(released.answers, items.targets.float().mean(0).expand(3, -1))
    noisy = release_puzzles(items, Cell(mix_count=1, noise_scale=5.0), releases=3, seed=0)
    assert noisy.inputs.abs().max() == 0.5
    assert (float(noisy.answers.min()), float(noisy.answers.max())) == (0, 1)
    mazes = make_puzzles("mazes", 5, 2)
    assert release_puzzles(mazes, Cell(mix_count=1, noise_scale=5.0), releases=2, seed=0).inputs.aminmax() == (0, 1)


def test_answers_are_drawn_with_the_released_shares() -> None:
    shares = torch.tensor([[0.0, 0.25, 1.0]])
    released = ReleasedPuzzles(inputs=torch.zeros(1, 1, 3), answers=shares)
    drawn = released.draw(torch.zeros(20_000, dtype=torch.int64), generator_of("draw"))
    assert torch.allclose(drawn.targets.float().mean(0), shares[0], atol=0.015)
    assert bool(drawn.mask.all())


def test_membership_auc() -> None:
    members, others = (
        torch.tensor([[0.0, 1.0], [1.0, 1.0], [5.0, 6.0]]),
        torch.tensor([[2.0, 3.0], [1.0, 1.0], [0.0, 5.5]]),
    )
    assert membership_auc(members, others) == [1.0, 0.5, 0.25]
