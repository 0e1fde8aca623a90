"""Counts of the reference methods' settings are integers: a fraction is refused where it comes in."""

import dataclasses
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch

import easy_to_hard.baselines
from easy_to_hard.baselines.deep_thinking.model import RecurrentNet
from easy_to_hard.generators.integers import integer_fields


def _settings(value: Any) -> Iterator[Any]:
    """The dataclass instances in presets, nested ones too."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for each in value:
            yield from _settings(each)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        yield from _settings(tuple(getattr(value, field.name) for field in dataclasses.fields(value)))


def _presets() -> dict[str, Any]:
    """Class name to an instance, of all settings that a module of the methods holds."""
    found: dict[str, Any] = {}
    modules = pkgutil.walk_packages(easy_to_hard.baselines.__path__, "easy_to_hard.baselines.")
    for each in modules:
        for value in vars(import_module(each.name)).values():
            for settings in _settings(value):
                kind = type(settings)
                # Results and facts are ours; a recipe is what users change.
                if kind.__name__.endswith(("Config", "Recipe", "Crafting", "Sizes")):
                    found.setdefault(f"{kind.__module__.split('baselines.')[1]}.{kind.__name__}", settings)
    return found


PRESETS = _presets()
CASES = [(name, field) for name, settings in PRESETS.items() for field in integer_fields(type(settings))]


@pytest.mark.parametrize(("name", "field"), CASES)
@pytest.mark.parametrize("wrong", [2.5, 2.0, True, "2"])
def test_counts_are_integers(name: str, field: str, wrong: Any) -> None:
    settings = PRESETS[name]
    given = (wrong,) if isinstance(getattr(settings, field), tuple) else wrong
    with pytest.raises(ValueError, match=f"^{field} must be an integer, not {wrong!r}$"):
        dataclasses.replace(settings, **{field: given})


@pytest.mark.parametrize("settings", PRESETS.values(), ids=PRESETS)
def test_numpys_integers_and_what_a_preset_holds_are(settings: Any) -> None:
    given = {name: getattr(settings, name) for name in integer_fields(type(settings))}
    numpys = {name: np.int64(value) if isinstance(value, int) else value for name, value in given.items()}
    assert dataclasses.replace(settings, **numpys) == settings


@pytest.mark.parametrize("wrong", [2.5, 2.0, True])
def test_sizes_and_iterations_of_nets_are_integers(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^width must be an integer, not {wrong}$"):
        RecurrentNet(in_channels=1, width=wrong, head_widths=(4,), dimensions=1)
    with pytest.raises(ValueError, match="must be an integer"):
        RecurrentNet(in_channels=1, width=4, head_widths=(wrong,), dimensions=1)
    with pytest.raises(ValueError, match=f"^iterations must be an integer, not {wrong}$"):
        RecurrentNet(in_channels=1, width=4, head_widths=(4,), dimensions=1)(torch.zeros(1, 1, 8), wrong)
