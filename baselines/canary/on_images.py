"""The evaluation on images: train shadow nets, make canaries with one half, attack the other half, and measure."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.canary.attacks import AUGMENTED, CANARY, all_attacks, compare_attacks, query_counts
from easy_to_hard.baselines.canary.claims import MEMBERS, claims
from easy_to_hard.baselines.canary.classifiers import NUM_CLASSES, build_classifier
from easy_to_hard.baselines.canary.lira import class_log_odds
from easy_to_hard.baselines.canary.pictures import draw_queries, draw_roc
from easy_to_hard.baselines.canary.queries import Augmentation, CanaryConfig, Mode, PixelBox, make_canaries
from easy_to_hard.baselines.canary.recipes import ImageRecipe
from easy_to_hard.baselines.canary.shadows import keep_matrix, train_shadows
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
class _Prepared:
    """What a run attacks: the trained nets, half of which make canaries, and which net was trained on which point."""

    recipe: ImageRecipe
    task: ImageTask
    nets: Stacked
    keep: Tensor


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train the nets, make the canaries, attack, and judge the claims.

    The folder keeps the nets and canaries, from which a stopped run continues, and the pictures `roc.png` and
    `queries.png`.

    Args:
        recipe, folder, device, progress: see `Baseline.run`.
    """
    where = get_device(device)
    train, test = (
        load_images(recipe.data, recipe.data_root, train=part, download=recipe.download) for part in (True, False)
    )
    task = build_image_task(train, recipe, where)
    require_memory(recipe, task.images[0].numel(), where)
    # Nothing is written before it is known that everything fits.
    settings = recipe.settings_of("pool", "augmentation", "architecture", "width")
    parts = RunFolder(folder, {**settings, "device": where.type})
    recipe = settle(recipe, parts.precision(where))
    half = recipe.shadows // 2
    keep = torch.cat([keep_matrix(half, recipe.pool, seed=seed_of("half", recipe.seed, part)) for part in (0, 1)])
    job = recipe.job(task, [torch.nonzero(row)[:, 0] for row in keep], where)
    nets = train_shadows(job, parts, "nets", progress=progress)
    prepared = _Prepared(recipe=recipe, task=task, nets=nets, keep=keep)
    queries = _all_queries(prepared, parts)
    phi = {name: statistics_of(nets, task, values, recipe.canary.batch_size) for name, values in queries.items()}
    of_points = keep[:, : recipe.points]
    attacks = all_attacks(phi, of_points, half, levels=recipe.reported_levels, seed=recipe.seed)
    save_picture(lambda: draw_roc(attacks, of_points[half:].numpy()), folder / ROC)
    save_picture(lambda: draw_queries(_shown_queries(queries, task)), folder / QUERIES)
    return result_of(
        "canary",
        recipe,
        parts,
        question=QUESTION,
        device=device,
        measurements=(
            *_accuracies(prepared, test),
            *(one for attack in attacks.values() for one in attack.measurements()),
            *compare_attacks(attacks),
            *query_counts(phi, of_points, half, seed=recipe.seed),
        ),
        claims=claims,
        more={
            "nets_at_once": job.at_once,
            "parameters": count_parameters(task.build(0)),
            "levels": list(recipe.reported_levels),
            "data_note": "; ".join(filter(None, (one.note for one in (train, test)))),
            "targets": half,
        },
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


def _accuracies(prepared: _Prepared, test: ImageSet) -> list[Measurement]:
    """Accuracy of the nets on their members, on the other images of the pool, and on the test images."""
    task, nets = prepared.task, prepared.nets
    shown = test.first(min(len(test), _TEST_IMAGES))
    images = normalized(shown.images, task.mean.cpu(), task.std.cpu()).to(task.images.device)
    labels = shown.labels.to(task.labels.device)
    values: dict[str, list[float]] = {MEMBERS: [], "others of the pool": [], "test": []}
    for number, own in enumerate(prepared.keep):
        net = nets.net(number)
        right = (_logits(net, task.images).argmax(1) == task.labels).cpu()
        values[MEMBERS].append(float(right[own].float().mean()))
        values["others of the pool"].append(float(right[~own].float().mean()))
        values["test"].append(float((_logits(net, images).argmax(1) == labels).float().mean()))
    counts = {MEMBERS: len(task.images) // 2, "others of the pool": len(task.images) // 2, "test": len(shown)}
    return [
        over_seeds("accuracy of the nets", found, unit=SHARE, condition={"images": name}, num_items=counts[name])
        for name, found in values.items()
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


def _all_queries(prepared: _Prepared, parts: RunFolder) -> dict[str, Tensor]:
    """Name -> (P, Q, C, H, W): the images, LiRA's augmentations, canaries for both modes, and the variants."""
    recipe, task = prepared.recipe, prepared.task
    starts = augmented_queries(task, recipe.points, recipe.queries, seed=recipe.seed)
    queries = {"image": task.images[: recipe.points, None], AUGMENTED: starts}
    for mode in ("online", "offline"):
        queries[CANARY[mode]] = _canaries(prepared, starts, mode, recipe.canary, parts)
    for objective, epsilon in recipe.variants:
        if (objective, epsilon) != (recipe.canary.objective, recipe.canary.epsilon):
            changed = replace(recipe.canary, objective=objective, epsilon=epsilon)
            name = f"canary, online, {objective}, epsilon {epsilon:g}"
            queries[name] = _canaries(prepared, starts, "online", changed, parts)
    return queries


def _canaries(prepared: _Prepared, starts: Tensor, mode: Mode, config: CanaryConfig, parts: RunFolder) -> Tensor:
    """Canaries from the folder, or made anew with the first half of the nets."""
    recipe, task = prepared.recipe, prepared.task
    half = recipe.shadows // 2

    def make() -> dict[str, Tensor]:
        made = make_canaries(
            prepared.nets.take(range(half)),
            prepared.keep[:half, : recipe.points],
            starts,
            task.labels[: recipe.points],
            box=PixelBox(black=task.black, white=task.white),
            config=config,
            mode=mode,
            num_classes=NUM_CLASSES,
            seed=recipe.seed,
        )
        return {"queries": made}

    settings = {"mode": mode, "canary": asdict(config), "points": recipe.points, "queries": recipe.queries}
    name = f"canaries/{mode}-{config.objective}-{config.epsilon:g}"
    return parts.tensors(name, make, settings=settings, device=starts.device)["queries"]


def _shown_queries(queries: Mapping[str, Tensor], task: ImageTask) -> dict[str, Tensor]:
    """The first query of a few points, and the change from its start, as pictures in [0, 1]."""

    def pixels(name: str) -> Tensor:
        chosen = queries[name][:_SHOWN, 0] * task.std[:, None, None] + task.mean[:, None, None]
        return chosen.clamp(0, 1).cpu()

    start = pixels(AUGMENTED)
    rows = {"image": pixels("image"), "start": start}
    for mode, name in CANARY.items():
        rows[name] = made = pixels(name)
        change = made - start
        rows[f"change, {mode}"] = 0.5 + change / (2 * change.abs().max().clamp_min(1e-9))
    return rows
