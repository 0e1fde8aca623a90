"""Instances as prompts for language models, and a verifier of what they reply.

Only the generators, the tasks and NumPy are needed.

- `items`: the instances, by number or by id
- `forms`: the tasks that can be asked as text, each a subclass of `form.TextForm`
- `replies`: where the answer is in a reply
- `ladders`: which difficulties fit which context window
- `bounds`: replies that need no model: none, a guess, the solver's answer
- `jsonl`: files of prompts and of replies

`easy_to_hard.adapters` has the same for reasoning-gym, verifiers and inspect-ai.
"""

from easy_to_hard.text.form import AmbiguousError as AmbiguousError
from easy_to_hard.text.form import TextForm as TextForm
from easy_to_hard.text.form import UnreadableError as UnreadableError
from easy_to_hard.text.form import Verdict as Verdict
from easy_to_hard.text.forms import FORMS as FORMS
from easy_to_hard.text.forms import get_form as get_form
from easy_to_hard.text.forms import register_form as register_form
from easy_to_hard.text.items import Item as Item
from easy_to_hard.text.items import items_at as items_at
from easy_to_hard.text.items import items_of as items_of
from easy_to_hard.text.items import make_items as make_items
from easy_to_hard.text.ladders import estimate_tokens as estimate_tokens
from easy_to_hard.text.ladders import ladder as ladder
from easy_to_hard.text.replies import find_answer


def prompt(item: Item, style: str = "") -> str:
    """What to ask a model about an item.

    Args:
        item: from `make_items` or `items_of`.
        style: one of the task's styles (`get_form(task).styles`); "" for the first.

    Raises:
        ValueError: the task has no text form, or no such style.
    """
    form = get_form(item.spec.task)
    return form.prompt(item.data, item.spec.difficulty, form.check_style(style))


def answer(item: Item, style: str = "") -> str:
    """The right answer, written as the prompt of that style asks for it; for the arguments, see `prompt`."""
    form = get_form(item.spec.task)
    return form.answer(item.data, item.spec.difficulty, form.check_style(style))


def verify(item: Item, reply: str | None) -> Verdict:
    """Find the answer in a free-form reply, and judge it. What a reply says never raises an error; None is no reply."""
    form = get_form(item.spec.task)
    try:
        found = find_answer(reply or "", lambda text: form.read(text, item.data, item.spec.difficulty))
    except UnreadableError as error:
        return Verdict(correct=False, score=0.0, reason=f"unreadable: {error}")
    return form.judge(found, item.data, item.spec.difficulty)
