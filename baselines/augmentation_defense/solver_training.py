"""Nets that solve puzzles, trained many at once on sets of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.augmentation_defense.solver_defenses import PuzzleDefense
from easy_to_hard.baselines.kit.private_training import PrivacyConfig, add_noise, clipped_sum, draw_poisson
from easy_to_hard.baselines.kit.puzzles import Puzzles, Solvers
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.training import require_finite
from easy_to_hard.baselines.kit.victims import Generators
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.progress import progress_bar

_CHECK_EVERY: Final = 100
_SCORED_AT_ONCE: Final = 200


class SolversByItem(Solvers, Protocol):
    """A kind of net whose training loss is known for each item."""

    def item_training_losses(self, net: nn.Module, items: Puzzles, *, seed: int, step: int) -> Tensor:
        """The training loss of each item: (B,); it works under `torch.func`. What is drawn goes by seed and step."""


@dataclass(frozen=True, kw_only=True)
class SolverTraining:
    """How they are trained: Adam, the gradient of each net cut to a norm.

    Attributes:
        steps, batch_size: at least 1.
        learning_rate: above 0; falls to zero over the last half.
        gradient_clip: largest norm of a net's gradient, above 0.
        private: DP-SGD's clip and noise; None for not.

    Raises:
        ValueError: a value outside its range.
    """

    steps: int
    batch_size: int
    learning_rate: float
    gradient_clip: float = 1.0
    private: PrivacyConfig | None = None

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "gradient_clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        return self.learning_rate * min(1.0, 2 * (1 - step / self.steps))


class _Learner(nn.Module):
    """A net whose forward pass is its loss of each item, or its logits after so many iterations."""

    def __init__(self, net: nn.Module, solvers: SolversByItem) -> None:
        super().__init__()
        self.net = net
        self._solvers = solvers

    def forward(self, inputs: Tensor, *answers: Tensor, step: int = 0, iterations: int = 0) -> Tensor:
        if iterations:
            return self._solvers.logits(self.net, inputs, iterations)
        targets, mask = answers
        items = Puzzles(inputs=inputs, targets=targets, mask=mask)
        # How many iterations are run is the same for all nets of a step, which run as one.
        return self._solvers.item_training_losses(self.net, items, seed=0, step=step)


class SolverNets:
    """Solvers of one shape as one.

    Args:
        solvers: their kind.
        seeds: of their weights, at least one.
        device: where.

    Attributes:
        stacked: the nets.
    """

    def __init__(self, solvers: SolversByItem, seeds: Sequence[int], device: torch.device) -> None:
        self.stacked = Stacked([_Learner(solvers.build(seed), solvers) for seed in seeds], device)

    @torch.no_grad()
    def logits(self, inputs: Tensor, iterations: int) -> Tensor:
        """Of all nets on the same inputs (N, C, *size): (S, N, 2, *size)."""

        def run(weights: Any, inputs: Tensor) -> Any:
            return self.stacked.call(weights, inputs, iterations=iterations)

        parts = [self.stacked.map(run, shared=(part,)) for part in torch.split(inputs, _SCORED_AT_ONCE)]
        return torch.cat(parts, dim=1)


def train_solvers(
    nets: SolverNets,
    sets: Sequence[Puzzles],
    seeds: Sequence[int],
    config: SolverTraining,
    *,
    defense: PuzzleDefense,
    device: torch.device,
    progress: bool,
    title: str,
) -> Mapping[str, Tensor]:
    """Train each net on its set; its batches and what a defence draws go by its own seed.

    Args:
        nets: trained in place.
        sets: one for each net, of equally many items.
        seeds: one for each net.
        config: how.
        defense: what is made of a batch.
        device: where.
        progress: whether to show a bar.
        title: of the bar.

    Returns:
        the weights, by name.

    Raises:
        RuntimeError: a loss is no longer finite.
    """
    weights = nets.stacked.weights
    for one in weights.values():
        one.requires_grad_()
    whole = Puzzles(
        inputs=torch.stack([one.inputs for one in sets]).to(device),
        targets=torch.stack([one.targets for one in sets]).to(device),
        mask=torch.stack([one.mask for one in sets]).to(device),
    )
    optimizer = torch.optim.Adam(weights.values(), lr=config.learning_rate)
    batches = [generator_of("puzzle batches", seed) for seed in seeds]
    draws = [generator_of("puzzle defense", seed) for seed in seeds]
    for step in progress_bar(range(config.steps), desc=title, show=progress):
        optimizer.zero_grad()
        if config.private is None:
            loss = _backward(nets.stacked, whole, config, defense, batches, draws, step)
            _clip(weights, config.gradient_clip)
        else:
            loss = _private_backward(nets.stacked, whole, config, config.private, batches, step)
        optimizer.param_groups[0]["lr"] = config.rate_at(step)
        optimizer.step()
        if (step + 1) % _CHECK_EVERY == 0 or step + 1 == config.steps:
            require_finite("loss", float(loss), step)
    for one in weights.values():
        one.requires_grad_(False)
    return weights


def _take(whole: Puzzles, chosen: Tensor) -> Puzzles:
    """Items (S, B) of each net's own set."""
    rows, columns = torch.arange(len(chosen), device=whole.inputs.device)[:, None], chosen.to(whole.inputs.device)
    return Puzzles(
        inputs=whole.inputs[rows, columns], targets=whole.targets[rows, columns], mask=whole.mask[rows, columns]
    )


def _backward(
    stacked: Stacked,
    whole: Puzzles,
    config: SolverTraining,
    defense: PuzzleDefense,
    batches: Generators,
    draws: Generators,
    step: int,
) -> Tensor:
    count = whole.inputs.shape[1]
    chosen = torch.stack([torch.randint(count, (config.batch_size,), generator=one) for one in batches])

    def losses_of(weights: Any, *batch: Tensor) -> Any:
        return stacked.call(weights, *batch, step=step)

    versions = []
    for terms in defense(_take(whole, chosen), draws):
        parts = [
            term.weights[:, None] * stacked.map(losses_of, term.items.inputs, term.items.targets, term.items.mask)
            for term in terms
        ]
        versions.append(torch.stack(parts).sum(0))
    loss = torch.stack(versions).amax(0).mean(1).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def _clip(weights: Mapping[str, Tensor], limit: float) -> None:
    """Cut the gradient of each net, over all of its weights, to a norm."""
    gradients = [one.grad for one in weights.values() if one.grad is not None]
    norms = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
    factors = (limit / norms.clamp(min=1e-12)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *(1 for _ in gradient.shape[1:])))


def _private_backward(
    stacked: Stacked,
    whole: Puzzles,
    config: SolverTraining,
    private: PrivacyConfig,
    batches: Generators,
    step: int,
) -> Tensor:
    count = whole.inputs.shape[1]
    chosen, taken = draw_poisson(count, min(1.0, config.batch_size / count), batches)
    items = _take(whole, chosen)

    def loss_of(weights: Any, *item: Tensor) -> Any:
        return stacked.call(weights, *(part[None] for part in item), step=step).sum()

    def sums_of(weights: Any, inputs: Tensor, targets: Tensor, mask: Tensor, taken: Tensor) -> dict[str, Tensor]:
        return clipped_sum(loss_of, weights, (inputs, targets, mask), taken, private.clip)

    sums = stacked.map(sums_of, items.inputs, items.targets, items.mask, taken.to(whole.inputs.device))
    for name, gradient in add_noise(sums, private, config.batch_size, batches).items():
        stacked.weights[name].grad = gradient.detach()
    return torch.stack([one.detach().sum() for one in stacked.weights.values()]).sum()
