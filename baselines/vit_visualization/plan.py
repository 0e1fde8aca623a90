"""What a run on images would take."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS
from easy_to_hard.baselines.kit.work import PrepareStep, Step, Work
from easy_to_hard.baselines.vit_visualization.activation_maximization import neuron_losses, spread_layers
from easy_to_hard.baselines.vit_visualization.changes import CUTOFFS
from easy_to_hard.baselines.vit_visualization.on_images import build_conv_net, tiny_shape
from easy_to_hard.baselines.vit_visualization.recipes import SIDES, TINY_VIT, VIT_SMALL, ImageRecipe
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig

_CLASSES: Final = 10
# Blocks of the nets that are not trained here.
_DEPTH: Final = 12
# Test images of MNIST and CIFAR-10.
_ALL_TEST: Final = 10_000
# Passes per test image besides those through filters: as it is, shuffled, apart, heads, maps and the like.
_OTHER_PASSES: Final = 8
_BATCH: Final = 100


def plan(recipe: ImageRecipe) -> list[Work]:
    """Training, passes through the ViT that measure accuracies, and steps that make images.

    A net that is not trained here is timed by a ViT of its shape with random weights: a ViT-S/14 or a ViT-B/16.
    """
    seeds, works = len(recipe.seeds), []
    channels = _channels(recipe)
    if recipe.model == TINY_VIT:
        side = SIDES[recipe.data]
        conv_net = build_conv_net(channels, _CLASSES, recipe.conv_width, 0)
        for name, net in (("train the ViT", _vit(recipe)), ("train the conv net", conv_net)):
            works.append(
                Work(
                    name=name,
                    nets=seeds,
                    steps=recipe.loop.steps,
                    items=recipe.batch_size,
                    prepare=_training_step(net, channels, side),
                )
            )
    tested = recipe.test_images or _ALL_TEST
    passes = (2 * len(CUTOFFS) + _OTHER_PASSES) * tested + 2 * recipe.probe_images
    works.append(
        Work(name="classify images", nets=seeds, steps=-(-passes // _BATCH), items=_BATCH, prepare=_pass(recipe))
    )
    layers = len(spread_layers(recipe.depth if recipe.model == TINY_VIT else _DEPTH, recipe.layers))
    works.append(
        Work(
            name="make images for neurons",
            nets=layers * recipe.neurons * (1 if recipe.model == VIT_SMALL else seeds),
            steps=recipe.ascent.steps,
            items=recipe.ascent.copies,
            prepare=_ascent_step(recipe),
        )
    )
    return works


def _channels(recipe: ImageRecipe) -> int:
    return IMAGE_FACTS[recipe.data].shape[0] if recipe.model == TINY_VIT and recipe.data in IMAGE_FACTS else 3


def _vit(recipe: ImageRecipe) -> TinyVit:
    if recipe.model == TINY_VIT:
        return tiny_shape(recipe, channels=_channels(recipe), classes=_CLASSES).build(0)
    small = recipe.model == VIT_SMALL
    patch, width, heads = (14, 384, 6) if small else (16, 768, 12)
    side = recipe.side // patch * patch
    shape = VitConfig(side=side, channels=3, patch=patch, classes=_CLASSES, depth=_DEPTH, width=width, heads=heads)
    return shape.build(0)


def _training_step(net: nn.Module, channels: int, side: int) -> PrepareStep:
    def prepare(items: int, device: torch.device) -> Step:
        trained = net.to(device)
        images, labels = (
            torch.rand(items, channels, side, side, device=device),
            torch.arange(items, device=device) % _CLASSES,
        )

        def step() -> None:
            F.cross_entropy(trained(images), labels).backward()  # type: ignore[no-untyped-call]

        return step

    return prepare


def _pass(recipe: ImageRecipe) -> PrepareStep:
    def prepare(items: int, device: torch.device) -> Step:
        vit = _vit(recipe).to(device).requires_grad_(False)
        images = torch.rand(items, *_shape(vit), device=device)
        return lambda: vit(images)

    return prepare


def _ascent_step(recipe: ImageRecipe) -> PrepareStep:
    """The gradient of the objective for the middle layer, whose cost is that of the mean layer."""

    def prepare(items: int, device: torch.device) -> Step:
        vit = _vit(recipe).to(device).requires_grad_(False)
        copies = torch.rand(1, items, *_shape(vit), device=device, requires_grad=True)
        neurons = torch.zeros(1, dtype=torch.long, device=device)

        def step() -> Tensor:
            losses = neuron_losses(vit, copies, vit.depth // 2, neurons, recipe.ascent)
            (gradient,) = torch.autograd.grad(losses.sum(), copies)
            return gradient

        return step

    return prepare


def _shape(vit: TinyVit) -> tuple[int, int, int]:
    return vit.config.channels, vit.config.side, vit.config.side
