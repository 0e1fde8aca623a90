"""Figures of nets on mazes: what their features follow, and what they answer to changed mazes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles, counting_mask, solved
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.changes import low_pass
from easy_to_hard.baselines.vit_visualization.claims import KEPT_SOLVED, SCORE
from easy_to_hard.baselines.vit_visualization.figures import plain, share
from easy_to_hard.baselines.vit_visualization.maximising import Subject
from easy_to_hard.baselines.vit_visualization.maze_maps import follow, places_of, shuffled
from easy_to_hard.baselines.vit_visualization.recipes import CUTOFFS

Answer: TypeAlias = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float in [0, 1] -> logits (B, 2, H, W)."""

_BATCH: Final = 100


def count_solved(answer: Answer, items: Puzzles, inputs: Tensor | None = None) -> int:
    """Mazes whose whole answer is right.

    Args:
        answer: the net.
        items: mazes.
        inputs: what the net is shown instead of theirs, (N, 3, H, W); None for theirs.
    """
    shown = items.inputs if inputs is None else inputs
    with torch.no_grad():
        return sum(
            int(solved(answer(shown[first : first + _BATCH]), items[first : first + _BATCH]).sum())
            for first in range(0, len(items), _BATCH)
        )


def feature_scores(
    subject: Subject, items: Puzzles, net: str, layers: Sequence[int], seed: int, *, only_path: bool = False
) -> list[Figure]:
    """What the features follow, layer by layer, and in the last layer, as a null, what they follow of shuffled marks.

    Args:
        subject: the net.
        items: mazes: features are chosen on the first half, scored on the second.
        net: as results name it.
        layers: from 0.
        seed: of the shuffling.
        only_path: whether to leave all but the path out.
    """
    places = places_of(items)
    masks = {"path": places.masks["path"]} if only_path else dict(places.masks)
    with torch.no_grad():
        parts = [subject.maps(some, layers) for some in torch.split(items.inputs, _BATCH)]
    found, of_path = [], []
    for layer, maps in zip(layers, (torch.cat(part) for part in zip(*parts, strict=True)), strict=True):
        for name, mask in masks.items():
            scores = follow(maps, mask, places.free)
            if scores is None:
                continue
            found.append(_score(scores, net=net, of=name, layer=layer + 1))
            if name == "path":
                of_path.append(scores)
        if layer == layers[-1] and not only_path:
            nulls = {name: follow(maps, shuffled(mask, places.free, seed), places.free) for name, mask in masks.items()}
            found += [
                _score(scores, net=f"{net}, marks shuffled", of=name, layer=layer + 1)
                for name, scores in nulls.items()
                if scores is not None
            ]
    if len(of_path) > 1 and not only_path:
        found.append(_score(of_path[-1] - of_path[0], "AUROC of the path, last layer less first", net=net))
    return found


def _score(scores: Tensor, name: str = SCORE, **condition: str | int | float) -> Figure:
    value = float(scores.mean())
    return Figure(name=name, value=value, num_items=len(scores), condition=condition, sample=scores)


def hide(inputs: Tensor, positions: Tensor) -> Tensor:
    """Mazes (N, 3, H, W) with some of their positions (N, h, w) bool turned into wall."""
    pixels = positions.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    framed = torch.nn.functional.pad(pixels, (1, 1, 1, 1))
    return inputs.masked_fill(framed[:, None], 0.0)


def hidden_positions(items: Puzzles, seed: int) -> dict[str, Tensor]:
    """What is hidden -> positions (N, h, w) bool; start and goal never are.

    Args:
        items: mazes.
        seed: of what is drawn.
    """
    places, corners = places_of(items), items.inputs[..., 1:-1:2, 1:-1:2]
    ends = places.free & ~(corners.amin(dim=1) > 0)
    path, others = places.masks["path"] & ~ends, places.free & ~places.masks["path"] & ~ends
    noise = torch.rand(path.shape, generator=generator_of("hidden", seed)).to(path.device)
    one = noise.masked_fill(~path, -1.0).flatten(1)
    single = torch.zeros_like(one, dtype=torch.bool).scatter_(1, one.argmax(dim=1, keepdim=True), True)
    return {
        "half of the dead ends": others & (noise < 0.5),
        "all dead ends": others,
        "one position of the path": single.view_as(path) & path,
        "the path": path,
    }


def change_figures(nets: Mapping[str, Answer], items: Puzzles, seed: int) -> list[Figure]:
    """Solve rates where positions are hidden, or the picture is low-pass filtered.

    What counts is the answer of the maze as it was, at the positions that are not wall now: all of it where dead ends
    are hidden, what is left of it where the path is.

    Args:
        nets: name -> its answers.
        items: mazes.
        seed: of what is drawn.
    """
    found, kept = [], dict[str, float]()
    hidden = {name: hide(items.inputs, positions) for name, positions in hidden_positions(items, seed).items()}
    half = items.inputs.shape[-1] / 2
    for net, answer in nets.items():
        natural = count_solved(answer, items)
        for name, inputs in hidden.items():
            changed = Puzzles(inputs=inputs, targets=items.targets, mask=counting_mask("mazes", inputs))
            right = count_solved(answer, changed)
            found.append(share("solve rate with positions hidden", right, len(items), net=net, hidden=name))
        rates = []
        for cutoff in CUTOFFS:
            right = count_solved(answer, items, low_pass(items.inputs, cutoff * half))
            found.append(share("solve rate of a low-pass picture", right, len(items), net=net, cutoff=cutoff))
            rates.append(right / max(natural, 1))
        kept[net] = sum(rates) / len(rates)
    if len(kept) > 1:
        first, second = kept
        found.append(plain(KEPT_SOLVED, kept[first] - kept[second], len(items)))
    return found
