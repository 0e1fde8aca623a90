"""How to evaluate, and what is kept of a batch meanwhile: a few numbers per item, and two per iteration."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.kit.precision import Settled
from easy_to_hard.generators.integers import check_field, check_integer

Exit = Literal["settled", "max_confidence", "fixed"]


# Even at a fixed point, float32 features move by about 1e-7 of their size.
SETTLED_CHANGE: Final = 1e-4
_RULES: Final = {
    "settled": (
        "each item's first iteration whose largest change of a feature is at most {settled_change:g} of the item's "
        "largest feature (a cellular net's do not change once it is at rest), or else the last of {max_iterations}; "
        "targets are not looked at"
    ),
    "max_confidence": (
        "each item's most confident iteration of {max_iterations} (sum over cells of the larger class probability); "
        "targets are not looked at"
    ),
    "fixed": "iteration {exit_iteration} for all items",
}
_MOST_ITERATIONS: Final = 10**9


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How to evaluate.

    Attributes:
        max_iterations: how many iterations to run, at least 1.
        exit_rule: which iteration's answer counts: "settled", "max_confidence" or "fixed".
        exit_iteration: for "fixed", from 1 to max_iterations; None for the last.
        batch_size: items at a time, at least 1.
        settled_change: an item has settled when its features change by at most this share, at least 0.
        stop_when_settled: stop a batch when all its items have settled, and use its last counts for the later
            iterations. Saves time; False runs every iteration.
        min_iterations: do not stop a batch before this iteration.
        threads: batches evaluated at a time on a CPU, each by one thread (which torch is left set to); None for one
            batch at a time, by as many threads as torch is set to. Threads that share a batch wait for each other at
            every layer, so on a machine that is also doing something else they are many times slower.
        precision: "float32" (or the dtype of the weights), or "bfloat16" for the convolutions.

    Raises:
        ValueError: a value outside the ranges above.
    """

    max_iterations: int
    exit_rule: Exit = "settled"
    exit_iteration: int | None = None
    batch_size: int = 100
    settled_change: float = SETTLED_CHANGE
    stop_when_settled: bool = False
    min_iterations: int = 1
    threads: int | None = None
    precision: Settled = "float32"

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("max_iterations", "batch_size", "min_iterations", "threads")}
        for name, count in counts.items():
            if count is not None:
                check_integer(name, count, 1)
        check_field(self, "max_iterations", self.max_iterations <= _MOST_ITERATIONS, f"at most {_MOST_ITERATIONS:,}")
        for name, known in (("exit_rule", get_args(Exit)), ("precision", get_args(Settled))):
            check_field(self, name, getattr(self, name) in known, f"one of {', '.join(known)}")
        in_time = self.exit_iteration is None or 1 <= self.exit_iteration <= self.max_iterations
        check_field(self, "exit_iteration", in_time, f"from 1 to {self.max_iterations}")
        check_field(self, "settled_change", self.settled_change >= 0, "at least 0")

    @property
    def iterations_rule(self) -> str:
        """How the iteration whose answer counts is chosen, in words."""
        values = {"settled_change": self.settled_change, "max_iterations": self.max_iterations}
        return _RULES[self.exit_rule].format(**values, exit_iteration=self.last_exit)

    @property
    def last_exit(self) -> int:
        """For the exit "fixed": the iteration whose answer counts."""
        return self.max_iterations if self.exit_iteration is None else self.exit_iteration


class Tracker:
    """What is kept of a batch from iteration to iteration: a few numbers per item, and two per iteration."""

    def __init__(
        self, num_items: int, device: torch.device, config: EvaluationConfig, keep_answers: bool = False
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
        """Record an iteration: answers, whether they are right, their confidence, and the features' relative change."""
        # The first iteration always counts as the most confident so far, even if its confidence is NaN.
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
        """Record all T iterations at once.

        Args:
            exact: (batch, T), whether the answer is right after each iteration.
            confidence: (batch, T), its confidence after each iteration.
            settled_at: (batch,), the iteration at which an item settled, 0 for never; nothing changes after it.
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
        """The iterations whose answers count, (batch,) int64."""
        config = self._config
        if config.exit_rule == "fixed":
            return torch.full_like(self.settled_at, config.last_exit)
        if config.exit_rule == "max_confidence":
            return self.confident_at
        return torch.where(self.settled_at == 0, config.max_iterations, self.settled_at)
