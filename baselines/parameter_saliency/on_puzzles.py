"""The evaluation on mazes and prefix sums: recurrent nets, briefly trained or shipped, and when filters are salient."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers, shipped_solver
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.kit.training import Loop, train_part
from easy_to_hard.baselines.parameter_saliency.error_types import ERRORS, Errors
from easy_to_hard.baselines.parameter_saliency.evaluation import Answers, NetSource, evaluate
from easy_to_hard.baselines.parameter_saliency.input_saliency import POINTED, LocatedErrors, MapKind, pointed
from easy_to_hard.baselines.parameter_saliency.mistakes import Mistakes
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, ProfiledNet
from easy_to_hard.baselines.parameter_saliency.recipes import SHIPPED, PuzzleRecipe
from easy_to_hard.baselines.parameter_saliency.unrolled import BY_CALL, profiles_by_call
from easy_to_hard.scores.reference import ReferenceResult

WALLS: Final = "walls"
CENTER: Final = "mean iteration of an item's saliency"

# Training ends when this share of this many validation puzzles is solved, which is checked every so many steps.
_ENOUGH: Final = 0.6
_LOOKED_AT: Final = 25
_VALIDATED: Final = 200


def run(recipe: PuzzleRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Evaluate recurrent nets; see `evaluate`."""
    place = get_device(device)
    shipped = shipped_solver(recipe.data, device) if recipe.model == SHIPPED else None
    nets = RecurrentNets(recipe=recipe, shipped=shipped, device=place)
    return evaluate(nets, folder, device=device, progress=progress)


@dataclass(frozen=True, kw_only=True)
class RecurrentNets(NetSource):
    """Recurrent nets: trained too briefly to be always right, or the one that comes with the package.

    Training ends when 60 % of validation puzzles are solved, or after the recipe's steps: a net that is always right,
    as these soon become, has no wrong items to examine.

    Attributes:
        shipped: a trained net, the same for each seed; None to train one.
    """

    recipe: PuzzleRecipe
    shipped: nn.Module | None = None

    @property
    def solvers(self) -> RecurrentSolvers:
        """The recipe's solvers, which build and train nets."""
        recipe = self.recipe
        patch = 2 if recipe.data == "mazes" else 1
        return RecurrentSolvers(task=recipe.data, width=recipe.width, patch=patch, max_iterations=recipe.iterations)

    def count_filters(self) -> int:
        """Number of filters of the shipped net, or of any that is trained here."""
        net = self.solvers.build(0) if self.shipped is None else self.shipped
        return len(Filters.of(net, self.recipe.aggregation))

    def load(self, seed: int, folder: RunFolder, *, progress: bool) -> tuple[ProfiledNet, Puzzles]:
        """The seed's net, and fresh test puzzles."""
        # The puzzles first, since there may be fewer than requested.
        items = self._puzzles(self.recipe.items, "test", seed)
        net = self._train(seed, folder, progress) if self.shipped is None else self.shipped.to(self.device)
        return ProfiledNet(net, self.answer, chunk=self.recipe.chunk, aggregation=self.recipe.aggregation), items

    def answer(self, net: nn.Module, inputs: Tensor) -> Tensor:
        """Logits after the recipe's iterations."""
        return self.solvers.logits(net, inputs, self.recipe.iterations)

    def solve_rate(self, net: nn.Module, puzzles: Puzzles) -> float:
        """The share of puzzles that a net solves."""
        with torch.no_grad():
            return float(solved(self.answer(net, puzzles.inputs), puzzles).float().mean())

    def _puzzles(self, count: int, split: str, seed: int) -> Puzzles:
        recipe = self.recipe
        return make_puzzles(recipe.data, recipe.difficulty, count, split=split, seed=seed).to(self.device)

    def _train(self, seed: int, folder: RunFolder, progress: bool) -> nn.Module:
        recipe, solvers = self.recipe, self.solvers
        puzzles = self._puzzles(recipe.training_puzzles, "train", seed)
        checked = self._puzzles(min(_VALIDATED, recipe.items), "validation", seed)
        net = solvers.build(seed).to(self.device)

        def loss_at(current: nn.Module, step: int) -> Tensor:
            rows = torch.randint(len(puzzles), (recipe.batch_size,), generator=generator_of("batch", seed, step))
            return solvers.training_loss(current, puzzles[rows.to(self.device)], seed=seed, step=step)

        def is_enough(current: nn.Module, step: int) -> bool:
            return step % _LOOKED_AT == 0 and self.solve_rate(current, checked) >= _ENOUGH

        names = ("batch_size", "width", "difficulty", "iterations", "training_puzzles")
        settings: dict[str, Any] = {"task": recipe.data, **{name: getattr(recipe, name) for name in names}}
        loop = Loop(net, loss_at, recipe.loop(seed), settings)
        train_part(loop, folder, f"seed{seed}", stop=is_enough, progress=progress)
        return net

    def errors(self, wrong: Puzzles, predicted: Tensor) -> Errors:
        """What is wrong with a path, or where a string first goes wrong."""
        return ERRORS[self.recipe.data](wrong, predicted)

    def locate(self, answers: Answers) -> LocatedErrors:
        """The first wrong items; the places of their errors are where the answer is wrong."""
        mistakes, first = answers.mistakes, slice(self.recipe.mapped)
        return LocatedErrors(
            items=mistakes.wrong[first],
            predicted=mistakes.predicted[first],
            labels=answers.errors.labels[first],
            profiles=mistakes.profiles[first],
            regions={name: region[first] for name, region in answers.errors.regions.items()},
        )

    def rankable(self, items: Puzzles) -> Tensor:
        """The positions that count: in a maze, the free cells."""
        return items.mask

    def more_figures(self, mistakes: Mistakes, located: LocatedErrors | None) -> list[Figure]:
        """The share of a maze's brightest inputs that lies on walls, and when filters are salient."""
        figures = []
        if located is not None and self.recipe.data == "mazes":
            kind: MapKind = "salient filters"
            walls = ~located.items.mask
            values = pointed(located.maps[kind], walls, torch.ones_like(walls))
            figures.append(Figure.of_items(POINTED, values, condition={"map": kind, "region": WALLS}))
        return figures + by_iteration(mistakes, self.recipe)


def by_iteration(mistakes: Mistakes, recipe: PuzzleRecipe) -> list[Figure]:
    """When filters are salient: each call's share of an item's saliency, for wrong and for right items."""
    figures = []
    for name, items in (("wrong", mistakes.wrong[: recipe.mapped]), ("right", mistakes.right)):
        calls = profiles_by_call(mistakes.net, items, recipe.iterations).sum(2).double()
        shares = calls / calls.sum(1, keepdim=True)
        labels = ["start", *range(1, recipe.iterations + 1), "answer"]
        figures += [
            Figure.of_items(BY_CALL, values, condition={"items": name, "call": label})
            for label, values in zip(labels, shares.T.tolist(), strict=True)
        ]
        inner = calls[:, 1:-1]
        numbers = torch.arange(1, inner.shape[1] + 1, dtype=torch.float64, device=inner.device)
        centers = (inner @ numbers / inner.sum(1)).tolist()
        figures.append(Figure.of_items(CENTER, centers, unit="iterations", condition={"items": name}))
    return figures
