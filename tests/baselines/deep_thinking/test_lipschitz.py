"""DT-L: the bound of a convolution's norm, and an iteration that is a contraction."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from thinking import make_lipschitz, make_net, same_weights, strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, save_model
from easy_to_hard.baselines.deep_thinking.lipschitz import LipschitzNet, SpectralNorm
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import convolve


def _kernel(dimensions: int, width: int, seed: int, shape: str = "random") -> Tensor:
    torch.manual_seed(seed)
    kernel = torch.randn(width, width, *[3] * dimensions)
    if shape == "smooth":  # largest at frequency 0
        kernel = kernel[..., :1].abs().expand(-1, -1, *[3] * dimensions) if dimensions == 1 else torch.ones_like(kernel)
    elif shape == "alternating":  # largest at the highest frequency
        kernel = torch.ones_like(kernel)
        kernel[..., 1] = -1
    return kernel.contiguous()


def _dense_norm(kernel: Tensor, size: int) -> float:
    """Largest singular value of the matrix of the zero-padded convolution."""
    axes, width = kernel.ndim - 2, kernel.shape[1]
    basis = torch.eye(width * size**axes, dtype=torch.float64).reshape(-1, width, *[size] * axes)
    matrix = convolve(basis, kernel.double()).flatten(1)
    return float(torch.linalg.eigvalsh(matrix @ matrix.T)[-1].sqrt())


def _endless_norm(kernel: Tensor) -> float:
    """The norm on an endless picture, from a grid of frequencies too fine to miss anything."""
    axes = tuple(range(2, kernel.ndim))
    spectrum = torch.fft.fftn(kernel.double(), s=[512 if len(axes) == 1 else 128] * len(axes), dim=axes)
    return float(torch.linalg.matrix_norm(spectrum.flatten(2).permute(2, 0, 1), ord=2).amax())


@pytest.mark.parametrize("shape", ["random", "smooth", "alternating"])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("dimensions", "width", "size", "share"), [(1, 4, 64, 0.01), (2, 2, 26, 0.05)])
def test_bounds_the_operator_norm_closely(
    dimensions: int, width: int, size: int, share: float, seed: int, shape: str
) -> None:
    kernel = _kernel(dimensions, width, seed, shape)
    bound = float(SpectralNorm(kernel).eval()(kernel))
    for smaller in (1, 3, size // 2):
        assert _dense_norm(kernel, smaller) <= bound * (1 + 1e-6)
    norm, endless = _dense_norm(kernel, size), _endless_norm(kernel)
    assert norm <= endless <= bound * (1 + 1e-6)
    assert bound <= endless * (1.0015 if dimensions == 1 else 1.04)
    # These two come to their norm slowly as the picture grows: by 1 - cos(pi / (size + 1)) on each axis.
    slow = shape != "random" and dimensions == 2
    assert bound <= norm * (1 + share) * (1.015 if slow else 1)


@pytest.mark.parametrize("width_in", [1, 7])
def test_bounds_other_than_square_kernels(width_in: int) -> None:
    torch.manual_seed(0)
    kernel = torch.randn(3, width_in, 3)
    bound = float(SpectralNorm(kernel).eval()(kernel))
    assert _endless_norm(kernel) <= bound * (1 + 1e-6) <= _endless_norm(kernel) * 1.0015


@pytest.mark.parametrize(("dimensions", "width"), [(1, 6), (2, 5)])
def test_power_iteration_finds_the_norm(dimensions: int, width: int) -> None:
    for seed in range(5):
        kernel = _kernel(dimensions, width, seed)
        norm = SpectralNorm(kernel)
        exact = float(norm.eval()(kernel))
        norm.train()
        values = [float(norm(kernel)) for _ in range(200)]
        assert values[0] < exact
        assert all(value <= exact * (1 + 1e-5) for value in values)
        assert values[-1] == pytest.approx(exact, rel=1e-3)
        # Evaluation neither uses nor moves the vectors.
        kept = norm.vectors.clone()
        assert float(norm.eval()(kernel)) == exact
        assert torch.equal(norm.vectors, kept)


def test_the_norm_is_differentiable_in_training() -> None:
    """The derivative of the largest singular value by the kernel, once the power iteration is done."""
    kernel = _kernel(1, 4, 0).double().requires_grad_()
    norm = SpectralNorm(kernel).double()
    for _ in range(500):
        norm(kernel)
    value = norm(kernel)
    assert value.dtype == torch.float64
    (gradient,) = torch.autograd.grad(value, kernel)
    norm.eval()
    for place in ((0, 0, 0), (1, 3, 2), (2, 2, 1)):
        moved = [kernel.detach().clone() for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        slope = float(norm(moved[0]) - norm(moved[1])) / 2e-5
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


def _iterate_plainly(net: LipschitzNet, x: Tensor, iterations: int) -> Tensor:
    state = F.relu(net.projection(x))
    kernels = [
        layer.weight / max(1.0, float(norm(layer.weight)))
        for layer, norm in zip(net.convolutions, net.norms, strict=True)
    ]
    for _ in range(iterations):
        state = F.elu(convolve(state, kernels[0]) + net.recall(x))
        for first, second, mixing in zip(kernels[1::2], kernels[2::2], net.mixing, strict=True):
            inner = F.elu(convolve(F.elu(convolve(state, first)), second))
            state = torch.sigmoid(mixing) * state + (1 - torch.sigmoid(mixing)) * inner
        state = net.contraction * state
    return state


@pytest.mark.parametrize("scale", [0.3, 5.0])
def test_an_iteration_is_what_the_docstring_says(scale: float) -> None:
    net = make_lipschitz(contraction=0.9, scale=scale).double()
    with torch.no_grad():
        net.mixing.copy_(torch.tensor([0.7, -1.3]))
    x = strings(3, 10)[0].double()
    torch.testing.assert_close(net(x, 4)[1], _iterate_plainly(net, x, 4), rtol=1e-12, atol=1e-12)
    norms = [float(norm(layer.weight)) for layer, norm in zip(net.convolutions, net.norms, strict=True)]
    assert all((norm > 1) is (scale > 1) for norm in norms), "both sides of 1 are tried"


def _largest_ratio(net: LipschitzNet, x: Tensor, start: Tensor, iterations: int = 40) -> float:
    changes, state = [], start
    for following in net.states(start, x, iterations):
        changes.append(float((following - state).norm()))
        state = following
    floor = 1e-9 * float(state.norm() + 1)
    ratios = [after / before for before, after in pairwise(changes) if after > floor]
    assert len(ratios) > 5
    return max(ratios)


@pytest.mark.parametrize("contraction", [0.5, 0.99])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_an_iteration_contracts(contraction: float, scale: float, dimensions: int) -> None:
    for seed in range(4):
        shape = {"dimensions": dimensions, "patch": dimensions, "in_channels": 2}
        net = make_lipschitz(contraction=contraction, scale=scale, seed=seed, **shape).double()
        torch.manual_seed(seed)
        x = torch.randn(2, 2, *[12] * dimensions, dtype=torch.float64)
        start = net.initial_state(x)
        with torch.no_grad():
            assert _largest_ratio(net, x, start) <= contraction * (1 + 1e-9)
            assert _largest_ratio(net, x, 100 * torch.randn_like(start)) <= contraction * (1 + 1e-9)


@pytest.mark.parametrize("length", [1, 5, 100])
def test_every_start_ends_in_one_state(length: int) -> None:
    net = make_lipschitz(contraction=0.7, scale=10.0)
    x, _ = strings(2, length)
    start = net.initial_state(x)
    with torch.no_grad():
        one, two = net.step(start, x, 80), net.step(50 * torch.randn_like(start), x, 80)
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net.step(one, x, 1), one, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(net.step(start, -x, 80), one, rtol=1e-2, atol=1e-2), "x still matters"


@pytest.mark.parametrize("contraction", [0.0, -0.5, 1.01, float("nan")])
def test_contraction_errors(contraction: float) -> None:
    with pytest.raises(ValueError, match="contraction must be above 0 and at most 1, not"):
        make_lipschitz(contraction=contraction)


def test_decay_is_for_the_unbounded_convolutions() -> None:
    net = make_net("lipschitz")
    decayed = {name for name, _ in net.named_parameters() if net.is_decayed(name)}
    assert decayed == {"projection.weight", "recall.weight", "head.0.weight", "head.2.weight", "head.4.weight"}
    assert all(make_net().is_decayed(name) for name, _ in make_net().named_parameters())


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_gradients_are_finite_differences(scale: float) -> None:
    net = make_lipschitz(contraction=0.9, scale=scale).double()
    x = strings(3, 8)[0].double()
    norms: list[Any] = list(net.norms)
    for norm, layer in zip(norms, net.convolutions, strict=True):
        norm.train()
        # Up to convergence: what is differentiated holds the vectors fixed.
        for _ in range(400):
            norm(layer.weight.detach())
    value = net(x, 4)[0].square().sum()
    value.backward()  # type: ignore[no-untyped-call]
    for weights, place in (
        (net.convolutions[0].weight, (1, 2, 0)),
        (net.convolutions[3].weight, (0, 0, 1)),
        (net.recall.weight, (2, 0, 2)),
        (net.recall.bias, (3,)),
        (net.projection.weight, (1, 0, 1)),
        (net.mixing, (1,)),
    ):
        assert weights is not None
        assert weights.grad is not None
        values = []
        with torch.no_grad():
            for change in (1e-6, -2e-6):
                weights[place] += change
                net.eval()
                values.append(float(net(x, 4)[0].square().sum()))
            weights[place] += 1e-6
        assert float(weights.grad[place]) == pytest.approx((values[0] - values[1]) / 2e-6, rel=2e-3, abs=1e-5)


def test_saved_and_read_back(tmp_path: Path) -> None:
    net = make_lipschitz(contraction=0.8, scale=3.0, dimensions=2, in_channels=3, patch=2)
    net.train()
    x = torch.rand(2, 3, 8, 8)
    net(x, 2)
    facts = ModelFacts(
        recipe="", task="mazes", variant="", difficulty=9, max_iterations=4, seed=0, steps=1, batch_size=1,
        training_seconds=0.0, device="cpu", package_version="0", commit=None,
    )  # fmt: skip
    save_model(net, tmp_path / "net", facts)
    loaded, _ = load_model(str(tmp_path / "net"))
    assert isinstance(loaded, LipschitzNet)
    assert loaded.contraction == 0.8
    assert same_weights(net.state_dict(), loaded.state_dict())
    assert any("vectors" in name for name in loaded.state_dict())
    assert torch.equal(net.eval()(x, 5)[0], loaded(x, 5)[0])
