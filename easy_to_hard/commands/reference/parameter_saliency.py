"""`easy-to-hard reference parameter-saliency`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.method import begin, finish

if TYPE_CHECKING:
    from easy_to_hard.baselines.parameter_saliency.recipes import Recipe
    from easy_to_hard.baselines.parameter_saliency.running import Nets


@dataclass(frozen=True, kw_only=True)
class ParameterSaliency:
    """Parameter-space saliency (arXiv 2108.01335): find the filters to blame for wrong answers.

    It turns off and tunes the most salient filters of each wrong item, against random and least salient ones, and asks
    whether items near in saliency are wrong in the same way and which inputs make the filters salient. A run that was
    stopped goes on when the same command is given again.
    """

    preset: Annotated[str, arg(help="smoke (a minute), small (minutes) or paper (ImageNet, days on a GPU)")] = "smoke"
    data: Annotated[str, arg(help="images: mnist, cifar10 or folder; tasks: mazes or prefix_sums")] = "mnist"
    model: Annotated[
        str,
        arg(
            help="images: small_cnn, trained here; folder with --preset paper: resnet50, vgg19, densenet121 or "
            "inception_v3 of torchvision; tasks: trained (here, briefly) or shipped (on harder puzzles); by default "
            "the first of them, resnet50 of the paper's"
        ),
    ] = ""
    data_root: Annotated[
        Path,
        arg(
            help="of images: holds MNIST/raw, cifar-10-batches-py, or train/CLASS and test/CLASS; of the paper's nets: "
            "ImageNet's validation set as CLASS/*.JPEG"
        ),
    ] = Path("data")
    seeds: Annotated[tuple[int, ...], arg(help="one net each, by default the preset's")] = ()
    items: Annotated[int, arg(help="test items; by default the preset's", metavar="N")] = 0
    k: Annotated[int, arg(help="filters that are turned off and tuned; by default the preset's", metavar="K")] = 0
    out: Annotated[
        Path | None, arg(help="the folder of the run; by default runs/parameter-saliency-DATA-MODEL-PRESET")
    ] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="of a CPU; the small nets gain nothing by more than one")] = 1
    quiet: Quiet = False

    def run(self) -> int:
        """Train where need be, measure, write the result, say what came out."""
        from easy_to_hard.baselines.parameter_saliency.recipes import TORCHVISION, get_recipe, models_of
        from easy_to_hard.baselines.parameter_saliency.running import run_saliency

        model = self.model or (TORCHVISION[0] if self.preset == "paper" else models_of(self.data)[0])
        recipe = get_recipe(self.preset, self.data, model).changed(items=self.items, k=self.k, seeds=self.seeds)
        with begin(self.out, "parameter-saliency", self.data, model, self.preset, threads=self.threads) as out:
            result = run_saliency(
                self._nets(recipe, model),
                recipe,
                out,
                preset=self.preset,
                data=self.data,
                model=model,
                device=self.device,
                progress=not self.quiet,
            )
            return finish(result, out)

    def _nets(self, recipe: "Recipe", model: str) -> "Nets":
        from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers, shipped_solver
        from easy_to_hard.baselines.kit.precision import get_device
        from easy_to_hard.baselines.parameter_saliency.examined import PuzzleNets, load_image_nets
        from easy_to_hard.baselines.parameter_saliency.pretrained import load_torchvision_nets
        from easy_to_hard.baselines.parameter_saliency.recipes import SHIPPED, TASKS, TORCHVISION

        device = get_device(self.device)
        if model in TORCHVISION:
            return load_torchvision_nets(recipe, model, self.data_root, device)
        if self.data not in TASKS:
            return load_image_nets(recipe, self.data, self.data_root, device)
        patch = 2 if self.data == "mazes" else 1
        return PuzzleNets(
            recipe=recipe,
            task=self.data,
            solvers=RecurrentSolvers(task=self.data, width=recipe.width, patch=patch, max_iterations=recipe.iterations),
            shipped=shipped_solver(self.data, self.device) if model == SHIPPED else None,
            device=device,
        )
