"""`easy-to-hard reference parameter-saliency`: wrong settings are said in a line, before anything is trained."""

from pathlib import Path

import pytest
from reference_flags import on_images

from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference.parameter_saliency import ParameterSaliency


def command(*arguments: str) -> ParameterSaliency:
    parsed: ParameterSaliency = parse(ParameterSaliency, arguments, see="help", prog="x")
    return parsed


def test_it_takes_its_settings() -> None:
    method = command("--preset", "small", "--data", "mazes", "--seeds", "1", "2", "--k", "5")
    recipe = method.recipe()
    assert (recipe.preset, recipe.data, recipe.seeds) == ("small", "mazes", (1, 2))
    settings = recipe.settings()
    assert (settings["model"], settings["k"], settings["counts"]) == ("trained", 5, (1, 5, 10))
    assert list(method.name_parts(recipe)) == ["mazes", "trained", "small"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "svhn"), "data must be one of mnist, cifar10, folder, mazes, prefix_sums, not 'svhn'"),
        (("--preset", "huge"), "preset must be one of smoke, small, paper, not 'huge'"),
        (("--model", "resnet18"), "model must be one of small_cnn on mnist, not 'resnet18'"),
        (("--data", "mazes", "--model", "small_cnn"), "model must be one of trained, shipped on mazes"),
        (("--data", "folder", "--model", "vgg19"), "preset paper needs a torchvision model"),
        (("--preset", "paper", "--data", "mnist"), "model must be one of small_cnn on mnist, not 'resnet50'"),
        (("--preset", "paper", "--data", "folder"), "no folder data: --data-root must hold ImageNet's validation set"),
        (("--data-root", "nowhere"), "no folder nowhere: --data-root must be one that holds the data"),
        (("--data-root", "."), "no MNIST in"),
        (("--threads", "0"), "--threads must be at least 1, not 0"),
        (("--items", "-3"), "items must be at least 1, or 0 for the preset's, not -3"),
        (("--k", "-1"), "k must be at least 1, or 0 for the preset's, not -1"),
        (("--rate", "-1"), "rate must be above 0, or 0 for the preset's, not -1.0"),
        (("--map-noise", "-1"), "map_noise must be at least 0 and finite, not -1.0"),
        (("--map-copies", "5"), "map_copies above 1 are all the same without map_noise: give both"),
        (("--seeds", "1", "1"), r"seeds must be at least one, all different, .*, not \[1, 1\]"),
        (("--device", "tpu"), "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        (("--data", "mazes", "--k", "4000"), "k must be at most 128, the filters of the net, not 4000"),
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
