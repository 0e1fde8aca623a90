"""What the Hub of the tests (hub_server.py) answers: the HTTP contract that huggingface_hub and datasets rely on.

Content goes by git blobs and basic LFS transfers. There is no Xet, and there are no pull requests and no redirects.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_repos import Blob, Commit, Refused, Repo, is_lfs

USER = "tester"


@dataclass
class Answer:
    """What is sent back; `blob` is the file that `body` is (a part of)."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] | None = None
    blob: Blob | None = None

    @classmethod
    def of(cls, value: object, status: int = 200, headers: dict[str, str] | None = None) -> "Answer":
        """JSON."""
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


@dataclass(frozen=True)
class Call:
    """A request whose body was read: the groups of its route, unquoted, the query, and the headers in lower case."""

    method: str
    groups: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.groups["kind"].removesuffix("s")

    @property
    def repo_id(self) -> str:
        return f"{self.groups['owner']}/{self.groups['name']}"

    def json(self) -> Any:
        """The body, which is JSON or a form."""
        if "x-www-form-urlencoded" in self.headers.get("content-type", ""):
            return parse_qs(self.body.decode())
        return json.loads(self.body)

    def has_token(self) -> bool:
        """Whether a token came; any that begins with hf_ is good, another is refused."""
        words = self.headers.get("authorization", "").split()
        if words and not (len(words) == 2 and words[0] == "Bearer" and words[1].startswith("hf_")):
            raise Refused(401, "Invalid credentials in Authorization header")
        return bool(words)


class Hub:
    """The repositories, and what is said to requests for them.

    Attributes:
        url: where the Hub is, for the addresses in answers.
        repos: by kind ("dataset" or "model") and id.
        private_needs_token: whether private repositories are hidden from requests without a token.
        page: entries of a listing that come at a time; the others have a Link.
        lock: held while the repositories are read or changed.
    """

    private_needs_token = True
    page = 1000

    def __init__(self, url: str) -> None:
        self.url = url
        self.repos: dict[tuple[str, str], Repo] = {}
        self.lock = threading.RLock()

    def repo(self, repo_id: str, kind: str = "dataset") -> Repo:
        """The repository; Refused where there is none."""
        if (kind, repo_id) not in self.repos:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.repos[kind, repo_id]

    def files(self, repo_id: str, revision: str = "main", kind: str = "dataset") -> dict[str, bytes]:
        """Paths to contents at a branch, tag or commit; .gitattributes, which the Hub itself adds, is among them."""
        with self.lock:
            return {path: blob.data for path, blob in self.repo(repo_id, kind).at(revision).files.items()}

    def add(self, repo_id: str, files: Mapping[str, bytes], kind: str = "dataset", tag: str | None = None) -> str:
        """Commits files without a client, in a new repository where there is none; gives the id of the commit."""
        with self.lock:
            repo = self.repos.setdefault((kind, repo_id), Repo(kind, repo_id))
            changes: list[tuple[str, dict[str, Any]]] = []
            for path, data in files.items():
                if is_lfs(path, len(data), data[:512]):
                    oid = hashlib.sha256(data).hexdigest()
                    repo.objects[oid] = data
                    changes.append(("lfsFile", {"path": path, "oid": oid}))
                else:
                    changes.append(("file", {"path": path, "data": data}))
            commit = repo.commit({"summary": "add"}, changes)
            if tag is not None:
                repo.tags[tag] = commit
            return commit.id

    def tamper(self, repo_id: str, path: str, data: bytes, kind: str = "dataset") -> None:
        """Changes a file of the newest commit under the same hashes and commit, as a bad mirror would."""
        with self.lock:
            files = self.repo(repo_id, kind).main.files
            files[path] = replace(files[path], data=data)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What the Hub says to a request."""
        url = urlsplit(target)
        try:
            for methods, route, endpoint in ROUTES:
                if method in methods.split() and (match := route.fullmatch(url.path)):
                    groups = {"kind": "models"} | {k: unquote(v) for k, v in match.groupdict().items() if v is not None}
                    call = Call(method, groups, parse_qs(url.query), headers, body)
                    with self.lock:
                        return endpoint(self, call)
            raise Refused(404, f"The tests' Hub has no {method} {url.path}")
        except Refused as refused:
            told = {"X-Error-Message": refused.message} | ({"X-Error-Code": refused.code} if refused.code else {})
            return Answer.of({"error": refused.message}, refused.status, told)


def _open(hub: Hub, call: Call, *, write: bool = False) -> Repo:
    """The repository of a call, if the caller may; the real Hub, too, hides from strangers whether there is one."""
    has_token = call.has_token()
    repo = hub.repos.get((call.kind, call.repo_id))
    hidden = repo is None or (repo.private and hub.private_needs_token)
    if not has_token and (write or hidden):
        # The client takes a bare 401 for this only from https addresses; the code makes it do so here.
        raise Refused(401, "Invalid username or password.", "RepoNotFound")
    return hub.repo(call.repo_id, call.kind)


def _create(hub: Hub, call: Call) -> Answer:
    if not call.has_token():
        raise Refused(401, "Invalid username or password.")
    wanted = call.json()
    kind, repo_id = wanted.get("type") or "model", f"{wanted.get('organization') or USER}/{wanted['name']}"
    told = {"url": f"{hub.url}/{'datasets/' if kind == 'dataset' else ''}{repo_id}", "name": repo_id}
    if (kind, repo_id) in hub.repos:
        return Answer.of(told | {"error": "You already created this repo"}, 409)
    private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
    hub.repos[kind, repo_id] = Repo(kind, repo_id, private)
    return Answer.of(told)


def _whoami(hub: Hub, call: Call) -> Answer:
    if not call.has_token():
        raise Refused(401, "Invalid username or password.")
    token = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
    return Answer.of({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": token})


def _validate_yaml(hub: Hub, call: Call) -> Answer:
    missing = {"message": "empty or missing yaml metadata in repo card"}
    return Answer.of({"errors": [], "warnings": [] if call.json()["content"].startswith("---\n") else [missing]})


def _info(hub: Hub, call: Call) -> Answer:
    repo = _open(hub, call)
    return Answer.of(repo.info(repo.at(call.groups.get("revision", "main")), blobs="blobs" in call.query))


def _refs(hub: Hub, call: Call) -> Answer:
    def named(kind: str, commits: dict[str, Commit]) -> list[dict[str, str]]:
        return [{"name": k, "ref": f"refs/{kind}/{k}", "targetCommit": commits[k].id} for k in commits]

    repo = _open(hub, call)
    tags, branches = named("tags", repo.tags), named("heads", repo.branches)
    return Answer.of({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})


def _create_tag(hub: Hub, call: Call) -> Answer:
    repo, tag = _open(hub, call, write=True), call.json()["tag"]
    commit = repo.at(call.groups["revision"])
    if tag in repo.tags or tag in repo.branches:
        raise Refused(409, f"Tag reference exists already: {tag}")
    repo.tags[tag] = commit
    return Answer.of({})


def _delete_tag(hub: Hub, call: Call) -> Answer:
    repo = _open(hub, call, write=True)
    if repo.tags.pop(call.groups["revision"], None) is None:
        raise Refused(404, f"Invalid rev id: {call.groups['revision']}", "RevisionNotFound")
    return Answer.of({})


def _preupload(hub: Hub, call: Call) -> Answer:
    commit = _open(hub, call, write=True).at(call.groups["revision"])
    files = []
    for file in call.json()["files"]:
        lfs = is_lfs(file["path"], file["size"], base64.b64decode(file["sample"]))
        told = {"path": file["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        now = commit.files.get(file["path"])
        files.append(told | ({"oid": now.oid} if now else {}))
    return Answer.of({"files": files, "commitOid": commit.id})


def _batch(hub: Hub, call: Call) -> Answer:
    repo = _open(hub, call, write=True)
    objects = []
    for wanted in call.json()["objects"]:
        href = f"{hub.url}/lfs/{call.kind}s/{repo.id}/{wanted['oid']}"
        actions = {"upload": {"href": href}, "verify": {"href": href + "/verify"}}
        told = {"oid": wanted["oid"], "size": wanted["size"]}
        objects.append(told if wanted["oid"] in repo.objects else told | {"authenticated": True, "actions": actions})
    return Answer.of({"transfer": "basic", "objects": objects})


def _put(hub: Hub, call: Call) -> Answer:
    # As with addresses that carry their own signature, the token is not asked for.
    blob, oid = Blob.of(call.body, lfs=True), call.groups["oid"]
    if blob.oid != oid:
        raise Refused(400, f"The body has the SHA-256 {blob.oid}, not {oid}.")
    hub.repo(call.repo_id, call.kind).objects[oid] = call.body
    return Answer(headers={"ETag": f'"{oid}"'})


def _verify(hub: Hub, call: Call) -> Answer:
    wanted = call.json()
    data = _open(hub, call, write=True).objects.get(wanted["oid"])
    if data is None or len(data) != wanted["size"]:
        raise Refused(404, f"There is no object {wanted['oid']} of {wanted['size']} bytes.")
    return Answer.of({})


def _commit(hub: Hub, call: Call) -> Answer:
    repo = _open(hub, call, write=True)
    if call.groups["revision"] not in repo.branches:
        raise Refused(404, f"Invalid rev id: {call.groups['revision']}", "RevisionNotFound")
    if "create_pr" in call.query:
        raise Refused(400, "The tests' Hub has no pull requests")
    lines = [json.loads(line) for line in call.body.splitlines()]
    for line in lines:
        if line["key"] == "file":
            line["value"]["data"] = base64.b64decode(line["value"]["content"])
    header = next(line["value"] for line in lines if line["key"] == "header")
    made = repo.commit(header, [(line["key"], line["value"]) for line in lines if line["key"] != "header"])
    prefix = "datasets/" if repo.kind == "dataset" else ""
    return Answer.of(
        {"success": True, "commitOid": made.id, "commitUrl": f"{hub.url}/{prefix}{repo.id}/commit/{made.id}"}
    )


def _tree(hub: Hub, call: Call) -> Answer:
    def asked(name: str) -> bool:
        return call.query.get(name, [""])[0].lower() in ("1", "true")

    commit = _open(hub, call).at(call.groups["revision"])
    entries = commit.listing(call.groups.get("path", ""), recursive=asked("recursive"), expand=asked("expand"))
    first = int(call.query.get("cursor", ["0"])[0])
    headers = {}
    if len(entries) > first + hub.page:
        flags = "&".join(f"{name}={str(asked(name)).lower()}" for name in ("recursive", "expand"))
        path = f"/api/{call.groups['kind']}/{call.repo_id}/tree/{commit.id}/{call.groups.get('path', '')}".rstrip("/")
        headers["Link"] = f'<{hub.url}{path}?{flags}&cursor={first + hub.page}>; rel="next"'
    return Answer.of(entries[first : first + hub.page], headers=headers)


def _paths_info(hub: Hub, call: Call) -> Answer:
    commit, wanted = _open(hub, call).at(call.groups["revision"]), call.json()
    expand = str(wanted.get("expand", False)).lower() in ("true", "['true']")
    entries = (commit.entry(path, expand=expand) for path in wanted.get("paths", []))
    return Answer.of([entry for entry in entries if entry is not None])


def _resolve(hub: Hub, call: Call) -> Answer:
    commit, path = _open(hub, call).at(call.groups["revision"]), call.groups["path"]
    if path not in commit.files:
        raise Refused(404, "Entry not found", "EntryNotFound")
    blob = commit.files[path]
    total = len(blob.data)
    headers = {"X-Repo-Commit": commit.id, "ETag": f'"{blob.oid}"', "Accept-Ranges": "bytes"}
    headers["Content-Type"] = "application/octet-stream" if blob.lfs else "text/plain; charset=utf-8"
    if blob.lfs:
        headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(total)}
    part = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("range", ""))
    if part is None or part[0] == "bytes=-":
        return Answer(200, blob.data, headers, blob)
    first = int(part[1]) if part[1] else max(total - int(part[2]), 0)
    end = min(int(part[2]) + 1, total) if part[1] and part[2] else total
    if first >= end:
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{total}"})
    return Answer(206, blob.data[first:end], headers | {"Content-Range": f"bytes {first}-{end - 1}/{total}"}, blob)


_REPO = r"(?P<owner>[^/]+)/(?P<name>[^/]+)"
_API = rf"/api/(?P<kind>models|datasets)/{_REPO}"
_PAGE = rf"/(?:(?P<kind>datasets)/)?{_REPO}"
_REVISION = r"(?P<revision>[^/]+)"
_LFS = rf"/lfs/(?P<kind>models|datasets)/{_REPO}/(?P<oid>[0-9a-f]{{64}})"
ROUTES = tuple(
    (methods, re.compile(route), endpoint)
    for methods, route, endpoint in (
        ("POST", "/api/repos/create", _create),
        ("GET", "/api/whoami-v2", _whoami),
        ("POST", "/api/validate-yaml", _validate_yaml),
        ("GET", rf"{_API}(?:/revision/{_REVISION})?", _info),
        ("GET", rf"{_API}/refs", _refs),
        ("POST", rf"{_API}/tag/{_REVISION}", _create_tag),
        ("DELETE", rf"{_API}/tag/{_REVISION}", _delete_tag),
        ("POST", rf"{_API}/preupload/{_REVISION}", _preupload),
        ("POST", rf"{_API}/commit/{_REVISION}", _commit),
        ("GET", rf"{_API}/tree/{_REVISION}(?:/(?P<path>.+))?", _tree),
        ("POST", rf"{_API}/paths-info/{_REVISION}", _paths_info),
        ("POST", rf"{_PAGE}\.git/info/lfs/objects/batch", _batch),
        ("PUT", _LFS, _put),
        ("POST", rf"{_LFS}/verify", _verify),
        ("GET HEAD", rf"{_PAGE}/resolve/{_REVISION}/(?P<path>.+)", _resolve),
    )
)
