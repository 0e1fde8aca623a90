"""`easy-to-hard reference cold-diffusion`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.method import begin, finish, require_known

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import ReferenceResult

_TASKS: Final = ("mazes", "prefix_sums")
_IMAGES: Final = ("mnist", "cifar10", "folder")


@dataclass(frozen=True, kw_only=True)
class ColdDiffusion:
    """Cold diffusion (arXiv 2208.09392): undo a degradation without noise, at once or step by step.

    On images it trains a restorer and compares direct restoration, Algorithm 1 and Algorithm 2; on mazes and prefix
    sums the degradation takes solutions apart, and going back solves. A run that was stopped goes on when the same
    command is given again.
    """

    preset: Annotated[str, arg(help="smoke (a minute or two), small (minutes a seed) or paper (days on a GPU)")] = (
        "smoke"
    )
    data: Annotated[str, arg(help="images: mnist, cifar10 or folder; tasks: mazes or prefix_sums")] = "mnist"
    degradation: Annotated[
        str,
        arg(
            help="of images: blur, blur_offset, blur_to_mean, mask, mask_random, mask_colour, pixelate, snow, "
            "desaturate, animorphosis or noise"
        ),
    ] = "blur"
    data_root: Annotated[
        Path, arg(help="of images: holds MNIST/raw, cifar-10-batches-py, or train/CLASS and test/CLASS")
    ] = Path("data")
    others: Annotated[str, arg(help="a second set of images, which animorphosis turns the first into")] = ""
    download: Annotated[bool, arg(help="fetch MNIST or CIFAR-10 where they are missing (needs torchvision)")] = False
    severities: Annotated[int, arg(help="of the degradation of images; by default the preset's", metavar="T")] = 0
    seeds: Annotated[
        tuple[int, ...], arg(help="one run each, by default the preset's; of a task the first of as many")
    ] = ()
    generate: Annotated[int, arg(help="make so many images from nothing as well")] = 0
    components: Annotated[int, arg(help="of the Gaussian mixture that generation starts from")] = 1
    inception_weights: Annotated[
        Path | None,
        arg(help="torch-fidelity's file of Inception weights, for FID as in papers; else a classifier trained here"),
    ] = None
    out: Annotated[
        Path | None, arg(help="the folder of the run; by default runs/cold-diffusion-DATA[-DEGRADATION]-PRESET")
    ] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="of a CPU; the small nets gain nothing by more than one")] = 1
    quiet: Quiet = False

    def run(self) -> int:
        """Train, test, write the result, say what came out."""
        require_known("data", self.data, (*_IMAGES, *_TASKS))
        degradation = self.degradation if self.data in _IMAGES else ""
        with begin(self.out, "cold-diffusion", self.data, degradation, self.preset, threads=self.threads) as out:
            return finish(self._on_images(out) if self.data in _IMAGES else self._on_task(out), out)

    def _on_images(self, out: Path) -> "ReferenceResult":
        from easy_to_hard.baselines.cold_diffusion.images import ImageRun, run_on_images
        from easy_to_hard.baselines.cold_diffusion.recipes import get_preset

        run = ImageRun(
            recipe=get_preset(self.preset, self.data),
            preset=self.preset,
            degradation=self.degradation,
            data=self.data,
            data_root=self.data_root,
            others=self.others,
            download=self.download,
            severities=self.severities,
            seeds=self.seeds,
            generate=self.generate,
            components=self.components,
            inception_weights=self.inception_weights,
            device=self.device,
        )
        return run_on_images(run, out, progress=not self.quiet)

    def _on_task(self, out: Path) -> "ReferenceResult":
        from easy_to_hard.baselines.cold_diffusion.solving import run_on_task
        from easy_to_hard.baselines.deep_thinking.solvers import shipped_maze_solver

        if len(self.seeds) > 1:
            raise ValueError(f"--seeds must be one number for a task, the first of its seeds, not {list(self.seeds)}")
        return run_on_task(
            self.data,
            self.preset,
            out,
            seed=self.seeds[0] if self.seeds else 0,
            device=self.device,
            progress=not self.quiet,
            solver=shipped_maze_solver(self.device) if self.data == "mazes" else None,
        )
