"""Profiles: one worked out by hand, their standard deviations, and the copies of a recurrent net's weights."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad

from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, ProfiledNet, Standard
from easy_to_hard.baselines.parameter_saliency.unrolled import as_stages, copies_loss, profiles_by_call

ITERATIONS = 3


def apply(net: nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = net(inputs)
    return logits


def two_filters() -> nn.Conv1d:
    net = nn.Conv1d(2, 2, 1, bias=False)
    net.weight.data = torch.tensor([[[0.5], [0.25]], [[1.0], [-1.0]]])
    return net


def strings(targets: list[list[int]], inputs: list[list[list[float]]], mask: list[list[bool]] | None = None) -> Puzzles:
    answers = torch.tensor(targets)
    counts = torch.ones_like(answers, dtype=torch.bool) if mask is None else torch.tensor(mask)
    return Puzzles(inputs=torch.tensor(inputs), targets=answers, mask=counts)


def test_two_filters_by_hand() -> None:
    # Logits 0.5 * 2 - 0.25 * 2 = 0.5 and 4; the gradients of a filter are (p - target) * (2, -2), whose mean is 0.
    items = strings([[0]], [[[2.0], [-2.0]]])
    wrong = 1 / (1 + math.exp(0.5 - 4))
    found = ProfiledNet(two_filters(), apply).profiles(items)
    assert found[0].tolist() == pytest.approx([2 * wrong, 2 * wrong], rel=1e-6)


def test_each_item_counts_its_own_positions() -> None:
    inputs = [[[2.0, 1.0, 7.0], [-2.0, 0.5, 3.0]]]
    whole = ProfiledNet(two_filters(), apply).profiles(strings([[0, 1]], [[channel[:2] for channel in inputs[0]]]))
    masked = ProfiledNet(two_filters(), apply).profiles(strings([[0, 1, 0]], inputs, [[True, True, False]]))
    assert torch.allclose(whole, masked)


def test_filters_of_any_convolution_and_nothing_else() -> None:
    net = nn.Sequential(
        nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3), nn.ConvTranspose1d(3, 3, 2), nn.Linear(4, 4), nn.Conv3d(1, 5, 1)
    )
    filters = Filters.of(net)
    assert (filters.names, filters.counts, len(filters)) == (("0.weight", "4.weight"), (3, 5), 8)
    assert filters.layers().tolist() == [0] * 3 + [1] * 5
    with pytest.raises(ValueError, match="a Linear has no convolutions"):
        Filters.of(nn.Linear(2, 2))


def test_resnet50_has_as_many_filters_as_published() -> None:
    pytest.importorskip("PIL")
    try:
        torchvision = import_torchvision()
    except ImportError:
        pytest.skip("torchvision is not installed")
    with torch.device("meta"):
        net = torchvision.models.resnet50(weights=None)
    assert len(Filters.of(net)) == 26_560


def test_signs_can_be_kept_and_weights_told_apart() -> None:
    items = strings([[0], [1]], [[[2.0], [-2.0]], [[3.0], [1.0]]])
    filters, signed, weights = (
        ProfiledNet(two_filters(), apply, aggregation=aggregation)
        for aggregation in ("filters", "signed filters", "weights")
    )
    # As above, the gradients of a filter are (p - target) * (2, -2), which cancel.
    assert signed.profiles(items)[0].tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
    single = weights.profiles(items)
    assert single.shape == (2, 4)
    assert torch.allclose(single.view(2, 2, 2).mean(2), filters.profiles(items))
    assert torch.allclose(single[1, 0], 3 * single[1, 1])
    chosen = weights.filters.of_layers(torch.tensor([False, True, False, False]))["weight"]
    assert chosen.flatten().tolist() == [False, True, False, False]
    assert chosen.shape == (2, 2, 1)


def test_standard_deviations() -> None:
    profiles = torch.rand(20, 5, generator=torch.Generator().manual_seed(1)) + 100
    profiles[:, 2] = 100.25
    standard, exact = Standard.of(profiles), profiles.double()
    assert torch.allclose(standard.mean, exact.mean(0), rtol=1e-12)
    spread = exact.std(0)
    spread[2] = 1
    assert torch.allclose(standard.spread, spread, rtol=1e-9)
    z = standard.apply(exact)
    assert torch.allclose(z[:, 0].std(), torch.tensor(1.0, dtype=torch.float64))
    assert bool((z[:, 2] == 0).all())


def test_statistics_of_chunks_are_those_of_the_whole() -> None:
    profiles = 1e-3 * torch.randn(50, 6, generator=torch.Generator().manual_seed(2)) + 7
    standard = Standard.of(profiles[:1])
    for part in torch.split(profiles[1:], 11):
        standard = standard.updated(part)
    whole = Standard.of(profiles)
    assert standard.count == 50
    assert torch.allclose(standard.mean, whole.mean, rtol=1e-13)
    assert torch.allclose(standard.spread, whole.spread, rtol=1e-9)


def test_one_item_has_no_spread() -> None:
    with pytest.raises(ValueError, match="at least 2 items are needed for a standard deviation, not 1"):
        Standard.of(torch.ones(1, 2)).apply(torch.ones(1, 2))


@pytest.fixture(scope="module", params=["mazes", "prefix_sums"])
def recurrent(request: pytest.FixtureRequest) -> tuple[ProfiledNet, Puzzles]:
    solvers = RecurrentSolvers(task=request.param, width=4, patch=2 if request.param == "mazes" else 1)
    net = solvers.build(0).double()
    items = make_puzzles(request.param, 5 if request.param == "mazes" else 10, 5)
    return ProfiledNet(net, lambda one, x: solvers.logits(one, x, ITERATIONS), chunk=2), Puzzles(
        inputs=items.inputs.double(), targets=items.targets, mask=items.mask
    )


def test_batched_profiles_are_those_of_single_items(recurrent: tuple[ProfiledNet, Puzzles]) -> None:
    net, items = recurrent
    found = net.profiles(items)
    weights = net.convolutions()
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    loss = net.loss(leaves, items.inputs[3], items.targets[3], items.mask[3])
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    expected = torch.cat([gradient.abs().flatten(1).mean(1) for gradient in gradients])
    assert found.shape == (5, len(net.filters))
    assert torch.allclose(found[3], expected)


def test_copies_add_up_to_the_tied_gradient(recurrent: tuple[ProfiledNet, Puzzles]) -> None:
    net, items = recurrent
    copies = {name: value.expand(ITERATIONS + 2, *value.shape) for name, value in net.convolutions().items()}
    stages = as_stages(net.module)
    apart = grad(lambda values: copies_loss(stages, values, ITERATIONS, items[:1]))(copies)
    tied = grad(net.loss)(net.convolutions(), items.inputs[0], items.targets[0], items.mask[0])
    for name, gradient in tied.items():
        assert torch.allclose(apart[name].sum(0), gradient, atol=1e-12), name
    profiles = profiles_by_call(net, items, ITERATIONS)
    in_blocks = torch.repeat_interleave(
        torch.tensor([name.startswith(("blocks", "recall")) for name in net.filters.names]),
        torch.tensor(net.filters.counts),
    )
    # A filter of the iteration is used in iterations alone, and the sum of absolute values is no less than the tied.
    assert bool((profiles[:, [0, -1]][..., in_blocks] == 0).all())
    assert bool((profiles[:, 1:-1][..., ~in_blocks] == 0).all())
    assert bool((profiles.sum(1) >= net.profiles(items) - 1e-12).all())
    assert bool((profiles[:, 1:-1][..., in_blocks].sum(2) > 0).all())


def test_what_is_not_recurrent_is_refused() -> None:
    with pytest.raises(ValueError, match="a Conv1d has no initial_state: it is not a recurrent net"):
        as_stages(two_filters())
