"""`easy-to-hard reference vit-visualization`."""

from pathlib import Path

import pytest
from reference_flags import on_images

from easy_to_hard.baselines.vit_visualization.recipes import get_recipe
from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference.vit_visualization import VitVisualization


def command(*arguments: str) -> VitVisualization:
    parsed: VitVisualization = parse(VitVisualization, arguments, see="help", prog="vit-visualization")
    return parsed


def test_it_takes_its_settings() -> None:
    method = command("--data", "cifar10", "--layers", "0", "3", "--neurons", "7", "--seeds", "1", "2", "--steps", "9")
    assert (method.data, method.layers, method.neurons, method.seeds, method.steps) == (
        "cifar10",
        (0, 3),
        (7,),
        (1, 2),
        9,
    )
    recipe = method.recipe()
    settings = recipe.settings()
    assert (settings["layers_given"], settings["neurons_given"], recipe.seeds) == ((0, 3), (7,), (1, 2))
    given = ("--steps", "9", "--train-steps", "8", "--batch-size", "7", "--test-images", "6")
    settings = command("--preset", "small", "--data", "mnist", *given).recipe().settings()
    found = settings["ascent"]["steps"], settings["loop"]["steps"], settings["batch_size"], settings["test_images"]
    assert found == (9, 8, 7, 6)
    assert command("--preset", "small").recipe() == get_recipe("small", "mazes")
    assert list(method.name_parts(recipe)) == ["cifar10", "tiny_vit", "smoke"]


def test_pictures_can_be_made_later() -> None:
    given = ("--data", "cifar10", "--model", "vit_small")
    with_pictures, without = command(*given).recipe(), command(*given, "--no-pictures").recipe()
    assert without.settings()["pictures"] is False
    assert without.seed_settings() == with_pictures.seed_settings()
    assert "pictures" not in without.seed_settings()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "svhn"), "--data must be one of mnist, cifar10, folder, mazes, not 'svhn'"),
        (("--threads", "0"), "--threads must be at least 1, not 0"),
        (("--steps", "-1"), "--steps must be at least 0, not -1"),
        (("--train-steps", "-1"), "--train-steps must be at least 0, not -1"),
        (("--preset", "huge"), "unknown preset 'huge': choose one of smoke, small, paper"),
        (("--data", "mnist", "--model", "resnet"), "model must be one of tiny_vit, .*, not 'resnet'"),
        (("--data", "mazes", "--model", "swin_t"), "model must be one of tiny_vit, recurrent on mazes, not 'swin_t'"),
        (("--data", "mazes", "--model", "recurrent", "--layers", "20"), "layers must be from 0 to 19, not 20"),
        (("--data", "mnist", "--layers", "4"), "layers must be from 0 to 3, not 4"),
        (("--data", "mnist", "--neurons", "5", "128"), "neurons must be from 0 to 127 in layer 0, not 128"),
        (("--neurons", "-3"), r"neurons must all be different and each at least 0, not \[-3\]"),
        (("--data", "mazes", "--test-images", "9"), "--test-images is for images"),
        (("--device", "tpu"), "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        (
            ("--data", "mnist", "--data-root", "nowhere"),
            "no folder nowhere: --data-root must be one that holds the data",
        ),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as failure:
        command(*on_images("--data", "mnist", *arguments)).run()
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "runs").exists()
