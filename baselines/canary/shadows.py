"""Shadow nets: which net is trained on which points (LiRA's in/out design, arXiv 2112.03570), and their training."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, Protocol, TypeAlias, get_args

import torch
from torch import Tensor, nn
from tqdm import tqdm

from easy_to_hard.baselines.canary.shards import Shard
from easy_to_hard.baselines.kit.precision import Precision, autocast
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of, seeded
from easy_to_hard.baselines.kit.stacked import Stacked, descend
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar

Optimizer = Literal["sgd", "adam"]
Batch: TypeAlias = tuple[Tensor, ...]


class ShadowTask(Protocol):
    """What nets are trained on."""

    def build(self, seed: int) -> nn.Module:
        """A net before training, on the CPU."""

    def batches(self, indices: Tensor, *, step: int, first: int) -> Batch:
        """The batches of nets `first`, `first` + 1, ...: from indices (K, B) to tensors (K, B, ...), on the device."""

    def loss(self, net: nn.Module, batch: Batch, *, step: int) -> Tensor:
        """The loss () of one net on its batch (B, ...)."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How each of the nets is trained.

    Attributes:
        steps: batches, at least 1.
        batch_size: at least 1.
        optimizer: "sgd" with momentum 0.9, or "adam".
        learning_rate: above 0; it falls to zero along half a cosine.
        weight_decay: at least 0.
        gradient_clip: largest norm of one net's gradient, above 0; None for no limit.
        precision: "float32", "bfloat16" for the operations that autocast runs in it, or "auto" for the device's faster.

    Raises:
        ValueError: a value outside the ranges above.
    """

    steps: int
    batch_size: int
    optimizer: Optimizer = "adam"
    learning_rate: float
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "batch_size"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "precision", self.precision in get_args(Precision), "one of auto, float32, bfloat16")
        check_field(self, "optimizer", self.optimizer in get_args(Optimizer), "one of sgd, adam")
        check_field(self, "learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")
        check_field(self, "weight_decay", self.weight_decay >= 0, "at least 0")
        check_field(self, "gradient_clip", self.gradient_clip is None or self.gradient_clip > 0, "above 0, or None")

    def build_optimizer(self, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
        """An optimizer that treats a stack of weights as it would treat each net's weights alone."""
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(weights, lr=self.learning_rate, momentum=0.9, weight_decay=self.weight_decay)

    def rate_at(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2


def keep_matrix(num_nets: int, num_points: int, *, seed: int) -> Tensor:
    """Which net is trained on which point: every point is a member of exactly half of the nets.

    For each point the nets draw uniform numbers, and the lower half of the ranks is in. The seed is only for
    membership: weights have seeds of their own.

    Args:
        num_nets: N, even and at least 2.
        num_points: n, at least 1.
        seed: at least 0.

    Returns:
        (N, n) bool.

    Raises:
        ValueError: an odd number of nets, or a number that is too small.
    """
    if num_nets < 2 or num_nets % 2:
        raise ValueError(f"the number of shadow nets must be even and at least 2, not {num_nets}")
    if num_points < 1:
        raise ValueError(f"the number of points must be at least 1, not {num_points}")
    draws = torch.rand(num_nets, num_points, generator=generator_of("membership", seed), dtype=torch.float64)
    return draws.argsort(dim=0).argsort(dim=0) < num_nets // 2


def batch_streams(members: Sequence[Tensor], *, steps: int, batch_size: int, seed: int) -> Tensor:
    """The points of each step's batch: each net goes through its own members again and again, each time reshuffled.

    Args:
        members: for each net, the indices (m,) int64 of the points it is trained on; m may differ and is at least 1.
        steps: at least 1.
        batch_size: at least 1; a batch larger than m holds points more than once.
        seed: of the order, at least 0.

    Returns:
        (N, steps, batch_size) int64.

    Raises:
        ValueError: a net without members.
    """
    needed, streams = steps * batch_size, []
    for number, own in enumerate(members):
        if not len(own):
            raise ValueError(f"net {number} has no members: there must be more points than {len(members)} nets share")
        rng = torch.Generator().manual_seed(seed_of("order", seed, number))
        rounds = [own[torch.randperm(len(own), generator=rng)] for _ in range(-(-needed // len(own)))]
        streams.append(torch.cat(rounds)[:needed].reshape(steps, batch_size))
    return torch.stack(streams)


@dataclass(frozen=True, kw_only=True)
class ShadowJob:
    """What to train.

    Attributes:
        task: what to train on.
        config: how to train.
        streams: (N, steps, batch_size) int64, see `batch_streams`.
        seed: of the weights; every net has its own.
        at_once: how many nets are trained as one stack; 1 for one after another.
        device: where.
    """

    task: ShadowTask
    config: TrainConfig
    streams: Tensor
    seed: int
    at_once: int = 1
    device: torch.device

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.at_once < 1:
            raise ValueError(f"the number of nets at once must be at least 1, not {self.at_once}")


class _Objective(nn.Module):
    """A module around a net whose forward pass gives the loss, for use in a functional call."""

    def __init__(self, net: nn.Module, task: ShadowTask) -> None:
        super().__init__()
        self.net = net
        # A function, since it is shared when a stack copies its first net; a task would be copied with all its items.
        self._loss_of: Callable[[nn.Module, Batch, int], Tensor] = lambda net, batch, step: task.loss(
            net, batch, step=step
        )

    def forward(self, batch: Batch, step: int) -> Tensor:
        return self._loss_of(self.net, batch, step)


def _stack(job: ShadowJob, seeds: Sequence[int]) -> Stacked:
    """A stack of the objectives of untrained nets, from the seeds of their weights."""
    stacked = Stacked([_Objective(job.task.build(seed), job.task) for seed in seeds], job.device)
    # On a CPU too: the recipe decides what is faster there.
    stacked.in_turn = len(seeds) == 1
    return stacked


def _losses(stacked: Stacked, batch: Batch, step: int) -> Tensor:
    """The loss of each net, (K,)."""
    losses: Tensor = stacked.map(lambda weights, *own: stacked.call(weights, own, step), *batch)
    return losses


def can_stack(job: ShadowJob) -> bool:
    """Whether the nets can be trained as a stack: they have no buffers, and vmap supports all that they do."""
    if any(True for _ in job.task.build(0).buffers()):
        return False
    stacked = _stack(job, (0, 1))
    batch = job.task.batches(job.streams[:1, 0, :2].expand(2, -1), step=0, first=0)
    for weights in stacked.weights.values():
        weights.requires_grad_()
    try:
        _losses(stacked, batch, 0).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return True


def train_shadows(
    job: ShadowJob, folder: RunFolder, name: str, *, settings: Mapping[str, Any] | None = None, progress: bool
) -> Stacked:
    """Train the nets that are not yet in the run's folder; arguments and errors as for `train_parts`.

    Returns:
        The nets, in evaluation mode.
    """
    parts = train_parts(job, folder, name, settings=settings, progress=progress)
    nets = Stacked([job.task.build(0)], job.device)
    nets.load({key: torch.cat([part[key] for part in parts]) for key in parts[0]})
    nets.set_training(False)
    return nets


def train_parts(
    job: ShadowJob,
    folder: RunFolder,
    name: str,
    *,
    settings: Mapping[str, Any] | None = None,
    shard: Shard | None = None,
    progress: bool,
) -> list[dict[str, Tensor]]:
    """Train the nets that are not yet in the run's folder; each is a part of its own.

    A stack of which a net is missing is trained whole, so that a net does not depend on which others were there.

    Args:
        job: what to train.
        folder: of the run, or of the shard.
        name: of the parts.
        settings: what decides these nets besides the run's settings.
        shard: which stacks to train; None for all.
        progress: whether to show a progress bar.

    Returns:
        The weights and buffers of each net of the shard, with a leading dimension of 1.

    Raises:
        RuntimeError: a loss is no longer finite.
        ValueError: a part is damaged or of a run with other settings.
        OSError: one cannot be written.
    """
    parts: list[dict[str, Tensor]] = []
    total, steps = len(job.streams), job.config.steps
    stacks = [(first, min(first + job.at_once, total)) for first in range(0, total, job.at_once)]
    own = [stack for place, stack in enumerate(stacks) if shard is None or shard.has(place)]
    with progress_bar(total=sum(last - first for first, last in own) * steps, desc="shadow nets", show=progress) as bar:
        for first, last in own:
            train = cache(partial(_train_chunk, job, first, last, bar))
            done = bar.n
            for number in range(first, last):
                part = folder.tensors(
                    f"{name}/{number:04d}",
                    partial(_one_of, train, number - first),
                    settings={**(settings or {}), "net": number, "of": total},
                    device=job.device,
                )
                parts.append(part)
            # Nets that were there already.
            bar.update(max(0, done + (last - first) * steps - bar.n))
    return parts


def _one_of(train: Callable[[], dict[str, Tensor]], place: int) -> dict[str, Tensor]:
    """One net of a stack; a copy, since saving a view would save the whole stack."""
    return {name: values[place : place + 1].clone() for name, values in train().items()}


def _train_chunk(job: ShadowJob, first: int, last: int, bar: "tqdm[Any]") -> dict[str, Tensor]:
    """Train the nets from `first` to below `last`; their weights and buffers, stacked."""
    config = job.config
    stacked = _stack(job, [seed_of("weights", job.seed, number) for number in range(first, last)])

    def backward(step: int) -> Tensor:
        batch = job.task.batches(job.streams[first:last, step], step=step, first=first)
        with autocast(job.device, config.precision):
            losses = _losses(stacked, batch, step)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach().sum()

    with seeded("training", job.seed, first):
        descend(
            stacked.weights,
            config.build_optimizer(list(stacked.weights.values())),
            backward,
            steps=config.steps,
            rate_at=config.rate_at,
            gradient_clip=config.gradient_clip,
            on_step=lambda: bar.update(last - first),
        )
    return {key.removeprefix("net."): value for key, value in stacked.tensors().items()}
