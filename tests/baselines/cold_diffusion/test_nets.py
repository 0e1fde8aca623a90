"""The restorers."""

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.degradations.separable import Blur
from easy_to_hard.baselines.cold_diffusion.nets import ConvNextBlock, LinearAttention, SeverityCode
from easy_to_hard.baselines.cold_diffusion.nets_ddpm import ResidualBlock
from easy_to_hard.baselines.cold_diffusion.recipes import IMAGE_RECIPES, RestorerConfig, get_image_recipe
from easy_to_hard.baselines.kit.training import count_parameters

NETS = {
    "convnext": RestorerConfig(architecture="convnext", width=8, multipliers=(1, 2)),
    "convnext, patches": RestorerConfig(architecture="convnext", width=8, multipliers=(1, 2), attention=False, patch=2),
    "ddpm": RestorerConfig(architecture="ddpm", width=8, multipliers=(1, 2), dropout=0.1),
}


def two(first: int, second: int) -> Tensor:
    return torch.tensor([first, second])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_the_severity_counts(name: str, channels: int) -> None:
    net = NETS[name].build(channels, seed=0).eval()
    images = torch.randn(2, channels, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = net(images, two(1, 5))
        assert found.shape == images.shape
        assert found.dtype == torch.float32
        other = net(images, two(1, 6))
    torch.testing.assert_close(other[0], found[0])
    assert (other[1] - found[1]).abs().max() > 1e-5


@pytest.mark.parametrize("name", NETS)
def test_weights_go_by_the_seed_and_leave_torch_alone(name: str) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    nets = [NETS[name].build(1, seed).state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), wanted)
    weights = [torch.cat([value.flatten() for value in net.values()]) for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", NETS)
def test_small_differences_of_the_input_survive_bfloat16(name: str) -> None:
    """A strong blur leaves an image in differences smaller than bfloat16 can tell at 0.75."""
    net = NETS[name].build(1, seed=0).eval()
    image = torch.full((2, 1, 16, 16), 0.75)
    image[1, 0, 3, 5] += 5e-4
    assert torch.equal(image[0].bfloat16(), image[1].bfloat16())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first, second = net(image, two(1, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("data", "channels", "weights"), [("mnist", 1, 56_612_916), ("folder", 3, 56_615_708), ("cifar10", 3, 35_746_307)]
)
def test_parameters_are_the_papers(data: str, channels: int, weights: int) -> None:
    """Of the authors' nets; that for CIFAR-10 is DDPM's, of 35.7 million weights (arXiv 2006.11239, appendix B)."""
    with torch.device("meta"):
        assert count_parameters(get_image_recipe("paper", data).restorer.build(channels, 0)) == weights


def test_attention_stands_between_the_middle_blocks() -> None:
    net = NETS["convnext"].build(1, seed=0)
    order: list[str] = []
    for name, part in net.named_modules():
        if name.startswith("middle") and isinstance(part, ConvNextBlock | LinearAttention):
            part.register_forward_hook(lambda part, *_: order.append(type(part).__name__))
    net(torch.zeros(2, 1, 16, 16), two(1, 2))
    assert order == ["ConvNextBlock", "LinearAttention", "ConvNextBlock"]


def test_parameters_by_hand() -> None:
    def of(kernels: int, biases: int) -> int:
        return kernels + biases

    block = ConvNextBlock(4, 6, code_width=8)
    depthwise, shift, norm = of(4 * 49, 4), of(8 * 4, 4), 2 * 4
    convolutions = of(4 * 12 * 9, 12) + of(12 * 6 * 9, 6)
    assert count_parameters(block) == depthwise + shift + norm + convolutions + of(4 * 6, 6)
    assert count_parameters(LinearAttention(4)) == 2 * 4 + 4 * 384 + of(128 * 4, 4)
    residual = ResidualBlock(4, 4, code_width=8, dropout=0.0)
    assert count_parameters(residual) == 2 * (2 * 4) + 2 * of(4 * 4 * 9, 4) + of(8 * 4, 4)


def test_linear_attention_by_hand() -> None:
    """With attention that sees nothing (zero weights) only the bias is added; else it is softmax over the pixels."""
    layer = LinearAttention(4)
    features = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        normed = layer.norm(features)
        queries, keys, values = layer.project_in(normed).reshape(2, 3, 4, 32, 15).unbind(1)
        wanted = torch.zeros(2, 4, 32, 15)
        for batch in range(2):
            for head in range(4):
                weights = torch.softmax(keys[batch, head], dim=1)
                context = torch.einsum("dn,en->de", weights, values[batch, head])
                wanted[batch, head] = torch.einsum("de,dn->en", context, queries[batch, head] / 32**0.5)
        torch.testing.assert_close(layer(features), features + layer.project_out(wanted.reshape(2, 128, 3, 5)))


def test_severity_code_is_of_the_index() -> None:
    code = SeverityCode(8, 16, 4)
    code.layers = nn.Sequential(nn.Identity())
    found = code(two(1, 3))
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert float(found[1, 0]) == pytest.approx(0.9092974)
    with pytest.raises(ValueError, match="width must be even and at least 4, not 7"):
        SeverityCode(7, 8, 8)


def test_sides_must_be_divisible() -> None:
    for name, divisor in (("convnext", 2), ("convnext, patches", 4), ("ddpm", 2)):
        net = NETS[name].build(1, seed=0)
        side = divisor + divisor // 2
        with pytest.raises(ValueError, match=f"multiples of {divisor}, not {side}x8"):
            net(torch.zeros(2, 1, side, 8), two(1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext, patches", "ddpm"])
def test_learns_eight_images_by_heart(name: str) -> None:
    clean = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1)).round() * 2 - 1
    degrade = Blur(steps=4, std=0.7).freeze(clean.shape, torch.Generator())
    severity = torch.tensor([1, 2, 3, 4] * 2)
    degraded = degrade(clean, severity)
    net = NETS[name].build(1, seed=0).eval()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net(degraded, severity) - clean).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(loss.detach()) < 0.6 * float((degraded - clean).abs().mean())


def test_presets() -> None:
    for (data, preset), recipe in IMAGE_RECIPES.items():
        assert (recipe.data, recipe.preset) == (data, preset)
        with torch.device("meta"):
            divisor = recipe.restorer.build(3, seed=0).divisor
        assert recipe.side % int(divisor) == 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown preset 'huge' of mnist: choose one of smoke, small, paper"):
        get_image_recipe("huge", "mnist")
    with pytest.raises(ValueError, match="architecture must be one of convnext, ddpm, not 'vit'"):
        RestorerConfig(architecture="vit", width=8, multipliers=(1,))  # type: ignore[arg-type]
