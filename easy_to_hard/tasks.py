"""The tasks: what each is, how graded, how drawn, how stored. Everything else in the package reads it from here.

A new task is one generator and one entry in `TASKS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import mazes, prefix_sums
from easy_to_hard.generators.mazes.sampling import check_variant
from easy_to_hard.generators.splits import NotEnoughInstancesError, check_split, check_split_rule, split_of

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Which instances: item i of a spec is the same for everybody, always.

    Attributes:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze.
        variant: one of the task's variants; "" stands for the first (and is all that a task without any has).
        split: "train", "validation" or "test".
        seed: any integer; another seed gives other instances.
        split_rule: "hash" (splits share no instance) or "original" (each is drawn from everything).

    Raises:
        ValueError: a value that is not allowed; the message says which and what is.
    """

    task: str
    difficulty: int
    variant: str = ""
    split: str = "train"
    seed: int = 0
    split_rule: str = "hash"

    def __post_init__(self) -> None:
        task = get_task(self.task)
        object.__setattr__(self, "difficulty", task.check_difficulty(self.difficulty))
        object.__setattr__(self, "variant", task.check_variant(self.variant))
        check_split(self.split)
        check_split_rule(self.split_rule)
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)):
            raise ValueError(f"seed must be an integer, not {self.seed!r}")

    @property
    def config(self) -> str:
        """Name of the Hub config: ``mazes_9``, ``mazes_looped_13``, ``prefix_sums_32``."""
        return config_name(self.task, self.difficulty, self.variant)


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
        variants: distributions of instances, the default first; empty where there is one only.
        reference: where it comes from.
        check_difficulty: returns the difficulty or raises ValueError.
        default_samples: (difficulty, split) to the number of instances of a set when none is asked for.
        stream_length: spec to the number of items of its stream, None where it goes on for ever.
        first_distinct: (spec, count, num_threads) to the indices of the first `count` distinct instances.
        count_instances: spec to how many distinct instances there are, None where they are too many to count.
        generate: (spec, indices, num_threads) to instances.
        encode: (data, difficulty, num_threads) to ``(inputs, targets)``, uint8, as the files hold them.
        decode: the inverse of `encode`: (inputs, targets) to data.
        shapes: difficulty to the shapes of one input and one target in the files.
        columns: name and type of the further columns of the files.
        solve: inputs to targets, by an algorithm independent of the generator.
        splits_of: data to the split that each instance's canonical hash names.
        input_offset: what is added to the 0s and 1s of an input to make the network's.
        input_channels: channels of the network's input; a flat input gets one axis for it.
        text: ``(input, target)`` of the files to a drawing for a terminal.
    """

    name: str
    title: str
    description: str
    difficulty_name: str
    difficulties: tuple[int, ...]
    train_difficulty: int
    variants: tuple[str, ...] = ()
    reference: str
    check_difficulty: Callable[[int], int]
    default_samples: Callable[[int, str], int]
    stream_length: Callable[[DataSpec], int | None]
    first_distinct: Callable[[DataSpec, int, int | None], NDArray[np.uint64]]
    count_instances: Callable[[DataSpec], int | None]
    generate: Callable[[DataSpec, Array, int | None], Instances]
    encode: Callable[[Array, int, int | None], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    decode: Callable[[Array, Array], Array]
    shapes: Callable[[int], tuple[tuple[int, ...], tuple[int, ...]]]
    columns: Mapping[str, str]
    solve: Callable[[Array], NDArray[np.uint8]]
    splits_of: Callable[[Array, int], list[str]]
    input_offset: float
    input_channels: int
    text: Callable[[Array, Array], str]

    def check_variant(self, variant: str) -> str:
        """The variant, "" standing for the first; ValueError that lists them for any other name."""
        if variant == "":
            return self.variants[0] if self.variants else ""
        if variant not in self.variants:
            known = ", ".join(self.variants) or "it has none"
            raise ValueError(f"unknown variant {variant!r} of {self.name}: {known}")
        return variant

    def sample_count(self, spec: DataSpec, num_samples: int | None) -> int:
        """How many instances a set has: the number asked for, or the default, at most all there are.

        Raises:
            NotEnoughInstancesError: more were asked for than there are, or there is none.
            ValueError: num_samples below 1.
        """
        held = self.count_instances(spec)
        where = f"{spec.config} has {held} distinct instances in split {spec.split!r}"
        if num_samples is None:
            default = self.default_samples(spec.difficulty, spec.split)
            number = default if held is None else min(default, held)
            if number < 1:
                raise NotEnoughInstancesError(f"{where}: choose another split or a larger {self.difficulty_name}")
            return number
        if isinstance(num_samples, bool) or not isinstance(num_samples, (int, np.integer)) or num_samples < 1:
            raise ValueError(f"num_samples must be a whole number of at least 1, not {num_samples!r}")
        if held is not None and num_samples > held:
            raise NotEnoughInstancesError(f"{where}, fewer than the {num_samples} asked for")
        return int(num_samples)


def config_name(task: str, difficulty: int, variant: str = "") -> str:
    """The Hub config of a difficulty: the default variant has no part in the name."""
    return f"{task}_{difficulty}" if variant in ("", *get_task(task).variants[:1]) else f"{task}_{variant}_{difficulty}"


def get_task(name: str) -> Task:
    """The task of that name, or ValueError that lists them."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    return TASKS[name]


def generate(
    spec: DataSpec, num_samples: int | None = None, *, num_threads: int | None = None
) -> tuple[NDArray[np.uint64], Instances]:
    """The first distinct instances of a spec: what a dataset of that size holds.

    Args:
        spec: which instances.
        num_samples: how many; None for the task's default.
        num_threads: None for one a core. The result does not depend on it.

    Returns:
        ``(indices, instances)``: the item numbers, (N,) uint64 ascending, and the instances.

    Raises:
        NotEnoughInstancesError: the split holds fewer.
    """
    task = get_task(spec.task)
    indices = task.first_distinct(spec, task.sample_count(spec, num_samples), num_threads)
    return indices, task.generate(spec, indices, num_threads)


# ---- prefix sums


def _bits_samples(num_bits: int, split: str) -> int:
    return 10_000 if num_bits <= 2**13 else 1_000 if num_bits <= 2**16 else 100


def _count_bits(spec: DataSpec) -> int:
    return prefix_sums.count_instances(spec.difficulty, spec.split, spec.split_rule)


def _generate_bits(spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
    words = prefix_sums.sample_packed(
        spec.difficulty,
        indices,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )
    return Instances(data=words)


def _encode_bits(data: Array, num_bits: int, num_threads: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    parities = prefix_sums.solve_packed(data, num_bits)
    return prefix_sums.unpack(data, num_bits, num_threads), prefix_sums.unpack(parities, num_bits, num_threads)


def _splits_of_bits(data: Array, num_bits: int) -> list[str]:
    bits = prefix_sums.unpack(data, num_bits)
    return [split_of(value, total) for value, total in prefix_sums.canonical_hashes(bits)]


def _text_of_bits(bits: Array, parities: Array) -> str:
    lines = []
    for start in range(0, len(bits), 64):
        for label, row in (("bits  ", bits), ("parity", parities)):
            lines.append(f"{label} {start:>6} " + "".join("01"[int(v)] for v in row[start : start + 64]))
    return "\n".join(lines)


# ---- mazes


def _maze_samples(size: int, split: str) -> int:
    if size < 9:
        return 10_000 if split == "train" else 1_000
    if size <= 59:
        return 50_000 if split == "train" else 10_000
    return 1_000 if size <= 201 else 100


def _distinct_mazes(spec: DataSpec, count: int, num_threads: int | None) -> NDArray[np.uint64]:
    return mazes.first_distinct(
        count,
        size=spec.difficulty,
        variant=spec.variant,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )


def _count_mazes(spec: DataSpec) -> int | None:
    return mazes.count_instances(spec.difficulty, spec.variant, spec.split, spec.split_rule)


def _generate_mazes(spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
    batch = mazes.sample(
        spec.difficulty,
        indices,
        variant=check_variant(spec.variant),
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )
    hashes = np.array([f"{value:016x}" for value in batch.layout_hashes.tolist()], dtype="U16")
    return Instances(data=batch.cells, columns={"path_length": batch.path_lengths, "layout_hash": hashes})


def _encode_mazes(data: Array, size: int, num_threads: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return mazes.to_images(data, num_threads)


def _maze_shapes(size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    side = mazes.image_side(size)
    return (3, side, side), (side, side)


def _solve_mazes(inputs: Array) -> NDArray[np.uint8]:
    return mazes.solve(inputs)[0]


def _splits_of_mazes(data: Array, size: int) -> list[str]:
    return [split_of(int(value)) for value in mazes.layout_hashes(data)]


def _text_of_maze(image: Array, path: Array) -> str:
    red, green, blue = (np.asarray(image) > 0)[:, 1:-1:2, 1:-1:2]
    on_path = np.asarray(path)[1:-1:2, 1:-1:2] > 0
    symbols = np.where(blue, np.where(on_path, "··", "  "), "██")
    symbols = np.where(green & ~red, "S ", np.where(red & ~green, "G ", symbols))
    return "\n".join("".join(row) for row in symbols)


TASKS: Final[Mapping[str, Task]] = {
    task.name: task
    for task in (
        Task(
            name="prefix_sums",
            title="Prefix sums modulo two: the parity of every prefix of a bit string",
            description="`input` is the bit string, `target` the parity of each of its prefixes, lists of uint8.",
            difficulty_name="number of bits",
            difficulties=(*range(16, 65), 72, 128, 256, 512, 1024, 2048, 4096, 8192),
            train_difficulty=32,
            reference="Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011",
            check_difficulty=prefix_sums.check_num_bits,
            default_samples=_bits_samples,
            stream_length=lambda spec: _count_bits(spec) if prefix_sums.is_numbered(spec.difficulty) else None,
            first_distinct=lambda spec, count, num_threads: np.arange(count, dtype=np.uint64),
            count_instances=_count_bits,
            generate=_generate_bits,
            encode=_encode_bits,
            decode=lambda inputs, targets: prefix_sums.pack(inputs),
            shapes=lambda num_bits: ((num_bits,), (num_bits,)),
            columns={},
            solve=prefix_sums.solve,
            splits_of=_splits_of_bits,
            input_offset=-0.5,
            input_channels=1,
            text=_text_of_bits,
        ),
        Task(
            name="mazes",
            title="Mazes: the shortest path from the green start to the red goal",
            description=(
                "`input` is the picture, (3, H, W) uint8: free positions white, start green, goal red, "
                "H = W = 2 size + 6; `target` is (H, W) uint8, 1 on the shortest path; `path_length` counts its "
                "steps; `layout_hash` is equal for the mirrored and turned images of the same walls."
            ),
            difficulty_name="size",
            difficulties=(*range(9, 39, 2), 59, 71, 101, 201, 401, 801),
            train_difficulty=9,
            variants=mazes.VARIANTS,
            reference="Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011",
            check_difficulty=mazes.check_size,
            default_samples=_maze_samples,
            stream_length=lambda spec: None,
            first_distinct=_distinct_mazes,
            count_instances=_count_mazes,
            generate=_generate_mazes,
            encode=_encode_mazes,
            decode=mazes.from_images,
            shapes=_maze_shapes,
            columns={"path_length": "int32", "layout_hash": "string"},
            solve=_solve_mazes,
            splits_of=_splits_of_mazes,
            input_offset=0.0,
            input_channels=3,
            text=_text_of_maze,
        ),
    )
}
