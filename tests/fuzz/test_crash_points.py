"""Commands that are killed at a file event end, when they are given again, as if they had never been killed.

A few events of each command, and all of them with EASY_TO_HARD_LONG_TESTS=1, which takes minutes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fuzz.crashing import CASES

LONG = bool(os.environ.get("EASY_TO_HARD_LONG_TESTS"))
ROOT = Path(__file__).parents[2]
# The last event, after which all is whole, is among them.
POINTS = 0 if LONG else 3
QUICK = ("train", "convert", "generate")

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="processes are forked, and /proc is read")


def attempts(way: str, cases: Sequence[str], folder: Path, points: int) -> dict[str, dict[str, Any]]:
    """What `fuzz.crashing` finds, by case: in a process of its own, since one with threads cannot be forked.

    In one process for all cases, since to load the package takes longer than most of them.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.crashing", way, ",".join(cases), str(folder), str(points)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return dict(zip(cases, map(json.loads, done.stdout.splitlines()[-len(cases) :]), strict=True))


@pytest.mark.slow
def test_killed_commands_go_on_and_leave_nothing(tmp_path: Path) -> None:
    found = attempts("kill", tuple(CASES) if LONG else QUICK, tmp_path, POINTS)
    assert {case: one["problems"] for case, one in found.items()} == {case: [] for case in found}
    assert min(one["tried"] for one in found.values()) >= 3
