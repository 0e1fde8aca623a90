"""Which parts of the input make the salient filters salient (arXiv 2108.01335).

The item's profile is matched with a copy of itself in which a few filters are boosted; the gradient of the match with
respect to the input shows which inputs matter.
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
    """Wrong items, with known places of their errors in the input.

    Attributes:
        items: N wrong items.
        predicted: the net's answers, (N, *positions) int64.
        labels: what is wrong with each of them.
        profiles: standardized saliency profiles: (N, F) float32.
        regions: name -> (N, *size) bool.
        maps: kind -> (N, *size) float32; empty until they are computed.
    """

    items: Puzzles
    predicted: Tensor
    labels: tuple[str, ...]
    profiles: Tensor
    regions: Mapping[str, Tensor]
    maps: Mapping[MapKind, Tensor] = field(default_factory=dict)


def boosted_profile(
    profile: Tensor, k: int, filters: BoostedFilters, *, rng: torch.Generator, boost: float = BOOST
) -> Tensor:
    """A profile with some filters boosted, only filters above their mean.

    Deviates: if fewer than k filters are above their mean, the authors also boost others, whose negative values then
    become even more negative; here those stay as they are.

    Args:
        profile: (F,), standardized.
        k: number of filters, at least 1.
        filters: the k most salient, or k random ones of the others above their mean.
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
    net: ProfiledNet,
    standard: Standard,
    items: Puzzles,
    profiles: Tensor,
    kind: MapKind,
    *,
    k: int,
    seed: int,
    copies: int = 1,
    noise: float = 0.0,
) -> Tensor:
    """Saliency maps of the input, in float32 without autocast.

    Deviates: the authors take the maximum over the channels first and then its absolute value, which loses strong
    negative gradients; here the absolute value comes first.

    Args:
        net, standard: the net and the statistics of its filters.
        items: N items.
        profiles: their standardized profiles: (N, F).
        kind: which filters are boosted; or the plain gradient of the loss, for comparison.
        k: number of boosted filters.
        seed: seed for choosing random filters, and for noise.
        copies: number of noisy copies of an item over which gradients are averaged (SmoothGrad, arXiv 1706.03825).
        noise: standard deviation of the Gaussian noise on the inputs.

    Returns:
        (N, *size) float32, at least 0.
    """
    maps, weights = [], net.convolutions()
    for number, part in enumerate(net.chunks(items)):
        numbers = range(number * net.chunk, number * net.chunk + len(part))
        boosted = None
        if kind != "gradient of the loss":
            filters: BoostedFilters = "salient" if kind == "salient filters" else "random"
            boosted = torch.stack(
                [boosted_profile(profiles[row], k, filters, rng=generator_of("boost", seed, row)) for row in numbers]
            )
        gradients = torch.zeros_like(part.inputs)
        for copy in range(copies):
            inputs = part.inputs
            if noise:
                drawn = [
                    torch.randn(inputs.shape[1:], generator=generator_of("noise", seed, row, copy)) for row in numbers
                ]
                inputs = inputs + noise * torch.stack(drawn).to(inputs)
            if boosted is None:
                of_loss = vmap(grad(net.loss, argnums=1), in_dims=(None, 0, 0, 0))
                gradients += of_loss(weights, inputs, part.targets, part.mask) / copies
            else:
                of_match = vmap(grad(match, argnums=2), in_dims=(None, None, 0, 0, 0, 0))
                gradients += of_match(net, standard, inputs, part.targets, part.mask, boosted) / copies
        maps.append(gradients.abs().amax(1))
    return torch.cat(maps)


def pointed(maps: Tensor, regions: Tensor, allowed: Tensor, *, share: float = BRIGHTEST) -> list[float]:
    """The share of each map's brightest allowed inputs that lies in its region; NaN if the region is empty.

    Args:
        maps: (N, *size) float.
        regions: (N, *size) bool.
        allowed: (N, *size) bool, at least one input per item.
        share: share of the allowed inputs that count as brightest, above 0 and at most 1; their number is rounded up.
    """
    found = []
    for values, region, open_ in zip(maps.flatten(1), regions.flatten(1), allowed.flatten(1), strict=True):
        inside = region & open_
        count = -(-int(open_.sum()) * round(share * 1000) // 1000)
        brightest = torch.where(open_, values, -torch.inf).topk(count).indices
        found.append(float(inside[brightest].double().mean()) if bool(inside.any()) else float("nan"))
    return found


def by_chance(regions: Tensor, allowed: Tensor) -> list[float]:
    """The value of `pointed` for random inputs: the share of the allowed inputs that lies in the region."""
    inside, open_ = (regions & allowed).flatten(1).sum(1).double(), allowed.flatten(1).sum(1)
    return torch.where(inside > 0, inside / open_, torch.nan).tolist()


def pointing_game(maps: Mapping[MapKind, Tensor], regions: Mapping[str, Tensor], allowed: Tensor) -> list[Figure]:
    """How often each kind of map points at each region, compared with random inputs, and the differences.

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
