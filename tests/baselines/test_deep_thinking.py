"""Deep-thinking nets: the architecture, the progressive loss, training and evaluation."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines import BASELINES, get_baseline
from easy_to_hard.baselines.deep_thinking import demo
from easy_to_hard.baselines.deep_thinking.evaluation import evaluate, most_likely_class, most_likely_corridor_class
from easy_to_hard.baselines.deep_thinking.model import PRESETS, NetArguments, RecurrentNet, initialise, preset
from easy_to_hard.baselines.deep_thinking.training import (
    TRAINING,
    TrainingConfig,
    cell_loss,
    corridor_mask,
    draw_batches,
    draw_iterations,
    progressive_loss,
    train,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The nets here are too small to be shared out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _net(
    *,
    seed: int = 0,
    in_channels: int = 1,
    width: int = 6,
    head_widths: Sequence[int] = (5, 4),
    dimensions: int = 1,
    recall: bool = True,
    recall_relu: bool = False,
) -> RecurrentNet:
    arguments = NetArguments(
        in_channels=in_channels,
        width=width,
        head_widths=head_widths,
        dimensions=dimensions,
        recall=recall,
        recall_relu=recall_relu,
    )
    return initialise(arguments, seed)


def _strings(num_items: int, num_bits: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    bits = np.random.default_rng(seed).integers(0, 2, (num_items, num_bits))
    return torch.tensor(bits - 0.5, dtype=torch.float32)[:, None], torch.tensor(bits.cumsum(axis=1) % 2)


def _config(**changes: Any) -> TrainingConfig:
    base = TrainingConfig(steps=5, max_iterations=4, progressive_weight=1.0, learning_rate=1e-3)
    return replace(base, **changes)


# The registry


def test_registry_loads_every_baseline() -> None:
    for name, baseline in BASELINES.items():
        assert baseline.load().__name__ == f"easy_to_hard.baselines.{name}"
        assert baseline.papers
    with pytest.raises(ValueError, match=r"unknown baseline 'deep'.*deep_thinking"):
        get_baseline("deep")


# The model


@pytest.mark.parametrize(
    ("name", "recall", "weights"),
    [
        ("prefix_sums", True, 3_123_600),
        ("mazes", True, 783_504),
        ("mazes", False, 632_592),
        ("chess", True, 12_056_976),
    ],
)
def test_published_sizes(name: str, recall: bool, weights: int) -> None:
    with torch.device("meta"):
        net = RecurrentNet(**{**preset(name), "recall": recall})
    assert sum(p.numel() for p in net.parameters()) == weights


def test_a_value_worked_out_by_hand() -> None:
    """Width 1, every kernel the middle tap alone, so that each position is worked out by itself."""
    net = _net(width=1, head_widths=(1, 1))
    assert net.recall is not None
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.projection.weight[0, 0, 1] = 2.0
        net.recall.weight[0, 0, 1] = 3.0  # features
        net.recall.weight[0, 1, 1] = -1.0  # input
        for block in net.blocks:
            block.first.weight[0, 0, 1] = 0.5
            block.second.weight[0, 0, 1] = -0.5
        for layer, value in zip(net.head[::2], (1.0, 1.0), strict=False):
            layer.weight[0, 0, 1] = value
        net.head[4].weight[0, 0, 1] = 1.0
        net.head[4].weight[1, 0, 1] = -4.0
    logits, state = net(torch.tensor([[[0.5, -0.5]]]), 1)
    # 0.5: start relu(1) = 1, recalled 3 - 0.5 = 2.5, a block takes z >= 0 to z - z / 4: 2.5 * 0.75 * 0.75.
    # -0.5: start relu(-1) = 0, recalled 0.5, 0.5 * 0.75 * 0.75.
    assert state.flatten().tolist() == pytest.approx([1.40625, 0.28125])
    assert logits[0, 0].tolist() == pytest.approx([1.40625, 0.28125])
    assert logits[0, 1].tolist() == pytest.approx([-5.625, -1.125])


def _forward_with_concatenation(net: RecurrentNet, x: Tensor, iterations: int) -> Tensor:
    """As the paper writes it."""
    assert net.recall is not None
    state = F.relu(net.projection(x))
    for _ in range(iterations):
        state = net.recall(torch.cat([state, x], dim=1))
        if net.recall_relu:
            state = F.relu(state)
        for block in net.blocks:
            state = F.relu(block.second(F.relu(block.first(state))) + state)
    logits: Tensor = net.head(state)
    return logits


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("recall_relu", [False, True])
def test_split_recall_equals_concatenation(dimensions: int, recall_relu: bool) -> None:
    net = _net(in_channels=3, dimensions=dimensions, recall_relu=recall_relu).double()
    x = torch.randn(2, 3, *[7] * dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits, _ = net(x, 5)
    expected = _forward_with_concatenation(net, x, 5)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    loss_weights = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parameters = list(net.parameters())
    gradients = torch.autograd.grad((logits * loss_weights).sum(), parameters)
    expected_gradients = torch.autograd.grad((expected * loss_weights).sum(), parameters)
    assert all(bool(gradient.any()) for gradient in expected_gradients)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-12)


def test_recall_relu_matters() -> None:
    x, _ = _strings(4, 12)
    assert not torch.equal(_net(recall_relu=True)(x, 3)[0], _net(recall_relu=False)(x, 3)[0])


@pytest.mark.parametrize("recall", [True, False])
def test_going_on_equals_going_through(recall: bool) -> None:
    net = _net(recall=recall)
    x, _ = _strings(3, 10)
    _, middle = net(x, 3)
    kept = middle.clone()
    logits, state = net(x, 4, middle)
    expected_logits, expected_state = net(x, 7)
    assert torch.equal(logits, expected_logits)
    assert torch.equal(state, expected_state)
    assert torch.equal(middle, kept), "a state that was given is overwritten"
    states = list(net.states(net.initial_state(x), x, 7))
    assert len(states) == 7
    assert torch.equal(states[2], middle), "a state that was yielded is overwritten"
    assert torch.equal(states[6], state)


def test_no_iterations_is_the_head_on_the_projection() -> None:
    net = _net()
    x, _ = _strings(3, 10)
    logits, state = net(x, 0)
    assert torch.equal(state, net.initial_state(x))
    assert torch.equal(logits, net.head(state))
    with pytest.raises(ValueError, match="iterations must be at least 0, not -1"):
        net(x, -1)


def test_only_recall_sees_the_input_again() -> None:
    x, _ = _strings(2, 10)
    for recall in (True, False):
        net = _net(recall=recall)
        state = net.initial_state(x)
        assert torch.equal(net.step(state, x, 2), net.step(state, -x, 2)) is not recall


@pytest.mark.parametrize(
    ("dimensions", "size"), [(1, (1,)), (1, (5,)), (1, (33,)), (2, (1, 1)), (2, (8, 8)), (2, (5, 11))]
)
def test_any_size(dimensions: int, size: tuple[int, ...]) -> None:
    logits, state = _net(in_channels=2, dimensions=dimensions)(torch.rand(3, 2, *size), 2)
    assert logits.shape == (3, 2, *size)
    assert state.shape == (3, 6, *size)
    assert bool((state >= 0).all())


def test_far_positions_do_not_touch() -> None:
    """An iteration reaches 5 positions, the projection 1 and the head 3: each further convolution one more."""
    net = _net()
    x, _ = _strings(1, 60)
    changed = x.clone()
    changed[0, 0, 30] *= -1
    differs = (net(x, 2)[0] != net(changed, 2)[0]).any(dim=1)[0].nonzero().flatten()
    assert int((differs - 30).abs().max()) <= 1 + 2 * 5 + 3
    assert int((differs - 30).abs().max()) > 1 + 5 + 3


def test_same_seed_same_weights_and_global_state_untouched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = _net(seed=1), _net(seed=1), _net(seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.projection.weight, two.projection.weight)
    assert not torch.equal(one.projection.weight, other.projection.weight)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_saved_and_read_back(dimensions: int, tmp_path: Path) -> None:
    net = _net(in_channels=3, dimensions=dimensions, recall_relu=True)
    net.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    loaded = RecurrentNet.from_pretrained(tmp_path, strict=True)
    x = torch.rand(2, 3, *[6] * dimensions)
    assert torch.equal(loaded(x, 3)[0], net(x, 3)[0])
    assert "arxiv.org/abs/2202.05826" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["head_widths"] == [5, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimensions": 3}, "dimensions must be 1 or 2, not 3"),
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"in_channels": -1}, "in_channels must be at least 1, not -1"),
        ({"head_widths": (4, 0)}, r"head_widths\[1\] must be at least 1, not 0"),
    ],
)
def test_model_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net(**changes)


def test_unknown_preset() -> None:
    with pytest.raises(ValueError, match=r"unknown preset 'maze'.*mazes"):
        preset("maze")
    assert set(TRAINING) == set(PRESETS)


# The loss


def test_iteration_counts_cover_exactly_what_the_paper_says() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_iterations(4, generator) for _ in range(4000)]
    assert set(drawn) == {(n, k) for n in range(4) for k in range(1, 4 - n + 1)}
    share = np.mean([n == 0 for n, _ in drawn])
    assert 0.22 < share < 0.28, "n is uniform"
    share = np.mean([k == 4 for n, k in drawn if n == 0])
    assert 0.2 < share < 0.3, "k is uniform given n"


def _generator_with(max_iterations: int, positive: bool) -> torch.Generator:
    """One whose first n is above 0, or is 0, and whose stretch ends before the full unroll does."""
    for seed in range(100):
        n, k = draw_iterations(max_iterations, torch.Generator().manual_seed(seed))
        if (n > 0) is positive and n + k < max_iterations:
            return torch.Generator().manual_seed(seed)
    raise AssertionError


def _loss(net: RecurrentNet, weight: float, generator: torch.Generator) -> Tensor:
    x, y = _strings(4, 12)
    return progressive_loss(net, x, y, max_iterations=6, progressive_weight=weight, generator=generator).value


def test_the_start_of_a_stretch_is_detached() -> None:
    for positive in (True, False):
        net = _net()
        _loss(net, 1.0, _generator_with(6, positive)).backward()  # type: ignore[no-untyped-call]
        gradient = net.projection.weight.grad
        assert (gradient is None or not bool(gradient.any())) is positive
        assert net.recall is not None
        assert net.recall.weight.grad is not None
        assert bool(net.recall.weight.grad.any())


def test_progressive_loss_is_the_loss_of_its_stretch() -> None:
    net = _net()
    x, y = _strings(4, 12)
    n, k = draw_iterations(6, _generator_with(6, True))
    value = float(_loss(net, 1.0, _generator_with(6, True)).detach())
    assert value == pytest.approx(float(F.cross_entropy(net(x, n + k)[0], y).detach()))


def test_alpha_mixes_the_two_losses() -> None:
    net = _net()
    full, stretch, mixed = (float(_loss(net, alpha, _generator_with(6, True)).detach()) for alpha in (0.0, 1.0, 0.25))
    assert full != stretch
    assert mixed == pytest.approx(0.75 * full + 0.25 * stretch)
    x, y = _strings(4, 12)
    assert full == pytest.approx(float(F.cross_entropy(net(x, 6)[0], y).detach()))


@pytest.mark.parametrize(("alpha", "longest"), [(0.0, 6), (1.0, 5), (0.5, 6)])
def test_a_term_without_weight_is_not_run(alpha: float, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = _net()
    runs: list[int] = []
    forward = net.forward

    def spy(x: Tensor, iterations: int, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        runs.append(iterations)
        return forward(x, iterations, state)

    monkeypatch.setattr(net, "forward", spy)
    _loss(net, alpha, _generator_with(6, True))
    assert len(runs) == (2 if alpha == 0.5 else 1)
    assert max(runs) <= longest


def test_masked_loss_counts_the_masked_cells_only() -> None:
    logits = torch.tensor([[[0.0, 5.0], [0.0, -5.0]]])
    targets = torch.tensor([[0, 1]])
    first = torch.tensor([[True, False]])
    assert float(cell_loss(logits, targets, first)) == pytest.approx(math.log(2))
    assert float(cell_loss(logits, targets)) == pytest.approx((math.log(2) + math.log1p(math.exp(10))) / 2)


def test_corridors_are_where_any_channel_is_lit() -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, 1, 0, 1] = 1
    assert corridor_mask(image).tolist() == [[[False, True], [False, False]]]


# Training


def test_learning_rate_factors() -> None:
    linear = _config(steps=10, decay="linear")
    assert [linear.learning_rate_factor(step) for step in (0, 5, 9)] == pytest.approx([1.0, 0.5, 0.1])
    drops = _config(steps=10, decay="drops", drop_steps=(4, 8))
    assert [drops.learning_rate_factor(step) for step in (3, 4, 7, 8)] == pytest.approx([1.0, 0.1, 0.1, 0.01])
    warm = _config(warmup_steps=2)
    expected = [1 - math.exp(-0.5), 1 - math.exp(-1), 1.0]
    assert [warm.learning_rate_factor(step) for step in range(3)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
        ({"progressive_weight": 1.5}, "progressive_weight must be from 0 to 1, not 1.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0, not nan"),
        ({"optimizer": "adamw"}, "optimizer must be one of adam, sgd, not 'adamw'"),
        ({"decay": "cosine"}, "decay must be one of none, linear, drops, not 'cosine'"),
        ({"drop_steps": (3,)}, "drop_steps must be empty unless"),
        ({"gradient_clip": 0.0}, "gradient_clip must be above 0, or None"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_config_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _config(**changes)


def test_batches_are_a_function_of_seed_and_step() -> None:
    x, y = _strings(500, 16)
    one, two, other = (draw_batches(x, y, batch_size=20, seed=seed) for seed in (3, 3, 4))
    two(0)
    assert torch.equal(one(7)[0], two(7)[0])
    assert not torch.equal(one(7)[0], one(8)[0])
    assert not torch.equal(one(7)[0], other(7)[0])
    # Seed 3 at step 8 is not seed 4 at step 7, as it would be with seed + step.
    assert not torch.equal(one(8)[0], other(7)[0])
    inputs, targets = one(7)
    assert torch.equal((inputs[:, 0] > 0).cumsum(dim=1) % 2, targets)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        draw_batches(x, y, batch_size=0, seed=0)
    with pytest.raises(ValueError, match="as many targets as inputs, not 499 for 500"):
        draw_batches(x, y[1:], batch_size=1, seed=0)


def _trained(seed: int) -> RecurrentNet:
    x, y = _strings(50, 8)
    net = _net(seed=seed)
    train(net, draw_batches(x, y, batch_size=10, seed=seed), _config(seed=seed), progress=False)
    return net


def test_training_is_a_function_of_the_seed() -> None:
    torch.manual_seed(1)
    one = _trained(0)
    torch.manual_seed(2)
    two, other = _trained(0), _trained(1)
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, two.state_dict()[name])
    assert not torch.equal(one.projection.weight, other.projection.weight)


def test_overfits_eight_strings(tmp_path: Path) -> None:
    x, y = _strings(8, 10)
    net = _net(width=32, head_widths=(16, 8))
    config = _config(
        steps=200, max_iterations=6, progressive_weight=0.5, learning_rate=2e-3, decay="linear", gradient_clip=1.0
    )
    log = tmp_path / "log.jsonl"
    report = train(net, lambda step: (x, y), config, log_path=log, progress=False)
    assert report.accuracy == 1.0
    assert report.loss < 0.05
    assert report.steps == 200
    assert evaluate(net, x, y, max_iterations=6, progress=False).correct[-1] == 8
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [*range(0, 200, 10), 199]
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=0.1)
    assert lines[-1]["loss"] == pytest.approx(report.loss)


def test_recurrent_weights_have_their_own_rate() -> None:
    """The first step of plain SGD moves a weight by its rate times its gradient."""
    x, y = _strings(20, 8)
    moves = []
    for scale in (1.0, 0.5):
        net = _net()
        before = {name: weights.clone() for name, weights in net.state_dict().items()}
        config = _config(steps=1, progressive_weight=0.0, optimizer="sgd", recurrent_rate_scale=scale)
        train(net, lambda step: (x, y), config, progress=False)
        moves.append({name: weights - before[name] for name, weights in net.state_dict().items()})
    for name, move in moves[0].items():
        factor = 0.5 if name.startswith(("recall", "blocks")) else 1.0
        torch.testing.assert_close(moves[1][name], factor * move, rtol=1e-2, atol=1e-8)
        assert bool(move.any())


def test_walls_do_not_train() -> None:
    """With a mask, targets outside it have no effect."""
    image = (torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    targets = torch.randint(2, (4, 6, 6), generator=torch.Generator().manual_seed(1))
    flipped = torch.where(corridor_mask(image), targets, 1 - targets)
    assert not torch.equal(flipped, targets)
    heads = []
    for labels in (targets, flipped):
        net = _net(in_channels=3, dimensions=2)
        train(net, lambda step, labels=labels: (image, labels), _config(), mask_of=corridor_mask, progress=False)
        heads.append(net.head[0].weight)
    assert torch.equal(*heads)


def test_a_lost_run_stops_with_its_step() -> None:
    x, y = _strings(4, 8)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        return (x * math.nan if step == 3 else x), y

    net = _net()
    with pytest.raises(RuntimeError, match="the loss is nan at step 3"):
        train(net, batches, _config(), progress=False)
    assert bool(torch.isfinite(net.projection.weight).all()), "a lost step is not taken"


def test_time_is_a_limit_only_when_asked() -> None:
    x, y = _strings(4, 8)
    report = train(_net(), lambda step: (x, y), _config(max_seconds=1e-9), progress=False)
    assert report.steps == 1


# Evaluation


@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_counts_equal_a_naive_evaluation(batch_size: int) -> None:
    net = _trained(0)
    x, y = _strings(13, 3, seed=9)
    evaluation = evaluate(net, x, y, max_iterations=12, batch_size=batch_size, progress=False)
    with torch.no_grad():
        expected = [int((net(x, t)[0].argmax(dim=1) == y).all(dim=1).sum()) for t in range(1, 13)]
    assert max(expected) > 0
    assert list(evaluation.correct) == expected
    assert evaluation.curve[-1] == expected[-1] / 13
    assert evaluation.peak_accuracy == max(expected) / 13
    assert evaluation.peak_iteration == expected.index(max(expected)) + 1


class _Countdown(RecurrentNet):
    """Its features are the input until item i settles, at iteration i + 2; its answer is right up to `good`."""

    def __init__(self, good: int) -> None:
        super().__init__(in_channels=1, width=1, head_widths=(), dimensions=1)
        self.good = good
        self.iteration = 0
        self.iterations_run = 0

    def initial_state(self, x: Tensor) -> Tensor:
        self.iteration = 0
        return torch.ones_like(x)

    def states(self, state: Tensor, x: Tensor, iterations: int) -> Any:
        settle_at = x[:, :1, :1]
        for self.iteration in range(1, iterations + 1):
            self.iterations_run += 1
            state = state + (self.iteration < settle_at)
            yield state

    def read_out(self, state: Tensor) -> Tensor:
        right = torch.zeros(len(state), 2, state.shape[2])
        right[:, 1 if self.iteration <= self.good else 0] = 1
        return right


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_count(threads: int) -> None:
    net, (x, y) = _trained(0), _strings(23, 9, seed=5)
    alone = evaluate(net, x, y, max_iterations=9, batch_size=4, progress=False)
    together = evaluate(net, x, y, max_iterations=9, batch_size=4, threads=threads, progress=False)
    assert replace(together, seconds=alone.seconds) == alone
    assert 0 < alone.correct[-1] < 23


def _countdown_items(settle_at: list[int]) -> tuple[Tensor, Tensor]:
    x = torch.tensor(settle_at, dtype=torch.float32)[:, None, None].expand(-1, 1, 3).contiguous()
    return x, torch.ones(len(settle_at), 3, dtype=torch.int64)


def test_the_answer_counts_where_the_features_settle() -> None:
    x, y = _countdown_items([2, 5, 50])
    evaluation = evaluate(_Countdown(good=4), x, y, max_iterations=8, progress=False)
    # Item 0 settles at 2 and is right there; item 1 at 5, where it no longer is; item 2 never, so 8 counts.
    assert evaluation.num_correct == 1
    assert evaluation.num_settled == 2
    assert evaluation.mean_iterations == pytest.approx((2 + 5 + 8) / 3)
    assert evaluation.last_iteration == 8
    assert evaluation.correct == (3, 3, 3, 3, 0, 0, 0, 0)
    assert evaluation.peak_iteration == 1
    assert "at most 0.0001" in evaluation.iterations_rule
    assert "last of 8" in evaluation.iterations_rule


def test_the_choice_does_not_see_the_targets() -> None:
    x, y = _strings(10, 4)
    one = evaluate(_trained(0), x, y, max_iterations=30, progress=False)
    two = evaluate(_trained(0), x, 1 - y, max_iterations=30, progress=False)
    assert one.correct != two.correct
    assert (one.mean_iterations, one.num_settled) == (two.mean_iterations, two.num_settled)


def test_stops_when_all_have_settled() -> None:
    x, y = _countdown_items([2, 3, 6, 4])
    net = _Countdown(good=5)
    evaluation = evaluate(net, x, y, max_iterations=100, batch_size=2, stop_when_settled=True, progress=False)
    assert net.iterations_run == 3 + 6
    # The first batch stops at 3 with 2 right and holds them; the second is wrong from 6 on.
    assert evaluation.correct == (4, 4, 4, 4, 4, 2)
    assert evaluation.num_correct == 3
    assert evaluation.num_settled == 4


def test_features_that_are_not_numbers_never_settle() -> None:
    x, y = _countdown_items([2, 2])
    x[0] = math.nan
    net = _net(width=2, head_widths=())
    evaluation = evaluate(net, x, y, max_iterations=5, progress=False)
    assert evaluation.num_settled <= 1


def test_memory_does_not_grow_with_the_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two states, the current and the former one, are alive at any time."""
    import weakref

    net = _net()
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    outputs: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = [0, 0]
    read_out = net.read_out

    def spy(state: Tensor) -> Tensor:
        logits = read_out(state)
        alive.add(state)
        outputs.add(logits)
        most[:] = max(most[0], len(alive)), max(most[1], len(outputs))
        return logits

    monkeypatch.setattr(net, "read_out", spy)
    evaluate(net, *_strings(3, 6), max_iterations=50, progress=False)
    assert most[0] <= 2
    assert most[1] <= 1


def test_walls_are_never_predicted() -> None:
    logits = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])
    image = torch.tensor([[[[1.0, 0.0]]] * 3]).reshape(1, 3, 1, 2)
    assert most_likely_class(logits, image).tolist() == [[[1, 1]]]
    assert most_likely_corridor_class(logits, image).tolist() == [[[1, 0]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_iterations": 0}, "max_iterations must be at least 1, not 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"settled_change": -1.0}, "settled_change must be at least 0, not -1.0"),
    ],
)
def test_evaluation_errors(changes: dict[str, Any], message: str) -> None:
    x, y = _strings(3, 6)
    with pytest.raises(ValueError, match=message):
        evaluate(_net(), x, y, **{"max_iterations": 2, "progress": False, **changes})
    with pytest.raises(ValueError, match="as many targets as inputs, not 2 for 3"):
        evaluate(_net(), x, y[:2], max_iterations=2, progress=False)


# The demo


def test_demo_writes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(demo, "TEST_BITS", (16, 32))
    assert demo.main(["--out", str(tmp_path / "demo"), "--steps", "2", "--test-items", "7", "--threads", "1"]) == 0
    out = tmp_path / "demo"
    result = json.loads((out / "result.json").read_text())
    assert [(score["difficulty"], score["num_items"]) for score in result["scores"]] == [(16, 7), (32, 7)]
    for name in ("index.html", "accuracy.png", "accuracy.svg", "training.jsonl", "model/model.safetensors"):
        assert (out / name).stat().st_size > 0
    shown = capsys.readouterr().out
    assert str((out / "index.html").resolve()) in shown
    x, y = demo.load_strings(out / "data", 16, "test", tmp_path / "cache")
    assert x.shape == (1000, 1, 16)
    assert set(x.unique().tolist()) == {-0.5, 0.5}
    assert torch.equal((x[:, 0] > 0).cumsum(dim=1) % 2, y)


def test_demo_refuses_wrong_numbers(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--steps", "0"])
    assert stopped.value.code == 2
    assert "steps must be at least 1, not 0" in capsys.readouterr().err
