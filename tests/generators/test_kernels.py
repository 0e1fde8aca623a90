"""Compiled functions where Numba's cache cannot be written, is damaged, or does not fit on the disk."""

import errno
import importlib.util
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import caching

from easy_to_hard.generators import kernels

MODULE = """
from easy_to_hard.generators.kernels import kernel

@kernel
def double(number):
    return 2 * number

@kernel(inline="always")
def half(number):
    return number // 2

@kernel(signature="int64(int64)")
def steps_to_one(number):
    if number == 1:
        return 0
    return 1 + steps_to_one(half(number) if number % 2 == 0 else double(number) + number + 1)
"""


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Import the module above as a new process would; its cache is in tmp_path / "cache"."""
    monkeypatch.setattr(kernels, "_WARNED", set())
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "some_kernels.py"
    path.write_text(MODULE)

    def load() -> Any:
        spec = importlib.util.spec_from_file_location("some_kernels", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "some_kernels", module)
        spec.loader.exec_module(module)
        assert (module.double(21), module.half(7), module.steps_to_one(6)) == (42, 3, 8)
        return module

    return load


def _hits(module: Any) -> int:
    return sum(sum(each.stats.cache_hits.values()) for each in (module.double, module.half, module.steps_to_one))


def test_compiled_functions_are_kept(fresh: Callable[[], Any]) -> None:
    assert _hits(fresh()) == 0
    assert _hits(fresh()) == 3


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "something else": lambda content: b"<html>",
    "another pickle": lambda content: pickle.dumps(numba.__version__) + pickle.dumps([1, 2, 3]),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_damaged_cache_is_made_again(fresh: Callable[[], Any], tmp_path: Path, suffix: str, damage: str) -> None:
    fresh()
    files = list((tmp_path / "cache").rglob(f"*{suffix}"))
    assert len(files) == 3
    for path in files:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _hits(fresh()) == 0
        assert _hits(fresh()) == 3


def test_a_damaged_cache_that_cannot_be_made_again(
    fresh: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()
    for path in (tmp_path / "cache").rglob("*.nbi"):
        path.write_bytes(b"")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", refuse)
    with pytest.warns(RuntimeWarning, match=rf"{tmp_path / 'cache'}.* cannot be read \(EOFError\)") as told:
        fresh()
    assert len(told) == 1


@pytest.mark.parametrize("written", [0, 1], ids=["not even the index", "only the index"])
def test_a_full_disk(fresh: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patches:
        patches.setattr(caching.IndexDataCacheFile, ("_save_index", "_save_data")[written], fail)
        with pytest.warns(
            RuntimeWarning, match="cannot be written .No space left on device.: .* NUMBA_CACHE_DIR"
        ) as told:
            fresh()
    assert len(told) == 1
    assert str(tmp_path / "cache") in str(told[0].message)
    # An index without its files would give what these files held before.
    assert not list((tmp_path / "cache").rglob("*.nbi"))
    fresh()
    assert _hits(fresh()) == 3


def test_nowhere_to_write(fresh: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "cache"))
    # The first locator takes the folder that the user named, the others the source's and the home folder.
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", caching.CacheImpl._locator_classes[:1])
    with pytest.warns(RuntimeWarning, match="can be kept neither .* set NUMBA_CACHE_DIR") as told:
        fresh()
    assert len(told) == 1


@kernels.kernel(counted=False)
def _corner(rows):  # type: ignore[no-untyped-def]
    total = 0
    for i in range(len(rows)):
        row = rows[i]
        total += row[i]
    return total


def test_references_are_not_counted() -> None:
    """Views work; what is allocated would never be freed, so it is refused."""
    rows = np.arange(12).reshape(3, 4)
    assert _corner(rows) == 15
    with pytest.raises(ValueError, match="<lambda> calls ones, so its references must be counted"):
        kernels.kernel(lambda number: np.ones(number).sum(), counted=False)


def test_nothing_else_decides_where_compiled_functions_are_kept() -> None:
    root = Path(__file__).parents[2]
    folders = ("generators", "easy_to_hard", "baselines", "leaderboard")
    paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert [path.name for path in paths if "njit(" in path.read_text()] == ["kernels.py"]


@pytest.mark.slow
def test_commands_run_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = """
import sys
from numba.core import caching
del caching.CacheImpl._locator_classes[1:]
from easy_to_hard.cli import main
sys.exit(main(["show", "prefix_sums", "9"]))
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert told.returncode == 0
    assert "parity" in told.stdout
    assert told.stderr.count("NUMBA_CACHE_DIR") == 1
