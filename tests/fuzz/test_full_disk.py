"""Commands that find the disk full say so in a line that names the file, leave nothing half, and go on with room.

The disk is one in memory, which only root may make; without it these tests are skipped, and
`tests/storage/test_writing.py` has the errors alone. More often with EASY_TO_HARD_LONG_TESTS=1.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.crashing import CASES
from fuzz.test_crash_points import LONG, attempts

POINTS = 10 if LONG else 2
QUICK = ("train", "generate")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With a disk of 64 MiB in it."""
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path / "disk")]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if made.returncode != 0:
        pytest.skip(f"no disk could be made: {made.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_in_a_line_and_nothing_is_left(folder: Path) -> None:
    found = attempts("full", tuple(CASES) if LONG else QUICK, folder, POINTS)
    assert {case: one["problems"] for case, one in found.items()} == {case: [] for case in found}
    assert {one["tried"] for one in found.values()} == {POINTS}
