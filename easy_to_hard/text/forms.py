"""The tasks that can be asked as text."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from easy_to_hard.text.chess_mates import ChessMateText
from easy_to_hard.text.form import TextForm
from easy_to_hard.text.mazes import MazeText
from easy_to_hard.text.prefix_sums import PrefixSumText

_REGISTERED: Final[dict[str, TextForm[Any]]] = {}
FORMS: Final[Mapping[str, TextForm[Any]]] = MappingProxyType(_REGISTERED)


def register_form(form: TextForm[Any]) -> None:
    """Enter a task's text form in `FORMS`; ValueError if it has one already."""
    if form.task in FORMS:
        raise ValueError(f"{form.task} has a text form already")
    _REGISTERED[form.task] = form


def get_form(task: str) -> TextForm[Any]:
    """The text form of a task, or ValueError that lists the tasks that have one."""
    if task not in FORMS:
        raise ValueError(f"{task!r} cannot be asked as text: choose one of {', '.join(FORMS)}")
    return FORMS[task]


register_form(PrefixSumText())
register_form(MazeText())
register_form(ChessMateText())
