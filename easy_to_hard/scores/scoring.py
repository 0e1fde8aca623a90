"""Scores: exact match, its confidence interval, and the other checks of answers."""

import math
from collections import Counter
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.tasks import Instances, Task


def exact_match(predictions: ArrayLike, targets: ArrayLike) -> NDArray[np.bool_]:
    """Which items are right at every position.

    Args:
        predictions: (num_items, *size).
        targets: (num_items, *size).

    Returns:
        (num_items,) bool.

    Raises:
        ValueError: the shapes differ, or there is no item.
    """
    predicted, wanted = np.asarray(predictions), np.asarray(targets)
    if predicted.shape != wanted.shape:
        raise ValueError(f"predictions of shape {predicted.shape} do not fit targets of shape {wanted.shape}")
    if wanted.ndim == 0 or len(wanted) == 0:
        raise ValueError(f"there must be at least one item, not an array of shape {wanted.shape}")
    matches: NDArray[np.bool_] = (predicted == wanted).reshape(len(wanted), -1).all(axis=1)
    return matches


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927, JASA 22, 209-212).

    Args:
        correct: successes, from 0 to `total`.
        total: trials, at least 1.
        confidence: between 0 and 1, exclusive.

    Returns:
        ``(low, high)`` with 0 <= low <= correct / total <= high <= 1.

    Raises:
        ValueError: an argument outside its range.
    """
    if total < 1:
        raise ValueError(f"total must be at least 1, not {total}")
    if not 0 <= correct <= total:
        raise ValueError(f"correct must be from 0 to {total}, not {correct}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / total
    center = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # Rounding must not push an end past the share itself, or outside [0, 1].
    return min(max((center - spread) / scale, 0.0), share), max(min((center + spread) / scale, 1.0), share)


class Tally:
    """Counts the correct answers to a task at one difficulty, batch by batch.

    Args:
        task: the task whose answers are counted.
        difficulty: of the instances.

    Attributes:
        num_items: answers so far.
        num_correct: how many are right at every position.
        checks: name -> how many pass that check (`Task.judge`).
    """

    def __init__(self, task: Task, difficulty: int) -> None:
        self._task, self._difficulty = task, difficulty
        self._positions = self._right_positions = 0
        self.num_items = self.num_correct = 0
        self.checks: Counter[str] = Counter()

    def add(self, instances: Instances, predictions: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Count a batch.

        Args:
            instances: N of them.
            predictions: (N, *target shape) uint8 in {0, 1}.

        Returns:
            (N,) bool, which are right at every position.

        Raises:
            ValueError: the predictions have a different shape.
        """
        inputs, targets = self._task.encode(instances.data, self._difficulty, None)
        exact = exact_match(predictions, targets)
        right = predictions == targets
        counted = self._task.open_positions(inputs)
        self._positions += right.size if counted is None else int(counted.sum())
        self._right_positions += int((right if counted is None else right & counted).sum())
        for name, passed in self._task.judge(instances, predictions, self._difficulty).items():
            self.checks[name] += int(passed.sum())
        self.num_items += len(exact)
        self.num_correct += int(exact.sum())
        return exact

    @property
    def cell_accuracy(self) -> float:
        """Share, in [0, 1], of positions answered right, not counting those whose answer is plain from the input."""
        return self._right_positions / self._positions
