"""Training of an attention net on forced mates with their whole lines, a few iterations at a time.

A step takes some items of a pool, replaces a few of them by new ones, lets the net think for a few further iterations
with noise on every state, and puts the states back, without their gradients. So one item is judged several times, at
several ages, for the price of the iterations alone (deep supervision, arXiv 2506.21734), and what is learned must hold
from any state.

The targets go beyond the first move, and each can be switched off:

- relations: which squares each piece attacks, where it may legally go, and from where it gives check
- the line: the reply and the mating move of the longest defense (in the spirit of DiffuSearch, arXiv 2502.19805)
- the first move last: the answer that is asked for begins as the mating move of the line and goes back by one move of
  the mover with every block of iterations, until it is the first; so a deeper mate takes as many more blocks
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.attention import SQUARES, AttentionNet, SquarePairs
from easy_to_hard.baselines.deep_thinking.mate_lines import DESTINATION, ORIGIN
from easy_to_hard.baselines.deep_thinking.pool_training import Pool, decaying_optimizer, descend
from easy_to_hard.baselines.kit.precision import Settled
from easy_to_hard.baselines.kit.seeds import seed_of, seeded
from easy_to_hard.generators.chess import find_relations, from_planes
from easy_to_hard.generators.chess.relations import RELATIONS
from easy_to_hard.generators.integers import check_field, check_integer_fields

_BETAS: Final = (0.9, 0.98)
_NO_MOVE: Final = -100
# The reply to the first move, and the last move, which mates.
_FURTHER_MOVES: Final = 2


@dataclass(frozen=True, kw_only=True)
class LineConfig:
    """How to train an attention net on lines of moves.

    Attributes:
        steps: batches to train on, at least 1.
        iterations: per step, at least 1.
        vary_iterations: whether each step has from half to one and a half times as many, both rounded down, instead of
            exactly as many.
        pool_size: items whose states are kept, at least as many as a batch.
        fresh_share: in (0, 1]; share of a batch's items that are replaced by new ones, whose states start anew.
        noise: at least 0; standard deviation of the noise on every feature in every iteration.
        relation_weight: at least 0; weight of the loss of attacks, legal moves, and checks.
        line_weight: at least 0; weight of the loss of the line's reply and mating move.
        block_iterations: at least 0; iterations after which the move that is asked for is an earlier one of the line;
            0 to ask for the first move at once.
        learning_rate: above 0; falls linearly to zero at the last step.
        warmup_steps: number of steps in which the rate rises, at least 0.
        weight_decay: at least 0, of AdamW.
        gradient_clip: largest norm of the whole gradient, above 0.
        precision: "float32".
        seed: of all random draws, at least 0.
        log_every: steps between two lines of the log, at least 1.

    Raises:
        ValueError: a value outside the ranges above.
    """

    steps: int
    iterations: int = 3
    vary_iterations: bool = True
    pool_size: int = 256
    fresh_share: float = 0.25
    noise: float = 0.05
    relation_weight: float = 0.1
    line_weight: float = 0.1
    block_iterations: int = 0
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    precision: Settled = "float32"
    seed: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "iterations", "pool_size", "log_every"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        weights = ("noise", "relation_weight", "line_weight", "weight_decay")
        for name in (*weights, "block_iterations", "warmup_steps", "seed"):
            check_field(self, name, 0 <= getattr(self, name) < math.inf, "at least 0")
        for name in ("learning_rate", "gradient_clip"):
            check_field(self, name, 0 < getattr(self, name) < math.inf, "above 0 and finite")
        check_field(self, "seed", self.seed < 2**63, "below 2^63")
        check_field(self, "fresh_share", 0 < self.fresh_share <= 1, "above 0 and at most 1")
        check_field(self, "precision", self.precision == "float32", "float32")

    @property
    def max_iterations(self) -> int:
        """Mean number of iterations that an item gets before it is replaced."""
        least, most = self.lengths
        return round((least + most) / 2 / self.fresh_share)

    @property
    def lengths(self) -> tuple[int, int]:
        """The least and the largest number of iterations of a step; all between are as likely."""
        if not self.vary_iterations:
            return self.iterations, self.iterations
        return max(1, self.iterations // 2), self.iterations * 3 // 2

    def learning_rate_factor(self, step: int) -> float:
        """The factor of the learning rate at a step, counted from 0: in (0, 1]."""
        return min(1.0, (step + 1) / (self.warmup_steps + 1)) * (1 - step / self.steps)


def line_moves(marks: Tensor) -> Tensor:
    """The moves that planes of marks stand for: (batch, plies, 8, 8) int64 -> (batch, plies) int64.

    A move is 64 origin + destination; -100 after the end of a line.
    """
    flat = marks.flatten(2)
    moves = SQUARES * (flat == ORIGIN).int().argmax(dim=2) + (flat == DESTINATION).int().argmax(dim=2)
    # Several times as fast as any().
    return moves.masked_fill(flat.amax(dim=2) == 0, _NO_MOVE)


def asked_moves(moves: Tensor, ages: Tensor, block_iterations: int) -> Tensor:
    """The move of each line that the net is asked for: (batch,) int64.

    In the first block of iterations it is the last move of the line, which mates; in each later one it is the mover's
    move before that, until it is the first.

    Args:
        moves: (batch, plies) int64 as from `line_moves`.
        ages: (batch,) int64, the number of iterations that an item has had, at least 1.
        block_iterations: iterations in a block; 0 to ask for the first move at once.
    """
    if block_iterations == 0:
        return moves[:, 0]
    last = (moves != _NO_MOVE).sum(dim=1) - 1
    earlier = 2 * ((ages - 1) // block_iterations)
    return moves.gather(1, (last - earlier).clamp(min=0)[:, None])[:, 0]


def relation_targets(inputs: Tensor) -> Tensor:
    """Attacks, legal moves and checks in positions (batch, 12, 8, 8): (batch, 3, 64, 64) float in {0, 1}."""
    words = find_relations(from_planes(inputs.to(torch.uint8).numpy(force=True)))
    bits = np.unpackbits(words[..., None].view(np.uint8), axis=-1, bitorder="little")
    return torch.from_numpy(bits).to(inputs)


class LineTrainer:
    """An attention net, heads for the further targets, its optimizer, and its pool, and the step that is repeated.

    The heads are of no use after training, and are not part of the net.

    Args:
        model: trained in place, on the device where its weights are.
        config: how to train.
    """

    def __init__(self, model: AttentionNet, config: LineConfig) -> None:
        self.model = model
        self.config = config
        self.device = next(model.parameters()).device
        with seeded("heads", config.seed):
            self._heads = SquarePairs(model.width, RELATIONS + _FURTHER_MOVES).to(self.device)
        self._parameters = [*model.parameters(), *self._heads.parameters()]
        self._pool: Pool | None = None
        named = {**dict(model.named_parameters()), **dict(self._heads.named_parameters(prefix="heads"))}
        self.optimizer = decaying_optimizer(model, named, config.learning_rate, config.weight_decay, _BETAS)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "heads": self._heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "pool": {} if self._pool is None else self._pool.tensors(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.model.load_state_dict(state["model"])
        self._heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._pool = Pool.of(state["pool"]) if state["pool"] else None

    def finish(self) -> None:
        """Finish training; nothing is left to do after the last step."""

    def update(self, step: int, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
        """Make one optimizer step; return the loss, and the share of items, young ones too, whose move is right.

        Args:
            step: from 0.
            inputs: (batch, 12, 8, 8) float, boards of new items, of which the first are used.
            targets: (batch, plies, 8, 8) int64, their lines, see `mate_lines.mark_lines`.

        Raises:
            RuntimeError: the loss or the gradient is not finite; the weights are left as they were.
        """
        config, rng = self.config, np.random.default_rng((self.config.seed, step, 2))
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        with torch.no_grad():
            starts = self.model.initial_state(inputs)
        if self._pool is None:
            self._pool = Pool(config.pool_size, inputs, targets, starts)
        pool = self._pool
        slots = pool.draw(inputs, targets, starts, config.fresh_share, rng)
        state = self._think(pool, slots, step, self._length(rng))
        moves = line_moves(pool.targets[slots])
        asked = asked_moves(moves, pool.ages[slots], config.block_iterations)
        logits = self.model.moves(state).flatten(1)
        loss = F.cross_entropy(logits, asked) + self._further_loss(state, pool.inputs[slots], moves)
        descend(self.optimizer, self._parameters, loss, config.gradient_clip, config.learning_rate_factor(step), step)
        return float(loss.detach()), float((logits.argmax(dim=1) == asked).float().mean())

    def _length(self, rng: np.random.Generator) -> int:
        """Number of iterations of a step."""
        least, most = self.config.lengths
        return int(rng.integers(least, most, endpoint=True)) if most > least else most

    def _think(self, pool: Pool, slots: Tensor, step: int, length: int) -> Tensor:
        """The features of a batch after some more iterations, which the pool takes over."""
        generator = torch.Generator(self.device).manual_seed(seed_of("noise", self.config.seed, step))
        inputs = pool.inputs[slots]
        # A new item's features have a gradient, so that the projection learns from them too.
        new = (pool.ages[slots] == 0)[:, None, None, None]
        state = torch.where(new, self.model.initial_state(inputs), pool.states[slots])
        iterate = self.model.iteration(inputs)
        for number in range(length):
            state = iterate(state, number)
            if self.config.noise > 0:
                noise = torch.randn(state.shape, dtype=state.dtype, device=self.device, generator=generator)
                state = state + self.config.noise * noise
        pool.states[slots] = state.detach()
        pool.ages[slots] += length
        return state

    def _further_loss(self, state: Tensor, inputs: Tensor, moves: Tensor) -> Tensor:
        """The weighted losses of all targets but the move that is asked for."""
        config, loss = self.config, state.new_zeros(())
        if config.relation_weight == 0 and config.line_weight == 0:
            return loss
        logits: Tensor = self._heads(state)
        if config.relation_weight > 0:
            wrong = F.binary_cross_entropy_with_logits(logits[:, :RELATIONS], relation_targets(inputs), reduction="sum")
            loss = loss + config.relation_weight * wrong / (len(inputs) * RELATIONS * SQUARES)
        if config.line_weight > 0:
            last = (moves != _NO_MOVE).sum(dim=1, keepdim=True) - 1
            reply = moves[:, 1:2] if moves.shape[1] > 1 else torch.full_like(last, _NO_MOVE)
            further = torch.cat([reply, moves.gather(1, last)], dim=1)
            wrong = F.cross_entropy(
                logits[:, RELATIONS:].flatten(2).transpose(1, 2), further, ignore_index=_NO_MOVE, reduction="sum"
            )
            loss = loss + config.line_weight * wrong / len(inputs)
        return loss
