"""Attacks on image classifiers, under each defense."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from easy_to_hard.baselines.augmentation_defense.claims import claims
from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.pictures import BY_BUDGET, draw_defenses
from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, accuracies, attack_success, clean_set, patch_backdoor
from easy_to_hard.baselines.kit.poisoning.crafting import craft_poisons, view_of
from easy_to_hard.baselines.kit.poisoning.filters import FILTERS, suspects, without
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seed_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.statistics import SHARE, of_differences, of_share, over_seeds
from easy_to_hard.baselines.kit.victims import Augment, train_victims
from easy_to_hard.scores.reference import Condition, Measurement, ReferenceResult

PICTURE: Final = "defenses.png"
SHIFT: Final = "shift of the attacker's class"
"""The log-odds of the class that an attacked item should be given: poisoned net minus clean net.

No claim is judged by it: nets that are less sure of everything, as after mixing, have smaller log-odds, too.
"""
_LOG_ODDS: Final = "log-odds"
_QUESTION: Final = (
    "How often does a poisoned net do what the attacker wants, under each defense by augmentation, under DP-SGD and "
    "under filters, and what does the defense cost in clean accuracy?"
)


@dataclass(frozen=True, kw_only=True)
class Threat:
    """One attack, ready to be tried on one victim.

    Attributes:
        train: the poisoned training set.
        seed: seed of the victim that is trained on it.
        number: of the attack: victims with the same number are averaged.
        attacked: (M, C, H, W) uint8, test items as the attacker shows them.
        target: class that the attacker wants.
    """

    train: Poisoned
    seed: int
    number: int
    attacked: Tensor
    target: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of the attacks under one defense.

    An attack is a backdoor, of which each seed has its own, or the poisons against one target, which are tried on a
    victim of each seed. What attacks do has one value per attack, averaged over its victims; accuracies have one per
    seed, averaged over the attacks.

    Attributes:
        success: share of attacked items to which a poisoned net gives the attacker's class, in [0, 1].
        unpoisoned: the same for nets trained in the same way on the clean set.
        shift: log-odds of the attacker's class, mean over attacked items: poisoned net minus clean net.
        accuracy: accuracy of poisoned nets on clean test items, in [0, 1].
        clean_accuracy: accuracy of nets trained on the clean set, in [0, 1].
        removed: name -> the shares of poisons, and of other items, that a filter removes from the attacks' sets, and
            how many such items there are; none for other defenses.
        hits, unpoisoned_hits, attacked: number of successes, of successes without poison, and of attacked items, over
            all nets.
        num_test: number of clean test items.
    """

    success: Sequence[float]
    unpoisoned: Sequence[float]
    shift: Sequence[float]
    accuracy: Sequence[float]
    clean_accuracy: Sequence[float]
    removed: Mapping[str, tuple[Sequence[float], int]] = field(default_factory=dict)
    hits: int
    unpoisoned_hits: int
    attacked: int
    num_test: int


class _Run:
    """Data and settings of a run."""

    def __init__(
        self, recipe: ImageRecipe, folder: Path, device: torch.device, progress: bool, train: ImageSet, test: ImageSet
    ) -> None:
        self.recipe, self.device, self.progress = recipe, device, progress
        self.facts = {"device": device.type, "images": [len(train), len(test)], "note": train.note}
        self.folder = RunFolder(folder, recipe.net_settings() | self.facts)
        whole = clean_set(train.images, train.labels)
        body = recipe.body_images
        self.train = whole if not body else clean_set(train.images[body:], train.labels[body:])
        self.test = test
        self._body: dict[str, Tensor] | None = None
        if body:
            first = clean_set(train.images[:body], train.labels[:body])
            weights, buffers = self.nets([first], [seed_of("body")], "none", "body").one(0)
            self._body = weights | buffers

    def nets(self, sets: Sequence[Poisoned], seeds: Sequence[int], defense: str, name: str) -> Stacked:
        """Victims under a defense, trained or loaded from their file."""
        config = self.recipe.victim_for(defense)

        def train() -> Mapping[str, Tensor]:
            trained = train_victims(
                sets,
                seeds,
                config,
                augment=augment_of(defense),
                body=self._body,
                device=self.device,
                progress=self.progress,
                title=name,
            )
            return trained.tensors()

        stacked = Stacked([config.build(sets[0].images.shape[1], 0)], self.device)
        settings = {"defense": defense, "nets": list(seeds)}
        stacked.load(self.folder.tensors(name, train, settings=settings, device=self.device))
        return stacked

    def surrogates(self, defense: str) -> Stacked:
        """The attacker's nets, trained on the clean set with a defense."""
        count = self.recipe.craft.surrogates
        seeds = [seed_of("surrogate", number) for number in range(count)]
        return self.nets([self.train] * count, seeds, defense, f"surrogates-{defense}")


def augment_of(defense: str) -> Augment | None:
    """The augmentation of a defense; None for those that do not change batches."""
    return DEFENSES[defense]() if defense in DEFENSES else None


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train nets under each defense, attack them, and measure success and cost; see `Baseline.run`.

    The folder gets a file for each defense's nets and, where matplotlib is installed, the picture `PICTURE`.
    """
    where = get_device(device)
    train, test = (
        load_images(recipe.data, recipe.data_root, train=part, download=recipe.download) for part in (True, False)
    )
    train = train.first(recipe.body_images + recipe.train_images if recipe.train_images else len(train))
    test = test.first(recipe.test_images or len(test))
    run = _Run(recipe, folder, where, progress, train, test)
    targets = choose_targets(run) if recipe.crafted else ()
    kept = torch.ones(len(test), dtype=torch.bool)
    kept[[target.item for target in targets]] = False
    threats = _crafted(run, targets, "none") if recipe.crafted else _backdoors(run, recipe.budget)
    outcomes = {}
    for defense in _undefended_first(recipe.defenses):
        # A filter is part of training, but poisons are not optimized through it.
        adapted = recipe.adaptive and defense in DEFENSES
        tried = _crafted(run, targets, defense) if adapted else threats
        outcomes[defense] = _try_defense(run, defense, tried, kept, recipe.budget)
    by_budget = {recipe.budget: outcomes}
    for budget in recipe.other_budgets:
        others = _backdoors(run, budget)
        by_budget[budget] = {
            defense: _try_defense(run, defense, others, kept, budget) for defense in _undefended_first(recipe.defenses)
        }
    epsilons = {name: recipe.victim_for(name).epsilon(len(run.train)) for name in recipe.defenses if name == "dp_sgd"}
    result = result_of(
        "augmentation_defense",
        recipe,
        run.folder,
        question=_QUESTION,
        device=device,
        measurements=measurements_of(outcomes, epsilons, num_train=len(run.train)) + success_by_budget(by_budget),
        claims=claims,
        more=run.facts,
    )
    save_picture(lambda: draw_defenses(result), folder / PICTURE)
    return result


def _undefended_first(defenses: Sequence[str]) -> tuple[str, ...]:
    return "none", *(name for name in defenses if name != "none")


def _backdoors(run: _Run, budget: float) -> list[Threat]:
    """A backdoor for each seed, between its own two classes, on a share of the training set."""
    threats = []
    for number, seed in enumerate(run.recipe.seeds):
        source, target = _two_classes(run.train.labels, seed)
        backdoor = patch_backdoor(
            run.train.images,
            run.train.labels,
            source=source,
            target=target,
            share=budget,
            seed=seed,
            clean_label=run.recipe.attack == "clean_label_backdoor",
            side=run.recipe.patch,
        )
        attacked = backdoor.attacked(run.test.images, run.test.labels)
        if not len(attacked):
            raise ValueError(f"no test image of class {source} to attack: use more test images")
        threats.append(Threat(train=backdoor.train, seed=seed, number=number, attacked=attacked, target=target))
    return threats


def _two_classes(labels: Tensor, seed: int) -> tuple[int, int]:
    """Source and target of a seed's backdoor: two of the classes in `labels`."""
    classes = torch.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"attacks need images of at least 2 classes, not of {len(classes)}")
    first, second = classes[
        torch.randperm(len(classes), generator=generator_of("classes", "backdoor", seed))[:2]
    ].tolist()
    return int(first), int(second)


class Target(NamedTuple):
    """A test item to be misclassified.

    Attributes:
        item: its index in the test set.
        intended: the class that it should be given.
    """

    item: int
    intended: int


def choose_targets(run: _Run) -> tuple[Target, ...]:
    """Test items in random order that all surrogates get right, with the class that each should be given.

    Raises:
        ValueError: fewer of them than `keys`.
    """
    recipe, labels = run.recipe, run.test.labels
    surrogates = run.surrogates("none")
    logits = surrogates.logits(run.test.images).cpu()
    right = (logits.argmax(-1) == labels).all(0)
    order = torch.randperm(len(labels), generator=generator_of("targets"))
    items = [item for item in order.tolist() if right[item]][: recipe.keys]
    if len(items) < recipe.keys or len(items) == len(labels):
        raise ValueError(
            f"keys must be at most the number of test images that the surrogates get right, and fewer than all, not "
            f"{recipe.keys}: there are {int(right.sum())} of {len(labels)}"
        )
    there = torch.unique(run.train.labels)
    targets = []
    for key, item in enumerate(items):
        others = there[there != labels[item]]
        if recipe.intended == "random":
            intended = int(others[torch.randint(len(others), (), generator=generator_of("intended", key))])
        else:
            intended = int(others[logits[:, item].mean(0)[others].argmax()])
        targets.append(Target(item, intended))
    return tuple(targets)


def _crafted(run: _Run, targets: Sequence[Target], defense: str) -> list[Threat]:
    """Poisons against each target, to be tried on a victim of each seed.

    They are optimized once for each target, on nets that were trained on the clean set with the defense that the
    attacker expects.
    """
    recipe = run.recipe
    surrogates = run.surrogates(defense)
    augment = augment_of(defense)
    threats = []
    for key, (item, intended) in enumerate(targets):
        image = run.test.images[item]

        def craft(image: Tensor = image, intended: int = intended, key: int = key) -> Mapping[str, Tensor]:
            made = craft_poisons(
                run.train,
                image,
                intended,
                surrogates,
                recipe.craft,
                share=recipe.budget,
                seed=key,
                view=view_of(recipe.victim, intended, augment),
                head_only=recipe.scenario == "transfer",
            )
            return {"images": made.train.images, "poisoned": made.train.poisoned}

        made = run.folder.tensors(f"poisons-{defense}-{key}", craft, settings={"key": key, "defense": defense})
        train = Poisoned(images=made["images"], labels=run.train.labels, poisoned=made["poisoned"])
        threats += [
            Threat(train=train, seed=seed, number=key, attacked=image[None], target=intended) for seed in recipe.seeds
        ]
    return threats


def _try_defense(run: _Run, defense: str, threats: Sequence[Threat], kept: Tensor, budget: float) -> Outcome:
    """Train a victim for each threat and a clean net for each seed, and test them.

    Args:
        run: the run.
        defense: in `TRIED`.
        threats: the attacks.
        kept: (N,) bool, the test items that accuracy is on.
        budget: share of a threat's training set that is poisoned.
    """
    seeds = run.recipe.seeds
    sets = [threat.train for threat in threats] + [run.train for _ in seeds]
    victims = [*(threat.seed for threat in threats), *seeds]
    removed: dict[str, list[float]] = {}
    if defense in FILTERS:
        sets, removed = _filtered(run, defense, sets, victims, budget)
    nets = run.nets(sets, victims, defense, _nets_name(run, defense, budget))
    images, labels = run.test.images[kept], run.test.labels[kept]
    right = accuracies(nets.predict(images), labels)
    found: dict[str, dict[int, list[float]]] = {}
    hits, unpoisoned_hits = 0, 0
    for number, threat in enumerate(threats):
        clean = len(threats) + seeds.index(threat.seed)
        logits = nets.take([number, clean]).logits(threat.attacked)
        pair = logits.argmax(-1)
        success = attack_success(pair[:1], pair[1:], threat.target)
        odds = log_odds(logits, threat.target).mean(1).tolist()
        hits += int((pair[0] == threat.target).sum())
        unpoisoned_hits += int((pair[1] == threat.target).sum())
        of_attack = {
            "success": success.rates[0],
            "unpoisoned": success.unpoisoned[0],
            "shift": odds[0] - odds[1],
            **{name: shares[number] for name, shares in removed.items()},
        }
        of_seed = {"accuracy": right[number], "clean_accuracy": right[clean]}
        for values, unit in ((of_attack, threat.number), (of_seed, threat.seed)):
            for name, value in values.items():
                found.setdefault(name, {}).setdefault(unit, []).append(value)
    means = {name: [_mean(values) for values in by_unit.values()] for name, by_unit in found.items()}
    poisons = int(threats[0].train.poisoned.sum())
    counts = {"poisons": poisons, "other items": len(run.train) - poisons}
    return Outcome(
        removed={name: (means.pop(name), counts[name]) for name in removed},
        hits=hits,
        unpoisoned_hits=unpoisoned_hits,
        attacked=sum(len(threat.attacked) for threat in threats),
        num_test=len(images),
        **means,
    )


def _nets_name(run: _Run, defense: str, budget: float) -> str:
    return f"nets-{defense}" if budget == run.recipe.budget else f"nets-{defense}-{budget:g}"


def _filtered(
    run: _Run, defense: str, sets: Sequence[Poisoned], seeds: Sequence[int], budget: float
) -> tuple[list[Poisoned], dict[str, list[float]]]:
    """Each set without what a filter suspects in the features of the undefended net that was trained on it.

    Also the share of the poisons, and of the other items, that the filter removed, set by set.
    """
    bare = run.nets(sets, seeds, "none", _nets_name(run, "none", budget))
    filtered, poisons, others = [], [], []
    for number, (one, seed) in enumerate(zip(sets, seeds, strict=True)):
        features = bare.take([number]).features(one.images)[0]
        suspicious = suspects(one, features, FILTERS[defense], budget=budget)
        filtered.append(without(one, suspicious, seed=seed))
        poisons.append(_share(suspicious[one.poisoned]))
        others.append(_share(suspicious[~one.poisoned]))
    return filtered, {"poisons": poisons, "other items": others}


def _share(marks: Tensor) -> float:
    return float(marks.double().mean()) if len(marks) else 0.0


def log_odds(logits: Tensor, target: int) -> Tensor:
    """The log-odds (..., M) of a class, from logits (..., M, K)."""
    others = torch.cat([logits[..., :target], logits[..., target + 1 :]], dim=-1)
    odds: Tensor = logits[..., target] - others.logsumexp(-1)
    return odds


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def success_by_budget(by_budget: Mapping[float, Mapping[str, Outcome]]) -> list[Measurement]:
    """The success of backdoors, budget by budget, for each defense; none if there is one budget.

    Args:
        by_budget: budget -> defense -> outcome.
    """
    if len(by_budget) == 1:
        return []
    return [
        over_seeds(
            BY_BUDGET,
            outcome.success,
            unit=SHARE,
            condition={"defense": defense, "budget": budget},
            num_items=max(1, outcome.attacked // len(outcome.success)),
        )
        for budget, outcomes in sorted(by_budget.items())
        for defense, outcome in outcomes.items()
    ]


def measurements_of(
    outcomes: Mapping[str, Outcome], epsilons: Mapping[str, float], *, num_train: int
) -> list[Measurement]:
    """Measurements of each defense, and of its differences from no defense, attack by attack.

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
            **{f"{name} removed": removed for name, removed in outcome.removed.items()},
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
        found.append(over_seeds(SHIFT, outcome.shift, unit=_LOG_ODDS, condition=condition, num_items=items))
        if defense != "none":
            name = f"{SHIFT} less that of none"
            found.append(
                of_differences(name, outcome.shift, bare.shift, unit=_LOG_ODDS, condition=condition, num_items=items)
            )
        # Attacked items of one net are not independent draws: these intervals are over items, as if they were.
        counts = {
            "attacked items given the target": outcome.hits,
            "attacked items given the target by unpoisoned nets": outcome.unpoisoned_hits,
        }
        for name, count in counts.items():
            num_seeds = len(outcome.success)
            found.append(of_share(name, count, outcome.attacked, condition=condition, num_seeds=num_seeds))
    for defense, epsilon in epsilons.items():
        if isfinite(epsilon):
            found.append(
                Measurement(name="epsilon", value=epsilon, condition={"defense": defense}, num_items=num_train)
            )
    return found
