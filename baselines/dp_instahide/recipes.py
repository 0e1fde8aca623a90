"""Sizes and settings of the runs: on images and on puzzles, for each preset."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.accountant import compose_advanced
from easy_to_hard.baselines.dp_instahide.mechanism import make_grid
from easy_to_hard.baselines.kit.poisoning.attacks import check_budget
from easy_to_hard.baselines.kit.victims import VictimConfig
from easy_to_hard.generators.integers import check_integer_fields

PRESETS: Final = ("smoke", "small", "paper")

PAPER_MIX: Final = 4
PAPER_NOISE: Final = 16 / 255


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """A run on images.

    Attributes:
        train_images, test_images: the first so many of each; 0 for all.
        victim: how nets are trained on the images as they are, and on releases.
        private: noise multipliers of DP-SGD, to find one of the same accuracy.
        private_rate: learning rate of DP-SGD; private_batch: its batch size; private_clip: its C.
        budget: share of the training set that is poisoned, in (0, 1].
        source, target: classes of the backdoor.
        mix_counts: k; 1 is always among them.
        noise_scales: b, above 0, in units of pixels in [0, 1]; 0 is always among them.
        online: whether fresh mixtures in each batch are tried too, at the reference setting.
        epsilon: at which b is chosen so that the largest k has a guarantee at all, above 0.
        delta: of the guarantees, in (0, 1).
        seeds: one run each.
        trials: of the attack on released numbers.

    Raises:
        ValueError: a value outside its range.
    """

    train_images: int
    test_images: int
    victim: VictimConfig
    private: tuple[float, ...]
    private_rate: float = 2.0
    private_batch: int = 128
    private_clip: float = 1.0
    budget: float = 0.02
    source: int = 3
    target: int = 5
    mix_counts: tuple[int, ...] = (1, 2, 4)
    noise_scales: tuple[float, ...] = (PAPER_NOISE, 64 / 255)
    online: bool = True
    epsilon: float = 20.0
    delta: float = 1e-5
    seeds: tuple[int, ...] = (0, 1, 2)
    trials: int = 40_000

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_budget(self.budget)
        check_seeds(self.seeds)
        check_delta(self.delta)
        if self.train_images:
            make_grid(self.mix_counts, self.noise_scales, self.train_images)

    def settings(self) -> dict[str, Any]:
        """JSON-able, without what does not decide a single seed's figures."""
        return {name: value for name, value in asdict(self).items() if name != "seeds"}


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe:
    """A run on the benchmark's puzzles.

    Attributes:
        task: "mazes" or "prefix_sums".
        difficulty: of the training puzzles.
        train_items: n, and as many releases.
        test_items: at each difficulty.
        test: pairs of difficulty and iterations.
        width: of the nets; max_iterations: T in training; patch: of mazes.
        steps, batch_size, learning_rate: of Adam.
        mix_counts, noise_scales, epsilon, delta, seeds: as of images.

    Raises:
        ValueError: a value outside its range.
    """

    task: str
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
    mix_counts: tuple[int, ...] = (1, 2, 4)
    noise_scales: tuple[float, ...] = (PAPER_NOISE, 0.25, 1.0)
    epsilon: float = 20.0
    delta: float = 1e-5
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_seeds(self.seeds)
        check_delta(self.delta)
        make_grid(self.mix_counts, self.noise_scales, self.train_items)

    def settings(self) -> dict[str, Any]:
        """JSON-able, without what does not decide a single seed's figures."""
        return {name: value for name, value in asdict(self).items() if name != "seeds"}


def check_delta(delta: float) -> None:
    """See that a delta is between 0 and 1.

    Raises:
        ValueError: it is not.
    """
    compose_advanced(0.0, 1, delta)


def check_seeds(seeds: Sequence[int]) -> None:
    """See that there are seeds, each another and at least 0.

    Raises:
        ValueError: they are not.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise ValueError(f"seeds must be at least one, at least 0, and each another, not {list(seeds)}")


_SMALL_IMAGES: Final = ImageRecipe(
    train_images=4000,
    test_images=2000,
    victim=VictimConfig(epochs=8, learning_rate=0.05),
    private=(0.5, 1.0, 2.0),
)
_SMOKE_IMAGES: Final = replace(
    _SMALL_IMAGES,
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
    train_images=0,
    test_images=0,
    victim=VictimConfig(
        architecture="resnet18", epochs=40, batch_size=128, learning_rate=0.1, crop=4, flip=True, at_once=1
    ),
    budget=0.01,
    private_batch=512,
    noise_scales=(8 / 255, PAPER_NOISE, 32 / 255),
    trials=200_000,
)
_IMAGES: Final = {"smoke": _SMOKE_IMAGES, "small": _SMALL_IMAGES, "paper": _PAPER_IMAGES}

_SMALL_SUMS: Final = PuzzleRecipe(
    task="prefix_sums",
    difficulty=16,
    train_items=2000,
    test_items=500,
    test=((16, 16), (24, 24)),
    width=24,
    max_iterations=16,
    steps=500,
    batch_size=64,
    learning_rate=3e-3,
)
_SMALL_MAZES: Final = PuzzleRecipe(
    task="mazes",
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
_SMOKE: Final[dict[str, Any]] = {"mix_counts": (1, 2), "noise_scales": (0.25,), "seeds": (0, 1), "test_items": 100}
_PUZZLES: Final = {
    ("prefix_sums", "small"): _SMALL_SUMS,
    ("mazes", "small"): _SMALL_MAZES,
    ("prefix_sums", "smoke"): replace(_SMALL_SUMS, **_SMOKE, train_items=500, steps=150, width=16),
    ("mazes", "smoke"): replace(_SMALL_MAZES, **_SMOKE, train_items=500, steps=40, width=16),
}


def image_recipe(preset: str) -> ImageRecipe:
    """The recipe of that preset.

    Raises:
        ValueError: unknown preset; the message lists the known ones.
    """
    if preset not in _IMAGES:
        raise ValueError(f"unknown preset {preset!r}: choose one of {', '.join(_IMAGES)}")
    return _IMAGES[preset]


def puzzle_recipe(task: str, preset: str) -> PuzzleRecipe:
    """The recipe of that task and preset.

    Raises:
        ValueError: unknown task or preset; the message lists the known ones.
    """
    known = [name for of, name in _PUZZLES if of == task]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} of {task}: choose one of {', '.join(known)}; the paper has none")
    return _PUZZLES[task, preset]
