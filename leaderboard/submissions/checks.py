"""Checks of what a prediction file must hold: the configs, items and values of the frozen test split."""

import difflib
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from easy_to_hard.frozen import VERSION
from easy_to_hard.storage.presets import Part, benchmark_tests
from easy_to_hard.tasks import TASKS, parse_config

# How many values of predictions are unpacked at a time: about 50 MB in 64 bits with Arrow's levels.
BATCH_VALUES: Final = 2**22

# Most iterations for one item: more than anyone runs, and few enough to be summed without overflow.
MOST_ITERATIONS: Final = 10**9

# What Arrow, zipfile and NumPy raise for truncated or overwritten files.
_BROKEN: Final = (
    pa.ArrowException,
    OSError,
    MemoryError,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Answers to some items of a config.

    Attributes:
        config: such as "mazes_59".
        indices: (n,) int64, numbers of the items.
        values: (n, entries) of any integer or float type.
    """

    config: str
    indices: NDArray[np.int64]
    values: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A file that has been checked except for its predictions.

    Attributes:
        iterations: config -> (rows,) int64 in the order of the items, or None; one entry for each config of the file.
        doubt: why the predictions cannot be right, if that is known; reading them may give a more precise reason.
        batches: reads the predictions.
    """

    iterations: Mapping[str, NDArray[np.int64] | None]
    doubt: str
    batches: Callable[[], Iterator[Batch]]


def _exists(config: str) -> bool:
    try:
        parse_config(config)
    except ValueError:
        return False
    return True


def frozen_part(config: str) -> Part:
    """The frozen test split of a config; if there is none, ValueError suggests similar names."""
    tested = benchmark_tests()
    if config in tested:
        return tested[config]
    for task in TASKS.values():
        if task.imported and config.startswith(task.name):
            raise ValueError(f"{config}: the benchmark has no {task.name}; score a model or a callable with --root")
    # Only the beginning is compared: a name may be as long as the file.
    near = difflib.get_close_matches(config[:60], tested, n=4) or list(tested)[:4]
    if _exists(config):
        raise ValueError(f"{config} is in no frozen split, as {near[0]} is: a model or a callable can be scored on it")
    raise ValueError(f"the benchmark has no config {config[:60]!r}: perhaps you meant {' or '.join(near)}")


def all_rows() -> int:
    """The number of items in the test splits of all configs together."""
    return sum(part.rows for part in benchmark_tests().values())


def target_shape(config: str) -> tuple[int, ...]:
    """The shape of the target of one item of a config."""
    part = frozen_part(config)
    return TASKS[part.task].shapes(part.difficulty)[1]


def num_entries(config: str) -> int:
    """The number of entries in one answer for a config."""
    return prod(target_shape(config))


@cache
def data_version() -> str:
    """The benchmark that predictions are for: "v1:<SHA-256 of its manifest>"."""
    manifest = files("easy_to_hard.frozen") / f"{VERSION}.json"
    return f"{VERSION}:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn whatever can go wrong with a file into a ValueError of one line that starts with its name."""
    name = path.name or str(path)
    try:
        yield
    except _BROKEN as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{name}: damaged, or not a {path.suffix.lower()} file at all ({told})") from error
    except ValueError as error:
        told = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{name}: {told}") from error


def check_config(config: str, task: str) -> None:
    """Raise ValueError unless the benchmark has the config, and it is of the task; "" stands for any task."""
    part = frozen_part(config)
    if task and part.task != task:
        raise ValueError(f"{config} is of {part.task}: only configs of {task} are scored here")


def check_version(found: str) -> None:
    """Raise ValueError if predictions are for data other than the benchmark's."""
    if found != data_version():
        raise ValueError(f"made for the data {found[:90]!r}, not for the benchmark's {data_version()!r}")


def check_index(config: str, index: NDArray[Any]) -> NDArray[np.int64]:
    """Return item numbers as int64; ValueError unless they are 0 to rows - 1, each once."""
    rows = frozen_part(config).rows
    wrong = np.flatnonzero((index < 0) | (index >= rows))
    if wrong.size:
        raise ValueError(f"{config} has no item {int(index[wrong[0]])}: 0 to {rows - 1} are allowed")
    numbers = index.astype(np.int64)
    counts = np.bincount(numbers, minlength=rows)
    more, absent = np.flatnonzero(counts > 1), np.flatnonzero(counts == 0)
    if more.size:
        first = f"the first is index {int(more[0])} ({int(counts[more[0]])} times)"
        raise ValueError(f"{config} holds {more.size:,} of {rows:,} items more than once, {first}")
    if absent.size:
        raise ValueError(f"{config} lacks {absent.size:,} of {rows:,} items, the first is index {int(absent[0])}")
    return numbers


def ordered_iterations(config: str, index: NDArray[np.int64], iterations: NDArray[Any]) -> NDArray[np.int64]:
    """Return the iterations in the order of the items; ValueError if one is not allowed."""
    wrong = np.flatnonzero((iterations < 1) | (iterations > MOST_ITERATIONS))
    if wrong.size:
        item, value = int(index[wrong[0]]), int(iterations[wrong[0]])
        raise ValueError(f"{config}, index {item}: iterations is {value}, 1 to {MOST_ITERATIONS:,} are allowed")
    ordered = np.empty(len(index), dtype=np.int64)
    ordered[index] = iterations
    return ordered


def check_values(batch: Batch) -> None:
    """Raise ValueError for the first entry that is neither 0 nor 1 or, for floats, the first that is not a number."""
    values = batch.values
    if values.dtype.kind == "f":
        wrong = np.isnan(values)
    elif values.max(initial=0) > 1 or values.min(initial=0) < 0:
        wrong = (values > 1) | (values < 0)
    else:
        return
    row, entry = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    if wrong[row, entry]:
        value = "NaN" if values.dtype.kind == "f" else int(values[row, entry])
        item = f"{batch.config}, index {int(batch.indices[row])}"
        raise ValueError(f"{item}: entry {int(entry)} of the prediction is {value}, only 0 and 1 are allowed")
