"""Mazes within bounds of path length: `looped_40to60` and the like."""

from typing import Any

import numpy as np
import pytest
from oracles import edges_of, shortest_paths

from easy_to_hard.generators import mazes
from easy_to_hard.generators.mazes import START, VARIANTS, sample, to_images
from easy_to_hard.generators.mazes.sampling import walls_to_remove
from easy_to_hard.generators.mazes.variants import Bounds, split_bounds
from easy_to_hard.generators.splits import SPLITS, NotEnoughInstancesError, split_of


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("size", "least", "most"), [(9, 2, 2), (9, 14, 20), (29, 40, 60), (41, 40, 60)])
def test_paths_are_unique_and_within_the_bounds(variant: str, size: int, least: int, most: int) -> None:
    batch = sample(size, range(40), variant=f"{variant}_{least}to{most}", split="test")
    side = (size + 1) // 2
    loops = walls_to_remove(size) if variant == "looped" else 0
    images, targets = to_images(batch.cells)
    for cells, image, target, length in zip(batch.cells, images, targets, batch.path_lengths, strict=True):
        steps, routes, path = shortest_paths(image)
        assert routes == 1
        assert least <= steps <= most
        assert steps == length
        assert np.array_equal(path, target)
        edges = edges_of(cells)
        assert len(edges) == side * side - 1 + loops
        if variant == "open_start":
            start = tuple(np.argwhere(cells & START)[0].tolist())
            assert sum(start in edge for edge in edges) >= 2
    assert len(set(batch.path_lengths.tolist())) > 1 or least == most


def test_the_same_bounds_at_any_size() -> None:
    """So that only the size differs: 40 to 60 steps in mazes of 49 to 10,201 cells."""
    for size in (13, 59, 201):
        lengths = sample(size, range(100), variant="depth_first_40to60", split="test").path_lengths
        assert {40, 60} <= set(lengths.tolist()) <= set(range(40, 62, 2))


@pytest.mark.parametrize("variant", VARIANTS)
def test_items_do_not_depend_on_batches(variant: str) -> None:
    name = f"{variant}_20to30"
    whole = sample(13, range(300), variant=name, split="test", num_threads=1)
    together = sample(13, range(300), variant=name, split="test", num_threads=3)
    some = sample(13, [250, 3, 3], variant=name, split="test")
    for field in ("cells", "path_lengths", "layout_hashes", "item_hashes", "candidates"):
        assert np.array_equal(getattr(whole, field), getattr(together, field))
        assert np.array_equal(getattr(whole, field)[[250, 3, 3]], getattr(some, field))


def test_splits_share_no_layout_whatever_the_bounds() -> None:
    names = ("depth_first", "depth_first_2to10", "depth_first_20to48", "looped_14to20")
    layouts = {
        split: {int(h) for name in names for h in sample(9, range(500), variant=name, split=split).layout_hashes}
        for split in SPLITS
    }
    for split, found in layouts.items():
        assert {split_of(value) for value in found} == {split}


def test_other_bounds_are_other_mazes() -> None:
    names = ("looped", "looped_2to48", "looped_2to46", "wilson_2to48")
    first = {name: tuple(sample(9, range(5), variant=name).item_hashes.tolist()) for name in names}
    assert len(set(first.values())) == len(names)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("size", "bounds"), [(3, "4to6"), (5, "6to10")])
def test_smallest_sizes_are_counted_exactly(size: int, bounds: str, variant: str) -> None:
    """All that a long stream brings is all that was counted, so every cell within the bounds can be the goal."""
    name = f"{variant}_{bounds}"
    if variant == "looped" and size == 3:
        # A ring of four cells has no unique path of 4 steps.
        assert mazes.count_instances(3, name, "train", "original") == 0
        return
    drawn = sample(size, range(400_000), variant=name, split_rule="original", keep_cells=False)
    _, first = np.unique(drawn.item_hashes, return_index=True)
    splits = [split_of(value) for value in drawn.layout_hashes[first].tolist()]
    for split in SPLITS:
        assert mazes.count_instances(size, name, split) == splits.count(split)


def test_goals_are_uniform_within_the_bounds() -> None:
    """A maze of size 3 is a row of four cells."""
    lengths = sample(3, range(30_000), variant="wilson_2to6", split_rule="original", keep_cells=False).path_lengths
    # Half of the starts are at an end of the row, with cells at 2, 4 and 6 steps; the others have them at 2, 2 and 4.
    shares = [float((lengths == steps).mean()) for steps in (2, 4, 6)]
    assert shares == pytest.approx([1 / 2, 1 / 3, 1 / 6], abs=0.012)


def test_first_distinct_items_are_distinct() -> None:
    options: dict[str, Any] = {"variant": "looped_18to18", "split": "test", "seed": 0, "split_rule": "hash"}
    indices = mazes.first_distinct(300, size=7, **options)
    hashes = sample(7, range(int(indices[-1]) + 1), variant="looped_18to18", split="test").item_hashes
    assert len(set(hashes.tolist())) == 300 < len(hashes)
    assert len(set(hashes[indices.astype(int)].tolist())) == 300
    assert mazes.first_distinct(5, size=29, **options | {"variant": "wilson_40to60"}).tolist() == [0, 1, 2, 3, 4]


def test_bounds_are_read() -> None:
    assert split_bounds("open_start_100to140") == ("open_start", Bounds(100, 140))
    assert split_bounds("open_start") == ("open_start", Bounds(0, 0))
    assert split_bounds("prim_2to4") == ("prim", Bounds(2, 4))


@pytest.mark.parametrize(
    ("variant", "error", "message"),
    [
        ("looped_41to60", ValueError, "must be even numbers of steps, .* as in looped_100to140, not 'looped_41to60'"),
        ("looped_40to61", ValueError, "not 'looped_40to61'"),
        ("looped_60to40", ValueError, "not 'looped_60to40'"),
        ("looped_0to40", ValueError, "not 'looped_0to40'"),
        ("looped_040to60", ValueError, "not 'looped_040to60'"),
        ("looped_40to", ValueError, "unknown maze variant 'looped_40to'"),
        ("prim_40to60", ValueError, "unknown maze variant 'prim'"),
        ("wilson_50to60", ValueError, "a maze of size 9 has a path of 2 to 48 steps, not of 50 to 60"),
        (
            "looped_48to60",
            NotEnoughInstancesError,
            r"no maze of size 9 \(looped_48to60\) in split 'train' among 20000 candidates: "
            "hardly any has a path of 48 to 60 steps; use wider bounds",
        ),
    ],
)
def test_errors(variant: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sample(9, range(1000), variant=variant)


def test_items_are_frozen() -> None:
    """Other values here mean that every maze within bounds that was ever published has changed."""
    found = {
        variant: f"{int(sample(29, [5], variant=f'{variant}_40to60', split='test').item_hashes[0]):016x}"
        for variant in VARIANTS
    }
    assert found == FROZEN


FROZEN = {
    "depth_first": "f43a254ad4f1b9c8",
    "wilson": "652cf573eade72cf",
    "kruskal": "ae521476ae8ce24e",
    "open_start": "836685c217db0c2f",
    "looped": "87f78ed1fce8b04d",
}
