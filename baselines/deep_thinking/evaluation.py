"""Accuracy at every iteration, in memory that does not grow with the iterations.

Which iteration's answer counts is decided without a look at the targets: an item's answer is the one at which
its features *settle*. A net trained with recall and the progressive loss (Bansal et al. 2022, arXiv 2202.05826)
often runs into a fixed point, where further iterations change nothing; not every seed does, and an item that
never settles is answered at the last iteration. The whole curve, and its peak, are reported beside it; the peak
looks at targets, so it measures over-thinking and is not a score.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from tqdm import tqdm

from easy_to_hard.baselines.deep_thinking.model import RecurrentNet
from easy_to_hard.baselines.deep_thinking.training import corridor_mask

Decode = Callable[[Tensor, Tensor], Tensor]

# Where there is a fixed point, float32 features on it still move by about 1e-7 of their size.
SETTLED_CHANGE: Final = 1e-4
ITERATIONS_RULE: Final = (
    "each item's first iteration whose largest change of a feature is at most {settled_change:g} of the item's "
    "largest feature, or else the last of {max_iterations}; targets are not looked at"
)


def most_likely_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """Predictions (batch, *size) int64: the larger of the logits (batch, 2, *size) at each position."""
    del inputs
    # As argmax over the two, and much faster on a CPU.
    return (logits[:, 1] > logits[:, 0]).long()


def most_likely_corridor_class(logits: Tensor, inputs: Tensor) -> Tensor:
    """For mazes: as `most_likely_class`, and 0 on walls (inputs (batch, 3, H, W) all 0)."""
    return most_likely_class(logits, inputs) * corridor_mask(inputs)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How many items were answered exactly.

    Attributes:
        num_items: items evaluated.
        num_correct: items right at the iteration that the rule chose.
        num_settled: items whose features settled within the iterations that were run.
        mean_iterations: mean of the chosen iterations.
        last_iteration: the largest of the chosen iterations.
        correct: correct[t - 1] items were right after iteration t; its length is the iterations run.
        iterations_rule: how the iteration was chosen, in words.
        seconds: wall time.
    """

    num_items: int
    num_correct: int
    num_settled: int
    mean_iterations: float
    last_iteration: int
    correct: tuple[int, ...]
    iterations_rule: str
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of items right at the chosen iteration, in [0, 1]."""
        return self.num_correct / self.num_items

    @property
    def curve(self) -> tuple[float, ...]:
        """Accuracy after iterations 1, 2, ..., each in [0, 1]."""
        return tuple(count / self.num_items for count in self.correct)

    @property
    def peak_accuracy(self) -> float:
        """The curve's maximum; it looks at targets, so it is no score."""
        return max(self.correct) / self.num_items

    @property
    def peak_iteration(self) -> int:
        """The first iteration at which the peak is reached, from 1; it looks at targets."""
        return self.correct.index(max(self.correct)) + 1


@dataclass(frozen=True)
class _BatchResult:
    """Of one batch: correct (iterations,) counts, and (batch,) chosen iterations, right there, settled."""

    correct: list[int]
    chosen: Tensor
    right: Tensor
    settled: Tensor


def _relative_change(state: Tensor, previous: Tensor) -> Tensor:
    """Largest absolute change of a feature over the largest feature, both at least 0: (batch,) float.

    It is the largest and not the mean, so that it does not fade with the size of the input.
    """
    return (state - previous).abs_().flatten(1).amax(dim=1) / state.flatten(1).amax(dim=1)


def _evaluate_batch(
    model: RecurrentNet,
    inputs: Tensor,
    targets: Tensor,
    decode: Decode,
    max_iterations: int,
    settled_change: float,
    stop_when_settled: bool,
    bar: "tqdm[Any]",
) -> _BatchResult:
    """Run one batch; what is kept is one count an iteration and three numbers an item."""
    correct: list[int] = []
    settled = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    right = settled.clone()
    chosen = torch.full((len(inputs),), max_iterations, device=inputs.device)
    previous = model.initial_state(inputs)
    for iteration, state in enumerate(model.states(previous, inputs, max_iterations), start=1):
        exact = (decode(model.read_out(state), inputs) == targets).flatten(1).all(dim=1)
        correct.append(int(exact.sum()))
        right = torch.where(settled, right, exact)
        settles = ~settled & (_relative_change(state, previous) <= settled_change)
        chosen[settles] = iteration
        settled |= settles
        previous = state
        bar.update()
        if stop_when_settled and bool(settled.all()):
            break
    bar.update(max_iterations - len(correct))
    return _BatchResult(correct, chosen, right, settled)


def _add_counts(batches: list[list[int]]) -> tuple[int, ...]:
    """Sum of the batches' counts at each iteration; a batch that stopped early keeps its last count."""
    longest = max(len(counts) for counts in batches)
    held = [counts + counts[-1:] * (longest - len(counts)) for counts in batches]
    return tuple(sum(counts) for counts in zip(*held, strict=True))


def _slices(num_items: int, batch_size: int) -> Iterator[slice]:
    for start in range(0, num_items, batch_size):
        yield slice(start, start + batch_size)


def evaluate(
    model: RecurrentNet,
    inputs: Tensor,
    targets: Tensor,
    *,
    max_iterations: int,
    batch_size: int = 100,
    decode: Decode = most_likely_class,
    settled_change: float = SETTLED_CHANGE,
    stop_when_settled: bool = False,
    threads: int | None = None,
    progress: bool = True,
    description: str = "evaluating",
) -> Evaluation:
    """Count the exactly right answers after every iteration.

    Args:
        model: the net; its device is used.
        inputs: (num_items, channels, *size) float.
        targets: (num_items, *size) int64.
        max_iterations: how many iterations to run, at least 1.
        batch_size: items at a time, at least 1.
        decode: logits (batch, 2, *size), inputs -> predictions (batch, *size).
        settled_change: an item has settled when its features change by at most this share, at least 0.
        stop_when_settled: leave a batch when all its items have settled, and take its last count as that of
            the later iterations. Saves time; False runs every iteration.
        threads: batches evaluated at a time on a CPU, each by one thread; None for one batch by as many threads
            as torch is set to. Threads that share a batch wait for each other at every layer, so on a machine
            that does anything else besides they are many times slower.
        progress: whether to show a progress bar.
        description: its label.

    Raises:
        ValueError: no items, not as many targets as inputs, or a number outside the ranges above.
    """
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(f"there must be as many targets as inputs, not {len(targets)} for {len(inputs)}")
    counts = {"max_iterations": max_iterations, "batch_size": batch_size, "threads": 1 if threads is None else threads}
    for name, size in counts.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
    if settled_change < 0:
        raise ValueError(f"settled_change must be at least 0, not {settled_change}")
    device = next(model.parameters()).device
    started = time.perf_counter()
    parts = list(_slices(len(inputs), batch_size))
    total = len(parts) * max_iterations
    bar: tqdm[Any] = tqdm(total=total, desc=description, unit=" iterations", disable=not progress)

    def run(part: slice) -> _BatchResult:
        if threads is not None:
            torch.set_num_threads(1)
        with torch.inference_mode():
            return _evaluate_batch(
                model,
                inputs[part].to(device),
                targets[part].to(device),
                decode,
                max_iterations,
                settled_change,
                stop_when_settled,
                bar,
            )

    with bar:
        if threads is None:
            results = [run(part) for part in parts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                results = list(pool.map(run, parts))
    chosen = torch.cat([result.chosen for result in results])
    return Evaluation(
        num_items=len(inputs),
        num_correct=sum(int(result.right.sum()) for result in results),
        num_settled=sum(int(result.settled.sum()) for result in results),
        mean_iterations=float(chosen.double().mean()),
        last_iteration=int(chosen.max()),
        correct=_add_counts([result.correct for result in results]),
        iterations_rule=ITERATIONS_RULE.format(settled_change=settled_change, max_iterations=max_iterations),
        seconds=time.perf_counter() - started,
    )
