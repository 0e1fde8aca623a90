"""Bit strings: the parities, the drawing without repeats, the splits, the randomness."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import prefix_parities

from easy_to_hard.generators import prefix_sums
from easy_to_hard.generators.prefix_sums import count_instances, pack, sample, sample_packed, solve, unpack
from easy_to_hard.generators.splits import SPLITS, NotEnoughInstancesError, split_of


@given(st.integers(1, 300), st.integers(0, 10), st.sampled_from(SPLITS))
@settings(max_examples=60)
def test_parities_equal_the_oracle(num_bits: int, seed: int, split: str) -> None:
    number = min(4, count_instances(num_bits, split))
    bits, parities = sample(num_bits, range(number), split=split, seed=seed)
    assert bits.shape == parities.shape == (number, num_bits)
    for row, solution in zip(bits.tolist(), parities.tolist(), strict=True):
        assert set(row) <= {0, 1}
        assert solution == prefix_parities(row)
    assert np.array_equal(solve(bits), parities)


@given(st.integers(1, 300))
@settings(max_examples=40)
def test_packing_is_inverted_by_unpacking(num_bits: int) -> None:
    words = sample_packed(num_bits, range(min(5, count_instances(num_bits, "train"))))
    bits = unpack(words, num_bits)
    assert np.array_equal(pack(bits), words)
    for word, row in zip(words.tolist(), bits.tolist(), strict=True):
        assert [word[j // 64] >> (j % 64) & 1 for j in range(num_bits)] == row


@pytest.mark.parametrize("num_bits", [16, 32, 33, 64, 100, 512])
def test_bytes_do_not_depend_on_threads_order_or_batches(num_bits: int) -> None:
    number = 40_000 if num_bits > 16 else 50_000
    whole = sample(num_bits, range(number), num_threads=1)
    assert all(np.array_equal(a, b) for a, b in zip(whole, sample(num_bits, range(number), num_threads=2), strict=True))
    order = np.random.default_rng(0).permutation(number)[:500]
    assert np.array_equal(sample(num_bits, order)[0], whole[0][order])
    pieces = [sample(num_bits, range(start, start + 7))[0] for start in range(0, 70, 7)]
    assert np.array_equal(np.concatenate(pieces), whole[0][:70])


@pytest.mark.parametrize("num_bits", range(1, 13))
def test_every_short_string_is_in_one_split_once(num_bits: int) -> None:
    found = []
    for split in SPLITS:
        number = count_instances(num_bits, split)
        strings = sample_packed(num_bits, range(number), split=split, seed=3)
        found += strings[:, 0].tolist()
    assert sorted(found) == list(range(2**num_bits))


def test_counts_are_eight_one_one() -> None:
    assert [count_instances(16, split) for split in SPLITS] == [52428, 6554, 6554]
    assert count_instances(16, "test", "original") == 65536
    assert [count_instances(1, split) for split in SPLITS] == [1, 0, 1]


@pytest.mark.parametrize("num_bits", [5, 16, 40, 63, 64, 65, 100, 512])
@pytest.mark.parametrize("split", SPLITS)
def test_strings_belong_to_their_split(num_bits: int, split: str) -> None:
    bits, _ = sample(num_bits, range(min(200, count_instances(num_bits, split))), split=split, seed=1)
    assert {split_of(*value) for value in prefix_sums.canonical_hashes(bits)} == {split}


@pytest.mark.parametrize("num_bits", [24, 32, 48, 63, 64])
def test_no_string_repeats(num_bits: int) -> None:
    words = sample_packed(num_bits, range(100_000))
    assert len(np.unique(words)) == 100_000


def test_seeds_splits_and_lengths_give_other_strings() -> None:
    base = sample(40, range(50))[0]
    for other in (sample(40, range(50), seed=1), sample(40, range(50), split="test")):
        assert not {tuple(row) for row in base.tolist()} & {tuple(row) for row in other[0].tolist()}
    assert not np.array_equal(base[:, :39], sample(39, range(50))[0])


@pytest.mark.parametrize(
    ("num_bits", "split"), [(16, "train"), (24, "test"), (32, "train"), (40, "test"), (128, "test")]
)
def test_bits_look_random(num_bits: int, split: str) -> None:
    """Means, correlations of positions, of neighboring items, and with the item number: all within 5 sigma."""
    number = min(50_000, count_instances(num_bits, split))
    signs = sample(num_bits, range(number), split=split)[0].astype(np.float64) * 2 - 1
    bound = 5 / np.sqrt(number)
    assert np.abs(signs.mean(axis=0)).max() < bound
    between_positions = signs.T @ signs / number - np.eye(num_bits)
    assert np.abs(between_positions).max() < bound
    assert np.abs((signs[1:] * signs[:-1]).mean(axis=0)).max() < bound
    assert np.abs((signs[2:] * signs[:-2]).mean(axis=0)).max() < bound
    ramp = np.linspace(-np.sqrt(3), np.sqrt(3), number)
    assert np.abs(ramp @ signs / number).max() < bound


def test_splits_under_the_original_rule_share_strings() -> None:
    train = sample_packed(12, range(2000), split="train", split_rule="original")
    test = sample_packed(12, range(2000), split="test", split_rule="original")
    assert len(np.intersect1d(train, test)) > 500
    assert len(np.unique(train)) == 2000


def test_longest_strings() -> None:
    bits, parities = sample(2**20, [5])
    assert np.array_equal(np.bitwise_xor.accumulate(bits[0]), parities[0])
    assert abs(bits.mean() - 0.5) < 0.005


def test_no_items_are_fine() -> None:
    assert sample(33, [])[0].shape == (0, 33)


def test_items_are_frozen() -> None:
    """Other values here mean that every string ever published has changed."""
    numbers = [sample_packed(num_bits, [0, 1, 2], split="test")[:, 0].tolist() for num_bits in (16, 48, 128)]
    assert numbers == FROZEN


@pytest.mark.parametrize(
    ("num_bits", "indices", "options", "error", "message"),
    [
        (4, [0, 12], {}, NotEnoughInstancesError, r"has 12 distinct strings in split 'train': item 12 does not exist"),
        (1, [0], {"split": "validation"}, NotEnoughInstancesError, "has 0 distinct strings"),
        (0, [0], {}, ValueError, "num_bits must be from 1 to 1048576, not 0"),
        (2**20 + 1, [0], {}, ValueError, "num_bits must be from 1 to 1048576, not 1048577"),
        ("8", [0], {}, ValueError, "num_bits must be an integer, not '8'"),
        (True, [0], {}, ValueError, "num_bits must be an integer, not True"),
        (8, [-1], {}, ValueError, "indices must not be negative, not -1"),
        (8, [0.5], {}, ValueError, "indices must be a list of integers, not float64"),
        (8, [[0]], {}, ValueError, r"indices must be a list of integers, not int64 of shape \(1, 1\)"),
        (8, [0], {"split": "dev"}, ValueError, "unknown split 'dev': choose one of train, validation, test"),
        (8, [0], {"split_rule": "x"}, ValueError, "unknown split_rule 'x': choose one of hash, original"),
        (8, [0], {"num_threads": 0}, ValueError, "num_threads must be at least 1, not 0"),
    ],
)
def test_errors(num_bits: Any, indices: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sample(num_bits, indices, **options)


FROZEN = [
    [19627, 39987, 6603],
    [255834714002589, 146650845933229, 185412599150295],
    [17658925260549071314, 7705730966651097293, 7838133519579713350],
]
