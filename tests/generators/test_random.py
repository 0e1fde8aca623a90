"""Philox, its streams, and bounded integers."""

import itertools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import chi_square, philox4x32

from easy_to_hard.generators.random import (
    BUFFER_BYTES,
    CURSOR_WORDS,
    mix64,
    next_below,
    next_byte,
    next_word,
    open_stream,
    philox_block,
    random_words,
    stream_key,
)

WORD = st.integers(0, 2**32 - 1)
LONG = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("counter", "key", "output"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_known_answers(counter: tuple[int, ...], key: tuple[int, ...], output: tuple[int, ...]) -> None:
    assert philox_block(counter, key) == output  # type: ignore[arg-type]
    assert tuple(philox4x32(list(counter), list(key))) == output


@given(st.tuples(WORD, WORD, WORD, WORD), st.tuples(WORD, WORD))
def test_blocks_equal_the_oracle(counter: tuple[int, int, int, int], key: tuple[int, int]) -> None:
    assert list(philox_block(counter, key)) == philox4x32(list(counter), list(key))


@given(LONG, LONG, st.integers(1, 70), st.integers(0, 2**40))
@settings(max_examples=50)
def test_words_are_the_documented_blocks(key: int, index: int, count: int, block: int) -> None:
    expected: list[int] = []
    for number in range(block, block + -(-count // 4)):
        counter = [number % 2**32, number >> 32, index % 2**32, index >> 32]
        expected += philox4x32(counter, [key % 2**32, key >> 32])
    assert random_words(key, index, count, block=block).tolist() == expected[:count]


@numba.njit
def _read_bytes(key, index, count):  # type: ignore[no-untyped-def]
    buffer, cursor = np.empty(BUFFER_BYTES, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)
    open_stream(buffer, cursor, np.uint64(key), np.uint64(index))
    out = np.empty(count, dtype=np.uint8)
    for i in range(count):
        out[i] = next_byte(buffer, cursor)
    return out


@numba.njit
def _read_words(key, index, skipped, count):  # type: ignore[no-untyped-def]
    buffer, cursor = np.empty(BUFFER_BYTES, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)
    open_stream(buffer, cursor, np.uint64(key), np.uint64(index))
    out = np.empty(count, dtype=np.uint64)
    for _ in range(skipped):
        next_byte(buffer, cursor)
    for i in range(count):
        out[i] = next_word(buffer, cursor)
    return out


@numba.njit
def _read_below(key, bound, count):  # type: ignore[no-untyped-def]
    buffer, cursor = np.empty(BUFFER_BYTES, dtype=np.uint8), np.empty(CURSOR_WORDS, dtype=np.uint64)
    open_stream(buffer, cursor, np.uint64(key), np.uint64(0))
    out = np.empty(count, dtype=np.int64)
    for i in range(count):
        out[i] = next_below(buffer, cursor, bound)
    return out


def test_bytes_and_words_are_read_in_order() -> None:
    stream = random_words(5, 9, 1000).astype("<u4").view(np.uint8)
    assert np.array_equal(_read_bytes(5, 9, 4000), stream)
    for skipped in (0, 1, 2, 3, 125, 127):
        expected = stream[skipped : skipped + 400].copy().view("<u4")
        assert np.array_equal(_read_words(5, 9, skipped, 100), expected)


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 25, 100, 4096])
def test_bounded_integers_are_uniform(bound: int) -> None:
    drawn = _read_below(bound, bound, 40 * bound + 40_000)
    counts = np.bincount(drawn, minlength=bound)
    assert len(counts) == bound
    if bound > 1:
        assert chi_square(counts, np.full(bound, len(drawn) / bound)) < 5


def test_bounded_integers_have_no_modulo_bias() -> None:
    """At 3 * 2^30 a plain remainder would give the lowest third half of all draws."""
    bound = 3 * 2**30
    drawn = _read_below(1, bound, 300_000)
    thirds = np.bincount(drawn // 2**30, minlength=3)
    assert thirds.sum() == 300_000
    assert chi_square(thirds, np.full(3, 100_000)) < 5
    # A multiply-and-shift without rejection gives each third remainder of 3 another share, too.
    assert chi_square(np.bincount(drawn % 3, minlength=3), np.full(3, 100_000)) < 5


def test_stream_keys_differ_in_every_argument() -> None:
    arguments = itertools.product(
        ("mazes", "prefix_sums"), ("", "wilson"), (9, 13, 91), ("train", "test"), (0, 1, -1, 2**70)
    )
    keys = [stream_key(*each) for each in arguments]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 2**64 for key in keys)


def test_stream_key_is_frozen() -> None:
    """Another value here means that every instance ever published has changed."""
    assert stream_key("mazes", "depth_first", 9, "train", 0) == FROZEN_KEY
    assert random_words(FROZEN_KEY, 3, 2).tolist() == FROZEN_WORDS


@given(st.sets(LONG, min_size=2, max_size=50))
@settings(max_examples=20)
def test_mixing_is_injective(values: set[int]) -> None:
    assert len({int(mix64(np.uint64(value))) for value in values}) == len(values)


FROZEN_KEY = 18186919694473839544
FROZEN_WORDS = [3231064358, 1853681816]
