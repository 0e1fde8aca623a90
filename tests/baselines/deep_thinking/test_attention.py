"""Attention nets: what they see, what they say, and that they stay bounded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import chess as python_chess
import pytest
import torch
from thinking import make_net, same_weights
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.attention import AttentionNet, SquarePairs, clear_pairs
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, save_model
from easy_to_hard.baselines.deep_thinking.recipes import get_recipe
from easy_to_hard.baselines.deep_thinking.training import TrainingReport
from easy_to_hard.baselines.deep_thinking.training_run import make_facts
from easy_to_hard.tasks.chess import two_likeliest_squares

KINDS = ("attention", "attention_feed_forward")


def _net(kind: str = "attention", **sizes: Any) -> Any:
    shape = {"width": 8, "head_widths": (), "heads": 2, "in_channels": 12, "dimensions": 2, **sizes}
    return make_net(kind, **shape).eval()


def _boards(count: int = 3, seed: int = 0) -> Tensor:
    return (torch.rand(count, 12, 8, 8, generator=torch.Generator().manual_seed(seed)) < 0.05).float()


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_equals_going_through(kind: str) -> None:
    net, x = _net(kind), _boards()
    _, middle = net(x, 3)
    kept = middle.clone()
    logits, state = net(x, 4, middle, done=3)
    expected_logits, expected_state = net(x, 7)
    assert logits.shape == (3, 2, 8, 8)
    assert state.shape == (3, 8, 8, 8)
    assert torch.equal(logits, expected_logits)
    assert torch.equal(state, expected_state)
    assert torch.equal(middle, kept), "a state that was given is overwritten"


@pytest.mark.parametrize("kind", KINDS)
def test_features_keep_their_size(kind: str) -> None:
    net, x = _net(kind, depth=40), _boards()
    for state in net.states(net.initial_state(x), x, 40):
        torch.testing.assert_close(state.square().mean(dim=1), torch.ones(3, 8, 8), rtol=1e-3, atol=1e-3)


def test_the_board_is_seen_again_at_every_iteration() -> None:
    net, x = _net(), torch.zeros(1, 12, 8, 8)
    x[0, 4, 3, 3] = 1
    # The same squares are occupied, so that no line is closed or opened.
    state, other = net.initial_state(x), x.roll(1, dims=1)
    assert not torch.equal(net.step(state, x, 2), net.step(state, other, 2))


def test_one_iteration_crosses_the_board() -> None:
    net, x = _net(), torch.zeros(1, 12, 8, 8)
    changed = x.clone()
    changed[0, 4, 0, 0] = 1
    differs = (net.step(net.initial_state(x), x, 1) != net.step(net.initial_state(changed), changed, 1)).any(dim=1)
    assert bool(differs[0, 7, 7])


def test_blocks_of_a_feed_forward_net_are_its_own() -> None:
    x = _boards()
    tied, untied = _net(), _net("attention_feed_forward", depth=5)
    weights = dict(tied.state_dict())
    for name in untied.state_dict():
        if name.startswith("blocks."):
            weights[name] = weights["blocks.0." + name.split(".", 2)[2]]
    untied.load_state_dict(weights)
    assert torch.equal(untied(x, 5)[0], tied(x, 5)[0])
    with torch.no_grad():
        untied.blocks[2].answer.weight.mul_(2)
    assert torch.equal(untied(x, 2)[0], tied(x, 2)[0])
    assert not torch.equal(untied(x, 3)[0], tied(x, 3)[0])
    with pytest.raises(ValueError, match="this net has 5 iterations, fewer than the 6 asked for"):
        untied(x, 6)


def test_the_answer_is_the_likeliest_move() -> None:
    net, x = _net(), _boards(20)
    with torch.no_grad():
        net.head.ends.weight.mul_(5)
    logits, state = net(x, 3)
    probabilities = net.moves(state).flatten(1).softmax(dim=1).view(-1, 64, 64)
    # A square is neither the origin nor the destination of more than one likeliest move.
    expected = torch.maximum(probabilities.amax(dim=1), probabilities.amax(dim=2)).view(-1, 8, 8)
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], expected)
    best = probabilities.flatten(1).argmax(dim=1)
    answers = two_likeliest_squares(logits, x).flatten(1)
    for answer, move in zip(answers, best.tolist(), strict=True):
        assert {move // 64, move % 64} <= set(answer.nonzero().flatten().tolist())
    assert torch.equal(logits.isfinite().all(), torch.tensor(True))


def test_a_certain_move_has_finite_logits() -> None:
    net, x = _net(), _boards(1)
    with torch.no_grad():
        net.head.ends.weight.mul_(1e3)
    assert bool(net(x, 1)[0].isfinite().all())


def test_biases_belong_to_steps() -> None:
    """Two pairs of squares the same step apart have the same bias, any others their own."""
    pairs = SquarePairs(4, 1)
    with torch.no_grad():
        pairs.ends.weight.zero_()
        pairs.ends.bias.zero_()
        pairs.bias.copy_(torch.arange(225.0)[None])
    biases = pairs(torch.zeros(1, 4, 8, 8))[0, 0].tolist()
    steps: dict[tuple[int, int], float] = {}
    for origin in range(64):
        for to in range(64):
            step = (to // 8 - origin // 8, to % 8 - origin % 8)
            assert steps.setdefault(step, biases[origin][to]) == biases[origin][to]
    assert len(set(steps.values())) == len(steps) == 225


def test_heads_begin_along_the_lines_of_the_pieces() -> None:
    d4, d8, g7, e6, e5, e7, d6 = 27, 59, 54, 44, 36, 52, 43
    x = torch.zeros(2, 12, 8, 8)
    x[1, 3].view(-1)[d6] = 1
    free, blocked = _net(heads=4).blocks[0].biases(clear_pairs(x))[:, :, d4]
    straight, diagonal, leap, near = free
    assert straight[d8] > 0 == straight[g7]
    assert diagonal[g7] > 0 == diagonal[d8]
    assert leap[e6] > 0 == leap[d8]
    assert near[e5] > 0 == near[e7]
    assert blocked[0, d8] == 0 < blocked[0, d6]


def test_clear_pairs_are_those_of_python_chess() -> None:
    x = _boards(4)
    for board, clear in zip(x, clear_pairs(x), strict=True):
        occupied = python_chess.SquareSet(board.any(dim=0).flatten().nonzero().flatten().tolist())
        for first in range(64):
            for second in range(64):
                between = python_chess.SquareSet.between(first, second)
                assert bool(clear[first, second]) is not bool(between & occupied)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 3}, "heads must divide the width of 8, not 3"),
        ({"heads": 0}, "heads must be at least 1, not 0"),
        ({"dimensions": 1}, "dimensions must be 2 and patch 1, not 1 and 1"),
        ({"patch": 2}, "dimensions must be 2 and patch 1, not 2 and 2"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_that_are_refused(kind: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net(kind, **sizes)


def test_depths_that_are_refused() -> None:
    with pytest.raises(ValueError, match="depth must be at least 1, not 0"):
        _net("attention_feed_forward", depth=0)


@pytest.mark.parametrize("shape", [(2, 12, 8, 7), (2, 12, 10, 10)])
def test_boards_have_64_squares(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"takes boards of 8 x 8 squares, not \({shape[2]}, {shape[3]}\)"):
        _net()(torch.zeros(shape), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    net, x = _net(kind), _boards()
    name = "chess-mates-thinking" + ("-feed-forward" if "feed" in kind else "")
    report = TrainingReport(steps=1, loss=0.5, accuracy=0.5, seconds=1.0, precision="float32")
    facts = make_facts(replace(get_recipe(name)), report, "CPU")
    assert isinstance(net, AttentionNet)
    save_model(net, tmp_path, facts)
    loaded, told = load_model(str(tmp_path))
    assert type(loaded) is type(net)
    assert told == facts
    assert same_weights(loaded.state_dict(), net.state_dict())
    assert torch.equal(loaded(x, 3)[0], net(x, 3)[0])
