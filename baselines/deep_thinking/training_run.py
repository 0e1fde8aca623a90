"""A whole training run, from a recipe to a folder with the net, its card, and its log."""

import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from easy_to_hard.baselines.deep_thinking.checkpoint import save_model
from easy_to_hard.baselines.deep_thinking.distributed import place, process_group, sum_over_processes
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.model_files import CONFIG, RECIPE
from easy_to_hard.baselines.deep_thinking.recipes import Recipe, get_recipe
from easy_to_hard.baselines.deep_thinking.scoring import set_threads
from easy_to_hard.baselines.deep_thinking.training import TrainingReport, changed_settings, train
from easy_to_hard.baselines.kit.precision import Settled, fast_precision, settle
from easy_to_hard.baselines.kit.training import CHECKPOINT
from easy_to_hard.environment import __version__, check_device, describe_device, source_commit
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.manifest import MANIFEST
from easy_to_hard.storage.writing import hold_folder, holds_nothing, write_json
from easy_to_hard.tasks import get_task


def train_recipe(
    recipe: Recipe, folder: Path, *, device: str = "cpu", threads: int | None = None, progress: bool = True
) -> TrainingReport | None:
    """Train as a recipe says; see `easy_to_hard.baselines.deep_thinking.run`."""
    check_device(device)
    get_recipe(recipe.name)
    model = recipe.build_net()
    rules = get_task(recipe.task).answers
    batches = recipe.batches()
    threads = set_threads(recipe.net.width, threads)
    with process_group(device) as own_device, ExitStack() as stack:
        rank, num_processes = place()
        if rank == 0:
            _check_ours(folder)
            stack.enter_context(hold_folder(folder, "training"))
            recipe = _claim(folder, recipe, own_device)
        recipe = _as_first(recipe, own_device)
        if (folder / CONFIG).is_file():
            return None
        report = train(
            model.to(own_device),
            batches,
            recipe.training,
            mask_of=rules.mask,
            decode=rules.decode,
            folder=folder,
            progress=progress,
        )
        if rank == 0:
            trained_on = describe_device(own_device, threads)
            trained_on += f" in each of {num_processes} processes" if num_processes > 1 else ""
            save_model(model, folder, make_facts(recipe, report, trained_on))
    return report


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide a run: all but its title and where its data are."""
    settings = asdict(recipe)
    del settings["title"], settings["root"]
    return settings


def _data_of(recipe: Recipe) -> str:
    """SHA-256 of the manifest of the folder that a recipe reads; "" if it reads none."""
    return file_sha256(Path(recipe.root).expanduser() / MANIFEST) if recipe.root else ""


def _check_ours(folder: Path) -> None:
    """Raise a ValueError if a folder holds anything but a training run; nothing is written."""
    if not (folder / RECIPE).is_file() and not holds_nothing(folder):
        raise ValueError(f"{folder} holds something else: choose another folder")


def _claim(folder: Path, recipe: Recipe, device: str) -> Recipe:
    """Record the run's settings in the folder, which is locked, or check that they are already recorded there.

    Returns:
        The recipe, with the precision that the run began with or, if it begins now, that of the device.
    """
    _check_ours(folder)
    path = folder / RECIPE
    stored: dict[str, Any] = {}
    try:
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            recipe = settle(recipe, stored["training"].get("precision", "auto"))
        recipe = settle(recipe, fast_precision(device))
        settings = {**_settings(recipe), "data": _data_of(recipe)}
        changed = changed_settings(stored, settings)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): choose another folder") from error
    begun = (folder / CHECKPOINT).is_file() or (folder / CONFIG).is_file()
    if changed and begun:
        raise ValueError(
            f"{folder} holds a run of another preset or with other settings ({', '.join(changed)}): "
            "choose another folder"
        )
    write_json(path, settings)
    return recipe


def _as_first(recipe: Recipe, device: str) -> Recipe:
    """The recipe with the precision of the first process, the only one that has read the folder."""
    lower = torch.tensor(float(place()[0] == 0 and recipe.training.precision == "bfloat16"), device=device)
    precision: Settled = "bfloat16" if float(sum_over_processes(lower)) else "float32"
    return replace(recipe, training=replace(recipe.training, precision=precision))


def make_facts(recipe: Recipe, report: TrainingReport, device: str) -> ModelFacts:
    """The facts about a net that its checkpoint records."""
    published = replace(get_recipe(recipe.name), title=recipe.title)
    published = replace(published, training=replace(published.training, seed=recipe.training.seed))
    # A preset that leaves the precision to the device is not changed by it.
    published, recipe = settle(published, report.precision), settle(recipe, report.precision)
    changes = changed_settings(_settings(recipe), _settings(published))
    if recipe.root:
        changes.append(f"data {_data_of(recipe)[:12]}")
    return ModelFacts(
        recipe=recipe.name,
        changes=", ".join(changes),
        task=recipe.task,
        variant=recipe.spec().variant,
        difficulty=recipe.difficulty,
        max_iterations=recipe.training.max_iterations,
        seed=recipe.training.seed,
        steps=report.steps,
        batch_size=recipe.batch_size,
        training_seconds=round(report.seconds, 1),
        device=f"{device}, {report.precision}",
        package_version=__version__,
        commit=source_commit(),
    )
