"""Hash-partitioned splits: which split an instance belongs to is a function of the instance alone.

The range [0, 2^64) of canonical hashes is divided at 80 % and 90 % into train, validation and test. So two splits never
share an instance, whatever their sizes and seeds, and no table has to be kept.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.integers import shown

Split = Literal["train", "validation", "test"]
SplitRule = Literal["hash", "original"]

SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")
SPLIT_RULES: Final[tuple[SplitRule, ...]] = ("hash", "original")
_SHARES: Final[dict[str, tuple[int, int]]] = {"train": (0, 8), "validation": (8, 9), "test": (9, 10)}


class NotEnoughInstancesError(ValueError):
    """More distinct instances were asked for than the split holds.

    Example:
        >>> from easy_to_hard import NotEnoughInstancesError, arrays
        >>> try:
        ...     arrays("mazes", 3, num_samples=5)
        ... except NotEnoughInstancesError as error:
        ...     print(error)
        mazes_3 has 0 distinct instances in split 'train', fewer than the 5 asked for
    """


def check_split(split: str) -> Split:
    """Return `split`, or raise ValueError that lists the splits."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    return split


def check_split_rule(split_rule: str) -> SplitRule:
    """Return `split_rule`, or raise ValueError that lists the rules."""
    if split_rule not in SPLIT_RULES:
        raise ValueError(f"unknown split_rule {split_rule!r}: choose one of {', '.join(SPLIT_RULES)}")
    return split_rule


def split_range(split: str, split_rule: str, total: int = 2**64) -> tuple[int, int]:
    """The half-open range of canonical hashes, among [0, total), that belongs to a split.

    Args:
        split: "train" (80 %), "validation" (10 %) or "test" (10 %).
        split_rule: "hash", or "original", where every split is drawn from everything, as in Schwarzschild et al.
        total: the number of possible hashes.

    Returns:
        ``(low, high)`` with 0 <= low <= high <= total.

    Raises:
        ValueError: the split or rule is unknown.
    """
    low, high = _SHARES[check_split(split)]
    if check_split_rule(split_rule) == "original":
        return 0, total
    return low * total // 10, high * total // 10


def split_of(canonical_hash: int, total: int = 2**64) -> Split:
    """The split that a canonical hash in [0, total) belongs to."""
    for split in SPLITS:
        low, high = split_range(split, "hash", total)
        if low <= canonical_hash < high:
            return split
    raise ValueError(f"hash {canonical_hash} is outside [0, {total})")


def as_indices(indices: ArrayLike) -> NDArray[np.uint64]:
    """Return item numbers below 2^64 as a contiguous (N,) uint64 array, or raise ValueError."""
    rows = np.atleast_1d(np.asarray(indices))
    if rows.size == 0:
        return np.empty(0, dtype=np.uint64)
    if rows.dtype.kind in "fO" and isinstance(indices, Sequence):
        # NumPy makes floats of integers on both sides of 2^63.
        numbers = [int(index) for index in indices if isinstance(index, (int, np.integer))]
        if len(numbers) == len(indices):
            low, high = min(numbers), max(numbers)
            if not 0 <= low <= high < 2**64:
                raise ValueError(f"indices must be from 0 to 2^64 - 1, not {shown(low)} to {shown(high)}")
            return np.array(numbers, dtype=np.uint64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(f"indices must be a list of integers, not {rows.dtype} of shape {rows.shape}")
    if rows.dtype.kind == "i" and int(rows.min()) < 0:
        raise ValueError(f"indices must not be negative, not {int(rows.min())}")
    return np.ascontiguousarray(rows, dtype=np.uint64)
