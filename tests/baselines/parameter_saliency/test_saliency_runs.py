"""Whole runs on tiny data: they end with a result, go on where they were stopped, and refuse another run's folder."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch

from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.image_data import ImageSet, import_torchvision
from easy_to_hard.baselines.parameter_saliency.claims import decide_claims
from easy_to_hard.baselines.parameter_saliency.examined import Examined, ImageNets, PuzzleNets
from easy_to_hard.baselines.parameter_saliency.pretrained import load_torchvision_nets
from easy_to_hard.baselines.parameter_saliency.recipes import PRESETS, Recipe, get_recipe, models_of
from easy_to_hard.baselines.parameter_saliency.running import run_saliency
from easy_to_hard.scores.reference import Measurement, ReferenceResult

CPU = torch.device("cpu")
RECIPE = Recipe(
    title="tiny",
    items=60,
    tried=3,
    kept=4,
    counts=(1, 3),
    k=3,
    neighbours=3,
    mapped=10,
    boosted=3,
    seeds=(0, 1),
    steps=40,
    batch_size=16,
    width=4,
    difficulty=8,
    iterations=3,
    training_puzzles=40,
    patch=6,
)


def shapes(count: int, name: str) -> ImageSet:
    """Noise with a bar that lies (class 0), stands (class 1) or is not there (class 2)."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 200, (count, 1, 12, 12)).astype(np.uint8)
    labels = np.arange(count) % 3
    for image, label in zip(images[:, 0], labels, strict=True):
        if label < 2:
            (image.T if label else image)[rng.integers(2, 10), 2:10] = 255
    return ImageSet(name=name, images=torch.from_numpy(images), labels=torch.from_numpy(labels))


def run(out: Path, recipe: Recipe = RECIPE) -> ReferenceResult:
    nets = ImageNets(recipe=recipe, train=shapes(90, "bars"), test=shapes(60, "bars"), device=CPU)
    return run_saliency(nets, recipe, out, preset="tiny", data="mnist", model="small_cnn", device="cpu", progress=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReferenceResult, Path]:
    out = tmp_path_factory.mktemp("run") / "images"
    return run(out), out


def test_a_run_on_images(done: tuple[ReferenceResult, Path]) -> None:
    result, out = done
    assert result.settings["filters"] == 144
    names = {one.name for one in result.measurements}
    assert len(names) > 10
    assert len(result.measurements) < 150
    assert all(one.num_seeds <= 2 for one in result.measurements)
    assert len(result.claims) == 8
    for picture in ("pruning.png", "tuning.png", "input_saliency.png"):
        assert 0 < (out / picture).stat().st_size < 150_000


def test_a_run_goes_on_and_gives_the_same(done: tuple[ReferenceResult, Path], tmp_path: Path) -> None:
    result, out = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    # As it was when it was stopped in the second seed's experiments, its net trained.
    (copy / "seed1" / "records.json").unlink()
    again = run(copy)
    assert again.measurements == result.measurements
    assert again.claims == result.claims
    anew = run(tmp_path / "anew")
    assert anew.measurements == result.measurements


def test_another_run_does_not_take_the_folder(done: tuple[ReferenceResult, Path]) -> None:
    with pytest.raises(ValueError, match=r"holds a run that differs in tried: choose another --out"):
        run(done[1], replace(RECIPE, tried=2))


def test_damaged_records_are_named(done: tuple[ReferenceResult, Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(done[1], copy)
    (copy / "seed0" / "records.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"records.json is damaged: remove it to measure again"):
        run(copy)


def puzzle_nets(task: str, recipe: Recipe) -> PuzzleNets:
    solvers = RecurrentSolvers(
        task=task, width=recipe.width, patch=2 if task == "mazes" else 1, max_iterations=recipe.iterations
    )
    return PuzzleNets(recipe=recipe, task=task, solvers=solvers, shipped=None, device=CPU)


def test_a_run_on_strings(tmp_path: Path) -> None:
    recipe = replace(RECIPE, seeds=(0,), steps=150, difficulty=9, items=50, width=8)
    result = run_saliency(
        puzzle_nets("prefix_sums", recipe),
        recipe,
        tmp_path / "strings",
        preset="tiny",
        data="prefix_sums",
        model="trained",
        device="cpu",
        progress=False,
    )
    calls = {
        str(one.condition["call"]): one.value
        for one in result.measurements
        if one.name.startswith("share of an item's saliency") and one.condition["items"] == "wrong"
    }
    assert list(calls) == ["start", "1", "2", "3", "answer"]
    assert sum(calls.values()) == pytest.approx(1, abs=1e-6)
    assert (tmp_path / "strings" / "iterations.png").is_file()


def test_training_ends_where_enough_is_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(PuzzleNets, "_solve_rate", lambda *_: asked.append(0) or float(len(asked) > 1))
    recipe = replace(RECIPE, steps=60, difficulty=10)
    puzzle_nets("prefix_sums", recipe).examine(0, tmp_path, progress=False)
    # Looked at before steps 0 and 25, and 25 are done.
    assert len(asked) == 2
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["done"]["step"] == 25


class AlwaysRight:
    """Nets that are always right, for some seeds: what they say is the class."""

    def __init__(self, *seeds: int) -> None:
        self._seeds = seeds

    def count_filters(self) -> int:
        return 144

    def examine(self, seed: int, folder: Path, *, progress: bool) -> Examined:
        nets = ImageNets(recipe=RECIPE, train=shapes(90, "bars"), test=shapes(60, "bars"), device=CPU)
        examined = nets.examine(seed, folder, progress=progress)
        if seed not in self._seeds:
            targets = examined.items.targets.clone()
            targets[:10] = 1 - targets[:10].clamp(max=1)
            return replace(examined, items=replace(examined.items, targets=targets))
        answers = examined.subject.logits(examined.items.inputs).argmax(1)
        return replace(examined, items=replace(examined.items, targets=answers))


def look_into(nets: AlwaysRight, recipe: Recipe, out: Path) -> ReferenceResult:
    return run_saliency(nets, recipe, out, preset="tiny", data="mnist", model="small_cnn", device="cpu", progress=False)


def test_nets_without_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="seed 0: the net gets 0 of 60 items wrong; 3 or more are needed"):
        look_into(AlwaysRight(0, 1), replace(RECIPE, seeds=(0, 1)), tmp_path)


def test_a_net_without_mistakes_is_left_out_and_named(tmp_path: Path) -> None:
    result = look_into(AlwaysRight(0), replace(RECIPE, seeds=(0, 1)), tmp_path)
    assert result.seeds == (1,)
    assert [reason[:22] for reason in result.settings["left_out"]] == ["seed 0: the net gets 0"]


def measured(name: str, low: float, high: float, **condition: str | int) -> Measurement:
    return Measurement(
        name=name, value=(low + high) / 2, low=low, high=high, condition=condition, num_items=5, num_seeds=3
    )


def test_claims_are_decided_by_the_interval() -> None:
    corrected, confident = (
        "corrected by pruning, difference",
        "change of the wrong answer's confidence by pruning, difference",
    )
    claims = decide_claims(
        [
            measured("items right", 0.4, 0.6),
            measured(corrected, 0.1, 0.3, filters="salient", against="random", k=3),
            measured(corrected, -0.3, -0.1, filters="salient", against="least", k=3),
            measured(confident, -0.3, -0.1, filters="salient", against="random", k=3),
            measured(confident, -0.3, 0.1, filters="salient", against="least", k=3),
        ],
        k=3,
        puzzles=False,
    )
    assert [claim.verdict for claim in claims[:4]] == ["held", "held", "did not hold", "not decided"]
    assert claims[4].verdict == "not decided"
    assert "corrected by a step on another item, difference: not measured" in claims[4].evidence
    # Of nets that get next to nothing right, wrong answers say nothing.
    claims = decide_claims(
        [measured("items right", 0.01, 0.1), measured(corrected, 0.1, 0.3, filters="salient", against="random", k=3)],
        k=3,
        puzzles=True,
    )
    assert {claim.verdict for claim in claims} == {"not tested"}


@pytest.mark.parametrize("data", ["mnist", "cifar10", "folder", "mazes", "prefix_sums"])
def test_presets_of_all_data(data: str) -> None:
    for preset in PRESETS:
        for model in models_of(data):
            if (preset == "paper") == (model in ("resnet50", "vgg19", "densenet121", "inception_v3")):
                assert get_recipe(preset, data, model).items > 0
            else:
                with pytest.raises(ValueError, match="preset paper goes with a model of torchvision"):
                    get_recipe(preset, data, model)


def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    torchvision = import_torchvision()
    recipe = replace(RECIPE, items=1)
    with pytest.raises(FileNotFoundError, match="no images in"):
        load_torchvision_nets(recipe, "resnet50", tmp_path, CPU)
    (tmp_path / "class0").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "class0" / "0.png")

    def offline(name: str, weights: object) -> object:
        raise URLError("no route\nto host")

    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(RuntimeError, match=r"the weights of vgg19 cannot be had: .*no route") as failure:
        load_torchvision_nets(recipe, "vgg19", tmp_path, CPU)
    assert "\n" not in str(failure.value)
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: SimpleNamespace(name=name, of=weights))
    found = load_torchvision_nets(recipe, "vgg19", tmp_path, CPU)
    assert "IMAGENET1K_V1" in str(found.net.of)
    with pytest.raises(ValueError, match="items must be at most 1, all images in"):
        load_torchvision_nets(RECIPE, "vgg19", tmp_path, CPU)
