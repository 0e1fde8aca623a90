"""What of a maze features follow, and changed mazes."""

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles, counting_mask, make_puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.changes import hidden_positions, hide
from easy_to_hard.baselines.vit_visualization.maze_features import auroc, follow, places_of, shuffled
from easy_to_hard.baselines.vit_visualization.on_puzzles import change_figures, count_solved

# S start, G goal, o path, . free, # wall.
DRAWN = ("Soo.", "##o#", ".#o.", "..oG")


def drawn_maze() -> Puzzles:
    inputs, targets = torch.zeros(1, 3, 10, 10), torch.zeros(1, 10, 10, dtype=torch.long)
    for row, line in enumerate(DRAWN):
        for column, kind in enumerate(line):
            place = (slice(None), slice(1 + 2 * row, 3 + 2 * row), slice(1 + 2 * column, 3 + 2 * column))
            colors = {"S": (1.0, 0.0, 0.0), "G": (0.0, 1.0, 0.0), "#": (0.0,) * 3}.get(kind, (1.0,) * 3)
            inputs[0][place] = torch.tensor(colors)[:, None, None]
            targets[(0, *place[1:])] = int(kind in "SGo")
    return Puzzles(inputs=inputs, targets=targets, mask=counting_mask("mazes", inputs))


def marked(mask: Tensor) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in mask[0].nonzero()]


def test_places_of_a_drawn_maze() -> None:
    places = places_of(drawn_maze())
    assert int(places.free.sum()) == 12
    assert marked(places.masks["path"]) == [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2), (3, 3)]
    # Start has one neighbor too, but is no dead end.
    assert marked(places.masks["dead end"]) == [(0, 3), (2, 0)]
    assert marked(places.masks["junction"]) == [(0, 2), (2, 2), (3, 2)]
    # 3 to 5 steps from the start.
    assert marked(places.masks["distance 4"]) == [(0, 3), (1, 2), (2, 2), (2, 3), (3, 2)]
    assert marked(places.masks["distance 8"]) == [(2, 0), (3, 0)]


def test_auroc_counts_pairs() -> None:
    rng = generator_of("auroc")
    scores = torch.randint(0, 4, (30, 3), generator=rng).float()
    marks = torch.rand(30, generator=rng) < 0.4
    for feature in range(3):
        pairs = [
            1.0 if high > low else 0.5 if high == low else 0.0
            for high in scores[marks, feature].tolist()
            for low in scores[~marks, feature].tolist()
        ]
        assert float(auroc(scores, marks)[feature]) == pytest.approx(sum(pairs) / len(pairs))
    with pytest.raises(ValueError, match="some of the 30 places must be marked and some not, not 30"):
        auroc(scores, torch.ones(30, dtype=torch.bool))


def test_the_feature_that_follows_a_mask_is_found_and_scored_on_other_mazes() -> None:
    items = make_puzzles("mazes", 5, 20)
    places = places_of(items)
    mask = places.masks["path"]
    noise = torch.rand((20, 3, 7, 7), generator=generator_of("noise"))
    exact = noise.clone()
    # Its opposite does as well, and what is at walls does not count.
    exact[:, 1] = torch.where(places.free, -mask.float(), torch.ones(()))
    scores = follow(exact, mask, places.free)
    assert scores is not None
    assert scores.tolist() == [1.0] * 10
    # A feature that follows it in the mazes it is chosen by alone gains nothing.
    memory = noise.clone()
    memory[:10, 1] = mask[:10].float()
    scores = follow(memory, mask, places.free)
    assert scores is not None
    assert 0.35 < float(scores.mean()) < 0.65
    assert follow(noise, places.free, places.free) is None


def test_shuffled_marks_are_as_many_and_free() -> None:
    places = places_of(make_puzzles("mazes", 7, 6))
    mask = places.masks["path"]
    drawn = shuffled(mask, places.free, 0)
    assert torch.equal(drawn.flatten(1).sum(dim=1), mask.flatten(1).sum(dim=1))
    assert not bool((drawn & ~places.free).any())
    assert not torch.equal(drawn, mask)
    assert torch.equal(drawn, shuffled(mask, places.free, 0))


def test_hidden_positions() -> None:
    items = drawn_maze()
    hidden = hidden_positions(items, 0)
    assert marked(hidden["all dead ends"]) == [(0, 3), (2, 0), (2, 3), (3, 0), (3, 1)]
    assert marked(hidden["the path"]) == [(0, 1), (0, 2), (1, 2), (2, 2), (3, 2)]
    (one,) = marked(hidden["one position of the path"])
    assert one in marked(hidden["the path"])
    assert set(marked(hidden["half of the dead ends"])) < set(marked(hidden["all dead ends"]))
    inputs = hide(items.inputs, hidden["the path"])
    assert float(inputs[0, :, 1:3, 3:5].sum()) == 0
    assert int((inputs != items.inputs).sum()) == 5 * 4 * 3


def test_change_figures_of_an_answer_that_is_always_right() -> None:
    items = make_puzzles("mazes", 5, 6)
    by_maze = {tuple(one.flatten().tolist()): target for one, target in zip(items.inputs, items.targets, strict=True)}

    def answer(inputs: Tensor) -> Tensor:
        """Right on the mazes as they are; on others all is path."""
        found = [by_maze.get(tuple(one.flatten().tolist()), torch.ones(16, 16)) for one in inputs]
        right = torch.stack([target.float() for target in found])
        return torch.stack([1 - right, right], dim=1)

    assert count_solved(answer, items) == 6
    figures = change_figures({"one": answer, "other": answer}, items, 0)
    rates = {
        str(one.condition["hidden"]): one.value
        for one in figures
        if one.condition.get("net") == "one" and "hidden" in one.condition
    }
    # All that is left is path where dead ends are hidden, and nearly nothing where the path is.
    assert rates["all dead ends"] == 1.0
    assert rates["the path"] < 1.0
    filtered = [one.value for one in figures if "cutoff" in one.condition and one.condition["net"] == "one"]
    only_path = ((items.targets == 1) | ~items.mask).flatten(1).all(dim=1).double().mean()
    assert filtered == [pytest.approx(float(only_path))] * 6
    assert figures[-1].value == 0
