"""Images from nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.cold_diffusion.degradations.base import Blending, Degradation
from easy_to_hard.baselines.cold_diffusion.degradations.blending import Animorphosis, Mask, Noise, cosine_signal
from easy_to_hard.baselines.cold_diffusion.degradations.separable import Blur, Pixelate
from easy_to_hard.baselines.cold_diffusion.degradations.snow import Snow
from easy_to_hard.baselines.cold_diffusion.generation import (
    estimated_noise,
    fit_mixture,
    generate,
    last_states,
    ways_to_generate,
)

IMAGES = torch.randint(256, (60, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
CPU = torch.device("cpu")

DEGRADATIONS: dict[str, Degradation] = {
    "blur": Blur(steps=4, std=1.0, to_mean=True),
    "pixelate": Pixelate(steps=3),
    "color": Mask(steps=4, std=0.5, first=1, fill="color", order="inwards"),
    "noise": Noise(steps=4),
    "others": Animorphosis(steps=4, others=IMAGES[:5].float() / 127.5 - 1),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_component_is_the_gaussian_of_the_points() -> None:
    points = torch.randn(500, 3, generator=rng(), dtype=torch.float64) @ torch.rand(3, 3, generator=rng(1)).double()
    mixture = fit_mixture(points, 1, rng())
    torch.testing.assert_close(mixture.means[0], points.mean(dim=0))
    torch.testing.assert_close(mixture.covariances[0], points.T.cov(correction=0), atol=1e-5, rtol=0)
    drawn = mixture.sample(20_000, rng())
    torch.testing.assert_close(drawn.T.cov(), mixture.covariances[0], atol=0.05, rtol=0)
    normal = torch.distributions.MultivariateNormal(mixture.means[0], mixture.covariances[0])
    torch.testing.assert_close(mixture.log_densities(points)[:, 0], normal.log_prob(points))


def test_two_clouds_are_told_apart() -> None:
    near, far = (torch.randn(n, 2, generator=rng(n), dtype=torch.float64) * 0.1 + at for n, at in ((300, 0), (100, 5)))
    mixture = fit_mixture(torch.cat([near, far]), 2, rng(3), tolerance=1e-9)
    order = mixture.means[:, 0].argsort()
    assert mixture.weights[order].tolist() == pytest.approx([0.75, 0.25])
    torch.testing.assert_close(mixture.means[order], torch.stack([near.mean(dim=0), far.mean(dim=0)]))
    assert float((mixture.sample(4000, rng())[:, 0] > 2.5).double().mean()) == pytest.approx(0.25, abs=0.03)
    for components in (0, 401):
        with pytest.raises(ValueError, match=f"components must be from 1 to 400, .* not {components}"):
            fit_mixture(torch.cat([near, far]), components, rng())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_oracle_makes_its_image_from_any_last_state(name: str) -> None:
    """Where D(x, T) does not hang on x, going back with a restorer that always says x ends at x."""
    degradation = DEGRADATIONS[name]
    draw = last_states(degradation, IMAGES, components=1, seed_rng=rng())
    assert draw(7, rng()).shape == (7, 3, 16, 16)
    assert not torch.equal(draw(7, rng()), draw(7, rng(1)))
    image = IMAGES[0].float() / 127.5 - 1
    made = generate(lambda x, t: image.expand_as(x), degradation, draw, 3, noise=0.0, rng=rng(), device=CPU)
    assert made.shape == (3, 3, 16, 16)
    if isinstance(degradation, Blending):
        # Of noise and others a trace is left: no more than sqrt(A_T), times as much as there is of an image.
        torch.testing.assert_close(made, ((image + 1) / 2).expand_as(made), atol=0.03, rtol=0)
    else:
        # The state's own mean over the image or block stays.
        side = 16 if name == "blur" else 8
        pool = torch.nn.AvgPool2d(side)
        states = draw(3, rng())
        wanted = (image + torch.nn.functional.interpolate(pool(states - image), 16, mode="nearest") + 1) / 2
        torch.testing.assert_close(made, wanted.clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["color", "noise", "others"])
def test_frozen_at_a_state_ends_in_it(name: str) -> None:
    degradation = DEGRADATIONS[name]
    assert isinstance(degradation, Blending)
    last = last_states(degradation, IMAGES, components=1, seed_rng=rng())(5, rng())
    images = IMAGES[:5].float() / 127.5 - 1
    degrade = degradation.freeze_at(last, rng())
    torch.testing.assert_close(degrade(images, torch.full((5,), 4)), last, atol=0.05, rtol=0)
    assert torch.equal(degrade(images, torch.zeros(5, dtype=torch.int64)), images)


def test_noise_breaks_the_symmetry() -> None:
    """A restorer that goes by its input's differences makes nothing of a constant, and something of noise."""
    draw = last_states(DEGRADATIONS["blur"], IMAGES, components=1, seed_rng=rng())

    def sharpen(state: Tensor, severity: Tensor) -> Tensor:
        return state + 20 * (state - state.mean(dim=(2, 3), keepdim=True))

    flat, varied = (
        generate(sharpen, DEGRADATIONS["blur"], draw, 4, noise=noise, rng=rng(), device=CPU) for noise in (0.0, 0.002)
    )
    assert float(flat.std(dim=(2, 3)).max()) < 1e-3
    assert float(varied.std(dim=(2, 3)).min()) > 0.01


def test_estimated_noise_by_hand() -> None:
    """From a state a x + b z, with x known at every step, the way back goes through a' x + b' z with the same z."""
    clean, noise = (torch.randn(3, 1, 4, 4, generator=rng(seed)) for seed in (0, 1))
    degrade = Noise(steps=4).freeze_at(noise, rng())
    seen: list[Tensor] = []

    def at(severity: int) -> Tensor:
        return degrade(clean, torch.full((3,), severity))

    found = estimated_noise(lambda x, t: clean, degrade, at(4), 4, on_step=lambda t, state, _: seen.append(state))
    torch.testing.assert_close(found, clean)
    for state, severity in zip(seen, (3, 2, 1), strict=False):
        torch.testing.assert_close(state, at(severity), atol=1e-4, rtol=1e-4)


def test_with_estimated_noise_both_algorithms_are_one() -> None:
    """D(xh, t) is then x_t itself, so Algorithm 2 degrades the estimate again, as Algorithm 1 does."""
    signal = cosine_signal(4)
    state = torch.randn(3, 1, 4, 4, generator=rng())
    found: list[Tensor] = []
    estimated_noise(lambda x, t: x / 2, lambda x, t: x, state, 4, on_step=lambda t, state, _: found.append(state))
    noise = (state - signal[4].sqrt().float() * state / 2) / (1 - signal[4]).sqrt().float()
    again = Noise(steps=4).freeze_at(noise, rng())(state / 2, torch.full((3,), 3))
    torch.testing.assert_close(found[0], again)


def test_ways_to_generate() -> None:
    assert list(ways_to_generate(DEGRADATIONS["noise"])) == ["fixed noise", "estimated noise"]
    noises = {name: way.noise for name, way in ways_to_generate(DEGRADATIONS["blur"]).items()}
    assert noises == {"perfect symmetry": 0.0, "broken symmetry": 0.002}


def test_pixelated_states_are_drawn_like_those_of_images() -> None:
    degradation = Pixelate(steps=2, resizing="bicubic")
    drawn = last_states(degradation, IMAGES, components=1, seed_rng=rng())(4000, rng())
    images = IMAGES.float() / 127.5 - 1
    last = degradation.freeze(images.shape, rng())(images, torch.full((60,), 2))
    assert torch.equal(drawn[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3), drawn)
    torch.testing.assert_close(drawn.mean(dim=0), last.mean(dim=0), atol=0.02, rtol=0)
    torch.testing.assert_close(drawn.std(dim=0), last.std(dim=0, correction=0), atol=0.02, rtol=0)


def test_errors() -> None:
    degradations: tuple[Any, ...] = (Blur(steps=2, std=1.0), Mask(steps=2), Snow(steps=2))
    for degradation in degradations:
        with pytest.raises(ValueError, match="cannot be drawn: images are generated by blur_to_mean"):
            last_states(degradation, IMAGES, components=1, seed_rng=rng())
    draw = last_states(DEGRADATIONS["noise"], IMAGES, components=1, seed_rng=rng())
    with pytest.raises(ValueError, match="the number of images must be at least 1, not 0"):
        generate(lambda x, t: x, DEGRADATIONS["noise"], draw, 0, noise=0.0, rng=rng(), device=CPU)
