"""Solving puzzles by cold diffusion: restoring the solution from what the puzzle shows, and scoring the answers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.degradations import MAP_DEGRADATIONS, fully_degraded
from easy_to_hard.baselines.cold_diffusion.on_puzzles.restorers import PrepareRestorer
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS, OnStep
from easy_to_hard.baselines.kit.run_folder import Row
from easy_to_hard.scores.scoring import Tally
from easy_to_hard.tasks import Instances, get_task


def mean_f1(predictions: NDArray[np.uint8], targets: NDArray[np.uint8]) -> float:
    """F1 = 2 TP / (predicted + wanted) of the positions that are 1, averaged over the items; 1 if both have none.

    Args:
        predictions: (N, *size) uint8 in {0, 1}.
        targets: (N, *size) uint8 in {0, 1}.
    """
    axes = tuple(range(1, targets.ndim))
    hits = np.sum(predictions & targets, axis=axes, dtype=np.int64)
    marked = np.sum(predictions, axis=axes, dtype=np.int64) + np.sum(targets, axis=axes, dtype=np.int64)
    return float(np.where(marked == 0, 1.0, 2 * hits / np.maximum(marked, 1)).mean())


def score_answers(task: str, difficulty: int, instances: Instances, predictions: NDArray[np.uint8]) -> Row:
    """Score the answers (N, *target shape) uint8 in {0, 1} to N instances.

    Returns:
        "num_items"; "num_solved", right at every position; "checks": name -> how many pass that check of the task, such
        as {"valid_path": 98} for mazes; "mean_f1", see `mean_f1`.
    """
    facts = get_task(task)
    tally = Tally(facts, difficulty)
    tally.add(instances, predictions)
    return {
        "num_items": tally.num_items,
        "num_solved": tally.num_correct,
        "checks": dict(tally.checks),
        "mean_f1": mean_f1(predictions, facts.encode(instances.data, difficulty, None)[1]),
    }


def solve_puzzles(
    restorer: PrepareRestorer,
    puzzles: SolutionMaps,
    *,
    degradation: str,
    sampler: str,
    steps: int,
    on_step: OnStep | None = None,
) -> NDArray[np.uint8]:
    """Solve puzzles, starting from D(y, steps), which the puzzle alone shows, on the device where they are.

    Args:
        restorer: what restores.
        puzzles: only an oracle sees their solutions.
        degradation: name in `MAP_DEGRADATIONS`.
        sampler: name in `SAMPLERS`.
        steps: number of restoration steps, at least 1.
        on_step: called after each step, see `OnStep`.

    Returns:
        (B, *target shape) uint8 in {0, 1}: 1 where the last state is above 0.
    """
    degrade = MAP_DEGRADATIONS[degradation].prepare(puzzles, steps)
    with torch.no_grad():
        start = fully_degraded(degrade, puzzles, steps)
        final = SAMPLERS[sampler](restorer(puzzles, steps), degrade, start, steps, on_step=on_step)
    return puzzles.answers(final)


def way_back(
    restorer: PrepareRestorer, puzzles: SolutionMaps, *, degradation: str, sampler: str, steps: int
) -> dict[int, Tensor]:
    """All states while solving: severity from `steps` to 0 -> (B, 1, *size) float; arguments as in `solve_puzzles`."""
    states = {steps: fully_degraded(MAP_DEGRADATIONS[degradation].prepare(puzzles, steps), puzzles, steps)}

    def keep(severity: int, state: Tensor, estimate: Tensor) -> None:
        states[severity] = state

    solve_puzzles(restorer, puzzles, degradation=degradation, sampler=sampler, steps=steps, on_step=keep)
    return states
