"""Recipes: everything that decides a training run, and the presets, the papers' and ours."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from inspect import signature
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

import torch
from tyro.conf import Suppress

from easy_to_hard.baselines.deep_thinking.batches import Batches, fixed_batches, fresh_batches, input_shape
from easy_to_hard.baselines.deep_thinking.line_training import LineConfig
from easy_to_hard.baselines.deep_thinking.mate_lines import line_batches
from easy_to_hard.baselines.deep_thinking.model import ARCHITECTURES
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.pool_training import PoolConfig
from easy_to_hard.baselines.deep_thinking.training import TrainingConfig
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.tasks import DataSpec

_DEFAULT_PRESET: Final = "cpu"

Architecture = Literal["recurrent", "feed_forward", "lipschitz", "cellular", "attention", "attention_feed_forward"]


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    """The shape of a net, except for what the task decides (channels of the input, 1-D or 2-D).

    Attributes:
        architecture: "recurrent" (DT, DT-Recall), "feed_forward", "lipschitz" (DT-L), "cellular", "attention" (boards
            only) or its control "attention_feed_forward".
        width: channels of the features.
        head_widths: channels between the head's convolutions; none in a cellular net.
        recall: whether an iteration sees the input again; DT-L and attention nets always do.
        recall_relu: whether a ReLU follows the recall convolution.
        group_norm: whether the residual blocks normalize.
        patch: side of the patches that features stand for.
        depth: iterations of a feed-forward net.
        heads: of the attention.
        hidden: width of the hidden layer of a cellular net.
        levels: steps of a cellular net's states from 0 to 1; 0 for no rounding.
        shakes: how many times a cellular net's states are shaken at rest.
        cells_everywhere: whether a cellular net has cells where the input is 0, such as in walls.
        init_gain: above 0; torch's initial weights of the iteration are multiplied by it. They are small, and at 1
            (the papers) features fade at first, so that some seeds take several times as long to find a solution.
    """

    architecture: Architecture = "recurrent"
    width: int
    head_widths: tuple[int, ...] = ()
    recall: bool = True
    recall_relu: bool = False
    group_norm: bool = False
    patch: int = 1
    depth: int = 30
    heads: int = 4
    hidden: int = 48
    levels: int = 8
    shakes: int = 0
    cells_everywhere: bool = False
    init_gain: float = 1.0

    def __post_init__(self) -> None:
        check_integer_fields(self)
        known = get_args(Architecture)
        check_field(self, "architecture", self.architecture in known, f"one of {', '.join(known)}")
        if self.architecture == "lipschitz" and not (self.recall and not self.recall_relu and not self.group_norm):
            raise ValueError("a lipschitz net has recall, no ReLU after it and no group norm")
        check_field(self, "init_gain", self.init_gain > 0, "above 0")

    def build(self, *, in_channels: int, dimensions: int, seed: int) -> ThinkingNet:
        """A net whose weights are a function of the seed alone; the global random state is left as it was."""
        arguments: dict[str, Any] = {"in_channels": in_channels, "dimensions": dimensions}
        kind = ARCHITECTURES[self.architecture]
        arguments |= {name: value for name, value in asdict(self).items() if name in signature(kind).parameters}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            net = kind(**arguments)
        with torch.no_grad():
            for name, weights in net.named_parameters():
                if net.is_recurrent(name):
                    weights.mul_(self.init_gain)
        return net


# Which nets are trained how; all others with a TrainingConfig.
_TRAINED_BY: Final[Mapping[tuple[Architecture, ...], type]] = MappingProxyType(
    {("cellular",): PoolConfig, ("attention", "attention_feed_forward"): LineConfig}
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run, except for its device.

    Attributes:
        name: in `RECIPES`, which sets it.
        title: what it is, in a line.
        task: of the training data.
        variant: of the training data; "" for the task's default.
        difficulty: of the training data.
        batch_size: items per batch, at least 1.
        fixed_items: train repeatedly on this many instances, as in the papers; None for new ones at every step.
        easier_items: mates that are a move shallower, as many as this, are mixed in; only when training on lines.
        root: the folder of the training data, for a task that is read and not generated.
        net: the shape of the net.
        training: how it is trained; `training.seed` is the seed of weights, data, and iteration counts.

    Raises:
        ValueError: values that are not allowed or do not fit together.
    """

    name: Suppress[str] = ""
    title: Suppress[str]
    task: Suppress[str]
    variant: str = ""
    difficulty: int
    batch_size: int
    fixed_items: int | None = None
    easier_items: int = 0
    root: str = ""
    net: NetConfig
    training: TrainingConfig | PoolConfig | LineConfig

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "batch_size", self.batch_size >= 1, "at least 1")
        for kinds, config in _TRAINED_BY.items():
            if isinstance(self.training, config) != (self.net.architecture in kinds):
                raise ValueError(
                    f"{config.__name__} is for {' and '.join(kinds)} nets, and they for it, not for "
                    f"{self.net.architecture} nets with {type(self.training).__name__}"
                )
        if isinstance(self.training, LineConfig):
            self._check_lines(self.training)
        elif self.easier_items:
            raise ValueError(f"easier_items must be 0 unless training on lines, not {self.easier_items}")
        if not isinstance(self.training, TrainingConfig) and self.training.pool_size < self.batch_size:
            raise ValueError(f"pool_size must be at least the batch's {self.batch_size}, not {self.training.pool_size}")
        if isinstance(self.training, TrainingConfig) and self.net.architecture == "feed_forward":
            held = self.training.hold_iterations - 1 if self.training.hold_share > 0 else 0
            most = held + self.training.max_iterations
            if most > self.net.depth:
                raise ValueError(f"a feed-forward net of depth {self.net.depth} cannot be trained on {most} iterations")

    def _check_lines(self, training: LineConfig) -> None:
        """Raise a ValueError for settings that do not fit training on lines."""
        check_field(self, "fixed_items", self.fixed_items is not None, "a number when training on lines")
        check_field(self, "easier_items", self.easier_items >= 0, "at least 0")
        least = 2 if self.easier_items else 1
        check_field(self, "difficulty", self.difficulty >= least, f"at least {least} with such easier_items")
        if self.net.architecture == "attention_feed_forward" and (
            training.fresh_share < 1 or training.vary_iterations or training.iterations != self.net.depth
        ):
            raise ValueError(
                f"a feed-forward net of depth {self.net.depth} is trained on as many iterations and on new items only: "
                f"iterations={self.net.depth}, vary_iterations=False, fresh_share=1, not {training.iterations}, "
                f"{training.vary_iterations}, {training.fresh_share}"
            )

    def spec(self) -> DataSpec:
        """The training data; mates with lines are the same whatever the seed, since drawing them takes long."""
        return DataSpec(
            task=self.task,
            variant=self.variant,
            difficulty=self.difficulty,
            split="train",
            seed=0 if isinstance(self.training, LineConfig) else self.training.seed,
            root=self.root,
        )

    def build_net(self) -> ThinkingNet:
        """The net before training."""
        in_channels, dimensions = input_shape(self.task)
        return self.net.build(in_channels=in_channels, dimensions=dimensions, seed=self.training.seed)

    def batches(self) -> Batches:
        """The training data in batches."""
        if isinstance(self.training, LineConfig):
            assert self.fixed_items is not None
            return line_batches(self.spec(), self.fixed_items, self.easier_items, self.batch_size, self.training.seed)
        if self.fixed_items is None:
            return fresh_batches(self.spec(), self.batch_size)
        return fixed_batches(self.spec(), self.fixed_items, self.batch_size, self.training.seed)


# ---- published: the authors' released configurations (github.com/aks2203/deep-thinking, config/ and launch/), with
# epochs turned into steps: 8,000 strings in batches of 100, 40,000 mazes in 50s, 480,000 puzzles in 300s.

_PAPER_SUMS: Final = Recipe(
    title="prefix sums as published: DT-Recall, progressive loss, width 400",
    task="prefix_sums",
    difficulty=32,
    batch_size=100,
    fixed_items=8_000,
    net=NetConfig(width=400, head_widths=(400, 200), recall_relu=True),
    training=TrainingConfig(
        steps=150 * 80,
        max_iterations=30,
        progressive_weight=1.0,
        learning_rate=1e-3,
        decay="drops",
        drop_steps=(60 * 80, 100 * 80),
        warmup_steps=10 * 80,
        weight_decay=2e-4,
        gradient_clip=1.0,
    ),
)
_PAPER_MAZES: Final = Recipe(
    title="mazes as published: DT-Recall, progressive loss, width 128",
    task="mazes",
    difficulty=9,
    batch_size=50,
    fixed_items=40_000,
    net=NetConfig(width=128, head_widths=(32, 8)),
    training=TrainingConfig(
        steps=50 * 800,
        max_iterations=30,
        progressive_weight=0.01,
        learning_rate=1e-3,
        recurrent_rate_scale=1 / 30,
        warmup_steps=10 * 800,
        weight_decay=2e-4,
    ),
)
_PAPER_CHESS: Final = Recipe(
    title="chess puzzles as published: DT-Recall, progressive loss, width 512; --root is a folder of convert-lichess",
    task="chess_puzzles",
    variant="rank",
    difficulty=0,
    batch_size=300,
    # Slightly below the authors' 480,000, since the split by hash may give less than four fifths of 600,000.
    fixed_items=479_000,
    net=NetConfig(width=512, head_widths=(32, 8)),
    training=TrainingConfig(
        steps=130 * 1600,
        max_iterations=30,
        progressive_weight=0.5,
        learning_rate=1e-2,
        optimizer="sgd",
        decay="drops",
        drop_steps=(100 * 1600, 115 * 1600),
        warmup_steps=10 * 1600,
        weight_decay=2e-4,
    ),
)


# ---- ours: small nets, fresh instances at every step, trained in minutes on a CPU.

_FAST_TRAINING: Final = TrainingConfig(
    steps=700,
    max_iterations=30,
    progressive_weight=1.0,
    learning_rate=2e-3,
    decay="linear",
    gradient_clip=1.0,
    hold_share=0.25,
    hold_iterations=60,
    hold_from_step=400,
    precision="auto",
)
_FAST_SUMS: Final = Recipe(
    title="prefix sums in two minutes on a CPU: width 64, batches of 50",
    task="prefix_sums",
    difficulty=32,
    batch_size=50,
    net=NetConfig(width=64, head_widths=(64, 32), init_gain=1.5),
    training=_FAST_TRAINING,
)
_CPU_SUMS: Final = replace(
    _FAST_SUMS,
    title="prefix sums on a CPU: width 64, batches of 100",
    batch_size=100,
    training=replace(_FAST_TRAINING, steps=1000, hold_iterations=100),
)
_WITHOUT_HOLD: Final = replace(_FAST_TRAINING, hold_share=0.0, hold_iterations=0, hold_from_step=0)
# For contrast. The papers' DT nets without recall: what they know about the input fades as they think.
_NO_RECALL_SUMS: Final = replace(
    _FAST_SUMS,
    title="prefix sums without recall, progressive loss: for contrast, it does not learn 32 bits at this width",
    net=replace(_FAST_SUMS.net, recall=False, init_gain=1.0),
    training=replace(_WITHOUT_HOLD, steps=1000, learning_rate=1e-3),
)
_FEED_FORWARD_SUMS: Final = replace(
    _FAST_SUMS,
    title="prefix sums by a feed-forward net of 30 block pairs: for contrast, it cannot think longer",
    net=replace(_FAST_SUMS.net, architecture="feed_forward", recall=False, init_gain=1.0),
    training=replace(_WITHOUT_HOLD, progressive_weight=0.0, learning_rate=1e-3),
)
_LIPSCHITZ_SUMS: Final = replace(
    _FAST_SUMS,
    title="prefix sums by DT-L, whose iteration is a contraction",
    net=NetConfig(architecture="lipschitz", width=64, head_widths=(64, 32)),
    training=replace(_WITHOUT_HOLD, steps=1000),
)
_CPU_MAZES: Final = Recipe(
    title="mazes on a CPU: width 32, a feature vector for each position of the maze",
    task="mazes",
    difficulty=9,
    batch_size=50,
    net=NetConfig(width=32, head_widths=(32, 8), patch=2),
    training=TrainingConfig(
        steps=7000,
        max_iterations=20,
        progressive_weight=1.0,
        learning_rate=2e-3,
        decay="linear",
        warmup_steps=100,
        gradient_clip=1.0,
        hold_share=0.1,
        hold_iterations=60,
        hold_from_step=3500,
        precision="auto",
    ),
)
_CELLULAR_MAZES: Final = Recipe(
    title="mazes by a cellular automaton: each position changes with its neighbors until nothing changes any more",
    task="mazes",
    difficulty=9,
    # Rare junctions, such as a crossing next to a fork, are where a path dies: they must occur in training.
    batch_size=96,
    net=NetConfig(architecture="cellular", width=16, hidden=48, levels=8, shakes=3, patch=2),
    training=PoolConfig(steps=2000, pool_size=768),
)
_CELLULAR_SUMS: Final = Recipe(
    title="prefix sums by a cellular automaton: each bit changes with its neighbors until nothing changes any more",
    task="prefix_sums",
    difficulty=32,
    batch_size=32,
    net=NetConfig(architecture="cellular", width=16, hidden=48, levels=8),
    # Neither answer is preferred while nothing is known.
    training=PoolConfig(steps=1000, patience=1.0),
)
# The published width and loss are for 600,000 puzzles and days on GPUs.
_CPU_MATES: Final = Recipe(
    title="chess on a CPU: mate in 1 by a net of width 64",
    task="chess_mates",
    difficulty=1,
    batch_size=50,
    net=NetConfig(width=64, head_widths=(32, 8)),
    training=TrainingConfig(
        steps=5000,
        max_iterations=6,
        progressive_weight=0.5,
        learning_rate=1e-3,
        decay="linear",
        warmup_steps=200,
        gradient_clip=1.0,
        precision="auto",
    ),
)
# Mates in 1 and 2. A step of the thinking net has about 8 new boards and 80 iterations of a board, one of the control
# 8 and 96. The targets along the line are off: in the first minutes of training they cost more than they gave.
_LINE_TRAINING: Final = LineConfig(
    steps=7_000, iterations=3, pool_size=128, fresh_share=0.25, relation_weight=0.0, line_weight=0.0
)
_THINKING_MATES: Final = Recipe(
    title="chess on a CPU: mates in 1 and 2 by an attention net that thinks on",
    task="chess_mates",
    variant="balanced",
    difficulty=2,
    batch_size=32,
    fixed_items=40_000,
    easier_items=60_000,
    net=NetConfig(architecture="attention", width=64, heads=4),
    training=_LINE_TRAINING,
)
_FEED_FORWARD_MATES: Final = replace(
    _THINKING_MATES,
    title="chess on a CPU: mates in 1 and 2 by a feed-forward net of 12 attention blocks, like compute: for contrast",
    batch_size=8,
    net=replace(_THINKING_MATES.net, architecture="attention_feed_forward", depth=12),
    training=replace(_LINE_TRAINING, iterations=12, vary_iterations=False, pool_size=8, fresh_share=1.0),
)
_CPU_PUZZLES: Final = replace(
    _CPU_MATES,
    title="chess on a CPU: Lichess puzzles rated below 1200, width 64; --root is a folder of convert-lichess",
    task="chess_puzzles",
    difficulty=0,
)

_NAMED: Final = {
    "prefix-sums-fast": _FAST_SUMS,
    "prefix-sums-cpu": _CPU_SUMS,
    "prefix-sums-paper": _PAPER_SUMS,
    "prefix-sums-no-recall": _NO_RECALL_SUMS,
    "prefix-sums-feed-forward": _FEED_FORWARD_SUMS,
    "prefix-sums-lipschitz": _LIPSCHITZ_SUMS,
    "prefix-sums-cellular": _CELLULAR_SUMS,
    "mazes-cpu": _CPU_MAZES,
    "mazes-paper": _PAPER_MAZES,
    "mazes-cellular": _CELLULAR_MAZES,
    "chess-puzzles-cpu": _CPU_PUZZLES,
    "chess-puzzles-paper": _PAPER_CHESS,
    "chess-mates-cpu": _CPU_MATES,
    "chess-mates-thinking": _THINKING_MATES,
    "chess-mates-thinking-feed-forward": _FEED_FORWARD_MATES,
}
RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {name: replace(recipe, name=name) for name, recipe in _NAMED.items()}
)


def get_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_name(what: str, preset: str) -> str:
    """The name of a recipe from a task and a preset: ("prefix-sums", "cpu") -> "prefix-sums-cpu".

    Without a preset, a full name stands for itself, and a task gets "cpu".

    Raises:
        ValueError: there is no such recipe; the message lists the known ones.
    """
    what = what.replace("_", "-")
    name = f"{what}-{preset}" if preset else what if what in RECIPES else f"{what}-{_DEFAULT_PRESET}"
    if name not in RECIPES:
        presets = [known.removeprefix(f"{what}-") for known in RECIPES if known.startswith(f"{what}-")]
        if preset and presets:
            raise ValueError(f"unknown preset {preset!r} of {what}: choose one of {', '.join(presets)}")
        get_recipe(what)
    return name
