"""Mixing and noise on the benchmark's puzzles: can tasks of exact logic be learned from averages of puzzles?

The prefix sum of an average is not the average of the prefix sums, and two mazes laid over each other are not a maze.
Nets are trained on a fixed set of releases and tested on unmixed puzzles, of the trained difficulty and a harder one.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.dp_instahide.accountant import puzzle_diameter
from easy_to_hard.baselines.dp_instahide.claims import claims
from easy_to_hard.baselines.dp_instahide.measurements import (
    POSITIONS,
    SOLVE_RATE,
    SOLVE_RATE_SEEDS,
    cell_condition,
    grouped,
    guarantee,
)
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, choose_records, release
from easy_to_hard.baselines.dp_instahide.pictures import draw_puzzles
from easy_to_hard.baselines.dp_instahide.recipes import PuzzleRecipe
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles, position_accuracy, solved
from easy_to_hard.baselines.kit.run_folder import Row, RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import SHARE, of_share, over_seeds
from easy_to_hard.baselines.kit.training import Loop, LoopConfig
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "What solve rate, at the trained difficulty and at a harder one, is left of a net that learns from mixtures of k "
    "puzzles with noise of scale b, and what epsilon is that?"
)
PICTURE: Final = "grid.png"

_SCORED_AT_ONCE: Final = 100


@dataclass(frozen=True, kw_only=True)
class ReleasedPuzzles:
    """A fixed set of releases of puzzles with their answers.

    Attributes:
        inputs: (M, C, *size) float32, clipped to the range of the puzzles' inputs.
        answers: (M, *size) float32 in [0, 1], the share of 1 at each position.
    """

    inputs: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, rows: Tensor, rng: torch.Generator) -> Puzzles:
        """A batch with answers of 0 and 1, each drawn with the released share as its probability.

        The loss is linear in the answer, so its mean over draws is the loss of the soft answer. All positions count:
        which of them are corridors was not released.
        """
        inputs, answers = self.inputs[rows.to(self.inputs.device)], self.answers[rows.to(self.inputs.device)]
        drawn = torch.rand(answers.shape, generator=rng).to(answers.device) < answers
        return Puzzles(inputs=inputs, targets=drawn.long(), mask=torch.ones_like(drawn))


def release_puzzles(items: Puzzles, cell: Cell, *, releases: int, seed: int) -> ReleasedPuzzles:
    """Mix inputs and answers as one record, add noise, then clip both to their range."""
    rng = generator_of("puzzle releases", seed, cell.mix_count, repr(cell.noise_scale))
    chosen = choose_records(len(items), cell.mix_count, releases, rng)
    # The ranges are those of the encoding, not of these items: a statistic of the data would leak information.
    low = -0.5 if items.inputs.ndim == 3 else 0.0
    inputs = release(items.inputs, chosen, cell.noise_scale, rng).clamp(low, low + 1)
    answers = release(items.targets.float() * items.mask, chosen, cell.noise_scale, rng).clamp(0, 1)
    return ReleasedPuzzles(inputs=inputs, answers=answers)


def run(recipe: PuzzleRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train a net on the releases of each cell and seed, and test it; see `Baseline.run`.

    The folder gets a file for each net's results, the nets and, where matplotlib is installed, the picture `PICTURE`.
    """
    where = get_device(device)
    items = make_puzzles(recipe.data, recipe.difficulty, recipe.train_items)
    diameter = puzzle_diameter(items.inputs.shape[1], items.targets[0].numel())
    cells = recipe.cells(recipe.train_items, diameter)
    tests = [
        (difficulty, iterations, make_puzzles(recipe.data, difficulty, recipe.test_items, split="test").to(where))
        for difficulty, iterations in recipe.test
    ]
    kept = RunFolder(folder, {**recipe.seed_settings(), "device": where.type})
    rows: list[Row] = []
    for seed, cell in product(recipe.seeds, cells):
        job = _Job(recipe=recipe, cell=cell, seed=seed, device=where, folder=kept, progress=progress)
        rows += kept.rows(job.name, partial(_rows_of_net, job, items.to(where), tests))
    result = result_of(
        "dp_instahide",
        recipe,
        kept,
        question=QUESTION,
        device=device,
        measurements=puzzle_measurements(rows, recipe, cells, diameter),
        claims=claims,
        more={"diameter": diameter, "releases": recipe.train_items},
    )
    save_picture(lambda: draw_puzzles(result), folder / PICTURE)
    return result


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A net to train, and how."""

    recipe: PuzzleRecipe
    cell: Cell
    seed: int
    device: torch.device
    folder: RunFolder
    progress: bool

    @property
    def name(self) -> str:
        return f"seed{self.seed}-k{self.cell.mix_count}-b{self.cell.noise_scale:.4f}"

    @property
    def solvers(self) -> RecurrentSolvers:
        recipe = self.recipe
        return RecurrentSolvers(
            task=recipe.data, width=recipe.width, max_iterations=recipe.max_iterations, patch=recipe.patch
        )


def _rows_of_net(job: _Job, items: Puzzles, tests: Sequence[tuple[int, int, Puzzles]]) -> list[Row]:
    released = release_puzzles(items, job.cell, releases=job.recipe.train_items, seed=job.seed)
    net = _train(job, released)
    rows = []
    for difficulty, iterations, puzzles in tests:
        right, positions = score(job.solvers, net, puzzles, iterations)
        facts = {"k": job.cell.mix_count, "b": job.cell.noise_scale, "difficulty": difficulty}
        found = {"solved": right, "items": len(puzzles), "positions": positions, "seed": job.seed}
        rows.append({**facts, "iterations": iterations, **found})
    return rows


def _train(job: _Job, released: ReleasedPuzzles) -> nn.Module:
    recipe, seed, solvers = job.recipe, job.seed, job.solvers

    def loss_at(net: nn.Module, step: int) -> Tensor:
        rng = generator_of("puzzle batch", seed, step)
        rows = torch.randint(len(released), (recipe.batch_size,), generator=rng)
        return solvers.training_loss(net, released.draw(rows, rng), seed=seed, step=step)

    config = LoopConfig(
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        decay="linear",
        gradient_clip=1.0,
        ema_decay=0.0,
        seed=seed,
    )
    settings = {**job.folder.settings, "k": job.cell.mix_count, "b": repr(job.cell.noise_scale)}
    loop = Loop(solvers.build(seed).to(job.device), loss_at, config, settings)
    started = time.perf_counter()
    report = loop.run(job.folder.path / "nets" / job.name, progress=job.progress)
    job.folder.credit(max(0.0, report.seconds - (time.perf_counter() - started)))
    return loop.net.eval()


@torch.no_grad()
def score(solvers: RecurrentSolvers, net: nn.Module, puzzles: Puzzles, iterations: int) -> tuple[int, float]:
    """How many puzzles are solved entirely, and the mean share of positions that are right."""
    right, positions = 0, 0.0
    for start in range(0, len(puzzles), _SCORED_AT_ONCE):
        part = puzzles[start : start + _SCORED_AT_ONCE]
        logits = solvers.logits(net, part.inputs, iterations)
        right += int(solved(logits, part).sum())
        positions += float(position_accuracy(logits, part).sum())
    return right, positions / len(puzzles)


def puzzle_measurements(
    rows: Sequence[Row], recipe: PuzzleRecipe, cells: Sequence[Cell], diameter: float
) -> Iterator[Measurement]:
    """Solve rate and position accuracy of each cell at each difficulty, and each cell's guarantee."""
    for condition, found in grouped(rows, ("k", "b", "difficulty", "iterations")).values():
        total, count = sum(row["items"] for row in found), found[0]["items"]
        solved_items = sum(row["solved"] for row in found)
        yield of_share(SOLVE_RATE, solved_items, total, condition=condition, num_seeds=len(found))
        rates = [row["solved"] / row["items"] for row in found]
        yield over_seeds(SOLVE_RATE_SEEDS, rates, unit=SHARE, condition=condition, num_items=count)
        positions = [row["positions"] for row in found]
        yield over_seeds(POSITIONS, positions, unit=SHARE, condition=condition, num_items=count)
    for cell in cells:
        yield from guarantee(cell, cell_condition(cell), recipe.train_items, diameter, recipe.train_items, recipe.delta)
