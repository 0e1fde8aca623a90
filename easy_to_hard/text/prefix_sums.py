"""Prefix sums in words."""

from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import prefix_sums
from easy_to_hard.text.form import TextForm, UnreadableError, Verdict, leading_share, right, wrong

# What may stand between and around the bits of a reply.
_DELETED: Final = str.maketrans("", "", " \t\r\n,;|[](){}\"'`*_$\\")


class PrefixSumText(TextForm[str]):
    """A string of bits is given; its parities are read as a string of 0s and 1s."""

    task = "prefix_sums"
    styles = MappingProxyType(
        {
            "spaced": "bits and parities with spaces between them",
            "string": "bits and parities without anything between them",
        }
    )
    ladders = MappingProxyType(
        {
            "2k": (16, 32, 64, 128, 256),
            "8k": (16, 32, 64, 128, 256, 512, 1024),
            "32k": (16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
        }
    )

    def prompt(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The bits, and that their parities are wanted."""
        between = "separated by spaces" if style == "spaced" else "without spaces"
        return (
            f"Here is a string of {difficulty} bits:\n\n{_written(_bits(data, difficulty), style)}\n\n"
            "For each position, count the 1s from the beginning up to and including that position, and write 0 if "
            f"their number is even and 1 if it is odd. End your reply with a line that has 'Answer: ' and these "
            f"{difficulty} digits in order, {between}."
        )

    def answer(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The parities."""
        return _written(_parities(data, difficulty), style)

    def guess(self, data: NDArray[Any], difficulty: int, rng: np.random.Generator) -> str:
        """Bits at random."""
        return _written("".join(map(str, rng.integers(2, size=difficulty).tolist())), "spaced")

    def read(self, text: str, data: NDArray[Any], difficulty: int) -> str:
        """The parities as a string, with whatever separators."""
        digits = text.strip().rstrip(".").translate(_DELETED)
        if not digits or digits.strip("01"):
            raise UnreadableError(f"{text[:40]!r} is not a sequence of 0s and 1s")
        return digits

    def judge(self, answer: str, data: NDArray[Any], difficulty: int) -> Verdict:
        """Partial credit is the share of the digits before the first wrong one."""
        target = _parities(data, difficulty)
        if answer == target:
            return right(f"all {difficulty} parities")
        share = leading_share(answer, target)
        if len(answer) != difficulty:
            return wrong(f"{len(answer)} digits where {difficulty} are asked for", share)
        return wrong(f"digit {round(share * difficulty) + 1} is the first that is wrong", share)


def _bits(data: NDArray[Any], difficulty: int) -> str:
    return "".join(map(str, prefix_sums.unpack(data[None], difficulty)[0].tolist()))


def _parities(data: NDArray[Any], difficulty: int) -> str:
    return _bits(prefix_sums.solve_packed(data[None], difficulty)[0], difficulty)


def _written(digits: str, style: str) -> str:
    return " ".join(digits) if style == "spaced" else digits
