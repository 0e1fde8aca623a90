"""Training items a second, beside a plain implementation of the same algorithm on the same steps."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.batches import Batches
from easy_to_hard.baselines.deep_thinking.loss import draw_stretch
from easy_to_hard.baselines.deep_thinking.recipes import NetConfig, Recipe, get_recipe
from easy_to_hard.baselines.deep_thinking.training import TrainingConfig, train
from easy_to_hard.tasks import get_task
from easy_to_hard.tasks.pieces import Mask

STEPS = 6


def _recipe(name: str, width: int, head_widths: tuple[int, ...], batch_size: int) -> Recipe:
    recipe = get_recipe(name)
    training = replace(recipe.training, steps=STEPS, progressive_weight=1.0, drop_steps=(), decay="none")
    net = NetConfig(width=width, head_widths=head_widths, recall_relu=recipe.net.recall_relu)
    return replace(recipe, batch_size=batch_size, fixed_items=None, net=net, training=training)


RECIPES = {
    "training, prefix sums 32, width 400, batch 25": _recipe("prefix-sums-paper", 400, (400, 200), 25),
    "training, prefix sums 32, width 64, batch 100": _recipe("prefix-sums-paper", 64, (64, 32), 100),
    "training, mazes 9, width 32, batch 25": _recipe("mazes-paper", 32, (32, 8), 25),
}


class _PlainNet(torch.nn.Module):
    """The same weights as the paper writes the net: features and input are joined at every iteration."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, iterations: int, state: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        net, outputs = self.net, []
        if state is None:
            state = F.relu(net.projection(x))
        for _ in range(iterations):
            state = net.recall(torch.cat([state, x], dim=1))
            if net.recall_relu:
                state = F.relu(state)
            for block in net.blocks:
                state = F.relu(block.second(F.relu(block.first(state))) + state)
            outputs.append(net.head(state))
        return outputs, state


def _train_plainly(net: Any, batches: Batches, config: TrainingConfig, mask_of: Mask | None) -> None:
    """The full unroll whatever its weight, then the stretch; outputs are made at every iteration."""
    plain = _PlainNet(net)
    optimizer = torch.optim.Adam(plain.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    for step in range(config.steps):
        x, y = batches(step)
        mask = torch.ones_like(y, dtype=torch.bool) if mask_of is None else mask_of(x)

        def loss_of(logits: Tensor, y: Tensor = y, mask: Tensor = mask) -> Tensor:
            return F.cross_entropy(logits, y, reduction="none")[mask].mean()

        alpha, longest = config.progressive_weight, config.max_iterations
        loss = (1 - alpha) * loss_of(plain(x, longest)[0][-1])
        n, k = draw_stretch(longest, seed=config.seed, step=step)
        state = plain(x, n)[1].detach() if n else None
        loss = loss + alpha * loss_of(plain(x, k, state)[0][-1])
        optimizer.zero_grad()
        loss.backward()
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(plain.parameters(), config.gradient_clip)
        optimizer.step()


@pytest.fixture(params=list(RECIPES))
def parts(request: Any) -> tuple[str, Recipe, Batches]:
    """Group, recipe, and batches that were made beforehand."""
    recipe = RECIPES[request.param]
    made = [recipe.batches()(step) for step in range(STEPS)]
    return request.param, recipe, made.__getitem__


def test_plain(timed: Any, parts: tuple[str, Recipe, Batches]) -> None:
    group, recipe, batches = parts
    mask_of = get_task(recipe.task).answers.mask
    net = recipe.build_net()
    items = STEPS * recipe.batch_size
    run = lambda: _train_plainly(net, batches, recipe.training, mask_of)  # noqa: E731
    timed(group, "plain implementation", items, run, rounds=2, warmup=1)


def test_ours(timed: Any, parts: tuple[str, Recipe, Batches]) -> None:
    group, recipe, batches = parts
    mask_of = get_task(recipe.task).answers.mask
    net = recipe.build_net()
    items = STEPS * recipe.batch_size
    run = lambda: train(net, batches, recipe.training, mask_of=mask_of, progress=False)  # noqa: E731
    timed(group, "ours", items, run, rounds=2, warmup=1)
