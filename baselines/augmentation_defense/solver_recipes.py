"""Everything that decides a run on puzzles, and the named ones."""

from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from easy_to_hard.baselines.augmentation_defense.defenses import check_defenses
from easy_to_hard.baselines.augmentation_defense.recipes import check_compared, check_seeds
from easy_to_hard.baselines.augmentation_defense.solver_defenses import SOLVER_DEFENSES
from easy_to_hard.baselines.augmentation_defense.solver_training import SolverTraining
from easy_to_hard.baselines.augmentation_defense.triggers import get_trigger
from easy_to_hard.baselines.kit.poisoning.attacks import check_budget
from easy_to_hard.baselines.kit.private_training import PrivacyConfig, epsilon_of
from easy_to_hard.generators.integers import check_integer_fields


@dataclass(frozen=True, kw_only=True)
class SolverRecipe:
    """A run on puzzles.

    Attributes:
        title: what it is, in a line.
        task: "mazes" or "prefix_sums".
        trigger: one of the task's in `triggers.TRIGGERS`.
        defenses: names in `SOLVER_DEFENSES`, each once, "none" among them; all on nets with recall.
        budget: share of the training set that is poisoned, in (0, 1].
        other_budgets: further ones that are tried without a defence.
        width, patch, max_iterations: of the nets.
        recall: which kinds of nets are tried without a defence; True is among them.
        fine_tuned: whether nets start from the one that comes with the package, which solves the task, and the
            poisoned set is what it is trained on further; else from scratch.
        difficulty: of the training puzzles.
        train_items: at least 1.
        sizes: difficulties of the test puzzles, the training difficulty among them, from easy to hard.
        iterations: of the tests, from few to many.
        test_items: at least 1, of each size.
        training: how nets are trained.
        private: DP-SGD's clip and noise.
        seeds: of the nets, at least one.

    Raises:
        ValueError: a value outside its range.
    """

    title: str
    task: str
    trigger: str
    defenses: tuple[str, ...] = tuple(SOLVER_DEFENSES)
    budget: float
    other_budgets: tuple[float, ...]
    width: int
    patch: int = 1
    max_iterations: int
    recall: tuple[bool, ...]
    fine_tuned: bool = False
    difficulty: int
    train_items: int
    sizes: tuple[int, ...]
    iterations: tuple[int, ...]
    test_items: int
    training: SolverTraining
    private: PrivacyConfig = field(default_factory=lambda: PrivacyConfig(clip=1.0, noise_multiplier=0.8))
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        get_trigger(self.trigger, self.task)
        check_defenses(self.defenses, tuple(SOLVER_DEFENSES))
        check_compared(self.defenses)
        for share in (self.budget, *self.other_budgets):
            check_budget(share)
        check_seeds(self.seeds)
        if self.difficulty not in self.sizes:
            raise ValueError(f"sizes must hold the training difficulty {self.difficulty}, not only {list(self.sizes)}")
        if True not in self.recall:
            raise ValueError("recall must hold True: defences are tried on nets with recall")

    def training_for(self, defense: str) -> SolverTraining:
        """How nets with that defence are trained."""
        return replace(self.training, private=self.private) if defense == "dp_sgd" else self.training

    def epsilon(self) -> float:
        """Of training with DP-SGD, for adding or removing one puzzle."""
        return epsilon_of(
            sampling_rate=min(1.0, self.training.batch_size / self.train_items),
            noise_multiplier=self.private.noise_multiplier,
            steps=self.training.steps,
            delta=self.private.delta,
        )

    def settings(self) -> dict[str, Any]:
        """JSON-able; what decides a net, but for seed, defence and budget."""
        decided = (
            "task",
            "trigger",
            "width",
            "patch",
            "max_iterations",
            "fine_tuned",
            "difficulty",
            "train_items",
            "training",
            "private",
        )
        values = asdict(self)
        return {name: values[name] for name in decided}


_SUMS: Final = SolverRecipe(
    title="prefix sums of 16 bits, nets from scratch: a quarter of an hour on a core",
    task="prefix_sums",
    trigger="prefix",
    budget=0.1,
    other_budgets=(0.01, 0.03),
    width=24,
    max_iterations=15,
    recall=(True, False),
    difficulty=16,
    train_items=4000,
    sizes=(16, 32, 48),
    iterations=(15, 60),
    test_items=300,
    training=SolverTraining(steps=900, batch_size=50, learning_rate=3e-3),
)
# A net that solves mazes takes thousands of steps from scratch: here a trained one is trained on with poisoned mazes.
_MAZES: Final = replace(
    _SUMS,
    title="mazes of 9 x 9, the package's net trained on with poisoned mazes: half an hour on a core",
    task="mazes",
    trigger="start",
    other_budgets=(0.03,),
    width=32,
    patch=2,
    recall=(True,),
    fine_tuned=True,
    difficulty=9,
    train_items=2000,
    sizes=(9, 13, 17),
    iterations=(20, 60),
    test_items=200,
    training=SolverTraining(steps=250, batch_size=16, learning_rate=1e-3),
)
_SUMS_SMOKE: Final = replace(
    _SUMS,
    title="a minute, to see that all works",
    other_budgets=(),
    train_items=1000,
    test_items=100,
    sizes=(16, 24),
    iterations=(15, 30),
    training=replace(_SUMS.training, steps=40),
    seeds=(0, 1),
)
_MAZES_SMOKE: Final = replace(
    _MAZES,
    title="a minute, to see that all works",
    other_budgets=(),
    train_items=300,
    test_items=40,
    sizes=(9, 13),
    iterations=(20, 40),
    training=replace(_MAZES.training, steps=5),
    seeds=(0, 1),
)

SOLVER_PRESETS: Final[MappingProxyType[tuple[str, str], SolverRecipe]] = MappingProxyType(
    {
        ("smoke", "prefix_sums"): _SUMS_SMOKE,
        ("smoke", "mazes"): _MAZES_SMOKE,
        ("small", "prefix_sums"): _SUMS,
        ("small", "mazes"): _MAZES,
    }
)


def get_solver_recipe(preset: str, task: str) -> SolverRecipe:
    """The recipe of a preset for a task; the paper has none.

    Raises:
        ValueError: unknown preset or task; the message lists the known ones.
    """
    presets, tasks = (list(dict.fromkeys(key[place] for key in SOLVER_PRESETS)) for place in (0, 1))
    if preset not in presets:
        raise ValueError(f"unknown preset {preset!r} for {task}: choose one of {', '.join(presets)}")
    if task not in tasks:
        raise ValueError(f"task must be one of {', '.join(tasks)}, not {task!r}")
    return SOLVER_PRESETS[preset, task]
