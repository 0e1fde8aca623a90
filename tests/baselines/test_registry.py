"""The registry of reference methods."""

import pytest

from easy_to_hard.baselines import BASELINES, get_baseline


def test_registry_loads_every_baseline() -> None:
    for name, baseline in BASELINES.items():
        assert baseline.load().__name__ == f"easy_to_hard.baselines.{name}"
        assert baseline.papers
    with pytest.raises(ValueError, match=r"unknown baseline 'deep'.*deep_thinking"):
        get_baseline("deep")
