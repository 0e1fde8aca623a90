"""Mixing and noise on the benchmark's puzzles: are tasks of exact logic learned from averages of them?

A prefix sum of an average is no average of prefix sums, and a maze under another is no maze. Nets are trained on a
fixed set of releases and tested on puzzles as they are, of the trained difficulty and a harder one.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.dp_instahide.accountant import noise_for, puzzle_diameter
from easy_to_hard.baselines.dp_instahide.measuring import METHOD, grouped, guarantee, result_of
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, choose_records, make_grid, release
from easy_to_hard.baselines.dp_instahide.pictures import draw_puzzles
from easy_to_hard.baselines.dp_instahide.puzzle_claims import puzzle_claims
from easy_to_hard.baselines.dp_instahide.recipes import PuzzleRecipe
from easy_to_hard.baselines.dp_instahide.stages import Row, Stages
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, Solvers, make_puzzles, position_accuracy, solved
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import SHARE, of_share, over_seeds
from easy_to_hard.baselines.kit.training import Loop, LoopConfig
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "What solve rate, at the trained difficulty and at a harder one, is left of a net that learns from mixtures of k "
    "puzzles with noise of scale b, and what epsilon is that?"
)
PICTURE: Final = "grid.png"
SOLVE_RATE: Final = "solve rate"
SOLVE_RATE_SEEDS: Final = "solve rate over seeds"
POSITIONS: Final = "position accuracy"

_SCORED_AT_ONCE: Final = 100


@dataclass(frozen=True, kw_only=True)
class ReleasedPuzzles:
    """A fixed set of releases of puzzles with their answers.

    Attributes:
        inputs: (M, C, *size) float32, cut to the range of the puzzles' inputs.
        answers: (M, *size) float32 in [0, 1], the share of 1 at each position.
    """

    inputs: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, rows: Tensor, rng: torch.Generator) -> Puzzles:
        """A batch with answers of 0 and 1, each drawn with the released share as its probability.

        The loss is linear in the answer, so that its mean over draws is the loss of the soft answer. All positions
        count: which of them are corridors is a secret that was not released.
        """
        inputs, answers = self.inputs[rows.to(self.inputs.device)], self.answers[rows.to(self.inputs.device)]
        drawn = torch.rand(answers.shape, generator=rng).to(answers.device) < answers
        return Puzzles(inputs=inputs, targets=drawn.long(), mask=torch.ones_like(drawn))


def release_puzzles(items: Puzzles, cell: Cell, *, releases: int, seed: int) -> ReleasedPuzzles:
    """Mix and noise inputs and answers as one record, then cut both to their range."""
    rng = generator_of("puzzle releases", seed, cell.mix_count, repr(cell.noise_scale))
    chosen = choose_records(len(items), cell.mix_count, releases, rng)
    # The ranges are those of the encoding, not of these items: a statistic of the data would give something away.
    low = -0.5 if items.inputs.ndim == 3 else 0.0
    inputs = release(items.inputs, chosen, cell.noise_scale, rng).clamp(low, low + 1)
    answers = release(items.targets.float() * items.mask, chosen, cell.noise_scale, rng).clamp(0, 1)
    return ReleasedPuzzles(inputs=inputs, answers=answers)


def run_on_puzzles(
    recipe: PuzzleRecipe, solvers: Solvers, *, preset: str, device: str, out: Path, progress: bool
) -> ReferenceResult:
    """Train a net on the releases of each cell and seed, and test it.

    A run that was stopped goes on in its folder `out`, which also gets the picture `PICTURE` where matplotlib is
    installed. Writing the result is the caller's; `solvers` makes nets of the recipe's width and so on.

    Raises:
        ValueError, RuntimeError, OSError: one line on what is wrong with settings or folder.
    """
    where = get_device(device)
    items = make_puzzles(recipe.task, recipe.difficulty, recipe.train_items)
    diameter = puzzle_diameter(items.inputs.shape[1], items.targets[0].numel())
    stages = Stages(out, {**recipe.settings(), "device": device, "method": METHOD})
    tests = [
        (difficulty, iterations, make_puzzles(recipe.task, difficulty, recipe.test_items, split="test").to(where))
        for difficulty, iterations in recipe.test
    ]
    rows: list[Row] = []
    cells = puzzle_cells(recipe, diameter)
    for seed, cell in product(recipe.seeds, cells):
        name = f"seed{seed}-k{cell.mix_count}-b{cell.noise_scale:.4f}"
        job = _Job(recipe=recipe, solvers=solvers, cell=cell, seed=seed, device=where, folder=out / "nets" / name)
        rows += stages.get(name, partial(_rows_of_net, job, items.to(where), tests, progress))
    measurements = tuple(puzzle_measurements(rows, recipe, diameter))
    result = result_of(
        question=QUESTION,
        preset=preset,
        data=recipe.task,
        seeds=recipe.seeds,
        device=device,
        seconds=stages.seconds,
        settings={**recipe.settings(), "diameter": diameter, "releases": recipe.train_items},
        measurements=measurements,
        claims=puzzle_claims(measurements, recipe.difficulty),
    )
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(draw_puzzles(result, SOLVE_RATE_SEEDS), out / PICTURE)
    return result


def puzzle_cells(recipe: PuzzleRecipe, diameter: float) -> tuple[Cell, ...]:
    """The grid, and last the largest k with so much noise that the guarantee is one."""
    grid = make_grid(recipe.mix_counts, recipe.noise_scales, recipe.train_items)
    most = max(cell.mix_count for cell in grid)
    enough = noise_for(
        recipe.epsilon,
        records=recipe.train_items,
        mix_count=most,
        diameter=diameter,
        releases=recipe.train_items,
        delta=recipe.delta,
    )
    return (*grid, Cell(mix_count=most, noise_scale=enough))


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A net to train."""

    recipe: PuzzleRecipe
    solvers: Solvers
    cell: Cell
    seed: int
    device: torch.device
    folder: Path


def _rows_of_net(job: _Job, items: Puzzles, tests: Sequence[tuple[int, int, Puzzles]], progress: bool) -> list[Row]:
    released = release_puzzles(items, job.cell, releases=job.recipe.train_items, seed=job.seed)
    net = _train(job, released, progress)
    rows = []
    for difficulty, iterations, puzzles in tests:
        right, positions = score(job.solvers, net, puzzles, iterations)
        facts = {"k": job.cell.mix_count, "b": job.cell.noise_scale, "difficulty": difficulty}
        found = {"solved": right, "items": len(puzzles), "positions": positions, "seed": job.seed}
        rows.append({**facts, "iterations": iterations, **found})
    return rows


def _train(job: _Job, released: ReleasedPuzzles, progress: bool) -> nn.Module:
    recipe, seed = job.recipe, job.seed

    def loss_at(net: nn.Module, step: int) -> Tensor:
        rng = generator_of("puzzle batch", seed, step)
        rows = torch.randint(len(released), (recipe.batch_size,), generator=rng)
        return job.solvers.training_loss(net, released.draw(rows, rng), seed=seed, step=step)

    config = LoopConfig(
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        decay="linear",
        gradient_clip=1.0,
        ema_decay=0.0,
        seed=seed,
    )
    settings: Mapping[str, Any] = {**recipe.settings(), "k": job.cell.mix_count, "b": repr(job.cell.noise_scale)}
    loop = Loop(job.solvers.build(seed).to(job.device), loss_at, config, settings)
    loop.run(job.folder, progress=progress)
    return loop.net.eval()


@torch.no_grad()
def score(solvers: Solvers, net: nn.Module, puzzles: Puzzles, iterations: int) -> tuple[int, float]:
    """How many puzzles are solved whole, and the mean share of positions that are right."""
    right, positions = 0, 0.0
    for start in range(0, len(puzzles), _SCORED_AT_ONCE):
        part = puzzles[start : start + _SCORED_AT_ONCE]
        logits = solvers.logits(net, part.inputs, iterations)
        right += int(solved(logits, part).sum())
        positions += float(position_accuracy(logits, part).sum())
    return right, positions / len(puzzles)


def puzzle_measurements(rows: Sequence[Row], recipe: PuzzleRecipe, diameter: float) -> Iterator[Measurement]:
    """Solve rate and position accuracy of each cell at each difficulty, and each cell's guarantee."""
    for condition, found in grouped(rows, ("k", "b", "difficulty", "iterations")).values():
        total, count = sum(row["items"] for row in found), found[0]["items"]
        solved_items = sum(row["solved"] for row in found)
        yield of_share(SOLVE_RATE, solved_items, total, condition=condition, num_seeds=len(found))
        rates = [row["solved"] / row["items"] for row in found]
        yield over_seeds(SOLVE_RATE_SEEDS, rates, unit=SHARE, condition=condition, num_items=count)
        positions = [row["positions"] for row in found]
        yield over_seeds(POSITIONS, positions, unit=SHARE, condition=condition, num_items=count)
    for cell in puzzle_cells(recipe, diameter):
        condition = {"k": cell.mix_count, "b": round(cell.noise_scale, 4)}
        yield from guarantee(cell, condition, recipe.train_items, diameter, recipe.train_items, recipe.delta)
