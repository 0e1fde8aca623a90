"""Scoring a net at graded difficulties: what it is tested on, how long it thinks, and its result file."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import torch
from torch.utils.flop_counter import FlopCounterMode

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import Evaluation, evaluate
from easy_to_hard.baselines.deep_thinking.batches import input_shape
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.exit_rules import Exit as EvaluationExit
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.kit.precision import Settled
from easy_to_hard.datasets.items import Items, manifest_sha256, validation_items
from easy_to_hard.environment import __version__, check_device, describe_device, source_commit
from easy_to_hard.generators.integers import check_field, check_integer
from easy_to_hard.scores.results import DifficultyScore, Result, thin_curve
from easy_to_hard.scores.scoring import Tally
from easy_to_hard.tasks import DataSpec, config_name, get_task

Exit = Literal["settled", "max-confidence", "last", "validation"]
_EXITS: Final[Mapping[Exit, EvaluationExit]] = {
    "settled": "settled",
    "max-confidence": "max_confidence",
    "last": "fixed",
    "validation": "fixed",
}

# Positions at a time: this many stay in the caches of a CPU core, and a GPU needs more.
_BATCH_POSITIONS: Final = {"cpu": 8_192, "cuda": 262_144}
# Default budget of multiplications for one difficulty: about a minute on one CPU core.
_DEFAULT_WORK: Final = 3e12
_ITEMS_RANGE: Final = (10, 1_000)
# Nets of at least this width keep several threads busy.
_WIDE: Final = 100
# Iterations at which overthinking is reported, as multiples of those in training.
OVERTHINKING: Final = (5, 10)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Which instances a net is tested on, and how.

    Attributes:
        task: the net's, or one with the same inputs and answers (chess has two).
        difficulties: at least one.
        variant: "" for the task's default.
        split, seed: of the test data.
        root: the folder of a task that is read and not generated.
        place: a built folder or a Hub repo that the instances are read from; "" to generate them.
        items: instances at each difficulty, one number for all or one for each; empty for as many as take about a
            minute per core, from 10 to 1,000.
        iterations: the maximum number of iterations; None for that of training times 10 or, if that is more, times the
            ratio of an instance's positions to those of a training instance.
        exit_rule: "settled" or "max-confidence" (each item's own), "last", or "validation" (the iteration that is
            best on the validation split at the same difficulty).
        run_all: run every iteration, even when all features have settled.
        device, threads, precision: where and how to run; threads are batches at a time on a CPU.

    Raises:
        ValueError: a number below 1, no difficulty or one twice, an exit that does not exist.
    """

    task: str
    difficulties: tuple[int, ...]
    variant: str = ""
    split: str = "test"
    seed: int = 0
    root: str = ""
    place: str = ""
    items: tuple[int, ...] = ()
    iterations: int | None = None
    exit_rule: Exit = "settled"
    run_all: bool = False
    device: str = "cpu"
    threads: int = 2
    precision: Settled = "float32"

    def __post_init__(self) -> None:
        numbers = [("items", number) for number in self.items]
        for name, number in [*numbers, ("iterations", self.iterations), ("threads", self.threads)]:
            if number is not None:
                check_integer(name, number, 1)
        if len(self.items) not in (0, 1, len(self.difficulties)):
            raise ValueError(
                f"items must be one number, or one for each of the {len(self.difficulties)} difficulties, "
                f"not {len(self.items)}"
            )
        if not self.difficulties or len(set(self.difficulties)) < len(self.difficulties):
            raise ValueError(f"difficulties must be at least one, all different, not {list(self.difficulties)}")
        for name, known in (("exit_rule", get_args(Exit)), ("precision", get_args(Settled))):
            check_field(self, name, getattr(self, name) in known, f"one of {', '.join(known)}")
        if self.exit_rule == "validation" and self.split == "validation":
            raise ValueError("exit_rule 'validation' cannot choose on the items it scores: test on another split")
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
        return DataSpec(
            task=self.task,
            variant=self.variant,
            difficulty=difficulty,
            split=self.split,
            seed=self.seed,
            root=self.root,
        )


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The results of a net at one difficulty.

    Attributes:
        spec: which instances.
        evaluation: the counts at every iteration.
        tally: the counts for the answers that count; None if these were not kept.
    """

    spec: DataSpec
    evaluation: Evaluation
    tally: Tally | None = None

    def score(self, model: ThinkingNet) -> DifficultyScore:
        """The score for a result file."""
        recorded_iterations, recorded_correct = thin_curve(self.evaluation.correct)
        task = get_task(self.spec.task)
        input_shape = (task.input_channels, *task.shapes(self.spec.difficulty)[1])
        return DifficultyScore(
            difficulty=self.spec.difficulty,
            config=self.spec.config,
            num_items=self.evaluation.num_items,
            num_correct=self.evaluation.num_correct,
            mean_iterations=self.evaluation.mean_iterations,
            mean_first_solved=self.evaluation.mean_first_solved,
            num_settled=self.evaluation.num_settled,
            recorded_iterations=recorded_iterations,
            recorded_correct=recorded_correct,
            cell_accuracy=None if self.tally is None else self.tally.cell_accuracy,
            checks={} if self.tally is None else dict(self.tally.checks),
            macs_per_item=count_macs(model, input_shape, self.evaluation.mean_iterations),
        )


def check_task(facts: ModelFacts, task: str) -> None:
    """Raise a ValueError if a net cannot be tested on a task, whose inputs or answers differ from its own task's."""
    get_task(task)
    alike = input_shape(task) == input_shape(facts.task)
    if not alike or get_task(task).answers.decode is not get_task(facts.task).answers.decode:
        raise ValueError(f"this net was trained on {facts.task} and cannot be tested on {task}")


def thinking_budget(model: ThinkingNet, facts: ModelFacts, difficulty: int) -> int:
    """The default maximum number of iterations at a difficulty; see `Examination`."""
    shapes = get_task(facts.task).shapes
    # Instances of some tasks are all of one size.
    grows = shapes(difficulty) != shapes(facts.difficulty)
    return budget_of_size(model, facts, (difficulty / facts.difficulty) ** input_shape(facts.task)[1] if grows else 1.0)


def budget_of_size(model: ThinkingNet, facts: ModelFacts, positions: float) -> int:
    """The default maximum number of iterations for instances with `positions` times as many positions as in training;
    no more than a feed-forward net has.
    """
    most = round(facts.max_iterations * max(positions, OVERTHINKING[-1]))
    return most if model.depth is None else min(most, model.depth)


def _grid_positions(model: ThinkingNet, spec: DataSpec) -> int:
    """Positions of an instance that have features of their own."""
    return math.prod(get_task(spec.task).shapes(spec.difficulty)[1]) // int(model.patch**model.dimensions)


def _default_items(model: ThinkingNet, positions: int, iterations: int) -> int:
    # Typically a third of the iterations are used.
    work = model.count_parameters() / (model.depth or 1) * positions * iterations / 3
    return int(min(max(_DEFAULT_WORK / work, _ITEMS_RANGE[0]), _ITEMS_RANGE[1]))


def examine_difficulty(
    model: ThinkingNet, facts: ModelFacts, examination: Examination, difficulty: int, *, progress: bool = True
) -> tuple[Items, Tested]:
    """Evaluate a net at one difficulty; `iterations_rule` says how the exit's iteration was chosen.

    Raises:
        ValueError: a difficulty, variant, split or exit that does not exist; a task that is not the net's.
        NotEnoughInstancesError: the split holds no instance.
    """
    check_task(facts, examination.task)
    rules = get_task(examination.task).answers
    iterations = examination.iterations or thinking_budget(model, facts, difficulty)
    spec = examination.spec(difficulty)
    positions = _grid_positions(model, spec)
    num_items = examination.num_items(difficulty) or _default_items(model, positions, iterations)
    items = Items(spec, num_items, examination.place)
    config = EvaluationConfig(
        max_iterations=iterations,
        exit_rule=_EXITS[examination.exit_rule],
        batch_size=max(1, min(_BATCH_POSITIONS[examination.device] // positions, -(-num_items // examination.threads))),
        stop_when_settled=not examination.run_all,
        min_iterations=min(iterations, OVERTHINKING[-1] * facts.max_iterations),
        threads=examination.threads,
        precision=examination.precision,
    )
    label = f"{get_task(spec.task).difficulty_name} {difficulty}"
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
    tally = Tally(get_task(spec.task), difficulty)
    evaluation = evaluate(
        model,
        items,
        rules,
        config,
        progress=progress,
        description=label,
        on_answers=lambda part, answers: tally.add(items.instances(part), answers.numpy()),
    )
    reason = {
        "last": "the last of those run",
        "validation": f"the first that is best on {num_items:,} items of the validation split",
    }.get(examination.exit_rule)
    evaluation = replace(evaluation, iterations_rule=evaluation.iterations_rule + (f", {reason}" if reason else ""))
    return items, Tested(spec=spec, evaluation=evaluation, tally=tally)


def examine(
    model: ThinkingNet, facts: ModelFacts, examination: Examination, *, progress: bool = True
) -> Iterator[Result]:
    """Evaluate a net at every difficulty of an examination, easy ones first.

    Yields:
        The result so far, after each difficulty; the last one is complete.

    Raises:
        ValueError, NotEnoughInstancesError: as `examine_difficulty`, before anything is run.
    """
    check_task(facts, examination.task)
    for difficulty in examination.difficulties:
        Items(examination.spec(difficulty), 1, examination.place)
    model = model.to(examination.device)
    tested_on = f"{describe_device(examination.device, examination.threads)}, {examination.precision}"
    tested: list[Tested] = []
    manifest = []
    for difficulty in sorted(examination.difficulties):
        items, at_difficulty = examine_difficulty(model, facts, examination, difficulty, progress=progress)
        tested.append(at_difficulty)
        manifest.append(items.manifest_entry())
        sha256 = manifest_sha256(manifest)
        yield to_result(model, facts, tested, data_manifest_sha256=sha256, tested_on=tested_on)


def to_result(
    model: ThinkingNet,
    facts: ModelFacts,
    tested: Sequence[Tested],
    *,
    data_manifest_sha256: str,
    tested_on: str,
) -> Result:
    """The leaderboard's result of a net and its tests, which must have one split and seed."""
    spec = tested[0].spec
    return Result(
        method="deep_thinking",
        preset=facts.preset,
        task=spec.task,
        trained_on=_config_of(facts),
        commit=source_commit(),
        package_version=__version__,
        data_manifest_sha256=data_manifest_sha256,
        seed=facts.seed,
        split=spec.split,
        data_seed=spec.seed,
        parameters=model.count_parameters(),
        trained_iterations=facts.max_iterations,
        device=f"trained on {facts.device}; tested on {tested_on}",
        training_seconds=facts.training_seconds,
        evaluation_seconds=round(sum(each.evaluation.seconds for each in tested), 1),
        iterations_rule=_join_rules({each.spec.difficulty: each.evaluation for each in tested}),
        scores=[each.score(model) for each in tested],
    )


def _config_of(facts: ModelFacts) -> str:
    return config_name(facts.task, facts.difficulty, facts.variant)


def _join_rules(evaluations: Mapping[int, Evaluation]) -> str:
    """Join the iteration rules: in one sentence, if only the maximum number of iterations differs by difficulty."""
    general = {each.iterations_rule.replace(str(each.max_iterations), "{most}") for each in evaluations.values()}
    if len(general) > 1:
        return "; ".join(f"{difficulty}: {each.iterations_rule}" for difficulty, each in evaluations.items())
    at: dict[int, list[str]] = {}
    for difficulty, each in evaluations.items():
        at.setdefault(each.max_iterations, []).append(str(difficulty))
    shown = ", ".join(
        str(number) if len(at) == 1 else f"{number} (at {' '.join(difficulties)})"
        for number, difficulties in at.items()
    )
    return general.pop().replace("{most}", shown)


def load_for(name: str, task: str, device: str = "cpu") -> tuple[ThinkingNet, ModelFacts]:
    """Load a net for a task; "" for any task.

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

    Threads wait for each other at every layer, which takes longer than the computation of a narrow net.
    """
    if threads is None:
        threads = 1 if width < _WIDE else torch.get_num_threads()
    torch.set_num_threads(threads)
    return threads


def count_macs(model: ThinkingNet, input_shape: Sequence[int], iterations: float) -> float:
    """Multiply-accumulates of the weights for one item, which is answered once, after the last iteration.

    For a cellular net this is an upper bound: as if every position were a cell and computed in every iteration.

    Args:
        model: the net.
        input_shape: (channels, *size) of the item.
        iterations: how many, at least 0; a mean over items need not be whole.
    """
    if isinstance(model, CellularNet):
        positions = math.prod(side // model.patch + (model.patch > 1) for side in input_shape[1:])
        used = [sum(layer.weight.numel() for layer in layers) for layers in model.layers_by_use()]
        return positions * (used[0] + used[1] * iterations)
    # Tensors without values: nothing is computed, so a maze of size 801 costs no more than one of size 9.
    empty = copy.deepcopy(model).to("meta")
    x = torch.empty((1, *input_shape), device="meta")
    # Not in inference mode, where PyTorch 2.4 counts nothing.
    with torch.no_grad():
        state = empty.initial_state(x)
        once = _macs(lambda: (empty.initial_state(x), empty.iteration(x), empty.read_out(state)))
        iterate = empty.iteration(x)
        each = _macs(lambda: iterate(state, 0))
    return once + each * iterations


def _macs(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    operations: int = counter.get_total_flops()
    return operations / 2
