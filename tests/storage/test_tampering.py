"""Manifests of strangers, damaged caches, data that claims to be the benchmark: nothing of the user is touched."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from hub_session import HubSession, hub_session

from easy_to_hard import build, load, verify
from easy_to_hard.cli import main
from easy_to_hard.datasets import sources
from easy_to_hard.frozen import absent_files, frozen_manifest, is_proven_by_its_bytes
from easy_to_hard.hub.content import forget_cached
from easy_to_hard.storage import files
from easy_to_hard.storage.files import file_sha256, write_atomically
from easy_to_hard.storage.manifest import StorageError, absent_shards, parse_manifest, read_manifest
from easy_to_hard.storage.presets import PRESETS, Part

MAZES = "mazes_9/test-00000-of-00001.parquet"
CLIENT = """
from huggingface_hub import HfApi
from easy_to_hard import load
def put(folder):
    api = HfApi()
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    api.upload_folder(folder_path=folder, repo_id=repo, repo_type="dataset")
def get(task="mazes", difficulty=9, **options):
    return load(task, difficulty, **{"split": "test", "source": "hub", "repo_id": repo, **options})
"""
# Of the benchmark, and small.
BENCHMARK = "mazes_wilson_13/test-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, HubSession]]:
    with HubServer() as hub, hub_session(hub, tmp_path_factory.mktemp("home")) as session:
        session.answer(CLIENT)
        yield hub, session


@pytest.fixture
def hub(running: tuple[HubServer, HubSession]) -> Iterator[HubServer]:
    running[0].clear()
    yield running[0]
    running[0].behave()


@pytest.fixture
def client(running: tuple[HubServer, HubSession], tmp_path: Path) -> HubSession:
    """The module's client, with a repo and a cache of its own for each test."""
    cache, repo_id = tmp_path / "cache", f"me/{tmp_path.name.strip('_')}"
    running[1].answer(f"import huggingface_hub.constants as c; c.HF_HUB_CACHE = {str(cache)!r}; repo = {repo_id!r}")
    return running[1]


def _failure(client: HubSession, code: str) -> str:
    told = client.run(code)
    assert told.error, "nothing failed"
    assert "\n" not in told.message
    return f"{told.error}: {told.message}"


def _forged(folder: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a folder with another manifest."""
    shutil.copytree(folder, to)
    manifest = json.loads((to / "manifest.json").read_text())
    change(manifest)
    (to / "manifest.json").write_text(json.dumps(manifest))
    return to


def _entry(manifest: dict[str, Any], path: str) -> dict[str, Any]:
    return next(entry for entry in manifest["files"] if entry["path"] == path)


# Manifests


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "../../precious.txt"}, "1: '../../precious.txt' is not the path of a shard, such as mazes_9/test-0"),
        ({"path": "/etc/passwd"}, "'/etc/passwd' is not the path of a shard"),
        ({"path": "../prefix_sums_16/train-00000-of-00001.parquet"}, "is not the path of a shard"),
        ({"path": "prefix_sums_16/train-00000-of-00001.parquet\n"}, "is not the path of a shard"),
        ({"path": "prefix_sums_16\\train-00000-of-00001.parquet"}, "is not the path of a shard"),
        ({"path": "prefix_sums_16/train-00001-of-00001.parquet"}, "is not the path of a shard"),
        ({"path": 5}, "file 1: path is 5, but must be of type str"),
        ({"config": "mazes_9"}, "config is 'mazes_9', and the path is prefix_sums_16/train-"),
        ({"split": "test"}, "split is 'test', and the path is prefix_sums_16/train-"),
        ({"difficulty": 24}, "config is 'prefix_sums_16', and the task's is 'prefix_sums_24'"),
        ({"sha256": "0" * 63}, "sha256 must be 64 hexadecimal digits, not '000"),
        ({"targets_sha256": "x" * 64}, "targets_sha256 must be 64 hexadecimal digits"),
        ({"sha256": None}, "sha256 is None, but must be of type str"),
        ({"rows": 0}, "rows must be at least 1, not 0"),
        ({"rows": True}, "rows is True, but must be of type int"),
        ({"rows": 1.5}, "rows is 1.5, but must be of type int"),
    ],
)
def test_entries_that_cannot_be(change: dict[str, Any], message: str, tiny_folder: Path) -> None:
    manifest = read_manifest(tiny_folder)
    assert manifest["files"][0]["path"] == "prefix_sums_16/train-00000-of-00001.parquet"
    manifest["files"][0].update(change)
    with pytest.raises(StorageError) as caught:
        parse_manifest(json.dumps(manifest).encode(), "there")
    assert str(caught.value).startswith("there, file 1: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["path", "config", "task", "difficulty", "variant", "split", "rows", "bytes",
                                  "num_bytes", "sha256", "inputs_sha256", "targets_sha256", "target_ones"])  # fmt: skip
def test_every_key_is_needed(name: str, tiny_folder: Path) -> None:
    manifest = read_manifest(tiny_folder)
    del manifest["files"][3][name]
    with pytest.raises(StorageError, match=rf"there, file 4: {name} is missing, but must be of type (str|int)"):
        parse_manifest(json.dumps(manifest).encode(), "there")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": ["x"]}, "file 1: must be an object, not 'x'"),
        ({"seed": "0"}, "seed is '0', but must be of type int"),
        ({"preset": None}, "preset is None, but must be of type str"),
        ({"edges": ["low"]}, "edges must be whole numbers"),
        ({"edges": 3}, "edges must be whole numbers"),
    ],
)
def test_manifests_that_cannot_be(change: dict[str, Any], message: str, tiny_folder: Path, tmp_path: Path) -> None:
    _forged(tiny_folder, tmp_path / "data", lambda manifest: manifest.update(change))
    with pytest.raises(StorageError, match=message):
        read_manifest(tmp_path / "data")
    assert main(["verify", str(tmp_path / "data"), "--quiet"]) == 1


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"{", b"3"])
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(StorageError, match=r"^there\b.*(is not valid JSON|is not known to this version)"):
        parse_manifest(content, "there")


def test_files_that_are_named_twice_or_of_two_numbers(tiny_folder: Path) -> None:
    manifest = read_manifest(tiny_folder)
    first = manifest["files"][0]
    twice = {**manifest, "files": [first, first]}
    with pytest.raises(StorageError, match=f"there names {first['path']} twice"):
        parse_manifest(json.dumps(twice).encode(), "there")
    other = {**first, "path": "prefix_sums_16/train-00000-of-00002.parquet"}
    with pytest.raises(StorageError, match=r"train-00000-of-00002.parquet where others of .* are of 00001"):
        parse_manifest(json.dumps({**manifest, "files": [first, other]}).encode(), "there")


def test_a_repo_cannot_name_files_of_the_user(tiny_folder: Path, client: HubSession, tmp_path: Path) -> None:
    precious = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file in precious:
        file.write_text("my thesis")
    for number, path in enumerate((str(precious[0]), "../" * 20 + str(precious[1]).lstrip("/"))):

        def name(manifest: dict[str, Any], path: str = path) -> None:
            _entry(manifest, MAZES).update(path=path)

        folder = _forged(tiny_folder, tmp_path / f"evil{number}", name)
        failed = _failure(client, f"put({str(folder)!r}); get()")
        assert failed.startswith("StorageError: me/")
        assert "is not the path of a shard" in failed
    assert [file.read_text() for file in precious] == ["my thesis"] * 2


# The cache


@pytest.mark.posix
def test_only_what_is_in_the_cache_is_removed_from_it(tiny_folder: Path, client: HubSession, tmp_path: Path) -> None:
    """A link in the cache that somebody made leads to a file of theirs."""
    mine = tmp_path / "mine.parquet"
    mine.write_bytes(b"my own file")
    client.answer(f"put({str(tiny_folder)!r}); get()")
    [link] = (tmp_path / "cache").rglob(MAZES)
    stored = link.resolve()
    link.unlink()
    link.symlink_to(mine)
    assert client.answer("answer = len(get())") == 20
    assert mine.read_bytes() == b"my own file"
    assert link.resolve() == stored
    # The file itself is removed where it is damaged.
    stored.write_bytes(b"damaged")
    forget_cached(link)
    assert not stored.exists()
    assert not link.is_symlink()


def test_one_damaged_file_takes_no_other_with_it(
    tiny_folder: Path, hub: HubServer, client: HubSession, tmp_path: Path
) -> None:
    client.answer(f"put({str(tiny_folder)!r}); get(); get(difficulty=13)")
    [link] = (tmp_path / "cache").rglob(MAZES)
    content = bytearray(link.read_bytes())
    content[100] ^= 1
    link.resolve().write_bytes(content)
    # As without a network.
    hub.misbehave("refuse")
    assert f"{MAZES}: SHA-256 is" in _failure(client, "get()")
    assert client.answer("answer = len(get(difficulty=13))") == 20
    hub.behave()
    assert client.answer("answer = len(get())") == 20


def test_a_manifest_of_a_newer_version_stays(
    tiny_folder: Path, hub: HubServer, client: HubSession, tmp_path: Path
) -> None:
    folder = _forged(tiny_folder, tmp_path / "newer", lambda manifest: manifest.update(format=9))
    client.answer(f"put({str(folder)!r})")
    for fault in (False, True):
        if fault:
            hub.misbehave("refuse")
        assert "manifest.json: format 9 is not known to this version (2)" in _failure(client, "get()")
        assert len(list((tmp_path / "cache").rglob("manifest.json"))) == 1
    assert hub.downloads() == ["manifest.json"]


# All files of a split


@pytest.fixture
def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a split in three files; the second one is gone, and the manifest says nothing of it."""
    monkeypatch.setattr("easy_to_hard.storage.building._SHARD_BYTES", 2**15)
    build(tmp_path / "cut", parts=[Part(task="mazes", difficulty=9, split="test", rows=40)], progress=False)
    manifest = json.loads((tmp_path / "cut" / "manifest.json").read_text())
    gone = manifest["files"].pop(1)
    (tmp_path / "cut" / gone["path"]).unlink()
    (tmp_path / "cut" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "cut"


def test_a_split_without_one_of_its_files(cut: Path) -> None:
    gone = "mazes_9/test-00001-of-00003.parquet"
    assert absent_shards(read_manifest(cut)["files"]) == [gone]
    assert verify(cut, progress=False).problems == (
        f"manifest.json: {gone} is missing",
        f"croissant.json: {gone} is not in the manifest",
    )
    with pytest.raises(StorageError, match=f"lacks {gone}: its manifest.json does not name it"):
        load("mazes", 9, split="test", source="folder", root=cut)


def test_the_benchmark_without_one_of_its_files(tmp_path: Path) -> None:
    manifest = frozen_manifest()
    assert absent_files(manifest) == []
    assert absent_files({**manifest, "files": manifest["files"][:-2]}) == [e["path"] for e in manifest["files"][-2:]]
    assert absent_files({**manifest, "seed": 1, "files": []}) == []
    part = next(part for part in PRESETS["full"] if (part.config, part.split) == ("mazes_wilson_13", "test"))
    build(tmp_path, preset="full", parts=[part], progress=False)
    problems = verify(tmp_path, progress=False).problems
    assert f"manifest.json: {manifest['files'][0]['path']} is missing" in problems
    assert len(problems) == len(manifest["files"]) - 1


# The benchmark


@pytest.fixture
def benchmark_part(tmp_path: Path) -> Path:
    """The benchmark's manifest, and one of its files."""
    part = next(part for part in PRESETS["full"] if (part.config, part.split) == ("mazes_wilson_13", "test"))
    build(tmp_path / "full", preset="full", parts=[part], progress=False)
    return tmp_path / "full"


def _other_data(folder: Path, rows: int) -> None:
    """Put other mates in place of the benchmark's; the manifest says all it should but for the file's own hash."""
    part = next(part for part in PRESETS["full"] if (part.config, part.split) == ("mazes_wilson_13", "test"))
    other = folder.parent / "other"
    build(
        other,
        parts=[Part(task=part.task, difficulty=13, variant=part.variant, split="test", rows=rows)],
        seed=1,
        preset="full",
        progress=False,
    )
    shutil.copy(other / BENCHMARK, folder / BENCHMARK)
    manifest = json.loads((folder / "manifest.json").read_text())
    _entry(manifest, BENCHMARK)["sha256"] = file_sha256(folder / BENCHMARK)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(other)


def test_other_data_under_the_name_of_the_benchmark(benchmark_part: Path, client: HubSession) -> None:
    rows = _entry(frozen_manifest(), BENCHMARK)["rows"]
    assert len(load("mazes", 13, variant="wilson", split="test", source="folder", root=benchmark_part)) == rows
    for number, message in (
        (rows, "inputs_sha256 of the decoded tensors is"),
        (5, f"5 rows, the manifest says {rows}"),
    ):
        _other_data(benchmark_part, number)
        with pytest.raises(StorageError, match=f"{BENCHMARK}: {message}"):
            load("mazes", 13, variant="wilson", split="test", source="folder", root=benchmark_part)
        told = _failure(client, f"put({str(benchmark_part)!r}); get(difficulty=13, variant='wilson')")
        assert f"{BENCHMARK}: {message}" in told


def test_the_benchmark_written_by_another_pyarrow(benchmark_part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other bytes, the same tensors: they are hashed then, and only then."""
    import pyarrow.parquet as pq

    hashed: list[int] = []
    update = files.TensorHash.update

    def noted(self: files.TensorHash, chunk: files.Chunk) -> None:
        hashed.append(len(chunk))
        update(self, chunk)

    monkeypatch.setattr(files.TensorHash, "update", noted)
    manifest = read_manifest(benchmark_part)
    if is_proven_by_its_bytes(manifest, _entry(manifest, BENCHMARK)):
        load("mazes", 13, variant="wilson", split="test", source="folder", root=benchmark_part)
        assert not hashed
    pq.write_table(pq.read_table(benchmark_part / BENCHMARK), benchmark_part / BENCHMARK, compression="snappy")
    manifest = json.loads((benchmark_part / "manifest.json").read_text())
    _entry(manifest, BENCHMARK)["sha256"] = file_sha256(benchmark_part / BENCHMARK)
    (benchmark_part / "manifest.json").write_text(json.dumps(manifest))
    data = load("mazes", 13, variant="wilson", split="test", source="folder", root=benchmark_part)
    assert sum(hashed) == len(data) == _entry(frozen_manifest(), BENCHMARK)["rows"]


def test_a_folder_that_says_it_is_the_benchmark_must_be(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _forged(tiny_folder, tmp_path / "data", lambda manifest: manifest.update(preset="full"))
    with pytest.raises(StorageError, match=f"{MAZES}: not the benchmark's v1, where inputs_sha256 is"):
        load("mazes", 9, split="test", source="folder", root=folder)


def test_rows_are_counted(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _forged(tiny_folder, tmp_path / "data", lambda manifest: _entry(manifest, MAZES).update(rows=21))
    with pytest.raises(StorageError, match=f"{MAZES}: 20 rows, the manifest says 21"):
        load("mazes", 9, split="test", source="folder", root=folder)


# Arguments


@pytest.mark.parametrize("revision", ["", 1, b"v1"])
@pytest.mark.parametrize("where", [{"source": "hub", "repo_id": "a/b"}, {}])
def test_revisions_that_are_none(revision: object, where: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="revision must be a tag, branch or commit, or None for the newest, not"):
        load("mazes", 9, num_samples=2, revision=revision, **where)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="revision must be"):
        sources.check_source("generate", None, revision)  # type: ignore[arg-type]


# Full disks


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("before")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(tmp_path / "README.md", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "before"
