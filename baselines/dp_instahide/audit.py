"""Whether the guarantee holds: the smallest epsilon that is true, computed exactly, and a lower bound by attack.

For numbers, the density of a release is a mean of Laplace densities, one for each subset. Between two of their peaks,
the ratio of two such densities is monotone (both are a e^y + c e^-y there), and beyond the outermost peaks it is
constant, so its supremum is at a peak. No grid search is needed.

The attacker knows both neighboring sets and sees M releases of one of them. The likelihood ratio is the most powerful
test (Neyman and Pearson 1933); for any test, epsilon promises TPR <= exp(epsilon) FPR at each threshold. Counts over
trials bound the rates (Clopper and Pearson 1934), and thus bound epsilon from below.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.dp_instahide.accountant import MixingMechanism, compose_basic
from easy_to_hard.baselines.dp_instahide.mechanism import choose_records, dirichlet_weights, laplace, mix
from easy_to_hard.baselines.kit.run_folder import Row
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.generators.integers import check_integer_fields

MOST_RECORDS: Final = 12
_CONFIDENCE: Final = 0.95
_THRESHOLDS: Final = 200
_ZEROS: Final = (0.0,) * 6
_SPREAD: Final = (0.1, 0.9, 0.3, 0.5, 0.7, 0.2)


def subset_means(records: Sequence[float], mix_count: int) -> Tensor:
    """The mean of each subset of size k: (C(n, k),) float64.

    Raises:
        ValueError: k not from 1 to n, or more records than `MOST_RECORDS`.
    """
    if not 1 <= mix_count <= len(records) <= MOST_RECORDS:
        raise ValueError(f"k must be from 1 to n and n at most {MOST_RECORDS}, not k {mix_count} and n {len(records)}")
    means = [math.fsum(subset) / mix_count for subset in combinations(records, mix_count)]
    return torch.tensor(means, dtype=torch.float64)


def log_density(values: Tensor, records: Sequence[float], mix_count: int, noise_scale: float) -> Tensor:
    """Log-density of one release at values (...,) float64; the result has their shape."""
    means = subset_means(records, mix_count)
    exponents = -(values.double().unsqueeze(-1) - means.to(values.device)).abs() / noise_scale
    return torch.logsumexp(exponents, dim=-1) - math.log(2 * noise_scale * len(means))


def largest_log_ratio(records: Sequence[float], neighbor: Sequence[float], mix_count: int, noise_scale: float) -> float:
    """The smallest epsilon that holds for one release of these two sets: the supremum of |log(p / p')|.

    Args:
        records, neighbor: two sets with the same number of records, each a number.
        mix_count: k.
        noise_scale: b.
    """
    peaks = torch.cat([subset_means(records, mix_count), subset_means(neighbor, mix_count)])
    ours, theirs = (log_density(peaks, one, mix_count, noise_scale) for one in (records, neighbor))
    return float((ours - theirs).abs().max())


@dataclass(frozen=True, kw_only=True)
class Audit:
    """An attack on released numbers.

    Attributes:
        records: the set, numbers in [0, 1].
        replaced_by: the first record of the neighboring set, in [0, 1].
        mix_count: k.
        noise_scale: b, above 0.
        releases: M.
        weights: "equal" as the guarantee requires, or "dirichlet" as in mixup, for which it does not hold.
        trials: for each set, at least 2; half are used to choose the threshold, half are counted at it.

    Raises:
        ValueError: a value outside its range.
    """

    records: tuple[float, ...]
    replaced_by: float
    mix_count: int
    noise_scale: float
    releases: int = 1
    weights: str = "equal"
    trials: int = 20_000

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.weights not in ("equal", "dirichlet"):
            raise ValueError(f"weights must be equal or dirichlet, not {self.weights!r}")
        if self.trials < 2:
            raise ValueError(f"trials must be at least 2, not {self.trials}")
        if not all(0 <= value <= 1 for value in (*self.records, self.replaced_by)):
            raise ValueError(f"records must be in [0, 1], not {[*self.records, self.replaced_by]}")
        compose_basic(self.mixing.epsilon, self.releases)

    @property
    def mixing(self) -> MixingMechanism:
        """The mechanism, for the accountant: numbers in [0, 1] have an L1 diameter of 1."""
        return MixingMechanism(
            records=len(self.records), mix_count=self.mix_count, noise_scale=self.noise_scale, diameter=1.0
        )

    @property
    def neighbor(self) -> tuple[float, ...]:
        """The set with the first record replaced."""
        return (self.replaced_by, *self.records[1:])

    @property
    def claimed(self) -> float:
        """Epsilon of all releases by basic composition."""
        return compose_basic(self.mixing.epsilon, self.releases)

    @property
    def condition(self) -> dict[str, Any]:
        """The attack as a measurement's condition."""
        spread = "worst case" if len(set(self.records)) == 1 else "random records"
        facts: dict[str, Any] = {"records": spread, "n": len(self.records), "k": self.mix_count}
        return facts | {"b": self.noise_scale, "releases": self.releases, "weights": self.weights}


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What the attack achieved at the threshold it chose.

    The attack tries to detect either the neighboring set or the set itself, whichever proves more.

    Attributes:
        hits: trials of that set that the attack detects.
        false_alarms: trials of the other set that the attack mistakes for it.
        trials: number of trials of each set.
        epsilon: the largest epsilon that is refuted with 95 % confidence; 0 if none is.
    """

    hits: int
    false_alarms: int
    trials: int
    epsilon: float


def run_audit(audit: Audit, seed: int) -> Audited:
    """Make `trials` trials with each set, and attack them."""
    rng = generator_of("audit", seed, repr(audit))
    theirs, ours = (_statistics(audit, records, rng) for records in (audit.neighbor, audit.records))
    both = []
    for yes, no in ((theirs, ours), (-ours, -theirs)):
        half = len(yes) // 2
        threshold = _choose_threshold(yes[:half], no[:half])
        hits, alarms = (int((part[half:] >= threshold).sum()) for part in (yes, no))
        rest = len(yes) - half
        # Both directions are tried, so each needs a confidence above 95 %.
        proven = epsilon_bound(hits, alarms, rest, confidence=1 - (1 - _CONFIDENCE) / 2)
        both.append(Audited(hits=hits, false_alarms=alarms, trials=rest, epsilon=proven))
    return max(both, key=lambda one: one.epsilon)


def _statistics(audit: Audit, records: Sequence[float], rng: torch.Generator) -> Tensor:
    """The attacker's test statistic for each trial, (trials,): high values indicate the neighbor."""
    count = audit.trials * audit.releases
    values = torch.tensor(records)
    chosen = choose_records(len(records), audit.mix_count, count, rng)
    weights = dirichlet_weights(count, audit.mix_count, rng) if audit.weights == "dirichlet" else None
    released = mix(values, chosen, weights) + laplace((count,), audit.noise_scale, rng)
    if weights is not None:
        # This density has no closed form; the largest release is a fair test of whether there is a 1 among zeros.
        return released.view(audit.trials, audit.releases).amax(1)
    parts = []
    for part in torch.split(released, 100_000):
        other, own = (
            log_density(part, one, audit.mix_count, audit.noise_scale) for one in (audit.neighbor, audit.records)
        )
        parts.append(other - own)
    return torch.cat(parts).view(audit.trials, audit.releases).sum(1)


def _choose_threshold(yes: Tensor, no: Tensor) -> float:
    """The threshold at which these trials would prove the largest epsilon."""
    scores = torch.cat([yes, no]).sort().values
    steps = torch.linspace(0, len(scores) - 1, _THRESHOLDS).long()
    # Large epsilons show at the far ends, which evenly spaced steps would miss.
    ends = len(scores) - torch.logspace(0, math.log10(len(scores)), _THRESHOLDS).long()
    candidates = scores[torch.cat([steps, ends.clamp(min=0)])]
    hits, alarms = (len(part) - torch.searchsorted(part.sort().values, candidates).double() for part in (yes, no))
    # Bounds by two standard deviations are good enough for choosing.
    low = (hits - 2 * hits.sqrt()).clamp(min=1e-9)
    return float(candidates[(low / (alarms + 2 * (alarms + 1).sqrt() + 1)).argmax()])


def epsilon_bound(hits: int, false_alarms: int, trials: int, *, confidence: float = _CONFIDENCE) -> float:
    """The largest epsilon with TPR > exp(epsilon) FPR at that confidence, at least 0.

    Args:
        hits, false_alarms: from 0 to trials.
        trials: number of trials of each set.
        confidence: confidence of the statement; the bound on each rate gets half of the error that it leaves.
    """
    each = (1 - confidence) / 2
    low = clopper_pearson_lower(hits, trials, each)
    high = 1 - clopper_pearson_lower(trials - false_alarms, trials, each)
    return max(0.0, math.log(low / high)) if low > 0 else 0.0


def clopper_pearson_lower(successes: int, trials: int, error: float) -> float:
    """The share p at which that many successes or more have probability `error` (Clopper and Pearson 1934).

    Raises:
        ValueError: more successes than trials, counts outside their range, or an error not between 0 and 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"successes must be from 0 to {trials}, the trials, not {successes}")
    if not 0 < error < 1:
        raise ValueError(f"error must be between 0 and 1, not {error}")
    if successes == 0:
        return 0.0
    counts = torch.arange(successes, trials + 1, dtype=torch.float64)
    ways = math.lgamma(trials + 1) - torch.lgamma(counts + 1) - torch.lgamma(trials - counts + 1)
    low, high = 0.0, successes / trials
    for _ in range(60):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        tail = torch.logsumexp(ways + counts * math.log(middle) + (trials - counts) * math.log1p(-middle), dim=0)
        low, high = (middle, high) if float(tail) < math.log(error) else (low, middle)
    return low


def audits(trials: int) -> tuple[Audit, ...]:
    """The attacks: one of six records is 1 or not; among zeros at each k, over many releases, among others, with mixup.

    Args:
        trials: number of trials of each attack; twice as many with mixup's weights.
    """
    worst = [Audit(records=_ZEROS, replaced_by=1.0, mix_count=k, noise_scale=0.2, trials=trials) for k in (1, 2, 4, 6)]
    many = Audit(records=_ZEROS, replaced_by=1.0, mix_count=2, noise_scale=0.5, releases=8, trials=trials)
    spread = Audit(records=_SPREAD, replaced_by=1.0, mix_count=2, noise_scale=0.2, releases=2, trials=trials)
    uneven = Audit(
        records=_ZEROS, replaced_by=1.0, mix_count=2, noise_scale=1 / 6, weights="dirichlet", trials=2 * trials
    )
    return *worst, many, spread, uneven


def audit_rows(trials: int) -> list[Row]:
    """Claimed, exact (for one release) and refuted epsilon of each attack."""
    rows = []
    for audit in audits(trials):
        found = run_audit(audit, seed=0)
        exact = None
        if audit.weights == "equal" and audit.releases == 1:
            exact = largest_log_ratio(audit.records, audit.neighbor, audit.mix_count, audit.noise_scale)
        rows.append(
            {
                "condition": audit.condition,
                "claimed": audit.claimed,
                "exact": exact,
                "proven": found.epsilon,
                "trials": found.trials,
            }
        )
    return rows
