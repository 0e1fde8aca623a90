"""Prefix sums modulo two: bit strings and the parity of every prefix (Schwarzschild et al. 2021, arXiv 2108.06011).

Bit j of a string is position j. There are two ways to draw item i of a split, chosen by the length alone:

- Up to 63 bits, a string is a number below 2^L. A fixed bijection of [0, 2^L) gives each string its canonical hash, so
  a split is a range of hashes; a second bijection, keyed by (seed, split), puts that range into a random order. Item i
  is the i-th in that order: no string repeats, and every string of the split occurs. (Over seeds, the orders of strings
  below 8 bits are not quite uniform: there are few to choose from.)
- From 64 bits on, strings are read from the item's Philox stream until the hash of one falls in the split. The
  probability of two equal items in a set of 10^6 is below 10^-7.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.bits import store_8_bits, store_32_bits, store_64_bits
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks
from easy_to_hard.generators.random import fill_words, mix64, random_words, stream_key
from easy_to_hard.generators.splits import NotEnoughInstancesError, as_indices, check_split, split_range

MIN_BITS = 1
MAX_BITS = 2**20
_LONGEST_NUMBERED = 63
_ROUNDS = 4

_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.array(
    [0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD], dtype=np.uint64
)
_INVERSES = np.array([pow(int(m), -1, 2**64) for m in _MULTIPLIERS], dtype=np.uint64)


def check_num_bits(num_bits: int) -> int:
    """Return `num_bits`, or raise ValueError that says what is allowed."""
    return check_integer("num_bits", num_bits, MIN_BITS, MAX_BITS)


def is_numbered(num_bits: int) -> bool:
    """Whether strings of that length are numbered, so that a split has a finite number of items."""
    return check_num_bits(num_bits) <= _LONGEST_NUMBERED


def count_instances(num_bits: int, split: str, split_rule: str = "hash") -> int:
    """How many distinct strings a split holds: exact, for example 52,428 for 16 bits and "train"."""
    low, high = split_range(split, split_rule, 2 ** check_num_bits(num_bits))
    return high - low


@kernel(inline="always")
def _permute(x, bits, keys):  # type: ignore[no-untyped-def]
    """A bijection of [0, 2^bits): add, fold, and multiply by an odd number, four times."""
    mask = (_ONE << bits) - _ONE
    half = (bits + _ONE) >> _ONE
    for r in range(_ROUNDS):
        x = (x + keys[r]) & mask
        x ^= x >> half
        x = (x * _MULTIPLIERS[r]) & mask
        x ^= x >> half
    return x


@kernel
def _unpermute(x, bits, keys):  # type: ignore[no-untyped-def]
    """The inverse of `_permute`; a fold by at least half the bits undoes itself."""
    mask = (_ONE << bits) - _ONE
    half = (bits + _ONE) >> _ONE
    for r in range(_ROUNDS - 1, -1, -1):
        x ^= x >> half
        x = (x * _INVERSES[r]) & mask
        x ^= x >> half
        x = (x - keys[r]) & mask
    return x


@kernel
def _number_strings(indices, words, bits, low, size, walk_bits, order_keys, hash_keys):  # type: ignore[no-untyped-def]
    # Three plain loops, so that the first and the last are vectorized.
    for i in range(indices.shape[0]):
        words[i, 0] = _permute(indices[i], walk_bits, order_keys)
    for i in range(indices.shape[0]):
        while words[i, 0] >= size:
            words[i, 0] = _permute(words[i, 0], walk_bits, order_keys)
    for i in range(indices.shape[0]):
        words[i, 0] = _permute(low + words[i, 0], bits, hash_keys)


@kernel
def _hash_words(words, bits):  # type: ignore[no-untyped-def]
    total = np.uint64(bits)
    for j in range(words.shape[0]):
        total += mix64(words[j] ^ (np.uint64(j + 1) * _GOLDEN))
    return mix64(total)


@kernel
def _stream_strings(indices, words, bits, low, last, key):  # type: ignore[no-untyped-def]
    count = words.shape[1]
    # A candidate starts on a Philox block, two 64-bit words long; 8 blocks are made in the time of one.
    blocks = (count + 1) // 2
    held = (blocks + 7) // 8 * 8
    raw = np.empty(4 * held, dtype=np.uint32)
    pairs = raw.view(np.uint64)
    tail = bits % 64
    for i in range(indices.shape[0]):
        block = 0
        place = held
        while True:
            if place + blocks > held:
                fill_words(raw, key, indices[i], np.uint64(block))
                place = 0
            string = pairs[2 * place : 2 * place + count]
            place += blocks
            block += blocks
            if tail:
                string[count - 1] &= (_ONE << np.uint64(tail)) - _ONE
            canonical_hash = _hash_words(string, bits)
            if low <= canonical_hash <= last:
                words[i] = string
                break


@kernel(inline="always")
def _parities(word):  # type: ignore[no-untyped-def]
    """Bit j of the result is the parity of bits 0..j."""
    for shift in (1, 2, 4, 8, 16, 32):
        word ^= word << np.uint64(shift)
    return word


@kernel
def _pack_parities(words, out, bits):  # type: ignore[no-untyped-def]
    count = words.shape[1]
    tail = bits % 64
    if count == 1:
        # A plain loop, so that it is vectorized.
        mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64((64 - bits) % 64)
        for i in range(words.shape[0]):
            out[i, 0] = _parities(words[i, 0]) & mask
        return
    for i in range(words.shape[0]):
        for j in range(count):
            out[i, j] = _parities(words[i, j])
        carry = np.uint64(0)
        for j in range(count):
            out[i, j] ^= carry
            carry = np.uint64(0) - (out[i, j] >> np.uint64(63))
        if tail:
            out[i, count - 1] &= (_ONE << np.uint64(tail)) - _ONE


@kernel
def _unpack(words, out, bits):  # type: ignore[no-untyped-def]
    """Write the bits of each row of words to `bits` bytes of flat `out`."""
    for i in range(words.shape[0]):
        place = i * bits
        for j in range(bits // 64):
            store_64_bits(out, place + 64 * j, words[i, j])
        done = bits // 64 * 64
        if done < bits:
            word = words[i, done // 64]
            if bits - done >= 32:
                store_32_bits(out, place + done, word)
                done += 32
            while bits - done >= 8:
                store_8_bits(out, place + done, word >> np.uint64(done % 64))
                done += 8
            while done < bits:
                out[place + done] = (word >> np.uint64(done % 64)) & _ONE
                done += 1


def sample_packed(
    num_bits: int,
    indices: ArrayLike,
    *,
    split: str = "train",
    seed: int = 0,
    split_rule: str = "hash",
    num_threads: int | None = None,
) -> NDArray[np.uint64]:
    """Draw the strings with the given indices in a split, packed 64 positions per word.

    Args:
        num_bits: length L of a string, 1 to 2^20.
        indices: (N,) non-negative integers, in any order.
        split: "train", "validation" or "test".
        seed: any integer; another seed gives another set of strings.
        split_rule: "hash" (splits share no string), or "original" (every split is drawn from all strings).
        num_threads: None for one per core. The result does not depend on it.

    Returns:
        (N, ceil(L / 64)) uint64; bit j of word w is position 64 w + j; unused bits are 0.

    Raises:
        NotEnoughInstancesError: an index is at or past the number of strings that the split holds.
        ValueError: any other argument is out of range.
    """
    bits = check_num_bits(num_bits)
    rows = as_indices(indices)
    words = np.empty((len(rows), -(-bits // 64)), dtype=np.uint64)
    key = np.uint64(stream_key("prefix_sums", "", bits, check_split(split), seed))
    if not is_numbered(bits):
        low, high = split_range(split, split_rule)
        bounds = np.uint64(low), np.uint64(high - 1)
        run_in_chunks(
            lambda a, b: _stream_strings(rows[a:b], words[a:b], bits, *bounds, key),
            len(rows),
            num_threads,
            nanoseconds=60 + bits / 16,
        )
        return words
    low, high = split_range(split, split_rule, 2**bits)
    if len(rows) and int(rows.max()) >= high - low:
        raise NotEnoughInstancesError(
            f"prefix_sums with {bits} bits has {high - low} distinct strings in split {split!r}: "
            f"item {int(rows.max())} does not exist (the last is {high - low - 1})"
        )
    walk_bits = np.uint64(max(1, (high - low - 1).bit_length()))
    order_keys = _round_keys(int(key))
    hash_keys = _round_keys(stream_key("prefix_sums", "canonical hash", bits, "train", 0))
    size = np.uint64(high - low)
    run_in_chunks(
        lambda a, b: _number_strings(
            rows[a:b], words[a:b], np.uint64(bits), np.uint64(low), size, walk_bits, order_keys, hash_keys
        ),
        len(rows),
        num_threads,
        nanoseconds=12,
    )
    return words


def solve_packed(words: NDArray[np.uint64], num_bits: int) -> NDArray[np.uint64]:
    """The parities of all prefixes; input and output are in the layout of `sample_packed`."""
    out = np.empty_like(words)
    _pack_parities(words, out, check_num_bits(num_bits))
    return out


def unpack(words: NDArray[np.uint64], num_bits: int, num_threads: int | None = None) -> NDArray[np.uint8]:
    """Unpack (N, ceil(L / 64)) uint64 words to (N, L) uint8 in {0, 1}."""
    out = np.empty((len(words), check_num_bits(num_bits)), dtype=np.uint8)
    run_in_chunks(
        lambda a, b: _unpack(words[a:b], out[a:b].reshape(-1), num_bits),
        len(words),
        num_threads,
        nanoseconds=2 + num_bits / 8,
    )
    return out


def sample(
    num_bits: int,
    indices: ArrayLike,
    *,
    split: str = "train",
    seed: int = 0,
    split_rule: str = "hash",
    num_threads: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the strings with the given indices in a split, with solutions; arguments and errors as in `sample_packed`.

    Returns:
        ``(bits, parities)``, both (N, L) uint8 in {0, 1}; ``parities[n, j]`` is the sum of
        ``bits[n, :j + 1]`` modulo 2.
    """
    words = sample_packed(num_bits, indices, split=split, seed=seed, split_rule=split_rule, num_threads=num_threads)
    parities = solve_packed(words, num_bits)
    return unpack(words, num_bits, num_threads), unpack(parities, num_bits, num_threads)


def solve(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The parities of all prefixes of (..., L) strings in {0, 1}, in the same shape, by NumPy alone."""
    return np.bitwise_xor.accumulate(bits, axis=-1)


def pack(bits: ArrayLike) -> NDArray[np.uint64]:
    """Pack (N, L) strings in {0, 1} into (N, ceil(L / 64)) uint64, the inverse of `unpack`."""
    rows = np.asarray(bits, dtype=np.uint8)
    padded = np.zeros((len(rows), -(-rows.shape[1] // 64) * 64), dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    return np.packbits(padded, axis=1, bitorder="little").view("<u8")


def canonical_hashes(bits: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """The canonical hash of each of (N, L) uint8 strings, with the number of possible hashes (see `split_of`)."""
    length = bits.shape[1]
    words = pack(bits)
    if not is_numbered(length):
        return [(int(_hash_words(row, length)), 2**64) for row in words]
    keys = _round_keys(stream_key("prefix_sums", "canonical hash", length, "train", 0))
    return [(int(_unpermute(row[0], np.uint64(length), keys)), 2**length) for row in words]


def _round_keys(key: int) -> NDArray[np.uint64]:
    return np.ascontiguousarray(random_words(key, 0, 2 * _ROUNDS)).view(np.uint64)
