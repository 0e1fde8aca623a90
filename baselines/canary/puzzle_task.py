"""Puzzles as shadow nets are trained on them, and the nets that are."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.canary.scores import answer_log_odds, answer_margins
from easy_to_hard.baselines.canary.shadows import Shadows
from easy_to_hard.baselines.kit.puzzles import Puzzles, Solvers, solved


@dataclass(frozen=True, kw_only=True)
class SolverKind:
    """A kind of net.

    Attributes:
        solvers: builds and trains them.
        most_iterations: at test time; None for any number.
    """

    solvers: Solvers
    most_iterations: int | None = None


@dataclass(frozen=True, kw_only=True)
class PuzzleTask:
    """See `ShadowTask`.

    Attributes:
        items: all that any net is trained on, on the device.
        solvers: the kind of net.
        seed: of what the loss draws; the same for all nets at a step, as a stack needs it.
    """

    items: Puzzles
    solvers: Solvers
    seed: int

    def build(self, seed: int) -> nn.Module:
        """A net before training."""
        return self.solvers.build(seed)

    def batches(self, indices: Tensor, *, step: int, first: int) -> tuple[Tensor, ...]:
        """Inputs, targets and masks, (K, B, ...) each."""
        del step, first
        chosen = self.items[indices.to(self.items.inputs.device)]
        return chosen.inputs, chosen.targets, chosen.mask

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], *, step: int) -> Tensor:
        """The training loss of that kind of net, ()."""
        inputs, targets, mask = batch
        items = Puzzles(inputs=inputs, targets=targets, mask=mask)
        return self.solvers.training_loss(net, items, seed=self.seed, step=step)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What nets say to items.

    Attributes:
        log_odds, margins: (N, P) float64, see `answer_log_odds` and `answer_margins`; on the CPU.
        solved: (N, P) bool.
    """

    log_odds: Tensor
    margins: Tensor
    solved: Tensor


def answers_of(nets: Shadows, solvers: Solvers, items: Puzzles, iterations: int, batch_size: int = 1000) -> Answers:
    """The answers of all nets to all items after so many iterations."""
    rows: list[list[Tensor]] = [[], [], []]
    for number in range(len(nets)):
        net = nets[number]
        for row in rows:
            row.append(torch.empty(0))
        for first in range(0, len(items), batch_size):
            part = items[first : first + batch_size]
            with torch.no_grad():
                logits = solvers.logits(net, part.inputs, iterations)
            found = answer_log_odds(logits, part), answer_margins(logits, part), solved(logits, part)
            for row, values in zip(rows, found, strict=True):
                row[-1] = torch.cat([row[-1].to(values.dtype), values.cpu()])
    log_odds, margins, right = (torch.stack(row) for row in rows)
    return Answers(log_odds=log_odds, margins=margins, solved=right)
