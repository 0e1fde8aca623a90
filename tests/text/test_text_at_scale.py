"""Ten thousand right and ten thousand wrong answers of each task; the right ones are from solvers of the pictures."""

import random
from collections import Counter

import numpy as np
import pytest

from easy_to_hard.generators import chess, mazes, prefix_sums
from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK, POSITION_WORDS
from easy_to_hard.generators.chess.moves import legal_moves
from easy_to_hard.tasks import TASKS, DataSpec
from easy_to_hard.text import Item, answer, items_at, prompt, verify

NUMBER = 10_000
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}

pytestmark = pytest.mark.slow


def items_of_all(task: str, *parts: tuple[str, int, int]) -> list[Item]:
    """Test items: of each variant and difficulty, so many."""
    found = []
    for variant, difficulty, number in parts:
        spec = DataSpec(task=task, variant=variant, difficulty=difficulty, split="test", seed=1)
        found += items_at(spec, range(number))
    assert len(found) == NUMBER
    return found


def check(cases: list[tuple[Item, str, str]]) -> None:
    """Cases of item, right and wrong reply: all are judged as they should be."""
    assert len(cases) == NUMBER
    kinds: Counter[str] = Counter()
    for item, right, wrong in cases:
        good, bad = verify(item, right), verify(item, wrong)
        assert good.correct, (item.id, right, good)
        assert not bad.correct, (item.id, wrong, bad)
        assert bad.score < 1 == good.score
        kinds[bad.reason.split(":")[0]] += 1
    assert kinds == {"wrong": NUMBER}


def test_prefix_sums() -> None:
    rng = random.Random(0)
    cases = []
    for item in items_of_all("prefix_sums", ("", 32, 5000), ("", 64, 3000), ("", 512, 2000)):
        bits = prefix_sums.unpack(item.data[None], item.spec.difficulty)
        right = "".join(map(str, prefix_sums.solve(bits)[0]))
        place = rng.randrange(len(right))
        flipped = right[:place] + "10"[int(right[place])] + right[place + 1 :]
        other = "".join("10"[int(digit)] for digit in right)
        cases.append((item, f"Answer: {right}", rng.choice([flipped, other, right[1:], right + "0"])))
    check(cases)


def test_mazes() -> None:
    rng = random.Random(0)
    cases = []
    parts = [(variant, size, 1000) for variant in TASKS["mazes"].variants for size in (9, 13)]
    for item in items_of_all("mazes", *parts):
        image, _ = mazes.to_images(item.data[None])
        path = mazes.solve(image)[0][0][1:-1:2, 1:-1:2] > 0
        # The marks of the solver in the grid of the prompt.
        grid = np.array([list(line) for line in prompt(item).split("\n\n")[1].splitlines()])
        grid[path & (grid == ".")] = "o"
        moves = answer(item).split(", ")
        place = rng.randrange(len(moves))
        wrong = rng.choice(
            [
                # A detour, a step too few or too many, a turn into another direction.
                [*moves[: place + 1], OPPOSITE[moves[place]], *moves[place:]],
                moves[:place] + moves[place + 1 :] or ["up", "down"],
                [*moves, moves[-1]],
                [*moves[:place], rng.choice(sorted(OPPOSITE.keys() - {moves[place]})), *moves[place + 1 :]],
            ]
        )
        cases.append((item, "\n".join("".join(row) for row in grid), ", ".join(wrong)))
    check(cases)


def test_chess_mates() -> None:
    rng = random.Random(0)
    cases = []
    moves = np.empty(MAX_MOVES, dtype=np.int64)
    for item in items_of_all("chess_mates", ("", 1, 8500), ("", 2, 1400), ("", 3, 100)):
        position = item.data[:POSITION_WORDS].copy()
        keys = chess.solve(position[None], item.spec.difficulty).keys[0]
        names = chess.to_ucis(keys[keys >= 0].astype(np.int64), position[None].repeat((keys >= 0).sum(), axis=0))
        legal = (moves[: legal_moves(position, moves)] & MOVE_MASK).tolist()
        others = [move for move in legal if move not in set(keys.tolist())]
        squares = [f"{file}{rank}" for file in "abcdefgh" for rank in range(1, 9)]
        # A legal move, where there is another one, or two squares that no piece can move between.
        wrong = chess.to_ucis(np.array([rng.choice(others)]), position[None])[0] if others else ""
        illegal = rng.choice(squares) + names[0][:2]
        cases.append((item, names[0], wrong if wrong and rng.random() < 0.7 else illegal))
    check(cases)
