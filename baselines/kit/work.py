"""What a run would take, before it is started: nets, steps, and an estimate of time from a timed step."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from easy_to_hard.environment import peak_memory

# On a CPU, a step is timed on so many items and taken to be as much slower as it has more of them.
_CPU_ITEMS: Final = 16

Step = Callable[[], object]
PrepareStep = Callable[[int, torch.device], Step]
"""Number of items and device -> a function that makes one step of one net on random items."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Steps of one kind in a run.

    Attributes:
        name: what they do, such as "train nets with mixup".
        nets: how many nets, or sets of poisons, are made.
        steps: of each.
        items: in a step.
        prepare: makes a step to be timed.
    """

    name: str
    nets: int
    steps: int
    items: int
    prepare: PrepareStep


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A kind of step, timed.

    Attributes:
        work: what was timed.
        step_seconds: estimated time of a step of one net.
        peak_bytes: largest amount of memory in use up to now, of the GPU or of this process; None where that is
            not known.
    """

    work: Work
    step_seconds: float
    peak_bytes: int | None

    @property
    def seconds(self) -> float:
        """Estimated time of all steps, one net after another."""
        return self.step_seconds * self.work.steps * self.work.nets


def estimate(work: Work, device: torch.device) -> Estimate:
    """Time the second of two steps."""
    on_gpu = device.type == "cuda"
    items = work.items if on_gpu else min(work.items, _CPU_ITEMS)
    step = work.prepare(items, device)
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        step()
        if on_gpu:
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else peak_memory()
    return Estimate(work=work, step_seconds=seconds * work.items / items, peak_bytes=peak)


def describe_estimates(estimates: Sequence[Estimate], device: torch.device) -> str:
    """A table of estimates, with their sum."""
    width = max(len(one.work.name) for one in estimates)
    lines = [f"{'':{width}}  {'nets':>7}  {'steps each':>10}  {'items':>6}  {'s a step':>9}  {'hours':>8}"]
    for one in estimates:
        work = one.work
        lines.append(
            f"{work.name:{width}}  {work.nets:>7,}  {work.steps:>10,}  {work.items:>6,}  {one.step_seconds:>9.3g}  "
            f"{one.seconds / 3600:>8.2f}"
        )
    total, peak = sum(one.seconds for one in estimates), max(one.peak_bytes or 0 for one in estimates)
    memory = f"; memory so far {peak / 2**30:.1f} GiB" if peak else ""
    where = "GPU" if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    lines.append(f"about {total / 3600:.2f} hours on this {where}, one net after another{memory}")
    if device.type != "cuda":
        lines.append(f"(steps were timed on at most {_CPU_ITEMS} items)")
    return "\n".join(lines)
