"""What `easy-to-hard train`, `think`, `perturb` and `align` do; for `evaluate` see examination.py."""

import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import torch

from easy_to_hard.baselines.deep_thinking.checkpoint import CONFIG, save_model
from easy_to_hard.baselines.deep_thinking.data import input_shape
from easy_to_hard.baselines.deep_thinking.distributed import place, process_group, sum_over_processes
from easy_to_hard.baselines.deep_thinking.evaluation import TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.examination import check_task, percent, set_threads, thinking_budget
from easy_to_hard.baselines.deep_thinking.experiments import AlignmentResult, Kind, PerturbationConfig, perturb
from easy_to_hard.baselines.deep_thinking.facts import ModelFacts
from easy_to_hard.baselines.deep_thinking.film import check_ending, choose_frames, write_film
from easy_to_hard.baselines.deep_thinking.model import ThinkingNet
from easy_to_hard.baselines.deep_thinking.recipes import Recipe, get_recipe
from easy_to_hard.baselines.deep_thinking.tracking import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.training import TrainingReport, changed_settings, train
from easy_to_hard.baselines.kit.precision import Settled, fast_precision, settle
from easy_to_hard.baselines.kit.training import CHECKPOINT
from easy_to_hard.datasets.answers import answer_rules
from easy_to_hard.datasets.items import Items, one_item
from easy_to_hard.environment import __version__, check_device, describe_device, source_commit
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.manifest import MANIFEST
from easy_to_hard.storage.writing import hold_folder, holds_nothing, write_json
from easy_to_hard.tasks import DataSpec

# Of the experiments, for nets of any depth.
DEFAULT_ITERATIONS: Final = 300
_RECIPE: Final = "recipe.json"
_FILM_FRAMES: Final = 40
_STRIP_FRAMES: Final = 12


# ---- train


def train_recipe(
    name: str, recipe: Recipe, out: Path, *, device: str = "cpu", threads: int | None = None, progress: bool = True
) -> TrainingReport | None:
    """Train, or go on with a training that was stopped; the net is then in `out`, with its log and its recipe.

    Args:
        name: of the recipe, for the records.
        recipe: what to train and how.
        out: a folder; one that holds another run is refused.
        device: "cpu" or "cuda".
        threads: of a CPU; None for one for narrow nets and torch's choice for wide ones.
        progress: whether to show a progress bar.

    Returns:
        What training did; None if it had come to its end before, and there was nothing to do.

    Raises:
        ValueError: no such device or task; `out` holds a run of another recipe, or one that is going on.
        RuntimeError: the loss is no longer finite.
    """
    check_device(device)
    model = recipe.build_net()
    rules = answer_rules(recipe.task)
    batches = recipe.batches()
    threads = set_threads(recipe.net.width, threads)
    with process_group(device) as own_device, ExitStack() as stack:
        rank, num_processes = place()
        if rank == 0:
            _check_ours(out)
            stack.enter_context(hold_folder(out, "training"))
            recipe = _claim(out, name, recipe, own_device)
        recipe = _as_first(recipe, own_device)
        if (out / CONFIG).is_file():
            return None
        model = model.to(own_device)
        report = train(
            model,
            batches,
            recipe.training,
            mask_of=rules.mask,
            decode=rules.decode,
            folder=out,
            progress=progress,
        )
        if rank == 0:
            trained_on = describe_device(own_device, threads)
            trained_on += f" in each of {num_processes} processes" if num_processes > 1 else ""
            save_model(model, out, make_facts(name, recipe, report, trained_on))
    return report


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What decides a run: not its wording, and not where its data lie."""
    settings = asdict(recipe)
    del settings["title"], settings["root"]
    return settings


def _data_of(recipe: Recipe) -> str:
    """SHA-256 of the manifest of the folder that a recipe reads; "" where it reads none."""
    return file_sha256(Path(recipe.root).expanduser() / MANIFEST) if recipe.root else ""


def _told_data(recipe: Recipe) -> list[str]:
    return [f"data {_data_of(recipe)[:12]}"] if recipe.root else []


def _check_ours(out: Path) -> None:
    """ValueError where a folder holds what is not of a training; nothing is written."""
    if not (out / _RECIPE).is_file() and not holds_nothing(out):
        raise ValueError(f"{out} holds something else: choose another --out")


def _claim(out: Path, name: str, recipe: Recipe, device: str) -> Recipe:
    """Note in the folder, which is locked, what it is for, or see that it is for that already.

    Returns:
        The recipe, with the precision that the run began with, or, where it begins now, that of the device.
    """
    _check_ours(out)
    path = out / _RECIPE
    stored: dict[str, Any] = {}
    try:
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            recipe = settle(recipe, stored["training"].get("precision", "auto"))
        recipe = settle(recipe, fast_precision(device))
        settings = {"name": name, **_settings(recipe), "data": _data_of(recipe)}
        changed = changed_settings(stored, settings)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): choose another --out") from error
    begun = (out / CHECKPOINT).is_file() or (out / CONFIG).is_file()
    if changed and begun:
        raise ValueError(
            f"{out} holds a run of another preset or with other settings ({', '.join(changed)}): choose another --out"
        )
    write_json(path, settings)
    return recipe


def _as_first(recipe: Recipe, device: str) -> Recipe:
    """With the precision of the first process, which alone has read the folder."""
    lower = torch.tensor(float(place()[0] == 0 and recipe.training.precision == "bfloat16"), device=device)
    precision: Settled = "bfloat16" if float(sum_over_processes(lower)) else "float32"
    return replace(recipe, training=replace(recipe.training, precision=precision))


def make_facts(name: str, recipe: Recipe, report: TrainingReport, device: str) -> ModelFacts:
    """What a checkpoint says of its net."""
    published = replace(get_recipe(name), title=recipe.title)
    published = replace(published, training=replace(published.training, seed=recipe.training.seed))
    # A preset that leaves the precision to the device is not changed by it.
    published, recipe = settle(published, report.precision), settle(recipe, report.precision)
    return ModelFacts(
        recipe=name,
        changes=", ".join([*changed_settings(_settings(published), _settings(recipe)), *_told_data(recipe)]),
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


# ---- think


def film(
    model: ThinkingNet,
    facts: ModelFacts,
    out: Path,
    *,
    spec: DataSpec,
    index: int,
    iterations: int | None = None,
    frames: int | None = None,
) -> str:
    """Write a film or a strip of one instance being solved; returns what came of it, in words.

    Args:
        model, facts: the net.
        out: .gif, .png, .svg or .pdf.
        spec: of the instance; its task must be the net's.
        index: its number.
        iterations: the last one shown; None for where the features settle, as in an evaluation.
        frames: pictures, at least 2; None for 12 in a strip, close together at first, and 40 in a film, evenly spread.

    Raises:
        ValueError: numbers out of range, another ending, a task that is not the net's.
        ImportError: matplotlib is not installed.
    """
    if frames is not None and frames < 2:
        raise ValueError(f"--frames must be at least 2, not {frames}")
    if iterations is not None and iterations < 1:
        raise ValueError(f"--iterations must be at least 1, not {iterations}")
    check_task(facts, spec.task)
    check_ending(out)
    rules = answer_rules(spec.task)
    item = one_item(spec, index)
    if iterations is None:
        most = thinking_budget(facts, spec.difficulty)
        config = EvaluationConfig(max_iterations=min(most, model.depth or most), stop_when_settled=True)
    else:
        config = EvaluationConfig(max_iterations=iterations, exit_rule="fixed")
    evaluation = evaluate(model, TensorItems(*item), rules, config, progress=False)
    iterations = evaluation.last_iteration
    if out.suffix.lower() == ".gif":
        shown = sorted({round(number) for number in np.linspace(0, iterations, frames or _FILM_FRAMES)})
    else:
        shown = choose_frames(iterations, frames or _STRIP_FRAMES)
    write_film(out, model, *item, shown, rules)
    solved = "solved" if evaluation.num_correct else "not solved"
    return f"{spec.config}, item {index}, {solved} after {iterations:,} iterations"


# ---- the papers' experiments


def perturbation_table(
    model: ThinkingNet,
    items: Items,
    *,
    at: int | None = None,
    iterations: int | None = None,
    progress: bool = True,
) -> str:
    """Every perturbation that is defined for the task, in a plain-text table.

    Args:
        model: the net.
        items: what to disturb it at.
        at: iterations before it happens; None for 50, or half of a feed-forward net's.
        iterations: all of them; None for 300, or all that a feed-forward net has.
        progress: whether to show progress bars.

    Raises:
        ValueError: numbers out of range.
    """
    at = (50 if model.depth is None else model.depth // 2) if at is None else at
    iterations = (model.depth or DEFAULT_ITERATIONS) if iterations is None else iterations
    kinds = [kind for kind in get_args(Kind) if kind != "flip" or input_shape(items.spec.task) == (1, 1)]
    rules = answer_rules(items.spec.task)
    lines = [
        f"{'perturbation':>12}  {'items':>6}  {'right before':>12}  {'right after':>11}  {'at the end':>10}"
        f"  {'recovered':>9}  {'in iterations':>13}  {'donor answer':>12}"
    ]
    for kind in kinds:
        result = perturb(
            model, items, rules, PerturbationConfig(kind=kind, at=at, iterations=iterations), progress=progress
        )
        donor = "-" if result.donor_curve is None else percent(result.donor_curve[-1], 1)
        time = "-" if result.mean_recovery_time is None else f"{result.mean_recovery_time:.1f}"
        lines.append(
            f"{kind:>12}  {result.num_items:>6,}  {percent(result.curve[at - 1], 12) if at else '-':>12}"
            f"  {percent(result.curve[at], 11)}  {percent(result.curve[-1], 10)}"
            f"  {percent(result.share_recovered, 9)}  {time:>13}  {donor:>12}"
        )
    return "\n".join(lines)


def describe_alignment(result: AlignmentResult) -> str:
    """The scores of asymptotic alignment in two lines."""
    return (
        f"asymptotic alignment over {result.num_items} inputs, {result.iterations:,} iterations from each start: "
        f"{result.alignment:.4f} (same input again {result.self_alignment:.4f})\n"
        f"without what all fixed points share: {result.centred_alignment:.4f} "
        f"(same input again {result.centred_self_alignment:.4f})"
    )
