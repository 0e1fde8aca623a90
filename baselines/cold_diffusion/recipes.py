"""Recipes: everything that decides a run on images or on puzzles, and the presets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args

from torch import nn

from easy_to_hard.baselines.cold_diffusion.degradations import get_degradation
from easy_to_hard.baselines.cold_diffusion.nets import ConvNextUNet
from easy_to_hard.baselines.cold_diffusion.nets_ddpm import DdpmUNet
from easy_to_hard.baselines.cold_diffusion.on_puzzles.degradations import map_degradation
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import check_solvable
from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.baselines.kit.training import LoopConfig
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.tasks import get_task

Architecture = Literal["convnext", "ddpm"]

# To what the authors' loaders resize images before they crop them, in training and in evaluation alike.
PAPER_MARGIN: Final = 1.12

FEATURES: Final = ("classifier", "efficientnet_lite0")
"""Nets whose features FID and KID can compare; the first is trained in the run."""


@dataclass(frozen=True, kw_only=True)
class RestorerConfig:
    """The shape of a restorer, except for the channels of the images.

    Attributes:
        architecture: "convnext" or "ddpm".
        width: channels of the first level.
        multipliers: of the width, one per level.
        attention: whether there is any: linear on every level of a convnext, full on the second level of a ddpm.
        patch: for a convnext, squares of patch x patch pixels become one pixel's channels.
        dropout: for a ddpm.
    """

    architecture: Architecture
    width: int
    multipliers: tuple[int, ...]
    attention: bool = True
    patch: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if self.architecture not in get_args(Architecture):
            raise ValueError(f"architecture must be one of convnext, ddpm, not {self.architecture!r}")

    def build(self, channels: int, seed: int) -> nn.Module:
        """A net whose weights are a function of the seed alone; the global random state is left as it was."""
        with seeded("restorer", seed):
            if self.architecture == "ddpm":
                return DdpmUNet(
                    channels,
                    width=self.width,
                    multipliers=self.multipliers,
                    attention_levels=(1,) if self.attention else (),
                    dropout=self.dropout,
                )
            return ConvNextUNet(
                channels,
                width=self.width,
                multipliers=self.multipliers,
                attention=self.attention,
                patch=self.patch,
            )


@dataclass(frozen=True, kw_only=True)
class NetTrials:
    """A net that is trained, and where it is tested.

    Attributes:
        degradation: name in `MAP_DEGRADATIONS`.
        time_code: whether the net is given the severity.
        steps: numbers of restoration steps (T') at which it is tested.
        difficulties: at which it is tested.
        num_seeds: how many of the recipe's seeds to use, from the first; None for all.
    """

    degradation: str
    time_code: bool
    steps: tuple[int, ...]
    difficulties: tuple[int, ...]
    num_seeds: int | None = None

    @property
    def name(self) -> str:
        """The restorer's name in results."""
        return "time-coded net" if self.time_code else "time-free net"


@dataclass(frozen=True, kw_only=True)
class OracleTrials:
    """Oracles, and where they are tested.

    Attributes:
        degradations: names in `MAP_DEGRADATIONS`; the oracle that is always right is tested at all difficulties.
        steps: numbers of restoration steps.
        difficulty: at which the noisy oracles are tested.
        probabilities: of a position being wrong.
    """

    degradations: tuple[str, ...]
    steps: tuple[int, ...]
    difficulty: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SolverTrials:
    """A given solver of maze pictures as the restorer, and where it is tested.

    Attributes:
        degradation: name in `MAP_DEGRADATIONS`.
        iterations: of the solver at each step.
        steps: numbers of restoration steps.
        difficulties: at which it is tested.
    """

    degradation: str
    iterations: int
    steps: tuple[int, ...]
    difficulties: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe(ReferenceRecipe):
    """A run on images.

    Attributes:
        degradation: name in `DEGRADATIONS`, with the paper's settings for images of that side.
        others: a second set under the same root, for animorphosis; "" for none.
        severities: T; 0 for the paper's, limited by `most_severities`.
        eight_bits: whether the degraded images that the net learns from, and those that are restored, are rounded to
            256 levels, as in files. A net reads finer traces of the image from a blur that is not.
        generate: how many images to generate, 0 for none.
        components: of the Gaussian mixture that their last states are drawn from.
        features: whose features FID and KID compare: "classifier", one trained here, or "efficientnet_lite0".
        inception_weights: file of the Inception net, whose features are then compared; None for those of `features`.
        side: of the images, in pixels.
        margin: images are resized to this times the side; training uses a random square of them, flipped half the
            time, evaluation the middle. 1 for neither.
        most_severities: the paper's T is limited to this; 0 for no limit.
        restorer: the net.
        batch_size: images per (micro-)batch.
        loop: how the net is trained; its seed is replaced by the run's.
        test_images: how many are restored; 0 for all.
        classifier_steps: training steps of the classifier whose features FID and KID compare.

    Raises:
        ValueError: a name or number that is not allowed.
    """

    degradation: str = "blur"
    others: str = ""
    severities: int = 0
    eight_bits: bool = False
    generate: int = 0
    components: int = 1
    features: str = FEATURES[0]
    inception_weights: Path | None = None
    side: int
    margin: float = 1.0
    most_severities: int = 0
    restorer: RestorerConfig
    batch_size: int
    loop: LoopConfig
    test_images: int
    classifier_steps: int = 2500

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer_fields(self)
        get_degradation(self.degradation)
        for name, least in (("severities", 0), ("generate", 0), ("components", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.features not in FEATURES:
            raise ValueError(f"unknown features {self.features!r}: choose one of {', '.join(FEATURES)}")
        if self.inception_weights is not None and self.features != FEATURES[0]:
            raise ValueError(f"inception weights and features {self.features!r} exclude each other")

    @property
    def steps(self) -> int:
        """T: the number of severities."""
        steps = get_degradation(self.degradation).steps(self.side)
        return self.severities or min(steps, self.most_severities or steps)

    def settings(self) -> dict[str, Any]:
        """Everything that decides the figures but the features, whose full name is recorded with the figures."""
        settings = super().settings()
        del settings["features"], settings["inception_weights"], settings["loop"]["seed"]
        return settings


@dataclass(frozen=True, kw_only=True)
class PuzzleRecipe(ReferenceRecipe):
    """A run on a task's puzzles, `data`: "mazes" or "prefix_sums". Each seed trains nets and draws noise.

    Attributes:
        items: difficulty -> how many test instances.
        trained_steps: severities in training (T).
        batch_size: new instances per update.
        loop: how nets are trained; its seed is replaced by the run's.
        width, blocks: of the nets.
        threshold: see `NetRestorer`.
        nets: the nets to train and test.
        oracles: the oracles to test.
        solver: how the recurrent net that comes with the package is tested as the restorer of mazes, with the first
            seed only, since it is not trained here; None for no such test.
        strip_difficulty: of the instance that is drawn while being restored; None for no such picture.
        compared_with: result files with the recurrent net's figures at the same difficulties.

    Raises:
        ValueError: a value that is not allowed, or a difficulty without items.
    """

    items: Mapping[int, int]
    trained_steps: int
    batch_size: int = 64
    loop: LoopConfig
    width: int = 32
    blocks: int
    threshold: float = 0.5
    nets: tuple[NetTrials, ...]
    oracles: OracleTrials
    solver: SolverTrials | None = None
    strip_difficulty: int | None = None
    compared_with: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer_fields(self)
        check_solvable(self.data)
        for name in ("trained_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        used = [*self.oracles.degradations, *(run.degradation for run in self.nets)]
        for degradation in used if self.solver is None else [*used, self.solver.degradation]:
            map_degradation(degradation, self.data)
        tested = {difficulty for run in self.nets for difficulty in run.difficulties} | {self.oracles.difficulty}
        for difficulty in sorted(tested | set(self.solver.difficulties if self.solver else ())):
            if difficulty not in self.items:
                raise ValueError(f"no items are given for difficulty {difficulty}, only for {list(self.items)}")

    @property
    def train_difficulty(self) -> int:
        """The difficulty of training data."""
        return get_task(self.data).train_difficulty

    def nets_of(self, number: int) -> tuple[NetTrials, ...]:
        """The nets that are trained on seed number `number` of the run, from 0."""
        return tuple(run for run in self.nets if run.num_seeds is None or number < run.num_seeds)

    def settings(self) -> dict[str, Any]:
        """Everything that decides the figures, with keys as in JSON."""
        settings = super().settings()
        del settings["loop"]["seed"]
        return settings | {"items": {str(difficulty): count for difficulty, count in self.items.items()}}


_CONVNEXT: Final = RestorerConfig(architecture="convnext", width=64, multipliers=(1, 2, 4, 8))
_DDPM: Final = RestorerConfig(architecture="ddpm", width=128, multipliers=(1, 2, 2, 2), dropout=0.1)
_SMALL_NET: Final = RestorerConfig(architecture="convnext", width=24, multipliers=(1, 2), attention=False, patch=2)

# Two to four minutes a seed on a core for 16 pixels a side, and about three times as many for 32.
_SMALL_IMAGES: Final = ImageRecipe(
    preset="small",
    data="mnist",
    side=16,
    most_severities=50,
    eight_bits=True,
    restorer=_SMALL_NET,
    batch_size=32,
    loop=LoopConfig(
        steps=2000,
        learning_rate=2e-3,
        decay="linear",
        gradient_clip=1.0,
        ema_decay=0.9,
        ema_from=0,
        precision="auto",
    ),
    test_images=1000,
    seeds=(0, 1, 2, 3, 4),
)
# A minute, to see that all works.
_SMOKE_IMAGES: Final = replace(
    _SMALL_IMAGES,
    preset="smoke",
    most_severities=5,
    restorer=replace(_SMALL_NET, width=16),
    loop=replace(_SMALL_IMAGES.loop, steps=400),
    test_images=100,
    classifier_steps=150,
    seeds=(0,),
)


def _paper(data: str, side: int, degradation: str, restorer: RestorerConfig) -> ImageRecipe:
    """Days on a GPU: the authors' scripts, commit f8b1379 of arpitbansal297/Cold-Diffusion-Models.

    The scripts mnist_train.py, cifar10_train.py and celebA_128.py give the side, the net, batch_size, steps, the rate,
    micro_batches and ema_decay; their classes Trainer and Dataset give ema_every, ema_from and the margin. All test
    images are restored. The degradations say where they are from.
    """
    return ImageRecipe(
        preset="paper",
        data=data,
        degradation=degradation,
        side=side,
        margin=PAPER_MARGIN,
        restorer=restorer,
        batch_size=32,
        loop=LoopConfig(
            steps=700_000, learning_rate=2e-5, micro_batches=2, ema_decay=0.995, ema_every=10, ema_from=2000
        ),
        test_images=0,
    )


# The degradations that the authors' commands train with --discrete: inpainting on MNIST and CIFAR-10, and generation.
_PAPER_EIGHT_BITS: Final = ("mask_random", "blur_to_mean")
# To inpaint CelebA, batch_size is that of celebA_train.py, and the command has --train_steps 350000.
_PAPER_CELEBA_INPAINTING: Final = ("folder", "mask", 100, 350_000)

_IMAGES: Final = {"mnist": ("blur", 16), "cifar10": ("blur_offset", 32), "folder": ("blur", 64)}
IMAGE_RECIPES: Final[Mapping[tuple[str, str], ImageRecipe]] = MappingProxyType(
    {
        **{
            (data, preset.preset): replace(preset, data=data, degradation=degradation, side=side)
            for preset in (_SMOKE_IMAGES, _SMALL_IMAGES)
            for data, (degradation, side) in _IMAGES.items()
        },
        ("mnist", "paper"): _paper("mnist", 32, "blur", _CONVNEXT),
        ("cifar10", "paper"): _paper("cifar10", 32, "blur_offset", _DDPM),
        ("folder", "paper"): _paper("folder", 128, "blur", _CONVNEXT),
    }
)

# A rate that falls to 0 averages by itself.
_PUZZLE_LOOP: Final = LoopConfig(
    steps=1500, learning_rate=2e-3, decay="linear", gradient_clip=1.0, ema_decay=0.0, precision="auto"
)
_MAZE_SIZES: Final = (9, 13, 17, 25, 33, 59)
_FEW_SIZES: Final = (9, 13, 17, 25)

_SMALL_MAZES: Final = PuzzleRecipe(
    preset="small",
    data="mazes",
    items={9: 50, 13: 50, 17: 40, 25: 20, 33: 12, 59: 8},
    seeds=(0, 1),
    trained_steps=20,
    loop=_PUZZLE_LOOP,
    blocks=4,
    nets=(
        NetTrials(
            degradation="dead_end_growth", time_code=False, steps=(10, 20, 40, 80, 160), difficulties=_MAZE_SIZES
        ),
        NetTrials(degradation="dead_end_growth", time_code=True, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1),
        NetTrials(
            degradation="growth_by_distance", time_code=False, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1
        ),
        NetTrials(degradation="path_peeling", time_code=False, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1),
    ),
    oracles=OracleTrials(
        degradations=("dead_end_growth", "growth_by_distance", "path_peeling"),
        steps=(20,),
        difficulty=13,
        probabilities=(0.01, 0.1),
    ),
    solver=SolverTrials(degradation="dead_end_growth", iterations=5, steps=(1, 5, 20), difficulties=(9, 13, 25, 59)),
    strip_difficulty=17,
    compared_with=("leaderboard/results/mazes-cpu-seed0.json",),
)
_SMALL_SUMS: Final = PuzzleRecipe(
    preset="small",
    data="prefix_sums",
    items={32: 100, 64: 100, 128: 50, 512: 20},
    seeds=(0, 1),
    trained_steps=32,
    loop=_PUZZLE_LOOP,
    blocks=3,
    nets=tuple(
        NetTrials(degradation=degradation, time_code=time_code, steps=(8, 16, 32, 64, 128, 512), difficulties=lengths)
        for degradation, time_code, lengths in (
            ("prefix_masking", False, (32, 64, 128, 512)),
            ("prefix_masking", True, (32, 64, 128, 512)),
            ("prefix_to_input", False, (32, 64, 128, 512)),
        )
    ),
    oracles=OracleTrials(
        degradations=("prefix_masking", "prefix_to_input"), steps=(32,), difficulty=64, probabilities=(0.001, 0.01)
    ),
    compared_with=("leaderboard/results/prefix-sums-cpu-seed0.json",),
)

_SMOKE_MAZES: Final = replace(
    _SMALL_MAZES,
    preset="smoke",
    items={9: 10, 13: 10},
    seeds=(0,),
    trained_steps=10,
    loop=replace(_PUZZLE_LOOP, steps=100),
    strip_difficulty=13,
    batch_size=32,
    width=16,
    blocks=2,
    nets=(NetTrials(degradation="dead_end_growth", time_code=False, steps=(10, 20), difficulties=(9, 13)),),
    oracles=replace(_SMALL_MAZES.oracles, steps=(10,), probabilities=(0.01,)),
    solver=None,
)
_SMOKE_SUMS: Final = replace(
    _SMALL_SUMS,
    preset="smoke",
    items={32: 20, 64: 20},
    seeds=(0,),
    loop=replace(_PUZZLE_LOOP, steps=150),
    batch_size=32,
    width=16,
    blocks=1,
    nets=(NetTrials(degradation="prefix_masking", time_code=False, steps=(32, 64), difficulties=(32, 64)),),
)

PUZZLE_RECIPES: Final[Mapping[tuple[str, str], PuzzleRecipe]] = MappingProxyType(
    {
        ("mazes", "smoke"): _SMOKE_MAZES,
        ("mazes", "small"): _SMALL_MAZES,
        ("prefix_sums", "smoke"): _SMOKE_SUMS,
        ("prefix_sums", "small"): _SMALL_SUMS,
    }
)


_Named = TypeVar("_Named", bound=ReferenceRecipe)


def get_image_recipe(preset: str, data: str, degradation: str = "") -> ImageRecipe:
    """The recipe of that name for a set of images.

    Args:
        preset, data: names.
        degradation: name of the degradation; "" for that with which the paper blurs these images.

    Raises:
        ValueError: unknown preset, images or degradation; the message lists the known ones.
    """
    recipe = _get(IMAGE_RECIPES, preset, data)
    recipe = replace(recipe, degradation=degradation or recipe.degradation)
    if preset != "paper":
        return recipe
    recipe = replace(recipe, eight_bits=recipe.degradation in _PAPER_EIGHT_BITS)
    *inpainting, batch_size, steps = _PAPER_CELEBA_INPAINTING
    if [data, recipe.degradation] != inpainting:
        return recipe
    return replace(recipe, batch_size=batch_size, loop=replace(recipe.loop, steps=steps))


def get_puzzle_recipe(preset: str, task: str) -> PuzzleRecipe:
    """The recipe of that name for a task.

    Raises:
        ValueError: unknown preset or task; the message lists the known ones.
    """
    check_solvable(task)
    return _get(PUZZLE_RECIPES, preset, task)


def _get(recipes: Mapping[tuple[str, str], _Named], preset: str, data: str) -> _Named:
    known = [name for of, name in recipes if of == data]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} of {data}: choose one of {', '.join(known)}")
    return recipes[data, preset]
