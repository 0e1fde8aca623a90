"""Everything that decides a run, on images and on puzzles, and the presets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args

from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_puzzles.defenses import PUZZLE_DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_puzzles.triggers import get_trigger
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.baselines.kit.poisoning.attacks import PATCH_SIDE, check_budget
from easy_to_hard.baselines.kit.poisoning.crafting import CraftConfig, Crafting
from easy_to_hard.baselines.kit.poisoning.filters import FILTERS
from easy_to_hard.baselines.kit.private_training import PrivacyConfig, epsilon_of
from easy_to_hard.baselines.kit.victims import PrivateVictims, VictimConfig
from easy_to_hard.generators.integers import check_field, check_integer_fields

BACKDOORS: Final = ("clean_label_backdoor", "dirty_label_backdoor")
CRAFTED: Final[tuple[Crafting, ...]] = get_args(Crafting)
ATTACKS: Final = (*BACKDOORS, *CRAFTED)
Scenario = Literal["from_scratch", "transfer"]
Intended = Literal["runner_up", "random"]
TRIED: Final[Mapping[str, object]] = MappingProxyType({**DEFENSES, **FILTERS})
"""Defenses on images: those by augmentation, DP-SGD, and filters that look for the poisons."""

_Recipe = TypeVar("_Recipe")


def _check_defenses(names: tuple[str, ...], known: Mapping[str, object]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"unknown defense {name!r}: choose from {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"defenses must be all different, not {list(names)}")
    if "none" not in names:
        raise ValueError(f"defenses must include none, with which the others are compared, not only {list(names)}")


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(ReferenceRecipe):
    """A run on images; `seeds` are the seeds of the victims, each of which has its own backdoor.

    Attributes:
        attack: one of `ATTACKS`.
        scenario: "from_scratch", or "transfer": the body of a net that was trained on other images, which the attacker
            knows, is kept, and victims train a new last layer on the poisoned set.
        defenses: names in `TRIED`, each once; must include "none", with which the others are compared.
        train_images, test_images: how many of the first images to use; 0 for all.
        body_images: for transfer: how many of the first images the body is trained on; the training set are the next.
        budget: share of the training set that is poisoned, in (0, 1].
        other_budgets: further budgets of a backdoor, tried with the same defenses.
        victim: how nets are trained.
        private: what is different with DP-SGD.
        craft: how poisons are optimized, for the attacks that optimize them.
        patch: side of a backdoor's patch, in pixels.
        keys: number of target items, each with its own poisons, for the attacks that optimize them. Targets are test
            items that the surrogates get right.
        intended: the class that a target should be given: the surrogates' second choice, or a random one.
        adaptive: whether the attacker knows the defense: surrogates are trained with it, and poisons are optimized
            through it.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    attack: str = "clean_label_backdoor"
    scenario: Scenario = "from_scratch"
    defenses: tuple[str, ...] = tuple(TRIED)
    train_images: int
    test_images: int
    body_images: int = 0
    budget: float = 0.01
    other_budgets: tuple[float, ...] = ()
    victim: VictimConfig
    private: PrivateVictims
    craft: CraftConfig
    patch: int = PATCH_SIDE
    seeds: tuple[int, ...] = (0, 1, 2)
    keys: int = 12
    intended: Intended = "runner_up"
    adaptive: bool = False

    def __post_init__(self) -> None:
        check_integer_fields(self)
        super().__post_init__()
        if self.attack not in ATTACKS:
            raise ValueError(f"unknown attack {self.attack!r}: choose one of {', '.join(ATTACKS)}")
        check_field(self, "scenario", self.scenario in get_args(Scenario), f"one of {', '.join(get_args(Scenario))}")
        check_field(self, "intended", self.intended in get_args(Intended), f"one of {', '.join(get_args(Intended))}")
        _check_defenses(self.defenses, TRIED)
        for share in (self.budget, *self.other_budgets):
            check_budget(share)
        if len({self.budget, *self.other_budgets}) <= len(self.other_budgets):
            raise ValueError(
                f"other_budgets must be different, and not the budget {self.budget:g}, not {list(self.other_budgets)}"
            )
        if self.other_budgets and self.crafted:
            raise ValueError(f"other_budgets are for backdoors, not for {self.attack}")
        for name, least in (("train_images", 0), ("test_images", 0), ("keys", 1)):
            check_field(self, name, getattr(self, name) >= least, f"at least {least}")
        transfer = self.scenario == "transfer"
        check_field(self, "body_images", (self.body_images > 0) == transfer, "above 0 for transfer, 0 otherwise")
        if transfer and not self.crafted:
            raise ValueError(f"transfer needs an attack that optimizes poisons, not {self.attack}")
        if transfer:
            check_field(self, "train_images", self.train_images > 0, "above 0 for transfer")
            if "dp_sgd" in self.defenses:
                raise ValueError("dp_sgd is not for transfer: a body that is kept is trained without it")
        if self.crafted and self.craft.method != self.attack:
            raise ValueError(f"craft.method must be the attack, {self.attack}, not {self.craft.method}")
        if self.adaptive and not self.crafted:
            raise ValueError(f"adaptive needs an attack that optimizes poisons, not {self.attack}")

    @property
    def threat(self) -> str:
        """ "backdoor", or the scenario of an attack that optimizes its poisons."""
        return self.scenario if self.crafted else "backdoor"

    @property
    def crafted(self) -> bool:
        """Whether the poisons are optimized, each against a target of its own."""
        return self.attack in CRAFTED

    def victim_for(self, defense: str) -> VictimConfig:
        """How nets with that defense are trained."""
        return self.private.of(self.victim) if defense == "dp_sgd" else self.victim

    def net_settings(self) -> dict[str, Any]:
        """The settings that decide a net besides its seed and defense: JSON-able."""
        others = ("defenses", "other_budgets")
        return {name: value for name, value in self.seed_settings().items() if name not in others}


@dataclass(frozen=True, kw_only=True)
class SolverTraining:
    """How nets that solve puzzles are trained: with Adam, and each net's gradient clipped to a norm.

    Attributes:
        steps, batch_size: at least 1.
        learning_rate: above 0; falls to zero over the last half.
        gradient_clip: largest norm of a net's gradient, above 0.
        private: DP-SGD's clip and noise; None for training without it.

    Raises:
        ValueError: a value outside its range.
    """

    steps: int
    batch_size: int
    learning_rate: float
    gradient_clip: float = 1.0
    private: PrivacyConfig | None = None

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "batch_size"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "gradient_clip"):
            check_field(self, name, getattr(self, name) > 0, "above 0")

    def rate_at(self, step: int) -> float:
        """Learning rate at a step, counted from 0."""
        return self.learning_rate * min(1.0, 2 * (1 - step / self.steps))


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe(ReferenceRecipe):
    """A run on puzzles; `data` is "mazes" or "prefix_sums".

    Attributes:
        trigger: one of the task's triggers in `triggers.TRIGGERS`.
        defenses: names in `PUZZLE_DEFENSES`, each once, including "none"; all on nets with recall.
        budget: share of the training set that is poisoned, in (0, 1].
        other_budgets: further budgets, tried without a defense.
        width, patch, max_iterations: settings of the nets.
        recall: whether nets have recall: the values tried without a defense, including True.
        fine_tuned: whether nets start from the net that comes with the package, which solves the task, and are trained
            further on the poisoned set; otherwise they are trained from scratch.
        difficulty: difficulty of the training puzzles.
        train_items: number of training puzzles, at least 1.
        sizes: difficulties of the test puzzles, from easy to hard, including the training difficulty.
        iterations: numbers of iterations in the tests, from few to many.
        test_items: number of test puzzles of each size, at least 1.
        training: how nets are trained.
        private: DP-SGD's clip and noise.

    Raises:
        ValueError: a value outside its range.
    """

    trigger: str
    defenses: tuple[str, ...] = tuple(PUZZLE_DEFENSES)
    budget: float
    other_budgets: tuple[float, ...]
    width: int
    patch: int = 1
    max_iterations: int
    recall: tuple[bool, ...]
    fine_tuned: bool = False
    difficulty: int
    train_items: int
    sizes: tuple[int, ...]
    iterations: tuple[int, ...]
    test_items: int
    training: SolverTraining
    private: PrivacyConfig = field(default_factory=lambda: PrivacyConfig(clip=1.0, noise_multiplier=0.8))
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        super().__post_init__()
        get_trigger(self.trigger, self.data)
        _check_defenses(self.defenses, PUZZLE_DEFENSES)
        for share in (self.budget, *self.other_budgets):
            check_budget(share)
        if self.difficulty not in self.sizes:
            raise ValueError(
                f"sizes must include the training difficulty {self.difficulty}, not only {list(self.sizes)}"
            )
        if True not in self.recall:
            raise ValueError("recall must include True: defenses are tried on nets with recall")

    def training_for(self, defense: str) -> SolverTraining:
        """How nets with that defense are trained."""
        return replace(self.training, private=self.private) if defense == "dp_sgd" else self.training

    def epsilon(self) -> float:
        """Epsilon of training with DP-SGD, for adding or removing one puzzle."""
        return epsilon_of(
            sampling_rate=min(1.0, self.training.batch_size / self.train_items),
            noise_multiplier=self.private.noise_multiplier,
            steps=self.training.steps,
            delta=self.private.delta,
        )

    def net_settings(self) -> dict[str, Any]:
        """The settings that decide a net besides its seed, defense, budget and recall: JSON-able."""
        others = ("defenses", "budget", "other_budgets", "recall", "sizes", "iterations", "test_items")
        return {name: value for name, value in self.seed_settings().items() if name not in others}


# 100 steps of about 6.3 of 255: a tenth of CIFAR-10's mean standard deviation, in which units the paper's tau is 0.1.
_CRAFT: Final = CraftConfig(method="gradient_matching", bound=16, steps=100, step_size=6.3)

# Without crops and flips: with such small nets, those alone undo a patch in the corner. The paper poisons 1 %, from
# which small nets that see a few thousand images for a few epochs learn nothing.
_BACKDOOR: Final = ImageRecipe(
    preset="small",
    data="cifar10",
    train_images=2000,
    test_images=2000,
    budget=0.05,
    victim=VictimConfig(epochs=8, batch_size=32),
    private=PrivateVictims(),
    craft=_CRAFT,
    seeds=tuple(range(10)),
)
_MATCHING: Final = replace(_BACKDOOR, attack="gradient_matching", budget=0.03, seeds=(0, 1, 2))
# Nets that are trained from scratch are not moved by colliding features: the published benchmark has 0 % for feature
# collision and 3 % for Bullseye Polytope (arXiv 2006.12557).
_COLLISION: Final = replace(
    _MATCHING,
    attack="bullseye",
    scenario="transfer",
    defenses=tuple(name for name in TRIED if name != "dp_sgd"),
    body_images=4000,
    train_images=1000,
    budget=0.025,
    craft=replace(_CRAFT, method="bullseye", bound=8),
    keys=16,
)
# MNIST's own bound of perturbations, 0.3, rounded down to whole levels.
_MNIST_BOUND: Final = 76
_MNIST_STEP: Final = 25.5
# Days on a GPU. Of the authors' code (poisoning-gradient-matching and its fork): ResNet-18 with batch normalization,
# E = 40 epochs, batches of 128, rate 0.1 with drops at E / 2.667, E / 1.6 and E / 1.142, crops and flips, also while
# brewing, 1 % poisons, 250 steps, 8 restarts, 10 keys, 8 victims each. Not known: the number of nets behind the table
# of backdoors, for which 8 is ours, and how DP-SGD was tuned (the code has no guarantee; see the README).
_PAPER: Final = ImageRecipe(
    preset="paper",
    data="cifar10",
    train_images=0,
    test_images=0,
    victim=VictimConfig(
        architecture="resnet18",
        epochs=40,
        batch_size=128,
        learning_rate=0.1,
        drops=(1 / 2.667, 1 / 1.6, 1 / 1.142),
        crop=4,
        flip=True,
        at_once=4,
    ),
    private=PrivateVictims(batch_size=512, privacy=PrivacyConfig(clip=1.0, noise_multiplier=1.0, chunk=128)),
    craft=replace(_CRAFT, steps=250, restarts=8),
    seeds=tuple(range(8)),
    keys=10,
    intended="random",
)
# A quarter of an hour on a core.
_SUMS: Final = PuzzleRecipe(
    preset="small",
    data="prefix_sums",
    trigger="prefix",
    budget=0.1,
    other_budgets=(0.01, 0.03),
    width=24,
    max_iterations=15,
    recall=(True, False),
    difficulty=16,
    train_items=4000,
    sizes=(16, 32, 48),
    iterations=(15, 60),
    test_items=300,
    training=SolverTraining(steps=900, batch_size=50, learning_rate=3e-3),
    seeds=(0, 1, 2, 3, 4),
)
# From scratch, a net that solves mazes takes thousands of steps: here a trained one is trained further on poisoned
# mazes, which takes half an hour on a core.
_MAZES: Final = replace(
    _SUMS,
    data="mazes",
    trigger="start",
    other_budgets=(0.03,),
    width=32,
    patch=2,
    recall=(True,),
    fine_tuned=True,
    difficulty=9,
    train_items=2000,
    sizes=(9, 13, 17),
    iterations=(20, 60),
    test_items=200,
    seeds=(0, 1, 2, 3, 4),
    training=SolverTraining(steps=250, batch_size=16, learning_rate=1e-3),
)
_SUMS_SMOKE: Final = replace(
    _SUMS,
    preset="smoke",
    other_budgets=(),
    train_items=1000,
    test_items=100,
    sizes=(16, 24),
    iterations=(15, 30),
    training=replace(_SUMS.training, steps=40),
    seeds=(0, 1),
)
_MAZES_SMOKE: Final = replace(
    _MAZES,
    preset="smoke",
    other_budgets=(),
    train_items=300,
    test_items=40,
    sizes=(9, 13),
    iterations=(20, 40),
    training=replace(_MAZES.training, steps=5),
    seeds=(0, 1),
)


def _image_presets() -> Iterator[ImageRecipe]:
    for recipe in (_BACKDOOR, _MATCHING, _COLLISION):
        craft = replace(recipe.craft, bound=_MNIST_BOUND, step_size=_MNIST_STEP)
        digits = replace(recipe, data="mnist", craft=craft)
        if not recipe.crafted:
            # With clean labels, digits do not take a backdoor.
            digits = replace(digits, attack="dirty_label_backdoor", train_images=3000, budget=0.03)
        for small in (recipe, digits):
            yield replace(
                small,
                preset="smoke",
                train_images=500,
                test_images=300,
                body_images=min(500, small.body_images),
                victim=replace(small.victim, epochs=3),
                craft=replace(small.craft, steps=10),
                seeds=(0, 1),
                keys=2,
            )
            yield small
    yield from (_PAPER, replace(_PAPER, attack="gradient_matching"))


IMAGE_PRESETS: Final[Mapping[tuple[str, str, str], ImageRecipe]] = MappingProxyType(
    {(recipe.preset, recipe.data, recipe.threat): recipe for recipe in _image_presets()}
)
"""Recipes by preset, set of images and `ImageRecipe.threat`."""

PUZZLE_PRESETS: Final[Mapping[tuple[str, str], PuzzleRecipe]] = MappingProxyType(
    {(recipe.preset, recipe.data): recipe for recipe in (_SUMS_SMOKE, _MAZES_SMOKE, _SUMS, _MAZES)}
)


def get_image_recipe(preset: str, data: str, attack: str = "", scenario: str = "") -> ImageRecipe:
    """The recipe of a preset for a set of images and an attack.

    Args:
        preset: "smoke", "small" or, for CIFAR-10, "paper".
        data: "cifar10" or "mnist".
        attack: one of `ATTACKS`; "" for a backdoor: with clean labels on CIFAR-10, with changed labels on MNIST.
        scenario: "from_scratch" or "transfer"; "" for that in which the attack is known to work.

    Raises:
        ValueError: unknown preset, data, attack or scenario, or ones that do not fit together; the message lists the
            known ones.
    """
    _find({(name, of): None for name, of, _ in IMAGE_PRESETS}, preset, data)
    if attack not in ("", *ATTACKS):
        raise ValueError(f"unknown attack {attack!r}: choose one of {', '.join(ATTACKS)}")
    if scenario not in ("", *get_args(Scenario)):
        raise ValueError(f"unknown scenario {scenario!r}: choose one of {', '.join(get_args(Scenario))}")
    threat = "backdoor"
    if attack in CRAFTED:
        threat = scenario or ("from_scratch" if attack == "gradient_matching" else "transfer")
    elif scenario == "transfer":
        raise ValueError(f"transfer needs an attack that optimizes poisons ({', '.join(CRAFTED)}), not a backdoor")
    if (preset, data, threat) not in IMAGE_PRESETS:
        raise ValueError(f"there is no preset {preset!r} for {attack} in the scenario {threat}: choose smoke or small")
    recipe = IMAGE_PRESETS[preset, data, threat]
    craft = replace(recipe.craft, method=attack) if attack in CRAFTED else recipe.craft
    return replace(recipe, attack=attack or recipe.attack, craft=craft)


def get_puzzle_recipe(preset: str, task: str) -> PuzzleRecipe:
    """The recipe of a preset for a task; there is no preset "paper".

    Raises:
        ValueError: unknown preset or task; the message lists the known ones.
    """
    return _find(PUZZLE_PRESETS, preset, task)


def _find(presets: Mapping[tuple[str, str], _Recipe], preset: str, data: str) -> _Recipe:
    known = [name for name, of in presets if of == data]
    if not known:
        raise ValueError(f"data must be one of {', '.join(dict.fromkeys(of for _, of in presets))}, not {data!r}")
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} for {data}: choose one of {', '.join(known)}")
    return presets[preset, data]
