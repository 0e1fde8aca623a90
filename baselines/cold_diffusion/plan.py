"""What a run on images would take."""

from dataclasses import replace
from math import ceil

import torch

from easy_to_hard.baselines.cold_diffusion.degradations import get_degradation
from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation
from easy_to_hard.baselines.cold_diffusion.generation import ways_to_generate
from easy_to_hard.baselines.cold_diffusion.on_images import RESTORED_AT_ONCE, as_restore, build_loop, restores
from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe
from easy_to_hard.baselines.cold_diffusion.sampling import at_severity
from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.work import PrepareStep, Step, Work


def plan(recipe: ImageRecipe) -> list[Work]:
    """The restorers to train, and the passes through them that restore and generate images.

    Not counted: the classifier, and restoring all test images of a folder, which are not looked at.
    """
    facts = IMAGE_FACTS.get(recipe.data)
    channels = facts.shape[0] if facts else 3
    shape = channels, recipe.side, recipe.side
    others = torch.zeros(1, *shape) if recipe.others else None
    degradation = get_degradation(recipe.degradation).build(recipe.steps, recipe.side, others)
    seeds, test = len(recipe.seeds), recipe.test_images or (facts.test if facts else 0)
    works = [
        Work(
            name="train restorers",
            nets=seeds,
            steps=recipe.loop.steps,
            items=recipe.batch_size,
            prepare=_training(recipe, degradation, channels),
        )
    ]
    passes = {
        # At once, and by two algorithms.
        "restore": (1 + 2 * degradation.steps, test if restores(recipe) else 0),
        "generate": (len(ways_to_generate(degradation)) * degradation.steps, recipe.generate),
    }
    works += [
        Work(
            name=f"{name} images",
            nets=seeds,
            steps=steps * ceil(count / RESTORED_AT_ONCE),
            items=min(count, RESTORED_AT_ONCE),
            prepare=_restoring(recipe, channels),
        )
        for name, (steps, count) in passes.items()
        if count
    ]
    return works


def _training(recipe: ImageRecipe, degradation: Degradation, channels: int) -> PrepareStep:
    def prepare(items: int, device: torch.device) -> Step:
        side = int(recipe.side * recipe.margin)
        images = torch.randint(0, 256, (items, channels, side, side), generator=generator_of("timed")).byte()
        loop = build_loop(replace(recipe, batch_size=items), degradation, images, 0, device)
        return lambda: loop.step(0)

    return prepare


def _restoring(recipe: ImageRecipe, channels: int) -> PrepareStep:
    def prepare(items: int, device: torch.device) -> Step:
        net = recipe.restorer.build(channels, 0).to(device).eval()
        restore = as_restore(net, recipe.loop.precision)
        states = torch.zeros(items, channels, recipe.side, recipe.side, device=device)

        def step() -> None:
            with torch.no_grad():
                restore(states, at_severity(1, states))

        return step

    return prepare
