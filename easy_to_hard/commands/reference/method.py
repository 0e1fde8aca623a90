"""What the commands of all reference methods share: a command only turns flags into a recipe."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from tyro.conf import arg

from easy_to_hard.commands.nets import Device, Quiet
from easy_to_hard.commands.reference.show import describe_reference
from easy_to_hard.storage.writing import hold_folder

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe

_RESULT: Final = "result.json"
# The most measurements that a run prints; `show` prints all.
_MOST_LINES: Final = 60


@dataclass(frozen=True, kw_only=True)
class MethodCommand(ABC):
    """The command of a reference method: it turns flags into a recipe for the method's `run`.

    By default every method runs on mazes, which need no files.
    """

    METHOD: ClassVar[str]

    data_root: Annotated[
        Path | None,
        arg(
            help="for images: the folder with MNIST/raw, cifar-10-batches-py, or train/CLASS and test/CLASS; by "
            "default data"
        ),
    ] = None
    download: Annotated[bool, arg(help="download MNIST or CIFAR-10 if missing (needs torchvision)")] = False
    out: Annotated[Path | None, arg(help="the run folder; by default runs/METHOD-DATA-PRESET")] = None
    device: Device = "cpu"
    threads: Annotated[int, arg(help="CPU threads; the small nets gain little from more than one")] = 1
    quiet: Quiet = False
    dry_run: Annotated[
        bool,
        arg(
            help="train nothing: print nets, steps, and an estimate of the time from a timed step of each kind "
            "(on images)"
        ),
    ] = False

    @property
    def root(self) -> Path:
        """The folder that holds the images."""
        return Path("data") if self.data_root is None else self.data_root

    @abstractmethod
    def recipe(self) -> "ReferenceRecipe":
        """What to run.

        Raises:
            ValueError: flags that are not allowed, or not allowed together.
        """

    def name_parts(self, recipe: "ReferenceRecipe") -> Sequence[str]:
        """The parts of the default folder's name, after the name of the method."""
        return recipe.data, recipe.preset

    def start(self) -> "tuple[ReferenceRecipe, Path]":
        """The recipe and the run folder, with the number of threads set."""
        import torch

        from easy_to_hard.baselines.kit.evaluation import IMAGES

        if self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")
        recipe = self.recipe()
        if recipe.data not in IMAGES:
            refuse_others("images", recipe.data, {"data-root": self.data_root, "download": self.download or None})
        torch.set_num_threads(self.threads)
        return recipe, self._default_folder(recipe) if self.out is None else self.out

    def run(self) -> int:
        """Run the method, and write and print the result."""
        from easy_to_hard.baselines import get_baseline
        from easy_to_hard.scores.reference import write_reference_result

        recipe, out = self.start()
        if self.dry_run:
            print(self._estimate(recipe))
            return 0
        with hold_folder(out, "run"):
            result = get_baseline(self.METHOD).run(recipe, out, device=self.device, progress=not self.quiet)
            write_reference_result(result, out / _RESULT)
        print(describe_reference(result, most=_MOST_LINES))
        for path in (out / _RESULT, *sorted(out.glob("*.png"))):
            print(path)
        return 0

    def _estimate(self, recipe: "ReferenceRecipe") -> str:
        from easy_to_hard.baselines import get_baseline
        from easy_to_hard.baselines.kit.precision import get_device
        from easy_to_hard.baselines.kit.work import describe_estimates, estimate

        device = get_device(self.device)
        return describe_estimates([estimate(work, device) for work in get_baseline(self.METHOD).plan(recipe)], device)

    def _default_folder(self, recipe: "ReferenceRecipe") -> Path:
        name = "-".join(part for part in (self.METHOD, *self.name_parts(recipe)) if part)
        for separator in "_:/":
            name = name.replace(separator, "-")
        return Path("runs") / name


def require_known(flag: str, value: str, known: Sequence[str]) -> None:
    """Raise a ValueError that lists the known values if the value of a flag is not one of them."""
    if value not in known:
        raise ValueError(f"--{flag} must be one of {', '.join(known)}, not {value!r}")


def refuse_others(kind: str, data: str, flags: Mapping[str, object]) -> None:
    """Raise a ValueError for a flag that was given but does not apply to the chosen data.

    Args:
        kind: what the flags are for, such as "images".
        data: what was chosen instead.
        flags: names as on the command line -> values; None for a flag that was not given.
    """
    for name, value in flags.items():
        if value is not None:
            raise ValueError(f"--{name} is for {kind}, not for {data}")
