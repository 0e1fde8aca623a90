"""Prefix sums in words."""

import numpy as np
import pytest
from text_items import first, items_for

from easy_to_hard.generators import prefix_sums
from easy_to_hard.text import answer, prompt, verify


def test_prompts_show_the_bits_and_answers_their_parities() -> None:
    for item in items_for("prefix_sums", "", 16):
        bits = prefix_sums.unpack(item.data[None], 16)[0]
        assert f"\n\n{''.join(map(str, bits))}\n\n" in prompt(item, "string")
        assert f"\n\n{' '.join(map(str, bits))}\n\n" in prompt(item)
        assert answer(item, "string") == "".join(map(str, np.cumsum(bits) % 2))
        assert answer(item) == " ".join(answer(item, "string"))


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "[{}]",
        "[{}].",
        "`{}`",
        "**{}**",
        "$[{}]$",
        "({})",
    ],
)
@pytest.mark.parametrize("between", ["", " ", ", ", ",", "\n", " | ", "  "])
def test_separators(written: str, between: str) -> None:
    item = first("prefix_sums", 16)
    digits = answer(item, "string")
    assert verify(item, "Answer: " + written.format(between.join(digits))).correct


def test_partial_credit_is_the_share_before_the_first_wrong_digit() -> None:
    item = first("prefix_sums", 16)
    digits = answer(item, "string")
    for place in range(16):
        wrong = digits[:place] + "10"[int(digits[place])] + digits[place + 1 :]
        verdict = verify(item, f"Answer: {wrong}")
        assert (verdict.correct, verdict.score) == (False, place / 16)
        assert verdict.reason == f"wrong: digit {place + 1} is the first that is wrong"
    short, long = verify(item, digits[:-1]), verify(item, digits + "0")
    assert (short.score, short.reason) == (15 / 16, "wrong: 15 digits where 16 are asked for")
    assert (long.score, long.reason) == (16 / 17, "wrong: 17 digits where 16 are asked for")
    assert verify(item, "".join("10"[int(digit)] for digit in digits)).score == 0


def test_what_is_no_answer() -> None:
    item = first("prefix_sums", 16)
    digits = answer(item, "string")
    for reply in (f"{digits} or so", digits.replace("1", "2"), f"Answer: 0b{digits}", digits[:8] + "." + digits[8:]):
        assert verify(item, reply).reason.startswith("unreadable: "), reply
