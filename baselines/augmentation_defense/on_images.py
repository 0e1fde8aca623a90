"""Attacks on image classifiers, under each defense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.claims import claims
from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.pictures import draw_defenses
from easy_to_hard.baselines.augmentation_defense.recipes import CRAFTED, ImageRecipe
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, accuracies, attack_success, clean_set, patch_backdoor
from easy_to_hard.baselines.kit.poisoning.crafting import craft_poisons
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.statistics import SHARE, of_differences, of_share, over_seeds
from easy_to_hard.baselines.kit.victims import train_victims
from easy_to_hard.scores.reference import Condition, Measurement, ReferenceResult

PICTURE: Final = "defenses.png"
_QUESTION: Final = (
    "How often does a poisoned net do what the attacker wants, under each defense by augmentation and under DP-SGD, "
    "and what does the defense cost in clean accuracy?"
)


@dataclass(frozen=True, kw_only=True)
class Threat:
    """One attack, ready to be tried.

    Attributes:
        train: the poisoned training set.
        seed: seed of the victim that is trained on it.
        attacked: (M, C, H, W) uint8, test items as the attacker shows them.
        target: class that the attacker wants.
    """

    train: Poisoned
    seed: int
    attacked: Tensor
    target: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of the attacks under one defense; the lists have one value per seed, in [0, 1].

    Attributes:
        success: share of attacked items to which a poisoned net gives the attacker's class, averaged over the keys.
        unpoisoned: the same for nets trained in the same way on the clean set.
        accuracy: accuracy of poisoned nets on clean test items.
        clean_accuracy: accuracy of nets trained on the clean set.
        hits, attacked: number of successes and of attacked items, over all seeds and keys.
        num_test: number of clean test items.
    """

    success: Sequence[float]
    unpoisoned: Sequence[float]
    accuracy: Sequence[float]
    clean_accuracy: Sequence[float]
    hits: int
    attacked: int
    num_test: int


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Data and settings of a run."""

    recipe: ImageRecipe
    folder: RunFolder
    device: torch.device
    progress: bool
    train: ImageSet
    test: ImageSet

    def nets(self, sets: Sequence[Poisoned], seeds: Sequence[int], defense: str, name: str) -> Stacked:
        """Victims under a defense, trained or loaded from their file."""
        config = self.recipe.victim_for(defense)

        def train() -> Mapping[str, Tensor]:
            augment = DEFENSES[defense]()
            trained = train_victims(
                sets, seeds, config, augment=augment, device=self.device, progress=self.progress, title=name
            )
            return trained.weights

        stacked = Stacked([config.build(sets[0].images.shape[1], 0)], self.device)
        settings = {"defense": defense, "nets": list(seeds)}
        stacked.weights = self.folder.tensors(name, train, settings=settings, device=self.device)
        return stacked


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train nets under each defense, attack them, and measure success and cost; see `Baseline.run`.

    The folder gets a file for each defense's nets and, where matplotlib is installed, the picture `PICTURE`.
    """
    where = get_device(device)
    train, test = (
        load_images(recipe.data, recipe.data_root, train=part, download=recipe.download) for part in (True, False)
    )
    train, test = train.first(recipe.train_images or len(train)), test.first(recipe.test_images or len(test))
    facts = {"device": where.type, "images": [len(train), len(test)]}
    kept = RunFolder(folder, recipe.net_settings() | facts)
    run = _Run(recipe=recipe, folder=kept, device=where, progress=progress, train=train, test=test)
    threats, unattacked = (_crafted if recipe.crafted else _backdoors)(run)
    outcomes = {defense: _try_defense(run, defense, threats, unattacked) for defense in recipe.defenses}
    epsilons = {name: recipe.victim_for(name).epsilon(len(train)) for name in recipe.defenses if name == "dp_sgd"}
    result = result_of(
        "augmentation_defense",
        recipe,
        kept,
        question=_QUESTION,
        device=device,
        measurements=measurements_of(outcomes, epsilons, num_train=len(train)),
        claims=claims,
        more=facts | {"note": train.note},
    )
    save_picture(lambda: draw_defenses(result), folder / PICTURE)
    return result


def _backdoors(run: _Run) -> tuple[list[Threat], Tensor]:
    """A backdoor for each seed, between its own two classes; and which test items accuracy is on, (N,) bool: all."""
    threats = []
    for seed in run.recipe.seeds:
        source, target = _two_classes(run.train.labels, "backdoor", seed)
        backdoor = patch_backdoor(
            run.train.images,
            run.train.labels,
            source=source,
            target=target,
            share=run.recipe.budget,
            seed=seed,
            clean_label=run.recipe.attack == "clean_label_backdoor",
            side=run.recipe.patch,
        )
        attacked = backdoor.attacked(run.test.images, run.test.labels)
        if not len(attacked):
            raise ValueError(f"no test image of class {source} to attack: use more test images")
        threats.append(Threat(train=backdoor.train, seed=seed, attacked=attacked, target=target))
    return threats, torch.ones(len(run.test), dtype=torch.bool)


def _two_classes(labels: Tensor, *parts: int | str) -> tuple[int, int]:
    """Two of the classes in `labels`, drawn with a seed made of `parts`."""
    classes = torch.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"attacks need images of at least 2 classes, not of {len(classes)}")
    first, second = classes[torch.randperm(len(classes), generator=generator_of("classes", *parts))[:2]].tolist()
    return int(first), int(second)


def _crafted(run: _Run) -> tuple[list[Threat], Tensor]:
    """Poisons for each key, tried on a victim of each seed; accuracy is on the test items that are not targets.

    They are optimized once per key, on a net that was trained on the clean set without a defense.
    """
    recipe = run.recipe
    if recipe.keys >= len(run.test):
        raise ValueError(f"keys must be fewer than the {len(run.test)} test images, not {recipe.keys}")
    clean = clean_set(run.train.images, run.train.labels)
    surrogate = run.nets([clean], [seed_of("surrogate")], "none", "surrogate")
    kept = torch.ones(len(run.test), dtype=torch.bool)
    order = torch.randperm(len(run.test), generator=generator_of("targets"))
    config = replace(recipe.craft, method=CRAFTED[recipe.attack])
    threats = []
    for key, item in enumerate(order[: recipe.keys].tolist()):
        kept[item] = False
        image, label = run.test.images[item], int(run.test.labels[item])
        others = run.train.labels[run.train.labels != label]
        intended, _ = _two_classes(others, "intended", key)

        def craft(image: Tensor = image, intended: int = intended, key: int = key) -> Mapping[str, Tensor]:
            made = craft_poisons(clean, image, intended, surrogate, config, share=recipe.budget, seed=key)
            return {"images": made.train.images, "poisoned": made.train.poisoned}

        made = run.folder.tensors(f"poisons-{key}", craft, settings={"key": key})
        train = Poisoned(images=made["images"], labels=run.train.labels, poisoned=made["poisoned"])
        threats += [Threat(train=train, seed=seed, attacked=image[None], target=intended) for seed in recipe.seeds]
    return threats, kept


def _try_defense(run: _Run, defense: str, threats: Sequence[Threat], kept: Tensor) -> Outcome:
    """Train a victim for each threat and a clean net for each seed, and test them."""
    seeds = run.recipe.seeds
    clean = clean_set(run.train.images, run.train.labels)
    sets = [threat.train for threat in threats] + [clean for _ in seeds]
    nets = run.nets(sets, [*(threat.seed for threat in threats), *seeds], defense, f"nets-{defense}")
    images, labels = run.test.images[kept], run.test.labels[kept]
    right = accuracies(nets.predict(images), labels)
    rates: dict[int, list[float]] = {seed: [] for seed in seeds}
    unpoisoned: dict[int, list[float]] = {seed: [] for seed in seeds}
    hits = 0
    for number, threat in enumerate(threats):
        pair = nets.take([number, len(threats) + seeds.index(threat.seed)]).predict(threat.attacked)
        success = attack_success(pair[:1], pair[1:], threat.target)
        rates[threat.seed] += success.rates
        unpoisoned[threat.seed] += success.unpoisoned
        hits += round(success.rates[0] * success.num_items)
    by_seed = [[right[number] for number, one in enumerate(threats) if one.seed == seed] for seed in seeds]
    return Outcome(
        success=[_mean(rates[seed]) for seed in seeds],
        unpoisoned=[_mean(unpoisoned[seed]) for seed in seeds],
        accuracy=[_mean(of_seed) for of_seed in by_seed],
        clean_accuracy=right[len(threats) :],
        hits=hits,
        attacked=sum(len(threat.attacked) for threat in threats),
        num_test=len(images),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def measurements_of(
    outcomes: Mapping[str, Outcome], epsilons: Mapping[str, float], *, num_train: int
) -> list[Measurement]:
    """Measurements of each defense, and of its differences from no defense, seed by seed.

    Args:
        outcomes: defense -> outcome; must include "none".
        epsilons: defense -> epsilon, if it has one; an infinite epsilon (training without noise) is left out.
        num_train: number of training items, to which epsilon applies.
    """
    found = []
    bare = outcomes["none"]
    for defense, outcome in outcomes.items():
        condition: Condition = {"defense": defense}
        items = max(1, outcome.attacked // len(outcome.success))
        shares = {
            "attack success": (outcome.success, items),
            "attack success of unpoisoned nets": (outcome.unpoisoned, items),
            "clean accuracy": (outcome.accuracy, outcome.num_test),
            "clean accuracy of unpoisoned nets": (outcome.clean_accuracy, outcome.num_test),
        }
        differences = {"attack success above unpoisoned": (outcome.success, outcome.unpoisoned, items)}
        if defense != "none":
            differences |= {
                "attack success less that of none": (outcome.success, bare.success, items),
                "clean accuracy less that of none": (outcome.accuracy, bare.accuracy, outcome.num_test),
            }
        for name, (values, count) in shares.items():
            found.append(over_seeds(name, values, unit=SHARE, condition=condition, num_items=count))
        for name, (values, others, count) in differences.items():
            found.append(of_differences(name, values, others, condition=condition, num_items=count))
        num_seeds = len(outcome.success)
        # Attacked items of one net are not independent draws: this interval is over items, those above over nets.
        share = of_share(
            "attacked items given the target", outcome.hits, outcome.attacked, condition=condition, num_seeds=num_seeds
        )
        found.append(share)
    for defense, epsilon in epsilons.items():
        if isfinite(epsilon):
            found.append(
                Measurement(name="epsilon", value=epsilon, condition={"defense": defense}, num_items=num_train)
            )
    return found
