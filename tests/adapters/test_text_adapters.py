"""The adapters against the packages that they are for, each where it is installed."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from text_items import EASY

from easy_to_hard.tasks import DataSpec
from easy_to_hard.text import FORMS, answer, items_at, make_items, prompt

ADAPTERS = {
    "reasoning_gym_dataset": ("reasoning_gym", "reasoning-gym"),
    "inspect_ai_task": ("inspect_ai", "inspect-ai"),
    "verifiers_environment": ("verifiers", "verifiers"),
}


def adapter(name: str) -> Any:
    """The adapter's module; the test is skipped where its package is not installed."""
    package, extra = ADAPTERS[name]
    pytest.importorskip(package, reason=f'needs pip install "easy-to-hard[{extra}]"')
    return importlib.import_module(f"easy_to_hard.adapters.{name}")


@pytest.mark.parametrize("name", ADAPTERS)
def test_absent_packages_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, extra = ADAPTERS[name]
    for module in [*sys.modules]:
        if module.split(".")[0] == package or module == f"easy_to_hard.adapters.{name}":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'pip install "easy-to-hard\[{extra}\]"'):
        importlib.import_module(f"easy_to_hard.adapters.{name}")


# ---- reasoning-gym


@pytest.mark.parametrize("task", FORMS)
def test_reasoning_gym_makes_and_scores_entries(task: str) -> None:
    name = adapter("reasoning_gym_dataset").NAME
    import reasoning_gym

    data = reasoning_gym.create_dataset(name, task=task, difficulty=EASY[task], seed=5, size=3)
    items = items_at(DataSpec(task=task, difficulty=EASY[task], split="train", seed=5), range(3))
    entries = list(data)
    assert len(entries) == len(data) == 3
    for number, (entry, item) in enumerate(zip(entries, items, strict=True)):
        assert (entry["question"], entry["answer"]) == (prompt(item), answer(item))
        assert (entry["metadata"]["source_dataset"], entry["metadata"]["source_index"]) == (name, number)
        assert data.score_answer(entry["answer"], entry) == 1
        assert data.score_answer(f"Well.\n\nAnswer: {entry['answer']}", entry) == 1
        assert data.score_answer(entries[number - 1]["answer"], entry) < 1
        assert data.score_answer(None, entry) == data.score_answer("", entry) == 0
    again = reasoning_gym.create_dataset(name, task=task, difficulty=EASY[task], seed=5, size=3)
    assert [entry["question"] for entry in again] == [entry["question"] for entry in entries]


def test_reasoning_gym_mixes_it_with_other_datasets() -> None:
    name = adapter("reasoning_gym_dataset").NAME
    from reasoning_gym.composite import CompositeConfig, CompositeDataset, DatasetSpec
    from reasoning_gym.dataset import ReseedingDataset

    specs = [
        DatasetSpec(name=name, weight=1, config={"task": "prefix_sums", "difficulty": 16}),
        DatasetSpec(name="gcd", weight=1, config={}),
    ]
    mixed = CompositeDataset(CompositeConfig(size=20, seed=1, datasets=specs))
    entries = list(mixed)
    ours = [entry for entry in entries if entry["metadata"]["source_dataset"] == name]
    assert 0 < len(ours) < 20
    assert all(mixed.score_answer(entry["answer"], entry) == 1 for entry in entries)
    endless = iter(ReseedingDataset(mixed.datasets[name], chunk_size=2))
    assert len({next(endless)["metadata"]["id"] for _ in range(6)}) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "chess_puzzles", "difficulty": 0}, "."),
        ({"difficulty": 10}, "odd"),
        ({"size": 0}, "size"),
        ({"style": "x"}, "style"),
    ],
)
def test_reasoning_gym_refuses_bad_settings(settings: dict[str, Any], message: str) -> None:
    name = adapter("reasoning_gym_dataset").NAME
    import reasoning_gym

    with pytest.raises(ValueError, match=message):
        reasoning_gym.create_dataset(name, **settings)


# ---- inspect-ai


def test_inspect_ai_scores_its_mock_model(tmp_path: Path) -> None:
    module = adapter("inspect_ai_task")
    from inspect_ai import eval as evaluate
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    items = make_items("mazes", 9, 4)
    by_prompt = {prompt(item): answer(item) for item in items}

    def reply(messages: Any, *_: Any) -> ModelOutput:
        asked = messages[-1].text
        right = by_prompt[asked]
        # Right, but for the first two: one has a step too few, one says nothing.
        said = {0: right.rpartition(", ")[0], 1: "I do not know."}.get([*by_prompt].index(asked), right)
        output = ModelOutput.from_content("mockllm/model", f"Hm.\n\nAnswer: {said}")
        # Otherwise tokens are counted by a vocabulary that is downloaded.
        output.usage = ModelUsage()
        return output

    log = evaluate(
        module.easy_to_hard(task="mazes", difficulty=9, num=4),
        model=get_model("mockllm/model", custom_outputs=reply),
        log_dir=str(tmp_path),
        display="none",
    )[0]
    assert log.status == "success", log.error
    values = {sample.id: next(iter(sample.scores.values())) for sample in log.samples}
    assert [values[item.id].value["correct"] for item in items] == [0, 0, 1, 1]
    credit = values[items[0].id].value["score"]
    assert 0 < credit < 1
    assert values[items[1].id].explanation.startswith("unreadable: ")
    metrics = {
        (score.name, name): metric.value for score in log.results.scores for name, metric in score.metrics.items()
    }
    assert metrics["correct", "accuracy"] == 0.5
    assert metrics["score", "mean"] == pytest.approx((2 + credit) / 4)


# ---- verifiers


def test_verifiers_finds_the_environment_and_scores_replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter("verifiers_environment")
    import verifiers.v1 as vf
    from verifiers.v1.trace import AgentInfo, TraceTask

    module = "from easy_to_hard.adapters.verifiers_environment import EasyToHardTaskset\n"
    (tmp_path / "easy_to_hard_text.py").write_text(module + '__all__ = ["EasyToHardTaskset"]\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    config_type = vf.taskset_config_type("easy-to-hard-text")
    held = config_type(id="easy-to-hard-text", configs=["mazes_9", "chess_mates_1"], num_items=2, split="test")
    environment = vf.load_environment(vf.SingleAgentEnvConfig(taskset=held))
    tasks = list(environment.taskset)
    items = [*make_items("mazes", 9, 2), *make_items("chess_mates", 1, 2)]
    assert [task.key for task in tasks] == [item.id for item in items]
    assert [task.data.prompt for task in tasks] == [prompt(item) for item in items]
    assert len({task.data.model_dump_json() for task in tasks}) == 4

    def scored(task: Any, reply: str) -> tuple[float, float]:
        trace = vf.Trace(
            task=TraceTask(type="", data=task.data), agent=AgentInfo(config=vf.AgentConfig()), root_reply=reply
        )
        asyncio.run(task.score(trace))
        return trace.reward, trace.rewards["partial_credit"].score

    for task, item in zip(tasks, items, strict=True):
        assert scored(task, f"Hm.\n\nAnswer: {answer(item)}") == (1, 1)
        assert scored(task, "I do not know.") == (0, 0)
    reward, credit = scored(tasks[0], answer(items[0]).rpartition(", ")[0])
    assert (reward, 0 < credit < 1) == (0, True)
    weights = {"correct": {"weight": 0}, "partial_credit": {"weight": 2}}
    weighted = config_type(id="easy-to-hard-text", num_items=1, split="test", task={"rewards": weights})
    other = next(iter(vf.load_taskset(weighted)))
    assert scored(other, answer(items[0]).rpartition(", ")[0]) == (2 * credit, credit)
    with pytest.raises(ValueError, match="unknown config"):
        list(vf.load_taskset(config_type(id="easy-to-hard-text", configs=["sudoku_9"])))
