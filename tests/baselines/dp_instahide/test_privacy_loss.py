"""The accountant's three bounds against brute force, against each other, and against dp-accounting."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pytest

from easy_to_hard.baselines.dp_instahide.accountant import Account, MixingMechanism, count_inclusions
from easy_to_hard.baselines.dp_instahide.audit import subset_means
from easy_to_hard.baselines.dp_instahide.privacy_loss import (
    LossDistribution,
    Losses,
    composed_epsilon,
    largest_loss,
    release_losses,
)

DELTA = 1e-5


def account(records: int, mix_count: int, noise_scale: float, diameter: float, releases: int, delta: float) -> Account:
    mixing = MixingMechanism(records=records, mix_count=mix_count, noise_scale=noise_scale, diameter=diameter)
    return Account(mixing=mixing, releases=releases, delta=delta)


def smallest_epsilon(ours: Losses, theirs: Losses, delta: float) -> float:
    """The smallest epsilon at which two discrete distributions are indistinguishable, in both directions."""
    low, high = 0.0, float(np.abs(np.log(ours / theirs)).max())
    for _ in range(50):
        middle = (low + high) / 2
        told = max((p - math.exp(middle) * q).clip(min=0).sum() for p, q in ((ours, theirs), (theirs, ours)))
        low, high = (low, middle) if told <= delta else (middle, high)
    return high


def laplace_cells(edges: Losses, mean: float, scale: float) -> Losses:
    """Mass of Laplace noise between edges, (len(edges) - 1,)."""
    places = (edges - mean) / scale
    below = np.where(places < 0, np.exp(np.minimum(places, 0)) / 2, 1 - np.exp(-np.maximum(places, 0)) / 2)
    return np.diff(below)


def brute_force(
    records: Sequence[float], neighbor: Sequence[float], mix_count: int, noise_scale: float, releases: int, delta: float
) -> float:
    """The smallest epsilon of all releases of two sets of numbers, of which an attacker sees the cell of a grid.

    All outcomes of all releases are enumerated. A grid is a processing of the releases, so that the true epsilon is
    at least this, and as fine grids show, hardly more.
    """
    inner = np.linspace(0, 1 / mix_count, {1: 2000, 2: 300, 3: 40}[releases])
    edges = np.concatenate([[-np.inf], np.union1d(inner, np.linspace(0, 1, 2 * mix_count + 1)), [np.inf]])
    ours, theirs = (
        np.mean([laplace_cells(edges, mean, noise_scale) for mean in subset_means(one, mix_count).tolist()], axis=0)
        for one in (records, neighbor)
    )
    all_of = [reduce(np.multiply.outer, [one] * releases).ravel() for one in (ours, theirs)]
    return smallest_epsilon(all_of[0], all_of[1], delta)


@pytest.mark.parametrize("releases", [1, 2, 3])
def test_every_bound_is_at_least_the_epsilon_found_by_brute_force(releases: int) -> None:
    rng = np.random.default_rng(releases)
    closest = 0.0
    for _ in range(20):
        n = int(rng.integers(1, 6))
        records = rng.integers(0, 2, n).astype(float).tolist() if rng.random() < 0.5 else [0.0] * n
        neighbor = [1.0 - records[0], *records[1:]]
        k, b, delta = int(rng.integers(1, n + 1)), float(10 ** rng.uniform(-0.8, 0.5)), float(10 ** rng.uniform(-4, -1))
        exact = brute_force(records, neighbor, k, b, releases, delta)
        bounds = account(n, k, b, 1.0, releases, delta).bounds
        for bound in bounds.values():
            assert exact <= bound + 1e-9
        closest = max(closest, exact / min(bounds.values()))
    assert closest > 0.98


def test_one_release_is_bounded_by_what_is_attained() -> None:
    # By hand: of one release in the worst case, delta = q (1 - exp((e - t) / 2)) with exp(epsilon) = 1 + q (e^e - 1).
    q, t, e = 1 / 3, 2.0, 0.8
    delta = q * (1 - math.exp((e - t) / 2))
    assert composed_epsilon(t, q, 1, delta) == pytest.approx(math.log1p(q * math.expm1(e)), rel=1e-4)
    assert brute_force([0.0] * 3, [1.0, 0.0, 0.0], 1, 0.5, 1, delta) == pytest.approx(
        math.log1p(q * math.expm1(e)), rel=2e-3
    )


@pytest.mark.parametrize("noise_scale", [1e-3, 0.02, 0.3, 5.0])
@pytest.mark.parametrize(("records", "mix_count"), [(50_000, 4), (400, 1), (12, 3), (5, 5)])
@pytest.mark.parametrize("releases", [1, 40, 3000])
def test_the_loss_distribution_is_the_smallest(records: int, mix_count: int, noise_scale: float, releases: int) -> None:
    found = account(records, mix_count, noise_scale, 1.0, releases, DELTA)
    assert found.loss_distribution <= (1 + 1e-3) * min(found.inclusions, found.composition)
    assert found.total == min(found.bounds.values())
    assert found.bounds[found.bound] == found.total
    if mix_count == records:
        # A record that is in all releases loses at most e0 in each.
        assert found.inclusions <= releases * found.mixing.exponent * (1 + 1e-12)


# Both by dp-accounting 0.6.0: `from_laplace_mechanism` with a sampling probability, which is for adding or removing a
# record and so is a lower bound here; and `create_pmf_pessimistic_connect_dots` of this accountant's delta at each
# epsilon, as in the next test.
@pytest.mark.parametrize(
    ("settings", "one_sided", "wanted"),
    [
        ((4000, 4, 51.9, 786.0, 4000), 1.37088, 1.84740),
        ((4000, 4, 24.0, 786.0, 4000), 17.69120, 20.07655),
        ((2000, 4, 1.03, 32.0, 2000), 20.07948, 22.58706),
        ((50_000, 4, 16 / 255, 1.0, 50_000), 0.36896, 0.52013),
        ((6, 2, 0.4, 1.0, 8), 4.58892, 4.58892),
        ((6, 6, 0.4, 1.0, 5), 2.08301, 2.08301),
        ((100, 1, 0.3, 1.0, 1), 0.23882, 0.23882),
    ],
)
def test_figures_of_dp_accounting(settings: tuple[Any, ...], one_sided: float, wanted: float) -> None:
    found = account(*settings, DELTA).loss_distribution
    assert one_sided < found
    assert found == pytest.approx(wanted, rel=1e-4)


def test_dp_accounting_itself() -> None:
    library = pytest.importorskip("dp_accounting.pld.pld_pmf")
    exponent, share, releases, interval = 2.0, 0.05, 200, 1e-3
    cells = math.ceil(largest_loss(exponent, share) / interval)
    epsilons = interval * np.arange(-cells, cells + 1)

    def delta_at(epsilon: Losses) -> Losses:
        noise = np.log1p(np.expm1(epsilon) / share)
        found: Losses = share * np.maximum(0, -np.expm1((noise - exponent) / 2))
        return found

    ratio = np.exp(epsilons)
    deltas = np.where(epsilons >= 0, delta_at(np.abs(epsilons)), 1 - ratio + ratio * delta_at(np.abs(epsilons)))
    theirs = library.create_pmf_pessimistic_connect_dots(interval, np.arange(-cells, cells + 1), deltas)
    for delta in (1e-3, 1e-5, 1e-8):
        wanted = theirs.self_compose(releases).get_epsilon_for_delta(delta)
        assert composed_epsilon(exponent, share, releases, delta) == pytest.approx(wanted, rel=3e-3)


def test_replacement_can_be_told_better_than_one_direction_says() -> None:
    # Records at a mutual distance of 2: the others at (0, 0), the replaced one at (1, 1) in one set and (1, -1) in the
    # other. A release loses in both directions, and 4,000 of them more than a pair that only moves from the origin.
    exponent, share, releases = 786 / (4 * 51.9), 4 / 4000, 4000
    half = exponent / 2
    once = np.concatenate([[-np.inf], np.linspace(0, half, 300), [np.inf]])
    both = np.concatenate([[-np.inf], np.linspace(-half, half, 601), [np.inf]])
    still, ours, theirs = (
        np.multiply.outer(laplace_cells(once, first, 1.0), laplace_cells(both, second, 1.0)).ravel()
        for first, second in ((0.0, 0.0), (half, half), (half, -half))
    )
    losses = np.log(((1 - share) * still + share * ours) / ((1 - share) * still + share * theirs))
    interval = float(losses.max()) / 1000
    places = np.round(losses / interval).astype(int)
    first = int(places.min())
    masses = np.bincount(places - first, weights=(1 - share) * still + share * ours)
    attained = LossDistribution(interval, first, masses).compose(releases, 1e-9).epsilon(DELTA)
    assert 1.4 < attained < composed_epsilon(exponent, share, releases, DELTA)


@pytest.mark.parametrize(("exponent", "share"), [(0.01, 0.3), (2.0, 1e-3), (40.0, 1.0), (3132.0, 1e-3), (1e6, 0.5)])
def test_rounding_to_the_grid_keeps_both_masses_and_only_adds(exponent: float, share: float) -> None:
    largest = largest_loss(exponent, share)
    coarse, fine = (release_losses(exponent, share, largest / bins) for bins in (10, 1000))
    for one in (coarse, fine):
        assert one.masses.min() >= 0
        assert one.masses.sum() == pytest.approx(1, abs=1e-12)
        if largest < 30:
            assert one.masses @ np.exp(-one.losses) == pytest.approx(1, abs=1e-12)
    for share_of_largest in (0.0, 0.15, 0.5, 0.9):
        epsilon = share_of_largest * largest
        assert fine.delta(epsilon) <= coarse.delta(epsilon) + 1e-12


def test_sums_of_losses_by_hand() -> None:
    coin = LossDistribution(0.5, -1, np.array([0.25, 0.0, 0.75]))
    twice = coin.compose(2, 1e-12)
    assert twice.losses.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert twice.masses.tolist() == pytest.approx([1 / 16, 0, 6 / 16, 0, 9 / 16])
    assert twice.delta(0.0) == pytest.approx(9 / 16 * (1 - math.exp(-1)))
    assert twice.epsilon(0.9) == 0
    assert twice.delta(twice.epsilon(0.2)) == pytest.approx(0.2)
    low, high = coin.bounds(1000, 1e-6)
    # 1,000 draws of -1 or 1 with a mean of 1/2: 500, with a standard deviation of 27.4.
    assert 500 - 7 * 27.4 < low < 500 - 4.7 * 27.4 < 500 + 4.7 * 27.4 < high < 500 + 7 * 27.4


@pytest.mark.parametrize(("share", "releases"), [(0.5, 1), (0.1, 7), (1e-3, 4000), (0.9, 50), (1.0, 6)])
def test_inclusions_are_binomial(share: float, releases: int) -> None:
    exact = Fraction(share).limit_denominator(1000)

    def tail(most: int) -> Fraction:
        terms = range(most + 1, min(releases, most + 60) + 1)
        return sum(
            (math.comb(releases, j) * exact**j * (1 - exact) ** (releases - j) for j in terms), start=Fraction(0)
        )

    for error in (0.3, 1e-2, 1e-5):
        found = count_inclusions(share, releases, error)
        assert tail(found) <= error
        assert found == 0 or tail(found - 1) > error


def test_inclusions_by_hand() -> None:
    # 15 of 4,000 releases, each of which loses at most 786 / (4 * 16 / 255).
    found = account(4000, 4, 16 / 255, 786.0, 4000, DELTA)
    assert count_inclusions(1e-3, 4000, DELTA) == 15
    assert found.inclusions == pytest.approx(15 * 3131.71875)
    # With probability 1 - 1e-6, a record is in no release at all.
    assert account(1_000_000, 1, 0.1, 1.0, 1, DELTA).inclusions == 0
    # At small losses, advanced composition of the included ones is the smaller.
    small = account(1000, 10, 10.0, 1.0, 100_000, DELTA)
    assert small.inclusions < count_inclusions(0.01, 100_000, DELTA) * small.mixing.exponent


@pytest.mark.parametrize("bound", [lambda one: one.inclusions, lambda one: one.loss_distribution])
def test_bounds_fall_with_noise_and_grow_with_releases_without_overflow(bound: Callable[[Account], float]) -> None:
    def epsilon(noise_scale: float = 0.1, releases: int = 100, delta: float = DELTA) -> float:
        return bound(account(50, 2, noise_scale, 1.0, releases, delta))

    scales = [1e-9, 1e-4, 1e-2, 0.1, 1.0, 100.0]
    found = [epsilon(scale) for scale in scales]
    assert found == sorted(found, reverse=True)
    assert all(map(math.isfinite, found))
    assert epsilon(releases=10) < epsilon() < epsilon(releases=1000)
    assert epsilon(delta=1e-3) < epsilon() < epsilon(delta=1e-8)
