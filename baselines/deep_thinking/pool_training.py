"""Training of a cellular net on a pool of states from which it continues.

A step takes some items of the pool, restarts a few of them, damages a few more, lets the net think for a number of
further iterations with noise on every state, and puts the states back (Mordvintsev et al. 2020,
distill.pub/2020/growing-ca; arXiv 2609.36126). What is learned must hold from any state, for any time.

We found that these decide whether a net trained on small mazes solves large ones:

- noise in every iteration: a slow drift that serves as a clock does not survive it; a share of the items has no noise,
  as in use, so that they reach the fixed points that rounding creates
- a hinge loss: once an answer has its margin, there is nothing more to gain, in particular not by answering sooner
- no age that is never judged: the number of iterations varies from step to step, and an item is judged at any age but
  the first few; with a fixed number, states were free to go astray at the ages between
- patience: a wrong "yes" costs little while an item is young, since what is far away cannot be known yet, and "yes" is
  the right answer where nothing is known
- stillness: the last iterations have no noise, and any change in the last one is penalized, so that states come to rest
"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.cellular import Cells, CellularNet
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.kit.precision import Settled
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.training import require_finite
from easy_to_hard.generators.integers import check_field, check_integer_fields

_BETAS: Final = (0.9, 0.95)
# Damage, in cells.
_DISCS: Final = 4
_RADII: Final = (1.0, 3.5)


@dataclass(frozen=True, kw_only=True)
class PoolConfig:
    """How to train a cellular net.

    Attributes:
        steps: batches to train on, at least 1.
        iterations: mean number per step, at least 1; each step has from half to one and a half times as many.
        pool_size: items whose states are kept, at least as many as a batch.
        fresh_share: in (0, 1]; share of a batch's items that are replaced by new ones, whose states start from 0.
        damage_share: in [0, 1]; share of the other items whose states are reset in a few discs.
        noise: at least 0; standard deviation of the noise on every value of a state in every iteration.
        noiseless_share: in [0, 1]; share of a batch's items without noise.
        patience: at least 1; the weight of a cell that should answer 0 is min(1, age / patience), where age is the
            number of iterations since its item was new or damaged.
        stillness_weight: at least 0; of the mean absolute change in the last iteration.
        inward_gradient: whether a state at its bound gets a gradient that leads it back (see `CellularNet.bounded`).
        quiet_iterations: from 1 to iterations; the number of iterations without noise at the end.
        judged_every: at least 1; iterations between those that the loss is computed after; it always includes the last.
        judged_from: at least 1; an item is judged from this age on.
        learning_rate: above 0.
        warmup_steps: number of steps in which the rate rises, at least 0.
        weight_decay: at least 0, of AdamW.
        gradient_clip: largest norm of the whole gradient, above 0.
        average_decay: in [0, 1); decay of the average of the weights, which is the final net.
        precision: "float32"; states are sums of many small steps.
        seed: of all random draws, at least 0.
        log_every: steps between two lines of the log, at least 1.

    Raises:
        ValueError: a value outside the ranges above.
    """

    steps: int
    iterations: int = 20
    pool_size: int = 256
    fresh_share: float = 0.25
    damage_share: float = 0.1
    noise: float = 0.2
    noiseless_share: float = 0.3
    patience: float = 200.0
    stillness_weight: float = 0.2
    inward_gradient: bool = True
    quiet_iterations: int = 4
    judged_every: int = 3
    judged_from: int = 7
    learning_rate: float = 2e-3
    warmup_steps: int = 20
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    average_decay: float = 0.999
    precision: Settled = "float32"
    seed: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "iterations", "pool_size", "judged_every", "judged_from", "log_every", "patience"):
            check_field(self, name, 1 <= getattr(self, name) < math.inf, "at least 1")
        for name in ("noise", "stillness_weight", "warmup_steps", "weight_decay", "seed"):
            check_field(self, name, 0 <= getattr(self, name) < math.inf, "at least 0")
        for name in ("learning_rate", "gradient_clip"):
            check_field(self, name, 0 < getattr(self, name) < math.inf, "above 0 and finite")
        check_field(self, "seed", self.seed < 2**63, "below 2^63")
        check_field(self, "fresh_share", 0 < self.fresh_share <= 1, "above 0 and at most 1")
        for name in ("damage_share", "noiseless_share"):
            check_field(self, name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        check_field(self, "average_decay", 0 <= self.average_decay < 1, "from 0 to below 1")
        check_field(self, "quiet_iterations", 1 <= self.quiet_iterations <= self.iterations, "from 1 to iterations")
        check_field(self, "precision", self.precision == "float32", "float32")

    @property
    def max_iterations(self) -> int:
        """Mean number of iterations that an item gets before it is replaced."""
        return round(self.iterations / self.fresh_share)

    def learning_rate_factor(self, step: int) -> float:
        """The factor of the learning rate at a step, counted from 0: in (0, 1]."""
        return min(1.0, (step + 1) / (self.warmup_steps + 1))


class Pool:
    """Items in training, with their current states.

    Attributes:
        inputs, targets: (pool_size, ...) as in a batch.
        states: (pool_size, width, *grid) float.
        ages: (pool_size,) int64, iterations since an item was new or damaged; -1 in an empty slot.
    """

    def __init__(self, size: int, inputs: Tensor, targets: Tensor, states: Tensor) -> None:
        self.inputs, self.targets, self.states = (
            torch.zeros(size, *like.shape[1:], dtype=like.dtype, device=like.device)
            for like in (inputs, targets, states)
        )
        self.ages = torch.full((size,), -1, dtype=torch.long, device=inputs.device)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the pool, for a checkpoint."""
        return {"inputs": self.inputs, "targets": self.targets, "states": self.states, "ages": self.ages}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The pool that `tensors` returned."""
        pool = cls(len(tensors["ages"]), tensors["inputs"], tensors["targets"], tensors["states"])
        for name, values in pool.tensors().items():
            values.copy_(tensors[name])
        return pool

    def draw(
        self, inputs: Tensor, targets: Tensor, states: Tensor, fresh_share: float, rng: np.random.Generator
    ) -> Tensor:
        """Draw the slots of a batch, and put new items in the first of them and in empty ones: (batch,) int64."""
        size, held = len(inputs), len(self.ages)
        if size > held:
            raise ValueError(f"pool_size must be at least the batch's {size}, not {held}")
        slots = torch.from_numpy(rng.choice(held, size, replace=False)).to(inputs.device)
        first = torch.arange(size, device=inputs.device) < max(1, round(fresh_share * size))
        new = slots[first | (self.ages[slots] < 0)]
        self.renew(new, inputs[: len(new)], targets[: len(new)], states[: len(new)])
        return slots

    def renew(self, slots: Tensor, inputs: Tensor, targets: Tensor, states: Tensor) -> None:
        """Put new items in the given slots, one in each."""
        self.inputs[slots], self.targets[slots], self.states[slots] = inputs, targets, states
        self.ages[slots] = 0


def decaying_optimizer(
    model: ThinkingNet,
    named: Mapping[str, Tensor],
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float],
) -> torch.optim.AdamW:
    """An AdamW for parameters by name, of which those decay that the net says."""
    groups = [
        {
            "params": [weights for name, weights in named.items() if model.is_decayed(name) == decayed],
            "base_lr": learning_rate,
            "weight_decay": weight_decay if decayed else 0.0,
        }
        for decayed in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=betas, fused=True)


def descend(
    optimizer: torch.optim.Optimizer,
    parameters: Iterable[Tensor],
    loss: Tensor,
    clip: float,
    rate_factor: float,
    step: int,
) -> None:
    """Make one step down the clipped gradient, at the rate of that step.

    Raises:
        RuntimeError: the loss or the gradient is not finite; the weights are left as they were.
    """
    require_finite("loss", float(loss.detach()), step)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip)
    require_finite("norm of the gradient", float(norm), step)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * rate_factor
    optimizer.step()


class PoolTrainer:
    """A cellular net, the average of its weights, its optimizer, and its pool, and the step that training repeats.

    Args:
        model: trained in place, on the device where its weights are.
        config: how to train.
    """

    def __init__(self, model: CellularNet, config: PoolConfig) -> None:
        self.model = model
        self.config = config
        self.device = next(model.parameters()).device
        self.average = copy.deepcopy(model).requires_grad_(False)
        self._pool: Pool | None = None
        self.optimizer = decaying_optimizer(
            model, dict(model.named_parameters()), config.learning_rate, config.weight_decay, _BETAS
        )

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "pool": {} if self._pool is None else self._pool.tensors(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["pool"]:
            self._pool = Pool.of(state["pool"])

    def finish(self) -> None:
        """Replace the net's weights by their average."""
        self.model.load_state_dict(self.average.state_dict())

    def update(self, step: int, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
        """Make one optimizer step; return the loss, and the share of right items, including young ones.

        Args:
            step: from 0.
            inputs, targets: a batch of new items, of which the first are used.

        Raises:
            RuntimeError: the loss or the gradient is not finite; the weights are left as they were.
        """
        config, rng = self.config, np.random.default_rng((self.config.seed, step, 2))
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        pool, slots = self._draw(inputs, targets, rng)
        self._damage(pool, slots, rng)
        cells = self.model.cells(pool.inputs[slots])
        loss, rows, exact = self._think(cells, pool, slots, step)
        descend(
            self.optimizer, self.model.parameters(), loss, config.gradient_clip, config.learning_rate_factor(step), step
        )
        with torch.no_grad():
            decay = min(config.average_decay, (step + 1) / (step + 10))
            for averaged, weights in zip(self.average.parameters(), self.model.parameters(), strict=True):
                averaged.lerp_(weights, 1 - decay)
            pool.states[slots] = cells.grids(rows.detach())
        pool.ages[slots] += self._length(step)
        return float(loss.detach()), float(exact.float().mean())

    def _length(self, step: int) -> int:
        """Number of iterations of a step."""
        least, most = max(1, self.config.iterations // 2), self.config.iterations * 3 // 2
        return int(np.random.default_rng((self.config.seed, step, 3)).integers(least, most, endpoint=True))

    def _draw(self, inputs: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Pool, Tensor]:
        """Draw the slots of a batch, and put new items in the first of them and in empty ones."""
        starts = self.model.initial_state(inputs)
        if self._pool is None:
            self._pool = Pool(self.config.pool_size, inputs, targets, starts)
        return self._pool, self._pool.draw(inputs, targets, starts, self.config.fresh_share, rng)

    def _damage(self, pool: Pool, slots: Tensor, rng: np.random.Generator) -> None:
        """Reset the states of some items in a few discs; their ages start again at 0."""
        grid = pool.states.shape[2:]
        places = torch.stack(torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij"))
        for slot, hit in zip(slots.tolist(), rng.random(len(slots)) < self.config.damage_share, strict=True):
            if not hit or pool.ages[slot] == 0:
                continue
            for _ in range(_DISCS):
                center = torch.from_numpy(rng.uniform(0, grid)).view(-1, *[1] * len(grid))
                inside = ((places - center) ** 2).sum(dim=0) < rng.uniform(*_RADII) ** 2
                pool.states[slot] *= ~inside.to(self.device)
            pool.ages[slot] = 0

    def _think(self, cells: Cells, pool: Pool, slots: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, the final states (num_cells, width), and which items are right at the end, (batch,) bool."""
        config, model = self.config, self.model
        generator = torch.Generator(self.device).manual_seed(seed_of("noise", config.seed, step))
        signs = 2 * cells.rows(model.patches(pool.targets[slots][:, None].float())) - 1
        items = cells.places.nonzero()[:, 0]
        ages = pool.ages[slots][items]
        noisy = torch.rand(len(slots), device=self.device, generator=generator) >= config.noiseless_share
        noise = config.noise * noisy[items, None]
        rows = before = cells.rows(pool.states[slots])
        surplus, losses = signs, []
        length = self._length(step)
        for number in range(1, length + 1):
            before, rows = rows, model.changed(rows, cells)
            if number <= length - config.quiet_iterations:
                rows = rows + noise * torch.randn(rows.shape, dtype=rows.dtype, device=self.device, generator=generator)
            rows = model.rounded(model.bounded(rows, inward_gradient=config.inward_gradient))
            if number == length or (number + step) % config.judged_every == 0:
                surplus, now = model.surplus(rows), ages + number
                weights = torch.where(signs > 0, 1.0, (now / config.patience).clamp(max=1)[:, None])
                weights = weights * (now >= config.judged_from)[:, None]
                losses.append((weights * F.relu(1 - surplus * signs) ** 2).mean())
        stillness = (rows - before).abs().mean()
        wrong = (surplus * signs <= 0).any(dim=1)
        exact = torch.ones(len(slots), dtype=torch.bool, device=self.device)
        exact[items[wrong]] = False
        return torch.stack(losses).mean() + config.stillness_weight * stillness, rows, exact
