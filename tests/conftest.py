"""What all tests share."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hub_server import HubServer
from hypothesis import HealthCheck, settings

# Before anything imports `datasets`: no test may use, or leave behind, the caches of the person who runs it.
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
# The nets of tests are too small to be shared out among threads.
os.environ["OMP_NUM_THREADS"] = "1"

# A busy machine is no failure. CI draws the same examples each time, so it fails only where something was changed.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("busy")

# How child processes start, such as the workers of loaders; by default as this Python does on this system.
if method := os.environ.get("EASY_TO_HARD_START_METHOD"):
    multiprocessing.set_start_method(method)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on Windows what is marked `posix`."""
    for item in items if os.name != "posix" else ():
        if "posix" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="not for Windows"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """What a test sets is undone."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of the preset "tiny"; not to be changed."""
    from easy_to_hard import build

    root = tmp_path_factory.mktemp("tiny") / "data"
    build(root, preset="tiny", progress=False)
    return root


@pytest.fixture(scope="session")
def lichess_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind of bands ("rating" or "rank") to the folder of 200 converted Lichess puzzles; not to be changed."""
    from easy_to_hard.lichess.convert import convert

    @cache
    def folder(bands: str) -> Path:
        root = tmp_path_factory.mktemp("lichess") / bands
        report = convert(Path(__file__).parent / "data" / "lichess_puzzles_200.csv", root, bands=bands, progress=False)
        assert (report.rows_in, report.rows_out, report.rejects, report.ignored_columns) == (200, 200, (), ())
        return root

    return folder


@pytest.fixture(scope="session")
def converted(lichess_folder: Callable[[str], Path]) -> Path:
    """The puzzles in bands of ratings; not to be changed."""
    return lichess_folder("rating")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """An empty Hub of its own for each test."""
    with HubServer() as running:
        yield running
