"""The evaluation on images: train shadow nets, make canaries with one half, attack the other half, and measure."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.canary.attacks import (
    AUGMENTED,
    CANARY,
    IMAGE,
    Statistics,
    all_attacks,
    compare_attacks,
    query_counts,
)
from easy_to_hard.baselines.canary.claims import MEMBERS, claims
from easy_to_hard.baselines.canary.classifiers import NUM_CLASSES, build_classifier
from easy_to_hard.baselines.canary.lira import class_log_odds
from easy_to_hard.baselines.canary.pictures import draw_queries, draw_roc
from easy_to_hard.baselines.canary.queries import Augmentation, CanaryConfig, Mode, PixelBox, make_canaries
from easy_to_hard.baselines.canary.recipes import ImageRecipe
from easy_to_hard.baselines.canary.score_files import SCORES, statistics_to_arrays, write_arrays
from easy_to_hard.baselines.canary.shadows import ShadowJob, keep_matrix, train_parts, train_shadows
from easy_to_hard.baselines.canary.shards import Shard, collect_shards
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.precision import get_device, settle
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import seed_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.statistics import SHARE, over_seeds
from easy_to_hard.baselines.kit.training import count_parameters
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "Do queries optimized on shadow nets tell members of the training set from others better than LiRA's augmentations?"
)
ROC: Final = "roc.png"
QUERIES: Final = "queries.png"

_OTHERS: Final = "others of the pool"
_TEST: Final = "test"
_TEST_IMAGES: Final = 2000
_SHOWN: Final = 6
# Floats in memory per number in a query: query, start, gradient, two of Adam, and a temporary copy.
_COPIES: Final = 6


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """Images for training and attacking shadow nets: normalized, shifted, and mirrored; see `ShadowTask`.

    Attributes:
        images: (n, C, H, W) float32, normalized.
        labels: (n,) int64.
        mean, std: (C,) float32, of pixels in [0, 1], over the training images.
        augmentation: of training and of LiRA's queries.
        architecture, width: see `build_classifier`.
        seed: of the augmentation.
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    augmentation: Augmentation
    architecture: str
    width: int
    seed: int

    @property
    def black(self) -> Tensor:
        """The value of a black pixel, (C,)."""
        return -self.mean / self.std

    @property
    def white(self) -> Tensor:
        """The value of a white pixel, (C,)."""
        return (1 - self.mean) / self.std

    def build(self, seed: int) -> nn.Module:
        """A classifier before training."""
        _, channels, side, _ = self.images.shape
        return build_classifier(self.architecture, channels=channels, side=side, width=self.width, seed=seed)

    def batches(self, indices: Tensor, *, step: int, first: int) -> tuple[Tensor, ...]:
        """Augmented images (K, B, C, H, W) and labels (K, B); each net's draws are independent of the other nets."""
        at = indices.to(self.images.device)
        rows = []
        for number, own in enumerate(at):
            rng = torch.Generator().manual_seed(seed_of("augment", self.seed, first + number, step))
            rows.append(self.augmentation(self.images[own], rng, self.black))
        return torch.stack(rows), self.labels[at]

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], *, step: int) -> Tensor:
        """Mean cross-entropy, ()."""
        del step
        images, labels = batch
        return F.cross_entropy(net(images).float(), labels)


def build_image_task(train: ImageSet, recipe: ImageRecipe, device: torch.device) -> ImageTask:
    """The first images as a task; mean and std are over all training images, not over a net's members.

    Raises:
        ValueError: there are fewer images than the recipe's pool.
    """
    units = train.images.float() / 255
    mean, std = units.mean(dim=(0, 2, 3)), units.std(dim=(0, 2, 3)).clamp_min(1e-3)
    chosen = train.first(recipe.pool)
    return ImageTask(
        images=normalized(chosen.images, mean, std).to(device),
        labels=chosen.labels.to(device),
        mean=mean.to(device),
        std=std.to(device),
        augmentation=recipe.augmentation,
        architecture=recipe.architecture,
        width=recipe.width,
        seed=recipe.seed,
    )


def normalized(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Normalize images: uint8 (B, C, H, W) to float32 of mean 0 and standard deviation 1."""
    return (images.float() / 255 - mean[:, None, None]) / std[:, None, None]


def augmented_queries(task: ImageTask, num_points: int, num_queries: int, *, seed: int) -> Tensor:
    """LiRA's queries, and where canaries start: training augmentations of each of the first points.

    Returns:
        (num_points, num_queries, C, H, W) float32, on the device; the same for a point however many points there are.
    """
    rows = []
    for number, image in enumerate(task.images[:num_points]):
        rng = torch.Generator().manual_seed(seed_of("queries", seed, number))
        rows.append(task.augmentation(image.expand(num_queries, -1, -1, -1), rng, task.black))
    return torch.stack(rows)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What one seed trains: half of the nets make canaries, the other half are targets."""

    recipe: ImageRecipe
    task: ImageTask
    keep: Tensor
    job: ShadowJob

    @property
    def half(self) -> int:
        return self.recipe.shadows // 2

    @property
    def nets(self) -> str:
        """The name of the nets in the run's folder."""
        return f"seed{self.recipe.seed}/nets"

    @property
    def settings(self) -> dict[str, int]:
        return {"seed": self.recipe.seed}


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What the nets of one seed gave: statistics of all queries, accuracies, and pictures of some queries."""

    statistics: Statistics
    accuracies: Mapping[str, list[float]]
    shown: Mapping[str, Tensor]


def _plan(recipe: ImageRecipe, train: ImageSet, device: torch.device, *, shards: int = 1) -> _Plan:
    """The plan of a recipe with one seed."""
    task = build_image_task(train, recipe, device)
    half = recipe.shadows // 2
    keep = torch.cat([keep_matrix(half, recipe.pool, seed=seed_of("half", recipe.seed, part)) for part in (0, 1)])
    job = recipe.job(task, [torch.nonzero(row)[:, 0] for row in keep], device, shards=shards)
    return _Plan(recipe=recipe, task=task, keep=keep, job=job)


def _settings(recipe: ImageRecipe, device: torch.device) -> dict[str, Any]:
    """What decides every part of a run."""
    return {**recipe.settings_of("pool", "augmentation", "architecture", "width"), "device": device.type}


def train_shard(recipe: ImageRecipe, folder: Path, shard: Shard, *, device: str, progress: bool) -> None:
    """Train one shard of the nets of all seeds, for a run that has the folder's parent.

    Args:
        recipe, folder, device, progress: see `Baseline.run`; the folder is the shard's.
        shard: which nets.
    """
    where = get_device(device)
    train = load_images(recipe.data, recipe.data_root, train=True, download=recipe.download)
    train.first(recipe.pool)
    parts = RunFolder(folder, _settings(recipe, where))
    for one in settle(recipe, parts.precision(where)).of_each_seed():
        plan = _plan(one, train, where, shards=shard.count)
        train_parts(plan.job, parts, plan.nets, settings=plan.settings, shard=shard, progress=progress)


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train the nets, make the canaries, attack, and judge the claims.

    The folder keeps the nets and canaries, from which a stopped run continues, the scores of each seed in
    `seedN/scores.npz` (see `read_statistics`), and the pictures `roc.png` and `queries.png`.

    Args:
        recipe, folder, device, progress: see `Baseline.run`.
    """
    where = get_device(device)
    train, test = (
        load_images(recipe.data, recipe.data_root, train=part, download=recipe.download) for part in (True, False)
    )
    require_memory(recipe, train.first(recipe.pool).images[0].numel(), where)
    # Nothing is written before it is known that everything fits.
    parts = RunFolder(folder, _settings(recipe, where))
    collect_shards(folder)
    recipe = settle(recipe, parts.precision(where))
    found = []
    for of_seed in recipe.of_each_seed():
        plan = _plan(of_seed, train, where)
        found.append(_ask(plan, parts, test, progress=progress))
    seeds = [answers.statistics for answers in found]
    attacks = all_attacks(seeds, levels=recipe.reported_levels)
    for place, one in enumerate(seeds):
        scores = {f"scores: {name}": attack.scores[place] for name, attack in attacks.items()}
        write_arrays({**statistics_to_arrays(one), **scores}, folder / f"seed{one.seed}" / SCORES)
    members = np.stack([one.members for one in seeds])
    save_picture(lambda: draw_roc(attacks, members), folder / ROC)
    save_picture(lambda: draw_queries(found[0].shown), folder / QUERIES)
    return result_of(
        "canary",
        recipe,
        parts,
        question=QUESTION,
        device=device,
        measurements=(
            *_accuracies(found, recipe.pool, len(_shown_test(test))),
            *(one for attack in attacks.values() for one in attack.measurements()),
            *compare_attacks(attacks),
            *query_counts(seeds),
        ),
        claims=claims,
        more={
            "nets_at_once": plan.job.at_once,
            "parameters": count_parameters(plan.task.build(0)),
            "levels": list(recipe.reported_levels),
            "data_note": "; ".join(filter(None, (one.note for one in (train, test)))),
            "targets": plan.half,
        },
    )


def _ask(plan: _Plan, parts: RunFolder, test: ImageSet, *, progress: bool) -> _Answers:
    """Train the nets of one seed, make the queries, and ask all nets."""
    recipe = plan.recipe
    nets = train_shadows(plan.job, parts, plan.nets, settings=plan.settings, progress=progress)
    queries = _all_queries(plan, nets, parts)
    phi = {name: statistics_of(nets, plan.task, values, recipe.online.batch_size) for name, values in queries.items()}
    return _Answers(
        statistics=Statistics(phi=phi, keep=plan.keep[:, : recipe.points], half=plan.half, seed=recipe.seed),
        accuracies=_accuracies_of(plan, nets, test),
        shown=_shown_queries(queries, plan.task),
    )


def require_memory(recipe: ImageRecipe, numbers: int, device: torch.device) -> None:
    """Raise a ValueError if the canaries of all points, which are optimized side by side, do not fit in memory.

    Args:
        recipe: gives points and queries.
        numbers: how many numbers an image has.
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
            f"{recipe.queries:,} queries for each of {recipe.points:,} points need {needed / 2**30:,.1f} GiB, but only "
            f"{there / 2**30:,.1f} are available: give at most {fitting:,} queries, or fewer points"
        )


def _shown_test(test: ImageSet) -> ImageSet:
    return test.first(min(len(test), _TEST_IMAGES))


def _accuracies_of(plan: _Plan, nets: Stacked, test: ImageSet) -> dict[str, list[float]]:
    """Accuracies of each net: on its members, on the other images of the pool, and on the test images."""
    task, shown = plan.task, _shown_test(test)
    images = normalized(shown.images, task.mean.cpu(), task.std.cpu()).to(task.images.device)
    labels = shown.labels.to(task.labels.device)
    values: dict[str, list[float]] = {MEMBERS: [], _OTHERS: [], _TEST: []}
    for number, own in enumerate(plan.keep):
        net = nets.net(number)
        right = (_logits(net, task.images).argmax(1) == task.labels).cpu()
        values[MEMBERS].append(float(right[own].float().mean()))
        values[_OTHERS].append(float(right[~own].float().mean()))
        values[_TEST].append(float((_logits(net, images).argmax(1) == labels).float().mean()))
    return values


def _accuracies(found: Sequence[_Answers], pool: int, tested: int) -> list[Measurement]:
    """Accuracies of the nets of all seeds; each net has weights of its own, and counts as a seed."""
    counts = {MEMBERS: pool // 2, _OTHERS: pool // 2, _TEST: tested}
    return [
        over_seeds(
            "accuracy of the nets",
            [value for one in found for value in one.accuracies[name]],
            unit=SHARE,
            condition={"images": name},
            num_items=count,
        )
        for name, count in counts.items()
    ]


def _logits(net: nn.Module, images: Tensor, batch_size: int = 1000) -> Tensor:
    with torch.no_grad():
        return torch.cat([net(part).float() for part in torch.split(images, batch_size)])


def statistics_of(nets: Stacked, task: ImageTask, queries: Tensor, batch_size: int) -> Tensor:
    """phi of each net, point and query: (N, P, Q) float64 on the CPU, of queries (P, Q, C, H, W)."""
    count, each = queries.shape[:2]
    labels = task.labels[:count].repeat_interleave(each)
    rows = [
        class_log_odds(_logits(nets.net(number), queries.flatten(0, 1), batch_size), labels).reshape(count, each).cpu()
        for number in range(len(nets))
    ]
    return torch.stack(rows)


def _all_queries(plan: _Plan, nets: Stacked, parts: RunFolder) -> dict[str, Tensor]:
    """Name -> (P, Q, C, H, W): the images, LiRA's augmentations, canaries for both modes, and the variants."""
    recipe, task = plan.recipe, plan.task
    starts = augmented_queries(task, recipe.points, recipe.queries, seed=recipe.seed)
    queries = {IMAGE: task.images[: recipe.points, None], AUGMENTED: starts}
    modes: dict[Mode, CanaryConfig] = {"online": recipe.online, "offline": recipe.offline}
    for mode, config in modes.items():
        queries[CANARY[mode]] = _canaries(plan, nets, starts, mode, config, parts)
    for objective, epsilon in recipe.variants:
        if (objective, epsilon) != (recipe.online.objective, recipe.online.epsilon):
            changed = replace(recipe.online, objective=objective, epsilon=epsilon, stop_loss=None)
            name = f"canary, online, {objective}, epsilon {epsilon:g}"
            queries[name] = _canaries(plan, nets, starts, "online", changed, parts)
    return queries


def _canaries(plan: _Plan, nets: Stacked, starts: Tensor, mode: Mode, config: CanaryConfig, parts: RunFolder) -> Tensor:
    """Canaries from the folder, or made anew with the first half of the nets."""
    recipe, task = plan.recipe, plan.task

    def make() -> dict[str, Tensor]:
        made = make_canaries(
            nets.take(range(plan.half)),
            plan.keep[: plan.half, : recipe.points],
            starts,
            task.labels[: recipe.points],
            box=PixelBox(black=task.black, white=task.white),
            config=config,
            mode=mode,
            num_classes=NUM_CLASSES,
            seed=recipe.seed,
        )
        return made._asdict()

    settings = {
        **plan.settings,
        "mode": mode,
        "canary": asdict(config),
        "points": recipe.points,
        "queries": recipe.queries,
    }
    name = f"seed{recipe.seed}/canaries/{mode}-{config.objective}-{config.epsilon:g}"
    return parts.tensors(name, make, settings=settings, device=starts.device)["queries"]


def _shown_queries(queries: Mapping[str, Tensor], task: ImageTask) -> dict[str, Tensor]:
    """The first query of a few points, and the change from its start, as pictures in [0, 1]."""

    def pixels(name: str) -> Tensor:
        chosen = queries[name][:_SHOWN, 0] * task.std[:, None, None] + task.mean[:, None, None]
        return chosen.clamp(0, 1).cpu()

    start = pixels(AUGMENTED)
    rows = {"image": pixels(IMAGE), "start": start}
    for mode, name in CANARY.items():
        rows[name] = made = pixels(name)
        change = made - start
        rows[f"change, {mode}"] = 0.5 + change / (2 * change.abs().max().clamp_min(1e-9))
    return rows
