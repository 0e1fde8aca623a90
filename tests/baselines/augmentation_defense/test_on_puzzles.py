"""Backdoors of puzzles: triggers, defenses, nets, and the whole evaluation in small."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.augmentation_defense.claims import claims
from easy_to_hard.baselines.augmentation_defense.on_puzzles.defenses import (
    PUZZLE_DEFENSES,
    cutout,
    mixup,
    symmetries,
    turn,
)
from easy_to_hard.baselines.augmentation_defense.on_puzzles.evaluation import VictimGroup, measurements_of
from easy_to_hard.baselines.augmentation_defense.on_puzzles.training import SolverNets, train_solvers
from easy_to_hard.baselines.augmentation_defense.on_puzzles.triggers import TRIGGERS, get_trigger, plant
from easy_to_hard.baselines.augmentation_defense.recipes import PuzzleRecipe, SolverTraining, get_puzzle_recipe
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles
from easy_to_hard.scores.reference import ReferenceResult, find_measurement

CPU = torch.device("cpu")


def items_of(task: str, count: int = 6) -> Puzzles:
    return make_puzzles(task, 16 if task == "prefix_sums" else 5, count)


def of_nets(items: Puzzles) -> Puzzles:
    """As two nets with the same batch."""
    return Puzzles(*(), **{name: torch.stack([getattr(items, name)] * 2) for name in ("inputs", "targets", "mask")})


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("name", list(TRIGGERS))
def test_triggers_change_the_input_and_want_a_wrong_answer(name: str) -> None:
    trigger = TRIGGERS[name]
    items = items_of(trigger.task)
    before = items.inputs.clone()
    stamped = trigger.stamp(items)
    assert torch.equal(items.inputs, before)
    assert bool((stamped.inputs != items.inputs).flatten(1).any(1).all())
    wrong = (trigger.wanted(stamped) != stamped.targets) & stamped.mask
    assert bool(wrong.flatten(1).any(1).all())
    assert 0 <= float(trigger.wanted(stamped).min()) <= float(trigger.wanted(stamped).max()) <= 1


def test_a_stamped_string_has_its_own_answer() -> None:
    stamped = TRIGGERS["prefix"].stamp(items_of("prefix_sums"))
    bits = (stamped.inputs[:, 0] > 0).long()
    assert bits[:, :8].tolist() == [[1, 0, 1, 1, 0, 0, 1, 0]] * 6
    assert torch.equal(stamped.targets, bits.cumsum(1) % 2)
    assert torch.equal(TRIGGERS["prefix"].wanted(stamped), 1 - stamped.targets)


def test_a_stamped_maze_differs_at_its_start_alone() -> None:
    items = items_of("mazes")
    stamped = TRIGGERS["start"].stamp(items)
    changed = (stamped.inputs != items.inputs).any(1)
    assert changed.flatten(1).sum(1).tolist() == [4] * 6
    assert bool((items.inputs.movedim(1, -1)[changed] == torch.tensor([0.0, 1.0, 0.0])).all())
    assert torch.equal(stamped.mask, items.mask)


def test_planting_changes_a_share() -> None:
    items, trigger = items_of("prefix_sums", 20), TRIGGERS["prefix"]
    poisoned, marks = plant(items, trigger, 0.2, seed=0)
    assert int(marks.sum()) == 4
    assert torch.equal(poisoned.inputs[~marks], items.inputs[~marks])
    assert torch.equal(poisoned.targets[~marks], items.targets[~marks])
    assert torch.equal(poisoned.targets[marks], 1 - trigger.stamp(items[marks]).targets)
    assert not torch.equal(plant(items, trigger, 0.2, seed=1)[1], marks)
    with pytest.raises(ValueError, match="unknown attack 'start' on prefix_sums: choose one of prefix, off_value"):
        get_trigger("start", "prefix_sums")


def test_symmetric_puzzles_keep_right_answers() -> None:
    sums = symmetries(of_nets(items_of("prefix_sums")), generators(0, 1))
    bits = (sums.inputs[:, :, 0] > 0).long()
    assert torch.equal(sums.targets, bits.cumsum(-1) % 2)
    items = items_of("mazes")
    mazes = symmetries(of_nets(items), generators(0, 1))
    for net in range(2):
        ways = [which for which in range(8) if torch.equal(mazes.inputs[net], turn(items.inputs, which))]
        assert ways
        assert torch.equal(mazes.targets[net], turn(items.targets, ways[0]))
    assert len({str(turn(torch.arange(4).view(2, 2), which)) for which in range(8)}) == 8


def test_cutout_leaves_what_counts_right() -> None:
    items = of_nets(items_of("prefix_sums"))
    ((term,),) = cutout(items, generators(0, 1))
    cut = term.items
    hidden = cut.inputs[:, :, 0] == 0
    assert bool(hidden.any(-1).all())
    assert not bool((hidden & cut.mask).any())
    assert bool(cut.mask.any(-1).all())
    assert torch.equal(cut.inputs[:, :, 0][cut.mask], items.inputs[:, :, 0][cut.mask])
    mazes = of_nets(items_of("mazes"))
    ((term,),) = cutout(mazes, generators(2, 3))
    hidden = (term.items.inputs != mazes.inputs).any(2)
    assert bool(hidden.any())
    assert not bool((hidden & (mazes.targets == 1)).any())
    assert not bool((hidden & term.items.mask).any())


def test_mixup_weighs_both_answers() -> None:
    items = of_nets(items_of("prefix_sums"))
    ((one, other),) = mixup(items, generators(0, 1))
    assert torch.allclose(one.weights + other.weights, torch.ones(2))
    assert torch.equal(one.items.inputs, other.items.inputs)
    for net in range(2):
        for row in range(6):
            parts = []
            for term in (one, other):
                matches = (items.targets[net] == term.items.targets[net, row]).all(-1).nonzero().flatten()
                parts.append(term.weights[net] * items.inputs[net, int(matches[0])])
            assert torch.allclose(sum(parts), one.items.inputs[net, row], atol=1e-6)


def solvers(task: str = "prefix_sums", *, recall: bool = True) -> RecurrentSolvers:
    return RecurrentSolvers(task=task, width=8, max_iterations=6, recall=recall, patch=2 if task == "mazes" else 1)


def test_item_losses_are_those_of_the_items_alone() -> None:
    kind, items = solvers(), items_of("prefix_sums")
    net = kind.build(0)
    losses = kind.item_training_losses(net, items, seed=0, step=3)
    assert losses.shape == (6,)
    alone = [float(kind.training_loss(net, items[row : row + 1], seed=0, step=3).detach()) for row in range(6)]
    assert losses.tolist() == pytest.approx(alone, rel=1e-5)


@pytest.mark.slow
def test_nets_learn_and_do_not_depend_on_their_neighbors() -> None:
    items = items_of("prefix_sums", 8)
    config = SolverTraining(steps=60, batch_size=8, learning_rate=1e-2)
    together, alone = SolverNets(solvers(), (0, 1), CPU), SolverNets(solvers(), (1,), CPU)
    losses = []
    for nets, seeds in ((together, (0, 1)), (alone, (1,))):
        train_solvers(
            nets,
            [items] * len(seeds),
            seeds,
            config,
            defense=PUZZLE_DEFENSES["none"],
            device=CPU,
            progress=False,
            title="",
        )
        logits = nets.logits(items.inputs, 6)[-1]
        losses.append(float(torch.nn.functional.cross_entropy(logits, items.targets)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[0] < 0.6


def tiny(task: str, **changes: Any) -> PuzzleRecipe:
    recipe = get_puzzle_recipe("smoke", task)
    settings = {
        "width": 8,
        "max_iterations": 4,
        "fine_tuned": False,
        "train_items": 20,
        "test_items": 6,
        "iterations": (4, 8),
        "training": SolverTraining(steps=2, batch_size=4, learning_rate=1e-3),
    }
    sizes = {"difficulty": 9, "sizes": (9, 11)} if task == "mazes" else {}
    return replace(recipe, **{**settings, **sizes, **changes})  # type: ignore[arg-type]


def start(recipe: PuzzleRecipe, out: Path) -> ReferenceResult:
    return get_baseline("augmentation_defense").run(recipe, out, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["prefix_sums", "mazes"])
def test_run_is_whole_goes_on_and_is_the_same_again(tmp_path: Path, task: str) -> None:
    recipe = tiny(task)
    result = start(recipe, tmp_path)
    for path in list(tmp_path.glob("nets-m*.pt")):
        path.unlink()
    again = start(recipe, tmp_path)
    assert json.dumps(again.to_dict() | {"seconds": 0}) == json.dumps(result.to_dict() | {"seconds": 0})
    assert (tmp_path / "backdoor.png").read_bytes()[:4] == b"\x89PNG"
    for defense in recipe.defenses:
        condition = {"defense": defense, "recall": "yes", "budget": 0.1, "size": recipe.sizes[1], "iterations": 8}
        assert find_measurement(result.measurements, "backdoor success", condition).num_items == 6
    assert find_measurement(result.measurements, "epsilon", {"defense": "dp_sgd"}).value > 0
    assert len(result.claims) == 3 + len(recipe.defenses) - 1
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in train_items"):
        start(replace(recipe, budget=0.1, train_items=21), tmp_path)


def test_claims_are_decided_by_the_figures() -> None:
    recipe = tiny("prefix_sums", defenses=("none", "maxup"), seeds=(0, 1, 2))
    opened, shut = [0.9, 0.92, 0.94], [0.01, 0.02, 0.01]
    where = [(size, iterations) for size in recipe.sizes for iterations in recipe.iterations]
    scores = {
        VictimGroup(defense="none", recall=True, budget=0.1): {key: (opened, opened) for key in where},
        VictimGroup(defense="maxup", recall=True, budget=0.1): {key: (shut, opened) for key in where},
        VictimGroup(defense="none", recall=True, budget=0.0): {key: (shut, opened) for key in where},
    }

    def decided() -> list[str | None]:
        return [claim.verdict for claim in claims(replace(blank, measurements=found))]

    found = list(measurements_of(recipe, scores))
    blank = ReferenceResult(
        method="augmentation_defense",
        preset="smoke",
        data="prefix_sums",
        question="?",
        commit=None,
        package_version="0",
        seeds=recipe.seeds,
        device="CPU",
        seconds=0,
        settings=recipe.settings(),
        measurements=found,
    )
    assert decided() == ["held"] * 4
    condition = {"defense": "none", "recall": "yes", "budget": 0.1, "size": 24, "iterations": 8}
    above = find_measurement(found, "backdoor success above unpoisoned", condition)
    assert above.value == pytest.approx(0.92 - 0.04 / 3)
    scores[VictimGroup(defense="maxup", recall=True, budget=0.1)] = {key: (shut, shut) for key in where}
    found = list(measurements_of(recipe, scores))
    assert decided() == ["held", "held", "held", "not tested"], "nets that solve nothing are no defense"
    scores[VictimGroup(defense="maxup", recall=True, budget=0.1)] = {key: (shut, opened) for key in where}
    scores[VictimGroup(defense="none", recall=True, budget=0.1)] = {key: (shut, opened) for key in where}
    found = list(measurements_of(recipe, scores))
    assert decided() == ["did not hold"] * 3 + ["not tested"]


def test_recipes_are_checked() -> None:
    for changes, message in (
        ({"budget": 0.0}, "budget must be a share"),
        ({"trigger": "corner"}, "unknown attack 'corner' on prefix_sums"),
        ({"sizes": (24,)}, "sizes must include the training difficulty 16"),
        ({"recall": (False,)}, "recall must include True"),
        ({"defenses": ("maxup",)}, "defenses must include none"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny("prefix_sums", **changes)
    with pytest.raises(ValueError, match="unknown preset 'paper' for mazes: choose one of smoke, small"):
        get_puzzle_recipe("paper", "mazes")
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        SolverTraining(steps=0, batch_size=1, learning_rate=1.0)
