"""What `easy-to-hard train`, `evaluate`, `think`, `perturb` and `align` do."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from easy_to_hard import __version__
from easy_to_hard.baselines.deep_thinking.checkpoint import CONFIG, ModelFacts, load_model, save_model
from easy_to_hard.baselines.deep_thinking.data import Items, answer_rules, input_shape, validation_items
from easy_to_hard.baselines.deep_thinking.distributed import place, process_group
from easy_to_hard.baselines.deep_thinking.evaluation import Evaluation, EvaluationConfig, TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.evaluation import Exit as EvaluationExit
from easy_to_hard.baselines.deep_thinking.experiments import AlignmentResult, Kind, PerturbationConfig, perturb
from easy_to_hard.baselines.deep_thinking.film import choose_frames, think_frames, write_film
from easy_to_hard.baselines.deep_thinking.model import ThinkingNet
from easy_to_hard.baselines.deep_thinking.recipes import Recipe
from easy_to_hard.baselines.deep_thinking.training import Precision, TrainingReport, train
from easy_to_hard.datasets import to_tensors
from easy_to_hard.files import write_json
from easy_to_hard.scoring import DifficultyScore, Result, source_commit, thin_curve
from easy_to_hard.tasks import DataSpec, get_task

Exit = Literal["settled", "max-confidence", "last", "validation"]

# Narrower nets are faster on one thread than on several that wait for each other at every layer.
_WIDE: Final = 100
# So many positions at a time stay in the caches of a CPU core; a GPU wants more.
_BATCH_POSITIONS: Final = {"cpu": 8_192, "cuda": 262_144}
# Multiplications that are well spent on one difficulty by default: about a minute on one CPU core.
_DEFAULT_WORK: Final = 3e12
_ITEMS_RANGE: Final = (10, 1_000)
_FILM_FRAMES: Final = 40
_STRIP_FRAMES: Final = 12
# Iterations beyond training for which the over-thinking figures want a look, in units of training's.
OVERTHINKING: Final = (5, 10)


def check_device(device: str) -> None:
    """ValueError unless torch can use that device here."""
    if device == "cpu":
        return
    if device != "cuda":
        raise ValueError(f"device must be cpu or cuda, not {device!r}")
    if not torch.cuda.is_available():
        raise ValueError("device cuda is not available on this machine: use --device cpu")


def describe_device(device: str, threads: int | None) -> str:
    """For the records: the GPU's name, or the number of threads."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


# ---- train


def train_recipe(
    name: str, recipe: Recipe, out: Path, *, device: str = "cpu", threads: int | None = None, progress: bool = True
) -> TrainingReport:
    """Train, or go on with a training that was stopped; the net is then in `out`, with its log and its recipe.

    Args:
        name: of the recipe, for the records.
        recipe: what to train and how.
        out: a folder; one that holds another run is refused.
        device: "cpu" or "cuda".
        threads: of a CPU; None for one for narrow nets and torch's choice for wide ones.
        progress: whether to show a progress bar.

    Raises:
        ValueError: no such device or task, or `out` holds a run of another recipe.
        RuntimeError: the loss is no longer finite.
    """
    check_device(device)
    model = recipe.build_net()
    rules = answer_rules(recipe.task)
    batches = recipe.batches()
    if threads is None:
        threads = 1 if recipe.net.width < _WIDE else torch.get_num_threads()
    torch.set_num_threads(threads)
    with process_group(device) as own_device:
        first = place()[0] == 0
        if first:
            _claim(out, name, recipe)
        model = model.to(own_device)
        report = train(model, batches, recipe.training, mask_of=rules.mask, folder=out, progress=progress)
        if first:
            save_model(model, out, make_facts(name, recipe, report, describe_device(own_device, threads)))
    return report


def _claim(out: Path, name: str, recipe: Recipe) -> None:
    """Note in the folder what it is for, or see that it is for that already."""
    claimed = json.loads(json.dumps({"name": name, **asdict(recipe)}))
    path = out / "recipe.json"
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != claimed:
            raise ValueError(f"{out} holds a run of another preset or with other settings: choose another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} holds something else: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, claimed)


def make_facts(name: str, recipe: Recipe, report: TrainingReport, device: str) -> ModelFacts:
    """What a checkpoint says of its net."""
    return ModelFacts(
        recipe=name,
        task=recipe.task,
        variant=recipe.spec().variant,
        difficulty=recipe.difficulty,
        max_iterations=recipe.training.max_iterations,
        seed=recipe.training.seed,
        steps=report.steps,
        batch_size=recipe.batch_size,
        training_seconds=round(report.seconds, 1),
        device=device,
        package_version=__version__,
        commit=source_commit(),
    )


def is_trained(out: Path) -> bool:
    """Whether the training in a folder has come to its end."""
    return (out / CONFIG).is_file()


# ---- evaluate


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which instances a net is tested on, and how.

    Attributes:
        task: must be the net's.
        difficulties: at least one.
        variant: "" for the task's default.
        split, seed: of the test data.
        items: instances at each difficulty; None for as many as take about a minute a core, from 10 to 1,000.
        iterations: the most iterations; None for 10 times those of training, or, if that is more, as many times
            those of training as the instance has positions more than one of training.
        exit_rule: "settled" or "max-confidence" (each item's own), "last", or "validation" (the iteration that is
            best on the validation split at the same difficulty).
        run_all: run every iteration, even when all features have settled.
        device, threads, precision: where and how; threads are batches at a time on a CPU.

    Raises:
        ValueError: a number below 1, no difficulty or one twice, an exit that does not exist.
    """

    task: str
    difficulties: tuple[int, ...]
    variant: str = ""
    split: str = "test"
    seed: int = 0
    items: int | None = None
    iterations: int | None = None
    exit_rule: Exit = "settled"
    run_all: bool = False
    device: str = "cpu"
    threads: int = 2
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("items", "iterations", "threads"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"--{name} must be at least 1, not {number}")
        if not self.difficulties or len(set(self.difficulties)) < len(self.difficulties):
            raise ValueError(f"--difficulties must be at least one and different, not {list(self.difficulties)}")
        if self.exit_rule not in get_args(Exit):
            raise ValueError(f"--exit must be one of {', '.join(get_args(Exit))}, not {self.exit_rule!r}")
        check_device(self.device)

    def spec(self, difficulty: int) -> DataSpec:
        """The instances of one difficulty."""
        return DataSpec(task=self.task, variant=self.variant, difficulty=difficulty, split=self.split, seed=self.seed)


def check_task(facts: ModelFacts, task: str) -> None:
    """ValueError if a net was trained on another task."""
    if task != facts.task:
        get_task(task)
        raise ValueError(f"this net was trained on {facts.task} and cannot be tested on {task}")


def thinking_budget(facts: ModelFacts, difficulty: int) -> int:
    """The default number of iterations at most: see `Examination`."""
    ratio = difficulty / facts.difficulty
    positions = ratio ** input_shape(facts.task)[1]
    return round(facts.max_iterations * max(positions, OVERTHINKING[-1]))


def _num_positions(task: str, difficulty: int) -> int:
    positions = 1
    for side in get_task(task).shapes(difficulty)[1]:
        positions *= side
    return positions


def _num_items(model: ThinkingNet, task: str, difficulty: int, iterations: int) -> int:
    # As a rule, a third of the budget is used.
    cells = _num_positions(task, difficulty) / model.patch**model.dimensions
    work = model.count_parameters() * cells * iterations / 3
    return int(min(max(_DEFAULT_WORK / work, _ITEMS_RANGE[0]), _ITEMS_RANGE[1]))


def examine_difficulty(
    model: ThinkingNet, facts: ModelFacts, examination: Examination, difficulty: int, *, progress: bool = True
) -> tuple[Items, Evaluation]:
    """Evaluate a net at one difficulty.

    Raises:
        ValueError: a difficulty, variant, split or exit that does not exist; a task that is not the net's.
        NotEnoughInstancesError: the split holds no instance.
    """
    check_task(facts, examination.task)
    rules = answer_rules(examination.task)
    iterations = examination.iterations or thinking_budget(facts, difficulty)
    if model.depth is not None:
        iterations = min(iterations, model.depth)
    num_items = examination.items or _num_items(model, facts.task, difficulty, iterations)
    items = Items(examination.spec(difficulty), num_items)
    positions = _num_positions(examination.task, difficulty) // model.patch**model.dimensions
    fixed = examination.exit_rule in ("last", "validation")
    exit_rule: EvaluationExit = (
        "fixed" if fixed else "settled" if examination.exit_rule == "settled" else "max_confidence"
    )
    config = EvaluationConfig(
        max_iterations=iterations,
        exit_rule=exit_rule,
        batch_size=max(1, min(_BATCH_POSITIONS[examination.device] // positions, -(-num_items // examination.threads))),
        stop_when_settled=not examination.run_all,
        min_iterations=min(iterations, OVERTHINKING[-1] * facts.max_iterations),
        threads=examination.threads,
        precision=examination.precision,
    )
    label = f"{get_task(facts.task).difficulty_name} {difficulty}"
    if examination.exit_rule == "validation":
        tried = evaluate(
            model,
            validation_items(items, num_items),
            rules,
            config,
            progress=progress,
            description=f"validation, {label}",
        )
        config = replace(config, exit_iteration=tried.peak_iteration)
    return items, evaluate(model, items, rules, config, progress=progress, description=label)


def to_score(spec: DataSpec, evaluation: Evaluation) -> DifficultyScore:
    """What a result file holds of an evaluation."""
    recorded_iterations, recorded_correct = thin_curve(evaluation.correct)
    return DifficultyScore(
        difficulty=spec.difficulty,
        config=spec.config,
        num_items=evaluation.num_items,
        num_correct=evaluation.num_correct,
        mean_iterations=evaluation.mean_iterations,
        mean_first_solved=evaluation.mean_first_solved,
        num_settled=evaluation.num_settled,
        recorded_iterations=recorded_iterations,
        recorded_correct=recorded_correct,
    )


def examine(model: ThinkingNet, facts: ModelFacts, examination: Examination, *, progress: bool = True) -> Result:
    """Evaluate a net at every difficulty of an examination.

    Raises:
        ValueError, NotEnoughInstancesError: as `examine_difficulty`, before anything is run.
    """
    check_task(facts, examination.task)
    for difficulty in examination.difficulties:
        Items(examination.spec(difficulty), 1)
    model = model.to(examination.device)
    scores, manifest, seconds, rules = [], [], 0.0, {}
    for difficulty in sorted(examination.difficulties):
        items, evaluation = examine_difficulty(model, facts, examination, difficulty, progress=progress)
        scores.append(to_score(items.spec, evaluation))
        manifest.append(items.manifest_entry())
        seconds += evaluation.seconds
        rules[difficulty] = evaluation.iterations_rule
    return Result(
        method="deep_thinking",
        preset=facts.recipe,
        task=facts.task,
        trained_on=_config_of(facts),
        commit=source_commit(),
        package_version=__version__,
        data_manifest_sha256=hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest(),
        seed=facts.seed,
        parameters=model.count_parameters(),
        trained_iterations=facts.max_iterations,
        device=(
            f"trained on {facts.device}; "
            f"tested on {describe_device(examination.device, examination.threads)}, {examination.precision}"
        ),
        training_seconds=facts.training_seconds,
        evaluation_seconds=round(seconds, 1),
        iterations_rule=_join_rules(rules),
        scores=scores,
    )


def _config_of(facts: ModelFacts) -> str:
    return DataSpec(task=facts.task, variant=facts.variant, difficulty=facts.difficulty).config


def _join_rules(rules: dict[int, str]) -> str:
    """One sentence where all are the same, else one for each difficulty."""
    if len(set(rules.values())) == 1:
        return next(iter(rules.values()))
    return "; ".join(f"{difficulty}: {rule}" for difficulty, rule in rules.items())


def format_scores(result: Result) -> str:
    """The scores as a plain-text table."""
    trained = result.trained_iterations or 1
    low, high = (f"at {factor * trained:,}" for factor in OVERTHINKING)
    lines = [
        f"{'difficulty':>10}  {'items':>6}  {'exact match':>11}  {'95 % interval':>16}  {'iterations':>10}"
        f"  {'settled':>8}  {'first right':>11}  {'peak':>7}  {low:>9}  {high:>9}"
    ]
    for score in sorted(result.scores, key=lambda score: score.difficulty):
        interval = " - ".join(f"{100 * end:.1f}" for end in score.interval)
        settled = "-" if score.num_settled is None else f"{score.num_settled / score.num_items:.0%}"
        first = "-" if score.mean_first_solved is None else f"{score.mean_first_solved:,.0f}"
        later = "  ".join(_percent(score.accuracy_at(factor * trained), 9) for factor in OVERTHINKING)
        lines.append(
            f"{score.difficulty:>10,}  {score.num_items:>6,}  {_percent(score.accuracy, 11)}  {interval:>16}"
            f"  {score.mean_iterations or 0:>10,.0f}  {settled:>8}  {first:>11}"
            f"  {_percent(score.peak_accuracy, 7)}  {later}"
        )
    return "\n".join(lines)


def _percent(share: float | None, width: int) -> str:
    return f"{'-' if share is None else f'{100 * share:.1f} %':>{width}}"


def describe_model(name: str, model: ThinkingNet, facts: ModelFacts) -> str:
    """A line on a net."""
    return (
        f"{name}: {model.count_parameters():,} weights, trained on {_config_of(facts)} with at most "
        f"{facts.max_iterations} iterations ({facts.steps:,} batches of {facts.batch_size}, "
        f"{facts.training_seconds:,.0f} s, {facts.device}), seed {facts.seed}"
    )


def load_for(name: str, task: str, device: str = "cpu") -> tuple[ThinkingNet, ModelFacts]:
    """A net that is for the task; "" for whatever its task is.

    Raises:
        FileNotFoundError, ValueError: as `load_model`; no such device; a net for another task.
    """
    check_device(device)
    model, facts = load_model(name, device)
    if task:
        check_task(facts, task)
    return model, facts


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
    if index < 0:
        raise ValueError(f"--index must be at least 0, not {index}")
    if frames is not None and frames < 2:
        raise ValueError(f"--frames must be at least 2, not {frames}")
    if iterations is not None and iterations < 1:
        raise ValueError(f"--iterations must be at least 1, not {iterations}")
    check_task(facts, spec.task)
    rules = answer_rules(spec.task)
    item = one_item(spec, index)
    if iterations is None:
        most = thinking_budget(facts, spec.difficulty)
        config = EvaluationConfig(max_iterations=min(most, model.depth or most), stop_when_settled=True)
        iterations = evaluate(model, TensorItems(*item), rules, config, progress=False).last_iteration
    if out.suffix.lower() == ".gif":
        shown = sorted({round(number) for number in np.linspace(0, iterations, frames or _FILM_FRAMES)})
    else:
        shown = choose_frames(iterations, frames or _STRIP_FRAMES)
    write_film(out, model, *item, shown, rules)
    solved = think_frames(model, *item, [iterations], rules)[0].solved
    return f"{spec.config}, item {index}, {'solved' if solved else 'not solved'} after {iterations:,} iterations"


# ---- the papers' experiments


def perturbation_table(
    model: ThinkingNet, facts: ModelFacts, items: Items, *, at: int, iterations: int, progress: bool = True
) -> str:
    """Every perturbation that is defined for the task, in a plain-text table.

    Raises:
        ValueError: numbers out of range.
    """
    kinds = [kind for kind in get_args(Kind) if kind != "flip" or input_shape(facts.task) == (1, 1)]
    rules = answer_rules(facts.task)
    lines = [
        f"{'perturbation':>12}  {'items':>6}  {'right before':>12}  {'right after':>11}  {'at the end':>10}"
        f"  {'recovered':>9}  {'in iterations':>13}  {'donor answer':>12}"
    ]
    for kind in kinds:
        result = perturb(
            model, items, rules, PerturbationConfig(kind=kind, at=at, iterations=iterations), progress=progress
        )
        donor = "-" if result.donor_curve is None else _percent(result.donor_curve[-1], 1)
        time = "-" if result.mean_recovery_time is None else f"{result.mean_recovery_time:.1f}"
        lines.append(
            f"{kind:>12}  {result.num_items:>6,}  {_percent(result.curve[at - 1], 12) if at else '-':>12}"
            f"  {_percent(result.curve[at], 11)}  {_percent(result.curve[-1], 10)}"
            f"  {_percent(result.share_recovered, 9)}  {time:>13}  {donor:>12}"
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


def items_for(facts: ModelFacts, difficulty: int | None, variant: str, split: str, seed: int, num_items: int) -> Items:
    """The first instances of the net's task; of the difficulty it was trained on where none is given.

    Raises:
        ValueError: no items, or arguments that `DataSpec` does not allow.
    """
    if num_items < 1:
        raise ValueError(f"--items must be at least 1, not {num_items}")
    difficulty = facts.difficulty if difficulty is None else difficulty
    return Items(DataSpec(task=facts.task, difficulty=difficulty, variant=variant, split=split, seed=seed), num_items)


def one_item(spec: DataSpec, index: int) -> tuple[Tensor, Tensor]:
    """inputs (1, channels, *size) float32 and targets (1, *size) int64 of the instance of that number."""
    task = get_task(spec.task)
    data = task.generate(spec, np.array([index]), None).data
    return to_tensors(task, *task.encode(data, spec.difficulty, None))
