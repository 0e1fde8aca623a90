"""`easy-to-hard reference canary`: what it takes, and what it says when that cannot be."""

from pathlib import Path
from typing import Any

import pytest
from reference_flags import on_images

from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference.canary import Canary


def command(*arguments: str) -> Canary:
    parsed: Canary = parse(Canary, arguments, see="help", prog="easy-to-hard reference canary")
    return parsed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "svhn"), "--target must be one of mnist, cifar10, mazes, prefix_sums, not 'svhn'"),
        (("--threads", "0"), "--threads must be at least 1, not 0"),
        (("--points", "-1"), "--points must be at least 1, or 0 for the preset's, not -1"),
        (("--preset", "huge"), "unknown preset 'huge' of cifar10: choose one of smoke, small, paper"),
        (("--shadows", "15"), "shadows must be a multiple of 4 and at least 12 .*, not 15"),
        (("--points", "5000"), "points must be from 20 to 400, the pool, not 5000"),
        (("--fpr", "0.001"), "a false-positive rate of 0.001 needs at least 1,000 non-members per target, not 60"),
        (("--epsilon", "300"), "epsilon must be from 0 to 255"),
        (("--epsilon", "-3"), "epsilon must be from 0 to 255"),
        (("--objective", "l2"), "objective must be one of mse, log_odds, softmax, .*, margin, kl, not 'l2'"),
        (("--stop-loss", "nan"), "stop_loss must be finite, or None to run all steps, not nan"),
        (("--target", "mazes", "--stop-loss", "3"), "--stop-loss is for images, not for"),
        (("--shard", "3/2"), "--shard must be I/N with I from 1 to N, such as 2/8, not '3/2'"),
        (("--seeds", "1", "1"), r"seeds must be at least one, all different, each at least 0, not \[1, 1\]"),
        (("--device", "tpu"), "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        (("--sizes", "20"), "--sizes is for tasks, not for"),
        (("--target", "mazes", "--points", "20"), "--points is for images, not for"),
        (("--target", "mazes", "--epsilon", "8"), "--epsilon is for images, not for"),
        (("--target", "prefix_sums", "--shadows", "9"), "shadows must be even and at least 6 .*, not 9"),
        (("--target", "mazes", "--preset", "huge"), "unknown preset 'huge' of mazes"),
        (("--data-root", "nowhere"), "no folder nowhere: --data-root must be one that holds the data"),
        (("--data-root", "."), "no CIFAR-10 in"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as failure:
        command(*on_images("--target", "cifar10", *arguments)).run()
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "runs").exists()


def test_the_divergence_is_for_online_canaries() -> None:
    recipe: Any = command("--target", "cifar10", "--objective", "kl", "--epsilon", "8", "--seeds", "3", "4").recipe()
    assert (recipe.online.objective, recipe.offline.objective, recipe.seeds) == ("kl", "mse", (3, 4))
    assert recipe.online.epsilon == recipe.offline.epsilon == 8
    recipe = command(
        "--target", "cifar10", "--preset", "paper", "--objective", "softmax", "--stop-loss", "0.5"
    ).recipe()
    assert (recipe.offline.objective, recipe.offline.stop_loss, recipe.online.stop_loss) == ("softmax", 0.5, None)


@pytest.mark.slow
def test_shards_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--target", "prefix_sums", "--shadows", "6", "--sizes", "10", "--steps", "2", "--quiet")
    out = ("--out", str(tmp_path / "run"))
    for shard in ("1/2", "2/2"):
        assert command(*arguments, *out, "--shard", shard).run() == 0
        assert "once all 2 shards are trained, run the same command without --shard" in capsys.readouterr().out
    assert command(*arguments, *out).run() == 0
    assert (tmp_path / "run" / "result.json").is_file()
    assert not list(tmp_path.glob("run-shard-*/**/*.pt"))


@pytest.mark.slow
def test_a_task_of_the_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--target", "prefix_sums", "--shadows", "6", "--sizes", "10", "--steps", "2", "--quiet")
    assert command(*arguments, "--out", str(tmp_path)).run() == 0
    shown = capsys.readouterr().out
    assert "canary, smoke, on prefix_sums (seeds 0; " in shown
    assert "new ones at each step" in shown
    assert (tmp_path / "result.json").is_file()
    assert (tmp_path / "memorization.png").is_file()
