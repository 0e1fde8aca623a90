"""The presets: how nets are trained so that they still make mistakes, and how large the experiments are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from types import MappingProxyType
from typing import Final, Self, get_args

from easy_to_hard.baselines.kit.evaluation import IMAGES, ReferenceRecipe
from easy_to_hard.baselines.kit.puzzles import PUZZLES
from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.baselines.parameter_saliency.profiles import Aggregation
from easy_to_hard.generators.integers import check_field, integer_fields

SMALL_CNN: Final = "small_cnn"
TRAINED: Final = "trained"
SHIPPED: Final = "shipped"
EFFICIENTNET: Final = "efficientnet_lite0"
TORCHVISION: Final = ("resnet50", "vgg19", "densenet121", "inception_v3")

_AGGREGATIONS: Final = ", ".join(get_args(Aggregation))


@dataclass(frozen=True, kw_only=True)
class SaliencyRecipe(ReferenceRecipe):
    """Settings that the experiments on images and on puzzles share.

    Attributes:
        model: `SMALL_CNN`, `EFFICIENTNET`, one of `TORCHVISION`, `TRAINED` or `SHIPPED`.
        items: number of test items; the statistics of the filters are over all of them.
        examined: most wrong items whose profiles are kept; neighbors are sought among them.
        tried: most wrong items for which filters are turned off and tuned.
        kept: most right items on which the damage is measured.
        counts: values of k, the number of filters that are turned off or tuned.
        k: one of the counts, at which the claims are judged.
        rate: learning rate of the one step of tuning, the same for every choice of filters; 1e-3 is where the authors'
            experiment starts.
        smallest_rates: whether tuning is also done by the smallest rate that corrects an item; see `tuning`.
        aggregation: what profiles hold; see `Aggregation`.
        neighbours: number of neighbors of each kind on which a step on one item is tested.
        mapped: most wrong items for which input saliency is computed.
        boosted: number of filters that input saliency boosts.
        map_copies, map_noise: number of noisy copies over which input saliency is averaged, and how noisy they are.
        chunk: number of items whose gradients are held at once.
        steps, learning_rate, batch_size: settings of training.

    Raises:
        ValueError: a number below 1, or a k that is not one of the counts.
    """

    model: str
    items: int
    examined: int = 4000
    tried: int
    kept: int
    counts: tuple[int, ...]
    k: int
    rate: float = 1e-3
    smallest_rates: bool = True
    aggregation: Aggregation = "filters"
    neighbours: int = 10
    mapped: int
    boosted: int = 10
    map_copies: int = 1
    map_noise: float = 0.0
    chunk: int = 32
    steps: int = 1
    learning_rate: float = 2e-3
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in integer_fields(type(self)):  # type: ignore[arg-type]  # a class is hashable
            if name not in ("seeds", "counts", "side"):
                check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "rate", 0 < self.rate < inf, "above 0 and finite")
        check_field(self, "map_noise", 0 <= self.map_noise < inf, "at least 0 and finite")
        check_field(self, "aggregation", self.aggregation in get_args(Aggregation), f"one of {_AGGREGATIONS}")
        check_field(self, "k", self.k in self.counts, f"one of the counts {list(self.counts)}")

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

    def changed(self, *, items: int, k: int, seeds: tuple[int, ...]) -> Self:
        """A copy with other items, k and seeds; 0 and () stand for the preset's.

        Raises:
            ValueError: a value that is not allowed.
        """
        for name, value in (("items", items), ("k", k)):
            if value < 0:
                raise ValueError(f"{name} must be at least 1, or 0 for the preset's, not {value}")
        counts = tuple(sorted({*self.counts, k})) if k else self.counts
        return replace(self, items=items or self.items, counts=counts, k=k or self.k, seeds=seeds or self.seeds)


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(SaliencyRecipe):
    """A run on images.

    Attributes:
        patch: side of the patch planted in images, in pixels.
        side: side to which images are scaled for a pretrained net, in pixels; 0 for others.
    """

    patch: int = 8
    side: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "side", self.side >= 0, "at least 0")


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe(SaliencyRecipe):
    """A run on puzzles, with recurrent nets, whose training may end before the last step; see `RecurrentNets`.

    Attributes:
        width: channels of a net.
        difficulty: difficulty of the puzzles, the same in training and test.
        iterations: most iterations in training, and the number of iterations for an answer.
        training_puzzles: number of distinct training puzzles.
    """

    width: int = 16
    difficulty: int
    iterations: int
    training_puzzles: int


# Five small nets, minutes on a core. k is the share of a net's filters that the authors' script turns off by default,
# 100 of ResNet-50's 26,560, rounded up to one filter. Settings were chosen on seeds 0 to 4.
_FRESH: Final = (5, 6, 7, 8, 9)
_SMALL_IMAGES: Final = ImageRecipe(
    preset="small",
    data="mnist",
    model=SMALL_CNN,
    items=4000,
    tried=100,
    kept=25,
    counts=(1, 5, 10),
    k=1,
    mapped=80,
    seeds=_FRESH,
    steps=300,
)
# One net and five sets of images. k is the authors' share.
_SMALL_PRETRAINED: Final = replace(
    _SMALL_IMAGES,
    data="cifar10",
    model=EFFICIENTNET,
    items=150,
    tried=12,
    kept=5,
    counts=(1, 79, 210),
    k=79,
    neighbours=4,
    smallest_rates=False,
    mapped=4,
    chunk=8,
    side=96,
)
_SMALL_PUZZLES: Final = PuzzleRecipe(
    preset="small",
    data="mazes",
    model=TRAINED,
    items=600,
    tried=30,
    kept=20,
    counts=_SMALL_IMAGES.counts,
    k=_SMALL_IMAGES.k,
    mapped=30,
    seeds=_FRESH,
    steps=1500,
    batch_size=32,
    difficulty=9,
    iterations=12,
    training_puzzles=4000,
)
_SMALL: Final[Mapping[str, ImageRecipe | PuzzleRecipe]] = MappingProxyType(
    {
        "mnist": _SMALL_IMAGES,
        "cifar10": replace(_SMALL_IMAGES, data="cifar10", items=2000, steps=600),
        "folder": replace(_SMALL_IMAGES, data="folder", items=1000, chunk=8, patch=24),
        "mazes": _SMALL_PUZZLES,
        "prefix_sums": replace(_SMALL_PUZZLES, data="prefix_sums", difficulty=24, batch_size=64),
    }
)
# As published, on ImageNet's validation set: days on a GPU.
_PAPER: Final = ImageRecipe(
    preset="paper",
    data="folder",
    model=TORCHVISION[0],
    items=50_000,
    tried=1000,
    kept=200,
    counts=(1, 10, 25, 50, 100),
    k=100,
    smallest_rates=False,
    mapped=100,
    chunk=4,
    patch=64,
)
# Smaller puzzles, which a net learns sooner.
_SMOKE_DIFFICULTIES: Final = {"mazes": 7, "prefix_sums": 12}


def _smoke(recipe: ImageRecipe | PuzzleRecipe) -> ImageRecipe | PuzzleRecipe:
    """The preset "smoke": a minute, to check that everything works."""
    least = 60 if recipe.model == EFFICIENTNET else 150
    items, steps = max(recipe.items // 5, least), recipe.steps // 2
    recipe = replace(
        recipe,
        preset="smoke",
        items=items,
        tried=5 if recipe.model == EFFICIENTNET else 10,
        kept=10,
        mapped=min(recipe.mapped, 8),
        seeds=(0,),
        steps=steps,
    )
    if isinstance(recipe, ImageRecipe):
        return recipe
    puzzles = recipe.training_puzzles // 4
    return replace(recipe, difficulty=_SMOKE_DIFFICULTIES[recipe.data], training_puzzles=puzzles)


PRESETS: Final = ("smoke", "small", "paper")


def get_recipe(preset: str, data: str, model: str) -> ImageRecipe | PuzzleRecipe:
    """The recipe of a preset for data and model.

    Raises:
        ValueError: an unknown name, or names that do not go together; the message lists the allowed ones.
    """
    for name, value, known in (("preset", preset, PRESETS), ("data", data, (*IMAGES, *PUZZLES))):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    models = models_of(data)
    if model not in models:
        raise ValueError(f"model must be one of {', '.join(models)} on {data}, not {model!r}")
    if (preset == "paper") != (model in TORCHVISION):
        pairs = "a torchvision model (" + ", ".join(TORCHVISION) + ") on --data folder, and those models need it"
        raise ValueError(f"preset paper needs {pairs}; not {preset} with {model}")
    if preset == "paper":
        return replace(_PAPER, model=model)
    recipe = _SMALL_PRETRAINED if model == EFFICIENTNET else _SMALL[data]
    recipe = recipe if preset == "small" else _smoke(recipe)
    return _of_shipped(recipe) if model == SHIPPED and isinstance(recipe, PuzzleRecipe) else recipe


def models_of(data: str) -> tuple[str, ...]:
    """The models that can be used on the data, the default first."""
    if data in PUZZLES:
        return TRAINED, SHIPPED
    more = {"folder": TORCHVISION, "cifar10": (EFFICIENTNET,)}
    return (SMALL_CNN, *more.get(data, ()))


def _of_shipped(recipe: PuzzleRecipe) -> PuzzleRecipe:
    """The recipe for the net that comes with the package: puzzles so large that it is wrong after few iterations."""
    recipe = replace(recipe, model=SHIPPED)
    if recipe.data == "mazes":
        return replace(recipe, difficulty=19, iterations=10, items=min(recipe.items, 200), chunk=8)
    return replace(recipe, difficulty=64, iterations=16)
