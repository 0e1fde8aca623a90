"""Spread a kernel over threads. Kernels release the GIL and write disjoint rows, so the bytes do not depend on it."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from easy_to_hard.generators.integers import check_integer

# Many chunks per thread, so that no thread waits long for the last one.
_CHUNKS_PER_THREAD = 32
# Starting a thread costs about 0.1 ms, so a thread is given at least this much to do.
_LEAST_NANOSECONDS = 500_000


def default_threads() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def run_in_chunks(
    kernel: Callable[[int, int], None],
    count: int,
    num_threads: int | None = None,
    *,
    nanoseconds: float,
    stop: Callable[[], object] | None = None,
) -> None:
    """Call ``kernel(start, stop)`` on ranges that cover [0, count).

    Args:
        kernel: fills rows start..stop-1; must release the GIL to benefit from threads.
        count: number of rows.
        num_threads: the maximum number of threads, at least 1; None for one per core.
        nanoseconds: rough time per row: short work stays on one thread.
        stop: makes kernels that are running return early; called when an exception such as an interrupt arrives. The
            main thread only sees those while it waits for others, so long work is never left to it.

    Raises:
        ValueError: num_threads is below 1 or not an integer.
    """
    threads = default_threads() if num_threads is None else check_integer("num_threads", num_threads, 1)
    threads = min(threads, count, 1 + int(count * nanoseconds / _LEAST_NANOSECONDS))
    if threads <= 1 and (stop is None or count * nanoseconds < _LEAST_NANOSECONDS):
        kernel(0, count)
        return
    chunk = max(1, -(-count // (threads * _CHUNKS_PER_THREAD)))
    starts = range(0, count, chunk)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for _ in pool.map(lambda start: kernel(start, min(start + chunk, count)), starts):
                pass
        except BaseException:
            if stop is not None:
                stop()
            raise
