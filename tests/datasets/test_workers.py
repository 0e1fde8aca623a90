"""Datasets in the workers of a `DataLoader`, however these are started: the same batches, and little that is sent."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sent_batches import Key, Together
from torch.utils.data import DataLoader

from easy_to_hard import (
    TASKS,
    ChessMateDataset,
    ChessPuzzleDataset,
    DataSpec,
    GradedDataset,
    MazeDataset,
    PrefixSumDataset,
    StreamingDataset,
    load,
)
from easy_to_hard.tasks import Task, generate

Datasets = dict[str, Any]
NUMBERS = [4, 0, 3]


def _write_originals(root: Path) -> None:
    """A few instances in the authors' format."""
    mazes = MazeDataset("unused", num_samples=6, split_rule="original")
    strings = PrefixSumDataset("unused", 40, num_samples=6, split_rule="original")
    for folder in ("maze_data_train_9", "prefix_sums_data"):
        (root / folder).mkdir(parents=True)
    np.save(root / "maze_data_train_9" / "inputs.npy", mazes.inputs.double().numpy())
    np.save(root / "maze_data_train_9" / "solutions.npy", mazes.targets.double().numpy())
    torch.save(strings.inputs[:, 0] + 0.5, root / "prefix_sums_data" / "40_data.pth")
    torch.save(strings.targets.float(), root / "prefix_sums_data" / "40_targets.pth")


@pytest.fixture(scope="module")
def datasets(tiny_folder: Path, converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    """Every class with every source that needs no network."""
    authors = tmp_path_factory.mktemp("authors")
    _write_originals(authors)
    puzzles = ChessPuzzleDataset(converted, rating=(0, 4000), split="train")
    (authors / "chess_data").mkdir()
    for name, tensor in (("data", puzzles.inputs), ("targets", puzzles.targets), ("who_moves", puzzles.who_moves)):
        torch.save(tensor, authors / "chess_data" / f"{name}.pth")
    folder: dict[str, Any] = {"source": "folder", "num_samples": 20}
    filed: dict[str, Any] = {"source": "original", "download": False}
    return {
        "bits": PrefixSumDataset("unused", 70, num_samples=9),
        "bits in a folder": PrefixSumDataset(tiny_folder, 16, split="test", **folder),
        "the authors' bits": PrefixSumDataset(authors, 40, **filed),
        "mazes": MazeDataset("unused", num_samples=9, variant="looped"),
        "mazes in a folder": MazeDataset(tiny_folder, False, **folder),
        "the authors' mazes": MazeDataset(authors, **filed),
        "mates": ChessMateDataset("unused", num_samples=9, perspective="white"),
        "mates in a folder": ChessMateDataset(tiny_folder, 2, False, **folder),
        "puzzles": ChessPuzzleDataset(converted, rating=(0, 4000), flip_target=True),
        "the authors' puzzles": ChessPuzzleDataset(authors, True, 5, 30, source="original"),
        **{
            f"loaded {name}": load(name, task.train_difficulty, num_samples=9)
            for name, task in TASKS.items()
            if not task.imported
        },
        "loaded from a folder": load("mazes", 9, split="test", source="folder", root=tiny_folder),
        "loaded puzzles": load("chess_puzzles", 1400, source="folder", root=converted),
        "graded": GradedDataset("unused", DataSpec(task="prefix_sums", difficulty=100), num_samples=9),
        **{
            f"stream of {name}": StreamingDataset(name, task.train_difficulty, batch_size=3)
            for name, task in TASKS.items()
            if not task.imported
        },
        "stream of puzzles": StreamingDataset("chess_puzzles", 1400, batch_size=3, root=converted),
        "short strings, round and round": StreamingDataset("prefix_sums", 4, batch_size=10),
    }


def _same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


def test_every_class_is_here(datasets: Datasets) -> None:
    import easy_to_hard

    classes = {name for name in easy_to_hard.__all__ if name.endswith("Dataset")}
    assert {type(data).__name__ for data in datasets.values()} == classes


@pytest.mark.parametrize(
    "again", [lambda data: pickle.loads(pickle.dumps(data)), copy.deepcopy], ids=["pickle", "copy"]
)
def test_a_copy_gives_the_same_batches(datasets: Datasets, again: Callable[[Any], Any]) -> None:
    copies = Together(again(datasets))
    for name in datasets:
        assert _same(copies[name, NUMBERS], Together(datasets)[name, NUMBERS]), name
        assert repr(copies.parts[name]) == repr(datasets[name]) or isinstance(datasets[name], StreamingDataset)


def test_what_is_sent_is_the_instances_in_their_compact_form(datasets: Datasets) -> None:
    for name, data in datasets.items():
        held = 0 if name in ("the authors' puzzles",) else getattr(data, "nbytes", 0)
        assert len(pickle.dumps(data)) < held + 6_000, name
    large = MazeDataset("unused", size=33, num_samples=500)
    assert len(pickle.dumps(large)) < large.inputs.nbytes / 50


def test_a_part_of_files_is_sent_without_the_rest(tiny_folder: Path) -> None:
    part, whole = (MazeDataset(tiny_folder, False, source="folder", num_samples=number) for number in (1, None))
    assert len(pickle.dumps(part)) < len(pickle.dumps(whole)) - whole.nbytes / 2


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_sent_by_its_name(task: Task) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        sent = pickle.dumps(task, protocol=protocol)
        assert pickle.loads(sent) is task
        assert len(sent) < 100
    assert copy.deepcopy(task) is copy.copy(task) is task


def test_a_task_of_ones_own_is_no_other_of_its_name() -> None:
    class Own(type(TASKS["mazes"])):  # type: ignore[misc]
        title = "mine"

    own = Own()
    assert copy.copy(own).title == "mine"
    with pytest.raises((pickle.PicklingError, AttributeError), match="local object"):
        pickle.dumps(own)


def test_specs_and_instances_are_sent() -> None:
    spec = DataSpec(task="mazes", difficulty=np.int64(11), variant="wilson", seed=2**70)
    assert pickle.loads(pickle.dumps(spec)) == spec
    indices, instances = pickle.loads(pickle.dumps(generate(spec, 3)))
    assert np.array_equal(indices, generate(spec, 3)[0])
    assert np.array_equal(instances.data, generate(spec, 3)[1].data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "persistent"),
    [
        ("spawn", True),
        ("forkserver", False),
        *(
            pytest.param(method, persistent, marks=pytest.mark.slow)
            for method, persistent in (("spawn", False), ("forkserver", True))
        ),
        ("fork", True),
        ("fork", False),
    ],
)
def test_workers_give_the_batches_of_the_process_itself(datasets: Datasets, method: str, persistent: bool) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    keys: list[Key] = [(name, NUMBERS) for name in datasets]
    together = Together(datasets)
    loader = DataLoader(
        together,
        sampler=keys,  # type: ignore[arg-type]
        batch_size=None,
        num_workers=1,
        multiprocessing_context=method,
        persistent_workers=persistent,
    )
    for _ in range(2 if persistent else 1):
        for key, batch in zip(keys, loader, strict=True):
            assert _same(batch, together[key]), key
