"""What an evaluation keeps of a batch while it thinks: a few numbers an item, and two an iteration."""

from typing import Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Exit = Literal["settled", "max_confidence", "fixed"]


class ExitSettings(Protocol):
    """Which iteration's answer counts; see `EvaluationConfig`."""

    @property
    def exit_rule(self) -> Exit: ...

    @property
    def last_exit(self) -> int: ...

    @property
    def max_iterations(self) -> int: ...

    @property
    def settled_change(self) -> float: ...

    @property
    def stop_when_settled(self) -> bool: ...

    @property
    def min_iterations(self) -> int: ...


class Tracker:
    """What is kept of a batch from iteration to iteration: a few numbers an item, and two an iteration."""

    def __init__(
        self, num_items: int, device: torch.device, config: ExitSettings, keep_answers: bool = False
    ) -> None:
        self._config = config
        self._keep_answers = keep_answers
        self.answers: Tensor | None = None
        zeros = torch.zeros(num_items, dtype=torch.long, device=device)
        self.settled_at, self.confident_at, self.solved_at = zeros, zeros.clone(), zeros.clone()
        self.right = {name: zeros.bool() for name in get_args(Exit)}
        self._confidence = torch.full((num_items,), -1.0, device=device)
        self.counts: list[Tensor] = []
        self.confident_counts: list[Tensor] = []

    def add(self, iteration: int, answers: Tensor, exact: Tensor, confidence: Tensor, change: Tensor) -> None:
        """Take note of an iteration: answers, whether right, how confident, and relative change of the features."""
        # The first is surer than none, even if it is not a number.
        surer = confidence > self._confidence if iteration > 1 else torch.ones_like(exact)
        self._confidence = torch.where(surer, confidence, self._confidence)
        self.confident_at[surer] = iteration
        self.right["max_confidence"] = torch.where(surer, exact, self.right["max_confidence"])
        open_before = self.settled_at == 0
        self.right["settled"] = torch.where(open_before, exact, self.right["settled"])
        self.settled_at[open_before & (change <= self._config.settled_change)] = iteration
        in_time = torch.full_like(exact, iteration <= self._config.last_exit)
        if iteration <= self._config.last_exit:
            self.right["fixed"] = exact
        if self._keep_answers:
            taken = {"settled": open_before, "max_confidence": surer, "fixed": in_time}[self._config.exit_rule]
            newest = answers.to(torch.uint8)
            earlier = newest if self.answers is None else self.answers
            self.answers = torch.where(taken.view(-1, *[1] * (newest.ndim - 1)), newest, earlier)
        self.solved_at[exact & (self.solved_at == 0)] = iteration
        self.counts.append(exact.sum())
        self.confident_counts.append(self.right["max_confidence"].sum())

    def add_all(
        self, exact: NDArray[np.bool_], confidence: NDArray[np.float64], settled_at: NDArray[np.int64], answers: Tensor
    ) -> None:
        """Take note of all iterations at once, of which there are T.

        Args:
            exact: (batch, T), whether right after each.
            confidence: (batch, T), how confident after each.
            settled_at: (batch,), the iteration at which an item settled, 0 for never; it stays as it is from there.
            answers: (batch, *size) uint8, at the iterations that count.
        """
        last = exact.shape[1] - 1
        earlier = np.maximum.accumulate(confidence, axis=1)[:, :-1]
        surer = np.concatenate([np.ones_like(exact[:, :1]), confidence[:, 1:] > earlier], axis=1)
        surest = np.maximum.accumulate(np.where(surer, np.arange(last + 1), 0), axis=1)
        confident_exact = np.take_along_axis(exact, surest, axis=1)
        ends = np.where(settled_at == 0, last, settled_at - 1)
        rows = np.arange(len(exact))
        self.settled_at = torch.from_numpy(settled_at)
        self.confident_at = torch.from_numpy(surest[:, -1] + 1)
        self.solved_at = torch.from_numpy(np.where(exact.any(axis=1), exact.argmax(axis=1) + 1, 0))
        self.right = {
            "settled": torch.from_numpy(exact[rows, ends]),
            "max_confidence": torch.from_numpy(confident_exact[:, -1]),
            "fixed": torch.from_numpy(exact[:, min(self._config.last_exit - 1, last)]),
        }
        self.counts = list(torch.from_numpy(exact.sum(axis=0)))
        self.confident_counts = list(torch.from_numpy(confident_exact.sum(axis=0)))
        self.answers = answers if self._keep_answers else None

    def all_settled(self) -> bool:
        """Whether every item has settled."""
        return bool((self.settled_at > 0).all())

    def chosen(self) -> Tensor:
        """(batch,) int64: the iteration whose answer counts."""
        config = self._config
        if config.exit_rule == "fixed":
            return torch.full_like(self.settled_at, config.last_exit)
        if config.exit_rule == "max_confidence":
            return self.confident_at
        return torch.where(self.settled_at == 0, config.max_iterations, self.settled_at)
