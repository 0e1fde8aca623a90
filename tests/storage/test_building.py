"""Building: what is on disk, and that a stopped build ends like one that was never stopped."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from easy_to_hard import build, verify
from easy_to_hard.generators.splits import NotEnoughInstancesError
from easy_to_hard.storage import building, journal
from easy_to_hard.storage.building import plan_shards, share_out
from easy_to_hard.storage.columns import arrow_schema, columns_of
from easy_to_hard.storage.files import read_shard
from easy_to_hard.storage.manifest import StorageError, read_manifest
from easy_to_hard.storage.presets import PRESETS, Part, get_preset
from easy_to_hard.tasks import TASKS, DataSpec, generate, get_task

MAZES = [Part(task="mazes", difficulty=9, split=split, rows=40) for split in ("train", "test")]


def _contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def test_folder_holds_only_what_is_published(tiny_folder: Path) -> None:
    manifest = read_manifest(tiny_folder)
    expected = {entry["path"] for entry in manifest["files"]}
    expected |= {"README.md", "manifest.json", "eval.draft.yaml", "croissant.json"}
    expected |= {f"images/{task}.png" for task in ("prefix_sums", "mazes", "chess_mates")}
    assert set(_contents(tiny_folder)) == expected
    assert manifest["preset"] == "tiny"
    assert sum(entry["rows"] for entry in manifest["files"]) == sum(part.rows for part in PRESETS["tiny"])


def test_manifest_hashes_are_those_of_files_and_tensors(tiny_folder: Path) -> None:
    for entry in read_manifest(tiny_folder)["files"]:
        path = tiny_folder / entry["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        chunks = list(read_shard(path, get_task(entry["task"]), entry["difficulty"]))
        inputs = np.concatenate([chunk.inputs for chunk in chunks])
        targets = np.concatenate([chunk.targets for chunk in chunks])
        assert hashlib.sha256(inputs.tobytes()).hexdigest() == entry["inputs_sha256"]
        assert hashlib.sha256(targets.tobytes()).hexdigest() == entry["targets_sha256"]


@pytest.mark.parametrize("name", [name for name in TASKS if not TASKS[name].imported])
def test_rows_are_the_first_distinct_instances(name: str, tiny_folder: Path) -> None:
    task = get_task(name)
    entry = next(e for e in read_manifest(tiny_folder)["files"] if e["task"] == name and e["split"] == "train")
    chunk = next(read_shard(tiny_folder / entry["path"], task, entry["difficulty"]))
    indices, instances = generate(DataSpec(task=name, difficulty=entry["difficulty"]), entry["rows"])
    inputs, targets = task.encode(instances.data, entry["difficulty"], None)
    assert np.array_equal(chunk.indices, indices)
    assert np.array_equal(chunk.inputs, inputs)
    assert np.array_equal(chunk.targets, targets)
    assert {k: v.tolist() for k, v in chunk.columns.items()} == {k: v.tolist() for k, v in instances.columns.items()}


def test_load_dataset_reads_the_folder(tiny_folder: Path, tmp_path: Path) -> None:
    import datasets

    names = datasets.get_dataset_config_names(str(tiny_folder))
    assert set(names) == {part.config for part in PRESETS["tiny"]}
    for name in names:
        part = next(part for part in PRESETS["tiny"] if part.config == name)
        data = datasets.load_dataset(str(tiny_folder), name, split=part.split, cache_dir=str(tmp_path))
        assert len(data) == part.rows
        columns = columns_of(get_task(part.task), part.difficulty)
        assert data.features.arrow_schema.serialize().equals(arrow_schema(columns).serialize())
        row = data.with_format("numpy")[0]
        chunk = next(
            read_shard(next((tiny_folder / name).glob(f"{part.split}-*")), get_task(part.task), part.difficulty)
        )
        if get_task(part.task).stores_tensors:
            assert row["input"].shape == get_task(part.task).shapes(part.difficulty)[0]
            assert np.array_equal(row["input"], chunk.inputs[0])
            assert np.array_equal(row["target"], chunk.targets[0])
        assert {column: row[column] for column in chunk.columns} == {
            column: values[0] for column, values in chunk.columns.items()
        }


def test_streaming_reads_the_folder(tiny_folder: Path) -> None:
    import datasets

    rows = datasets.load_dataset(str(tiny_folder), "mazes_9", split="test", streaming=True)
    assert sum(1 for _ in rows) == 20


def test_columns_are_compressed_with_zstd(tiny_folder: Path) -> None:
    file = pq.ParquetFile(next(tiny_folder.glob("mazes_9/train-*")))
    assert {file.metadata.row_group(0).column(c).compression for c in range(file.metadata.num_columns)} == {"ZSTD"}


def test_bytes_do_not_depend_on_threads(tmp_path: Path, tiny_folder: Path) -> None:
    build(tmp_path / "one", preset="tiny", num_threads=1, progress=False)
    build(tmp_path / "three", preset="tiny", num_threads=3, progress=False)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "three") == _contents(tiny_folder)


def test_another_seed_gives_other_data(tmp_path: Path, tiny_folder: Path) -> None:
    build(tmp_path, preset="tiny", seed=1, progress=False)
    other = {e["path"]: e["inputs_sha256"] for e in read_manifest(tmp_path)["files"]}
    mine = {e["path"]: e["inputs_sha256"] for e in read_manifest(tiny_folder)["files"]}
    assert set(other) == set(mine)
    assert not set(other.values()) & set(mine.values())


def test_large_parts_are_cut_into_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path / "whole", parts=MAZES, progress=False)
    monkeypatch.setattr(building, "_SHARD_BYTES", 2**15)
    build(tmp_path / "cut", parts=MAZES, progress=False)
    paths = sorted((tmp_path / "cut" / "mazes_9").glob("train-*"))
    assert [path.name for path in paths] == [f"train-{i:05d}-of-00003.parquet" for i in range(3)]
    task = get_task("mazes")
    cut = np.concatenate([chunk.inputs for path in paths for chunk in read_shard(path, task, 9)])
    whole = next(read_shard(tmp_path / "whole" / "mazes_9" / "train-00000-of-00001.parquet", task, 9))
    assert np.array_equal(cut, whole.inputs)
    assert not verify(tmp_path / "cut", progress=False).problems


def test_plan_covers_every_row_once() -> None:
    for preset in PRESETS.values():
        for part in preset:
            shards = plan_shards([part])
            assert shards[0].start == 0
            assert shards[-1].stop == part.rows
            assert all(a.stop == b.start for a, b in pairwise(shards))


def test_stopped_build_goes_on_and_ends_the_same(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = building.write_shard, []

    def stop_at_the_fifth(path, *rest):  # type: ignore[no-untyped-def]
        if len(written) == 4:
            path.write_bytes(b"half a file")
            raise KeyboardInterrupt
        written.append(path.name)
        return write(path, *rest)

    monkeypatch.setattr(building, "write_shard", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, preset="tiny", num_threads=1, progress=False)
    assert not (tmp_path / "manifest.json").exists()
    monkeypatch.setattr(building, "write_shard", write)
    report = build(tmp_path, preset="tiny", progress=False)
    assert report.kept == 4
    assert report.made == len(PRESETS["tiny"]) - 4
    assert _contents(tmp_path) == _contents(tiny_folder)


def test_torn_journal_line_and_damaged_shard_are_made_again(tmp_path: Path, tiny_folder: Path) -> None:
    build(tmp_path, preset="tiny", progress=False)
    entries = read_manifest(tmp_path)
    state = tmp_path / ".build"
    state.mkdir()
    plan = {**{k: v for k, v in entries.items() if k != "files"}, "paths": [e["path"] for e in entries["files"]]}
    lines = [json.dumps(plan), *(json.dumps(entry) for entry in entries["files"][:5])]
    (state / "all.jsonl").write_text("\n".join(lines) + '\n{"path": "mazes_9/te')
    (tmp_path / "manifest.json").unlink()
    damaged = tmp_path / entries["files"][1]["path"]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    report = build(tmp_path, preset="tiny", progress=False)
    assert report.kept == 4
    assert _contents(tmp_path) == _contents(tiny_folder)


def test_finished_build_is_checked_not_made_again(tmp_path: Path, tiny_folder: Path) -> None:
    build(tmp_path, preset="tiny", progress=False)
    assert build(tmp_path, preset="tiny", progress=False).made == 0
    next(tmp_path.glob("mazes_9/train-*")).unlink()
    assert build(tmp_path, preset="tiny", progress=False).made == 1
    assert _contents(tmp_path) == _contents(tiny_folder)


KILLED = """
import sys
from easy_to_hard import build
from easy_to_hard.storage.presets import Part
parts = [Part(task="mazes", difficulty=9, variant=v, split="train", rows=1500)
         for v in ("depth_first", "wilson", "kruskal", "open_start", "looped")]
parts += [Part(task="mazes", difficulty=size, split="test", rows=300) for size in (13, 21, 33)]
build(sys.argv[1], parts=parts, preset="killed", num_threads=1, progress=False)
"""


@pytest.mark.posix
@pytest.mark.slow
def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """Kill a build once some shards are whole, twice; the third run ends with the bytes of an unbroken one."""
    for whole in (1, 3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "killed")])
        deadline = time.monotonic() + 120
        while len(list((tmp_path / "killed").glob("*/*-of-*.parquet"))) <= whole and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert process.poll() is None, "the build ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / "manifest.json").exists()
    for name in ("killed", "unbroken"):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=True)
    assert _contents(tmp_path / "killed") == _contents(tmp_path / "unbroken")
    assert not verify(tmp_path / "killed", progress=False).problems


def test_two_builds_do_not_share_a_folder(tmp_path: Path) -> None:
    from filelock import FileLock

    tmp_path.joinpath("data").mkdir()
    with FileLock(tmp_path / "data" / ".lock"), pytest.raises(StorageError, match="another process is building there"):
        build(tmp_path / "data", preset="tiny", progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "tiny", "seed": 1}, r"holds another dataset \(seed 0, not 1\)"),
        ({"preset": "tiny", "split_rule": "original"}, r"\(split_rule 'hash', not 'original'\)"),
        ({"preset": "demo"}, r"\(preset 'tiny', not 'demo'\)"),
        ({"preset": "tiny", "parts": MAZES}, "other files"),
    ],
)
def test_another_build_does_not_overwrite(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    build(tmp_path, preset="tiny", progress=False)
    before = _contents(tmp_path)
    with pytest.raises(StorageError, match=message):
        build(tmp_path, progress=False, **arguments)  # type: ignore[arg-type]
    assert _contents(tmp_path) == before


@pytest.mark.parametrize("shard", [None, (1, 3)])
def test_strange_folders_are_refused(shard: tuple[int, int] | None, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StorageError, match=r"is not empty and holds no dataset: found thesis\.tex"):
        build(tmp_path, preset="tiny", shard=shard, progress=False)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(StorageError, match="is a file, not a folder"):
        build(tmp_path / "thesis.tex", preset="tiny", progress=False)


def test_too_many_rows_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    parts = [Part(task="prefix_sums", difficulty=4, split="test", rows=3)]
    with pytest.raises(NotEnoughInstancesError, match="prefix_sums_4 has 2 distinct instances in split 'test'"):
        build(tmp_path / "data", parts=parts, progress=False)
    assert not (tmp_path / "data").exists()


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match="unknown preset 'big': choose one of tiny, demo, small, full"):
        get_preset("big")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"manifest\.json is missing: is .* a finished build"),
        ("{", "is not valid JSON"),
        ('{"format": 99, "files": []}', "format 99 is not known to this version"),
    ],
)
def test_unreadable_manifests(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StorageError, match=message):
        read_manifest(tmp_path)


def test_a_folder_built_anew_is_not_read_from_the_old_cache(tmp_path: Path) -> None:
    """`load_dataset` takes two folders of one path for the same unless the README's YAML differs."""
    import datasets

    read = []
    for seed in (0, 1):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        build(tmp_path / "data", parts=MAZES, seed=seed, progress=False)
        data = datasets.load_dataset(str(tmp_path / "data"), "mazes_9", split="test", cache_dir=str(tmp_path / "cache"))
        read.append(data["layout_hash"][:])
    assert read[0] != read[1]


@pytest.mark.parametrize("number", [1, 3, 7])
def test_shares_joined_are_the_single_build(number: int, tmp_path: Path, tiny_folder: Path) -> None:
    """Each share in a folder of its own, as on machines without a common disk, then copied together."""
    made = 0
    for index in range(1, number + 1):
        report = build(tmp_path / str(index), preset="tiny", shard=(index, number), num_threads=1, progress=False)
        assert report.missing == len(PRESETS["tiny"]) - report.made
        assert not {"README.md", "manifest.json"} & set(_contents(tmp_path / str(index)))
        made += report.made
        shutil.copytree(tmp_path / str(index), tmp_path / "joined", dirs_exist_ok=True)
    assert made == len(PRESETS["tiny"])
    report = build(tmp_path / "joined", preset="tiny", progress=False)
    assert (report.made, report.kept, report.missing) == (0, made, 0)
    assert _contents(tmp_path / "joined") == _contents(tiny_folder)


def test_shares_in_one_folder_at_the_same_time(tmp_path: Path, tiny_folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        reports = list(
            pool.map(lambda i: build(tmp_path, preset="tiny", shard=(i, 3), num_threads=1, progress=False), (1, 2, 3))
        )
    assert sum(report.made for report in reports) == len(PRESETS["tiny"])
    assert build(tmp_path, preset="tiny", progress=False).made == 0
    assert _contents(tmp_path) == _contents(tiny_folder)


def test_a_share_begins_while_another_one_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first share stops between listing the locks and listing the folder, until the second one has locked its share.
    listed, share_locks = threading.Event(), journal._share_locks

    def list_slowly(root: Path) -> list[Path]:
        found = share_locks(root)
        if not listed.is_set():
            listed.set()
            for _ in range(50):
                if (root / ".lock-2-of-2").exists():
                    break
                time.sleep(0.01)
        return found

    monkeypatch.setattr(journal, "_share_locks", list_slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(build, tmp_path, preset="tiny", shard=(1, 2), num_threads=1, progress=False)
        assert listed.wait(30)
        second = build(tmp_path, preset="tiny", shard=(2, 2), num_threads=1, progress=False)
    assert first.result().made + second.made == len(PRESETS["tiny"])


def test_what_a_share_lacks_is_made_when_all_are_joined(tmp_path: Path, tiny_folder: Path) -> None:
    build(tmp_path, preset="tiny", shard=(2, 3), progress=False)
    share = build(tmp_path, preset="tiny", shard=(2, 3), progress=False)
    assert share.made == 0
    report = build(tmp_path, preset="tiny", progress=False)
    assert (report.kept, report.made) == (share.kept, len(PRESETS["tiny"]) - share.kept)
    assert _contents(tmp_path) == _contents(tiny_folder)


def test_a_share_of_another_dataset_is_refused(tmp_path: Path) -> None:
    build(tmp_path, preset="tiny", shard=(2, 3), progress=False)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(StorageError, match=r"holds another dataset \(seed 0, not 1\)"):
        build(tmp_path, preset="tiny", seed=1, shard=(1, 3), progress=False)
    assert sorted(os.listdir(tmp_path)) == before, "the lock of the share that was built is still there"


def test_the_whole_waits_for_no_share(tmp_path: Path) -> None:
    from filelock import FileLock

    with (
        FileLock(tmp_path / ".lock-2-of-3"),
        pytest.raises(StorageError, match="another process is building there"),
    ):
        build(tmp_path, preset="tiny", progress=False)
    with (
        FileLock(tmp_path / ".lock-2-of-3"),
        pytest.raises(StorageError, match="another process is building there"),
    ):
        build(tmp_path, preset="tiny", shard=(2, 3), progress=False)
    assert build(tmp_path, preset="tiny", shard=(1, 3), progress=False).made > 0


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 0)])
def test_shares_that_there_are_not(shard: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shard must be \(i, n\) with i from 1 to n, not \(\d, \d\)"):
        build(tmp_path / "data", preset="tiny", shard=shard, progress=False)
    assert not (tmp_path / "data").exists()


def test_shares_take_about_the_same_time() -> None:
    shards = plan_shards(PRESETS["full"])
    for number in (2, 8, 64):
        shares = share_out(shards, number)
        assert sorted(shard.path for share in shares for shard in share) == sorted(shard.path for shard in shards)
        times = [sum(map(building._seconds, share)) for share in shares]
        longest = max(map(building._seconds, shards))
        assert max(times) <= sum(times) / number + longest


def test_num_bytes_are_those_of_load_dataset(tiny_folder: Path, tmp_path: Path) -> None:
    import datasets

    for entry in read_manifest(tiny_folder)["files"]:
        files = {entry["split"]: str(tiny_folder / entry["path"])}
        data = datasets.load_dataset("parquet", data_files=files, split=entry["split"], cache_dir=str(tmp_path))
        assert data.info.splits[entry["split"]].num_bytes == entry["num_bytes"]


def test_samples_and_ones_are_those_of_the_rows(tiny_folder: Path) -> None:
    for entry in read_manifest(tiny_folder)["files"]:
        task = get_task(entry["task"])
        chunk = next(read_shard(tiny_folder / entry["path"], task, entry["difficulty"]))
        assert entry["target_ones"] == chunk.targets.sum(dtype=int)
        rows = [0, *(round(i * (len(chunk) - 1) / 3) for i in (1, 2)), len(chunk) - 1]
        assert entry["sample"]["indices"] == chunk.indices[rows].tolist()
        made = hashlib.sha256()
        for index in entry["sample"]["indices"]:
            spec = DataSpec(
                task=task.name, difficulty=entry["difficulty"], variant=entry["variant"], split=entry["split"]
            )
            instances = task.generate(spec, np.array([index], dtype=np.uint64), 1)
            for values in task.encode(instances.data, entry["difficulty"], 1):
                made.update(values.tobytes())
        assert entry["sample"]["sha256"] == made.hexdigest()


def test_an_interrupt_ends_a_build_at_once(tmp_path: Path) -> None:
    """Even where threads look for mates in 5, which takes minutes and cannot be broken off."""
    # Where processes are not forked, Python warns of semaphores that are left.
    code = "import multiprocessing as m; m.set_start_method('spawn'); from easy_to_hard.cli import run; run()"
    command = [sys.executable, "-c", code, "build", "--out", str(tmp_path), "--preset", "full", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / ".build" / "all.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told == "stopped; run the same command again to continue after the finished files\n"
