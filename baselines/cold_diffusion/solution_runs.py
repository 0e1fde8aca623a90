"""What one seed brings: nets are trained and tested, oracles and a given solver are tested, and all of it is kept.

Every part is kept in the run's folder as soon as it is done, so that a run that was stopped goes on where it was.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from easy_to_hard.baselines.cold_diffusion.solution_maps import Puzzles, first_puzzles
from easy_to_hard.baselines.cold_diffusion.solution_nets import SolutionNet
from easy_to_hard.baselines.cold_diffusion.solution_restorers import (
    NOISES,
    MazeSolver,
    NetRestorer,
    NoisyOracle,
    PrepareRestorer,
    SolverRestorer,
    oracle,
)
from easy_to_hard.baselines.cold_diffusion.solution_scores import SolveScore, judge, solve_puzzles
from easy_to_hard.baselines.cold_diffusion.solution_training import train_restorer
from easy_to_hard.baselines.cold_diffusion.solver_recipes import NetRun, OracleRun, SolverRecipe, SolverRun
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.files import write_atomically
from easy_to_hard.tasks import DataSpec, Instances

IN_STEPS: Final = ("algorithm_1", "algorithm_2")
ALL_SAMPLERS: Final = ("direct", *IN_STEPS)

Row: TypeAlias = tuple[dict[str, Any], SolveScore]
TestSets: TypeAlias = Callable[[int], tuple[Instances, Puzzles]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows, and the seconds that they took."""

    seconds: float
    rows: list[Row]


@dataclass(frozen=True, kw_only=True)
class Tried:
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
    more: tuple[tuple[str, str | float], ...] = ()

    @property
    def condition(self) -> dict[str, Any]:
        """Of the measurement."""
        facts = {"degradation": self.degradation, "restorer": self.name, "sampler": self.sampler}
        return {**facts, "difficulty": self.difficulty, "steps": self.steps, **dict(self.more)}


def test_sets(recipe: SolverRecipe, device: str) -> TestSets:
    """The first test instances of each difficulty: difficulty -> (instances, the same as puzzles on the device)."""
    made: dict[int, tuple[Instances, Puzzles]] = {}

    def at(difficulty: int) -> tuple[Instances, Puzzles]:
        if difficulty not in made:
            spec = DataSpec(task=recipe.task, difficulty=difficulty, split="test", seed=0)
            instances, puzzles = first_puzzles(spec, recipe.items[difficulty])
            made[difficulty] = instances, puzzles.to(device)
        return made[difficulty]

    return at


def restorer_of(recipe: SolverRecipe, net: SolutionNet) -> NetRestorer:
    """A trained net as the recipe has it restore."""
    return NetRestorer(
        net=net, trained_steps=recipe.trained_steps, threshold=recipe.threshold, precision=recipe.precision
    )


def trials_of_net(recipe: SolverRecipe, run: NetRun, net: SolutionNet) -> Iterator[Tried]:
    """Directly once, and by both algorithms in each number of steps, at each difficulty."""
    restorer = restorer_of(recipe, net)
    for difficulty in run.difficulties:
        for sampler in ALL_SAMPLERS:
            # In one step both algorithms are the direct answer.
            for steps in (1,) if sampler == "direct" else run.steps:
                yield Tried(
                    restorer=restorer,
                    name=run.name,
                    degradation=run.degradation,
                    sampler=sampler,
                    difficulty=difficulty,
                    steps=steps,
                )


def trials_of_oracles(recipe: SolverRecipe, run: OracleRun, seed: int) -> Iterator[Tried]:
    """The oracle at all difficulties, and the noisy ones at one."""
    for degradation in run.degradations:
        for steps in run.steps:
            for sampler in ALL_SAMPLERS:
                for difficulty in recipe.items:
                    yield Tried(
                        restorer=oracle,
                        name="oracle",
                        degradation=degradation,
                        sampler=sampler,
                        difficulty=difficulty,
                        steps=steps,
                    )
                for noise in NOISES:
                    for probability in run.probabilities:
                        yield Tried(
                            restorer=NoisyOracle(noise=noise, probability=probability, seed=seed),
                            name="noisy oracle",
                            degradation=degradation,
                            sampler=sampler,
                            difficulty=run.difficulty,
                            steps=steps,
                            more=(("noise", noise), ("probability", probability)),
                        )


def trials_of_solver(run: SolverRun, solver: MazeSolver) -> Iterator[Tried]:
    """In steps by both algorithms, and as many iterations at once without a way back."""
    for difficulty in run.difficulties:
        for steps in run.steps:
            for sampler in ALL_SAMPLERS if steps > 1 else ("direct",):
                at_once = run.iterations * (steps if sampler == "direct" else 1)
                yield Tried(
                    restorer=SolverRestorer(solver=solver, iterations=at_once),
                    name="recurrent net",
                    degradation=run.degradation,
                    sampler=sampler,
                    difficulty=difficulty,
                    steps=1 if sampler == "direct" else steps,
                    more=(("iterations_a_step", at_once),),
                )


def rows_of(task: str, trials: Iterator[Tried], sets: TestSets) -> Iterator[Row]:
    """Try each, and judge it."""
    for tried in trials:
        instances, puzzles = sets(tried.difficulty)
        answers = solve_puzzles(
            tried.restorer, puzzles, degradation=tried.degradation, sampler=tried.sampler, steps=tried.steps
        )
        yield tried.condition, judge(task, tried.difficulty, instances, answers)


def folder_of_net(run: NetRun, seed: int, folder: Path) -> Path:
    """Where a run keeps a net and its scores."""
    return folder / f"{run.degradation}-{run.name.replace(' ', '-')}-seed{seed}"


def run_seed(
    recipe: SolverRecipe, seed: int, folder: Path, *, device: str, progress: bool, solver: MazeSolver | None
) -> Part:
    """All that a seed brings, from the folder as far as it is there.

    Args:
        recipe: what is run.
        seed: of nets and noise.
        folder: of the run; it exists.
        device: where.
        progress: whether to show bars.
        solver: of mazes' pictures; None for none, and where the recipe has no use for it. It is tested as it is: it
            has no seed here, so give it with one seed only.
    """
    sets = test_sets(recipe, device)

    def tested(trials: Iterator[Tried], name: str) -> Part:
        started = time.perf_counter()
        rows = rows_of(recipe.task, trials, sets)
        shown = list(progress_bar(rows, desc=f"testing {name}", unit="trials", show=progress))
        return Part(seconds=time.perf_counter() - started, rows=shown)

    def test_net(run: NetRun, own: Path) -> Part:
        net, seconds = train_restorer(recipe, run, seed, own, device=device, progress=progress)
        part = tested(trials_of_net(recipe, run, net), own.name)
        return replace(part, seconds=seconds + part.seconds)

    oracles = trials_of_oracles(recipe, recipe.oracles, seed)
    parts = [_kept(folder / f"oracles-seed{seed}.json", lambda: tested(oracles, f"oracles-seed{seed}"))]
    for run in recipe.nets:
        own = folder_of_net(run, seed, folder)
        parts.append(_kept(own.with_suffix(".json"), partial(test_net, run, own)))
    if solver is not None and recipe.solver is not None:
        trials = trials_of_solver(recipe.solver, solver)
        parts.append(_kept(folder / "solver.json", lambda: tested(trials, "solver")))
    return Part(seconds=sum(part.seconds for part in parts), rows=[row for part in parts for row in part.rows])


def _kept(path: Path, make: Callable[[], Part]) -> Part:
    """What the file holds, or what is made now and written to it."""
    if not path.is_file():
        made = make()
        rows = [[condition, asdict(score)] for condition, score in made.rows]
        write_atomically(path, json.dumps({"seconds": made.seconds, "rows": rows}))
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Part(seconds=kept["seconds"], rows=[(condition, SolveScore(**score)) for condition, score in kept["rows"]])


def open_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Make the folder of a run, or see that it is one of the same run.

    Raises:
        ValueError: it is of a run with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, text = folder / "settings.json", json.dumps(settings, indent=1, sort_keys=True)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise ValueError(f"{folder} holds a run with other settings: choose another --out")
    write_atomically(path, text)
