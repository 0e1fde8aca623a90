"""What a run on images would take."""

from dataclasses import replace

from easy_to_hard.baselines.dp_instahide.accountant import image_diameter
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.baselines.kit.image_data import IMAGE_FACTS
from easy_to_hard.baselines.kit.victims import VictimConfig, timed_step
from easy_to_hard.baselines.kit.work import Work


def plan(recipe: ImageRecipe) -> list[Work]:
    """The nets to train, each on a poisoned set and on a clean one."""
    facts = IMAGE_FACTS[recipe.data]
    count = recipe.train_images or facts.train
    cells = recipe.cells(count, image_diameter(*facts.shape, recipe.victim.classes))
    seeds = len(recipe.seeds)
    works = [_training("train undefended nets", recipe.victim, 2 * seeds, count, facts.shape)]
    works.append(_training("train nets on releases", recipe.victim, 2 * seeds * len(cells), count, facts.shape))
    if recipe.online:
        works.append(_training("train nets on fresh mixtures", recipe.victim, 4 * seeds, count, facts.shape))
    for multiplier in recipe.private:
        victims = recipe.private_victims
        private = replace(victims, privacy=replace(victims.privacy, noise_multiplier=multiplier)).of(recipe.victim)
        works.append(_training(f"train by DP-SGD, noise {multiplier:g}", private, 2 * seeds, count, facts.shape))
    return works


def _training(name: str, victim: VictimConfig, nets: int, count: int, shape: tuple[int, int, int]) -> Work:
    return Work(
        name=name,
        nets=nets,
        steps=victim.steps(count),
        items=victim.batch_size,
        prepare=lambda items, device: timed_step(victim, shape, items, device=device),
    )
