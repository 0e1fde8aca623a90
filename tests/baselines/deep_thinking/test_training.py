"""Training: it learns, it is a function of the seed, and it can be stopped anywhere."""

import errno
import json
import math
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import thinking
import torch
from thinking import killed_run, make_net, mazes, read_log, same_weights, strings, training_config
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import EvaluationConfig, TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.batches import draw_batches
from easy_to_hard.baselines.deep_thinking.training import TrainingConfig, exact_items, train
from easy_to_hard.storage.writing import WriteError
from easy_to_hard.tasks import get_task
from easy_to_hard.tasks.mazes import corridor_mask
from easy_to_hard.tasks.pieces import most_likely_class

# Settings


def test_learning_rate_factors() -> None:
    linear = training_config(steps=10, decay="linear")
    assert [linear.learning_rate_factor(step) for step in (0, 5, 9)] == pytest.approx([1.0, 0.5, 0.1])
    drops = training_config(steps=10, decay="drops", drop_steps=(4, 8))
    assert [drops.learning_rate_factor(step) for step in (3, 4, 7, 8)] == pytest.approx([1.0, 0.1, 0.1, 0.01])
    warm = training_config(warmup_steps=2)
    expected = [1 - math.exp(-0.5), 1 - math.exp(-1), 1.0]
    assert [warm.learning_rate_factor(step) for step in range(3)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
        ({"log_every": 0}, "log_every must be at least 1, not 0"),
        ({"progressive_weight": 1.5}, "progressive_weight must be from 0 to 1, not 1.5"),
        ({"progressive_weight": math.nan}, "progressive_weight must be from 0 to 1, not nan"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0 and finite, not nan"),
        ({"recurrent_rate_scale": 0.0}, "recurrent_rate_scale must be above 0 and finite, not 0.0"),
        ({"optimizer": "adamw"}, "optimizer must be one of adam, sgd, not 'adamw'"),
        ({"decay": "cosine"}, "decay must be one of none, linear, drops, not 'cosine'"),
        ({"precision": "float16"}, "precision must be one of auto, float32, bfloat16, not 'float16'"),
        ({"drop_steps": (3,)}, "drop_steps must be empty unless"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0, or None"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0, not -0.1"),
        ({"hold_share": 1.1}, "hold_share must be from 0 to 1, not 1.1"),
        ({"hold_share": 0.1}, "hold_iterations must be at least 1 if hold_share is above 0, not 0"),
        ({"hold_iterations": -1}, "hold_iterations must be at least 0, not -1"),
        ({"hold_from_step": -1}, "hold_from_step must be at least 0, not -1"),
        (
            {"hold_share": 0.1, "hold_iterations": 5, "progressive_weight": 0.0},
            "progressive_weight must be above 0 if hold_share is, not 0.0",
        ),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_config_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_config(**changes)


# What a run does


def _trained(seed: int, **changes: Any) -> Any:
    x, y = strings(50, 8)
    net = make_net(seed=seed)
    train(
        net,
        draw_batches(x, y, batch_size=10, seed=seed),
        training_config(seed=seed, gradient_clip=1.0, **changes),
        progress=False,
    )
    return net


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_is_a_function_of_the_seed(optimizer: str) -> None:
    torch.manual_seed(1)
    one = _trained(0, optimizer=optimizer)
    torch.manual_seed(2)
    two, other = _trained(0, optimizer=optimizer), _trained(1, optimizer=optimizer)
    assert same_weights(one.state_dict(), two.state_dict())
    assert not torch.equal(one.projection.weight, other.projection.weight)


def _exact(net: Any, x: Tensor, y: Tensor, task: str, iterations: int) -> int:
    config = EvaluationConfig(max_iterations=iterations)
    return evaluate(net, TensorItems(x, y), get_task(task).answers, config, progress=False).correct[-1]


@pytest.mark.slow
def test_overfits_eight_strings(tmp_path: Path) -> None:
    x, y = strings(8, 10)
    net = make_net(width=24, head_widths=(16, 8))
    config = training_config(
        steps=150,
        max_iterations=6,
        progressive_weight=0.5,
        learning_rate=4e-3,
        decay="linear",
        gradient_clip=1.0,
        log_every=10,
    )
    done = []
    report = train(net, lambda step: (x, y), config, folder=tmp_path, progress=False, after_step=done.append)
    assert report.accuracy == 1.0
    assert report.loss < 0.05
    assert report.steps == 150
    assert report.seconds > 0
    assert done == list(range(150))
    assert not net.training
    assert _exact(net, x, y, "prefix_sums", 6) == 8
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines] == [*range(0, 150, 10), 149]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=0.1)
    assert lines[-1]["loss"] == pytest.approx(report.loss)
    assert lines[-1]["accuracy"] == 1.0
    assert [line["learning_rate"] for line in lines[:2]] == pytest.approx([4e-3, 4e-3 * 14 / 15])
    assert all(line["items_per_second"] > 0 for line in lines)


@pytest.mark.slow
def test_overfits_eight_mazes() -> None:
    x, y = mazes(8, 5)
    net = make_net(in_channels=3, dimensions=2, patch=2, width=24, head_widths=(16,))
    config = training_config(
        steps=80, max_iterations=5, progressive_weight=0.5, learning_rate=8e-3, decay="linear", gradient_clip=1.0
    )
    report = train(net, lambda step: (x, y), config, mask_of=corridor_mask, progress=False)
    assert report.accuracy == 1.0
    assert _exact(net, x, y, "mazes", 5) == 8


def test_exact_items_are_right_in_every_cell_that_counts() -> None:
    logits = torch.tensor([[[0.0, 0.0], [1.0, -1.0]]]).expand(2, 2, 2)
    targets = torch.tensor([[1, 0], [1, 1]])
    predictions = most_likely_class(logits, logits)
    assert exact_items(predictions, targets, None).tolist() == [True, False]
    assert exact_items(predictions, targets, torch.tensor([[True, True], [True, False]])).tolist() == [True, True]


def test_recurrent_weights_have_their_own_rate() -> None:
    """The first step of plain SGD moves a weight by its rate times its gradient."""
    x, y = strings(20, 8)
    moves = []
    for scale in (1.0, 0.5):
        net = make_net()
        before = {name: weights.clone() for name, weights in net.state_dict().items()}
        config = training_config(steps=1, progressive_weight=0.0, optimizer="sgd", recurrent_rate_scale=scale)
        train(net, lambda step: (x, y), config, progress=False)
        moves.append({name: weights - before[name] for name, weights in net.state_dict().items()})
    for name, move in moves[0].items():
        factor = 0.5 if name.startswith(("recall", "blocks")) else 1.0
        torch.testing.assert_close(moves[1][name], factor * move, rtol=1e-2, atol=1e-8)
        assert bool(move.any())


def test_weight_decay_is_for_decayed_weights() -> None:
    """The first step of plain SGD with decay differs from one without by rate times decay times the weight."""
    x, y = strings(20, 8)
    for kind in ("recurrent", "lipschitz"):
        nets = []
        for decay in (0.0, 0.1):
            net = make_net(kind)
            config = training_config(
                steps=1, progressive_weight=0.0, optimizer="sgd", learning_rate=0.5, weight_decay=decay
            )
            train(net, lambda step: (x, y), config, progress=False)
            nets.append(net)
        start = make_net(kind)
        for name, weights in start.named_parameters():
            plain, decayed = (net.get_parameter(name).detach() for net in nets)
            share = 0.5 * 0.1 if start.is_decayed(name) else 0.0
            torch.testing.assert_close(decayed - plain, -share * weights.detach(), rtol=1e-3, atol=1e-6)


def test_walls_do_not_train() -> None:
    """With a mask, targets outside it have no effect."""
    image = (torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    targets = torch.randint(2, (4, 6, 6), generator=torch.Generator().manual_seed(1))
    flipped = torch.where(corridor_mask(image), targets, 1 - targets)
    assert not torch.equal(flipped, targets)
    heads = []
    for labels in (targets, flipped):
        net = make_net(in_channels=3, dimensions=2)
        train(
            net, lambda step, labels=labels: (image, labels), training_config(), mask_of=corridor_mask, progress=False
        )
        heads.append(net.head[0].weight)
    assert torch.equal(*heads)


def test_held_steps_begin_where_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = strings(4, 8)
    net = make_net()
    runs: list[int] = []
    step_of = net.step

    def spy(state: Tensor, x: Tensor, iterations: int, done: int = 0) -> Tensor:
        runs.append(iterations)
        after: Tensor = step_of(state, x, iterations, done)
        return after

    monkeypatch.setattr(net, "step", spy)
    config = training_config(steps=10, hold_share=1.0, hold_iterations=500, hold_from_step=5)
    starts: list[int] = []

    def batches(step: int) -> tuple[Tensor, Tensor]:
        starts.append(len(runs))
        return x, y

    train(net, batches, config, progress=False)
    assert max(runs[: starts[5]]) <= 4
    assert max(runs[starts[5] :]) > 50


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_lost_run_stops_with_its_step(value: float, optimizer: str) -> None:
    x, y = strings(4, 8)
    kept: dict[str, Tensor] = {}
    net = make_net()

    def batches(step: int) -> tuple[Tensor, Tensor]:
        kept.update({name: weights.clone() for name, weights in net.state_dict().items()})
        return (x * value if step == 3 else x), y

    with pytest.raises(RuntimeError, match=r"the loss is (nan|inf) at step 3"):
        train(net, batches, training_config(optimizer=optimizer), progress=False)
    assert same_weights(net.state_dict(), kept), "a lost step is not taken"
    assert bool(torch.isfinite(net.projection.weight).all())


class _Steep(torch.autograd.Function):
    """Passes values on, and a gradient that is none back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * math.inf


@pytest.mark.parametrize("gradient_clip", [1.0, None])
def test_a_lost_gradient_stops_a_run_too(gradient_clip: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    net = make_net()
    before = {name: weights.clone() for name, weights in net.state_dict().items()}
    x, y = strings(4, 8)
    read_out = net.read_out
    monkeypatch.setattr(net, "read_out", lambda state: _Steep.apply(read_out(state)))
    with pytest.raises(RuntimeError, match="at step 0"):
        train(net, lambda step: (x, y), training_config(gradient_clip=gradient_clip), progress=False)
    assert same_weights(net.state_dict(), before)


# Stopped and taken up again


class _StoppedError(Exception):
    """Stands for whatever ends a run."""


def _run(folder: Path | None, *, stop_at: int | None = None, kind: str = "recurrent", **changes: Any) -> Any:
    net = make_net(kind)
    config = training_config(
        steps=12, gradient_clip=1.0, warmup_steps=3, weight_decay=1e-3, progressive_weight=0.5, **changes
    )

    def after_step(step: int) -> None:
        if step == stop_at:
            raise _StoppedError

    batches = draw_batches(*strings(50, 8), batch_size=10, seed=0)
    report = train(net, batches, config, folder=folder, checkpoint_seconds=0, progress=False, after_step=after_step)
    return net, report


def _losses(folder: Path) -> list[tuple[int, float, float]]:
    return [(line["step"], line["loss"], line["accuracy"]) for line in read_log(folder)]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "optimizer"), [("recurrent", "adam"), ("recurrent", "sgd"), ("lipschitz", "adam"), ("feed_forward", "sgd")]
)
def test_a_stopped_run_goes_on_bit_for_bit(kind: str, optimizer: str, precision: str, tmp_path: Path) -> None:
    options = {"kind": kind, "optimizer": optimizer, "precision": precision}
    through, report = _run(tmp_path / "through", **options)
    for stop_at in (2, 7):
        with pytest.raises(_StoppedError):
            _run(tmp_path / "stopped", stop_at=stop_at, **options)
    stopped, taken_up = _run(tmp_path / "stopped", **options)
    assert same_weights(through.state_dict(), stopped.state_dict())
    assert _losses(tmp_path / "stopped") == _losses(tmp_path / "through")
    assert [step for step, _, _ in _losses(tmp_path / "stopped")] == list(range(12))
    assert (taken_up.steps, taken_up.loss, taken_up.accuracy) == (report.steps, report.loss, report.accuracy)
    # And neither the folder nor stopping is of any effect.
    assert same_weights(through.state_dict(), _run(None, **options)[0].state_dict())


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    net, report = _run(tmp_path)
    log = (tmp_path / "log.jsonl").read_text()
    again, second = _run(tmp_path, stop_at=0)
    assert same_weights(net.state_dict(), again.state_dict())
    assert second == report
    assert (tmp_path / "log.jsonl").read_text() == log


def test_a_run_without_a_checkpoint_starts_anew(tmp_path: Path) -> None:
    """Killed before the first one, so that the log's lines are of no run that goes on."""
    with pytest.raises(_StoppedError):
        _run(tmp_path, stop_at=3)
    (tmp_path / "checkpoint.pt").unlink()
    net, _ = _run(tmp_path)
    assert [line["step"] for line in read_log(tmp_path)] == list(range(12))
    assert same_weights(net.state_dict(), _run(None)[0].state_dict())


def test_checkpoints_wait_their_time(tmp_path: Path) -> None:
    x, y = strings(4, 8)

    def after_step(step: int) -> None:
        assert (tmp_path / "checkpoint.pt").exists() is (step == 4), "only after the last step"

    train(make_net(), lambda step: (x, y), training_config(), folder=tmp_path, progress=False, after_step=after_step)
    assert {path.name for path in tmp_path.iterdir()} >= {"checkpoint.pt", "log.jsonl"}
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


@pytest.mark.parametrize("half", ['{"step": 8, "lo', '{"step": 8', "{", '{"step": 9, "loss": 0.5, "accuracy": 1.0}'])
def test_half_a_line_in_the_log_does_no_harm(half: str, tmp_path: Path) -> None:
    with pytest.raises(_StoppedError):
        _run(tmp_path, stop_at=7)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write(half)
    _run(tmp_path)
    assert [line["step"] for line in read_log(tmp_path)] == list(range(12))


def test_a_log_with_older_half_lines_is_read(tmp_path: Path) -> None:
    """The end of a line may be all that is missing."""
    with pytest.raises(_StoppedError):
        _run(tmp_path, stop_at=7)
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().rstrip("\n"))
    _run(tmp_path)
    assert [line["step"] for line in read_log(tmp_path)] == list(range(12))


def test_a_log_may_be_gone(tmp_path: Path) -> None:
    with pytest.raises(_StoppedError):
        _run(tmp_path, stop_at=7)
    (tmp_path / "log.jsonl").unlink()
    _run(tmp_path)
    assert [line["step"] for line in read_log(tmp_path)] == list(range(8, 12))


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run stopped after step 7; not to be changed."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(_StoppedError):
        _run(folder, stop_at=7)
    return folder


def test_a_checkpoint_of_other_settings_is_refused(stopped_run: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped_run, tmp_path / "run")
    message = (
        rf"cannot resume from .*{tmp_path.name}.*checkpoint\.pt: it was written by .* other settings: .*; remove it"
    )
    with pytest.raises(ValueError, match=message):
        _run(tmp_path / "run", learning_rate=2e-3)
    with pytest.raises(ValueError, match=r"cannot resume from .*checkpoint\.pt"):
        _run(tmp_path / "run", kind="lipschitz")
    # Nothing was lost by trying.
    assert _run(tmp_path / "run")[1].steps == 12


@pytest.mark.parametrize("keep", [0, 10, 500, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(keep: float, stopped_run: Path, tmp_path: Path) -> None:
    whole = (stopped_run / "checkpoint.pt").read_bytes()
    size = int(keep if keep >= 1 else keep * len(whole))
    (tmp_path / "checkpoint.pt").write_bytes(whole[:size])
    with pytest.raises(ValueError, match=rf"cannot resume from .*{tmp_path.name}.checkpoint\.pt: .*remove it"):
        _run(tmp_path)


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_cannot_run_code(zipped: bool, tmp_path: Path) -> None:
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "executed"
    state = {"model": _Bomb(marker), "optimizer": {}, "progress": {}, "config": "{}"}
    if zipped:
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state, protocol=2))
    with pytest.raises(ValueError, match=r"cannot resume from .*checkpoint\.pt"):
        _run(tmp_path)
    assert not marker.exists()
    # It is one: whoever reads it without care runs it.
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())
    assert marker.exists()


# TensorBoard


def test_tensorboard_may_be_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    _run(tmp_path)
    assert not (tmp_path / "tensorboard").exists()
    assert len(read_log(tmp_path)) == 12


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, int]] = []
    opened: list[tuple[str, int]] = []
    closed: list[bool] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            opened.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def close(self) -> None:
            closed.append(True)

    module = ModuleType("torch.utils.tensorboard.writer")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", ModuleType("torch.utils.tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", module)
    with pytest.raises(_StoppedError):
        _run(tmp_path, stop_at=7)
    _run(tmp_path)
    assert opened == [(str(tmp_path / "tensorboard"), 0), (str(tmp_path / "tensorboard"), 8)]
    assert [step for name, step in written if name == "loss"] == list(range(12))
    assert {name for name, _ in written} == {"loss", "accuracy", "learning_rate", "items_per_second"}
    assert closed == [True, True]


@pytest.mark.parametrize("fails", ["__init__", "add_scalar", "close"])
def test_a_full_disk_under_tensorboard_is_told_in_a_line(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    methods: dict[str, Any] = {"__init__": lambda self, folder, purge_step: None, "add_scalar": lambda *given: None}
    methods["close"] = lambda self: None
    module = ModuleType("torch.utils.tensorboard.writer")
    module.SummaryWriter = type("Writer", (), methods | {fails: full})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", ModuleType("torch.utils.tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", module)
    with pytest.raises(WriteError, match=r"^cannot write \S+tensorboard: the disk is full$"):
        _run(tmp_path)


# Other processes


def _start(function: str, folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    code = f"import sys, thinking; thinking.{function}(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": str(Path(thinking.__file__).parent), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment)


@pytest.mark.posix
@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    process = _start("run_to_be_killed", tmp_path / "killed")
    log, deadline = tmp_path / "killed" / "log.jsonl", time.monotonic() + 60
    try:
        while not (log.is_file() and len(log.read_text().splitlines()) >= 8):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(log.read_text().splitlines()) < 40, "it was killed in time"
    weights = killed_run(tmp_path / "killed")
    assert same_weights(weights, killed_run(tmp_path / "through"))
    assert _losses(tmp_path / "killed") == _losses(tmp_path / "through")
    assert [step for step, _, _ in _losses(tmp_path / "killed")] == list(range(40))


Joint = tuple[Path, Mapping[str, Mapping[str, Tensor]], Path, list[Mapping[str, Mapping[str, Tensor]]]]


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Joint:
    """Folder and weights of the runs in this process, then of those of two processes."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [_start("run_rank", together, **variables, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    try:
        weights = thinking.joint_runs(alone)
        assert [process.wait(timeout=90) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    ranks = [torch.load(together / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    return alone, weights, together, ranks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["strings", "mazes", "untied", "lipschitz"])
def test_two_processes_do_what_one_does(name: str, joint: Joint) -> None:
    alone, weights, together, ranks = joint
    assert same_weights(ranks[0][name], ranks[1][name])
    one, two = _losses(alone / name), _losses(together / name)
    assert [step for step, _, _ in two] == list(range(8))
    assert [loss for _, loss, _ in two] == pytest.approx([loss for _, loss, _ in one], abs=1e-4, rel=0)
    assert [accuracy for _, _, accuracy in two] == pytest.approx([accuracy for _, _, accuracy in one])
    assert one[-1][1] != one[0][1]
    for key, values in weights[name].items():
        torch.testing.assert_close(ranks[0][name][key], values, rtol=1e-3, atol=1e-4)
    assert {path.name for path in (together / name).iterdir()} == {"log.jsonl", "checkpoint.pt"}


@pytest.mark.slow
def test_the_threads_of_the_group_end_with_it(joint: Joint) -> None:
    """Otherwise they may abort the process when it ends."""
    together = joint[2]
    names = [(together / f"threads{rank}.txt").read_text() for rank in range(2)]
    assert not [name for name in names if "gloo" in name], names
    if sys.platform == "linux":
        assert all(names)


def test_a_mean_of_means_would_be_another_number() -> None:
    """The test above would see it: the parts of the two processes have unlike numbers of cells."""
    _, batches, mask_of = thinking._joint_runs()["mazes"]
    assert mask_of is not None
    unlike = 0
    for step in range(8):
        inputs, _ = batches(step)
        counts = [int(mask_of(inputs[rank::2]).sum()) for rank in range(2)]
        by_item = [count / len(inputs[rank::2]) for rank, count in enumerate(counts)]
        # Neither is the mean of the two parts right, nor that weighted by their items.
        unlike += min(abs(counts[0] - counts[1]), abs(by_item[0] - by_item[1])) > 0.05 * by_item[0]
    assert unlike >= 4


def test_config_of_a_checkpoint_is_json(stopped_run: Path) -> None:
    state = torch.load(stopped_run / "checkpoint.pt", weights_only=True)
    assert TrainingConfig(**{**json.loads(state["config"]), "drop_steps": ()}).steps == 12
    assert state["progress"]["step"] == 8
