"""What the evaluations of all reference methods have in common: a recipe, a result file, and pictures.

Every method's folder has modules (or folders) `on_images` and `on_puzzles`, with
``run(recipe, folder, *, device, progress) -> ReferenceResult``, and `claims`, with
``claims(result) -> tuple[Claim, ...]``; `easy_to_hard.baselines.Baseline` calls them.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from easy_to_hard.baselines.kit.image_data import IMAGE_SETS
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.environment import __version__, describe_device, source_commit
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import Claim, Measurement, ReferenceResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

IMAGES: Final = IMAGE_SETS
"""Kinds of image data; everything else that a recipe may name is a task."""

# What does not decide a run's figures: its name, and where the data are.
_NOT_SETTINGS: Final = ("preset", "data_root", "download")


@dataclass(frozen=True, kw_only=True)
class ReferenceRecipe:
    """What an evaluation runs on; each method's recipes add how it runs.

    Attributes:
        preset: name of the recipe, for the result.
        data: "mnist", "cifar10", "folder" or a task.
        data_root: the folder that holds images.
        download: fetch images that are missing.
        seeds: one run each; at least one, all different, each at least 0.

    Raises:
        ValueError: seeds that are not allowed, or a fraction where a count is wanted, also in a subclass's fields.
    """

    preset: str
    data: str
    data_root: Path = Path("data")
    download: bool = False
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        check_integer_fields(self)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be at least one, all different, each at least 0, not {list(self.seeds)}")

    def settings(self) -> dict[str, Any]:
        """Everything that decides the figures, JSON-able: all fields but the names and where the data are."""
        return {name: value for name, value in asdict(self).items() if name not in _NOT_SETTINGS}

    def seed_settings(self) -> dict[str, Any]:
        """Everything that decides the figures of one seed, without "seeds": a run can get more of them later."""
        return {name: value for name, value in self.settings().items() if name != "seeds"}


def result_of(
    method: str,
    recipe: ReferenceRecipe,
    folder: RunFolder,
    *,
    question: str,
    device: torch.device | str,
    measurements: Iterable[Measurement],
    claims: Callable[[ReferenceResult], tuple[Claim, ...]],
    seeds: tuple[int, ...] | None = None,
    more: Mapping[str, Any] | None = None,
) -> ReferenceResult:
    """The result of a run, with the claims judged.

    Args:
        method: name in `BASELINES`.
        recipe: what was run.
        folder: the run's folder, which knows how long the run took.
        question: what was asked, in a sentence.
        device: of the run.
        measurements: everything that was measured.
        claims: the method's function that judges the claims of a result that has none yet.
        seeds: the seeds that gave figures; the recipe's by default.
        more: settings besides the recipe's, such as the number of weights or a note on the data.
    """
    found = ReferenceResult(
        method=method,
        preset=recipe.preset,
        data=recipe.data,
        question=question,
        commit=source_commit(),
        package_version=__version__,
        seeds=recipe.seeds if seeds is None else seeds,
        device=describe_device(str(device), torch.get_num_threads()),
        seconds=round(folder.seconds, 1),
        settings={**recipe.settings(), **(more or {})},
        measurements=tuple(measurements),
        claims=(),
    )
    return replace(found, claims=claims(found))


def figures_of_seed(
    folder: RunFolder,
    seed: int,
    examine: Callable[[int], Iterable[Figure]],
    *,
    settings: Mapping[str, Any] | None = None,
    part: str = "figures",
) -> list[Figure]:
    """The figures of one seed: from the part "seedN/figures" of a run, or made now and kept.

    Args:
        folder: of the run.
        seed: of the figures.
        examine: makes the figures of a seed.
        settings: what decides them besides the run's settings and the seed.
        part: name of the part, within that of the seed.

    Raises:
        ValueError: the part is damaged or has other settings.
    """
    rows = folder.rows(
        f"seed{seed}/{part}",
        lambda: [figure.to_row() for figure in examine(seed) if figure.num_items],
        settings={"seed": seed, **(settings or {})},
    )
    return [Figure.from_row(row) for row in rows]


def save_picture(draw: Callable[[], "Picture"], path: Path, *, dpi: int = 150) -> None:
    """Draw and save a picture if matplotlib, an optional dependency, is installed; do nothing otherwise."""
    with contextlib.suppress(ImportError):
        save_figure(draw(), path, dpi=dpi)
