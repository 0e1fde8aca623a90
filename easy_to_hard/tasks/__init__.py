"""The tasks: what each one is, and how it is graded, generated and stored. The rest of the package reads it from here.

A new task is one generator, one file here with a subclass of `Task`, and one call of `register` below.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.tasks.chess_mates import ChessMates
from easy_to_hard.tasks.chess_puzzles import ChessPuzzles
from easy_to_hard.tasks.mazes import Mazes
from easy_to_hard.tasks.pieces import AnswerRules as AnswerRules
from easy_to_hard.tasks.pieces import Array as Array
from easy_to_hard.tasks.pieces import Instances as Instances
from easy_to_hard.tasks.pieces import PresetRows as PresetRows
from easy_to_hard.tasks.pieces import TaskText as TaskText
from easy_to_hard.tasks.prefix_sums import PrefixSums
from easy_to_hard.tasks.task import TASKS as TASKS
from easy_to_hard.tasks.task import DataSpec as DataSpec
from easy_to_hard.tasks.task import Task as Task
from easy_to_hard.tasks.task import config_name as config_name
from easy_to_hard.tasks.task import get_task as get_task
from easy_to_hard.tasks.task import register as register

register(PrefixSums())
register(Mazes())
register(ChessMates())
register(ChessPuzzles())

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")


def parse_config(name: str) -> tuple[str, str, int]:
    """The task, variant and difficulty of a config: the inverse of `config_name`.

    Raises:
        ValueError: no task has such a config.
    """
    for task in TASKS.values():
        variant, _, number = name.removeprefix(f"{task.name}_").rpartition("_")
        if not name.startswith(f"{task.name}_") or not _NUMBER.fullmatch(number):
            continue
        try:
            known = task.check_variant(variant)
        except ValueError:
            continue
        difficulty = task.check_difficulty(int(number))
        # The default variant has no place in a name.
        if config_name(task.name, difficulty, known) == name:
            return task.name, known, difficulty
    raise ValueError(f"unknown config {name[:60]!r}: configs are named like {_some_configs()}")


def _some_configs() -> str:
    return ", ".join(config_name(task.name, task.train_difficulty) for task in TASKS.values())


def generate(
    spec: DataSpec, num_samples: int | None = None, *, num_threads: int | None = None
) -> tuple[NDArray[np.uint64], Instances]:
    """Generate the first distinct instances of a spec: what a dataset of that size holds.

    Args:
        spec: which instances.
        num_samples: how many; None for the task's default.
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        ``(indices, instances)``: the item numbers, (N,) uint64 ascending, and the instances.

    Raises:
        NotEnoughInstancesError: the split holds fewer.

    Example:
        >>> from easy_to_hard import TASKS, DataSpec, generate
        >>> spec = DataSpec(task="mazes", difficulty=9, split="test")
        >>> indices, instances = generate(spec, 3)
        >>> indices
        array([0, 1, 2], dtype=uint64)
        >>> images, paths = TASKS["mazes"].encode(instances.data, spec.difficulty, None)
        >>> images.shape, paths.shape
        ((3, 3, 24, 24), (3, 24, 24))
    """
    task = get_task(spec.task)
    indices = task.first_distinct(spec, task.sample_count(spec, num_samples), num_threads)
    return indices, task.generate(spec, indices, num_threads)
