"""Answers from a trained net in one call."""

import math

import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.scoring import budget_of_size
from easy_to_hard.tasks import get_task


def solve(model: ThinkingNet, facts: ModelFacts, inputs: Tensor, *, iterations: int | None = None) -> Tensor:
    """A net's answers to instances of its task, each taken as soon as its features no longer change.

    These are the answers that `easy-to-hard evaluate` counts; an item whose features keep changing is answered after
    the last iteration.

    Args:
        model, facts: as `load_model` gives them; the net is put in evaluation mode.
        inputs: (N, channels, *size) float32, as the PyTorch classes give them; on any device.
        iterations: at most so many, at least 1; None for enough for instances of that size.

    Returns:
        (N, *size) int64 in {0, 1}, on the device of `inputs`.

    Raises:
        ValueError: inputs of another type or shape, or too many iterations for a feed-forward net.
    """
    task = get_task(facts.task)
    if iterations is None:
        positions = math.prod(inputs.shape[2:]) / math.prod(task.shapes(facts.difficulty)[1])
        iterations = budget_of_size(model, facts, positions)
    answers = torch.zeros((len(inputs), *inputs.shape[2:]), dtype=torch.int64)

    def keep(part: slice, found: Tensor) -> None:
        answers[part] = found.long()

    if len(inputs):
        items = TensorItems(inputs, torch.zeros_like(answers))
        config = EvaluationConfig(max_iterations=iterations, stop_when_settled=True)
        evaluate(model, items, task.answers, config, progress=False, on_answers=keep)
    return answers.to(inputs.device)
