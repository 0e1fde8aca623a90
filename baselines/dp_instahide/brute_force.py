"""The guarantee checked by brute force: exact densities of releases of a few numbers, over all subsets.

For numbers, the density of a release is a mean of Laplace densities, one for each subset. Between two of their peaks
the ratio of two such densities is monotone (both are a e^y + c e^-y there), and beyond the outermost it is constant,
so that its supremum is at a peak. Nothing is left to a grid.
"""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

MOST_RECORDS = 12


def subset_means(records: Sequence[float], mix_count: int) -> Tensor:
    """The mean of each subset of that size: (C(n, k),) float64.

    Raises:
        ValueError: k not from 1 to n, or more records than `MOST_RECORDS`.
    """
    if not 1 <= mix_count <= len(records) <= MOST_RECORDS:
        raise ValueError(f"k must be from 1 to n and n at most {MOST_RECORDS}, not k {mix_count} and n {len(records)}")
    means = [math.fsum(subset) / mix_count for subset in combinations(records, mix_count)]
    return torch.tensor(means, dtype=torch.float64)


def log_density(values: Tensor, records: Sequence[float], mix_count: int, noise_scale: float) -> Tensor:
    """Log-density of one release at values (...,) float64, whose shape it has."""
    means = subset_means(records, mix_count)
    exponents = -(values.double().unsqueeze(-1) - means.to(values.device)).abs() / noise_scale
    return torch.logsumexp(exponents, dim=-1) - math.log(2 * noise_scale * len(means))


def largest_log_ratio(
    records: Sequence[float], neighbour: Sequence[float], mix_count: int, noise_scale: float
) -> float:
    """The smallest epsilon that holds for one release of these two sets: the supremum of |log(p / p')|.

    Args:
        records, neighbour: two sets of as many numbers.
        mix_count: k.
        noise_scale: b.
    """
    peaks = torch.cat([subset_means(records, mix_count), subset_means(neighbour, mix_count)])
    ours, theirs = (log_density(peaks, one, mix_count, noise_scale) for one in (records, neighbour))
    return float((ours - theirs).abs().max())
