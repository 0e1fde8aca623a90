"""From `build` over the Hub to tensors, as a user goes: every config, whole and streamed, is what is generated.

The preset is "tiny", and "small" with EASY_TO_HARD_LONG_TESTS=1.
"""

import os
from pathlib import Path

import pytest
from hub_client import run_client
from hub_server import HubServer
from hub_session import hub_session

from easy_to_hard import build
from easy_to_hard.storage.presets import PRESETS

PRESET = "small" if os.environ.get("EASY_TO_HARD_LONG_TESTS") else "tiny"
COMPARE = """
import numpy as np
from datasets import get_dataset_config_names, load_dataset
from easy_to_hard.storage.presets import get_preset
from easy_to_hard.tasks import DataSpec, generate, get_task

def made(part):
    spec = DataSpec(task=part.task, difficulty=part.difficulty, variant=part.variant, split=part.split)
    instances = generate(spec, part.rows)[1]
    return get_task(part.task).encode(instances.data, part.difficulty, None)

def tensors(part, columns):
    task = get_task(part.task)
    if task.stores_tensors:
        return columns["input"], columns["target"]
    return task.encode(task.from_columns(columns), part.difficulty, None)

def differences(repo, preset, revision):
    parts = get_preset(preset)
    found = [] if set(get_dataset_config_names(repo, revision=revision)) == {p.config for p in parts} else ["configs"]
    for part in parts:
        expected = made(part)
        where = {"path": repo, "name": part.config, "split": part.split, "revision": revision}
        whole = load_dataset(**where).with_format("numpy")[:]
        batches = list(load_dataset(**where, streaming=True).with_format("numpy").iter(batch_size=100))
        streamed = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        for way, columns in (("map", whole), ("stream", streamed)):
            got = tensors(part, columns)
            if not all(np.array_equal(a, b) for a, b in zip(got, expected)):
                found.append(f"{part.config}, {part.split}, {way}")
    return found
"""


@pytest.mark.slow
def test_built_published_loaded(hub: HubServer, tmp_path: Path) -> None:
    build(tmp_path / "data", preset=PRESET, progress=False)
    publish = ["publish", str(tmp_path / "data"), "--repo-id", "me/graded", "--revision", "v1", "--quiet"]
    done = run_client(hub, publish, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    with hub_session(hub, tmp_path / "elsewhere", token=False) as client:
        client.answer(COMPARE)
        assert client.answer(f"answer = differences('me/graded', {PRESET!r}, 'v1')") == []
        counts = client.answer(
            """
from datasets import load_dataset_builder
infos = {name: load_dataset_builder("me/graded", name).info for name in get_dataset_config_names("me/graded")}
answer = {name: {split: of.num_examples for split, of in info.splits.items()} for name, info in infos.items()}
"""
        )
    assert {(part.config, part.split): part.rows for part in PRESETS[PRESET]} == {
        (name, split): rows for name, splits in counts.items() for split, rows in splits.items()
    }
    hub.clear()
    again = run_client(hub, publish, tmp_path / "home")
    assert again.returncode == 0, again.stderr
    assert hub.uploads() == []
    assert not [request for request in hub.requests if request.method == "POST" and "/commit/" in request.path]
