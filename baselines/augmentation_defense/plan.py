"""What a run on images would take."""

import torch

from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_images import augment_of
from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe
from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS
from easy_to_hard.baselines.kit.poisoning.crafting import objective_of, view_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import timed_step
from easy_to_hard.baselines.kit.work import Step, Work


def plan(recipe: ImageRecipe) -> list[Work]:
    """The nets to train and the poisons to optimize."""
    count = recipe.train_images or IMAGE_FACTS[recipe.data].train
    attacks = recipe.keys if recipe.crafted else 1
    works = []
    if recipe.body_images:
        works.append(_training(recipe, "none", 1, recipe.body_images, "the body"))
    if recipe.crafted:
        expected = [name for name in recipe.defenses if name in DEFENSES and (recipe.adaptive or name == "none")]
        for name in expected:
            works.append(_training(recipe, name, recipe.craft.surrogates, count, "surrogates"))
            works.append(_crafting(recipe, name, count))
    nets = (attacks + 1) * len(recipe.seeds) * (1 + len(recipe.other_budgets))
    return works + [_training(recipe, name, nets, count, "nets") for name in recipe.defenses]


def _training(recipe: ImageRecipe, defense: str, nets: int, count: int, what: str) -> Work:
    victim = recipe.victim_for(defense)
    shape = IMAGE_FACTS[recipe.data].shape
    return Work(
        name=f"train {what}, {defense}",
        nets=nets,
        steps=victim.steps(count),
        items=victim.batch_size,
        prepare=lambda items, device: timed_step(victim, shape, items, augment=augment_of(defense), device=device),
    )


def _crafting(recipe: ImageRecipe, defense: str, count: int) -> Work:
    shape, craft = IMAGE_FACTS[recipe.data].shape, recipe.craft

    def prepare(items: int, device: torch.device) -> Step:
        surrogates = Stacked([recipe.victim.build(shape[0], seed) for seed in range(craft.surrogates)], device)
        head_only = recipe.scenario == "transfer"
        objective = objective_of(surrogates, torch.rand(shape, device=device), 0, craft, head_only=head_only)
        poisons = torch.rand(items, *shape, device=device, requires_grad=True)
        view, generator = view_of(recipe.victim, 0, augment_of(defense)), torch.Generator()

        def step() -> None:
            images, targets = view(poisons, generator)
            _, gradient = objective(images.detach(), targets)
            torch.autograd.grad(images, poisons, gradient)

        return step

    return Work(
        name=f"optimize poisons, {defense}",
        nets=recipe.keys * craft.restarts,
        steps=craft.steps,
        items=max(1, round(recipe.budget * count)),
        prepare=prepare,
    )
