"""Items a second through a DataLoader, and the memory that a dataset takes, beside the peer's."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from easy_to_hard import MazeDataset, StreamingDataset

ITEMS, BATCH = 50_000, 50


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _read_all(data: Any) -> int:
    return sum(len(images) for images, _ in DataLoader(data, batch_size=BATCH, shuffle=True))


class _PeerLike(Dataset[Any]):
    """What the peer's class holds and gives: float and int64 tensors of everything, an item at a time."""

    def __init__(self, ours: MazeDataset) -> None:
        self.inputs, self.targets = ours.inputs, ours.targets

    def __getitem__(self, index: int) -> Any:
        return self.inputs[index], self.targets[index]

    def __len__(self) -> int:
        return len(self.inputs)


def test_loader(timed: Any, benchmark: Any) -> None:
    data = MazeDataset("unused", size=9)
    benchmark.extra_info["megabytes"] = data.nbytes / 1e6
    assert (
        timed("loader, batches of 50 from 50,000 mazes 9", "MazeDataset", ITEMS, lambda: _read_all(data), rounds=5)
        == ITEMS
    )


def test_peers_loader(timed: Any, benchmark: Any, original: Any, tmp_path: Path) -> None:
    ours = MazeDataset("unused", size=9)
    installed = importlib.util.find_spec("easy_to_hard_data")
    module = importlib.import_module("easy_to_hard_data") if installed else original("easy_to_hard_data")
    if module is None:
        data, label = _PeerLike(ours), "a class like the peer's"
    else:
        folder = tmp_path / "maze_data_train_9"
        folder.mkdir()
        np.save(folder / "inputs.npy", ours.inputs.double().numpy())
        np.save(folder / "solutions.npy", ours.targets.double().numpy())
        data, label = module.MazeDataset(str(tmp_path), True, 9, None, False), "easy_to_hard_data.MazeDataset"
    benchmark.extra_info["megabytes"] = (data.inputs.nbytes + data.targets.nbytes) / 1e6
    timed("loader, batches of 50 from 50,000 mazes 9", label, ITEMS, lambda: _read_all(data), rounds=3, warmup=1)


@pytest.mark.parametrize(("task", "difficulty"), [("mazes", 9), ("mazes", 59), ("prefix_sums", 32)])
def test_stream(timed: Any, task: str, difficulty: int) -> None:
    stream = StreamingDataset(task, difficulty, batch_size=BATCH)
    numbers = iter(range(10**9))
    timed(
        "fresh batches of 50",
        f"{task} {difficulty}",
        100 * BATCH,
        lambda: [stream.batch(next(numbers)) for _ in range(100)],
    )
