"""What mixing with noise guarantees: epsilon of one release, of many, and when the guarantee is vacuous.

The mechanism draws k of n records uniformly without replacement, averages them with weights 1/k and adds independent
Laplace(b) noise to every coordinate, including those of the label (arXiv 2103.02079, theorem 1). Laplace's b is its
scale; its standard deviation is b times the square root of 2.

Adjacency is replace-one: two data sets of n records are neighbors when one record differs. DP-SGD usually counts adding
or removing a record, which is the weaker promise: compare with its epsilon for replacement (`replacement_epsilon_of`).

The guarantee holds for real numbers. Noise drawn in floating point has gaps that a determined attacker can exploit.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from easy_to_hard.baselines.dp_instahide.privacy_loss import composed_epsilon, largest_loss
from easy_to_hard.generators.integers import check_integer_fields

ADJACENCY: Final = "replace one record"
# exp(20) is 5e8: a larger epsilon excludes no attack that anybody could measure.
VACUOUS_ABOVE: Final = 20.0

# The names of the bounds.
BASIC: Final = "basic composition"
ADVANCED: Final = "advanced composition"
INCLUSIONS: Final = "inclusions"
LOSS_DISTRIBUTION: Final = "privacy loss distribution"


@dataclass(frozen=True, kw_only=True)
class MixingMechanism:
    """The mechanism, applied to a set of records.

    Attributes:
        records: n, at least 1.
        mix_count: k, from 1 to n.
        noise_scale: b of the Laplace noise, above 0.
        diameter: D1, the largest L1 distance between two records, features and label together; above 0.

    Raises:
        ValueError: a value outside its range.
    """

    records: int
    mix_count: int
    noise_scale: float
    diameter: float

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.records < 1:
            raise ValueError(f"n, the number of records, must be at least 1, not {self.records}")
        if not 1 <= self.mix_count <= self.records:
            raise ValueError(f"k must be from 1 to n = {self.records}, the number of records, not {self.mix_count}")
        if not 0 < self.noise_scale < math.inf:
            raise ValueError(f"b, the scale of the noise, must be above 0 and finite, not {self.noise_scale}")
        if not 0 < self.diameter < math.inf:
            raise ValueError(f"the L1 diameter must be above 0 and finite, not {self.diameter}")

    @property
    def exponent(self) -> float:
        """e0 = D1 / (k b): epsilon of a release that is known to contain the record."""
        return self.diameter / (self.mix_count * self.noise_scale)

    @property
    def share(self) -> float:
        """q = k / n, the probability that a record is in a release."""
        return self.mix_count / self.records

    @property
    def epsilon(self) -> float:
        """Epsilon of one release: log(1 + q (exp(e0) - 1)), which worst-case neighbors attain.

        It is A, the larger of the paper's two terms: the product of the arguments of A and B is at least 1.
        """
        return largest_loss(self.exponent, self.share)

    @property
    def epoch_epsilon(self) -> float:
        """Epsilon of n releases made from k permutations, so that each record is in k of them: at most D1 / b.

        Draws by permutation are not independent, so amplification by q does not apply. All n releases together are one
        vector that moves by at most k times D1 / k in L1 when a record changes.
        """
        return self.diameter / self.noise_scale


def compose_basic(epsilon: float, releases: int) -> float:
    """Epsilon of M independent releases by basic composition: M epsilon, at delta 0.

    Raises:
        ValueError: fewer than one release.
    """
    _check_releases(releases)
    return releases * epsilon


def compose_advanced(epsilon: float, releases: int, delta: float) -> float:
    """Epsilon of M releases by advanced composition: sqrt(2 M ln(1/delta)) epsilon + M epsilon (exp(epsilon) - 1).

    At this delta; Dwork and Roth 2014, theorem 3.20. Infinite if exp(epsilon) overflows.

    Raises:
        ValueError: fewer than one release, or a delta not between 0 and 1.
    """
    _check_releases(releases)
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, not {delta}")
    if epsilon > 700:
        return math.inf
    return math.sqrt(2 * releases * math.log(1 / delta)) * epsilon + releases * epsilon * math.expm1(epsilon)


def _check_releases(releases: int) -> None:
    if releases < 1:
        raise ValueError(f"M, the number of releases, must be at least 1, not {releases}")


def count_inclusions(share: float, releases: int, error: float) -> int:
    """The smallest J such that a record is in more than J of M releases with at most this probability.

    The number of releases that contain a record is binomial: M draws with probability q each.

    Args:
        share: q, in (0, 1].
        releases: M, at least 1.
        error: in (0, 1).
    """
    if share == 1:
        return releases
    mean = releases * share
    # By Bernstein's inequality, more than this have a probability below 1e-80.
    most = min(releases, math.ceil(mean + 40 * math.sqrt(mean) + 200))
    counts = np.arange(most)
    growth = np.log((releases - counts) / (counts + 1)) + math.log(share) - math.log1p(-share)
    chances = np.exp(releases * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(growth)]))
    # The chance of at least j, for each j: of more than J for J = j - 1.
    at_least = np.cumsum(chances[::-1])[::-1]
    return int(np.argmax(np.append(at_least[1:], 0.0) <= error))


@dataclass(frozen=True, kw_only=True)
class Account:
    """The privacy guarantee of a set of releases, for replacing one record, by three bounds.

    All are valid, also where later releases are chosen in view of earlier ones. The last is never above the others but
    for the rounding of its grid.

    - `composition`: basic or advanced composition of the epsilon of a release, whichever is smaller.
    - `inclusions`: how often the record is in a release is counted, and that many releases that contain it composed.
    - `loss_distribution`: the privacy loss distribution of all releases.

    Attributes:
        mixing: the mechanism.
        releases: M, the number of independent draws; fresh mixing in each epoch counts as epochs times n.
        delta: the guarantee may fail with this probability, in (0, 1).

    Raises:
        ValueError: a value outside its range.
    """

    mixing: MixingMechanism
    releases: int
    delta: float = 1e-5

    def __post_init__(self) -> None:
        check_integer_fields(self)
        compose_advanced(0.0, self.releases, self.delta)

    @property
    def basic(self) -> float:
        """Epsilon of all releases by basic composition, at delta 0."""
        return compose_basic(self.mixing.epsilon, self.releases)

    @property
    def advanced(self) -> float:
        """Epsilon of all releases by advanced composition, at `delta`."""
        return compose_advanced(self.mixing.epsilon, self.releases, self.delta)

    @property
    def composition(self) -> float:
        """The smaller of `basic` and `advanced`."""
        return min(self.basic, self.advanced)

    @property
    def inclusions(self) -> float:
        """Epsilon of all releases, at `delta`, by counting those that contain the record.

        In how many the record is does not depend on the data. Given that number J, all but J releases have the same
        distribution, and each of the J loses at most e0: J e0 in all, where more than J have a probability of at most
        delta; or J at half of delta, and advanced composition at the other half.
        """
        exponent = self.mixing.exponent
        whole, half = (
            count_inclusions(self.mixing.share, self.releases, part) for part in (self.delta, self.delta / 2)
        )
        if not whole:
            return 0.0
        return min(compose_basic(exponent, whole), compose_advanced(exponent, half, self.delta / 2))

    @cached_property
    def loss_distribution(self) -> float:
        """Epsilon of all releases, at `delta`, by their privacy loss distribution; see `composed_epsilon`."""
        return composed_epsilon(self.mixing.exponent, self.mixing.share, self.releases, self.delta)

    @property
    def bounds(self) -> dict[str, float]:
        """Epsilon by each of the three bounds, by the bound's name."""
        composition = BASIC if self.basic <= self.advanced else ADVANCED
        return {
            composition: self.composition,
            INCLUSIONS: self.inclusions,
            LOSS_DISTRIBUTION: self.loss_distribution,
        }

    @property
    def total(self) -> float:
        """The smallest of the three bounds, which is the one that is stated."""
        return min(self.bounds.values())

    @property
    def bound(self) -> str:
        """The name of the bound that gives the total."""
        bounds = self.bounds
        return min(bounds, key=lambda name: bounds[name])

    @property
    def vacuous(self) -> bool:
        """Whether the total is above `VACUOUS_ABOVE`."""
        return self.total > VACUOUS_ABOVE

    def delta_of(self, bound: str) -> float:
        """The delta at which a bound holds: 0 for basic composition."""
        return 0.0 if bound == BASIC else self.delta

    def describe(self) -> str:
        """The guarantee in a few lines."""
        mixing = self.mixing
        verdict = f"vacuous: more than {VACUOUS_ABOVE:g} promises nothing" if self.vacuous else "not vacuous"
        lines = [
            f"n {mixing.records:,}, k {mixing.mix_count}, b {mixing.noise_scale:g}, M {self.releases:,} releases",
            f"adjacency: {ADJACENCY}; L1 diameter of a record with its label {mixing.diameter:g}",
            f"epsilon of one release: {mixing.epsilon:.4g} (of one that holds the record: {mixing.exponent:.4g})",
            "epsilon of all releases, by each bound:",
            *(f"  {value:.4g} by {name}, delta {self.delta_of(name):g}" for name, value in self.bounds.items()),
            f"stated: {self.total:.4g} ({self.bound}, delta {self.delta_of(self.bound):g}); {verdict}",
            f"an epoch of n releases by k permutations instead: {mixing.epoch_epsilon:.4g}, without amplification",
        ]
        return "\n".join(lines)


def noise_for(epsilon: float, *, records: int, mix_count: int, diameter: float, releases: int, delta: float) -> float:
    """The smallest b of four significant digits at which all releases have at most that epsilon, by the best bound.

    It is rounded because noise is drawn from a seed that depends on b, which must be the same on every machine.

    Raises:
        ValueError: an epsilon not above 0, or so small that no b is found, or another value outside its range.
    """
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon must be above 0 and finite, not {epsilon}")

    def enough(noise_scale: float) -> bool:
        mixing = MixingMechanism(records=records, mix_count=mix_count, noise_scale=noise_scale, diameter=diameter)
        account = Account(mixing=mixing, releases=releases, delta=delta)
        return account.composition <= epsilon or account.loss_distribution <= epsilon

    low, high = math.log10(diameter) - 17, math.log10(diameter) + 17
    if not enough(10**high):
        raise ValueError(f"epsilon {epsilon:g} is too small: it needs a noise of more than {10**high:.3g}")
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(10**middle) else (middle, high)
    # The next one is tried as well, since the search ends within a digit of the boundary.
    digits = 10.0 ** (math.floor(high) - 3)
    first = math.floor(10**high / digits)
    return float(next(f"{number * digits:.4g}" for number in range(first, first + 3) if enough(number * digits)))


def image_diameter(channels: int, height: int, width: int, classes: int) -> float:
    """D1 of images in [0, 1] with one-hot labels: 1 per coordinate, and 2 for labels that differ."""
    return float(channels * height * width + min(classes, 2) * (classes > 1))


def puzzle_diameter(channels: int, positions: int) -> float:
    """D1 of puzzles whose inputs have range 1 and whose answer is a number in [0, 1] at each position."""
    return float((channels + 1) * positions)
