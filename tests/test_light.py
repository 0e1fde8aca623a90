"""The package where nothing but its dependencies is installed."""

import subprocess
import sys
from pathlib import Path

from easy_to_hard.extras import EXTRAS

DOORS = Path(__file__).parent / "light_doors.py"
# Modules are found as ever, but for those of the extras.
WITHOUT_EXTRAS = f"""
import runpy, sys
from importlib.machinery import PathFinder

class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in {list(EXTRAS)} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
runpy.run_path({str(DOORS)!r}, run_name="__main__")
"""


def test_everything_light_works_without_extras(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("all doors work\n", 0), done.stderr
