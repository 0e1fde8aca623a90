"""Images that maximize a neuron's activation, by gradient ascent (Ghiasi et al. 2022, arXiv 2212.06727, section 3).

The loss for a neuron is -mean(its map) + TV, over a few differently augmented copies of one image. Many neurons are
processed at once, with an image each: they share the draws of the augmentation and nothing else, so a neuron's image
does not depend on which others are processed with it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar

# Weight of TV, as in the authors' code.
TV_WEIGHT: Final = 0.0005
BETAS: Final = (0.5, 0.99)
_NOISE_SCALE: Final = 0.5
_DIHEDRAL: Final = 8
_PAPER_SIDE: Final = 224


class FeatureNet(Protocol):
    """A net of layers whose features have a place in the input."""

    @property
    def depth(self) -> int:
        """Number of layers; in a recurrent net, of iterations."""

    def neurons(self, layer: int) -> int:
        """Number of neurons in a layer; layers are counted from 0."""

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Feature maps of images (B, C, H, W) float in [0, 1]: (B, neurons, h, w) for each of the layers."""


def cosine_rate(first: float, step: int, steps: int) -> float:
    """A learning rate that falls from `first` to 0 along a cosine, at a step counted from 0."""
    return first * (1 + math.cos(math.pi * step / steps)) / 2


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """How images are made; the defaults are the authors' for ViT.

    Attributes:
        steps: steps of Adam.
        learning_rate: initial learning rate; it falls to 0 along a cosine.
        copies: augmented copies of an image per step (B).
        smoothness: v; TV is weighted by 0.0005 v B, the mean activation by 1. The authors' code averages the B x B
            entries of a diagonal matrix and so weights the activation by 1 / B; here both weights are B times as large.
        color: whether channels are shifted and scaled at random.
        noise: standard deviation of the shift of a whole channel at the first step; it falls to 0 linearly.
        roll: the largest shift, in pixels; the image wraps around.
        roll_step: shifts are multiples of this.
        dihedral: whether copies are rotated and reflected at random.
        binary: weight of mean x (1 - x), which pulls pixels to 0 or 1.
    """

    steps: int = 400
    learning_rate: float = 0.1
    copies: int = 8
    smoothness: float = 1.0
    color: bool = True
    noise: float = _NOISE_SCALE
    roll: int = 32
    roll_step: int = 1
    dihedral: bool = False
    binary: float = 0.0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "copies", "roll_step"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("smoothness", "noise", "roll", "binary"):
            check_field(self, name, getattr(self, name) >= 0, "at least 0")
        check_field(self, "learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")

    def rate_at(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        return cosine_rate(self.learning_rate, step, self.steps)


def total_variation(images: Tensor) -> Tensor:
    """TV as in the authors' code: L2 norms of the differences between neighbors, below, beside and on both diagonals.

    Args:
        images: (..., C, H, W).

    Returns:
        (...): the sum of the four norms over the spatial axes, not squared, averaged over channels.
    """
    up, down = images[..., :-1, :], images[..., 1:, :]
    differences = (
        images[..., 1:] - images[..., :-1],
        down - up,
        down[..., 1:] - up[..., :-1],
        down[..., :-1] - up[..., 1:],
    )
    # For an image of one color, the norm has no gradient; this small term gives it one, which is 0.
    norms = [(part.square().sum(dim=(-2, -1)) + 1e-12).sqrt() - 1e-6 for part in differences]
    return torch.stack(norms).sum(dim=0).mean(dim=-1)


def augment(images: Tensor, ascent: Ascent, *, left: float, rng: torch.Generator) -> Tensor:
    """Copies of images, each augmented in its own way.

    Args:
        images: (N, C, H, W).
        ascent: the augmentations, applied in this order: color, noise, roll, dihedral.
        left: share of the steps still to come, from 1 to 0, by which the noise is scaled.
        rng: on the CPU; the same number of draws is made for any N.

    Returns:
        (N, copies, C, H, W); all N have the same draws.
    """
    copies = images[:, None].expand(-1, ascent.copies, -1, -1, -1)
    shape = ascent.copies, images.shape[1], 1, 1
    if ascent.color:
        shift, scale = (2 * torch.rand((2, *shape), generator=rng) - 1).to(images.device)
        copies = (copies - shift) / scale.exp()
    if ascent.noise:
        copies = copies + ascent.noise * left * torch.randn(shape, generator=rng).to(images.device)
    if ascent.roll:
        most = ascent.roll // ascent.roll_step
        down, right = (ascent.roll_step * torch.randint(-most, most + 1, (2,), generator=rng)).tolist()
        copies = copies.roll((down, right), dims=(-2, -1))
    if ascent.dihedral:
        turns = torch.randint(_DIHEDRAL, (ascent.copies,), generator=rng).tolist()
        copies = torch.stack([turned(copies[:, k], turn) for k, turn in enumerate(turns)], dim=1)
    return copies


def turned(images: Tensor, turn: int) -> Tensor:
    """(..., H, W) under one of the eight symmetries of a square, numbered from 0."""
    rotated = images.rot90(turn % 4, dims=(-2, -1))
    return rotated.flip(-1) if turn >= 4 else rotated


def neuron_losses(net: FeatureNet, copies: Tensor, layer: int, neurons: Tensor, ascent: Ascent) -> Tensor:
    """-mean activation + TV for each image: (N,).

    Args:
        net: the net of the neurons.
        copies: (N, B, C, H, W), augmented.
        layer: from 0.
        neurons: (N,) int64, one for each image, on the device of the copies.
        ascent: gives the weight of TV.
    """
    (maps,) = net.maps(copies.flatten(0, 1), [layer])
    means = maps.mean(dim=(2, 3)).reshape(*copies.shape[:2], -1)
    own = means.gather(2, neurons[:, None, None].expand(-1, copies.shape[1], 1))[..., 0]
    weight = TV_WEIGHT * ascent.smoothness * ascent.copies
    losses: Tensor = weight * total_variation(copies).mean(dim=1) - own.mean(dim=1)
    return losses


def maximize(
    net: FeatureNet,
    layer: int,
    neurons: Sequence[int],
    *,
    shape: tuple[int, int, int],
    ascent: Ascent,
    seed: int,
    device: torch.device,
    border: int = 0,
    progress: bool = False,
) -> Tensor:
    """Make an image for each of some neurons of a layer.

    Args:
        net: on the device, with weights that require no gradient.
        layer: from 0.
        neurons: at least one.
        shape: (C, H, W) of an image, without its border.
        ascent: settings of the optimization.
        seed: seed of the initial image, which is uniform noise, and of the augmentation.
        device: where to compute.
        border: width of a border of zeros around the image that is not optimized, as in mazes.
        progress: whether to show a progress bar.

    Returns:
        (N, C, H, W) float32 in [0, 1] on the CPU, including the border.

    Raises:
        ValueError: a layer or a neuron that the net does not have.
    """
    check_neurons(net, [layer], neurons)
    rng = generator_of("maximise", seed)
    first = torch.rand(shape, generator=rng).to(device)
    images = first.expand(len(neurons), -1, -1, -1).clone().requires_grad_()
    chosen = torch.tensor(list(neurons), device=device)
    optimizer = torch.optim.Adam([images], lr=ascent.learning_rate, betas=BETAS, eps=1e-8)
    for step in progress_bar(range(ascent.steps), desc=f"layer {layer}", show=progress):
        copies = augment(images, ascent, left=(ascent.steps - 1 - step) / ascent.steps, rng=rng)
        framed = torch.nn.functional.pad(copies, (border,) * 4)
        loss = neuron_losses(net, framed, layer, chosen, ascent)
        if ascent.binary:
            loss = loss + ascent.binary * (images * (1 - images)).mean(dim=(1, 2, 3))
        # A sum, so that a neuron's gradient does not depend on the number of others.
        (gradient,) = torch.autograd.grad(loss.sum(), images)
        images.grad = gradient
        for group in optimizer.param_groups:
            group["lr"] = ascent.rate_at(step)
        optimizer.step()
        with torch.no_grad():
            images.clamp_(0, 1)
    return torch.nn.functional.pad(images.detach(), (border,) * 4).cpu()


def check_neurons(net: FeatureNet, layers: Sequence[int], neurons: Sequence[int]) -> None:
    """Raise a ValueError if there are no layers, or the net lacks one of the layers or neurons."""
    if not layers:
        raise ValueError("there must be at least one layer")
    for layer in layers:
        if not 0 <= layer < net.depth:
            raise ValueError(f"layers must be from 0 to {net.depth - 1}, not {layer}")
        for neuron in neurons:
            if not 0 <= neuron < net.neurons(layer):
                most = net.neurons(layer) - 1
                raise ValueError(f"neurons must be from 0 to {most} in layer {layer}, not {neuron}")


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """The neurons of a net that are examined.

    Attributes:
        layers: in ascending order.
        of_layer: layer -> its neurons.
    """

    layers: tuple[int, ...]
    of_layer: Mapping[int, tuple[int, ...]]


def spread_layers(depth: int, count: int) -> tuple[int, ...]:
    """`count` evenly spread layers, including the first and the last; all if it is 0 or not below the depth."""
    if not 0 < count < depth:
        return tuple(range(depth))
    return tuple(sorted({round(k * (depth - 1) / max(count - 1, 1)) for k in range(count)} | {depth - 1}))[-count:]


def scaled(ascent: Ascent, side: int) -> Ascent:
    """The ascent with a roll for images of another side: in proportion below 224 pixels, but at least a pixel.

    On larger images the authors roll by no more.
    """
    roll = max(1, round(ascent.roll * min(side, _PAPER_SIDE) / _PAPER_SIDE))
    return replace(ascent, roll=roll) if ascent.roll else ascent
