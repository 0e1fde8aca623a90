"""Mazes in words: moves, marked grids and positions are read alike, and only a shortest path is right."""

import re

import numpy as np
import pytest
from text_items import first, items_for

from easy_to_hard.generators.mazes import EAST, GOAL, PATH, SOUTH, START, to_images
from easy_to_hard.tasks import TASKS, DataSpec
from easy_to_hard.text import Item, answer, prompt, verify
from easy_to_hard.text.mazes import free_positions, shortest_path

VARIANTS = TASKS["mazes"].variants


def maze(*rows: list[int]) -> Item:
    """A maze of 3 x 3 cells."""
    spec = DataSpec(task="mazes", difficulty=5, split="test")
    return Item(spec=spec, index=0, data=np.array(rows, dtype=np.uint8))


# A ring of four cells at the right; S and G in the upper row, two cells apart.
RING = maze(
    [EAST | START | PATH, EAST | SOUTH | PATH, SOUTH | GOAL | PATH],
    [0, EAST, 0],
    [0, 0, 0],
)


@pytest.mark.parametrize("variant", VARIANTS)
def test_positions_are_those_of_the_picture(variant: str) -> None:
    for item in items_for("mazes", variant, 9):
        image, path = (tensors[0] for tensors in to_images(item.data[None]))
        assert np.array_equal(free_positions(item.data), image.any(axis=0)[1:-1:2, 1:-1:2])
        wanted = {tuple(place) for place in np.argwhere(path[1:-1:2, 1:-1:2]).tolist()}
        found = shortest_path(item.data)
        assert set(found) == wanted
        assert len(found) == len(wanted)


def test_prompts() -> None:
    for style in ("grid", "marked"):
        assert "\n\n#######\n#S...G#\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######\n\n" in prompt(RING, style)
    assert "(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (2, 5), (3, 1)" in prompt(RING, "coordinates")
    assert "start is (1, 1), the goal is (1, 5)" in prompt(RING, "coordinates")
    assert answer(RING) == "right, right, right, right"
    assert answer(RING, "marked").splitlines()[1] == "#SoooG#"
    assert answer(RING, "coordinates") == "(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)"


@pytest.mark.parametrize(
    "reply",
    [
        "right right right right",
        "Right, RIGHT, right, right.",
        "r r r r",
        "RRRR",
        "RR RR",
        "eeee",
        "east -> east -> east -> east",
        "right → right → right → right",
        "→ → → →",
        "→→→→",
        "[right, right, right, right]",
        '["right", "right", "right", "right"]',
        "1. right\n2. right\n3. right\n4. right",
        "Answer: right, right,\nright, right",
        "Answer: right, right, right, right\nThat is the way.",
        "(1, 1) -> (1, 2) -> (1, 3) -> (1, 4) -> (1, 5)",
        "[(1,1),(1,2),(1,3),(1,4),(1,5)]",
        "[[1, 1], [1, 2], [1, 3], [1, 4], [1, 5]]",
        "1,1 1,2 1,3 1,4 1,5",
        "1. (1, 1)\n2. (1, 2)\n3. (1, 3)\n4. (1, 4)\n5. (1, 5)",
        "#######\n#S***G#\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######",
        "#######\n#Sxxxg#\n### # #\n# #   #\n#######\n# # # #\n#######",
        "# # # # # # #\n# S o o o G #\n# # # . # . #\n# . # . . . #\n# # # # # # #\n# . # . # . #\n# # # # # # #",
        "  #######\n  #ooooo#\n  ###.#.#\n  #.#...#\n  #######\n  #.#.#.#\n  #######\n",
        "Answer: right, right, right, right\n\n```\n#######\n#S***G#\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######\n```",
    ],
)
def test_ways_to_write_the_path(reply: str) -> None:
    verdict = verify(RING, reply)
    assert verdict.correct, verdict


@pytest.mark.parametrize(
    ("reply", "score", "reason"),
    [
        ("right, right, down, down, right, right, up, up", 2 / 8, "a path of 8 steps, but the shortest has 4"),
        ("right, right, right", 3 / 4, r"ends at \(1, 4\), not at the goal, \(1, 5\)"),
        ("right, right, right, right, down", 4 / 5, r"ends at \(2, 5\)"),
        ("right, left, right, right, right, right", 1 / 6, "a path of 6 steps"),
        ("down, right, right, right", 0, r"step 1, from \(1, 1\) to \(2, 1\), is into a wall"),
        ("up, up, up", 0, "step 1, .* is into a wall"),
        ("(1, 1), (1, 3), (1, 5)", 0, r"step 1, from \(1, 1\) to \(1, 3\), is not to a neighboring position"),
        ("(1, 2), (1, 3), (1, 4), (1, 5)", 0, r"begins at \(1, 2\), not at the start"),
        ("(1, 1), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5)", 0, r"ends or branches at \(1, 1\)"),
        ("(1, 1), (999999, 999999)", 0, "not to a neighboring"),
        # The ring, a branch, a gap, a mark in a wall, a mark far away.
        ("#######\n#S***G#\n###*#*#\n#.#***#\n#######\n#.#.#.#\n#######", 2 / 10, r"branches at \(1, 3\)"),
        ("#######\n#S***G#\n###*#.#\n#.#...#\n#######\n#.#.#.#\n#######", 2 / 6, r"branches at \(1, 3\)"),
        ("#######\n#S*.*G#\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######", 1 / 4, r"ends or branches at \(1, 2\)"),
        ("#######\n#S***G*\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######", 4 / 5, "into a wall"),
        ("#######\n#S***G#\n###.#.#\n#.#...#\n#######\n#.#.#*#\n#######", 4 / 6, r"ends or branches at \(1, 5\)"),
    ],
)
def test_wrong_paths(reply: str, score: float, reason: str) -> None:
    verdict = verify(RING, reply)
    assert not verdict.correct
    assert verdict.score == pytest.approx(score)
    assert re.search(f"^wrong: .*{reason}", verdict.reason), verdict.reason


@pytest.mark.parametrize(
    "reply",
    [
        "right 4",
        "4 right",
        "forward, right, right, right",
        "right or right",
        "(1, 1, 1), (1, 2)",
        "(1, 1), (1, 99999999999)",
        # Nothing is marked; a row is missing; there is another character.
        "#######\n#S...G#\n###.#.#\n#.#...#\n#######\n#.#.#.#\n#######",
        "#######\n#S***G#\n###.#.#\n#.#...#\n#######\n#.#.#.#",
        "#######\n#S***G#\n###.#.#\n#.#...#\n#######\n#.#.#?#\n#######",
    ],
)
def test_what_is_no_path(reply: str) -> None:
    assert verify(RING, reply).reason.startswith("unreadable: "), verify(RING, reply)


def test_two_paths_are_none() -> None:
    reply = "Answer: right, right, right, right\n\nAnswer: right, right, down, down, right, right, up, up"
    assert verify(RING, reply).reason == "unreadable: the reply gives 2 different answers"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [9, 25])
def test_single_errors_in_a_path(variant: str, size: int) -> None:
    """A move left out, repeated, turned or added at each place: wrong, and the credit is for the part before it."""
    item = first("mazes", size, variant)
    moves = answer(item).split(", ")
    opposite = {"up": "down", "down": "up", "left": "right", "right": "left"}
    for place in range(len(moves)):
        for changed in (
            moves[:place] + moves[place + 1 :],
            [*moves[:place], opposite[moves[place]], *moves[place + 1 :]],
            [*moves[: place + 1], opposite[moves[place]], *moves[place:]],
        ):
            if changed:
                verdict = verify(item, f"Answer: {' '.join(changed)}")
                assert not verdict.correct
                assert place / (len(moves) + 2) <= verdict.score < 1
    assert verify(item, f"Answer: {' '.join([*moves, 'up', 'down'])}").score < 1
