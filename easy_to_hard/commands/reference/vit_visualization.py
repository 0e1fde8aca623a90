"""`easy-to-hard reference vit-visualization`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.method import begin, finish, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.vit_visualization.recipes import Recipe

_DATA: Final = ("mnist", "cifar10", "folder", "mazes")


@dataclass(frozen=True, kw_only=True)
class VitVisualization:
    """What vision transformers learn (arXiv 2212.06727): images that neurons answer to, and what tokens hold.

    On images a tiny ViT is trained beside a convolutional net, or a trained ViT loaded; on mazes a tiny ViT is
    trained, or the recurrent net that comes with the package looked at, and the maps of features are scored against
    what they could follow. A run that was stopped goes on when the same command is given again.
    """

    preset: Annotated[str, arg(help="smoke (a minute), small (minutes a seed) or paper (hours on a GPU)")] = "smoke"
    data: Annotated[str, arg(help="mnist, cifar10, folder or mazes")] = "mnist"
    model: Annotated[
        str,
        arg(
            help="tiny_vit, which is trained here; on images also vit_b_16, vit_b_32, swin_t, timm:NAME or clip:NAME; "
            "on mazes also recurrent, the net that comes with the package"
        ),
    ] = "tiny_vit"
    data_root: Annotated[
        Path, arg(help="of images: holds MNIST/raw, cifar-10-batches-py, or train/CLASS and test/CLASS")
    ] = Path("data")
    download: Annotated[bool, arg(help="fetch MNIST or CIFAR-10 where they are missing (needs torchvision)")] = False
    layers: Annotated[
        tuple[int, ...], arg(help="blocks or iterations to look at, from 0; by default the preset's")
    ] = ()
    neurons: Annotated[tuple[int, ...], arg(help="of each layer, from 0; by default some, drawn at random")] = ()
    seeds: Annotated[tuple[int, ...], arg(help="one run each; by default the preset's")] = ()
    steps: Annotated[int, arg(help="of making an image; by default the preset's")] = 0
    train_steps: Annotated[int, arg(help="of training a net; by default the preset's")] = 0
    batch_size: Annotated[
        int, arg(help="images a step of training, a fourth as many mazes; by default the preset's")
    ] = 0
    test_images: Annotated[int, arg(help="on which nets are tested; by default the preset's")] = 0
    out: Annotated[
        Path | None, arg(help="the folder of the run; by default runs/vit-visualization-DATA-MODEL-PRESET")
    ] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="of a CPU; the small nets gain nothing by more than one")] = 1
    quiet: Quiet = False

    def run(self) -> int:
        """Train or load, measure, write the result, say what came out."""
        require_known("data", self.data, _DATA)
        for name in ("steps", "train_steps", "batch_size", "test_images"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 0, not {getattr(self, name)}")
        from easy_to_hard.baselines.vit_visualization.recipes import get_preset
        from easy_to_hard.baselines.vit_visualization.runs import Run

        run = Run(
            recipe=self._changed(get_preset(self.preset)),
            preset=self.preset,
            data=self.data,
            model=self.model,
            data_root=self.data_root,
            download=self.download,
            layers=self.layers,
            neurons=self.neurons,
            seeds=self.seeds,
            device=self.device,
        )
        with begin(self.out, "vit-visualization", self.data, self.model, self.preset, threads=self.threads) as out:
            if self.data == "mazes":
                from easy_to_hard.baselines.deep_thinking.solvers import shipped_solver
                from easy_to_hard.baselines.vit_visualization.mazes import run_on_mazes

                result = run_on_mazes(
                    run, out, solver=lambda: shipped_solver("mazes", self.device), progress=not self.quiet
                )
            else:
                from easy_to_hard.baselines.vit_visualization.images import run_on_images

                result = run_on_images(run, out, progress=not self.quiet)
            return finish(result, out)

    def _changed(self, recipe: "Recipe") -> "Recipe":
        """The preset with the flags that were given."""
        if self.steps:
            recipe = replace(recipe, ascent=replace(recipe.ascent, steps=self.steps))
        if self.train_steps:
            recipe = replace(recipe, loop=replace(recipe.loop, steps=self.train_steps))
        given = {name: getattr(self, name) for name in ("batch_size", "test_images") if getattr(self, name)}
        return replace(recipe, **given)
