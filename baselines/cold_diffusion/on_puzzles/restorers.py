"""Restorers of solution maps: a trained net, a solver of maze pictures, or an oracle that knows the solution.

All of them answer with maps of -1 and 1, as solutions are, and copy what the puzzle shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.nets import SolutionNet
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps
from easy_to_hard.baselines.cold_diffusion.sampling import Restore, per_item
from easy_to_hard.baselines.kit.precision import Precision, autocast
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.generators.integers import check_integer_fields

PrepareRestorer: TypeAlias = Callable[[SolutionMaps, int], Restore]
"""(puzzles, steps of the way back) -> restorer of their solutions."""

MazeSolver: TypeAlias = Callable[[Tensor, int], Tensor]
"""(pictures (B, 3, H, W) float in {0, 1}, iterations) -> (B, H, W), above 0 on the path."""


def with_known(puzzles: SolutionMaps, on: Tensor) -> Tensor:
    """Turn bool estimates (B, 1, *size) into maps of -1 and 1, with what the puzzle shows filled in."""
    known = puzzles.known()
    return torch.where(known != 0, known, torch.where(on, 1.0, -1.0))


@dataclass(frozen=True, kw_only=True)
class NetRestorer:
    """A trained net as a restorer, for any number of steps.

    Attributes:
        net: the net.
        trained_steps: number of severities that it was trained on; it is given severity t of s steps as the trained
            severity ceil(t trained_steps / s), so that its time code only takes values from training.
        threshold: a position is on the path from this probability on, in (0, 1); below one half, positions in doubt
            stay on the path.
        precision: of the convolutions.
    """

    net: SolutionNet
    trained_steps: int
    threshold: float
    precision: Precision

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, not {self.threshold}")

    def __call__(self, puzzles: SolutionMaps, steps: int) -> Restore:
        """The restorer of these puzzles."""
        least = torch.tensor(self.threshold).logit().item()

        def restore(states: Tensor, severity: Tensor) -> Tensor:
            index = -(-severity * self.trained_steps // steps)
            with autocast(states.device, self.precision):
                logits = self.net(states, puzzles.condition, index / self.trained_steps)
            return with_known(puzzles, logits.float() >= least)

        return restore


@dataclass(frozen=True, kw_only=True)
class SolverRestorer:
    """A solver of maze pictures as a restorer: what the map leaves out becomes wall, and the rest is solved.

    Attributes:
        solver: such as a recurrent net; it needs no special training, since a maze with fewer dead ends is still a
            maze.
        iterations: at each step.
    """

    solver: MazeSolver
    iterations: int

    def __call__(self, puzzles: SolutionMaps, steps: int) -> Restore:
        """The restorer of these puzzles."""
        del steps
        free, start, goal = puzzles.condition.unbind(1)

        def restore(states: Tensor, severity: Tensor) -> Tensor:
            del severity
            left = free * ((states[:, 0] > 0) | (start + goal > 0))
            picture = torch.stack([left - start, left - goal, left - start - goal], dim=1)
            pixels = torch.nn.functional.pad(picture.repeat_interleave(2, 2).repeat_interleave(2, 3), (1, 1, 1, 1))
            answers = self.solver(pixels, self.iterations)
            return with_known(puzzles, answers[:, None, 1:-1:2, 1:-1:2] > 0)

        return restore


def oracle(puzzles: SolutionMaps, steps: int) -> Restore:
    """A restorer that returns the solution, whatever the state."""
    del steps
    return lambda states, severity: puzzles.solutions


NOISES: Final = ("frozen", "fresh", "fading")
"""Kinds of errors: the same positions at each step, new ones at each step, or new ones, fewer at lower severity."""


@dataclass(frozen=True, kw_only=True)
class NoisyOracle:
    """An oracle that flips positions of the solution, each with the same probability.

    Attributes:
        noise: name in `NOISES`.
        probability: of a position being wrong, in [0, 1], at full severity.
        seed: decides which positions are wrong.

    Raises:
        ValueError: unknown noise, or a probability outside [0, 1].
    """

    noise: str
    probability: float
    seed: int

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.noise not in NOISES:
            raise ValueError(f"unknown noise {self.noise!r}: choose one of {', '.join(NOISES)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be from 0 to 1, not {self.probability}")

    def __call__(self, puzzles: SolutionMaps, steps: int) -> Restore:
        """The restorer of these puzzles."""

        def restore(states: Tensor, severity: Tensor) -> Tensor:
            step = int(severity[0]) if self.noise != "frozen" else 0
            generator = generator_of("noise", self.seed, step)
            draws = torch.rand(puzzles.solutions.shape, generator=generator).to(states.device)
            level = severity / steps if self.noise == "fading" else torch.ones_like(severity / steps)
            wrong = draws < per_item(self.probability * level, states)
            return with_known(puzzles, (puzzles.solutions > 0) ^ wrong)

        return restore
