"""A Hub on this machine for the tests, which misbehaves as it is told.

It keeps dataset and model repositories in memory (hub_repos.py, hub_api.py) and speaks plain HTTP/1.1 on a free port of
127.0.0.1. Clients need HF_HUB_DISABLE_XET=1; hub_client.py starts them with all that they need.
"""

import contextlib
import hashlib
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from hub_api import Answer, Hub

PIECE = 64 * 1024
KINDS = ("error", "refuse", "cut", "slow", "wrong_etag", "wrong_bytes")


@dataclass
class Request:
    """A request that came.

    Attributes:
        method, path: the path is unquoted and without the query.
        status: of the answer; 0 where there was none.
        bytes_in, bytes_out: of the two bodies, as far as they got.
    """

    method: str
    path: str
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True)
class Upload:
    """An LFS object that was PUT and kept."""

    oid: str
    size: int


@dataclass
class Fault:
    """Something the server does wrong; see `HubServer.misbehave`. `struck` counts the requests that met it."""

    kind: str
    match: re.Pattern[str]
    times: int | None
    skip: int
    status: int
    retry_after: float | None
    seconds: float
    after: int | None
    struck: int = 0


class HubServer(Hub):
    """The server; `with HubServer() as hub:` runs it. All of it may be used from several threads.

    Attributes:
        requests: all that came, in their order; `clear` forgets them.
        closing: set when the server ends.
    """

    def __init__(self) -> None:
        self._http = _HttpServer(self)
        super().__init__(f"http://127.0.0.1:{self._http.server_address[1]}")
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._faults: list[Fault] = []
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def uploads(self) -> list[Upload]:
        """The LFS objects that came since `clear`, once for each time."""
        puts = [request for request in list(self.requests) if request.method == "PUT" and request.status == 200]
        return [Upload(request.path.rsplit("/", 1)[-1], request.bytes_in) for request in puts]

    def downloads(self) -> list[str]:
        """The paths in their repositories of the files that were sent since `clear`, once for each GET."""
        sent = [request for request in list(self.requests) if request.method == "GET" and request.status in (200, 206)]
        found = [re.search(r"/resolve/[^/]+/(.+)", request.path) for request in sent]
        return [match[1] for match in found if match]

    def clear(self) -> None:
        """Forgets the requests."""
        self.requests.clear()

    def misbehave(
        self,
        kind: str,
        match: str = "",
        times: int | None = None,
        *,
        skip: int = 0,
        status: int = 500,
        retry_after: float | None = None,
        seconds: float = 0.0,
        after: int | None = None,
    ) -> Fault:
        """From now on does something wrong.

        A request meets one fault of each kind, the oldest first; "refuse" excludes all others, "error" all but "slow".

        Args:
            kind: "error" answers with `status` (and Retry-After: `retry_after`) and does nothing else; "refuse" closes
                the connection without an answer and does nothing; "cut" does what was asked and closes the connection
                after a part of the answer's body (of a PUT: after a part of what is sent, and does nothing); "slow"
                waits before each 64 KiB of what it sends and of what it reads of a PUT; "wrong_etag" gives a file the
                hash of another; "wrong_bytes" sends a file with one byte changed.
            match: a regular expression that is searched in "METHOD path".
            times: how many requests meet it; None for all until `behave`.
            skip: how many requests that match are spared before.
            seconds: that "slow" waits for each piece.
            after: bytes of the body before "cut"; half of it by default.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
        fault = Fault(kind, re.compile(match), times, skip, status, retry_after, seconds, after)
        with self.lock:
            self._faults.append(fault)
        return fault

    def behave(self) -> None:
        """Ends all misbehavior; slow requests under way go on quickly."""
        with self.lock:
            self._faults.clear()

    def strike(self, kind: str, request: Request) -> Fault | None:
        """The fault that a request meets, which then counts it."""
        with self.lock:
            for fault in self._faults:
                if fault.kind != kind or not fault.match.search(f"{request.method} {request.path}"):
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif fault.times is None or fault.struck < fault.times:
                    fault.struck += 1
                    return fault
        return None

    def pause(self, fault: Fault | None) -> None:
        """Waits as long as a slow server does for one piece; not when it no longer misbehaves."""
        if fault is not None and fault in self._faults:
            self.closing.wait(fault.seconds)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that were killed are nothing to tell of.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for the client's delayed acknowledgement of its headers
    server: _HttpServer

    def _serve(self) -> None:
        hub = self.server.hub
        request = Request(self.command, unquote(urlsplit(self.path).path))
        hub.requests.append(request)
        try:
            if hub.strike("refuse", request):
                raise ConnectionError
            slow = None if self.command == "HEAD" else hub.strike("slow", request)
            error = hub.strike("error", request)
            cut = None if error or self.command == "HEAD" else hub.strike("cut", request)
            body = self._read(request, slow if self.command == "PUT" else None, cut if self.command == "PUT" else None)
            if error:
                told = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
                answer = Answer.of({"error": f"Told to answer {error.status}"}, error.status, told)
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = self._spoiled(request, hub.answer(self.command, self.path, headers, body))
            self._send(request, answer, slow, cut)
        except (ConnectionError, TimeoutError):
            self._hang_up()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _read(self, request: Request, slow: Fault | None, cut: Fault | None) -> bytes:
        """The request's body; ConnectionError where the client, or a cut, ends it too early."""
        pieces = []
        length = int(self.headers.get("Content-Length", "0"))
        most = length // 2 if cut is None or cut.after is None else cut.after
        for piece in self._pieces():
            self.server.hub.pause(slow)
            request.bytes_in += len(piece)
            if cut is not None and request.bytes_in >= most:
                raise ConnectionError
            pieces.append(piece)
        return b"".join(pieces)

    def _pieces(self) -> Iterator[bytes]:
        """The request's body as it arrives; ConnectionError where it ends too early."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while length := int(self._line(), 16):
                yield self._exactly(length)
                self._line()
            self._line()
            return
        length = int(self.headers.get("Content-Length", "0"))
        for start in range(0, length, PIECE):
            yield self._exactly(min(PIECE, length - start))

    def _line(self) -> bytes:
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError
        return line.split(b";")[0].strip()

    def _exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError
        return data

    def _spoiled(self, request: Request, answer: Answer) -> Answer:
        """The answer, with the wrong hash or bytes if a file is to have them."""
        hub = self.server.hub
        if answer.blob is None:
            return answer
        headers, body = dict(answer.headers or {}), answer.body
        if hub.strike("wrong_etag", request):
            other = (hashlib.sha256 if answer.blob.lfs else hashlib.sha1)(answer.blob.oid.encode()).hexdigest()
            headers = {name: value.replace(answer.blob.oid, other) for name, value in headers.items()}
        if body and request.method == "GET" and hub.strike("wrong_bytes", request):
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
        return replace(answer, headers=headers, body=body)

    def _send(self, request: Request, answer: Answer, slow: Fault | None, cut: Fault | None) -> None:
        request.status = answer.status
        self.send_response(answer.status)
        for name, value in ((answer.headers or {}) | {"Content-Length": str(len(answer.body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if request.method == "HEAD":
            return
        body = answer.body
        if cut is not None:
            body = body[: len(body) // 2 if cut.after is None else cut.after]
        for start in range(0, len(body), PIECE):
            self.server.hub.pause(slow)
            piece = body[start : start + PIECE]
            request.bytes_out += len(piece)
            self.wfile.write(piece)
        if cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments: object) -> None:
        pass
