"""Prediction files: their format, how they are read and checked, and templates to fill in.

A file answers every item of the frozen test split of each config it names (mazes_59: items 0 to 999). An answer is the
target row by row, each entry 0 or 1: L entries for a string of L bits, 64 for a chess board (8 x 8), H x W for a maze
of size s, where H = W = 2 s + 6.

Parquet (.parquet), one row per item, in any order, for any number of configs; other columns are ignored:

- ``config``: string, such as "mazes_59"
- ``index``: an integer type, the item's number, from 0 on, in the frozen test split
- ``prediction``: a list (or fixed-size list) of an integer type or of booleans; in a list of lists, each list is a row
- ``iterations`` (optional): an integer type, iterations used for the item, 1 to 10^9
- key-value metadata ``easy_to_hard.data`` (optional): "v1:<SHA-256 of the frozen manifest>", as in a template

NumPy (.npz, without pickles), for each config:

- ``<config>``: (items, ...target shape) or (items, entries), an integer type or bool, in C order
- ``<config>.index`` (optional): (items,) integers, which item each row is; 0, 1, 2, ... if absent
- ``<config>.iterations`` (optional): (items,) integers, 1 to 10^9
- ``data`` (optional): a string, like ``easy_to_hard.data`` above

Whatever a file claims is compared with the benchmark before the predictions are read, so a small file that unpacks to
gigabytes is rejected for its size. No pickle is ever loaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.leaderboard.submissions.checks import (
    Plan,
    check_values,
    frozen_part,
    named_errors,
    num_entries,
    target_shape,
)
from easy_to_hard.leaderboard.submissions.npz import plan_npz, write_npz
from easy_to_hard.leaderboard.submissions.parquet import plan_parquet, write_parquet
from easy_to_hard.storage.writing import replacing

_READERS: Final = {".parquet": plan_parquet, ".npz": plan_npz}
_WRITERS: Final = {".parquet": write_parquet, ".npz": write_npz}


@dataclass(frozen=True, kw_only=True)
class ConfigPredictions:
    """The answers to all items of a config's frozen test split, in their order.

    Attributes:
        config: such as "mazes_59".
        predictions: (rows, *target shape) uint8 in {0, 1}.
        iterations: (rows,) int64, at least 1; None where the file does not say.
    """

    config: str
    predictions: NDArray[np.uint8]
    iterations: NDArray[np.int64] | None


def benchmark_rows(config: str) -> int:
    """The number of items in the frozen test split of a config.

    Raises:
        ValueError: the benchmark has no such config; the message suggests similar names.
    """
    return frozen_part(config).rows


def configs_in(path: Path) -> tuple[str, ...]:
    """The configs that a prediction file answers; the predictions are not read.

    Raises:
        ValueError: the file is not a valid submission, as far as can be told without the predictions.
    """
    with named_errors(path):
        return tuple(_plan(path, "").iterations)


def read_submission(path: Path, *, task: str = "") -> Iterator[ConfigPredictions]:
    """Read a prediction file, one config at a time.

    Names, numbers, types, sizes and iterations are checked at once; the predictions' values are checked as they are
    read. Therefore, write a result only after the iterator is exhausted.

    Args:
        path: a .parquet or .npz file.
        task: the only task that the file may be for; "" for any.

    Returns:
        One entry per config, in the order in which they are complete. Memory holds a batch and the answers to the
        configs that have been started, one byte per entry (mazes_201: 166 MB; all of the benchmark: 957 MB).

    Raises:
        ValueError: the file is not a valid submission; one line gives the file, the config and item, what was found,
            and what is allowed. Errors in the predictions themselves are raised by the iterator.
    """
    with named_errors(path):
        plan = _plan(path, task)
        if plan.doubt:
            for batch in plan.batches():
                check_values(batch)
            raise ValueError(plan.doubt)
    return _collect(path, plan)


def write_template(configs: Sequence[str], out: Path) -> int:
    """Write a valid submission in which every prediction is 0, to be filled in; whole or not at all.

    Args:
        configs: which configs, each once.
        out: a .parquet or .npz file; its folder is created if missing.

    Returns:
        The number of items.

    Raises:
        ValueError: a config is unknown or named twice, there is none, or the file has a different extension.
    """
    with named_errors(out):
        _check_suffix(out)
        if not configs or len(set(configs)) != len(configs):
            raise ValueError(f"a template is of configs, each named once, not of {', '.join(configs) or 'none'}")
        rows = sum(benchmark_rows(config) for config in configs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        _WRITERS[out.suffix.lower()](temporary, tuple(configs))
    return rows


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in _READERS:
        raise ValueError(f"the name of a prediction file ends in {' or '.join(_READERS)}, not in {path.suffix!r}")


def _plan(path: Path, task: str) -> Plan:
    if not path.exists():
        raise ValueError("there is no such file")
    if not path.is_file():
        raise ValueError(f"{'a folder' if path.is_dir() else 'no file'}: a .parquet or .npz file is wanted")
    _check_suffix(path)
    if path.stat().st_size == 0:
        raise ValueError("the file is empty (0 bytes)")
    return _READERS[path.suffix.lower()](path, task)


def _collect(path: Path, plan: Plan) -> Iterator[ConfigPredictions]:
    """Put the answers in the order of the items; a config is yielded as soon as it is complete."""
    begun: dict[str, NDArray[np.uint8]] = {}
    left = {config: benchmark_rows(config) for config in plan.iterations}
    with named_errors(path):
        for batch in plan.batches():
            check_values(batch)
            config = batch.config
            if config not in begun:
                begun[config] = np.empty((left[config], num_entries(config)), dtype=np.uint8)
            begun[config][batch.indices] = batch.values
            left[config] -= len(batch.indices)
            if left[config] == 0:
                # Popped, so that it is kept in memory only as long as the caller keeps it.
                yield ConfigPredictions(
                    config=config,
                    predictions=begun.pop(config).reshape(-1, *target_shape(config)),
                    iterations=plan.iterations[config],
                )
