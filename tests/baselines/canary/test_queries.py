"""Canaries: in the ball, in the box, of the nets that were drawn, and better at their aim."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.canary.queries import (
    OBJECTIVES,
    CanaryConfig,
    PixelBox,
    draw_nets,
    make_canaries,
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
        ({"objective": "kl"}, "objective must be one of mse, log_odds, cross_entropy, margin, not 'kl'"),
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
