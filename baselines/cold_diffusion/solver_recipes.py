"""Everything that decides a run of cold diffusion as a solver, and the named ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from easy_to_hard.baselines.cold_diffusion.solution_degradations import map_degradation
from easy_to_hard.baselines.cold_diffusion.solution_maps import solution_maps
from easy_to_hard.baselines.kit.precision import Precision
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.tasks import get_task


@dataclass(frozen=True, kw_only=True)
class NetRun:
    """A net that is trained, and where it is tested.

    Attributes:
        degradation: name in `MAP_DEGRADATIONS`.
        time_code: whether the net is told the severity.
        steps: of the way back (T'), at each of which it is tested.
        difficulties: at which it is tested.
        num_seeds: of the recipe's seeds the first so many; None for all.
    """

    degradation: str
    time_code: bool
    steps: tuple[int, ...]
    difficulties: tuple[int, ...]
    num_seeds: int | None = None

    @property
    def name(self) -> str:
        """How results name the restorer."""
        return "time-coded net" if self.time_code else "time-free net"


@dataclass(frozen=True, kw_only=True)
class OracleRun:
    """Oracles, and where they are tested.

    Attributes:
        degradations: of which; the oracle that is always right is tested at all difficulties.
        steps: of the way back.
        difficulty: at which the noisy ones are tested.
        probabilities: of a position being wrong.
    """

    degradations: tuple[str, ...]
    steps: tuple[int, ...]
    difficulty: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SolverRun:
    """A given solver of mazes' pictures as the restorer, and where it is tested.

    Attributes:
        degradation: name in `MAP_DEGRADATIONS`.
        iterations: that it is given at each step.
        steps: of the way back.
        difficulties: at which it is tested.
    """

    degradation: str
    iterations: int
    steps: tuple[int, ...]
    difficulties: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SolverRecipe:
    """A run but for its device.

    Attributes:
        task: "mazes" or "prefix_sums".
        items: difficulty -> how many test instances.
        num_seeds: nets trained of each kind, and sets of noise drawn.
        trained_steps: severities in training (T).
        training_steps: updates of the weights.
        batch_size: fresh instances an update.
        learning_rate: Adam's at first; it falls to 0 linearly.
        width, blocks: of the nets.
        threshold: see `NetRestorer`.
        precision: of the convolutions.
        nets: what is trained.
        oracles: what is tested without training.
        solver: what is tested where a solver is given; None for no such test.
        strip_difficulty: of the instance that is drawn on its way back; None for no such picture.
        compared_with: result files with the recurrent net's figures at the same difficulties.

    Raises:
        ValueError: a value that is not allowed, or a difficulty without items.
    """

    task: str
    items: Mapping[int, int]
    num_seeds: int
    trained_steps: int
    training_steps: int
    batch_size: int
    learning_rate: float
    width: int
    blocks: int
    threshold: float
    precision: Precision
    nets: tuple[NetRun, ...]
    oracles: OracleRun
    solver: SolverRun | None = None
    strip_difficulty: int | None = None
    compared_with: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_integer_fields(self)
        solution_maps(self.task)
        for name in ("num_seeds", "trained_steps", "training_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        used = [*self.oracles.degradations, *(run.degradation for run in self.nets)]
        for degradation in used:
            map_degradation(degradation, self.task)
        tested = {difficulty for run in self.nets for difficulty in run.difficulties} | {self.oracles.difficulty}
        for difficulty in sorted(tested | set(self.solver.difficulties if self.solver else ())):
            if difficulty not in self.items:
                raise ValueError(f"no items are given for difficulty {difficulty}, only for {list(self.items)}")

    @property
    def train_difficulty(self) -> int:
        """Of the training data."""
        return get_task(self.task).train_difficulty

    def nets_of(self, number: int) -> tuple[NetRun, ...]:
        """The nets that are trained on seed number `number` of the run, from 0."""
        return tuple(run for run in self.nets if run.num_seeds is None or number < run.num_seeds)

    def training_settings(self) -> dict[str, Any]:
        """Of them those that decide what is trained, JSON-able."""
        names = (
            "task",
            "trained_steps",
            "training_steps",
            "batch_size",
            "learning_rate",
            "width",
            "blocks",
            "precision",
        )
        return {name: getattr(self, name) for name in names}

    def settings(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"items": {str(difficulty): count for difficulty, count in self.items.items()}}


_MAZE_SIZES: Final = (9, 13, 17, 25, 33, 59)
_FEW_SIZES: Final = (9, 13, 17, 25)

_SMALL_MAZES: Final = SolverRecipe(
    task="mazes",
    items={9: 50, 13: 50, 17: 40, 25: 20, 33: 12, 59: 8},
    num_seeds=2,
    trained_steps=20,
    training_steps=1500,
    batch_size=64,
    learning_rate=2e-3,
    width=32,
    blocks=4,
    threshold=0.5,
    precision="auto",
    nets=(
        NetRun(degradation="dead_end_growth", time_code=False, steps=(10, 20, 40, 80, 160), difficulties=_MAZE_SIZES),
        NetRun(degradation="dead_end_growth", time_code=True, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1),
        NetRun(degradation="growth_by_distance", time_code=False, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1),
        NetRun(degradation="path_peeling", time_code=False, steps=(20, 80), difficulties=_FEW_SIZES, num_seeds=1),
    ),
    oracles=OracleRun(
        degradations=("dead_end_growth", "growth_by_distance", "path_peeling"),
        steps=(20,),
        difficulty=13,
        probabilities=(0.01, 0.1),
    ),
    solver=SolverRun(degradation="dead_end_growth", iterations=5, steps=(1, 5, 20), difficulties=(9, 13, 25, 59)),
    strip_difficulty=17,
    compared_with=("leaderboard/results/mazes-cpu-seed0.json",),
)
_SMALL_SUMS: Final = SolverRecipe(
    task="prefix_sums",
    items={32: 100, 64: 100, 128: 50, 512: 20},
    num_seeds=2,
    trained_steps=32,
    training_steps=1500,
    batch_size=64,
    learning_rate=2e-3,
    width=32,
    blocks=3,
    threshold=0.5,
    precision="auto",
    nets=tuple(
        NetRun(degradation=degradation, time_code=time_code, steps=(8, 16, 32, 64, 128, 512), difficulties=lengths)
        for degradation, time_code, lengths in (
            ("prefix_masking", False, (32, 64, 128, 512)),
            ("prefix_masking", True, (32, 64, 128, 512)),
            ("prefix_to_input", False, (32, 64, 128, 512)),
        )
    ),
    oracles=OracleRun(
        degradations=("prefix_masking", "prefix_to_input"), steps=(32,), difficulty=64, probabilities=(0.001, 0.01)
    ),
    compared_with=("leaderboard/results/prefix-sums-cpu-seed0.json",),
)

_SMOKE_MAZES: Final = replace(
    _SMALL_MAZES,
    items={9: 10, 13: 10},
    num_seeds=1,
    trained_steps=10,
    training_steps=100,
    strip_difficulty=13,
    batch_size=32,
    width=16,
    blocks=2,
    nets=(NetRun(degradation="dead_end_growth", time_code=False, steps=(10, 20), difficulties=(9, 13)),),
    oracles=replace(_SMALL_MAZES.oracles, steps=(10,), probabilities=(0.01,)),
    solver=None,
)
_SMOKE_SUMS: Final = replace(
    _SMALL_SUMS,
    items={32: 20, 64: 20},
    num_seeds=1,
    training_steps=150,
    batch_size=32,
    width=16,
    blocks=1,
    nets=(NetRun(degradation="prefix_masking", time_code=False, steps=(32, 64), difficulties=(32, 64)),),
)

SOLVER_RECIPES: Final[Mapping[tuple[str, str], SolverRecipe]] = MappingProxyType(
    {
        ("mazes", "smoke"): _SMOKE_MAZES,
        ("mazes", "small"): _SMALL_MAZES,
        ("prefix_sums", "smoke"): _SMOKE_SUMS,
        ("prefix_sums", "small"): _SMALL_SUMS,
    }
)


def get_solver_recipe(task: str, preset: str) -> SolverRecipe:
    """The recipe of that name.

    Raises:
        ValueError: unknown task or preset; the message lists the known ones.
    """
    solution_maps(task)
    known = [of for where, of in SOLVER_RECIPES if where == task]
    if preset not in known:
        raise ValueError(f"unknown preset {preset!r} of {task}: choose one of {', '.join(known)}; the paper has none")
    return SOLVER_RECIPES[task, preset]
