"""Publishing: only what was verified is sent, nothing of others is taken away, and a lost reader is no success."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import client_environment
from hub_server import HubServer
from hub_session import HubSession, Told, hub_session

from easy_to_hard import build
from easy_to_hard.storage.presets import Part

CLIENT = """
from dataclasses import asdict
from pathlib import Path
from huggingface_hub import HfApi
import easy_to_hard.hub.publish as publishing
import easy_to_hard.hub.repo as hub_repo

def send(folder, repo_id, **options):
    return asdict(publishing.publish(folder, repo_id, progress=False, **options))

@contextlib.contextmanager
def before(holder, name, action):
    kept = getattr(holder, name)
    def other(*arguments, **options):
        action()
        return kept(*arguments, **options)
    setattr(holder, name, other)
    try:
        yield
    finally:
        setattr(holder, name, kept)
"""
PARTS = (
    Part(task="prefix_sums", difficulty=16, split="train", rows=20),
    Part(task="mazes", difficulty=9, split="test", rows=5),
)
SHARD = "prefix_sums_16/train-00000-of-00001.parquet"
MAZES = "mazes_9/test-00000-of-00001.parquet"
WRITES = ("POST", "PUT", "DELETE")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, HubSession]]:
    with HubServer() as hub, hub_session(hub, tmp_path_factory.mktemp("home")) as session:
        session.answer(CLIENT)
        yield hub, session


@pytest.fixture
def hub(running: tuple[HubServer, HubSession]) -> HubServer:
    """The module's Hub; each test has repos of its own."""
    running[0].clear()
    return running[0]


@pytest.fixture
def session(running: tuple[HubServer, HubSession]) -> HubSession:
    return running[1]


@pytest.fixture
def repo_id(request: pytest.FixtureRequest) -> str:
    return "org/" + re.sub(r"\W+", "-", request.node.name).strip("-")[:80]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "data"
    build(root, preset="custom", parts=PARTS, progress=False)
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without the mazes."""
    root = tmp_path_factory.mktemp("smaller") / "data"
    build(root, preset="custom", parts=PARTS[:1], progress=False)
    return root


def _send(folder: Path, repo_id: str, **options: Any) -> str:
    return f"answer = send({str(folder)!r}, {repo_id!r}, **{options!r})"


def _fails(told: Told, kind: str, *parts: str) -> None:
    assert told.error == kind, told
    assert "\n" not in told.message
    for part in parts:
        assert part in told.message


def _writes(hub: HubServer) -> list[str]:
    return [request.path for request in hub.requests if request.method in WRITES]


def _published(files: Path) -> dict[str, bytes]:
    paths = {path.relative_to(files).as_posix(): path for path in files.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.startswith(".")}


# What is sent is what was verified


@pytest.mark.parametrize("name", [SHARD, "README.md", "manifest.json", "images/mazes.png"])
def test_a_file_that_changes_while_the_folder_is_verified(
    name: str, hub: HubServer, session: HubSession, folder: Path, repo_id: str
) -> None:
    change = f"lambda: Path({str(folder / name)!r}).write_bytes(b'other')"
    told = session.run(
        "kept = publishing.verify\n"
        f"change = {change}\n"
        "def verify(*arguments, **options):\n"
        "    report = kept(*arguments, **options)\n"
        "    change()\n"
        "    return report\n"
        "publishing.verify = verify\n"
        "try:\n"
        f"    {_send(folder, repo_id, revision='v1')}\n"
        "finally:\n"
        "    publishing.verify = kept\n"
    )
    changed = f"{name}: changed in the meantime, its SHA-256 is "
    _fails(told, "UnsoundFolderError", changed + "d9298a10d1b0735837dc4bd85dac641b")
    assert not _writes(hub)


@pytest.mark.parametrize("name", [SHARD, "README.md"])
def test_a_file_that_changes_before_it_is_sent(
    name: str, hub: HubServer, session: HubSession, folder: Path, repo_id: str
) -> None:
    told = session.run(
        f"change = lambda: Path({str(folder / name)!r}).write_bytes(b'other')\n"
        "with before(hub_repo.Repo, 'commit', change):\n"
        f"    {_send(folder, repo_id, revision='v1')}"
    )
    _fails(told, "HubError", f"{folder / name} changed while it was being published: give the same command again")
    assert hub.files(repo_id).keys() == {".gitattributes"}
    assert not hub.repo(repo_id).tags


@pytest.mark.posix
@pytest.mark.parametrize(
    "name", [SHARD, "README.md", "images/mazes.png", "images", "eval.draft.yaml", "croissant.json"]
)
def test_links_are_not_published(
    name: str, hub: HubServer, session: HubSession, folder: Path, tmp_path: Path, repo_id: str
) -> None:
    (folder / name).rename(tmp_path / "secret")
    (folder / name).symlink_to(tmp_path / "secret")
    told = session.run(_send(folder, repo_id))
    _fails(told, "UnsoundFolderError", name, ": a symbolic link, which is not published; put a copy in its place")
    assert not hub.requests


@pytest.mark.posix
def test_only_the_pictures_of_the_card_are_published(
    hub: HubServer, session: HubSession, folder: Path, tmp_path: Path, repo_id: str
) -> None:
    (tmp_path / "secret").write_bytes(b"mine")
    (folder / "images" / "holiday.png").symlink_to(tmp_path / "secret")
    (folder / "images" / "logo.png").write_bytes(b"mine")
    report = session.answer(_send(folder, repo_id))
    assert report["strangers"] == ["images/holiday.png", "images/logo.png"]
    pictures = {name for name in hub.files(repo_id) if name.startswith("images/")}
    assert pictures == {"images/mazes.png", "images/prefix_sums.png"}


def test_a_folder_without_files_is_not_published(hub: HubServer, session: HubSession, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nconfigs: []\n---\n")
    (tmp_path / "manifest.json").write_text(
        '{"format": 2, "package_version": "0", "preset": "custom", "seed": 0, "split_rule": "hash", "files": []}'
    )
    _fails(session.run(_send(tmp_path, "org/x")), "UnsoundFolderError", "manifest.json: names no file")
    assert not hub.requests


# What others made


def test_nothing_is_deleted_unless_told(
    hub: HubServer, session: HubSession, made: Path, smaller: Path, repo_id: str
) -> None:
    session.answer(_send(made, repo_id))
    hub.add(
        repo_id, {"images/logo.png": b"theirs", "rejects.csv": b"theirs", "mazes_13/test-00000-of-00001.parquet": b"?"}
    )
    hub.clear()
    told = session.run(_send(smaller, repo_id))
    gone = {"images/mazes.png", MAZES}
    _fails(told, "HubError", f"would be deleted ({', '.join(sorted(gone))}): give --replace to delete them")
    assert not _writes(hub)
    assert set(session.answer(_send(smaller, repo_id, replace=True))["deleted"]) == gone
    left = hub.files(repo_id)
    assert {name: left[name] for name in ("images/logo.png", "rejects.csv")} == {
        "images/logo.png": b"theirs",
        "rejects.csv": b"theirs",
    }
    assert left["mazes_13/test-00000-of-00001.parquet"] == b"?"


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("name", ["mazes_9/test-00000-of-00002.parquet", "mazes_9/test-more.parquet"])
def test_files_that_would_be_read_as_part_of_the_data(
    name: str, replace: bool, hub: HubServer, session: HubSession, made: Path, smaller: Path, repo_id: str
) -> None:
    """`load_dataset` reads whatever begins with the split's name in the folder of the config."""
    session.answer(_send(smaller, repo_id))
    hub.add(repo_id, {name: b"theirs"})
    hub.clear()
    told = session.run(_send(made, repo_id, replace=replace))
    _fails(
        told, "HubError", f"{repo_id} holds {name}, which its manifest.json does not name", "remove it from the repo"
    )
    assert not _writes(hub)


@pytest.mark.parametrize(
    ("card", "refused"),
    [
        (b"a hand-written card", True),
        (b"---\nlicense: mit\n---\n# Mine\n", True),
        (b"---\ntags: [\n---\n# Mine\n", True),
        (b"# Mine\n---\ntags: [easy-to-hard]\n---\nmore\n", True),
        (b"---\nlicense: mit\n---\n", False),
        (b"---\nlicense: mit\n---", False),
        (b"", False),
        (b"---\ntags: [easy-to-hard, mazes]\n---\n# An older card of this package\n", False),
    ],
)
def test_a_card_of_somebody_else_stays(
    card: bytes, refused: bool, hub: HubServer, session: HubSession, made: Path, repo_id: str
) -> None:
    name = f"{repo_id.partition('[')[0]}-{abs(hash(card)) % 10**8}"
    hub.add(name, {"README.md": card, "data.csv": b"a,b"})
    told = session.run(_send(made, name))
    if refused:
        _fails(told, "HubError", f"{name} has a README.md by somebody else: give --replace to overwrite it")
        assert hub.files(name)["README.md"] == card
        told = session.run(_send(made, name, replace=True))
    assert not told.error, told
    assert hub.files(name).keys() == {".gitattributes", "data.csv", *_published(made)}


@pytest.mark.parametrize(
    ("options", "files", "message"),
    [
        ({"private": True}, {}, "was just created by somebody else and is public"),
        ({}, {"README.md": b"theirs"}, "was just created by somebody else and holds README.md"),
    ],
)
def test_a_repo_that_comes_to_be_meanwhile(
    options: dict[str, Any], files: dict[str, bytes], message: str,
    hub: HubServer, session: HubSession, made: Path, repo_id: str,
) -> None:  # fmt: skip
    told = session.run(
        "def theirs():\n"
        f"    HfApi().create_repo({repo_id!r}, repo_type='dataset')\n"
        f"    for name, content in {files!r}.items():\n"
        "        HfApi().upload_file(path_or_fileobj=content, path_in_repo=name,\n"
        f"                            repo_id={repo_id!r}, repo_type='dataset')\n"
        "with before(hub_repo.Repo, 'create', theirs):\n"
        f"    {_send(made, repo_id, revision='v1', **options)}"
    )
    _fails(told, "HubError", f"{repo_id} {message}: look at {hub.url}/datasets/{repo_id}")
    assert hub.files(repo_id).keys() == {".gitattributes", *files}


# The command


def _shell(hub: HubServer, home: Path, words: str, after: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = f"set -o pipefail; {sys.executable} -m easy_to_hard.cli publish {words} {after}"
    environment = client_environment(hub, home, **options)
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.posix
@pytest.mark.slow
@pytest.mark.parametrize("after", ["2>/dev/null | true", ">&-"])
def test_nobody_reads(after: str, hub: HubServer, made: Path, tmp_path: Path, repo_id: str) -> None:
    done = _shell(hub, tmp_path, f"{made} --repo-id {repo_id}", after)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert hub.files(repo_id).keys() == {".gitattributes", *_published(made)}
    done = _shell(hub, tmp_path, f"{made} --repo-id {repo_id} --dry-run --quiet", ">&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_who_is_lost_before_the_end_is_no_success(
    hub: HubServer, session: HubSession, made: Path, repo_id: str
) -> None:
    """The bars go to the standard error, which may be a closed pipe as well."""
    code, _, err = session.answer(
        "def lost():\n"
        "    raise BrokenPipeError\n"
        "with before(publishing, 'verify', lost):\n"
        f"    answer = command('publish', {str(made)!r}, '--repo-id', {repo_id!r}, '--quiet')"
    )
    assert code == 1
    assert err.startswith("easy-to-hard: error: standard error or a connection was closed: run the same command")
    assert ("dataset", repo_id) not in hub.repos


@pytest.mark.slow
def test_without_the_network_nothing_is_verified(hub: HubServer, made: Path, tmp_path: Path, repo_id: str) -> None:
    for words in ("", " --dry-run"):
        done = _shell(hub, tmp_path, f"{made} --repo-id {repo_id}{words}", "", offline=True)
        told = "easy-to-hard: error: HF_HUB_OFFLINE is set: publishing needs the network, unset it and try again\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", told)
    assert not hub.requests
