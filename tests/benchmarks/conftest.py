"""Timings, collected by ``pytest tests/benchmarks --benchmark-only`` (``make bench``) and by nothing else.

Set EASY_TO_HARD_ORIGINAL to a clone of github.com/aks2203/easy-to-hard-data to be compared with the original
scripts and loader; without it, with plain-Python renditions of the same procedures.
"""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.suffix == ".py" and not config.getoption("benchmark_only", default=False):
        return True
    return None


def original_module(name: str) -> ModuleType | None:
    """A module of the original repository; None where there is none."""
    folder = os.environ.get("EASY_TO_HARD_ORIGINAL")
    path = Path(folder or "") / f"{name}.py"
    if not folder or not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Timer:
    """Times a call that makes `items` items, after some calls to warm up."""

    def __init__(self, benchmark: Any) -> None:
        self._benchmark = benchmark

    def __call__(self, group: str, label: str, items: int, function: Any, *, rounds: int = 15, warmup: int = 3) -> Any:
        self._benchmark.group = group
        self._benchmark.extra_info.update(label=label, items=items)
        return self._benchmark.pedantic(function, rounds=rounds, warmup_rounds=warmup, iterations=1)


@pytest.fixture
def timed(benchmark: Any) -> Timer:
    return Timer(benchmark)


@pytest.fixture(scope="session")
def original() -> Any:
    """`original_module`, for the tests."""
    return original_module
