"""Counts the mazes of the smallest sizes one by one, and finds the first distinct items of a stream."""

from collections.abc import Iterator
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.mazes.board import EAST, SOUTH
from easy_to_hard.generators.mazes.layouts import layout_hashes
from easy_to_hard.generators.mazes.sampling import sample, walls_to_remove
from easy_to_hard.generators.mazes.variants import check_size, parse_variant
from easy_to_hard.generators.splits import NotEnoughInstancesError, split_range

Layout = frozenset[tuple[int, int]]
LARGEST_COUNTED = 5
# From this size on, there are so many mazes that the probability of two equal items among 10^6 is below 10^-9, unless
# bounds of path length leave only rare ones.
_ALWAYS_DISTINCT = 19
# Number of draws per item before the search for new ones is given up.
_PATIENCE = 32


def _spanning_trees(side: int) -> Iterator[Layout]:
    edges = _all_edges(side)
    for chosen in combinations(edges, side * side - 1):
        label = list(range(side * side))
        for a, b in chosen:
            if label[a] == label[b]:
                break
            label = [label[a] if x == label[b] else x for x in label]
        else:
            yield frozenset(chosen)


def _all_edges(side: int) -> list[tuple[int, int]]:
    cells = range(side * side)
    east = [(c, c + 1) for c in cells if c % side < side - 1]
    return east + [(c, c + side) for c in cells if c < side * (side - 1)]


def _neighbors(layout: Layout, cell: int) -> list[int]:
    return [b if a == cell else a for a, b in layout if cell in (a, b)]


def _is_depth_first_tree(tree: Layout, root: int, side: int) -> bool:
    """Whether depth-first search from the root can give the tree: no wall lies between two of its branches."""
    ancestors: dict[int, frozenset[int]] = {root: frozenset([root])}
    stack = [root]
    while stack:
        cell = stack.pop()
        for after in _neighbors(tree, cell):
            if after not in ancestors:
                ancestors[after] = ancestors[cell] | {after}
                stack.append(after)
    return all(a in ancestors[b] or b in ancestors[a] for a, b in _all_edges(side) if (a, b) not in tree)


def _unique_steps(layout: Layout, start: int, goal: int) -> int:
    """The steps of the shortest path, two from a cell to the next; 0 if it is not unique."""
    steps = 0
    routes, front, seen = {start: 1}, [start], {start}
    while goal not in routes:
        following: dict[int, int] = {}
        for cell in front:
            for after in _neighbors(layout, cell):
                if after not in seen:
                    following[after] = following.get(after, 0) + routes[cell]
        routes, front = following, list(following)
        seen |= set(following)
        steps += 2
    return steps if routes[goal] == 1 else 0


def _layouts_with_ends(side: int, variant: str) -> dict[Layout, set[tuple[int, int]]]:
    """Every layout that a variant can give, with the pairs of start and goal that it can have in that layout."""
    cells = range(side * side)
    pairs = {(a, b) for a in cells for b in cells if a != b}
    result: dict[Layout, set[tuple[int, int]]] = {}
    for tree in _spanning_trees(side):
        roots = {c for c in cells if _is_depth_first_tree(tree, c, side)}
        if variant in ("wilson", "kruskal"):
            result[tree] = pairs
        elif variant == "depth_first":
            result[tree] = {(a, b) for a, b in pairs if a in roots}
        elif variant == "open_start" and roots:
            result[tree] = {(a, b) for a, b in pairs if len(_neighbors(tree, a)) > 1}
        elif variant == "looped" and roots:
            closed = [edge for edge in _all_edges(side) if edge not in tree]
            for removed in combinations(closed, walls_to_remove(2 * side - 1)):
                layout = tree | frozenset(removed)
                result[layout] = {ends for ends in pairs if _unique_steps(layout, *ends)}
    return result


@cache
def _counts(size: int, variant: str) -> tuple[tuple[int, int], ...]:
    """(layout hash, number of mazes) of each layout."""
    side = (size + 1) // 2
    walls, (least, most) = parse_variant(variant, size)
    layouts = _layouts_with_ends(side, walls)
    if most:
        for layout, pairs in layouts.items():
            layouts[layout] = {ends for ends in pairs if least <= _unique_steps(layout, *ends) <= most}
    cells = np.zeros((len(layouts), side * side), dtype=np.uint8)
    for row, layout in zip(cells, layouts, strict=True):
        for a, b in layout:
            row[a] += EAST if b == a + 1 else SOUTH
    hashes = layout_hashes(cells.reshape(-1, side, side))
    return tuple((int(h), len(ends)) for h, ends in zip(hashes, layouts.values(), strict=True))


def count_instances(size: int, variant: str, split: str, split_rule: str = "hash") -> int | None:
    """How many distinct mazes a split holds: exact for sizes 3 and 5, None where there are too many to count."""
    parse_variant(variant, check_size(size))
    if size > LARGEST_COUNTED:
        return None
    low, high = split_range(split, split_rule)
    return sum(number for layout, number in _counts(size, variant) if low <= layout < high)


def first_distinct(
    count: int, *, size: int, variant: str, split: str, seed: int, split_rule: str, num_threads: int | None = None
) -> NDArray[np.uint64]:
    """The indices of the first `count` distinct mazes of a stream: (count,) uint64, ascending.

    Raises:
        NotEnoughInstancesError: the split has fewer (exactly counted for sizes 3 and 5), or further draws give hardly
            any new mazes.
    """
    count = check_integer("count", count, 0)
    held = count_instances(size, variant, split, split_rule)
    if held is not None and held < count:
        raise NotEnoughInstancesError(
            f"mazes of size {size} ({variant}) in split {split!r}: there are {held} distinct ones, "
            f"fewer than the {count} asked for"
        )
    bounded = parse_variant(variant, size)[1].most > 0
    if (size >= _ALWAYS_DISTINCT and not bounded) or count == 0:
        return np.arange(count, dtype=np.uint64)
    # If the split is known to hold that many, continue until they are found; otherwise, until hardly any are new.
    most = (_PATIENCE if held is None else 2**14) * count
    hashes = np.empty(0, dtype=np.uint64)
    drawn = count
    while True:
        batch = sample(
            size,
            np.arange(len(hashes), drawn),
            variant=variant,
            split=split,
            seed=seed,
            split_rule=split_rule,
            keep_cells=False,
            num_threads=num_threads,
        )
        hashes = np.concatenate([hashes, batch.item_hashes])
        _, first = np.unique(hashes, return_index=True)
        if len(first) >= count:
            return np.sort(first)[:count].astype(np.uint64)
        if drawn >= most:
            raise NotEnoughInstancesError(
                f"mazes of size {size} ({variant}) in split {split!r}: {drawn} draws gave {len(first)} distinct "
                f"ones, fewer than the {count} asked for"
            )
        drawn = min(most, 2 * drawn if len(first) < 0.9 * count else drawn + drawn // 4 + 64)
