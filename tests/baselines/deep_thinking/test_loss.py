"""The progressive loss, against a plain rewriting of it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from thinking import make_net, strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.loss import CellLoss, Stretch, draw_stretch, progressive_loss

# Stretches


def test_iteration_counts_cover_exactly_what_the_paper_says() -> None:
    drawn = [draw_stretch(4, seed=0, step=step) for step in range(4000)]
    assert set(drawn) == {(n, k) for n in range(4) for k in range(1, 4 - n + 1)}
    share = np.mean([n == 0 for n, _ in drawn])
    assert 0.22 < share < 0.28, "n is uniform"
    share = np.mean([k == 4 for n, k in drawn if n == 0])
    assert 0.2 < share < 0.3, "k is uniform given n"


def _is_uniform(values: list[int], smallest: int, largest: int) -> bool:
    counts = np.bincount(np.array(values) - smallest, minlength=largest - smallest + 1)
    expected = len(values) / len(counts)
    excess = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    # Five standard deviations of the chi-square distribution, and a margin for few degrees of freedom.
    return len(counts) == largest - smallest + 1 and excess < freedom + 5 * math.sqrt(2 * freedom) + 10


@pytest.mark.parametrize("max_iterations", [1, 6, 30])
@pytest.mark.parametrize("seed", [0, 7])
def test_counts_are_uniform(max_iterations: int, seed: int) -> None:
    drawn = [draw_stretch(max_iterations, seed=seed, step=step) for step in range(6000)]
    assert _is_uniform([n for n, _ in drawn], 0, max_iterations - 1)
    for n in range(max_iterations):
        assert _is_uniform([k for other, k in drawn if other == n], 1, max_iterations - n)


def test_stretches_are_a_function_of_seed_and_step() -> None:
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    one = [draw_stretch(30, seed=3, step=step) for step in range(50)]
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert [draw_stretch(30, seed=3, step=step) for step in reversed(range(50))] == one[::-1]
    assert [draw_stretch(30, seed=4, step=step) for step in range(50)] != one
    # Seed 3 at step 8 is not seed 4 at step 7, as it would be with seed + step.
    assert [draw_stretch(30, seed=4, step=step) for step in range(49)] != one[1:]


def test_held_steps() -> None:
    held = [draw_stretch(5, seed=0, step=step, hold_iterations=1000, hold_share=0.25) for step in range(6000)]
    plain = [draw_stretch(5, seed=0, step=step) for step in range(6000)]
    assert [k for _, k in held] == [k for _, k in plain]
    changed = [one.n for one, other in zip(held, plain, strict=True) if one.n != other.n]
    assert 0.22 < len(changed) / 6000 < 0.28
    assert 0 <= min(changed) < 20
    assert 980 <= max(changed) < 1000
    assert _is_uniform([n // 100 for n in changed], 0, 9)
    always = [draw_stretch(5, seed=0, step=step, hold_iterations=3, hold_share=1.0) for step in range(2000)]
    assert {n for n, _ in always} == {0, 1, 2}
    assert _is_uniform([n for n, _ in always], 0, 2)


# The loss of cells


def test_masked_loss_counts_the_masked_cells_only() -> None:
    logits = torch.tensor([[[0.0, 5.0], [0.0, -5.0]]])
    targets = torch.tensor([[0, 1]])
    first = torch.tensor([[True, False]])
    assert float(CellLoss(targets, first)(logits)) == pytest.approx(math.log(2))
    assert float(CellLoss(targets)(logits)) == pytest.approx((math.log(2) + math.log1p(math.exp(10))) / 2)
    # Over four cells, as where another process has two more.
    assert float(CellLoss(targets, first, 4)(logits)) == pytest.approx(math.log(2) / 4)


@pytest.mark.parametrize("size", [(9,), (5, 6)])
def test_cell_loss_is_the_mean_cross_entropy(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 2, *size), torch.randint(2, (4, *size))
    mask = torch.rand(4, *size) > 0.4
    whole, masked = CellLoss(targets), CellLoss(targets, mask)
    torch.testing.assert_close(whole(logits), F.cross_entropy(logits, targets))
    by_cell = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(masked(logits), by_cell[mask].mean())
    assert whole.num_cells == targets.numel()
    assert masked.num_cells == int(mask.sum())
    assert CellLoss(targets, mask, 3.0).num_cells == 3.0
    torch.testing.assert_close(CellLoss(targets, mask, 3.0)(logits), by_cell[mask].sum() / 3)
    assert whole(logits.bfloat16()).dtype == torch.float32
    assert whole(logits.double()).dtype == torch.float64


# The progressive loss


def _loss(net: Any, weight: float, stretch: Stretch) -> Tensor:
    x, y = strings(4, 12)
    return progressive_loss(net, x, CellLoss(y), stretch, max_iterations=6, progressive_weight=weight).value


@pytest.mark.parametrize("kind", ["recurrent", "feed_forward", "lipschitz"])
def test_the_start_of_a_stretch_is_detached(kind: str) -> None:
    for stretch in (Stretch(2, 3), Stretch(0, 3)):
        net = make_net(kind, recall=True)
        _loss(net, 1.0, stretch).backward()  # type: ignore[no-untyped-call]
        gradient = net.projection.weight.grad
        assert (gradient is None or not bool(gradient.any())) is (stretch.n > 0)
        assert net.recall.weight.grad is not None
        assert bool(net.recall.weight.grad.any())


def test_a_stretch_takes_the_blocks_of_its_iterations() -> None:
    net = make_net("feed_forward")
    _loss(net, 1.0, Stretch(2, 3)).backward()  # type: ignore[no-untyped-call]
    learned = [pair[0].first.weight.grad is not None for pair in net.blocks]
    assert learned == [False, False, True, True, True, False, False, False]


def test_progressive_loss_is_the_loss_of_its_stretch() -> None:
    net = make_net()
    x, y = strings(4, 12)
    value = float(_loss(net, 1.0, Stretch(2, 3)).detach())
    assert value == pytest.approx(float(F.cross_entropy(net(x, 5)[0], y).detach()))


def test_alpha_mixes_the_two_losses() -> None:
    net = make_net()
    full, stretch, mixed = (float(_loss(net, alpha, Stretch(1, 3)).detach()) for alpha in (0.0, 1.0, 0.25))
    assert full != stretch
    assert mixed == pytest.approx(0.75 * full + 0.25 * stretch)
    x, y = strings(4, 12)
    assert full == pytest.approx(float(F.cross_entropy(net(x, 6)[0], y).detach()))


@pytest.mark.parametrize(("alpha", "longest"), [(0.0, 6), (1.0, 5), (0.5, 6)])
def test_a_term_without_weight_is_not_run(alpha: float, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = make_net()
    runs: list[int] = []
    forward = net.forward

    def spy(x: Tensor, iterations: int, state: Tensor | None = None, done: int = 0) -> tuple[Tensor, Tensor]:
        runs.append(iterations)
        result: tuple[Tensor, Tensor] = forward(x, iterations, state, done)
        return result

    monkeypatch.setattr(net, "forward", spy)
    _loss(net, alpha, Stretch(2, 3))
    assert len(runs) == (2 if alpha == 0.5 else 1)
    assert max(runs) <= longest


def _plain(net: Any, x: Tensor, targets: Tensor, stretch: Stretch, max_iterations: int, alpha: float) -> Any:
    """As the paper's algorithm reads: concatenation, head and both terms always; loss and last logits of the terms."""

    def norm(features: Tensor, block: Any) -> Tensor:
        return features if block.norm is None else F.group_norm(features, 4)

    def think(state: Tensor, iterations: int) -> tuple[list[Tensor], Tensor]:
        outputs = [net.head(state)]
        for _ in range(iterations):
            if net.recall is not None:
                state = net.recall(torch.cat([state, x], dim=1))
                state = F.relu(state) if net.recall_relu else state
            for block in net.blocks:
                inner = F.relu(norm(block.first(state), block))
                state = F.relu(norm(block.second(inner), block) + state)
            outputs.append(net.head(state))
        return outputs, state

    def cross_entropy(logits: Tensor) -> Tensor:
        chosen = torch.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
        return -chosen.mean()

    start = F.relu(net.projection(x))
    full = think(start, max_iterations)[0][-1]
    _, state = think(start, stretch.n)
    # No graph before the stretch, but for the projection where nothing comes before it.
    outputs, _ = think(state.detach() if stretch.n > 0 else state, stretch.k)
    value = (1 - alpha) * cross_entropy(full) + alpha * cross_entropy(outputs[-1])
    return value, outputs[-1] if alpha > 0 else full


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("stretch", [Stretch(0, 2), Stretch(3, 2), Stretch(9, 1)])
@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize(
    ("recall", "recall_relu", "group_norm"), [(True, False, False), (True, True, True), (False, False, False)]
)
def test_the_fast_path_is_the_plain_one(
    alpha: float, stretch: Stretch, dimensions: int, recall: bool, recall_relu: bool, group_norm: bool
) -> None:
    options = {"recall": recall, "recall_relu": recall_relu, "group_norm": group_norm}
    net = make_net(in_channels=2, dimensions=dimensions, width=8, **options).double()
    torch.manual_seed(1)
    x = torch.randn(3, 2, *[6] * dimensions, dtype=torch.float64)
    targets = torch.randint(2, (3, *[6] * dimensions))
    expected, expected_logits = _plain(net, x, targets, stretch, 5, alpha)
    found = progressive_loss(net, x, CellLoss(targets), stretch, max_iterations=5, progressive_weight=alpha)
    assert found.value.dtype == torch.float64
    torch.testing.assert_close(found.value, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.logits, expected_logits, rtol=1e-11, atol=1e-12)
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(found.value, parameters, allow_unused=True)
    wanted = torch.autograd.grad(expected, parameters)
    assert sum(bool(gradient.any()) for gradient in wanted) >= len(parameters) - 1
    for gradient, right, weights in zip(gradients, wanted, parameters, strict=True):
        filled = torch.zeros_like(weights) if gradient is None else gradient
        torch.testing.assert_close(filled, right, rtol=1e-9, atol=1e-13)


def test_bfloat16_loses_no_gradient() -> None:
    """Autocast may keep its copies of the weights; those made without a graph must not be taken for the others."""
    gradients = []
    for enabled in (False, True):
        net = make_net(width=16)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = _loss(net, 1.0, Stretch(3, 2))
        value.backward()  # type: ignore[no-untyped-call]
        assert value.dtype == torch.float32
        gradients.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert len(gradients[0]) == 1 + 4 + 3
    for name, gradient in gradients[0].items():
        assert float((gradients[1][name] - gradient).norm() / gradient.norm()) < 0.1
