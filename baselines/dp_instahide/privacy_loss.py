"""The distribution of the privacy loss of releases: the tightest of the accountant's bounds, computed numerically.

In the worst case, a release shows Laplace noise moved by D1 / k with probability q. The move alone loses l, from -t to
t, where t = D1 / (k b), and the release L = log(1 + q (exp(l) - 1)). At thresholds exp(epsilon) of at least 1, sampling
without replacement gives no more than these losses (arXiv 1807.01647); and since a replacement can be read in both
directions, the losses below 0 mirror those above. Noise moved by D1 / k in several coordinates is no worse than in one,
by group privacy of log-concave noise (arXiv 1905.02383). A pair of distributions that dominates one release at all
thresholds dominates all releases, and its losses add up (arXiv 2106.08567).

It is not enough to compose the worst pair of sets for one release, noise that moves against noise that does not, in
each direction: that is the guarantee for adding or removing a record. Other sets lose more over many releases, since
their losses have both signs (arXiv 2405.20769).

Losses are rounded to a grid such that the masses of both distributions are kept ("connect the dots", arXiv 2207.04380).
That only makes the pair easier to tell apart, so that the bound stays valid, but for the rounding of floating point:
a delta below about 1e-11 is not resolved.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Bins per largest loss of a release: as many as wanted, and at least, where the sum needs a wide grid.
_FINEST: Final = 1000
_COARSEST: Final = 16
_BINS: Final = 2**16
# The share of delta that each end of the grid may leave out.
_TAIL: Final = 1e-6

Losses = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LossDistribution:
    """A distribution of privacy losses on a grid.

    Attributes:
        interval: of the grid, above 0.
        first: number of the lowest loss, in intervals.
        masses: probability of each loss, (N,) float64; they sum to 1.
    """

    interval: float
    first: int
    masses: Losses

    @property
    def losses(self) -> Losses:
        """The losses, (N,) float64, ascending."""
        return self.interval * np.arange(self.first, self.first + len(self.masses), dtype=np.float64)

    def delta(self, epsilon: float) -> float:
        """The smallest delta at an epsilon: E[(1 - exp(epsilon - L))+]."""
        above = self.losses > epsilon
        return float(self.masses[above] @ -np.expm1(epsilon - self.losses[above]))

    def epsilon(self, delta: float) -> float:
        """The smallest epsilon, at least 0, at a delta in (0, 1)."""
        low, high = 0.0, max(0.0, float(self.losses[-1]))
        if self.delta(low) <= delta:
            return 0.0
        while high - low > 1e-9 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.delta(middle) <= delta else (middle, high)
        return high

    def bounds(self, count: int, error: float) -> tuple[int, int]:
        """Between which losses, in intervals, a sum of `count` lies but with probability `error` on each side."""
        ends = []
        last = self.first + len(self.masses) - 1
        positive = self.masses > 0
        losses, logs = self.losses[positive], np.log(self.masses[positive])
        for sign, most in ((-1, -self.first), (1, last)):
            # Chernoff's bound, at many exponents.
            exponents = np.logspace(-6, 3, 120) / (self.interval * max(1, most))
            moments = np.array([np.logaddexp.reduce(logs + sign * one * losses) for one in exponents])
            reach = float(np.min((count * moments - math.log(error)) / exponents)) / self.interval
            ends.append(min(math.ceil(reach), count * most))
        return -ends[0], ends[1]

    def compose(self, count: int, error: float) -> "LossDistribution":
        """The distribution of the sum of `count` independent losses, by Fourier transforms.

        Args:
            count: at least 1.
            error: at most this mass is moved from each end of the distribution to the other.
        """
        low, high = self.bounds(count, error)
        size = 2 ** math.ceil(math.log2(high - low + 1))
        places = (self.first + np.arange(len(self.masses))) % size
        around = np.bincount(places, weights=self.masses, minlength=size)
        summed = np.fft.irfft(np.fft.rfft(around) ** count, n=size).clip(min=0)
        return LossDistribution(self.interval, low, np.roll(summed, -low % size)[: high - low + 1])


def release_losses(exponent: float, share: float, interval: float) -> LossDistribution:
    """The privacy loss of one release, as in the module's docstring.

    Args:
        exponent: t = D1 / (k b), above 0.
        share: q, the probability that the replaced record is in the release, in (0, 1].
        interval: of the grid, above 0.
    """
    cells = max(1, math.ceil(largest_loss(exponent, share) / interval))
    edges = interval * np.arange(cells + 1, dtype=np.float64)
    shifts = np.minimum(_loss_of_noise(edges, share), exponent)
    shifts[-1] = exponent
    # Chances of noise whose loss lies between two shifts, with and without the record; the last have an atom at t.
    with_record = np.diff(np.exp((shifts - exponent) / 2)) / 2
    with_record[-1] += 0.5
    log_without = -(exponent + shifts[:-1]) / 2 - math.log(2)
    log_without[:-1] += np.log(-np.expm1(-np.diff(shifts)[:-1] / 2))
    without = np.exp(log_without)
    ours = share * with_record + (1 - share) * without

    # A cell's mass goes to its two ends such that the other distribution's mass, exp(-L) times as much, is kept.
    step = -math.expm1(-interval)
    upper = np.clip((ours - np.exp(log_without + edges[:-1])) / step, 0, ours)
    lower = np.clip((without - ours * np.exp(-edges[1:])) / step, 0, without)
    masses = np.zeros(2 * cells + 1)
    masses[cells + 1 :] += upper
    masses[cells:-1] += ours - upper
    masses[cells:0:-1] += lower
    masses[cells - 1 :: -1] += without - lower
    masses[cells] += (1 - share) * -math.expm1(-exponent / 2)
    return LossDistribution(interval, -cells, masses)


def largest_loss(exponent: float, share: float) -> float:
    """The largest privacy loss of a release, log(1 + q (exp(t) - 1)); see `release_losses`."""
    if exponent < 1:
        return math.log1p(share * math.expm1(exponent))
    # The same without exp(t), which may overflow.
    return exponent + math.log(share + (1 - share) * math.exp(-exponent))


def _loss_of_noise(losses: Losses, share: float) -> Losses:
    """The loss l of the noise at which a release loses L >= 0: log(1 + (exp(L) - 1) / q), without overflow."""
    large = losses - math.log(share) + np.log1p(-(1 - share) * np.exp(-losses))
    return np.where(losses < 1, np.log1p(np.expm1(np.minimum(losses, 1)) / share), large)


def composed_epsilon(exponent: float, share: float, releases: int, delta: float) -> float:
    """Epsilon of M releases by their privacy loss distribution.

    Args:
        exponent: t = D1 / (k b), above 0.
        share: q = k / n, in (0, 1].
        releases: M, at least 1.
        delta: in (0, 1).
    """
    largest, error = largest_loss(exponent, share), _TAIL * delta
    low, high = release_losses(exponent, share, largest / _COARSEST).bounds(releases, error)
    bins = min(_FINEST, max(_COARSEST, _BINS * _COARSEST // (high - low + 1)))
    one = release_losses(exponent, share, largest / bins)
    return one.compose(releases, error).epsilon(delta - 2 * error)
