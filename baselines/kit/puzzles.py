"""The benchmark's puzzles as the reference methods use them: a loss and a verdict for each item.

Nets are given by `Solvers`: the methods do not know which baseline made them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.datasets.graded import to_tensors
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.tasks import DataSpec, generate, get_task

# Puzzles whose answer is a class at each position; in mazes only free cells count.
PUZZLES: Final = ("mazes", "prefix_sums")

Logits: TypeAlias = Callable[[nn.Module, Tensor, int], Tensor]
"""(net, inputs (B, C, *size) float, iterations) -> logits (B, 2, *size) float."""


class Solvers(Protocol):
    """A kind of net that solves puzzles by iterating, with the methods that the reference methods need."""

    def build(self, seed: int) -> nn.Module:
        """A net before training; its weights are a function of the seed."""

    def logits(self, net: nn.Module, inputs: Tensor, iterations: int) -> Tensor:
        """See `Logits`; also works under `torch.func.functional_call` on the net."""

    def training_loss(self, net: nn.Module, items: "Puzzles", *, seed: int, step: int) -> Tensor:
        """The loss () that training takes the gradient of; its random draws depend on seed and step only."""


@dataclass(frozen=True, kw_only=True)
class Puzzles:
    """Items of one task and difficulty.

    Attributes:
        inputs: (N, C, *size) float32; prefix sums in {-0.5, 0.5}, mazes in {0, 1}.
        targets: (N, *size) int64 in {0, 1}.
        mask: (N, *size) bool, the positions that count: all positions of a string, the free cells of a maze.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, chosen: slice | Tensor) -> "Puzzles":
        """Some of the items: a slice, indices or a mask."""
        return Puzzles(inputs=self.inputs[chosen], targets=self.targets[chosen], mask=self.mask[chosen])

    def to(self, device: torch.device | str) -> "Puzzles":
        """The same items on a device."""
        return Puzzles(inputs=self.inputs.to(device), targets=self.targets.to(device), mask=self.mask.to(device))

    def with_inputs(self, inputs: Tensor) -> "Puzzles":
        """The same answers to other inputs (N, C, *size): the mask stays that of the puzzle."""
        return replace(self, inputs=inputs)


def make_puzzles(
    task: str, difficulty: int, count: int, *, split: str = "train", seed: int = 0, variant: str = ""
) -> Puzzles:
    """The first `count` distinct items of a split, whose order depends on the seed; splits share no item.

    Args:
        task: "mazes" or "prefix_sums".
        difficulty: size of the maze, or number of bits.
        count: at least 1.
        split: "train", "validation" or "test".
        seed: of the instances, at least 0.
        variant: of mazes; "" for the default.

    Raises:
        ValueError: another task, or a value that is not allowed; the message names it.
        NotEnoughInstancesError: the split holds fewer.
    """
    if task not in PUZZLES:
        raise ValueError(f"task must be one of {', '.join(PUZZLES)}, not {task!r}")
    check_integer("the number of puzzles", count, 1)
    spec = DataSpec(task=task, difficulty=difficulty, variant=variant, split=split, seed=seed)
    known = get_task(task)
    inputs, targets = to_tensors(known, *known.encode(generate(spec, count)[1].data, difficulty, None))
    return Puzzles(inputs=inputs, targets=targets, mask=counting_mask(task, inputs))


def counting_mask(task: str, inputs: Tensor) -> Tensor:
    """The positions that count, (B, *size) bool, of unchanged inputs (B, C, *size)."""
    mask = get_task(task).answers.mask
    return torch.ones_like(inputs[:, 0], dtype=torch.bool) if mask is None else mask(inputs)


def walking_distances(start: Tensor, free: Tensor) -> Tensor:
    """Steps from the start to each cell of a grid, moving to the four adjacent cells.

    Args:
        start: (N, H, W) bool.
        free: (N, H, W) bool, where one can walk.

    Returns:
        (N, H, W) int64, -1 where one cannot walk or that one cannot reach.
    """
    distances = torch.full(free.shape, -1, dtype=torch.int64, device=free.device)
    front, steps = start & free, 0
    while bool(front.any()):
        distances[front] = steps
        padded = F.pad(front, (1, 1, 1, 1))
        beside = padded[:, 2:, 1:-1] | padded[:, :-2, 1:-1] | padded[:, 1:-1, 2:] | padded[:, 1:-1, :-2]
        front, steps = beside & free & (distances < 0), steps + 1
    return distances


def position_losses(logits: Tensor, items: Puzzles) -> Tensor:
    """Cross-entropy at each position, (B, *size) float32 or float64, 0 where the position does not count."""
    precise = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(precise, items.targets, reduction="none") * items.mask


def item_losses(logits: Tensor, items: Puzzles) -> Tensor:
    """Each item's mean cross-entropy over its positions that count: (B,)."""
    return position_losses(logits, items).flatten(1).sum(1) / items.mask.flatten(1).sum(1)


def mean_loss(logits: Tensor, items: Puzzles) -> Tensor:
    """Mean cross-entropy over all positions that count: ()."""
    return position_losses(logits, items).sum() / items.mask.sum()


def log_likelihoods(logits: Tensor, items: Puzzles) -> Tensor:
    """Log-probability of each item's whole answer, at most 0: (B,)."""
    return -position_losses(logits, items).flatten(1).sum(1)


def predictions(logits: Tensor, items: Puzzles) -> Tensor:
    """The answer at each position, (B, *size) int64, 0 where it does not count; a tie of two classes is class 0."""
    answers = (logits[:, 1] > logits[:, 0]).long() if logits.shape[1] == 2 else logits.argmax(dim=1)
    return answers * items.mask


def wrong_positions(logits: Tensor, items: Puzzles) -> Tensor:
    """Where the answer is not the target, (B, *size) bool, False where it does not count."""
    return (predictions(logits, items) != items.targets) & items.mask


def solved(logits: Tensor, items: Puzzles) -> Tensor:
    """Which items are right at every position that counts: (B,) bool."""
    return ~wrong_positions(logits, items).flatten(1).any(1)


def position_accuracy(logits: Tensor, items: Puzzles) -> Tensor:
    """Share of right answers among each item's positions that count: (B,) float in [0, 1]."""
    right = items.mask & ~wrong_positions(logits, items)
    return right.flatten(1).sum(1) / items.mask.flatten(1).sum(1)
