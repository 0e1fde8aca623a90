"""Shipped nets as restorers of a reference method: the glue between two baselines, neither of which imports the other.

It is above the baselines, as commands are, and loads them when it is called.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

SHIPPED_MAZE_NET: Final = "mazes-cpu"


def shipped_maze_solver(device: str = "cpu") -> "Callable[[Tensor, int], Tensor]":
    """The recurrent net for mazes that comes with the package, as a function of pictures and iterations.

    Returns:
        (pictures (B, 3, H, W) float in {0, 1}, iterations, at least 1) to predictions (B, H, W) int64 in {0, 1}.

    Raises:
        FileNotFoundError: the net is not there.
    """
    import torch

    from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
    from easy_to_hard.baselines.deep_thinking.data import answer_rules

    model, facts = load_model(SHIPPED_MAZE_NET, device)
    decode = answer_rules(facts.task).decode

    def solve(pictures: "Tensor", iterations: int) -> "Tensor":
        with torch.no_grad():
            logits, _ = model(pictures, iterations)
        return decode(logits, pictures)

    return solve
