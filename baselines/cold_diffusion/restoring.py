"""Training a restorer of images, and restoring test images with it in every way."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.degradations import Degradation
from easy_to_hard.baselines.cold_diffusion.metrics import Features, frechet_distance, kernel_distance, rmse, ssim
from easy_to_hard.baselines.cold_diffusion.recipes import Recipe
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS, Restore, at_severity
from easy_to_hard.baselines.kit.image_data import to_unit_range
from easy_to_hard.baselines.kit.precision import Precision, autocast
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.training import Loop

BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run.

    Attributes:
        recipe: how.
        degradation: what is to be undone.
        described: the degradation in JSON-able words.
        images: (N, C, H, W) uint8, at the recipe's side times its margin.
        seed: of weights, batches and severities.
        device: where.
    """

    recipe: Recipe
    degradation: Degradation
    described: Mapping[str, object]
    images: Tensor
    seed: int
    device: torch.device


def middle(images: Tensor, side: int) -> Tensor:
    """The middle square of images, (N, C, H, W) -> (N, C, side, side)."""
    top, left = ((length - side) // 2 for length in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]


def draw_batch(images: Tensor, side: int, size: int, rng: torch.Generator) -> Tensor:
    """A batch of training images: (size, C, side, side) float32 in [-1, 1].

    Where images are larger than the side, each gives a random square, flipped half the time.
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


def build_loop(job: Job) -> Loop:
    """The training of a restorer: the mean absolute error of R(D(x, t), t) to x, t uniform from 1 to T (equation 2)."""
    recipe, steps = job.recipe, job.degradation.steps
    net = job.recipe.restorer.build(job.images.shape[1], job.seed).to(job.device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_at(current: nn.Module, step: int) -> Tensor:
        rng = generator_of("batch", job.seed, step)
        clean = draw_batch(job.images, recipe.side, recipe.batch_size, rng)
        severity = torch.randint(1, steps + 1, (recipe.batch_size,), generator=rng).to(job.device)
        degrade = job.degradation.freeze(clean.shape, rng, job.device)
        clean = clean.to(job.device)
        with torch.no_grad():
            degraded = degrade(clean, severity).contiguous(memory_format=torch.channels_last)
        loss: Tensor = (current(degraded, severity) - clean).abs().mean()
        return loss

    settings = {
        "restorer": asdict(recipe.restorer),
        "degradation": dict(job.described),
        "side": recipe.side,
        "margin": recipe.margin,
        "batch_size": recipe.batch_size,
        "num_images": len(job.images),
    }
    return Loop(net, loss_at, replace(recipe.loop, seed=job.seed), settings)


def as_restore(net: nn.Module, precision: Precision) -> Restore:
    """A net as a restorer, in the precision it was trained in."""

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
        degradation: what was done to them.
        originals: (N, C, H, W) uint8.
        seed: of the degradation.
        device: where.

    Returns:
        "degraded" and each name of `SAMPLERS` -> (N, C, H, W) float32 in [0, 1], clamped, on the CPU.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in ("degraded", *SAMPLERS)}
    for number, batch in enumerate(torch.split(originals, BATCH)):
        clean = to_unit_range(batch).to(device)
        degrade = degradation.freeze(clean.shape, generator_of("test", seed, number), device)
        degraded = degrade(clean, at_severity(degradation.steps, clean))
        parts["degraded"].append(degraded)
        for name, sampler in SAMPLERS.items():
            parts[name].append(sampler(restore, degrade, degraded, degradation.steps))
    return {name: ((torch.cat(states) + 1) / 2).clamp(0, 1).cpu() for name, states in parts.items()}


def measure(restored: Tensor, originals: Tensor, features: Features) -> dict[str, float]:
    """RMSE, SSIM, FID and KID of restored images against their originals, both (N, C, H, W) in [0, 1]."""
    found, wanted = features.of(restored), features.of(originals)
    return {
        "RMSE": rmse(restored, originals),
        "SSIM": ssim(restored, originals),
        "FID": frechet_distance(found, wanted),
        "KID": kernel_distance(found, wanted),
    }
