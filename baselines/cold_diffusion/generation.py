"""Image generation: the fully degraded state is drawn at random, and an image is restored from it.

This needs a degradation that ends in something simple: a constant, a few pixels, a color, another image, or noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.degradations.base import Blending, Degradation
from easy_to_hard.baselines.cold_diffusion.degradations.blending import Mask, Noise, cosine_signal
from easy_to_hard.baselines.cold_diffusion.degradations.separable import Blur, Pixelate
from easy_to_hard.baselines.cold_diffusion.sampling import (
    Degrade,
    OnStep,
    Restore,
    Sampler,
    algorithm_2,
    at_severity,
    descend,
)
from easy_to_hard.baselines.kit.image_data import to_unit_range

# Standard deviation of the noise that breaks the symmetry of constant states, in the authors' commands.
BROKEN_SYMMETRY: Final = 0.002

_RIDGE: Final = 1e-6
_MOST_ROUNDS: Final = 200
_BATCH: Final = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """A mixture of K Gaussians in D dimensions.

    Attributes:
        weights: (K,) float64, adding up to 1.
        means: (K, D) float64.
        covariances: (K, D, D) float64.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def log_densities(self, points: Tensor) -> Tensor:
        """The log of weight times density of each component: (N, D) -> (N, K)."""
        roots = torch.linalg.cholesky(self.covariances)
        centered = (points.unsqueeze(1) - self.means).permute(1, 2, 0)
        scaled = torch.linalg.solve_triangular(roots, centered, upper=False).square().sum(dim=1)
        log_scale = roots.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constant = self.weights.log() - log_scale - points.shape[1] / 2 * math.log(2 * math.pi)
        densities: Tensor = constant - scaled.T / 2
        return densities

    def sample(self, count: int, rng: torch.Generator) -> Tensor:
        """Draw points (count, D) float64 from the mixture."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=rng)
        noise = torch.randn(count, self.means.shape[1], 1, generator=rng, dtype=torch.float64)
        roots = torch.linalg.cholesky(self.covariances)
        points: Tensor = self.means[chosen] + (roots[chosen] @ noise).squeeze(2)
        return points


def fit_mixture(points: Tensor, components: int, rng: torch.Generator, *, tolerance: float = 1e-3) -> Mixture:
    """Fit a mixture by expectation-maximization with full covariances; one component gives a plain Gaussian.

    Args:
        points: (N, D) float64.
        components: K, from 1 to N.
        rng: chooses the points at which the means start.
        tolerance: the fit ends when the mean log-likelihood gains less than this.

    Raises:
        ValueError: components out of range.
    """
    if not 1 <= components <= len(points):
        raise ValueError(f"components must be from 1 to {len(points)}, the number of points, not {components}")
    ridge = _RIDGE * torch.eye(points.shape[1], dtype=torch.float64)
    spread = points.T.cov(correction=0).reshape(ridge.shape) + ridge
    starts = points[torch.randperm(len(points), generator=rng)[:components]]
    mixture = Mixture(
        weights=torch.full((components,), 1 / components, dtype=torch.float64),
        means=starts if components > 1 else points.mean(dim=0, keepdim=True),
        covariances=spread.repeat(components, 1, 1),
    )
    likelihood = -math.inf
    for _ in range(_MOST_ROUNDS):
        densities = mixture.log_densities(points)
        total = densities.logsumexp(dim=1)
        if float(total.mean()) - likelihood < tolerance:
            break
        likelihood = float(total.mean())
        shares = (densities - total.unsqueeze(1)).exp()
        sums = shares.sum(dim=0).clamp(min=1e-12)
        means = shares.T @ points / sums.unsqueeze(1)
        centered = points.unsqueeze(1) - means
        covariances = torch.einsum("nk,nkd,nke->kde", shares, centered, centered) / sums[:, None, None] + ridge
        mixture = Mixture(weights=sums / sums.sum(), means=means, covariances=covariances)
    return mixture


DrawStates: TypeAlias = Callable[[int, torch.Generator], Tensor]
"""(count, rng) -> states of the last severity, (count, C, H, W) float32."""


def last_states(degradation: Degradation, images: Tensor, *, components: int, seed_rng: torch.Generator) -> DrawStates:
    """How to draw last states of the degradation.

    Blur to the mean and pixelation: from a mixture fitted to the last states of training images, which are described by
    few numbers. A mask filled with a color: that color. Animorphosis: an image of the other set. Noise: noise.

    Args:
        degradation: whose last states to draw.
        images: (N, C, H, W) uint8, training images.
        components: of the mixture.
        seed_rng: for the fit of the mixture.

    Raises:
        ValueError: a degradation whose last state cannot be drawn.
    """
    channels, height, width = images.shape[1:]
    if isinstance(degradation, Blur) and degradation.to_mean:
        return _from_mixture(degradation, images, (1, 1), components, seed_rng)
    if isinstance(degradation, Pixelate):
        block = 2**degradation.steps
        return _from_mixture(degradation, images, (height // block, width // block), components, seed_rng)
    # Nothing can be generated from the zero that fills a mask.
    if isinstance(degradation, Blending) and not (isinstance(degradation, Mask) and degradation.fill == "zero"):
        shape = channels, height, width
        return lambda count, rng: degradation.draw_last((count, *shape), rng).expand(count, *shape)
    raise ValueError(
        f"the last states of {type(degradation).__name__} cannot be drawn: images are generated by blur_to_mean, "
        "mask_colour, pixelate, animorphosis and noise"
    )


def _from_mixture(
    degradation: Degradation, images: Tensor, sides: tuple[int, int], components: int, rng: torch.Generator
) -> DrawStates:
    """Of a degradation without random draws whose last state is constant on each of rows x columns blocks."""
    channels, height, width = images.shape[1:]
    parts = []
    for part in map(to_unit_range, torch.split(images, 4096)):
        last = degradation.freeze(part.shape, rng)(part, at_severity(degradation.steps, part))
        parts.append(last[:, :, :: height // sides[0], :: width // sides[1]])
    mixture = fit_mixture(torch.cat(parts).flatten(1).double(), components, rng)

    def draw(count: int, draw_rng: torch.Generator) -> Tensor:
        points = mixture.sample(count, draw_rng).float().reshape(count, channels, *sides)
        return torch.nn.functional.interpolate(points, (height, width), mode="nearest-exact")

    return draw


def estimated_noise(
    restore: Restore, degrade: Degrade, degraded: Tensor, steps: int, *, on_step: OnStep | None = None
) -> Tensor:
    """Restore from `Noise`, which is estimated anew at each step as in DDIM (arXiv 2010.02502): the hot baseline.

    Arguments, result, and error are those of `algorithm_2`; the degradation is not used. With x_t = a_t x + b_t z, the
    net's estimate of x gives one of z, and both together x_{t-1}.
    """
    signal = cosine_signal(steps)
    kept, lost = signal.sqrt().tolist(), (1 - signal).sqrt().tolist()

    def step(state: Tensor, estimate: Tensor, severity: int) -> Tensor:
        noise = (state - kept[severity] * estimate) / lost[severity]
        earlier: Tensor = kept[severity - 1] * estimate + lost[severity - 1] * noise
        return earlier

    return descend(restore, step, degraded, steps, on_step)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to generate images.

    Attributes:
        sampler: restores them.
        noise: see `generate`.
    """

    sampler: Sampler = algorithm_2
    noise: float = 0.0


def ways_to_generate(degradation: Degradation) -> Mapping[str, Way]:
    """The ways that the paper compares (section 5), by name."""
    if isinstance(degradation, Noise):
        return {"fixed noise": Way(), "estimated noise": Way(sampler=estimated_noise)}
    return {"perfect symmetry": Way(), "broken symmetry": Way(noise=BROKEN_SYMMETRY)}


def generate(
    restore: Restore,
    degradation: Degradation,
    draw: DrawStates,
    count: int,
    *,
    sampler: Sampler = algorithm_2,
    noise: float,
    rng: torch.Generator,
    device: torch.device,
    on_step: OnStep | None = None,
) -> Tensor:
    """Draw last states, break their symmetry, and restore images from them.

    Args:
        restore: the restorer.
        degradation: whose last states are drawn.
        draw: see `last_states`.
        count: number of images, at least 1.
        sampler: restores them.
        noise: std of the noise that is added to each pixel of a last state; 0 for none: a net without a sense of place
            then makes the same image of every state of one color.
        rng: for all random draws.
        device: where.
        on_step: called after each step of each batch of 100.

    Returns:
        (count, C, H, W) float32 in [0, 1], clamped, on the CPU.
    """
    if count < 1:
        raise ValueError(f"the number of images must be at least 1, not {count}")
    made = []
    for start in range(0, count, _BATCH):
        states = draw(min(_BATCH, count - start), rng)
        if noise:
            states = states + noise * torch.randn(states.shape, generator=rng)
        states = states.to(device)
        if isinstance(degradation, Blending):
            degrade = degradation.freeze_at(states, rng)
        else:
            degrade = degradation.freeze(states.shape, rng, device)
        made.append(sampler(restore, degrade, states, degradation.steps, on_step=on_step))
    return ((torch.cat(made) + 1) / 2).clamp(0, 1).cpu()
