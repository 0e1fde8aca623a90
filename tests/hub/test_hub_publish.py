"""`easy-to-hard publish` against a Hub on this machine: what is sent, what is not, and what goes wrong on the way."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import run_client
from hub_server import HubServer
from hub_session import HubSession, Told, hub_session

from easy_to_hard import build
from easy_to_hard.storage.presets import Part

# Quick to give up, since huggingface_hub tries several times itself.
PREPARE = """
import os
from dataclasses import asdict
from huggingface_hub import HfApi
from easy_to_hard.storage.downloads import Patience
from easy_to_hard.hub import repo as hub_repo
from easy_to_hard.hub.publish import publish

def send(folder, repo_id, **options):
    shown = []
    options = {"patience": Patience(attempts=3, first_wait=0.01, longest_wait=5), "progress": False, **options}
    report = publish(folder, repo_id, show=shown.append, **options)
    return {**asdict(report), "is_empty": report.is_empty, "shown": [asdict(plan) for plan in shown]}

@contextlib.contextmanager
def replaced(holder, name, other):
    kept = getattr(holder, name)
    setattr(holder, name, other(kept))
    try:
        yield
    finally:
        setattr(holder, name, kept)
"""
SMALL = (
    Part(task="prefix_sums", difficulty=16, split="train", rows=20),
    Part(task="prefix_sums", difficulty=24, split="test", rows=20),
)
WRITES = ("POST", "PUT", "DELETE")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, HubSession]]:
    with HubServer() as hub, hub_session(hub, tmp_path_factory.mktemp("home")) as session:
        session.answer(PREPARE)
        yield hub, session


@pytest.fixture
def hub(running: tuple[HubServer, HubSession]) -> Iterator[HubServer]:
    """The module's Hub; each test has repos of its own."""
    running[0].clear()
    yield running[0]
    running[0].behave()


@pytest.fixture
def session(running: tuple[HubServer, HubSession]) -> HubSession:
    return running[1]


@pytest.fixture
def repo_id(request: pytest.FixtureRequest) -> str:
    return "org/" + re.sub(r"\W+", "-", request.node.name).strip("-")[:80]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder of some parts, the same one for the same arguments; not to be changed."""
    made: dict[Any, Path] = {}

    def folder(*parts: Part, seed: int = 0) -> Path:
        key = (parts or SMALL, seed)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("parts") / "data"
            build(made[key], preset="custom", parts=list(key[0]), seed=seed, progress=False)
        return made[key]

    return folder


def _files(folder: Path) -> dict[str, bytes]:
    """What is to be on the Hub."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(".")}


def _held(hub: HubServer, repo_id: str, revision: str = "main") -> dict[str, bytes]:
    files = hub.files(repo_id, revision)
    files.pop(".gitattributes")
    return files


def _writes(hub: HubServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in hub.requests if request.method in WRITES]


def _send(folder: Path, repo_id: str, **options: Any) -> str:
    return f"answer = send({str(folder)!r}, {repo_id!r}, **{options!r})"


def _fails(told: Told, *parts: str) -> None:
    assert told.error == "HubError", told
    assert "\n" not in told.message
    for part in parts:
        assert part in told.message


# What is sent


def test_a_folder_is_published_once(hub: HubServer, session: HubSession, tiny_folder: Path, repo_id: str) -> None:
    report = session.answer(_send(tiny_folder, repo_id))
    expected = _files(tiny_folder)
    assert _held(hub, repo_id) == expected
    assert report["created"]
    assert sorted(report["added"]) == sorted(expected)
    assert not report["changed"] + report["deleted"] + report["unchanged"] + report["strangers"]
    assert report["size"] == sum(map(len, expected.values()))
    assert report["commit"] == hub.repo(repo_id).main.id
    assert report["url"] == f"{hub.url}/datasets/{repo_id}"
    assert report["shown"] == [{**report["shown"][0], "added": report["added"], "commit": None}]
    assert len(hub.repo(repo_id).commits) == 2, "the Hub's own, and one for all files"
    manifest = json.loads((tiny_folder / "manifest.json").read_text())
    uploaded = {upload.oid for upload in hub.uploads()}
    assert uploaded >= {entry["sha256"] for entry in manifest["files"]}
    hub.clear()
    report = session.answer(_send(tiny_folder, repo_id))
    assert report["is_empty"]
    assert sorted(report["unchanged"]) == sorted(expected)
    assert not report["created"]
    assert report["commit"] == hub.repo(repo_id).main.id
    assert not _writes(hub)


def test_only_files_of_the_layout_are_sent(
    hub: HubServer, session: HubSession, make: Callable[..., Path], tmp_path: Path, repo_id: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(make(), folder)
    for name in (".build/progress.jsonl", ".lock", "images/.hidden.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("not for others")
    strangers = ("images/notes.txt", "notes.txt", "prefix_sums_16/secret.csv")
    for name in strangers:
        (folder / name).write_text("not for others")
    for name in ("eval.draft.yaml", "rejects.csv", "images/mazes.png"):
        (folder / name).write_text("for others")
    report = session.answer(_send(folder, repo_id))
    assert tuple(report["strangers"]) == strangers
    held = _held(hub, repo_id)
    assert set(held) == {name for name in _files(folder) if name not in (*strangers, "images/.hidden.png")}
    assert held["eval.draft.yaml"] == held["rejects.csv"] == held["images/mazes.png"] == b"for others"


def test_one_changed_shard_is_one_file_sent(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    before = make()
    after = make(SMALL[0], Part(task="prefix_sums", difficulty=24, split="test", rows=21))
    session.answer(_send(before, repo_id))
    hub.clear()
    report = session.answer(_send(after, repo_id))
    old, new = _files(before), _files(after)
    different = {name for name in new if old[name] != new[name]}
    shard = "prefix_sums_24/test-00000-of-00001.parquet"
    assert {name for name in different if name.endswith(".parquet")} == {shard}
    assert set(report["changed"]) == different >= {shard, "README.md", "manifest.json"}
    assert not report["added"] + report["deleted"]
    assert [upload.size for upload in hub.uploads()] == [len(new[shard])]
    assert _held(hub, repo_id) == new
    sent = next(request for request in hub.requests if request.path.endswith("/commit/main"))
    assert sent.status == 200


def test_what_the_folder_lacks_is_removed_and_what_others_put_there_stays(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    session.answer(_send(make(), repo_id))
    others = ("LICENSE", "images/logo.png", "images/mazes.png", "notebooks/demo.ipynb", "prefix_sums_16/notes.md")
    others += ("data/x.parquet", "rejects.csv", "mazes_9/train-00000-of-00001.parquet")
    session.answer(
        f"for name in {others!r}:\n"
        f"    HfApi().upload_file(path_or_fileobj=b'x', path_in_repo=name, repo_id={repo_id!r}, repo_type='dataset')"
    )
    hub.clear()
    gone = "prefix_sums_24/test-00000-of-00001.parquet"
    told = session.run(_send(make(SMALL[0]), repo_id))
    _fails(told, f"holds files that this folder lacks and that would be deleted ({gone}): give --replace")
    assert not _writes(hub)
    report = session.answer(_send(make(SMALL[0]), repo_id, replace=True))
    assert report["deleted"] == [gone]
    assert _held(hub, repo_id) == {**_files(make(SMALL[0])), **dict.fromkeys(others, b"x")}


def test_converted_puzzles_are_published(hub: HubServer, session: HubSession, converted: Path, repo_id: str) -> None:
    session.answer(_send(converted, repo_id))
    assert _held(hub, repo_id) == _files(converted)
    assert session.answer(_send(converted, repo_id))["is_empty"]


def test_a_new_repo_is_private_if_asked(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    session.answer(_send(make(), repo_id, private=True))
    assert hub.repo(repo_id).private
    assert session.answer(_send(make(), repo_id, private=True))["is_empty"]
    public = repo_id + "-public"
    session.answer(_send(make(), public))
    assert not hub.repo(public).private
    hub.clear()
    _fails(session.run(_send(make(SMALL[0]), public, private=True)), f"{public} is public already", "--private")
    assert not _writes(hub)


def test_other_content_of_the_same_length_is_noticed(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    expected = _files(make())
    session.answer(_send(make(), repo_id))
    names = ("README.md", "prefix_sums_16/train-00000-of-00001.parquet")
    hub.add(repo_id, {name: expected[name][:-1] + b"?" for name in names})
    assert sorted(session.answer(_send(make(), repo_id))["changed"]) == list(names)
    assert _held(hub, repo_id) == expected


# What is refused


def test_a_damaged_folder_contacts_nobody(
    hub: HubServer, session: HubSession, make: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(make(), folder)
    shard = folder / "prefix_sums_24" / "test-00000-of-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    code, out, err = session.answer(f"answer = command('publish', {str(folder)!r}, '--repo-id', 'org/x', '--quiet')")
    assert (code, out) == (1, "")
    *problems, last = err.splitlines()
    assert problems
    assert all(line.startswith(f"{folder}/prefix_sums_24/test-00000-of-00001.parquet: ") for line in problems)
    sha256 = next(entry["sha256"] for entry in json.loads((folder / "manifest.json").read_text())["files"][1:])
    assert sha256 in problems[0]
    assert last.startswith(f"easy-to-hard: error: {folder} is not published, since it does not pass")
    shard.unlink()
    assert "test-00000-of-00001.parquet: missing" in session.run(_send(folder, "org/x")).message
    assert not hub.requests


def test_a_manifest_cannot_name_files_elsewhere(
    hub: HubServer, session: HubSession, make: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(make(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in ("../secret.parquet", "/etc/passwd", "a/../../train-00000-of-00001.parquet", "README.md"):
        manifest["files"][0]["path"] = path
        (folder / "manifest.json").write_text(json.dumps(manifest))
        told = session.run(_send(folder, "org/x"))
        assert told.error == "StorageError"
        assert f"{path!r} is not the path of a shard" in told.message
    told = session.run(_send(tmp_path, "org/x"))
    assert (told.error, "manifest.json is missing" in told.message) == ("StorageError", True)
    assert not hub.requests


def test_without_a_token(hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str) -> None:
    session.answer("token = os.environ.pop('HF_TOKEN')")
    try:
        _fails(session.run(_send(make(), repo_id)), "no token", repo_id, "set HF_TOKEN or run 'hf auth login'")
        assert not hub.requests
        report = session.answer(_send(make(), repo_id, dry_run=True))
        assert report["created"]
        assert len(report["added"]) == len(_files(make()))
        session.answer(_send(make(), repo_id, token="hf_another"))
        assert session.answer(_send(make(), repo_id, dry_run=True))["is_empty"]
        told = session.run(_send(make(), repo_id + "-2", token="wrong"))
        _fails(told, "HTTP 401", "the token is missing or not valid")
    finally:
        session.answer("os.environ['HF_TOKEN'] = token")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repo_id": "tiny"}, "named owner/name"),
        ({"repo_id": "a/b/c"}, "named owner/name"),
        ({"repo_id": "org/x@v1"}, "named owner/name"),
        ({"revision": "main"}, "a version is named"),
        ({"revision": "v 1"}, "a version is named"),
        ({"revision": "0123456789" * 4}, "a version is named"),
    ],
)
def test_wrong_names(
    options: dict[str, Any], message: str, hub: HubServer, session: HubSession, make: Callable[..., Path]
) -> None:
    told = session.run(_send(make(), **{"repo_id": "org/x", **options}))
    assert told.error == "ValueError"
    assert message in told.message
    assert not hub.requests


def test_another_dataset_is_replaced_only_when_told(
    hub: HubServer, session: HubSession, make: Callable[..., Path], tiny_folder: Path, repo_id: str
) -> None:
    session.answer(_send(make(), repo_id))
    hub.clear()
    _fails(session.run(_send(make(seed=1), repo_id)), "holds another dataset (seed 0, not 1)", "--replace")
    told = session.run(_send(tiny_folder, repo_id, dry_run=True))
    _fails(told, "holds another dataset (preset 'custom', not 'tiny')")
    assert not _writes(hub)
    session.answer(_send(make(seed=1), repo_id, replace=True))
    assert _held(hub, repo_id) == _files(make(seed=1))


def test_a_repo_of_somebody_else(hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str) -> None:
    hub.add(repo_id, {"README.md": b"# Mine", "cats/train-00000-of-00001.parquet": b"miaow"})
    _fails(session.run(_send(make(), repo_id)), "somebody else's data (cats/train-00000", "--replace")
    for content in (b"{", b"[]", b"\xff", b'{"seed": 0}'):
        hub.add(repo_id, {"manifest.json": content})
        _fails(session.run(_send(make(), repo_id)), "manifest.json that is not readable", "--replace")
    bare = repo_id + "-bare"
    hub.add(bare, {"README.md": b"---\nlicense: mit\n---\n"})
    session.answer(_send(make(), bare))
    assert _held(hub, bare) == _files(make())


# Versions


def test_a_version_is_never_changed(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    first, second = make(), make(SMALL[0])
    assert session.answer(_send(first, repo_id, revision="v1"))["tag"] == "v1"
    hub.clear()
    again = session.answer(_send(first, repo_id, revision="v1"))
    assert again["is_empty"]
    assert not _writes(hub)
    _fails(
        session.run(_send(second, repo_id, revision="v1")),
        f"{repo_id} has a version v1 with other files",
        "choose another --revision",
    )
    _fails(session.run(_send(second, repo_id, revision="v1", dry_run=True)), "has a version v1 with other files")
    _fails(session.run(_send(make(seed=1), repo_id, revision="v1", replace=True)), "v1 with other files")
    assert not _writes(hub)
    session.answer(_send(second, repo_id, revision="v2", replace=True))
    assert _held(hub, repo_id, "v1") == _files(first)
    assert _held(hub, repo_id, "v2") == _held(hub, repo_id) == _files(second)
    # What is published as v1 is there; main stays at v2.
    hub.clear()
    back = session.answer(_send(first, repo_id, revision="v1"))
    assert back["is_empty"]
    assert back["commit"] == hub.repo(repo_id).at("v1").id != hub.repo(repo_id).main.id
    assert not _writes(hub)


def test_a_run_that_ended_between_commit_and_tag_is_completed(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    hub.misbehave("refuse", f"POST .*{repo_id}/tag/")
    _fails(session.run(_send(make(), repo_id, revision="v1")), f"cannot name the version v1 of {repo_id}", "3 attempts")
    assert _held(hub, repo_id) == _files(make())
    hub.behave()
    hub.clear()
    assert session.answer(_send(make(), repo_id, revision="v1"))["tag"] == "v1"
    assert [write.split("/tag/")[0] for write in _writes(hub)] == [f"POST /api/datasets/{repo_id}"]
    assert _held(hub, repo_id, "v1") == _files(make())


def test_a_version_that_comes_to_be_meanwhile(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    session.answer(_send(make(SMALL[0]), repo_id))
    told = session.run(
        "def tagging(kept):\n"
        "    def add_tag(self, tag, commit):\n"
        f"        HfApi().create_tag({repo_id!r}, tag=tag, revision=first, repo_type='dataset')\n"
        "        return kept(self, tag, commit)\n"
        "    return add_tag\n"
        f"first = HfApi().dataset_info({repo_id!r}).sha\n"
        "with replaced(hub_repo.Repo, 'add_tag', tagging):\n"
        f"    {_send(make(), repo_id, revision='v1')}"
    )
    _fails(told, "has a version v1 with other files")
    assert _held(hub, repo_id, "v1") == _files(make(SMALL[0]))


# Dry run and command


def test_a_dry_run_sends_nothing(hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str) -> None:
    report = session.answer(_send(make(), repo_id, revision="v1", dry_run=True))
    assert report["created"]
    assert report["dry_run"]
    assert sorted(report["added"]) == sorted(_files(make()))
    assert not _writes(hub)
    session.answer(_send(make(SMALL[0]), repo_id))
    hub.clear()
    report = session.answer(_send(make(), repo_id, dry_run=True))
    assert report["added"] == ["prefix_sums_24/test-00000-of-00001.parquet"]
    assert {"README.md", "manifest.json"} <= set(report["changed"])
    assert report["unchanged"] == ["prefix_sums_16/train-00000-of-00001.parquet"] or len(report["unchanged"]) > 1
    assert not _writes(hub)


def test_the_command_says_what_it_does(hub: HubServer, session: HubSession, tiny_folder: Path, repo_id: str) -> None:
    run = f"answer = command('publish', {str(tiny_folder)!r}, '--repo-id', {repo_id!r}, '--revision', 'v1'"
    number, size = len(_files(tiny_folder)), sum(map(len, _files(tiny_folder).values()))
    code, out, _ = session.answer(f"{run}, '--dry-run')")
    told = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:,} bytes"
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{repo_id} (missing or private): {number} files to send, {told}; 0 already there"
    assert lines[1:3] == ["  added     README.md", "  added     manifest.json"]
    assert lines[11:] == [
        f"  added     and {number - 10} more",
        f"dry run: nothing was sent to {hub.url}/datasets/{repo_id}",
    ]
    assert not _writes(hub)
    code, out, _ = session.answer(f"{run}, '--message', 'first words')")
    assert code == 0
    assert out.splitlines()[0].startswith(f"{repo_id} (a new repo): {number} files to send")
    commit = hub.repo(repo_id).main
    assert commit.title == "first words"
    assert out.splitlines()[-2:] == [
        f"{hub.url}/datasets/{repo_id}/tree/v1: published, commit {commit.id}",
        f'load_dataset("{repo_id}", "prefix_sums_16", split="train", revision="v1")',
    ]
    code, out, err = session.answer(f"{run}, '--quiet')")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{hub.url}/datasets/{repo_id}/tree/v1: was already published, commit {commit.id}"


# What goes wrong on the way

STAGES = {
    "look": "GET /api/datasets/{repo}/revision/main",
    "list": "GET /api/datasets/{repo}/tree/",
    "create": "POST /api/repos/create",
    "check of the card": "POST /api/validate-yaml",
    "preupload": "POST .*{repo}/preupload",
    "batch": "POST .*{repo}.git/info/lfs/objects/batch",
    "object": "PUT .*{repo}/",
    "check of an object": "POST .*{repo}/.*/verify",
    "commit": "POST .*{repo}/commit/main",
    "tag": "POST .*{repo}/tag/",
}
FAULTS: dict[str, dict[str, Any]] = {
    "500": {"kind": "error", "status": 500},
    "503": {"kind": "error", "status": 503},
    "429": {"kind": "error", "status": 429, "retry_after": 3},
    "cut": {"kind": "cut", "after": 3},
    "refuse": {"kind": "refuse"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_faults_end_in_success(
    fault: str, hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    for number, (stage, match) in enumerate(STAGES.items()):
        name = f"{repo_id}-{number}"
        options = dict(FAULTS[fault])
        struck = hub.misbehave(options.pop("kind"), match.format(repo=name), times=1, **options)
        told = session.run(_send(make(), name, revision="v1"))
        hub.behave()
        assert not told.error, (stage, told)
        assert struck.struck == 1, stage
        assert _held(hub, name) == _held(hub, name, "v1") == _files(make()), stage
        assert len(hub.repo(name).commits) == 2, f"{stage}: a commit too many"
        # huggingface_hub passes over a card that cannot be checked.
        if fault == "429" and stage != "check of the card":
            assert any(3 <= wait <= 4 for wait in told.waits), (stage, told.waits)


def test_faults_that_outlast_the_tries_of_huggingface_hub(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    for number, stage in enumerate(("preupload", "batch", "object")):
        name = f"{repo_id}-{number}"
        struck = hub.misbehave("error", STAGES[stage].format(repo=name), times=8, status=503)
        told = session.run(_send(make(), name))
        hub.behave()
        assert not told.error, (stage, told)
        assert struck.struck == 8
        assert _held(hub, name) == _files(make())


def test_faults_that_do_not_pass(hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str) -> None:
    def run(name: str) -> str:
        code, out, err = session.answer(
            f"answer = command('publish', {str(make())!r}, '--repo-id', {name!r}, '--revision', 'v1', '--quiet')"
        )
        hub.behave()
        assert (code, out) == (1, "")
        last = err.splitlines()
        assert len(last) == 1, err
        return str(last[0])

    hub.misbehave("error", "GET .*/revision/main", status=500)
    line = run(repo_id)
    assert f"error: cannot read {repo_id} at main after 5 attempts (HTTP 500 Internal Server Error" in line
    assert line.endswith(": try again later")
    hub.misbehave("error", f"PUT .*{repo_id}", status=500)
    line = run(repo_id)
    assert f"cannot send {len(_files(make()))} files to {repo_id} after 5 attempts (HTTP 500" in line
    for stage, what in (("create", "create"), ("commit", "send"), ("tag", "name the version v1 of")):
        name = f"{repo_id}-{stage}"
        hub.misbehave("error", STAGES[stage].format(repo=name), status=403)
        line = run(name)
        assert f"cannot {what}" in line
        assert "(HTTP 403 Forbidden" in line
        assert "set HF_TOKEN or run 'hf auth login' with one that has it" in line
    hub.misbehave("refuse", "GET .*/revision/main")
    assert "after 5 attempts" in run(repo_id + "-refused")
    hub.misbehave("error", "GET .*/revision/main", status=429, retry_after=3600)
    assert "the server asks to wait 3600 s" in run(repo_id + "-asked")
    assert repo_id + "-asked" not in {name for _, name in hub.repos}


def test_somebody_else_publishes_at_the_same_time(
    hub: HubServer, session: HubSession, make: Callable[..., Path], repo_id: str
) -> None:
    session.answer(
        "def pushing(kept, times, word):\n"
        "    pushed = []\n"
        "    def commit(self, *arguments):\n"
        "        if len(pushed) < times:\n"
        "            pushed.append(1)\n"
        "            HfApi().upload_file(path_or_fileobj=b'%s %d' % (word, len(pushed)), path_in_repo='LICENSE',\n"
        "                                repo_id=self.repo_id, repo_type='dataset')\n"
        "        return kept(self, *arguments)\n"
        "    return commit\n"
        "with replaced(hub_repo.Repo, 'commit', lambda kept: pushing(kept, 1, b'once')):\n"
        f"    {_send(make(), repo_id)}"
    )
    assert _held(hub, repo_id) == {**_files(make()), "LICENSE": b"once 1"}
    told = session.run(
        "with replaced(hub_repo.Repo, 'commit', lambda kept: pushing(kept, 9, b'ever')):\n"
        f"    {_send(make(SMALL[0]), repo_id, replace=True)}"
    )
    _fails(told, "HTTP 412", "somebody else has changed the repo in the meantime")
    assert _held(hub, repo_id).keys() == {*_files(make()), "LICENSE"}, "readers never see half"


def test_files_that_the_hub_leaves_out_are_noticed(
    session: HubSession, hub: HubServer, make: Callable[..., Path], repo_id: str
) -> None:
    told = session.run(
        "def forgetting(kept):\n"
        "    def commit(self, added, *arguments):\n"
        "        added = {name: path for name, path in added.items() if name != 'manifest.json'}\n"
        "        return kept(self, added, *arguments)\n"
        "    return commit\n"
        "with replaced(hub_repo.Repo, 'commit', forgetting):\n"
        f"    {_send(make(), repo_id, revision='v1')}"
    )
    _fails(told, "does not hold at", "what was sent to it: manifest.json is not there")
    assert not hub.repo(repo_id).tags


@pytest.mark.slow
def test_killed_in_the_middle_and_done_again(
    hub: HubServer, session: HubSession, tiny_folder: Path, tmp_path: Path, repo_id: str
) -> None:
    hub.misbehave("slow", "PUT ", seconds=0.4)
    argv = ["publish", str(tiny_folder), "--repo-id", repo_id, "--revision", "v1"]
    with run_client(hub, argv, tmp_path / "home", wait=False) as process:
        deadline = time.monotonic() + 60
        while len(hub.uploads()) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
    hub.behave()
    # What the server had read already is kept after the client's end.
    time.sleep(0.6)
    first = [upload.oid for upload in hub.uploads()]
    assert _held(hub, repo_id) == {}, "readers see nothing before all is there"
    session.answer(_send(tiny_folder, repo_id, revision="v1"))
    assert _held(hub, repo_id) == _held(hub, repo_id, "v1") == _files(tiny_folder)
    everything = [upload.oid for upload in hub.uploads()]
    assert len(everything) == len(set(everything)), "an object was sent twice"
    assert 2 <= len(first) < len(everything)
