"""Threads, item numbers and seeds: what every generator takes, and that none of it changes what it should not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from easy_to_hard.generators import mazes, parallel, prefix_sums

Draw = Callable[[Any, int], list[Any]]


def _maze(variant: str, size: int, split: str = "train") -> Draw:
    def draw(indices: Any, num_threads: int) -> list[Any]:
        batch = mazes.sample(size, indices, variant=variant, split=split, num_threads=num_threads)
        pictures = mazes.to_images(batch.cells, num_threads)
        return [batch.cells, batch.path_lengths, batch.layout_hashes, batch.item_hashes, batch.candidates, *pictures]

    return draw


def _strings(num_bits: int, split: str = "train") -> Draw:
    return lambda indices, num_threads: list(
        prefix_sums.sample(num_bits, indices, split=split, num_threads=num_threads)
    )


DRAWS: dict[str, Draw] = {
    **{f"mazes_{variant}_9": _maze(variant, 9) for variant in mazes.VARIANTS},
    **{f"mazes_{variant}_13": _maze(variant, 13, "test") for variant in mazes.VARIANTS},
    "mazes_33": _maze("depth_first", 33, "test"),
    **{f"prefix_sums_{num_bits}": _strings(num_bits) for num_bits in (13, 16, 32, 33, 63, 64, 65, 200)},
    "prefix_sums_100_test": _strings(100, "test"),
}


@pytest.fixture
def threads_started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Threads for any work, however short; how many were started, call by call."""
    started: list[int] = []

    class Pool(parallel.ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            started.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(parallel, "_LEAST_NANOSECONDS", 1)
    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Pool)
    return started


@pytest.mark.parametrize("name", DRAWS)
def test_threads_that_are_really_started_change_nothing(name: str, threads_started: list[int]) -> None:
    """Row counts about the number of threads and of chunks a thread, where a cut may be off by one."""
    for number in (2, 3, 31, 64, 65, 500):
        alone = DRAWS[name](range(number), 1)
        assert not threads_started
        for num_threads in (2, 5):
            together = DRAWS[name](range(number), num_threads)
            assert set(threads_started) == {min(num_threads, number)}
            threads_started.clear()
            assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("num_threads", [1, 2, 3, 5])
def test_chunks_cover_every_row_once_for_every_count(num_threads: int, threads_started: list[int]) -> None:
    for count in range(200):
        rows = np.zeros(count, dtype=int)

        def kernel(start: int, stop: int, rows: Any = rows) -> None:
            rows[start:stop] += 1

        parallel.run_in_chunks(kernel, count, num_threads, nanoseconds=10)
        assert (rows == 1).all()
    assert bool(threads_started) == (num_threads > 1)


@pytest.mark.parametrize("name", DRAWS)
def test_items_of_any_number_in_any_order(name: str) -> None:
    """Backwards, with gaps, repeated, and far out: an item depends on its own number alone."""
    far = 800 if name.startswith("prefix_sums") else 2**63 + 12345
    indices = [7, 3, 3, far, 0, 2]
    together = DRAWS[name](np.array(indices, dtype=np.uint64), 1)
    for place, index in enumerate(indices):
        alone = DRAWS[name](np.array([index], dtype=np.uint64), 1)
        assert all(np.array_equal(one[0], other[place]) for one, other in zip(alone, together, strict=True))


def test_item_numbers_on_both_sides_of_two_to_the_63() -> None:
    """NumPy makes floats of such a list; the numbers are integers all the same."""
    small, large = mazes.sample(9, [1]).cells, mazes.sample(9, [2**63 + 5]).cells
    assert np.array_equal(mazes.sample(9, [2**63 + 5, 1]).cells, np.concatenate([large, small]))


@pytest.mark.parametrize("seed", [0.5, "1"])
def test_seeds_are_integers(seed: Any) -> None:
    """A seed that is rounded in silence gives the data of another seed."""
    for draw in (lambda: mazes.sample(9, [0], seed=seed), lambda: prefix_sums.sample(16, [0], seed=seed)):
        with pytest.raises((ValueError, TypeError)):
            draw()


@pytest.mark.parametrize("seed", [-1, 2**64, 2**200])
def test_seeds_of_any_size(seed: int) -> None:
    """No seed is cut down to some number of bits."""
    for name, draw in {
        "mazes": lambda seed: mazes.sample(21, [0], seed=seed).item_hashes,
        "prefix_sums": lambda seed: prefix_sums.sample_packed(60, [0], seed=seed),
    }.items():
        drawn = {int(draw(other).item()) for other in (seed, seed % 2**64 if seed % 2**64 != seed else 0, 1, 2)}
        assert len(drawn) == 4, name
