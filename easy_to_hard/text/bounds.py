"""Replies that need no model, between which a model's lie: none, a guess, and the solver's answer."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from zlib import crc32

import numpy as np

from easy_to_hard.text import answer, get_form
from easy_to_hard.text.items import Item


def guess(item: Item) -> str:
    """A random answer in the default style, the same each time for the same item: random bits, walks or legal moves."""
    rng = np.random.default_rng(crc32(item.id.encode()))
    return get_form(item.spec.task).guess(item.data, item.spec.difficulty, rng)


BOUNDS: Final[Mapping[str, Callable[[Item], str | None]]] = MappingProxyType(
    {"none": lambda item: None, "guess": guess, "solver": answer}
)
"""Name of a bound -> an item's reply."""
