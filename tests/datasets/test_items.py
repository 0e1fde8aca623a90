"""The instances that something is tested on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from easy_to_hard.datasets.items import Items, validation_items
from easy_to_hard.datasets.puzzles import MazeDataset, PrefixSumDataset
from easy_to_hard.generators.splits import NotEnoughInstancesError
from easy_to_hard.tasks import DataSpec, get_task


def _rows(inputs: Tensor) -> list[bytes]:
    return [row.numpy().tobytes() for row in inputs]


def test_items_are_those_of_the_dataset() -> None:
    spec = DataSpec(task="prefix_sums", difficulty=40, split="test", seed=2)
    items = Items(spec, 20)
    dataset = PrefixSumDataset("", 40, split="test", seed=2, num_samples=20)
    assert len(items) == 20
    for part in (slice(0, 5), slice(5, 20), slice(18, 30), slice(None)):
        for found, expected in zip(items[part], dataset[part], strict=True):
            assert torch.equal(found, expected)
            assert found.dtype == expected.dtype
    pictures = Items(DataSpec(task="mazes", difficulty=9, variant="looped", split="test"), 6)
    other = MazeDataset("", False, 9, variant="looped", num_samples=6)
    for found, expected in zip(pictures[2:5], other[2:5], strict=True):
        assert torch.equal(found, expected)


def test_a_small_split_gives_what_it_has() -> None:
    spec = DataSpec(task="prefix_sums", difficulty=8, split="test")
    held = get_task("prefix_sums").count_instances(spec)
    assert held is not None
    assert 0 < held < 256
    items = Items(spec, 1000)
    assert len(items) == held
    assert len(set(_rows(items[:][0]))) == held
    with pytest.raises(NotEnoughInstancesError):
        Items(DataSpec(task="mazes", difficulty=3), 4)
    with pytest.raises(ValueError, match="num_samples must be at least 1, not 0"):
        Items(spec, 0)


@pytest.mark.parametrize(
    "spec",
    [
        DataSpec(task="prefix_sums", difficulty=8, split="test", seed=1),
        DataSpec(task="mazes", difficulty=7, variant="looped", split="test", seed=1),
    ],
    ids=["strings", "mazes"],
)
def test_validation_shares_nothing_with_test(spec: DataSpec) -> None:
    items = Items(spec, 200)
    validation = validation_items(items, 50)
    assert 0 < len(validation) <= 50
    assert (validation.spec.difficulty, validation.spec.variant) == (spec.difficulty, spec.variant)
    task = get_task(spec.task)
    shown = []
    for source in (items, validation):
        inputs, targets = source[:]
        files = (inputs - task.input_offset).reshape(-1, *task.shapes(spec.difficulty)[0])
        data = task.decode(files.numpy().astype(np.uint8), targets.numpy().astype(np.uint8))
        shown.append((set(_rows(inputs)), set(task.splits_of(data, spec.difficulty))))
    assert not shown[0][0] & shown[1][0]
    # Not only unlike: by the hash of the instance itself they are of two splits.
    assert [splits for _, splits in shown] == [{"test"}, {"validation"}]
