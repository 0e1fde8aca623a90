"""Shadow nets trained by several processes or machines: each trains one shard of them in a folder of its own."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from easy_to_hard.baselines.kit.precision import recorded_precision
from easy_to_hard.storage.writing import hold_folder

_RECORD: Final = "precision.json"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of several equal parts of the stacks that nets are trained in.

    Attributes:
        number: from 1.
        count: how many shards there are.

    Raises:
        ValueError: a number outside 1 to `count`.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"number must be from 1 to count, {self.count}, not {self.number}")

    def has(self, place: int) -> bool:
        """Whether the stack at this place, counted from 0, is in the shard."""
        return place % self.count == self.number - 1

    def folder(self, run: Path) -> Path:
        """Where the shard of a run is trained: beside the run's folder, such as `run-shard-1-of-4`."""
        return run.resolve().with_name(f"{run.resolve().name}-shard-{self.number}-of-{self.count}")


def collect_shards(run: Path) -> None:
    """Move the nets that shards have trained, and the run does not have, into the run's folder.

    Args:
        run: the folder, which must exist and belong to this process.

    Raises:
        ValueError: a shard is still being trained, or was trained with another precision than the run or the other
            shards.
    """
    whole = run.resolve()
    for folder in sorted(whole.parent.glob(f"{glob.escape(whole.name)}-shard-*-of-*")):
        with hold_folder(folder, "training of a shard"):
            parts = sorted(folder.rglob("*.pt"))
            if parts:
                _check_precision(folder, run)
            for part in parts:
                target = run / part.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    os.replace(part, target)


def _check_precision(folder: Path, run: Path) -> None:
    """Check that a shard has the run's precision, which is that of the first shard if the run has none yet."""
    found = recorded_precision(folder, "cpu")
    if not (run / _RECORD).is_file():
        (run / _RECORD).write_bytes((folder / _RECORD).read_bytes())
    wanted = recorded_precision(run, "cpu")
    if found != wanted:
        raise ValueError(f"{folder} was trained in {found}, but {run} in {wanted}: remove one of them")
