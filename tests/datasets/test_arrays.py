"""Instances as NumPy arrays, beside the generators and the PyTorch classes."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from easy_to_hard import ArrayStream, DataSpec, StreamingDataset, arrays, generate, load
from easy_to_hard.tasks import TASKS, get_task

EASY = [(name, {"chess_mates": 1, "prefix_sums": 20}.get(name, 9)) for name in TASKS if not TASKS[name].imported]


def _as_tensors(task: str, inputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """What the documentation says the PyTorch classes make of arrays."""
    values = inputs.astype(np.float32)
    return (values[:, None] - np.float32(0.5) if task == "prefix_sums" else values), targets.astype(np.int64)


@pytest.mark.parametrize(("task", "difficulty"), EASY)
def test_arrays_are_the_set_that_load_gives(task: str, difficulty: int) -> None:
    inputs, targets = arrays(task, difficulty, split="test", num_samples=12, seed=3)
    assert (inputs.shape[1:], targets.shape[1:]) == get_task(task).shapes(difficulty)
    assert inputs.dtype == targets.dtype == np.uint8
    assert len(inputs) == len(targets) == 12
    held = load(task, difficulty, split="test", num_samples=12, seed=3)[:]
    for ours, theirs in zip(_as_tensors(task, inputs, targets), held, strict=True):
        assert ours.dtype == theirs.numpy().dtype
        assert np.array_equal(ours, theirs.numpy())
    indices, _ = generate(DataSpec(task=task, difficulty=difficulty, split="test", seed=3), 12)
    again = arrays(task, difficulty, split="test", seed=3, indices=indices[::-1], num_threads=1)
    assert np.array_equal(again[0], inputs[::-1])
    assert np.array_equal(again[1], targets[::-1])


def test_arguments_choose_the_instances() -> None:
    first = arrays("mazes", 9, indices=[0, 1])[0]
    for other in ({"seed": 1}, {"split": "test"}, {"variant": "wilson"}, {"split_rule": "original"}):
        assert not np.array_equal(arrays("mazes", 9, indices=[0, 1], **other)[0], first)  # type: ignore[arg-type]
    assert np.array_equal(arrays("mazes", 9, indices=(np.int32(0), 1))[0], first)
    assert arrays("mazes", 9, indices=[])[0].shape == (0, 3, 24, 24)
    assert len(arrays("prefix_sums", 64, indices=[0, 2**64 - 1])[0]) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"indices": [0], "num_samples": 1}, "give indices or num_samples, not both: num_samples is 1"),
        ({"indices": 3}, r"indices must be of shape \(N,\), not \(\)"),
        ({"indices": [2, -1]}, "an index must be at least 0, not -1"),
        ({"indices": [0.5]}, "an index must be an integer, not 0.5"),
        ({"indices": [2**64]}, r"an index must be from 0 to more than 10\^18, not 2\^64"),
        ({"num_threads": 0}, "num_threads must be at least 1, not 0"),
        ({"split": "dev"}, "dev"),
    ],
)
def test_wrong_arguments(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arrays("mazes", 9, **given)


@pytest.mark.parametrize(("task", "difficulty"), [("mazes", 9), ("prefix_sums", 8)])
def test_a_stream_gives_the_batches_of_the_torch_one(task: str, difficulty: int) -> None:
    """Strings of 8 bits run out within a batch, so that its end is from the next round."""
    stream = ArrayStream(task, difficulty, batch_size=150, start=2)
    tensors = StreamingDataset(task, difficulty, batch_size=150, start=2)
    for number, batch, pair in islice(zip(range(2, 5), stream, tensors, strict=False), 3):
        assert len(batch[0]) == len(batch[1]) == 150
        assert all(np.array_equal(one, two) for one, two in zip(batch, stream.batch(number), strict=True))
        for ours, theirs in zip(_as_tensors(task, *batch), pair, strict=True):
            assert torch.equal(torch.from_numpy(ours), theirs)


def test_batches_of_a_stream_are_its_items() -> None:
    inputs, targets = ArrayStream("mazes", 9, batch_size=4, split="test").batch(5)
    again = arrays("mazes", 9, split="test", indices=range(20, 24))
    assert np.array_equal(inputs, again[0])
    assert np.array_equal(targets, again[1])


def test_processes_take_turns() -> None:
    alone = list(islice(ArrayStream("mazes", 9, batch_size=2, start=10), 6))
    turns = [islice(ArrayStream("mazes", 9, batch_size=2, start=10, rank=rank, world_size=2), 3) for rank in range(2)]
    shared = [batch for pair in zip(*turns, strict=True) for batch in pair]
    assert all(np.array_equal(one[0], two[0]) for one, two in zip(alone, shared, strict=True))
    with pytest.raises(ValueError, match="rank must be from 0 to world_size - 1 = 1, not 2"):
        ArrayStream("mazes", 9, batch_size=2, rank=2, world_size=2)
