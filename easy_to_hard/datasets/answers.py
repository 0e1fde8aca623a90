"""The answer rules of tasks by name, and the difficulties that a task's nets are tested on."""

from easy_to_hard.tasks import get_task
from easy_to_hard.tasks.pieces import AnswerRules as AnswerRules
from easy_to_hard.tasks.pieces import Decode as Decode
from easy_to_hard.tasks.pieces import Mask as Mask
from easy_to_hard.tasks.pieces import most_likely_class as most_likely_class


def answer_rules(task: str) -> AnswerRules:
    """The rules of a task, or ValueError that lists the tasks."""
    return get_task(task).answers


def default_ladder(task: str, *, root: str = "", variant: str = "", split: str = "test") -> tuple[int, ...]:
    """Difficulties to test on when none are asked for.

    Raises:
        ValueError: unknown task, or one that is read from a folder and no folder, or one without that task's files.
    """
    known = get_task(task)
    if not known.imported:
        return known.ladder
    found = known.difficulties_in(known.check_root(root), variant, split)
    if not found:
        raise ValueError(f"{root} holds no {task} in bands of {variant or 'rating'}s, split {split}")
    return found
