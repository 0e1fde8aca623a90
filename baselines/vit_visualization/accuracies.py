"""How often nets are right: with other tokens, and on changed images."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.changes import (
    CUTOFFS,
    count_right,
    high_pass,
    low_pass,
    shuffle_patches,
)
from easy_to_hard.baselines.vit_visualization.claims import KEPT, KEPT_MORE
from easy_to_hard.baselines.vit_visualization.composed import ComposedPictures
from easy_to_hard.baselines.vit_visualization.tokens import TokenNet, early_right, heads_right, isolation_right
from easy_to_hard.scores.reference import Condition

Net = Callable[[Tensor], Tensor]

CHANGED: Final = "accuracy on changed images"
VIT: Final = "ViT"
CONV_NET: Final = "conv net"
_ACCURACY: Final = "accuracy"


def token_figures(
    vit: TokenNet,
    images: Tensor,
    labels: Tensor,
    *,
    chosen_on: tuple[Tensor, Tensor],
    classes: int,
    apart: Sequence[int] = (),
    early: bool = True,
) -> list[Figure]:
    """Figures with CLS kept apart, with the head on patches, and with the head after fewer blocks.

    Args:
        vit: a net with CLS.
        images, labels: test images (N, C, H, W) float in [0, 1] and their classes (N,) int64.
        chosen_on: training images and classes, by which the best place of a patch is chosen.
        classes: number of classes.
        apart: numbers of blocks in which CLS is kept apart; by default all, from 0 to the depth.
        early: whether to apply the head after fewer blocks.
    """
    total, apart = len(images), tuple(apart) or tuple(range(vit.depth + 1))
    best = int(heads_right(vit, *chosen_on).patches.float().mean(dim=0).argmax())
    heads = heads_right(vit, images, labels)
    natural = int(heads.cls.sum())
    isolated = dict(zip(apart, isolation_right(vit, images, labels, apart), strict=True))
    exits = dict(enumerate(early_right(vit, images, labels))) if early else {}
    found = [
        Figure.of_count(name, right, total, {"blocks": k})
        for name, counts in (("accuracy with CLS apart", isolated), ("accuracy after blocks", exits))
        for k, right in counts.items()
    ]
    of_heads = {
        "CLS": heads.cls,
        "mean of patches": heads.patch_mean,
        "mean of patches, before the norm": heads.patch_mean_before,
        "mean of all tokens": heads.all_mean,
        "most confident patch": heads.confident,
        "middle patch": heads.patches[:, _middle(heads.patches.shape[1])],
        "best patch, chosen in training": heads.patches[:, best],
    }
    name = "accuracy of the head"
    found += [Figure.of_count(name, int(right.sum()), total, {"token": token}) for token, right in of_heads.items()]
    single, any_place = float(heads.patches.float().mean()), "single patch, mean over places"
    found.append(Figure(name=name, value=single, num_items=total, condition={"token": any_place}))
    kept = {
        "CLS apart but for the last block": isolated[vit.depth - 1],
        any_place: single * total,
        "best patch, chosen in training": int(heads.patches[:, best].sum()),
    }
    return found + [
        Figure(name=KEPT, value=kept_share(right, natural, total / classes), num_items=total, condition={"way": way})
        for way, right in kept.items()
    ]


def kept_share(right: float, natural: float, chance: float) -> float:
    """The share of the accuracy above chance that is left, from numbers of right answers; 1 if all of it is.

    Deviates: the paper divides accuracies; with 1000 classes chance is almost nothing, but not with ten.
    """
    return (right - chance) / max(natural - chance, 1.0)


def _middle(patches: int) -> int:
    side = int(patches**0.5)
    return (side // 2) * side + side // 2


def change_figures(
    nets: Mapping[str, Net],
    images: Tensor,
    labels: Tensor,
    *,
    classes: int,
    grid: int,
    side: int,
    seed: int,
    only: Mapping[str, Mapping[str, Net]] | None = None,
) -> list[Figure]:
    """Accuracies on changed images, and which share of the accuracy on the original images they are.

    Args:
        nets: `VIT` and, to compare it, `CONV_NET`.
        images, labels: test images (N, C, H, W) float in [0, 1] and their classes (N,) int64.
        classes: number of classes.
        grid: patches per side, for shuffling them.
        side: side in pixels, divisible by grid, to which images are scaled before their patches are shuffled.
        seed: seed of the shuffles.
        only: further changes that are nets of their own: name of the change -> name of the net -> net.
    """
    half = images.shape[-1] / 2
    shuffle = partial(shuffle_patches, side=side, grid=grid, rng=generator_of("shuffled patches", seed))
    changes: dict[tuple[str, float], Net] = {("patches shuffled", 0.0): shuffle}
    for cutoff in CUTOFFS:
        changes["low-pass", cutoff] = partial(low_pass, radius=cutoff * half)
        changes["high-pass", cutoff] = partial(high_pass, radius=cutoff * half)
    # Shuffled once, so that all nets see the same.
    changed = {key: torch.cat([change(some) for some in torch.split(images, 100)]) for key, change in changes.items()}
    counts: dict[str, dict[tuple[str, float], int]] = {}
    natural = {name: count_right(net, images, labels) for name, net in nets.items()}
    for name, net in nets.items():
        counts[name] = {key: count_right(net, shown, labels) for key, shown in changed.items()}
    for kind, others in (only or {}).items():
        for name, net in others.items():
            counts[name][kind, 0.0] = count_right(net, images, labels)
    return _kept_figures(natural, counts, len(images), classes)


def composed_figures(nets: Mapping[str, Net], pictures: ComposedPictures, *, classes: int) -> list[Figure]:
    """Accuracies with the foreground or the background of composed pictures alone, and which share is kept.

    Args:
        nets: `VIT` and, to compare it, `CONV_NET`.
        pictures: test pictures, on the nets' device.
        classes: number of classes.
    """
    where = {"pictures": "composed"}
    natural = {name: count_right(net, pictures.full, pictures.labels) for name, net in nets.items()}
    parts = {"foreground": pictures.foreground, "background": pictures.background}
    counts = {
        name: {(kind, 0.0): count_right(net, shown, pictures.labels) for kind, shown in parts.items()}
        for name, net in nets.items()
    }
    return _kept_figures(natural, counts, len(pictures.labels), classes, where)


def _kept_figures(
    natural: Mapping[str, int],
    counts: Mapping[str, Mapping[tuple[str, float], int]],
    total: int,
    classes: int,
    where: Condition | None = None,
) -> list[Figure]:
    """Figures from numbers of right answers: of each net, and of each net under (kind of change, cutoff or 0)."""
    found, means = [], dict[tuple[str, str], list[float]]()
    for name, right in natural.items():
        found.append(Figure.of_count(_ACCURACY, right, total, {"net": name, **(where or {})}))
    for name, of_net in counts.items():
        for (kind, cutoff), right in of_net.items():
            condition: Condition = {"net": name, "kept": kind, **({"cutoff": cutoff} if cutoff else {})}
            found.append(Figure.of_count(CHANGED, right, total, condition))
            means.setdefault((kind, name), []).append(kept_share(right, natural[name], total / classes))
    averages = {key: sum(values) / len(values) for key, values in means.items()}
    found += [
        Figure(name=KEPT, value=value, num_items=total, condition={"net": name, "kept": kind})
        for (kind, name), value in averages.items()
    ]
    for kind in dict.fromkeys(kind for kind, _ in averages):
        if (kind, VIT) in averages and (kind, CONV_NET) in averages:
            difference = averages[kind, VIT] - averages[kind, CONV_NET]
            found.append(Figure(name=KEPT_MORE, value=difference, num_items=total, condition={"kept": kind}))
    return found
