"""The evaluation of each seed's net: its mistakes, the experiments on them, and the measurements over seeds."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.evaluation import IMAGES, figures_of_seed, result_of, save_picture
from easy_to_hard.baselines.kit.puzzles import Puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.statistics import Figure, summarize
from easy_to_hard.baselines.parameter_saliency.claims import ITEMS_RIGHT, claims
from easy_to_hard.baselines.parameter_saliency.error_types import Errors
from easy_to_hard.baselines.parameter_saliency.input_saliency import (
    MAP_KINDS,
    POINTED,
    LocatedErrors,
    MapKind,
    pointing_game,
    saliency_maps,
)
from easy_to_hard.baselines.parameter_saliency.mistakes import Mistakes
from easy_to_hard.baselines.parameter_saliency.neighbors import look, nearest, purity
from easy_to_hard.baselines.parameter_saliency.pictures import plot_inputs, plot_neighbors, save_figures
from easy_to_hard.baselines.parameter_saliency.profiles import Items, ProfiledNet, Standard
from easy_to_hard.baselines.parameter_saliency.pruning import prune
from easy_to_hard.baselines.parameter_saliency.recipes import SaliencyRecipe
from easy_to_hard.baselines.parameter_saliency.tuning import Groups, tune, tune_by_smallest_rate
from easy_to_hard.scores.reference import ReferenceResult

QUESTION: Final = "Are the filters whose weights pull most at the loss of a wrong answer the ones that are to blame?"
LOUDEST: Final = "top filters in the convolution with the largest gradients"
INPUTS_PICTURE: Final = "input_saliency.png"
NEIGHBORS_PICTURE: Final = "neighbors.png"

# With fewer wrong items than this, nothing can be concluded.
_FEWEST: Final = 3
_TOP: Final = 10


class NothingToExamineError(RuntimeError):
    """A net answers (almost) everything right, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A net's answers to its test items.

    Attributes:
        items: all test items.
        is_right: (N,) bool, on the CPU.
        mistakes: the wrong items, as the experiments take them.
        errors: the error types and places of the wrong items.
        standard: the statistics of the filters over all items.
        raw: profiles of the wrong items before standardization: (wrong items, F).
    """

    items: Items
    is_right: Tensor
    mistakes: Mistakes
    errors: Errors
    standard: Standard
    raw: Tensor


@dataclass(frozen=True, kw_only=True)
class NetSource(ABC):
    """Where a run's nets and test items come from, and what differs between images and puzzles.

    Attributes:
        recipe: settings of the run.
        device: device of the nets and, if they fit, of the items.
        note: a note on the data for the result; may be empty.
        locates: whether `locate` knows the places of errors; without them, maps are made for the pictures alone.
    """

    recipe: SaliencyRecipe
    device: torch.device
    note: str = ""
    locates: ClassVar[bool] = True

    @abstractmethod
    def count_filters(self) -> int:
        """Number of filters of a net, known before anything is trained."""

    @abstractmethod
    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Items]:
        """The seed's net, trained or loaded from the run folder, and its items."""

    @abstractmethod
    def errors(self, wrong: Puzzles, predicted: Tensor) -> Errors:
        """How wrong items are wrong, judged by the net's answers (N, *positions) int64."""

    @abstractmethod
    def locate(self, answers: Answers) -> LocatedErrors | None:
        """Items that are wrong because of a known place in the input; None if there are none."""

    def rankable(self, items: Puzzles) -> Tensor:
        """The inputs among which the brightest of a map are chosen, (N, *size) bool; all by default."""
        return torch.ones_like(items.inputs[:, 0], dtype=torch.bool)

    def more_figures(self, mistakes: Mistakes, located: LocatedErrors | None) -> list[Figure]:
        """The figures of experiments that only apply to these nets; none by default."""
        del mistakes, located
        return []


def evaluate(nets: NetSource, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Run the experiments on the net of every seed.

    The folder gets each seed's net and figures, from which an interrupted run continues, and the pictures if matplotlib
    is installed.

    Args:
        nets: the nets and items of a recipe.
        folder: the run folder; created if missing.
        device: the device that was requested, for the result.
        progress: whether to show progress bars.

    Raises:
        ValueError: a k above the number of filters, or a folder of another run.
        RuntimeError: training diverged, or no net gets some items wrong and some right. If only some nets do not, they
            are left out and named in the settings.
        OSError: the folder cannot be written.
    """
    recipe, filters = nets.recipe, nets.count_filters()
    if max(recipe.counts) > filters:
        raise ValueError(f"k must be at most {filters}, the filters of the net, not {max(recipe.counts)}")
    run = RunFolder(folder, recipe.seed_settings())
    examine = partial(_examine_seed, nets, run, progress=progress)
    of_seeds: dict[int, list[Figure]] = {}
    left_out: list[str] = []
    with exact_convolutions():
        for seed in recipe.seeds:
            try:
                of_seeds[seed] = figures_of_seed(run, seed, examine, settings={"data_note": nets.note})
            except NothingToExamineError as error:
                left_out.append(str(error))
    if not of_seeds:
        raise NothingToExamineError(left_out[0])
    measurements = summarize(list(of_seeds.values()), resampled=(POINTED, f"{POINTED}, difference"))
    save_figures(measurements, folder)
    return result_of(
        "parameter_saliency",
        recipe,
        run,
        question=QUESTION,
        device=device,
        measurements=measurements,
        claims=claims,
        seeds=tuple(of_seeds),
        more={"filters": filters, "data_note": nets.note, "left_out": left_out},
    )


@contextlib.contextmanager
def exact_convolutions() -> Iterator[None]:
    """Run convolutions in full float32: a GPU would round to 10 bits (TF32), too coarse for second derivatives."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def _examine_seed(nets: NetSource, run: RunFolder, seed: int, *, progress: bool) -> list[Figure]:
    """Run all experiments on one net, and for the first seed draw a picture of input saliency."""
    recipe = nets.recipe
    answers = answer(nets, *nets.load(seed, run, progress=progress), seed)
    mistakes, labels = answers.mistakes, answers.errors.labels
    figures = [Figure.of_items(ITEMS_RIGHT, answers.is_right.float().tolist())]
    figures += prune(mistakes, recipe.counts)
    groups = Groups.of(mistakes, recipe.neighbours)
    figures += tune(mistakes, recipe.counts, groups, rate=recipe.rate)
    if recipe.smallest_rates:
        figures += tune_by_smallest_rate(mistakes, recipe.k, groups)
    near = nearest(mistakes.profiles, recipe.neighbours)
    figures += purity(near, labels, space="saliency")
    figures += purity(nearest(look(mistakes.wrong.inputs), recipe.neighbours), labels, space="pixels")
    figures += loudest_layer(answers)
    first = seed == recipe.seeds[0]
    if first and recipe.data in IMAGES:
        save_picture(partial(plot_neighbors, mistakes.wrong.inputs, labels, near), run.path / NEIGHBORS_PICTURE, dpi=90)
    located = nets.locate(answers) if nets.locates or first else None
    if located is not None:
        located = with_maps(located, answers, recipe)
        figures += pointing_game(located.maps, located.regions, nets.rankable(located.items))
        if first:
            save_picture(partial(plot_inputs, located, recipe.data), run.path / INPUTS_PICTURE)
    return figures + nets.more_figures(mistakes, located)


def answer(nets: NetSource, net: ProfiledNet, items: Items, seed: int) -> Answers:
    """Let a net answer its items, and compute the saliency profiles of all of them, a chunk at a time.

    Of the items that are right, nothing is held but that they are; of wrong ones, the recipe's `examined` first.

    Raises:
        NothingToExamineError: too few items are wrong, or none is right.
    """
    recipe = nets.recipe
    standard: Standard | None = None
    is_right: list[Tensor] = []
    raw: list[Tensor] = []
    predicted: list[Tensor] = []
    room = recipe.examined
    for part in net.chunks(items):
        logits, profiles = net.logits(part.inputs), net.chunk_profiles(part)
        right = solved(logits, part)
        standard = Standard.of(profiles) if standard is None else standard.updated(profiles)
        wrong = (~right).nonzero()[:room, 0]
        room -= len(wrong)
        is_right.append(right.cpu())
        raw.append(profiles[wrong])
        predicted.append(logits[wrong].argmax(1))
    told = torch.cat(is_right)
    count = int((~told).sum())
    if standard is None or count < _FEWEST or count == len(items):
        raise NothingToExamineError(
            f"seed {seed}: the net gets {count} of {len(items)} items wrong; {_FEWEST} or more are needed, and one "
            "that is right: change --items or --seeds"
        )
    of_wrong = torch.cat(raw)
    wrong_items = items[(~told).nonzero()[: recipe.examined, 0]].to(net.device)
    mistakes = Mistakes(
        net=net,
        wrong=wrong_items,
        right=items[told.nonzero()[: recipe.kept, 0]].to(net.device),
        profiles=standard.apply(of_wrong),
        predicted=torch.cat(predicted),
        tried=min(recipe.tried, len(wrong_items)),
        seed=seed,
    )
    errors = nets.errors(wrong_items, mistakes.predicted)
    return Answers(items=items, is_right=told, mistakes=mistakes, errors=errors, standard=standard, raw=of_wrong)


def held_bytes(recipe: SaliencyRecipe, filters: int, values: int) -> int:
    """Most bytes of items, profiles and statistics that `answer` holds, however many items there are.

    Args:
        recipe: of the run.
        filters: number of values in a profile, F.
        values: number of values in an item's input, C x H x W.
    """
    profiles = 2 * recipe.examined * filters + recipe.chunk * filters
    inputs = (recipe.examined + recipe.kept + recipe.chunk) * values
    moments = 2 * filters
    return 4 * (profiles + inputs) + 8 * moments


def loudest_layer(answers: Answers) -> list[Figure]:
    """Whether standardizing keeps the convolution with the largest gradients from filling all the top places."""
    layers = answers.mistakes.net.filters.layers().to(answers.raw.device)
    counts = torch.bincount(layers)
    sums = torch.zeros(len(counts), dtype=torch.float64, device=layers.device)
    loudest = (sums.index_add(0, layers, answers.standard.mean) / counts).argmax()
    top = min(_TOP, len(layers))
    tops: Mapping[str, Tensor] = {"as they are": answers.raw, "standardised": answers.mistakes.profiles}
    shares = {
        name: (layers[profiles.topk(top, dim=1).indices] == loudest).double().mean(1).tolist()
        for name, profiles in tops.items()
    }
    shares["at random"] = [float(counts[loudest]) / len(layers)] * len(answers.raw)
    return [Figure.of_items(LOUDEST, values, condition={"profiles": name}) for name, values in shares.items()]


def with_maps(located: LocatedErrors, answers: Answers, recipe: SaliencyRecipe) -> LocatedErrors:
    """The same located errors, with input saliency maps of each kind."""
    net, seed, k = answers.mistakes.net, answers.mistakes.seed, recipe.boosted
    make = partial(
        saliency_maps,
        net,
        answers.standard,
        located.items,
        located.profiles,
        k=k,
        seed=seed,
        copies=recipe.map_copies,
        noise=recipe.map_noise,
    )
    maps: dict[MapKind, Tensor] = {kind: make(kind) for kind in MAP_KINDS}
    return replace(located, maps=maps)
