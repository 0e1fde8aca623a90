"""Memberships, statistics, LiRA and metrics, against what can be worked out."""

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch

from easy_to_hard.baselines.canary.attacks import (
    ALL_NETS,
    AUGMENTED,
    CANARY,
    CANARY_NETS,
    HELD_OUT_NETS,
    PROTOCOLS,
    THRESHOLD,
    Statistics,
    all_attacks,
    attack_name,
    compare_attacks,
    query_counts,
)
from easy_to_hard.baselines.canary.lira import (
    answer_log_odds,
    answer_margins,
    class_log_odds,
    fit_gaussians,
    leave_one_out,
    lira_scores,
)
from easy_to_hard.baselines.canary.metrics import (
    AUC,
    BALANCED,
    Performance,
    level_name,
    measure_attack,
    over_all_seeds,
    require_resolution,
    roc_metrics,
    roc_points,
)
from easy_to_hard.baselines.canary.score_files import read_statistics, statistics_to_arrays, write_arrays
from easy_to_hard.baselines.canary.shadows import batch_streams, keep_matrix
from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.scores.reference import find_measurement


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_point_is_in_half_of_the_nets() -> None:
    keep = keep_matrix(8, 500, seed=3)
    assert keep.shape == (8, 500)
    assert (keep.sum(0) == 4).all()
    # Nets differ, and so do seeds; the seed decides all.
    assert len({tuple(row.tolist()) for row in keep}) == 8
    assert torch.equal(keep, keep_matrix(8, 500, seed=3))
    assert not torch.equal(keep, keep_matrix(8, 500, seed=4))
    # Memberships of two nets are almost independent: both with a point in 3 of 14 cases.
    assert abs(float((keep[0] & keep[1]).float().mean()) - 3 / 14) < 0.07


@pytest.mark.parametrize(
    ("nets", "points", "message"), [(7, 5, "even and at least 2, not 7"), (0, 5, "not 0"), (4, 0, "points .* not 0")]
)
def test_membership_errors(nets: int, points: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keep_matrix(nets, points, seed=0)


def test_batches_go_round_all_members() -> None:
    members = [torch.tensor([3, 5, 8]), torch.arange(10, 20)]
    streams = batch_streams(members, steps=6, batch_size=5, seed=0)
    assert streams.shape == (2, 6, 5)
    for own, stream in zip(members, streams.flatten(1), strict=True):
        for first in range(0, 30 - len(own) + 1, len(own)):
            assert sorted(stream[first : first + len(own)].tolist()) == own.tolist()
    assert not torch.equal(streams[1, :2].flatten(), streams[1, 2:4].flatten())
    with pytest.raises(ValueError, match="net 1 has no members"):
        batch_streams([members[0], torch.arange(0)], steps=1, batch_size=1, seed=0)


def test_class_log_odds() -> None:
    logits = torch.tensor([[1.0, 2.0, 0.5], [60.0, -60.0, 0.0]])
    labels = torch.tensor([1, 0])
    p = logits[0].double().softmax(0)
    found = class_log_odds(logits, labels)
    assert found[0].item() == pytest.approx(math.log(p[1] / (1 - p[1])))
    # The right class's probability is 1 in float32 and in float64.
    assert found[1].item() == pytest.approx(60)
    assert class_log_odds(torch.tensor([[0.0, 900.0]]), torch.tensor([0])).item() == -900


def test_puzzle_statistics() -> None:
    items = Puzzles(
        inputs=torch.zeros(2, 1, 3),
        targets=torch.tensor([[1, 0, 1], [1, 0, 1]]),
        mask=torch.tensor([[True, True, False], [True, True, False]]),
    )
    logits = torch.tensor([[[0.0, 2.0, 9.0], [1.0, 0.0, -9.0]], [[0.0, 80.0, 0.0], [80.0, 0.0, 0.0]]])
    s = -math.log1p(math.exp(-1)) - math.log1p(math.exp(-2))
    odds = answer_log_odds(logits, items)
    assert odds[0].item() == pytest.approx(s - math.log(1 - math.exp(s)))
    assert odds[1].item() == pytest.approx(80 - math.log(2))
    assert answer_margins(logits, items).tolist() == [1.5, 80.0]


def test_fits_take_equally_many_nets_of_both_kinds() -> None:
    phi = torch.tensor([5.0, 1.0, 2.0, 7.0, 100.0]).double()[:, None, None]
    keep = torch.tensor([True, False, False, True, False])[:, None]
    fit = fit_gaussians(phi, keep, fixed=False)
    assert (fit.mean_in.item(), fit.mean_out.item()) == (6.0, 1.5)
    assert fit.spread_in.item() == pytest.approx(math.sqrt(2))
    assert fit.spread_out.item() == pytest.approx(math.sqrt(0.5))
    # A median: with three of a kind an outlier does not move it.
    more = torch.cat([phi, torch.tensor([[[6.0]]]).double()])
    fit = fit_gaussians(more, torch.cat([keep, torch.tensor([[True]])]), fixed=False)
    assert (fit.mean_in.item(), fit.mean_out.item()) == (6.0, 2.0)
    with pytest.raises(ValueError, match="at least 2 nets with and without it, not 1"):
        fit_gaussians(phi[:4][[0, 1, 2]], keep[[0, 1, 2]], fixed=True)


def test_scores_by_hand() -> None:
    phi = torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0], [-1.0, 1.0]]).double()[:, None]
    fit = fit_gaussians(phi, torch.tensor([True, True, False, False])[:, None], fixed=False)
    target = torch.tensor([[0.4, 2.0]]).double()
    found = lira_scores(target, fit)
    inside, outside = (
        [NormalDist(0.5, math.sqrt(0.5)), NormalDist(1.5, math.sqrt(4.5))],
        [
            NormalDist(0.5, math.sqrt(4.5)),
            NormalDist(1.5, math.sqrt(0.5)),
        ],
    )
    values = target[0].tolist()
    logs_in = [math.log(normal.pdf(value)) for normal, value in zip(inside, values, strict=True)]
    logs_out = [math.log(normal.pdf(value)) for normal, value in zip(outside, values, strict=True)]
    tails = [math.log(1 - normal.cdf(value)) for normal, value in zip(outside, values, strict=True)]
    assert found["online"].item() == pytest.approx((sum(logs_in) - sum(logs_out)) / 2)
    assert found["offline, two-sided"].item() == pytest.approx(-sum(logs_out) / 2)
    assert found["offline"].item() == pytest.approx(-sum(tails) / 2)


def synthetic(shift: float, nets: int = 32, points: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    """phi ~ N(m_p + shift * member, 1), the points' own levels m_p spread widely."""
    keep = keep_matrix(nets, points, seed=0)
    levels = 5 * torch.randn(points, generator=rng(), dtype=torch.float64)
    noise = torch.randn(nets, points, generator=rng(1), dtype=torch.float64)
    return (levels + shift * keep + noise)[..., None], keep


def test_lira_reaches_the_analytic_auc() -> None:
    phi, keep = synthetic(1.5)
    best = NormalDist().cdf(1.5 / math.sqrt(2))
    scores = leave_one_out(phi, keep, fixed=True)
    auc = {name: measure_attack(values.numpy(), keep.numpy(), draws=20)[AUC] for name, values in scores.items()}
    # Medians of 15 nets cost a little.
    assert best - 0.04 < auc["online"].value < best + 0.005
    assert best - 0.06 < auc["offline"].value < best + 0.005
    # Two-sided, what is as far below the others counts as much.
    assert auc["offline, two-sided"].value < auc["offline"].value - 0.1
    # Without a level for each point there is little to see: Phi(1.5 / sqrt(2 * 26)).
    threshold = measure_attack(phi[..., 0].numpy(), keep.numpy(), draws=20)[AUC]
    assert threshold.value == pytest.approx(NormalDist().cdf(1.5 / math.sqrt(52)), abs=0.03)


@pytest.mark.parametrize("fixed", [True, False])
def test_leaving_out_gives_nothing_away_of_its_own(fixed: bool) -> None:
    # The design is balanced: the other nets' memberships tell a target's, and the scores must not.
    phi, keep = synthetic(0.0, nets=8, points=3000)
    for name, values in leave_one_out(phi, keep, fixed=fixed).items():
        one = measure_attack(values.numpy(), keep.numpy(), draws=200)[AUC].measured(AUC, {})
        assert one.low is not None, name
        assert one.low <= 0.5 <= one.high
        assert one.high - one.low < 0.05


def test_roc_takes_ties_together() -> None:
    scores, members = np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False])
    fpr, tpr = roc_points(scores, members)
    assert (fpr[:, 0].tolist(), tpr[:, 0].tolist()) == ([0, 0, 0.5, 1], [0, 0.5, 1, 1])
    found = roc_metrics(fpr, tpr, (0.01, 0.6))
    assert found[AUC][0] == 0.875
    assert found[BALANCED][0] == 0.75
    assert (found["TPR at 1 % FPR"][0], found[level_name(0.6)][0]) == (0.5, 1)
    # The FPR must be below the level, and not at it.
    assert roc_metrics(fpr, tpr, (0.5,))["TPR at 50 % FPR"][0] == 0.5
    twice = roc_points(np.array([3.0, 2.0, 1.0]), np.array([True, False, False]), np.array([[1.0], [3.0], [1.0]]))
    assert twice[0][:, 0].tolist() == [0, 0, 0.75, 1]
    for wrong, who in (([1.0, math.nan], [True, False]), ([1.0, 2.0], [True, True])):
        with pytest.raises(ValueError, match=r"finite|members and non-members, not 2 of 2"):
            roc_points(np.array(wrong), np.array(who))


def test_intervals_cover_as_they_say() -> None:
    draw, within, widths = np.random.default_rng(0), 0, []
    truth = NormalDist().cdf(1 / math.sqrt(2))
    for repeat in range(60):
        members = draw.random((4, 150)) < 0.5
        scores = draw.normal(size=members.shape) + members
        one = measure_attack(scores, members, seed=repeat)[AUC].measured(AUC, {})
        assert one.low is not None
        assert one.high is not None
        within += one.low <= truth <= one.high
        widths.append(one.high - one.low)
    # Drawing both targets and points is a little careful.
    assert within >= 54
    # One target's AUC of 150 points has a standard error of 0.04.
    assert 0.05 < np.mean(widths) < 0.13


def test_differences_are_of_the_same_draws() -> None:
    phi, keep = synthetic(1.0, nets=8, points=60)
    scores = phi[..., 0].numpy()
    one, same = (measure_attack(scores, keep.numpy(), seed=5)[AUC] for _ in range(2))
    measured = one.minus(same).measured("difference", {})
    assert (measured.value, measured.low, measured.high) == (0, 0, 0)
    assert one.draws.std() > 0
    assert not np.array_equal(one.draws, measure_attack(scores, keep.numpy(), seed=6)[AUC].draws)


@pytest.mark.parametrize(
    ("level", "count", "message"),
    [
        (0.001, 500, "0.001 needs at least 1,000 non-members per target, not 500"),
        (0.0, 10, "between 0 and 1, both excluded, not 0"),
        (1.0, 10, "not 1"),
    ],
)
def test_resolution(level: float, count: int, message: str) -> None:
    require_resolution(0.01, 100)
    with pytest.raises(ValueError, match=message):
        require_resolution(level, count)


def made_up(seed: int, points: int = 80) -> Statistics:
    """Canaries of the first half's nets separate them far better than a target: fitting those is misled."""
    keep = torch.cat([keep_matrix(8, points, seed=2 * seed + part) for part in (1, 2)])
    noise = torch.randn(16, points, 3, generator=rng(2 + seed), dtype=torch.float64)
    phi = {
        "image": noise[..., :1] + keep[..., None],
        AUGMENTED: noise + keep[..., None],
        CANARY["online"]: noise + 3 * keep[..., None],
        CANARY["offline"]: noise + 3 * keep[..., None],
        "another": noise + keep[..., None],
    }
    return Statistics(phi=phi, keep=keep, half=8, seed=seed)


def test_all_attacks_side_by_side() -> None:
    seeds = [made_up(0)]
    keep, queries = seeds[0].keep, seeds[0].phi
    attacks = all_attacks(seeds, levels=(0.05,))
    # The threshold; 6 scores by two protocols and two variances, and by all nets with one, LiRA's with two; a variant.
    assert len(attacks) == 1 + 6 * (2 * 2 + 1) + 3 + 1
    assert len({str(attack.condition) for attack in attacks.values()}) == len(attacks)
    assert attacks[THRESHOLD].scores[0].tolist() == queries["image"][8:, :, 0].tolist()
    assert all(set(attack.performance) == {AUC, BALANCED, "TPR at 5 % FPR"} for attack in attacks.values())
    everyone = torch.arange(16)
    fitted = {
        CANARY_NETS: everyone < 8,
        HELD_OUT_NETS: (everyone >= 8) & (everyone != 9),
        ALL_NETS: everyone != 9,
    }
    assert set(fitted) == set(PROTOCOLS)
    for name in (AUGMENTED, CANARY["online"]):
        for fit, chosen in fitted.items():
            # Canaries and LiRA's queries are always compared with the same nets.
            gaussians = fit_gaussians(queries[name][chosen], keep[chosen], fixed=True)
            expected = lira_scores(queries[name][9], gaussians)["online"]
            assert attacks[attack_name(name, "online", "fixed", fit)].scores[0, 1].tolist() == expected.tolist()
    found = compare_attacks(attacks)
    for fit in PROTOCOLS:
        pair = {
            "attack": attack_name(CANARY["online"], "online", "fixed", fit),
            "against": attack_name(AUGMENTED, "online", "fixed", fit),
        }
        difference = find_measurement(found, "AUC difference", pair)
        assert difference.low is not None
        assert difference.low > 0
        find_measurement(found, "gain in AUC difference", {"gain": "offline", "against": "online", "fit": fit})
    counts = query_counts(seeds)
    assert [one.condition["number of queries"] for one in counts] == [1, 2, 1, 2]
    assert counts[0].value < counts[1].value < attacks[attack_name(AUGMENTED, "online")].performance[AUC].value


def test_attacks_on_all_seeds() -> None:
    seeds = [made_up(seed) for seed in range(3)]
    name = attack_name(AUGMENTED, "online")
    together = all_attacks(seeds, levels=())[name]
    alone = [all_attacks([one], levels=())[name] for one in seeds]
    assert together.scores.shape == (3, 8, 80)
    assert np.array_equal(together.scores, np.concatenate([one.scores for one in alone]))
    measured = together.performance[AUC].measured(AUC, {})
    assert measured.value == pytest.approx(np.mean([one.performance[AUC].value for one in alone]))
    assert (measured.num_seeds, measured.num_items) == (3, 3 * 8 * 80)
    assert measured.low is not None
    # With two seeds there is no interval, as in all methods.
    assert all_attacks(seeds[:2], levels=())[name].performance[AUC].measured(AUC, {}).low is None


def test_seeds_are_drawn_too() -> None:
    # Seeds that differ more than their targets and points: the interval is that of three numbers drawn thrice.
    rows = [
        Performance(value=value, draws=np.full(2000, value), num_targets=2, num_points=5) for value in (0.0, 1.0, 2.0)
    ]
    one = over_all_seeds(rows)
    assert (one.value, one.num_targets, one.num_seeds) == (1.0, 6, 3)
    assert one.draws.std() == pytest.approx(math.sqrt(2 / 9), abs=0.02)
    # Differences of the same seeds are draw by draw.
    assert set(one.minus(over_all_seeds(rows)).draws) == {0.0}


def test_rates_at_a_low_level_are_in_their_intervals() -> None:
    # The rate jumps from one non-member to the next, so that resampling shifts it: percentiles are corrected.
    draw, truth, within = np.random.default_rng(1), 1 - NormalDist().cdf(NormalDist().inv_cdf(0.95) - 1.5), 0
    for repeat in range(30):
        members = draw.random((4, 200)) < 0.5
        scores = draw.normal(size=members.shape) + 1.5 * members
        performance = measure_attack(scores, members, levels=(0.05,), seed=repeat)["TPR at 5 % FPR"]
        one = performance.measured("TPR", {})
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.value < one.high
        within += one.low <= truth <= one.high
    assert within >= 26


def test_scores_are_kept(tmp_path: Path) -> None:
    one = made_up(1)
    path = tmp_path / "seed1" / "scores.npz"
    write_arrays(statistics_to_arrays(one), path)
    again = read_statistics(path)
    assert (again.half, again.seed) == (8, 1)
    both = [all_attacks([kept], levels=(0.05,)) for kept in (one, again)]
    assert [attack.measurements() for attack in both[0].values()] == [
        attack.measurements() for attack in both[1].values()
    ]
    path.write_bytes(b"none")
    with pytest.raises(ValueError, match=r"scores\.npz does not hold the scores of a run on images"):
        read_statistics(path)
    with pytest.raises(FileNotFoundError):
        read_statistics(tmp_path / "missing.npz")
