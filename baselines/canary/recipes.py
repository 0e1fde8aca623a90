"""Everything that decides a run, and the named ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

from easy_to_hard.baselines.canary.classifiers import ARCHITECTURES
from easy_to_hard.baselines.canary.image_task import Augmentation
from easy_to_hard.baselines.canary.queries import CanaryConfig
from easy_to_hard.baselines.canary.shadows import TrainConfig
from easy_to_hard.generators.integers import check_integer_fields

# Nets that canaries are made with, and nets that take the role of the target in turn: of each at least so many, for
# with one of them left out there must be two with and two without each point.
LEAST_SHADOWS: Final = 12

TPR_LEVELS: Final = (0.01, 0.001)
# A false-positive rate of 0.1 % is given only where so many non-members stand behind it.
_NON_MEMBERS_FOR_LOWEST: Final = 1000


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """A run on images.

    Attributes:
        title: in words.
        shadows: N, a multiple of 4 and at least 12: half of the nets make canaries, the other half are targets.
        pool: images that memberships are drawn for; each net is trained on about half of them.
        points: how many of them are attacked, at most all.
        queries: of each point.
        architecture, width: see `build_classifier`.
        train: how nets are trained.
        augmentation: of training and of queries.
        canary: how canaries are made.
        variants: other objectives and epsilons to compare, online only.
        at_once: nets that a CPU trains as one stack; a GPU trains all at once where it can.

    Raises:
        ValueError: a number that is not allowed.
    """

    title: str
    shadows: int
    pool: int
    points: int
    queries: int = 10
    architecture: str
    width: int
    train: TrainConfig
    augmentation: Augmentation
    canary: CanaryConfig
    variants: tuple[tuple[str, float], ...] = ()
    at_once: int = 1

    def __post_init__(self) -> None:
        check_integer_fields(self)
        require_shadows(self.shadows)
        if not 20 <= self.points <= self.pool:
            raise ValueError(f"points must be from 20 to {self.pool:,}, the pool, not {self.points}")
        if self.queries < 1:
            raise ValueError(f"queries must be at least 1, not {self.queries}")
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"architecture must be one of {', '.join(ARCHITECTURES)}, not {self.architecture!r}")

    @property
    def levels(self) -> tuple[float, ...]:
        """The false-positive rates that the non-members of a target, half of the points, can show."""
        non_members = self.points // 2
        return tuple(
            level
            for level in TPR_LEVELS
            if non_members * level >= 1 and (level > min(TPR_LEVELS) or non_members >= _NON_MEMBERS_FOR_LOWEST)
        )


def require_shadows(count: int) -> None:
    """ValueError where the nets cannot be halved into two even parts, or are too few."""
    if count < LEAST_SHADOWS or count % 4:
        raise ValueError(
            f"shadows must be a multiple of 4 and at least {LEAST_SHADOWS} (each point is in half of the nets, in both "
            f"halves of them), not {count}"
        )


@dataclass(frozen=True, kw_only=True)
class TaskRecipe:
    """A run on a task of the benchmark.

    Attributes:
        title: in words.
        difficulty: size of the puzzles.
        shadows: nets of each kind and size; even and at least 6, all of them targets in turn.
        sizes: of training sets, increasing; the pool is twice the largest.
        width: of the nets.
        patch: of mazes.
        max_iterations: T, in training.
        iterations: at test time, increasing; T is among them.
        train: how nets are trained.
        fresh: puzzles of the test split.
        at_once: nets that a CPU trains as one stack.

    Raises:
        ValueError: a number that is not allowed.
    """

    title: str
    difficulty: int
    shadows: int
    sizes: tuple[int, ...]
    width: int
    patch: int = 1
    max_iterations: int
    iterations: tuple[int, ...]
    train: TrainConfig
    fresh: int
    at_once: int = 1

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.shadows < 6 or self.shadows % 2:
            raise ValueError(
                f"shadows must be even and at least 6 (each point is in half of the nets), not {self.shadows}"
            )
        if min(self.sizes, default=0) < 10 or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes must be at least one, from 10 and increasing, not {list(self.sizes)}")
        if self.max_iterations not in self.iterations or list(self.iterations) != sorted(set(self.iterations)):
            raise ValueError(
                f"iterations must increase and hold the {self.max_iterations} of training, not {list(self.iterations)}"
            )
        if self.fresh < 20:
            raise ValueError(f"fresh must be at least 20, not {self.fresh}")


_MNIST: Final = Augmentation(shift=2, mirror=False)
_CIFAR: Final = Augmentation(shift=4, mirror=True)
_SMALL_TRAIN: Final = TrainConfig(steps=600, batch_size=64, learning_rate=2e-3)
_VARIANTS: Final = (("mse", 8.0), ("log_odds", 1.0), ("cross_entropy", 1.0))

_SMALL_CIFAR: Final = ImageRecipe(
    title="32 small CNNs",
    shadows=32,
    pool=1000,
    points=300,
    architecture="small_cnn",
    width=16,
    train=_SMALL_TRAIN,
    augmentation=_CIFAR,
    canary=CanaryConfig(),
    variants=_VARIANTS,
)
_SMOKE_CIFAR: Final = replace(
    _SMALL_CIFAR,
    title="16 small CNNs, briefly trained",
    shadows=16,
    pool=400,
    points=120,
    queries=4,
    width=8,
    train=replace(_SMALL_TRAIN, steps=200, batch_size=32),
    canary=CanaryConfig(steps=10),
    variants=(("mse", 8.0),),
)
# github.com/YuxinWenRick/canary-in-a-coalmine, README and train.py.
_PAPER_CIFAR: Final = ImageRecipe(
    title="64 WRN-28-10",
    shadows=64,
    pool=50_000,
    points=5000,
    architecture="wide_resnet",
    width=10,
    train=TrainConfig(
        steps=9800, batch_size=256, optimizer="sgd", learning_rate=0.1, weight_decay=5e-4, precision="auto"
    ),
    augmentation=_CIFAR,
    canary=CanaryConfig(batch_size=250),
)

IMAGE_PRESETS: Final[Mapping[tuple[str, str], ImageRecipe]] = MappingProxyType(
    {
        ("smoke", "cifar10"): _SMOKE_CIFAR,
        ("small", "cifar10"): _SMALL_CIFAR,
        ("paper", "cifar10"): _PAPER_CIFAR,
        ("smoke", "mnist"): replace(_SMOKE_CIFAR, augmentation=_MNIST),
        ("small", "mnist"): replace(_SMALL_CIFAR, augmentation=_MNIST),
        ("paper", "mnist"): replace(_PAPER_CIFAR, augmentation=_MNIST, pool=60_000, train=_PAPER_CIFAR.train),
    }
)

_STRINGS: Final = TaskRecipe(
    title="12 nets of each kind and size",
    difficulty=16,
    shadows=12,
    sizes=(50, 200, 1000),
    width=16,
    max_iterations=10,
    iterations=(5, 10, 20, 40),
    train=TrainConfig(steps=300, batch_size=50, learning_rate=2e-3, gradient_clip=1.0),
    fresh=1000,
    at_once=12,
)
_SMOKE_STRINGS: Final = replace(
    _STRINGS,
    title="8 nets of each kind and size, briefly trained",
    shadows=8,
    sizes=(20, 60),
    width=8,
    max_iterations=6,
    iterations=(3, 6, 12),
    train=replace(_STRINGS.train, steps=60, batch_size=20),
    fresh=100,
)

TASK_PRESETS: Final[Mapping[tuple[str, str], TaskRecipe]] = MappingProxyType(
    {
        ("smoke", "prefix_sums"): _SMOKE_STRINGS,
        ("small", "prefix_sums"): _STRINGS,
        ("paper", "prefix_sums"): replace(
            _STRINGS,
            title="64 nets of each kind and size",
            difficulty=32,
            shadows=64,
            sizes=(250, 1000, 5000),
            width=400,
            max_iterations=30,
            iterations=(10, 20, 30, 60, 120),
            train=replace(_STRINGS.train, steps=10_000, batch_size=100, learning_rate=1e-3),
            fresh=10_000,
        ),
        ("smoke", "mazes"): replace(
            _SMOKE_STRINGS,
            title="6 nets of each kind and size, briefly trained",
            difficulty=7,
            shadows=6,
            patch=2,
            train=replace(_SMOKE_STRINGS.train, steps=40),
            at_once=1,
        ),
        ("small", "mazes"): replace(
            _STRINGS,
            title="8 nets of each kind and size",
            difficulty=7,
            shadows=8,
            sizes=(25, 100, 400),
            patch=2,
            train=replace(_STRINGS.train, steps=250, batch_size=25),
            at_once=1,
        ),
        ("paper", "mazes"): replace(
            _STRINGS,
            title="64 nets of each kind and size",
            difficulty=9,
            shadows=64,
            sizes=(250, 1000, 5000),
            width=128,
            max_iterations=30,
            iterations=(10, 20, 30, 60, 120),
            train=replace(_STRINGS.train, steps=10_000, batch_size=50, learning_rate=1e-3),
            fresh=10_000,
            at_once=1,
        ),
    }
)


_Recipe = TypeVar("_Recipe", ImageRecipe, TaskRecipe)


def get_image_preset(preset: str, target: str) -> ImageRecipe:
    """The recipe of that name; ValueError for another."""
    return _get(IMAGE_PRESETS, preset, target)


def get_task_preset(preset: str, target: str) -> TaskRecipe:
    """The recipe of that name; ValueError for another."""
    return _get(TASK_PRESETS, preset, target)


def _get(presets: Mapping[tuple[str, str], _Recipe], preset: str, target: str) -> _Recipe:
    if (preset, target) not in presets:
        raise ValueError(f"unknown preset {preset!r} of {target}: choose one of smoke, small, paper")
    return presets[preset, target]
