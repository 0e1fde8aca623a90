"""The registry of reference methods."""

import os
import subprocess
import sys

import pytest

from easy_to_hard.baselines import BASELINES, get_baseline


def test_registry_loads_every_baseline() -> None:
    for name, baseline in BASELINES.items():
        assert baseline.load().__name__ == f"easy_to_hard.baselines.{name}"
        assert baseline.papers
    with pytest.raises(ValueError, match=r"unknown baseline 'deep'.*deep_thinking"):
        get_baseline("deep")


_EACH_ALONE = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [one for one in sys.modules if one.startswith("easy_to_hard.baselines")]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""


def test_each_part_of_a_method_can_be_imported_first() -> None:
    parts = ("recipes", "claims", "on_images", "on_puzzles")
    names = [f"{method.module}.{part}" for method in BASELINES.values() if method.makes_claims for part in parts]
    subprocess.run([sys.executable, "-c", _EACH_ALONE, *names], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
