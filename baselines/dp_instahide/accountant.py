"""What mixing with noise guarantees: epsilon of one release, of many, and when the guarantee is vacuous.

The mechanism draws k of n records uniformly without replacement, averages them with weights 1/k and adds independent
Laplace(b) noise to every coordinate, including those of the label (arXiv 2103.02079, theorem 1). Adjacency is
replace-one: two data sets of n records are neighbors when one record differs. Laplace's b is its scale; its standard
deviation is b times the square root of 2.

The guarantee holds for real numbers. Noise drawn in floating point has gaps that a determined attacker can exploit.
"""

import math
from dataclasses import dataclass
from typing import Final

from easy_to_hard.generators.integers import check_integer_fields

ADJACENCY: Final = "replace one record"
# exp(20) is 5e8: a larger epsilon excludes no attack that anybody could measure.
VACUOUS_ABOVE: Final = 20.0
# Above this, exp(e0) - 1 equals exp(e0) to all digits; exp itself overflows at 709.
_LARGE: Final = 50.0


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
        if self.exponent > _LARGE:
            # log(q e^e0 + (1 - q)), without the e^e0.
            rest = (1 - self.share) / self.share * math.exp(-self.exponent)
            return self.exponent + math.log(self.share) + math.log1p(rest)
        return math.log1p(self.share * math.expm1(self.exponent))

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


@dataclass(frozen=True, kw_only=True)
class Account:
    """The privacy guarantee of a set of releases.

    Attributes:
        mixing: the mechanism.
        releases: M, the number of independent draws; fresh mixing in each epoch counts as epochs times n.
        delta: delta of advanced composition.

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
    def total(self) -> float:
        """The smaller of `basic` and `advanced`."""
        return min(self.basic, self.advanced)

    @property
    def rule(self) -> str:
        """Which composition gives the total: "basic" or "advanced"."""
        return "basic" if self.basic <= self.advanced else "advanced"

    @property
    def vacuous(self) -> bool:
        """Whether the total is above `VACUOUS_ABOVE`."""
        return self.total > VACUOUS_ABOVE

    def describe(self) -> str:
        """The guarantee in a few lines."""
        mixing = self.mixing
        at = f"delta {self.delta:g}" if self.rule == "advanced" else "delta 0"
        verdict = f"vacuous: more than {VACUOUS_ABOVE:g} promises nothing" if self.vacuous else "not vacuous"
        lines = [
            f"n {mixing.records:,}, k {mixing.mix_count}, b {mixing.noise_scale:g}, M {self.releases:,} releases",
            f"adjacency: {ADJACENCY}; L1 diameter of a record with its label {mixing.diameter:g}",
            f"epsilon of one release: {mixing.epsilon:.4g} (of one that holds the record: {mixing.exponent:.4g})",
            f"epsilon of all: {self.basic:.4g} by basic composition at delta 0, "
            f"{self.advanced:.4g} by advanced at delta {self.delta:g}",
            f"stated: {self.total:.4g} ({self.rule} composition, {at}); {verdict}",
            f"an epoch of n releases by k permutations instead: {mixing.epoch_epsilon:.4g}, without amplification",
        ]
        return "\n".join(lines)


def noise_for(epsilon: float, *, records: int, mix_count: int, diameter: float, releases: int, delta: float) -> float:
    """The smallest b at which all releases together have that epsilon, by the better of the two compositions.

    Raises:
        ValueError: an epsilon not above 0, or another value outside its range.
    """
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon must be above 0 and finite, not {epsilon}")
    low, high = math.log(diameter) - 40, math.log(diameter) + 40
    for _ in range(100):
        middle = (low + high) / 2
        mixing = MixingMechanism(records=records, mix_count=mix_count, noise_scale=math.exp(middle), diameter=diameter)
        enough = Account(mixing=mixing, releases=releases, delta=delta).total <= epsilon
        low, high = (low, middle) if enough else (middle, high)
    return math.exp(high)


def image_diameter(channels: int, height: int, width: int, classes: int) -> float:
    """D1 of images in [0, 1] with one-hot labels: 1 per coordinate, and 2 for labels that differ."""
    return float(channels * height * width + min(classes, 2) * (classes > 1))


def puzzle_diameter(channels: int, positions: int) -> float:
    """D1 of puzzles whose inputs have range 1 and whose answer is a number in [0, 1] at each position."""
    return float((channels + 1) * positions)
