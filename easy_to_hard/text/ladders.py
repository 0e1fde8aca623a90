"""Difficulties whose prompts and answers fit a context window, and an estimate of how many tokens a text has."""

import re
from typing import Final

from easy_to_hard.text.forms import get_form

# Tokens that the prompt and the answer of an item may have together.
BUDGETS: Final = {"2k": 2_000, "8k": 8_000, "32k": 32_000}
_TOKEN: Final = re.compile(r"[^\W\d_]{1,5}|\S|\n| (?=[0-9])")


def estimate_tokens(text: str) -> int:
    """A cautious estimate.

    One token for every five letters that a word begins, every other character, every new line, and every space before a
    digit. Tokenizers join more than this, such as the walls of a maze.
    """
    return len(_TOKEN.findall(text))


def ladder(name: str, task: str) -> tuple[int, ...]:
    """The difficulties of a task in the named ladder, ascending.

    Raises:
        ValueError: there is no such ladder.
    """
    ladders = get_form(task).ladders
    if name not in ladders:
        raise ValueError(f"unknown ladder {name!r} of {task}: {', '.join(ladders)}")
    return ladders[name]
