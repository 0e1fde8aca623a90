"""The degradations, one by one and all together."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from easy_to_hard.baselines.cold_diffusion.degradations import DEGRADATIONS, get_degradation
from easy_to_hard.baselines.cold_diffusion.degradations.base import Degradation, to_eight_bits
from easy_to_hard.baselines.cold_diffusion.degradations.blending import (
    Animorphosis,
    Desaturate,
    Mask,
    Noise,
    cosine_signal,
)
from easy_to_hard.baselines.cold_diffusion.degradations.separable import Blur, Pixelate
from easy_to_hard.baselines.cold_diffusion.degradations.snow import SNOW_LEVELS, Snow
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS, algorithm_1, algorithm_2

SHAPE = (5, 3, 16, 16)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*(shape or SHAPE), generator=generator(seed)) * 2 - 1


def severities(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def built(name: str, steps: int = 3) -> Degradation:
    return get_degradation(name).build(steps, 16, images(7, 3, 16, 16, seed=2))


def test_registry_has_the_settings_of_the_authors_commands() -> None:
    def made(name: str, side: int) -> Degradation:
        named = get_degradation(name)
        return named.build(named.steps(side), side, None)

    assert made("blur", 32) == Blur(steps=20, std=7.0, kernel_size=11)
    assert made("blur", 128) == Blur(steps=200, std=0.01, growth="exponential", kernel_size=15, padding="reflect")
    assert made("blur_offset", 32) == Blur(steps=50, std=0.01, growth="offset", kernel_size=11, padding="reflect")
    assert made("mask_random", 32) == Mask(steps=50, std=0.1, first=11, random_center=True)
    assert made("mask", 128) == Mask(steps=100, std=0.2, first=11)
    assert made("mask_colour", 128) == Mask(steps=750, std=0.05, first=1, fill="color", order="inwards")
    assert made("pixelate", 32) == Pixelate(steps=3, resizing="bicubic")


def test_blur_is_as_severe_on_tiny_images() -> None:
    """Of the paper's blur, a pixel's spread against the side of the image; at 16 pixels a little more."""

    def spread(side: int) -> float:
        blur = get_degradation("blur").build(1, side, None)
        assert isinstance(blur, Blur)
        row = blur.matrices(side)[1][side // 2]
        distances = (torch.arange(side) - side // 2).double()
        return float((row * distances**2).sum().sqrt()) / side

    assert 1.0 < spread(16) / spread(32) < 1.2


def test_eight_bits_are_256_levels_and_leave_files_alone() -> None:
    levels = torch.arange(256) / 127.5 - 1
    torch.testing.assert_close(to_eight_bits(levels), levels, atol=1e-6, rtol=0)
    many = to_eight_bits(images(1, 3, 99, 99))
    assert len(many.unique()) <= 256
    assert float((many - images(1, 3, 99, 99)).abs().max()) == pytest.approx(1 / 255, rel=0.05)
    torch.testing.assert_close(to_eight_bits(torch.tensor([1.01])), torch.tensor([256 / 127.5 - 1]))


def test_what_is_erased_says_nothing_of_the_image() -> None:
    """Of an image and its negative, the last state is the same; both have the same mean."""
    clean = torch.ones(SHAPE)
    clean[..., :8] = -1
    for name, named in DEGRADATIONS.items():
        steps = named.steps(16)
        degrade = named.build(steps, 16, images(7, 3, 16, 16, seed=2)).freeze(SHAPE, generator())
        first, second = (degrade(of, torch.full((5,), steps)) for of in (clean, -clean))
        assert ((first - second).abs().max() < 1e-3) == named.erases, name


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_oracle_recovers_exactly(name: str, sampler: str) -> None:
    clean = images()
    degrade = built(name).freeze(SHAPE, generator())
    degraded = degrade(clean, severities(3, 3, 3, 3, 3))
    assert (degraded - clean).abs().mean() > 1e-3
    restored = SAMPLERS[sampler](lambda state, severity: clean, degrade, degraded, 3)
    torch.testing.assert_close(restored, clean, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_last_step_is_no_noop_with_one_severity(name: str) -> None:
    clean = images()
    degrade = built(name, steps=1).freeze(SHAPE, generator())
    degraded = degrade(clean, severities(1, 1, 1, 1, 1))
    for sampler in (algorithm_1, algorithm_2):
        restored = sampler(lambda state, severity: clean, degrade, degraded, 1)
        torch.testing.assert_close(restored, clean, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_severity_0_is_the_image_bit_for_bit_and_severities_are_per_image(name: str) -> None:
    clean = images()
    degrade = built(name).freeze(SHAPE, generator())
    assert torch.equal(degrade(clean, severities(0, 0, 0, 0, 0)), clean)
    mixed = degrade(clean, severities(0, 3, 1, 2, 0))
    for row, severity in enumerate((0, 3, 1, 2, 0)):
        torch.testing.assert_close(mixed[row], degrade(clean, severities(*[severity] * 5))[row])


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_randomness_is_frozen_and_goes_by_the_seed(name: str) -> None:
    clean, last = images(), severities(3, 3, 3, 3, 3)
    degradation = built(name)
    degrade = degradation.freeze(SHAPE, generator())
    first = degrade(clean, last)
    torch.rand(3)
    assert torch.equal(degrade(clean, last), first)
    assert torch.equal(degradation.freeze(SHAPE, generator())(clean, last), first)
    other = degradation.freeze(SHAPE, generator(9))(clean, last)
    drawn = {"mask_random", "mask_colour", "snow", "animorphosis", "noise"}
    assert torch.equal(other, first) == (name not in drawn)


@pytest.mark.parametrize("name", sorted(set(DEGRADATIONS) - {"desaturate", "animorphosis"}))
def test_one_channel_and_oblong_images(name: str) -> None:
    clean = images(2, 1, 16, 24)
    degraded = built(name).freeze(clean.shape, generator())(clean, severities(3, 1))
    assert degraded.shape == clean.shape
    assert degraded.isfinite().all()


@pytest.mark.parametrize("padding", ["circular", "reflect"])
def test_blur_is_that_of_convolutions_in_sequence(padding: Any) -> None:
    clean = images(4, 3, 13, 16).double()
    blur = Blur(steps=3, std=0.8, growth="linear", kernel_size=7, padding=padding)
    state, wanted = clean, [clean]
    for index in range(3):
        axis = torch.tensor([math.exp(-(offset**2) / (2 * (0.8 * (index + 1)) ** 2)) for offset in range(-3, 4)])
        kernel = torch.outer(axis, axis).double() / axis.sum() ** 2
        padded = functional.pad(state, (3, 3, 3, 3), mode=padding)
        state = functional.conv2d(padded, kernel.expand(3, 1, 7, 7), groups=3)
        wanted.append(state)
    found = blur.freeze(clean.shape, generator())(clean.float(), severities(0, 1, 2, 3))
    for row in range(4):
        torch.testing.assert_close(found[row].double(), wanted[row][row], atol=1e-6, rtol=0)


def test_blur_stds_add_up_in_squares() -> None:
    offsets = torch.arange(161, dtype=torch.float64) - 80
    row = Blur(steps=3, std=1.0, kernel_size=41, growth="linear").matrices(161)[3][80]
    assert float((row * offsets**2).sum()) == pytest.approx(1**2 + 2**2 + 3**2, rel=1e-3)
    assert float(row.sum()) == pytest.approx(1)
    # The paper's kernels are cut off at 5 pixels, and so are much less wide than their std of 7.
    cut = Blur(steps=1, std=7.0, kernel_size=11).matrices(161)[1][80]
    weights = [math.exp(-(offset**2) / 98) for offset in range(-5, 6)]
    variance = sum(weight * offset**2 for weight, offset in zip(weights, range(-5, 6), strict=True)) / sum(weights)
    assert float((cut * offsets**2).sum()) == pytest.approx(variance)
    assert variance < 10


def test_blur_schedules() -> None:
    stds = {
        growth: [Blur(steps=3, std=0.01, growth=growth).std_at(i) for i in range(3)]  # type: ignore[arg-type]
        for growth in ("constant", "linear", "offset", "exponential")
    }
    assert stds["constant"] == [0.01, 0.01, 0.01]
    assert stds["linear"] == pytest.approx([0.01, 0.02, 0.03])
    assert stds["offset"] == pytest.approx([0.35, 0.36, 0.37])
    assert stds["exponential"] == pytest.approx([1, math.exp(0.01), math.exp(0.02)])


def test_blur_to_mean_ends_in_the_mean() -> None:
    clean = images()
    degrade = Blur(steps=2, std=1.0, to_mean=True).freeze(SHAPE, generator())
    means = clean.mean(dim=(2, 3), keepdim=True).expand(SHAPE)
    torch.testing.assert_close(degrade(clean, severities(2, 2, 2, 2, 2)), means)


def test_pixelation_is_a_mean_over_blocks() -> None:
    clean = images()
    degrade = Pixelate(steps=3).freeze(SHAPE, generator())
    found = degrade(clean, severities(1, 2, 3, 3, 3))
    for row, block in enumerate((2, 4, 8)):
        means = functional.avg_pool2d(clean[row], block).repeat_interleave(block, 1).repeat_interleave(block, 2)
        torch.testing.assert_close(found[row], means)


def test_bicubic_pixelation_is_that_of_whole_images_in_sequence() -> None:
    clean = images().double()
    state = clean
    for side in (8, 4):
        state = functional.interpolate(functional.interpolate(state, side, mode="bicubic"), 16, mode="nearest-exact")
    degrade = Pixelate(steps=2, resizing="bicubic").freeze(SHAPE, generator())
    found = degrade(clean.float(), severities(2, 2, 2, 2, 2)).double()
    torch.testing.assert_close(found, state, atol=1e-5, rtol=0)


def test_mask_by_hand() -> None:
    """Stds 0.5 and 1: a pixel away from the hole 1 - e^-2 is left, then times 1 - e^-0.5."""
    ones = torch.ones(3, 1, 6, 6)
    kept = Mask(steps=2, std=0.5, first=1).freeze(ones.shape, generator())(ones, severities(0, 1, 2))[:, 0]
    # The peak of an even side is the pixel before the middle.
    assert kept[1, 2, 2] == kept[2, 2, 2] == 0
    assert float(kept[1, 2, 3]) == pytest.approx(1 - math.exp(-2))
    assert float(kept[2, 3, 2]) == pytest.approx((1 - math.exp(-2)) * (1 - math.exp(-0.5)))
    assert float(kept[1, 3, 3]) == pytest.approx(1 - math.exp(-4))
    assert (kept[2] <= kept[1]).all()


def test_random_mask_has_its_hole_anywhere_and_keeps_it() -> None:
    ones = torch.ones(200, 1, 8, 8)
    degrade = Mask(steps=3, random_center=True, std=0.6, first=1).freeze(ones.shape, generator())
    holes = [degrade(ones, torch.full((200,), t))[:, 0].flatten(1).argmin(dim=1) for t in (1, 2, 3)]
    assert torch.equal(holes[0], holes[1])
    assert torch.equal(holes[0], holes[2])
    assert len(holes[0].unique()) > 40


def test_color_mask_ends_in_the_color_alone() -> None:
    clean = images()
    degradation = Mask(steps=4, std=0.5, first=1, fill="color", order="inwards")
    last = degradation.freeze(SHAPE, generator())(clean, severities(4, 4, 4, 4, 4))
    assert torch.equal(last, last[:, :, :1, :1].expand(SHAPE))
    assert last.abs().max() <= 0.5
    assert len(last[:, :, 0, 0].unique()) == 15
    early = degradation.freeze(SHAPE, generator())(clean, severities(1, 1, 1, 1, 1))
    moved = (early - clean).abs().mean(dim=(0, 1))
    assert moved[0, 0] > 10 * moved[7, 7]


def test_cosine_signal() -> None:
    signal = cosine_signal(200)
    assert signal[0] == 1
    assert (signal.diff() < 0).all()
    # cos^2 at half way, over that at 0.
    wanted = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(signal[100]) == pytest.approx(wanted)
    assert float(signal[200]) == pytest.approx(float(signal[199]) * 0.001)


def test_noise_keeps_the_variance() -> None:
    clean = torch.randn(40, 3, 16, 16, generator=generator(5))
    degrade = Noise(steps=10).freeze(clean.shape, generator())
    for severity in (1, 5, 10):
        degraded = degrade(clean, torch.full((40,), severity))
        assert float(degraded.var()) == pytest.approx(1, abs=0.05)
        correlation = float((degraded * clean).mean())
        assert correlation == pytest.approx(float(cosine_signal(10)[severity].sqrt()), abs=0.03)


def test_animorphosis_ends_in_one_of_the_others() -> None:
    others = images(4, 3, 16, 16, seed=8)
    degrade = Animorphosis(steps=50, others=others).freeze(SHAPE, generator())
    last = degrade(images(), torch.full((5,), 50))
    distances = (last[:, None] - others[None]).abs().amax(dim=(2, 3, 4))
    assert (distances.min(dim=1).values < 0.05).all()
    assert len(distances.argmin(dim=1).unique()) > 1


def test_desaturation_is_the_composed_matrix() -> None:
    clean = images().double()
    mean = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    degrade = Desaturate(steps=4).freeze(SHAPE, generator())
    found = degrade(clean.float(), severities(0, 1, 2, 3, 4)).double()
    for t in range(5):
        matrix = (1 - t / 4) * torch.eye(3, dtype=torch.float64) + t / 4 * mean
        wanted = torch.einsum("ij,jhw->ihw", matrix, clean[t])
        torch.testing.assert_close(found[t], wanted, atol=1e-6, rtol=0)
    constant = Desaturate(steps=2, fading="constant", factor=0.5).freeze(SHAPE, generator())
    step = 0.5 * torch.eye(3, dtype=torch.float64) + 0.5 * mean
    wanted = torch.einsum("ij,njhw->nihw", step @ step, clean)
    torch.testing.assert_close(constant(clean.float(), torch.full((5,), 2)).double(), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("level", SNOW_LEVELS)
@pytest.mark.parametrize("fixed", [True, False])
def test_snow_grows_brighter_and_stays_in_range(level: int, fixed: bool) -> None:
    clean = images(30, 3, 32, 32)
    degrade = Snow(steps=5, level=level, fixed_brightness=fixed).freeze(clean.shape, generator())
    means = [float(degrade(clean, torch.full((30,), t)).mean()) for t in range(6)]
    assert means == sorted(means)
    assert means[5] > means[1] + 0.2
    last = degrade(clean, torch.full((30,), 5))
    assert -1 <= last.min() <= last.max() <= 1


def test_snow_does_not_change_when_turned_but_for_the_image() -> None:
    """s + r is its own rotation by 180 degrees; on black nothing else is there."""
    black = -torch.ones(3, 1, 32, 32)
    snow = Snow(steps=3).freeze(black.shape, generator())(black, severities(1, 2, 3))
    torch.testing.assert_close(snow, snow.flip(2, 3))
    assert snow[2].unique().numel() > 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Noise(steps=0), "steps must be at least 1, not 0"),
        (lambda: Blur(steps=1, std=0.0), r"std must be above 0 and finite, not 0\.0"),
        (lambda: Blur(steps=1, std=1, kernel_size=4), "kernel_size must be odd, not 4"),
        (lambda: Blur(steps=1, std=1, growth="fast"), "growth must be one of constant, linear, .*, not 'fast'"),  # type: ignore[arg-type]
        (lambda: Blur(steps=1, std=1, padding="zero"), "padding must be one of circular, reflect, not 'zero'"),  # type: ignore[arg-type]
        (lambda: Pixelate(steps=1, resizing="cubic"), "resizing must be one of area, .*, not 'cubic'"),  # type: ignore[arg-type]
        (lambda: Pixelate(steps=5).freeze(SHAPE, generator()), "side 16 cannot be pixelated 5 times"),
        (lambda: Mask(steps=1, first=0), "first must be at least 1, not 0"),
        (lambda: Mask(steps=1, fill="red"), "fill must be one of zero, color, not 'red'"),  # type: ignore[arg-type]
        (lambda: Snow(steps=1, level=5), "level must be one of 1, 2, 3, 4, not 5"),
        (lambda: Desaturate(steps=1, factor=2), "factor must be from 0 to 1, not 2"),
        (
            lambda: Desaturate(steps=1).freeze((1, 1, 8, 8), generator()),
            "Desaturate needs images with 3 channels, not 1",
        ),
        (lambda: Noise(steps=1).freeze((1, 8, 8), generator()), r"images must be of shape .*, not \(1, 8, 8\)"),
        (lambda: Animorphosis(steps=1, others=torch.zeros(0, 1, 8, 8)), "others must be .* N at least 1"),
        (
            lambda: Animorphosis(steps=1, others=torch.zeros(2, 1, 8, 8)).freeze(SHAPE, generator()),
            r"other images must be of shape \(3, 16, 16\) like the images, not \(1, 8, 8\)",
        ),
        (lambda: get_degradation("rain"), "unknown degradation 'rain': choose one of blur, "),
        (lambda: get_degradation("animorphosis").build(1, 16, None), "animorphosis needs a second set of images"),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_severity_out_of_range(name: str) -> None:
    degrade = built(name).freeze(SHAPE, generator())
    for bad, shown in (((0, 1, 2, 3, 4), "4"), ((-1, 0, 0, 0, 9), "-1")):
        with pytest.raises(ValueError, match=f"severity must be from 0 to 3, not {shown}"):
            degrade(images(), severities(*bad))
    with pytest.raises(ValueError, match=r"severity must be \(5,\) int64, not \(4,\) int64"):
        degrade(images(), severities(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"severity must be \(5,\) int64, not \(5,\) float32"):
        degrade(images(), torch.ones(5))
    with pytest.raises(ValueError, match=r"images must be of shape \(5, 3, 16, 16\) as when frozen, not \(2, 3"):
        degrade(images(2, 3, 16, 16), severities(1, 1))
