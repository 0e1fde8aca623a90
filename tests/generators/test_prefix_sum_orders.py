"""The strings of a set come in an order without pattern, whatever the length, split or seed."""

import itertools

import numpy as np
import pytest
from oracles import chi_square

from easy_to_hard.generators.prefix_sums import canonical_hashes, count_instances, sample, sample_packed
from easy_to_hard.generators.random import random_words, stream_key
from easy_to_hard.generators.splits import SPLITS, split_of

# Up to 63 bits a string is a number put in order by a bijection; from 64 on it is read from a stream.
LENGTHS = [16, 20, 32, 48, 63, 64, 100]
NUMBER = 2**13


def _signs(num_bits: int, split: str, number: int = NUMBER) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    held = min(number, count_instances(num_bits, split))
    return sample(num_bits, range(held), split=split)[0].astype(np.float32) * 2 - 1


@pytest.mark.parametrize("num_bits", LENGTHS)
@pytest.mark.parametrize("split", SPLITS)
def test_no_bit_tells_of_a_bit_of_a_later_item(num_bits: int, split: str) -> None:
    """All pairs of positions, at distances in the order where a weak mixing of its number would show."""
    signs = _signs(num_bits, split)
    for lag in (1, 2, 3, 4, 16, 256, 4096):
        if lag < len(signs):
            agreement = np.abs(signs[lag:].T @ signs[:-lag]).max()
            assert agreement < 5.5 * np.sqrt(len(signs) - lag)


@pytest.mark.parametrize("num_bits", [20, 32, 63, 64])
def test_one_bit_of_the_number_changes_half_of_the_string(num_bits: int) -> None:
    signs = _signs(num_bits, "train")
    order = np.arange(NUMBER)
    for bit in range(13):
        agreement = (signs * signs[order ^ (1 << bit)]).sum(axis=0) / 2
        assert np.abs(agreement).max() < 5 * np.sqrt(NUMBER / 2)


@pytest.mark.parametrize("num_bits", LENGTHS)
@pytest.mark.parametrize("split", SPLITS)
def test_parities_are_balanced(num_bits: int, split: str) -> None:
    """The targets, at every position: a split does not favor even strings."""
    number = min(NUMBER, count_instances(num_bits, split))
    parities = sample(num_bits, range(number), split=split)[1]
    assert np.abs(parities.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(number)


@pytest.mark.parametrize(("num_bits", "shift"), [(24, 16), (24, 0), (40, 32), (63, 55), (64, 0)])
def test_values_and_pairs_of_values_are_spread_evenly(num_bits: int, shift: int) -> None:
    words = sample_packed(num_bits, range(60_000), split="test")[:, 0] >> np.uint64(shift)
    octets = (words & np.uint64(255)).astype(int)
    assert abs(chi_square(np.bincount(octets, minlength=256), np.full(256, 60_000 / 256))) < 5
    pairs = 16 * (octets[1:] % 16) + octets[:-1] % 16
    assert abs(chi_square(np.bincount(pairs, minlength=256), np.full(256, 59_999 / 256))) < 5


@pytest.mark.parametrize("num_bits", [8, 9, 10, 12])
def test_first_items_are_uniform_over_seeds(num_bits: int) -> None:
    held = count_instances(num_bits, "train")
    strings = np.sort(sample_packed(num_bits, range(held))[:, 0])
    drawn = np.array([sample_packed(num_bits, [0, 1], seed=seed, num_threads=1)[:, 0] for seed in range(10 * held)])
    for item in range(2):
        counts = np.bincount(np.searchsorted(strings, drawn[:, item]), minlength=held)
        assert chi_square(counts, np.full(held, 10)) < 5


@pytest.mark.parametrize("num_bits", [16, 24, 40, 64, 100])
def test_splits_and_seeds_share_no_string_that_they_must_not(num_bits: int) -> None:
    """String by string, without the package's hash: 16 bits through and through, the rest for 20,000 items."""
    found = {}
    for split in SPLITS:
        number = count_instances(16, split) if num_bits == 16 else 20_000
        bits = [sample(num_bits, range(number), split=split, seed=seed)[0] for seed in (0, 1)]
        found[split] = {row.tobytes() for each in bits for row in np.packbits(each, axis=1)}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not found[one] & found[other]
    if num_bits == 16:
        assert sum(map(len, found.values())) == 2**16


@pytest.mark.parametrize("num_bits", [12, 40, 100])
def test_another_seed_gives_another_order(num_bits: int) -> None:
    one, other = (sample_packed(num_bits, range(2000), seed=seed) for seed in (5, 6))
    same_place = (one == other).all(axis=1).sum()
    assert same_place < 12
    if num_bits > 12:
        assert not len(np.intersect1d(one[:, 0], other[:, 0]))


@pytest.mark.parametrize("num_bits", [64, 65, 100, 128, 129, 300, 1100])
@pytest.mark.parametrize("split", SPLITS)
def test_long_strings_are_the_first_of_their_stream_in_the_split(num_bits: int, split: str) -> None:
    """Read one candidate after the other, each from a whole Philox block on, without the kernel's buffer."""
    blocks = -(-num_bits // 128)
    key = stream_key("prefix_sums", "", num_bits, split, 2)
    for index, row in enumerate(sample(num_bits, range(12), split=split, seed=2)[0]):
        for candidate in itertools.count():
            words = random_words(key, index, 4 * blocks, block=candidate * blocks)
            bits = np.unpackbits(words.astype("<u4").view(np.uint8), bitorder="little")[None, :num_bits]
            if split_of(*canonical_hashes(bits)[0]) == split:
                break
        assert np.array_equal(row, bits[0])
