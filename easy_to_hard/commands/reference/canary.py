"""`easy-to-hard reference canary`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from tyro.conf import arg

from easy_to_hard.commands.data import parse_shard
from easy_to_hard.commands.reference.method import MethodCommand, refuse_others, require_known
from easy_to_hard.storage.writing import hold_folder

if TYPE_CHECKING:
    from easy_to_hard.baselines.canary.recipes import ImageRecipe, PuzzleRecipe

_IMAGES: Final = ("mnist", "cifar10")
_TASKS: Final = ("mazes", "prefix_sums")
_ONLINE_ONLY: Final = ("kl",)


@dataclass(frozen=True, kw_only=True)
class Canary(MethodCommand):
    """Canary in a Coalmine (arXiv 2210.10750): membership inference with optimized queries.

    On images, it trains shadow classifiers and compares canaries with LiRA's queries; on mazes and prefix sums, it
    measures how much recurrent nets reveal about their training puzzles. An interrupted run continues when the same
    command is run again.
    """

    METHOD: ClassVar[str] = "canary"

    preset: Annotated[str, arg(help="smoke (minutes), small (an hour on a CPU core) or paper (weeks on a GPU)")] = (
        "smoke"
    )
    target: Annotated[str, arg(help="images: mnist or cifar10; tasks: mazes or prefix_sums")] = "mazes"
    shadows: Annotated[
        int,
        arg(
            help="number of shadow nets: on images a multiple of 4, on tasks for each kind of net and size of training "
            "set; by default the preset's"
        ),
    ] = 0
    points: Annotated[int, arg(help="number of images attacked; by default the preset's")] = 0
    queries: Annotated[int, arg(help="queries per image; by default the preset's")] = 0
    epsilon: Annotated[
        float | None,
        arg(
            help="radius of the ball around an image that its canaries stay in, in 1/255 of the pixel range; 0 for no "
            "limit; by default the preset's"
        ),
    ] = None
    objective: Annotated[
        str,
        arg(
            help="objective of the canaries: mse, log_odds, softmax, cross_entropy, reverse_cross_entropy, margin, or "
            "kl for online ones only (offline ones keep the preset's); by default the preset's"
        ),
    ] = ""
    stop_loss: Annotated[
        float | None,
        arg(help="offline, stop making a canary once its loss is at most this; by default the preset's (paper: 23)"),
    ] = None
    sizes: Annotated[tuple[int, ...], arg(help="for tasks: sizes of the training sets; by default the preset's")] = ()
    steps: Annotated[int, arg(help="training steps; by default the preset's")] = 0
    fpr: Annotated[
        tuple[float, ...],
        arg(help="false-positive rates to report; by default 0.01 and 0.001 if there are enough points"),
    ] = ()
    at_once: Annotated[
        int, arg(help="nets trained as one stack; by default all on a GPU, and on a CPU whatever is faster")
    ] = 0
    shard: Annotated[
        str,
        arg(
            help="I/N: train only the I-th of N shards of the shadow nets, for each process or machine another; then "
            "run the command without it in the same --out"
        ),
    ] = ""
    out: Annotated[Path | None, arg(help="the run folder; by default runs/canary-TARGET-PRESET")] = None
    seeds: Annotated[
        tuple[int, ...],
        arg(help="one run for each seed, with memberships, weights and queries of its own; by default the preset's"),
    ] = ()

    def run(self) -> int:
        """Run the method, or train a shard of its nets, which gives no result yet."""
        if not self.shard or self.dry_run:
            return super().run()
        from easy_to_hard.baselines.canary import on_images, on_puzzles
        from easy_to_hard.baselines.canary.recipes import ImageRecipe, PuzzleRecipe
        from easy_to_hard.baselines.canary.shards import Shard

        number, count = parse_shard(self.shard)
        shard = Shard(number=number, count=count)
        recipe, out = self.start()
        folder = shard.folder(out)
        with hold_folder(folder, "training of a shard"):
            if isinstance(recipe, ImageRecipe):
                on_images.train_shard(recipe, folder, shard, device=self.device, progress=not self.quiet)
            else:
                assert isinstance(recipe, PuzzleRecipe)
                on_puzzles.train_shard(recipe, folder, shard, device=self.device, progress=not self.quiet)
        print(f"{folder}\nonce all {shard.count} shards are trained, run the same command without --shard")
        return 0

    def recipe(self) -> "ImageRecipe | PuzzleRecipe":
        """See `MethodCommand`."""
        require_known("target", self.target, (*_IMAGES, *_TASKS))
        for name in ("shadows", "points", "queries", "steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must be at least 1, or 0 for the preset's, not {getattr(self, name)}")
        if self.target in _IMAGES:
            refuse_others("tasks", self.target, {"sizes": self.sizes or None})
            return self._image_recipe()
        of_images = {name: getattr(self, name) or None for name in ("points", "queries", "objective", "fpr")}
        refuse_others("images", self.target, {**of_images, "epsilon": self.epsilon, "stop-loss": self.stop_loss})
        return self._puzzle_recipe()

    def _image_recipe(self) -> "ImageRecipe":
        from easy_to_hard.baselines.canary.recipes import get_image_preset

        preset = get_image_preset(self.preset, self.target)
        epsilon = preset.online.epsilon if self.epsilon is None else self.epsilon
        objective = self.objective or preset.online.objective
        online = replace(preset.online, epsilon=epsilon, objective=objective)
        offline = replace(
            preset.offline,
            epsilon=epsilon,
            objective=preset.offline.objective if objective in _ONLINE_ONLY else objective,
            stop_loss=preset.offline.stop_loss if self.stop_loss is None else self.stop_loss,
        )
        return replace(
            preset,
            data_root=self.root,
            download=self.download,
            seeds=self.seeds or preset.seeds,
            shadows=self.shadows or preset.shadows,
            points=self.points or preset.points,
            queries=self.queries or preset.queries,
            train=replace(preset.train, steps=self.steps or preset.train.steps),
            at_once=self.at_once,
            online=online,
            offline=offline,
            levels=self.fpr,
        )

    def _puzzle_recipe(self) -> "PuzzleRecipe":
        from easy_to_hard.baselines.canary.recipes import get_puzzle_preset

        preset = get_puzzle_preset(self.preset, self.target)
        return replace(
            preset,
            seeds=self.seeds or preset.seeds,
            shadows=self.shadows or preset.shadows,
            sizes=self.sizes or preset.sizes,
            train=replace(preset.train, steps=self.steps or preset.train.steps),
            at_once=self.at_once,
        )
