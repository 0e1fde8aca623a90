"""What counts as an answer of a net to a task, and the difficulties that a task's nets are tested on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.tasks import get_task

Decode = Callable[[Tensor, Tensor], Tensor]
Mask = Callable[[Tensor], Tensor]


def corridor_mask(inputs: Tensor) -> Tensor:
    """The pixels of a maze that can be walked on: (batch, *size) bool, any channel of `inputs` above 0."""
    return inputs.amax(dim=1) > 0


def most_likely_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """Predictions (batch, *size) int64: the larger of the logits (batch, 2, *size) at each position."""
    del inputs
    # As argmax over the two, and much faster on a CPU.
    return (logits[:, 1] > logits[:, 0]).long()


def most_likely_corridor_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """For mazes: as `most_likely_class`, and 0 on walls (inputs (batch, 3, H, W) all 0)."""
    return most_likely_class(logits, inputs) * corridor_mask(inputs)


def two_likeliest_squares(logits: Tensor, inputs: Tensor) -> Tensor:
    """For chess: 1 on the two squares with the largest logits of class 1, which is what a move is, else 0."""
    del inputs
    scores = logits[:, 1].flatten(1)
    predictions = torch.zeros_like(scores, dtype=torch.long).scatter_(1, scores.topk(2, dim=1).indices, 1)
    return predictions.view(logits[:, 1].shape)


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """How a task's answers are judged.

    Attributes:
        decode: logits (batch, 2, *size), inputs -> predictions (batch, *size) int64.
        mask: inputs -> (batch, *size) bool, the cells that count in loss and confidence; None where all do.
        local: whether the answer at a position that counts is the larger of its own two logits.
        ladder: difficulties that show how far a net goes, within minutes on a CPU; none where a folder has its own.
    """

    decode: Decode
    mask: Mask | None = None
    local: bool = False
    ladder: tuple[int, ...]


ANSWER_RULES: Final[Mapping[str, AnswerRules]] = {
    "prefix_sums": AnswerRules(decode=most_likely_class, local=True, ladder=(16, 32, 48, 64, 128, 256, 512)),
    "mazes": AnswerRules(decode=most_likely_corridor_class, mask=corridor_mask, local=True, ladder=(9, 13, 33, 59)),
    "chess_mates": AnswerRules(decode=two_likeliest_squares, ladder=(1, 2, 3)),
    "chess_puzzles": AnswerRules(decode=two_likeliest_squares, ladder=()),
}


def answer_rules(task: str) -> AnswerRules:
    """The rules of a task, or ValueError that lists those with rules."""
    if task not in ANSWER_RULES:
        raise ValueError(f"there are no answer rules for task {task!r}: choose one of {', '.join(ANSWER_RULES)}")
    return ANSWER_RULES[task]


def default_ladder(task: str, *, root: str = "", variant: str = "", split: str = "test") -> tuple[int, ...]:
    """Difficulties to test on when none are asked for.

    Raises:
        ValueError: unknown task, or one that is read from a folder and no folder, or one without that task's files.
    """
    known = get_task(task)
    if known.difficulties_in is None:
        return answer_rules(task).ladder
    found = known.difficulties_in(known.check_root(root), variant, split)
    if not found:
        raise ValueError(f"{root} holds no {task} in bands of {variant or 'rating'}s, split {split}")
    return found
