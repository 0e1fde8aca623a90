"""Does a net return to its problem when its thinking is disturbed (Bansal et al. 2022, arXiv 2202.05826)?

`perturb` interrupts thinking once, between two iterations: it replaces the net's features by others, or flips a bit of
its input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import ItemSource
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar
from easy_to_hard.tasks import AnswerRules

Kind = Literal["swap", "zero", "noise", "flip"]

# An item has recovered once it is right for this many iterations in a row.
HELD_ITERATIONS: Final = 5


@dataclass(frozen=True, kw_only=True)
class PerturbationConfig:
    """The kind of perturbation, and after how many iterations it happens.

    Attributes:
        kind: what happens. "swap": an item's features are replaced by those of the next item of the batch, its donor
            (the last item's by the first's); "zero": by zeros; "noise": by Gaussian noise of the mean and standard
            deviation of the item's features, clipped at 0 if none of them was below; "flip": the features stay, and one
            bit of the input is flipped from then on (strings of bits only).
        at: iterations before it happens, from 0 (the first features) to iterations - 5.
        iterations: total number of iterations, before and after.
        batch_size: items at a time, at least 1; at least 2 for "swap". A single leftover item joins the last batch.
        seed: of noise and positions, at least 0; each item's draws are a function of the seed and its number alone.
        position: for "flip", the bit to flip, from 0; None for a random one in each item.

    Raises:
        ValueError: a value outside the ranges above.
    """

    kind: Kind
    at: int
    iterations: int
    batch_size: int = 100
    seed: int = 0
    position: int | None = None

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "kind", self.kind in get_args(Kind), f"one of {', '.join(get_args(Kind))}")
        least = 2 if self.kind == "swap" else 1
        check_field(self, "batch_size", self.batch_size >= least, f"at least {least} for {self.kind!r}")
        check_field(self, "iterations", self.iterations >= HELD_ITERATIONS, f"at least {HELD_ITERATIONS}")
        last = self.iterations - HELD_ITERATIONS
        check_field(self, "at", 0 <= self.at <= last, f"from 0 to {last}, {HELD_ITERATIONS} before the end")
        check_field(self, "seed", self.seed >= 0, "at least 0")
        fits = self.position is None or (self.kind == "flip" and self.position >= 0)
        check_field(self, "position", fits, "at least 0, and is for 'flip' only")


@dataclass(frozen=True, kw_only=True)
class PerturbationResult:
    """The answers before and after a perturbation.

    Attributes:
        config: the perturbation.
        num_items: items that were perturbed.
        correct: correct[t - 1] items were right after iteration t. Up to iteration `config.at` nothing has happened
            yet. The right answer is that to the item's own input, and after a flip that to the flipped input.
        donor_correct: for "swap", how many items gave their donor's right answer; None for the others.
        recovery_times: for each item, the iterations from `config.at` to the first of 5 right answers in a row, at
            least 1; None if there are none.
        positions: for "flip", each item's flipped bit, from 0; None for the others.
    """

    config: PerturbationConfig
    num_items: int
    correct: tuple[int, ...]
    donor_correct: tuple[int, ...] | None
    recovery_times: tuple[int | None, ...]
    positions: tuple[int, ...] | None

    @property
    def curve(self) -> tuple[float, ...]:
        """Accuracy after iterations 1, 2, ..., each in [0, 1]."""
        return tuple(count / self.num_items for count in self.correct)

    @property
    def donor_curve(self) -> tuple[float, ...] | None:
        """For "swap", share of answers that are the donor's after iterations 1, 2, ..., each in [0, 1]."""
        return None if self.donor_correct is None else tuple(count / self.num_items for count in self.donor_correct)

    @property
    def share_recovered(self) -> float:
        """Share of the items that recovered, in [0, 1]."""
        return sum(time is not None for time in self.recovery_times) / self.num_items

    @property
    def mean_recovery_time(self) -> float | None:
        """Mean over the items that recovered, in iterations; None if none did."""
        times = [time for time in self.recovery_times if time is not None]
        return sum(times) / len(times) if times else None


class _Situation(NamedTuple):
    """A batch at some iteration: features, inputs, and the answers with which its own are compared."""

    state: Tensor
    inputs: Tensor
    targets: Tensor
    donor_targets: Tensor | None = None
    positions: Tensor | None = None


def _per_item(values: Tensor, features: Tensor) -> Tensor:
    """Values (batch,) in a shape that broadcasts with features (batch, ...)."""
    return values.view(-1, *[1] * (features.ndim - 1))


def _swap(now: _Situation, first: int, config: PerturbationConfig) -> _Situation:
    del first, config
    return now._replace(state=now.state.roll(-1, 0))


def _zero(now: _Situation, first: int, config: PerturbationConfig) -> _Situation:
    del first, config
    return now._replace(state=torch.zeros_like(now.state))


def _noise(now: _Situation, first: int, config: PerturbationConfig) -> _Situation:
    items = range(first, first + len(now.state))
    shape = now.state.shape[1:]
    # By numpy and by item, so that neither device nor batch_size makes a difference.
    drawn = [np.random.default_rng((config.seed, item)).standard_normal(shape, np.float32) for item in items]
    flat = now.state.flatten(1)
    mean, deviation = (_per_item(each, now.state) for each in (flat.mean(dim=1), flat.std(dim=1, correction=0)))
    noise = mean + deviation * torch.from_numpy(np.stack(drawn)).to(now.state)
    rectified = _per_item(flat.amin(dim=1) >= 0, now.state)
    return now._replace(state=torch.where(rectified, noise.clamp(min=0), noise))


def _flip(now: _Situation, first: int, config: PerturbationConfig) -> _Situation:
    num_items, length = now.targets.shape
    if bool((now.inputs == 0).any()):
        raise ValueError("a bit to flip must be -0.5 or 0.5, not 0")
    if config.position is not None:
        if config.position >= length:
            raise ValueError(f"position must be from 0 to {length - 1}, not {config.position}")
        drawn = [config.position] * num_items
    else:
        items = range(first, first + num_items)
        drawn = [int(np.random.default_rng((config.seed, item)).integers(length)) for item in items]
    positions = torch.tensor(drawn, device=now.inputs.device)[:, None]
    places = torch.arange(length, device=now.inputs.device)
    # The parity of every prefix that holds the bit changes.
    inputs = torch.where((places == positions)[:, None], -now.inputs, now.inputs)
    targets = torch.where(places >= positions, 1 - now.targets, now.targets)
    return now._replace(inputs=inputs, targets=targets, positions=positions[:, 0])


_PERTURBATIONS: Final[Mapping[str, Callable[[_Situation, int, PerturbationConfig], _Situation]]] = {
    "swap": _swap,
    "zero": _zero,
    "noise": _noise,
    "flip": _flip,
}


class _Records:
    """What is kept of a batch: a few numbers per item, and two per iteration."""

    def __init__(self, num_items: int, device: torch.device) -> None:
        zeros = torch.zeros(num_items, dtype=torch.long, device=device)
        self.recovery_times, self._run_length = zeros, zeros.clone()
        self.positions: Tensor | None = None
        self.counts: list[Tensor] = []
        self.donor_counts: list[Tensor] = []

    def add(self, now: _Situation, predictions: Tensor) -> Tensor:
        """Count the right answers of an iteration; returns which are, (batch,) bool."""
        exact = (predictions == now.targets).flatten(1).all(dim=1)
        self.counts.append(exact.sum())
        if now.donor_targets is not None:
            self.donor_counts.append((predictions == now.donor_targets).flatten(1).all(dim=1).sum())
        return exact

    def add_recovery(self, exact: Tensor, since: int) -> None:
        """Record which items are right, (batch,) bool, `since` iterations after the perturbation."""
        self._run_length = torch.where(exact, self._run_length + 1, 0)
        recovered = (self._run_length == HELD_ITERATIONS) & (self.recovery_times == 0)
        self.recovery_times[recovered] = since - HELD_ITERATIONS + 1


def _parts(num_items: int, batch_size: int) -> list[slice]:
    """Slices of the items in batches, none of them with a single item if there are at least two."""
    starts = list(range(0, num_items, batch_size))
    if len(starts) > 1 and num_items - starts[-1] == 1:
        starts.pop()
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], num_items], strict=True)]


def _run_batch(
    model: ThinkingNet, now: _Situation, first: int, rules: AnswerRules, config: PerturbationConfig
) -> _Records:
    """Perturb one batch; its first item has the number `first`."""
    records = _Records(len(now.inputs), now.inputs.device)
    for state in model.states(now.state, now.inputs, config.at):
        now = now._replace(state=state)
        records.add(now, rules.decode(model.read_out(state), now.inputs))
    now = _PERTURBATIONS[config.kind](now, first, config)
    records.positions = now.positions
    states = model.states(now.state, now.inputs, config.iterations - config.at, config.at)
    for since, state in enumerate(states, start=1):
        exact = records.add(now, rules.decode(model.read_out(state), now.inputs))
        records.add_recovery(exact, since)
    return records


def defined_kinds(model: ThinkingNet) -> tuple[Kind, ...]:
    """The kinds of perturbation that are defined for what a net solves: "flip" for strings of bits only."""
    return tuple(kind for kind in get_args(Kind) if kind != "flip" or _reads_bits(model))


def _reads_bits(model: ThinkingNet) -> bool:
    return (model.dimensions, model.in_channels) == (1, 1)


def _check_perturbable(model: ThinkingNet, items: ItemSource, config: PerturbationConfig) -> None:
    if len(items) == 0:
        raise ValueError("there must be at least one item to perturb")
    if config.kind == "swap" and len(items) < 2:
        raise ValueError("'swap' needs at least two items, not 1")
    if config.kind == "flip" and not _reads_bits(model):
        raise ValueError(
            "'flip' is not defined for mazes or boards: only strings of bits (1-D inputs of 1 channel) can be flipped, "
            f"not {model.dimensions}-D inputs of {model.in_channels} channels"
        )


def _summarize(records: Sequence[_Records], config: PerturbationConfig) -> PerturbationResult:
    times = torch.cat([record.recovery_times for record in records]).tolist()
    positions = [record.positions for record in records if record.positions is not None]

    def total(counts: Callable[[_Records], list[Tensor]]) -> tuple[int, ...]:
        return tuple(torch.stack([torch.stack(counts(record)) for record in records]).sum(dim=0).tolist())

    return PerturbationResult(
        config=config,
        num_items=len(times),
        correct=total(lambda record: record.counts),
        donor_correct=total(lambda record: record.donor_counts) if config.kind == "swap" else None,
        recovery_times=tuple(time or None for time in times),
        positions=tuple(torch.cat(positions).tolist()) if positions else None,
    )


def perturb(
    model: ThinkingNet,
    items: ItemSource,
    rules: AnswerRules,
    config: PerturbationConfig,
    *,
    progress: bool = True,
) -> PerturbationResult:
    """Disturb the thinking of a net once, and count the right answers after every iteration.

    A net with recall should return to the answer to the input that it sees. Without recall, the features are all it
    knows about its problem: after a swap it goes on to the donor's answer, and after the others it cannot recover.

    Deviates: the reproduction of Bansal et al. finds its iteration by counting layers, overwrites hidden channels for
    a flip, and takes the iteration of most matches as the recovery; here it is the first of 5 right answers in a row.

    Args:
        model: the net; its device is used.
        items: to think about. Bits are -0.5 and 0.5, and for "flip" targets are the parities of prefixes.
        rules: what counts as an answer.
        config: what to do, and when.
        progress: whether to show a progress bar.

    Raises:
        ValueError: no items, a single item for "swap", a flip in items that are not strings of bits or of a position
            beyond their end, bits of 0, or more iterations than a feed-forward net has.
    """
    _check_perturbable(model, items, config)
    device = next(model.parameters()).device
    model.eval()
    records = []
    parts = progress_bar(
        _parts(len(items), config.batch_size), desc=f"perturbing ({config.kind})", unit="batches", show=progress
    )
    for part in parts:
        inputs, targets = (tensor.to(device) for tensor in items[part])
        with torch.inference_mode():
            donor_targets = targets.roll(-1, 0) if config.kind == "swap" else None
            start = _Situation(model.initial_state(inputs), inputs, targets, donor_targets)
            records.append(_run_batch(model, start, part.start, rules, config))
    return _summarize(records, config)
