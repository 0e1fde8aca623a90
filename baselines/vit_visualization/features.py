"""What the features of a net answer to on real images: the items they like most, how local they are, shifts."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.maximising import Subject

# A feature whose variance is below this share of the layer's mean is as good as dead, and is left out of means.
_DEAD: Final = 1e-6
_BATCH: Final = 100
_SHIFTS: Final = 16


def mean_activations(subject: Subject, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
    """Each feature's mean over the tokens of each image (Ghiasi et al. 2022, section 3), CLS left out.

    Args:
        subject: the net.
        images: (N, C, H, W) float in [0, 1].
        layers: from 0.

    Returns:
        (N, neurons) for each layer.
    """
    with torch.no_grad():
        parts = [[maps.mean(dim=(2, 3)) for maps in subject.maps(some, layers)] for some in torch.split(images, _BATCH)]
    return [torch.cat(of_layer) for of_layer in zip(*parts, strict=True)]


def local_shares(subject: Subject, images: Tensor, layers: Sequence[int]) -> list[float]:
    """How much of a feature's variance is within images, between their tokens; 0 where maps are uniform over space.

    Args:
        subject: the net.
        images: (N, C, H, W) float in [0, 1].
        layers: from 0.

    Returns:
        in [0, 1] for each layer: variance over the tokens of an image (mean over images) over the variance over all
        tokens of all images, mean over the features.
    """
    within = [torch.zeros(()) for _ in layers]
    total, squares = list(within), list(within)
    with torch.no_grad():
        for some in torch.split(images, _BATCH):
            for number, maps in enumerate(subject.maps(some, layers)):
                tokens = maps.double().flatten(2)
                within[number] = within[number] + tokens.var(dim=2, correction=0).sum(dim=0)
                total[number] = total[number] + tokens.mean(dim=2).sum(dim=0)
                squares[number] = squares[number] + tokens.square().mean(dim=2).sum(dim=0)
    shares = []
    for inside, summed, squared in zip(within, total, squares, strict=True):
        variance = squared / len(images) - (summed / len(images)).square()
        alive = variance > _DEAD * variance.mean()
        ratios = (inside / len(images))[alive] / variance[alive]
        shares.append(float(ratios.mean()) if len(ratios) else 0.0)
    return shares


def best_items(activations: Tensor, neurons: Sequence[int], count: int) -> Tensor:
    """The items that each of some neurons answers most to.

    Args:
        activations: (N, neurons), as `mean_activations` gives them.
        neurons: which.
        count: at most N.

    Returns:
        (len(neurons), count) int64, the best first.
    """
    return activations[:, list(neurons)].topk(count, dim=0).indices.T


def shift_ratio(subject: Subject, images: Tensor, layer: int, neurons: Sequence[int], *, most: int, seed: int) -> float:
    """What is left of the activation where a neuron's best image is rolled: mean over 16 shifts and the neurons.

    Args:
        subject: the net.
        images: (n, C, H, W), the best image of each neuron.
        layer: from 0.
        neurons: n of them; one whose activation is not above 0 is left out.
        most: the largest shift, in pixels.
        seed: of the shifts.
    """
    rng = generator_of("shifts", seed)
    shifts = torch.randint(-most, most + 1, (_SHIFTS, 2), generator=rng).tolist()
    rows = torch.arange(len(neurons), device=images.device)
    chosen = torch.tensor(list(neurons), device=images.device)
    with torch.no_grad():
        found = [
            subject.maps(images.roll(shift, dims=(-2, -1)), [layer])[0].mean(dim=(2, 3))[rows, chosen]
            for shift in [[0, 0], *shifts]
        ]
    unshifted = found[0]
    ratios = torch.stack(found[1:]).mean(dim=0)[unshifted > 0] / unshifted[unshifted > 0]
    return float(ratios.mean()) if len(ratios) else 0.0
