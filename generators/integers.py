"""Values that users give, integers above all: checked where they come in, and shown where something is wrong."""

from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import numpy as np

# Python writes no number of more than 4,300 digits, and nobody reads one of more than 20.
_LONGEST_SHOWN = 10**18


def shown(number: int) -> str:
    """An integer for a message: its digits, or "2^16384", or "more than 10^18"."""
    if abs(number) <= _LONGEST_SHOWN:
        return str(int(number))
    sign, size = "-" if number < 0 else "", abs(int(number))
    if size & (size - 1) == 0:
        return f"{sign}2^{size.bit_length() - 1}"
    return "less than -10^18" if sign else "more than 10^18"


def check_integer(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return an integer, a NumPy one as Python's own, or raise ValueError that says what is allowed.

    Args:
        name: of the value, for the message.
        value: what was given; True and False are no integers.
        least: the smallest that is allowed; None where there is none.
        most: the largest that is allowed, together with `least`.
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
    """Refuse a dataclass whose `integer_fields` hold a fraction, or anything else; of any size.

    Args:
        config: an instance, as its `__post_init__` gets it.

    Raises:
        ValueError: naming the first such field and what it holds.
    """
    for name in integer_fields(type(config)):  # type: ignore[arg-type]  # a class is hashable
        value = getattr(config, name)
        if value is not None:
            for number in value if isinstance(value, (tuple, list)) else (value,):
                check_integer(name, number)


def check_field(config: Any, name: str, holds: bool, allowed: str) -> None:
    """Refuse a dataclass with a field that is out of its range.

    Args:
        config: an instance, as its `__post_init__` gets it.
        name: of the field.
        holds: whether its value is allowed.
        allowed: what is, in words that follow "must be": "at least 1", "above 0 and finite".

    Raises:
        ValueError: naming the field, what is allowed and what it holds.
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
