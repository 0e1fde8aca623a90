"""The variants of mazes: how walls and ends are drawn, and within which bounds the length of the path lies.

A variant may be followed by bounds: ``looped_100to140`` are looped mazes whose shortest path has 100 to 140 steps.
"""

import re
from typing import Final, Literal, NamedTuple

from easy_to_hard.generators.integers import check_integer, shown

MIN_SIZE = 3
MAX_SIZE = 1601

Variant = Literal["depth_first", "wilson", "kruskal", "open_start", "looped"]
VARIANTS: Final[tuple[Variant, ...]] = ("depth_first", "wilson", "kruskal", "open_start", "looped")

_BOUNDED: Final = re.compile(r"(?P<walls>.+)_(?P<least>[0-9]{1,20})to(?P<most>[0-9]{1,20})")


class Bounds(NamedTuple):
    """The least and the most steps between neighboring positions that a path has, both even; (0, 0) for no bounds."""

    least: int = 0
    most: int = 0


def check_size(size: int) -> int:
    """Return `size`, or raise ValueError that says what is allowed."""
    number = check_integer("size", size)
    if number % 2 == 0 or not MIN_SIZE <= number <= MAX_SIZE:
        raise ValueError(f"size must be an odd number from {MIN_SIZE} to {MAX_SIZE}, not {shown(number)}")
    return number


def longest_path(size: int) -> int:
    """The most steps that a shortest path in a maze of that size can have: through all cells, two steps for each."""
    return 2 * (((check_size(size) + 1) // 2) ** 2 - 1)


def split_bounds(variant: str) -> tuple[str, Bounds]:
    """Split a variant into what stands before its bounds, which is not checked, and the bounds.

    Raises:
        ValueError: the bounds are not even, not in order, below 2, or written with leading zeros.
    """
    found = _BOUNDED.fullmatch(variant)
    if found is None:
        return variant, Bounds()
    bounds = Bounds(int(found["least"]), int(found["most"]))
    name = f"{found['walls']}_{bounds.least}to{bounds.most}"
    if not 2 <= bounds.least <= bounds.most or bounds.least % 2 or bounds.most % 2 or name != variant:
        raise ValueError(
            f"bounds of path length must be even numbers of steps, from 2 on and ascending, as in looped_100to140, "
            f"not {variant!r}"
        )
    return found["walls"], bounds


def parse_variant(variant: str, size: int) -> tuple[Variant, Bounds]:
    """Split a variant into its name without bounds and the bounds.

    Raises:
        ValueError: there is no such variant, the bounds are not allowed, or no maze of the size has so long a path.
    """
    walls, bounds = split_bounds(variant)
    if walls not in VARIANTS:
        raise ValueError(f"unknown maze variant {walls!r}: choose one of {', '.join(VARIANTS)}")
    longest = longest_path(size)
    if bounds.least > longest:
        raise ValueError(
            f"a maze of size {size} has a path of 2 to {longest} steps, not of {bounds.least} to {bounds.most}"
        )
    return walls, bounds
