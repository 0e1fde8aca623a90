"""`easy-to-hard reference augmentation-defense`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.method import begin, finish, require_known

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import ReferenceResult

_TASKS: Final = ("mazes", "prefix_sums")
_IMAGES: Final = ("mnist", "cifar10")


@dataclass(frozen=True, kw_only=True)
class AugmentationDefense:
    """Strong augmentation against poisoning and backdoors (arXiv 2011.09527).

    On images it poisons a training set, trains nets on it under each defence, and measures how often the attacker
    gets what it wants and what the defence costs. On mazes and prefix sums a backdoor is planted in easy puzzles, and
    tried on harder ones with more iterations. A run that was stopped goes on when the same command is given again.
    """

    preset: Annotated[
        str, arg(help="smoke (a minute or two), small (minutes) or, of images, paper (days on a GPU)")
    ] = "smoke"
    data: Annotated[str, arg(help="images: mnist or cifar10; tasks: mazes or prefix_sums")] = "mnist"
    attack: Annotated[
        str,
        arg(
            help="on images: backdoor, clean_label_backdoor, gradient_matching or feature_collision; "
            "on tasks the trigger: prefix or off_value of prefix sums, start or corner of mazes"
        ),
    ] = ""
    defenses: Annotated[
        tuple[str, ...],
        arg(
            help="of images: none, mixup, mixup4, cutmix, cutout, maxup, dp_sgd; of tasks: none, mixup, cutout, maxup, "
            "dp_sgd; by default all"
        ),
    ] = ()
    budget: Annotated[float | None, arg(help="share of the training set that is poisoned; by default the preset's")] = (
        None
    )
    seeds: Annotated[tuple[int, ...], arg(help="of the nets; by default the preset's")] = ()
    keys: Annotated[
        int | None, arg(help="target images of gradient_matching and feature_collision; by default the preset's")
    ] = None
    data_root: Annotated[Path, arg(help="of images: holds MNIST/raw or cifar-10-batches-py")] = Path("data")
    download: Annotated[bool, arg(help="fetch MNIST or CIFAR-10 where they are missing (needs torchvision)")] = False
    train_images: Annotated[
        int | None, arg(help="the first so many, 0 for all; by default the preset's", metavar="N")
    ] = None
    steps: Annotated[int | None, arg(help="of a task: batches in training; by default the preset's")] = None
    out: Annotated[
        Path | None, arg(help="the folder of the run; by default runs/augmentation-defense-DATA[-ATTACK]-PRESET")
    ] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="of a CPU; the small nets gain little by more than one")] = 1
    quiet: Quiet = False

    def run(self) -> int:
        """Attack, defend, write the result, say what came out."""
        require_known("data", self.data, (*_IMAGES, *_TASKS))
        attack = self.attack or ("backdoor" if self.data in _IMAGES else "")
        with begin(self.out, "augmentation-defense", self.data, attack, self.preset, threads=self.threads) as out:
            return finish(self._on_images(attack, out) if self.data in _IMAGES else self._on_task(out), out)

    def _on_images(self, attack: str, out: Path) -> "ReferenceResult":
        from dataclasses import replace

        from easy_to_hard.baselines.augmentation_defense.images import run_on_images
        from easy_to_hard.baselines.augmentation_defense.recipes import get_recipe

        if self.steps is not None:
            raise ValueError(f"--steps is of tasks, not of images, where it was given as {self.steps}")
        changes = self._given("keys", "train_images")
        return run_on_images(
            replace(get_recipe(self.preset, self.data, attack), **changes),
            self.preset,
            self.data,
            self.data_root,
            out,
            download=self.download,
            device=self.device,
            progress=not self.quiet,
        )

    def _on_task(self, out: Path) -> "ReferenceResult":
        from dataclasses import replace

        from easy_to_hard.baselines.augmentation_defense.solver_recipes import get_solver_recipe
        from easy_to_hard.baselines.augmentation_defense.solving import run_on_task
        from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers

        for name in ("keys", "train_images"):
            if getattr(self, name) is not None:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} is of images, not of tasks, where it was given as {getattr(self, name)}")
        recipe = get_solver_recipe(self.preset, self.data)
        changes = self._given()
        if self.attack:
            changes["trigger"] = self.attack
        if self.steps is not None:
            changes["training"] = replace(recipe.training, steps=self.steps)
        recipe = replace(recipe, **changes)
        solvers = {
            recall: RecurrentSolvers(
                task=self.data,
                width=recipe.width,
                recall=recall,
                max_iterations=recipe.max_iterations,
                patch=recipe.patch,
                shipped=recipe.fine_tuned,
            )
            for recall in recipe.recall
        }
        return run_on_task(recipe, self.preset, solvers, out, device=self.device, progress=not self.quiet)

    def _given(self, *names: str) -> dict[str, Any]:
        """Settings that stand in for the preset's."""
        given = {name: getattr(self, name) for name in ("budget", *names) if getattr(self, name) is not None}
        return given | {name: getattr(self, name) for name in ("seeds", "defenses") if getattr(self, name)}
