"""The Hub of the tests answers a plain HTTP client, and misbehaves as it is told."""

import hashlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hub_repos import git_sha1
from hub_server import HubServer, Request, Upload

BIG = bytes(range(256)) * 1024
FILES = {"README.md": b"# Data\n", "big.parquet": BIG}
README, LARGE = "/datasets/org/data/resolve/main/README.md", "/datasets/org/data/resolve/main/big.parquet"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    hub: HubServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Reply:
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, {"Authorization": "Bearer hf_test", **(headers or {})})
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


@pytest.fixture
def filled(hub: HubServer) -> HubServer:
    hub.add("org/data", FILES, tag="v1")
    return hub


def test_a_good_answer(filled: HubServer) -> None:
    big = ask(filled, "GET", LARGE)
    oid = f'"{hashlib.sha256(BIG).hexdigest()}"'
    commit = filled.repo("org/data").main.id
    assert (big.status, big.body) == (200, BIG)
    assert (big.headers["ETag"], big.headers["X-Linked-Etag"], big.headers["X-Repo-Commit"]) == (oid, oid, commit)
    head = ask(filled, "HEAD", LARGE)
    assert (head.body, head.headers["Content-Length"], head.headers["X-Linked-Size"]) == (b"", *[str(len(BIG))] * 2)
    small = ask(filled, "HEAD", README)
    assert small.headers["ETag"] == f'"{git_sha1(FILES["README.md"])}"'
    assert "X-Linked-Etag" not in small.headers
    assert filled.downloads() == ["big.parquet"]
    assert filled.requests[0] == Request("GET", LARGE, 200, 0, len(BIG))
    assert filled.files("org/data", commit) == filled.files("org/data", "v1") == filled.files("org/data")
    assert {path: data for path, data in filled.files("org/data").items() if path != ".gitattributes"} == FILES
    filled.clear()
    assert (filled.requests, filled.downloads()) == ([], [])


@pytest.mark.parametrize(
    ("wanted", "status", "first", "end"),
    [
        ("bytes=10-19", 206, 10, 20),
        ("bytes=10-", 206, 10, len(BIG)),
        ("bytes=-10", 206, len(BIG) - 10, len(BIG)),
        (f"bytes=0-{10 * len(BIG)}", 206, 0, len(BIG)),
        ("bytes=1-2,4-5", 200, 0, len(BIG)),
        (f"bytes={len(BIG)}-", 416, 0, 0),
    ],
)
def test_parts_of_files(filled: HubServer, wanted: str, status: int, first: int, end: int) -> None:
    reply = ask(filled, "GET", LARGE, headers={"Range": wanted})
    assert (reply.status, reply.body) == (status, BIG[first:end])
    if status == 206:
        assert reply.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(BIG)}"


def test_one_connection_serves_many_requests(filled: HubServer) -> None:
    connection = http.client.HTTPConnection(filled.url.removeprefix("http://"), timeout=10)
    connection.connect()
    port = connection.sock.getsockname()
    for method, path in (("HEAD", LARGE), ("GET", LARGE), ("GET", "/nowhere"), ("GET", README)):
        connection.request(method, path)
        connection.getresponse().read()
        assert connection.sock.getsockname() == port
    connection.close()


def test_objects_are_kept_only_whole_and_as_named(filled: HubServer) -> None:
    data = b"\0" * 1000
    oid = hashlib.sha256(data).hexdigest()
    path = f"/lfs/datasets/org/data/{oid}"
    assert ask(filled, "PUT", path, data[1:]).status == 400
    wanted = json.dumps({"oid": oid, "size": len(data)}).encode()
    assert ask(filled, "POST", path + "/verify", wanted).status == 404
    change = {"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": oid, "size": len(data)}}
    body = b"\n".join(json.dumps(line).encode() for line in ({"key": "header", "value": {"summary": "x"}}, change))
    assert ask(filled, "POST", "/api/datasets/org/data/commit/main", body).status == 400
    assert ask(filled, "PUT", path, data).status == 200
    assert filled.uploads() == [Upload(oid, 1000)]
    assert ask(filled, "POST", path + "/verify", wanted).status == 200
    made = [json.loads(ask(filled, "POST", "/api/datasets/org/data/commit/main", body).body) for _ in range(2)]
    assert made[0]["commitOid"] == made[1]["commitOid"] == filled.repo("org/data").main.id
    assert filled.files("org/data")["x.bin"] == data


def test_chunked_bodies_are_read(filled: HubServer) -> None:
    oid = hashlib.sha256(BIG).hexdigest()
    connection = http.client.HTTPConnection(filled.url.removeprefix("http://"), timeout=10)
    connection.request("PUT", f"/lfs/datasets/org/data/{oid}", iter([BIG[:100], BIG[100:]]), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert filled.uploads() == [Upload(oid, len(BIG))]


def test_errors_come_as_often_as_told(filled: HubServer) -> None:
    fault = filled.misbehave("error", "GET .*README", times=2, skip=1, status=429, retry_after=3)
    filled.misbehave("error", "GET .*README", times=1, status=503)
    replies = [ask(filled, "GET", README) for _ in range(5)]
    assert [reply.status for reply in replies] == [503, 429, 429, 200, 200]
    assert [reply.headers.get("Retry-After") for reply in replies] == [None, "3", "3", None, None]
    assert fault.struck == 2
    assert ask(filled, "GET", LARGE).status == 200
    assert [request.status for request in filled.requests] == [503, 429, 429, 200, 200, 200]


def test_errors_leave_everything_as_it_is(filled: HubServer) -> None:
    filled.misbehave("error", "POST .*/tag/")
    tag = b'{"tag": "v2"}'
    assert ask(filled, "POST", "/api/datasets/org/data/tag/main", tag).status == 500
    assert list(filled.repo("org/data").tags) == ["v1"]
    filled.behave()
    assert ask(filled, "POST", "/api/datasets/org/data/tag/main", tag).status == 200
    assert list(filled.repo("org/data").tags) == ["v1", "v2"]


def test_a_refusing_server_says_nothing(filled: HubServer) -> None:
    filled.misbehave("refuse", "/tag/", times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(filled, "POST", "/api/datasets/org/data/tag/main", b'{"tag": "v2"}')
    assert list(filled.repo("org/data").tags) == ["v1"]
    assert filled.requests == [Request("POST", "/api/datasets/org/data/tag/main")]
    assert ask(filled, "GET", README).status == 200


@pytest.mark.parametrize("after", [None, 1000])
def test_answers_are_cut(filled: HubServer, after: int | None) -> None:
    filled.misbehave("cut", "big", times=1, after=after)
    assert ask(filled, "HEAD", LARGE).status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(filled, "GET", LARGE)
    assert caught.value.partial == BIG[: after or len(BIG) // 2]
    assert ask(filled, "GET", LARGE).body == BIG


def test_what_was_asked_is_done_before_the_answer_is_cut(filled: HubServer) -> None:
    filled.misbehave("cut", "/tag/")
    with pytest.raises(http.client.IncompleteRead):
        ask(filled, "POST", "/api/datasets/org/data/tag/main", b'{"tag": "v2"}')
    assert list(filled.repo("org/data").tags) == ["v1", "v2"]


def test_uploads_are_cut(filled: HubServer) -> None:
    data = BIG[::-1]
    oid = hashlib.sha256(data).hexdigest()
    filled.misbehave("cut", "PUT", times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(filled, "PUT", f"/lfs/datasets/org/data/{oid}", data)
    assert filled.uploads() == []
    assert filled.requests[0].status == 0
    assert len(data) // 2 <= filled.requests[0].bytes_in < len(data)
    assert oid not in filled.repo("org/data").objects
    assert ask(filled, "PUT", f"/lfs/datasets/org/data/{oid}", data).status == 200


def test_wrong_etags(filled: HubServer) -> None:
    right = {path: ask(filled, "HEAD", path).headers for path in (LARGE, README)}
    filled.misbehave("wrong_etag")
    for path, headers in right.items():
        for method in ("HEAD", "GET"):
            wrong = ask(filled, method, path)
            assert wrong.headers["ETag"] != headers["ETag"]
            assert len(wrong.headers["ETag"]) == len(headers["ETag"])
            assert wrong.headers.get("X-Linked-Etag", wrong.headers["ETag"]) == wrong.headers["ETag"]
            assert wrong.body == (FILES[path.rsplit("/", 1)[1]] if method == "GET" else b"")


def test_wrong_bytes(filled: HubServer) -> None:
    right = ask(filled, "HEAD", LARGE).headers
    fault = filled.misbehave("wrong_bytes", times=1)
    for untouched in ("/api/datasets/org/data", "/nowhere"):
        ask(filled, "GET", untouched)
    ask(filled, "HEAD", LARGE)
    assert fault.struck == 0
    wrong = ask(filled, "GET", LARGE)
    assert wrong.headers["ETag"] == right["ETag"]
    assert len(wrong.body) == len(BIG)
    assert sum(a != b for a, b in zip(wrong.body, BIG, strict=True)) == 1
    assert ask(filled, "GET", LARGE).body == BIG
    assert filled.files("org/data")["big.parquet"] == BIG


def test_a_slow_server(filled: HubServer) -> None:
    data = BIG[::-1]
    fault = filled.misbehave("slow", "big|PUT", seconds=0.05)
    assert ask(filled, "GET", README).status == 200
    assert ask(filled, "HEAD", LARGE).status == 200
    assert fault.struck == 0
    for method, path, body in (
        ("GET", LARGE, None),
        ("PUT", f"/lfs/datasets/org/data/{hashlib.sha256(data).hexdigest()}", data),
    ):
        started = time.monotonic()
        assert ask(filled, method, path, body).status == 200
        # Four pieces of 64 KiB.
        assert time.monotonic() - started >= 0.2


def test_a_slow_answer_ends_when_the_server_behaves(filled: HubServer) -> None:
    fault = filled.misbehave("slow", "big", seconds=2)
    with ThreadPoolExecutor() as pool:
        started = time.monotonic()
        reply = pool.submit(ask, filled, "GET", LARGE)
        while not fault.struck:
            time.sleep(0.001)
        filled.behave()
        assert reply.result().body == BIG
    # All four pieces would take 8 s; the first has begun.
    assert time.monotonic() - started < 7


def test_faults_come_together(filled: HubServer) -> None:
    filled.misbehave("wrong_etag", "big")
    filled.misbehave("slow", "big", seconds=0.05)
    filled.misbehave("cut", "big", after=70_000)
    started = time.monotonic()
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(filled, "GET", LARGE)
    assert len(caught.value.partial) == 70_000
    assert time.monotonic() - started >= 0.1
    assert ask(filled, "HEAD", LARGE).headers["ETag"] != f'"{hashlib.sha256(BIG).hexdigest()}"'


def test_unknown_misbehavior_is_refused(hub: HubServer) -> None:
    with pytest.raises(ValueError, match="kind is 'late'; it must be one of error, refuse"):
        hub.misbehave("late")


def test_tampered_files_keep_their_hashes(filled: HubServer) -> None:
    before = [ask(filled, "HEAD", LARGE).headers, json.loads(ask(filled, "GET", "/api/datasets/org/data/tree/v1").body)]
    commit = filled.repo("org/data").main.id
    filled.tamper("org/data", "big.parquet", BIG[::-1])
    after = [ask(filled, "HEAD", LARGE).headers, json.loads(ask(filled, "GET", "/api/datasets/org/data/tree/v1").body)]
    assert [before[0]["ETag"], before[1]] == [after[0]["ETag"], after[1]]
    assert after[0]["X-Repo-Commit"] == commit
    assert ask(filled, "GET", LARGE.replace("main", commit)).body == BIG[::-1]


def test_public_reading_needs_no_token_and_private_does_where_wanted(filled: HubServer) -> None:
    assert ask(filled, "GET", README, headers={"Authorization": ""}).status == 200
    filled.repo("org/data").private = True
    refused = ask(filled, "GET", README, headers={"Authorization": ""})
    assert (refused.status, refused.headers["X-Error-Code"]) == (401, "RepoNotFound")
    filled.private_needs_token = False
    assert ask(filled, "GET", README, headers={"Authorization": ""}).status == 200


def test_many_clients_at_once(filled: HubServer) -> None:
    objects = [bytes([number]) * 100_000 for number in range(16)]

    def put(data: bytes) -> int:
        return ask(filled, "PUT", f"/lfs/datasets/org/data/{hashlib.sha256(data).hexdigest()}", data).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, objects)) == [200] * 16
    assert {upload.oid for upload in filled.uploads()} == {hashlib.sha256(data).hexdigest() for data in objects}
    assert len(filled.repo("org/data").objects) == 17
