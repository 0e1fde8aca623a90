"""The table of sizes in the README of `easy_to_hard/text`."""

from pathlib import Path

import pytest

import easy_to_hard
from easy_to_hard.text import FORMS, answer, estimate_tokens, make_items, prompt
from easy_to_hard.text.ladders import BUDGETS

README = Path(easy_to_hard.__file__).parent / "text" / "README.md"
STEPS = [(task, step) for task, form in FORMS.items() for step in form.ladders["32k"]]


def row_of(task: str, step: int) -> str:
    """A row of the table: the most of the first ten test items, in the default style."""
    items = make_items(task, step, 10)
    prompts, answers = [len(prompt(item)) for item in items], [len(answer(item)) for item in items]
    tokens = max(estimate_tokens(prompt(item) + answer(item)) for item in items)
    ladders = ", ".join(name for name in BUDGETS if step in FORMS[task].ladders[name])
    return f"| `{task}` | {step:,} | {max(prompts):,} | {max(answers):,} | {tokens:,} | {ladders} |"


@pytest.mark.parametrize(("task", "step"), STEPS)
def test_the_table_of_sizes(task: str, step: int) -> None:
    assert row_of(task, step) in README.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    for case in STEPS:
        print(row_of(*case), flush=True)
