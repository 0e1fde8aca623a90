"""Attacks on nets that classify images, under each defence."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.checkpoints import made_before
from easy_to_hard.baselines.augmentation_defense.claims import image_claims
from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.measuring import Outcome, measurements_of
from easy_to_hard.baselines.augmentation_defense.pictures import draw_defenses
from easy_to_hard.baselines.augmentation_defense.recipes import CRAFTED, Recipe
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, accuracies, attack_success, clean_set, patch_backdoor
from easy_to_hard.baselines.kit.poisoning.crafting import craft_poisons
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import train_victims
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import ReferenceResult

PICTURE: Final = "defenses.png"
_QUESTION: Final = (
    "How often does a poisoned net do what the attacker wants, under each defence by augmentation and under DP-SGD, "
    "and what does the defence cost in clean accuracy?"
)


@dataclass(frozen=True, kw_only=True)
class Threat:
    """One attack, ready to be tried.

    Attributes:
        train: the poisoned set.
        seed: of the victim that is trained on it.
        attacked: (M, C, H, W) uint8, test items as the attacker shows them.
        target: class that the attacker wants.
    """

    train: Poisoned
    seed: int
    attacked: Tensor
    target: int


@dataclass(kw_only=True)
class _Run:
    """What a run has at hand."""

    recipe: Recipe
    data: str
    out: Path
    device: torch.device
    progress: bool
    train: ImageSet
    test: ImageSet
    seconds: list[float] = field(default_factory=list)

    def nets(self, sets: Sequence[Poisoned], seeds: Sequence[int], defense: str, name: str) -> Stacked:
        """Victims under a defence, trained or from their file."""
        config = self.recipe.victim_for(defense)
        settings = self.recipe.settings() | self.described() | {"defense": defense, "nets": list(seeds)}

        def train() -> Mapping[str, Tensor]:
            augment = DEFENSES[defense]()
            trained = train_victims(
                sets, seeds, config, augment=augment, device=self.device, progress=self.progress, title=name
            )
            return trained.weights

        weights, seconds = made_before(self.out / f"{name}.pt", settings, train, self.device)
        self.seconds.append(seconds)
        stacked = Stacked([config.build(sets[0].images.shape[1], 0)], self.device)
        stacked.weights = weights
        return stacked

    def described(self) -> dict[str, Any]:
        """The data and the device, which decide a checkpoint as the recipe does."""
        return {"data": self.data, "device": self.device.type, "images": [len(self.train), len(self.test)]}


def run_on_images(
    recipe: Recipe,
    preset: str,
    data: str,
    data_root: Path,
    out: Path,
    *,
    download: bool = False,
    device: str = "cpu",
    progress: bool = True,
) -> ReferenceResult:
    """Attack and defend, and measure both.

    Args:
        recipe: what.
        preset: its name, for the result.
        data: "mnist" or "cifar10".
        data_root: the folder that holds the data.
        out: the folder of the run, with a file for each defence's nets, from which a run that was stopped goes on,
            and, where matplotlib is installed, the picture `PICTURE`.
        download: fetch images that are missing.
        device: "cpu" or "cuda".
        progress: whether to show bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, FileNotFoundError, RuntimeError, OSError, ImportError: one line on what is wrong.
    """
    where = get_device(device)
    train, test = (load_images(data, data_root, train=part, download=download) for part in (True, False))
    run = _Run(
        recipe=recipe,
        data=data,
        out=out,
        device=where,
        progress=progress,
        train=train.first(recipe.train_images or len(train)),
        test=test.first(recipe.test_images or len(test)),
    )
    out.mkdir(parents=True, exist_ok=True)
    threats, kept = (_crafted if recipe.crafted else _backdoors)(run)
    outcomes = {defense: _try_defense(run, defense, threats, kept) for defense in recipe.defenses}
    epsilons = {name: recipe.victim_for(name).epsilon(len(run.train)) for name in recipe.defenses if name == "dp_sgd"}
    measurements = measurements_of(outcomes, epsilons, num_train=len(run.train))
    result = ReferenceResult(
        method="augmentation_defense",
        preset=preset,
        data=data,
        question=_QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=recipe.seeds,
        device=torch.cuda.get_device_name() if where.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)",
        seconds=sum(run.seconds),
        settings=asdict(recipe) | run.described() | {"note": train.note},
        measurements=measurements,
        claims=image_claims(recipe.attack, recipe.defenses, measurements),
    )
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(draw_defenses(result.measurements, recipe.attack, data), out / PICTURE)
    return result


def _backdoors(run: _Run) -> tuple[list[Threat], Tensor]:
    """A backdoor for each seed, between classes of its own; and which test items (N,) bool accuracy is of: all."""
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
            raise ValueError(f"no test image of class {source} to attack: take more test images")
        threats.append(Threat(train=backdoor.train, seed=seed, attacked=attacked, target=target))
    return threats, torch.ones(len(run.test), dtype=torch.bool)


def _two_classes(labels: Tensor, *parts: int | str) -> tuple[int, int]:
    """Two classes that occur, by the parts of a seed."""
    classes = torch.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"attacks need images of at least 2 classes, not of {len(classes)}")
    first, second = classes[torch.randperm(len(classes), generator=generator_of("classes", *parts))[:2]].tolist()
    return int(first), int(second)


def _crafted(run: _Run) -> tuple[list[Threat], Tensor]:
    """Poisons for each key, tried on a victim of each seed; accuracy is of the test items that are no key's target.

    They are optimised once for a key, on a net that was trained on the clean set without a defence.
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

        settings = recipe.settings() | run.described() | {"key": key}
        made, seconds = made_before(run.out / f"poisons-{key}.pt", settings, craft, torch.device("cpu"))
        run.seconds.append(seconds)
        train = Poisoned(images=made["images"], labels=run.train.labels, poisoned=made["poisoned"])
        threats += [Threat(train=train, seed=seed, attacked=image[None], target=intended) for seed in recipe.seeds]
    return threats, kept


def _try_defense(run: _Run, defense: str, threats: Sequence[Threat], kept: Tensor) -> Outcome:
    """Train a victim for each threat, and a clean net for each seed, and see what they say."""
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
