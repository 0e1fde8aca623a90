"""Sizes and settings of the runs: on images and on puzzles, for each preset."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.accountant import compose_advanced, noise_for
from easy_to_hard.baselines.dp_instahide.mechanism import Cell, make_grid
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.baselines.kit.poisoning.attacks import check_budget
from easy_to_hard.baselines.kit.private_training import PrivacyConfig
from easy_to_hard.baselines.kit.victims import PrivateVictims, VictimConfig
from easy_to_hard.generators.integers import check_integer_fields

PAPER_MIX: Final = 4
PAPER_NOISE: Final = 16 / 255


@dataclass(frozen=True, kw_only=True)
class MixingRecipe(ReferenceRecipe):
    """A grid of k and b: what recipes for images and for puzzles share.

    Attributes:
        mix_counts: values of k; 1 is always added.
        noise_scales: values of b, above 0, in units of data in [0, 1]; 0 is always added.
        epsilon: guarantee, above 0, of one more cell, with the largest k and the b that it takes by
            the smallest bound, for replacing a record.
        delta: delta of the guarantees, in (0, 1).

    Raises:
        ValueError: a value outside its range.
    """

    mix_counts: tuple[int, ...] = (1, 2, 4)
    noise_scales: tuple[float, ...]
    epsilon: float = 20.0
    delta: float = 1e-5
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        super().__post_init__()
        compose_advanced(0.0, 1, self.delta)

    def cells(self, records: int, diameter: float) -> tuple[Cell, ...]:
        """The grid, followed by the largest k with enough noise for n releases to have the recipe's epsilon.

        Args:
            records: n.
            diameter: L1 diameter of a record.

        Raises:
            ValueError: k or b outside its range.
        """
        grid = make_grid(self.mix_counts, self.noise_scales, records)
        most = max(cell.mix_count for cell in grid)
        enough = noise_for(
            self.epsilon, records=records, mix_count=most, diameter=diameter, releases=records, delta=self.delta
        )
        return (*grid, Cell(mix_count=most, noise_scale=enough))


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(MixingRecipe):
    """A run on images.

    Attributes:
        train_images, test_images: how many of the first images to use; 0 for all.
        victim: how nets are trained, on the original images and on releases; not by DP-SGD.
        private: noise multipliers of DP-SGD, to find one with the same accuracy.
        private_victims: how nets are trained by DP-SGD, but for the noise.
        budget: share of the training set that is poisoned, in (0, 1].
        source, target: classes of the backdoor.
        online: whether fresh mixtures in each batch are also tried, at the reference setting.
        trials: number of trials of the attack on released numbers.

    Raises:
        ValueError: a value outside its range.
    """

    train_images: int
    test_images: int
    victim: VictimConfig
    private: tuple[float, ...]
    private_victims: PrivateVictims = field(default_factory=PrivateVictims)
    budget: float = 0.02
    source: int = 3
    target: int = 5
    online: bool = True
    trials: int = 40_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_budget(self.budget)
        if self.victim.private is not None:
            raise ValueError("victim must not be private: nets without a defense are trained as it says")
        if self.train_images:
            make_grid(self.mix_counts, self.noise_scales, self.train_images)


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe(MixingRecipe):
    """A run on the benchmark's puzzles; `data` is "mazes" or "prefix_sums".

    Attributes:
        difficulty: difficulty of the training puzzles.
        train_items: n, the number of training puzzles and of releases.
        test_items: number of test puzzles at each difficulty.
        test: pairs of difficulty and number of iterations.
        width: width of the nets; max_iterations: T in training; patch: patch size for mazes.
        steps, batch_size, learning_rate: settings of Adam.

    Raises:
        ValueError: a value outside its range.
    """

    difficulty: int
    train_items: int
    test_items: int
    test: tuple[tuple[int, int], ...]
    width: int
    max_iterations: int
    patch: int = 1
    steps: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        make_grid(self.mix_counts, self.noise_scales, self.train_items)


_SMALL_IMAGES: Final = ImageRecipe(
    preset="small",
    data="mnist",
    train_images=4000,
    test_images=2000,
    victim=VictimConfig(epochs=8, learning_rate=0.05),
    private=(0.5, 1.0, 2.0),
    noise_scales=(PAPER_NOISE, 64 / 255),
)
_SMOKE_IMAGES: Final = replace(
    _SMALL_IMAGES,
    preset="smoke",
    train_images=1000,
    test_images=500,
    victim=VictimConfig(epochs=4, learning_rate=0.05, widths=(8, 16)),
    private=(1.0,),
    mix_counts=(1, 4),
    noise_scales=(PAPER_NOISE,),
    seeds=(0, 1),
    trials=10_000,
)
# As published: ResNet-18, all of CIFAR-10, 40 epochs, k = 4, noise of 16/255.
_PAPER_IMAGES: Final = replace(
    _SMALL_IMAGES,
    preset="paper",
    train_images=0,
    test_images=0,
    victim=VictimConfig(
        architecture="resnet18", epochs=40, batch_size=128, learning_rate=0.1, crop=4, flip=True, at_once=1
    ),
    budget=0.01,
    private_victims=PrivateVictims(batch_size=512, privacy=PrivacyConfig(clip=1.0, noise_multiplier=1.0, chunk=128)),
    noise_scales=(8 / 255, PAPER_NOISE, 32 / 255),
    trials=200_000,
)
_SMALL_SUMS: Final = PuzzleRecipe(
    preset="small",
    data="prefix_sums",
    difficulty=16,
    train_items=2000,
    test_items=500,
    test=((16, 16), (24, 24)),
    width=24,
    max_iterations=16,
    steps=500,
    batch_size=64,
    learning_rate=3e-3,
    noise_scales=(PAPER_NOISE, 0.25, 1.0),
)
_SMALL_MAZES: Final = PuzzleRecipe(
    preset="small",
    data="mazes",
    difficulty=7,
    train_items=2000,
    test_items=200,
    test=((7, 14), (9, 20)),
    width=24,
    max_iterations=12,
    patch=2,
    steps=1200,
    batch_size=32,
    learning_rate=5e-3,
    mix_counts=(1, 2),
    noise_scales=(0.25,),
)
_SMOKE: Final[dict[str, Any]] = {
    "preset": "smoke",
    "mix_counts": (1, 2),
    "noise_scales": (0.25,),
    "seeds": (0, 1),
    "test_items": 100,
    "train_items": 500,
    "width": 16,
}

IMAGE_PRESETS: Final = {recipe.preset: recipe for recipe in (_SMOKE_IMAGES, _SMALL_IMAGES, _PAPER_IMAGES)}
PUZZLE_PRESETS: Final = {
    (recipe.preset, recipe.data): recipe
    for recipe in (
        _SMALL_SUMS,
        _SMALL_MAZES,
        replace(_SMALL_SUMS, **_SMOKE, steps=150),
        replace(_SMALL_MAZES, **_SMOKE, steps=40),
    )
}


def get_image_recipe(preset: str, data: str) -> ImageRecipe:
    """The recipe of a preset for a set of images.

    Raises:
        ValueError: unknown preset; the message lists the known ones.
    """
    if preset not in IMAGE_PRESETS:
        raise ValueError(f"unknown preset {preset!r}: choose one of {', '.join(IMAGE_PRESETS)}")
    return replace(IMAGE_PRESETS[preset], data=data)


def get_puzzle_recipe(preset: str, task: str) -> PuzzleRecipe:
    """The recipe of a preset for a task.

    Raises:
        ValueError: unknown task or preset; the message lists the known ones.
    """
    known = [name for name, of in PUZZLE_PRESETS if of == task]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} of {task}: choose one of {', '.join(known)}; the paper has none")
    return PUZZLE_PRESETS[preset, task]
