"""What nets are asked about a point: LiRA's augmentations of it, and canaries (arXiv 2210.10750, algorithm 1).

Canaries are queries that nets with and without the point answer differently.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def _softmax(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    """Squared distance of the right class's probability from 1 with the point, and from 0 without it."""
    del others
    return (logits.softmax(1).gather(1, labels[:, None])[:, 0] - float(inside)) ** 2


def _cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    return F.cross_entropy(logits, labels if inside else others, reduction="none")


def _reverse_cross_entropy(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    """-log p of the right class with the point, -log(1 - p) without it."""
    del others
    odds = class_log_odds(logits, labels).float()
    return -F.logsigmoid(odds if inside else -odds)


def _margin(logits: Tensor, labels: Tensor, others: Tensor, inside: bool) -> Tensor:
    """Carlini and Wagner's hinge loss: the best other class's lead over the right one, or the reverse for outsiders."""
    del others
    right = logits.gather(1, labels[:, None])[:, 0]
    best = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return F.relu(best - right if inside else right - best)


def negative_divergence(logits: Tensor, partners: Tensor, inside: bool) -> Tensor:
    """Minus the Kullback-Leibler divergence of the answer without the point from that with it, (B,).

    Args:
        logits: (B, C) of a net.
        partners: (B, C) of a net of the other kind, drawn for the same step.
        inside: whether the first net has the point.
    """
    own, other = logits.log_softmax(1), partners.log_softmax(1)
    with_point, without = (own, other) if inside else (other, own)
    return (with_point.exp() * (without - with_point)).sum(1)


OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType(
    {
        "mse": _mse,
        "log_odds": _log_odds,
        "softmax": _softmax,
        "cross_entropy": _cross_entropy,
        "reverse_cross_entropy": _reverse_cross_entropy,
        "margin": _margin,
    }
)
"""Objectives that look at one net at a time."""

KL: Final = "kl"
"""The objective `negative_divergence`, which needs nets with and without the point: it is for online canaries only."""

OBJECTIVE_NAMES: Final = (*OBJECTIVES, KL)


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
        objective: one of `OBJECTIVE_NAMES`; "mse" is the authors', on the right class's logit; "kl" is for online
            canaries only.
        epsilon: radius of the ball around the start, in 1/255 of a pixel's range; 0 for no bound but the pixels' range.
        steps: at least 1; 30 in the authors' code.
        learning_rate: of AdamW (online) or Adam (offline), on normalized pixels.
        weight_decay: on the normalized image, as in the authors' code.
        nets_a_step: k, even: online half of them with the point and half without, offline all without.
        stop_loss: a point is done once its loss (summed over the nets of a step, averaged over its queries) is at most
            this; None to run all steps. The authors' code has 23 offline, for "mse" and two nets, and None online.
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
    stop_loss: float | None = None
    batch_size: int = 2000

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "objective", self.objective in OBJECTIVE_NAMES, f"one of {', '.join(OBJECTIVE_NAMES)}")
        check_field(self, "epsilon", 0 <= self.epsilon <= 255, "from 0 to 255, in 1/255 of a pixel's range")
        for name in ("steps", "batch_size"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "nets_a_step", self.nets_a_step >= 2 and self.nets_a_step % 2 == 0, "even and at least 2")
        check_field(self, "learning_rate", self.learning_rate > 0, "above 0")
        check_field(self, "weight_decay", self.weight_decay >= 0, "at least 0")
        finite = self.stop_loss is None or math.isfinite(self.stop_loss)
        check_field(self, "stop_loss", finite, "finite, or None to run all steps")
        if self.objective == KL and self.stop_loss is not None:
            raise ValueError(f"stop_loss must be None for the objective {KL!r}, which compares points with each other")


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


class Canaries(NamedTuple):
    """Optimized queries.

    Attributes:
        queries: (P, Q, C, H, W) float32, in the ball and the box.
        steps: (P,) int64, how many steps each point had before its loss was low enough.
    """

    queries: Tensor
    steps: Tensor


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
) -> Canaries:
    """Optimize all queries of all points side by side, with nets that are never targets.

    Nets are drawn for each point and step, the same for all queries of a point. A point's loss is that before the step
    after which it stops, as in the authors' code.

    Args:
        nets: M shadow nets.
        keep: (M, P) bool, on the CPU.
        starts: (P, Q, C, H, W) float32, the centers of the balls.
        labels: (P,) int64.
        box, config, mode: see `PixelBox`, `CanaryConfig`, and `draw_nets`.
        num_classes: of the nets.
        seed: at least 0.

    Raises:
        ValueError: an objective that is not for offline canaries.
    """
    if mode == "offline" and config.objective == KL:
        raise ValueError(f"objective {KL!r} is not for offline canaries: it needs nets with the point")
    rng = generator_of("canaries", mode, seed)
    queries = starts.clone().requires_grad_(True)
    adam = torch.optim.AdamW if mode == "online" else torch.optim.Adam
    optimizer = adam([queries], lr=config.learning_rate, weight_decay=config.weight_decay)
    others = (labels.cpu() + torch.randint(1, num_classes, labels.shape, generator=rng)) % num_classes
    others = others.to(labels.device)
    loaded = [nets.net(number) for number in range(len(nets))]
    going = torch.ones(len(starts), dtype=torch.bool)
    steps = torch.full((len(starts),), config.steps)
    for step in range(config.steps):
        drawn = draw_nets(keep, config.nets_a_step, mode, rng).masked_fill(~going, -1)
        losses = _set_gradient(loaded, drawn, keep, queries, (labels, others), config)
        stopped = (~going).to(queries.device)
        finished = queries.detach()[stopped]
        optimizer.step()
        with torch.no_grad():
            queries.copy_(box.project(queries, starts, config.epsilon))
            # Momentum and weight decay would move them still.
            queries[stopped] = finished
        if config.stop_loss is not None:
            low = going & (losses.cpu() <= config.stop_loss)
            steps[low] = step + 1
            going &= ~low
            if not going.any():
                break
    return Canaries(queries=queries.detach(), steps=steps)


def _set_gradient(
    nets: Sequence[nn.Module],
    drawn: Tensor,
    keep: Tensor,
    queries: Tensor,
    labels: tuple[Tensor, Tensor],
    config: CanaryConfig,
) -> Tensor:
    """Set the gradient of the queries to that of the losses of the nets that were drawn.

    Args:
        nets: all of them.
        drawn: (K, P) int64, the nets that each point is shown to, on the CPU; -1 for a point that is shown to none.
        keep: (M, P) bool, on the CPU.
        queries: (P, Q, C, H, W).
        labels: (P,) int64 each, right and other ones.
        config: of the canaries.

    Returns:
        (P,) losses, summed over the nets and averaged over a point's queries.
    """
    queries.grad = torch.zeros_like(queries)
    losses = torch.zeros(len(queries), device=queries.device)
    answers = _answers(nets, drawn, queries, config.batch_size) if config.objective == KL else None
    for number, net in enumerate(nets):
        for inside in (True, False):
            chosen = (drawn == number).any(0) & (keep[number] == inside)
            at = torch.nonzero(chosen)[:, 0].to(queries.device)
            for part in _parts(at, queries, config.batch_size):
                own = queries.detach()[part].requires_grad_(True)
                right, other = (one[part].repeat_interleave(queries.shape[1]) for one in labels)
                logits = net(own.flatten(0, 1))
                if answers is None:
                    found = OBJECTIVES[config.objective](logits, right, other, inside)
                else:
                    # The first half of the nets that were drawn has the point.
                    slots = (drawn[:, part.cpu()] == number).int().argmax(0)
                    partners = answers[(slots + len(drawn) // 2) % len(drawn), part.cpu()]
                    found = negative_divergence(logits, partners.flatten(0, 1), inside)
                # Averaged over a point's queries, as weight decay needs it.
                of_points = found.reshape(len(part), -1).mean(dim=1)
                (gradient,) = torch.autograd.grad(of_points.sum(), own)
                queries.grad.index_add_(0, part, gradient)
                losses.index_add_(0, part, of_points.detach())
    return losses


def _parts(at: Tensor, queries: Tensor, batch_size: int) -> Sequence[Tensor]:
    """Points in parts with at most so many queries; none for no points, which would be split into one empty part."""
    return torch.split(at, max(1, batch_size // queries.shape[1])) if len(at) else ()


@torch.no_grad()
def _answers(nets: Sequence[nn.Module], drawn: Tensor, queries: Tensor, batch_size: int) -> Tensor:
    """Logits (K, P, Q, C) of the nets that were drawn; arguments as for `_set_gradient`."""
    rows = []
    for slot in drawn:
        found: dict[int, Tensor] = {}
        for number, net in enumerate(nets):
            at = torch.nonzero(slot == number)[:, 0]
            for part in _parts(at, queries, batch_size):
                logits = net(queries[part.to(queries.device)].flatten(0, 1)).unflatten(0, (len(part), -1))
                found.update(zip(part.tolist(), logits, strict=True))
        rows.append(torch.stack([found[point] for point in range(len(queries))]))
    return torch.stack(rows)
