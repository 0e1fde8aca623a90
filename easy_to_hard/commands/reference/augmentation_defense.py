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
_IMAGES: Final = ("cifar10", "mnist")
_CRAFT: Final = ("surrogates", "restarts", "chunk")
_OF_IMAGES: Final = ("scenario", "adaptive", "intended")


@dataclass(frozen=True, kw_only=True)
class AugmentationDefense(MethodCommand):
    """Strong augmentation against poisoning and backdoors (arXiv 2011.09527).

    On images, it poisons a training set, trains nets on it under each defense, and measures how often the attack
    succeeds and what the defense costs. On mazes and prefix sums, it plants a backdoor in easy puzzles and tries it on
    harder ones with more iterations. An interrupted run continues when the same command is run again.
    """

    METHOD: ClassVar[str] = "augmentation_defense"

    preset: Annotated[
        str,
        arg(
            help="smoke (a minute or two), small (minutes) or paper (days on a GPU): for cifar10, a backdoor or "
            "gradient_matching from scratch"
        ),
    ] = "smoke"
    data: Annotated[str, arg(help="images: cifar10 or mnist; tasks: mazes or prefix_sums")] = "mazes"
    attack: Annotated[
        str,
        arg(
            help="on images: clean_label_backdoor, dirty_label_backdoor, gradient_matching, bullseye or "
            "feature_collision; on tasks, the trigger: prefix or off_value for prefix sums, start or corner for mazes"
        ),
    ] = ""
    scenario: Annotated[
        str,
        arg(
            help="for images: from_scratch, or transfer: victims keep a body that the attacker knows, and train a new "
            "last layer; by default that in which the attack is known to work"
        ),
    ] = ""
    adaptive: Annotated[
        bool, arg(help="for images: the attacker knows the defense and optimizes poisons through it")
    ] = False
    intended: Annotated[
        str,
        arg(help="for images: the class that a target should be given, runner_up or random; by default the preset's"),
    ] = ""
    surrogates: Annotated[
        int | None, arg(help="for images: nets that poisons are optimized on at once; by default the preset's")
    ] = None
    restarts: Annotated[
        int | None, arg(help="for images: random starts of which the best poisons are kept; by default the preset's")
    ] = None
    chunk: Annotated[
        int | None,
        arg(help="for images: poisons at a time that are optimized, to save memory; by default the preset's"),
    ] = None
    defenses: Annotated[
        tuple[str, ...],
        arg(
            help="on images: none, mixup, mixup4, cutmix, cutout, maxup, dp_sgd, spectral_signatures, "
            "activation_clustering; on tasks: none, mixup, cutout, maxup, dp_sgd; by default all"
        ),
    ] = ()
    budget: Annotated[float | None, arg(help="share of the training set that is poisoned; by default the preset's")] = (
        None
    )
    other_budgets: Annotated[
        tuple[float, ...],
        arg(help="further budgets of a backdoor, on tasks only without a defense; by default the preset's"),
    ] = ()
    seeds: Annotated[tuple[int, ...], arg(help="seeds of the nets; by default the preset's")] = ()
    keys: Annotated[
        int | None,
        arg(help="number of target images of attacks that optimize poisons; by default the preset's"),
    ] = None
    train_images: Annotated[
        int | None, arg(help="train on the first N images, 0 for all; by default the preset's", metavar="N")
    ] = None
    steps: Annotated[int | None, arg(help="for tasks: training steps; by default the preset's")] = None
    out: Annotated[
        Path | None,
        arg(help="the run folder; by default runs/augmentation-defense-DATA[-ATTACK][-SCENARIO][-adaptive]-PRESET"),
    ] = None

    def recipe(self) -> "ImageRecipe | PuzzleRecipe":
        """See `MethodCommand`."""
        require_known("data", self.data, (*_IMAGES, *_TASKS))
        return self._image_recipe() if self.data in _IMAGES else self._puzzle_recipe()

    def name_parts(self, recipe: "ReferenceRecipe") -> Sequence[str]:
        """Data, attack and preset; on a task, the attack only if it was given; and what is unusual about the attack."""
        from easy_to_hard.baselines.augmentation_defense.recipes import ImageRecipe

        if not isinstance(recipe, ImageRecipe):
            return recipe.data, self.attack, recipe.preset
        scenario = recipe.scenario if recipe.crafted else ""
        return recipe.data, recipe.attack, scenario, "adaptive" if self.adaptive else "", recipe.preset

    def _image_recipe(self) -> "ImageRecipe":
        from easy_to_hard.baselines.augmentation_defense.recipes import get_image_recipe

        refuse_others("tasks", self.data, {"steps": self.steps})
        recipe = get_image_recipe(self.preset, self.data, self.attack, self.scenario)
        if not recipe.crafted:
            given = {name: getattr(self, name) for name in (*_CRAFT, "keys", "intended")}
            for name, value in given.items():
                if value not in (None, ""):
                    raise ValueError(f"--{name} is for attacks that optimize poisons, not for {recipe.attack}")
        craft = {name: getattr(self, name) for name in _CRAFT if getattr(self, name) is not None}
        intended: dict[str, Any] = {"intended": self.intended} if self.intended else {}
        return replace(
            recipe,
            data_root=self.root,
            download=self.download,
            adaptive=self.adaptive,
            craft=replace(recipe.craft, **craft),
            **intended,
            **self._given("keys", "train_images"),
        )

    def _puzzle_recipe(self) -> "PuzzleRecipe":
        from easy_to_hard.baselines.augmentation_defense.recipes import get_puzzle_recipe

        refuse_others("images", self.data, {"keys": self.keys, "train-images": self.train_images})
        refuse_others("images", self.data, {name: getattr(self, name) for name in _CRAFT})
        refuse_others("images", self.data, {name: getattr(self, name) or None for name in _OF_IMAGES})
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
        several = ("other_budgets", "seeds", "defenses")
        return given | {name: getattr(self, name) for name in several if getattr(self, name)}
