"""Recipes: everything that decides a run, and the presets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

import torch
from torch import Tensor

from easy_to_hard.baselines.canary.classifiers import ARCHITECTURES
from easy_to_hard.baselines.canary.metrics import require_resolution
from easy_to_hard.baselines.canary.queries import KL, OBJECTIVES, Augmentation, CanaryConfig
from easy_to_hard.baselines.canary.shadows import ShadowJob, ShadowTask, TrainConfig, batch_streams, can_stack
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.generators.integers import check_field, check_integer_fields

# Least number of nets, half of which make canaries while the other half are targets in turn: with one target left out,
# there must be two nets with and two without each point.
LEAST_SHADOWS: Final = 12

TPR_LEVELS: Final = (0.01, 0.001)
# A false-positive rate of 0.1 % is reported only with at least this many non-members.
_NON_MEMBERS_FOR_LOWEST: Final = 1000


@dataclass(frozen=True, kw_only=True)
class ShadowRecipe(ReferenceRecipe):
    """What runs on images and on puzzles have in common.

    Attributes:
        shadows: N, how many nets.
        train: how nets are trained.
        at_once: nets trained as one stack, if they can be; 0 for all on a GPU and `at_once_on_cpu` on a CPU.
        at_once_on_cpu: nets trained as one stack on a CPU by default, at least 1.
        seeds: one run each, with memberships, weights, and queries of its own, which are drawn independently.

    Raises:
        ValueError: a number that is not allowed.
    """

    shadows: int
    train: TrainConfig
    at_once: int = 0
    at_once_on_cpu: int = 1

    def __post_init__(self) -> None:
        check_integer_fields(self)
        super().__post_init__()
        check_field(self, "at_once", self.at_once >= 0, "at least 1, or 0 for the default")
        check_field(self, "at_once_on_cpu", self.at_once_on_cpu >= 1, "at least 1")

    @property
    def seed(self) -> int:
        """The seed, of a recipe with one; the first of several."""
        return self.seeds[0]

    def of_each_seed(self) -> "Iterator[Self]":
        """The recipe with one seed at a time."""
        for seed in self.seeds:
            yield replace(self, seeds=(seed,))

    def settings_of(self, *names: str) -> dict[str, Any]:
        """The settings that decide every net: those common to all recipes, and those of the given names."""
        settings = self.settings()
        return {name: settings[name] for name in ("data", "shadows", "train", *names)}

    def job(self, task: ShadowTask, members: Sequence[Tensor], device: torch.device, *, shards: int = 1) -> ShadowJob:
        """The training of one net for each set of members (see `batch_streams`), with `at_once` nets in a stack.

        Args:
            task, members, device: what to train on, with what, and where.
            shards: number of shards, each of which trains a stack at least.
        """
        train = self.train
        streams = batch_streams(members, steps=train.steps, batch_size=train.batch_size, seed=self.seed)
        count = self.at_once or (len(streams) if device.type == "cuda" else self.at_once_on_cpu)
        count = min(count, -(-len(streams) // shards))
        job = ShadowJob(task=task, config=train, streams=streams, seed=self.seed, at_once=count, device=device)
        return job if count == 1 or can_stack(job) else replace(job, at_once=1)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(ShadowRecipe):
    """A run on images.

    Attributes:
        shadows: a multiple of 4 and at least 12: half of the nets make canaries, the other half are targets.
        pool: images that memberships are drawn for; each net is trained on about half of them.
        points: how many images of the pool are attacked, at most all.
        queries: per point.
        architecture, width: see `build_classifier`.
        augmentation: of training and of queries.
        online, offline: how canaries are made for each mode.
        variants: other objectives and epsilons to compare, online only.
        levels: false-positive rates; empty for all that can be measured with so many points.

    Raises:
        ValueError: a number that is not allowed.
    """

    pool: int
    points: int
    queries: int = 10
    architecture: str
    width: int
    augmentation: Augmentation
    online: CanaryConfig
    offline: CanaryConfig
    variants: tuple[tuple[str, float], ...] = ()
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(
            self,
            "shadows",
            self.shadows >= LEAST_SHADOWS and self.shadows % 4 == 0,
            f"a multiple of 4 and at least {LEAST_SHADOWS} (each point is in half of the nets, in both halves of them)",
        )
        check_field(self, "points", 20 <= self.points <= self.pool, f"from 20 to {self.pool:,}, the pool")
        check_field(self, "queries", self.queries >= 1, "at least 1")
        check_field(self, "architecture", self.architecture in ARCHITECTURES, f"one of {', '.join(ARCHITECTURES)}")
        if self.offline.objective == KL:
            raise ValueError(f"offline canaries' objective must be one of {', '.join(OBJECTIVES)}, not {KL!r}")
        for level in self.levels:
            require_resolution(level, self.points // 2)

    @property
    def reported_levels(self) -> tuple[float, ...]:
        """The false-positive rates given, or those that can be measured with half of the points as non-members."""
        non_members = self.points // 2
        return self.levels or tuple(
            level
            for level in TPR_LEVELS
            if non_members * level >= 1 and (level > min(TPR_LEVELS) or non_members >= _NON_MEMBERS_FOR_LOWEST)
        )


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe(ShadowRecipe):
    """A run on a task of the benchmark.

    Attributes:
        shadows: nets of each kind and size; even and at least 6, all of them targets in turn.
        difficulty: size of the puzzles.
        sizes: of training sets, increasing; the pool is twice the largest.
        width: of the nets.
        patch: side of the squares of pixels that nets for mazes take as one.
        max_iterations: maximum number of iterations T in training.
        iterations: at test time, increasing; T must be among them.
        fresh: number of puzzles of the test split.

    Raises:
        ValueError: a number that is not allowed.
    """

    difficulty: int
    sizes: tuple[int, ...]
    width: int
    patch: int = 1
    max_iterations: int
    iterations: tuple[int, ...]
    fresh: int

    def __post_init__(self) -> None:
        super().__post_init__()
        even = self.shadows >= 6 and self.shadows % 2 == 0
        check_field(self, "shadows", even, "even and at least 6 (each point is in half of the nets)")
        grows = list(self.sizes) == sorted(set(self.sizes))
        check_field(self, "sizes", grows and min(self.sizes, default=0) >= 10, "at least one, from 10 and increasing")
        held = self.max_iterations in self.iterations and list(self.iterations) == sorted(set(self.iterations))
        check_field(self, "iterations", held, f"increasing and include the {self.max_iterations} of training")
        check_field(self, "fresh", self.fresh >= 20, "at least 20")

    @property
    def middle(self) -> int:
        """The size at which iterations and new items at each step are examined."""
        return self.sizes[len(self.sizes) // 2]


_MNIST: Final = Augmentation(shift=2, mirror=False)
_CIFAR: Final = Augmentation(shift=4, mirror=True)
_SMALL_TRAIN: Final = TrainConfig(steps=600, batch_size=64, learning_rate=2e-3)
_VARIANTS: Final = (
    ("mse", 8.0),
    ("log_odds", 1.0),
    ("softmax", 1.0),
    ("cross_entropy", 1.0),
    ("reverse_cross_entropy", 1.0),
    ("kl", 1.0),
)

_SMALL_CIFAR: Final = ImageRecipe(
    preset="small",
    data="cifar10",
    shadows=32,
    pool=1000,
    points=300,
    architecture="small_cnn",
    width=16,
    train=_SMALL_TRAIN,
    augmentation=_CIFAR,
    online=CanaryConfig(),
    offline=CanaryConfig(),
    variants=_VARIANTS,
    seeds=(0, 1, 2),
)
_SMOKE_CIFAR: Final = replace(
    _SMALL_CIFAR,
    preset="smoke",
    shadows=16,
    pool=400,
    points=120,
    queries=4,
    width=8,
    train=replace(_SMALL_TRAIN, steps=200, batch_size=32),
    online=CanaryConfig(steps=10),
    offline=CanaryConfig(steps=10),
    variants=(("mse", 8.0),),
    seeds=(0,),
)
# github.com/YuxinWenRick/canary-in-a-coalmine at 1e1e0be, README and train.py. There all 64 nets make canaries and one
# more is the target; here 32 make canaries, and the other 32 are targets.
_PAPER_CIFAR: Final = ImageRecipe(
    preset="paper",
    data="cifar10",
    shadows=64,
    pool=50_000,
    points=5000,
    architecture="wide_resnet",
    width=10,
    train=TrainConfig(
        steps=9800, batch_size=256, optimizer="sgd", learning_rate=0.1, weight_decay=5e-4, precision="auto"
    ),
    augmentation=_CIFAR,
    online=CanaryConfig(batch_size=250),
    offline=CanaryConfig(batch_size=250, stop_loss=23.0),
)

_SMALL_STRINGS: Final = PuzzleRecipe(
    preset="small",
    data="prefix_sums",
    difficulty=16,
    shadows=12,
    sizes=(50, 200, 1000),
    width=16,
    max_iterations=10,
    iterations=(5, 10, 20, 40),
    train=TrainConfig(steps=300, batch_size=50, learning_rate=2e-3, gradient_clip=1.0),
    fresh=1000,
    at_once_on_cpu=12,
    seeds=(0, 1, 2),
)
_SMOKE_STRINGS: Final = replace(
    _SMALL_STRINGS,
    preset="smoke",
    shadows=8,
    sizes=(20, 60),
    width=8,
    max_iterations=6,
    iterations=(3, 6, 12),
    train=replace(_SMALL_STRINGS.train, steps=60, batch_size=20),
    fresh=100,
    seeds=(0,),
)
_PAPER_STRINGS: Final = replace(
    _SMALL_STRINGS,
    preset="paper",
    difficulty=32,
    shadows=64,
    sizes=(250, 1000, 5000),
    width=400,
    max_iterations=30,
    iterations=(10, 20, 30, 60, 120),
    train=replace(_SMALL_STRINGS.train, steps=10_000, batch_size=100, learning_rate=1e-3),
    fresh=10_000,
)
_SMOKE_MAZES: Final = replace(
    _SMOKE_STRINGS,
    data="mazes",
    difficulty=7,
    shadows=6,
    patch=2,
    train=replace(_SMOKE_STRINGS.train, steps=40),
    at_once_on_cpu=1,
)
_SMALL_MAZES: Final = replace(
    _SMALL_STRINGS,
    data="mazes",
    difficulty=7,
    shadows=8,
    sizes=(25, 100, 400),
    patch=2,
    train=replace(_SMALL_STRINGS.train, steps=250, batch_size=25),
    at_once_on_cpu=1,
)
_PAPER_MAZES: Final = replace(
    _PAPER_STRINGS,
    data="mazes",
    difficulty=9,
    width=128,
    train=replace(_PAPER_STRINGS.train, batch_size=50),
    at_once_on_cpu=1,
)


_Recipe = TypeVar("_Recipe", ImageRecipe, PuzzleRecipe)


def _by_name(*recipes: _Recipe) -> Mapping[tuple[str, str], _Recipe]:
    return MappingProxyType({(recipe.preset, recipe.data): recipe for recipe in recipes})


IMAGE_PRESETS: Final = _by_name(
    _SMOKE_CIFAR,
    _SMALL_CIFAR,
    _PAPER_CIFAR,
    replace(_SMOKE_CIFAR, data="mnist", augmentation=_MNIST),
    replace(_SMALL_CIFAR, data="mnist", augmentation=_MNIST),
    replace(_PAPER_CIFAR, data="mnist", augmentation=_MNIST, pool=60_000),
)

PUZZLE_PRESETS: Final = _by_name(
    _SMOKE_STRINGS, _SMALL_STRINGS, _PAPER_STRINGS, _SMOKE_MAZES, _SMALL_MAZES, _PAPER_MAZES
)


def get_image_preset(preset: str, data: str) -> ImageRecipe:
    """The recipe of that name; ValueError for another."""
    return _get(IMAGE_PRESETS, preset, data)


def get_puzzle_preset(preset: str, data: str) -> PuzzleRecipe:
    """The recipe of that name; ValueError for another."""
    return _get(PUZZLE_PRESETS, preset, data)


def _get(presets: Mapping[tuple[str, str], _Recipe], preset: str, data: str) -> _Recipe:
    if (preset, data) not in presets:
        raise ValueError(f"unknown preset {preset!r} of {data}: choose one of smoke, small, paper")
    return presets[preset, data]
