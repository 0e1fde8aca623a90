"""Does a backdoor that was planted in easy puzzles open on harder ones and after more iterations?"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.checkpoints import made_before
from easy_to_hard.baselines.augmentation_defense.pictures import draw_sizes
from easy_to_hard.baselines.augmentation_defense.solver_claims import CLEAN, SUCCESS, solver_claims
from easy_to_hard.baselines.augmentation_defense.solver_defenses import SOLVER_DEFENSES
from easy_to_hard.baselines.augmentation_defense.solver_recipes import SolverRecipe
from easy_to_hard.baselines.augmentation_defense.solver_training import SolverNets, SolversByItem, train_solvers
from easy_to_hard.baselines.augmentation_defense.triggers import get_trigger, plant
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles, solved
from easy_to_hard.baselines.kit.statistics import SHARE, of_differences, over_seeds
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import Measurement, ReferenceResult

PICTURE: Final = "backdoor.png"
_QUESTION: Final = (
    "Does a backdoor that is planted in easy puzzles open on harder ones and after more iterations, and which defence "
    "stops it?"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Nets of all seeds that are trained alike.

    Attributes:
        defense: name in `SOLVER_DEFENSES`.
        recall: whether the nets have it.
        budget: share of poisons; 0 for a clean set.
    """

    defense: str
    recall: bool
    budget: float

    @property
    def condition(self) -> dict[str, str | float]:
        """As measurements state it."""
        return {"defense": self.defense, "recall": "yes" if self.recall else "no", "budget": self.budget}

    @property
    def name(self) -> str:
        """Of its file."""
        return f"nets-{self.defense}-{'recall' if self.recall else 'no-recall'}-{self.budget:g}"


def cases_of(recipe: SolverRecipe) -> list[Case]:
    """Each defence at the budget; without one also other budgets, the clean set and nets without recall."""
    cases = [Case(defense=defense, recall=True, budget=recipe.budget) for defense in recipe.defenses]
    others = [budget for budget in (0.0, *recipe.other_budgets) if budget != recipe.budget]
    cases += [Case(defense="none", recall=True, budget=budget) for budget in others]
    return cases + [Case(defense="none", recall=False, budget=recipe.budget) for recall in recipe.recall if not recall]


Scores = dict[tuple[int, int], tuple[list[float], list[float]]]
"""(size, iterations) -> backdoor success and clean solve rate, one of each for each seed."""


def run_on_task(
    recipe: SolverRecipe,
    preset: str,
    solvers: Mapping[bool, SolversByItem],
    out: Path,
    *,
    device: str = "cpu",
    progress: bool = True,
) -> ReferenceResult:
    """Plant, train, and try the backdoor at each size.

    Args:
        recipe: what.
        preset: its name, for the result.
        solvers: with recall (True) and, where the recipe has them, without.
        out: the folder of the run, with a file for each case's nets, from which a run that was stopped goes on, and,
            where matplotlib is installed, the picture `PICTURE`.
        device: "cpu" or "cuda".
        progress: whether to show bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError: one line on what is wrong.
    """
    where = get_device(device)
    out.mkdir(parents=True, exist_ok=True)
    clean = make_puzzles(recipe.task, recipe.difficulty, recipe.train_items)
    scores: dict[Case, Scores] = {}
    total = 0.0
    for case in cases_of(recipe):
        nets, seconds = _nets_of(case, recipe, solvers[case.recall], clean, out, where, progress)
        scores[case] = _score(nets, recipe, where)
        total += seconds
    measurements = list(measurements_of(recipe, scores))
    result = ReferenceResult(
        method="augmentation_defense",
        preset=preset,
        data=recipe.task,
        question=_QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=recipe.seeds,
        device=torch.cuda.get_device_name() if where.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)",
        seconds=total,
        settings=asdict(recipe) | {"device": where.type, "meaning": get_trigger(recipe.trigger, recipe.task).meaning},
        measurements=measurements,
        claims=solver_claims(
            measurements,
            defenses=recipe.defenses,
            budget=recipe.budget,
            difficulty=recipe.difficulty,
            sizes=recipe.sizes,
            iterations=recipe.iterations,
        ),
    )
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(draw_sizes(result.measurements, recipe.task, recipe.difficulty), out / PICTURE)
    return result


def _nets_of(
    case: Case,
    recipe: SolverRecipe,
    solvers: SolversByItem,
    clean: Puzzles,
    out: Path,
    device: torch.device,
    progress: bool,
) -> tuple[SolverNets, float]:
    """The nets of a case, trained or from their file, and how long training took."""
    nets = SolverNets(solvers, recipe.seeds, device)
    trigger = get_trigger(recipe.trigger, recipe.task)

    def train() -> Mapping[str, Tensor]:
        sets = [plant(clean, trigger, case.budget, seed=seed)[0] if case.budget else clean for seed in recipe.seeds]
        return train_solvers(
            nets,
            sets,
            recipe.seeds,
            recipe.training_for(case.defense),
            defense=SOLVER_DEFENSES[case.defense],
            device=device,
            progress=progress,
            title=case.name,
        )

    settings = recipe.settings() | case.condition | {"seeds": list(recipe.seeds), "device": device.type}
    nets.stacked.weights, seconds = made_before(out / f"{case.name}.pt", settings, train, device)
    return nets, seconds


def _score(nets: SolverNets, recipe: SolverRecipe, device: torch.device) -> Scores:
    trigger = get_trigger(recipe.trigger, recipe.task)
    scores: Scores = {}
    for size in recipe.sizes:
        items = make_puzzles(recipe.task, size, recipe.test_items, split="test").to(device)
        stamped = trigger.stamp(items)
        wanted = replace(stamped, targets=trigger.wanted(stamped))
        for iterations in recipe.iterations:
            scores[size, iterations] = (
                _solve_rates(nets.logits(stamped.inputs, iterations), wanted),
                _solve_rates(nets.logits(items.inputs, iterations), items),
            )
    return scores


def _solve_rates(logits: Tensor, items: Puzzles) -> list[float]:
    """Of each net, from logits (S, N, 2, *size)."""
    return [float(solved(one, items).double().mean()) for one in logits]


def measurements_of(recipe: SolverRecipe, scores: Mapping[Case, Scores]) -> Iterator[Measurement]:
    """Backdoor success and clean solve rate of each case, and what of the success the poison made.

    The success of nets on the clean set is taken off at the most iterations only: those have no defence.
    """
    epsilon = recipe.epsilon()
    if "dp_sgd" in recipe.defenses and isfinite(epsilon):
        condition: dict[str, str | float] = {"defense": "dp_sgd"}
        yield Measurement(name="epsilon", value=epsilon, condition=condition, num_items=recipe.train_items)
    unpoisoned = Case(defense="none", recall=True, budget=0.0)
    for case, found in scores.items():
        for (size, iterations), (success, clean) in found.items():
            where = case.condition | {"size": size, "iterations": iterations}
            for name, rates in ((SUCCESS, success), (CLEAN, clean)):
                yield over_seeds(name, rates, unit=SHARE, condition=where, num_items=recipe.test_items)
            if iterations == recipe.iterations[-1] and case.budget:
                yield of_differences(
                    f"{SUCCESS} above unpoisoned",
                    success,
                    scores[unpoisoned][size, iterations][0],
                    condition=where,
                    num_items=recipe.test_items,
                )
