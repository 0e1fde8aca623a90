"""Solving puzzles by cold diffusion: a way back from what the puzzle shows, and how good its answers are."""

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
    """F1 = 2 TP / (predicted + wanted) of the positions that are 1, mean over the items; 1 where both have none.

    Args:
        predictions: (N, *size) uint8 in {0, 1}.
        targets: (N, *size) uint8 in {0, 1}.
    """
    axes = tuple(range(1, targets.ndim))
    hits = np.sum(predictions & targets, axis=axes, dtype=np.int64)
    marked = np.sum(predictions, axis=axes, dtype=np.int64) + np.sum(targets, axis=axes, dtype=np.int64)
    return float(np.where(marked == 0, 1.0, 2 * hits / np.maximum(marked, 1)).mean())


def score_answers(task: str, difficulty: int, instances: Instances, predictions: NDArray[np.uint8]) -> Row:
    """How good the answers (N, *target shape) uint8 in {0, 1} to N instances are.

    Returns:
        "num_items"; "num_solved", right at every position; "checks": name -> how many pass that check of the task,
        {"valid_path": 98} of mazes; "mean_f1", see there.
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
    """Solve puzzles from what the puzzle alone shows, D(y, steps), on the device where they are.

    Args:
        restorer: what restores.
        puzzles: their solutions are seen by an oracle only.
        degradation: name in `MAP_DEGRADATIONS`.
        sampler: name in `SAMPLERS`.
        steps: of the way back, at least 1.
        on_step: told of each step, as samplers tell.

    Returns:
        (B, *target shape) uint8 in {0, 1}: what is above 0 in the last state.
    """
    degrade = MAP_DEGRADATIONS[degradation].prepare(puzzles, steps)
    with torch.no_grad():
        start = fully_degraded(degrade, puzzles, steps)
        final = SAMPLERS[sampler](restorer(puzzles, steps), degrade, start, steps, on_step=on_step)
    return puzzles.answers(final)


def way_back(
    restorer: PrepareRestorer, puzzles: SolutionMaps, *, degradation: str, sampler: str, steps: int
) -> dict[int, Tensor]:
    """All states of a way back, severity from `steps` to 0 -> (B, 1, *size) float; arguments as `solve_puzzles`."""
    states = {steps: fully_degraded(MAP_DEGRADATIONS[degradation].prepare(puzzles, steps), puzzles, steps)}

    def keep(severity: int, state: Tensor, estimate: Tensor) -> None:
        states[severity] = state

    solve_puzzles(restorer, puzzles, degradation=degradation, sampler=sampler, steps=steps, on_step=keep)
    return states
