"""The whole evaluations, in small."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.baselines.vit_visualization import on_images, on_puzzles
from easy_to_hard.baselines.vit_visualization.on_puzzles import forgotten
from easy_to_hard.baselines.vit_visualization.pictures import plot_sheet, reduce_colors
from easy_to_hard.baselines.vit_visualization.pretrained import HookedNet
from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, MazeRecipe
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import ReferenceResult, find_measurement

SOLVERS = RecurrentSolvers(task="mazes", width=8, max_iterations=4)


@pytest.fixture(autouse=True)
def _tiny_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the net that comes with the package."""
    monkeypatch.setattr(on_puzzles, "shipped_solver", lambda task, device: SOLVERS.build(0))


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


def measured(recipe: ReferenceRecipe, folder: Path) -> ReferenceResult:
    return get_baseline("vit_visualization").run(recipe, folder, progress=False)


@pytest.mark.slow
def test_run_on_images_is_whole_and_the_same_again(image_recipe: ImageRecipe, tmp_path: Path) -> None:
    result = measured(image_recipe, tmp_path / "a")
    # Again where all is there, where it was stopped in the second seed after training, and in another folder.
    assert plain(measured(image_recipe, tmp_path / "a")) == plain(result)
    (tmp_path / "a" / "seed1" / "figures.json").unlink()
    (tmp_path / "a" / "seed1" / "made" / "layer1.pt").unlink()
    assert plain(measured(image_recipe, tmp_path / "a")) == plain(result)
    assert plain(measured(image_recipe, tmp_path / "b")) == plain(result)
    assert (result.method, result.seeds, result.data) == ("vit_visualization", (0, 1), "mnist")
    assert len(result.measurements) <= 150
    natural = find_measurement(result.measurements, "accuracy", {"net": "ViT"}).value
    for name, condition in (
        ("accuracy with CLS apart", {"blocks": 0}),
        ("accuracy after blocks", {"blocks": 2}),
        ("accuracy of the head", {"token": "CLS"}),
    ):
        assert find_measurement(result.measurements, name, condition).value == pytest.approx(natural)
    assert len(result.claims) == 5
    for name in ("neurons.png", "frequencies.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    for changes in ({"batch_size": 4}, {"neurons_given": (1,)}):
        with pytest.raises(ValueError, match=f"it belongs to a run that differs in .*{next(iter(changes))}"):
            measured(replace(image_recipe, **changes), tmp_path / "a")


def test_run_on_mazes_is_whole_and_the_same_again(maze_recipe: MazeRecipe, tmp_path: Path) -> None:
    result = measured(maze_recipe, tmp_path / "a")
    (tmp_path / "a" / "seed0" / "figures.json").unlink()
    assert plain(measured(maze_recipe, tmp_path / "a")) == plain(result)
    assert len(result.measurements) <= 150
    nets = {str(one.condition["net"]) for one in result.measurements if one.name == "solve rate"}
    assert nets == {"ViT, relative", "ViT, looped", "ViT, learned"}
    harder = [one for one in result.measurements if one.name == "solve rate" and one.condition["size"] == 9]
    assert {one.condition["net"] for one in harder} == {"ViT, relative", "ViT, looped"}
    for net in ("trained", "untrained", "trained, marks shuffled"):
        condition = {"net": net, "of": "path", "layer": 2}
        assert find_measurement(result.measurements, "AUROC of the best feature", condition).num_seeds == 2
    assert len(result.claims) == 3
    for name in ("neurons.png", "path.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"


def test_run_on_the_recurrent_net(maze_recipe: MazeRecipe, tmp_path: Path) -> None:
    recipe = replace(maze_recipe, model="recurrent", seeds=(0,))
    result = measured(recipe, tmp_path)
    assert plain(measured(recipe, tmp_path)) == plain(result)
    assert result.seeds == (0,)
    layers = {one.condition["layer"] for one in result.measurements if one.name == "AUROC of the best feature"}
    assert layers == {1, 2, 4}
    condition = {"net": "trained", "of": "path", "layer": 4}
    path = find_measurement(result.measurements, "AUROC of the best feature", condition)
    assert path.low is not None
    assert path.num_items == 6


def test_a_forgotten_net_is_another_one_of_its_kind() -> None:
    net = SOLVERS.build(0)
    first, again, other = (forgotten(net, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["projection.weight"], other["projection.weight"])
    assert not torch.equal(first["projection.weight"], net.state_dict()["projection.weight"])


class Pretrained(nn.Module):
    """Answers two classes, and has a hidden layer that is hooked."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(3, 6, 4, stride=4)
        self.act = nn.GELU()
        self.head = nn.Linear(6, 2)

    def forward(self, shown: Tensor) -> Tensor:
        logits: Tensor = self.head(self.act(self.spread(shown).permute(0, 2, 3, 1)).mean(dim=(1, 2)))
        return logits


def test_run_on_a_net_that_was_trained_elsewhere(
    image_recipe: ImageRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = Pretrained()
    hooked = HookedNet(net, {"act": net.act}, side=16).eval().requires_grad_(False)
    monkeypatch.setattr(on_images, "load_pretrained", lambda name, device: hooked)
    monkeypatch.setattr(on_images, "load_conv_net", lambda name, device: hooked)
    result = measured(replace(image_recipe, model="swin_t", seeds=(0,)), tmp_path)
    assert result.seeds == (0,)
    names = {one.name for one in result.measurements}
    assert {"accuracy", "variance within images", "made image above every real one"} <= names
    assert "accuracy with CLS apart" not in names
    # The paper's second table needs a convolutional net beside the ViT.
    condition = {"kept": "low-pass"}
    assert find_measurement(result.measurements, "share kept, ViT less conv net", condition).value == 0


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "image",
            {"model": "resnet", "seeds": (0,)},
            "model must be one of tiny_vit, vit_small, efficientnet_lite0, vit_b_16, .* not 'resnet'",
        ),
        ("image", {"model": "recurrent", "seeds": (0,)}, "on images, not 'recurrent'"),
        ("maze", {"model": "recurrent"}, r"a net of which .* must have one seed, not \[0, 1\]"),
        ("image", {"layers_given": (0, 2)}, "layers must be from 0 to 1, not 2"),
        ("image", {"neurons_given": (32,)}, "neurons must be from 0 to 31 in layer 0, not 32"),
        ("image", {"seeds": (1, 1)}, r"seeds must be at least one, all different, .*, not \[1, 1\]"),
        ("maze", {"model": "vit_b_16", "seeds": (0,)}, "model must be one of tiny_vit, recurrent on mazes, not"),
        ("maze", {"model": "recurrent", "seeds": (0,), "layers_given": (4,)}, "layers must be from 0 to 3, not 4"),
        (
            "maze",
            {"model": "recurrent", "seeds": (0,), "neurons_given": (8,)},
            "neurons must be from 0 to 7 in layer 0, not 8",
        ),
    ],
)
def test_errors_are_one_line_and_come_first(
    image_recipe: ImageRecipe,
    maze_recipe: MazeRecipe,
    tmp_path: Path,
    kind: str,
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message) as failure:
        measured(replace(image_recipe if kind == "image" else maze_recipe, **changes), tmp_path / "out")
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_sheet_is_small_even_of_noise(tmp_path: Path) -> None:
    columns = {layer: torch.rand(4, 5, 3, 32, 32) for layer in range(6)}
    figure = plot_sheet(columns, dict.fromkeys(range(6), torch.rand(4, 8, 8)), layer_name="block")
    path = save_figure(figure, tmp_path / "a.png", dpi=100)
    reduce_colors(path)
    assert path.stat().st_size < 300_000
