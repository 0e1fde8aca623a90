"""The parts that make up a task: its instances, its rows in presets, its answer rules and its texts on a card.

Nothing here imports torch: answer rules work on the tensors they are given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = NDArray[Any]
Decode: TypeAlias = Callable[["Tensor", "Tensor"], "Tensor"]
Mask: TypeAlias = Callable[["Tensor"], "Tensor"]


def check_logits(logits: "Tensor", inputs: "Tensor") -> None:
    """Raise ValueError unless logits are (batch, 2, *size) for inputs (batch, channels, *size)."""
    wanted = (len(inputs), 2, *inputs.shape[2:])
    if tuple(logits.shape) != wanted:
        raise ValueError(f"logits must have shape {wanted} for inputs {tuple(inputs.shape)}, not {tuple(logits.shape)}")


def most_likely_class(logits: "Tensor", inputs: "Tensor") -> "Tensor":
    """Predictions (batch, *size) int64: the larger of the logits (batch, 2, *size) at each position."""
    check_logits(logits, inputs)
    # Same as argmax over the two, but much faster on a CPU.
    return (logits[:, 1] > logits[:, 0]).long()


@dataclass(frozen=True, kw_only=True)
class Instances:
    """N instances in their compact form, and what is known about each.

    Attributes:
        data: (N, ...) array from which `Task.encode` makes inputs and targets.
        columns: further columns of the files, each (N,).
    """

    data: Array
    columns: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, kw_only=True)
class PresetRows:
    """What a preset of `build` holds of a task: a number of rows for each split, at each difficulty.

    Attributes:
        difficulties: at least one.
        variant: a variant of the task, "" for the default.
        train, validation, test: numbers of rows; 0 leaves a split out.
    """

    difficulties: tuple[int, ...]
    variant: str = ""
    train: int = 0
    validation: int = 0
    test: int = 0


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """How a task's answers are judged.

    Attributes:
        decode: logits (batch, 2, *size), inputs -> predictions (batch, *size) int64.
        mask: inputs -> (batch, *size) bool, the cells that count in loss and confidence; None where all do.
        local: whether the answer at a position that counts is the larger of its own two logits.
    """

    decode: Decode = most_likely_class
    mask: Mask | None = None
    local: bool = False


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """A task's texts for a card.

    Attributes:
        question: what is given and what is asked.
        tags: for the Hub's search.
        columns: what each column of the files holds.
        generator: how instances are made.
        limits: limits and biases, a paragraph each.
        dataset: the PyTorch class, and its argument for the difficulty; empty where `load` is used.
        decoder: Markdown on how to make tensors from the columns; empty where the columns `input` and `target` hold
            them.
    """

    question: str
    tags: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    generator: str = ""
    limits: tuple[str, ...] = ()
    dataset: tuple[str, str] | None = None
    decoder: str = ""
