"""Datasets from the Hub: the same tensors as made here, only what is wanted, of one version, and nothing damaged."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import run_client
from hub_server import HubServer
from hub_session import HubSession, hub_session

from easy_to_hard.storage.manifest import read_manifest

REPO = "me/graded"
PUT = """
from huggingface_hub import HfApi
def put(folder, repo="me/graded", tag=None):
    api = HfApi()
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    commit = api.upload_folder(folder_path=folder, repo_id=repo, repo_type="dataset")
    if tag:
        api.create_tag(repo, tag=tag, repo_type="dataset")
    return commit.oid
"""
GET = """
import torch
from easy_to_hard import load
def get(task="mazes", difficulty=9, **options):
    options = {"split": "test", "source": "hub", "repo_id": "me/graded", **options}
    return load(task, difficulty, **options)
def same(one, other):
    pairs = ((one.inputs, other.inputs), (one.targets, other.targets))
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)
"""
MAZES = "mazes_9/test-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def served(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, HubSession]]:
    """A Hub with the tiny preset, tag v1, and a client."""
    with HubServer() as server, hub_session(server, tmp_path_factory.mktemp("home")) as session:
        session.answer(PUT + GET + f"put({str(tiny_folder)!r}, tag='v1')")
        yield server, session


@pytest.fixture
def client(served: tuple[HubServer, HubSession], tmp_path: Path) -> Iterator[HubSession]:
    """The client, with an empty cache; the server behaves again afterwards."""
    served[1].answer(f"import huggingface_hub.constants as c; c.HF_HUB_CACHE = {str(tmp_path / 'cache')!r}")
    served[0].clear()
    yield served[1]
    served[0].behave()


def _failure(client: HubSession, code: str) -> str:
    """The error that code raises."""
    told = client.run(code)
    assert told.error, "nothing failed"
    return f"{told.error}: {told.message}"


def _cached(cache: Path) -> list[str]:
    """What lies in a cache of `served` besides the manifest and bookkeeping."""
    manifests = list(cache.rglob("manifest.json"))
    files = {path for path in cache.rglob("*") if path.is_file()}
    files -= {*manifests, *(path.resolve() for path in manifests)}
    return [path.name for path in files if path.parent.name != "refs" and path.suffix not in (".lock", ".TAG")]


def test_every_config_gives_the_tensors_that_are_generated(client: HubSession, tiny_folder: Path) -> None:
    for entry in read_manifest(tiny_folder)["files"]:
        where = {"task": entry["task"], "difficulty": entry["difficulty"], "variant": entry["variant"]}
        code = f"""
where = dict({where!r}, split={entry["split"]!r})
data = get(**where)
made = load(**where, num_samples={entry["rows"]})
answer = [len(data), same(data, made), data.commit]
"""
        rows, equal, commit = client.answer(code)
        assert (rows, equal) == (entry["rows"], True)
        assert len(commit) == 40


def test_classes_read_from_the_hub(client: HubSession) -> None:
    answers = client.answer("""
from easy_to_hard import ChessMateDataset, MazeDataset, PrefixSumDataset
hub = {"source": "hub", "repo_id": "me/graded", "revision": "v1"}
pairs = [
    (PrefixSumDataset("unused", 16, split="test", **hub), PrefixSumDataset("unused", 16, split="test", num_samples=20)),
    (MazeDataset("unused", train=False, **hub), MazeDataset("unused", train=False, num_samples=20)),
    (MazeDataset("unused", size=9, num_samples=7, **hub), MazeDataset("unused", size=9, num_samples=7)),
    (ChessMateDataset("unused", 2, train=False, **hub), ChessMateDataset("unused", 2, train=False, num_samples=20)),
]
answer = [[same(*pair), str(pair[0])] for pair in pairs]
""")
    assert [equal for equal, _ in answers] == [True] * 4
    assert "20 items, source hub at " in answers[0][1]


def test_only_the_wanted_files_come_and_only_once(
    client: HubSession, served: tuple[HubServer, HubSession], tmp_path: Path
) -> None:
    client.run("get()")
    assert served[0].downloads() == ["manifest.json", MAZES]
    served[0].clear()
    client.run("get()")
    assert served[0].downloads() == []
    assert len(_cached(tmp_path / "cache")) == 2  # the file, and the link to it


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("error", {"status": 500, "times": 2}),
        ("error", {"status": 503, "times": 1}),
        ("error", {"status": 429, "retry_after": 0.2, "times": 1}),
        ("cut", {"times": 1}),
        ("cut", {"times": 1, "after": 5}),
        ("refuse", {"times": 1}),
        ("slow", {"seconds": 0.05, "times": 4}),
        ("wrong_bytes", {"times": 1}),
        ("wrong_etag", {"times": 2}),
    ],
)
@pytest.mark.parametrize("match", ["manifest.json", "parquet"])
def test_what_passes_is_tried_again(
    kind: str, options: dict[str, Any], match: str, client: HubSession, served: tuple[HubServer, HubSession]
) -> None:
    fault = served[0].misbehave(kind, match, **options)
    assert client.answer("answer = same(get(), load('mazes', 9, split='test', num_samples=20))")
    assert fault.struck


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("error", {"status": 500}, r"HubError: cannot get mazes_9/test-\S+ of the dataset me/graded@\w{12}.*HTTP 500"),
        ("error", {"status": 403}, r"HubError: cannot get .*HTTP 403"),
        (
            "error",
            {"status": 429, "retry_after": 900},
            r"HubError: cannot get .*HTTP 429.*the server asks to wait 900 s",
        ),
        ("cut", {}, r"HubError: cannot get mazes_9"),
        ("refuse", {}, r"HubError: cannot get mazes_9"),
        (
            "wrong_bytes",
            {},
            rf"StorageError: me/graded@\w{{12}}/{MAZES}: SHA-256 is [0-9a-f]{{64}}, the manifest says ",
        ),
    ],
)
def test_what_stays_wrong_is_one_line_and_leaves_nothing(
    kind: str, options: dict[str, Any], message: str, client: HubSession, served: tuple[HubServer, HubSession],
    tmp_path: Path,
) -> None:  # fmt: skip
    served[0].misbehave(kind, "parquet", **options)
    failed = _failure(client, "get()")
    assert re.search(message, failed)
    assert "\n" not in failed
    assert _cached(tmp_path / "cache") == []
    served[0].behave()
    assert client.answer("answer = len(get())") == 20


@pytest.mark.parametrize("kind", ["wrong_etag", "wrong_bytes"])
def test_a_manifest_that_is_not_the_hubs_is_refused_and_not_kept(
    kind: str, client: HubSession, served: tuple[HubServer, HubSession], tmp_path: Path
) -> None:
    served[0].misbehave(kind, "manifest.json")
    failed = _failure(client, "get()")
    told = (
        r"HubError: me/graded@\w{12}/manifest.json: its hash is [0-9a-f]{40}, the Hub says [0-9a-f]{40}; the file was"
    )
    assert re.match(told, failed)
    assert not list((tmp_path / "cache").rglob("manifest.json"))
    served[0].behave()
    assert client.answer("answer = len(get())") == 20


def test_files_under_a_wrong_name_are_right(client: HubSession, served: tuple[HubServer, HubSession]) -> None:
    """The manifest's hash counts, and not what the server calls the file."""
    fault = served[0].misbehave("wrong_etag", "parquet")
    assert client.answer("answer = same(get(), load('mazes', 9, split='test', num_samples=20))")
    assert fault.struck


@pytest.mark.slow
def test_tampered_files_are_refused_with_both_hashes(tiny_folder: Path, hub: HubServer, tmp_path: Path) -> None:
    entry = next(entry for entry in read_manifest(tiny_folder)["files"] if entry["path"] == MAZES)
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + GET + f"put({str(tiny_folder)!r})")
        content = bytearray((tiny_folder / MAZES).read_bytes())
        content[100] ^= 1
        hub.tamper(REPO, MAZES, bytes(content))
        failed = _failure(client, "get()")
    assert MAZES in failed
    assert entry["sha256"] in failed
    assert hashlib.sha256(content).hexdigest() in failed


@pytest.mark.slow
def test_a_repo_that_says_it_is_the_benchmark_must_be(tiny_folder: Path, hub: HubServer, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "data")
    manifest = {**read_manifest(tiny_folder), "preset": "full"}
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + GET + f"put({str(tmp_path / 'data')!r})")
        failed = _failure(client, "get()")
    assert re.search(rf"StorageError: .*{MAZES}: not the benchmark's v1, where inputs_sha256 is", failed)


@pytest.mark.slow
def test_versions_are_pinned(tiny_folder: Path, hub: HubServer, tmp_path: Path) -> None:
    from easy_to_hard import build
    from easy_to_hard.storage.presets import Part

    parts = [Part(task="mazes", difficulty=9, split="test", rows=5)]
    build(tmp_path / "newer", parts=parts, preset="newer", progress=False)
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + GET + f"commit = put({str(tiny_folder)!r}, tag='v1'); put({str(tmp_path / 'newer')!r})")
        lengths = "answer = [len(get(revision='v1')), len(get()), len(get(revision=commit)), len(get(revision='main'))]"
        assert client.answer(lengths) == [20, 5, 20, 5]
        for revision in ("v2", "0" * 40):
            failed = _failure(client, f"get(revision={revision!r})")
            assert re.search(f"HubError: .*me/graded@{revision[:12]}.*no such revision", failed)
    # What came is there without a network, by tag, branch and commit.
    hub.clear()
    with hub_session(hub, tmp_path / "home", offline=True) as client:
        assert client.answer(GET + "answer = [len(get(revision='v1')), len(get())]") == [20, 5]
        failed = _failure(client, "get(difficulty=13, revision='v1')")
        assert re.search(r"HubError: cannot get .*mazes_13.*HF_HUB_OFFLINE is set", failed)
    assert hub.requests == []


@pytest.mark.slow
def test_without_a_network_the_cache_is_read(tiny_folder: Path, tmp_path: Path) -> None:
    """HF_HUB_OFFLINE is not set: the server does not answer, then it is gone."""
    with hub_session(server := HubServer(), tmp_path / "home") as client:
        with server:
            client.answer(PUT + GET + f"put({str(tiny_folder)!r}); get()")
            for kind in ("refuse", "error"):
                server.misbehave(kind)
                assert client.answer("answer = len(get())") == 20
        assert client.answer("answer = len(get())") == 20
        failed = _failure(client, "get(difficulty=13)")
        assert re.search("HubError: cannot get mazes_13", failed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, r"StorageError: me/graded@\w{12} was made with seed 0, not 1"),
        ({"split_rule": "original"}, r"was made with split_rule 'hash', not 'original'"),
        ({"difficulty": 11}, r"me/graded@\w{12} has no mazes_11: it holds mazes_9, mazes_13, mazes_looped_9"),
        ({"difficulty": 13, "split": "train"}, r"has no split 'train' of mazes_13: it holds test"),
        ({"num_samples": 21}, "num_samples must be from 1 to 20, as many as hub me/graded has, not 21"),
        ({"repo_id": "graded"}, "ValueError: a Hub repo is named owner/name"),
        ({"repo_id": None}, "ValueError: source 'hub' needs repo_id='owner/name'"),
        ({"repo_id": "me/nothing"}, r"HubError: cannot get manifest.json .* me/nothing .*HTTP 404.*no such repo"),
        ({"source": "generate"}, "ValueError: repo_id 'me/graded' is for source 'hub', not for source 'generate'"),
        ({"source": "original"}, "ValueError: the authors' files are read by PrefixSumDataset, "),
        ({"task": "chess_puzzles", "source": "generate", "repo_id": None}, "chess_puzzles are read, not made"),
        ({"task": "chess_puzzles", "difficulty": 1200}, "has no chess_puzzles_1200: it holds no chess_puzzles at all"),
    ],
)  # fmt: skip
def test_wrong_arguments(options: dict[str, Any], message: str, client: HubSession) -> None:
    failed = _failure(client, f"get(**{options!r})")
    assert re.search(message, failed)


@pytest.mark.slow
def test_converted_puzzles_come_band_by_band(converted: Path, hub: HubServer, tmp_path: Path) -> None:
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + GET + f"put({str(converted)!r})")
        code = """
from easy_to_hard import ChessPuzzleDataset
options = {"rating": (1450, 1700), "split": "train"}
near = ChessPuzzleDataset("unused", source="hub", repo_id="me/graded", **options)
answer = [same(near, ChessPuzzleDataset(FOLDER, **options)), near.fens == ChessPuzzleDataset(FOLDER, **options).fens]
""".replace("FOLDER", repr(str(converted)))
        assert client.answer(code) == [True, True]
        assert set(hub.downloads()) == {
            "manifest.json",
            *(f"chess_puzzles_{low}/train-00000-of-00001.parquet" for low in (1400, 1600)),
        }
        code = f"""
from easy_to_hard.tasks import DataSpec
near = get("chess_puzzles", 1600)
answer = [len(near), same(near, load("chess_puzzles", 1600, split="test", source="folder", root={str(converted)!r}))]
"""
        rows, equal = client.answer(code)
        assert rows > 0
        assert equal


@pytest.mark.slow
def test_kill_9_in_a_download_leaves_nothing_that_is_taken_for_whole(
    tiny_folder: Path, hub: HubServer, tmp_path: Path
) -> None:
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + f"put({str(tiny_folder)!r})")
    slow = hub.misbehave("slow", "GET .*parquet", seconds=60)
    with hub_session(hub, tmp_path / "home") as client:
        client._process.stdin.write(json.dumps(GET + "get()") + "\n")  # type: ignore[union-attr]
        client._process.stdin.flush()  # type: ignore[union-attr]
        while not slow.struck:
            assert client._process.poll() is None
    hub.behave()
    with hub_session(hub, tmp_path / "home") as client:
        assert client.answer(GET + "answer = same(get(), load('mazes', 9, split='test', num_samples=20))")


@pytest.mark.slow
def test_verify_reads_a_repo(tiny_folder: Path, hub: HubServer, tmp_path: Path) -> None:
    with hub_session(hub, tmp_path / "home") as client:
        client.answer(PUT + f"put({str(tiny_folder)!r}, tag='v1')")
    done = run_client(hub, ["verify", "me/graded@v1", "--quiet"], tmp_path / "other")
    assert (done.returncode, done.stderr) == (0, "")
    assert "all is well, 370 rows in 14 files" in done.stdout
    hub.tamper(REPO, MAZES, (tiny_folder / MAZES).read_bytes()[:-1])
    done = run_client(hub, ["verify", "me/graded", "--quiet"], tmp_path / "another")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert MAZES in done.stderr
    done = run_client(hub, ["verify", "me/graded@v9"], tmp_path / "another")
    assert done.returncode == 1
    assert "no such revision" in done.stderr
