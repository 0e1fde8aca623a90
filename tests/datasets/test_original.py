"""The authors' files: read from disk, or downloaded from a server of our own that misbehaves in every way."""

import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from easy_to_hard import MazeDataset, PrefixSumDataset
from easy_to_hard.datasets import original
from easy_to_hard.datasets.original import OriginalDataError, fetch

MAZES = MazeDataset("unused", num_samples=30, split_rule="original")
STRINGS = PrefixSumDataset("unused", 40, num_samples=30, split_rule="original")


def _write_mazes(folder: Path) -> None:
    folder.mkdir(parents=True)
    np.save(folder / "inputs.npy", MAZES.inputs.double().numpy())
    np.save(folder / "solutions.npy", MAZES.targets.double().numpy())


def _write_strings(folder: Path) -> None:
    folder.mkdir(parents=True)
    torch.save(STRINGS.inputs[:, 0] + 0.5, folder / "40_data.pth")
    torch.save(STRINGS.targets.float(), folder / "40_targets.pth")


def test_maze_files_give_the_peers_items(tmp_path: Path) -> None:
    _write_mazes(tmp_path / "maze_data_test_9")
    data = MazeDataset(tmp_path, False, 9, None, False, source="original")
    assert torch.equal(data.inputs, MAZES.inputs)
    assert torch.equal(data.targets, MAZES.targets)
    assert data.inputs.dtype == torch.float32
    assert len(MazeDataset(tmp_path, False, download=False, source="original", num_samples=7)) == 7


def test_prefix_sum_files_give_the_peers_items(tmp_path: Path) -> None:
    _write_strings(tmp_path / "prefix_sums_data")
    data = PrefixSumDataset(tmp_path, 40, False, source="original")
    assert torch.equal(data.inputs, STRINGS.inputs)
    assert torch.equal(data.targets, STRINGS.targets)


def test_absent_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OriginalDataError, match="not found: use download=True to download it, or another source"):
        MazeDataset(tmp_path, download=False, source="original")
    _write_strings(tmp_path / "prefix_sums_data")
    with pytest.raises(OriginalDataError, match=r"41_data\.pth not found: the original has 16 to 64, 72, 128"):
        PrefixSumDataset(tmp_path, 41, False, source="original")
    (tmp_path / "maze_data_train_9").mkdir()
    with pytest.raises(OriginalDataError, match=r"inputs\.npy not found: remove"):
        MazeDataset(tmp_path, download=False, source="original")
    with pytest.raises(ValueError, match="the original has no wilson mazes in split 'train'"):
        MazeDataset(tmp_path, variant="wilson", source="original")


def test_files_of_another_format_are_refused(tmp_path: Path) -> None:
    _write_mazes(tmp_path / "maze_data_train_9")
    with pytest.raises(OriginalDataError, match=r"shapes .* are not those of mazes"):
        original.read_mazes(tmp_path / "maze_data_train_9", 11)
    inputs = MAZES.inputs.numpy().copy()
    inputs[0, :, 0, 0] = 1
    np.save(tmp_path / "maze_data_train_9" / "inputs.npy", inputs)
    with pytest.raises(OriginalDataError, match="some instances are not in the original's format"):
        original.read_mazes(tmp_path / "maze_data_train_9", 9)


class Server(ThreadingHTTPServer):
    """Serves one archive; `cut` breaks the connection off after so many bytes, `ranges` are those asked for."""

    archive = b""
    cut = 0
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = self.server.archive[first:]
        self.send_response(self.server.status if self.server.status != 200 else 206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cut:
            body, self.server.cut = body[: self.server.cut], 0
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    _write_mazes(tmp_path / "made" / "maze_data_train_9")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.add(tmp_path / "made" / "maze_data_train_9", "maze_data_train_9")
    with Server() as running:
        running.archive = content.getvalue()
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_download_extracts_and_leaves_nothing_else(tmp_path: Path, server: Server) -> None:
    root = tmp_path / "root"
    folder = fetch(root, "maze_data_train_9", download=True, base_url=server.url)
    assert [path.name for path in root.iterdir()] == ["maze_data_train_9"]
    assert len(original.read_mazes(folder, 9)) == 30
    fetch(root, "maze_data_train_9", download=True, base_url=server.url)
    assert server.ranges == [None]


def test_download_that_was_cut_off_goes_on(tmp_path: Path, server: Server) -> None:
    server.cut = 1000
    with pytest.raises(OriginalDataError, match="the next try resumes there"):
        fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url=server.url)
    part = tmp_path / "root" / "maze_data_train_9.tar.gz.part"
    have = part.stat().st_size if part.exists() else 0
    fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url=server.url)
    assert server.ranges == [None, f"bytes={have}-" if have else None]
    assert len(original.read_mazes(tmp_path / "root" / "maze_data_train_9", 9)) == 30


def test_server_errors_and_dead_servers_are_one_clear_error(tmp_path: Path, server: Server) -> None:
    server.status = 503
    with pytest.raises(OriginalDataError, match=r"cannot download http://127.* need no download"):
        fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url=server.url)
    with pytest.raises(OriginalDataError, match="cannot download"):
        fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url="http://127.0.0.1:1")
    assert not (tmp_path / "root" / "maze_data_train_9").exists()


def test_broken_and_malicious_archives_write_nothing(tmp_path: Path, server: Server) -> None:
    whole = server.archive
    server.archive = whole[:-200]
    with pytest.raises(OriginalDataError, match="cannot be extracted"):
        fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url=server.url)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo("../escaped")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    server.archive = content.getvalue()
    with pytest.raises(OriginalDataError, match="cannot be extracted"):
        fetch(tmp_path / "root", "maze_data_train_9", download=True, base_url=server.url)
    assert not (tmp_path / "escaped").exists()
    assert list((tmp_path / "root").iterdir()) == []


def test_pickles_are_not_unpickled(tmp_path: Path) -> None:
    folder = tmp_path / "prefix_sums_data"
    folder.mkdir()
    torch.save({"a": Server}, folder / "40_data.pth")
    with pytest.raises(OriginalDataError, match=r"40_data\.pth is not a file of tensors"):
        original.read_prefix_sums(folder, 40)
