"""The batches that the nets are trained on."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from easy_to_hard.datasets.items import instance_tensors
from easy_to_hard.datasets.streaming import StreamingDataset
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.tasks import Array, DataSpec, generate, get_task

Batches = Callable[[int], tuple[Tensor, Tensor]]


def input_shape(task: str) -> tuple[int, int]:
    """Number of channels and of dimensions (1 for strings, 2 for images) of a task's inputs."""
    known = get_task(task)
    return known.input_channels, len(known.shapes(known.train_difficulty)[1])


def fresh_batches(spec: DataSpec, batch_size: int) -> Batches:
    """Batches of instances that do not repeat (until there are no more): batch b of the stream for step b.

    Raises:
        ValueError: batch_size below 1.
        NotEnoughInstancesError: the split holds no instance.
    """
    stream = StreamingDataset(
        spec.task,
        spec.difficulty,
        batch_size=batch_size,
        variant=spec.variant,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        root=spec.root,
    )
    return stream.batch


def fixed_batches(spec: DataSpec, num_items: int, batch_size: int, seed: int) -> Batches:
    """Batches of the first `num_items` distinct instances, in another order each epoch, as in the papers.

    Items left over at the end of an epoch are dropped. The order is a function of (seed, epoch) alone.

    Raises:
        ValueError: batch_size below 1 or above num_items.
        NotEnoughInstancesError: the split holds fewer instances.
    """
    if not 1 <= check_integer("batch_size", batch_size) <= num_items:
        raise ValueError(f"batch_size must be from 1 to the {num_items} items there are, not {batch_size}")
    data = generate(spec, num_items)[1].data
    batches_an_epoch = num_items // batch_size
    order: tuple[int, Array] | None = None

    def batch(step: int) -> tuple[Tensor, Tensor]:
        nonlocal order
        epoch, number = divmod(step, batches_an_epoch)
        if order is None or order[0] != epoch:
            order = epoch, np.random.default_rng((seed, epoch)).permutation(num_items)
        return instance_tensors(spec, data[order[1][number * batch_size : (number + 1) * batch_size]])

    return batch


def draw_batches(inputs: Tensor, targets: Tensor, *, batch_size: int, seed: int) -> Batches:
    """Batches drawn from tensors with replacement, each a function of (seed, step) alone.

    Args:
        inputs: (num_items, channels, *size) float.
        targets: (num_items, *size) int64.
        batch_size: items per batch, at least 1.
        seed: at least 0.

    Raises:
        ValueError: batch_size below 1, no items, or not as many targets as inputs.
    """
    batch_size = check_integer("batch_size", batch_size, 1)
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(f"there must be as many targets as inputs, not {len(targets)} for {len(inputs)}")

    def batch(step: int) -> tuple[Tensor, Tensor]:
        items = torch.from_numpy(np.random.default_rng((seed, step)).integers(len(inputs), size=batch_size))
        return inputs[items], targets[items]

    return batch
