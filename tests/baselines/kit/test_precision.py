"""What nets compute with: chosen by the device, once, and written down with the run."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from easy_to_hard.baselines.canary.recipes import IMAGE_PRESETS, TASK_PRESETS
from easy_to_hard.baselines.cold_diffusion.recipes import PRESETS
from easy_to_hard.baselines.cold_diffusion.solver_recipes import SOLVER_RECIPES
from easy_to_hard.baselines.deep_thinking import run
from easy_to_hard.baselines.deep_thinking.recipes import RECIPES, Recipe
from easy_to_hard.baselines.deep_thinking.training import train
from easy_to_hard.baselines.kit.precision import autocast, fast_precision, recorded_precision, settle
from easy_to_hard.baselines.kit.training import Loop, LoopConfig

IMAGES = {(name, data): make(data) for name, make in PRESETS.items() for data in ("mnist", "cifar10")}
OTHER = {"float32": "bfloat16", "bfloat16": "float32"}


def _recipes(value: Any) -> Iterator[Any]:
    """All frozen dataclasses in a registry, however deep."""
    if isinstance(value, dict) or hasattr(value, "values"):
        for one in value.values():
            yield from _recipes(one)
    elif is_dataclass(value):
        yield value
        for one in fields(value):
            yield from _recipes(getattr(value, one.name))


@pytest.mark.parametrize("registry", [RECIPES, IMAGES, SOLVER_RECIPES, IMAGE_PRESETS, TASK_PRESETS])
def test_no_preset_asks_for_bfloat16_wherever_it_runs(registry: Any) -> None:
    chosen = [one.precision for one in _recipes(registry) if hasattr(one, "precision")]
    assert set(chosen) <= {"auto", "float32"}
    assert chosen


def _cpu(monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bfloat16, raising=False)


def test_a_cpu_gets_what_it_has_instructions_for(monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, True)
    assert fast_precision("cpu") == "bfloat16"
    _cpu(monkeypatch, False)
    assert fast_precision("cpu") == "float32"
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert fast_precision("cpu") == "float32"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_a_gpu_too(capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_precision("cuda") == expected


@dataclass(frozen=True, kw_only=True)
class _Inner:
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class _Outer:
    inner: _Inner = _Inner()
    given: _Inner = _Inner(precision="float32")
    precision: str = "auto"


def test_settling_reaches_nested_settings_and_leaves_what_was_given() -> None:
    settled = settle(_Outer(), "bfloat16")
    assert (settled.precision, settled.inner.precision, settled.given.precision) == ("bfloat16", "bfloat16", "float32")


def test_autocast_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, inputs = torch.nn.Linear(2, 2), torch.ones(1, 2)
    for has_bfloat16, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        _cpu(monkeypatch, has_bfloat16)
        with autocast("cpu", "auto"):
            assert layer(inputs).dtype == dtype
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast("cpu", name):  # type: ignore[arg-type]
            assert layer(inputs).dtype == dtype


def test_a_folder_keeps_the_precision_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, True)
    assert recorded_precision(tmp_path, "cpu") == "bfloat16"
    _cpu(monkeypatch, False)
    assert recorded_precision(tmp_path, "cpu") == "bfloat16"
    for wrong in ("{", "[]", "{}", '{"precision": "auto"}'):
        (tmp_path / "precision.json").write_text(wrong)
        with pytest.raises(ValueError, match=r"precision\.json is damaged"):
            recorded_precision(tmp_path, "cpu")


def test_a_loop_names_its_precision_in_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss_at(net: torch.nn.Module, step: int) -> torch.Tensor:
        loss: torch.Tensor = net(torch.ones(1, 2)).square().sum()
        return loss

    config = LoopConfig(steps=2, learning_rate=0.1, precision="auto")
    _cpu(monkeypatch, True)
    Loop(torch.nn.Linear(2, 2), loss_at, config, {}).run(tmp_path, progress=False)
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["settings"]
    assert json.loads(stored)["loop"]["precision"] == "bfloat16"
    _cpu(monkeypatch, False)
    with pytest.raises(ValueError, match=r"differs in loop\.precision"):
        Loop(torch.nn.Linear(2, 2), loss_at, config, {}).run(tmp_path, progress=False)


def _small(steps: int = 4) -> Recipe:
    recipe = RECIPES["prefix-sums-fast"]
    net = replace(recipe.net, width=8, head_widths=(8, 4))
    training = replace(recipe.training, steps=steps, max_iterations=4, hold_share=0.0)
    return replace(recipe, batch_size=4, net=net, training=training)


class _StopError(Exception):
    pass


def _stop_after_two(step: int) -> None:
    if step == 1:
        raise _StopError


@pytest.mark.parametrize("first", ["float32", "bfloat16"])
def test_a_run_goes_on_in_the_precision_that_it_began_with(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU of the other kind too, bit for bit."""
    recipe, whole = _small(), []
    for folder, kinds in (("one", (first, first)), ("two", (first, OTHER[first]))):
        _cpu(monkeypatch, kinds[0] == "bfloat16")
        net, out = recipe.build_net(), tmp_path / folder
        with pytest.raises(_StopError):
            train(
                net,
                recipe.batches(),
                recipe.training,
                folder=out,
                checkpoint_seconds=0,
                progress=False,
                after_step=_stop_after_two,
            )
        _cpu(monkeypatch, kinds[1] == "bfloat16")
        net = recipe.build_net()
        report = train(net, recipe.batches(), recipe.training, folder=out, progress=False)
        assert report.precision == first
        whole.append(net.state_dict())
    assert all(torch.equal(values, whole[1][name]) for name, values in whole[0].items())
    given = replace(recipe.training, precision=OTHER[first])
    with pytest.raises(ValueError, match=f"precision {first}, not {OTHER[first]}"):
        train(recipe.build_net(), recipe.batches(), given, folder=tmp_path / "two", progress=False)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_recipe_checkpoint_and_net_say_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, kind == "bfloat16")
    run(_small(2), tmp_path, progress=False)
    assert json.loads((tmp_path / "recipe.json").read_text())["training"]["precision"] == kind
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["config"]
    assert json.loads(stored)["precision"] == kind
    facts = json.loads((tmp_path / "config.json").read_text())["facts"]
    # `evaluate` writes it to the result file as part of the device.
    assert facts["device"].endswith(f", {kind}")
    assert "precision" not in facts["changes"]


def test_the_folder_decides_before_a_first_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cpu(monkeypatch, True)
    run(_small(2), tmp_path / "first", progress=False)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "recipe.json").write_bytes((tmp_path / "first" / "recipe.json").read_bytes())
    _cpu(monkeypatch, False)
    report = run(_small(2), tmp_path / "again", progress=False)
    assert report is not None
    assert report.precision == "bfloat16"
