"""What a build holds: for each preset, the configs, splits and numbers of rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from easy_to_hard.generators.splits import SPLITS
from easy_to_hard.tasks import TASKS, Task, config_name


@dataclass(frozen=True, kw_only=True)
class Part:
    """One split of one config.

    Attributes:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, moves to mate.
        variant: a variant of the task, "" for the default.
        split: "train", "validation" or "test".
        rows: number of instances.
    """

    task: str
    difficulty: int
    variant: str = ""
    split: str
    rows: int

    @property
    def config(self) -> str:
        """Name of the Hub config."""
        return config_name(self.task, self.difficulty, self.variant)


class _Presets(Mapping[str, tuple[Part, ...]]):
    """The parts of each preset, task by task; looked up each time, so that they cover all registered tasks."""

    _names = ("tiny", "demo", "small", "full", "maze-unique", "mates-balanced")

    def __getitem__(self, name: str) -> tuple[Part, ...]:
        if name not in self._names:
            raise KeyError(name)
        return _parts(name, tuple(TASKS.values()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@lru_cache(maxsize=16)
def _parts(preset: str, tasks: tuple[Task, ...]) -> tuple[Part, ...]:
    return tuple(
        Part(task=task.name, difficulty=difficulty, variant=rows.variant, split=split, rows=number)
        for task in tasks
        for rows in task.presets.get(preset, ())
        for difficulty in rows.difficulties
        for split, number in zip(SPLITS, (rows.train, rows.validation, rows.test), strict=True)
        if number
    )


PRESETS: Final[Mapping[str, tuple[Part, ...]]] = _Presets()


def get_preset(name: str) -> tuple[Part, ...]:
    """Return the parts of a preset, or raise ValueError that lists the presets."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def benchmark_tests() -> Mapping[str, Part]:
    """The test splits of the benchmark (the preset "full"), by config."""
    return _tested(PRESETS["full"])


@lru_cache(maxsize=16)
def _tested(parts: tuple[Part, ...]) -> Mapping[str, Part]:
    return MappingProxyType({part.config: part for part in parts if part.split == "test"})
