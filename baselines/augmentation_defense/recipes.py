"""Everything that decides a run on images, and the named ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES, check_defenses
from easy_to_hard.baselines.kit.poisoning.attacks import PATCH_SIDE, check_budget
from easy_to_hard.baselines.kit.poisoning.crafting import CraftConfig, Crafting
from easy_to_hard.baselines.kit.private_training import PrivacyConfig
from easy_to_hard.baselines.kit.victims import VictimConfig
from easy_to_hard.generators.integers import check_integer_fields

IMAGES: Final = ("mnist", "cifar10")
ATTACKS: Final = ("backdoor", "clean_label_backdoor", "gradient_matching", "feature_collision")
CRAFTED: Final[Mapping[str, Crafting]] = {
    "gradient_matching": "gradient_matching",
    "feature_collision": "feature_collision",
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run on images.

    Attributes:
        title: what it is, in a line.
        attack: one of `ATTACKS`.
        defenses: names in `DEFENSES`, each once; "none" must be among them, for the others are compared with it.
        train_images, test_images: the first so many; 0 for all.
        budget: share of the training set that is poisoned, in (0, 1].
        victim: how nets are trained.
        private: DP-SGD's clip and noise.
        private_rate: its learning rate.
        craft: how poisons are optimised, for the attacks that do.
        patch: side of a backdoor's patch, in pixels.
        seeds: of the victims, at least one; each has a backdoor of its own.
        keys: target items, each with its own poisons, of the attacks that are optimised.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    title: str
    attack: str = "backdoor"
    defenses: tuple[str, ...] = tuple(DEFENSES)
    train_images: int
    test_images: int
    budget: float = 0.01
    victim: VictimConfig
    private: PrivacyConfig = field(default_factory=lambda: PrivacyConfig(clip=1.0, noise_multiplier=0.8))
    private_rate: float = 0.5
    craft: CraftConfig
    patch: int = PATCH_SIDE
    seeds: tuple[int, ...] = (0, 1, 2)
    keys: int = 4

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.attack not in ATTACKS:
            raise ValueError(f"unknown attack {self.attack!r}: choose one of {', '.join(ATTACKS)}")
        check_defenses(self.defenses)
        check_compared(self.defenses)
        check_budget(self.budget)
        check_seeds(self.seeds)
        for name in ("train_images", "test_images"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if self.keys < 1:
            raise ValueError(f"keys must be at least 1, not {self.keys}")

    @property
    def crafted(self) -> bool:
        """Whether the poisons are optimised, each against a target of its own."""
        return self.attack in CRAFTED

    def victim_for(self, defense: str) -> VictimConfig:
        """How nets with that defence are trained."""
        if defense != "dp_sgd":
            return self.victim
        # The crops, flips and decay of the others would cost a private net more than they give.
        return replace(self.victim, private=self.private, learning_rate=self.private_rate, momentum=0.0, drops=())

    def settings(self) -> dict[str, Any]:
        """JSON-able; all but what the run does with what it has, its seeds and defences, each in files of its own."""
        return {name: value for name, value in asdict(self).items() if name not in ("seeds", "defenses", "title")}


def check_compared(defenses: tuple[str, ...]) -> None:
    """See that "none" is among the defences.

    Raises:
        ValueError: it is not.
    """
    if "none" not in defenses:
        raise ValueError(f"defenses must hold none, which the others are compared with, not only {list(defenses)}")


def check_seeds(seeds: tuple[int, ...]) -> None:
    """See that seeds can be told apart.

    Raises:
        ValueError: none, a negative one, or one twice.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds must be at least one, each another and at least 0, not {list(seeds)}")


# The paper poisons 1 %. Small nets that see a few thousand images for a few epochs do not take in so few poisons.
_SMALL_BUDGET: Final = 0.03

# MNIST's own bound of perturbations, 0.3, rounded down to whole levels; CIFAR-10's 16 / 255 is the paper's.
_MNIST_CRAFT: Final = CraftConfig(method="gradient_matching", bound=76, steps=100, step_size=25.5)
_CIFAR_CRAFT: Final = replace(_MNIST_CRAFT, bound=16)

_MNIST: Final = Recipe(
    title="small nets on 3,000 digits, minutes on a core",
    train_images=3000,
    test_images=2000,
    budget=_SMALL_BUDGET,
    victim=VictimConfig(epochs=8, batch_size=32),
    craft=_MNIST_CRAFT,
)
# Without crops and flips: at this size of net those alone undo a patch in the corner.
_CIFAR: Final = replace(
    _MNIST,
    title="small nets on 4,000 photographs, a quarter of an hour on a core",
    train_images=4000,
    victim=VictimConfig(epochs=12, batch_size=32, widths=(24, 48, 48)),
    craft=_CIFAR_CRAFT,
)
# The authors' code: ResNet-18, 40 epochs, batches of 128, falls of the rate at E / 2.667, E / 1.6 and E / 1.142.
_PAPER: Final = Recipe(
    title="ResNet-18 on all of CIFAR-10, days on a GPU",
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
    craft=replace(_CIFAR_CRAFT, steps=250, restarts=8),
    seeds=tuple(range(8)),
    keys=10,
)
_SMOKE: Final = {"title": "a minute, to see that all works", "train_images": 1000, "test_images": 300, "seeds": (0, 1)}

PRESETS: Final[MappingProxyType[tuple[str, str], Recipe]] = MappingProxyType(
    {
        ("smoke", "mnist"): replace(_MNIST, **_SMOKE, keys=2, victim=replace(_MNIST.victim, epochs=6)),  # type: ignore[arg-type]
        ("smoke", "cifar10"): replace(_CIFAR, **_SMOKE, keys=2, victim=replace(_CIFAR.victim, epochs=2)),  # type: ignore[arg-type]
        ("small", "mnist"): _MNIST,
        ("small", "cifar10"): _CIFAR,
        ("paper", "mnist"): _PAPER,
        ("paper", "cifar10"): _PAPER,
    }
)


def get_recipe(preset: str, data: str, attack: str) -> Recipe:
    """The recipe of a preset for a set of images and an attack.

    Raises:
        ValueError: unknown preset, data or attack; the message lists the known ones.
    """
    presets, images = (list(dict.fromkeys(key[place] for key in PRESETS)) for place in (0, 1))
    if preset not in presets:
        raise ValueError(f"unknown preset {preset!r}: choose one of {', '.join(presets)}")
    if data not in images:
        raise ValueError(f"data must be one of {', '.join(images)}, not {data!r}")
    return replace(PRESETS[preset, data], attack=attack)
