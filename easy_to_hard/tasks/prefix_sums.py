"""Prefix sums as a task."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import prefix_sums
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks.task import Array, DataSpec, Instances, Task


def _bits_samples(num_bits: int, split: str) -> int:
    return 10_000 if num_bits <= 2**13 else 1_000 if num_bits <= 2**16 else 100


def _count_bits(spec: DataSpec) -> int:
    return prefix_sums.count_instances(spec.difficulty, spec.split, spec.split_rule)


def _generate_bits(spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
    words = prefix_sums.sample_packed(
        spec.difficulty,
        indices,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )
    return Instances(data=words)


def _encode_bits(data: Array, num_bits: int, num_threads: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    parities = prefix_sums.solve_packed(data, num_bits)
    return prefix_sums.unpack(data, num_bits, num_threads), prefix_sums.unpack(parities, num_bits, num_threads)


def _splits_of_bits(data: Array, num_bits: int) -> list[str]:
    bits = prefix_sums.unpack(data, num_bits)
    return [split_of(value, total) for value, total in prefix_sums.canonical_hashes(bits)]


def _text_of_bits(bits: Array, parities: Array, data: Array) -> str:
    lines = []
    for start in range(0, len(bits), 64):
        for label, row in (("bits  ", bits), ("parity", parities)):
            lines.append(f"{label} {start:>6} " + "".join("01"[int(v)] for v in row[start : start + 64]))
    return "\n".join(lines)


PREFIX_SUMS: Final = Task(
    name="prefix_sums",
    title="Prefix sums modulo two: the parity of every prefix of a bit string",
    description="`input` is the bit string, `target` the parity of each of its prefixes, lists of uint8.",
    difficulty_name="number of bits",
    difficulties=(*range(16, 65), 72, 128, 256, 512, 1024, 2048, 4096, 8192),
    train_difficulty=32,
    rungs=(32, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    alike_from=14,
    new_from=32,
    reference="Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011",
    check_difficulty=prefix_sums.check_num_bits,
    default_samples=_bits_samples,
    stream_length=lambda spec: _count_bits(spec) if prefix_sums.is_numbered(spec.difficulty) else None,
    first_distinct=lambda spec, count, num_threads: np.arange(count, dtype=np.uint64),
    count_instances=_count_bits,
    generate=_generate_bits,
    encode=_encode_bits,
    decode=lambda inputs, targets: prefix_sums.pack(inputs),
    shapes=lambda num_bits: ((num_bits,), (num_bits,)),
    columns={},
    solve=lambda inputs, num_bits: prefix_sums.solve(inputs),
    splits_of=_splits_of_bits,
    input_offset=-0.5,
    input_channels=1,
    text=_text_of_bits,
)
