"""Cold diffusion as a solver of the benchmark's tasks: trained on easy puzzles, tested on harder ones.

The solution is the image, the puzzle the condition, and the degradation one that ends in what the puzzle shows: going
back from there is solving. The number of steps back is free, as the iterations of a recurrent net are.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from easy_to_hard.baselines.cold_diffusion.solution_claims import claims_of
from easy_to_hard.baselines.cold_diffusion.solution_maps import first_puzzles
from easy_to_hard.baselines.cold_diffusion.solution_pictures import plot_solving, way_back
from easy_to_hard.baselines.cold_diffusion.solution_restorers import MazeSolver
from easy_to_hard.baselines.cold_diffusion.solution_runs import (
    Row,
    folder_of_net,
    open_folder,
    restorer_of,
    run_seed,
)
from easy_to_hard.baselines.cold_diffusion.solution_training import train_restorer
from easy_to_hard.baselines.cold_diffusion.solver_recipes import SolverRecipe, get_solver_recipe
from easy_to_hard.baselines.kit.precision import get_device, recorded_precision, settle
from easy_to_hard.baselines.kit.statistics import SHARE, of_share, over_seeds
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import Measurement, ReferenceResult
from easy_to_hard.tasks import DataSpec, get_task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE: Final = "solving.png"
_QUESTION: Final = (
    "Does cold diffusion, trained to restore degraded solutions of easy puzzles, solve harder ones, and how does that "
    "depend on the number of steps back?"
)


def run_on_task(
    task: str,
    preset: str,
    out: Path,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
    solver: MazeSolver | None = None,
) -> ReferenceResult:
    """Train and test restorers of a task's solutions.

    Args:
        task: "mazes" or "prefix_sums".
        preset: "smoke" or "small".
        out: folder of the run, for nets, scores and, where matplotlib is installed, the picture `PICTURE`; a run that
            was stopped goes on from there.
        seed: the first of as many as the preset has, at least 0.
        device: "cpu" or "cuda".
        progress: whether to show bars.
        solver: a solver of mazes' pictures that is tried as the restorer too, such as a recurrent net; None for none.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError: unknown task, preset or device, a negative seed, or a folder with another run.
        RuntimeError: a training diverged.
    """
    result = run_recipe(
        get_solver_recipe(task, preset), preset, out, seed=seed, device=device, progress=progress, solver=solver
    )
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(draw_run(result, out, device=device), out / PICTURE)
    return result


def run_recipe(
    recipe: SolverRecipe,
    preset: str,
    out: Path,
    *,
    seed: int,
    device: str,
    progress: bool,
    solver: MazeSolver | None = None,
) -> ReferenceResult:
    """As `run_on_task`, with a recipe of one's own."""
    if seed < 0:
        raise ValueError(f"seed must be at least 0, not {seed}")
    get_device(device)
    if solver is None or recipe.solver is None:
        recipe, solver = replace(recipe, solver=None), None
    out.mkdir(parents=True, exist_ok=True)
    recipe = settle(recipe, recorded_precision(out, device))
    settings = recipe.settings() | {"device": device}
    open_folder(out, settings)
    seeds = [seed + number for number in range(recipe.num_seeds)]
    parts = [
        run_seed(
            replace(recipe, nets=recipe.nets_of(number)),
            one,
            out,
            device=device,
            progress=progress,
            solver=solver if number == 0 else None,
        )
        for number, one in enumerate(seeds)
    ]
    measurements = list(measurements_of([part.rows for part in parts]))
    return ReferenceResult(
        method="cold_diffusion",
        preset=preset,
        data=recipe.task,
        question=_QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=seeds,
        device=str(torch.cuda.get_device_name()) if device != "cpu" else f"CPU, {torch.get_num_threads()} thread(s)",
        seconds=sum(part.seconds for part in parts),
        settings=settings,
        measurements=measurements,
        claims=claims_of(recipe.nets[0], recipe.trained_steps, measurements),
    )


def measurements_of(rows: Sequence[Sequence[Row]]) -> Iterator[Measurement]:
    """Figures of all seeds together, each condition in the order in which it first comes.

    Solve rates and shares of valid paths are of all items of all seeds (Wilson); F1 is a mean over seeds (Student's
    t), and so is "solve rate over seeds", whose interval also holds what differs from one trained net to another.

    Args:
        rows: of each seed.
    """
    conditions: dict[str, dict[str, Any]] = {}
    scores: dict[str, list[Any]] = {}
    for condition, score in (row for of_seed in rows for row in of_seed):
        conditions.setdefault(repr(condition), condition)
        scores.setdefault(repr(condition), []).append(score)
    for key, condition in conditions.items():
        found = scores[key]
        total, num_seeds, num_items = sum(score.num_items for score in found), len(found), found[0].num_items
        solved = sum(score.num_solved for score in found)
        yield of_share("solve rate", solved, total, condition=condition, num_seeds=num_seeds)
        if condition["restorer"] == "oracle":
            continue
        if num_seeds > 1:
            shares = [score.num_solved / score.num_items for score in found]
            yield over_seeds("solve rate over seeds", shares, unit=SHARE, condition=condition, num_items=num_items)
        f1 = [score.mean_f1 for score in found]
        yield over_seeds("F1", f1, unit=SHARE, condition=condition, num_items=num_items)
        for check in found[0].checks:
            passed = sum(score.checks[check] for score in found)
            yield of_share(f"{check} rate", passed, total, condition=condition, num_seeds=num_seeds)


def draw_run(result: ReferenceResult, out: Path, *, device: str = "cpu") -> "Figure":
    """The picture of a run: its first net's solve rates, and of mazes one on its way back by Algorithm 1.

    Args:
        result: of `run_on_task`.
        out: folder of the run, from which the net is read.
        device: where.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    recipe = settle(get_solver_recipe(result.data, result.preset), recorded_precision(out, device))
    run, task = recipe.nets[0], get_task(recipe.task)
    strip = None
    if recipe.strip_difficulty is not None:
        seed = result.seeds[0]
        net, _ = train_restorer(recipe, run, seed, folder_of_net(run, seed, out), device=device, progress=False)
        spec = DataSpec(task=recipe.task, difficulty=recipe.strip_difficulty, split="test")
        puzzles = first_puzzles(spec, 1)[1].to(device)
        states = way_back(
            restorer_of(recipe, net),
            puzzles,
            degradation=run.degradation,
            sampler="algorithm_1",
            steps=2 * recipe.trained_steps,
        )
        strip = puzzles, states
    return plot_solving(
        result.measurements,
        restorer=run.name,
        degradation=run.degradation,
        trained_steps=recipe.trained_steps,
        difficulty_name=task.difficulty_name,
        strip=strip,
    )
