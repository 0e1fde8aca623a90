"""The deep-thinking nets as other baselines take them: the glue between baselines, none of which imports another.

It is above the baselines, as commands are, and loads them when it is called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor, nn

    from easy_to_hard.baselines.kit.puzzles import Puzzles

SHIPPED_NETS: Final = {"mazes": "mazes-cpu", "prefix_sums": "prefix-sums-cpu"}


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
    """

    task: str
    width: int
    recall: bool = True
    progressive_weight: float = 1.0
    max_iterations: int = 20
    patch: int = 1
    feed_forward: bool = False

    def build(self, seed: int) -> "nn.Module":
        """A net before training."""
        from easy_to_hard.baselines.deep_thinking.data import input_shape
        from easy_to_hard.baselines.deep_thinking.recipes import NetConfig

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

    def logits(self, net: "nn.Module", inputs: "Tensor", iterations: int) -> "Tensor":
        """The answer after so many iterations, (B, 2, *size)."""
        logits: Tensor = net(inputs, iterations)[0]
        return logits

    def training_loss(self, net: "nn.Module", items: "Puzzles", *, seed: int, step: int) -> "Tensor":
        """The progressive loss, or that of the last iteration of a feed-forward net."""
        from easy_to_hard.baselines.deep_thinking.loss import CellLoss, draw_stretch, progressive_loss

        alpha = 0.0 if self.feed_forward else self.progressive_weight
        return progressive_loss(
            net,  # type: ignore[arg-type]  # one of ours, by `build`
            items.inputs,
            CellLoss(items.targets, items.mask),
            draw_stretch(self.max_iterations, seed=seed, step=step),
            max_iterations=self.max_iterations,
            progressive_weight=alpha,
        ).value


def shipped_solver(task: str, device: str = "cpu") -> "nn.Module":
    """The recurrent net with recall that comes with the package, in eval mode.

    `net(inputs, iterations)` gives logits (B, 2, *size) and features (B, width, *grid).

    Raises:
        ValueError: no net comes for that task.
        FileNotFoundError: the net is not there.
    """
    from easy_to_hard.baselines.deep_thinking.checkpoint import load_model

    if task not in SHIPPED_NETS:
        raise ValueError(f"no net comes with the package for {task!r}: choose one of {', '.join(SHIPPED_NETS)}")
    return load_model(SHIPPED_NETS[task], device)[0]


def shipped_maze_solver(device: str = "cpu") -> "Callable[[Tensor, int], Tensor]":
    """The recurrent net for mazes that comes with the package, as a function of pictures and iterations.

    Returns:
        (pictures (B, 3, H, W) float in {0, 1}, iterations, at least 1) to predictions (B, H, W) int64 in {0, 1}.

    Raises:
        FileNotFoundError: the net is not there.
    """
    import torch

    from easy_to_hard.datasets.answers import answer_rules

    model, decode = shipped_solver("mazes", device), answer_rules("mazes").decode

    def solve(pictures: "Tensor", iterations: int) -> "Tensor":
        with torch.no_grad():
            logits, _ = model(pictures, iterations)
        return decode(logits, pictures)

    return solve
