"""A cellular automaton computed only where something changes: the same states as computing all cells, with less work.

A cell around which nothing changed in one iteration stays as it is in the next. States are multiples of a step
(`CellularNet.levels`), so most of them soon become exactly constant. Sums are in float64 and in a fixed order for each
cell: it makes no difference which other cells are skipped.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.kernels import kernel

Array = NDArray[Any]


class Rule(NamedTuple):
    """The weights of the rule that every cell applies.

    Attributes:
        look: (neighbors, width, hidden) float64, from the states around to the hidden layer.
        change: (hidden, width) float64, from the hidden layer to what is added to the state.
        bias: (width,) float64, added to that.
        levels: states are rounded to multiples of 1 / levels; 0 for no rounding.
        head: (pixels, width) float64, from the state to the surplus of class 1's logit at a cell's pixels.
        head_bias: (pixels,) float64.
    """

    look: Array
    change: Array
    bias: Array
    levels: float
    head: Array
    head_bias: Array


class Scene(NamedTuple):
    """The cells of one input.

    Attributes:
        neighbors: (num_cells, n) int64, the cells around each cell, including itself; num_cells where there is none.
        told: (num_cells, hidden) float64, the share of input and bias in the hidden layer.
        targets: (num_cells, pixels) uint8, the right answers.
    """

    neighbors: Array
    told: Array
    targets: Array


class Thought(NamedTuple):
    """The current state of all cells; everything is overwritten.

    Attributes:
        states: (num_cells, width) float64.
        wrong: (num_cells,) int64, number of pixels that are wrong now.
        certainty: (num_cells,) float64, sum over a cell's pixels of the larger class probability.
        due: (num_cells,) int64, with the cells to compute first.
        moved: (num_cells,) int64, a buffer for the cells that have changed.
        following: (num_cells, width) float64, a buffer for the new states of the cells to compute.
        marked: (num_cells,) bool, all False between iterations.
        answers: (num_cells,) int64, the answer at each pixel of a cell as one bit.
        calm: (1,) int64, number of iterations since an answer last changed.
    """

    states: Array
    wrong: Array
    certainty: Array
    due: Array
    moved: Array
    following: Array
    marked: Array
    answers: Array
    calm: Array


def begin(rule: Rule, scene: Scene) -> Thought:
    """The start: all states 0, all cells due."""
    num_cells, width = len(scene.neighbors), len(rule.bias)
    thought = Thought(
        states=np.zeros((num_cells, width)),
        wrong=np.zeros(num_cells, np.int64),
        certainty=np.zeros(num_cells),
        due=np.arange(num_cells),
        moved=np.zeros(num_cells, np.int64),
        following=np.zeros((num_cells, width)),
        marked=np.zeros(num_cells, np.bool_),
        answers=np.zeros(num_cells, np.int64),
        calm=np.zeros(1, np.int64),
    )
    read_all(thought, rule, scene)
    return thought


@kernel
def iterate(
    thought: Thought,
    num_due: int,
    rule: Rule,
    scene: Scene,
    wrong_counts: Array,
    certainties: Array,
    most_calm: int,
) -> tuple[int, int]:
    """Iterate `len(wrong_counts)` times, or until all cells are at rest.

    They are if no cell is due, or if no answer has changed for some iterations. One more iteration then counts as done,
    in which nothing changes.

    Args:
        thought: from `begin`, or as an earlier call left it.
        num_due: how many of `thought.due` are to be computed first.
        rule: that every cell applies.
        scene: the cells.
        wrong_counts: (iterations,) int64, filled with the number of wrong pixels after each iteration.
        certainties: (iterations,) float64, filled with the sum of `thought.certainty` after each iteration.
        most_calm: how many iterations without a new answer are enough to be at rest.

    Returns:
        The number of iterations done, and the number of cells due in the next one, 0 at rest.
    """
    hidden = np.empty(len(rule.change))
    num_wrong, certainty = thought.wrong.sum(), thought.certainty.sum()
    done = 0
    while done < len(wrong_counts) and num_due > 0:
        if thought.calm[0] >= most_calm:
            num_due = 0
        changed = False
        for place in range(num_due):
            _follow(thought.due[place], thought.following[place], hidden, thought.states, rule, scene)
        num_moved = 0
        for place in range(num_due):
            cell = thought.due[place]
            if np.any(thought.states[cell] != thought.following[place]):
                thought.states[cell] = thought.following[place]
                thought.moved[num_moved] = cell
                num_moved += 1
                num_wrong -= thought.wrong[cell]
                certainty -= thought.certainty[cell]
                earlier = thought.answers[cell]
                _read_out(cell, thought, rule, scene.targets[cell])
                num_wrong += thought.wrong[cell]
                certainty += thought.certainty[cell]
                changed |= thought.answers[cell] != earlier
        wrong_counts[done], certainties[done] = num_wrong, certainty
        done += 1
        num_due = _spread(thought, num_moved, scene)
        thought.calm[0] = 0 if changed else thought.calm[0] + 1
    return done, num_due


@kernel
def _follow(cell: int, following: Array, hidden: Array, states: Array, rule: Rule, scene: Scene) -> None:
    """Compute a cell's state after the next iteration, into `following`."""
    hidden[:] = scene.told[cell]
    for side in range(scene.neighbors.shape[1]):
        neighbor = scene.neighbors[cell, side]
        if neighbor == len(states):
            continue
        for channel in range(states.shape[1]):
            value = states[neighbor, channel]
            for unit in range(len(hidden)):
                hidden[unit] += value * rule.look[side, channel, unit]
    following[:] = rule.bias
    for unit in range(len(hidden)):
        value = hidden[unit]
        if value > 0:
            for channel in range(len(following)):
                following[channel] += value * rule.change[unit, channel]
    for channel in range(len(following)):
        value = min(max(states[cell, channel] + following[channel], -1.0), 1.0)
        following[channel] = np.rint(value * rule.levels) / rule.levels if rule.levels > 0 else value


@kernel
def _read_out(cell: int, thought: Thought, rule: Rule, targets: Array) -> None:
    """Store a cell's answers, how many of them are wrong, and how certain it is."""
    state = thought.states[cell]
    wrong, certainty, answers = 0, 0.0, 0
    for pixel in range(len(targets)):
        surplus = rule.head_bias[pixel]
        for channel in range(len(state)):
            surplus += state[channel] * rule.head[pixel, channel]
        answers = 2 * answers + (surplus > 0)
        wrong += (surplus > 0) != (targets[pixel] > 0)
        certainty += 1 / (1 + np.exp(-abs(surplus)))
    thought.wrong[cell], thought.certainty[cell], thought.answers[cell] = wrong, certainty, answers


@kernel
def read_all(thought: Thought, rule: Rule, scene: Scene) -> None:
    """Read the answers of all cells again, after their states have been overwritten."""
    for cell in range(len(thought.wrong)):
        _read_out(cell, thought, rule, scene.targets[cell])


@kernel
def _spread(thought: Thought, num_moved: int, scene: Scene) -> int:
    """Make the cells due that see a cell that has changed; returns how many."""
    num_due = 0
    for place in range(num_moved):
        for neighbor in scene.neighbors[thought.moved[place]]:
            if neighbor < len(thought.marked) and not thought.marked[neighbor]:
                thought.marked[neighbor] = True
                thought.due[num_due] = neighbor
                num_due += 1
    for place in range(num_due):
        thought.marked[thought.due[place]] = False
    return num_due
