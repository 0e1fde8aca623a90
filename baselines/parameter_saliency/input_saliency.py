"""Which parts of the input make the salient filters salient (arXiv 2108.01335).

The item's profile is matched with a copy of itself in which a few filters are boosted; the gradient of the match by
the input shows where to look.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, vmap

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet, Standard

BoostedFilters: TypeAlias = Literal["salient", "random"]
MapKind: TypeAlias = Literal["salient filters", "random filters", "gradient of the loss"]
MAP_KINDS: Final[tuple[MapKind, ...]] = get_args(MapKind)

# As published.
BOOST: Final = 100.0
BRIGHTEST: Final = 0.05

POINTED: Final = "share of the brightest inputs"


@dataclass(frozen=True, kw_only=True)
class LocatedErrors:
    """Wrong items of which is known where in the input the error is.

    Attributes:
        items: N of them.
        predicted: the net's answers, (N, *positions) int64.
        profiles: standardized: (N, F) float32.
        regions: name -> (N, *size) bool.
        maps: kind -> (N, *size) float32; empty until they are made.
    """

    items: Puzzles
    predicted: Tensor
    profiles: Tensor
    regions: Mapping[str, Tensor]
    maps: Mapping[MapKind, Tensor] = field(default_factory=dict)


def boosted_profile(
    profile: Tensor, k: int, filters: BoostedFilters, *, rng: torch.Generator, boost: float = BOOST
) -> Tensor:
    """A profile with some filters boosted, of those that are above their mean.

    Deviates: where fewer than k are above their mean the authors boost others, whose negative values then become more
    negative still; here they stay.

    Args:
        profile: (F,), standardized.
        k: how many, at least 1.
        filters: the k most salient, or k at random of the others above their mean.
        rng: on the CPU; for "random".
        boost: the factor.
    """
    top = profile.topk(min(k, len(profile))).indices
    boosted = profile.clone()
    if filters == "random":
        above = profile > 0
        above[top] = False
        others = above.nonzero()[:, 0]
        top = others[torch.randperm(len(others), generator=rng)[:k].to(others.device)]
    boosted[top] = torch.where(profile[top] > 0, profile[top] * boost, profile[top])
    return boosted


def match(
    net: ProfiledNet, standard: Standard, inputs: Tensor, targets: Tensor, mask: Tensor, boosted: Tensor
) -> Tensor:
    """The cosine () between an item's standardized profile and a fixed one (F,); arguments as `ProfiledNet.loss`."""
    profile = standard.apply(net.profile(net.convolutions(), inputs, targets, mask))
    return F.cosine_similarity(profile, boosted, dim=0)


def saliency_maps(
    net: ProfiledNet, standard: Standard, items: Puzzles, profiles: Tensor, kind: MapKind, *, k: int, seed: int
) -> Tensor:
    """Maps of the input, in float32 without autocast.

    Deviates: the authors take the maximum over the channels first and then its absolute value, by which a strong
    negative gradient is lost; here the absolute value comes first.

    Args:
        net, standard: of the net.
        items: N of them.
        profiles: theirs, standardized: (N, F).
        kind: which filters are boosted; or the plain gradient of the loss, to compare with.
        k: boosted filters.
        seed: of the random ones.

    Returns:
        (N, *size) float32, at least 0.
    """
    maps = []
    for number, part in enumerate(net.chunks(items)):
        if kind == "gradient of the loss":
            of_loss = vmap(grad(net.loss, argnums=1), in_dims=(None, 0, 0, 0))
            gradients = of_loss(net.convolutions(), part.inputs, part.targets, part.mask)
        else:
            first = number * net.chunk
            filters: BoostedFilters = "salient" if kind == "salient filters" else "random"
            boosted = torch.stack(
                [
                    boosted_profile(profile, k, filters, rng=generator_of("boost", seed, first + row))
                    for row, profile in enumerate(profiles[first : first + len(part)])
                ]
            )
            of_match = vmap(grad(match, argnums=2), in_dims=(None, None, 0, 0, 0, 0))
            gradients = of_match(net, standard, part.inputs, part.targets, part.mask, boosted)
        maps.append(gradients.abs().amax(1))
    return torch.cat(maps)


def pointed(maps: Tensor, regions: Tensor, allowed: Tensor, *, share: float = BRIGHTEST) -> list[float]:
    """Of the brightest allowed inputs of each map, the share that lies in its region; NaN where that is empty.

    Args:
        maps: (N, *size) float.
        regions: (N, *size) bool.
        allowed: (N, *size) bool, at least one an item.
        share: of the allowed inputs, above 0 and at most 1; rounded up.
    """
    found = []
    for values, region, open_ in zip(maps.flatten(1), regions.flatten(1), allowed.flatten(1), strict=True):
        inside = region & open_
        count = -(-int(open_.sum()) * round(share * 1000) // 1000)
        brightest = torch.where(open_, values, -torch.inf).topk(count).indices
        found.append(float(inside[brightest].double().mean()) if bool(inside.any()) else float("nan"))
    return found


def by_chance(regions: Tensor, allowed: Tensor) -> list[float]:
    """The same for inputs at random: the share of the allowed ones that is the region's."""
    inside, open_ = (regions & allowed).flatten(1).sum(1).double(), allowed.flatten(1).sum(1)
    return torch.where(inside > 0, inside / open_, torch.nan).tolist()


def pointing_game(maps: Mapping[MapKind, Tensor], regions: Mapping[str, Tensor], allowed: Tensor) -> list[Figure]:
    """How often each kind of map points at each region, against inputs at random, and the differences.

    Args:
        maps: kind -> (N, *size).
        regions: name -> (N, *size) bool.
        allowed: (N, *size) bool, the inputs that are ranked.
    """
    figures = []
    for region, inside in regions.items():
        found = {
            kind: Figure.of_items(POINTED, pointed(values, inside, allowed), condition={"map": kind, "region": region})
            for kind, values in maps.items()
        }
        chance = Figure.of_items(POINTED, by_chance(inside, allowed), condition={"map": "at random", "region": region})
        figures += [*found.values(), chance]
        figures += [
            found["salient filters"].less(other, {"map": "salient filters", "region": region, "against": name})
            for name, other in [*((kind, found[kind]) for kind in MAP_KINDS[1:]), ("at random", chance)]
        ]
    return figures
