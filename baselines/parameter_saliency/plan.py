"""What a run on images would take."""

from collections.abc import Callable
from typing import Final

import torch

from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS, import_torchvision
from easy_to_hard.baselines.kit.puzzles import Puzzles, mean_loss
from easy_to_hard.baselines.kit.work import Step, Work
from easy_to_hard.baselines.parameter_saliency.input_saliency import MAP_KINDS, saliency_maps
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES
from easy_to_hard.baselines.parameter_saliency.on_images import (
    as_items,
    build_pretrained,
    build_small_net,
    profiled,
)
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet, Standard
from easy_to_hard.baselines.parameter_saliency.recipes import EFFICIENTNET, SMALL_CNN, TORCHVISION, ImageRecipe
from easy_to_hard.baselines.parameter_saliency.tuning import GROUPS

_CLASSES: Final = 10
_FOLDER: Final = (3, 128, 128)
_SIDE: Final = 224
_SIDES: Final = {"inception_v3": 299}

_Timed = Callable[[ProfiledNet, Puzzles], object]


def plan(recipe: ImageRecipe) -> list[Work]:
    """The nets to train, the profiles, the answers of changed nets, and the maps; not the search for smallest rates."""
    changes = recipe.tried * len(CHOICES) * len(recipe.counts)
    others = 1 + recipe.neighbours * len(GROUPS)
    mapped = -(-recipe.mapped // recipe.chunk) * len(MAP_KINDS) * recipe.map_copies
    works = [
        _work(recipe, "profiles", -(-recipe.items // recipe.chunk), recipe.chunk, _profile),
        _work(recipe, "answers after pruning", changes, 1 + recipe.kept, _answer),
        _work(recipe, "answers after a step", changes + recipe.tried, others + recipe.kept, _answer),
        _work(recipe, "input saliency", mapped, recipe.chunk, _map),
    ]
    if recipe.model == SMALL_CNN:
        works.insert(0, _work(recipe, "train nets", recipe.steps, recipe.batch_size, _train))
    return works


def input_shape(recipe: ImageRecipe) -> tuple[int, int, int]:
    """(C, H, W) of an image as the net takes it."""
    if recipe.model in TORCHVISION:
        side = _SIDES.get(recipe.model, _SIDE)
        return 3, side, side
    if recipe.side:
        return 3, recipe.side, recipe.side
    return _FOLDER if recipe.data == "folder" else IMAGE_FACTS[recipe.data].shape


def untrained_net(recipe: ImageRecipe, device: torch.device) -> ProfiledNet:
    """A net like the recipe's; those of torchvision without their weights."""
    if recipe.model in TORCHVISION:
        module = import_torchvision().models.get_model(recipe.model, weights=None)
    elif recipe.model == EFFICIENTNET:
        module = build_pretrained(recipe.side)
    else:
        module = build_small_net(input_shape(recipe)[0], _CLASSES, 0)
    return profiled(module.to(device), recipe)


def _work(recipe: ImageRecipe, name: str, steps: int, items: int, timed: _Timed) -> Work:
    def prepare(count: int, device: torch.device) -> Step:
        net = untrained_net(recipe, device)
        images = torch.rand(count, *input_shape(recipe), device=device)
        labels = torch.arange(count, device=device) % _CLASSES
        return lambda: timed(net, as_items(images, labels))

    return Work(name=name, nets=len(recipe.seeds), steps=steps, items=items, prepare=prepare)


def _train(net: ProfiledNet, items: Puzzles) -> object:
    net.module.requires_grad_(True)
    loss = mean_loss(net.call(items.inputs, {}), items)
    return torch.autograd.grad(loss, list(net.module.parameters()))


def _profile(net: ProfiledNet, items: Puzzles) -> object:
    return net.chunk_profiles(items)


def _answer(net: ProfiledNet, items: Puzzles) -> object:
    return net.logits(items.inputs)


def _map(net: ProfiledNet, items: Puzzles) -> object:
    profiles = net.profiles(items)
    standard = Standard.of(torch.cat([profiles, 2 * profiles]))
    return saliency_maps(net, standard, items, profiles, "salient filters", k=1, seed=0)
