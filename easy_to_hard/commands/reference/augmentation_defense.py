"""`easy-to-hard reference augmentation-defense`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from tyro.conf import arg

from easy_to_hard.commands.reference.method import MethodCommand, refuse_others, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe, PuzzleRecipe
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe

_TASKS: Final = ("mazes", "prefix_sums")
_IMAGES: Final = ("mnist", "cifar10")


@dataclass(frozen=True, kw_only=True)
class AugmentationDefense(MethodCommand):
    """Strong augmentation against poisoning and backdoors (arXiv 2011.09527).

    On images, it poisons a training set, trains nets on it under each defense, and measures how often the attack
    succeeds and what the defense costs. On mazes and prefix sums, it plants a backdoor in easy puzzles and tries it on
    harder ones with more iterations. An interrupted run continues when the same command is run again.
    """

    METHOD: ClassVar[str] = "augmentation_defense"

    preset: Annotated[
        str, arg(help="smoke (a minute or two), small (minutes) or, for images, paper (days on a GPU)")
    ] = "smoke"
    data: Annotated[str, arg(help="images: mnist or cifar10; tasks: mazes or prefix_sums")] = "mnist"
    attack: Annotated[
        str,
        arg(
            help="on images: backdoor, clean_label_backdoor, gradient_matching or feature_collision; "
            "on tasks, the trigger: prefix or off_value for prefix sums, start or corner for mazes"
        ),
    ] = ""
    defenses: Annotated[
        tuple[str, ...],
        arg(
            help="on images: none, mixup, mixup4, cutmix, cutout, maxup, dp_sgd; on tasks: none, mixup, cutout, maxup, "
            "dp_sgd; by default all"
        ),
    ] = ()
    budget: Annotated[float | None, arg(help="share of the training set that is poisoned; by default the preset's")] = (
        None
    )
    seeds: Annotated[tuple[int, ...], arg(help="seeds of the nets; by default the preset's")] = ()
    keys: Annotated[
        int | None,
        arg(help="number of target images for gradient_matching and feature_collision; by default the preset's"),
    ] = None
    data_root: Annotated[Path, arg(help="for images: the folder with MNIST/raw or cifar-10-batches-py")] = Path("data")
    download: Annotated[bool, arg(help="download MNIST or CIFAR-10 if missing (needs torchvision)")] = False
    train_images: Annotated[
        int | None, arg(help="train on the first N images, 0 for all; by default the preset's", metavar="N")
    ] = None
    steps: Annotated[int | None, arg(help="for tasks: training steps; by default the preset's")] = None
    out: Annotated[
        Path | None, arg(help="the run folder; by default runs/augmentation-defense-DATA[-ATTACK]-PRESET")
    ] = None

    def recipe(self) -> "ImageRecipe | PuzzleRecipe":
        """See `MethodCommand`."""
        require_known("data", self.data, (*_IMAGES, *_TASKS))
        return self._image_recipe() if self.data in _IMAGES else self._puzzle_recipe()

    def name_parts(self, recipe: "ReferenceRecipe") -> Sequence[str]:
        """Data, attack and preset; on a task, the attack only if it was given."""
        return recipe.data, self.attack or ("backdoor" if self.data in _IMAGES else ""), recipe.preset

    def _image_recipe(self) -> "ImageRecipe":
        from easy_to_hard.baselines.augmentation_defense.recipes import get_image_recipe

        refuse_others("tasks", self.data, {"steps": self.steps})
        recipe = get_image_recipe(self.preset, self.data, self.attack or "backdoor")
        return replace(recipe, data_root=self.data_root, download=self.download, **self._given("keys", "train_images"))

    def _puzzle_recipe(self) -> "PuzzleRecipe":
        from easy_to_hard.baselines.augmentation_defense.recipes import get_puzzle_recipe

        refuse_others("images", self.data, {"keys": self.keys, "train-images": self.train_images})
        recipe = get_puzzle_recipe(self.preset, self.data)
        steps = recipe.training.steps if self.steps is None else self.steps
        return replace(
            recipe,
            trigger=self.attack or recipe.trigger,
            training=replace(recipe.training, steps=steps),
            **self._given(),
        )

    def _given(self, *names: str) -> dict[str, Any]:
        """The flags that were given, which replace the preset's settings."""
        given = {name: getattr(self, name) for name in ("budget", *names) if getattr(self, name) is not None}
        return given | {name: getattr(self, name) for name in ("seeds", "defenses") if getattr(self, name)}
