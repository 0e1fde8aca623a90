"""Both kinds of run, whole and in small."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.canary import on_images, on_puzzles
from easy_to_hard.baselines.canary.attacks import PROTOCOLS, THRESHOLD, all_attacks
from easy_to_hard.baselines.canary.claims import LIRA, NEW_ITEMS, image_claims, puzzle_claims
from easy_to_hard.baselines.canary.on_images import require_memory
from easy_to_hard.baselines.canary.on_puzzles import FRESH_ATTACK, SolverKind, auc_of, solver_kinds
from easy_to_hard.baselines.canary.queries import CanaryConfig
from easy_to_hard.baselines.canary.recipes import (
    IMAGE_PRESETS,
    PUZZLE_PRESETS,
    ImageRecipe,
    PuzzleRecipe,
    get_image_preset,
    get_puzzle_preset,
)
from easy_to_hard.baselines.canary.score_files import read_statistics
from easy_to_hard.baselines.canary.shadows import TrainConfig
from easy_to_hard.baselines.canary.shards import Shard
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers, StackableSolvers
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles, mean_loss
from easy_to_hard.scores.reference import Measurement, ReferenceResult, find_measurement

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def cifar_root(tmp_path: Path) -> Path:
    """Files as CIFAR-10's with 200 and 60 images of noise."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in (("data_batch_1", 200), ("test_batch", 60)):
        data = rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        content = {b"data": data, b"labels": rng.integers(0, 10, count).tolist()}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path / "data"


def tiny(root: Path, **changes: Any) -> ImageRecipe:
    recipe = replace(
        get_image_preset("smoke", "cifar10"),
        data_root=root,
        shadows=12,
        pool=60,
        points=40,
        queries=2,
        width=2,
        train=TrainConfig(steps=3, batch_size=4, learning_rate=0.01),
        online=CanaryConfig(steps=2),
        offline=CanaryConfig(steps=2, stop_loss=1e9),
        variants=(("mse", 8.0),),
    )
    return replace(recipe, **changes)


def on_cpu(recipe: ReferenceRecipe, folder: Path) -> ReferenceResult:
    return get_baseline("canary").run(recipe, folder, progress=False)


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


@pytest.mark.slow
def test_a_run_on_images_is_whole_and_goes_on(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(cifar_root, levels=(0.1,))
    result = on_cpu(recipe, tmp_path / "a")
    assert (result.method, result.data, result.seeds) == ("canary", "cifar10", (0,))
    assert len(result.measurements) < 150
    for name in ("roc.png", "queries.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    condition = {"queries": "canary, online", "score": "online", "variance": "fixed", "fit": "held-out nets"}
    one = find_measurement(result.measurements, "TPR at 10 % FPR", condition)
    assert one.num_items == 6 * 40
    assert "1 of 5 batches" in result.settings["data_note"]
    # What was killed after the first canaries goes on with them, and ends the same.
    made, real = [], on_images.make_canaries

    def stopped(*given: Any, **settings: Any) -> Tensor:
        if made:
            raise KeyboardInterrupt
        made.append(settings["mode"])
        return real(*given, **settings)

    monkeypatch.setattr(on_images, "make_canaries", stopped)
    with pytest.raises(KeyboardInterrupt):
        on_cpu(recipe, tmp_path / "b")
    again: list[str] = []
    monkeypatch.setattr(on_images, "make_canaries", lambda *a, **s: again.append(s["mode"]) or real(*a, **s))
    assert plain(on_cpu(recipe, tmp_path / "b")) == plain(result)
    assert (made, again) == (["online"], ["offline", "online"])
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in of, shadows"):
        on_cpu(replace(recipe, shadows=16), tmp_path / "b")
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in canary\.steps"):
        on_cpu(replace(recipe, online=CanaryConfig(steps=3)), tmp_path / "b")
    # What only the attacks go by may change: nets and canaries are taken as they are.
    monkeypatch.setattr(on_images, "make_canaries", stopped)
    assert on_cpu(replace(recipe, levels=(0.2,)), tmp_path / "b").settings["levels"] == [0.2]
    # From the kept scores all figures follow.
    kept = read_statistics(tmp_path / "a" / "seed0" / "scores.npz")
    attacks = all_attacks([kept], levels=(0.1,))
    assert {str(one) for attack in attacks.values() for one in attack.measurements()} <= {
        str(one) for one in result.measurements
    }
    with np.load(tmp_path / "a" / "seed0" / "scores.npz") as arrays:
        for name, attack in attacks.items():
            assert np.array_equal(arrays[f"scores: {name}"], attack.scores[0])
        assert arrays["phi: canary, online"].shape == (12, 40, 2)


def no_training(*given: Any) -> Any:
    raise AssertionError("all nets are there")


@pytest.mark.slow
def test_shards_of_all_seeds_give_the_same_as_one_run(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(cifar_root, levels=(0.1,), seeds=(0, 5, 7))
    whole = on_cpu(recipe, tmp_path / "whole")
    assert {one.num_seeds for one in whole.measurements} == {3, 36}
    (tmp_path / "out").mkdir()
    for number in (2, 1):
        shard = Shard(number=number, count=2)
        on_images.train_shard(recipe, shard.folder(tmp_path / "out"), shard, device="cpu", progress=False)

    monkeypatch.setattr("easy_to_hard.baselines.canary.shadows._train_chunk", no_training)
    assert plain(on_cpu(recipe, tmp_path / "out")) == plain(whole)
    # A run can get more seeds, or fewer, later.
    assert on_cpu(replace(recipe, seeds=(5,)), tmp_path / "out").seeds == (5,)


@pytest.mark.slow
def test_shards_of_nets_that_solve_puzzles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_puzzles(
        sizes=(10,),
        max_iterations=2,
        iterations=(2,),
        width=2,
        train=replace(tiny_puzzles().train, steps=2),
    )
    whole = on_cpu(recipe, tmp_path / "whole")
    (tmp_path / "out").mkdir()
    for number in (1, 2):
        shard = Shard(number=number, count=2)
        on_puzzles.train_shard(recipe, shard.folder(tmp_path / "out"), shard, device="cpu", progress=False)
    monkeypatch.setattr("easy_to_hard.baselines.canary.shadows._train_chunk", no_training)
    assert plain(on_cpu(recipe, tmp_path / "out")) == plain(whole)
    with np.load(tmp_path / "out" / "seed0" / "scores.npz") as arrays:
        where = "nets recall; items 10; iterations 2"
        assert arrays[f"log odds; {where}"].shape == arrays[f"keep; {where}"].shape == (6, 20)
        assert arrays[f"scores: {LIRA}; {where}"].shape == (6, 20)


@pytest.mark.slow
def test_targets_make_no_canaries(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, real, trained = [], on_images.make_canaries, []
    real_train = on_images.train_shadows
    monkeypatch.setattr(on_images, "train_shadows", lambda *a, **s: trained.append(real_train(*a, **s)) or trained[0])
    monkeypatch.setattr(on_images, "make_canaries", lambda nets, *a, **s: seen.append(nets) or real(nets, *a, **s))
    on_cpu(tiny(cifar_root), tmp_path / "out")
    weights = trained[0].weights["head.weight"]
    assert len(trained[0]) == 12
    assert all(torch.equal(nets.weights["head.weight"], weights[:6]) for nets in seen)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shadows": 13}, "shadows must be a multiple of 4 and at least 12 .*, not 13"),
        ({"shadows": 8}, "not 8"),
        ({"points": 61}, "points must be from 20 to 60, the pool, not 61"),
        ({"queries": 0}, "queries must be at least 1, not 0"),
        ({"architecture": "vit"}, "architecture must be one of small_cnn, wide_resnet, not 'vit'"),
        ({"levels": (0.01,)}, "needs at least 100 non-members per target, not 20"),
        ({"seeds": (-1,)}, r"each at least 0, not \[-1\]"),
        ({"offline": CanaryConfig(objective="kl")}, "offline canaries' objective must be one of mse, .*, not 'kl'"),
        ({"at_once": -1}, "at_once must be at least 1, or 0 for the default, not -1"),
    ],
)
def test_image_settings_errors(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(tmp_path, **changes)


def test_what_does_not_fit_is_said_before_training(cifar_root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be from 1 to 200, all that cifar10 has, not 300"):
        on_cpu(tiny(cifar_root, pool=300), tmp_path / "out")
    with pytest.raises(ValueError, match="device must be cpu"):
        on_images.run(tiny(cifar_root), tmp_path / "out", device="tpu", progress=False)
    with pytest.raises(ValueError, match=r"10,000,000,000 queries for each of 40 points need .* give at most [\d,]+ q"):
        require_memory(tiny(cifar_root, queries=10**10), 3072, torch.device("cpu"))
    with pytest.raises(
        ValueError, match=r"must be one of easy_to_hard\.baselines\.canary\.recipes, not ReferenceRecipe"
    ):
        on_cpu(ReferenceRecipe(preset="smoke", data="cifar10"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def difference(name: str, condition: Mapping[str, Any], low: float, high: float) -> Measurement:
    return Measurement(name=name, value=(low + high) / 2, low=low, high=high, condition=dict(condition), num_items=10)


def test_claims_are_decided_by_whole_intervals() -> None:
    # Each protocol is judged by its own figures.
    for fit in PROTOCOLS:
        pair = {"attack": f"canary, online; online; fixed; {fit}", "against": f"augmented; online; fixed; {fit}"}
        lira = {"queries": "augmented", "score": "online", "variance": "fixed", "fit": fit}
        decided_by_intervals(pair, lira)


def decided_by_intervals(pair: Mapping[str, Any], lira: Mapping[str, Any]) -> None:
    able = [difference("accuracy of the nets", {"images": "members"}, 0.7, 0.8), difference("AUC", lira, 0.6, 0.7)]
    for (low, high), held in {(0.1, 0.2): True, (-0.2, -0.1): False, (-0.1, 0.2): None}.items():
        figures = [difference("AUC difference", pair, low, high), *able]
        (claim,) = image_claims(figures)
        assert claim.held is held
        assert f"{low:g} to {high:g}" in claim.evidence
        # Where LiRA tells nothing, or the nets classify nothing, nothing is compared.
        for place, (low, high) in ((1, (0.05, 0.15)), (2, (0.4, 0.45))):
            poor = replace(figures[place], low=low, high=high, value=low)
            (claim,) = image_claims([*figures[:place], poor, *figures[place + 1 :]])
            assert claim.verdict == "not tested"


def test_claims_on_puzzles_are_decided_by_whole_intervals() -> None:
    facts = {"attack": LIRA, "nets": "a", "iterations": 5}
    ends = [
        difference("AUC", {**facts, "items": NEW_ITEMS}, 0.46, 0.54),
        difference("AUC", {**facts, "items": NEW_ITEMS, "attack": "wide"}, 0.4, 0.6),
        difference("AUC", {**facts, "items": NEW_ITEMS, "attack": "above"}, 0.56, 0.6),
        difference("AUC", {**facts, "items": NEW_ITEMS, "attack": "below"}, 0.4, 0.44),
        difference("AUC", {**facts, "items": 20}, 0.51, 0.6),
        difference("AUC", {**facts, "items": 20, "nets": "b"}, 0.4, 0.6),
        difference("AUC", {**facts, "items": 20, "iterations": 6}, 0.51, 0.6),
        difference("AUC difference", {"attack": LIRA, "of": "a", "against": "b", "items": 20}, -0.6, -0.5),
        difference("AUC difference", {"attack": LIRA, "of": "20 items", "against": "40 items", "nets": "a"}, 0.5, 0.6),
        difference("AUC difference", {"attack": "another", "of": "a", "against": "b"}, 0.5, 0.6),
    ]

    def solves(nets: str, items: int | str, rate: float) -> Measurement:
        of = "the test split" if items == NEW_ITEMS else "members"
        return difference("solve rate", {"of": of, "nets": nets, "items": items, "iterations": 5}, rate, rate + 0.1)

    able = [solves("a", NEW_ITEMS, 0.8), solves("a", 20, 0.8), solves("b", 20, 0.8), solves("a", 40, 0.1)]
    claims = puzzle_claims([*ends, *able], sizes=(20,), trained_iterations=5)
    assert [claim.held for claim in claims] == [True, None, False, False, True, None, False, None]
    assert claims[-1].verdict == "not tested", "nets of 40 items solve a tenth of them"
    unable = [replace(one, value=0.1, low=0.05, high=0.2) for one in able]
    claims = puzzle_claims([*ends, *unable], sizes=(20,), trained_iterations=5)
    assert {claim.verdict for claim in claims} == {"not tested"}


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Nets that learn each string's answer by heart, from a table of its first bits; iterations sharpen it."""

    bits: int = 12

    def build(self, seed: int) -> nn.Module:
        del seed
        return nn.ParameterDict({"table": nn.Parameter(torch.zeros(2**self.bits, self.bits))})

    def logits(self, net: Any, inputs: Tensor, iterations: int) -> Tensor:
        return self._logits(net, inputs) * iterations / 10

    def training_loss(self, net: nn.Module, items: Puzzles, *, seed: int, step: int) -> Tensor:
        return mean_loss(self._logits(net, items.inputs), items)

    def _logits(self, net: Any, inputs: Tensor) -> Tensor:
        places = ((inputs[:, 0] > 0).long() * 2 ** torch.arange(self.bits)).sum(1)
        found = F.embedding(places, net["table"])
        return torch.stack([torch.zeros_like(found), found], dim=1)


TABLES = {"tables": SolverKind(solvers=Tables())}


def tiny_puzzles(**changes: Any) -> PuzzleRecipe:
    recipe = replace(
        get_puzzle_preset("smoke", "prefix_sums"),
        difficulty=12,
        shadows=6,
        sizes=(10, 30),
        max_iterations=10,
        iterations=(5, 10),
        train=TrainConfig(steps=12, batch_size=10, learning_rate=0.3),
        at_once=1,
        fresh=50,
    )
    return replace(recipe, **changes)


@pytest.mark.slow
def test_tables_give_all_away_and_nothing_where_items_are_new(tmp_path: Path) -> None:
    kinds = {**TABLES, "short": SolverKind(solvers=Tables(), most_iterations=10)}
    recipe = tiny_puzzles(max_iterations=5, iterations=(5, 20))

    def run(recipe: PuzzleRecipe) -> ReferenceResult:
        pairs = (("tables", "short"),)
        return on_puzzles.run(recipe, tmp_path, device="cpu", progress=False, kinds=kinds, comparisons=pairs)

    result = run(recipe)
    assert plain(run(recipe)) == plain(result)
    facts = {"nets": "tables", "iterations": 5}
    for attack in (THRESHOLD, LIRA, FRESH_ATTACK):
        for size in (10, 30):
            found = find_measurement(result.measurements, "AUC", {"attack": attack, "items": size, **facts})
            assert found.value > 0.95
    null = find_measurement(result.measurements, "AUC", {"attack": THRESHOLD, "items": NEW_ITEMS, **facts})
    assert null.low is not None
    assert null.low <= 0.5 <= null.high
    rates = {
        of: find_measurement(result.measurements, "solve rate", {"of": of, "items": 30, **facts}).value
        for of in ("members", "the test split")
    }
    assert rates["members"] > 0.95 > 0.3 > rates["the test split"]
    asked = [one.condition for one in result.measurements if one.name == "AUC" and one.condition["nets"] == "short"]
    assert {condition["iterations"] for condition in asked} == {5}
    names = {(one.condition["of"], one.condition["against"]) for one in result.measurements if "difference" in one.name}
    assert names == {("tables", "short"), ("10 items", "30 items"), ("20 iterations", "5 iterations")}
    same = {"attack": LIRA, "of": "tables", "against": "short", "items": 30, "iterations": 5}
    assert find_measurement(result.measurements, "AUC difference", same).value == 0
    assert (tmp_path / "memorization.png").is_file()
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in .*shadows"):
        run(replace(recipe, shadows=8))


def test_no_net_of_the_null_has_seen_the_pool() -> None:
    recipe, cpu = tiny_puzzles(), torch.device("cpu")
    sets = on_puzzles._make_sets(recipe, cpu)
    job = on_puzzles._shadow_job(recipe, sets, Tables(), cpu, with_null=True)
    assert job.streams.shape == (18, 12, 10)
    null = job.streams[12:].flatten(1)
    assert null.min() >= sets.pool == 60
    assert all(len(row.unique()) == 120 for row in null)
    for size, first in ((10, 0), (30, 6)):
        for keep, stream in zip(sets.keeps[size], job.streams[first : first + 6], strict=True):
            assert keep[stream.unique()].all()
    inputs = sets.items.inputs.flatten(1)
    assert len(inputs.unique(dim=0)) == len(inputs)
    together = torch.cat([inputs, sets.fresh.inputs.flatten(1)])
    assert len(together.unique(dim=0)) == len(together)


def test_kinds_of_solvers() -> None:
    kinds = solver_kinds(get_puzzle_preset("smoke", "mazes"))
    assert {name for pair in on_puzzles.COMPARISONS for name in pair} <= kinds.keys()
    assert [name for name, kind in kinds.items() if not kind.allows(12)] == ["feed-forward"]
    solvers: Any = kinds["feed-forward"].solvers
    assert (solvers.task, solvers.width, solvers.patch, solvers.max_iterations) == ("mazes", 8, 2, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shadows": 7}, "shadows must be even and at least 6 .*, not 7"),
        ({"sizes": (5,)}, r"sizes must be .*, not \(5,\)"),
        ({"sizes": (30, 20)}, r"increasing, not \(30, 20\)"),
        ({"iterations": (5,)}, r"include the 10 of training, not \(5,\)"),
        ({"fresh": 1}, "fresh must be at least 20, not 1"),
        ({"seeds": (-1,)}, r"each at least 0, not \[-1\]"),
    ],
)
def test_puzzle_settings_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_puzzles(**changes)


@pytest.mark.parametrize("task", ["mazes", "prefix_sums"])
def test_stackable_solvers_have_the_same_loss(task: str) -> None:
    items = make_puzzles(task, 7 if task == "mazes" else 8, 5)
    settings: dict[str, Any] = {"task": task, "width": 4, "max_iterations": 3, "progressive_weight": 0.5}
    ours, theirs = StackableSolvers(**settings), RecurrentSolvers(**settings)
    net = theirs.build(0)
    losses = [solvers.training_loss(net, items, seed=0, step=2) for solvers in (ours, theirs)]
    torch.testing.assert_close(losses[0], losses[1])
    gradients = [torch.autograd.grad(loss, net.projection.weight)[0] for loss in losses]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_auc_of_two_samples() -> None:
    assert auc_of(torch.tensor([3.0, 1.0]).double(), torch.tensor([2.0, 0.0, 1.0]).double()) == pytest.approx(4.5 / 6)


SMALL: list[tuple[Any, str]] = [
    (get_image_preset, "cifar10"),
    (get_image_preset, "mnist"),
    (get_puzzle_preset, "mazes"),
    (get_puzzle_preset, "prefix_sums"),
]


def test_presets() -> None:
    names = {"smoke", "small", "paper"}
    assert {preset for preset, _ in IMAGE_PRESETS} == {preset for preset, _ in PUZZLE_PRESETS} == names
    paper = get_image_preset("paper", "cifar10")
    assert (paper.shadows, paper.points, paper.reported_levels) == (64, 5000, (0.01, 0.001))
    # 100 epochs of 25,000 images in batches of 256.
    assert paper.train.steps == round(25_000 / 256 + 0.5) * 100
    for config, stop_loss in ((paper.online, None), (paper.offline, 23)):
        assert (config.objective, config.epsilon, config.steps, config.nets_a_step) == ("mse", 1, 30, 2)
        assert config.stop_loss == stop_loss
    assert paper.queries == 10
    assert all(len(get("small", data).seeds) == 3 for get, data in SMALL)
    assert get_image_preset("small", "cifar10").reported_levels == (0.01,)
    for get in (get_image_preset, get_puzzle_preset):
        with pytest.raises(ValueError, match=r"unknown preset 'huge' of .*: choose one of smoke, small, paper"):
            get("huge", "mazes")


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "MNIST").is_dir(), reason="no MNIST here")
def test_real_images(tmp_path: Path) -> None:
    recipe = tiny(SHARED, data="mnist", augmentation=get_image_preset("small", "mnist").augmentation)
    assert on_cpu(recipe, tmp_path / "out").data == "mnist"
