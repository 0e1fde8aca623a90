"""The mechanism, and the attack on what it releases."""

from itertools import combinations

import pytest
import torch

from easy_to_hard.baselines.dp_instahide.audit import (
    Audit,
    clopper_pearson_lower,
    epsilon_bound,
    run_audit,
)
from easy_to_hard.baselines.dp_instahide.mechanism import (
    Cell,
    as_shares,
    choose_records,
    dirichlet_weights,
    laplace,
    make_grid,
    mix,
    release,
)
from easy_to_hard.baselines.kit.seeds import generator_of

ZEROS = (0.0,) * 6


def test_all_subsets_are_alike() -> None:
    chosen = choose_records(5, 3, 30_000, generator_of("subsets")).sort(1).values
    found = {subset: int((chosen == torch.tensor(subset)).all(1).sum()) for subset in combinations(range(5), 3)}
    assert sum(found.values()) == 30_000
    # Ten subsets: 3,000 each, with a standard deviation of 52.
    assert all(abs(count - 3000) < 5 * 52 for count in found.values())
    assert choose_records(4, 4, 7, generator_of("all")).sort(1).values.tolist() == [[0, 1, 2, 3]] * 7
    with pytest.raises(ValueError, match="k must be from 1 to n = 2, the number of records, not 3"):
        choose_records(2, 3, 1, generator_of("none"))


def test_noise_is_laplace_of_that_scale() -> None:
    noise = laplace((200_000,), 0.3, generator_of("noise"))
    # E|x| is b, the standard deviation b sqrt 2, and beyond b log 4 is a quarter of all.
    assert float(noise.abs().mean()) == pytest.approx(0.3, rel=0.02)
    assert float(noise.std()) == pytest.approx(0.3 * 2**0.5, rel=0.02)
    assert float((noise.abs() > 0.3 * torch.log(torch.tensor(4.0))).float().mean()) == pytest.approx(0.25, abs=0.005)
    assert float(noise.median()) == pytest.approx(0, abs=0.005)
    assert laplace((3,), 0.0, generator_of("none")).tolist() == [0, 0, 0]


def test_mixtures_are_equal_averages() -> None:
    values = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    chosen = torch.tensor([[0, 1], [1, 2]])
    assert mix(values, chosen).tolist() == [[0.5, 0.5], [0.75, 0.25]]
    assert release(values, chosen, 0.0, generator_of("x")).tolist() == [[0.5, 0.5], [0.75, 0.25]]
    weights = dirichlet_weights(1000, 3, generator_of("weights"))
    assert torch.allclose(weights.sum(1), torch.ones(1000))
    assert float(weights.max()) > 0.9
    assert mix(values, chosen, torch.tensor([[1.0, 0.0], [0.25, 0.75]])).tolist() == [[0, 1], [0.625, 0.375]]
    # Every coordinate has noise of its own, those of labels as well.
    noisy = release(torch.zeros(2, 50), chosen % 2, 1.0, generator_of("y"))
    assert noisy.flatten().unique().numel() == 100


def test_noisy_labels_become_shares() -> None:
    shares = as_shares(torch.tensor([[0.5, -0.2, 0.5], [-1.0, -1.0, -1.0], [0.0, 2.0, 6.0]]))
    assert torch.allclose(shares, torch.tensor([[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3], [0, 0.25, 0.75]]))


def test_grid_holds_noise_alone_and_mixup_alone() -> None:
    grid = make_grid((4,), (0.5,), 10)
    assert [(cell.mix_count, cell.noise_scale) for cell in grid] == [(1, 0.0), (1, 0.5), (4, 0.0), (4, 0.5)]
    assert grid[0].mixing(10, 1.0) is None
    found = grid[3].mixing(10, 2.0)
    assert found is not None
    assert found.exponent == 1.0
    for wrong, message in (((11,), "k must be from 1 to n = 10"), ((0,), "k must be from 1 to n = 10")):
        with pytest.raises(ValueError, match=message):
            make_grid(wrong, (0.5,), 10)
    with pytest.raises(ValueError, match="b, the scale of the noise, must be above 0"):
        make_grid((2,), (0.0,), 10)
    with pytest.raises(ValueError, match="b, the scale of the noise, must be at least 0 and finite, not -1"):
        Cell(mix_count=1, noise_scale=-1)


def test_clopper_pearson() -> None:
    # Tables: 10 of 10 and 3 of 10 at 2.5 %.
    assert clopper_pearson_lower(10, 10, 0.025) == pytest.approx(0.025**0.1, rel=1e-9)
    assert clopper_pearson_lower(3, 10, 0.025) == pytest.approx(0.06674, rel=1e-3)
    assert clopper_pearson_lower(0, 10, 0.025) == 0
    assert epsilon_bound(50, 50, 100) == 0
    assert epsilon_bound(0, 0, 100) == 0
    # No false alarm in 100 is at most 3.62 % at 2.5 %; 100 hits at least 96.38 %.
    assert epsilon_bound(100, 0, 100) == pytest.approx(3.282, abs=2e-3)
    with pytest.raises(ValueError, match="successes must be from 0 to 10, the trials, not 11"):
        clopper_pearson_lower(11, 10, 0.025)


@pytest.mark.parametrize(("mix_count", "releases"), [(1, 1), (2, 1), (4, 1), (6, 1), (2, 5)])
def test_the_best_attack_stays_below_the_claim_and_comes_near_it(mix_count: int, releases: int) -> None:
    audit = Audit(records=ZEROS, replaced_by=1.0, mix_count=mix_count, noise_scale=0.4, releases=releases)
    found = run_audit(audit, seed=0)
    assert found.epsilon <= audit.claimed
    # A single release is attacked as well as can be, and so the bound must be tight.
    assert found.epsilon >= (0.75 if releases == 1 else 0.4) * audit.claimed
    assert run_audit(audit, seed=0) == found


def test_weights_of_mixup_break_the_claim() -> None:
    equal, uneven = (
        Audit(records=ZEROS, replaced_by=1.0, mix_count=2, noise_scale=1 / 6, weights=weights, trials=60_000)
        for weights in ("equal", "dirichlet")
    )
    assert uneven.claimed == equal.claimed
    assert run_audit(equal, seed=0).epsilon <= equal.claimed < run_audit(uneven, seed=0).epsilon


def test_errors_of_audits() -> None:
    for changes, message in (
        ({"weights": "beta"}, "weights must be equal or dirichlet, not 'beta'"),
        ({"trials": 1}, "trials must be at least 2, not 1"),
        ({"replaced_by": 2.0}, r"records must be in \[0, 1\]"),
        ({"mix_count": 7}, "k must be from 1 to n = 6"),
        ({"noise_scale": 0.0}, "b, the scale of the noise, must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Audit(**{"records": ZEROS, "replaced_by": 1.0, "mix_count": 1, "noise_scale": 1.0, **changes})  # type: ignore[arg-type]
