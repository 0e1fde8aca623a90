"""Answers from a trained net in one call."""

import pytest
import torch

from easy_to_hard import load
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, shipped_models
from easy_to_hard.baselines.deep_thinking.scoring import Examination, examine_difficulty
from easy_to_hard.baselines.deep_thinking.solving import solve
from easy_to_hard.tasks import get_task

HARDER = {"prefix_sums": 64, "mazes": 17, "chess_mates": 1}


@pytest.mark.parametrize("name", shipped_models())
def test_as_evaluate_counts_them(name: str) -> None:
    model, facts = load_model(name)
    difficulty = HARDER[facts.task]
    inputs, targets = load(facts.task, difficulty, variant=facts.variant, split="test", num_samples=12)[:]
    answers = solve(model, facts, inputs)
    assert (answers.shape, answers.dtype) == (targets.shape, torch.int64)
    right = int((answers == targets).flatten(1).all(dim=1).sum())
    examination = Examination(task=facts.task, variant=facts.variant, difficulties=(difficulty,), items=(12,))
    assert right == examine_difficulty(model, facts, examination, difficulty, progress=False)[1].evaluation.num_correct
    assert right >= 9
    # One iteration is too few for the nets that think along paths, and is what the logits say.
    with torch.inference_mode():
        expected = get_task(facts.task).answers.decode(model(inputs, 1)[0], inputs)
    assert torch.equal(solve(model, facts, inputs, iterations=1), expected)


def test_what_it_takes() -> None:
    model, facts = load_model("mazes-cellular")
    assert solve(model, facts, torch.zeros(0, 3, 24, 24)).shape == (0, 24, 24)
    with pytest.raises(ValueError, match="inputs must be float32"):
        solve(model, facts, torch.zeros((1, 3, 24, 24), dtype=torch.uint8))
    with pytest.raises(ValueError, match="this net takes inputs of shape"):
        solve(model, facts, torch.zeros((1, 1, 24)))
    with pytest.raises(ValueError, match="max_iterations must be at least 1, not 0"):
        solve(model, facts, torch.zeros(1, 3, 24, 24), iterations=0)
