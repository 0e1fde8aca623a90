"""Probes on nets that others trained, and the inversion of features."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.pretrained import VitSmall, is_installed
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.inversion import Inversion, invert
from easy_to_hard.baselines.vit_visualization.probes import AttentionPart, ProbedVit, Stages, fit_probe
from easy_to_hard.baselines.vit_visualization.tokens import heads_right, isolated_logits

needs_nets = pytest.mark.skipif(not is_installed(), reason="needs the extra [pretrained]")


def test_a_probe_is_at_the_minimum_of_its_loss() -> None:
    rng = generator_of("features")
    features, labels = 5 + 3 * torch.randn(60, 4, generator=rng), torch.randint(0, 3, (60,), generator=rng)
    probe = fit_probe(features, labels, 3, weight_decay=0.1)
    inputs = (features - features.mean(0)) / features.std(0, correction=0)
    # In standardized features: logits = W x + b, whose loss has no gradient here.
    weight = (probe.weight * features.std(0, correction=0)).requires_grad_()
    bias = (probe.bias + probe.weight @ features.mean(0)).requires_grad_()
    loss = F.cross_entropy(inputs @ weight.T + bias, labels) + 0.05 * weight.square().sum()
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert float(gradient.abs().max()) < 1e-3
    assert not any(part.requires_grad for part in probe.parameters())


class Halves:
    """Features that are the left half of the image."""

    depth = 1

    def neurons(self, layer: int) -> int:
        return 3

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        return [images[..., : images.shape[-1] // 2]]


def test_inversion_finds_what_features_hold_and_nothing_else() -> None:
    images = torch.rand((2, 3, 8, 8), generator=generator_of("images"))
    found = invert(Halves(), images, 0, Inversion(steps=200, smoothness=0), seed=0)
    assert float((found - images)[..., :4].abs().max()) < 0.05
    assert float((found - images)[..., 4:].abs().mean()) > 0.1
    with pytest.raises(ValueError, match="steps must be at least 1, not 0"):
        Inversion(steps=0)


@needs_nets
@pytest.mark.slow
def test_a_probed_vit_is_taken_apart() -> None:
    net = VitSmall(28).requires_grad_(False)
    shown, labels = torch.rand(6, 3, 28, 28, generator=generator_of("shown")), torch.arange(6) % 2
    with torch.no_grad():
        stages = Stages.of(net, shown)
        assert len(stages.after) == 12
        assert torch.allclose(stages.last, net(shown), atol=1e-4)
        vit = ProbedVit(net, fit_probe(stages.last, labels, 2))
        assert vit(shown).argmax(dim=1).tolist() == labels.tolist()
        assert torch.allclose(next(isolated_logits(vit, shown, [0])), vit(shown), atol=1e-4)
        assert heads_right(vit, shown, labels).patches.shape == (6, 4)
        moved = shown.roll(14, dims=3)
        blind = vit.without_positions()
        # Without positions, a net does not see where patches are; with them, it does.
        assert torch.allclose(blind(moved), blind(shown), atol=1e-3)
        assert not torch.allclose(vit(moved), vit(shown), atol=1e-2)
        keys, features = AttentionPart(net, "keys"), AttentionPart(net, "features")
        assert (keys.neurons(0), features.neurons(0)) == (384, 1536)
        tokens = net.embed(shown)
        expected = net.blocks[0].attention_inputs(tokens)[1][:, 1:]  # type: ignore[operator]
        assert torch.allclose(keys.maps(shown, [0])[0].flatten(2).transpose(1, 2), expected)
    with pytest.raises(ValueError, match="part must be one of features, keys, queries, values, not 'heads'"):
        AttentionPart(net, "heads")  # type: ignore[arg-type]
