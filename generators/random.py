"""Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").

A stream is named by a 64-bit key, made from (task, variant, difficulty, split, seed), and a 64-bit item
index; its content is the byte sequence of Philox blocks 0, 1, 2, ... under the counter
``(block low, block high, index low, index high)``, words in little-endian order. Nothing is carried from one
item to the next, so an item is the same on every machine, for every thread count and for every batch size.

A kernel holds its place in a stream in two arrays: ``buffer`` (uint8, a multiple of 16 long) and ``cursor``
(uint64, see `open_stream`).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel

BUFFER_BYTES = 128
CURSOR_WORDS = 4
MAX_SEED = 2**4096
POSITION, _KEY, _INDEX, _BLOCK = 0, 1, 2, 3

_MASK32 = np.uint64(0xFFFFFFFF)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_32 = np.uint64(32)


def check_seed(seed: int) -> int:
    """Return `seed`, or raise ValueError if it is not an integer, or not from -2^4096 to 2^4096."""
    return check_integer("seed", seed, -MAX_SEED, MAX_SEED)


def stream_key(task: str, variant: str, difficulty: int, split: str, seed: int) -> int:
    """The key of the streams of one dataset: the first 64 bits of the BLAKE2b hash of its name.

    Args:
        task: name in `TASKS`.
        variant: name of the variant ("" where a task has none).
        difficulty: the difficulty, for example the number of bits.
        split: "train", "validation" or "test".
        seed: any integer from -2^4096 to 2^4096.

    Returns:
        An integer in [0, 2^64).

    Raises:
        ValueError: the seed is not such an integer.
    """
    name = "\x1f".join(["easy-to-hard", task, variant, str(int(difficulty)), split, str(check_seed(seed))])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


@kernel(inline="always")
def _round(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    product_0 = _MULTIPLIER_0 * c0
    product_1 = _MULTIPLIER_1 * c2
    return (
        (product_1 >> _32) ^ c1 ^ k0,
        product_1 & _MASK32,
        (product_0 >> _32) ^ c3 ^ k1,
        product_0 & _MASK32,
    )


@kernel(inline="always")
def philox4x32(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Ten rounds of Philox4x32 on uint64 scalars that each hold a 32-bit word: (c0, c1, c2, c3) of output."""
    for _ in range(10):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0 = (k0 + _WEYL_0) & _MASK32
        k1 = (k1 + _WEYL_1) & _MASK32
    return c0, c1, c2, c3


@kernel
def fill_words(words, key, index, block):  # type: ignore[no-untyped-def]
    """Write len(words) // 4 Philox blocks of the stream (key, index), starting at `block`, to uint32 `words`."""
    k0, k1 = key & _MASK32, key >> _32
    c2, c3 = index & _MASK32, index >> _32
    for i in range(words.shape[0] // 4):
        number = block + np.uint64(i)
        w0, w1, w2, w3 = philox4x32(number & _MASK32, number >> _32, c2, c3, k0, k1)
        words[4 * i] = w0
        words[4 * i + 1] = w1
        words[4 * i + 2] = w2
        words[4 * i + 3] = w3


@kernel
def open_stream(buffer, cursor, key, index):  # type: ignore[no-untyped-def]
    """Put the cursor at the first byte of the stream (key, index)."""
    cursor[POSITION] = np.uint64(buffer.shape[0])
    cursor[_KEY] = key
    cursor[_INDEX] = index
    cursor[_BLOCK] = np.uint64(0)


@kernel
def refill(buffer, cursor):  # type: ignore[no-untyped-def]
    """Fill the whole buffer with the next blocks of the stream."""
    words = buffer.view(np.uint32)
    fill_words(words, cursor[_KEY], cursor[_INDEX], cursor[_BLOCK])
    cursor[_BLOCK] += np.uint64(words.shape[0] // 4)
    cursor[POSITION] = np.uint64(0)


@kernel(inline="always")
def next_byte(buffer, cursor):  # type: ignore[no-untyped-def]
    """The next byte of the stream, uniform on 0..255 (uint8)."""
    if cursor[POSITION] == np.uint64(buffer.shape[0]):
        refill(buffer, cursor)
    position = cursor[POSITION]
    cursor[POSITION] = position + np.uint64(1)
    return buffer[position]


@kernel
def next_word(buffer, cursor):  # type: ignore[no-untyped-def]
    """The next four bytes of the stream as a little-endian number, uniform on [0, 2^32) (uint64)."""
    position = cursor[POSITION]
    word = np.uint64(0)
    if position + np.uint64(4) <= np.uint64(buffer.shape[0]):
        for i in range(4):
            word |= np.uint64(buffer[position + np.uint64(i)]) << np.uint64(8 * i)
        cursor[POSITION] = position + np.uint64(4)
        return word
    for i in range(4):
        word |= np.uint64(next_byte(buffer, cursor)) << np.uint64(8 * i)
    return word


@kernel
def next_below(buffer, cursor, bound):  # type: ignore[no-untyped-def]
    """A uniform integer in [0, bound), 1 <= bound <= 2^32, without modulo bias (Lemire, 2019, arXiv 1805.10941)."""
    bound = np.uint64(bound)
    product = next_word(buffer, cursor) * bound
    if product & _MASK32 < bound:
        threshold = ((_MASK32 + np.uint64(1)) - bound) % bound
        while product & _MASK32 < threshold:
            product = next_word(buffer, cursor) * bound
    return np.int64(product >> _32)


@kernel
def mix64(x):  # type: ignore[no-untyped-def]
    """A fixed bijection of 64-bit numbers that scatters them well (the finalizer of SplitMix64, variant 13)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def philox_block(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """One Philox4x32-10 block, as in the published known-answer vectors.

    Args:
        counter: four words in [0, 2^32).
        key: two words in [0, 2^32).

    Returns:
        Four words in [0, 2^32).
    """
    words = philox4x32(*(np.uint64(word) for word in (*counter, *key)))
    return tuple(int(word) for word in words)  # type: ignore[return-value]


def random_words(key: int, index: int, count: int, *, block: int = 0) -> NDArray[np.uint32]:
    """The first `count` 32-bit words of the stream (key, index), starting at Philox block `block`."""
    words = np.empty(-(-count // 4) * 4, dtype=np.uint32)
    fill_words(words, np.uint64(key), np.uint64(index), np.uint64(block))
    return words[:count]
