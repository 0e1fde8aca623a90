"""The cut of the hashes into splits, and threads."""

import threading
from itertools import pairwise

import numpy as np
import pytest

from easy_to_hard.generators.parallel import default_threads, run_in_chunks
from easy_to_hard.generators.splits import SPLITS, as_indices, split_of, split_range


@pytest.mark.parametrize("total", [1, 2, 9, 10, 11, 2**16, 2**64])
def test_ranges_cover_every_hash_once(total: int) -> None:
    ranges = [split_range(split, "hash", total) for split in SPLITS]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == total
    assert all(one[1] == other[0] for one, other in pairwise(ranges))
    assert split_range("test", "original", total) == (0, total)


def test_shares_are_eight_one_one() -> None:
    for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
        low, high = split_range(split, "hash")
        assert (high - low) / 2**64 == pytest.approx(share, rel=1e-12)


def test_split_of_names_the_range() -> None:
    assert [split_of(value, 20) for value in (0, 15, 16, 17, 18, 19)] == [
        "train",
        "train",
        "validation",
        "validation",
        "test",
        "test",
    ]
    for outside in (-1, 20):
        with pytest.raises(ValueError, match=rf"hash {outside} is outside \[0, 20\)"):
            split_of(outside, 20)


def test_indices_of_every_kind() -> None:
    for indices in (range(3), [0, 1, 2], np.arange(3, dtype=np.int32), np.arange(3, dtype=np.uint64)):
        assert as_indices(indices).tolist() == [0, 1, 2]
        assert as_indices(indices).dtype == np.uint64
    assert as_indices(7).tolist() == [7]
    assert as_indices([2**63 + 5]).tolist() == [2**63 + 5]
    assert as_indices([2**64 - 1, 1]).tolist() == [2**64 - 1, 1]
    assert as_indices([np.uint64(2**63 + 5), 1]).tolist() == [2**63 + 5, 1]
    for outside in ([2**64, 1], [2**63, -1]):
        with pytest.raises(ValueError, match=r"indices must be from 0 to 2\^64 - 1"):
            as_indices(outside)


@pytest.mark.parametrize("count", [0, 1, 5, 1000])
@pytest.mark.parametrize("threads", [None, 1, 2, 7])
def test_chunks_cover_every_row_once(count: int, threads: int | None) -> None:
    rows, seen, guard = np.zeros(count, dtype=int), set(), threading.Lock()

    def kernel(start: int, stop: int) -> None:
        rows[start:stop] += 1
        with guard:
            seen.add(threading.get_ident())

    run_in_chunks(kernel, count, threads, nanoseconds=1e9)
    assert (rows == 1).all()
    assert len(seen) <= (threads or default_threads())


def test_short_work_stays_on_one_thread() -> None:
    calls = []
    run_in_chunks(lambda start, stop: calls.append((start, stop)), 1000, 4, nanoseconds=10)
    assert calls == [(0, 1000)]


def test_errors_in_a_thread_are_raised() -> None:
    def kernel(start: int, stop: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_chunks(kernel, 100, 2, nanoseconds=1e9)
