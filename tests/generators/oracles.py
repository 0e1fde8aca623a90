"""Slow, plain-Python counterparts of the kernels, written from the definitions and sharing no code with them."""

import random
from collections import Counter, deque
from typing import Any

import numpy as np

Cell = tuple[int, int]
Edge = frozenset[Cell]


def philox4x32(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 by the formulas of Salmon et al. 2011, on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (second >> 32) ^ c[1] ^ k[0],
            second & 0xFFFFFFFF,
            (first >> 32) ^ c[3] ^ k[1],
            first & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def prefix_parities(bits: list[int]) -> list[int]:
    """Parity of each prefix, one addition after the other."""
    total, parities = 0, []
    for bit in bits:
        total += bit
        parities.append(total % 2)
    return parities


def neighbors(cell: Cell, side: int) -> list[Cell]:
    """The cells beside a cell of a side x side board."""
    y, x = cell
    return [(v, u) for v, u in ((y, x - 1), (y, x + 1), (y + 1, x), (y - 1, x)) if 0 <= v < side and 0 <= u < side]


def depth_first_tree(side: int, root: Cell, rng: random.Random) -> set[Edge]:
    """The original's rule: to a random neighbor that has all its walls, or back where there is none."""
    edges: set[Edge] = set()
    visited, stack = {root}, [root]
    while stack:
        free = [cell for cell in neighbors(stack[-1], side) if cell not in visited]
        if not free:
            stack.pop()
            continue
        after = rng.choice(free)
        edges.add(frozenset((stack[-1], after)))
        visited.add(after)
        stack.append(after)
    return edges


def kruskal_tree(side: int, rng: random.Random) -> set[Edge]:
    """All walls in random order; open those that part two components."""
    cells = [(y, x) for y in range(side) for x in range(side)]
    walls = sorted({tuple(sorted((a, b))) for a in cells for b in neighbors(a, side)})
    rng.shuffle(walls)
    component = {cell: number for number, cell in enumerate(cells)}
    edges: set[Edge] = set()
    for a, b in walls:
        if component[a] != component[b]:
            edges.add(frozenset((a, b)))
            old = component[b]
            component = {cell: component[a] if number == old else number for cell, number in component.items()}
    return edges


def original_maze(side: int, rng: random.Random) -> tuple[set[Edge], Cell, Cell]:
    """The original's procedure: two distinct cells, and the tree grown from the first."""
    cells = [(y, x) for y in range(side) for x in range(side)]
    start, goal = rng.sample(cells, 2)
    return depth_first_tree(side, start, rng), start, goal


def open_start_maze(side: int, rng: random.Random) -> tuple[set[Edge], Cell, Cell]:
    """A depth-first tree grown from any cell; the start is any cell with two ways or more, the goal any other."""
    cells = [(y, x) for y in range(side) for x in range(side)]
    edges = depth_first_tree(side, rng.choice(cells), rng)
    start = rng.choice([cell for cell in cells if sum(cell in edge for edge in edges) > 1])
    return edges, start, rng.choice([cell for cell in cells if cell != start])


def looped_maze(side: int, removed: int, rng: random.Random) -> tuple[set[Edge], Cell, Cell]:
    """Such a tree with walls taken out and two distinct cells, all drawn again until the shortest way is unique."""
    cells = [(y, x) for y in range(side) for x in range(side)]
    inner = {frozenset((a, b)) for a in cells for b in neighbors(a, side)}
    while True:
        edges = depth_first_tree(side, rng.choice(cells), rng)
        edges |= set(rng.sample(sorted(inner - edges, key=sorted), removed))
        start, goal = rng.sample(cells, 2)
        if count_routes(edges, start, goal) == 1:
            return edges, start, goal


def count_routes(edges: set[Edge], start: Cell, goal: Cell) -> int:
    """Number of shortest ways from start to goal, front by front."""
    front, seen = Counter({start: 1}), {start}
    while goal not in front:
        following: Counter[Cell] = Counter()
        for cell, number in front.items():
            for edge in edges:
                if cell in edge:
                    (after,) = edge - {cell}
                    if after not in seen:
                        following[after] += number
        seen |= set(following)
        front = following
    return front[goal]


def reachable(edges: set[Edge], start: Cell) -> set[Cell]:
    """Every cell that there is a way to."""
    found, stack = {start}, [start]
    while stack:
        y, x = stack.pop()
        for after in ((y, x - 1), (y, x + 1), (y + 1, x), (y - 1, x)):
            if frozenset(((y, x), after)) in edges and after not in found:
                found.add(after)
                stack.append(after)
    return found


def steps_between(edges: set[Edge], start: Cell, goal: Cell) -> int:
    """Number of cells walked from start to goal."""
    distance, queue = {start: 0}, deque([start])
    while goal not in distance:
        cell = queue.popleft()
        y, x = cell
        for after in ((y, x - 1), (y, x + 1), (y + 1, x), (y - 1, x)):
            if frozenset((cell, after)) in edges and after not in distance:
                distance[after] = distance[cell] + 1
                queue.append(after)
    return distance[goal]


def dead_ends(edges: set[Edge]) -> int:
    """Number of cells with one way out."""
    ways = Counter(cell for edge in edges for cell in edge)
    return sum(number == 1 for number in ways.values())


def edges_of(cells: Any) -> set[Edge]:
    """The open ways of an (m, m) maze of the package: bit 0 east, bit 1 south."""
    edges: set[Edge] = set()
    for y, row in enumerate(np.asarray(cells).tolist()):
        for x, code in enumerate(row):
            if code & 1:
                edges.add(frozenset(((y, x), (y, x + 1))))
            if code & 2:
                edges.add(frozenset(((y, x), (y + 1, x))))
    return edges


def draw_picture(edges: set[Edge], side: int, start: Cell, goal: Cell) -> Any:
    """The original's picture: (3, 4 m + 4, 4 m + 4), from the (2 m + 1)^2 array of positions."""
    positions = np.zeros((2 * side + 1, 2 * side + 1, 3))
    for y in range(side):
        for x in range(side):
            positions[2 * y + 1, 2 * x + 1] = 1
    for edge in edges:
        (a, b), (c, d) = edge
        positions[a + c + 1, b + d + 1] = 1
    positions[2 * start[0] + 1, 2 * start[1] + 1] = 0, 1, 0
    positions[2 * goal[0] + 1, 2 * goal[1] + 1] = 1, 0, 0
    big = np.kron(positions, np.ones((2, 2, 1)))
    return np.pad(big, ((1, 1), (1, 1), (0, 0))).transpose(2, 0, 1)


def shortest_paths(image: Any) -> tuple[int, int, Any]:
    """Breadth-first search on the picture's positions: (steps, number of shortest paths, (H, W) path)."""
    positions = np.asarray(image)[:, 1:-1:2, 1:-1:2]
    free = positions.any(axis=0)
    start = tuple(np.argwhere((positions[1] == 1) & (positions[0] == 0))[0].tolist())
    goal = tuple(np.argwhere((positions[0] == 1) & (positions[1] == 0))[0].tolist())
    distance, routes, parent, queue = {start: 0}, {start: 1}, {}, deque([start])
    while queue:
        y, x = queue.popleft()
        for after in ((y, x - 1), (y, x + 1), (y + 1, x), (y - 1, x)):
            if not free[after]:
                continue
            if after not in distance:
                distance[after], routes[after], parent[after] = distance[y, x] + 1, 0, (y, x)
                queue.append(after)
            if distance[after] == distance[y, x] + 1:
                routes[after] += routes[y, x]
    path = np.zeros(free.shape, dtype=np.uint8)
    cell = goal
    path[cell] = 1
    while cell != start:
        cell = parent[cell]
        path[cell] = 1
    return distance[goal], routes[goal], np.pad(np.kron(path, np.ones((2, 2), dtype=np.uint8)), 1)


def symmetric_images(picture: Any) -> list[Any]:
    """The 8 images of an array whose last two axes are square, under turning and mirroring."""
    turned = [np.rot90(picture, quarter, axes=(-2, -1)) for quarter in range(4)]
    return turned + [np.flip(image, -1) for image in turned]


def chi_square(observed: Any, expected: Any) -> float:
    """How many standard deviations a chi-square statistic lies above its mean (for some 10 cells or more)."""
    o, e = np.asarray(observed, dtype=float), np.asarray(expected, dtype=float)
    return float((((o - e) ** 2 / e).sum() - (len(o) - 1)) / np.sqrt(2 * (len(o) - 1)))


def two_sample_chi_square(one: Counter[Any], other: Counter[Any], least: int = 20) -> float:
    """The same for two samples of one size; rare categories are pooled."""
    pooled: list[list[int]] = [[0, 0]]
    for key in sorted(set(one) | set(other), key=lambda k: one[k] + other[k]):
        if sum(pooled[-1]) >= least:
            pooled.append([0, 0])
        pooled[-1][0] += one[key]
        pooled[-1][1] += other[key]
    table = np.array(pooled, dtype=float)
    statistic = ((table[:, 0] - table[:, 1]) ** 2 / table.sum(axis=1)).sum()
    return float((statistic - (len(table) - 1)) / np.sqrt(2 * max(1, len(table) - 1)))
