"""Integers that users give: shown in messages however long they are, and refused where they are none."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from easy_to_hard.generators.integers import check_field, check_integer, shown

SHOWN = {
    "0": 0,
    "-7": -7,
    "1000000000000000000": np.uint64(10**18),
    "more than 10^18": 10**18 + 1,
    "less than -10^18": -(10**18) - 1,
    "2^16384": 2**16384,
    "-2^64": -(2**64),
}


@pytest.mark.parametrize("text", SHOWN)
def test_numbers_of_any_length_are_shown(text: str) -> None:
    assert shown(SHOWN[text]) == text
    assert shown(10**5000) == "more than 10^18"


@pytest.mark.parametrize("value", [1.5, 1.0, np.float64(2), "2", None, True, np.bool_(True), [1]])
def test_what_is_no_integer_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="count must be an integer, not "):
        check_integer("count", value, 1)


def test_bounds() -> None:
    assert check_integer("count", np.int8(3), 1, 3) == 3
    assert type(check_integer("count", np.int8(3))) is int
    for value, bounds, message in (
        (0, (1,), "count must be at least 1, not 0"),
        (-1, (0,), "count must not be negative, not -1"),
        (4, (1, 3), "count must be from 1 to 3, not 4"),
        (10**9999, (0, 2**4096), r"count must be from 0 to 2\^4096, not more than 10\^18"),
    ):
        with pytest.raises(ValueError, match=message):
            check_integer("count", value, *bounds)


def test_fields_out_of_their_range_are_named() -> None:
    config = SimpleNamespace(rate=-1.5)
    check_field(config, "rate", True, "above 0")
    with pytest.raises(ValueError, match=r"^rate must be above 0, not -1\.5$"):
        check_field(config, "rate", config.rate > 0, "above 0")
