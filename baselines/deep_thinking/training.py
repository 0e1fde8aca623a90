"""Training that can be stopped and resumed bit for bit, with the progressive loss or on a pool of states."""

import json
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.attention import AttentionNet
from easy_to_hard.baselines.deep_thinking.batches import Batches
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.distributed import place, sum_gradients, sum_over_processes
from easy_to_hard.baselines.deep_thinking.line_training import LineConfig, LineTrainer
from easy_to_hard.baselines.deep_thinking.loss import CellLoss, draw_stretch, progressive_loss
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.pool_training import PoolConfig, PoolTrainer
from easy_to_hard.baselines.deep_thinking.training_log import TrainingLog
from easy_to_hard.baselines.kit.precision import Precision, Settled, autocast, fast_precision, settle
from easy_to_hard.baselines.kit.run_folder import reason_of, save_state
from easy_to_hard.baselines.kit.training import CHECKPOINT, require_finite
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.tasks.pieces import Decode, Mask, most_likely_class

Decay = Literal["none", "linear", "drops"]
OptimizerName = Literal["adam", "sgd"]

_DROP_FACTOR: Final = 0.1
_SGD_MOMENTUM: Final = 0.9


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How to train with the progressive loss.

    The learning rate depends on steps and not on time, so a slow machine learns the same.

    Deviates: the authors count epochs; here everything is counted in steps (batches).

    Attributes:
        steps: batches to train on, at least 1.
        max_iterations: T, the most iterations in training, at least 1.
        progressive_weight: alpha in [0, 1], the weight of the progressive loss against the full unroll.
        learning_rate: above 0; of the optimizer at factor 1.
        recurrent_rate_scale: above 0; factor of the learning rate for the recurrent block's weights.
        optimizer: "adam", or "sgd" with momentum 0.9.
        decay: "none", "linear" (to zero at the last step) or "drops" (times 0.1 at each of `drop_steps`).
        drop_steps: steps at which the rate drops; only with decay="drops".
        warmup_steps: the rate is multiplied by 1 - exp(-(step + 1) / warmup_steps) for this many steps; 0 for none.
        weight_decay: L2 penalty in the gradient, at least 0.
        gradient_clip: largest norm of the whole gradient, above 0; None for no limit.
        hold_share: in [0, 1]; in this share of the steps the answer must be held from far beyond T: n is drawn up to
            `hold_iterations` (not in the papers; needs progressive_weight above 0).
        hold_iterations: at least 0; at least 1 with a hold_share.
        hold_from_step: at least 0; the first step in which the answer may have to be held.
        precision: "float32", "bfloat16" for the convolutions (weights stay float32), or "auto" for what the device is
            faster in when the run begins.
        seed: of the iteration counts drawn for the progressive loss, at least 0.
        log_every: steps between two lines of the log, at least 1.

    Raises:
        ValueError: a value outside the ranges above.
    """

    steps: int
    max_iterations: int
    progressive_weight: float
    learning_rate: float
    recurrent_rate_scale: float = 1.0
    optimizer: OptimizerName = "adam"
    decay: Decay = "none"
    drop_steps: tuple[int, ...] = ()
    warmup_steps: int = 0
    weight_decay: float = 0.0
    gradient_clip: float | None = None
    hold_share: float = 0.0
    hold_iterations: int = 0
    hold_from_step: int = 0
    precision: Precision = "float32"
    seed: int = 0
    log_every: int = 10

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "max_iterations", "log_every"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("warmup_steps", "weight_decay", "seed", "hold_iterations", "hold_from_step"):
            check_field(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("learning_rate", "recurrent_rate_scale"):
            check_field(self, name, 0 < getattr(self, name) < math.inf, "above 0 and finite")
        check_field(self, "weight_decay", self.weight_decay < math.inf, "finite")
        check_field(self, "seed", self.seed < 2**63, "below 2^63")
        for name in ("progressive_weight", "hold_share"):
            check_field(self, name, 0 <= getattr(self, name) <= 1, "from 0 to 1")
        check_field(self, "gradient_clip", self.gradient_clip is None or self.gradient_clip > 0, "above 0, or None")
        check_field(self, "optimizer", self.optimizer in get_args(OptimizerName), "one of adam, sgd")
        check_field(self, "decay", self.decay in get_args(Decay), "one of none, linear, drops")
        check_field(self, "precision", self.precision in get_args(Precision), "one of auto, float32, bfloat16")
        check_field(self, "drop_steps", not self.drop_steps or self.decay == "drops", "empty unless decay='drops'")
        if self.hold_share > 0:
            check_field(self, "hold_iterations", self.hold_iterations >= 1, "at least 1 if hold_share is above 0")
            check_field(self, "progressive_weight", self.progressive_weight > 0, "above 0 if hold_share is")

    def learning_rate_factor(self, step: int) -> float:
        """The factor of the learning rate at a step, counted from 0: in (0, 1]."""
        factor = 1.0
        if self.decay == "linear":
            factor = 1 - step / self.steps
        elif self.decay == "drops":
            factor = _DROP_FACTOR ** sum(step >= drop for drop in self.drop_steps)
        if step < self.warmup_steps:
            factor *= 1 - math.exp(-(step + 1) / self.warmup_steps)
        return factor


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What training did.

    Attributes:
        steps: batches trained on, including those before the run was resumed.
        loss: of the last batch.
        accuracy: of the last batch, exact match, in [0, 1].
        seconds: wall time, including that before the run was resumed.
        precision: of the convolutions.
    """

    steps: int
    loss: float
    accuracy: float
    seconds: float
    precision: Settled


def _build_optimizer(model: ThinkingNet, config: TrainingConfig) -> torch.optim.Optimizer:
    """Groups by learning rate and weight decay, in an order that depends on the net alone."""
    groups = []
    for recurrent in (False, True):
        for decayed in (True, False):
            weights = [
                p
                for name, p in model.named_parameters()
                if (model.is_recurrent(name), model.is_decayed(name)) == (recurrent, decayed)
            ]
            rate = config.learning_rate * (config.recurrent_rate_scale if recurrent else 1)
            decay = config.weight_decay if decayed else 0.0
            if weights:
                groups.append({"params": weights, "lr": rate, "base_lr": rate, "weight_decay": decay})
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, fused=True)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=_SGD_MOMENTUM)


def exact_items(predictions: Tensor, targets: Tensor, mask: Tensor | None) -> Tensor:
    """Which items are right in every cell that counts: (batch,) bool."""
    wrong = predictions != targets
    if mask is not None:
        wrong &= mask
    return ~wrong.flatten(1).any(dim=1)


class _Trainer:
    """A net, its optimizer, and the one step that training repeats."""

    def __init__(self, model: ThinkingNet, config: TrainingConfig, mask_of: Mask | None, decode: Decode) -> None:
        self.model = model
        self.config = config
        self.mask_of = mask_of
        self.decode = decode
        self.optimizer = _build_optimizer(model, config)
        self.device = next(model.parameters()).device
        self.parameters = list(model.parameters())

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint. There is no random state: batches and iterations depend on the step alone."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def finish(self) -> None:
        """Finish training; nothing is left to do after the last step."""

    def update(self, step: int, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
        """Make one optimizer step on this process's part of a batch; return loss and accuracy of the whole batch.

        Raises:
            RuntimeError: the loss or the gradient is not finite; the weights are left as they were.
        """
        config = self.config
        rank, world_size = place()
        inputs, targets = (tensor[rank::world_size].to(self.device) for tensor in (inputs, targets))
        mask = None if self.mask_of is None else self.mask_of(inputs)
        counts = torch.tensor(
            [targets.numel() if mask is None else int(mask.sum()), len(inputs)],
            dtype=torch.float64 if self.device.type == "cpu" else torch.float32,
            device=self.device,
        )
        num_cells, num_items = sum_over_processes(counts).tolist()
        stretch = draw_stretch(
            config.max_iterations,
            seed=config.seed,
            step=step,
            hold_iterations=config.hold_iterations,
            hold_share=config.hold_share if step >= config.hold_from_step else 0.0,
        )
        with autocast(self.device, config.precision):
            loss = progressive_loss(
                self.model,
                inputs,
                CellLoss(targets, mask, num_cells),
                stretch,
                max_iterations=config.max_iterations,
                progressive_weight=config.progressive_weight,
            )
        num_right = exact_items(self.decode(loss.logits.detach(), inputs), targets, mask).sum()
        value, right = sum_over_processes(torch.stack([loss.value.detach(), num_right.to(loss.value)])).tolist()
        require_finite("loss", value, step)
        self.optimizer.zero_grad()
        loss.value.backward()  # type: ignore[no-untyped-call]
        sum_gradients(self.parameters)
        limit = math.inf if config.gradient_clip is None else config.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit)
        require_finite("norm of the gradient", float(norm), step)
        factor = config.learning_rate_factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.optimizer.step()
        return value, right / num_items


@dataclass
class _Progress:
    """The progress of a run, which a checkpoint holds besides net and optimizer."""

    step: int = 0
    loss: float = math.nan
    accuracy: float = math.nan
    seconds: float = 0.0


Trainer: TypeAlias = "_Trainer | PoolTrainer | LineTrainer"


def make_trainer(
    model: ThinkingNet, config: TrainingConfig | PoolConfig | LineConfig, mask_of: Mask | None, decode: Decode
) -> Trainer:
    """The trainer that goes with a way of training.

    Raises:
        ValueError: a pool for a net that is not trained on one, or for several processes.
    """
    if isinstance(config, TrainingConfig):
        return _Trainer(model, config, mask_of, decode)
    if place()[1] > 1:
        raise ValueError(f"training on a pool of states takes one process, not {place()[1]}")
    if isinstance(config, LineConfig):
        if not isinstance(model, AttentionNet):
            raise ValueError(f"only an attention net is trained on lines of moves, not a {type(model).__name__}")
        return LineTrainer(model, config)
    if not isinstance(model, CellularNet):
        raise ValueError(f"only a cellular net is trained on a pool of states, not a {type(model).__name__}")
    return PoolTrainer(model, config)


def save_checkpoint(path: Path, trainer: Trainer, progress: _Progress) -> None:
    """Write a checkpoint, whole or not at all."""
    state = {
        **trainer.state(),
        "progress": asdict(progress),
        "config": json.dumps(asdict(trainer.config)),
    }
    for name, weights in trainer.model.named_parameters():
        if not bool(weights.isfinite().all()):
            raise RuntimeError(f"{name} is no longer finite at step {progress.step}: lower learning_rate")
    save_state(state, path)


def changed_settings(stored: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """The settings that differ, such as "steps 20, not 10", nested ones too; one that either lacks does not count."""
    changed = []
    stored = json.loads(json.dumps(stored))
    for name, value in json.loads(json.dumps(current)).items():
        if isinstance(value, dict):
            changed += changed_settings(stored.get(name, {}), value)
        elif stored.get(name, value) != value:
            changed.append(f"{name} {stored[name]}, not {value}")
    return changed


def load_checkpoint(path: Path, trainer: Trainer) -> _Progress:
    """Resume a run from its checkpoint.

    Raises:
        ValueError: the file is not a checkpoint, or one of another training; the message names it.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=trainer.device, weights_only=True)
        stored = json.loads(state["config"])
        # A run continues as it began, whatever this device is faster in.
        trainer.config = settle(trainer.config, stored.get("precision", "auto"))
        changed = changed_settings(stored, asdict(trainer.config))
        if changed:
            raise ValueError(f"it was written by a training with other settings: {', '.join(changed)}")
        trainer.restore(state)
        return _Progress(**state["progress"])
    except Exception as error:
        raise ValueError(f"cannot resume from {path}: {reason_of(error)}; remove it to start over") from error


class _Interrupts:
    """Records the first interrupt in the main thread instead of acting on it; a second one acts as usual."""

    def __init__(self) -> None:
        self.seen = False
        self._before = None
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.seen = True
        self.close()

    def close(self) -> None:
        """Let interrupts act as they did before."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


def train(
    model: ThinkingNet,
    batches: Batches,
    config: TrainingConfig | PoolConfig | LineConfig,
    *,
    mask_of: Mask | None = None,
    decode: Decode = most_likely_class,
    folder: Path | None = None,
    checkpoint_seconds: float = 30.0,
    progress: bool = True,
    after_step: Callable[[int], None] | None = None,
) -> TrainingReport:
    """Train a net in place, on the device where its weights are.

    With a folder, ``log.jsonl`` (one object every `config.log_every` steps), ``checkpoint.pt``, and, if TensorBoard is
    installed, ``tensorboard/`` are written to it, and a run that was stopped continues from its checkpoint: on a CPU it
    ends with exactly the weights of a run that was not. In a process group every process takes its rows of each batch.
    An interrupt (Ctrl-C) takes effect when the current step is done and its checkpoint written.

    Args:
        model: the net.
        batches: step number from 0 -> inputs (batch, channels, *size) float, targets (batch, *size) int64.
        config: how to train: with the progressive loss or, for a cellular net, on a pool of states.
        mask_of: inputs -> (batch, *size) bool, the cells that count; `corridor_mask` for mazes; None for all.
        decode: logits and inputs -> predictions (batch, *size) int64, for the accuracy in the log.
        folder: where to keep log and checkpoint, made when missing; None for nowhere.
        checkpoint_seconds: time between two checkpoints; one always follows the last step.
        progress: whether to show a progress bar.
        after_step: called with the number of each step that is done.

    Raises:
        RuntimeError: loss, gradient, or weights are no longer finite; the message gives the step, counted from 0.
        ValueError: the checkpoint in the folder is of a training with other settings.
        OSError: a file cannot be written.
    """
    trainer = make_trainer(model.train(), config, mask_of, decode)
    done = _Progress()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).is_file():
            done = load_checkpoint(folder / CHECKPOINT, trainer)
        if float(sum_over_processes(torch.tensor(float(done.step), device=trainer.device))) != done.step * place()[1]:
            raise RuntimeError(f"not all processes see the checkpoint in {folder}: it must be on a shared disk")
    trainer.config = config = settle(trainer.config, fast_precision(trainer.device))
    log = TrainingLog(folder, steps=config.steps, every=config.log_every, done=done.step, show=progress)
    earlier, started, saved = done.seconds, time.perf_counter(), time.perf_counter()
    interrupts = _Interrupts()
    try:
        for step in range(done.step, config.steps):
            inputs, targets = batches(step)
            loss, accuracy = trainer.update(step, inputs, targets)
            now = time.perf_counter()
            done = _Progress(step + 1, loss, accuracy, earlier + now - started)
            rate = config.learning_rate * config.learning_rate_factor(step)
            log.add(step, len(inputs), loss, accuracy, rate)
            due = done.step == config.steps or interrupts.seen or now - saved > checkpoint_seconds
            if folder is not None and place()[0] == 0 and due:
                save_checkpoint(folder / CHECKPOINT, trainer, done)
                saved = now
            if after_step is not None:
                after_step(step)
            if interrupts.seen:
                raise KeyboardInterrupt
    finally:
        interrupts.close()
        log.close()
    trainer.finish()
    model.eval()
    return TrainingReport(
        steps=done.step,
        loss=done.loss,
        accuracy=done.accuracy,
        seconds=done.seconds,
        precision=cast(Settled, config.precision),
    )
