"""How much nets that solve puzzles give away of their training set: by its size, by iterations, by kind of net."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.canary.claims import LIRA, MEMBERS, NEW_ITEMS, TEST_SPLIT, decide_task_claims
from easy_to_hard.baselines.canary.images import METHOD, with_stack
from easy_to_hard.baselines.canary.membership import batch_streams, keep_matrix
from easy_to_hard.baselines.canary.metrics import AUC, Performance, judge, roc_metrics, roc_points
from easy_to_hard.baselines.canary.pictures import save_memorisation
from easy_to_hard.baselines.canary.puzzle_task import Answers, PuzzleTask, SolverKind, answers_of
from easy_to_hard.baselines.canary.recipes import TaskRecipe
from easy_to_hard.baselines.canary.scores import leave_one_out
from easy_to_hard.baselines.canary.shadows import ShadowJob, Shadows, train_shadows
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.puzzles import Puzzles, make_puzzles
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.statistics import SHARE, over_seeds
from easy_to_hard.baselines.kit.training import count_parameters
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.scores.reference import Measurement, ReferenceResult

TASK_QUESTION: Final = (
    "How well can members of the training set be told from other puzzles by a net's answers, by the size of the set, "
    "the iterations and the kind of net?"
)
PICTURE: Final = "memorisation.png"
THRESHOLD_ATTACK: Final = "global threshold"
LIRA_MARGIN: Final = "LiRA, mean margin"
FRESH_ATTACK: Final = "global threshold, against the test split"


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """What to run on a task.

    Attributes:
        recipe: how; see `get_task_preset`.
        preset: its name.
        task: "mazes" or "prefix_sums".
        kinds: name -> kind of net; the first is also trained on new items at each step.
        comparisons: pairs of names of kinds.
        seed: of memberships, weights and batches.
        at_once: as in `CanaryRun`.
        device: "cpu" or "cuda".

    Raises:
        ValueError: a name or number that is not allowed.
    """

    recipe: TaskRecipe
    preset: str
    task: str
    kinds: Mapping[str, SolverKind]
    comparisons: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    at_once: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_integer_fields(self)
        get_device(self.device)
        if not self.kinds:
            raise ValueError("there must be at least one kind of net")
        if self.seed < 0 or self.at_once < 0:
            raise ValueError(f"seed and at_once must be at least 0, not {self.seed} and {self.at_once}")
        for name in {name for pair in self.comparisons for name in pair} - set(self.kinds):
            raise ValueError(f"unknown kind of net {name!r}: choose one of {', '.join(self.kinds)}")


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Items and memberships: the pool first, then the items that are new at each step of the null."""

    items: Puzzles
    fresh: Puzzles
    pool: int
    keeps: Mapping[int, Tensor]

    @property
    def middle(self) -> int:
        """The size that iterations and the null are looked at with."""
        sizes = list(self.keeps)
        return sizes[len(sizes) // 2]


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """Nets of one kind trained on one number of items (0 for new ones), after so many iterations."""

    answers: Answers
    keep: Tensor
    performance: Mapping[str, Performance]


def run_on_task(run: TaskRun, out: Path, *, progress: bool) -> ReferenceResult:
    """Train nets of each kind on training sets of each size, and attack each of them with the help of the others.

    The folder keeps the nets, from which a run that was stopped goes on, and the picture `memorisation.png`.

    Args:
        run: what.
        out: the folder, made when missing.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with settings or folder.
    """
    started, recipe = time.perf_counter(), run.recipe
    prepared = _prepare(run)
    found: list[Measurement] = []
    cells: dict[tuple[str, int, int], _Cell] = {}
    stacks, parameters = {}, {}
    for number, (kind, solver) in enumerate(run.kinds.items()):
        job = _job(run, prepared, kind, with_null=number == 0)
        nets = train_shadows(job, out / f"nets-{number}", progress=progress)
        stacks[kind], parameters[kind] = job.at_once, count_parameters(nets.template)
        groups = [*prepared.keeps, 0] if number == 0 else list(prepared.keeps)
        for place, size in enumerate(groups):
            chosen = slice(place * recipe.shadows, (place + 1) * recipe.shadows)
            group = Shadows(template=nets.template, states={name: part[chosen] for name, part in nets.states.items()})
            for iterations in recipe.iterations if size == prepared.middle else (recipe.max_iterations,):
                if solver.most_iterations is None or iterations <= solver.most_iterations:
                    cell = _look(run, prepared, solver, group, size, iterations)
                    cells[kind, size, iterations] = cell
                    found += _measure(run, prepared, solver, group, cell, kind, size, iterations)
    found += _compare(run, prepared, cells)
    measurements = tuple(found)
    save_memorisation(
        measurements,
        kinds=list(run.kinds),
        attack=LIRA,
        trained_iterations=recipe.max_iterations,
        path=out / PICTURE,
    )
    return ReferenceResult(
        method=METHOD,
        preset=run.preset,
        data=run.task,
        question=TASK_QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=(run.seed,),
        device=run.device,
        seconds=round(time.perf_counter() - started, 1),
        settings=_settings(run, stacks, parameters),
        measurements=measurements,
        claims=decide_task_claims(measurements, sizes=recipe.sizes, trained_iterations=recipe.max_iterations),
    )


def _prepare(run: TaskRun) -> _Prepared:
    recipe, device = run.recipe, get_device(run.device)
    pool, new = 2 * recipe.sizes[-1], recipe.train.steps * recipe.train.batch_size
    # The null's items are seen once each, so that no net has seen any of the pool.
    items = make_puzzles(run.task, recipe.difficulty, pool + new, seed=run.seed)
    fresh = make_puzzles(run.task, recipe.difficulty, recipe.fresh, split="test", seed=run.seed)
    keeps = {size: keep_matrix(recipe.shadows, 2 * size, seed=seed_of("size", run.seed, size)) for size in recipe.sizes}
    return _Prepared(items=items.to(device), fresh=fresh.to(device), pool=pool, keeps=keeps)


def _job(run: TaskRun, prepared: _Prepared, kind: str, *, with_null: bool) -> ShadowJob:
    """All nets of a kind: those of the first size, of the second, ..., and of the null."""
    recipe = run.recipe
    members = [torch.nonzero(row)[:, 0] for keep in prepared.keeps.values() for row in keep]
    if with_null:
        members += [torch.arange(prepared.pool, len(prepared.items))] * recipe.shadows
    described = {
        "task": run.task,
        "difficulty": recipe.difficulty,
        "sizes": list(recipe.sizes),
        "shadows": recipe.shadows,
        "seed": run.seed,
        "train": asdict(recipe.train),
        "kind": kind,
        "net": repr(run.kinds[kind].solvers),
    }
    streams = batch_streams(members, steps=recipe.train.steps, batch_size=recipe.train.batch_size, seed=run.seed)
    job = ShadowJob(
        task=PuzzleTask(items=prepared.items, solvers=run.kinds[kind].solvers, seed=run.seed),
        config=recipe.train,
        streams=streams,
        seed=run.seed,
        at_once=1,
        device=get_device(run.device),
        described=described,
    )
    return with_stack(job, run.at_once, recipe.at_once)


def _look(run: TaskRun, prepared: _Prepared, solver: SolverKind, nets: Shadows, size: int, iterations: int) -> _Cell:
    """Answers to the items that memberships were drawn for, and how the attacks did on them."""
    # Nets of the null have no members: the memberships of the middle size are as good as any.
    keep = prepared.keeps[size or prepared.middle]
    answers = answers_of(nets, solver.solvers, prepared.items[: keep.shape[1]], iterations)
    scores = {
        THRESHOLD_ATTACK: answers.log_odds,
        LIRA: leave_one_out(answers.log_odds[..., None], keep, fixed=True)["online"],
        LIRA_MARGIN: leave_one_out(answers.margins[..., None], keep, fixed=True)["online"],
    }
    performance = {name: judge(values.numpy(), keep.numpy(), seed=run.seed)[AUC] for name, values in scores.items()}
    return _Cell(answers=answers, keep=keep, performance=performance)


def _measure(
    run: TaskRun,
    prepared: _Prepared,
    solver: SolverKind,
    nets: Shadows,
    cell: _Cell,
    kind: str,
    size: int,
    iterations: int,
) -> list[Measurement]:
    facts: dict[str, str | int | float] = {"nets": kind, "items": size or NEW_ITEMS, "iterations": iterations}
    found = [one.measured(AUC, {"attack": name, **facts}, unit=SHARE) for name, one in cell.performance.items()]
    fresh = answers_of(nets, solver.solvers, prepared.fresh, iterations)
    pairs = list(zip(cell.answers.solved, cell.keep, strict=True))
    rates = {TEST_SPLIT: [float(right.float().mean()) for right in fresh.solved]}
    if size:
        rates[MEMBERS] = [float(right[own].float().mean()) for right, own in pairs]
    for items, values in rates.items():
        number = len(prepared.fresh) if items == TEST_SPLIT else size
        found.append(over_seeds("solve rate", values, unit=SHARE, condition={"of": items, **facts}, num_items=number))
    if size and iterations == run.recipe.max_iterations:
        rows = zip(cell.answers.log_odds, fresh.log_odds, cell.keep, strict=True)
        aucs = [auc_of(members[own], others) for members, others, own in rows]
        condition = {"attack": FRESH_ATTACK, **facts}
        found.append(over_seeds(AUC, aucs, unit=SHARE, condition=condition, num_items=size + len(prepared.fresh)))
    return found


def auc_of(members: Tensor, others: Tensor) -> float:
    """Area under the ROC curve of scores of members (A,) and others (B,), float64."""
    scores = torch.cat([members, others]).numpy()
    inside = torch.arange(len(scores)).numpy() < len(members)
    return float(roc_metrics(*roc_points(scores, inside), ())[AUC][0])


def _compare(run: TaskRun, prepared: _Prepared, cells: Mapping[tuple[str, int, int], _Cell]) -> list[Measurement]:
    """Differences in AUC: between kinds, between the smallest and largest set, between most and trained iterations."""
    recipe, middle = run.recipe, prepared.middle
    trained, found = recipe.max_iterations, []
    for attack in (THRESHOLD_ATTACK, LIRA):

        def add(one: tuple[str, int, int], other: tuple[str, int, int], names: tuple[str, str], **facts: Any) -> None:
            pair = [cells[key].performance[attack] for key in (one, other)]  # noqa: B023
            condition = {"attack": attack, "of": names[0], "against": names[1], **facts}  # noqa: B023
            difference = pair[0].minus(pair[1]) if one[1] == other[1] else apart(*pair)
            found.append(difference.measured(f"{AUC} difference", condition))

        for first, second in run.comparisons:
            facts = {"items": middle, "iterations": trained}
            add((first, middle, trained), (second, middle, trained), (first, second), **facts)
        for kind, solver in run.kinds.items():
            least, most = recipe.sizes[0], recipe.sizes[-1]
            names = f"{least} items", f"{most} items"
            if least < most:
                add((kind, least, trained), (kind, most, trained), names, nets=kind, iterations=trained)
            last = recipe.iterations[-1]
            if last > trained and solver.most_iterations is None:
                names = f"{last} iterations", f"{trained} iterations"
                add((kind, middle, last), (kind, middle, trained), names, nets=kind, items=middle)
    return found


def apart(one: Performance, other: Performance) -> Performance:
    """A difference of figures on other points: their draws have nothing to do with one another.

    The draws of the second are turned by one place, so that none is paired with the draw of the same number.
    """
    turned = replace(other, draws=torch.from_numpy(other.draws).roll(1).numpy())
    return one.minus(turned)


def _settings(run: TaskRun, stacks: Mapping[str, int], parameters: Mapping[str, int]) -> dict[str, Any]:
    recipe = {name: value for name, value in asdict(run.recipe).items() if name not in ("title", "at_once")}
    return {
        **recipe,
        "kinds": {name: repr(kind.solvers) for name, kind in run.kinds.items()},
        "nets_at_once": dict(stacks),
        "parameters": dict(parameters),
    }
