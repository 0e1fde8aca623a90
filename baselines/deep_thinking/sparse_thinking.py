"""Evaluation of a cellular net only where something changes, with the same counts as by `run_batch`."""

import copy
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.cellular import Cells, CellularNet
from easy_to_hard.baselines.deep_thinking.cellular_kernel import Array, Rule, Scene, Thought, begin, iterate, read_all
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig, Tracker
from easy_to_hard.baselines.deep_thinking.net import NUM_CLASSES
from easy_to_hard.baselines.deep_thinking.rest import CALM_ITERATIONS, SHAKE_ITERATIONS, shake_noise
from easy_to_hard.tasks import AnswerRules

# Iterations between two updates of the progress bar.
_AT_A_TIME: Final = 256


def thinks_sparsely(model: CellularNet, inputs: Tensor, rules: AnswerRules, settings: EvaluationConfig) -> bool:
    """Whether `think_sparsely` can evaluate a net.

    It needs a CPU, rounded states in float32, answers that depend on a position's own cell alone, and another exit than
    "max_confidence".
    """
    exact = model.levels > 0 and settings.precision == "float32"
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
        settled_at: the iteration at which it came to rest for good, 0 for never.
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
    """Think about one item until it is at rest, or as long as allowed."""
    cells, scene = scene_of(model, x, targets)
    thinking = SparseThinking(rule, scene, model.shakes)
    right_elsewhere = _right_elsewhere(model, cells, x, targets, rules)
    wrong, confidence = [], []
    done, answers = 0, None
    # An input without cells has one iteration, in which nothing happens.
    while not done or (thinking.due and done < settings.max_iterations):
        # The answer of the exit "fixed" is taken on the way.
        ahead = settings.last_exit - done if done < settings.last_exit else settings.max_iterations - done
        counts, certainties = thinking.iterate(min(_AT_A_TIME, ahead))
        wrong.append(counts)
        confidence.append(certainties)
        done += len(counts)
        update(len(counts))
        if done == settings.last_exit and settings.exit_rule == "fixed":
            answers = _answers(model, cells, thinking.thought, x, rules)
    return _Course(
        exact=(np.concatenate(wrong) == 0) & right_elsewhere,
        confidence=np.concatenate(confidence),
        settled_at=0 if thinking.due else done,
        answers=_answers(model, cells, thinking.thought, x, rules) if answers is None else answers,
    )


class SparseThinking:
    """One input's states, from iteration to iteration; those of `CellularNet.iteration` in float64.

    Args:
        rule: that every cell applies.
        scene: the cells.
        shakes: see `CellularNet`.

    Attributes:
        thought: the states now.
        due: number of cells to compute next, 0 at rest.
    """

    def __init__(self, rule: Rule, scene: Scene, shakes: int) -> None:
        self.thought = begin(rule, scene)
        self.due = len(scene.neighbors)
        self._rule, self._scene, self._shakes = rule, scene, shakes
        self._shaken, self._noisy = 0, 0

    def iterate(self, most: int) -> tuple[Array, Array]:
        """Iterate at most so many times, at least once.

        Returns:
            After each iteration, the number of wrong pixels, (iterations,) int64, and the sum of the cells' certainty,
            (iterations,) float64.
        """
        if not self.due:
            return np.array([self.thought.wrong.sum()]), np.array([self.thought.certainty.sum()])
        length = 1 if self._noisy else most
        counts, certainties = np.empty(length, np.int64), np.empty(length)
        ran, self.due = iterate(self.thought, self.due, self._rule, self._scene, counts, certainties, CALM_ITERATIONS)
        if not self.due and not self._noisy and self._shaken < self._shakes:
            self._shaken, self._noisy = self._shaken + 1, SHAKE_ITERATIONS
        if self._noisy:
            self._shake()
            counts[ran - 1], certainties[ran - 1] = self.thought.wrong.sum(), self.thought.certainty.sum()
        return counts[:ran], certainties[:ran]

    def _shake(self) -> None:
        """Add noise to all states; all cells are due then."""
        thought, levels = self.thought, self._rule.levels
        noise = shake_noise(self._shaken - 1, SHAKE_ITERATIONS - self._noisy, *thought.states.shape)
        thought.states[:] = np.clip(thought.states + np.rint(noise * levels) / levels, -1, 1)
        thought.due[:] = np.arange(len(thought.due))
        thought.calm[:] = 0
        read_all(thought, self._rule, self._scene)
        self.due = len(thought.due)
        self._noisy -= 1


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
