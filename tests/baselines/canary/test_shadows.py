"""Training many nets: stacked or not, stopped or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.canary import shadows
from easy_to_hard.baselines.canary.classifiers import WideResNet, build_classifier
from easy_to_hard.baselines.canary.image_task import Augmentation, augmented_queries, build_image_task
from easy_to_hard.baselines.canary.membership import batch_streams
from easy_to_hard.baselines.canary.shadows import ShadowJob, TrainConfig, can_stack, train_shadows
from easy_to_hard.baselines.kit.image_data import ImageSet

CPU = torch.device("cpu")


def images(count: int = 40, side: int = 8) -> ImageSet:
    """Noise with labels of its own: what nets know of it they have seen."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, side, side), generator=rng, dtype=torch.uint8)
    return ImageSet(name="noise", images=pixels, labels=torch.randint(0, 10, (count,), generator=rng))


def job(**changes: Any) -> ShadowJob:
    task = build_image_task(
        images(),
        40,
        augmentation=changes.pop("augmentation", Augmentation(shift=1, mirror=True)),
        architecture=changes.pop("architecture", "small_cnn"),
        width=changes.pop("width", 4),
        seed=0,
        device=CPU,
    )
    config = TrainConfig(**{"steps": 6, "batch_size": 4, "learning_rate": 0.01, **changes.pop("train", {})})
    members = [torch.arange(number, 40, 4) for number in range(4)]
    values = {"at_once": 4, "described": {"about": "noise"}, "seed": 0, **changes}
    return ShadowJob(
        task=task,
        config=config,
        streams=batch_streams(members, steps=config.steps, batch_size=config.batch_size, seed=0),
        device=CPU,
        **values,
    )


@pytest.mark.parametrize(
    "train", [{}, {"optimizer": "sgd", "weight_decay": 0.1, "learning_rate": 0.1}, {"gradient_clip": 0.05}]
)
def test_a_stack_trains_as_its_nets_would_alone(train: dict[str, Any]) -> None:
    alone, stacked = (train_shadows(job(at_once=count, train=train), None, progress=False) for count in (1, 4))
    assert len(alone) == len(stacked) == 4
    for name, values in alone.states.items():
        # Adam's steps go by signs where gradients are next to nothing.
        torch.testing.assert_close(stacked.states[name], values, atol=2e-4, rtol=1e-3)
    assert not torch.equal(alone.states["linear.weight"][0], alone.states["linear.weight"][1])


def test_clipping_goes_by_net() -> None:
    weights = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(2))]
    weights[0].grad, weights[1].grad = torch.tensor([[3.0, 0, 0], [0.1, 0, 0]]), torch.tensor([4.0, 0.0])
    shadows._clip(weights, 1.0, stacked=True)
    torch.testing.assert_close(weights[0].grad, torch.tensor([[0.6, 0, 0], [0.1, 0, 0]]))
    torch.testing.assert_close(weights[1].grad, torch.tensor([0.8, 0.0]))
    # One net alone, its kernel with channels last.
    kernel = nn.Parameter(torch.zeros(2, 3, 2, 2))
    kernel.grad = torch.ones(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    shadows._clip([kernel], 1.0, stacked=False)
    torch.testing.assert_close(kernel.grad, torch.full((2, 3, 2, 2), 24**-0.5))


def test_nets_learn_their_own_members_by_heart() -> None:
    run = job(
        augmentation=Augmentation(shift=0, mirror=False),
        width=16,
        train={"steps": 150, "batch_size": 10, "learning_rate": 0.005},
    )
    nets = train_shadows(run, None, progress=False)
    task: Any = run.task
    right = torch.stack([nets[number](task.images).argmax(1) == task.labels for number in range(4)])
    own = torch.stack([torch.arange(40) % 4 == number for number in range(4)])
    assert right[own].float().mean() > 0.95
    assert right[~own].float().mean() < 0.4


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_shadows(job(at_once=2), tmp_path / "whole", progress=False)
    real, seen = shadows._train_chunk, []

    def stopped(run: ShadowJob, first: int, last: int, bar: Any) -> dict[str, Tensor]:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(first)
        return real(run, first, last, bar)

    monkeypatch.setattr(shadows, "_train_chunk", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_shadows(job(at_once=2), tmp_path / "stopped", progress=False)
    trained = []
    monkeypatch.setattr(
        shadows, "_train_chunk", lambda run, first, *rest: trained.append(first) or real(run, first, *rest)
    )
    resumed = train_shadows(job(at_once=2), tmp_path / "stopped", progress=False)
    assert (seen, trained) == ([0], [2])
    assert all(torch.equal(values, whole.states[name]) for name, values in resumed.states.items())
    with pytest.raises(ValueError, match="it is of a run that differs in about; remove it") as failure:
        train_shadows(job(at_once=2, described={"about": "x"}), tmp_path / "stopped", progress=False)
    assert "\n" not in str(failure.value)
    with pytest.raises(ValueError, match="it is of a run that differs in nets"):
        train_shadows(job(at_once=4), tmp_path / "stopped", progress=False)
    (tmp_path / "stopped" / "nets-0000.pt").write_bytes(b"none")
    with pytest.raises(ValueError, match="cannot go on from"):
        train_shadows(job(at_once=2), tmp_path / "stopped", progress=False)


def test_weights_have_seeds_of_their_own() -> None:
    first, second = (train_shadows(job(seed=seed), None, progress=False).states["linear.bias"] for seed in (0, 1))
    assert not torch.equal(first, second)
    before = [build_classifier("small_cnn", channels=1, side=8, width=4, seed=seed).linear.bias for seed in (0, 0, 1)]
    assert torch.equal(before[0], before[1])
    assert not torch.equal(before[0], before[2])


def test_batch_norm_is_trained_one_net_after_another() -> None:
    assert can_stack(job())
    run = job(at_once=1, architecture="wide_resnet", width=1, train={"steps": 1})
    assert not can_stack(run)
    nets = train_shadows(run, None, progress=False)
    assert int(nets.states["norm.num_batches_tracked"][0]) == 1
    # In eval mode an answer does not go by the others of the batch.
    task: Any = run.task
    torch.testing.assert_close(nets[0](task.images[:1]), nets[0](task.images[:5])[:1])
    assert sum(weights.numel() for weights in WideResNet(channels=3).parameters()) == 36_479_194
    with pytest.raises(ValueError, match="depth must be 6 n"):
        WideResNet(channels=3, depth=27)


def test_a_loss_that_is_no_number_is_said() -> None:
    with pytest.raises(RuntimeError, match="the loss is nan at step"):
        train_shadows(job(train={"optimizer": "sgd", "learning_rate": 1e30, "steps": 10}), None, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"optimizer": "lbfgs"}, "optimizer must be one of sgd, adam, not 'lbfgs'"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0"),
    ],
)
def test_config_errors(changes: dict[str, Any], message: str) -> None:
    config = TrainConfig(steps=1, batch_size=1, learning_rate=1.0)
    with pytest.raises(ValueError, match=message):
        replace(config, **changes)


def test_augmentation_shifts_and_mirrors() -> None:
    picture = torch.arange(16.0).reshape(1, 1, 4, 4).expand(200, -1, -1, -1)
    fill = torch.tensor([-2.0])
    moved = Augmentation(shift=1, mirror=True)(picture, torch.Generator().manual_seed(0), fill)
    padded = F.pad(picture[:1] + 2, (1, 1, 1, 1)) - 2
    allowed = [
        version
        for top in range(3)
        for left in range(3)
        for version in (
            padded[0, 0, top : top + 4, left : left + 4],
            padded[0, 0, top : top + 4, left : left + 4].flip(1),
        )
    ]
    kinds = {next(k for k, version in enumerate(allowed) if torch.equal(version, one[0])) for one in moved}
    assert len(kinds) == 18
    same = Augmentation(shift=0, mirror=False)(picture, torch.Generator().manual_seed(0), fill)
    assert torch.equal(same, picture)


def test_queries_of_a_point_do_not_go_by_the_others() -> None:
    task: Any = job().task
    few, many = (augmented_queries(task, count, 3, seed=1) for count in (2, 5))
    assert torch.equal(few, many[:2])
    assert many.shape == (5, 3, 1, 8, 8)
    assert not torch.equal(many[0, 0], many[0, 1])
