"""The nets that come with the package solve what the README says, and say where they are from."""

import os
from pathlib import Path

import pytest
import torch

from easy_to_hard.baselines.deep_thinking import checkpoint
from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import EvaluationConfig, evaluate
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, shipped_models
from easy_to_hard.baselines.deep_thinking.recipes import RECIPES
from easy_to_hard.baselines.kit.precision import fast_precision
from easy_to_hard.datasets.items import Items
from easy_to_hard.tasks import DataSpec, get_task

FOLDER = Path(checkpoint.__file__).parent / "checkpoints"
MOST_BYTES = 4 * 2**20
# Harder than training, and still quick: difficulty, items, the least right, iterations.
HARDER = {"prefix_sums": (128, 10, 10, 150), "mazes": (21, 10, 9, 300), "chess_mates": (3, 20, 8, 20)}


@pytest.mark.parametrize("name", shipped_models())
def test_small_safe_and_sourced(name: str) -> None:
    files = {path.name: path.stat().st_size for path in (FOLDER / name).iterdir()}
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
    assert sum(files.values()) <= MOST_BYTES
    _, facts = load_model(name)
    assert facts.recipe == name
    assert facts.recipe in RECIPES
    assert facts.commit is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_models())
def test_solves_harder_instances(name: str) -> None:
    model, facts = load_model(name)
    difficulty, num_items, least, iterations = HARDER[facts.task]
    spec = DataSpec(task=facts.task, variant=facts.variant, difficulty=difficulty, split="test")
    items = Items(spec, num_items)
    config = EvaluationConfig(max_iterations=iterations, stop_when_settled=True)
    assert evaluate(model, items, get_task(facts.task).answers, config, progress=False).num_correct >= least


@pytest.mark.slow
@pytest.mark.skipif(
    fast_precision("cpu") == "float32" and not os.environ.get("EASY_TO_HARD_LONG_TESTS"),
    reason="this CPU imitates bfloat16, which takes minutes: set EASY_TO_HARD_LONG_TESTS=1 to run it",
)
@pytest.mark.parametrize("name", shipped_models())
def test_bfloat16_agrees_after_500_iterations(name: str) -> None:
    """At least 99.9 % of all cells get the answer that float32 gives."""
    model, facts = load_model(name)
    rules = get_task(facts.task).answers
    spec = DataSpec(task=facts.task, variant=facts.variant, difficulty=facts.difficulty, split="test")
    inputs, _ = Items(spec, 40)[:]
    with torch.inference_mode():
        expected = rules.decode(model(inputs, 500)[0], inputs)
        with torch.autocast("cpu", torch.bfloat16):
            got = rules.decode(model(inputs, 500)[0].float(), inputs)
    assert float((got == expected).double().mean()) >= 0.999


def test_there_is_a_net_for_each_task() -> None:
    assert {load_model(name)[1].task for name in shipped_models()} == {"prefix_sums", "mazes", "chess_mates"}
