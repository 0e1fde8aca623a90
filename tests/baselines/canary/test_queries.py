"""Canaries: in the ball, in the box, of the nets that were drawn, and better at their aim."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.canary.queries import (
    KL,
    OBJECTIVES,
    Canaries,
    CanaryConfig,
    PixelBox,
    draw_nets,
    make_canaries,
    negative_divergence,
)
from easy_to_hard.baselines.canary.shadows import keep_matrix
from easy_to_hard.baselines.kit.stacked import Stacked


class Linear(nn.Module):
    """Logits of 3 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 12))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T


POINTS, NETS = 6, 4
BOX = PixelBox(black=torch.tensor([-1.0, -2.0, -1.0]), white=torch.tensor([1.0, 2.0, 3.0]))
KEEP = keep_matrix(NETS, POINTS, seed=0)


def setting() -> tuple[Stacked, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    nets = Stacked([Linear()] * NETS, torch.device("cpu"))
    nets.weights = {"weight": torch.randn(NETS, 3, 12, generator=rng)}
    starts = BOX.project(torch.randn(POINTS, 2, 3, 2, 2, generator=rng), torch.zeros(1), 0)
    return nets, starts, torch.randint(0, 3, (POINTS,), generator=rng)


def made(mode: Any = "online", keep: Tensor = KEEP, seed: int = 0, **changes: Any) -> Tensor:
    return canaries(mode, keep, seed, **changes).queries


def canaries(mode: Any = "online", keep: Tensor = KEEP, seed: int = 0, **changes: Any) -> Canaries:
    nets, starts, labels = setting()
    return make_canaries(
        nets,
        keep,
        starts,
        labels,
        box=BOX,
        config=CanaryConfig(**changes),
        mode=mode,
        num_classes=3,
        seed=seed,
    )


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("epsilon", [0.0, 1.0, 40.0])
def test_canaries_stay_in_ball_and_box(mode: str, epsilon: float) -> None:
    _, starts, _ = setting()
    queries = made(mode, epsilon=epsilon)
    low, high = BOX.black[:, None, None], BOX.white[:, None, None]
    assert ((queries >= low) & (queries <= high)).all()
    change = (queries - starts).abs() / (high - low) * 255
    assert change.max() > (50 if not epsilon else 0.99 * epsilon)
    if epsilon:
        assert change.max() <= epsilon * 1.001


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_canaries_get_nearer_to_the_objective(objective: str) -> None:
    nets, starts, labels = setting()
    others = (labels + 1) % 3

    def aim(queries: Tensor) -> float:
        total = 0.0
        for number in range(NETS):
            for inside in (True, False):
                chosen = KEEP[number] == inside
                logits = nets.net(number)(queries[chosen].flatten(0, 1))
                right, other = (part[chosen].repeat_interleave(2) for part in (labels, others))
                total += float(OBJECTIVES[objective](logits, right, other, inside).sum())
        return total

    # Cross-entropy draws the other class at random, so that only nets with the point are sure to be served.
    queries = made(epsilon=100.0, objective=objective)
    if objective == "cross_entropy":
        inside = [KEEP[number] for number in range(NETS)]
        odds = [
            sum(
                float(nets.net(n)(q[inside[n]][:, 0]).log_softmax(1).gather(1, labels[inside[n]][:, None]).sum())
                for n in range(NETS)
            )
            for q in (starts, queries)
        ]
        assert odds[1] > odds[0]
    else:
        assert aim(queries) < 0.9 * aim(starts)


def test_mse_is_of_the_right_logit() -> None:
    logits, labels, others = torch.tensor([[1.0, 4.0]]), torch.tensor([1]), torch.tensor([0])
    assert [OBJECTIVES["mse"](logits, labels, others, inside).item() for inside in (True, False)] == [36, 16]
    assert [OBJECTIVES["log_odds"](logits, labels, others, inside).item() for inside in (True, False)] == [49, 9]
    assert [OBJECTIVES["margin"](logits, labels, others, inside).item() for inside in (True, False)] == [0, 3]
    inside, outside = (OBJECTIVES["cross_entropy"](logits, labels, others, part).item() for part in (True, False))
    assert outside - inside == pytest.approx(3)


def test_objectives_of_probabilities() -> None:
    logits, labels, others = torch.tensor([[0.0, 0.0, torch.tensor(2.0).log()]]), torch.tensor([2]), torch.tensor([0])
    # The right class has a probability of a half.
    expected = {"softmax": (0.25, 0.25), "reverse_cross_entropy": (math.log(2), math.log(2)), "log_odds": (100, 0)}
    for name, values in expected.items():
        found = [OBJECTIVES[name](logits, labels, others, inside).item() for inside in (True, False)]
        assert found == pytest.approx(values, abs=1e-6)
    inside, outside = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 3.0]]).log_softmax(1)
    divergence = math.log(1 / 2) - outside.mean().item()
    for found in (negative_divergence(inside, outside, True), negative_divergence(outside, inside, False)):
        assert found.item() == pytest.approx(-divergence)


def test_divergence_of_nets_with_and_without_the_point() -> None:
    nets, starts, _ = setting()

    def divergence(queries: Tensor) -> float:
        logits = torch.stack([nets.net(number)(queries.flatten(0, 1)).unflatten(0, (POINTS, 2)) for number in range(4)])
        total = 0.0
        for point in range(POINTS):
            pairs = [(one, other) for one in range(4) for other in range(4) if KEEP[one, point] > KEEP[other, point]]
            for one, other in pairs:
                total -= float(negative_divergence(logits[one, point], logits[other, point], True).sum())
        return total

    assert divergence(made(objective=KL, epsilon=100.0)) > 1.5 * divergence(starts)
    # Batches only bound memory.
    torch.testing.assert_close(made(objective=KL, batch_size=2), made(objective=KL))
    with pytest.raises(ValueError, match="objective 'kl' is not for offline canaries: it needs nets with the point"):
        made("offline", objective=KL)


def test_points_stop_once_their_loss_is_low() -> None:
    whole = canaries("offline", epsilon=0.0)
    assert whole.steps.tolist() == [30] * POINTS
    stopped = canaries("offline", epsilon=0.0, stop_loss=2.0)
    assert 1 <= stopped.steps.min() < stopped.steps.max()
    for count in stopped.steps.unique().tolist():
        # With the same draws a point is where it was after as many steps.
        same = canaries("offline", epsilon=0.0, steps=count).queries
        chosen = stopped.steps == count
        torch.testing.assert_close(stopped.queries[chosen], same[chosen])
    # Each point has one step at least.
    for mode in ("online", "offline"):
        assert canaries(mode, stop_loss=1e9).steps.tolist() == [1] * POINTS


def test_the_loss_of_a_stop_is_summed_over_nets_and_averaged_over_queries() -> None:
    nets, starts, labels = setting()
    logits = torch.stack([nets.net(number)(starts.flatten(0, 1)).unflatten(0, (POINTS, 2)) for number in range(4)])
    right = logits.gather(3, labels.expand(4, 2, -1).transpose(1, 2)[..., None])[..., 0]
    # Two of four nets are without a point, so that both are asked at each step.
    loss = (right**2).mean(2).masked_fill(KEEP, 0).sum(0)
    middle = float(loss.sort().values[2:4].mean())
    steps = canaries("offline", stop_loss=middle, steps=2, learning_rate=1e-9, weight_decay=0.0).steps
    assert (steps == 1).tolist() == (loss <= middle).tolist()


def test_draws_are_of_the_right_kind() -> None:
    keep = keep_matrix(8, 50, seed=0)
    drawn = draw_nets(keep, 4, "online", torch.Generator().manual_seed(0))
    assert keep.gather(0, drawn).tolist() == [[True] * 50] * 2 + [[False] * 50] * 2
    assert (drawn.sort(0).values.diff(dim=0) > 0).all()
    offline = draw_nets(keep, 4, "offline", torch.Generator().manual_seed(0))
    assert not keep.gather(0, offline).any()
    with pytest.raises(ValueError, match="each step needs 5 nets of a kind, but a point has 4"):
        draw_nets(keep, 10, "online", torch.Generator())


def test_canaries_go_by_all_that_decides_them() -> None:
    base = made()
    assert torch.equal(base, made())
    # Batches only bound memory.
    torch.testing.assert_close(made(batch_size=2), base)
    for other in (made(seed=1, epsilon=0.0, steps=2), made("offline", epsilon=0.0, steps=2)):
        assert not torch.equal(made(epsilon=0.0, steps=2), other)
    assert not torch.equal(made(keep=~KEEP), base)


def test_offline_asks_only_nets_without_the_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    real = OBJECTIVES["mse"]

    def spy(*given: Any) -> Tensor:
        asked.append(given[3])
        return real(*given)

    monkeypatch.setattr("easy_to_hard.baselines.canary.queries.OBJECTIVES", {"mse": spy})
    made("offline", steps=3)
    assert set(asked) == {False}
    made("online", steps=3)
    assert set(asked) == {True, False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "l2"}, "objective must be one of mse, log_odds, softmax, .*, margin, kl, not 'l2'"),
        ({"stop_loss": float("nan")}, "stop_loss must be finite, or None to run all steps, not nan"),
        ({"epsilon": -1.0}, "epsilon must be from 0 to 255, in 1/255 of a pixel's range, not -1.0"),
        ({"steps": 0}, "^steps must be at least 1, not 0"),
        ({"nets_a_step": 3}, "nets_a_step must be even and at least 2, not 3"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
    ],
)
def test_config_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CanaryConfig(**changes)
