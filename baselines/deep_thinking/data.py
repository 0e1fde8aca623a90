"""What the nets are trained and tested on, and what counts as an answer."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.loss import corridor_mask
from easy_to_hard.files import Chunk, TensorHash
from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.graded import open_graded, to_tensors
from easy_to_hard.streaming import StreamingDataset
from easy_to_hard.tasks import Array, DataSpec, Instances, generate, get_task

_HASHED_AT_A_TIME: Final = 64

Batches = Callable[[int], tuple[Tensor, Tensor]]
Decode = Callable[[Tensor, Tensor], Tensor]
Mask = Callable[[Tensor], Tensor]


def most_likely_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """Predictions (batch, *size) int64: the larger of the logits (batch, 2, *size) at each position."""
    del inputs
    # As argmax over the two, and much faster on a CPU.
    return (logits[:, 1] > logits[:, 0]).long()


def most_likely_corridor_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """For mazes: as `most_likely_class`, and 0 on walls (inputs (batch, 3, H, W) all 0)."""
    return most_likely_class(logits, inputs) * corridor_mask(inputs)


def two_likeliest_squares(logits: Tensor, inputs: Tensor) -> Tensor:
    """For chess: 1 on the two squares with the largest logits of class 1, which is what a move is, else 0."""
    del inputs
    scores = logits[:, 1].flatten(1)
    predictions = torch.zeros_like(scores, dtype=torch.long).scatter_(1, scores.topk(2, dim=1).indices, 1)
    return predictions.view(logits[:, 1].shape)


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """How a task's answers are judged.

    Attributes:
        decode: logits (batch, 2, *size), inputs -> predictions (batch, *size) int64.
        mask: inputs -> (batch, *size) bool, the cells that count in loss and confidence; None where all do.
        local: whether the answer at a position that counts is the larger of its own two logits.
        ladder: difficulties that show how far a net goes, within minutes on a CPU; none where a folder has its own.
    """

    decode: Decode
    mask: Mask | None = None
    local: bool = False
    ladder: tuple[int, ...]


ANSWER_RULES: Final[Mapping[str, AnswerRules]] = {
    "prefix_sums": AnswerRules(decode=most_likely_class, local=True, ladder=(16, 32, 48, 64, 128, 256, 512)),
    "mazes": AnswerRules(decode=most_likely_corridor_class, mask=corridor_mask, local=True, ladder=(9, 13, 33, 59)),
    "chess_mates": AnswerRules(decode=two_likeliest_squares, ladder=(1, 2, 3)),
    "chess_puzzles": AnswerRules(decode=two_likeliest_squares, ladder=()),
}


def answer_rules(task: str) -> AnswerRules:
    """The rules of a task, or ValueError that lists those with rules."""
    if task not in ANSWER_RULES:
        raise ValueError(f"deep_thinking does not know task {task!r}: choose one of {', '.join(ANSWER_RULES)}")
    return ANSWER_RULES[task]


def default_ladder(task: str, *, root: str = "", variant: str = "", split: str = "test") -> tuple[int, ...]:
    """Difficulties to test on when none are asked for.

    Raises:
        ValueError: unknown task, or one that is read from a folder and no folder, or one without that task's files.
    """
    known = get_task(task)
    if known.difficulties_in is None:
        return answer_rules(task).ladder
    found = known.difficulties_in(known.check_root(root), variant, split)
    if not found:
        raise ValueError(f"{root} holds no {task} in bands of {variant or 'rating'}s, split {split}")
    return found


def input_shape(task: str) -> tuple[int, int]:
    """Channels of a task's inputs, and their dimensions: 1 for strings, 2 for images."""
    known = get_task(task)
    return known.input_channels, len(known.shapes(known.train_difficulty)[1])


def fresh_batches(spec: DataSpec, batch_size: int) -> Batches:
    """Batches of instances that never come twice (until there are no more): batch b of the stream for step b.

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

    What is left over at the end of an epoch is dropped. The order is a function of (seed, epoch) alone.

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
        return _to_tensors(spec, data[order[1][number * batch_size : (number + 1) * batch_size]])

    return batch


def draw_batches(inputs: Tensor, targets: Tensor, *, batch_size: int, seed: int) -> Batches:
    """Batches drawn from tensors with replacement, each a function of (seed, step) alone.

    Args:
        inputs: (num_items, channels, *size) float.
        targets: (num_items, *size) int64.
        batch_size: items a batch, at least 1.
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


def _to_tensors(spec: DataSpec, data: Array) -> tuple[Tensor, Tensor]:
    task = get_task(spec.task)
    return to_tensors(task, *task.encode(data, spec.difficulty, None))


def one_item(spec: DataSpec, index: int) -> tuple[Tensor, Tensor]:
    """inputs (1, channels, *size) float32 and targets (1, *size) int64 of the instance of that number.

    Raises:
        ValueError: a number below 0 or of 64 bits and more.
    """
    if not 0 <= check_integer("--index", index) < 2**63:
        raise ValueError(f"--index must be at least 0 and below 2^63, not {shown(index)}")
    return _to_tensors(spec, get_task(spec.task).generate(spec, np.array([index]), None).data)


class Items:
    """The first distinct instances of a spec; a slice of them is made into tensors when it is asked for.

    Args:
        spec: which instances.
        num_items: how many; fewer where the split, or the place, does not hold as many.
        place: a built folder or a Hub repo (`open_graded`) to read them from; "" to make them.

    Raises:
        NotEnoughInstancesError: the split holds none.
        FileNotFoundError, StorageError, HubError: they cannot be read.
    """

    def __init__(self, spec: DataSpec, num_items: int, place: str = "") -> None:
        self.spec = spec
        if place:
            self._instances = Instances(data=open_graded(place, spec).data[:num_items])
            return
        held = get_task(spec.task).count_instances(spec)
        self._instances = generate(spec, num_items if held is None else min(num_items, max(held, 1)))[1]

    def __len__(self) -> int:
        return len(self._instances)

    def manifest_entry(self) -> dict[str, Any]:
        """What the items are, and the SHA-256 of their inputs and targets as the files of a built folder hold them."""
        digest = TensorHash()
        task = get_task(self.spec.task)
        for first in range(0, len(self), _HASHED_AT_A_TIME):
            data = self._instances.data[first : first + _HASHED_AT_A_TIME]
            inputs, targets = task.encode(data, self.spec.difficulty, None)
            digest.update(
                Chunk(indices=np.arange(len(data), dtype=np.uint64), inputs=inputs, targets=targets, columns={})
            )
        spec = self.spec
        return {
            "config": spec.config,
            "split": spec.split,
            "seed": spec.seed,
            "split_rule": spec.split_rule,
            "rows": len(self),
            **digest.digests(),
        }

    def __getitem__(self, part: slice) -> tuple[Tensor, Tensor]:
        """inputs (items, channels, *size) float32 and targets (items, *size) int64."""
        return _to_tensors(self.spec, self._instances.data[part])

    def instances(self, part: slice) -> Instances:
        """The items themselves."""
        columns = {name: column[part] for name, column in self._instances.columns.items()}
        return Instances(data=self._instances.data[part], columns=columns)


def manifest_sha256(entries: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256, in hexadecimal, of the `Items.manifest_entry` of each difficulty that a result was measured on."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def validation_items(items: Items, num_items: int) -> Items:
    """Of the same difficulty and variant, from the validation split, which shares no instance with test."""
    return Items(replace(items.spec, split="validation"), num_items)
