"""The interface of a task, the registry of tasks, and the specification of which instances are meant."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.generators.random import check_seed
from easy_to_hard.generators.splits import NotEnoughInstancesError, check_split, check_split_rule
from easy_to_hard.tasks.pieces import AnswerRules, Array, Instances, PresetRows, TaskText

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from easy_to_hard.tasks.pictures import Picture

Bits: TypeAlias = NDArray[np.uint8]

# Far beyond what any disk holds, and within what NumPy counts exactly.
MAX_SAMPLES: Final = 10**15


class Task(ABC):
    """A family of instances at graded difficulties, and everything the package knows about it.

    A subclass in its own file defines the instances; `register` makes it known to the rest of the package. What is
    abstract here must be defined, and what has a default may be left out.

    Attributes:
        name: as in file names and on the command line.
        title: a one-line title for display.
        description: what input, target and the further columns of the files hold.
        reference: where it comes from.
        difficulty_name: what the difficulty counts.
        difficulties: the ladder of the benchmark.
        train_difficulty: the difficulty at which nets are trained.
        input_channels: channels of the network's input; a flat input gets one axis for it.
        input_offset: what is added to the 0s and 1s of an input before a network sees it.
        variants: distributions of instances, the default first; empty where there is only one.
        default_variant: what users call the first of `variants` if that is "", as in files it is; otherwise "".
        columns: name and type of the further columns of the files.
        stores_tensors: whether the files have columns `input` and `target`, from which `decode` makes instances.
            Otherwise, the further columns hold everything that `from_columns` needs to make them.
        imported: whether instances are read from a folder (`DataSpec.root`) rather than generated.
        rungs: the difficulties that the leaderboard scores, few enough that all can be tested; empty for all.
        alike_from: the least difficulty at which each split holds a thousand instances, symmetric ones counted once.
            Below it, with so few instances, the splits differ by more than chance; 0 for no such limit.
        new_from: the least difficulty from which on hardly any test instance of another seed is, up to symmetry, in the
            frozen test set; 0 for no such limit.
        presets: name of a preset of `build` -> what it holds of the task.
        answers: how a net's outputs become an answer.
        ladder: difficulties that show how far a net generalizes, within minutes on a CPU; empty where a folder has its
            own.
        card: the task's texts for a card; None to use only the description.
        card_difficulties: the difficulties drawn side by side in the card's picture; empty for no such picture.
    """

    name: str
    title: str
    description: str
    reference: str
    difficulty_name: str
    difficulties: tuple[int, ...]
    train_difficulty: int
    input_channels: int
    input_offset: float = 0.0
    variants: tuple[str, ...] = ()
    default_variant: str = ""
    columns: ClassVar[Mapping[str, str]] = MappingProxyType({})
    stores_tensors: bool = True
    imported: bool = False
    rungs: tuple[int, ...] = ()
    alike_from: int = 0
    new_from: int = 0
    presets: ClassVar[Mapping[str, tuple[PresetRows, ...]]] = MappingProxyType({})
    answers: AnswerRules = AnswerRules()
    ladder: tuple[int, ...] = ()
    card: TaskText | None = None
    card_difficulties: tuple[int, ...] = ()

    # ---- which instances there are

    @abstractmethod
    def check_difficulty(self, difficulty: int) -> int:
        """Return the difficulty, or raise ValueError if there is no such difficulty."""

    @abstractmethod
    def default_samples(self, difficulty: int, split: str, variant: str) -> int:
        """The number of instances in a set if no number is given."""

    @abstractmethod
    def count_instances(self, spec: "DataSpec") -> int | None:
        """How many distinct instances there are; None where they are too many to count."""

    def stream_length(self, spec: "DataSpec") -> int | None:
        """The number of items in the stream; None if it is endless."""
        return None

    def first_distinct(self, spec: "DataSpec", count: int, num_threads: int | None) -> NDArray[np.uint64]:
        """The indices of the first `count` distinct instances, ascending; by default, no instance comes twice."""
        return np.arange(count, dtype=np.uint64)

    def difficulties_in(self, root: str, variant: str, split: str) -> tuple[int, ...]:
        """For an imported task, the difficulties that a folder holds, ascending."""
        return ()

    def rungs_of(self, variant: str) -> tuple[int, ...]:
        """The difficulties that the leaderboard scores, as far as the benchmark tests them; ascending."""
        return self.rungs or self.difficulties

    # ---- what an instance is

    @abstractmethod
    def generate(self, spec: "DataSpec", indices: Array, num_threads: int | None) -> Instances:
        """The instances of these numbers, in their compact form."""

    @abstractmethod
    def shapes(self, difficulty: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of one input and one target in the files."""

    @abstractmethod
    def encode(self, data: Array, difficulty: int, num_threads: int | None) -> tuple[Bits, Bits]:
        """Inputs and targets, (N, *shape) uint8, as the files hold them."""

    def decode(self, inputs: Array, targets: Array) -> Array:
        """The inverse of `encode`, for tasks whose tensors show everything."""
        raise NotImplementedError(f"{self.name} has no way from tensors to instances")

    def from_columns(self, columns: Mapping[str, Array]) -> Array:
        """The compact form from the further columns of the files, for tasks where these hold all of it."""
        raise NotImplementedError(f"{self.name} has no way from columns to instances")

    @abstractmethod
    def splits_of(self, data: Array, difficulty: int) -> list[str]:
        """The split that each instance's canonical hash names."""

    def draw_seconds(self, difficulty: int, variant: str) -> float:
        """Rough time to draw an item on one core, or 0 where packing it takes longer; used to divide work."""
        return 0.0

    # ---- what an answer is

    def solve(self, inputs: Array, difficulty: int) -> Bits | None:
        """Targets computed only from what a network would see; None if the task has no such solver."""
        return None

    def open_positions(self, inputs: Array) -> NDArray[np.bool_] | None:
        """(N, *target shape) bool, the positions whose answer is not plain from the input; None for all of them."""
        return None

    def judge(self, instances: Instances, predictions: Array, difficulty: int) -> Mapping[str, NDArray[np.bool_]]:
        """Checks of answers, (N, *target shape) uint8, other than equality with the target: name -> (N,) bool.

        An answer with values other than 0 and 1 passes no check.
        """
        return {}

    # ---- what it looks like

    @abstractmethod
    def text(self, item: Array, target: Array, data: Array) -> str:
        """An instance with its solution as a drawing for a terminal."""

    def plot(self, item: Any, target: Any = None, data: Any = None, ax: "Axes | None" = None) -> "Axes":
        """Draw an instance with matplotlib: by default, bits as lines, an image by where any channel is lit.

        Args:
            item: an input, array or tensor.
            target: its solution, or an answer to it; None to leave it out.
            data: its compact form; None where it is not known.
            ax: where to draw; None for a new figure.

        Raises:
            ImportError: matplotlib is not installed; the message says how to get it.
        """
        from easy_to_hard.plotting import new_axes, plot_bits

        values = np.asarray(item) > 0
        if values.size == values.shape[-1]:
            return plot_bits(item, target, ax)
        lit = values.any(axis=tuple(range(values.ndim - 2))).astype(float)
        axes = ax if ax is not None else new_axes(4, 4)
        axes.imshow(lit if target is None else lit + 2 * (np.asarray(target) > 0), interpolation="nearest")
        axes.set_axis_off()
        return axes

    def picture(self, variant: str, difficulty: int) -> "Picture | None":
        """The first test instance, solved, for the leaderboard's page; None for no picture.

        Raises:
            ImportError: matplotlib is needed but not installed; the message says how to get it.
        """
        return None

    def card_picture(self) -> bytes | None:
        """The picture for the card, PNG: the one that comes with the package; None where there is none."""
        file = files("easy_to_hard.cards") / "pictures" / f"{self.name}.png"
        return file.read_bytes() if self.card_difficulties and file.is_file() else None

    # ---- what is the same for all

    def example(self, spec: "DataSpec", index: int = 0) -> tuple[Bits, Bits, Array]:
        """Input, target and compact form of one instance."""
        data = self.generate(spec, np.array([index]), None).data
        inputs, targets = self.encode(data, spec.difficulty, None)
        return inputs[0], targets[0], data[0]

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # Pickled by name: a process that receives a task has the tasks itself.
        if TASKS.get(self.name) is self:
            return get_task, (self.name,)
        return super().__reduce_ex__(protocol)

    def check_root(self, root: str) -> str:
        """Return the folder; ValueError if an imported task has none, or any other task has one."""
        if self.imported and not root:
            raise ValueError(
                f"{self.name} are read from a folder: give its root, made by 'easy-to-hard convert-lichess'"
            )
        if root and not self.imported:
            raise ValueError(f"{self.name} are made, not read: root must be left out, not {root!r}")
        return root

    def tested_difficulties(self, *, root: str = "", variant: str = "", split: str = "test") -> tuple[int, ...]:
        """Difficulties to test a net on when none are asked for: the ladder, or the bands that a folder holds.

        Raises:
            ValueError: the task is read from a folder, and no folder is given, or it has no files of the task.
        """
        if not self.imported:
            return self.ladder
        found = self.difficulties_in(self.check_root(root), variant, split)
        if not found:
            raise ValueError(f"{root} holds no {self.name} in bands of {variant or 'rating'}s, split {split}")
        return found

    @property
    def variant_names(self) -> tuple[str, ...]:
        """What users call the variants."""
        return tuple(variant or self.default_variant for variant in self.variants)

    def check_variant(self, variant: str) -> str:
        """Return the variant, "" standing for the first, or raise ValueError that lists the variants."""
        if variant in ("", self.default_variant):
            return self.variants[0] if self.variants else ""
        if variant not in self.variants:
            known = ", ".join(self.variant_names) or "it has none"
            raise ValueError(f"unknown variant {variant!r} of {self.name}: {known}")
        return variant

    def sample_count(self, spec: "DataSpec", num_samples: int | None) -> int:
        """How many instances a set has: the number asked for, or the default, limited to how many there are.

        Raises:
            NotEnoughInstancesError: more were asked for than there are, or there are none.
            ValueError: num_samples is not an integer, is below 1, or is above 10^15.
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
            default = self.default_samples(spec.difficulty, spec.split, spec.variant)
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
_NEEDED: Final = (
    "name",
    "title",
    "description",
    "reference",
    "difficulty_name",
    "difficulties",
    "train_difficulty",
    "input_channels",
)
# Holds all tasks once `easy_to_hard.tasks` is imported, which happens before any module in it.
TASKS: Final[Mapping[str, Task]] = MappingProxyType(_REGISTERED)


def register(task: Task) -> None:
    """Enter a task in `TASKS`; ValueError if the name is taken, or the task lacks an attribute."""
    if missing := [name for name in _NEEDED if not hasattr(task, name)]:
        raise ValueError(f"{type(task).__name__} has no {', '.join(missing)}")
    if task.name in TASKS:
        raise ValueError(f"there is a task {task.name!r} already: {', '.join(TASKS)}")
    _REGISTERED[task.name] = task


def get_task(name: str) -> Task:
    """Return the task of that name, or raise ValueError that lists them."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name]


def config_name(task: str, difficulty: int, variant: str = "") -> str:
    """The Hub config of a difficulty; the name leaves out the default variant."""
    known = get_task(task)
    default = variant in ("", known.default_variant, *known.variants[:1])
    return f"{task}_{difficulty}" if default else f"{task}_{variant}_{difficulty}"


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Which instances: item i of a spec is the same for everybody, always.

    Attributes:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, moves to mate, lowest rating of the band.
        variant: one of the task's variants; "" stands for the first (and is the only value for a task without any).
        split: "train", "validation" or "test".
        seed: any integer from -2^4096 to 2^4096; another seed gives other instances.
        split_rule: "hash" (splits share no instance) or "original" (each is drawn from everything).
        root: the folder that an imported task (`Task.imported`) is read from; "" for all others.

    Raises:
        ValueError: a value is not allowed; the message says which, and what is allowed.

    Example:
        >>> from easy_to_hard import DataSpec
        >>> DataSpec(task="mazes", difficulty=13, variant="looped", split="test").config
        'mazes_looped_13'
        >>> DataSpec(task="mazes", difficulty=10)
        Traceback (most recent call last):
            ...
        ValueError: size must be an odd number from 3 to 1601, not 10
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
