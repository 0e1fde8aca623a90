"""Training of a restorer of solution maps, on easy puzzles and none that it has seen before."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.solution_degradations import MAP_DEGRADATIONS
from easy_to_hard.baselines.cold_diffusion.solution_maps import Puzzles, as_puzzles, solution_maps
from easy_to_hard.baselines.cold_diffusion.solution_nets import SolutionNet
from easy_to_hard.baselines.cold_diffusion.solver_recipes import NetRun, SolverRecipe
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.training import Loop, LoopConfig
from easy_to_hard.tasks import DataSpec, get_task

_LARGEST_GRADIENT: Final = 1.0


def build_net(recipe: SolverRecipe, run: NetRun, seed: int) -> SolutionNet:
    """The net before training; the seed decides its weights, and torch's own random state is left as it was."""
    maps = solution_maps(recipe.task)
    with torch.random.fork_rng():
        torch.manual_seed(seed_of("weights", seed))
        net = SolutionNet(
            dimensions=maps.dimensions,
            condition_channels=maps.condition_channels,
            width=recipe.width,
            blocks=recipe.blocks,
            time_code=run.time_code,
        )
    if maps.dimensions == 2:
        # Twice as fast on a CPU.
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def training_batch(recipe: SolverRecipe, seed: int, step: int) -> tuple[Puzzles, Tensor]:
    """Fresh puzzles, batch `step` of the stream, and for each a severity: (B,) int64 from 1 to trained_steps."""
    task = get_task(recipe.task)
    spec = DataSpec(task=recipe.task, difficulty=recipe.train_difficulty, split="train", seed=seed)
    items = np.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size, dtype=np.uint64)
    puzzles = as_puzzles(recipe.task, recipe.train_difficulty, task.generate(spec, items, 1))
    generator = generator_of("severity", seed, step)
    return puzzles, torch.randint(1, recipe.trained_steps + 1, (recipe.batch_size,), generator=generator)


def restoration_loss(logits: Tensor, puzzles: Puzzles) -> Tensor:
    """Cross-entropy over what the puzzle does not show, a scalar.

    Deviates: the paper takes the mean absolute error. That of a map of two values is least at the likelier of the two;
    cross-entropy is least at the probability, which says how sure the net is, and learns faster.

    Args:
        logits: (B, 1, *size) float.
        puzzles: B of them.
    """
    hidden = (solution_maps(puzzles.task).known(puzzles) == 0).float()
    losses = F.binary_cross_entropy_with_logits(logits.float(), (puzzles.solutions > 0).float(), reduction="none")
    return (losses * hidden).sum() / hidden.sum()


def train_restorer(
    recipe: SolverRecipe, run: NetRun, seed: int, folder: Path | None, *, device: str = "cpu", progress: bool = True
) -> tuple[SolutionNet, float]:
    """Train a net to restore degraded solutions of severities drawn uniformly, in one step (arXiv 2208.09392, eq. 2).

    Args:
        recipe: how.
        run: which net, and of which degradation.
        seed: of weights, puzzles and severities.
        folder: of the checkpoint, from which a training that was stopped goes on; None for none.
        device: where.
        progress: whether to show a bar.

    Returns:
        the net, in evaluation mode, and the seconds that training took, over all the times it was taken up again.

    Raises:
        RuntimeError: the loss is no longer finite; the message gives the step.
        ValueError: the checkpoint is of another training.
    """
    degradation = MAP_DEGRADATIONS[run.degradation]

    def loss_at(net: nn.Module, step: int) -> Tensor:
        puzzles, severity = training_batch(recipe, seed, step)
        states = degradation.prepare(puzzles, recipe.trained_steps)(puzzles.solutions, severity)
        puzzles = puzzles.to(device)
        logits = net(states.to(device), puzzles.condition, severity.to(device) / recipe.trained_steps)
        return restoration_loss(logits, puzzles)

    config = LoopConfig(
        steps=recipe.training_steps,
        learning_rate=recipe.learning_rate,
        decay="linear",
        gradient_clip=_LARGEST_GRADIENT,
        # A rate that falls to 0 averages by itself.
        ema_decay=0.0,
        precision=recipe.precision,
        seed=seed,
    )
    net = build_net(recipe, run, seed).to(device)
    settings = {"recipe": recipe.training_settings(), "degradation": run.degradation, "time_code": run.time_code}
    report = Loop(net, loss_at, config, settings).run(folder, progress=progress)
    return net, report.seconds
