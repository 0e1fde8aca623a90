"""`easy-to-hard reference augmentation-defense`: what it says of wrong settings."""

from pathlib import Path

import pytest
from reference_flags import on_images

from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference.augmentation_defense import AugmentationDefense


def command(*arguments: str) -> AugmentationDefense:
    parsed: AugmentationDefense = parse(AugmentationDefense, arguments, see="help", prog="augmentation-defense")
    return parsed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "svhn"), "--data must be one of cifar10, mnist, mazes, prefix_sums, not 'svhn'"),
        (("--threads", "0"), "--threads must be at least 1, not 0"),
        (("--preset", "huge"), "unknown preset 'huge' for cifar10: choose one of smoke, small, paper"),
        (("--attack", "bribery"), "unknown attack 'bribery': choose one of clean_label"),
        (("--budget", "0"), "budget must be a share of the training set above 0 and at most 1, not 0.0"),
        (("--defenses", "none", "prayer"), "unknown defense 'prayer': choose from none, mixup"),
        (("--seeds", "1", "1"), r"seeds must be at least one, all different, each at least 0, not \[1, 1\]"),
        (("--attack", "bullseye", "--keys", "0"), "keys must be at least 1, not 0"),
        (("--steps", "3"), "--steps is for tasks, not for"),
        (("--data-root", "nowhere"), "no folder nowhere: --data-root must be one that holds the data"),
        (("--device", "tpu"), "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        (("--data", "mazes", "--preset", "paper"), "unknown preset 'paper' for mazes: choose one of smoke, small"),
        (
            ("--data", "mazes", "--attack", "backdoor"),
            "unknown attack 'backdoor' on mazes: choose one of start, corner",
        ),
        (("--data", "mazes", "--budget", "2"), "budget must be a share .*, not 2.0"),
        (("--data", "mazes", "--steps", "0"), "steps must be at least 1, not 0"),
        (("--scenario", "space"), "unknown scenario 'space': choose one of from_scratch, transfer"),
        (("--scenario", "transfer"), "transfer needs an attack that optimizes poisons .*, not a backdoor"),
        (
            ("--attack", "bullseye", "--scenario", "transfer", "--preset", "paper"),
            "no preset 'paper' for bullseye in the scena",
        ),
        (("--data", "mnist", "--preset", "paper"), "unknown preset 'paper' for mnist: choose one of smoke, small"),
        (("--surrogates", "2"), "--surrogates is for attacks that optimize poisons, not for clean_label_backdoor"),
        (("--intended", "random"), "--intended is for attacks that optimize poisons, not for clean_label_backdoor"),
        (("--data", "mazes", "--restarts", "0"), "--restarts is for images, not for mazes"),
        (("--data", "mazes", "--dry-run"), "a dry run is for images, not for mazes"),
        (("--adaptive",), "adaptive needs an attack that optimizes poisons, not clean_label_backdoor"),
        (("--attack", "bullseye", "--surrogates", "0"), "surrogates must be at least 1, not 0"),
        (("--data", "mazes", "--adaptive"), "--adaptive is for images, not for mazes"),
        (("--data", "mazes", "--keys", "2"), "--keys is for images, not for"),
        (
            ("--data", "prefix_sums", "--defenses", "none", "cutmix"),
            "unknown defense 'cutmix': choose from none, mixup",
        ),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as failure:
        command("--quiet", *on_images("--data", "cifar10", *arguments)).run()
    assert "\n" not in str(failure.value)
