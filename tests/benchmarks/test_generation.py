"""Instances a second, on one thread unless said otherwise, beside the original procedures."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import torch

from easy_to_hard import build
from easy_to_hard.generators import mazes, prefix_sums

MAZE_COUNTS = {9: 10_000, 59: 1000, 201: 100, 801: 5}
STRING_COUNTS = {32: 10_000, 512: 10_000, 8192: 1000}


def _draw_mazes(size: int, count: int, threads: int = 1, **options: Any) -> Any:
    batch = mazes.sample(size, np.arange(count), num_threads=threads, **options)
    return mazes.to_images(batch.cells, threads)


@pytest.mark.parametrize("size", MAZE_COUNTS)
@pytest.mark.parametrize(("label", "options"), [
    ("train split", {"split": "train"}),
    ("test split", {"split": "test"}),
    ("split_rule original", {"split_rule": "original"}),
])  # fmt: skip
def test_mazes(timed: Any, size: int, label: str, options: dict[str, str]) -> None:
    count = MAZE_COUNTS[size]
    images, _ = timed(f"mazes {size}", label, count, lambda: _draw_mazes(size, count, **options))
    assert len(images) == count


@pytest.mark.parametrize(("size", "count"), [(9, 500), (59, 20), (201, 3), (801, 1)])
def test_original_mazes(timed: Any, original: Any, size: int, count: int) -> None:
    """Layout, search and picture, as above; one round of the largest size, which takes seconds a maze."""
    script = original("make_mazes")
    side = (size + 1) // 2
    rounds, warmup = (1, 0) if size == 801 else (3, 1)
    if script is not None:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 (the script draws from the global state)
        label, procedure = "original script", lambda: script.gen_dataset(count, side)
        timed(f"mazes {size}", label, count, procedure, rounds=rounds, warmup=warmup)
        return
    rng = random.Random(0)

    def rendition() -> None:
        for _ in range(count):
            picture = oracles.draw_picture(*_ends_last(side, rng))
            oracles.shortest_paths(picture)

    timed(f"mazes {size}", "plain Python", count, rendition, rounds=rounds, warmup=warmup)


def _ends_last(side: int, rng: random.Random) -> tuple[Any, int, Any, Any]:
    edges, start, goal = oracles.original_maze(side, rng)
    return edges, side, start, goal


@pytest.mark.parametrize("variant", mazes.VARIANTS)
@pytest.mark.parametrize("size", [9, 59])
def test_variants(timed: Any, variant: str, size: int) -> None:
    count = MAZE_COUNTS[size]
    timed(f"variants {size}", variant, count, lambda: _draw_mazes(size, count, variant=variant))


@pytest.mark.parametrize(("variant", "generator"), [
    ("depth_first", "gen_dfs"), ("wilson", "gen_wilson"), ("kruskal", "gen_kruskal")
])  # fmt: skip
@pytest.mark.parametrize("size", [9, 59])
def test_maze_dataset(timed: Any, variant: str, generator: str, size: int) -> None:
    """PyPI's maze-dataset: layout and shortest path, no picture."""
    generation = pytest.importorskip("maze_dataset.generation")
    if not hasattr(generation.LatticeMazeGenerators, generator):
        pytest.skip(f"this maze-dataset has no {generator}")
    make = getattr(generation.LatticeMazeGenerators, generator)
    count = 50 if size == 9 else 3

    def peer() -> None:
        for _ in range(count):
            make(grid_shape=((size + 1) // 2,) * 2).generate_random_path()

    timed(f"variants {size}", f"maze-dataset {generator}", count, peer, rounds=3, warmup=1)


THREADED = {
    "mazes 59 without pictures": (4000, lambda threads: mazes.sample(59, np.arange(4000), num_threads=threads)),
    "mazes 59 with pictures": (2000, lambda threads: _draw_mazes(59, 2000, threads)),
    "prefix sums 512": (100_000, lambda threads: prefix_sums.sample(512, np.arange(100_000), num_threads=threads)),
}


@pytest.mark.parametrize("work", THREADED)
@pytest.mark.parametrize("threads", [1, 2])
def test_threads(timed: Any, work: str, threads: int) -> None:
    items, draw = THREADED[work]
    timed(f"threads, {work}", f"{threads} thread{'s' * (threads > 1)}", items, lambda: draw(threads))


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_large_maze(timed: Any, split: str) -> None:
    """Items 0, 1, 2, ... one at a time: a test item takes ten candidates on average."""
    items = iter(range(10_000))
    timed(
        "one maze of size 801",
        split,
        1,
        lambda: mazes.to_images(mazes.sample(801, [next(items)], split=split, num_threads=1).cells, 1),
        rounds=30,
        warmup=2,
    )


@pytest.mark.parametrize("num_bits", STRING_COUNTS)
@pytest.mark.parametrize(("label", "options"), [
    ("train split", {"split": "train"}),
    ("test split", {"split": "test"}),
    ("split_rule original", {"split_rule": "original"}),
])  # fmt: skip
def test_prefix_sums(timed: Any, num_bits: int, label: str, options: dict[str, str]) -> None:
    count = STRING_COUNTS[num_bits]
    timed(
        f"prefix sums {num_bits}",
        label,
        count,
        lambda: prefix_sums.sample(num_bits, np.arange(count), num_threads=1, **options),
        rounds=20,
        warmup=3,
    )


@pytest.mark.parametrize("num_bits", STRING_COUNTS)
def test_original_prefix_sums(timed: Any, num_bits: int) -> None:
    """What the original script does for a length: row by row, then the check for repeats."""
    count = STRING_COUNTS[num_bits] // 5

    def procedure() -> int:
        inputs, targets = torch.zeros(count, num_bits), torch.zeros(count, num_bits)
        drawn = torch.rand(count, num_bits) >= 0.5
        for i in range(count):
            targets[i] = torch.cumsum(drawn[i], 0) % 2
            inputs[i] = drawn[i]
        times: dict[bytes, int] = {}
        rows = inputs.numpy()
        for row in rows:
            times[row.tobytes()] = times.get(row.tobytes(), 0) + 1
        return sum(times[row.tobytes()] > 1 for row in rows)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timed(f"prefix sums {num_bits}", "original procedure", count, procedure, rounds=3, warmup=1)
    finally:
        torch.set_num_threads(threads)


def test_full_benchmark(benchmark: Any, tmp_path: Path) -> None:
    benchmark.group = "build"
    report = benchmark.pedantic(lambda: build(tmp_path / "full", preset="full", progress=False), rounds=1, iterations=1)
    benchmark.extra_info.update(label="preset full, two cores", items=report.rows, megabytes=report.size / 1e6)
