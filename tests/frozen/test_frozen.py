"""The benchmark's frozen version: whatever is generated today is what results were reported on."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from easy_to_hard.frozen import VERSION, frozen_manifest, frozen_problems, is_frozen
from easy_to_hard.storage.building import plan_shards
from easy_to_hard.storage.files import Chunk, TensorHash, make_chunk, sample_sha256
from easy_to_hard.storage.presets import PRESETS
from easy_to_hard.tasks import DataSpec, get_task

FILES = frozen_manifest()["files"]
# Files that are quick to make again whole: one of each task, one of a variant, one that is long.
WHOLE = (
    "prefix_sums_32/test",
    "prefix_sums_8192/test",
    "mazes_9/test",
    "mazes_looped_13/test",
    "mazes_201/test",
    "mazes_801/test",
    "chess_mates_2/validation",
)


def _spec(entry: dict[str, Any]) -> DataSpec:
    names = ("task", "difficulty", "variant", "split")
    return DataSpec(**{name: entry[name] for name in names})


def test_it_is_the_full_preset() -> None:
    manifest = frozen_manifest()
    assert (manifest["preset"], manifest["seed"], manifest["split_rule"]) == ("full", 0, "hash")
    assert [entry["path"] for entry in FILES] == [shard.path for shard in plan_shards(PRESETS["full"])]
    rows: Counter[tuple[str, str]] = Counter()
    for entry in FILES:
        rows[entry["config"], entry["split"]] += entry["rows"]
    assert rows == {(part.config, part.split): part.rows for part in PRESETS["full"]}


@pytest.mark.slow
@pytest.mark.parametrize("config", sorted({entry["config"] for entry in FILES}))
def test_a_sample_of_every_file_is_made_again(config: str) -> None:
    """Four rows a file, from the first to the last, from their item numbers alone."""
    for entry in FILES:
        if entry["config"] == config:
            chunk = make_chunk(_spec(entry), np.array(entry["sample"]["indices"], dtype=np.uint64), None)
            assert len(chunk) == min(4, entry["rows"])
            assert sample_sha256(chunk.inputs, chunk.targets) == entry["sample"]["sha256"], entry["path"]


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_are_made_again(name: str) -> None:
    entries = [entry for entry in FILES if entry["path"].startswith(f"{name}-")]
    spec, start = _spec(entries[0]), 0
    indices = get_task(spec.task).first_distinct(spec, sum(entry["rows"] for entry in entries), None)
    for entry in entries:
        tensors = TensorHash()
        for part in np.array_split(indices[start : start + entry["rows"]], -(-entry["rows"] // 500)):
            tensors.update(make_chunk(spec, part, None))
        start += entry["rows"]
        assert tensors.digests() == {key: entry[key] for key in ("inputs_sha256", "targets_sha256")}
        assert tensors.target_ones == entry["target_ones"]


def test_other_tensors_are_not_the_benchmark() -> None:
    manifest = frozen_manifest()
    assert is_frozen(manifest)
    assert list(frozen_problems(manifest, FILES)) == []
    # The files' own bytes depend on the version of pyarrow: they may differ.
    assert list(frozen_problems(manifest, [{**FILES[0], "sha256": "0" * 64}])) == []
    path, digest = FILES[0]["path"], FILES[0]["targets_sha256"]
    [told] = frozen_problems(manifest, [{**FILES[0], "targets_sha256": "0" * 64}])
    assert told == f"{path}: not the benchmark's {VERSION}, where targets_sha256 is {digest}, not {'0' * 64}"
    assert len(list(frozen_problems(manifest, [{**FILES[0], "path": "mazes_9/test-00007-of-00008.parquet"}]))) == 2
    assert list(frozen_problems({**manifest, "seed": 1}, [{**FILES[0], "targets_sha256": "0" * 64}])) == []


def test_hashes_are_of_rows_and_not_of_files() -> None:
    """The hash that is frozen, on two rows worked out by hand."""
    chunk = Chunk(
        indices=np.arange(2, dtype=np.uint64),
        inputs=np.array([[0, 1], [1, 1]], dtype=np.uint8),
        targets=np.array([[0, 1], [1, 0]], dtype=np.uint8),
        columns={},
    )
    import hashlib

    tensors = TensorHash()
    tensors.update(chunk)
    assert tensors.digests()["inputs_sha256"] == hashlib.sha256(bytes([0, 1, 1, 1])).hexdigest()
    assert tensors.digests()["targets_sha256"] == hashlib.sha256(bytes([0, 1, 1, 0])).hexdigest()
    assert tensors.target_ones == 2
    assert sample_sha256(chunk.inputs, chunk.targets) == hashlib.sha256(bytes([0, 1, 0, 1, 1, 1, 1, 0])).hexdigest()
