"""Checks values from users, mostly integers, and formats them for error messages."""

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import numpy as np

# Python does not print numbers of more than 4,300 digits, and nobody reads one of more than 20.
_LONGEST_SHOWN = 10**18


def shown(number: int) -> str:
    """An integer as shown in a message: its digits, or "2^16384", or "more than 10^18"."""
    if abs(number) <= _LONGEST_SHOWN:
        return str(int(number))
    sign, size = "-" if number < 0 else "", abs(int(number))
    if size & (size - 1) == 0:
        return f"{sign}2^{size.bit_length() - 1}"
    return "less than -10^18" if sign else "more than 10^18"


def check_integer(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return the value as a Python int (it may be a NumPy one), or raise ValueError that says what is allowed.

    Args:
        name: of the value, for the message.
        value: what was given; True and False do not count as integers.
        least: the smallest value allowed; None for no limit.
        most: the largest value allowed, together with `least`; None for no limit.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} must be an integer, not {value!r}")
    number = int(value)
    if (least is None or number >= least) and (most is None or number <= most):
        return number
    if most is not None:
        allowed = f"be from {shown(least or 0)} to {shown(most)}"
    else:
        allowed = "not be negative" if least == 0 else f"be at least {least}"
    raise ValueError(f"{name} must {allowed}, not {shown(number)}")


def check_integer_fields(config: Any) -> None:
    """Reject a dataclass whose `integer_fields` hold anything but integers, which may be of any size.

    Args:
        config: an instance, as its `__post_init__` gets it.

    Raises:
        ValueError: a field holds something else; the message names the first one and what it holds.
    """
    for name in integer_fields(type(config)):  # type: ignore[arg-type]  # a class is hashable
        value = getattr(config, name)
        if value is not None:
            for number in value if isinstance(value, (tuple, list)) else (value,):
                check_integer(name, number)


def check_field(config: Any, name: str, holds: bool, allowed: str) -> None:
    """Reject a dataclass with a field that is out of range.

    Args:
        config: an instance, as its `__post_init__` gets it.
        name: of the field.
        holds: whether its value is allowed.
        allowed: what is allowed, in words that follow "must be": "at least 1", "above 0 and finite".

    Raises:
        ValueError: the value is not allowed; the message names the field, what is allowed, and what it holds.
    """
    if not holds:
        raise ValueError(f"{name} must be {allowed}, not {getattr(config, name)!r}")


@cache
def integer_fields(kind: type[Any]) -> tuple[str, ...]:
    """Names of a dataclass's fields of type int, int | None or tuple[int, ...]."""
    return tuple(field.name for field in fields(kind) if _holds_integers(field.type))


def _holds_integers(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return _holds_integers(get_args(kind)[0])
    return kind in (int, int | None, tuple[int, ...])
