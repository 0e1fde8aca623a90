"""Items that the tests of text have in common."""

from functools import cache

from easy_to_hard.tasks import TASKS
from easy_to_hard.text import FORMS, Item, make_items

# Task, variant and difficulty.
CASES = [
    ("prefix_sums", "", 16),
    ("prefix_sums", "", 100),
    *(("mazes", variant, 9) for variant in TASKS["mazes"].variants),
    ("mazes", "", 25),
    ("chess_mates", "", 1),
    ("chess_mates", "", 2),
]


@cache
def items_for(task: str, variant: str, difficulty: int, split: str = "test", num: int = 3) -> tuple[Item, ...]:
    return tuple(make_items(task, difficulty, num, variant=variant, split=split))


def first(task: str, difficulty: int, variant: str = "") -> Item:
    return items_for(task, variant, difficulty)[0]


# A difficulty of each task.
EASY = {"prefix_sums": 16, "mazes": 9, "chess_mates": 2}
STYLES = [(task, style) for task, form in FORMS.items() for style in form.styles]
