"""How much nets that solve puzzles give away about their training set, by its size, iterations, and kind of net."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from easy_to_hard.baselines.canary.attacks import THRESHOLD
from easy_to_hard.baselines.canary.claims import LIRA, MEMBERS, NEW_ITEMS, TEST_SPLIT, claims
from easy_to_hard.baselines.canary.lira import answer_log_odds, answer_margins, leave_one_out
from easy_to_hard.baselines.canary.metrics import (
    AUC,
    Performance,
    measure_attack,
    over_all_seeds,
    roc_metrics,
    roc_points,
)
from easy_to_hard.baselines.canary.pictures import draw_memorization
from easy_to_hard.baselines.canary.recipes import PuzzleRecipe
from easy_to_hard.baselines.canary.score_files import SCORES, write_arrays
from easy_to_hard.baselines.canary.shadows import ShadowJob, keep_matrix, train_parts, train_shadows
from easy_to_hard.baselines.canary.shards import Shard, collect_shards
from easy_to_hard.baselines.deep_thinking.solvers import StackableSolvers
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.precision import get_device, settle
from easy_to_hard.baselines.kit.puzzles import Puzzles, Solvers, make_puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.statistics import SHARE, SHARE_DIFFERENCE, over_seeds
from easy_to_hard.baselines.kit.training import count_parameters
from easy_to_hard.scores.reference import Condition, Measurement, ReferenceResult

QUESTION: Final = (
    "How well can members of the training set be told from other puzzles by a net's answers, by the size of the set, "
    "the iterations and the kind of net?"
)
PICTURE: Final = "memorization.png"
LIRA_MARGIN: Final = "LiRA, mean margin"
FRESH_ATTACK: Final = "global threshold, against the test split"

_ASKED_AT_ONCE: Final = 1000

COMPARISONS: Final = (
    ("recall, progressive", "no recall, progressive"),
    ("recall, progressive", "recall"),
    ("recall", "feed-forward"),
)
"""Pairs of kinds of nets whose AUCs are compared."""


@dataclass(frozen=True, kw_only=True)
class SolverKind:
    """A kind of net.

    Attributes:
        solvers: builds and trains them.
        most_iterations: at test time; None for any number.
    """

    solvers: Solvers
    most_iterations: int | None = None

    def allows(self, iterations: int) -> bool:
        """Whether the nets can think for this many iterations."""
        return self.most_iterations is None or iterations <= self.most_iterations


def solver_kinds(recipe: PuzzleRecipe) -> dict[str, SolverKind]:
    """The kinds of nets that are compared, by name."""
    first = StackableSolvers(
        task=recipe.data, width=recipe.width, patch=recipe.patch, max_iterations=recipe.max_iterations
    )
    return {
        "recall, progressive": SolverKind(solvers=first),
        "no recall, progressive": SolverKind(solvers=replace(first, recall=False)),
        "recall": SolverKind(solvers=replace(first, progressive_weight=0.0)),
        "feed-forward": SolverKind(solvers=replace(first, feed_forward=True), most_iterations=recipe.max_iterations),
    }


@dataclass(frozen=True, kw_only=True)
class PuzzleTask:
    """Puzzles as shadow nets are trained on them; see `ShadowTask`.

    Attributes:
        items: all items that any net is trained on, on the device.
        solvers: the kind of net.
        seed: of the random draws in the loss, which a stack needs to be the same for all nets at a step.
    """

    items: Puzzles
    solvers: Solvers
    seed: int

    def build(self, seed: int) -> nn.Module:
        """A net before training."""
        return self.solvers.build(seed)

    def batches(self, indices: Tensor, *, step: int, first: int) -> tuple[Tensor, ...]:
        """Inputs, targets and masks, (K, B, ...) each."""
        del step, first
        chosen = self.items[indices.to(self.items.inputs.device)]
        return chosen.inputs, chosen.targets, chosen.mask

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], *, step: int) -> Tensor:
        """The training loss of that kind of net, ()."""
        inputs, targets, mask = batch
        items = Puzzles(inputs=inputs, targets=targets, mask=mask)
        return self.solvers.training_loss(net, items, seed=self.seed, step=step)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The nets' answers to items.

    Attributes:
        log_odds, margins: (N, P) float64, see `answer_log_odds` and `answer_margins`; on the CPU.
        solved: (N, P) bool.
    """

    log_odds: Tensor
    margins: Tensor
    solved: Tensor


def answers_of(nets: Stacked, solvers: Solvers, items: Puzzles, iterations: int) -> Answers:
    """The answers of all nets to all items after a number of iterations."""
    rows = []
    for number in range(len(nets)):
        net = nets.net(number)
        with torch.no_grad():
            parts = [solvers.logits(net, part, iterations) for part in torch.split(items.inputs, _ASKED_AT_ONCE)]
        logits = torch.cat(parts)
        rows.append((answer_log_odds(logits, items), answer_margins(logits, items), solved(logits, items)))
    log_odds, margins, right = (torch.stack(row).cpu() for row in zip(*rows, strict=True))
    return Answers(log_odds=log_odds, margins=margins, solved=right)


@dataclass(frozen=True, kw_only=True)
class _Sets:
    """Items and memberships: the pool first, then the items that are new at each step of the null."""

    items: Puzzles
    fresh: Puzzles
    pool: int
    keeps: Mapping[int, Tensor]


class _Key(NamedTuple):
    """Nets of one kind trained on one number of items (0 for new ones), after so many iterations."""

    kind: str
    size: int
    iterations: int


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """What the nets of a `_Key` and one seed gave.

    Attributes:
        keep: (N, P) bool, memberships.
        answers, fresh: to the items with memberships, and to the test split.
        scores: name of the attack -> (N, P) float64.
        performance: name of the attack -> its AUC.
    """

    keep: Tensor
    answers: Answers
    fresh: Answers
    scores: Mapping[str, Tensor]
    performance: Mapping[str, Performance]


def run(
    recipe: PuzzleRecipe,
    folder: Path,
    *,
    device: str,
    progress: bool,
    kinds: Mapping[str, SolverKind] | None = None,
    comparisons: Sequence[tuple[str, str]] = COMPARISONS,
) -> ReferenceResult:
    """Train nets of each kind on training sets of each size, and attack each of them with the help of the others.

    The folder keeps the nets, from which a stopped run continues, the answers and scores of each seed in
    `seedN/scores.npz`, and the picture `memorization.png`.

    Args:
        recipe, folder, device, progress: see `Baseline.run`.
        kinds: name -> kind of net, `solver_kinds` by default; the first is also trained on new items at each step.
        comparisons: pairs of names of kinds.
    """
    where, kinds = get_device(device), kinds or solver_kinds(recipe)
    parts = RunFolder(folder, _settings(recipe, where))
    collect_shards(folder)
    recipe = settle(recipe, parts.precision(where))
    seeds: list[dict[_Key, _Cell]] = []
    stacks, parameters = {}, {}
    for one in recipe.of_each_seed():
        sets = _make_sets(one, where)
        cells: dict[_Key, _Cell] = {}
        for plan in _plans(one, sets, kinds, where):
            nets = train_shadows(plan.job, parts, plan.name, settings=plan.settings, progress=progress)
            stacks[plan.kind], parameters[plan.kind] = plan.job.at_once, count_parameters(nets.net(0))
            cells |= _cells(one, sets, plan.kind, kinds[plan.kind], nets)
        write_arrays(_arrays(cells), folder / f"seed{one.seed}" / SCORES)
        seeds.append(cells)
    found = [one for key in seeds[0] for one in _measure(recipe, key, [cells[key] for cells in seeds])]
    found += _compare(recipe, seeds, kinds, comparisons)
    draw = partial(draw_memorization, found, kinds=list(kinds), attack=LIRA, trained_iterations=recipe.max_iterations)
    save_picture(draw, folder / PICTURE)
    return result_of(
        "canary",
        recipe,
        parts,
        question=QUESTION,
        device=device,
        measurements=found,
        claims=claims,
        more={
            "kinds": {name: repr(kind.solvers) for name, kind in kinds.items()},
            "nets_at_once": stacks,
            "parameters": parameters,
        },
    )


def train_shard(recipe: PuzzleRecipe, folder: Path, shard: Shard, *, device: str, progress: bool) -> None:
    """Train one shard of the nets of all seeds and kinds, for a run that has no result yet.

    Args:
        recipe, folder, device, progress: see `Baseline.run`; the folder is the shard's.
        shard: which nets.
    """
    where = get_device(device)
    parts = RunFolder(folder, _settings(recipe, where))
    for one in settle(recipe, parts.precision(where)).of_each_seed():
        sets = _make_sets(one, where)
        for plan in _plans(one, sets, solver_kinds(recipe), where, shards=shard.count):
            train_parts(plan.job, parts, plan.name, settings=plan.settings, shard=shard, progress=progress)


def _settings(recipe: PuzzleRecipe, device: torch.device) -> dict[str, Any]:
    """What decides every part of a run."""
    return {**recipe.settings_of("difficulty", "sizes"), "device": device.type}


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The nets of one kind and seed, their name in the run's folder, and what decides them besides its settings."""

    kind: str
    name: str
    job: ShadowJob
    settings: Mapping[str, Any]


def _plans(
    recipe: PuzzleRecipe, sets: "_Sets", kinds: Mapping[str, SolverKind], device: torch.device, *, shards: int = 1
) -> Iterator[_Plan]:
    """What a recipe with one seed trains; the first kind is also trained on new items at each step."""
    for number, (kind, solver) in enumerate(kinds.items()):
        yield _Plan(
            kind=kind,
            name=f"seed{recipe.seed}/nets/{number}",
            job=_shadow_job(recipe, sets, solver.solvers, device, with_null=number == 0, shards=shards),
            settings={"seed": recipe.seed, "kind": kind, "net": repr(solver.solvers)},
        )


def _cells(recipe: PuzzleRecipe, sets: "_Sets", kind: str, solver: SolverKind, nets: Stacked) -> "dict[_Key, _Cell]":
    """What the nets of one kind give, for each size and number of iterations that is asked about."""
    cells = {}
    # The nets of the null come last, if there are any.
    sizes = [*sets.keeps, 0][: len(nets) // recipe.shadows]
    for place, size in enumerate(sizes):
        group = nets.take(range(place * recipe.shadows, (place + 1) * recipe.shadows))
        for iterations in recipe.iterations if size == recipe.middle else (recipe.max_iterations,):
            if solver.allows(iterations):
                key = _Key(kind, size, iterations)
                cells[key] = _look(recipe, sets, solver.solvers, group, key)
    return cells


def _arrays(cells: "Mapping[_Key, _Cell]") -> dict[str, NDArray[Any]]:
    """The memberships, answers and scores of one seed, named "WHAT; nets KIND; items SIZE; iterations NUMBER"."""
    found: dict[str, NDArray[Any]] = {}
    for key, cell in cells.items():
        items = key.size or NEW_ITEMS
        arrays = {
            "keep": cell.keep,
            "log odds": cell.answers.log_odds,
            "mean margin": cell.answers.margins,
            "solved": cell.answers.solved,
            **{f"scores: {name}": values for name, values in cell.scores.items()},
        }
        where = f"nets {key.kind}; items {items}; iterations {key.iterations}"
        found |= {f"{name}; {where}": values.numpy() for name, values in arrays.items()}
    return found


def _make_sets(recipe: PuzzleRecipe, device: torch.device) -> _Sets:
    pool, new = 2 * recipe.sizes[-1], recipe.train.steps * recipe.train.batch_size
    # The null's items are seen once each and are not in the pool.
    items = make_puzzles(recipe.data, recipe.difficulty, pool + new, seed=recipe.seed)
    fresh = make_puzzles(recipe.data, recipe.difficulty, recipe.fresh, split="test", seed=recipe.seed)
    keeps = {
        size: keep_matrix(recipe.shadows, 2 * size, seed=seed_of("size", recipe.seed, size)) for size in recipe.sizes
    }
    return _Sets(items=items.to(device), fresh=fresh.to(device), pool=pool, keeps=keeps)


def _shadow_job(
    recipe: PuzzleRecipe, sets: _Sets, solvers: Solvers, device: torch.device, *, with_null: bool, shards: int = 1
) -> ShadowJob:
    """All nets of a kind: those of the first size, of the second, ..., and of the null."""
    members = [torch.nonzero(row)[:, 0] for keep in sets.keeps.values() for row in keep]
    if with_null:
        members += [torch.arange(sets.pool, len(sets.items))] * recipe.shadows
    task = PuzzleTask(items=sets.items, solvers=solvers, seed=recipe.seed)
    return recipe.job(task, members, device, shards=shards)


def _look(recipe: PuzzleRecipe, sets: _Sets, solvers: Solvers, nets: Stacked, key: _Key) -> _Cell:
    # Nets of the null have no members, so any memberships will do: those of the middle size.
    keep = sets.keeps[key.size or recipe.middle]
    answers, fresh = (
        answers_of(nets, solvers, items, key.iterations) for items in (sets.items[: keep.shape[1]], sets.fresh)
    )
    scores = {
        THRESHOLD: answers.log_odds,
        LIRA: leave_one_out(answers.log_odds[..., None], keep, fixed=True)["online"],
        LIRA_MARGIN: leave_one_out(answers.margins[..., None], keep, fixed=True)["online"],
    }
    performance = {
        name: measure_attack(values.numpy(), keep.numpy(), seed=recipe.seed)[AUC] for name, values in scores.items()
    }
    return _Cell(keep=keep, answers=answers, fresh=fresh, scores=scores, performance=performance)


def _measure(recipe: PuzzleRecipe, key: _Key, cells: Sequence[_Cell]) -> list[Measurement]:
    """What the nets of a key give, over all seeds; in solve rates each net counts as a seed."""
    size = key.size
    facts: Condition = {"nets": key.kind, "items": size or NEW_ITEMS, "iterations": key.iterations}
    found = [
        over_all_seeds([cell.performance[name] for cell in cells]).measured(AUC, {"attack": name, **facts}, unit=SHARE)
        for name in cells[0].performance
    ]
    rates = {TEST_SPLIT: [float(right.float().mean()) for cell in cells for right in cell.fresh.solved]}
    if size:
        pairs = [pair for cell in cells for pair in zip(cell.answers.solved, cell.keep, strict=True)]
        rates[MEMBERS] = [float(right[own].float().mean()) for right, own in pairs]
    for items, values in rates.items():
        number = recipe.fresh if items == TEST_SPLIT else size
        found.append(over_seeds("solve rate", values, unit=SHARE, condition={"of": items, **facts}, num_items=number))
    if size and key.iterations == recipe.max_iterations:
        rows = [
            row for cell in cells for row in zip(cell.answers.log_odds, cell.fresh.log_odds, cell.keep, strict=True)
        ]
        aucs = [auc_of(members[own], others) for members, others, own in rows]
        condition = {"attack": FRESH_ATTACK, **facts}
        found.append(over_seeds(AUC, aucs, unit=SHARE, condition=condition, num_items=size + recipe.fresh))
    return found


def auc_of(members: Tensor, others: Tensor) -> float:
    """Area under the ROC curve of scores of members (A,) and others (B,), float64."""
    scores = torch.cat([members, others]).numpy()
    inside = torch.arange(len(scores)).numpy() < len(members)
    return float(roc_metrics(*roc_points(scores, inside), ())[AUC][0])


def _compare(
    recipe: PuzzleRecipe,
    seeds: Sequence[Mapping[_Key, _Cell]],
    kinds: Mapping[str, SolverKind],
    comparisons: Sequence[tuple[str, str]],
) -> list[Measurement]:
    """Differences in AUC: between kinds, between the smallest and largest set, between most and trained iterations."""
    trained, last, least, most = recipe.max_iterations, recipe.iterations[-1], recipe.sizes[0], recipe.sizes[-1]
    middle = recipe.middle
    pairs: list[tuple[_Key, _Key, Condition]] = []
    facts: Condition
    for first, second in comparisons:
        facts = {"of": first, "against": second, "items": middle, "iterations": trained}
        pairs.append((_Key(first, middle, trained), _Key(second, middle, trained), facts))
    for kind, solver in kinds.items():
        if least < most:
            facts = {"of": f"{least} items", "against": f"{most} items", "nets": kind, "iterations": trained}
            pairs.append((_Key(kind, least, trained), _Key(kind, most, trained), facts))
        if last > trained and solver.most_iterations is None:
            facts = {"of": f"{last} iterations", "against": f"{trained} iterations", "nets": kind, "items": middle}
            pairs.append((_Key(kind, middle, last), _Key(kind, middle, trained), facts))
    found = []
    for attack in (THRESHOLD, LIRA):
        for one, other, facts in pairs:
            ours, theirs = (over_all_seeds([cells[key].performance[attack] for cells in seeds]) for key in (one, other))
            difference = ours.minus(theirs) if one.size == other.size else apart(ours, theirs)
            found.append(difference.measured(f"{AUC} difference", {"attack": attack, **facts}, unit=SHARE_DIFFERENCE))
    return found


def apart(one: Performance, other: Performance) -> Performance:
    """The difference of two figures on different points, whose draws must be independent.

    The draws of the second are rotated by one place, so that none is paired with the draw of the same number.
    """
    turned = replace(other, draws=torch.from_numpy(other.draws).roll(1).numpy())
    return one.minus(turned)
