"""Defenses by augmentation for puzzles, whose answer is a class at each position.

All but mixup are label-safe: a changed puzzle is learned with the answer that is right for it. Mixup cannot be: the
prefix sums of an average are not the average of the prefix sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.defenses import arrange, draw_boxes, flat_dirichlet, mix, permutations
from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.victims import Generators

_MAXUP_DRAWS: Final = 4
_CUT_BITS: Final = 4
_CUT_AREA: Final = 0.1
_DIHEDRAL: Final = 8


@dataclass(frozen=True, kw_only=True)
class Term:
    """Batches of S nets, and the weights of their losses.

    Attributes:
        items: `Puzzles` with a leading dimension for the nets: inputs (S, B, C, *size) and so on.
        weights: (S,) float32.
    """

    items: Puzzles
    weights: Tensor


Versions: TypeAlias = Sequence[Sequence[Term]]
"""The terms of each draw: an item's loss is a weighted sum over the terms, and of these the highest over the draws."""

PuzzleDefense: TypeAlias = Callable[[Puzzles, Generators], Versions]
"""(batches of S nets, a generator for each net) -> what to train on."""


def _whole(items: Puzzles) -> Sequence[Term]:
    return (Term(items=items, weights=torch.ones(len(items), device=items.inputs.device)),)


def learn_as_is(items: Puzzles, generators: Generators) -> Versions:
    """No defense."""
    return (_whole(items),)


def mixup(items: Puzzles, generators: Generators) -> Versions:
    """Mix inputs in pairs; the loss is a weighted sum over both answers, each at the positions of its own puzzle."""
    device = items.inputs.device
    shares = torch.stack([flat_dirichlet(2, one) for one in generators])
    count = items.inputs.shape[1]
    orders = [permutations(count, generators) for _ in range(2)]
    mixed = mix(items.inputs, orders, shares)
    terms = []
    for way, order in enumerate(orders):
        answers = Puzzles(inputs=mixed, targets=arrange(items.targets, order), mask=arrange(items.mask, order))
        terms.append(Term(items=answers, weights=shares[:, way].to(device)))
    return (terms,)


def cutout(items: Puzzles, generators: Generators) -> Versions:
    """Hide part of each puzzle, in a way that leaves the answer right.

    In a string, 4 consecutive bits become 0, and positions from there on do not count, since their answers cannot be
    known; the first position is kept. In a maze, a box of a tenth of its area becomes wall, except for the path and its
    ends.
    """
    return (_whole(_hide_bits(items, generators) if items.targets.ndim == 3 else _hide_cells(items, generators)),)


def _hide_bits(items: Puzzles, generators: Generators) -> Puzzles:
    device, (batch, length) = items.inputs.device, items.targets.shape[1:]
    starts = torch.stack([torch.randint(1, length, (batch,), generator=one) for one in generators]).to(device)
    places = torch.arange(length, device=device)
    after = places >= starts[..., None]
    hidden = after & (places < starts[..., None] + _CUT_BITS)
    return replace(items, inputs=items.inputs.masked_fill(hidden[:, :, None], 0.0), mask=items.mask & ~after)


def _hide_cells(items: Puzzles, generators: Generators) -> Puzzles:
    areas = torch.full((len(items),), _CUT_AREA)
    boxes = draw_boxes(areas, items.inputs.shape[3:], generators).to(items.inputs.device) > 0
    ends = items.inputs.amax(2) != items.inputs.amin(2)
    hidden = boxes[:, :, 0] & (items.targets == 0) & ~ends
    return replace(items, inputs=items.inputs.masked_fill(hidden[:, :, None], 0.0), mask=items.mask & ~hidden)


def symmetries(items: Puzzles, generators: Generators) -> Puzzles:
    """One symmetric version of every item, with its answer.

    In a string, one bit is flipped, and with it every answer from there on. A maze undergoes one of the 8 rotations and
    reflections, the same for a net's whole batch.
    """
    if items.targets.ndim == 3:
        return _flip_bits(items, generators)
    turned = []
    for number, one in enumerate(generators):
        which = int(torch.randint(_DIHEDRAL, (), generator=one))
        turned.append([turn(part[number], which) for part in (items.inputs, items.targets, items.mask)])
    inputs, targets, mask = (torch.stack(parts) for parts in zip(*turned, strict=True))
    return Puzzles(inputs=inputs, targets=targets, mask=mask)


def turn(values: Tensor, which: int) -> Tensor:
    """Apply the rotation or reflection with number `which`, from 0 to 7, to squares (..., H, W)."""
    rotated = torch.rot90(values, which % 4, (-2, -1))
    return rotated if which < 4 else rotated.flip(-1)


def _flip_bits(items: Puzzles, generators: Generators) -> Puzzles:
    device, (batch, length) = items.inputs.device, items.targets.shape[1:]
    chosen = torch.stack([torch.randint(length, (batch,), generator=one) for one in generators]).to(device)
    places = torch.arange(length, device=device)
    flipped = places == chosen[..., None]
    inputs = torch.where(flipped[:, :, None], -items.inputs, items.inputs)
    return replace(
        items, inputs=inputs, targets=torch.where(places >= chosen[..., None], 1 - items.targets, items.targets)
    )


def maxup(items: Puzzles, generators: Generators) -> Versions:
    """MaxUp over 4 symmetric versions: train on each item's highest loss."""
    return tuple(_whole(symmetries(items, generators)) for _ in range(_MAXUP_DRAWS))


PUZZLE_DEFENSES: Final[MappingProxyType[str, PuzzleDefense]] = MappingProxyType(
    {
        "none": learn_as_is,
        "mixup": mixup,
        "cutout": cutout,
        "maxup": maxup,
        # It adds noise to gradients: see `SolverTraining.private`.
        "dp_sgd": learn_as_is,
    }
)
