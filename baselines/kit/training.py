"""What the training runs of several methods have in common: a loop that can be stopped and resumed.

All random draws in a step depend on the run's seed and the step's number alone, so the only state to keep is the
weights, their average, and the optimizer's state, and a resumed run ends like one that was never stopped.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.precision import Precision, autocast, fast_precision, settle
from easy_to_hard.baselines.kit.run_folder import RunFolder, load_state, reason_of, save_state
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar

Decay = Literal["none", "linear"]

LossAt: TypeAlias = Callable[[nn.Module, int], Tensor]
"""(net, step from 0) -> the loss of that step's batch, a scalar; it must depend on nothing else."""

Stop: TypeAlias = Callable[[nn.Module, int], bool]
"""(net, step from 0) -> whether training ends before that step; it must depend on nothing else."""

CHECKPOINT: Final = "checkpoint.pt"
# Training goes on for at least so many times as long as a checkpoint took to write.
_TRAINED_PER_SAVING: Final = 50


def count_parameters(net: nn.Module) -> int:
    """Number of weights."""
    return sum(weights.numel() for weights in net.parameters())


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How a net is trained with Adam.

    Attributes:
        steps: batches, at least 1.
        learning_rate: above 0.
        decay: of the learning rate: "none", or "linear" to zero at the last step.
        micro_batches: number of losses that are averaged for the gradient of a step, at least 1.
        gradient_clip: largest norm of the gradient, above 0; None for no limit.
        ema_decay: decay of the average of the weights, in [0, 1).
        ema_every: steps between updates of the average, at least 1.
        ema_from: before this step the average is a copy of the weights, at least 0.
        precision: "float32", "bfloat16" for the operations that autocast runs in it (weights stay float32), or "auto"
            for the device's fastest. `recorded_precision` says what a run began with.
        seed: of the run, at least 0.

    Raises:
        ValueError: a value outside the ranges above.
    """

    steps: int
    learning_rate: float
    decay: Decay = "none"
    micro_batches: int = 1
    gradient_clip: float | None = None
    ema_decay: float = 0.995
    ema_every: int = 10
    ema_from: int = 2000
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "micro_batches", "ema_every"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("ema_from", "seed"):
            check_field(self, name, getattr(self, name) >= 0, "at least 0")
        check_field(self, "learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")
        check_field(self, "decay", self.decay in get_args(Decay), "one of none, linear")
        check_field(self, "gradient_clip", self.gradient_clip is None or self.gradient_clip > 0, "above 0, or None")
        check_field(self, "ema_decay", 0 <= self.ema_decay < 1, "from 0 to below 1")
        check_field(self, "precision", self.precision in get_args(Precision), "one of auto, float32, bfloat16")

    def rate_at(self, step: int) -> float:
        """The learning rate at a step, counted from 0."""
        return self.learning_rate * (1 - step / self.steps if self.decay == "linear" else 1)


@dataclass(kw_only=True)
class LoopReport:
    """What training did.

    Attributes:
        step: batches trained on, including those before the run was resumed.
        loss: of the last batch.
        seconds: wall time, including that before the run was resumed.
    """

    step: int = 0
    loss: float = math.nan
    seconds: float = 0.0


class Loop:
    """A net, the average of its weights and its optimizer, trained step by step.

    Args:
        net: trained in place, on the device where its weights are.
        loss_at: see `LossAt`.
        config: how to train.
        settings: JSON-able; whatever else decides the run. A checkpoint with other settings is refused.

    Attributes:
        net: as given.
        average: a net of the same kind with the averaged weights, in eval mode.
    """

    def __init__(self, net: nn.Module, loss_at: LossAt, config: LoopConfig, settings: Mapping[str, Any]) -> None:
        self.net = net
        self.average = copy.deepcopy(net).eval().requires_grad_(False)
        self._loss_at = loss_at
        self._device = next(net.parameters()).device
        self._config = config = settle(config, fast_precision(self._device))
        self._settings = json.loads(json.dumps({"loop": asdict(config), **settings}))
        self._optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate, fused=True)
        self._done = LoopReport()

    def run(
        self,
        folder: Path | None,
        *,
        stop: Stop | None = None,
        checkpoint_seconds: float = 20.0,
        progress: bool = True,
    ) -> LoopReport:
        """Train to the last step, from the checkpoint in the folder if there is one.

        Args:
            folder: of the checkpoint, made when missing; None for no checkpoint.
            stop: asked before each step, including the first after resuming; None for never. It sees the net in
                training mode.
            checkpoint_seconds: time between two checkpoints, or 50 times as long as one takes to write if that is more;
                one always follows the last step or an interrupt.
            progress: whether to show a progress bar.

        Raises:
            RuntimeError: the loss is no longer finite; the message gives the step.
            ValueError: the checkpoint is damaged or of a run with other settings.
            OSError: it cannot be written.
        """
        path = None if folder is None else folder / CHECKPOINT
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                self._load(path)
        done, started = self._done, time.perf_counter()
        due = started + checkpoint_seconds
        earlier = done.seconds
        bar = progress_bar(total=self._config.steps, initial=done.step, desc="training", show=progress)
        try:
            # Dropout and the like draw from torch's global generators, which are restored afterwards.
            with bar, torch.random.fork_rng():
                self.net.train()
                while done.step < self._config.steps and not (stop is not None and stop(self.net, done.step)):
                    done.loss = self.step(done.step)
                    done.step += 1
                    done.seconds = earlier + time.perf_counter() - started
                    bar.set_postfix_str(f"loss {done.loss:.5f}", refresh=False)
                    bar.update()
                    now = time.perf_counter()
                    if path is not None and now > due:
                        self._save(path)
                        saved = time.perf_counter()
                        due = saved + max(checkpoint_seconds, _TRAINED_PER_SAVING * (saved - now))
        finally:
            if path is not None and done.step and done.seconds > earlier and math.isfinite(done.loss):
                self._save(path)
        self.net.eval()
        return done

    def step(self, step: int) -> float:
        """Train on the batches of a step, counted from 0, and return their loss; `run` calls this."""
        config = self._config
        torch.manual_seed(seed_of("step", config.seed, step))
        self.net.train()
        self._optimizer.zero_grad()
        total = 0.0
        for part in range(config.micro_batches):
            with autocast(self._device, config.precision):
                loss = self._loss_at(self.net, step * config.micro_batches + part) / config.micro_batches
            total += float(loss.detach())
            loss.backward()  # type: ignore[no-untyped-call]
        require_finite("loss", total, step)
        if config.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), config.gradient_clip)
        for group in self._optimizer.param_groups:
            group["lr"] = config.rate_at(step)
        self._optimizer.step()
        if (step + 1) % config.ema_every == 0 or step + 1 == config.steps:
            self._update_average(0.0 if step < config.ema_from else config.ema_decay)
        return total

    def _update_average(self, decay: float) -> None:
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
            for averaged, weights in pairs:
                averaged.lerp_(weights, 1 - decay)
            for kept, current in zip(self.average.buffers(), self.net.buffers(), strict=True):
                kept.copy_(current)

    def _save(self, path: Path) -> None:
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "done": asdict(self._done),
            "settings": json.dumps(self._settings),
        }
        save_state(state, path)

    def _load(self, path: Path) -> None:
        state = load_state(path, self._settings, self._device)
        try:
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._done = LoopReport(**state["done"])
        except Exception as error:
            raise ValueError(f"cannot resume from {path}: {reason_of(error)}; remove it to start over") from error


def train_part(
    loop: Loop, folder: RunFolder, name: str, *, stop: Stop | None = None, progress: bool = True
) -> LoopReport:
    """Train as a part of a run, and add the training time of earlier calls to the run's time.

    Args:
        loop: of the net.
        folder: of the run.
        name: of the part, and of the folder of its checkpoint; may contain "/".
        stop, progress: as in `Loop.run`, whose errors are raised.
    """
    started = time.perf_counter()
    report = loop.run(folder.path / name, stop=stop, progress=progress)
    folder.credit(max(report.seconds - (time.perf_counter() - started), 0.0))
    return report


def train_classifier(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    config: LoopConfig,
    *,
    batch_size: int,
    as_input: Callable[[Tensor], Tensor],
    settings: Mapping[str, Any],
    folder: RunFolder,
    name: str,
    progress: bool = True,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
) -> None:
    """Train a classifier of images, in place, as a part of a run.

    Args:
        net: on its device; gives logits (B, classes).
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        config: how to train; its seed decides the batches.
        batch_size: images per step.
        as_input: turns images (B, C, H, W) uint8 into the net's float input.
        settings: whatever else decides the weights, JSON-able.
        folder, name, progress: as in `train_part`, whose errors are raised.
        augment: changes the float inputs of a step, with a generator for its draws; None for no augmentation.
    """
    device = next(net.parameters()).device
    images, labels = images.to(device), labels.to(device)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rows = torch.randint(len(images), (batch_size,), generator=generator_of("batch", config.seed, step))
        rows = rows.to(device)
        inputs = as_input(images[rows])
        if augment is not None:
            inputs = augment(inputs, generator_of("augment", config.seed, step))
        return F.cross_entropy(current(inputs), labels[rows])

    loop = Loop(net, loss_at, config, {"batch_size": batch_size, **settings})
    train_part(loop, folder, name, progress=progress)


def require_finite(what: str, value: float, step: int) -> None:
    """Raise a RuntimeError that says what to do if training has diverged.

    Args:
        what: name of the value, such as "loss".
        value: to check.
        step: number of the step, from 0.
    """
    if not math.isfinite(value):
        raise RuntimeError(f"the {what} is {value} at step {step}: lower learning_rate or set gradient_clip")
