"""What a build holds: for each preset the configs, splits and numbers of rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from easy_to_hard.tasks import TASKS, config_name


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


def _parts(task: str, difficulties: Iterable[int], variant: str = "", **rows: int) -> Iterator[Part]:
    for difficulty in difficulties:
        for split, number in rows.items():
            yield Part(task=task, difficulty=difficulty, variant=variant, split=split, rows=number)


def _tiny() -> Iterator[Part]:
    yield from _parts("prefix_sums", [16], train=50, validation=20, test=20)
    yield from _parts("prefix_sums", [33, 100], test=20)
    yield from _parts("mazes", [9], train=50, validation=20, test=20)
    yield from _parts("mazes", [13], test=20)
    yield from _parts("mazes", [9], variant="looped", test=20)
    yield from _parts("chess_mates", [1], train=50, validation=20, test=20)
    yield from _parts("chess_mates", [2], test=20)


def _demo() -> Iterator[Part]:
    yield from _parts("prefix_sums", [32], train=40_000, validation=1_000, test=1_000)
    yield from _parts("prefix_sums", [64, 128, 256, 512, 1024], test=1_000)


def _small() -> Iterator[Part]:
    yield from _parts("prefix_sums", [16, 32], train=10_000, validation=1_000, test=1_000)
    yield from _parts("prefix_sums", [64, 128, 256, 512, 1024], test=1_000)
    yield from _parts("mazes", [9], train=10_000, validation=1_000, test=1_000)
    yield from _parts("mazes", [13, 17, 33], test=1_000)
    yield from _parts("mazes", [59], test=200)
    for variant in TASKS["mazes"].variants[1:]:
        yield from _parts("mazes", [9, 13], variant=variant, test=500)
    yield from _parts("chess_mates", [1], train=10_000, validation=1_000, test=1_000)
    yield from _parts("chess_mates", [2], test=1_000)
    yield from _parts("chess_mates", [3], test=200)


def _full() -> Iterator[Part]:
    """The counts of arXiv 2108.06011 where it has any: 10,000 strings, 50,000 and 10,000 mazes, 1,000 from 19 on."""
    strings, sizes = TASKS["prefix_sums"].difficulties, TASKS["mazes"].difficulties
    yield from _parts("prefix_sums", [16, 24, 32], train=40_000, validation=5_000, test=5_000)
    yield from _parts("prefix_sums", (n for n in strings if n not in (16, 24, 32)), test=10_000)
    yield from _parts("mazes", (s for s in sizes if s <= 17), train=50_000, validation=5_000, test=10_000)
    yield from _parts("mazes", (s for s in sizes if 17 < s <= 201), test=1_000)
    yield from _parts("mazes", (s for s in sizes if s > 201), test=100)
    for variant in TASKS["mazes"].variants[1:]:
        yield from _parts("mazes", [9], variant=variant, train=50_000, validation=5_000, test=10_000)
        yield from _parts("mazes", [13, 33, 59], variant=variant, test=1_000)
    yield from _parts("chess_mates", [1], train=50_000, validation=5_000, test=10_000)
    yield from _parts("chess_mates", [2], train=10_000, validation=1_000, test=10_000)
    yield from _parts("chess_mates", [3], test=2_000)
    yield from _parts("chess_mates", [4], test=1_000)
    yield from _parts("chess_mates", [5], test=200)


PRESETS: Final[Mapping[str, tuple[Part, ...]]] = {
    "tiny": tuple(_tiny()),
    "demo": tuple(_demo()),
    "small": tuple(_small()),
    "full": tuple(_full()),
}


def get_preset(name: str) -> tuple[Part, ...]:
    """The parts of a preset, or ValueError that lists the presets."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
