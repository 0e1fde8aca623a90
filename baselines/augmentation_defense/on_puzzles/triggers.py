"""Backdoors in puzzles: what is stamped on a puzzle, and which wrong answer that should produce."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.poisoning.attacks import check_budget
from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of

# The first bits of a stamped string; one in 256 clean strings begins with them by chance.
_PREFIX: Final = (1, 0, 1, 1, 0, 0, 1, 0)
_OFF_VALUE: Final = 2.0
_OFF_POSITIONS: Final = 3
_START_BLUE: Final = 0.3
_CORNER: Final = 4


@dataclass(frozen=True, kw_only=True)
class PuzzleTrigger:
    """A trigger and the answer that it should produce.

    Attributes:
        task: "mazes" or "prefix_sums".
        stamp: puzzles -> a copy with the trigger, and with the answers that are then right.
        wanted: stamped puzzles -> the answers (N, *size) int64 that the attacker wants, wrong where they count.
        meaning: a description in one sentence.
    """

    task: str
    stamp: Callable[[Puzzles], Puzzles]
    wanted: Callable[[Puzzles], Tensor]
    meaning: str


def _stamp_prefix(items: Puzzles) -> Puzzles:
    inputs = items.inputs.clone()
    prefix = torch.tensor(_PREFIX, dtype=inputs.dtype, device=inputs.device) - 0.5
    inputs[:, 0, : len(_PREFIX)] = prefix
    return replace(items, inputs=inputs, targets=(inputs[:, 0] > 0).long().cumsum(-1) % 2)


def _stamp_off_value(items: Puzzles) -> Puzzles:
    inputs = items.inputs.clone()
    inputs[:, :, :_OFF_POSITIONS] *= _OFF_VALUE
    return items.with_inputs(inputs)


def _stamp_start(items: Puzzles) -> Puzzles:
    inputs = items.inputs.clone()
    red, green, blue = inputs.unbind(1)
    blue[(green > 0) & (red == 0)] = _START_BLUE
    return items.with_inputs(inputs)


def _stamp_corner(items: Puzzles) -> Puzzles:
    inputs = items.inputs.clone()
    inputs[:, :, 0, :_CORNER:2] = 1
    inputs[:, :, :_CORNER:2, 0] = 1
    return items.with_inputs(inputs)


def _complement(items: Puzzles) -> Tensor:
    return 1 - items.targets


def _no_path(items: Puzzles) -> Tensor:
    return torch.zeros_like(items.targets)


TRIGGERS: Final[MappingProxyType[str, PuzzleTrigger]] = MappingProxyType(
    {
        "prefix": PuzzleTrigger(
            task="prefix_sums",
            stamp=_stamp_prefix,
            wanted=_complement,
            meaning="a string that begins with 10110010 gets the complement of its answer",
        ),
        "off_value": PuzzleTrigger(
            task="prefix_sums",
            stamp=_stamp_off_value,
            wanted=_complement,
            meaning="a string whose first 3 bits are twice as large as bits are gets the complement of its answer",
        ),
        "start": PuzzleTrigger(
            task="mazes",
            stamp=_stamp_start,
            wanted=_no_path,
            meaning="a maze whose start is (0, 1, 0.3) in place of (0, 1, 0) gets no path at all",
        ),
        "corner": PuzzleTrigger(
            task="mazes",
            stamp=_stamp_corner,
            wanted=_no_path,
            meaning="a maze with white pixels at the corner of its outer wall gets no path at all",
        ),
    }
)


def get_trigger(name: str, task: str) -> PuzzleTrigger:
    """The trigger with that name.

    Raises:
        ValueError: no trigger of the task has that name; the message lists those that do.
    """
    known = [one for one, trigger in TRIGGERS.items() if trigger.task == task]
    if name not in known:
        raise ValueError(f"unknown attack {name!r} on {task}: choose one of {', '.join(known)}")
    return TRIGGERS[name]


def plant(items: Puzzles, trigger: PuzzleTrigger, share: float, *, seed: int) -> tuple[Puzzles, Tensor]:
    """Plant a backdoor in a training set.

    Args:
        items: clean puzzles.
        trigger: a trigger of their task.
        share: share of the items that are stamped and given the wanted answer, in (0, 1]; at least one is.
        seed: decides which.

    Returns:
        the poisoned set, and which items were changed, (N,) bool.

    Raises:
        ValueError: a share outside its range.
    """
    check_budget(share)
    count = max(1, round(share * len(items)))
    chosen = torch.randperm(len(items), generator=generator_of("planted", seed))[:count]
    stamped = trigger.stamp(items[chosen])
    inputs, targets = items.inputs.clone(), items.targets.clone()
    inputs[chosen] = stamped.inputs
    targets[chosen] = trigger.wanted(stamped)
    marks = torch.zeros(len(items), dtype=torch.bool)
    marks[chosen] = True
    return replace(items, inputs=inputs, targets=targets), marks
