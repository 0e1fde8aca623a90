"""Training many nets: stacked or not, stopped or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.canary import shadows
from easy_to_hard.baselines.canary.classifiers import WideResNet, build_classifier
from easy_to_hard.baselines.canary.on_images import augmented_queries, build_image_task
from easy_to_hard.baselines.canary.queries import Augmentation
from easy_to_hard.baselines.canary.recipes import get_image_preset
from easy_to_hard.baselines.canary.shadows import (
    ShadowJob,
    TrainConfig,
    batch_streams,
    can_stack,
    train_parts,
    train_shadows,
)
from easy_to_hard.baselines.canary.shards import Shard, collect_shards
from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.precision import recorded_precision
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.storage.writing import hold_folder

CPU = torch.device("cpu")


def images(count: int = 40, side: int = 8) -> ImageSet:
    """Noise with labels of its own: what nets know of it they have seen."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, side, side), generator=rng, dtype=torch.uint8)
    return ImageSet(name="noise", images=pixels, labels=torch.randint(0, 10, (count,), generator=rng))


def job(**changes: Any) -> ShadowJob:
    recipe = replace(
        get_image_preset("smoke", "cifar10"),
        pool=40,
        points=20,
        augmentation=changes.pop("augmentation", Augmentation(shift=1, mirror=True)),
        architecture=changes.pop("architecture", "small_cnn"),
        width=changes.pop("width", 4),
    )
    config = TrainConfig(**{"steps": 6, "batch_size": 4, "learning_rate": 0.01, **changes.pop("train", {})})
    members = [torch.arange(number, 40, 4) for number in range(4)]
    return ShadowJob(
        task=build_image_task(images(), recipe, CPU),
        config=config,
        streams=batch_streams(members, steps=config.steps, batch_size=config.batch_size, seed=0),
        device=CPU,
        **{"at_once": 4, "seed": 0, **changes},
    )


def trained(run: ShadowJob, path: Path, about: str = "noise") -> Stacked:
    return train_shadows(run, RunFolder(path, {"about": about}), "nets", progress=False)


@pytest.mark.parametrize(
    "train", [{}, {"optimizer": "sgd", "weight_decay": 0.1, "learning_rate": 0.1}, {"gradient_clip": 0.05}]
)
def test_a_stack_trains_as_its_nets_would_alone(train: dict[str, Any], tmp_path: Path) -> None:
    alone, stacked = (trained(job(at_once=count, train=train), tmp_path / str(count)) for count in (1, 4))
    assert len(alone) == len(stacked) == 4
    for name, values in alone.weights.items():
        # Adam's steps go by signs where gradients are next to nothing.
        torch.testing.assert_close(stacked.weights[name], values, atol=2e-4, rtol=1e-3)
    assert not torch.equal(alone.weights["head.weight"][0], alone.weights["head.weight"][1])


def test_nets_learn_their_own_members_by_heart(tmp_path: Path) -> None:
    run = job(
        augmentation=Augmentation(shift=0, mirror=False),
        width=16,
        train={"steps": 150, "batch_size": 10, "learning_rate": 0.005},
    )
    nets = trained(run, tmp_path)
    task: Any = run.task
    right = torch.stack([nets.net(number)(task.images).argmax(1) == task.labels for number in range(4)])
    own = torch.stack([torch.arange(40) % 4 == number for number in range(4)])
    assert right[own].float().mean() > 0.95
    assert right[~own].float().mean() < 0.4


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(job(at_once=2), tmp_path / "whole")
    real, seen = shadows._train_chunk, []

    def stopped(run: ShadowJob, first: int, last: int, bar: Any) -> dict[str, Tensor]:
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(first)
        return real(run, first, last, bar)

    monkeypatch.setattr(shadows, "_train_chunk", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(job(at_once=2), tmp_path / "stopped")
    again = []
    monkeypatch.setattr(
        shadows, "_train_chunk", lambda run, first, *rest: again.append(first) or real(run, first, *rest)
    )
    resumed = trained(job(at_once=2), tmp_path / "stopped")
    assert (seen, again) == ([0], [2])
    assert all(torch.equal(values, whole.weights[name]) for name, values in resumed.weights.items())
    # A stack of which a net is missing is trained whole, and the others are left as they are.
    (tmp_path / "stopped" / "nets" / "0003.pt").unlink()
    kept = (tmp_path / "stopped" / "nets" / "0002.pt").read_bytes()
    again.clear()
    resumed = trained(job(at_once=2), tmp_path / "stopped")
    assert again == [2]
    assert (tmp_path / "stopped" / "nets" / "0002.pt").read_bytes() == kept
    assert all(torch.equal(values, whole.weights[name]) for name, values in resumed.weights.items())
    with pytest.raises(
        ValueError, match=r"it belongs to a run that differs in about; .* remove that folder"
    ) as failure:
        trained(job(at_once=2), tmp_path / "stopped", "x")
    assert "\n" not in str(failure.value)
    # Whatever is trained at once, nets that are there are taken.
    again.clear()
    trained(job(at_once=4), tmp_path / "stopped")
    assert again == []
    (tmp_path / "stopped" / "nets" / "0000.pt").write_bytes(b"none")
    with pytest.raises(ValueError, match="cannot resume from"):
        trained(job(at_once=2), tmp_path / "stopped")


def test_shards_train_each_net_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(job(at_once=1), tmp_path / "whole")
    real, seen = shadows._train_chunk, []
    monkeypatch.setattr(
        shadows, "_train_chunk", lambda run, first, *rest: seen.append(first) or real(run, first, *rest)
    )
    run = tmp_path / "run"
    for number, own in ((1, [0, 3]), (3, [2])):
        shard = Shard(number=number, count=3)
        found = train_parts(
            job(at_once=1), RunFolder(shard.folder(run), {"about": "noise"}), "nets", shard=shard, progress=False
        )
        recorded_precision(shard.folder(run), "cpu")
        assert (seen, len(found)) == (own, len(own))
        seen.clear()
    run.mkdir()
    collect_shards(run)
    together = trained(job(at_once=1), run)
    assert seen == [1], "the rest, that no shard has trained"
    assert all(torch.equal(values, whole.weights[name]) for name, values in together.weights.items())


def test_shards_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    for number, count in ((0, 2), (3, 2), (1, 0)):
        with pytest.raises(ValueError, match=f"number must be from 1 to count, {count}, not {number}"):
            Shard(number=number, count=count)
    run = tmp_path / "a[b]"
    run.mkdir()
    folders = [Shard(number=number, count=2).folder(run) for number in (1, 2)]
    assert [folder.name for folder in folders] == ["a[b]-shard-1-of-2", "a[b]-shard-2-of-2"]
    for folder, precision in zip(folders, ("float32", "bfloat16"), strict=True):
        (folder / "nets").mkdir(parents=True)
        (folder / "nets" / f"{precision}.pt").write_bytes(b"x")
        (folder / "precision.json").write_text(f'{{"precision": "{precision}"}}')
    with hold_folder(folders[0], "training"), pytest.raises(ValueError, match="another training of a shard is going"):
        collect_shards(run)
    with pytest.raises(ValueError, match=r"shard-2-of-2 was trained in bfloat16, but .* in float32"):
        collect_shards(run)
    assert (run / "nets" / "float32.pt").is_file()


def test_weights_have_seeds_of_their_own(tmp_path: Path) -> None:
    first, second = (trained(job(seed=seed), tmp_path / str(seed)).weights["head.bias"] for seed in (0, 1))
    assert not torch.equal(first, second)
    nets: list[Any] = [build_classifier("small_cnn", channels=1, side=8, width=4, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(nets[0].head.bias, nets[1].head.bias)
    assert not torch.equal(nets[0].head.bias, nets[2].head.bias)


def test_batch_norm_is_trained_one_net_after_another(tmp_path: Path) -> None:
    assert can_stack(job())
    run = job(at_once=1, architecture="wide_resnet", width=1, train={"steps": 1})
    assert not can_stack(run)
    nets = trained(run, tmp_path)
    assert int(nets.buffers["norm.num_batches_tracked"][0]) == 1
    # In eval mode an answer does not go by the others of the batch.
    task: Any = run.task
    torch.testing.assert_close(nets.net(0)(task.images[:1]), nets.net(0)(task.images[:5])[:1])
    assert sum(weights.numel() for weights in WideResNet(channels=3).parameters()) == 36_479_194
    with pytest.raises(ValueError, match="depth must be 6 n"):
        WideResNet(channels=3, depth=27)


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the loss is nan at step"):
        trained(job(train={"optimizer": "sgd", "learning_rate": 1e30, "steps": 10}), tmp_path)


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
