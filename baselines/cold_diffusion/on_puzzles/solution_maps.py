"""Puzzles and their solutions as cold diffusion sees them: a map to restore, and a condition that is always given.

A solution map is 1 on the path (or where the prefix's parity is 1) and -1 elsewhere; the paper's images are in [-1, 1].
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.orders import GOAL, START, WALL
from easy_to_hard.baselines.kit.puzzles import PUZZLES
from easy_to_hard.generators.mazes.solver import read_positions
from easy_to_hard.tasks import DataSpec, Instances, generate, get_task


@dataclass(frozen=True, kw_only=True)
class SolutionMaps:
    """A batch of puzzles of one difficulty.

    Attributes:
        task: "mazes" or "prefix_sums".
        condition: (B, C, *size) float32, the puzzle: for mazes three channels that are 1 on free positions, on the
            start, and on the goal; for prefix sums the bits as -1 and 1.
        solutions: (B, 1, *size) float32, -1 or 1.
    """

    task: str
    condition: Tensor
    solutions: Tensor

    def __len__(self) -> int:
        return len(self.solutions)

    def to(self, device: torch.device | str) -> "SolutionMaps":
        """The same maps on a device."""
        return replace(self, condition=self.condition.to(device), solutions=self.solutions.to(device))

    def known(self) -> Tensor:
        """What the puzzle shows of its solution: (B, 1, *size) float32, 1 or -1 where it is known, else 0."""
        if self.task != "mazes":
            return torch.zeros_like(self.solutions)
        free, start, goal = self.condition.unbind(1)
        return (start + goal - (1 - free)).unsqueeze(1)

    def answers(self, states: Tensor) -> NDArray[np.uint8]:
        """Answers from maps (B, 1, *size) of any real values, 1 where they are above 0: (B, *target shape) uint8."""
        on: NDArray[np.uint8] = (states[:, 0] > 0).cpu().numpy().astype(np.uint8)
        if self.task != "mazes":
            return on
        return np.pad(on.repeat(2, axis=1).repeat(2, axis=2), ((0, 0), (1, 1), (1, 1)))


def check_solvable(task: str) -> None:
    """Raise a ValueError that lists the supported tasks if cold diffusion does not solve this one."""
    if task not in PUZZLES:
        raise ValueError(f"cold diffusion does not solve {task!r}: choose one of {', '.join(PUZZLES)}")


def as_maps(task: str, difficulty: int, instances: Instances) -> SolutionMaps:
    """Instances of one difficulty as maps.

    Raises:
        ValueError: cold diffusion does not solve the task.
    """
    check_solvable(task)
    inputs, targets = get_task(task).encode(instances.data, difficulty, None)
    if task != "mazes":
        return SolutionMaps(task=task, condition=_signs(inputs[:, None]), solutions=_signs(targets[:, None]))
    positions = read_positions(inputs)
    condition = np.stack([positions != WALL, positions == START, positions == GOAL], axis=1).astype(np.float32)
    # One of the four pixels of each position.
    solutions = _signs(targets[:, None, 1:-1:2, 1:-1:2])
    return SolutionMaps(task=task, condition=torch.from_numpy(condition), solutions=solutions)


def _signs(bits: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(bits.astype(np.float32) * 2 - 1)


def first_maps(spec: DataSpec, num_items: int) -> tuple[Instances, SolutionMaps]:
    """The first distinct instances of a spec, and the same as maps.

    Raises:
        NotEnoughInstancesError: the split holds fewer.
        ValueError: cold diffusion does not solve the task.
    """
    check_solvable(spec.task)
    instances = generate(spec, num_items)[1]
    return instances, as_maps(spec.task, spec.difficulty, instances)
