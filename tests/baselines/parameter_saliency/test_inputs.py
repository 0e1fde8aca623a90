"""Input saliency, the pointing game, planted patches, and what is wrong with an answer."""

import pytest
import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.puzzles import Puzzles, solved
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.error_types import (
    FIRST,
    WRONG,
    class_errors,
    maze_errors,
    string_errors,
)
from easy_to_hard.baselines.parameter_saliency.input_saliency import (
    boosted_profile,
    by_chance,
    match,
    pointed,
    saliency_maps,
)
from easy_to_hard.baselines.parameter_saliency.on_images import as_items, build_small_net, class_logits, plant_patches
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet, Standard

DOUBLE = torch.float64


@pytest.fixture(scope="module")
def classifier() -> tuple[ProfiledNet, Puzzles, Standard]:
    rng = torch.Generator().manual_seed(3)
    net = build_small_net(3, 4, 0).double()
    images = torch.randn(6, 3, 8, 8, generator=rng, dtype=DOUBLE)
    items = as_items(images, torch.tensor([0, 1, 2, 3, 0, 1]))
    net = ProfiledNet(net, class_logits, chunk=4)
    return net, items, Standard.of(net.profiles(items))


def test_boosting_takes_filters_above_their_mean() -> None:
    profile = torch.tensor([3.0, -1.0, 2.0, 0.5, -4.0])
    boosted = boosted_profile(profile, 4, "salient", rng=generator_of("x"))
    assert boosted.tolist() == [300.0, -1.0, 200.0, 50.0, -4.0]
    others = {tuple(boosted_profile(profile, 1, "random", rng=generator_of(i)).tolist()) for i in range(20)}
    # The most salient one is not among those at random.
    assert others == {(3.0, -1.0, 200.0, 0.5, -4.0), (3.0, -1.0, 2.0, 50.0, -4.0)}


def test_the_gradient_of_the_match_is_that_of_finite_differences(
    classifier: tuple[ProfiledNet, Puzzles, Standard],
) -> None:
    net, items, standard = classifier
    inputs, targets, mask = items.inputs[0], items.targets[0], items.mask[0]
    profile = standard.apply(net.profiles(items[:1]))[0]
    boosted = boosted_profile(profile, 10, "salient", rng=generator_of("x"))
    leaf = inputs.clone().requires_grad_()
    (exact,) = torch.autograd.grad(match(net, standard, leaf, targets, mask, boosted), leaf)
    maps = saliency_maps(net, standard, items, standard.apply(net.profiles(items)), "salient filters", k=10, seed=0)
    assert torch.allclose(maps[0], exact.abs().amax(0))
    step = 1e-6
    for place in exact.abs().flatten().topk(5).indices.tolist():
        moved = torch.zeros(inputs.numel(), dtype=DOUBLE)
        moved[place] = step
        above, below = (
            match(net, standard, inputs + sign * moved.view_as(inputs), targets, mask, boosted) for sign in (1, -1)
        )
        assert float((above - below) / (2 * step)) == pytest.approx(float(exact.flatten()[place]), rel=1e-4)


def test_a_strong_negative_gradient_is_seen(classifier: tuple[ProfiledNet, Puzzles, Standard]) -> None:
    net, items, standard = classifier
    maps = saliency_maps(net, standard, items, items.inputs, "gradient of the loss", k=1, seed=0)
    leaf = items.inputs[5].clone().requires_grad_()
    loss = net.loss(net.convolutions(), leaf, items.targets[5], items.mask[5])
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert torch.allclose(maps[5], gradient.abs().amax(0))
    assert not torch.allclose(maps[5], gradient.amax(0).abs())


def test_maps_are_averaged_over_noisy_copies(classifier: tuple[ProfiledNet, Puzzles, Standard]) -> None:
    net, items, standard = classifier
    few = items[:2]

    def maps(copies: int, noise: float) -> Tensor:
        return saliency_maps(
            net, standard, few, few.inputs, "gradient of the loss", k=1, seed=0, copies=copies, noise=noise
        )

    clean = maps(1, 0.0)
    assert torch.allclose(maps(3, 0.0), clean)
    assert not torch.allclose(maps(1, 0.5), clean)
    assert torch.equal(maps(2, 0.5), maps(2, 0.5))
    # With little noise the mean over more copies is nearer to the map without any.
    gaps = [float((maps(copies, 1e-5) - clean).norm()) for copies in (1, 30)]
    assert gaps[1] < gaps[0] / 2


def test_pointing_by_hand() -> None:
    maps = torch.arange(40.0).view(1, 40)
    allowed = torch.ones(1, 40, dtype=torch.bool)
    allowed[0, 39] = False
    region = torch.zeros(1, 40, dtype=torch.bool)
    region[0, 36:38] = True
    # Of the 39 allowed inputs 5 % are 2, the numbers 37 and 38, of which one lies in the region.
    assert pointed(maps, region, allowed) == [0.5]
    assert by_chance(region, allowed) == [2 / 39]
    region[0, 39] = True
    assert pointed(maps, region, allowed) == [0.5]
    assert by_chance(region, allowed) == [2 / 39]
    assert pointed(maps, ~allowed, allowed)[0] != pointed(maps, ~allowed, allowed)[0]


class _Brightness(nn.Module):
    """Class 1 where any pixel is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, 1, 1)
        self.filters.weight.data.fill_(1)
        self.filters.bias = None

    def forward(self, images: Tensor) -> Tensor:
        brightest = self.filters(images).amax((1, 2, 3))
        return torch.stack([torch.full_like(brightest, 0.5), brightest], 1)


def test_planted_patches_are_all_that_is_wrong() -> None:
    net = ProfiledNet(_Brightness(), class_logits)
    gray = torch.arange(6.0).view(6, 1, 1, 1) / 100
    right = as_items(gray.expand(6, 1, 10, 10), torch.zeros(6, dtype=torch.int64))
    donors = torch.zeros(2, 1, 10, 10)
    donors[0, 0, 5, 5] = 1
    planted, places = plant_patches(net, right, donors, side=4, tries=60, count=40, seed=0)
    assert len(planted) == 6
    assert places.flatten(1).sum(1).tolist() == [16] * 6
    assert not bool(solved(net.logits(planted.inputs), planted).any())
    left = [image[~place].unique().tolist() for image, place in zip(planted.inputs[:, 0], places, strict=True)]
    # An item is there once, and its own but for the patch.
    assert all(len(values) == 1 for values in left)
    assert len({values[0] for values in left}) == 6
    # The bright pixel comes from another place than it goes to.
    assert any(place.nonzero()[0].tolist() != [5, 5] for place in planted.inputs[:, 0] == 1)
    nothing, _ = plant_patches(net, right, donors[1:], side=4, tries=3, count=5, seed=0)
    assert len(nothing) == 0


MAZE = (
    "#######",
    "#S....#",
    "#.###.#",
    "#.#...#",
    "#.#.#.#",
    "#..##G#",
    "#######",
)
TRUE = {(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)}


def maze(answers: list[set[tuple[int, int]]]) -> tuple[Puzzles, Tensor]:
    inputs = torch.zeros(3, 7, 7)
    targets = torch.zeros(7, 7, dtype=torch.int64)
    for row, line in enumerate(MAZE):
        for column, cell in enumerate(line):
            colors = {"#": (0, 0, 0), "S": (0, 1, 0), "G": (1, 0, 0), ".": (1, 1, 1)}[cell]
            inputs[:, row, column] = torch.tensor(colors)
    for place in TRUE:
        targets[place] = 1
    predicted = torch.zeros(len(answers), 7, 7, dtype=torch.int64)
    for number, answer in enumerate(answers):
        for place in answer:
            predicted[number][place] = 1
    mask = inputs.amax(0) > 0
    count = len(answers)
    return (
        Puzzles(
            inputs=inputs.expand(count, -1, -1, -1),
            targets=targets.expand(count, -1, -1),
            mask=mask.expand(count, -1, -1),
        ),
        predicted,
    )


def test_what_is_wrong_with_a_path() -> None:
    items, predicted = maze([TRUE - {(1, 3)}, TRUE | {(3, 4)}, {(1, 1), (2, 1), (3, 1)}, TRUE | {(5, 1)}])
    errors = maze_errors(items, predicted)
    assert errors.labels == (
        "missing segment, first half",
        "false dead end, second half",
        "wrong branch, first half",
        "false dead end, apart",
    )
    assert errors.regions[WRONG][0].nonzero().tolist() == [[1, 3]]
    around = errors.regions[FIRST]
    # Two pixels around (1, 3), walls left out.
    open_places = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1), (2, 5), (3, 1), (3, 3), (3, 4), (3, 5)]
    assert [tuple(place) for place in around[0].nonzero().tolist()] == open_places
    assert not bool(around[3].any())


def test_where_a_string_is_first_wrong() -> None:
    targets = torch.zeros(2, 8, dtype=torch.int64)
    items = Puzzles(inputs=torch.zeros(2, 1, 8), targets=targets, mask=torch.ones_like(targets, dtype=torch.bool))
    predicted = targets.clone()
    predicted[0, 1], predicted[0, 7], predicted[1, 6] = 1, 1, 1
    errors = string_errors(items, predicted)
    assert errors.labels == ("from quarter 1", "from quarter 4")
    assert errors.regions[WRONG][0].nonzero()[:, 0].tolist() == [1, 7]
    assert errors.regions[FIRST][0].nonzero()[:, 0].tolist() == [0, 1, 2, 3]


def test_classes_are_pairs() -> None:
    items = as_items(torch.zeros(2, 1, 1, 1), torch.tensor([3, 5]))
    assert class_errors(items, torch.tensor([[5], [3]])).labels == ("3 taken for 5", "5 taken for 3")
    names = ("a", "b", "c", "cat", "d", "dog")
    assert class_errors(items, torch.tensor([[5], [3]]), names).labels[0] == "cat taken for dog"
