"""Degradations of solution maps: each is known at full severity from the puzzle alone, so that solving can start there.

Unlike blur or pixelation, they must have the same D(y, steps) for every y. All of them are defined for ANY estimate y,
even for one that is not a path: entries of y above 0 count as on the path.

- `dead_end_growth`: the path, and the nearest t / steps of the other free positions; at full severity all free
  positions. Restoring fills dead ends.
- `growth_by_distance`: the path, and the positions within t / steps of the largest distance from it.
- `path_peeling`: the path without its last t / steps; at full severity start and goal. Restoring walks along the path.
- `prefix_masking`: the first n (1 - t / steps) parities, and 0 for the others.
- `prefix_to_input`: the first n (1 - t / steps) parities, and the input's bits for the others.

In the maps of mazes, walls are -1 and start and goal are 1 at any severity but 0, where D(y, 0) = y for any y.
Distances are steps between free positions from the start, the goal, and all of y's path positions, so that an empty
estimate grows from the first two; if y is real-valued, positions that are not grown keep their value. Peeling is by
distance from the start within y's path; pieces that are not connected to the start go first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.on_puzzles.orders import growth_orders, peeling_orders
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps
from easy_to_hard.baselines.cold_diffusion.sampling import Degrade, at_severity, checked, per_item

Prepare: TypeAlias = Callable[[SolutionMaps, int], Degrade]


@dataclass(frozen=True, kw_only=True)
class MapDegradation:
    """A degradation of a task's solution maps.

    Attributes:
        task: name of the task.
        prepare: (puzzles, steps) -> D(y (B, 1, *size), severity (B,) int64 from 0 to steps), for these puzzles.
    """

    task: str
    prepare: Prepare


def _maze_arrays(puzzles: SolutionMaps) -> tuple[Tensor, Tensor]:
    """Positions (B, P, P) uint8 on the CPU, and the known map (B, 1, P, P): walls -1, start and goal 1, else 0."""
    free, start, goal = puzzles.condition.unbind(1)
    return (free + start + 2 * goal).to("cpu", torch.uint8), puzzles.known()


def _chosen(clean: Tensor) -> Tensor:
    return (clean[:, 0] > 0).cpu()


def _growth(*, by_distance: bool) -> Prepare:
    def prepare(puzzles: SolutionMaps, steps: int) -> Degrade:
        positions, known = _maze_arrays(puzzles)

        def degraded(clean: Tensor, severity: Tensor) -> Tensor:
            ranks, distances, totals, depths = growth_orders(positions.numpy(), _chosen(clean).numpy())
            order = torch.from_numpy(distances if by_distance else ranks).unsqueeze(1).to(clean.device)
            most = per_item(torch.from_numpy(depths if by_distance else totals).to(clean.device), clean)
            reached = per_item(severity, clean)
            grown = (order >= 0) & (order * steps <= reached * most)
            # The path keeps its values (which are all 1, unless the estimate is real-valued) except at full severity.
            grown &= (order > 0) | (reached == steps)
            return torch.where(known != 0, known, torch.where(grown, 1.0, clean))

        return checked(degraded, steps)

    return prepare


def _path_peeling(puzzles: SolutionMaps, steps: int) -> Degrade:
    positions, known = _maze_arrays(puzzles)

    def degraded(clean: Tensor, severity: Tensor) -> Tensor:
        ranks, totals = peeling_orders(positions.numpy(), _chosen(clean).numpy())
        order = torch.from_numpy(ranks).unsqueeze(1).to(clean.device)
        length = per_item(torch.from_numpy(totals).to(clean.device), clean)
        left = per_item(steps - severity, clean)
        # Off the path, values must not show at full severity, however close to 0.
        peeled = (order * steps >= left * length) | ((order < 0) & (left == 0))
        return torch.where(known != 0, known, torch.where(peeled, -1.0, clean))

    return checked(degraded, steps)


def _prefix_masking(*, to_input: bool) -> Prepare:
    def prepare(puzzles: SolutionMaps, steps: int) -> Degrade:
        places = torch.arange(puzzles.solutions.shape[-1], device=puzzles.solutions.device)
        behind = puzzles.condition if to_input else torch.zeros_like(puzzles.condition)

        def degraded(clean: Tensor, severity: Tensor) -> Tensor:
            kept = places * steps < len(places) * per_item(steps - severity, clean)
            return torch.where(kept, clean, behind)

        return checked(degraded, steps)

    return prepare


MAP_DEGRADATIONS: Final[Mapping[str, MapDegradation]] = MappingProxyType(
    {
        "dead_end_growth": MapDegradation(task="mazes", prepare=_growth(by_distance=False)),
        "growth_by_distance": MapDegradation(task="mazes", prepare=_growth(by_distance=True)),
        "path_peeling": MapDegradation(task="mazes", prepare=_path_peeling),
        "prefix_masking": MapDegradation(task="prefix_sums", prepare=_prefix_masking(to_input=False)),
        "prefix_to_input": MapDegradation(task="prefix_sums", prepare=_prefix_masking(to_input=True)),
    }
)


def map_degradation(name: str, task: str) -> MapDegradation:
    """The degradation of that name.

    Raises:
        ValueError: the task has no degradation of that name; the message lists those that it has.
    """
    of_task = [known for known, degradation in MAP_DEGRADATIONS.items() if degradation.task == task]
    if name not in of_task:
        raise ValueError(f"unknown degradation {name!r} of {task}: choose one of {', '.join(of_task)}")
    return MAP_DEGRADATIONS[name]


def fully_degraded(degrade: Degrade, puzzles: SolutionMaps, steps: int) -> Tensor:
    """The state where solving starts, D(y, steps), which does not depend on y: (B, 1, *size) float32."""
    nothing = torch.zeros_like(puzzles.solutions)
    return degrade(nothing, at_severity(steps, nothing))
