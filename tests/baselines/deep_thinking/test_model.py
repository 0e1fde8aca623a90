"""The nets: values, sizes, shapes, and thinking on from a state."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from thinking import KINDS, make_net, mazes, strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.batches import input_shape
from easy_to_hard.baselines.deep_thinking.model import ResidualBlock
from easy_to_hard.baselines.deep_thinking.recipes import RECIPES, NetConfig
from easy_to_hard.generators.mazes import image_side

# Sizes


@pytest.mark.parametrize(
    ("name", "recall", "weights"),
    [
        ("prefix-sums-paper", True, 3_123_600),
        ("prefix-sums-paper", False, 2_642_400),
        ("mazes-paper", True, 783_504),
        ("mazes-paper", False, 632_592),
        ("chess-puzzles-paper", True, 12_056_976),
        ("chess-puzzles-paper", False, 9_642_384),
    ],
)
def test_published_sizes(name: str, recall: bool, weights: int) -> None:
    recipe = RECIPES[name]
    in_channels, dimensions = input_shape(recipe.task)
    assert recipe.net.recall
    # The ReLU has no weights; the authors have it in 1-D only.
    assert recipe.net.recall_relu is (dimensions == 1)
    with torch.device("meta"):
        net = replace(recipe.net, recall=recall).build(in_channels=in_channels, dimensions=dimensions, seed=0)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert net.count_parameters() == weights


@pytest.mark.parametrize("recall", [True, False])
@pytest.mark.parametrize(("dimensions", "taps", "channels"), [(1, 3, 1), (2, 9, 3)])
def test_sizes_of_the_feed_forward_controls(recall: bool, dimensions: int, taps: int, channels: int) -> None:
    shape = NetConfig(architecture="feed_forward", width=40, head_widths=(20, 10), recall=recall, depth=30)
    with torch.device("meta"):
        net = shape.build(in_channels=channels, dimensions=dimensions, seed=0)
    projection, head = channels * 40, 40 * 20 + 20 * 10 + 10 * 2
    blocks = 30 * 4 * 40 * 40
    recalled = (40 + channels) * 40 if recall else 0
    assert net.count_parameters() == taps * (projection + blocks + recalled + head)
    assert net.depth == 30


# Values


def test_a_value_worked_out_by_hand() -> None:
    """Width 1, every kernel the middle tap alone, so that each position is worked out by itself."""
    net = make_net(width=1, head_widths=(1, 1))
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.projection.weight[0, 0, 1] = 2.0
        net.recall.weight[0, 0, 1] = 3.0  # features
        net.recall.weight[0, 1, 1] = -1.0  # input
        for block in net.blocks:
            block.first.weight[0, 0, 1] = 0.5
            block.second.weight[0, 0, 1] = -0.5
        for layer, value in zip(net.head[::2], (1.0, 1.0), strict=False):
            layer.weight[0, 0, 1] = value
        net.head[4].weight[0, 0, 1] = 1.0
        net.head[4].weight[1, 0, 1] = -4.0
    logits, state = net(torch.tensor([[[0.5, -0.5]]]), 1)
    # 0.5: start relu(1) = 1, recalled 3 - 0.5 = 2.5, a block takes z >= 0 to z - z / 4: 2.5 * 0.75 * 0.75.
    # -0.5: start relu(-1) = 0, recalled 0.5, 0.5 * 0.75 * 0.75.
    assert state.flatten().tolist() == pytest.approx([1.40625, 0.28125])
    assert logits[0, 0].tolist() == pytest.approx([1.40625, 0.28125])
    assert logits[0, 1].tolist() == pytest.approx([-5.625, -1.125])


def _patches(x: Tensor, patch: int) -> Tensor:
    """Pixels of each patch as channels, the grid moved by patch - 1."""
    if patch == 1:
        return x
    x = F.pad(x, (patch - 1, 1, patch - 1, 1))
    batch, channels, height, width = x.shape
    cut = x.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * patch**2, height // patch, width // patch)


def _forward_with_concatenation(net: Any, x: Tensor, iterations: int) -> Tensor:
    """As the paper writes it."""
    seen = _patches(x, net.patch)
    state = F.relu(net.projection(seen))
    for _ in range(iterations):
        state = net.recall(torch.cat([state, seen], dim=1))
        if net.recall_relu:
            state = F.relu(state)
        for block in net.blocks:
            state = F.relu(block.second(F.relu(block.first(state))) + state)
    logits: Tensor = net.head(state)
    return logits


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("recall_relu", [False, True])
def test_split_recall_equals_concatenation(dimensions: int, recall_relu: bool) -> None:
    net = make_net(in_channels=3, dimensions=dimensions, recall_relu=recall_relu).double()
    x = torch.randn(2, 3, *[7] * dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits, _ = net(x, 5)
    expected = _forward_with_concatenation(net, x, 5)
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    loss_weights = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parameters = list(net.parameters())
    gradients = torch.autograd.grad((logits * loss_weights).sum(), parameters)
    expected_gradients = torch.autograd.grad((expected * loss_weights).sum(), parameters)
    assert all(bool(gradient.any()) for gradient in expected_gradients)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-10, atol=1e-12)


def test_channels_last_changes_no_value() -> None:
    """The recall kernel is cut in two in the layout that it has."""
    net = make_net(in_channels=3, dimensions=2)
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    expected, _ = net(x, 4)
    logits, _ = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last), 4)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-6)


def test_recall_relu_matters() -> None:
    x, _ = strings(4, 12)
    assert not torch.equal(make_net(recall_relu=True)(x, 3)[0], make_net(recall_relu=False)(x, 3)[0])


def test_feed_forward_blocks_are_its_own() -> None:
    """With equal blocks it is the recurrent net; the block of iteration 2 matters from iteration 2 on."""
    x, _ = strings(3, 10)
    tied, untied = make_net(), make_net("feed_forward", recall=True)
    for module in ("projection", "recall", "head"):
        getattr(untied, module).load_state_dict(getattr(tied, module).state_dict())
    for pair in untied.blocks:
        pair.load_state_dict(tied.blocks.state_dict())
    assert torch.equal(untied(x, 8)[0], tied(x, 8)[0])
    with torch.no_grad():
        untied.blocks[2][0].first.weight.mul_(2)
    assert torch.equal(untied(x, 2)[0], tied(x, 2)[0])
    assert not torch.equal(untied(x, 3)[0], tied(x, 3)[0])


# Thinking on


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_going_on_equals_going_through(kind: str, dimensions: int) -> None:
    net = make_net(kind, in_channels=2, dimensions=dimensions, patch=dimensions).eval()
    x = torch.rand(3, 2, *[10] * dimensions, generator=torch.Generator().manual_seed(0)) - 0.5
    _, middle = net(x, 3)
    kept = middle.clone()
    logits, state = net(x, 4, middle, done=3)
    expected_logits, expected_state = net(x, 7)
    assert torch.equal(logits, expected_logits)
    assert torch.equal(state, expected_state)
    assert torch.equal(middle, kept), "a state that was given is overwritten"
    states = list(net.states(net.initial_state(x), x, 7))
    assert len(states) == 7
    assert torch.equal(states[2], middle), "a state that was yielded is overwritten"
    assert torch.equal(states[6], state)
    assert torch.equal(net.step(middle, x, 4, done=3), state)


def test_going_on_without_recall() -> None:
    net = make_net(recall=False)
    x, _ = strings(3, 10)
    _, middle = net(x, 3)
    assert torch.equal(net(x, 4, middle)[0], net(x, 7)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_no_iterations_is_the_head_on_the_projection(kind: str) -> None:
    net = make_net(kind)
    x, _ = strings(3, 10)
    logits, state = net(x, 0)
    assert torch.equal(state, net.initial_state(x))
    assert torch.equal(logits, net.head(state))
    with pytest.raises(ValueError, match="iterations and done must be at least 0, not -1 and 0"):
        net(x, -1)
    with pytest.raises(ValueError, match="iterations and done must be at least 0, not 2 and -3"):
        net(x, 2, state, done=-3)


def test_a_feed_forward_net_ends() -> None:
    net, (x, _) = make_net("feed_forward", depth=4), strings(3, 10)
    _, state = net(x, 4)
    with pytest.raises(ValueError, match="this net has 4 iterations, fewer than the 5 asked for"):
        net(x, 5)
    with pytest.raises(ValueError, match="this net has 4 iterations, fewer than the 5 asked for"):
        net(x, 2, state, done=3)


def test_only_recall_sees_the_input_again() -> None:
    x, _ = strings(2, 10)
    for recall in (True, False):
        net = make_net(recall=recall)
        state = net.initial_state(x)
        assert torch.equal(net.step(state, x, 2), net.step(state, -x, 2)) is not recall


# Shapes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("dimensions", "size"), [(1, (1,)), (1, (5,)), (1, (33,)), (2, (1, 1)), (2, (8, 8)), (2, (5, 11))]
)
def test_any_size(kind: str, dimensions: int, size: tuple[int, ...]) -> None:
    net = make_net(kind, in_channels=2, dimensions=dimensions)
    x = torch.rand(3, 2, *size)
    logits, state = net(x, 2)
    assert logits.shape == (3, 2, *size)
    assert state.shape == (3, 6, *size)
    assert bool((net.initial_state(x) >= 0).all())
    # ELUs go below 0.
    assert kind == "lipschitz" or bool((state >= 0).all())


@pytest.mark.parametrize(
    ("dimensions", "patch", "shape", "message"),
    [
        (1, 1, (2, 1, 10), r"inputs of shape \(batch, 3, length\), not \(2, 1, 10\)"),
        (1, 1, (3, 10), r"inputs of shape \(batch, 3, length\), not \(3, 10\)"),
        (1, 1, (2, 3, 4, 4), r"inputs of shape \(batch, 3, length\), not \(2, 3, 4, 4\)"),
        (2, 1, (2, 4, 8, 8), r"inputs of shape \(batch, 3, height, width\), not \(2, 4, 8, 8\)"),
        (2, 1, (3, 8, 8), r"inputs of shape \(batch, 3, height, width\), not \(3, 8, 8\)"),
        (2, 2, (2, 3, 8, 7), r"sides must be multiples of patch = 2, not \(8, 7\)"),
        (2, 2, (2, 12, 8, 8), r"inputs of shape \(batch, 3, height, width\), not \(2, 12, 8, 8\)"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_shapes(kind: str, dimensions: int, patch: int, shape: tuple[int, ...], message: str) -> None:
    net = make_net(kind, in_channels=3, dimensions=dimensions, patch=patch)
    with pytest.raises(ValueError, match=message):
        net(torch.zeros(shape), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_of_integers(kind: str) -> None:
    """As files and arrays hold them."""
    net = make_net(kind, in_channels=3, dimensions=2)
    with pytest.raises(ValueError, match=r"inputs must be float32, .*, not torch\.uint8: use \.float\(\)"):
        net(torch.zeros((2, 3, 8, 8), dtype=torch.uint8), 1)


def test_far_positions_do_not_touch() -> None:
    """An iteration reaches 5 positions, the projection 1 and the head 3: each further convolution one more."""
    net = make_net()
    x, _ = strings(1, 60)
    changed = x.clone()
    changed[0, 0, 30] *= -1
    differs = (net(x, 2)[0] != net(changed, 2)[0]).any(dim=1)[0].nonzero().flatten()
    assert int((differs - 30).abs().max()) <= 1 + 2 * 5 + 3
    assert int((differs - 30).abs().max()) > 1 + 5 + 3


# Patches


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [3, 5, 9, 13])
def test_patches_fit_a_maze_of_any_size(kind: str, size: int) -> None:
    images, paths = mazes(2, size, split_rule="original")
    side = image_side(size)
    logits, state = make_net(kind, in_channels=3, dimensions=2, patch=2)(images, 2)
    assert logits.shape == (2, 2, side, side)
    assert logits.shape[2:] == paths.shape[1:]
    assert state.shape == (2, 6, side // 2 + 1, side // 2 + 1)


@pytest.mark.parametrize("patch", [2, 3, 4])
def test_patches_by_other_means(patch: int) -> None:
    net = make_net(in_channels=3, dimensions=2, patch=patch, head_widths=())
    x = torch.rand(2, 3, 2 * patch, 3 * patch, generator=torch.Generator().manual_seed(0))
    logits, _ = net(x, 2)
    grid = _forward_with_concatenation(net, x, 2)
    for row in range(2 * patch):
        for column in range(3 * patch):
            # The pixel's place in the padded picture: cell and place in the cell.
            (i, a), (j, b) = (divmod(place + patch - 1, patch) for place in (row, column))
            for label in range(2):
                expected = grid[:, label * patch**2 + a * patch + b, i, j]
                torch.testing.assert_close(logits[:, label, row, column], expected)


def test_a_maze_position_is_one_cell() -> None:
    images, _ = mazes(1, 7)
    net = make_net(in_channels=3, dimensions=2, patch=2, width=32, head_widths=())
    side = images.shape[-1]
    for i, j in ((0, 0), (3, 4), (side // 2 - 2, 1)):
        changed = images.clone()
        rows, columns = slice(1 + 2 * i, 3 + 2 * i), slice(1 + 2 * j, 3 + 2 * j)
        changed[..., rows, columns] = 1 - changed[..., rows, columns]
        # 32 random kernels: a changed cell that all of them miss would be one beyond reach.
        differs = (net.projection(net._see(images)) != net.projection(net._see(changed))).any(dim=1)[0].nonzero()
        around = [[i + 1 + di, j + 1 + dj] for di in (-1, 0, 1) for dj in (-1, 0, 1)]
        assert sorted(differs.tolist()) == [
            cell for cell in sorted(around) if min(cell) >= 0 and max(cell) <= side // 2
        ]
        moved = (net.initial_state(images) != net.initial_state(changed)).any(dim=1)[0].nonzero().tolist()
        assert [i + 1, j + 1] in moved
        assert all(cell in around for cell in moved)


def test_a_cell_answers_for_its_maze_position() -> None:
    net = make_net(in_channels=3, dimensions=2, patch=2, head_widths=())
    with torch.no_grad():
        weights = net.head[0].weight.clone()
        net.head[0].weight.zero_()
        net.head[0].weight[..., 1, 1] = weights[..., 1, 1]
    state = net.initial_state(mazes(1, 5)[0])
    i, j = 2, 4
    changed = state.clone()
    changed[0, :, i + 1, j + 1] += 1
    differs = (net.read_out(state) != net.read_out(changed)).any(dim=1)[0].nonzero().tolist()
    assert differs == [[row, column] for row in (1 + 2 * i, 2 + 2 * i) for column in (1 + 2 * j, 2 + 2 * j)]


# Group norm


@pytest.mark.parametrize("dimensions", [1, 2])
def test_group_norm_is_torchs_without_weights(dimensions: int) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(dimensions, 8, group_norm=True).double()
    x = torch.randn(3, 8, *[6] * dimensions, dtype=torch.float64)
    inner = F.relu(F.group_norm(block.first(x), 4, eps=1e-5))
    expected = F.relu(F.group_norm(block.second(inner), 4, eps=1e-5) + x)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)
    assert sum(p.numel() for p in block.parameters()) == 2 * 8 * 8 * 3**dimensions


@pytest.mark.parametrize("kind", ["recurrent", "feed_forward"])
def test_group_norm_errors(kind: str) -> None:
    with pytest.raises(ValueError, match="width must be a multiple of 4 with group_norm, not 6"):
        make_net(kind, group_norm=True)
    x, _ = strings(3, 10)
    assert not torch.equal(make_net(kind, width=8, group_norm=True)(x, 2)[0], make_net(kind, width=8)(x, 2)[0])


# Seeds and errors


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_weights_and_global_state_untouched(kind: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = make_net(kind, seed=1), make_net(kind, seed=1), make_net(kind, seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert one.state_dict().keys() == two.state_dict().keys()
    for name, values in one.state_dict().items():
        assert torch.equal(values, two.state_dict()[name])
    assert not torch.equal(one.projection.weight, other.projection.weight)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        *((kind, {"dimensions": 3}, "dimensions must be 1 or 2, not 3") for kind in KINDS),
        *((kind, {"width": 0}, "width must be at least 1, not 0") for kind in KINDS),
        *((kind, {"in_channels": -1}, "in_channels must be at least 1, not -1") for kind in KINDS),
        *((kind, {"head_widths": (4, 0)}, r"head_widths\[1\] must be at least 1, not 0") for kind in KINDS),
        *((kind, {"patch": 0}, "patch must be at least 1, not 0") for kind in KINDS),
        *((kind, {"patch": 2}, "patch must be 1 with dimensions=1, not 2") for kind in KINDS),
        ("feed_forward", {"depth": 0}, "depth must be at least 1, not 0"),
    ],
)
def test_model_errors(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_net(kind, **changes)


def test_which_weights_are_recurrent() -> None:
    for kind in KINDS:
        net = make_net(kind, recall=True)
        names = [name for name, _ in net.named_parameters()]
        recurrent = {name.split(".")[0] for name in names if net.is_recurrent(name)}
        assert recurrent == ({"recall", "convolutions", "mixing"} if kind == "lipschitz" else {"recall", "blocks"})
        assert {name.split(".")[0] for name in names} - recurrent == {"projection", "head"}
