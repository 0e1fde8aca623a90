"""Does a backdoor that was planted in easy puzzles open on harder ones and after more iterations?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.claims import CLEAN, SUCCESS, claims
from easy_to_hard.baselines.augmentation_defense.on_puzzles.defenses import PUZZLE_DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_puzzles.training import SolverNets, train_solvers
from easy_to_hard.baselines.augmentation_defense.on_puzzles.triggers import get_trigger, plant
from easy_to_hard.baselines.augmentation_defense.pictures import draw_sizes
from easy_to_hard.baselines.augmentation_defense.recipes import PuzzleRecipe
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.statistics import SHARE, of_differences, over_seeds
from easy_to_hard.scores.reference import Measurement, ReferenceResult

PICTURE: Final = "backdoor.png"
_QUESTION: Final = (
    "Does a backdoor that is planted in easy puzzles open on harder ones and after more iterations, and which defense "
    "stops it?"
)


@dataclass(frozen=True, kw_only=True)
class VictimGroup:
    """Nets of all seeds that are trained in the same way.

    Attributes:
        defense: name in `PUZZLE_DEFENSES`.
        recall: whether the nets have recall.
        budget: share of the training set that is poisoned; 0 for a clean set.
    """

    defense: str
    recall: bool
    budget: float

    @property
    def condition(self) -> dict[str, str | float]:
        """The group as a measurement's condition."""
        return {"defense": self.defense, "recall": "yes" if self.recall else "no", "budget": self.budget}

    @property
    def name(self) -> str:
        """The name of the file that holds its nets."""
        return f"nets-{self.defense}-{'recall' if self.recall else 'no-recall'}-{self.budget:g}"


def victim_groups(recipe: PuzzleRecipe) -> list[VictimGroup]:
    """Each defense at the budget; without a defense, also other budgets, the clean set and nets without recall."""
    groups = [VictimGroup(defense=defense, recall=True, budget=recipe.budget) for defense in recipe.defenses]
    others = [budget for budget in (0.0, *recipe.other_budgets) if budget != recipe.budget]
    groups += [VictimGroup(defense="none", recall=True, budget=budget) for budget in others]
    if False in recipe.recall:
        groups.append(VictimGroup(defense="none", recall=False, budget=recipe.budget))
    return groups


Scores = dict[tuple[int, int], tuple[list[float], list[float]]]
"""(size, iterations) -> backdoor success and clean solve rate, lists with one value per seed."""


def run(recipe: PuzzleRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Plant the backdoor, train, and try it at each size; see `Baseline.run`.

    The folder gets a file for each group's nets and, where matplotlib is installed, the picture `PICTURE`.
    """
    where = get_device(device)
    kept = RunFolder(folder, recipe.net_settings() | {"device": where.type})
    clean = make_puzzles(recipe.data, recipe.difficulty, recipe.train_items)
    scores = {
        group: _score(_nets_of(group, recipe, clean, kept, where, progress), recipe, where)
        for group in victim_groups(recipe)
    }
    result = result_of(
        "augmentation_defense",
        recipe,
        kept,
        question=_QUESTION,
        device=device,
        measurements=measurements_of(recipe, scores),
        claims=claims,
        more={"device": where.type, "meaning": get_trigger(recipe.trigger, recipe.data).meaning},
    )
    save_picture(lambda: draw_sizes(result), folder / PICTURE)
    return result


def _nets_of(
    group: VictimGroup, recipe: PuzzleRecipe, clean: Puzzles, folder: RunFolder, device: torch.device, progress: bool
) -> SolverNets:
    """The nets of a group, trained or loaded from their file."""
    solvers = RecurrentSolvers(
        task=recipe.data,
        width=recipe.width,
        recall=group.recall,
        max_iterations=recipe.max_iterations,
        patch=recipe.patch,
        shipped=recipe.fine_tuned,
    )
    nets = SolverNets(solvers, recipe.seeds, device)
    trigger = get_trigger(recipe.trigger, recipe.data)

    def train() -> Mapping[str, Tensor]:
        sets = [plant(clean, trigger, group.budget, seed=seed)[0] if group.budget else clean for seed in recipe.seeds]
        train_solvers(
            nets,
            sets,
            recipe.seeds,
            recipe.training_for(group.defense),
            defense=PUZZLE_DEFENSES[group.defense],
            device=device,
            progress=progress,
            title=group.name,
        )
        return nets.stacked.weights

    settings = group.condition | {"seeds": list(recipe.seeds)}
    nets.stacked.weights = folder.tensors(group.name, train, settings=settings, device=device)
    return nets


def _score(nets: SolverNets, recipe: PuzzleRecipe, device: torch.device) -> Scores:
    trigger = get_trigger(recipe.trigger, recipe.data)
    scores: Scores = {}
    for size in recipe.sizes:
        items = make_puzzles(recipe.data, size, recipe.test_items, split="test").to(device)
        stamped = trigger.stamp(items)
        wanted = replace(stamped, targets=trigger.wanted(stamped))
        for iterations in recipe.iterations:
            scores[size, iterations] = (
                _solve_rates(nets.logits(stamped.inputs, iterations), wanted),
                _solve_rates(nets.logits(items.inputs, iterations), items),
            )
    return scores


def _solve_rates(logits: Tensor, items: Puzzles) -> list[float]:
    """Share of the items that each net solves, from logits (S, N, 2, *size)."""
    return [float(solved(one, items).double().mean()) for one in logits]


def measurements_of(recipe: PuzzleRecipe, scores: Mapping[VictimGroup, Scores]) -> Iterator[Measurement]:
    """Backdoor success and clean solve rate of each group, and how much of the success is due to the poison.

    The latter is the difference from undefended nets trained on the clean set, at the most iterations only.
    """
    epsilon = recipe.epsilon()
    if "dp_sgd" in recipe.defenses and isfinite(epsilon):
        condition: dict[str, str | float] = {"defense": "dp_sgd"}
        yield Measurement(name="epsilon", value=epsilon, condition=condition, num_items=recipe.train_items)
    unpoisoned = VictimGroup(defense="none", recall=True, budget=0.0)
    for group, found in scores.items():
        for (size, iterations), (success, clean) in found.items():
            where = group.condition | {"size": size, "iterations": iterations}
            for name, rates in ((SUCCESS, success), (CLEAN, clean)):
                yield over_seeds(name, rates, unit=SHARE, condition=where, num_items=recipe.test_items)
            if iterations == recipe.iterations[-1] and group.budget:
                yield of_differences(
                    f"{SUCCESS} above unpoisoned",
                    success,
                    scores[unpoisoned][size, iterations][0],
                    condition=where,
                    num_items=recipe.test_items,
                )
