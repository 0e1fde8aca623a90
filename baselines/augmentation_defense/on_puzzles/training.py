"""Nets that solve puzzles, many trained at once, each on its own set."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.augmentation_defense.on_puzzles.defenses import PuzzleDefense, learn_as_is
from easy_to_hard.baselines.augmentation_defense.recipes import SolverTraining
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.private_training import draw_poisson, set_private_gradients
from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked, descend
from easy_to_hard.baselines.kit.victims import Generators
from easy_to_hard.progress import progress_bar

_SCORED_AT_ONCE: Final = 200


class _Learner(nn.Module):
    """A net whose forward pass returns its loss on each item or, given `iterations`, its logits after them."""

    def __init__(self, net: nn.Module, solvers: RecurrentSolvers) -> None:
        super().__init__()
        self.net = net
        self._solvers = solvers

    def forward(self, inputs: Tensor, *answers: Tensor, step: int = 0, iterations: int = 0) -> Tensor:
        if iterations:
            return self._solvers.logits(self.net, inputs, iterations)
        targets, mask = answers
        items = Puzzles(inputs=inputs, targets=targets, mask=mask)
        # All nets run as one, so in each step they run the same number of iterations.
        return self._solvers.item_training_losses(self.net, items, seed=0, step=step)


class SolverNets:
    """Solvers of the same shape, run as one stack.

    Args:
        solvers: what to build.
        seeds: seeds of the weights, one for each net; at least one.
        device: where to run.

    Attributes:
        stacked: the nets.
    """

    def __init__(self, solvers: RecurrentSolvers, seeds: Sequence[int], device: torch.device) -> None:
        self.stacked = Stacked([_Learner(solvers.build(seed), solvers) for seed in seeds], device)

    @torch.no_grad()
    def logits(self, inputs: Tensor, iterations: int) -> Tensor:
        """Logits (S, N, 2, *size) of all nets on the same inputs (N, C, *size)."""

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
) -> None:
    """Train each net on its set; its own seed decides its batches and what a defense draws.

    Args:
        nets: trained in place.
        sets: one for each net, all with the same number of items.
        seeds: one for each net.
        config: the training settings.
        defense: how a batch is changed; private training allows only `learn_as_is`.
        device: where to train.
        progress: whether to show a progress bar.
        title: label of the bar.

    Raises:
        ValueError: another defense in private training.
        RuntimeError: a loss is no longer finite.
    """
    if config.private is not None and defense is not learn_as_is:
        raise ValueError("private training takes puzzles as they are, without a defense that changes or mixes them")
    stacked, count = nets.stacked, len(sets[0])
    whole = Puzzles(
        inputs=torch.stack([one.inputs for one in sets]).to(device),
        targets=torch.stack([one.targets for one in sets]).to(device),
        mask=torch.stack([one.mask for one in sets]).to(device),
    )
    batches = [generator_of("puzzle batches", seed) for seed in seeds]
    draws = [generator_of("puzzle defense", seed) for seed in seeds]

    def set_gradients(step: int) -> Tensor:
        if config.private is None:
            chosen = torch.stack([torch.randint(count, (config.batch_size,), generator=one) for one in batches])
            return _set_gradients(stacked, _take(whole, chosen), defense, draws, step)
        chosen, taken = draw_poisson(count, min(1.0, config.batch_size / count), batches)
        items = _take(whole, chosen)

        def loss_of(weights: Any, *item: Tensor) -> Any:
            return stacked.call(weights, *(part[None] for part in item), step=step).sum()

        parts = items.inputs, items.targets, items.mask
        return set_private_gradients(
            stacked, loss_of, parts, taken, config.private, expected=config.batch_size, generators=batches
        )

    with progress_bar(total=config.steps, desc=title, show=progress) as bar:
        descend(
            stacked.weights,
            torch.optim.Adam(stacked.weights.values(), lr=config.learning_rate),
            set_gradients,
            steps=config.steps,
            rate_at=config.rate_at,
            gradient_clip=config.gradient_clip if config.private is None else None,
            on_step=bar.update,
        )


def _take(whole: Puzzles, chosen: Tensor) -> Puzzles:
    """Take the items with indices `chosen` (S, B) from each net's own set."""
    rows, columns = torch.arange(len(chosen), device=whole.inputs.device)[:, None], chosen.to(whole.inputs.device)
    return Puzzles(
        inputs=whole.inputs[rows, columns], targets=whole.targets[rows, columns], mask=whole.mask[rows, columns]
    )


def _set_gradients(stacked: Stacked, items: Puzzles, defense: PuzzleDefense, draws: Generators, step: int) -> Tensor:
    def losses_of(weights: Any, *batch: Tensor) -> Any:
        return stacked.call(weights, *batch, step=step)

    versions = []
    for terms in defense(items, draws):
        parts = [
            term.weights[:, None] * stacked.map(losses_of, term.items.inputs, term.items.targets, term.items.mask)
            for term in terms
        ]
        versions.append(torch.stack(parts).sum(0))
    loss = torch.stack(versions).amax(0).mean(1).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()
