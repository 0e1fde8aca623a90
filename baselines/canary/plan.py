"""What a run on images would take."""

import torch
import torch.nn.functional as F

from easy_to_hard.baselines.canary.classifiers import NUM_CLASSES, build_classifier
from easy_to_hard.baselines.canary.recipes import ImageRecipe
from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS
from easy_to_hard.baselines.kit.precision import autocast
from easy_to_hard.baselines.kit.work import PrepareStep, Step, Work


def plan(recipe: ImageRecipe) -> list[Work]:
    """The shadow nets to train, and the passes through them that make canaries."""
    seeds = len(recipe.seeds)
    works = [
        Work(
            name="train shadow nets",
            nets=recipe.shadows * seeds,
            steps=recipe.train.steps,
            items=recipe.train.batch_size,
            prepare=_step(recipe, train=True),
        )
    ]
    kinds = (("online", recipe.online, 1 + len(recipe.variants)), ("offline", recipe.offline, 1))
    for name, canary, times in kinds:
        works.append(
            Work(
                name=f"make {name} canaries",
                nets=recipe.points * seeds * times,
                steps=canary.steps * canary.nets_a_step,
                items=recipe.queries,
                prepare=_step(recipe, train=False),
            )
        )
    return works


def _step(recipe: ImageRecipe, *, train: bool) -> PrepareStep:
    """A forward and backward pass of one net, to its weights or to the images."""

    def prepare(items: int, device: torch.device) -> Step:
        channels, side, _ = IMAGE_FACTS[recipe.data].shape
        net = build_classifier(recipe.architecture, channels=channels, side=side, width=recipe.width, seed=0).to(device)
        net.train(train).requires_grad_(train)
        images = torch.randn(items, channels, side, side, device=device, requires_grad=not train)
        labels = torch.arange(items, device=device) % NUM_CLASSES

        def step() -> None:
            with autocast(device, recipe.train.precision if train else "float32"):
                loss = F.cross_entropy(net(images).float(), labels)
            loss.backward()  # type: ignore[no-untyped-call]

        return step

    return prepare
