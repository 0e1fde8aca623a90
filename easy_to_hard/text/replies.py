"""Finds the answer in a free-form reply.

An answer may be marked: ``<answer>...</answer>``, ``\\boxed{...}``, or what follows ``Answer:`` or a heading that is
only ``Answer``. What is marked and cannot be read is passed over, but all that can be read must be one and the same
answer. Only if there is none, what follows ``the answer is`` counts, then blocks in fences, and at last the whole
reply. What a model thinks, ``<think>...</think>``, never counts.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from easy_to_hard.text.form import AmbiguousError, Answer, UnreadableError

# Of a longer reply, only the end is looked at.
MOST_CHARACTERS: Final = 200_000
_LABEL: Final = re.compile(
    r"\banswer[*_]{0,3}(?:[ \t]{1,3}is\b)?[ \t]{0,3}:[*_]{0,3}"
    r"|^[ \t]{0,3}#{0,6}[ \t]{0,3}[*_]{0,3}(?:final[ \t]{1,3})?answer[*_]{0,3}[ \t]{0,3}$",
    re.IGNORECASE | re.MULTILINE,
)
_SAID: Final = re.compile(r"\banswer[*_]{0,3}[ \t]{1,3}is\b[*_]{0,3}", re.IGNORECASE)
_TAG: Final = re.compile(r"<answer>", re.IGNORECASE)
_END_TAG: Final = re.compile(r"</answer>", re.IGNORECASE)
_BOXED: Final = re.compile(r"\\boxed\{(?:\\text[a-z]{0,4}\{)?([^{}]*)\}")
_EMPTY_LINE: Final = re.compile(r"\n[ \t\r]*\n")
_FENCE: Final = "```"


def find_answer(reply: str, read: Callable[[str], Answer]) -> Answer:
    """The answer in a reply.

    Args:
        reply: what a model said.
        read: takes a text and returns the answer that it is, or raises UnreadableError.

    Raises:
        UnreadableError: there is none, or there are several.
    """
    spoken = reply[-MOST_CHARACTERS:].rpartition("</think>")[2].partition("<think>")[0]
    complaint = UnreadableError("the reply is empty")
    for find in (_marked, _said, _fenced, _whole):
        answers: dict[Answer, None] = {}
        for texts in find(spoken):
            try:
                answers[_read_first(texts, read)] = None
            except AmbiguousError:
                raise
            except UnreadableError as error:
                complaint = error
        if len(answers) > 1:
            raise AmbiguousError(f"the reply gives {len(answers)} different answers")
        if answers:
            return next(iter(answers))
    raise complaint


def _read_first(texts: list[str], read: Callable[[str], Answer]) -> Answer:
    """The answer in the first text that can be read."""
    complaint = UnreadableError("the reply is empty")
    for text in filter(None, map(str.strip, texts)):
        try:
            return read(text)
        except AmbiguousError:
            raise
        except UnreadableError as error:
            complaint = error
    raise complaint


def _marked(text: str) -> Iterator[list[str]]:
    """What is marked as the answer, each as the texts that it may be."""
    for part in _TAG.split(text)[1:]:
        yield [_without_fence(_END_TAG.split(part, 1)[0])]
    for inside in _BOXED.findall(text):
        yield [inside]
    yield from _after(_LABEL, text)


def _said(text: str) -> Iterator[list[str]]:
    """What follows "the answer is", as thoughts may say of each step."""
    yield from _after(_SAID, text)


def _after(label: re.Pattern[str], text: str) -> Iterator[list[str]]:
    for part in label.split(text)[1:]:
        # A paragraph, or only its first line, so that a sentence may follow.
        paragraph = _EMPTY_LINE.split(part.strip(), 1)[0]
        yield [_without_fence(part)] if part.lstrip().startswith(_FENCE) else [paragraph, paragraph.partition("\n")[0]]


def _fenced(text: str) -> Iterator[list[str]]:
    for part in text.split(_FENCE)[1::2]:
        yield [_without_language(part)]


def _whole(text: str) -> Iterator[list[str]]:
    yield [text]


def _without_fence(text: str) -> str:
    """The inside of the fence that a text begins with; otherwise the text."""
    bare = text.strip()
    return _without_language(bare.split(_FENCE, 2)[1]) if bare.startswith(_FENCE) else text


def _without_language(block: str) -> str:
    """The inside of a fence without the name of a language."""
    first, newline, rest = block.partition("\n")
    return rest if newline and re.fullmatch(r"[A-Za-z]{0,20}[ \r]*", first) else block
