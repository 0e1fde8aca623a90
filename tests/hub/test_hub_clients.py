"""The real clients are content with the Hub of the tests: huggingface_hub, datasets and what builds on them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub_client import run_client
from hub_repos import git_sha1
from hub_server import HubServer, Request

# Runs in one process, since the imports take seconds; `step` marks in the server's log where each part begins.
CLIENT = """
import json, os, sys, urllib.error, urllib.request
from pathlib import Path

import torch
from datasets import Dataset, get_dataset_config_names, load_dataset
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, HfFileSystem, PyTorchModelHubMixin
from huggingface_hub import errors, hf_hub_download, snapshot_download

folder, results, api = Path(os.environ["HF_HOME"]) / "folder", {}, HfApi()
DATA = {"repo_id": "org/data", "repo_type": "dataset"}


def step(name):
    try:
        urllib.request.urlopen(f"{os.environ['HF_ENDPOINT']}/mark/{name}")
    except urllib.error.HTTPError:
        pass


def failure(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        response = getattr(error, "response", None)
        return [type(error).__name__, None if response is None else response.status_code]


def parquet(path, first, count):
    rows = Dataset.from_dict({"n": list(range(first, first + count))})
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / path)


parquet("a/train-00000-of-00001.parquet", 0, 1000)
parquet("a/test-00000-of-00001.parquet", 5000, 500)
parquet("b/test-00000-of-00001.parquet", 7000, 100)
configs = [
    {"config_name": "a", "data_files": [{"split": s, "path": f"a/{s}-*"} for s in ("train", "test")], "default": True},
    {"config_name": "b", "data_files": [{"split": "test", "path": "b/test-*"}]},
]
(folder / "README.md").write_text("---\\n" + json.dumps({"license": "mit", "configs": configs}) + "\\n---\\n# Data\\n")
(folder / "old.txt").write_text("old")
(folder / "empty.txt").write_bytes(b"")

step("create")
results["url"] = str(api.create_repo(**DATA))
api.create_repo(**DATA, exist_ok=True)
results["again"] = failure(api.create_repo, **DATA)
results["me"] = api.whoami()["name"]

step("upload")
first = api.upload_folder(**DATA, folder_path=folder)
step("unchanged")
results["unchanged"] = api.upload_folder(**DATA, folder_path=folder).oid == first.oid

step("tag")
api.create_tag(**DATA, tag="v1")
api.create_tag(**DATA, tag="v1", exist_ok=True)
results["tag again"] = failure(api.create_tag, **DATA, tag="v1")
api.create_tag(**DATA, tag="v0", revision=first.oid)
api.delete_tag(**DATA, tag="v0")
results["tag gone"] = failure(api.delete_tag, **DATA, tag="v0")

step("change")
parquet("b/test-00000-of-00001.parquet", 9000, 50)
name = "b/test-00000-of-00001.parquet"
operations = [CommitOperationAdd(name, folder / name), CommitOperationDelete("old.txt")]
change = {**DATA, "operations": operations, "commit_message": "change", "parent_commit": first.oid}
second = api.create_commit(**change)
operations = [CommitOperationAdd("new.txt", b"new")]
results["stale"] = failure(api.create_commit, **{**change, "operations": operations})
operations = [CommitOperationDelete("a/", is_folder=True), CommitOperationAdd("a/n", b"n")]
api.create_commit(**{**change, "operations": operations, "parent_commit": second.oid})
api.create_commit(**DATA, operations=[CommitOperationDelete("a/n")], commit_message="n")
api.upload_folder(**DATA, folder_path=folder / "a", path_in_repo="a")
refs = api.list_repo_refs(**DATA)
results["branches"] = [ref.name for ref in refs.branches]
results["tags"] = [[ref.name, ref.target_commit == first.oid] for ref in refs.tags]
tree = api.list_repo_tree(**DATA, recursive=True, expand=True, revision="v1")
tree = [entry for entry in tree if hasattr(entry, "size")]
results["tree"] = [[f.path, f.size, f.blob_id, f.lfs and f.lfs.sha256, f.last_commit.title] for f in tree]
results["main tree"] = [entry.path for entry in api.list_repo_tree(**DATA)]
results["paths"] = [entry.path for entry in api.get_paths_info(**DATA, paths=["a", name, "nowhere"])]

step("load")
results["test"] = load_dataset("org/data", "a", split="test")["n"][:]
results["default"] = sorted(load_dataset("org/data"))
step("stream")
stream = load_dataset("org/data", "a", split="test", streaming=True)
results["stream"] = [row["n"] for row in stream]
step("tagged")
results["tagged"] = load_dataset("org/data", "b", split="test", revision="v1")["n"][:]
results["now"] = load_dataset("org/data", "b", split="test")["n"][:]
results["names"] = get_dataset_config_names("org/data")

step("push")
Dataset.from_dict({"m": [1, 2, 3]}).push_to_hub("org/pushed", "c", split="test")
Dataset.from_dict({"k": [4, 5]}).push_to_hub("org/pushed", "d", split="train")
results["pushed"] = [load_dataset("org/pushed", c, split=s).to_dict() for c, s in (("c", "test"), ("d", "train"))]

step("files")
copy = Path(snapshot_download("org/data", repo_type="dataset", revision="v1"))
results["snapshot"] = {str(p.relative_to(copy)): p.stat().st_size for p in copy.rglob("*") if p.is_file()}
results["commit of snapshot"] = copy.name == first.oid
results["file"] = Path(hf_hub_download("org/data", "old.txt", repo_type="dataset", revision="v1")).read_text()
files = HfFileSystem()
results["part"] = files.cat_file("datasets/org/data@v1/old.txt", start=1, end=3).decode()
with files.open("hf://datasets/org/data/" + name, "rb") as stream:
    results["magic"] = [stream.read(4).decode(), stream.seek(-4, 2) > 0, stream.read().decode()]

step("model")


class Net(torch.nn.Module, PyTorchModelHubMixin):
    def __init__(self, width: int):
        super().__init__()
        self.layer = torch.nn.Linear(width, 2)


net = Net(width=3)
net.push_to_hub("org/net")
twin = Net.from_pretrained("org/net")
results["net"] = bool(torch.equal(net.layer.weight, twin.layer.weight)) and twin.layer.in_features == 3

step("errors")
get = hf_hub_download
results["errors"] = [
    failure(get, "org/nowhere", "f", repo_type="dataset"),
    failure(get, "org/data", "nowhere", repo_type="dataset"),
    failure(get, "org/data", "README.md", repo_type="dataset", revision="v9"),
    failure(get, "org/net", "README.md", repo_type="dataset"),
    failure(api.dataset_info, "org/nowhere", token=False),
    failure(api.create_repo, "org/mine", token=False),
    failure(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", **DATA, token=False),
    failure(api.upload_file, path_or_fileobj=b"x", path_in_repo="x", **DATA, revision="v9"),
    failure(api.dataset_info, "org/data", token="bad"),
]
api.create_repo("org/secret", repo_type="dataset", private=True)
results["private"] = [
    api.dataset_info("org/secret").private,
    failure(api.dataset_info, "org/secret", token=False),
    failure(get, "org/secret", ".gitattributes", repo_type="dataset", token=False),
]
sys.stdout.write(json.dumps(results))
"""


@dataclass(frozen=True)
class Session:
    """What the client saw, and what it asked for in each step."""

    hub: HubServer
    results: dict[str, Any]
    steps: dict[str, list[Request]]

    def asked(self, step: str, method: str) -> list[str]:
        return [request.path for request in self.steps[step] if request.method == method]

    def downloads(self, step: str) -> list[str]:
        return [path.split("/resolve/")[1].split("/", 1)[1] for path in self.asked(step, "GET") if "/resolve/" in path]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with HubServer() as running:
        running.page = 3  # every listing comes in several pages
        done = run_client(running, CLIENT, tmp_path_factory.mktemp("home"))
        assert done.returncode == 0, done.stderr
        steps: dict[str, list[Request]] = {}
        for request in running.requests:
            if request.path.startswith("/mark/"):
                current = steps.setdefault(request.path.removeprefix("/mark/"), [])
            else:
                current.append(request)
        yield Session(running, json.loads(done.stdout), steps)


def test_repositories_are_made_once(session: Session) -> None:
    assert session.results["url"] == f"{session.hub.url}/datasets/org/data"
    assert session.results["again"] == ["HfHubHTTPError", 409]
    assert session.results["me"] == "tester"


def test_a_folder_is_uploaded_once(session: Session) -> None:
    puts = session.asked("upload", "PUT")
    files = session.hub.files("org/data", "v1")
    parquet = [data for path, data in files.items() if path.endswith(".parquet")]
    assert len(parquet) == 3
    assert sorted(path.rsplit("/", 1)[1] for path in puts) == sorted(hashlib.sha256(d).hexdigest() for d in parquet)
    assert session.asked("upload", "POST")[-1] == "/api/datasets/org/data/commit/main"
    assert session.results["unchanged"] is True
    assert session.asked("unchanged", "PUT") == []
    assert not any("/commit/" in path for path in session.asked("unchanged", "POST"))


def test_commits_change_what_they_say(session: Session) -> None:
    before, after = session.hub.files("org/data", "v1"), session.hub.files("org/data")
    assert before["old.txt"] == b"old"
    assert before["empty.txt"] == b""
    assert before.keys() - after.keys() == {"old.txt"}
    assert after.keys() - before.keys() == set()
    assert [path for path in after if after[path] != before[path]] == ["b/test-00000-of-00001.parquet"]
    assert session.results["stale"] == ["HfHubHTTPError", 412]
    # The objects of the deleted folder were still there: only the changed file was sent.
    assert len(session.asked("change", "PUT")) == 1
    titles = [commit.title for commit in session.hub.repo("org/data").commits.values()]
    assert titles == ["initial commit", "Upload folder using huggingface_hub", *["change"] * 2, "n", titles[1]]


def test_tags_stay_where_they_are(session: Session) -> None:
    assert session.results["tag again"] == ["HfHubHTTPError", 409]
    assert session.results["tag gone"] == ["RevisionNotFoundError", 404]
    assert session.results["branches"] == ["main"]
    assert session.results["tags"] == [["v1", True]]


def test_listings_name_files_with_their_hashes(session: Session) -> None:
    files = session.hub.files("org/data", "v1")
    listed = {path: (size, sha1, sha256, title) for path, size, sha1, sha256, title in session.results["tree"]}
    assert listed.keys() == files.keys()
    for path, (size, sha1, sha256, title) in listed.items():
        data = files[path]
        assert size == len(data)
        if path.endswith(".parquet"):
            assert sha256 == hashlib.sha256(data).hexdigest()
        else:
            assert (sha1, sha256) == (git_sha1(data), None)
        assert title == ("initial commit" if path == ".gitattributes" else "Upload folder using huggingface_hub")
    assert session.results["main tree"] == [".gitattributes", "README.md", "a", "b", "empty.txt"]
    assert session.results["paths"] == ["a", "b/test-00000-of-00001.parquet"]


def test_datasets_are_loaded(session: Session) -> None:
    results = session.results
    assert results["test"] == results["stream"] == list(range(5000, 5500))
    assert results["default"] == ["test", "train"]
    assert set(session.downloads("stream")) - {"README.md"} == {"a/test-00000-of-00001.parquet"}
    assert results["tagged"] == list(range(7000, 7100))
    assert results["now"] == list(range(9000, 9050))
    assert results["names"] == ["a", "b"]
    assert results["pushed"] == [{"m": [1, 2, 3]}, {"k": [4, 5]}]


def test_files_are_fetched(session: Session) -> None:
    results = session.results
    assert results["snapshot"] == {path: len(data) for path, data in session.hub.files("org/data", "v1").items()}
    assert results["commit of snapshot"] is True
    assert results["file"] == "old"
    assert results["part"] == "ld"
    assert results["magic"] == ["PAR1", True, "PAR1"]
    assert 206 in {request.status for request in session.steps["files"]}


def test_models_are_pushed_and_loaded(session: Session) -> None:
    assert session.results["net"] is True
    assert {"config.json", "model.safetensors", "README.md"} < session.hub.files("org/net", kind="model").keys()
    assert set(session.downloads("model")) >= {"config.json", "model.safetensors"}


def test_clients_understand_refusals(session: Session) -> None:
    missing = ["RepositoryNotFoundError", 401]
    assert session.results["errors"] == [
        ["RepositoryNotFoundError", 404],
        ["RemoteEntryNotFoundError", 404],
        ["RevisionNotFoundError", 404],
        ["RepositoryNotFoundError", 404],
        missing,
        ["HfHubHTTPError", 401],
        missing,
        ["RevisionNotFoundError", 404],
        ["HfHubHTTPError", 401],
    ]
    assert session.results["private"] == [True, missing, missing]


SETTINGS = """
import os, time
print(sorted(name for name in os.environ if name.startswith("HF_")), os.environ["HF_ENDPOINT"], os.environ["HF_HOME"])
time.sleep(PAUSE)
"""
ALWAYS = [
    "HF_DATASETS_DISABLE_PROGRESS_BARS",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_DISABLE_PROGRESS_BARS",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_UPDATE_CHECK",
    "HF_HUB_DISABLE_XET",
]


@pytest.mark.parametrize(
    ("token", "offline", "more"),
    [(True, False, ["HF_TOKEN"]), (False, False, []), (False, True, ["HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE"])],
)
def test_clients_have_only_the_settings_they_are_given(
    token: bool, offline: bool, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_TOKEN_PATH"):
        monkeypatch.setenv(name, "1")
    with HubServer() as hub:
        done = run_client(hub, SETTINGS.replace("PAUSE", "0"), tmp_path, token=token, offline=offline)
        assert done.stdout.strip() == f"{sorted(ALWAYS + more)} {hub.url} {tmp_path}"


def test_clients_can_be_killed(tmp_path: Path) -> None:
    with HubServer() as hub, run_client(hub, SETTINGS.replace("PAUSE", "600"), tmp_path, wait=False) as process:
        assert process.poll() is None
        process.kill()
    assert process.returncode == -9


@pytest.mark.slow
def test_a_list_is_the_command(tmp_path: Path) -> None:
    with HubServer() as hub:
        done = run_client(hub, ["verify", str(tmp_path / "nowhere")], tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("easy-to-hard: error: ")
    assert "nowhere" in done.stderr
