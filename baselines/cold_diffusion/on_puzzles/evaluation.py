"""The evaluation on puzzles: restorers are trained on easy ones and tested on harder ones, together with oracles.

The solution is the image, the puzzle is the condition, and the degradation ends in what the puzzle shows: restoring
from there is solving. The number of restoration steps can be chosen freely, like the iterations of a recurrent net.
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

    The folder keeps nets and scores, and the picture `PICTURE` if matplotlib is installed.

    Raises:
        ValueError: unknown device, or a folder with another run.
        FileNotFoundError: the recurrent net should be tested but is missing.
        RuntimeError: training diverged.
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
    """All rows of seed number `number`, from the folder if they are there; `solver` is tested without training."""
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
    """A trained net as a restorer with the recipe's settings."""
    return NetRestorer(
        net=net, trained_steps=recipe.trained_steps, threshold=recipe.threshold, precision=recipe.loop.precision
    )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting in which puzzles are solved.

    Attributes:
        restorer: what restores.
        name: of the restorer, in results.
        degradation: name in `MAP_DEGRADATIONS`.
        sampler: name in `SAMPLERS`.
        difficulty: of the puzzles.
        steps: number of restoration steps.
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
        """The condition of the measurement."""
        facts = {"degradation": self.degradation, "restorer": self.name, "sampler": self.sampler}
        return {**facts, "difficulty": self.difficulty, "steps": self.steps, **self.more}


def trials_of_net(run: NetTrials, restorer: PrepareRestorer) -> Iterator[Trial]:
    """The trials of a net: at each difficulty, directly, and by both algorithms in each number of steps."""
    trial = partial(Trial, restorer=restorer, name=run.name, degradation=run.degradation)
    for difficulty in run.difficulties:
        for sampler in SAMPLERS:
            # In one step both algorithms are the direct answer.
            for steps in (1,) if sampler == "direct" else run.steps:
                yield trial(sampler=sampler, difficulty=difficulty, steps=steps)


def trials_of_oracles(run: OracleTrials, difficulties: Iterable[int], seed: int) -> Iterator[Trial]:
    """The trials of oracles: the perfect one at all difficulties, and the noisy ones at one."""
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
    """The trials of a solver: in steps by both algorithms, and directly with the same number of iterations at once."""
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
    """Run a trial and score its answers."""
    answers = solve_puzzles(
        trial.restorer, puzzles, degradation=trial.degradation, sampler=trial.sampler, steps=trial.steps
    )
    return {"condition": trial.condition, **score_answers(task, trial.difficulty, instances, answers)}


def measurements_of(seeds: Sequence[Sequence[Row]]) -> Iterator[Measurement]:
    """Measurements over all seeds, with conditions in the order in which they first occur.

    Solve rates and shares of valid paths are over all items of all seeds (Wilson); F1 is a mean over seeds (Student's
    t), and so is "solve rate over seeds", whose interval includes how much trained nets differ.

    Args:
        seeds: the rows of each seed: "condition" of the measurement, and the entries from `score_answers`.
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
    """The picture of a run: its first net's solve rates and, for mazes, one maze restored by Algorithm 1."""
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
