"""The registry of reference methods."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from easy_to_hard.baselines import BASELINES, get_baseline
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe


def test_registry_loads_every_baseline() -> None:
    for name, baseline in BASELINES.items():
        assert baseline.load().__name__ == f"easy_to_hard.baselines.{name}"
        assert baseline.papers
    with pytest.raises(ValueError, match=r"unknown baseline 'deep'.*deep_thinking"):
        get_baseline("deep")


def test_recipes_go_to_their_own_method(tmp_path: Path) -> None:
    recipe = ReferenceRecipe(preset="smoke", data="mnist")
    with pytest.raises(ValueError, match=r"must be one of easy_to_hard\.baselines\.canary\.recipes, not Reference"):
        get_baseline("canary").run(recipe, tmp_path / "run")
    with pytest.raises(ValueError, match="are trained by its own `run`"):
        get_baseline("deep_thinking").run(recipe, tmp_path / "run")
    assert not list(tmp_path.iterdir())


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
