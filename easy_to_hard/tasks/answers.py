"""How a net's outputs become an answer to a task. Nothing here imports torch: it works on the tensors it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Decode: TypeAlias = Callable[["Tensor", "Tensor"], "Tensor"]
Mask: TypeAlias = Callable[["Tensor"], "Tensor"]


def most_likely_class(logits: "Tensor", inputs: "Tensor") -> "Tensor":
    """Predictions (batch, *size) int64: the larger of the logits (batch, 2, *size) at each position."""
    del inputs
    # As argmax over the two, and much faster on a CPU.
    return (logits[:, 1] > logits[:, 0]).long()


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """How a task's answers are judged.

    Attributes:
        decode: logits (batch, 2, *size), inputs -> predictions (batch, *size) int64.
        mask: inputs -> (batch, *size) bool, the cells that count in loss and confidence; None where all do.
        local: whether the answer at a position that counts is the larger of its own two logits.
    """

    decode: Decode = most_likely_class
    mask: Mask | None = None
    local: bool = False
