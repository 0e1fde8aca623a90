"""Puzzles and their solutions as cold diffusion sees them: a picture to restore, and a condition that is always there.

A solution map is 1 on the path (or where the prefix's parity is 1) and -1 elsewhere; the paper's images are in [-1, 1].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.orders import GOAL, START, WALL
from easy_to_hard.generators.mazes.solver import read_positions
from easy_to_hard.tasks import DataSpec, Instances, generate, get_task


@dataclass(frozen=True, kw_only=True)
class SolutionMaps:
    """A batch of puzzles of one difficulty.

    Attributes:
        task: "mazes" or "prefix_sums".
        condition: (B, C, *size) float32, what is known: of mazes three channels that are 1 on free positions, on the
            start and on the goal; of prefix sums the bits as -1 and 1.
        solutions: (B, 1, *size) float32, -1 or 1.
    """

    task: str
    condition: Tensor
    solutions: Tensor

    def __len__(self) -> int:
        return len(self.solutions)

    def to(self, device: torch.device | str) -> "SolutionMaps":
        """The same on a device."""
        return replace(self, condition=self.condition.to(device), solutions=self.solutions.to(device))


@dataclass(frozen=True, kw_only=True)
class MapCodec:
    """How a task's puzzles become maps and back.

    Attributes:
        dimensions: 1 for strings, 2 for mazes.
        condition_channels: of `SolutionMaps.condition`.
        encode: inputs and targets as the files hold them to condition and solutions.
        predictions: (B, 1, *size) maps, of any real values, to (B, *target shape) uint8 answers.
        known: puzzles to (B, 1, *size) float32: 1 or -1 where the puzzle shows what the solution is, else 0.
    """

    dimensions: int
    condition_channels: int
    encode: Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[Tensor, Tensor]]
    predictions: Callable[[Tensor], NDArray[np.uint8]]
    known: Callable[[SolutionMaps], Tensor]


def _encode_mazes(inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    positions = read_positions(inputs)
    condition = np.stack([positions != WALL, positions == START, positions == GOAL], axis=1)
    # One of the four pixels of each position.
    solutions = targets[:, None, 1:-1:2, 1:-1:2]
    return torch.from_numpy(condition.astype(np.float32)), _signs(solutions)


def _maze_predictions(states: Tensor) -> NDArray[np.uint8]:
    on_path = (states[:, 0] > 0).cpu().numpy().astype(np.uint8)
    return np.pad(on_path.repeat(2, axis=1).repeat(2, axis=2), ((0, 0), (1, 1), (1, 1)))


def _known_of_mazes(puzzles: SolutionMaps) -> Tensor:
    free, start, goal = puzzles.condition.unbind(1)
    return (start + goal - (1 - free)).unsqueeze(1)


def _encode_bits(inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    return _signs(inputs[:, None]), _signs(targets[:, None])


def _bit_predictions(states: Tensor) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = (states[:, 0] > 0).cpu().numpy().astype(np.uint8)
    return bits


def _nothing_known(puzzles: SolutionMaps) -> Tensor:
    return torch.zeros_like(puzzles.solutions)


def _signs(bits: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(bits.astype(np.float32) * 2 - 1)


MAP_CODECS: Final[Mapping[str, MapCodec]] = MappingProxyType(
    {
        "mazes": MapCodec(
            dimensions=2,
            condition_channels=3,
            encode=_encode_mazes,
            predictions=_maze_predictions,
            known=_known_of_mazes,
        ),
        "prefix_sums": MapCodec(
            dimensions=1,
            condition_channels=1,
            encode=_encode_bits,
            predictions=_bit_predictions,
            known=_nothing_known,
        ),
    }
)


def map_codec(task: str) -> MapCodec:
    """The maps of a task, or ValueError that lists the tasks that have some."""
    if task not in MAP_CODECS:
        raise ValueError(f"cold diffusion solves no {task!r}: choose one of {', '.join(MAP_CODECS)}")
    return MAP_CODECS[task]


def as_maps(task: str, difficulty: int, instances: Instances) -> SolutionMaps:
    """Instances of one difficulty as puzzles.

    Raises:
        ValueError: cold diffusion does not solve the task.
    """
    condition, solutions = map_codec(task).encode(*get_task(task).encode(instances.data, difficulty, None))
    return SolutionMaps(task=task, condition=condition, solutions=solutions)


def first_maps(spec: DataSpec, num_items: int) -> tuple[Instances, SolutionMaps]:
    """The first distinct instances of a spec, and the same as puzzles.

    Raises:
        NotEnoughInstancesError: the split holds fewer.
        ValueError: cold diffusion does not solve the task.
    """
    instances = generate(spec, num_items)[1]
    return instances, as_maps(spec.task, spec.difficulty, instances)
