"""Commands that are killed at a file event end, when they are given again, as if they had never been killed.

A few events of each command, and all of them with EASY_TO_HARD_LONG_TESTS=1, which takes minutes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz.crashing import CASES

LONG = bool(os.environ.get("EASY_TO_HARD_LONG_TESTS"))
ROOT = Path(__file__).parents[2]
# The last event, after which all is whole, is among them.
POINTS = 0 if LONG else 3
QUICK = ("train", "convert", "generate")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, and /proc is read")


def attempts(way: str, case: str, folder: Path, points: int) -> dict[str, Any]:
    """What `fuzz.crashing` finds: in a process of its own, since one with threads cannot be forked."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.crashing", way, case, str(folder), str(points)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(found))
    return found


@pytest.mark.parametrize("case", CASES if LONG else QUICK)
def test_killed_commands_go_on_and_leave_nothing(case: str, tmp_path: Path) -> None:
    found = attempts("kill", case, tmp_path, POINTS)
    assert found["problems"] == []
    assert found["tried"] >= 3
