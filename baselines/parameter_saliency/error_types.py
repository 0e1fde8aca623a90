"""How and where an answer is wrong: labels of error types, and regions of the input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles, walking_distances

WRONG: Final = "wrong positions"
FIRST: Final = "where it first goes wrong"
PATCH: Final = "the planted patch"

_PARTS: Final = 4
# Positions up to this far from the first error count as its place.
_AROUND: Final = 2


@dataclass(frozen=True, kw_only=True)
class Errors:
    """The errors of N wrong items.

    Attributes:
        labels: the error type of each item.
        regions: name -> (N, *positions) bool; all False for an item without such a place.
    """

    labels: tuple[str, ...]
    regions: Mapping[str, Tensor]


def maze_errors(items: Puzzles, predicted: Tensor) -> Errors:
    """Error types of mazes: what is wrong with the path, and in which half of the true path it first goes wrong.

    "missing segment": cells of the path are left out, and none is added; "false dead end": cells are added, and none
    is left out; "wrong branch": both; "apart" if nothing wrong touches the true path.

    Args:
        items: N mazes; inputs (N, 3, H, W), with a green start.
        predicted: (N, H, W) int64 in {0, 1}.
    """
    path, marked = (items.targets > 0) & items.mask, (predicted > 0) & items.mask
    missing, added = path & ~marked, marked & ~path
    red, green = items.inputs[:, 0] > 0, items.inputs[:, 1] > 0
    distances = walking_distances(green & ~red, path)
    far = torch.iinfo(torch.int64).max
    touched = path & (distances >= 0) & (missing | _beside(added))
    first = torch.where(touched, distances, far).flatten(1).amin(1)
    place = touched & (distances == first[:, None, None])
    longest = distances.flatten(1).amax(1).clamp(min=1)
    labels = []
    for item in range(len(items)):
        kind = {(True, False): "missing segment", (False, True): "false dead end"}.get(
            (bool(missing[item].any()), bool(added[item].any())), "wrong branch"
        )
        apart = int(first[item]) == far
        half = "apart" if apart else ("first half" if int(first[item]) * 2 < int(longest[item]) else "second half")
        labels.append(f"{kind}, {half}")
    around = F.max_pool2d(place[:, None].float(), 2 * _AROUND + 1, 1, _AROUND)[:, 0] > 0
    return Errors(labels=tuple(labels), regions={WRONG: missing | added, FIRST: around & items.mask})


def _beside(mask: Tensor) -> Tensor:
    """A mask (N, H, W) bool, extended to its eight neighbors."""
    return F.max_pool2d(mask[:, None].float(), 3, 1, 1)[:, 0] > 0


def string_errors(items: Puzzles, predicted: Tensor) -> Errors:
    """Error types of bit strings: the quarter of the string with the first wrong position.

    Args:
        items: N strings; targets (N, L).
        predicted: (N, L) int64 in {0, 1}.
    """
    wrong = (predicted != items.targets) & items.mask
    first = wrong.long().argmax(1)
    length = wrong.shape[1]
    positions = torch.arange(length, device=wrong.device)
    around = (positions[None] - first[:, None]).abs() <= _AROUND
    labels = tuple(f"from quarter {int(place) * _PARTS // length + 1}" for place in first)
    return Errors(labels=labels, regions={WRONG: wrong, FIRST: around & wrong.any(1)[:, None]})


def class_errors(items: Puzzles, predicted: Tensor, names: Sequence[str] = ()) -> Errors:
    """Error types of images: the true class and the predicted one, by their names or, without any, their numbers.

    Args:
        items: N images; targets (N, 1).
        predicted: (N, 1) int64.
        names: of the classes.
    """
    pairs = zip(items.targets[:, 0].tolist(), predicted[:, 0].tolist(), strict=True)
    named = [(names[true], names[given]) if names else (true, given) for true, given in pairs]
    return Errors(labels=tuple(f"{true} taken for {given}" for true, given in named), regions={})


ERRORS: Final = {"mazes": maze_errors, "prefix_sums": string_errors}
"""Task -> function from (wrong items, the net's answers) to their `Errors`."""
