"""The guarantee: its formula, its composition, and brute force against it."""

import math
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
import torch

from easy_to_hard.baselines.dp_instahide.accountant import (
    Account,
    MixingMechanism,
    compose_advanced,
    compose_basic,
    image_diameter,
    noise_for,
    puzzle_diameter,
)
from easy_to_hard.baselines.dp_instahide.audit import largest_log_ratio, log_density, subset_means


def mixing(**changes: Any) -> MixingMechanism:
    return MixingMechanism(**{"records": 50_000, "mix_count": 4, "noise_scale": 0.05, "diameter": 1.0, **changes})


def random_sets(rng: np.random.Generator) -> tuple[list[float], list[float], int, float]:
    """A set of 2 to 6 numbers, its neighbor, k and b; half of the time at the ends of [0, 1], where it is worst."""
    n = int(rng.integers(2, 7))
    records = rng.random(n) if rng.random() < 0.5 else rng.integers(0, 2, n).astype(float)
    neighbor = records.copy()
    neighbor[rng.integers(n)] = rng.random() if rng.random() < 0.5 else float(rng.integers(0, 2))
    return records.tolist(), neighbor.tolist(), int(rng.integers(1, n + 1)), float(10 ** rng.uniform(-1.2, 0.5))


@pytest.mark.parametrize(
    ("mix_count", "noise_scale", "epsilon"),
    [(1, 0.05, 9.18), (2, 0.05, 0.632), (4, 0.05, 0.0117), (8, 0.05, 0.00179), (1, 0.1, 0.365), (4, 0.5, 5.2e-5)],
)
def test_values_worked_out_elsewhere(mix_count: int, noise_scale: float, epsilon: float) -> None:
    assert mixing(mix_count=mix_count, noise_scale=noise_scale).epsilon == pytest.approx(epsilon, rel=5e-3)


def test_by_hand() -> None:
    # n 4, k 2, b 1/2, D1 2: e0 = 2 / (2 * 1/2) = 2, q = 1/2, and log(1 + (e^2 - 1) / 2) = log 4.1945.
    one = mixing(records=4, mix_count=2, noise_scale=0.5, diameter=2.0)
    assert (one.exponent, one.share, one.epoch_epsilon) == (2.0, 0.5, 4.0)
    assert one.epsilon == pytest.approx(math.log((1 + math.e**2) / 2))
    assert compose_basic(one.epsilon, 10) == pytest.approx(10 * one.epsilon)
    # sqrt(2 * 8 * ln e) 0.1 + 8 * 0.1 * (e^0.1 - 1) = 0.4 + 0.0841367.
    assert compose_advanced(0.1, 8, 1 / math.e) == pytest.approx(0.4 + 0.0841367, rel=1e-5)
    assert image_diameter(3, 32, 32, 10) == 3074
    assert puzzle_diameter(1, 32) == 64


def test_all_records_are_e0_and_mixing_is_at_least_k_times_better_than_naive() -> None:
    assert mixing(records=6, mix_count=6, diameter=3.0).epsilon == pytest.approx(3.0 / (6 * 0.05))
    for diameter in (0.1, 1.0, 30.0, 3074.0):
        for k in (1, 2, 4, 8):
            one = mixing(mix_count=k, diameter=diameter)
            assert one.epsilon <= diameter / (k * 0.05) * (1 + 1e-12)
            # The paper's term B is never the larger.
            second = -math.log(1 - one.share + one.share * math.exp(-one.exponent))
            assert second <= one.epsilon


def test_monotone_in_b_and_without_overflow() -> None:
    epsilons = [mixing(noise_scale=b).epsilon for b in np.logspace(-5, 3, 60)]
    assert all(first > second for first, second in pairwise(epsilons))
    # e0 of 10,000 and of 10^8; and no step where the formula is changed for its form without overflow.
    for exponent in (1e4, 1e8):
        one = mixing(mix_count=4, noise_scale=0.25 / exponent)
        assert one.epsilon == pytest.approx(exponent + math.log(4 / 50_000), rel=1e-12)
        account = Account(mixing=one, releases=10)
        assert account.composition == pytest.approx(10 * one.epsilon)
        # A record is in more than one of ten releases with a probability of 3e-7, and in one with 8e-4.
        assert account.inclusions == pytest.approx(exponent)
        assert account.total == pytest.approx(exponent, rel=2e-3)
    below, above = (mixing(records=10, mix_count=1, noise_scale=1 / e0).epsilon for e0 in (50 - 1e-9, 50 + 1e-9))
    assert above - below == pytest.approx(2e-9, rel=1e-3)


def test_an_epoch_by_permutation_is_never_more_than_basic_composition() -> None:
    for b in (0.01, 0.1, 1.0, 10.0):
        for k in (1, 2, 4, 8):
            one = mixing(records=1000, mix_count=k, noise_scale=b)
            assert one.epoch_epsilon <= compose_basic(one.epsilon, 1000)


def test_every_bound_is_told_and_the_smallest_is_stated() -> None:
    many = Account(mixing=mixing(), releases=50_000, delta=1e-5)
    assert [*many.bounds] == ["advanced composition", "inclusions", "privacy loss distribution"]
    assert many.composition == many.advanced < many.basic == pytest.approx(50_000 * mixing().epsilon)
    assert (many.bound, many.total) == ("privacy loss distribution", many.loss_distribution)
    for name, value in many.bounds.items():
        assert f"  {value:.4g} by {name}, delta 1e-05" in many.describe()
    assert f"stated: {many.total:.4g} (privacy loss distribution, delta 1e-05); not vacuous" in many.describe()
    few = Account(mixing=mixing(diameter=3074.0), releases=10)
    assert next(iter(few.bounds)) == "basic composition"
    assert few.vacuous
    assert "vacuous: more than 20" in few.describe()
    assert "basic composition, delta 0\n" in few.describe()
    assert "adjacency: replace one record; L1 diameter of a record with its label 3074" in few.describe()


def test_noise_for_an_epsilon() -> None:
    given = {"records": 500, "mix_count": 2, "diameter": 32.0, "releases": 500, "delta": 1e-5}
    for epsilon in (0.01, 20.0, 3000.0):
        b = noise_for(epsilon, **given)  # type: ignore[arg-type]
        assert b == float(f"{b:.4g}")
        totals = [
            Account(mixing=mixing(records=500, mix_count=2, diameter=32.0, noise_scale=scale), releases=500).total
            for scale in (b, b - 10 ** (math.floor(math.log10(b)) - 3))
        ]
        assert totals[0] <= epsilon < totals[1]
    # A record in no release at all needs no noise: the least that is tried is enough.
    assert noise_for(1.0, records=10**6, mix_count=1, diameter=1.0, releases=1, delta=1e-5) < 1e-15


def test_no_density_ratio_exceeds_the_claim() -> None:
    rng = np.random.default_rng(0)
    closest = 0.0
    for _ in range(400):
        records, neighbor, k, b = random_sets(rng)
        # Another record may take the place of the one that is replaced: the diameter is that of all.
        everything = [*records, *neighbor]
        diameter = max(everything) - min(everything)
        claimed = mixing(records=len(records), mix_count=k, noise_scale=b, diameter=max(diameter, 1e-9)).epsilon
        exact = largest_log_ratio(records, neighbor, k, b)
        assert exact <= claimed + 1e-12
        closest = max(closest, exact / claimed)
    assert closest > 0.99


@pytest.mark.parametrize("mix_count", [1, 2, 3, 6])
def test_the_claim_is_attained(mix_count: int) -> None:
    claimed = mixing(records=6, mix_count=mix_count, noise_scale=0.2).epsilon
    assert largest_log_ratio([0.0] * 6, [1.0] + [0.0] * 5, mix_count, 0.2) == pytest.approx(claimed, rel=1e-12)


def test_the_distance_of_the_replaced_pair_is_not_enough() -> None:
    # The first record moves by 0.1 only, but stands far from those that take its place in other subsets.
    exact = largest_log_ratio([1.0, 0.0, 0.0], [0.9, 0.0, 0.0], 1, 0.1)
    assert exact <= mixing(records=3, mix_count=1, noise_scale=0.1, diameter=1.0).epsilon
    assert exact > mixing(records=3, mix_count=1, noise_scale=0.1, diameter=0.1).epsilon


def test_densities_are_sums_over_subsets() -> None:
    records = [0.1, 0.7, 0.4]
    assert sorted(subset_means(records, 2).tolist()) == pytest.approx([0.25, 0.4, 0.55])
    grid = torch.linspace(-12, 13, 20_001, dtype=torch.float64)
    assert float(torch.trapezoid(log_density(grid, records, 2, 0.5).exp(), grid)) == pytest.approx(1, abs=1e-4)
    by_hand = sum(math.exp(-abs(0.3 - (a + b) / 2) / 0.5) for a, b in combinations(records, 2)) / 3
    assert float(log_density(torch.tensor(0.3), records, 2, 0.5)) == pytest.approx(math.log(by_hand), abs=1e-6)
    # No output between the peaks has a larger ratio than the peaks.
    ratio = (log_density(grid, records, 2, 0.5) - log_density(grid, [0.9, 0.7, 0.4], 2, 0.5)).abs().max()
    assert float(ratio) <= largest_log_ratio(records, [0.9, 0.7, 0.4], 2, 0.5) + 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"records": 3}, "k must be from 1 to n = 3, the number of records, not 4"),
        ({"mix_count": 0}, "k must be from 1 to n = 50000, the number of records, not 0"),
        ({"records": 0}, "n, the number of records, must be at least 1, not 0"),
        ({"noise_scale": 0.0}, "b, the scale of the noise, must be above 0 and finite, not 0.0"),
        ({"noise_scale": -1.0}, "b, the scale of the noise, must be above 0 and finite, not -1.0"),
        ({"noise_scale": math.nan}, "b, the scale of the noise, must be above 0 and finite, not nan"),
        ({"diameter": 0.0}, "the L1 diameter must be above 0 and finite, not 0.0"),
    ],
)
def test_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mixing(**changes)


def test_errors_of_composition() -> None:
    with pytest.raises(ValueError, match="M, the number of releases, must be at least 1, not 0"):
        Account(mixing=mixing(), releases=0)
    with pytest.raises(ValueError, match="delta must be between 0 and 1, not 0"):
        Account(mixing=mixing(), releases=1, delta=0)
    with pytest.raises(ValueError, match="epsilon must be above 0 and finite, not 0"):
        noise_for(0, records=5, mix_count=1, diameter=1.0, releases=1, delta=0.1)
    with pytest.raises(ValueError, match=r"epsilon 1e-30 is too small: it needs a noise of more than 1e\+17"):
        noise_for(1e-30, records=5, mix_count=1, diameter=1.0, releases=1, delta=1e-30)
    with pytest.raises(ValueError, match="not k 3 and n 2"):
        subset_means([0.0, 1.0], 3)
