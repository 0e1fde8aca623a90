"""The whole evaluations, in small."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.vit_visualization import images as image_runs
from easy_to_hard.baselines.vit_visualization.images import run_on_images
from easy_to_hard.baselines.vit_visualization.mazes import forgotten, run_on_mazes
from easy_to_hard.baselines.vit_visualization.pictures import save_sheet
from easy_to_hard.baselines.vit_visualization.pretrained import HookedSubject
from easy_to_hard.baselines.vit_visualization.recipes import Recipe
from easy_to_hard.baselines.vit_visualization.runs import Run
from easy_to_hard.scores.reference import ReferenceResult, find_measurement

SOLVERS = RecurrentSolvers(task="mazes", width=8, max_iterations=4)


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


def solver() -> nn.Module:
    return SOLVERS.build(0)


def test_run_on_images_is_whole_and_the_same_again(tiny_recipe: Recipe, mnist_root: Path, tmp_path: Path) -> None:
    run = Run(recipe=tiny_recipe, preset="smoke", data="mnist", data_root=mnist_root)
    result = run_on_images(run, tmp_path / "a", progress=False)
    # Again where all is trained, and in another folder.
    assert plain(run_on_images(run, tmp_path / "a", progress=False)) == plain(result)
    assert plain(run_on_images(run, tmp_path / "b", progress=False)) == plain(result)
    assert (result.method, result.seeds, result.data) == ("vit_visualization", (0, 1), "mnist")
    assert len(result.measurements) <= 150
    natural = find_measurement(result.measurements, "accuracy", {"net": "ViT"}).value
    for name, condition in (
        ("accuracy with CLS apart", {"blocks": 0}),
        ("accuracy after blocks", {"blocks": 2}),
        ("accuracy of the head", {"token": "CLS"}),
    ):
        assert find_measurement(result.measurements, name, condition).value == pytest.approx(natural)
    assert len(result.claims) == 7
    for name in ("neurons.png", "frequencies.png"):
        assert (tmp_path / "a" / name).read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"differs in .*batch_size"):
        run_on_images(replace(run, recipe=replace(tiny_recipe, batch_size=4)), tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="other settings"):
        run_on_images(replace(run, neurons=(1,)), tmp_path / "a", progress=False)


def test_run_on_mazes_is_whole_and_the_same_again(tiny_recipe: Recipe, tmp_path: Path) -> None:
    run = Run(recipe=tiny_recipe, preset="smoke", data="mazes")
    result = run_on_mazes(run, tmp_path / "a", solver=solver, progress=False)
    assert plain(run_on_mazes(run, tmp_path / "a", solver=solver, progress=False)) == plain(result)
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


def test_run_on_the_recurrent_net(tiny_recipe: Recipe, tmp_path: Path) -> None:
    run = Run(recipe=tiny_recipe, preset="smoke", data="mazes", model="recurrent")
    result = run_on_mazes(run, tmp_path, solver=solver, progress=False)
    assert plain(run_on_mazes(run, tmp_path, solver=solver, progress=False)) == plain(result)
    assert result.seeds == (0,)
    layers = {one.condition["layer"] for one in result.measurements if one.name == "AUROC of the best feature"}
    assert layers == {1, 2, 4}
    condition = {"net": "trained", "of": "path", "layer": 4}
    path = find_measurement(result.measurements, "AUROC of the best feature", condition)
    assert path.low is not None
    assert path.num_items == 6


def test_a_forgotten_net_is_another_one_of_its_kind() -> None:
    net = solver()
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
    tiny_recipe: Recipe, mnist_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = Pretrained()
    subject = HookedSubject(net, {"act": net.act}, side=16).eval().requires_grad_(False)
    monkeypatch.setattr(image_runs, "load_pretrained", lambda name, device: subject)
    run = Run(recipe=tiny_recipe, preset="smoke", data="mnist", data_root=mnist_root, model="swin_t")
    result = run_on_images(run, tmp_path, progress=False)
    assert result.seeds == (0,)
    names = {one.name for one in result.measurements}
    assert {"accuracy", "variance within images", "made image above every real one"} <= names
    assert "accuracy with CLS apart" not in names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet"}, "model must be one of tiny_vit, vit_b_16, vit_b_32, swin_t, .* not 'resnet'"),
        ({"model": "recurrent"}, "on images, not 'recurrent'"),
        ({"data": "mazes", "model": "recurrent", "seeds": (0, 1)}, r"seeds must be one for a net .*, not \[0, 1\]"),
        ({"layers": (0, 2)}, "layers must be from 0 to 1, not 2"),
        ({"neurons": (32,)}, "neurons must be from 0 to 31 in layer 0, not 32"),
        ({"seeds": (1, 1)}, r"seeds must be at least 0, and each another, not \[1, 1\]"),
        ({"data": "mazes", "model": "vit_b_16"}, "model must be one of tiny_vit, recurrent on mazes, not 'vit_b_16'"),
        ({"data": "mazes", "model": "recurrent", "layers": (4,)}, "layers must be from 0 to 3, not 4"),
        ({"data": "mazes", "model": "recurrent", "neurons": (8,)}, "neurons must be from 0 to 7 in layer 0, not 8"),
    ],
)
def test_errors_are_one_line_and_come_first(
    tiny_recipe: Recipe, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    def attempt() -> None:
        run = Run(**{"recipe": tiny_recipe, "preset": "smoke", "data": "mnist", **changes})  # type: ignore[arg-type]
        if run.data == "mazes":
            run_on_mazes(run, tmp_path / "out", solver=solver, progress=False)
        else:
            run_on_images(run, tmp_path / "out", progress=False)

    with pytest.raises(ValueError, match=message) as failure:
        attempt()
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "out").exists()


def test_a_sheet_is_small_even_of_noise(tmp_path: Path) -> None:
    columns = {layer: torch.rand(4, 5, 3, 32, 32) for layer in range(6)}
    path = save_sheet(
        columns, tmp_path / "a.png", layer_name="block", maps=dict.fromkeys(range(6), torch.rand(4, 8, 8))
    )
    assert path.stat().st_size < 300_000
