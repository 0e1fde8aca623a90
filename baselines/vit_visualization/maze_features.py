"""Which property of a maze a feature's map follows: the path, dead ends, junctions, a distance from the start.

A map is scored, not inspected by eye: by the area under the ROC curve (AUROC) of the feature as a marker of the places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles, walking_distances
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.activation_maximization import FeatureNet
from easy_to_hard.baselines.vit_visualization.claims import PATH, SCORE
from easy_to_hard.scores.reference import Condition

FRONTIERS: Final = (4, 8, 16)
_JUNCTION: Final = 3
_BATCH: Final = 100


@dataclass(frozen=True, kw_only=True)
class Places:
    """Mazes as grids of positions.

    Attributes:
        free: (N, h, w) bool, the positions that are not wall.
        masks: name -> (N, h, w) bool, inside `free`: "path", "dead end" (one neighbor, neither start nor goal),
            "junction" (three or more neighbors), "distance d" for each of `FRONTIERS` (d steps from the start, plus or
            minus one).
    """

    free: Tensor
    masks: Mapping[str, Tensor]


def places_of(items: Puzzles) -> Places:
    """The places of some mazes: images with a border of one pixel and 2 x 2 pixels per position.

    Args:
        items: mazes.
    """
    corners = items.inputs[..., 1:-1:2, 1:-1:2]
    red, green, blue = (corners[:, channel] > 0 for channel in range(3))
    free = red | green | blue
    start, goal = red & ~green, green & ~red
    path = (items.targets[..., 1:-1:2, 1:-1:2] > 0) & free
    neighbors = _count_neighbors(free)
    distances = walking_distances(start, free)
    masks = {
        "path": path,
        "dead end": free & (neighbors == 1) & ~start & ~goal,
        "junction": free & (neighbors >= _JUNCTION),
    }
    masks |= {f"distance {d}": free & ((distances - d).abs() <= 1) for d in FRONTIERS}
    return Places(free=free, masks=masks)


def _count_neighbors(free: Tensor) -> Tensor:
    """How many of the four neighbors are free: (N, h, w) float, 0 in walls."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], device=free.device)
    return F.conv2d(free[:, None].float(), kernel[None, None], padding=1)[:, 0] * free


def auroc(scores: Tensor, marks: Tensor) -> Tensor:
    """The probability that a marked place scores higher than an unmarked one, with ties counting half.

    Args:
        scores: (P, n) float, n features at P places.
        marks: (P,) bool, neither all True nor all False.

    Returns:
        (n,) float64 in [0, 1].

    Raises:
        ValueError: all places are marked, or none is.
    """
    positive = int(marks.sum())
    negative = len(marks) - positive
    if not positive or not negative:
        raise ValueError(f"some of the {len(marks)} places must be marked and some not, not {positive}")
    values = scores.T.contiguous()
    ordered = values.sort(dim=1).values
    # The mean rank of tied values.
    below = torch.searchsorted(ordered, values)
    up_to = torch.searchsorted(ordered, values, right=True)
    ranks = (below + up_to + 1).double() / 2
    summed = (ranks * marks).sum(dim=1)
    return (summed - positive * (positive + 1) / 2) / (positive * negative)


def shuffled(mask: Tensor, free: Tensor, seed: int) -> Tensor:
    """The same number of marks in each maze, at random free positions: (N, h, w) bool."""
    noise = torch.rand(mask.shape, generator=generator_of("shuffled", seed)).to(mask.device)
    noise = noise.masked_fill(~free, 2.0).flatten(1)
    order = noise.argsort(dim=1).argsort(dim=1)
    return (order < mask.flatten(1).sum(dim=1, keepdim=True)).view_as(mask)


def follow(maps: Tensor, mask: Tensor, free: Tensor) -> Tensor | None:
    """How well a layer's best feature follows a mask: AUROC, maze by maze.

    The feature that follows the mask (or its opposite) best is chosen on the first half of the mazes, with the sign for
    which its AUROC there is above 0.5, and scored on the second half, so that choosing among many features is no
    advantage.

    Args:
        maps: (N, n, h, w) float.
        mask: (N, h, w) bool.
        free: (N, h, w) bool: only these positions count.

    Returns:
        float64, one value for each maze of the second half with places of both kinds; None if there are no such places
        to choose or score by.
    """
    half = len(maps) // 2
    values, marks = maps[:half].permute(0, 2, 3, 1)[free[:half]], mask[:half][free[:half]]
    if bool(marks.all()) or not bool(marks.any()):
        return None
    chosen_on = auroc(values, marks)
    best = int((chosen_on - 0.5).abs().argmax())
    sign = 1.0 if chosen_on[best] >= 0.5 else -1.0
    scores = _each_maze(sign * maps[half:, best], mask[half:], free[half:])
    return scores if len(scores) else None


def _each_maze(scores: Tensor, mask: Tensor, free: Tensor) -> Tensor:
    """AUROC of scores (N, h, w) maze by maze: (n,) float64, without mazes that have places of one kind only."""
    marked, others = (mask & free).flatten(1), (~mask & free).flatten(1)
    flat = scores.flatten(1)
    wins = (flat[:, :, None] > flat[:, None, :]).double() + 0.5 * (flat[:, :, None] == flat[:, None, :])
    pairs = marked[:, :, None] & others[:, None, :]
    counts = pairs.sum(dim=(1, 2))
    summed = (wins * pairs).sum(dim=(1, 2))
    return (summed / counts.clamp(min=1))[counts > 0]


def feature_scores(
    net: FeatureNet, items: Puzzles, name: str, layers: Sequence[int], seed: int, *, only_path: bool = False
) -> list[Figure]:
    """How well features follow each property of a maze, by layer; in the last, also shuffled marks, as a baseline.

    Args:
        net: the net of the features.
        items: mazes: features are chosen on the first half, scored on the second.
        name: name of the net in the result.
        layers: from 0.
        seed: seed of the shuffling.
        only_path: whether to score the path only.
    """
    places = places_of(items)
    masks = {"path": places.masks["path"]} if only_path else dict(places.masks)
    with torch.no_grad():
        parts = [net.maps(some, layers) for some in torch.split(items.inputs, _BATCH)]
    found, of_path = [], []
    for layer, maps in zip(layers, (torch.cat(part) for part in zip(*parts, strict=True)), strict=True):
        for of, mask in masks.items():
            scores = follow(maps, mask, places.free)
            if scores is None:
                continue
            found.append(_score(SCORE, scores, {"net": name, "of": of, "layer": layer + 1}))
            if of == "path":
                of_path.append(scores)
        if layer == layers[-1] and not only_path:
            nulls = {of: follow(maps, shuffled(mask, places.free, seed), places.free) for of, mask in masks.items()}
            found += [
                _score(SCORE, scores, {"net": f"{name}, marks shuffled", "of": of, "layer": layer + 1})
                for of, scores in nulls.items()
                if scores is not None
            ]
    if len(of_path) > 1 and not only_path:
        found.append(_score(PATH, of_path[-1] - of_path[0], {"net": name}))
    return found


def _score(name: str, scores: Tensor, condition: Condition) -> Figure:
    value = float(scores.mean())
    return Figure(name=name, value=value, num_items=len(scores), condition=condition, sample=scores)
