"""The evaluation on mazes: train tiny ViTs, or take the recurrent net, and score their features."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.solvers import shipped_solver
from easy_to_hard.baselines.kit.evaluation import figures_of_seed, result_of
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, counting_mask, make_puzzles, mean_loss, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of, seeded
from easy_to_hard.baselines.kit.statistics import Figure, summarize
from easy_to_hard.baselines.kit.training import Loop, LoopConfig, train_part
from easy_to_hard.baselines.vit_visualization.activation_maximization import FeatureNet, turned
from easy_to_hard.baselines.vit_visualization.changes import CUTOFFS, hidden_positions, hide, low_pass
from easy_to_hard.baselines.vit_visualization.claims import KEPT_SOLVED, SCORE, SOLVES, claims
from easy_to_hard.baselines.vit_visualization.features import NeuronImages, local_figures, reach_figures
from easy_to_hard.baselines.vit_visualization.maze_features import feature_scores
from easy_to_hard.baselines.vit_visualization.pictures import save_curves, save_sheet
from easy_to_hard.baselines.vit_visualization.recipes import MAZES, RECURRENT, MazeRecipe
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig, freeze, maze_config
from easy_to_hard.scores.reference import Condition, Measurement, ReferenceResult

QUESTION: Final = "What of a maze do the features of a net that solves it follow, from layer to layer?"
CURVES: Final = "path.png"

Answer: TypeAlias = Callable[[Tensor], Tensor]
"""(B, 3, H, W) float in [0, 1] -> logits (B, 2, H, W)."""

_BATCH: Final = 100
_BORDER: Final = 1
_POSITION: Final = 2


def run(recipe: MazeRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train tiny ViTs for each seed, or take the recurrent net, and score their features.

    See `Baseline.run`. The folder gets each seed's checkpoints and figures and, if matplotlib is installed, the
    pictures `SHEET`, for the first seed, and `CURVES`.
    """
    place = get_device(device)
    recurrent = UnrolledNet(freeze(shipped_solver(MAZES, device), place), recipe.iterations)
    if recipe.model == RECURRENT and not recipe.layers_given:
        recipe = replace(recipe, layers_given=doublings(recipe.iterations))
    # Check this before anything is trained.
    recipe.choose(recurrent if recipe.model == RECURRENT else maze_shape(recipe, recipe.variants[0]).build(0))
    sizes = (recipe.maze_size, *recipe.harder_sizes)
    test = {size: make_puzzles(MAZES, size, recipe.test_mazes, split="test").to(place) for size in sizes}
    run = RunFolder(folder, recipe.seed_settings())
    looked_at = _MazeEvaluation(
        recipe=recipe, recurrent=recurrent, test=test, device=place, folder=run, progress=progress
    )
    measurements = summarize([figures_of_seed(run, seed, looked_at.examine) for seed in recipe.seeds])
    across = "iteration" if recipe.model == RECURRENT else "block"
    save_curves(_curve_points(measurements), folder / CURVES, across=across, up=SCORE, title="what features follow")
    return result_of(
        "vit_visualization",
        recipe,
        run,
        question=QUESTION,
        device=device,
        measurements=measurements,
        claims=claims,
    )


def doublings(iterations: int) -> tuple[int, ...]:
    """Iterations 1, 2, 4, ... and the last one, counted from 0."""
    powers = {2**k - 1 for k in range(iterations.bit_length()) if 2**k <= iterations}
    return tuple(sorted(powers | {iterations - 1}))


def maze_shape(recipe: MazeRecipe, variant: str) -> VitConfig:
    """The shape of a variant of the tiny ViT: its kind of positions, and whether all blocks share weights."""
    return maze_config(
        recipe.maze_size,
        depth=recipe.depth,
        width=recipe.width,
        positions="learned" if variant == "learned" else "relative",
        shared=variant == "looped",
    )


@dataclass(frozen=True, kw_only=True)
class _MazeEvaluation:
    """What the seeds of a run share.

    Attributes:
        recipe: settings of the run.
        recurrent: the net that comes with the package.
        test: size -> mazes, on the device.
        device, folder, progress: the run's device, folder and whether it shows progress.
    """

    recipe: MazeRecipe
    recurrent: "UnrolledNet"
    test: Mapping[int, Puzzles]
    device: torch.device
    folder: RunFolder
    progress: bool

    def examine(self, seed: int) -> list[Figure]:
        """All figures for a seed."""
        return self._of_recurrent_net(seed) if self.recipe.model == RECURRENT else self._of_vits(seed)

    def _of_vits(self, seed: int) -> list[Figure]:
        """Train a seed's variants, and measure the features of the first in full, those of the others for the path."""
        recipe, items = self.recipe, self.test[self.recipe.maze_size]
        train = make_puzzles(MAZES, recipe.maze_size, recipe.train_mazes)
        found: list[Figure] = []
        for number, variant in enumerate(recipe.variants):
            shape = maze_shape(recipe, variant)
            vit = train_on_mazes(
                shape,
                train,
                replace(recipe.loop, seed=seed),
                batch_size=max(1, recipe.batch_size // 4),
                folder=self.folder,
                name=f"seed{seed}/{variant}",
                device=self.device,
                progress=self.progress,
            )
            sizes = self.test if shape.positions == "relative" else {recipe.maze_size: items}
            found += _solve_rates(vit, sizes, f"ViT, {variant}")
            if number:
                layers = recipe.choose(vit).layers
                found += feature_scores(vit, items, f"ViT, {variant}", layers, seed, only_path=True)
                continue
            untrained = shape.build(seed)
            freeze(untrained, self.device)
            found += self._of_features(vit, untrained, seed)
            found += change_figures({"ViT": vit, "recurrent net": self.recurrent.logits}, items, seed)
        return found

    def _of_recurrent_net(self, seed: int) -> list[Figure]:
        """Score the recurrent net's channels iteration by iteration."""
        net, name = self.recurrent, "recurrent net"
        untrained = UnrolledNet(forgotten(net.module, seed), net.depth)
        found = _solve_rates(net.logits, self.test, name)
        found += self._of_features(net, untrained, seed)
        return found + change_figures({name: net.logits}, self.test[self.recipe.maze_size], seed)

    def _of_features(self, net: FeatureNet, untrained: FeatureNet, seed: int) -> list[Figure]:
        """Scores with their baselines, how local features are, and images made for neurons."""
        recipe, items = self.recipe, self.test[self.recipe.maze_size]
        neurons = recipe.choose(net)
        found = feature_scores(net, items, "trained", neurons.layers, seed)
        found += feature_scores(untrained, items, "untrained", neurons.layers, seed)
        found += local_figures({"trained": net, "untrained": untrained}, items.inputs, layers=neurons.layers)
        side = items.inputs.shape[-1] - 2 * _BORDER
        shown = NeuronImages.make(
            net,
            neurons,
            items.inputs,
            self.folder,
            shape=(3, side, side),
            ascent=recipe.ascent,
            seed=seed,
            border=_BORDER,
            progress=self.progress,
        )
        if seed == recipe.seeds[0]:
            save_sheet(shown, self.folder.path, layer_name="iteration" if recipe.model == RECURRENT else "block")
        return found + reach_figures(shown)


def _solve_rates(answer: Answer, test: Mapping[int, Puzzles], name: str) -> list[Figure]:
    return [
        Figure.of_count(SOLVES, count_solved(answer, items), len(items), {"net": name, "size": size})
        for size, items in test.items()
    ]


def train_on_mazes(
    shape: VitConfig,
    items: Puzzles,
    config: LoopConfig,
    *,
    batch_size: int,
    folder: RunFolder,
    name: str,
    device: torch.device,
    progress: bool,
) -> TinyVit:
    """Train a tiny ViT to mark the path, resuming from the checkpoint of that part of a run if there is one.

    Args:
        shape: shape of the net, from `maze_config`.
        items: training mazes.
        config: training settings; its seed decides weights and batches.
        batch_size: mazes per step; each batch is rotated or reflected at random.
        folder, name: the run folder, and the name of the part.
        device: where to train.
        progress: whether to show a progress bar.

    Returns:
        the net, frozen.

    Raises:
        RuntimeError: the loss is no longer finite.
        ValueError: the checkpoint is from another run.
    """
    held = items.to(device)

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rng = generator_of("maze batch", config.seed, step)
        rows = torch.randint(len(items), (batch_size,), generator=rng).to(device)
        turn, batch = int(torch.randint(8, (), generator=rng)), held[rows]
        inputs, targets, mask = (turned(part, turn) for part in (batch.inputs, batch.targets, batch.mask))
        batch = Puzzles(inputs=inputs, targets=targets, mask=mask)
        return mean_loss(current(batch.inputs), batch)

    settings = {"batch_size": batch_size, "items": len(items), "shape": asdict(shape)}
    net = shape.build(config.seed)
    loop = Loop(net.to(device), loss_at, config, settings)
    train_part(loop, folder, name, progress=progress)
    freeze(net, device)
    return net


class UnrolledNet:
    """A recurrent net with its iterations as layers: the features are those after the last ReLU of each.

    Args:
        module: has `initial_state(x)`, `states(state, x, iterations)`, `read_out(state)` and `width`; its features
            are per pixel, or per patch of 2 x 2 pixels, starting at the second pixel.
        iterations: number of iterations to run.

    Attributes:
        module: as given.
        depth: number of iterations.
    """

    def __init__(self, module: nn.Module, iterations: int) -> None:
        self.module: Any = module
        self.depth = iterations

    def neurons(self, layer: int) -> int:
        """Channels, the same after every iteration."""
        del layer
        return int(self.module.width)

    def _states(self, images: Tensor, iterations: int) -> Iterator[Tensor]:
        states: Iterator[Tensor] = self.module.states(self.module.initial_state(images), images, iterations)
        return states

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Features of mazes (B, 3, H, W) at their positions after some iterations: (B, width, h, w) for each.

        Layer 0 is after the first iteration.
        """
        found = {}
        for layer, state in enumerate(self._states(images, max(layers) + 1)):
            if layer in layers:
                found[layer] = at_positions(state, images.shape[-1])
        return [found[layer] for layer in layers]

    def logits(self, images: Tensor) -> Tensor:
        """The answer after all iterations, (B, 2, H, W)."""
        state = self.module.initial_state(images)
        for following in self._states(images, self.depth):
            state = following
        logits: Tensor = self.module.read_out(state)
        return logits


def at_positions(features: Tensor, side: int) -> Tensor:
    """Features (B, n, ., .) on the grid of a maze's ((side - 2) / 2)^2 positions.

    Args:
        features: one per pixel, or one per position with a ring of one position around the grid.
        side: side of the image, in pixels.

    Raises:
        ValueError: features on another grid.
    """
    positions = (side - 2 * _BORDER) // _POSITION
    inner = features[..., 1:-1, 1:-1]
    if features.shape[-1] == side:
        return F.avg_pool2d(inner, _POSITION)
    if inner.shape[-1] == positions:
        return inner
    raise ValueError(f"the side of features must be {side} or {positions + 2}, not {features.shape[-1]}")


def forgotten(net: nn.Module, seed: int) -> nn.Module:
    """A copy of a net with newly drawn weights, as its layers draw them before training."""
    empty = copy.deepcopy(net)
    with seeded("forgotten", seed):
        device = next(empty.parameters()).device
        empty.cpu()
        for module in empty.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                module.reset_parameters()
    return freeze(empty, device)


def count_solved(answer: Answer, items: Puzzles, inputs: Tensor | None = None) -> int:
    """The number of mazes whose whole answer is right (exact match).

    Args:
        answer: the net's answers.
        items: mazes.
        inputs: inputs (N, 3, H, W) to show to the net instead of the mazes' own; None for their own.
    """
    shown = items.inputs if inputs is None else inputs
    with torch.no_grad():
        return sum(
            int(solved(answer(shown[first : first + _BATCH]), items[first : first + _BATCH]).sum())
            for first in range(0, len(items), _BATCH)
        )


def change_figures(nets: Mapping[str, Answer], items: Puzzles, seed: int) -> list[Figure]:
    """Solve rates with positions hidden, and with low-pass filtered images.

    The answer to the original maze counts, at the positions that are not hidden: all of the path if dead ends are
    hidden, the rest of it if parts of the path are.

    Args:
        nets: name -> the net's answers.
        items: mazes.
        seed: seed of the random choices.
    """
    found, kept = [], dict[str, float]()
    hidden = {name: hide(items.inputs, positions) for name, positions in hidden_positions(items, seed).items()}
    half = items.inputs.shape[-1] / 2
    for net, answer in nets.items():
        natural = count_solved(answer, items)
        for name, inputs in hidden.items():
            changed = Puzzles(inputs=inputs, targets=items.targets, mask=counting_mask("mazes", inputs))
            right = count_solved(answer, changed)
            condition = {"net": net, "hidden": name}
            found.append(Figure.of_count("solve rate with positions hidden", right, len(items), condition))
        rates = []
        for cutoff in CUTOFFS:
            right = count_solved(answer, items, low_pass(items.inputs, cutoff * half))
            where: Condition = {"net": net, "cutoff": cutoff}
            found.append(Figure.of_count("solve rate of a low-pass picture", right, len(items), where))
            rates.append(right / max(natural, 1))
        kept[net] = sum(rates) / len(rates)
    if len(kept) > 1:
        first, second = kept
        found.append(Figure(name=KEPT_SOLVED, value=kept[first] - kept[second], num_items=len(items)))
    return found


def _curve_points(measurements: Sequence[Measurement]) -> list[tuple[str, float, Measurement]]:
    return [
        (f"{one.condition['of']} ({one.condition['net']})", float(one.condition["layer"]), one)
        for one in measurements
        if one.name == SCORE
        and one.condition["net"] in ("trained", "untrained")
        and one.condition["of"] in ("path", "dead end", "junction")
    ]
