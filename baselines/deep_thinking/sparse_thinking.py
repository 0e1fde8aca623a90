"""Evaluation of a cellular net only where something changes, with the same counts as by `run_batch`."""

import copy
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.cellular import Cells, CellularNet
from easy_to_hard.baselines.deep_thinking.cellular_kernel import Array, Rule, Scene, Thought, begin, iterate
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig, Tracker
from easy_to_hard.baselines.deep_thinking.net import NUM_CLASSES
from easy_to_hard.tasks import AnswerRules

# Iterations between two updates of the progress bar.
_AT_A_TIME: Final = 256
# The search for cycles cannot tell finer states apart.
_FINEST_LEVELS: Final = 2**20


def thinks_sparsely(model: CellularNet, inputs: Tensor, rules: AnswerRules, settings: EvaluationConfig) -> bool:
    """Whether `think_sparsely` can evaluate a net.

    It needs a CPU, rounded states in float32, answers that depend on a position's own cell alone, and another exit than
    "max_confidence".
    """
    exact = 0 < model.levels <= _FINEST_LEVELS and settings.precision == "float32"
    return inputs.device.type == "cpu" and exact and rules.local and settings.exit_rule != "max_confidence"


def _as_float64(weights: Tensor) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.ascontiguousarray(weights.detach().double().numpy())
    return values


def rule_of(model: CellularNet) -> Rule:
    """The weights of a net in the form that the kernel needs."""
    # In the order of `pixel_shuffle`: a class's pixels are adjacent.
    head, head_bias = (_as_float64(part).reshape(NUM_CLASSES, -1, *part.shape[1:]) for part in model.head.parameters())
    return Rule(
        look=_as_float64(model.look.weight.T.reshape(-1, model.width, model.hidden)),
        change=_as_float64(model.change.weight.T),
        bias=_as_float64(model.change.bias),
        levels=float(model.levels),
        head=head[1] - head[0],
        head_bias=head_bias[1] - head_bias[0],
    )


def scene_of(model: CellularNet, x: Tensor, targets: Tensor) -> tuple[Cells, Scene]:
    """The cells of one input (1, channels, *size), also with its targets (1, *size) in the form the kernel needs."""
    cells = model.cells(x)
    patches = cells.rows(model.patches(targets[:, None].float()))
    told = cells.told.double() + model.look.bias.double()
    return cells, Scene(
        neighbors=cells.neighbors.numpy(),
        told=_as_float64(told),
        targets=patches.to(torch.uint8).numpy(),
    )


def think_sparsely(
    model: CellularNet,
    inputs: Tensor,
    targets: Tensor,
    rules: AnswerRules,
    settings: EvaluationConfig,
    update: Callable[[int], object],
    keep_answers: bool,
) -> Tracker:
    """Evaluate a batch as `run_batch` does, item by item, computing each cell only while something changes around it.

    The states are those of `CellularNet.iteration` in float64.
    """
    rule, courses = rule_of(model), []
    for item in range(len(inputs)):
        x, y = inputs[item : item + 1], targets[item : item + 1]
        if len(inputs) == 1:
            courses.append(_think(model, rule, x, y, rules, settings, update))
        else:
            # The batch's progress is the share of its items that are done.
            courses.append(_think(model, rule, x, y, rules, settings, lambda _: update(0)))
            update(settings.max_iterations // len(inputs))
    longest = max(len(course.exact) for course in courses)
    length = max(longest, min(settings.min_iterations, settings.max_iterations))
    if not settings.stop_when_settled:
        length = settings.max_iterations
    tracker = Tracker(len(inputs), inputs.device, settings, keep_answers)
    tracker.add_all(
        np.stack([_held(course.exact, length) for course in courses]),
        np.stack([_held(course.confidence, length) for course in courses]),
        np.array([course.settled_at for course in courses]),
        torch.cat([course.answers for course in courses]),
    )
    return tracker


class _Course(NamedTuple):
    """The evaluation of one item.

    Attributes:
        exact: (iterations,) bool, whether the answer is right after each iteration.
        confidence: (iterations,) float64, its confidence after each iteration.
        settled_at: the first iteration after which nothing changes, 0 for none.
        answers: (1, *size) uint8, at the iteration that counts.
    """

    exact: Array
    confidence: Array
    settled_at: int
    answers: Tensor


def _think(
    model: CellularNet,
    rule: Rule,
    x: Tensor,
    targets: Tensor,
    rules: AnswerRules,
    settings: EvaluationConfig,
    update: Callable[[int], object],
) -> _Course:
    """Think about one item until nothing changes, or as long as allowed."""
    cells, scene = scene_of(model, x, targets)
    thought = begin(rule, scene)
    right_elsewhere = _right_elsewhere(model, cells, x, targets, rules)
    wrong, confidence = [], []
    done, due, answers = 0, len(scene.neighbors), None
    # If every iteration or a fixed one is wanted, cycles are run too.
    stop_at_cycles = settings.stop_when_settled and settings.exit_rule == "settled"
    # An input without cells has one iteration, in which nothing happens.
    while not done or (due and done < settings.max_iterations):
        # The answer of the exit "fixed" is taken on the way.
        ahead = settings.last_exit - done if done < settings.last_exit else settings.max_iterations - done
        counts, certainties = np.empty(min(_AT_A_TIME, ahead), np.int64), np.empty(min(_AT_A_TIME, ahead))
        ran, due = iterate(thought, due, rule, scene, counts, certainties, stop_at_cycles)
        if not ran:
            counts[0], certainties[0], ran = 0, 0.0, 1
        wrong.append(counts[:ran])
        confidence.append(certainties[:ran])
        done += ran
        update(ran)
        if done == settings.last_exit and settings.exit_rule == "fixed":
            answers = _answers(model, cells, thought, x, rules)
    return _Course(
        exact=(np.concatenate(wrong) == 0) & right_elsewhere,
        confidence=np.concatenate(confidence),
        settled_at=0 if due else done,
        answers=_answers(model, cells, thought, x, rules) if answers is None else answers,
    )


def _answers(model: CellularNet, cells: Cells, thought: Thought, x: Tensor, rules: AnswerRules) -> Tensor:
    """The answers (1, *size) uint8, from the states in float64."""
    states = cells.grids(torch.from_numpy(thought.states))
    return rules.decode(copy.deepcopy(model).double().read_out(states), x).to(torch.uint8)


def _right_elsewhere(model: CellularNet, cells: Cells, x: Tensor, targets: Tensor, rules: AnswerRules) -> bool:
    """Whether the answers are right where there are no cells, so that nothing ever changes."""
    answers = rules.decode(model.read_out(model.initial_state(x)), x)
    held = cells.places[:, None].expand(-1, model.patch**model.dimensions, *cells.places.shape[1:])
    return bool(((answers == targets) | model.pixels(held.float())[:, 0].bool()).all())


def _held(values: Array, length: int) -> Array:
    """Values at iterations 1, 2, ..., extended to a length by repeating the last one."""
    return np.concatenate([values, np.full(length - len(values), values[-1])])
