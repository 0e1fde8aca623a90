"""The batches that the nets are trained on."""

import time

import pytest
import torch
from thinking import strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.batches import draw_batches, fixed_batches, fresh_batches, input_shape
from easy_to_hard.datasets.items import Items
from easy_to_hard.datasets.streaming import StreamingDataset
from easy_to_hard.generators.splits import NotEnoughInstancesError
from easy_to_hard.tasks import DataSpec

_STRINGS = DataSpec(task="prefix_sums", difficulty=16)
_MAZES = DataSpec(task="mazes", difficulty=7)


def _rows(inputs: Tensor) -> list[bytes]:
    return [row.numpy().tobytes() for row in inputs]


def test_inputs_of_the_tasks() -> None:
    assert input_shape("chess_mates") == input_shape("chess_puzzles") == (12, 2)
    assert input_shape("prefix_sums") == (1, 1)
    assert input_shape("mazes") == (3, 2)
    with pytest.raises(ValueError, match="unknown task 'maze'"):
        input_shape("maze")


# Batches drawn from tensors


def test_batches_are_a_function_of_seed_and_step() -> None:
    x, y = strings(500, 16)
    one, two, other = (draw_batches(x, y, batch_size=20, seed=seed) for seed in (3, 3, 4))
    two(0)
    assert torch.equal(one(7)[0], two(7)[0])
    assert not torch.equal(one(7)[0], one(8)[0])
    assert not torch.equal(one(7)[0], other(7)[0])
    # Seed 3 at step 8 is not seed 4 at step 7, as it would be with seed + step.
    assert not torch.equal(one(8)[0], other(7)[0])
    inputs, targets = one(7)
    assert torch.equal((inputs[:, 0] > 0).cumsum(dim=1) % 2, targets)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        draw_batches(x, y, batch_size=0, seed=0)
    with pytest.raises(ValueError, match="as many targets as inputs, not 499 for 500"):
        draw_batches(x, y[1:], batch_size=1, seed=0)
    with pytest.raises(ValueError, match="as many targets as inputs, not 0 for 0"):
        draw_batches(x[:0], y[:0], batch_size=1, seed=0)


# Fixed and fresh batches


@pytest.mark.parametrize("spec", [_STRINGS, _MAZES], ids=["strings", "mazes"])
def test_an_epoch_goes_through_every_item(spec: DataSpec) -> None:
    batch = fixed_batches(spec, 12, 4, 0)
    items = _rows(Items(spec, 12)[:][0])
    assert len(set(items)) == 12
    epochs = [[row for step in range(3) for row in _rows(batch(3 * epoch + step)[0])] for epoch in range(4)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(items)
    assert len({tuple(epoch) for epoch in epochs}) == 4, "in another order each time"


def test_fixed_batches_are_a_function_of_seed_and_step() -> None:
    one, two, other = (fixed_batches(_STRINGS, 50, 5, seed) for seed in (0, 0, 1))
    forward = [one(step)[0] for step in range(25)]
    for step in reversed(range(25)):
        assert torch.equal(two(step)[0], forward[step])
    assert not torch.equal(other(3)[0], forward[3])
    inputs, targets = one(24)
    assert inputs.shape == (5, 1, 16)
    assert inputs.dtype == torch.float32
    assert torch.equal((inputs[:, 0] > 0).cumsum(dim=1) % 2, targets)


def test_a_late_step_costs_no_more() -> None:
    batch = fixed_batches(_STRINGS, 50, 5, 0)
    started = time.perf_counter()
    late = batch(10**12)[0]
    # To come there step by step would take years.
    assert time.perf_counter() - started < 20
    batch(3)
    assert torch.equal(batch(10**12)[0], late)


def test_left_over_items_are_dropped_each_epoch() -> None:
    batch = fixed_batches(_STRINGS, 11, 4, 0)
    epochs = [[row for step in range(2) for row in _rows(batch(2 * epoch + step)[0])] for epoch in range(40)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({row for epoch in epochs for row in epoch}) == 11, "other ones each time"


def test_fixed_batch_errors() -> None:
    for batch_size in (0, -1, 13):
        with pytest.raises(ValueError, match=f"batch_size must be from 1 to the 12 items there are, not {batch_size}"):
            fixed_batches(_STRINGS, 12, batch_size, 0)
    with pytest.raises(NotEnoughInstancesError, match="fewer than the 100 asked for"):
        fixed_batches(DataSpec(task="prefix_sums", difficulty=4), 100, 10, 0)


@pytest.mark.parametrize(
    "spec", [_STRINGS, DataSpec(task="mazes", difficulty=7, variant="looped", seed=3)], ids=["strings", "mazes"]
)
def test_fresh_batches_are_those_of_the_stream(spec: DataSpec) -> None:
    batch = fresh_batches(spec, 6)
    stream = StreamingDataset(spec.task, spec.difficulty, batch_size=6, variant=spec.variant, seed=spec.seed)
    for number, expected in zip(range(3), stream, strict=False):
        found = batch(number)
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
    later = batch(1000)
    assert torch.equal(later[0], stream.batch(1000)[0])
    assert not set(_rows(later[0])) & set(_rows(batch(0)[0]))


def test_fresh_batch_errors() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        fresh_batches(_STRINGS, 0)
    with pytest.raises(NotEnoughInstancesError):
        fresh_batches(DataSpec(task="mazes", difficulty=3), 4)
