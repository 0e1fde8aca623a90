"""Training many small nets: as a stack, all in one call, or one after another; a run that was stopped goes on."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from tqdm import tqdm

from easy_to_hard.baselines.kit.precision import Precision, autocast
from easy_to_hard.baselines.kit.run_folder import reason_of, save_state
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.training import require_finite
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.progress import progress_bar

Optimizer = Literal["sgd", "adam"]


class ShadowTask(Protocol):
    """What nets are trained on."""

    def build(self, seed: int) -> nn.Module:
        """A net before training, on the CPU."""

    def batches(self, indices: Tensor, *, step: int, first: int) -> tuple[Tensor, ...]:
        """The batches of nets `first`, `first` + 1, ...: indices (K, B) to tensors (K, B, ...), on the device."""

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], *, step: int) -> Tensor:
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
        precision: "float32", "bfloat16" for what autocast takes in it, or "auto": what the device is faster in.

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
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {self.precision!r}")
        if self.optimizer not in get_args(Optimizer):
            raise ValueError(f"optimizer must be one of sgd, adam, not {self.optimizer!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, not {self.learning_rate}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be at least 0, not {self.weight_decay}")
        if self.gradient_clip is not None and self.gradient_clip <= 0:
            raise ValueError(f"gradient_clip must be above 0, or None, not {self.gradient_clip}")

    def build_optimizer(self, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
        """An optimizer, which treats a stack of weights as it would each of them alone."""
        if self.optimizer == "adam":
            return torch.optim.Adam(weights, lr=self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(weights, lr=self.learning_rate, momentum=0.9, weight_decay=self.weight_decay)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2


@dataclass(frozen=True, kw_only=True)
class Shadows:
    """Trained nets of one shape.

    Attributes:
        template: a net of that shape, on the device.
        states: name of a weight or buffer -> (N, ...), on the device.
    """

    template: nn.Module
    states: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.states.values())))

    def __getitem__(self, number: int) -> nn.Module:
        """One of the nets, in eval mode and without gradients of its weights; a copy, which is cheap."""
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} nets, and none {number}")
        net = copy.deepcopy(self.template)
        net.load_state_dict({name: values[number] for name, values in self.states.items()})
        return net.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class ShadowJob:
    """What to train.

    Attributes:
        task: what on.
        config: how.
        streams: (N, steps, batch_size) int64, see `batch_streams`.
        seed: of the weights; every net has its own.
        at_once: how many nets are trained as one stack; 1 for one after another.
        device: where.
        described: JSON-able; whatever else decides the run.
    """

    task: ShadowTask
    config: TrainConfig
    streams: Tensor
    seed: int
    at_once: int
    device: torch.device
    described: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.at_once < 1:
            raise ValueError(f"the number of nets at once must be at least 1, not {self.at_once}")


class _Objective(nn.Module):
    """A net as a module whose call gives its loss, as `functional_call` needs it."""

    def __init__(self, net: nn.Module, task: ShadowTask) -> None:
        super().__init__()
        self.net = net
        self._task = task

    def forward(self, batch: tuple[Tensor, ...], step: int) -> Tensor:
        return self._task.loss(self.net, batch, step=step)


def can_stack(job: ShadowJob) -> bool:
    """Whether the nets can be trained as a stack: they have no buffers, and know only what vmap does too."""
    nets = [_Objective(job.task.build(seed), job.task).to(job.device) for seed in (0, 1)]
    if any(True for _ in nets[0].buffers()):
        return False
    batch = job.task.batches(job.streams[:1, 0, :2].expand(2, -1), step=0, first=0)
    weights, _ = stack_module_state(nets)
    try:
        _stacked_losses(nets[0], weights, batch, 0).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return True


def train_shadows(job: ShadowJob, folder: Path | None, *, progress: bool) -> Shadows:
    """Train the nets, but for those that the folder holds already.

    Each stack of nets has a file of its own, written when they are trained.

    Args:
        job: what.
        folder: of the files, made when missing; None for nowhere.
        progress: whether to show a progress bar.

    Raises:
        RuntimeError: a loss is no longer finite.
        ValueError: a file is damaged or of a run with other settings.
        OSError: one cannot be written.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    chunks: list[dict[str, Tensor]] = []
    total = len(job.streams)
    bar = progress_bar(total=total * job.config.steps, desc="shadow nets", show=progress)
    with bar:
        for first in range(0, total, job.at_once):
            last = min(first + job.at_once, total)
            path = None if folder is None else folder / f"nets-{first:04d}.pt"
            settings = {**job.described, "nets": [first, last], "of": total, "device": job.device.type}
            stored = load_stage(path, settings, job.device)
            if stored is None:
                stored = _train_chunk(job, first, last, bar)
                save_stage(path, settings, stored)
            else:
                bar.update((last - first) * job.config.steps)
            chunks.append(stored)
    states = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Shadows(template=job.task.build(0).to(job.device), states=states)


def _stacked_losses(
    objective: _Objective, weights: Mapping[str, Tensor], batch: tuple[Tensor, ...], step: int
) -> Tensor:
    """The loss of each net, (K,)."""

    def one(of_one: dict[str, Tensor], own: tuple[Tensor, ...]) -> Tensor:
        loss: Tensor = functional_call(objective, of_one, (own, step))
        return loss

    losses: Tensor = vmap(one, randomness="different")(dict(weights), batch)
    return losses


def _train_chunk(job: ShadowJob, first: int, last: int, bar: "tqdm[Any]") -> dict[str, Tensor]:
    """State of the nets from first to last, stacked."""
    nets = [
        job.task.build(seed_of("weights", job.seed, number)).to(job.device).train() for number in range(first, last)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(seed_of("training", job.seed, first))
        if len(nets) == 1:
            objective = _Objective(nets[0], job.task)
            weights = {name: value for name, value in objective.named_parameters()}
            _descend(job, objective, weights, first, bar)
            return {name: value.detach()[None].clone() for name, value in nets[0].state_dict().items()}
        objective = _Objective(nets[0], job.task)
        weights, _ = stack_module_state([_Objective(net, job.task) for net in nets])
        _descend(job, objective, weights, first, bar)
    return {name.removeprefix("net."): value.detach() for name, value in weights.items()}


def _descend(
    job: ShadowJob, objective: _Objective, weights: Mapping[str, Tensor], first: int, bar: "tqdm[Any]"
) -> None:
    """Train the weights in place: those of the objective itself, or a stack of them."""
    config, own = job.config, dict(objective.named_parameters())
    alone = all(weights[name] is value for name, value in own.items())
    count = 1 if alone else len(next(iter(weights.values())))
    optimizer = config.build_optimizer(list(weights.values()))
    for step in range(config.steps):
        batch = job.task.batches(job.streams[first : first + count, step], step=step, first=first)
        with autocast(job.device, config.precision):
            if alone:
                losses = objective(tuple(part[0] for part in batch), step)[None]
            else:
                losses = _stacked_losses(objective, weights, batch, step)
        optimizer.zero_grad()
        losses.sum().backward()
        if config.gradient_clip is not None:
            _clip(list(weights.values()), config.gradient_clip, stacked=not alone)
        for group in optimizer.param_groups:
            group["lr"] = config.rate_at(step)
        optimizer.step()
        bar.update(count)
        # Now and then: to look waits for a GPU.
        if step % 100 == 0 or step + 1 == config.steps:
            require_finite("loss", float(losses.detach().sum()), step)


def _clip(weights: Sequence[Tensor], most: float, *, stacked: bool) -> None:
    """Limit the norm of each net's own gradient."""
    gradients = [value.grad for value in weights if value.grad is not None]
    nets = len(gradients[0]) if stacked else 1
    squares = [gradient.square().reshape(nets, -1).sum(1) for gradient in gradients]
    scales = (most / torch.stack(squares).sum(0).sqrt().clamp_min(1e-12)).clamp_max(1)
    for gradient in gradients:
        # Not by a view: kernels may have their channels last in memory.
        gradient.mul_(scales.reshape(-1, *[1] * (gradient.ndim - 1)) if stacked else scales[0])


def save_stage(path: Path | None, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Keep what a stage of a run has made, with the settings that decide it; nowhere if path is None."""
    if path is not None:
        save_state({"settings": json.dumps(settings), "tensors": dict(tensors)}, path)


def load_stage(path: Path | None, settings: Mapping[str, Any], device: torch.device) -> dict[str, Tensor] | None:
    """What `save_stage` kept; None where there is nothing yet.

    Raises:
        ValueError: the file is damaged or of other settings; the message names it.
    """
    if path is None or not path.is_file():
        return None
    try:
        kept: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        stored, wanted = json.loads(kept["settings"]), json.loads(json.dumps(settings))
        different = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
        if different:
            raise ValueError(f"it is of a run that differs in {', '.join(different)}")
        tensors: dict[str, Tensor] = kept["tensors"]
    except Exception as error:
        # A damaged file can fail in any way.
        raise ValueError(f"cannot go on from {path}: {reason_of(error)}; remove it to start anew") from error
    return tensors
