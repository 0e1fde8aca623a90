"""The training loop that papers share."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.training import (
    CHECKPOINT,
    Loop,
    LoopConfig,
    count_parameters,
    train_classifier,
    train_part,
)

CONFIG = LoopConfig(steps=12, learning_rate=0.05, decay="linear", ema_decay=0.5, ema_every=2, ema_from=4)


def build(config: LoopConfig = CONFIG, stop_at: int | None = None, settings: Any = None) -> Loop:
    """A net with dropout that learns to add."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))

    def loss_at(current: nn.Module, step: int) -> Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        inputs = torch.rand(16, 2, generator=generator_of("batch", config.seed, step))
        loss: Tensor = (current(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()
        return loss

    return Loop(net, loss_at, config, settings or {"net": {"width": 8}})


def weights(net: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in net.parameters()])


def test_stopped_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = build()
    report = whole.run(None, progress=False)
    with pytest.raises(KeyboardInterrupt):
        build(stop_at=7).run(tmp_path / "run", progress=False)
    torch.rand(5)
    again = build()
    resumed = again.run(tmp_path / "run", progress=False)
    assert torch.equal(weights(again.net), weights(whole.net))
    assert torch.equal(weights(again.average), weights(whole.average))
    assert (resumed.step, resumed.loss) == (report.step, report.loss) == (12, report.loss)
    # Once more there is nothing to do.
    before = (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns
    done = build()
    assert done.run(tmp_path / "run", progress=False).seconds == resumed.seconds
    assert torch.equal(weights(done.average), weights(whole.average))
    assert (tmp_path / "run" / CHECKPOINT).stat().st_mtime_ns == before


def test_training_ends_where_it_is_told_to(tmp_path: Path) -> None:
    asked: list[int] = []

    def stop(net: nn.Module, step: int) -> bool:
        assert net.training
        asked.append(step)
        return step == 5

    ended = build()
    assert ended.run(tmp_path, stop=stop, progress=False).step == 5
    assert asked == [0, 1, 2, 3, 4, 5]
    assert not ended.net.training
    # From its checkpoint it is asked again, and a run that is not told to stop goes on to the end.
    again = build()
    assert again.run(tmp_path, stop=stop, progress=False).step == 5
    assert torch.equal(weights(again.net), weights(ended.net))
    whole, on = build(), build()
    whole.run(None, progress=False)
    assert on.run(tmp_path, progress=False).step == 12
    assert torch.equal(weights(on.net), weights(whole.net))


def test_a_part_counts_what_it_was_trained_before(tmp_path: Path) -> None:
    report = train_part(build(), RunFolder(tmp_path, {}), "net", progress=False)
    again = RunFolder(tmp_path, {})
    before = again.seconds
    assert train_part(build(), again, "net", progress=False).seconds == report.seconds
    # What loading takes is taken off the credit, and was time of the run too.
    assert again.seconds - before >= report.seconds


_KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_training
loop = test_training.build()
step = loop.step
def slowly(number):
    time.sleep(0.2)
    return step(number)
loop.step = slowly
loop.run(Path(sys.argv[1]), checkpoint_seconds=0.0, progress=False)
"""


@pytest.mark.posix
@pytest.mark.slow
def test_killed_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", _KILLED, str(folder), str(Path(__file__).parent)]
    with subprocess.Popen(command) as process:
        while not (folder / CHECKPOINT).is_file() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 1 <= torch.load(folder / CHECKPOINT, weights_only=True)["done"]["step"] < 12
    again, whole = build(), build()
    again.run(folder, progress=False)
    whole.run(None, progress=False)
    assert torch.equal(weights(again.average), weights(whole.average))
    assert os.listdir(folder) == [CHECKPOINT]


def test_checkpoints_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes 0.45 s to write is followed by 22.5 s of training, whatever was asked for."""
    now, saved = [0.0], []
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    loop = build(replace(CONFIG, steps=60))
    step = loop.step

    def slowly(number: int) -> float:
        now[0] += 1.0
        return step(number)

    def save(path: Path) -> None:
        now[0] += 0.45
        saved.append(loop._done.step)

    monkeypatch.setattr(loop, "step", slowly)
    monkeypatch.setattr(loop, "_save", save)
    loop.run(tmp_path, checkpoint_seconds=1.5, progress=False)
    assert saved == [2, 25, 48, 60]


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(2)
    torch.manual_seed(5)
    build().run(None, progress=False)
    assert torch.equal(torch.rand(2), wanted)


def test_average_by_hand() -> None:
    """A weight that goes 1, 2, 3, ...: copied at steps 2 and 4, then the mean of itself and the weight."""
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(0)
    loop = Loop(net, lambda current, step: -current.weight.sum(), CONFIG, {})
    seen = []

    def climb(rates: Any) -> None:
        with torch.no_grad():
            net.weight.add_(1)

    loop._optimizer.step = climb  # type: ignore[method-assign,assignment]
    loop._optimizer.step = lambda: climb(None)  # type: ignore[method-assign,assignment,misc]
    for step in range(12):
        loop.step(step)
        seen.append(float(loop.average.weight))  # type: ignore[arg-type]
    #                             copies                    4 (copy), 6: (4 + 6) / 2, (5 + 8) / 2, ...
    assert seen == [0, 2, 2, 4, 4, 5, 5, 6.5, 6.5, 8.25, 8.25, 10.125]


def test_micro_batches_give_the_mean_gradient() -> None:
    asked = []

    def loss_at(current: nn.Module, step: int) -> Tensor:
        asked.append(step)
        loss: Tensor = current.weight.sum() * (step + 1)  # type: ignore[union-attr,operator]
        return loss

    net = nn.Linear(1, 1, bias=False)
    loop = Loop(net, loss_at, replace(CONFIG, micro_batches=2, gradient_clip=100.0), {})
    loop.step(3)
    assert asked == [6, 7]
    assert net.weight.grad is not None
    assert float(net.weight.grad) == pytest.approx((7 + 8) / 2)


def test_rate_falls_to_nothing() -> None:
    assert [CONFIG.rate_at(step) for step in (0, 6, 11)] == pytest.approx([0.05, 0.025, 0.05 / 12])
    assert replace(CONFIG, decay="none").rate_at(11) == 0.05


def test_seeds_differ_in_every_part() -> None:
    seeds = {seed_of("batch", 0, 1), seed_of("batch", 1, 0), seed_of("batch", 0, 2), seed_of("step", 0, 1), seed_of()}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_of("batch", 0, 1) == seed_of("batch", 0, 1)
    assert torch.equal(torch.rand(2, generator=generator_of("a")), torch.rand(2, generator=generator_of("a")))


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    build().run(tmp_path, progress=False)
    with pytest.raises(
        ValueError, match=r"checkpoint.pt: it belongs to a run that differs in loop\.steps; choose another --out"
    ):
        build(replace(CONFIG, steps=13)).run(tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"differs in more, net\.width; choose another"):
        build(settings={"net": {"width": 9}, "more": 1}).run(tmp_path, progress=False)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cannot resume from .*checkpoint.pt: .*; remove it"):
        build().run(tmp_path, progress=False)


def test_divergence_is_said_and_not_saved(tmp_path: Path) -> None:
    loop = build()
    right = loop._loss_at
    loop._loss_at = lambda net, step: right(net, step) * (float("nan") if step == 3 else 1)
    with pytest.raises(RuntimeError, match="the loss is nan at step 3: lower learning_rate"):
        loop.run(tmp_path, progress=False)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["done"]["step"] == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, not 0.0"),
        ({"decay": "cosine"}, "decay must be one of none, linear, not 'cosine'"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0, or None, not 0.0"),
        ({"ema_decay": 1.0}, "ema_decay must be from 0 to below 1, not 1.0"),
        ({"ema_from": -1}, "ema_from must be at least 0, not -1"),
        ({"precision": "int8"}, "precision must be one of auto, float32, bfloat16, not 'int8'"),
    ],
)
def test_config_errors(changes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)


def test_device() -> None:
    assert get_device("cpu") == torch.device("cpu")
    for name in ("tpu", "cuda:x", ""):
        with pytest.raises(ValueError, match=f"device must be cpu, cuda or cuda:NUMBER, not '{name}'"):
            get_device(name)
    with pytest.raises(ValueError, match="device 'cuda:99' does not exist: torch sees"):
        get_device("cuda:99")
    assert count_parameters(nn.Linear(3, 2)) == 8


def test_float32_on_a_gpu_is_not_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    get_device("cuda:0")
    assert not torch.backends.cudnn.allow_tf32


def test_images_are_augmented_by_draws_of_their_step(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def augment(inputs: Tensor, rng: torch.Generator) -> Tensor:
        seen.append(torch.rand(1, generator=rng))
        return inputs + 1

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 2)
            self.lowest = 9.0

        def forward(self, inputs: Tensor) -> Tensor:
            self.lowest = min(self.lowest, float(inputs.min()))
            logits: Tensor = self.linear(inputs.mean(dim=(1, 2, 3))[:, None])
            return logits

    def train(folder: Path) -> Mean:
        net, images = Mean(), torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
        config = LoopConfig(steps=3, learning_rate=0.1, ema_decay=0.0, ema_from=0)
        train_classifier(
            net,
            images,
            torch.zeros(4, dtype=torch.long),
            config,
            batch_size=2,
            as_input=lambda shown: shown.float(),
            settings={},
            folder=RunFolder(folder, {}),
            name="net",
            progress=False,
            augment=augment,
        )
        return net

    assert train(tmp_path / "a").lowest == 1
    train(tmp_path / "b")
    assert len({float(draw) for draw in seen}) == 3
    assert [float(draw) for draw in seen[:3]] == [float(draw) for draw in seen[3:]]
