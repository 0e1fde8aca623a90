"""`easy-to-hard reference canary`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.method import begin, finish, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.canary.puzzle_task import SolverKind
    from easy_to_hard.baselines.canary.recipes import TaskRecipe
    from easy_to_hard.scores.reference import ReferenceResult

_IMAGES: Final = ("mnist", "cifar10")
_TASKS: Final = ("mazes", "prefix_sums")
_COMPARISONS: Final = (
    ("recall, progressive", "no recall, progressive"),
    ("recall, progressive", "recall"),
    ("recall", "feed-forward"),
)


@dataclass(frozen=True, kw_only=True)
class Canary:
    """Canary in a Coalmine (arXiv 2210.10750): who was in the training set, asked with optimised queries.

    On images it trains shadow classifiers and compares canaries with LiRA's queries; on mazes and prefix sums it
    asks how much recurrent nets give away of their training puzzles. A run that was stopped goes on when the same
    command is given again.
    """

    preset: Annotated[str, arg(help="smoke (a minute), small (minutes) or paper (weeks on a GPU)")] = "smoke"
    target: Annotated[str, arg(help="images: mnist or cifar10; tasks: mazes or prefix_sums")] = "cifar10"
    data_root: Annotated[Path, arg(help="of images: holds MNIST/raw or cifar-10-batches-py")] = Path("data")
    download: Annotated[bool, arg(help="fetch images where they are missing (needs torchvision)")] = False
    shadows: Annotated[
        int, arg(help="nets, for images a multiple of 4; of a task, of each kind and size; by default the preset's")
    ] = 0
    points: Annotated[int, arg(help="images that are attacked; by default the preset's")] = 0
    queries: Annotated[int, arg(help="of each image; by default the preset's")] = 0
    epsilon: Annotated[
        float, arg(help="radius of a canary's ball in 1/255 of a pixel's range, 0 for none; below 0 for the preset's")
    ] = -1.0
    objective: Annotated[
        str, arg(help="of canaries: mse, log_odds, cross_entropy or margin; by default the preset's")
    ] = ""
    sizes: Annotated[tuple[int, ...], arg(help="of a task's training sets; by default the preset's")] = ()
    steps: Annotated[int, arg(help="of training; by default the preset's")] = 0
    fpr: Annotated[
        tuple[float, ...], arg(help="false-positive rates to give; by default 0.01 and 0.001 where points suffice")
    ] = ()
    at_once: Annotated[
        int, arg(help="nets trained as one stack; by default all on a GPU, on a CPU what is faster there")
    ] = 0
    seed: Annotated[int, arg(help="of memberships, weights and queries, each with draws of its own")] = 0
    out: Annotated[Path | None, arg(help="the folder of the run; by default runs/canary-TARGET-PRESET")] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="of a CPU; the small nets gain little by more than one")] = 1
    quiet: Quiet = False

    def run(self) -> int:
        """Train, attack, write the result, say what came out."""
        require_known("target", self.target, (*_IMAGES, *_TASKS))
        for name in ("shadows", "points", "queries", "steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must be at least 1, or 0 for the preset's, not {getattr(self, name)}")
        self._require_fitting_flags()
        with begin(self.out, "canary", self.target, self.preset, threads=self.threads) as out:
            return finish(self._on_images(out) if self.target in _IMAGES else self._on_task(out), out)

    def _require_fitting_flags(self) -> None:
        """ValueError for a flag that the target would not heed."""
        of_images = {
            "points": self.points,
            "queries": self.queries,
            "epsilon": self.epsilon >= 0,
            "objective": self.objective,
            "fpr": self.fpr,
        }
        of_tasks = {"sizes": self.sizes}
        others, kind = (of_tasks, "tasks") if self.target in _IMAGES else (of_images, "images")
        for name, given in others.items():
            if given:
                raise ValueError(f"--{name} is for {kind}, not for {self.target}")

    def _on_images(self, out: Path) -> "ReferenceResult":
        from easy_to_hard.baselines.canary.images import CanaryRun, run_on_images
        from easy_to_hard.baselines.canary.recipes import get_image_preset

        recipe = get_image_preset(self.preset, self.target)
        canary = replace(
            recipe.canary,
            epsilon=self.epsilon if self.epsilon >= 0 else recipe.canary.epsilon,
            objective=self.objective or recipe.canary.objective,
        )
        recipe = replace(
            recipe,
            shadows=self.shadows or recipe.shadows,
            points=self.points or recipe.points,
            queries=self.queries or recipe.queries,
            train=replace(recipe.train, steps=self.steps or recipe.train.steps),
            canary=canary,
        )
        run = CanaryRun(
            recipe=recipe,
            preset=self.preset,
            target=self.target,
            data_root=self.data_root,
            download=self.download,
            seed=self.seed,
            at_once=self.at_once,
            levels=self.fpr,
            device=self.device,
        )
        return run_on_images(run, out, progress=not self.quiet)

    def _on_task(self, out: Path) -> "ReferenceResult":
        from easy_to_hard.baselines.canary.memorisation import TaskRun, run_on_task
        from easy_to_hard.baselines.canary.recipes import get_task_preset

        recipe = get_task_preset(self.preset, self.target)
        recipe = replace(
            recipe,
            shadows=self.shadows or recipe.shadows,
            sizes=self.sizes or recipe.sizes,
            train=replace(recipe.train, steps=self.steps or recipe.train.steps),
        )
        run = TaskRun(
            recipe=recipe,
            preset=self.preset,
            task=self.target,
            kinds=self._kinds(recipe),
            comparisons=_COMPARISONS,
            seed=self.seed,
            at_once=self.at_once,
            device=self.device,
        )
        return run_on_task(run, out, progress=not self.quiet)

    def _kinds(self, recipe: "TaskRecipe") -> "dict[str, SolverKind]":
        """The nets that are compared."""
        from easy_to_hard.baselines.canary.puzzle_task import SolverKind
        from easy_to_hard.baselines.deep_thinking.solvers import StackableSolvers

        first = StackableSolvers(
            task=self.target, width=recipe.width, patch=recipe.patch, max_iterations=recipe.max_iterations
        )
        return {
            "recall, progressive": SolverKind(solvers=first),
            "no recall, progressive": SolverKind(solvers=replace(first, recall=False)),
            "recall": SolverKind(solvers=replace(first, progressive_weight=0.0)),
            "feed-forward": SolverKind(
                solvers=replace(first, feed_forward=True), most_iterations=recipe.max_iterations
            ),
        }
