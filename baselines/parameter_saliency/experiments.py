"""All experiments on one net: profiles, pruning, tuning, neighbours, input saliency, and profiles by iteration."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.parameter_saliency.choosing import Case
from easy_to_hard.baselines.parameter_saliency.error_types import ERRORS, Errors, class_errors
from easy_to_hard.baselines.parameter_saliency.examined import Examined
from easy_to_hard.baselines.parameter_saliency.input_saliency import (
    MAP_KINDS,
    POINTED,
    MapKind,
    pointed,
    pointing_game,
    saliency_maps,
)
from easy_to_hard.baselines.parameter_saliency.neighbours import look, nearest, purity
from easy_to_hard.baselines.parameter_saliency.planting import plant_patches
from easy_to_hard.baselines.parameter_saliency.profiles import RunningMoments, Standard, right_answers
from easy_to_hard.baselines.parameter_saliency.pruning import prune
from easy_to_hard.baselines.parameter_saliency.recipes import TASKS, Recipe
from easy_to_hard.baselines.parameter_saliency.records import Record
from easy_to_hard.baselines.parameter_saliency.tuning import tune
from easy_to_hard.baselines.parameter_saliency.unrolled import profiles_by_call

PATCH: Final = "the planted patch"
WALLS: Final = "walls"
BY_CALL: Final = "share of an item's saliency by call of the net"
CENTRE: Final = "mean iteration of an item's saliency"
LOUDEST: Final = "top filters in the convolution with the largest gradients"

# Fewer wrong items than this say nothing.
_FEWEST: Final = 3
_TOP: Final = 10
_PATCH_TRIES: Final = 30
# Right images for each that is wanted: not all of them can be made wrong.
_PLANTABLE: Final = 3


class NothingToExamineError(RuntimeError):
    """A net that answers (almost) everything right, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """Items whose input saliency was taken, for a picture.

    Attributes:
        items: N of them.
        predicted: the net's answers, (N, *positions) int64.
        maps: kind -> (N, *size) float32.
        regions: name -> (N, *size) bool.
    """

    items: Puzzles
    predicted: Tensor
    maps: dict[MapKind, Tensor]
    regions: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A net's test items by what became of them.

    Attributes:
        case: what the experiments take.
        standard: of the filters, over all items.
        errors: of the wrong items.
        raw: profiles of the wrong items before they were standardised: (N, F).
        accuracy: a record of which items are right.
        plantable: right items, into which patches may be planted.
    """

    case: Case
    standard: Standard
    errors: Errors
    raw: Tensor
    accuracy: Record
    plantable: Puzzles


def answer(examined: Examined, data: str, recipe: Recipe, seed: int) -> Answered:
    """Let the net answer its items, and take the profiles of all of them.

    Raises:
        NothingToExamineError: too few items are wrong, or none is right.
    """
    subject, items = examined.subject, examined.items
    logits = subject.logits(items.inputs)
    right = right_answers(logits, items.to(subject.device)).to(items.inputs.device)
    count = int((~right).sum())
    if count < _FEWEST or count == len(items):
        raise NothingToExamineError(
            f"seed {seed}: the net gets {count} of {len(items)} items wrong; {_FEWEST} or more are needed, and one "
            "that is right: change --items or --seeds"
        )
    raw = subject.profiles(items)
    moments = RunningMoments(raw.shape[1], raw.device)
    moments.update(raw)
    standard = moments.finish()
    chosen = ~right.to(raw.device)
    # The items that one works with are where the net is.
    wrong = items[~right].to(subject.device)
    predicted = logits[chosen].argmax(1)
    case = Case(
        subject=subject,
        wrong=wrong,
        right=items[right][: recipe.kept].to(subject.device),
        profiles=standard.apply(raw[chosen]),
        predicted=predicted,
        tried=min(recipe.tried, len(wrong)),
        seed=seed,
    )
    return Answered(
        case=case,
        standard=standard,
        errors=ERRORS.get(data, class_errors)(wrong, predicted),
        raw=raw[chosen],
        accuracy=Record(name="items right", values=right.float().tolist()),
        plantable=items[right][: _PLANTABLE * recipe.mapped].to(subject.device),
    )


def examine(examined: Examined, data: str, recipe: Recipe, seed: int) -> tuple[list[Record], Mapped | None]:
    """All the experiments on one net.

    Returns:
        the records, and what a picture of input saliency takes; None where there was no item for it.

    Raises:
        RuntimeError: as `answer`.
        ValueError: a k above the number of the net's filters.
    """
    answered = answer(examined, data, recipe, seed)
    case = answered.case
    records = [answered.accuracy]
    records += prune(case, recipe.counts, main=recipe.k)
    records += tune(case, recipe.k, neighbours=recipe.neighbours)
    records += purity(nearest(case.profiles, recipe.neighbours), answered.errors.labels, space="saliency")
    records += purity(nearest(look(case.wrong.inputs), recipe.neighbours), answered.errors.labels, space="pixels")
    records += loudest_layer(answered)
    mapped = map_inputs(answered, examined, data, recipe, seed)
    if mapped is not None:
        records += point(mapped, data)
    if data in TASKS:
        records += by_iteration(case, recipe)
    return records, mapped


def loudest_layer(answered: Answered) -> list[Record]:
    """Whether standardising keeps the convolution of the largest gradients from filling all the top places."""
    layers = answered.case.subject.filters.layers().to(answered.raw.device)
    counts = torch.bincount(layers)
    sums = torch.zeros(len(counts), dtype=torch.float64, device=layers.device).index_add(
        0, layers, answered.standard.mean
    )
    loudest = (sums / counts).argmax()
    top = min(_TOP, len(layers))
    records = []
    for name, profiles in (("as they are", answered.raw), ("standardised", answered.case.profiles)):
        inside = (layers[profiles.topk(top, dim=1).indices] == loudest).double().mean(1)
        records.append(Record(name=LOUDEST, condition={"profiles": name}, values=inside.tolist()))
    share = float(counts[loudest]) / len(layers)
    return [*records, Record(name=LOUDEST, condition={"profiles": "at random"}, values=[share] * len(answered.raw))]


def map_inputs(answered: Answered, examined: Examined, data: str, recipe: Recipe, seed: int) -> Mapped | None:
    """Input saliency: of puzzles that are wrong, or of images that a planted patch made wrong."""
    case, subject = answered.case, answered.case.subject
    if data in TASKS:
        items = case.wrong[: recipe.mapped]
        regions = {name: region[: recipe.mapped] for name, region in answered.errors.regions.items()}
        predicted, profiles = case.predicted[: recipe.mapped], case.profiles[: recipe.mapped]
    else:
        donors = examined.items.inputs[: len(examined.items) // 2].to(subject.device)
        items, places = plant_patches(
            subject, answered.plantable, donors, side=recipe.patch, tries=_PATCH_TRIES, count=recipe.mapped, seed=seed
        )
        if not len(items):
            return None
        regions, predicted = {PATCH: places}, subject.logits(items.inputs).argmax(1)
        profiles = answered.standard.apply(subject.profiles(items))
    maps = {
        kind: saliency_maps(subject, answered.standard, items, profiles, kind, k=recipe.boosted, seed=seed)
        for kind in MAP_KINDS
    }
    return Mapped(items=items, predicted=predicted, maps=maps, regions=regions)


def point(mapped: Mapped, data: str) -> list[Record]:
    """The pointing game; of mazes among the free cells, and how much of all that is bright lies on walls."""
    everywhere = torch.ones_like(next(iter(mapped.maps.values())), dtype=torch.bool)
    allowed = mapped.items.mask if data in TASKS else everywhere
    records = pointing_game(mapped.maps, mapped.regions, allowed)
    if data == "mazes":
        values = pointed(mapped.maps["salient filters"], ~allowed, everywhere)
        records.append(Record(name=POINTED, condition={"map": "salient filters", "region": WALLS}, values=values))
    return records


def by_iteration(case: Case, recipe: Recipe) -> list[Record]:
    """When filters are salient: of wrong and of right items, each call's share of the item's saliency."""
    records = []
    for name, items in (("wrong", case.wrong[: recipe.mapped]), ("right", case.right)):
        calls = profiles_by_call(case.subject, items, recipe.iterations).sum(2).double()
        shares = calls / calls.sum(1, keepdim=True)
        labels = ["start", *range(1, recipe.iterations + 1), "answer"]
        records += [
            Record(name=BY_CALL, condition={"items": name, "call": label}, values=values)
            for label, values in zip(labels, shares.T.tolist(), strict=True)
        ]
        inner = calls[:, 1:-1]
        numbers = torch.arange(1, inner.shape[1] + 1, dtype=torch.float64, device=inner.device)
        centres = (inner @ numbers / inner.sum(1)).tolist()
        records.append(Record(name=CENTRE, unit="iterations", condition={"items": name}, values=centres))
    return records
