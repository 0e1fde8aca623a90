"""The evaluation on images: train a restorer, restore test images in every way, and generate new ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.claims import claims, compare
from easy_to_hard.baselines.cold_diffusion.classifier import train_classifier
from easy_to_hard.baselines.cold_diffusion.degradations import get_degradation
from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation
from easy_to_hard.baselines.cold_diffusion.generation import BROKEN_SYMMETRY, generate, last_states
from easy_to_hard.baselines.cold_diffusion.metrics import (
    Features,
    frechet_distance,
    inception_features,
    kernel_distance,
    rmse,
    ssim,
)
from easy_to_hard.baselines.cold_diffusion.pictures import plot_grid
from easy_to_hard.baselines.cold_diffusion.recipes import ImageRecipe
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS, Restore, at_severity
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images, to_unit_range
from easy_to_hard.baselines.kit.precision import Precision, autocast, get_device, recorded_precision, settle
from easy_to_hard.baselines.kit.run_folder import Row, RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure, of_share, summarize
from easy_to_hard.baselines.kit.training import Loop, count_parameters, train_part
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "Does restoring images step by step with Algorithm 2 beat restoring them at once, and what becomes of Algorithm 1?"
)
GRID: Final = "grid.png"
GENERATED_GRID: Final = "generated.png"

_BATCH: Final = 100
_SHOWN: Final = 8
_UNITS: Final = {"RMSE": "pixel value", "SSIM": "", "FID": "squared distance", "KID": "squared distance"}


@dataclass(frozen=True, kw_only=True)
class _Data:
    """What a run restores.

    Attributes:
        train: training images, at the recipe's side times its margin.
        test: the images to restore, at the recipe's side.
        labeled: training and all test images at the recipe's side, for the classifier.
        degradation: the degradation to undo.
    """

    train: ImageSet
    test: ImageSet
    labeled: tuple[ImageSet, ImageSet]
    degradation: Degradation


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train a restorer for each seed, restore the test images in every way, and measure; see `Baseline.run`.

    The folder keeps each seed's checkpoint and figures, from which a stopped run continues, and for the first seed the
    pictures `grid.png` and, if images are generated, `generated.png`.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with data, settings, or folder.
    """
    where, data = get_device(device), _load(recipe)
    weights = recipe.inception_weights
    features = None if weights is None else inception_features(weights)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = settle(recipe, recorded_precision(folder, device))
    # Whether images are generated does not affect how others are restored.
    decided = {name: of for name, of in recipe.seed_settings().items() if name not in ("generate", "components")}
    parts = RunFolder(folder, {**decided, "severities": recipe.steps, "train_images": len(data.train)})
    accuracy: list[Measurement] = []
    if features is None:
        classifier = train_classifier(*data.labeled, steps=recipe.classifier_steps, folder=parts, progress=progress)
        features = classifier.features
        accuracy = [
            of_share(
                "accuracy of the classifier whose features are compared", classifier.num_right, classifier.num_test
            )
        ]
    seeds = [_figures_of_seed(recipe, data, features, parts, seed, where, progress=progress) for seed in recipe.seeds]
    with torch.device("meta"):
        parameters = count_parameters(recipe.restorer.build(data.train.images.shape[1], 0))
    return result_of(
        "cold_diffusion",
        recipe,
        parts,
        question=QUESTION,
        device=where,
        measurements=[*summarize(seeds), *accuracy],
        claims=claims,
        more=_described(recipe, data) | {"features": features.name, "parameters": parameters},
    )


def _load(recipe: ImageRecipe) -> _Data:
    """Load images and make the degradation; what does not fit raises here, before anything is trained."""
    root, wide = recipe.data_root, round(recipe.side * recipe.margin)
    train, test = (
        load_images(recipe.data, root, train=split, download=recipe.download).resized(wide) for split in (True, False)
    )
    channels = train.images.shape[1]
    others = None
    if recipe.others:
        found = load_images(recipe.others, root, train=True, download=recipe.download).resized(recipe.side).images
        others = _with_channels(to_unit_range(found), channels)
    named = get_degradation(recipe.degradation)
    degradation = named.make(recipe.steps, recipe.side, others, gentle=recipe.gentle)
    degradation.freeze((1, channels, recipe.side, recipe.side), generator_of("check"))
    if recipe.generate:
        last_states(degradation, train.images[:2], components=1, seed_rng=generator_of("check"))
    train_middle, test = (replace(part, images=middle(part.images, recipe.side)) for part in (train, test))
    restored = test.first(min(len(test), recipe.test_images)) if recipe.test_images else test
    return _Data(train=train, test=restored, labeled=(train_middle, test), degradation=degradation)


def _with_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    return images.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)


def middle(images: Tensor, side: int) -> Tensor:
    """The middle square of images, (N, C, H, W) -> (N, C, side, side)."""
    top, left = ((length - side) // 2 for length in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]


def _described(recipe: ImageRecipe, data: _Data) -> dict[str, Any]:
    """Settings of the degradation and facts about the images, for the result."""
    degradation = {name: value for name, value in vars(data.degradation).items() if name != "others"}
    return {
        "degradation": {"name": recipe.degradation, "others": recipe.others, **degradation},
        "train_images": len(data.train),
        "test_images": len(data.test),
        "data_note": "; ".join(filter(None, (data.train.note, data.test.note))),
    }


def _figures_of_seed(
    recipe: ImageRecipe,
    data: _Data,
    features: Features,
    folder: RunFolder,
    seed: int,
    device: torch.device,
    *,
    progress: bool,
) -> list[Figure]:
    """All figures of a seed, from the folder if they are there; for the first seed, pictures too."""
    draws = seed == recipe.seeds[0]

    @cache
    def trained() -> Restore:
        loop = build_loop(recipe, data.degradation, data.train.images, seed, device)
        train_part(loop, folder, f"seed{seed}", progress=progress)
        return as_restore(loop.average, recipe.loop.precision)

    def restored() -> list[Row]:
        states = restore_all(trained(), data.degradation, data.test.images, seed=seed, device=device)
        originals = data.test.images.float() / 255
        if draws:
            _save_grid({**states, "original": originals}, folder.path / GRID)
        return _rows({name: measure(images, originals, features) for name, images in states.items()})

    def generated() -> list[Row]:
        states = _generate(recipe, data, trained(), seed, device)
        if draws:
            _save_grid(states, folder.path / GENERATED_GRID)
        originals = data.test.images.float() / 255
        return _rows({name: measure_generated(images, originals, features) for name, images in states.items()})

    compared = {"features": features.name}
    rows = folder.rows(f"seed{seed}/restored", restored, settings=compared)
    num_test = len(data.test)
    figures = [_figure(row, num_test) for row in rows]
    figures += compare({(one.name, str(one.condition["state"])): one.value for one in figures}, num_test)
    if recipe.generate:
        made = compared | {"generate": recipe.generate, "components": recipe.components}
        rows = folder.rows(f"seed{seed}/generated", generated, settings=made)
        figures += [_figure(row, recipe.generate) for row in rows]
    return figures


def _rows(states: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """A mapping state -> name -> value as rows, one name after another."""
    names = next(iter(states.values()))
    return [{"name": name, "state": state, "value": found[name]} for name in names for state, found in states.items()]


def _figure(row: Row, num_items: int) -> Figure:
    unit, condition = _UNITS.get(row["name"], "pixel value"), {"state": row["state"]}
    return Figure(name=row["name"], value=row["value"], num_items=num_items, condition=condition, unit=unit)


def _save_grid(rows: Mapping[str, Tensor], path: Path) -> None:
    shown = {name: images[:_SHOWN] for name, images in rows.items()}
    save_picture(lambda: plot_grid(shown), path)


def draw_batch(images: Tensor, side: int, size: int, rng: torch.Generator) -> Tensor:
    """A batch of training images: (size, C, side, side) float32 in [-1, 1].

    If images are larger than the side, each is cropped to a random square and flipped half the time.
    """
    chosen = images[torch.randint(len(images), (size,), generator=rng)]
    room = images.shape[2] - side
    if room:
        tops, lefts = (torch.randint(room + 1, (size, 1, 1, 1), generator=rng) for _ in range(2))
        flipped = torch.rand(size, 1, 1, 1, generator=rng) < 0.5
        across = torch.arange(side).reshape(1, 1, 1, -1)
        columns = lefts + torch.where(flipped, side - 1 - across, across)
        rows = tops + torch.arange(side).reshape(1, 1, -1, 1)
        batch = torch.arange(size).reshape(-1, 1, 1, 1)
        chosen = chosen[batch, torch.arange(images.shape[1]).reshape(1, -1, 1, 1), rows, columns]
    return to_unit_range(chosen)


def build_loop(recipe: ImageRecipe, degradation: Degradation, images: Tensor, seed: int, device: torch.device) -> Loop:
    """The training of a restorer: minimize |R(D(x, t), t) - x|, with t uniform from 1 to T (equation 2).

    Args:
        recipe: how to train.
        degradation: the recipe's.
        images: (N, C, H, W) uint8, at the recipe's side times its margin.
        seed: of weights, batches and severities.
        device: where.
    """
    net = recipe.restorer.build(images.shape[1], seed).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rng = generator_of("batch", seed, step)
        clean = draw_batch(images, recipe.side, recipe.batch_size, rng)
        severity = torch.randint(1, degradation.steps + 1, (recipe.batch_size,), generator=rng).to(device)
        degrade = degradation.freeze(clean.shape, rng, device)
        clean = clean.to(device)
        with torch.no_grad():
            degraded = degrade(clean, severity).contiguous(memory_format=torch.channels_last)
        loss: Tensor = (current(degraded, severity) - clean).abs().mean()
        return loss

    settings = {
        "restorer": asdict(recipe.restorer),
        "degradation": {
            "name": recipe.degradation,
            "steps": degradation.steps,
            "gentle": recipe.gentle,
            "others": recipe.others,
        },
        "side": recipe.side,
        "margin": recipe.margin,
        "batch_size": recipe.batch_size,
        "num_images": len(images),
    }
    return Loop(net, loss_at, replace(recipe.loop, seed=seed), settings)


def as_restore(net: nn.Module, precision: Precision) -> Restore:
    """A net as a restorer, in the precision in which it was trained."""

    def restore(degraded: Tensor, severity: Tensor) -> Tensor:
        with autocast(degraded.device, precision):
            estimate: Tensor = net(degraded.contiguous(memory_format=torch.channels_last), severity)
        return estimate.float()

    return restore


def restore_all(
    restore: Restore, degradation: Degradation, originals: Tensor, *, seed: int, device: torch.device
) -> dict[str, Tensor]:
    """Degrade images to the last severity and restore them by every sampler.

    Args:
        restore: the restorer.
        degradation: to degrade them with.
        originals: (N, C, H, W) uint8.
        seed: of the degradation.
        device: where.

    Returns:
        "degraded" and each name of `SAMPLERS` -> (N, C, H, W) float32 in [0, 1], clamped, on the CPU.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in ("degraded", *SAMPLERS)}
    for number, batch in enumerate(torch.split(originals, _BATCH)):
        clean = to_unit_range(batch).to(device)
        degrade = degradation.freeze(clean.shape, generator_of("test", seed, number), device)
        degraded = degrade(clean, at_severity(degradation.steps, clean))
        parts["degraded"].append(degraded)
        for name, sampler in SAMPLERS.items():
            parts[name].append(sampler(restore, degrade, degraded, degradation.steps))
    return {name: ((torch.cat(states) + 1) / 2).clamp(0, 1).cpu() for name, states in parts.items()}


def _generate(recipe: ImageRecipe, data: _Data, restore: Restore, seed: int, device: torch.device) -> dict[str, Tensor]:
    """Generated images, with and without noise that breaks the symmetry: state -> (N, C, H, W)."""
    images = middle(data.train.images, recipe.side)
    draw = last_states(data.degradation, images, components=recipe.components, seed_rng=generator_of("mixture", seed))
    make = partial(generate, restore, data.degradation, draw, recipe.generate, device=device)
    return {
        f"generated, {name} symmetry": make(noise=noise, rng=generator_of("generate", seed))
        for name, noise in (("perfect", 0.0), ("broken", BROKEN_SYMMETRY))
    }


def measure(restored: Tensor, originals: Tensor, features: Features) -> dict[str, float]:
    """RMSE, SSIM, FID, and KID of restored images against their originals, both (N, C, H, W) in [0, 1]."""
    found, wanted = features.of(restored), features.of(originals)
    return {
        "RMSE": rmse(restored, originals),
        "SSIM": ssim(restored, originals),
        "FID": frechet_distance(found, wanted),
        "KID": kernel_distance(found, wanted),
    }


def measure_generated(made: Tensor, originals: Tensor, features: Features) -> dict[str, float]:
    """FID and KID of generated images against real ones, and how much the generated images differ among themselves.

    "diversity" is the standard deviation of a pixel over the images, averaged over the pixels. The mean of each image
    is subtracted first, so that images of one shape and several brightnesses do not count as different.
    """
    ours, real = features.of(made), features.of(originals)
    shapes = made - made.mean(dim=(2, 3), keepdim=True)
    return {
        "FID": frechet_distance(ours, real),
        "KID": kernel_distance(ours, real),
        "diversity": float(shapes.std(dim=0).mean()),
    }
