"""The evaluation on mazes: tiny ViTs are trained, or a recurrent net is taken, and their features scored."""

import contextlib
import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import nn

from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.statistics import Figure, summarise
from easy_to_hard.baselines.vit_visualization.claims import SCORE, decide_maze_claims
from easy_to_hard.baselines.vit_visualization.feature_figures import Shown, local_figures, reach_figures
from easy_to_hard.baselines.vit_visualization.figures import share
from easy_to_hard.baselines.vit_visualization.maximising import Ascent, Subject
from easy_to_hard.baselines.vit_visualization.maze_figures import (
    Answer,
    change_figures,
    count_solved,
    feature_scores,
)
from easy_to_hard.baselines.vit_visualization.pictures import save_curves, save_sheet
from easy_to_hard.baselines.vit_visualization.recurrent import RecurrentSubject, freeze
from easy_to_hard.baselines.vit_visualization.runs import METHOD, Run, choose
from easy_to_hard.baselines.vit_visualization.training import train_on_mazes
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig, maze_config
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = "What of a maze do the features of a net that solves it follow, from layer to layer?"
SHEET: Final = "neurons.png"
CURVES: Final = "path.png"
MODELS: Final = ("tiny_vit", "recurrent")

# Name -> whether positions are learned, and whether all blocks have the same weights.
VARIANTS: Final[Mapping[str, tuple[bool, bool]]] = {
    "relative": (False, False),
    "looped": (False, True),
    "learned": (True, False),
}
_POSITION: Final = 2


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Mazes on the device.

    Attributes:
        train: of the recipe's size; None where nothing is trained.
        test: size -> mazes.
    """

    train: Puzzles | None
    test: dict[int, Puzzles]


def run_on_mazes(run: Run, out: Path, *, solver: Callable[[], nn.Module], progress: bool) -> ReferenceResult:
    """Train tiny ViTs for each seed, or take the recurrent net, and score their features.

    In the folder are each seed's checkpoints, from which a run that was stopped goes on, and where matplotlib is
    installed the pictures `SHEET`, of the first seed, and `CURVES`.

    Args:
        run: what.
        out: the folder, made when missing.
        solver: gives the recurrent net, on the run's device.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError: one line on what is wrong with settings or folder.
    """
    if run.model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)} on mazes, not {run.model!r}")
    started, recipe = time.perf_counter(), run.recipe
    recurrent = RecurrentSubject(freeze(solver(), get_device(run.device)), recipe.iterations)
    if run.model == "recurrent":
        run = run if run.layers else replace(run, layers=doublings(recipe.iterations))
    # What does not fit is said before anything is trained.
    choose(run, recurrent if run.model == "recurrent" else _shape(run, recipe.variants[0]).build(0))
    prepared = _prepare(run)
    out.mkdir(parents=True, exist_ok=True)
    one_seed = _recurrent_seed if run.model == "recurrent" else _vit_seed
    seeds = [
        one_seed(run, prepared, recurrent, seed, out, progress, first=number == 0)
        for number, seed in enumerate(run.all_seeds)
    ]
    measurements = summarise(seeds)
    with contextlib.suppress(ImportError):
        _draw_curves(measurements, out / CURVES, run.model)
    return ReferenceResult(
        method=METHOD,
        preset=run.preset,
        data="mazes",
        question=QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=run.all_seeds,
        device=run.device,
        seconds=round(time.perf_counter() - started, 1),
        settings={**run.settings(), "ascent": vars(_ascent(recipe.ascent))},
        measurements=measurements,
        claims=decide_maze_claims(measurements),
    )


def doublings(iterations: int) -> tuple[int, ...]:
    """Iterations 1, 2, 4, ... and the last one, counted from 0."""
    powers = {2**k - 1 for k in range(iterations.bit_length()) if 2**k <= iterations}
    return tuple(sorted(powers | {iterations - 1}))


def _prepare(run: Run) -> _Prepared:
    recipe, device = run.recipe, get_device(run.device)
    sizes = (recipe.maze_size, *recipe.harder_sizes)
    test = {size: make_puzzles("mazes", size, recipe.test_mazes, split="test").to(device) for size in sizes}
    train = make_puzzles("mazes", recipe.maze_size, recipe.train_mazes) if run.model == "tiny_vit" else None
    return _Prepared(train=train, test=test)


def _shape(run: Run, variant: str) -> VitConfig:
    learned, shared = VARIANTS[variant]
    recipe = run.recipe
    return maze_config(
        recipe.maze_size,
        depth=recipe.depth,
        width=recipe.width,
        positions="learned" if learned else "relative",
        shared=shared,
    )


def _ascent(ascent: Ascent) -> Ascent:
    """For mazes: whole positions of roll, the symmetries of a square, no colours, pixels drawn to 0 and 1."""
    return replace(
        ascent,
        colour=False,
        noise=0.0,
        roll=2 * _POSITION,
        roll_step=_POSITION,
        dihedral=True,
        binary=0.5,
        smoothness=ascent.smoothness / 10,
    )


def _vit_seed(
    run: Run,
    prepared: _Prepared,
    recurrent: RecurrentSubject,
    seed: int,
    out: Path,
    progress: bool,
    *,
    first: bool,
) -> list[Figure]:
    """Train the variants of a seed and measure: the first one's features in full, the others' for the path."""
    assert prepared.train is not None
    recipe, device = run.recipe, get_device(run.device)
    items = prepared.test[recipe.maze_size]
    found: list[Figure] = []
    for number, variant in enumerate(recipe.variants):
        shape = _shape(run, variant)
        vit = train_on_mazes(
            shape,
            prepared.train,
            replace(recipe.loop, seed=seed),
            batch_size=max(1, recipe.batch_size // 4),
            folder=out / f"seed{seed}" / variant,
            device=device,
            progress=progress,
        )
        sizes = prepared.test if shape.positions == "relative" else {recipe.maze_size: items}
        found += [
            share("solve rate", count_solved(vit, test), len(test), net=f"ViT, {variant}", size=size)
            for size, test in sizes.items()
        ]
        if number:
            found += feature_scores(vit, items, f"ViT, {variant}", choose(run, vit).layers, seed, only_path=True)
            continue
        untrained = freeze(shape.build(seed), device)
        assert isinstance(untrained, TinyVit)
        found += _main_figures(run, vit, untrained, prepared, seed, out, progress, sheet=first)
        found += change_figures({"ViT": vit, "recurrent net": recurrent.logits}, items, seed)
    return found


def _recurrent_seed(
    run: Run,
    prepared: _Prepared,
    recurrent: RecurrentSubject,
    seed: int,
    out: Path,
    progress: bool,
    *,
    first: bool,
) -> list[Figure]:
    """Score the recurrent net's channels iteration by iteration."""
    found = [
        share("solve rate", count_solved(recurrent.logits, test), len(test), net="recurrent net", size=size)
        for size, test in prepared.test.items()
    ]
    untrained = RecurrentSubject(forgotten(recurrent.net, seed), recurrent.depth)
    found += _main_figures(run, recurrent, untrained, prepared, seed, out, progress, sheet=first)
    nets: dict[str, Answer] = {"recurrent net": recurrent.logits}
    return found + change_figures(nets, prepared.test[run.recipe.maze_size], seed)


def forgotten(net: nn.Module, seed: int) -> nn.Module:
    """A copy with the weights drawn anew, as its layers draw them before training."""
    empty = copy.deepcopy(net)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of("forgotten", seed))
        device = next(empty.parameters()).device
        empty.cpu()
        for module in empty.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                module.reset_parameters()
    return freeze(empty, device)


def _main_figures(
    run: Run,
    subject: Subject,
    untrained: Subject,
    prepared: _Prepared,
    seed: int,
    out: Path,
    progress: bool,
    *,
    sheet: bool,
) -> list[Figure]:
    """Scores with their nulls, how local features are, and images made for neurons."""
    items = prepared.test[run.recipe.maze_size]
    layers = choose(run, subject).layers
    found = feature_scores(subject, items, "trained", layers, seed)
    found += feature_scores(untrained, items, "untrained", layers, seed)
    found += local_figures({"trained": subject, "untrained": untrained}, items.inputs, layers=layers)
    side = items.inputs.shape[-1] - 2
    shown = Shown.make(
        run,
        subject,
        items.inputs,
        out / f"seed{seed}" / "made.pt",
        (3, side, side),
        _ascent(run.recipe.ascent),
        seed,
        progress,
        border=1,
    )
    if sheet:
        # Pictures are an extra, and so is what draws them.
        with contextlib.suppress(ImportError):
            columns, maps = shown.columns()
            name = "iteration" if run.model == "recurrent" else "block"
            save_sheet(columns, out / SHEET, layer_name=name, maps=maps)
    return found + reach_figures(shown)


def _draw_curves(measurements: Sequence[Measurement], path: Path, model: str) -> None:
    curves: dict[str, list[tuple[float, float, float | None, float | None]]] = {}
    for one in measurements:
        if one.name == SCORE and one.condition["net"] in ("trained", "untrained"):
            label = f"{one.condition['of']} ({one.condition['net']})"
            if one.condition["of"] in ("path", "dead end", "junction"):
                curves.setdefault(label, []).append((float(one.condition["layer"]), one.value, one.low, one.high))
    across = "iteration" if model == "recurrent" else "block"
    save_curves(curves, path, across=across, up=SCORE, title="what features follow")
