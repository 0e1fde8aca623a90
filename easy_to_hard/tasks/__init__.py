"""The tasks: what each is, how graded, how drawn, how stored. Everything else in the package reads it from here.

A new task is one generator, one file here and one entry in `TASKS`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.random import check_seed
from easy_to_hard.generators.splits import check_split, check_split_rule
from easy_to_hard.tasks.chess_mates import CHESS_MATES
from easy_to_hard.tasks.chess_puzzles import CHESS_PUZZLES
from easy_to_hard.tasks.mazes import MAZES
from easy_to_hard.tasks.prefix_sums import PREFIX_SUMS
from easy_to_hard.tasks.task import Array as Array
from easy_to_hard.tasks.task import Instances as Instances
from easy_to_hard.tasks.task import Task as Task

TASKS: Final[Mapping[str, Task]] = {task.name: task for task in (PREFIX_SUMS, MAZES, CHESS_MATES, CHESS_PUZZLES)}


_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")


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


def config_name(task: str, difficulty: int, variant: str = "") -> str:
    """The Hub config of a difficulty: the default variant has no part in the name."""
    return f"{task}_{difficulty}" if variant in ("", *get_task(task).variants[:1]) else f"{task}_{variant}_{difficulty}"


def parse_config(name: str) -> tuple[str, str, int]:
    """Task, variant and difficulty of a config: the inverse of `config_name`.

    Raises:
        ValueError: no task has such a config.
    """
    for task in TASKS.values():
        for variant in ("", *task.variants[1:]):
            number = name.removeprefix(f"{task.name}_{variant}_" if variant else f"{task.name}_")
            if number != name and _NUMBER.fullmatch(number):
                return task.name, task.check_variant(variant), task.check_difficulty(int(number))
    raise ValueError(f"unknown config {name[:60]!r}: configs are named like {_some_configs()}")


def _some_configs() -> str:
    return ", ".join(config_name(task.name, task.train_difficulty) for task in TASKS.values())


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
