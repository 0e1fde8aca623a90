"""A server on this machine that has one file and misbehaves as it is told."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Fault:
    """What is wrong with one answer.

    Attributes:
        status: instead of the file; 0 for the file.
        headers: sent besides.
        cut: the connection breaks after so many bytes of the answer's body; -1 for none.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = -1


class FileServer(ThreadingHTTPServer):
    """Answers every path with `content`.

    Attributes:
        content: the file.
        etag, last_modified: sent unless empty.
        ranges: whether Range is heeded; If-Range is too.
        heeds_if_range: False sends a part of whatever file there is.
        shift: added to where a part begins, as a server would that miscounts.
        most: bytes of the longest part that is sent at a time.
        sends_length: whether Content-Length is sent.
        faults: of the next answers, the first of them first.
        asked: Range and If-Range of all requests.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.etag = '"version-1"'
        self.last_modified = "Mon, 02 Nov 2026 10:00:00 GMT"
        self.ranges = True
        self.heeds_if_range = True
        self.shift = 0
        self.most = 2**30
        self.sends_length = True
        self.faults: list[Fault] = []
        self.asked: list[tuple[str | None, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/lichess_db_puzzle.csv.zst"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server = self.server
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        server.asked.append((wanted, condition))
        fault = server.faults.pop(0) if server.faults else Fault()
        if fault.status:
            self._answer(fault.status, b"", fault)
            return
        same = condition in (None, server.etag, server.last_modified) or not server.heeds_if_range
        if wanted is None or not server.ranges or not same:
            self._answer(200, server.content, fault)
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) + server.shift
        total = len(server.content)
        if first >= total:
            fault.headers["Content-Range"] = f"bytes */{total}"
            self._answer(416, b"", fault)
            return
        last = min(first + server.most, total) - 1
        fault.headers["Content-Range"] = f"bytes {first}-{last}/{total}"
        self._answer(206, server.content[first : last + 1], fault)

    def _answer(self, status: int, body: bytes, fault: Fault) -> None:
        self.send_response(status)
        headers = {"ETag": self.server.etag, "Last-Modified": self.server.last_modified} if status < 300 else {}
        if self.server.sends_length:
            headers["Content-Length"] = str(len(body))
        for name, value in (headers | fault.headers).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body if fault.cut < 0 else body[: fault.cut])

    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[FileServer]:
    """A running server."""
    with FileServer(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
