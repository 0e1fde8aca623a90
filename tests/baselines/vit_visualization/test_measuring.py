"""Features, changed images and claims."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.kit.image_data import ImageSet
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import over_seeds
from easy_to_hard.baselines.vit_visualization.accuracies import CONV_NET, VIT, change_figures, kept_share
from easy_to_hard.baselines.vit_visualization.activation_maximization import scaled, spread_layers
from easy_to_hard.baselines.vit_visualization.changes import (
    count_right,
    high_pass,
    low_pass,
    shuffle_patches,
)
from easy_to_hard.baselines.vit_visualization.claims import (
    KEPT,
    KEPT_MORE,
    KEPT_SOLVED,
    LOCAL,
    decide_image_claims,
    decide_maze_claims,
)
from easy_to_hard.baselines.vit_visualization.composed import compose
from easy_to_hard.baselines.vit_visualization.features import best_items, local_shares, mean_activations, shift_ratio
from easy_to_hard.baselines.vit_visualization.on_puzzles import doublings
from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe, get_recipe
from easy_to_hard.scores.reference import Measurement


class Pixels:
    """Features that are the pixels' channels, the second one the image's mean everywhere."""

    depth = 1

    def neurons(self, layer: int) -> int:
        return 2

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        even = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
        return [torch.cat([images, even], dim=1)]


def test_variance_within_images() -> None:
    images = torch.rand((150, 1, 4, 4), generator=generator_of("images")) + torch.arange(150)[:, None, None, None] % 3
    values = images.flatten(1).double()
    # By the law of total variance; the even feature has none of it within images.
    expected = float(values.var(dim=1, correction=0).mean() / values.flatten().var(correction=0))
    assert local_shares(Pixels(), images, [0])[0] == pytest.approx(expected / 2, abs=1e-6)


def test_best_items_are_those_of_the_highest_mean() -> None:
    images = torch.rand((120, 1, 4, 4), generator=generator_of("images"))
    (activations,) = mean_activations(Pixels(), images, [0])
    assert activations.shape == (120, 2)
    order = images.mean(dim=(1, 2, 3)).argsort(descending=True)
    assert best_items(activations, [1, 0], 3).tolist() == [order[:3].tolist()] * 2


def test_shifts_of_features_that_move_along_leave_all() -> None:
    images = torch.rand((2, 1, 6, 6), generator=generator_of("images"))
    assert shift_ratio(Pixels(), images, 0, [0, 1], most=2, seed=0) == pytest.approx(1, abs=1e-5)

    class Corner(Pixels):
        def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
            return [images[..., :1, :1].repeat(1, 2, 1, 1)]

    lit = torch.zeros(2, 1, 8, 8)
    lit[..., 0, 0] = 1
    assert shift_ratio(Corner(), lit, 0, [0, 1], most=4, seed=0) < 0.3


def test_filters_keep_what_they_say() -> None:
    grid = torch.arange(16) / 16
    slow, fast = ((2 * torch.pi * cycles * grid).cos() * 0.2 for cycles in (2, 6))
    image = 0.5 + slow[None, :] + fast[:, None]
    assert torch.allclose(low_pass(image[None], 3)[0], (0.5 + slow)[None, :].expand(16, -1), atol=1e-5)
    assert torch.allclose(high_pass(image[None], 3)[0], (0.5 + fast)[:, None].expand(-1, 16), atol=1e-5)
    # The disc is round: 6 cycles across and along are beyond a radius of 7.
    diagonal = 0.5 + 0.2 * (2 * torch.pi * 6 * (grid[:, None] + grid)).cos()
    assert torch.allclose(low_pass(diagonal[None], 7), torch.full((1, 16, 16), 0.5), atol=1e-5)
    assert torch.allclose(low_pass(image[None], 99)[0], image, atol=1e-5)
    odd = torch.rand((1, 1, 7, 7), generator=generator_of("odd"))
    assert torch.allclose(low_pass(odd, 99), odd, atol=1e-5)


def test_shuffled_patches_are_the_same_patches_elsewhere() -> None:
    images = torch.rand((2, 3, 6, 6), generator=generator_of("images"))
    mixed = shuffle_patches(images, side=6, grid=3, rng=generator_of("order"))

    def patches(shown: Tensor) -> set[tuple[float, ...]]:
        return {
            tuple(shown[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].flatten().tolist()) for y in range(3) for x in range(3)
        }

    for before, after in zip(images, mixed, strict=True):
        assert patches(before) == patches(after)
        assert not torch.equal(before, after)
    assert shuffle_patches(images, side=9, grid=3, rng=generator_of("order")).shape == (2, 3, 9, 9)
    with pytest.raises(ValueError, match="grid must divide the side 6, not be 4"):
        shuffle_patches(images, side=6, grid=4, rng=generator_of("order"))


def test_composed_pictures_have_their_digit_in_the_box() -> None:
    digits = ImageSet(
        name="mnist",
        images=torch.zeros(2, 1, 28, 28, dtype=torch.uint8),
        labels=torch.tensor([0, 1]),
    )
    digits.images[0, 0, 10:14, 8:18] = 255
    digits.images[1, 0, 3:20, 12:15] = 255
    photographs = ImageSet(
        name="cifar10",
        images=torch.tensor([60, 120], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32),
        labels=torch.tensor([0, 1]),
    )
    pictures = compose(digits, photographs, 20, generator_of("composed"))
    for label, level, area in ((0, 60, 40), (1, 120, 51)):
        rows = pictures.labels == label
        assert int(rows.sum()) > 0
        assert pictures.boxes[rows].flatten(1).sum(dim=1).unique().tolist() == [area]
        inside = pictures.boxes[rows].expand(-1, 3, -1, -1)
        assert pictures.full[rows][inside].unique().tolist() == [1.0]
        assert pictures.full[rows][~inside].unique().tolist() == pytest.approx([level / 255])
    assert torch.equal(pictures.foreground + pictures.background, pictures.full)
    assert float(pictures.background[pictures.boxes.expand(-1, 3, -1, -1)].abs().sum()) == 0


def test_a_net_that_hates_low_frequencies_keeps_less_of_them() -> None:
    rng = generator_of("textures")
    labels = torch.arange(40) % 2
    stripes = (torch.arange(8) % 2).float().expand(8, 8)
    images = torch.where((labels == 1)[:, None, None, None], stripes, 0.5) + 0.05 * torch.rand(
        40, 1, 8, 8, generator=rng
    )

    def by_stripes(shown: Tensor) -> Tensor:
        found = (shown[..., 1:] - shown[..., :-1]).abs().mean(dim=(1, 2, 3))
        return torch.stack([0.2 - found, found - 0.2], dim=1)

    def always_right(shown: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(labels).float()

    figures = change_figures(
        {VIT: always_right, CONV_NET: by_stripes}, images.clamp(0, 1), labels, classes=2, grid=2, side=8, seed=0
    )
    kept = {(one.condition.get("net"), one.condition["kept"]): one.value for one in figures if one.name == KEPT}
    assert kept[VIT, "low-pass"] == 1
    assert kept[CONV_NET, "low-pass"] == pytest.approx(0)
    # Stripes that are two pixels wide stay stripes when patches of four are shuffled.
    assert kept[CONV_NET, "patches shuffled"] == 1
    (difference,) = (one.value for one in figures if one.name == KEPT_MORE and one.condition["kept"] == "low-pass")
    assert difference == 1


def test_right_answers_are_counted() -> None:
    images = torch.arange(4.0)[:, None, None, None].expand(-1, 1, 2, 2)
    labels = torch.tensor([0, 1, 1, 0])

    def answer(shown: Tensor) -> Tensor:
        return torch.stack([1.5 - shown[:, 0, 0, 0], shown[:, 0, 0, 0] - 1.5], dim=1)

    assert count_right(answer, images, labels) == 2
    assert count_right(answer, 3 - images, torch.tensor([1, 1, 0, 0])) == 4


def test_share_above_chance() -> None:
    assert kept_share(80, 80, 10) == 1
    assert kept_share(45, 80, 10) == 0.5
    assert kept_share(10, 80, 10) == 0


def measured(name: str, values: list[float], **condition: str | int) -> Measurement:
    return over_seeds(name, values, condition=condition, num_items=100)


def test_claims_on_images() -> None:
    able = [measured("accuracy", [0.4, 0.41], net=net) for net in ("ViT", "conv net")]
    held = decide_image_claims(
        [
            # 0.9 x 78.61 / 84.20 = 0.840, and 0.9 x 75.75 / 84.20 = 0.810.
            measured(KEPT, [0.845, 0.8451], way="CLS apart but for the last block"),
            measured(KEPT, [0.805, 0.8051], way="single patch, mean over places"),
            measured(LOCAL, [-0.2, -0.21], net="trained"),
            measured("share kept, ViT less conv net", [0.1, 0.11], kept="low-pass"),
            measured("share kept, ViT less conv net", [-0.1, 0.2], kept="foreground"),
            # Half of an image, in earlier files, is no stand-in for the box of an object.
            measured("share kept, ViT less conv net", [0.1, 0.11], kept="centre"),
            *able,
            *(measured("accuracy", [0.4, 0.41], net=net, pictures="composed") for net in ("ViT", "conv net")),
        ]
    )
    assert [claim.held for claim in held] == [True, False, True, True, None]
    assert "78.61 of 84.20" in held[0].text
    assert "2 seeds" in held[0].evidence
    assert decide_image_claims([]) == ()
    poor = [measured("accuracy", [0.1, 0.101], net="ViT"), able[1]]
    low_pass = measured("share kept, ViT less conv net", [0.1, 0.11], kept="low-pass")
    assert [claim.verdict for claim in decide_image_claims([low_pass, *poor])] == ["not tested"]


def test_claims_on_mazes() -> None:
    kept_less = measured(KEPT_SOLVED, [-0.3, -0.31])
    solves = measured("solve rate", [0.9, 0.92], net="ViT, relative", size=9)
    path = measured("AUROC of the path, last layer less first", [0.2, 0.21], net="trained")
    local = measured(LOCAL, [0.1, 0.11], net="trained")
    assert [claim.held for claim in decide_maze_claims([solves, path, local, kept_less])] == [True, False, False]
    # A net that solves nothing says nothing of what hurts it.
    (claim,) = decide_maze_claims([measured("solve rate", [0.0, 0.1], net="ViT, relative", size=9), kept_less])
    assert claim.verdict == "not decided", "two nets leave it open whether they solve half"
    (claim,) = decide_maze_claims([measured("solve rate", [0.04, 0.05], net="ViT, relative", size=9), kept_less])
    assert claim.verdict == "not tested"
    assert "solve rate at least 0.5: 0.045" in claim.evidence


def test_layers_and_rolls() -> None:
    assert spread_layers(12, 6) == (0, 2, 4, 7, 9, 11)
    assert spread_layers(4, 6) == (0, 1, 2, 3)
    assert spread_layers(12, 0) == tuple(range(12))
    assert doublings(30) == (0, 1, 3, 7, 15, 29)
    assert doublings(4) == (0, 1, 3)
    assert scaled(get_recipe("paper", "mnist").ascent, 224).roll == 32
    assert scaled(get_recipe("paper", "mnist").ascent, 28).roll == 4
    assert scaled(get_recipe("paper", "mnist").ascent, 384).roll == 32


def test_the_paper_s_models() -> None:
    paper = get_recipe("paper")
    assert isinstance(paper, ImageRecipe)
    assert (paper.data, paper.side, paper.conv_net) == ("folder", 384, "resnet50")
    assert "vit_base_patch16_384" in paper.model
    assert (paper.ascent.steps, paper.ascent.copies, paper.ascent.learning_rate) == (400, 8, 0.1)
    assert get_recipe("paper", model="clip:ViT-B-32").ascent.learning_rate == 1.0
    assert get_recipe("smoke").data == "mazes"
    assert get_recipe("small", "cifar10", "vit_small").seeds == (0, 1, 2, 3, 4)
