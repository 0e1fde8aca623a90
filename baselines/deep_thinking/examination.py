"""What a net is tested on, how far, and what of it goes into a result file."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from easy_to_hard import __version__
from easy_to_hard.baselines.deep_thinking.checkpoint import ModelFacts, load_model
from easy_to_hard.baselines.deep_thinking.data import Items, answer_rules, input_shape, validation_items
from easy_to_hard.baselines.deep_thinking.evaluation import Evaluation, EvaluationConfig, evaluate
from easy_to_hard.baselines.deep_thinking.evaluation import Exit as EvaluationExit
from easy_to_hard.baselines.deep_thinking.model import ThinkingNet
from easy_to_hard.baselines.deep_thinking.training import Precision
from easy_to_hard.datasets import to_tensors
from easy_to_hard.scoring import DifficultyScore, Result, source_commit, thin_curve
from easy_to_hard.tasks import DataSpec, get_task

Exit = Literal["settled", "max-confidence", "last", "validation"]

# So many positions at a time stay in the caches of a CPU core; a GPU wants more.
_BATCH_POSITIONS: Final = {"cpu": 8_192, "cuda": 262_144}
# Multiplications that are well spent on one difficulty by default: about a minute on one CPU core.
_DEFAULT_WORK: Final = 3e12
_ITEMS_RANGE: Final = (10, 1_000)
# Nets of at least this width keep several threads busy.
_WIDE: Final = 100
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


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which instances a net is tested on, and how.

    Attributes:
        task: must be the net's.
        difficulties: at least one.
        variant: "" for the task's default.
        split, seed: of the test data.
        items: instances at each difficulty, one number for all or one for each; none for as many as take about a
            minute a core, from 10 to 1,000.
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
    items: tuple[int, ...] = ()
    iterations: int | None = None
    exit_rule: Exit = "settled"
    run_all: bool = False
    device: str = "cpu"
    threads: int = 2
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        numbers = [("items", number) for number in self.items]
        for name, number in [*numbers, ("iterations", self.iterations), ("threads", self.threads)]:
            if number is not None and number < 1:
                raise ValueError(f"--{name} must be at least 1, not {number}")
        if len(self.items) not in (0, 1, len(self.difficulties)):
            raise ValueError(
                f"--items must be one number, or one for each of the {len(self.difficulties)} difficulties, "
                f"not {len(self.items)}"
            )
        if not self.difficulties or len(set(self.difficulties)) < len(self.difficulties):
            raise ValueError(f"--difficulties must be at least one and different, not {list(self.difficulties)}")
        if self.exit_rule not in get_args(Exit):
            raise ValueError(f"--exit must be one of {', '.join(get_args(Exit))}, not {self.exit_rule!r}")
        if self.exit_rule == "validation" and self.split == "validation":
            raise ValueError("--exit validation cannot choose on the items it scores: test on another --split")
        if self.precision not in get_args(Precision):
            raise ValueError(f"--precision must be one of {', '.join(get_args(Precision))}, not {self.precision!r}")
        for difficulty in self.difficulties:
            self.spec(difficulty)
        check_device(self.device)

    def num_items(self, difficulty: int) -> int | None:
        """Instances asked for at a difficulty; None for the default."""
        if len(self.items) < 2:
            return self.items[0] if self.items else None
        return self.items[self.difficulties.index(difficulty)]

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
    work = model.count_parameters() / (model.depth or 1) * cells * iterations / 3
    return int(min(max(_DEFAULT_WORK / work, _ITEMS_RANGE[0]), _ITEMS_RANGE[1]))


def examine_difficulty(
    model: ThinkingNet, facts: ModelFacts, examination: Examination, difficulty: int, *, progress: bool = True
) -> tuple[Items, Evaluation]:
    """Evaluate a net at one difficulty; `iterations_rule` says how the exit's iteration was chosen.

    Raises:
        ValueError: a difficulty, variant, split or exit that does not exist; a task that is not the net's.
        NotEnoughInstancesError: the split holds no instance.
    """
    check_task(facts, examination.task)
    rules = answer_rules(examination.task)
    iterations = examination.iterations or thinking_budget(facts, difficulty)
    if model.depth is not None and examination.iterations is None:
        iterations = min(iterations, model.depth)
    num_items = examination.num_items(difficulty) or _num_items(model, facts.task, difficulty, iterations)
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
    evaluation = evaluate(model, items, rules, config, progress=progress, description=label)
    reason = {
        "last": "the last of those run",
        "validation": f"the first that is best on {num_items:,} items of the validation split",
    }.get(examination.exit_rule)
    return items, replace(evaluation, iterations_rule=evaluation.iterations_rule + (f", {reason}" if reason else ""))


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


def examine(
    model: ThinkingNet, facts: ModelFacts, examination: Examination, *, progress: bool = True
) -> Iterator[Result]:
    """Evaluate a net at every difficulty of an examination, the easy ones first.

    Yields:
        The result so far, after each difficulty; the last one is whole.

    Raises:
        ValueError, NotEnoughInstancesError: as `examine_difficulty`, before anything is run.
    """
    check_task(facts, examination.task)
    for difficulty in examination.difficulties:
        Items(examination.spec(difficulty), 1)
    model = model.to(examination.device)
    scores, manifest, seconds = [], [], 0.0
    rules, most = {}, {}
    for difficulty in sorted(examination.difficulties):
        items, evaluation = examine_difficulty(model, facts, examination, difficulty, progress=progress)
        scores.append(to_score(items.spec, evaluation))
        manifest.append(items.manifest_entry())
        seconds += evaluation.seconds
        rules[difficulty], most[difficulty] = evaluation.iterations_rule, evaluation.max_iterations
        yield Result(
            method="deep_thinking",
            preset=facts.preset,
            task=facts.task,
            trained_on=_config_of(facts),
            commit=source_commit(),
            package_version=__version__,
            data_manifest_sha256=hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest(),
            seed=facts.seed,
            split=examination.split,
            data_seed=examination.seed,
            parameters=model.count_parameters(),
            trained_iterations=facts.max_iterations,
            device=(
                f"trained on {facts.device}; "
                f"tested on {describe_device(examination.device, examination.threads)}, {examination.precision}"
            ),
            training_seconds=facts.training_seconds,
            evaluation_seconds=round(seconds, 1),
            iterations_rule=_join_rules(rules, most),
            scores=list(scores),
        )


def _config_of(facts: ModelFacts) -> str:
    return DataSpec(task=facts.task, variant=facts.variant, difficulty=facts.difficulty).config


def _join_rules(rules: Mapping[int, str], most: Mapping[int, int]) -> str:
    """One sentence, in which what differs from difficulty to difficulty is only the most iterations, if it is so."""
    general = {rule.replace(str(most[difficulty]), "{most}") for difficulty, rule in rules.items()}
    if len(general) > 1:
        return "; ".join(f"{difficulty}: {rule}" for difficulty, rule in rules.items())
    at: dict[int, list[str]] = {}
    for difficulty, number in most.items():
        at.setdefault(number, []).append(str(difficulty))
    shown = ", ".join(
        str(number) if len(at) == 1 else f"{number} (at {' '.join(difficulties)})"
        for number, difficulties in at.items()
    )
    return general.pop().replace("{most}", shown)


def score_heading(trained_iterations: int | None) -> str:
    """The heading that goes with `format_score`."""
    low, high = (f"at {factor * (trained_iterations or 1):,}" for factor in OVERTHINKING)
    return (
        f"{'difficulty':>10}  {'items':>6}  {'exact match':>11}  {'95 % interval':>16}  {'iterations':>10}"
        f"  {'settled':>8}  {'first right':>11}  {'peak':>7}  {low:>9}  {high:>9}"
    )


def format_score(score: DifficultyScore, trained_iterations: int | None) -> str:
    """A score as a line of plain text."""
    interval = " - ".join(f"{100 * end:.1f}" for end in score.interval)
    settled = "-" if score.num_settled is None else f"{score.num_settled / score.num_items:.0%}"
    first = "-" if score.mean_first_solved is None else f"{score.mean_first_solved:,.0f}"
    later = "  ".join(percent(score.accuracy_at(factor * (trained_iterations or 1)), 9) for factor in OVERTHINKING)
    return (
        f"{score.difficulty:>10,}  {score.num_items:>6,}  {percent(score.accuracy, 11)}  {interval:>16}"
        f"  {score.mean_iterations or 0:>10,.0f}  {settled:>8}  {first:>11}  {percent(score.peak_accuracy, 7)}  {later}"
    )


def format_scores(result: Result) -> str:
    """The scores as a plain-text table."""
    scores = sorted(result.scores, key=lambda score: score.difficulty)
    lines = [format_score(score, result.trained_iterations) for score in scores]
    return "\n".join([score_heading(result.trained_iterations), *lines])


def percent(share: float | None, width: int) -> str:
    """A share in [0, 1] as a percentage of that many characters; a dash for None."""
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
    set_threads(model.width)
    return model, facts


def set_threads(width: int, threads: int | None = None) -> int:
    """Set and return torch's number of threads: one for narrow nets, torch's choice for wide ones, or `threads`.

    Threads wait for each other at every layer, which takes longer than what there is to do for a narrow net.
    """
    if threads is None:
        threads = 1 if width < _WIDE else torch.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def items_for(facts: ModelFacts, difficulty: int | None, variant: str, split: str, seed: int, num_items: int) -> Items:
    """The first instances of the net's task; of the difficulty it was trained on where none is given.

    Raises:
        ValueError: no items, or arguments that `DataSpec` does not allow.
    """
    variant = variant or facts.variant
    if num_items < 1:
        raise ValueError(f"--items must be at least 1, not {num_items}")
    difficulty = facts.difficulty if difficulty is None else difficulty
    return Items(DataSpec(task=facts.task, difficulty=difficulty, variant=variant, split=split, seed=seed), num_items)


def one_item(spec: DataSpec, index: int) -> tuple[Tensor, Tensor]:
    """inputs (1, channels, *size) float32 and targets (1, *size) int64 of the instance of that number.

    Raises:
        ValueError: a number below 0 or of 64 bits and more.
    """
    if not 0 <= index < 2**63:
        raise ValueError(f"--index must be at least 0 and below 2^63, not {index}")
    task = get_task(spec.task)
    data = task.generate(spec, np.array([index]), None).data
    return to_tensors(task, *task.encode(data, spec.difficulty, None))
