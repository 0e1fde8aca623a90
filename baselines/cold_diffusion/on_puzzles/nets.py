"""A small restorer of solution maps, and its training on easy puzzles, each of which it sees only once."""

import math
from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.on_puzzles.degradations import MAP_DEGRADATIONS
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps, as_maps
from easy_to_hard.baselines.cold_diffusion.recipes import NetTrials, PuzzleRecipe
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seeded
from easy_to_hard.baselines.kit.training import Loop, train_part
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.tasks import DataSpec, get_task

_FREQUENCIES: Final = 8
_CONVOLUTIONS: Final[dict[int, type[nn.Conv1d] | type[nn.Conv2d]]] = {1: nn.Conv1d, 2: nn.Conv2d}


class TimeCode(nn.Module):
    """Encodes a map's severity as a vector for each residual block: sines and cosines, then two linear layers."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.width, self.blocks = width, blocks
        self.layers = nn.Sequential(nn.Linear(2 * _FREQUENCIES, width), nn.GELU(), nn.Linear(width, blocks * width))

    def forward(self, level: Tensor) -> Tensor:
        """(B,) float levels, severity / steps in (0, 1] -> (blocks, B, width)."""
        angles = level.unsqueeze(1) * (math.pi / 2) * 2.0 ** torch.arange(_FREQUENCIES, device=level.device)
        codes: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return codes.view(-1, self.blocks, self.width).transpose(0, 1)


class SolutionNet(nn.Module):
    """Residual blocks of 3-wide convolutions on the degraded map concatenated with the puzzle.

    The net sees 2 blocks + 1 positions to each side, whatever the size of the puzzle.

    Args:
        dimensions: 1 for strings, 2 for mazes.
        condition_channels: channels of the puzzle.
        width: channels of the features, at least 1.
        blocks: residual blocks, at least 1.
        time_code: whether the net is given the severity; without it, all steps are alike.

    Raises:
        ValueError: dimensions other than 1 and 2, or a number below 1.
    """

    def __init__(self, *, dimensions: int, condition_channels: int, width: int, blocks: int, time_code: bool) -> None:
        super().__init__()
        if dimensions not in _CONVOLUTIONS:
            raise ValueError(f"dimensions must be 1 or 2, not {dimensions!r}")
        for name, size in (("condition_channels", condition_channels), ("width", width), ("blocks", blocks)):
            check_integer(name, size, 1)
        convolution = _CONVOLUTIONS[dimensions]
        self.projection = convolution(1 + condition_channels, width, kernel_size=3, padding=1)
        self.firsts = nn.ModuleList(convolution(width, width, kernel_size=3, padding=1) for _ in range(blocks))
        self.seconds = nn.ModuleList(convolution(width, width, kernel_size=3, padding=1) for _ in range(blocks))
        self.head = convolution(width, 1, kernel_size=1)
        self.time_code = TimeCode(width, blocks) if time_code else None

    def forward(self, states: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        """Logits of a position being on the path (or of the parity being 1).

        Args:
            states: (B, 1, *size) float, degraded maps.
            condition: (B, C, *size) float, the puzzles.
            level: (B,) float, severity / steps in (0, 1]; ignored without a time code.

        Returns:
            (B, 1, *size) float.
        """
        features = F.relu(self.projection(torch.cat([states, condition], dim=1)))
        codes = [None] * len(self.firsts) if self.time_code is None else self.time_code(level)
        for first, second, code in zip(self.firsts, self.seconds, codes, strict=True):
            inner = first(features)
            if code is not None:
                inner = inner + code.view(*code.shape, *(1,) * (inner.ndim - 2))
            features = F.relu(features + second(F.relu(inner)))
        logits: Tensor = self.head(features)
        return logits


def build_net(recipe: PuzzleRecipe, run: NetTrials, seed: int) -> SolutionNet:
    """The net before training; its weights are a function of the seed, and torch's random state is left as it was."""
    dimensions, channels = (2, 3) if recipe.data == "mazes" else (1, 1)
    with seeded("weights", seed):
        net = SolutionNet(
            dimensions=dimensions,
            condition_channels=channels,
            width=recipe.width,
            blocks=recipe.blocks,
            time_code=run.time_code,
        )
    if dimensions == 2:
        # Twice as fast on a CPU.
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net


def training_batch(recipe: PuzzleRecipe, seed: int, step: int) -> tuple[SolutionMaps, Tensor]:
    """New puzzles (batch `step` of the stream), and a severity for each: (B,) int64 from 1 to trained_steps."""
    task = get_task(recipe.data)
    spec = DataSpec(task=recipe.data, difficulty=recipe.train_difficulty, split="train", seed=seed)
    items = np.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size, dtype=np.uint64)
    puzzles = as_maps(recipe.data, recipe.train_difficulty, task.generate(spec, items, 1))
    generator = generator_of("severity", seed, step)
    return puzzles, torch.randint(1, recipe.trained_steps + 1, (recipe.batch_size,), generator=generator)


def restoration_loss(logits: Tensor, puzzles: SolutionMaps) -> Tensor:
    """Mean cross-entropy over the positions that the puzzle does not show, a scalar.

    Deviates: the paper uses the mean absolute error, which for a map of two values is least at the likelier value;
    cross-entropy is least at the probability, which says how sure the net is, and learns faster.

    Args:
        logits: (B, 1, *size) float.
        puzzles: B puzzles.
    """
    hidden = (puzzles.known() == 0).float()
    losses = F.binary_cross_entropy_with_logits(logits.float(), (puzzles.solutions > 0).float(), reduction="none")
    return (losses * hidden).sum() / hidden.sum()


def train_restorer(
    recipe: PuzzleRecipe, run: NetTrials, seed: int, folder: RunFolder, *, device: torch.device, progress: bool
) -> SolutionNet:
    """Train a net to restore, in one step, solutions degraded to uniformly drawn severities (equation 2).

    Args:
        recipe: how to train.
        run: which net and degradation to train.
        seed: of weights, puzzles, and severities.
        folder: of the run; training that was stopped continues from there.
        device: where.
        progress: whether to show a progress bar.

    Returns:
        the net, in evaluation mode.

    Raises:
        RuntimeError: the loss is no longer finite; the message gives the step.
        ValueError: the checkpoint belongs to another training.
    """
    degradation = MAP_DEGRADATIONS[run.degradation]

    def loss_at(net: nn.Module, step: int) -> Tensor:
        puzzles, severity = training_batch(recipe, seed, step)
        states = degradation.prepare(puzzles, recipe.trained_steps)(puzzles.solutions, severity)
        puzzles = puzzles.to(device)
        logits = net(states.to(device), puzzles.condition, severity.to(device) / recipe.trained_steps)
        return restoration_loss(logits, puzzles)

    names = ("data", "trained_steps", "batch_size", "width", "blocks")
    settings = {name: getattr(recipe, name) for name in names}
    settings |= {"degradation": run.degradation, "time_code": run.time_code}
    net = build_net(recipe, run, seed).to(device)
    loop = Loop(net, loss_at, replace(recipe.loop, seed=seed), settings)
    train_part(loop, folder, part_of_net(run, seed), progress=progress)
    return net


def part_of_net(run: NetTrials, seed: int) -> str:
    """The part of a run's folder that holds a net and its scores."""
    return f"{run.degradation}-{run.name.replace(' ', '-')}-seed{seed}"
