"""DP-SGD: its accountant, and its clipped and noisy gradients."""

import math
from typing import Any

import pytest
import torch

from easy_to_hard.baselines.kit.private_training import (
    ORDERS,
    PrivacyConfig,
    add_noise,
    clipped_sum,
    draw_poisson,
    epsilon_of,
    renyi_divergence,
    replacement_epsilon_of,
)


def test_without_sampling_it_is_the_gaussian_mechanism() -> None:
    assert renyi_divergence(1.0, 2.0, 8) == pytest.approx(8 / (2 * 4))
    # The sum itself tends to that.
    assert renyi_divergence(1 - 1e-12, 2.0, 8) == pytest.approx(1.0, rel=1e-6)


def test_order_two_by_hand() -> None:
    # (1 - q)^2 + 2 q (1 - q) + q^2 e^(1 / sigma^2)
    q, sigma = 0.1, 1.5
    wanted = math.log((1 - q) ** 2 + 2 * q * (1 - q) + q**2 * math.exp(1 / sigma**2))
    assert renyi_divergence(q, sigma, 2) == pytest.approx(wanted)


def test_divergence_is_that_of_the_mixture_by_quadrature() -> None:
    q, sigma, order = 0.2, 1.0, 5
    x = torch.linspace(-14, 14, 200_001, dtype=torch.float64)
    bell = torch.exp(-(x**2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
    mixed = (1 - q) * bell + q * torch.exp(-((x - 1) ** 2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
    integral = float(torch.trapezoid(mixed**order * bell ** (1 - order), x))
    assert renyi_divergence(q, sigma, order) == pytest.approx(math.log(integral) / (order - 1), rel=1e-6)


@pytest.mark.slow
def test_epsilon_agrees_with_opacus() -> None:
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp")
    for q, sigma, steps in ((0.01, 1.0, 1000), (0.05, 0.7, 300), (0.2, 4.0, 50)):
        theirs = rdp.compute_rdp(q=q, noise_multiplier=sigma, steps=steps, orders=list(ORDERS))
        wanted, _ = rdp.get_privacy_spent(orders=list(ORDERS), rdp=theirs, delta=1e-5)
        found = epsilon_of(sampling_rate=q, noise_multiplier=sigma, steps=steps, delta=1e-5)
        assert found == pytest.approx(wanted, rel=1e-6)


# By dp-accounting 0.6.0: its Rényi accountant at these orders, and its privacy loss distribution, which is tighter.
@pytest.mark.parametrize(
    ("sampling_rate", "noise_multiplier", "steps", "renyi", "loss_distribution"),
    [
        (0.01, 1.0, 1000, 2.1077530754515745, 1.8289344),
        (0.05, 0.7, 300, 15.107716622501812, 12.7450339),
        (0.2, 4.0, 50, 1.5991924434554146, 1.4529888),
        (0.032, 1.0, 256, 3.808141497453475, 3.3471706),
    ],
)
def test_epsilon_agrees_with_dp_accounting(
    sampling_rate: float, noise_multiplier: float, steps: int, renyi: float, loss_distribution: float
) -> None:
    settings = {"sampling_rate": sampling_rate, "noise_multiplier": noise_multiplier, "steps": steps, "delta": 1e-5}
    found = epsilon_of(**settings)  # type: ignore[arg-type]
    assert found == pytest.approx(renyi, rel=1e-9)
    assert loss_distribution < found < 1.2 * loss_distribution
    assert found < replacement_epsilon_of(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("sampling_rate", "noise_multiplier"), [(1.0, 3.0), (0.5, 1.0), (0.1, 1.0), (0.02, 2.0)])
def test_epsilons_are_at_least_those_found_by_brute_force(sampling_rate: float, noise_multiplier: float) -> None:
    q, sigma = sampling_rate, noise_multiplier
    x = torch.linspace(-1 - 9 * sigma, 1 + 9 * sigma, 1201, dtype=torch.float64)
    still, added, other = (torch.exp(-((x - mean) ** 2) / (2 * sigma**2)) for mean in (0, 1, -1))
    for ours, theirs, bound in (
        ((1 - q) * still + q * added, still, epsilon_of),
        ((1 - q) * still + q * added, (1 - q) * still + q * other, replacement_epsilon_of),
    ):
        for steps in (1, 2):
            pairs = [one / one.sum() for one in (ours, theirs)]
            mine, others = (torch.outer(one, one).flatten() if steps == 2 else one for one in pairs)
            for delta in (1e-2, 1e-5):
                epsilon = bound(sampling_rate=q, noise_multiplier=sigma, steps=steps, delta=delta)
                for p, r in ((mine, others), (others, mine)):
                    assert float((p - math.exp(epsilon) * r).clamp(min=0).sum()) <= delta


def test_epsilon_falls_with_noise_and_grows_with_steps() -> None:
    def epsilon(**changes: Any) -> float:
        settings = {"sampling_rate": 0.02, "noise_multiplier": 1.0, "steps": 500, "delta": 1e-5, **changes}
        return epsilon_of(**settings)

    assert epsilon(noise_multiplier=2.0) < epsilon() < epsilon(steps=2000) < epsilon(noise_multiplier=0.4)
    assert math.isfinite(epsilon(noise_multiplier=0.01))
    assert epsilon(noise_multiplier=0.0) == math.inf
    assert replacement_epsilon_of(sampling_rate=0.1, noise_multiplier=0.0, steps=1, delta=0.1) == math.inf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling_rate": 0.0}, "sampling_rate must be above 0 and at most 1, not 0.0"),
        ({"noise_multiplier": -1.0}, "noise_multiplier must be above 0 and finite, not -1.0"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"delta": 1.0}, "delta must be between 0 and 1, not 1.0"),
        ({"orders": (1,)}, "order must be at least 2, not 1"),
    ],
)
def test_accountant_is_checked(changes: dict[str, Any], message: str) -> None:
    settings = {"sampling_rate": 0.1, "noise_multiplier": 1.0, "steps": 1, "delta": 1e-5, **changes}
    with pytest.raises(ValueError, match=message):
        epsilon_of(**settings)


def test_each_example_is_clipped_on_its_own() -> None:
    # The loss w . x has the gradient x.
    items = torch.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]])

    def loss_of(weights: Any, item: torch.Tensor) -> torch.Tensor:
        return (weights["a"] * item[:1]).sum() + (weights["b"] * item[1:]).sum()

    weights = {"a": torch.zeros(1), "b": torch.zeros(1)}
    sums = clipped_sum(loss_of, weights, (items,), torch.tensor([1.0, 1.0, 0.0]), clip=1.0)
    assert sums["a"].tolist() == pytest.approx([0.6 + 0.3])
    assert sums["b"].tolist() == pytest.approx([0.8 + 0.4])


def test_noise_is_of_the_clip_and_divided_by_the_expected_batch() -> None:
    config = PrivacyConfig(clip=2.0, noise_multiplier=3.0)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    noisy = add_noise({"a": torch.full((2, 40_000), 10.0)}, config, 5.0, generators)["a"]
    assert noisy.mean(1).tolist() == pytest.approx([2.0, 2.0], abs=0.03)
    assert noisy.std(1).tolist() == pytest.approx([6 / 5, 6 / 5], rel=0.02)
    assert not torch.equal(noisy[0], noisy[1])


def test_poisson_batches() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in range(200)]
    chosen, weights = draw_poisson(50, 0.1, generators)
    sizes = weights.sum(1)
    assert float(sizes.mean()) == pytest.approx(5, abs=0.6)
    assert float(sizes.std()) == pytest.approx(math.sqrt(4.5), abs=0.5)
    for row, taken in zip(chosen, weights, strict=True):
        items = row[taken > 0].tolist()
        assert len(set(items)) == len(items)
    assert draw_poisson(3, 0.0, generators[:1])[1].tolist() == [[0.0]]


def test_privacy_is_checked() -> None:
    for changes, message in (
        ({"clip": 0.0}, "clip must be above 0"),
        ({"noise_multiplier": -0.1}, "noise_multiplier must be at least 0"),
        ({"delta": 0.0}, "delta must be between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            PrivacyConfig(**{"clip": 1.0, "noise_multiplier": 1.0, **changes})
