"""`easy-to-hard reference cold-diffusion`: flags to recipes."""

from dataclasses import replace
from pathlib import Path

import pytest
from reference_flags import on_images

from easy_to_hard.baselines.cold_diffusion.recipes import (
    IMAGE_RECIPES,
    PUZZLE_RECIPES,
    ImageRecipe,
    get_image_recipe,
    get_puzzle_recipe,
)
from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference import Reference
from easy_to_hard.commands.reference.cold_diffusion import ColdDiffusion


def command(*arguments: str) -> ColdDiffusion:
    given = ("cold-diffusion", *arguments)
    parsed: Reference = parse(Reference, given, see="help", prog="easy-to-hard reference")
    assert isinstance(parsed.method, ColdDiffusion)
    return parsed.method


@pytest.mark.parametrize(("data", "preset"), [*IMAGE_RECIPES, *PUZZLE_RECIPES])
def test_without_more_flags_the_recipe_is_the_preset(data: str, preset: str) -> None:
    recipe = command("--data", data, "--preset", preset).recipe()
    wanted = IMAGE_RECIPES if isinstance(recipe, ImageRecipe) else PUZZLE_RECIPES
    assert recipe == wanted[data, preset]


def test_flags_are_in_the_recipe() -> None:
    flags = "--preset small --data cifar10 --degradation mask_colour --data-root there --others mnist --download"
    numbers = "--severities 7 --train-steps 9 --seeds 1 2 --generate 20 --components 3 --inception-weights weights.pth"
    preset = get_image_recipe("small", "cifar10")
    assert command(*flags.split(), *numbers.split()).recipe() == replace(
        preset,
        loop=replace(preset.loop, steps=9),
        degradation="mask_colour",
        data_root=Path("there"),
        others="mnist",
        download=True,
        severities=7,
        seeds=(1, 2),
        generate=20,
        components=3,
        inception_weights=Path("weights.pth"),
    )


def test_pretrained_features() -> None:
    recipe = command("--data", "cifar10", "--features", "efficientnet_lite0").recipe()
    assert recipe == replace(get_image_recipe("smoke", "cifar10"), features="efficientnet_lite0")


def test_of_a_task_the_seed_is_the_first() -> None:
    recipe = command("--data", "mazes", "--preset", "small", "--seeds", "5").recipe()
    assert recipe == replace(get_puzzle_recipe("small", "mazes"), seeds=(5, 6))


def test_folders_are_named_by_what_is_run() -> None:
    for arguments, parts in (
        ((), ("mazes", "", "smoke")),
        (("--data", "mnist"), ("mnist", "blur", "smoke")),
        (("--data", "cifar10", "--preset", "paper"), ("cifar10", "blur_offset", "paper")),
        (("--data", "prefix_sums", "--degradation", "snow"), ("prefix_sums", "", "smoke")),
    ):
        method = command(*arguments)
        assert method.name_parts(method.recipe()) == parts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "svhn"), "--data must be one of mnist, cifar10, folder, mazes, prefix_sums, not 'svhn'"),
        (("--threads", "0"), "--threads must be at least 1, not 0"),
        (("--preset", "huge"), "unknown preset 'huge'"),
        (("--degradation", "rain"), "unknown degradation 'rain': choose one of blur"),
        (("--severities", "-2"), "severities must be at least 0, not -2"),
        (("--train-steps", "-2"), "steps must be at least 1, not -2"),
        (("--data", "mazes", "--train-steps", "2"), "--train-steps is for images, not for mazes"),
        (("--data-root", "nowhere"), "no folder nowhere: --data-root must be one that holds the data"),
        (("--data-root", "."), "no MNIST in"),
        (("--data", "mazes", "--seeds", "1", "2"), r"--seeds must be one number for a task, .*, not \[1, 2\]"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as failure:
        command(*on_images("--data", "mnist", *arguments)).run()
    assert "\n" not in str(failure.value)
