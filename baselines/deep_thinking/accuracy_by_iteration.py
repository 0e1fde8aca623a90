"""Accuracy at every iteration, in memory that grows by two numbers per iteration instead of by outputs.

Which iteration's answer counts is decided without looking at the test targets, by one of three exits:

- "settled" (the default): an item's answer is the one at which its features stop changing. A net trained with recall
  and the progressive loss (Bansal et al. 2022, arXiv 2202.05826) often reaches a fixed point; an item that never
  settles is answered at the last iteration.
- "max_confidence": the most confident answer so far, the sum over cells of the larger class probability (Schwarzschild
  et al. 2021, arXiv 2106.04537).
- "fixed": the same iteration for all items, which may be chosen on validation data (`peak_iteration`).

The whole curve, its peak, and the first iteration with the right answer are also reported: they use the targets, so
they measure overthinking and are not scores.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig, Tracker
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.sparse_thinking import think_sparsely, thinks_sparsely
from easy_to_hard.baselines.kit.precision import autocast
from easy_to_hard.datasets.items import slices
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.progress import progress_bar
from easy_to_hard.scores.scoring import wilson_interval
from easy_to_hard.tasks import AnswerRules

# Iterations between checks on a GPU whether all items have settled, since a check waits for the GPU.
_GPU_CHECK_EVERY: Final = 32


class ItemSource(Protocol):
    """Items to test on: a slice of them gives inputs (items, channels, *size) and targets (items, *size)."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> tuple[Tensor, Tensor]: ...


class TensorItems:
    """Items from tensors.

    Args:
        inputs: (num_items, channels, *size) float.
        targets: (num_items, *size) int64.

    Raises:
        ValueError: not as many targets as inputs.
    """

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        if len(inputs) != len(targets):
            raise ValueError(f"there must be as many targets as inputs, not {len(targets)} for {len(inputs)}")
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, part: slice) -> tuple[Tensor, Tensor]:
        return self.inputs[part], self.targets[part]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How many items were answered exactly.

    Attributes:
        num_items: items evaluated.
        num_correct: items right at the iteration that the exit chose.
        max_iterations: the most iterations that were allowed.
        num_settled: items whose features settled within the iterations that were run.
        mean_iterations: mean of the chosen iterations.
        last_iteration: the largest of the chosen iterations.
        correct: correct[t - 1] items were right after iteration t; its length is the number of iterations run.
        confident_correct: the same, with each item answered by its most confident iteration up to t.
        mean_first_solved: mean first right iteration over the items that were ever right; None if none was.
        iterations_rule: how the iteration was chosen, in words.
        seconds: wall time.
    """

    num_items: int
    num_correct: int
    max_iterations: int
    num_settled: int
    mean_iterations: float
    last_iteration: int
    correct: tuple[int, ...]
    confident_correct: tuple[int, ...]
    mean_first_solved: float | None
    iterations_rule: str
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of items right at the chosen iteration, in [0, 1]."""
        return self.num_correct / self.num_items

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % Wilson interval."""
        return wilson_interval(self.num_correct, self.num_items)

    @property
    def curve(self) -> tuple[float, ...]:
        """Accuracy after iterations 1, 2, ..., each in [0, 1]."""
        return tuple(count / self.num_items for count in self.correct)

    @property
    def peak_accuracy(self) -> float:
        """The curve's maximum; it uses targets, so it is not a score."""
        return max(self.correct) / self.num_items

    @property
    def peak_iteration(self) -> int:
        """The first iteration at which the peak is reached, from 1; it uses targets, so use validation data."""
        return self.correct.index(max(self.correct)) + 1

    def accuracy_at(self, iteration: int) -> float:
        """Accuracy after an iteration, counted from 1; beyond the last one run, accuracy after the last.

        Raises:
            ValueError: an iteration below 1.
        """
        check_integer("iteration", iteration, 1)
        return self.correct[min(iteration, len(self.correct)) - 1] / self.num_items


def _judge(
    logits: Tensor, inputs: Tensor, targets: Tensor, mask: Tensor | None, rules: AnswerRules
) -> tuple[Tensor, Tensor, Tensor]:
    """The answers (batch, *size), whether they are right (batch,) bool, and their confidence (batch,) float.

    Confidence is the larger class probability, summed over the cells that count.
    """
    answers = rules.decode(logits, inputs)
    exact = (answers == targets).flatten(1).all(dim=1)
    # The larger of two class probabilities is the sigmoid of the logits' distance.
    certainty = torch.sigmoid((logits[:, 1] - logits[:, 0]).abs().float())
    if mask is not None:
        certainty = certainty * mask
    return answers, exact, certainty.flatten(1).sum(dim=1)


def _relative_change(state: Tensor, previous: Tensor) -> Tensor:
    """Largest absolute change of a feature divided by the largest absolute feature, (batch,) float.

    The largest is used instead of the mean so that it does not shrink with the size of the input.
    """
    largest: Tensor = torch.linalg.vector_norm(state.flatten(1), ord=torch.inf, dim=1)
    # Features that are all 0 have not changed: not 0 / 0.
    return (state - previous).abs_().flatten(1).amax(dim=1) / largest.clamp(min=torch.finfo(largest.dtype).tiny)


def _add_counts(batches: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Sums of the batches' counts at each iteration; a batch that stopped early keeps its last count."""
    longest = max(len(counts) for counts in batches)
    held = [[*counts, *[counts[-1]] * (longest - len(counts))] for counts in batches]
    return tuple(sum(counts) for counts in zip(*held, strict=True))


def run_batch(
    config: EvaluationConfig,
    model: ThinkingNet,
    inputs: Tensor,
    targets: Tensor,
    rules: AnswerRules,
    update: Callable[[int], object],
    keep_answers: bool = False,
) -> Tracker:
    """Run one batch; `update` is called with the number of iterations done since the last call, 1 or more."""
    if isinstance(model, CellularNet) and thinks_sparsely(model, inputs, rules, config):
        return think_sparsely(model, inputs, targets, rules, config, update, keep_answers)
    tracker = Tracker(len(inputs), inputs.device, config, keep_answers)
    mask = None if rules.mask is None else rules.mask(inputs)
    check_every = _GPU_CHECK_EVERY if inputs.is_cuda else 1
    previous = model.initial_state(inputs)
    for iteration, state in enumerate(model.states(previous, inputs, config.max_iterations), start=1):
        answers, exact, confidence = _judge(model.read_out(state), inputs, targets, mask, rules)
        tracker.add(iteration, answers, exact, confidence, _relative_change(state, previous))
        previous = state
        update(1)
        may_stop = config.stop_when_settled and iteration >= config.min_iterations and iteration % check_every == 0
        if may_stop and tracker.all_settled():
            break
    return tracker


def summarize(config: EvaluationConfig, trackers: Sequence[Tracker], seconds: float) -> Evaluation:
    """Combine the trackers of all batches into an evaluation."""

    def joined(values: Callable[[Tracker], Tensor]) -> Tensor:
        return torch.cat([values(tracker) for tracker in trackers]).cpu()

    chosen = joined(Tracker.chosen)
    solved_at = joined(lambda t: t.solved_at)
    solved = solved_at[solved_at > 0]
    return Evaluation(
        num_items=len(chosen),
        num_correct=int(joined(lambda t: t.right[config.exit_rule]).sum()),
        max_iterations=config.max_iterations,
        num_settled=int((joined(lambda t: t.settled_at) > 0).sum()),
        mean_iterations=float(chosen.double().mean()),
        last_iteration=int(chosen.max()),
        correct=_add_counts([torch.stack(t.counts).tolist() for t in trackers]),
        confident_correct=_add_counts([torch.stack(t.confident_counts).tolist() for t in trackers]),
        mean_first_solved=float(solved.double().mean()) if len(solved) else None,
        iterations_rule=config.iterations_rule,
        seconds=seconds,
    )


def evaluate(
    model: ThinkingNet,
    items: ItemSource,
    rules: AnswerRules,
    config: EvaluationConfig,
    *,
    progress: bool = True,
    description: str = "evaluating",
    on_answers: Callable[[slice, Tensor], object] | None = None,
) -> Evaluation:
    """Count exactly right answers after every iteration.

    Args:
        model: the net; its device is used.
        items: what to test on.
        rules: what counts as an answer.
        config: how to evaluate.
        progress: whether to show a progress bar.
        description: the bar's label.
        on_answers: called with each batch's slice of the items and its answers at the iterations that count,
            (batch, *size) uint8 on the CPU; one call at a time, in any order.

    Raises:
        ValueError: no items, or more iterations than a feed-forward net has.
    """
    if len(items) == 0:
        raise ValueError("there must be at least one item to evaluate")
    device = next(model.parameters()).device
    started = time.perf_counter()
    parts = list(slices(len(items), config.batch_size))
    bar = progress_bar(total=len(parts) * config.max_iterations, desc=description, unit="iterations", show=progress)

    stopped = threading.Event()
    one_at_a_time = threading.Lock()

    def run(part: slice) -> Tracker:
        shown = 0

        def update(iterations: int) -> None:
            nonlocal shown
            if stopped.is_set():
                raise KeyboardInterrupt
            shown += iterations
            bar.update(iterations)

        if config.threads is not None:
            torch.set_num_threads(1)
        inputs, targets = (tensor.to(device) for tensor in items[part])
        with torch.inference_mode(), autocast(device, config.precision):
            tracker = run_batch(config, model, inputs, targets, rules, update, on_answers is not None)
        if on_answers is not None and tracker.answers is not None:
            with one_at_a_time:
                on_answers(part, tracker.answers.cpu())
            tracker.answers = None
        bar.update(config.max_iterations - shown)
        return tracker

    model.eval()
    with bar:
        if config.threads is None or device.type != "cpu":
            trackers = [run(part) for part in parts]
        else:
            with ThreadPoolExecutor(config.threads) as pool:
                try:
                    trackers = list(pool.map(run, parts))
                except BaseException:
                    # Otherwise leaving the pool would wait for the remaining batches.
                    stopped.set()
                    pool.shutdown(cancel_futures=True)
                    raise
    return summarize(config, trackers, time.perf_counter() - started)
