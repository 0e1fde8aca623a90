"""Activation maximization."""

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.activation_maximization import (
    TV_WEIGHT,
    Ascent,
    augment,
    maximize,
    neuron_losses,
    total_variation,
    turned,
)
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig

CPU = torch.device("cpu")


def tiny_vit() -> TinyVit:
    shape = VitConfig(side=8, channels=1, patch=4, classes=3, depth=2, width=8, heads=2)
    return shape.build(0).eval().requires_grad_(False)


class CircularConvNet(nn.Module):
    """A conv net whose features move with the image, over its edges too."""

    depth = 1

    def __init__(self) -> None:
        super().__init__()
        rng = generator_of("circular")
        self.first = torch.randn(4, 1, 3, 3, generator=rng)
        self.second = torch.randn(5, 4, 3, 3, generator=rng)

    def neurons(self, layer: int) -> int:
        return 5

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        inner = F.gelu(F.conv2d(F.pad(images, (1, 1, 1, 1), mode="circular"), self.first))
        return [F.gelu(F.conv2d(F.pad(inner, (1, 1, 1, 1), mode="circular"), self.second))]


def test_total_variation_by_hand() -> None:
    assert float(total_variation(torch.full((3, 5, 5), 0.3))) == pytest.approx(0, abs=1e-6)
    # One pixel of 1 in a corner of 2 x 2: one difference of 1 in three directions, none in the fourth.
    corner = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert float(total_variation(corner)) == pytest.approx(3, abs=1e-5)
    # A step down of height 1, 3 wide: sqrt 3 across rows, 2 differences on each diagonal; half with an even channel.
    step = torch.tensor([[0.0] * 3, [1.0] * 3])
    both = torch.stack([step, torch.zeros(2, 3)])
    assert float(total_variation(both)) == pytest.approx((math.sqrt(3) + 2 * math.sqrt(2)) / 2, abs=1e-5)


def test_total_variation_of_an_even_image_has_a_gradient_of_zero() -> None:
    image = torch.full((1, 4, 4), 0.5, requires_grad=True)
    total_variation(image).backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert bool((image.grad == 0).all())


def test_objective_is_minus_the_mean_that_a_hook_sees() -> None:
    net, ascent = tiny_vit(), Ascent(copies=3)
    copies = torch.rand((2, 3, 1, 8, 8), generator=generator_of("copies"))
    seen = []
    handle = net.blocks[1].get_submodule("into").register_forward_hook(lambda _, __, out: seen.append(F.gelu(out)))
    losses = neuron_losses(net, copies, 1, torch.tensor([5, 31]), ascent)
    handle.remove()
    for number, neuron in enumerate((5, 31)):
        # Without CLS, which is token 0.
        of_copies = seen[0].view(2, 3, 5, 32)[number, :, 1:, neuron]
        smooth = total_variation(copies[number]).mean()
        expected = -of_copies.mean() + TV_WEIGHT * 3 * smooth
        assert float(losses[number]) == pytest.approx(float(expected), abs=1e-6)


def test_a_roll_does_not_change_the_objective_of_a_circular_conv_net() -> None:
    net = CircularConvNet()
    images = torch.rand((3, 1, 9, 9), generator=generator_of("rolled"))
    neurons = torch.tensor([0, 2, 4])
    still = Ascent(copies=1, color=False, noise=0, roll=0, smoothness=0)
    rolling = Ascent(copies=1, color=False, noise=0, roll=4, smoothness=0)
    rolled = augment(images, rolling, left=1, rng=generator_of("a"))
    assert not torch.equal(rolled[:, 0], images)
    expected = neuron_losses(net, images[:, None], 0, neurons, still)
    assert torch.allclose(neuron_losses(net, rolled, 0, neurons, still), expected, atol=1e-5)


def test_augmentations() -> None:
    images = torch.rand((2, 3, 6, 6), generator=generator_of("images"))
    plain = Ascent(copies=4, color=False, noise=0, roll=0)
    assert torch.equal(augment(images, plain, left=1, rng=generator_of("a")), images[:, None].expand(-1, 4, -1, -1, -1))
    # Noise shifts whole channels, each in its own way, and is gone at the end.
    noisy = Ascent(copies=4, color=False, roll=0)
    shift = augment(images, noisy, left=1, rng=generator_of("a")) - images[:, None]
    assert torch.allclose(shift, shift[..., :1, :1].expand_as(shift), atol=1e-6)
    assert len(shift[0, :, :, 0, 0].unique()) == 12
    assert torch.allclose(augment(images, noisy, left=0, rng=generator_of("a")), images[:, None].expand_as(shift))
    # (x - m) / exp(u) with m and u in [-1, 1].
    colored = augment(torch.zeros_like(images), Ascent(copies=4, noise=0, roll=0), left=1, rng=generator_of("a"))
    assert 0 < float(colored.abs().max()) <= math.e
    spans = augment(images, Ascent(copies=4, noise=0, roll=0), left=1, rng=generator_of("a"))
    ratio = (spans[..., 0, 0] - spans[..., 5, 5]) / (images[:, None, :, 0, 0] - images[:, None, :, 5, 5])
    assert math.exp(-1) <= float(ratio.min()) < float(ratio.max()) <= math.e
    # Rolls by whole steps, one for all copies.
    rolled = augment(images, Ascent(copies=4, color=False, noise=0, roll=4, roll_step=2), left=1, rng=generator_of(3))
    shifts = [(a, b) for a in range(6) for b in range(6) if torch.equal(images.roll((a, b), (-2, -1)), rolled[:, 1])]
    assert len(shifts) == 1
    assert all(part % 2 == 0 for part in shifts[0])
    assert torch.equal(rolled[:, 0], rolled[:, 3])


def test_the_eight_symmetries_are_different_ones() -> None:
    square = torch.arange(9.0).view(1, 3, 3)
    assert len({tuple(turned(square, turn).flatten().tolist()) for turn in range(8)}) == 8


def test_a_neuron_s_image_does_not_depend_on_the_others() -> None:
    net, ascent = tiny_vit(), Ascent(steps=4, copies=2, roll=2)
    together = maximize(net, 1, [3, 17, 9], shape=(1, 8, 8), ascent=ascent, seed=0, device=CPU)
    alone = maximize(net, 1, [17], shape=(1, 8, 8), ascent=ascent, seed=0, device=CPU)
    assert torch.allclose(together[1], alone[0], atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)
    assert 0 <= float(together.min()) < float(together.max()) <= 1


def test_images_raise_the_activation() -> None:
    net, ascent = tiny_vit(), Ascent(steps=30, copies=2, color=False, noise=0, roll=1)
    made = maximize(net, 0, range(8), shape=(1, 8, 8), ascent=ascent, seed=0, device=CPU)
    first = maximize(net, 0, range(8), shape=(1, 8, 8), ascent=Ascent(steps=1, learning_rate=1e-9), seed=0, device=CPU)
    reached, before = (net.maps(images, [0])[0].mean(dim=(2, 3)).diagonal() for images in (made, first))
    assert bool((reached > before).all())


def test_a_border_stays_black() -> None:
    net = CircularConvNet()
    made = maximize(
        net, 0, [1], shape=(1, 4, 4), ascent=Ascent(steps=2, copies=2, roll=0), seed=0, device=CPU, border=1
    )
    assert made.shape == (1, 1, 6, 6)
    assert float(made.sum()) == pytest.approx(float(made[..., 1:-1, 1:-1].sum()))


def test_the_learning_rate_falls_by_a_cosine() -> None:
    ascent = Ascent(steps=400)
    assert [ascent.rate_at(step) for step in (0, 200, 400)] == pytest.approx([0.1, 0.05, 0.0])


@pytest.mark.parametrize(
    ("layer", "neurons", "message"),
    [
        (2, [0], "layers must be from 0 to 1, not 2"),
        (0, [0, 32], "neurons must be from 0 to 31 in layer 0, not 32"),
    ],
)
def test_layers_and_neurons_must_be_there(layer: int, neurons: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        maximize(tiny_vit(), layer, neurons, shape=(1, 8, 8), ascent=Ascent(), seed=0, device=CPU)
    for wrong in ({"copies": 0}, {"noise": -1.0}, {"learning_rate": 0.0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            Ascent(**wrong)  # type: ignore[arg-type]
