"""The presets: how nets are trained that still make mistakes, and how large the experiments are."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.generators.integers import check_integer_fields

IMAGES: Final = ("mnist", "cifar10", "folder")
TASKS: Final = ("mazes", "prefix_sums")

SMALL_CNN: Final = "small_cnn"
TRAINED: Final = "trained"
SHIPPED: Final = "shipped"
TORCHVISION: Final = ("resnet50", "vgg19", "densenet121", "inception_v3")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A preset.

    Attributes:
        title: what it is, in a line.
        items: test items that the net answers; the statistics of the filters are over them all.
        tried: wrong items that filters are turned off and tuned for, at most.
        kept: right items on which the damage is measured, at most.
        counts: the k's of the pruning experiment.
        k: one of them, at which choices of filters are compared, and which is tuned.
        neighbours: of each kind that a step on one item is tested on.
        mapped: wrong items that input saliency is of, at most.
        boosted: filters that input saliency boosts.
        chunk: items whose gradients are held at once.
        seeds: one net each.
        steps, learning_rate, batch_size: of training; recurrent nets may end sooner, see `PuzzleNets`.
        width: channels of a recurrent net.
        difficulty: of the puzzles, the same in training and test.
        iterations: of a recurrent net, the most in training and those of its answers.
        training_puzzles: distinct ones.
        patch: side of the patch planted in images, in pixels.

    Raises:
        ValueError: a number below 1, or a k that is none of the counts.
    """

    title: str
    items: int
    tried: int
    kept: int
    counts: tuple[int, ...]
    k: int
    neighbours: int = 10
    mapped: int
    boosted: int = 10
    chunk: int = 32
    seeds: tuple[int, ...] = (0,)
    steps: int = 1
    learning_rate: float = 2e-3
    batch_size: int = 64
    width: int = 16
    difficulty: int = 1
    iterations: int = 1
    training_puzzles: int = 1
    patch: int = 8

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name, value in asdict(self).items():
            if name not in ("title", "seeds", "counts", "learning_rate") and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.k not in self.counts:
            raise ValueError(f"k must be one of the counts {list(self.counts)}, not {self.k}")

    def loop(self, seed: int) -> LoopConfig:
        """How a net is trained."""
        return LoopConfig(
            steps=self.steps,
            learning_rate=self.learning_rate,
            decay="linear",
            gradient_clip=1.0,
            ema_decay=0.0,
            ema_from=0,
            seed=seed,
        )

    def settings(self) -> dict[str, Any]:
        """What decides the numbers, but for the seeds; JSON-able."""
        return {name: value for name, value in asdict(self).items() if name not in ("title", "seeds")}

    def changed(self, *, items: int, k: int, seeds: tuple[int, ...]) -> "Recipe":
        """With other items, k and seeds; 0 and () for the preset's.

        Raises:
            ValueError: a value that is not allowed.
        """
        for name, value in (("items", items), ("k", k)):
            if value < 0:
                raise ValueError(f"{name} must be at least 1, or 0 for the preset's, not {value}")
        seeds = seeds or self.seeds
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds must be at least 0, and each another, not {list(seeds)}")
        counts = tuple(sorted({*self.counts, k})) if k else self.counts
        return replace(self, items=items or self.items, counts=counts, k=k or self.k, seeds=seeds)


_SMALL_IMAGES: Final = Recipe(
    title="five small nets, minutes on a core",
    items=4000,
    tried=80,
    kept=50,
    counts=(1, 5, 10, 25),
    k=10,
    mapped=80,
    seeds=(0, 1, 2, 3, 4),
    steps=300,
)
_SMALL_PUZZLES: Final = replace(_SMALL_IMAGES, items=600, tried=50, kept=20, mapped=50, training_puzzles=4000)
_SMALL: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "mnist": _SMALL_IMAGES,
        "cifar10": replace(_SMALL_IMAGES, items=2000, steps=600),
        "folder": replace(_SMALL_IMAGES, items=1000, chunk=8, patch=24),
        "mazes": replace(_SMALL_PUZZLES, difficulty=9, iterations=12, steps=1500, batch_size=32),
        "prefix_sums": replace(_SMALL_PUZZLES, difficulty=24, iterations=12, steps=1500),
    }
)
_PAPER: Final = Recipe(
    title="as published, on ImageNet's validation set: days on a GPU",
    items=50_000,
    tried=1000,
    kept=200,
    counts=(10, 25, 50, 100),
    k=100,
    mapped=100,
    chunk=4,
    patch=64,
)


# Smaller puzzles, which a net learns sooner.
_SMOKE_DIFFICULTIES: Final = {9: 7, 24: 12}


def _smoke(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        title="a minute, to see that all works",
        items=max(recipe.items // 5, 150),
        tried=10,
        kept=10,
        counts=(5, 10),
        mapped=8,
        seeds=(0,),
        steps=recipe.steps // 2,
        difficulty=_SMOKE_DIFFICULTIES.get(recipe.difficulty, recipe.difficulty),
        training_puzzles=max(recipe.training_puzzles // 4, 1),
    )


PRESETS: Final = ("smoke", "small", "paper")


def get_recipe(preset: str, data: str, model: str) -> Recipe:
    """The preset for data and model.

    Raises:
        ValueError: an unknown name, or names that do not go together; the message lists what does.
    """
    for name, value, known in (("preset", preset, PRESETS), ("data", data, (*IMAGES, *TASKS))):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    models = models_of(data)
    if model not in models:
        raise ValueError(f"model must be one of {', '.join(models)} on {data}, not {model!r}")
    if (preset == "paper") != (model in TORCHVISION):
        pairs = "with a model of torchvision (" + ", ".join(TORCHVISION) + ") on --data folder, and they with no other"
        raise ValueError(f"preset paper goes {pairs}; not {preset} with {model}")
    if preset == "paper":
        return _PAPER
    recipe = _SMALL[data] if preset == "small" else _smoke(_SMALL[data])
    return recipe if model != SHIPPED else _of_shipped(recipe, data)


def models_of(data: str) -> tuple[str, ...]:
    """The models that data can be answered by, the default first."""
    if data in TASKS:
        return TRAINED, SHIPPED
    return (SMALL_CNN, *TORCHVISION) if data == "folder" else (SMALL_CNN,)


def _of_shipped(recipe: Recipe, data: str) -> Recipe:
    """The nets that come with the package are wrong where puzzles are large for so few iterations."""
    if data == "mazes":
        return replace(recipe, difficulty=19, iterations=10, items=min(recipe.items, 200), chunk=8)
    return replace(recipe, difficulty=64, iterations=16)
