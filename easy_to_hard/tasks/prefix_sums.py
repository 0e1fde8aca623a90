"""Prefix sums as a task."""

from types import MappingProxyType
from typing import Final

import numpy as np

from easy_to_hard.generators import prefix_sums
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks.pictures import Color, Picture, picture_of_pixels
from easy_to_hard.tasks.pieces import AnswerRules, Array, Instances, PresetRows, TaskText
from easy_to_hard.tasks.task import Bits, DataSpec, Task

_LENGTHS: Final = (*range(16, 65), 72, 128, 256, 512, 1024, 2048, 4096, 8192)
_TRAINED_ON: Final = (16, 24, 32)
_TEXT_LINE: Final = 64
# Positions without a bit are transparent; then bits 0 and 1, parities 0 and 1. Red, green, blue, opacity.
_COLORS: Final[tuple[Color, ...]] = (
    (0, 0, 0, 0),
    (205, 218, 236, 255),
    (35, 92, 176, 255),
    (246, 218, 190, 255),
    (191, 92, 8, 255),
)
_BIT, _PARITY = 1, 3
# Longest string -> bits per line that it is wrapped to in a picture; longer strings are wrapped to `_LONGEST_LINE`.
_PICTURE_LINES: Final = {64: 16, 256: 32, 1024: 64, 2048: 128}
_LONGEST_LINE: Final = 256


class PrefixSums(Task):
    """The parity of every prefix of a bit string."""

    name = "prefix_sums"
    title = "Prefix sums modulo two: the parity of every prefix of a bit string"
    description = "`input` is the bit string, `target` the parity of each of its prefixes, lists of uint8."
    reference = "Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011"
    difficulty_name = "number of bits"
    difficulties = _LENGTHS
    train_difficulty = 32
    input_channels = 1
    input_offset = -0.5
    rungs = (32, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    alike_from = 14
    new_from = 32
    answers = AnswerRules(local=True)
    ladder = (16, 32, 48, 64, 128, 256, 512)
    presets = MappingProxyType(
        {
            "tiny": (
                PresetRows(difficulties=(16,), train=50, validation=20, test=20),
                PresetRows(difficulties=(33, 100), test=20),
            ),
            "demo": (
                PresetRows(difficulties=(32,), train=40_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(64, 128, 256, 512, 1024), test=1_000),
            ),
            "small": (
                PresetRows(difficulties=(16, 32), train=10_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(64, 128, 256, 512, 1024), test=1_000),
            ),
            # The counts of arXiv 2108.06011.
            "full": (
                PresetRows(difficulties=_TRAINED_ON, train=40_000, validation=5_000, test=5_000),
                PresetRows(difficulties=tuple(n for n in _LENGTHS if n not in _TRAINED_ON), test=10_000),
            ),
        }
    )
    card_difficulties = (16, 32, 64)
    card = TaskText(
        question=(
            "A bit string is given. Position i of the answer is the sum of bits 0 to i, modulo two. The difficulty is "
            "the number of bits."
        ),
        tags=("prefix-sums",),
        columns={
            "input": "the bits, each 0 or 1",
            "target": "the parity of each prefix, 0 or 1",
        },
        generator=(
            "Strings are uniform: those of fewer than 64 bits are drawn by a keyed bijection, so that none comes twice."
        ),
        limits=(
            "Bits are independent and uniform. Short strings are few, 65,536 of 16 bits in all, so a net may know them "
            "by heart; this is no longer possible at 64 bits.",
            "Half of the positions of a target are 1, so a constant guess is right at half of the positions and, as "
            "good as always, on no whole string.",
        ),
        dataset=("PrefixSumDataset", "num_bits"),
    )

    def check_difficulty(self, difficulty: int) -> int:
        """Check that the difficulty is a number of bits in range."""
        return prefix_sums.check_num_bits(difficulty)

    def default_samples(self, difficulty: int, split: str, variant: str) -> int:
        """Fewer of the long strings."""
        return 10_000 if difficulty <= 2**13 else 1_000 if difficulty <= 2**16 else 100

    def count_instances(self, spec: DataSpec) -> int:
        """The split's share of all strings, which may be a number with thousands of digits."""
        return prefix_sums.count_instances(spec.difficulty, spec.split, spec.split_rule)

    def stream_length(self, spec: DataSpec) -> int | None:
        """The number of strings where they are numbered; None for longer ones."""
        return self.count_instances(spec) if prefix_sums.is_numbered(spec.difficulty) else None

    def generate(self, spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
        """Bits packed into words."""
        words = prefix_sums.sample_packed(
            spec.difficulty,
            indices,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
            num_threads=num_threads,
        )
        return Instances(data=words)

    def shapes(self, difficulty: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """As many parities as bits."""
        return (difficulty,), (difficulty,)

    def encode(self, data: Array, difficulty: int, num_threads: int | None) -> tuple[Bits, Bits]:
        """Bits and parities, one byte each."""
        parities = prefix_sums.solve_packed(data, difficulty)
        return prefix_sums.unpack(data, difficulty, num_threads), prefix_sums.unpack(parities, difficulty, num_threads)

    def decode(self, inputs: Array, targets: Array) -> Array:
        """The bits packed again."""
        return prefix_sums.pack(inputs)

    def splits_of(self, data: Array, difficulty: int) -> list[str]:
        """The split of each string, by the hash of its bits."""
        bits = prefix_sums.unpack(data, difficulty)
        return [split_of(value, total) for value, total in prefix_sums.canonical_hashes(bits)]

    def solve(self, inputs: Array, difficulty: int) -> Bits:
        """The parities."""
        return prefix_sums.solve(inputs)

    def text(self, item: Array, target: Array, data: Array) -> str:
        """Lines of 64 bits, and the parities below each."""
        lines = []
        for start in range(0, len(item), _TEXT_LINE):
            for label, row in (("bits  ", item), ("parity", target)):
                lines.append(f"{label} {start:>6} " + "".join("01"[int(v)] for v in row[start : start + _TEXT_LINE]))
        return "\n".join(lines)

    def picture(self, variant: str, difficulty: int) -> Picture:
        """The first test item, drawn in lines with one pixel per bit, the parities below each line."""
        bits, parities, _ = self.example(DataSpec(task=self.name, difficulty=difficulty, split="test"))
        width = next((width for most, width in _PICTURE_LINES.items() if difficulty <= most), _LONGEST_LINE)
        lines = -(-difficulty // width)
        # Bits, the parities below them, and an empty line before the next.
        pixels = np.zeros((lines, 3, width), dtype=np.uint8)
        for row, values, first in ((0, bits, _BIT), (1, parities, _PARITY)):
            filled = np.zeros(lines * width, dtype=np.uint8)
            filled[:difficulty] = values + first
            pixels[:, row] = filled.reshape(lines, width)
        label = (
            f"a string of {difficulty:,} bits (blue) and, below each line of it, the parity of every prefix (orange)"
        )
        return picture_of_pixels(f"{self.name}_{difficulty}", pixels.reshape(-1, width)[:-1], _COLORS, label)
