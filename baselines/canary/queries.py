"""What nets are asked about a point: LiRA's augmentations of it, and canaries (arXiv 2210.10750, algorithm 1).

Canaries are queries that nets with and without the point answer differently.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.canary.lira import class_log_odds
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.generators.integers import check_field, check_integer_fields

Mode = Literal["online", "offline"]

Objective: TypeAlias = Callable[[Tensor, Tensor, Tensor, bool], Tensor]
"""(logits (B, C), labels (B,), other labels (B,), whether the net has the point) -> losses (B,)."""

# Target logits and log odds of nets with and without the point: the authors' values for CIFAR-10.
_TARGETS: Final = {True: 10.0, False: 0.0}


def _mse(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    del others
    return (logits.gather(1, labels[:, None])[:, 0] - _TARGETS[inside]) ** 2


def _log_odds(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    del others
    return (class_log_odds(logits, labels).float() - _TARGETS[inside]) ** 2


def _cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    return F.cross_entropy(logits, labels if inside else others, reduction="none")


def _margin(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    """Carlini and Wagner's hinge loss: the best other class's lead over the right one, or the reverse for outsiders."""
    del others
    right = logits.gather(1, labels[:, None])[:, 0]
    best = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return F.relu(best - right if inside else right - best)


OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType(
    {"mse": _mse, "log_odds": _log_odds, "cross_entropy": _cross_entropy, "margin": _margin}
)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """A random shift, the border filled with 0, and a random mirror image.

    Attributes:
        shift: most pixels in each direction, at least 0.
        mirror: whether left and right may be swapped.
    """

    shift: int
    mirror: bool

    def __call__(self, images: Tensor, rng: torch.Generator, fill: Tensor) -> Tensor:
        """Augment each image by a draw of its own.

        Args:
            images: (B, C, H, W) float, anywhere.
            rng: on the CPU.
            fill: (C,) float, the value of 0 in the images' units.

        Returns:
            (B, C, H, W) float.
        """
        count, _, height, width = images.shape
        shifts = torch.randint(0, 2 * self.shift + 1, (2, count), generator=rng).to(images.device)
        mirrored = (torch.rand(count, generator=rng) < 0.5).to(images.device) & self.mirror
        # Around 0 the padding is black, whatever the normalization.
        padded = F.pad(images - fill[:, None, None], (self.shift,) * 4)
        rows = shifts[0][:, None] + torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device).expand(count, -1)
        columns = shifts[1][:, None] + torch.where(mirrored[:, None], columns.flip(1), columns)
        of_image = torch.arange(count, device=images.device)[:, None, None]
        moved = padded.permute(0, 2, 3, 1)[of_image, rows[:, :, None], columns[:, None, :]]
        return moved.permute(0, 3, 1, 2) + fill[:, None, None]


@dataclass(frozen=True, kw_only=True)
class CanaryConfig:
    """How canaries are made.

    Attributes:
        objective: name in `OBJECTIVES`; "mse" is the paper's, on the right class's logit.
        epsilon: radius of the ball around the start, in 1/255 of a pixel's range; 0 for no bound but the pixels' range.
        steps: at least 1; 30 in the authors' code.
        learning_rate: of AdamW (online) or Adam (offline), on normalized pixels.
        weight_decay: on the normalized image, as in the authors' code.
        nets_a_step: k, even: online half of them with the point and half without, offline all without.
        batch_size: maximum number of queries to a net at a time; it only bounds memory.

    Raises:
        ValueError: a value that is not allowed.
    """

    objective: str = "mse"
    epsilon: float = 1.0
    steps: int = 30
    learning_rate: float = 0.05
    weight_decay: float = 1e-3
    nets_a_step: int = 2
    batch_size: int = 2000

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "objective", self.objective in OBJECTIVES, f"one of {', '.join(OBJECTIVES)}")
        check_field(self, "epsilon", 0 <= self.epsilon <= 255, "from 0 to 255, in 1/255 of a pixel's range")
        for name in ("steps", "batch_size"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "nets_a_step", self.nets_a_step >= 2 and self.nets_a_step % 2 == 0, "even and at least 2")
        check_field(self, "learning_rate", self.learning_rate > 0, "above 0")
        check_field(self, "weight_decay", self.weight_decay >= 0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class PixelBox:
    """The range of pixels, in normalized units: black and white, (C,) float32 each."""

    black: Tensor
    white: Tensor

    def project(self, queries: Tensor, starts: Tensor, epsilon: float) -> Tensor:
        """The nearest queries (..., C, H, W) that are in the ball around the starts and in the range of pixels."""
        if epsilon:
            radius = (epsilon / 255 * (self.white - self.black))[:, None, None]
            queries = torch.maximum(torch.minimum(queries, starts + radius), starts - radius)
        return torch.maximum(torch.minimum(queries, self.white[:, None, None]), self.black[:, None, None])


def draw_nets(keep: Tensor, count: int, mode: str, rng: torch.Generator) -> Tensor:
    """Draw nets for one step: for each point `count` different ones, online half with and half without the point.

    Args:
        keep: (M, P) bool, on the CPU.
        count: k, even.
        mode: "online" or "offline" (all without).
        rng: on the CPU.

    Returns:
        (count, P) int64; online the first half with the point, the rest without.

    Raises:
        ValueError: a point has fewer nets with, or without, it than are drawn.
    """
    parts = []
    for chosen, wanted in ((keep, count // 2), (~keep, count - count // 2)) if mode == "online" else ((~keep, count),):
        fewest = int(chosen.sum(0).min())
        if fewest < wanted:
            raise ValueError(f"each step needs {wanted} nets of a kind, but a point has {fewest}: train more nets")
        keys = torch.rand(keep.shape, generator=rng).masked_fill(~chosen, 2)
        parts.append(keys.argsort(dim=0)[:wanted])
    return torch.cat(parts)


def make_canaries(
    nets: Stacked,
    keep: Tensor,
    starts: Tensor,
    labels: Tensor,
    *,
    box: PixelBox,
    config: CanaryConfig,
    mode: Mode,
    num_classes: int,
    seed: int,
) -> Tensor:
    """Optimize all queries of all points side by side, with nets that are never targets.

    Deviates: the authors stop a point early once its loss is small (offline); here all steps are run. Nets are drawn
    for each point and step, the same for all queries of a point.

    Args:
        nets: M shadow nets.
        keep: (M, P) bool, on the CPU.
        starts: (P, Q, C, H, W) float32, the centers of the balls.
        labels: (P,) int64.
        box, config, mode: see `PixelBox`, `CanaryConfig`, and `draw_nets`.
        num_classes: of the nets.
        seed: at least 0.

    Returns:
        (P, Q, C, H, W) float32, in the ball and the box.
    """
    rng = generator_of("canaries", mode, seed)
    queries = starts.clone().requires_grad_(True)
    adam = torch.optim.AdamW if mode == "online" else torch.optim.Adam
    optimizer = adam([queries], lr=config.learning_rate, weight_decay=config.weight_decay)
    others = (labels.cpu() + torch.randint(1, num_classes, labels.shape, generator=rng)) % num_classes
    others = others.to(labels.device)
    loaded = [nets.net(number) for number in range(len(nets))]
    for _ in range(config.steps):
        drawn = draw_nets(keep, config.nets_a_step, mode, rng)
        queries.grad = torch.zeros_like(queries)
        for number, net in enumerate(loaded):
            for inside in (True, False):
                chosen = (drawn == number).any(0) & (keep[number] == inside)
                at = torch.nonzero(chosen)[:, 0].to(queries.device)
                # An empty part would be split into one empty part.
                for part in () if not len(at) else torch.split(at, max(1, config.batch_size // starts.shape[1])):
                    _add_gradient(net, queries, part, (labels, others), OBJECTIVES[config.objective], inside)
        optimizer.step()
        with torch.no_grad():
            queries.copy_(box.project(queries, starts, config.epsilon))
    return queries.detach()


def _add_gradient(
    net: torch.nn.Module, queries: Tensor, at: Tensor, labels: tuple[Tensor, Tensor], objective: Objective, inside: bool
) -> None:
    """Add the gradient of one net's losses on some points, averaged over a point's queries as weight decay needs it."""
    own = queries.detach()[at].requires_grad_(True)
    right, other = (part[at].repeat_interleave(queries.shape[1]) for part in labels)
    losses = objective(net(own.flatten(0, 1)), right, other, inside)
    (gradient,) = torch.autograd.grad(losses.sum() / queries.shape[1], own)
    assert queries.grad is not None
    queries.grad.index_add_(0, at, gradient)
