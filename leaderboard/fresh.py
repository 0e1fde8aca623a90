"""How many fresh instances (those of another seed) the frozen benchmark contains anyway."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.storage.presets import benchmark_tests
from easy_to_hard.tasks import DataSpec, Instances, generate, get_task, parse_config


@lru_cache(maxsize=64)
def seen_shares(spec: DataSpec, num_items: int) -> tuple[float, float]:
    """The share of a test spec's first `num_items` instances that are also in the frozen test set of its config.

    Returns:
        ``(same_layout, same_instance)``, shares from 0 to 1: those equal to a frozen instance up to symmetry (where the
        files have a hash for that), and those exactly equal to one.
    """
    known = generate(replace(spec, seed=0), benchmark_tests()[spec.config].rows)[1]
    asked = generate(spec, num_items)[1]
    return _share(_layouts(asked), _layouts(known)), _share(_rows(asked), _rows(known))


def _share(asked: NDArray[Any], known: NDArray[Any]) -> float:
    return float(np.isin(asked, known).mean())


def _rows(instances: Instances) -> NDArray[Any]:
    """Each instance as a single comparable value."""
    return np.array([row.tobytes().hex() for row in instances.data])


def _layouts(instances: Instances) -> NDArray[Any]:
    hashes = [values for name, values in instances.columns.items() if name.endswith("_hash")]
    return hashes[0] if hashes else _rows(instances)


def seen_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Remarks on a result on fresh test instances: a line for each config in which many are not new.

    Args:
        result: in the form of a result file.
    """
    task = get_task(result["task"])
    if result["data_seed"] == 0 or result["split"] != "test":
        return
    if task.imported:
        yield f"{task.name} are read from a folder: another seed gives the same ones in another order"
        return
    for score in result["scores"]:
        _, variant, difficulty = parse_config(score["config"])
        if difficulty >= task.new_from or score["config"] not in benchmark_tests():
            continue
        spec = DataSpec(task=task.name, difficulty=difficulty, variant=variant, split="test", seed=result["data_seed"])
        # No more items than the frozen set has, whatever a file claims: more would not be more informative.
        layout, instance = seen_shares(spec, min(score["num_items"], benchmark_tests()[score["config"]].rows))
        yield (
            f"{score['config']}: of these fresh instances {100 * layout:.1f} % are in the frozen test set up to "
            f"symmetry, {100 * instance:.1f} % as they are; from {task.difficulty_name} {task.new_from} on hardly any"
        )
