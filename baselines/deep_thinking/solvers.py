"""The recurrent nets as other papers' methods use them: built, run, and trained on the benchmark's puzzles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.batches import input_shape
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
from easy_to_hard.baselines.deep_thinking.loss import CellLoss, draw_stretch, progressive_loss
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.recipes import NetConfig
from easy_to_hard.baselines.kit.puzzles import Puzzles, item_losses
from easy_to_hard.tasks import get_task

SHIPPED_NETS: Final = {"mazes": "mazes-cpu", "prefix_sums": "prefix-sums-cpu"}
# Target of positions that the loss ignores.
_IGNORED: Final = -100


@dataclass(frozen=True, kw_only=True)
class RecurrentSolvers:
    """Nets of Bansal et al. 2022 (arXiv 2202.05826) with the progressive loss; see `baselines.kit.puzzles.Solvers`.

    Attributes:
        task: "mazes" or "prefix_sums".
        width: channels of the features.
        recall: whether an iteration sees the input again.
        progressive_weight: alpha of the progressive loss, in [0, 1].
        max_iterations: T, the most iterations in training.
        patch: side of the patches of a maze that features stand for; 1 as published.
        feed_forward: a net of `max_iterations` untied blocks instead, without recall or progressive loss.
        shipped: whether nets start from the one that comes with the package instead of from random weights.
    """

    task: str
    width: int
    recall: bool = True
    progressive_weight: float = 1.0
    max_iterations: int = 20
    patch: int = 1
    feed_forward: bool = False
    shipped: bool = False

    def build(self, seed: int) -> nn.Module:
        """A net before training."""
        if self.shipped:
            return shipped_solver(self.task).train().requires_grad_()
        in_channels, dimensions = input_shape(self.task)
        config = NetConfig(
            architecture="feed_forward" if self.feed_forward else "recurrent",
            width=self.width,
            head_widths=(self.width, max(self.width // 2, 2)) if dimensions == 1 else (self.width, 8),
            recall=self.recall and not self.feed_forward,
            patch=self.patch,
            depth=self.max_iterations,
        )
        return config.build(in_channels=in_channels, dimensions=dimensions, seed=seed)

    def logits(self, net: nn.Module, inputs: Tensor, iterations: int) -> Tensor:
        """Logits after a number of iterations, (B, 2, *size)."""
        logits: Tensor = net(inputs, iterations)[0]
        return logits

    def training_loss(self, net: nn.Module, items: Puzzles, *, seed: int, step: int) -> Tensor:
        """The progressive loss (), or the loss of a feed-forward net's last iteration."""
        return self._progressive_loss(net, items, CellLoss(items.targets, items.mask), seed=seed, step=step)

    def item_training_losses(self, net: nn.Module, items: Puzzles, *, seed: int, step: int) -> Tensor:
        """The training loss of each item, (B,): the mean over its own positions that count."""
        return self._progressive_loss(net, items, lambda logits: item_losses(logits, items), seed=seed, step=step)

    def _progressive_loss(
        self, net: nn.Module, items: Puzzles, loss_of: Callable[[Tensor], Tensor], *, seed: int, step: int
    ) -> Tensor:
        return progressive_loss(
            cast(ThinkingNet, net),
            items.inputs,
            loss_of,
            draw_stretch(self.max_iterations, seed=seed, step=step),
            max_iterations=self.max_iterations,
            progressive_weight=0.0 if self.feed_forward else self.progressive_weight,
        ).value


@dataclass(frozen=True, kw_only=True)
class StackableSolvers(RecurrentSolvers):
    """Recurrent nets whose loss can be computed for a stack of them, each with items of its own."""

    def training_loss(self, net: nn.Module, items: Puzzles, *, seed: int, step: int) -> Tensor:
        """The same loss; positions that do not count are marked by their target.

        Their number differs between the nets of a stack, so it must not be needed as a Python number, which
        `torch.func.vmap` cannot provide.
        """
        everywhere = torch.ones(items.mask.shape, dtype=torch.bool, device=items.mask.device)
        marked = Puzzles(inputs=items.inputs, targets=items.targets.masked_fill(~items.mask, _IGNORED), mask=everywhere)
        share = items.mask.sum() / items.mask.numel()
        return super().training_loss(net, marked, seed=seed, step=step) / share


def shipped_solver(task: str, device: str = "cpu") -> ThinkingNet:
    """The recurrent net with recall that comes with the package, in eval mode.

    `net(inputs, iterations)` gives logits (B, 2, *size) and features (B, width, *grid).

    Raises:
        ValueError: no net for that task comes with the package.
        FileNotFoundError: the net is missing.
    """
    if task not in SHIPPED_NETS:
        raise ValueError(f"no net comes with the package for {task!r}: choose one of {', '.join(SHIPPED_NETS)}")
    return load_model(SHIPPED_NETS[task], device)[0]


def shipped_maze_solver(device: str = "cpu") -> Callable[[Tensor, int], Tensor]:
    """The recurrent net for mazes that comes with the package, as a function of pictures and iterations.

    Returns:
        (pictures (B, 3, H, W) float in {0, 1}, iterations, at least 1) -> predictions (B, H, W) int64 in {0, 1}.

    Raises:
        FileNotFoundError: the net is missing.
    """
    model, decode = shipped_solver("mazes", device), get_task("mazes").answers.decode

    def solve(pictures: Tensor, iterations: int) -> Tensor:
        with torch.no_grad():
            logits, _ = model(pictures, iterations)
        return decode(logits, pictures)

    return solve
