"""The evaluation on puzzles: restorers are trained on easy ones and tested on harder ones, beside oracles.

The solution is the image, the puzzle the condition, and the degradation one that ends in what the puzzle shows: going
back from there is solving. The number of steps back is free, as the iterations of a recurrent net are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch

from easy_to_hard.baselines.cold_diffusion.claims import claims
from easy_to_hard.baselines.cold_diffusion.on_puzzles.nets import SolutionNet, part_of_net, train_restorer
from easy_to_hard.baselines.cold_diffusion.on_puzzles.restorers import (
    NOISES,
    MazeSolver,
    NetRestorer,
    NoisyOracle,
    PrepareRestorer,
    SolverRestorer,
    oracle,
)
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps, first_maps
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solving import (
    score_answers,
    solve_puzzles,
    way_back,
)
from easy_to_hard.baselines.cold_diffusion.pictures import plot_solving
from easy_to_hard.baselines.cold_diffusion.recipes import NetTrials, OracleTrials, PuzzleRecipe, SolverTrials
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS
from easy_to_hard.baselines.deep_thinking.solvers import shipped_maze_solver
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.precision import get_device, recorded_precision, settle
from easy_to_hard.baselines.kit.run_folder import Row, RunFolder
from easy_to_hard.baselines.kit.statistics import SHARE, of_share, over_seeds
from easy_to_hard.progress import progress_bar
from easy_to_hard.scores.reference import Measurement, ReferenceResult
from easy_to_hard.tasks import DataSpec, Instances, get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE: Final = "solving.png"
_QUESTION: Final = (
    "Does cold diffusion, trained to restore degraded solutions of easy puzzles, solve harder ones, and how does that "
    "depend on the number of steps back?"
)

TestSets: TypeAlias = Callable[[int], tuple[Instances, SolutionMaps]]
"""Difficulty -> the first test instances, and the same as maps on the device."""


def run(recipe: PuzzleRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train and test restorers of a task's solutions; see `Baseline.run`.

    In the folder are nets and scores, and where matplotlib is installed the picture `PICTURE`.

    Raises:
        ValueError: unknown device, or a folder with another run.
        FileNotFoundError: the recurrent net is to be tested and is not there.
        RuntimeError: a training diverged.
    """
    where = get_device(device)
    solver = None if recipe.solver is None else shipped_maze_solver(device)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = settle(recipe, recorded_precision(folder, device))
    parts = RunFolder(folder, {**recipe.seed_settings(), "device": device})
    rows = [
        _rows_of_seed(recipe, number, parts, where, progress=progress, solver=solver if number == 0 else None)
        for number in range(len(recipe.seeds))
    ]
    result = result_of(
        "cold_diffusion",
        recipe,
        parts,
        question=_QUESTION,
        device=where,
        measurements=measurements_of(rows),
        claims=claims,
    )
    save_picture(lambda: _draw(recipe, result.measurements, parts, where), folder / PICTURE)
    return result


def _rows_of_seed(
    recipe: PuzzleRecipe,
    number: int,
    folder: RunFolder,
    device: torch.device,
    *,
    progress: bool,
    solver: MazeSolver | None,
) -> list[Row]:
    """All that seed number `number` brings, from the folder as far as it is there; `solver` is tested as it is."""
    seed, sets = recipe.seeds[number], _test_sets(recipe, device)

    def tested(name: str, trials: Iterable[Trial]) -> list[Row]:
        rows = (_tried(recipe.data, trial, *sets(trial.difficulty)) for trial in trials)
        return list(progress_bar(rows, desc=f"testing {name}", unit="trials", show=progress))

    def test_net(run: NetTrials) -> list[Row]:
        net = train_restorer(recipe, run, seed, folder, device=device, progress=progress)
        return tested(part_of_net(run, seed), trials_of_net(run, restorer_of(recipe, net)))

    name = f"oracles-seed{seed}"
    found = folder.rows(name, lambda: tested(name, trials_of_oracles(recipe.oracles, recipe.items, seed)))
    for one in recipe.nets_of(number):
        found += folder.rows(part_of_net(one, seed), partial(test_net, one))
    if solver is not None and recipe.solver is not None:
        trials = trials_of_solver(recipe.solver, solver)
        found += folder.rows("solver", lambda: tested("solver", trials))
    return found


def _test_sets(recipe: PuzzleRecipe, device: torch.device) -> TestSets:
    @cache
    def at(difficulty: int) -> tuple[Instances, SolutionMaps]:
        spec = DataSpec(task=recipe.data, difficulty=difficulty, split="test", seed=0)
        instances, puzzles = first_maps(spec, recipe.items[difficulty])
        return instances, puzzles.to(device)

    return at


def restorer_of(recipe: PuzzleRecipe, net: SolutionNet) -> NetRestorer:
    """A trained net as the recipe has it restore."""
    return NetRestorer(
        net=net, trained_steps=recipe.trained_steps, threshold=recipe.threshold, precision=recipe.loop.precision
    )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way back to be tried.

    Attributes:
        restorer: what restores.
        name: how results name it.
        degradation: name in `MAP_DEGRADATIONS`.
        sampler: name in `SAMPLERS`.
        difficulty: of the puzzles.
        steps: of the way back.
        more: further entries of the condition.
    """

    restorer: PrepareRestorer
    name: str
    degradation: str
    sampler: str
    difficulty: int
    steps: int
    more: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def condition(self) -> dict[str, Any]:
        """What the measurement is under."""
        facts = {"degradation": self.degradation, "restorer": self.name, "sampler": self.sampler}
        return {**facts, "difficulty": self.difficulty, "steps": self.steps, **self.more}


def trials_of_net(run: NetTrials, restorer: PrepareRestorer) -> Iterator[Trial]:
    """Directly once, and by both algorithms in each number of steps, at each difficulty."""
    trial = partial(Trial, restorer=restorer, name=run.name, degradation=run.degradation)
    for difficulty in run.difficulties:
        for sampler in SAMPLERS:
            # In one step both algorithms are the direct answer.
            for steps in (1,) if sampler == "direct" else run.steps:
                yield trial(sampler=sampler, difficulty=difficulty, steps=steps)


def trials_of_oracles(run: OracleTrials, difficulties: Iterable[int], seed: int) -> Iterator[Trial]:
    """The oracle at all difficulties, and the noisy ones at one."""
    for degradation in run.degradations:
        for steps in run.steps:
            for sampler in SAMPLERS:
                trial = partial(Trial, degradation=degradation, sampler=sampler, steps=steps)
                for difficulty in difficulties:
                    yield trial(restorer=oracle, name="oracle", difficulty=difficulty)
                for noise in NOISES:
                    for probability in run.probabilities:
                        yield trial(
                            restorer=NoisyOracle(noise=noise, probability=probability, seed=seed),
                            name="noisy oracle",
                            difficulty=run.difficulty,
                            more={"noise": noise, "probability": probability},
                        )


def trials_of_solver(run: SolverTrials, solver: MazeSolver) -> Iterator[Trial]:
    """In steps by both algorithms, and as many iterations at once without a way back."""
    for difficulty in run.difficulties:
        for steps in run.steps:
            for sampler in SAMPLERS if steps > 1 else ("direct",):
                at_once = run.iterations * (steps if sampler == "direct" else 1)
                yield Trial(
                    restorer=SolverRestorer(solver=solver, iterations=at_once),
                    name="recurrent net",
                    degradation=run.degradation,
                    sampler=sampler,
                    difficulty=difficulty,
                    steps=1 if sampler == "direct" else steps,
                    more={"iterations_a_step": at_once},
                )


def _tried(task: str, trial: Trial, instances: Instances, puzzles: SolutionMaps) -> Row:
    """A way back, run and scored."""
    answers = solve_puzzles(
        trial.restorer, puzzles, degradation=trial.degradation, sampler=trial.sampler, steps=trial.steps
    )
    return {"condition": trial.condition, **score_answers(task, trial.difficulty, instances, answers)}


def measurements_of(seeds: Sequence[Sequence[Row]]) -> Iterator[Measurement]:
    """Figures of all seeds together, each condition in the order in which it first comes.

    Solve rates and shares of valid paths are of all items of all seeds (Wilson); F1 is a mean over seeds (Student's
    t), and so is "solve rate over seeds", whose interval also holds what differs from one trained net to another.

    Args:
        seeds: the rows of each: "condition" of the measurement, and what `score_answers` gives.
    """
    tried: dict[str, list[Row]] = {}
    for row in (row for rows in seeds for row in rows):
        tried.setdefault(repr(row["condition"]), []).append(row)
    for found in tried.values():
        condition, num_seeds, num_items = found[0]["condition"], len(found), found[0]["num_items"]
        total, solved = (sum(row[count] for row in found) for count in ("num_items", "num_solved"))
        yield of_share("solve rate", solved, total, condition=condition, num_seeds=num_seeds)
        if condition["restorer"] == "oracle":
            continue
        if num_seeds > 1:
            shares = [row["num_solved"] / row["num_items"] for row in found]
            yield over_seeds("solve rate over seeds", shares, unit=SHARE, condition=condition, num_items=num_items)
        f1 = [row["mean_f1"] for row in found]
        yield over_seeds("F1", f1, unit=SHARE, condition=condition, num_items=num_items)
        for check in found[0]["checks"]:
            passed = sum(row["checks"][check] for row in found)
            yield of_share(f"{check} rate", passed, total, condition=condition, num_seeds=num_seeds)


def _draw(
    recipe: PuzzleRecipe, measurements: Sequence[Measurement], folder: RunFolder, device: torch.device
) -> "Figure":
    """The picture of a run: its first net's solve rates, and of mazes one on its way back by Algorithm 1."""
    run, strip = recipe.nets[0], None
    if recipe.strip_difficulty is not None:
        net = train_restorer(recipe, run, recipe.seeds[0], folder, device=device, progress=False)
        spec = DataSpec(task=recipe.data, difficulty=recipe.strip_difficulty, split="test")
        puzzles = first_maps(spec, 1)[1].to(device)
        states = way_back(
            restorer_of(recipe, net),
            puzzles,
            degradation=run.degradation,
            sampler="algorithm_1",
            steps=2 * recipe.trained_steps,
        )
        strip = puzzles, states
    return plot_solving(
        measurements,
        restorer=run.name,
        degradation=run.degradation,
        trained_steps=recipe.trained_steps,
        difficulty_name=get_task(recipe.data).difficulty_name,
        strip=strip,
    )
