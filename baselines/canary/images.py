"""The evaluation on images: train shadow nets, attack half of them with the help of the other half, measure."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.canary.attacks import all_attacks, compare_attacks, query_counts
from easy_to_hard.baselines.canary.claims import MEMBERS, decide_image_claims
from easy_to_hard.baselines.canary.image_task import ImageTask, augmented_queries, build_image_task, normalised
from easy_to_hard.baselines.canary.membership import batch_streams, keep_matrix
from easy_to_hard.baselines.canary.metrics import require_resolution
from easy_to_hard.baselines.canary.pictures import save_queries, save_roc
from easy_to_hard.baselines.canary.queries import CanaryConfig, PixelBox, make_canaries
from easy_to_hard.baselines.canary.recipes import ImageRecipe
from easy_to_hard.baselines.canary.scores import class_log_odds
from easy_to_hard.baselines.canary.shadows import (
    ShadowJob,
    Shadows,
    can_stack,
    load_stage,
    save_stage,
    train_shadows,
)
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.precision import get_device, recorded_precision, settle
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.statistics import SHARE, over_seeds
from easy_to_hard.baselines.kit.training import count_parameters
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.scores.reference import Measurement, ReferenceResult

METHOD: Final = "canary"
IMAGE_QUESTION: Final = (
    "Do queries optimised on shadow nets tell members of the training set from others better than LiRA's augmentations?"
)
ROC: Final = "roc.png"
QUERIES: Final = "queries.png"

_TEST_IMAGES: Final = 2000
_SHOWN: Final = 6
# Floats for each number in a query: query, start, gradient, two of Adam, and what is being changed.
_COPIES: Final = 6


@dataclass(frozen=True, kw_only=True)
class CanaryRun:
    """What to run on images.

    Attributes:
        recipe: how; see `get_image_preset`.
        preset: its name.
        target: "mnist" or "cifar10".
        data_root: where they are.
        download: fetch data that are missing.
        seed: of memberships, weights and queries, each of which has draws of its own.
        at_once: nets trained as one stack; 0 for all on a GPU and the recipe's number on a CPU.
        levels: false-positive rates; empty for those that the points can show.
        device: "cpu" or "cuda".

    Raises:
        ValueError: a name or number that is not allowed.
    """

    recipe: ImageRecipe
    preset: str
    target: str
    data_root: Path
    download: bool = False
    seed: int = 0
    at_once: int = 0
    levels: tuple[float, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_integer_fields(self)
        get_device(self.device)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")
        if self.at_once < 0:
            raise ValueError(f"the number of nets at once must be at least 1, or 0 for the default, not {self.at_once}")
        for level in self.levels:
            require_resolution(level, self.recipe.points // 2)

    @property
    def all_levels(self) -> tuple[float, ...]:
        """The false-positive rates, given or those that can be shown."""
        return self.levels or self.recipe.levels


def run_on_images(run: CanaryRun, out: Path, *, progress: bool) -> ReferenceResult:
    """Train the nets, make the canaries, attack, judge.

    The folder keeps the nets and canaries, from which a run that was stopped goes on, and the pictures `roc.png` and
    `queries.png`.

    Args:
        run: what.
        out: the folder, made when missing.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with data, settings or folder.
    """
    started, device = time.perf_counter(), get_device(run.device)
    recipe = run.recipe
    train, test = (load_images(run.target, run.data_root, train=part, download=run.download) for part in (True, False))
    task = build_image_task(
        train,
        recipe.pool,
        augmentation=recipe.augmentation,
        architecture=recipe.architecture,
        width=recipe.width,
        seed=run.seed,
        device=device,
    )
    require_memory(recipe, task.images[0].numel(), device)
    # Nothing is written before it is known that all fits.
    out.mkdir(parents=True, exist_ok=True)
    run = settle(run, recorded_precision(out, device))
    recipe = run.recipe
    half = recipe.shadows // 2
    keep = torch.cat([keep_matrix(half, recipe.pool, seed=seed_of("half", run.seed, part)) for part in (0, 1)])
    job = _shadow_job(run, task, keep, device)
    nets = train_shadows(job, out / "nets", progress=progress)
    accuracies = _accuracies(nets, task, keep, test)
    queries = _all_queries(run, task, nets, keep, out)
    phi = {name: statistics_of(nets, task, values, recipe.canary.batch_size) for name, values in queries.items()}
    of_points = keep[:, : recipe.points]
    attacks = all_attacks(phi, of_points, half, levels=run.all_levels, seed=run.seed)
    measurements = (
        *accuracies,
        *(one for attack in attacks.values() for one in attack.measurements()),
        *compare_attacks(attacks),
        *query_counts(phi, of_points, half, seed=run.seed),
    )
    save_roc(attacks, of_points[half:].numpy(), out / ROC)
    _save_queries(queries, task, out / QUERIES)
    return ReferenceResult(
        method=METHOD,
        preset=run.preset,
        data=run.target,
        question=IMAGE_QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=(run.seed,),
        device=run.device,
        seconds=round(time.perf_counter() - started, 1),
        settings=_settings(run, job, task, (train, test)),
        measurements=measurements,
        claims=decide_image_claims(measurements),
    )


def require_memory(recipe: ImageRecipe, numbers: int, device: torch.device) -> None:
    """ValueError where the canaries of all points, optimised side by side, do not fit.

    Args:
        recipe: with points and queries.
        numbers: in an image.
        device: whose memory it is.
    """
    if device.type == "cuda":
        there = torch.cuda.mem_get_info(device)[0]
    else:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = 4 * _COPIES * recipe.points * recipe.queries * numbers
    if needed > there:
        fitting = int(there // (4 * _COPIES * recipe.points * numbers))
        raise ValueError(
            f"{recipe.queries:,} queries of each of {recipe.points:,} points need {needed / 2**30:,.1f} GiB, and there "
            f"are {there / 2**30:,.1f}: give at most {fitting:,} queries, or fewer points"
        )


def _shadow_job(run: CanaryRun, task: ImageTask, keep: Tensor, device: torch.device) -> ShadowJob:
    recipe = run.recipe
    streams = batch_streams(
        [torch.nonzero(row)[:, 0] for row in keep],
        steps=recipe.train.steps,
        batch_size=recipe.train.batch_size,
        seed=run.seed,
    )
    described = {
        "target": run.target,
        "pool": recipe.pool,
        "shadows": recipe.shadows,
        "seed": run.seed,
        "train": asdict(recipe.train),
        "augmentation": asdict(recipe.augmentation),
        "net": [recipe.architecture, recipe.width],
    }
    job = ShadowJob(
        task=task,
        config=recipe.train,
        streams=streams,
        seed=run.seed,
        at_once=1,
        device=device,
        described=described,
    )
    return with_stack(job, run.at_once, recipe.at_once)


def with_stack(job: ShadowJob, wanted: int, on_cpu: int) -> ShadowJob:
    """The job with as many nets at once as are wanted (0: all on a GPU, `on_cpu` on a CPU) and its nets allow."""
    count = wanted or (len(job.streams) if job.device.type == "cuda" else on_cpu)
    return replace(job, at_once=count if count == 1 or can_stack(job) else 1)


def _accuracies(nets: Shadows, task: ImageTask, keep: Tensor, test: ImageSet) -> list[Measurement]:
    """Share of right answers of the nets on their members, on the others of the pool, and on the test images."""
    shown = test.first(min(len(test), _TEST_IMAGES))
    mean, std = task.mean.cpu(), task.std.cpu()
    images, labels = normalised(shown.images, mean, std).to(task.images.device), shown.labels.to(task.labels.device)
    values: dict[str, list[float]] = {MEMBERS: [], "others of the pool": [], "test": []}
    for number in range(len(nets)):
        net = nets[number]
        right = (_logits(net, task.images).argmax(1) == task.labels).cpu()
        values[MEMBERS].append(float(right[keep[number]].float().mean()))
        values["others of the pool"].append(float(right[~keep[number]].float().mean()))
        values["test"].append(float((_logits(net, images).argmax(1) == labels).float().mean()))
    counts = {MEMBERS: len(task.images) // 2, "others of the pool": len(task.images) // 2, "test": len(shown)}
    return [
        over_seeds("accuracy of the nets", found, unit=SHARE, condition={"images": name}, num_items=counts[name])
        for name, found in values.items()
    ]


def _logits(net: torch.nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    with torch.no_grad():
        return torch.cat([net(part).float() for part in torch.split(images, batch_size)])


def statistics_of(nets: Shadows, task: ImageTask, queries: Tensor, batch_size: int) -> Tensor:
    """phi of each net, point and query: (N, P, Q) float64 on the CPU, of queries (P, Q, C, H, W)."""
    count, each = queries.shape[:2]
    labels = task.labels[:count].repeat_interleave(each)
    rows = [
        class_log_odds(_logits(nets[number], queries.flatten(0, 1), batch_size), labels).reshape(count, each).cpu()
        for number in range(len(nets))
    ]
    return torch.stack(rows)


def _all_queries(run: CanaryRun, task: ImageTask, nets: Shadows, keep: Tensor, out: Path) -> dict[str, Tensor]:
    """Name -> (P, Q, C, H, W): the images, LiRA's augmentations, canaries for both modes, and the variants."""
    recipe = run.recipe
    starts = augmented_queries(task, recipe.points, recipe.queries, seed=run.seed)
    queries = {"image": task.images[: recipe.points, None], "augmented": starts}
    wanted = {f"canary, {mode}": (mode, recipe.canary) for mode in ("online", "offline")}
    for objective, epsilon in recipe.variants:
        if (objective, epsilon) != (recipe.canary.objective, recipe.canary.epsilon):
            changed = replace(recipe.canary, objective=objective, epsilon=epsilon)
            wanted[f"canary, online, {objective}, epsilon {epsilon:g}"] = ("online", changed)
    for number, (name, (mode, config)) in enumerate(wanted.items()):
        queries[name] = _canaries(run, task, nets, keep, starts, mode, config, out / f"canaries-{number}.pt")
    return queries


def _canaries(
    run: CanaryRun,
    task: ImageTask,
    nets: Shadows,
    keep: Tensor,
    starts: Tensor,
    mode: Any,
    config: CanaryConfig,
    path: Path,
) -> Tensor:
    """Canaries from the folder, or made anew with the first half of the nets."""
    half, count = run.recipe.shadows // 2, run.recipe.points
    settings = {
        "mode": mode,
        "canary": asdict(config),
        "points": count,
        "queries": run.recipe.queries,
        "nets": json_of_nets(run),
    }
    stored = load_stage(path, settings, task.images.device)
    if stored is None:
        made = make_canaries(
            Shadows(template=nets.template, states={name: value[:half] for name, value in nets.states.items()}),
            keep[:half, :count],
            starts,
            task.labels[:count],
            box=PixelBox(black=task.black, white=task.white),
            config=config,
            mode=mode,
            num_classes=10,
            seed=run.seed,
        )
        stored = {"queries": made}
        save_stage(path, settings, stored)
    return stored["queries"]


def json_of_nets(run: CanaryRun) -> Mapping[str, Any]:
    """What decides the nets that canaries were made with."""
    recipe = run.recipe
    return {"train": asdict(recipe.train), "shadows": recipe.shadows, "pool": recipe.pool, "seed": run.seed}


def _save_queries(queries: Mapping[str, Tensor], task: ImageTask, path: Path) -> None:
    """A picture of the first query of a few points, and of what was changed."""

    def pixels(name: str) -> Tensor:
        chosen = queries[name][:_SHOWN, 0] * task.std[:, None, None] + task.mean[:, None, None]
        return chosen.clamp(0, 1).cpu()

    start = pixels("augmented")
    rows = {"image": pixels("image"), "start": start}
    for mode in ("online", "offline"):
        made = pixels(f"canary, {mode}")
        rows[f"canary, {mode}"] = made
        change = made - start
        rows[f"change, {mode}"] = 0.5 + change / (2 * change.abs().max().clamp_min(1e-9))
    save_queries(rows, path)


def _settings(run: CanaryRun, job: ShadowJob, task: ImageTask, sets: tuple[ImageSet, ImageSet]) -> dict[str, Any]:
    recipe = {name: value for name, value in asdict(run.recipe).items() if name not in ("title", "at_once")}
    return {
        **recipe,
        "nets_at_once": job.at_once,
        "parameters": count_parameters(task.build(0)),
        "levels": list(run.all_levels),
        "data_note": "; ".join(filter(None, (one.note for one in sets))),
        "targets": run.recipe.shadows // 2,
    }
