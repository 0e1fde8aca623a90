"""What a task is, what instances are, and which of them are meant."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.generators.random import check_seed
from easy_to_hard.generators.splits import NotEnoughInstancesError, check_split, check_split_rule

Array = NDArray[Any]

# Far beyond what any disk holds, and within what NumPy counts exactly.
MAX_SAMPLES: Final = 10**15


@dataclass(frozen=True, kw_only=True)
class Instances:
    """N instances in their compact form, and what is known of each.

    Attributes:
        data: (N, ...) array from which `Task.encode` makes inputs and targets.
        columns: further columns of the files, each (N,).
    """

    data: Array
    columns: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A family of instances at graded difficulties.

    Attributes:
        name: as in file names and on the command line.
        title: a line for people.
        description: what input, target and the further columns of the files hold.
        difficulty_name: what the difficulty counts.
        difficulties: the ladder of the benchmark.
        train_difficulty: where training is done.
        rungs: those of the difficulties that the leaderboard scores, few enough to be tested all; empty for all from
            `train_difficulty` on.
        variants: distributions of instances, the default first; empty where there is one only.
        alike_from: the least difficulty at which each split holds a thousand instances, symmetric ones counted once.
            Below it the splits, which are parts of few, differ by more than chance makes them; 0 for no such limit.
        new_from: the least difficulty from which on hardly any test instance of another seed is, up to symmetry, in the
            frozen test set; 0 for no such limit.
        reference: where it comes from.
        check_difficulty: returns the difficulty or raises ValueError.
        default_samples: (difficulty, split) to the number of instances of a set when none is asked for.
        stream_length: spec to the number of items of its stream, None where it goes on for ever.
        first_distinct: (spec, count, num_threads) to the indices of the first `count` distinct instances.
        count_instances: spec to how many distinct instances there are, None where they are too many to count.
        generate: (spec, indices, num_threads) to instances.
        encode: (data, difficulty, num_threads) to ``(inputs, targets)``, uint8, as the files hold them.
        decode: the inverse of `encode`: (inputs, targets) to data; None where these do not show everything.
        from_columns: the other columns of the files to data, where they hold all of it; the files then have no `input`
            and no `target`, which `encode` makes when they are read. None where `decode` is.
        shapes: difficulty to the shapes of one input and one target in the files.
        columns: name and type of the further columns of the files.
        solve: (inputs, difficulty) to targets, from what a network would see alone; None where there is no such way.
        open_positions: inputs (N, ...) to (N, *target shape) bool, the positions whose answer is not plain from the
            input (of mazes those that are no wall); all of them where it is None.
        judge: (instances, predictions (N, *target shape) uint8, difficulty) to what else is true of answers than that
            they are the target: name -> (N,) bool. An answer with anything but 0 and 1 passes nothing.
        splits_of: data to the split that each instance's canonical hash names.
        input_offset: what is added to the 0s and 1s of an input to make the network's.
        input_channels: channels of the network's input; a flat input gets one axis for it.
        text: ``(input, target, data)`` of one instance to a drawing for a terminal.
        draw_seconds: difficulty to the time, very roughly, that drawing an item takes on one core, where packing it
            takes less; builds share work out by it.
        difficulties_in: of a task whose instances are not made but read from a folder (`DataSpec.root`): (root,
            variant, split) to the difficulties that the folder holds, ascending. None for all others.
    """

    name: str
    title: str
    description: str
    difficulty_name: str
    difficulties: tuple[int, ...]
    train_difficulty: int
    rungs: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()
    alike_from: int = 0
    new_from: int = 0
    reference: str
    check_difficulty: Callable[[int], int]
    default_samples: Callable[[int, str], int]
    stream_length: Callable[["DataSpec"], int | None]
    first_distinct: Callable[["DataSpec", int, int | None], NDArray[np.uint64]]
    count_instances: Callable[["DataSpec"], int | None]
    generate: Callable[["DataSpec", Array, int | None], Instances]
    encode: Callable[[Array, int, int | None], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    decode: Callable[[Array, Array], Array] | None = None
    from_columns: Callable[[Mapping[str, Array]], Array] | None = None
    shapes: Callable[[int], tuple[tuple[int, ...], tuple[int, ...]]]
    columns: Mapping[str, str]
    solve: Callable[[Array, int], NDArray[np.uint8]] | None
    judge: Callable[[Instances, Array, int], Mapping[str, NDArray[np.bool_]]] = lambda *_: {}
    splits_of: Callable[[Array, int], list[str]]
    open_positions: Callable[[Array], NDArray[np.bool_]] | None = None
    input_offset: float
    input_channels: int
    text: Callable[[Array, Array, Array], str]
    draw_seconds: Callable[[int], float] = lambda difficulty: 0.0
    difficulties_in: Callable[[str, str, str], tuple[int, ...]] | None = None

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # By its name: its functions cannot all be pickled, and a process that is sent a task has the tasks itself.
        if TASKS.get(self.name) is self:
            return get_task, (self.name,)
        return super().__reduce_ex__(protocol)

    @property
    def imported(self) -> bool:
        """Whether instances are read from a folder, and not made."""
        return self.difficulties_in is not None

    def check_root(self, root: str) -> str:
        """The folder; ValueError where an imported task has none, or another one has."""
        if self.imported and not root:
            raise ValueError(
                f"{self.name} are read from a folder: give its root, made by 'easy-to-hard convert-lichess'"
            )
        if root and not self.imported:
            raise ValueError(f"{self.name} are made, not read: root must be left out, not {root!r}")
        return root

    def check_variant(self, variant: str) -> str:
        """The variant, "" standing for the first; ValueError that lists them for any other name."""
        if variant == "":
            return self.variants[0] if self.variants else ""
        if variant not in self.variants:
            known = ", ".join(self.variants) or "it has none"
            raise ValueError(f"unknown variant {variant!r} of {self.name}: {known}")
        return variant

    def sample_count(self, spec: "DataSpec", num_samples: int | None) -> int:
        """How many instances a set has: the number asked for, or the default, at most all there are.

        Raises:
            NotEnoughInstancesError: more were asked for than there are, or there is none.
            ValueError: num_samples is no integer, below 1 or above 10^15.
        """
        number = self._sample_count(spec, num_samples)
        if spec.difficulty < self.alike_from and spec.split_rule == "hash":
            warnings.warn(
                f"{spec.config}: its splits hold few instances and are not alike; from {self.difficulty_name} "
                f"{self.alike_from} on they are",
                stacklevel=3,
            )
        return number

    def _sample_count(self, spec: "DataSpec", num_samples: int | None) -> int:
        held = self.count_instances(spec)
        where = f"{spec.config} has {shown(held or 0)} distinct instances in split {spec.split!r}"
        if num_samples is None:
            default = self.default_samples(spec.difficulty, spec.split)
            number = default if held is None else min(default, held)
            if number < 1:
                raise NotEnoughInstancesError(f"{where}: choose another split or a larger {self.difficulty_name}")
            return number
        number = check_integer("num_samples", num_samples, 1)
        if held is not None and number > held:
            raise NotEnoughInstancesError(f"{where}, fewer than the {shown(number)} asked for")
        if number > MAX_SAMPLES:
            raise ValueError(f"num_samples must be at most {MAX_SAMPLES}, not {shown(number)}")
        return number


_REGISTERED: Final[dict[str, Task]] = {}
# All that there are, once `easy_to_hard.tasks` is imported, as it is before any module in it.
TASKS: Final[Mapping[str, Task]] = MappingProxyType(_REGISTERED)


def register(task: Task) -> None:
    """Enter a task in `TASKS`; ValueError where another one has its name."""
    if task.name in TASKS:
        raise ValueError(f"there is a task {task.name!r} already: {', '.join(TASKS)}")
    _REGISTERED[task.name] = task


def get_task(name: str) -> Task:
    """The task of that name, or ValueError that lists them."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name]


def config_name(task: str, difficulty: int, variant: str = "") -> str:
    """The Hub config of a difficulty: the default variant has no part in the name."""
    return f"{task}_{difficulty}" if variant in ("", *get_task(task).variants[:1]) else f"{task}_{variant}_{difficulty}"


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Which instances: item i of a spec is the same for everybody, always.

    Attributes:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, moves to mate, lowest rating of the band.
        variant: one of the task's variants; "" stands for the first (and is all that a task without any has).
        split: "train", "validation" or "test".
        seed: any integer from -2^4096 to 2^4096; another seed gives other instances.
        split_rule: "hash" (splits share no instance) or "original" (each is drawn from everything).
        root: the folder that an imported task (`Task.imported`) is read from; "" for all others.

    Raises:
        ValueError: a value that is not allowed; the message says which and what is.
    """

    task: str
    difficulty: int
    variant: str = ""
    split: str = "train"
    seed: int = 0
    split_rule: str = "hash"
    root: str = ""

    def __post_init__(self) -> None:
        task = get_task(self.task)
        object.__setattr__(self, "difficulty", task.check_difficulty(self.difficulty))
        object.__setattr__(self, "variant", task.check_variant(self.variant))
        check_split(self.split)
        check_split_rule(self.split_rule)
        object.__setattr__(self, "seed", check_seed(self.seed))
        object.__setattr__(self, "root", task.check_root(str(self.root)))

    @property
    def config(self) -> str:
        """Name of the Hub config: ``mazes_9``, ``mazes_looped_13``, ``prefix_sums_32``."""
        return config_name(self.task, self.difficulty, self.variant)
