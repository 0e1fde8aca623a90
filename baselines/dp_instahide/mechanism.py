"""The mechanism: average k records drawn without replacement, and add Laplace noise to all coordinates.

arXiv 2103.02079, section 3. Post-processing of a release costs no privacy: here it is clipped to the range of the
data, images are rounded to bytes, and labels are scaled to sum to 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from easy_to_hard.baselines.dp_instahide.accountant import MixingMechanism
from easy_to_hard.generators.integers import check_integer_fields


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of the grid of k and b.

    Attributes:
        mix_count: k, at least 1; 1 is noise alone.
        noise_scale: b, at least 0; 0 is mixup alone, which guarantees nothing.

    Raises:
        ValueError: a value outside its range.
    """

    mix_count: int
    noise_scale: float

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.mix_count < 1:
            raise ValueError(f"k must be at least 1, not {self.mix_count}")
        if not 0 <= self.noise_scale < math.inf:
            raise ValueError(f"b, the scale of the noise, must be at least 0 and finite, not {self.noise_scale}")

    def mixing(self, records: int, diameter: float) -> MixingMechanism | None:
        """The mechanism on that many records, for its guarantee; None without noise, which guarantees nothing."""
        if not self.noise_scale:
            return None
        return MixingMechanism(
            records=records, mix_count=self.mix_count, noise_scale=self.noise_scale, diameter=diameter
        )


def make_grid(mix_counts: Sequence[int], noise_scales: Sequence[float], records: int) -> tuple[Cell, ...]:
    """All pairs of k and b, always including k = 1 (noise alone) and b = 0 (mixup alone); sorted by k, then b.

    Args:
        mix_counts: each from 1 to n.
        noise_scales: each above 0.
        records: n.

    Raises:
        ValueError: a value outside its range.
    """
    for mix_count in mix_counts:
        for noise_scale in noise_scales or (1.0,):
            MixingMechanism(records=records, mix_count=mix_count, noise_scale=noise_scale, diameter=1.0)
    return tuple(
        Cell(mix_count=mix_count, noise_scale=noise_scale)
        for mix_count in sorted({1, *mix_counts})
        for noise_scale in sorted({0.0, *noise_scales})
    )


def choose_records(records: int, mix_count: int, releases: int, rng: torch.Generator) -> Tensor:
    """Draw a uniformly random subset of k of n records for each release: (M, k) int64 (Floyd's algorithm).

    Raises:
        ValueError: k not from 1 to n.
    """
    if not 1 <= mix_count <= records:
        raise ValueError(f"k must be from 1 to n = {records}, the number of records, not {mix_count}")
    chosen = torch.full((releases, mix_count), -1)
    for place, last in enumerate(range(records - mix_count, records)):
        drawn = torch.randint(last + 1, (releases,), generator=rng)
        taken = (chosen[:, :place] == drawn[:, None]).any(1)
        chosen[:, place] = torch.where(taken, last, drawn)
    return chosen


def laplace(shape: Sequence[int], scale: float, rng: torch.Generator) -> Tensor:
    """Laplace(0, scale) noise, float32: the difference of two exponentials with mean `scale`."""
    if not scale:
        return torch.zeros(*shape)
    first, second = (torch.empty(*shape).exponential_(generator=rng) for _ in range(2))
    return scale * (first - second)


def dirichlet_weights(releases: int, mix_count: int, rng: torch.Generator) -> Tensor:
    """Weights (M, k), uniform on the simplex, as in mixup. One may be near 1, so the accountant's 1/k does not hold."""
    drawn = torch.empty(releases, mix_count).exponential_(generator=rng)
    return drawn / drawn.sum(1, keepdim=True)


def mix(values: Tensor, chosen: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted averages of records.

    Args:
        values: (n, *size) of any type.
        chosen: (M, k) int64 on the same device.
        weights: (M, k) float32; None for equal ones, which the guarantee needs.

    Returns:
        (M, *size) float32.
    """
    total = torch.zeros(len(chosen), *values.shape[1:], device=values.device)
    for place in range(chosen.shape[1]):
        part = values[chosen[:, place]].float()
        share = 1 / chosen.shape[1] if weights is None else weights[:, place].reshape(-1, *(1 for _ in part.shape[1:]))
        total += share * part
    return total


def release(values: Tensor, chosen: Tensor, noise_scale: float, rng: torch.Generator) -> Tensor:
    """Plain averages (M, *size) of the chosen records with Laplace noise on every coordinate, not clipped.

    Args:
        values: (n, *size).
        chosen: (M, k) int64, the same for all parts of a record, such as the image and the label.
        noise_scale: b, at least 0.
        rng: on the CPU.
    """
    mixed = mix(values, chosen.to(values.device))
    return mixed + laplace(mixed.shape, noise_scale, rng).to(mixed.device)


def as_shares(labels: Tensor) -> Tensor:
    """Noisy soft labels (..., classes) as shares that sum to 1: clipped at 0; uniform if nothing is left."""
    kept = labels.clamp(min=0)
    total = kept.sum(-1, keepdim=True)
    return torch.where(total > 0, kept / total.clamp(min=1e-12), 1 / labels.shape[-1])
