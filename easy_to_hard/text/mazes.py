"""Mazes in words: a maze of size s is a grid of (s + 2) x (s + 2) positions, its outer wall included."""

import re
from collections.abc import Iterable
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.mazes.board import EAST, GOAL, PATH, SOUTH, START
from easy_to_hard.text.form import TextForm, UnreadableError, Verdict, leading_share, right, wrong

# Row and column, from the top and from the left, beginning with 0.
Position: TypeAlias = tuple[int, int]
Path: TypeAlias = tuple[Position, ...]

_UP, _DOWN, _LEFT, _RIGHT = (-1, 0), (1, 0), (0, -1), (0, 1)
_MOVES: Final = MappingProxyType(
    {
        **dict.fromkeys(("up", "u", "north", "n", "↑"), _UP),
        **dict.fromkeys(("down", "d", "south", "s", "↓"), _DOWN),
        **dict.fromkeys(("left", "l", "west", "w", "←"), _LEFT),
        **dict.fromkeys(("right", "r", "east", "e", "→"), _RIGHT),
    }
)
_NAMES: Final = MappingProxyType({_UP: "up", _DOWN: "down", _LEFT: "left", _RIGHT: "right"})
_WALLS, _FREE, _MARKS = frozenset("#█"), frozenset(". _"), frozenset("SsGgOo*Xx+·•")
_LIST_NUMBER: Final = re.compile(r"(?m)^[ \t]*[0-9]{1,6}[.)][ \t]+")
_BETWEEN: Final = re.compile(r"""[\s,;>\-\[\](){}"'`*.|]+""")
_PAIR: Final = re.compile(r"[(\[]?\s{0,3}([0-9]{1,6})\s{0,3},\s{0,3}([0-9]{1,6})\s{0,3}[)\]]?")
_IN_LETTERS: Final = re.compile(r"[udlr]+|[nsew]+|[↑↓←→]+")


class MazeText(TextForm[Path]):
    """A maze is given; its answer is a path, as moves, as positions or as a marked grid, whatever was asked for."""

    task = "mazes"
    styles = MappingProxyType(
        {
            "grid": "the maze as characters; the answer as moves",
            "marked": "the maze as characters; the answer as the grid with the path marked",
            "coordinates": "the free positions as a list of (row, column); the answer as such a list",
        }
    )
    ladders = MappingProxyType(
        {
            "2k": (9, 13, 17, 25),
            "8k": (9, 13, 17, 25, 33, 37, 59),
            "32k": (9, 13, 17, 25, 33, 37, 59, 71, 101),
        }
    )

    def prompt(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The maze, and that the shortest path is wanted."""
        path = shortest_path(data)
        if style == "coordinates":
            free = np.argwhere(free_positions(data)).tolist()
            return (
                f"A maze is a grid of {difficulty + 2} x {difficulty + 2} positions (row, column), both counted from "
                "0, of which these are free:\n\n"
                f"{_listed(free)}\n\n"
                f"The start is ({_pair(path[0])}), the goal is ({_pair(path[-1])}). A step leads up, down, left or "
                "right to a neighboring free position. Find the shortest path from the start to the goal. End your "
                "reply with 'Answer: ' and the positions of the path in order, the start and the goal included, "
                "written like (1, 1), (1, 2)."
            )
        asked = (
            "End your reply with a line that has 'Answer: ' and the moves in order, separated by commas: up, down, "
            "left, right. A move leads to the next character."
            if style == "grid"
            else "End your reply with 'Answer:' and, in the lines below it, the same grid with an o at every position "
            "of the path between S and G."
        )
        return (
            "Here is a maze. # is a wall, . is free, S is the start and G is the goal.\n\n"
            f"{_drawn(data)}\n\n"
            "A step leads up, down, left or right to a neighboring position that is not a wall. Find the shortest "
            f"path from S to G. {asked}"
        )

    def answer(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The shortest path."""
        path = shortest_path(data)
        if style == "coordinates":
            return _listed(path)
        if style == "marked":
            return _drawn(data, path)
        return _in_words(path)

    def guess(self, data: NDArray[Any], difficulty: int, rng: np.random.Generator) -> str:
        """A random walk that turns back only in dead ends, until it arrives or is four times as long as needed."""
        free, target = free_positions(data), shortest_path(data)
        path = [target[0]]
        while path[-1] != target[-1] and len(path) <= 4 * (len(target) - 1):
            row, column = path[-1]
            ways = [(row + down, column + across) for down, across in _NAMES if free[row + down, column + across]]
            onward = [place for place in ways if place not in path[-2:-1]] or ways
            path.append(onward[rng.integers(len(onward))])
        return _in_words(path)

    def read(self, text: str, data: NDArray[Any], difficulty: int) -> Path:
        """The path as positions. Moves may be words, letters, or arrows; marks are any of ``o * x + ·``."""
        if _WALLS & set(text):
            return _read_grid(text, data)
        numbered = _LIST_NUMBER.sub(" ", text)
        if any(character in "0123456789" for character in numbered):
            return _read_pairs(numbered)
        return _read_moves(numbered, _place_of(data, START))

    def judge(self, answer: Path, data: NDArray[Any], difficulty: int) -> Verdict:
        """Right is any path that is as short as the shortest.

        Partial credit is the share of steps before the answer leaves the shortest path, of the longer of both.
        """
        target = shortest_path(data)
        fault = _fault_of(answer, data)
        if not fault and len(answer) == len(target):
            return right(f"a shortest path, {len(target) - 1} steps")
        share = leading_share(answer[1:], target[1:]) if answer[0] == target[0] else 0.0
        return wrong(fault or f"a path of {len(answer) - 1} steps, but the shortest has {len(target) - 1}", share)


def free_positions(cells: NDArray[Any]) -> NDArray[np.bool_]:
    """(2 m + 1, 2 m + 1) bool, the positions of a maze, (m, m) uint8, that are not walls."""
    side = len(cells)
    free = np.zeros((2 * side + 1, 2 * side + 1), dtype=np.bool_)
    free[1::2, 1::2] = True
    free[1::2, 2:-1:2] = cells[:, :-1] & EAST
    free[2:-1:2, 1::2] = cells[:-1] & SOUTH
    return free


def shortest_path(cells: NDArray[Any]) -> Path:
    """The positions of the shortest path, from the start to the goal."""
    on_path = np.zeros((2 * len(cells) + 1, 2 * len(cells) + 1), dtype=np.bool_)
    marked = cells & PATH > 0
    on_path[1::2, 1::2] = marked
    # An open way between two cells of the shortest path is on the path; otherwise there would be a shorter one.
    on_path[1::2, 2:-1:2] = marked[:, :-1] & marked[:, 1:]
    on_path[2:-1:2, 1::2] = marked[:-1] & marked[1:]
    marks = ((row, column) for row, column in np.argwhere(on_path & free_positions(cells)).tolist())
    return _in_order(marks, _place_of(cells, START))


def _place_of(cells: NDArray[Any], mark: int) -> Position:
    row, column = np.argwhere(cells & mark)[0].tolist()
    return 2 * row + 1, 2 * column + 1


def _in_order(marks: Iterable[Position], start: Position) -> Path:
    """Marked positions in the order of a walk from the start.

    Where it cannot go on, or can in two ways, that position comes twice, and then those that are left, sorted.
    """
    left = set(marks) - {start}
    path = [start]
    while True:
        row, column = path[-1]
        nexts = [place for d in _NAMES if (place := (row + d[0], column + d[1])) in left]
        if len(nexts) != 1:
            return (*path, path[-1], *sorted(left)) if left else tuple(path)
        path += nexts
        left -= set(nexts)


def _in_words(path: Iterable[Position]) -> str:
    return ", ".join(_NAMES[b[0] - a[0], b[1] - a[1]] for a, b in pairwise(path))


def _drawn(cells: NDArray[Any], path: Path = ()) -> str:
    grid = np.where(free_positions(cells), ".", "#")
    for place in path:
        grid[place] = "o"
    grid[_place_of(cells, START)], grid[_place_of(cells, GOAL)] = "S", "G"
    return "\n".join("".join(row) for row in grid.tolist())


def _pair(place: Iterable[int]) -> str:
    return ", ".join(map(str, place))


def _listed(places: Iterable[Iterable[int]]) -> str:
    return ", ".join(f"({_pair(place)})" for place in places)


def _read_grid(text: str, cells: NDArray[Any]) -> Path:
    side = 2 * len(cells) + 1
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Characters may have spaces between them.
    lines = [line if len(line) == side else "".join(line.split()) for line in lines]
    if len(lines) != side or any(len(line) != side for line in lines):
        raise UnreadableError(f"the grid must have {side} lines of {side} characters")
    if strange := {*"".join(lines)} - _WALLS - _FREE - _MARKS:
        raise UnreadableError(f"{min(strange)!r} is no character of a marked grid")
    marks = {(y, x) for y, line in enumerate(lines) for x, character in enumerate(line) if character in _MARKS}
    start, goal = _place_of(cells, START), _place_of(cells, GOAL)
    if marks <= {start, goal}:
        raise UnreadableError("the grid has no marks")
    return _in_order(marks | {goal}, start)


def _read_pairs(text: str) -> Path:
    if _BETWEEN.sub("", _PAIR.sub("", text)).replace("→", ""):
        raise UnreadableError(f"{text[:40]!r} is not a list of (row, column)")
    return tuple((int(row), int(column)) for row, column in _PAIR.findall(text))


def _read_moves(text: str, start: Position) -> Path:
    # An arrow between words separates them.
    words = _BETWEEN.split(text.lower().replace("→", " ") if any(map(str.isalpha, text)) else text)
    path = [start]
    for word in filter(None, words):
        if word not in _MOVES and not _IN_LETTERS.fullmatch(word):
            raise UnreadableError(f"{word[:40]!r} is no move: up, down, left, right")
        for move in (word,) if word in _MOVES else word:
            path.append((path[-1][0] + _MOVES[move][0], path[-1][1] + _MOVES[move][1]))
    if len(path) == 1:
        raise UnreadableError("there are no moves")
    return tuple(path)


def _fault_of(path: Path, cells: NDArray[Any]) -> str:
    """Why an answer is no path from start to goal; empty if it is one."""
    free, start, goal = free_positions(cells), _place_of(cells, START), _place_of(cells, GOAL)
    if path[0] != start:
        return f"the path begins at ({_pair(path[0])}), not at the start, ({_pair(start)})"
    for number, (here, there) in enumerate(pairwise(path), 1):
        if here == there:
            return f"the path ends or branches at ({_pair(here)})"
        if (there[0] - here[0], there[1] - here[1]) not in _NAMES:
            return f"step {number}, from ({_pair(here)}) to ({_pair(there)}), is not to a neighboring position"
        if not free[there]:
            return f"step {number}, from ({_pair(here)}) to ({_pair(there)}), is into a wall"
    return "" if path[-1] == goal else f"the path ends at ({_pair(path[-1])}), not at the goal, ({_pair(goal)})"
