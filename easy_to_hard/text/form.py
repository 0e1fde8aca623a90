"""What a task defines to be asked as text: its prompts, its answers, how a reply is read, and when it is right."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Answer = TypeVar("Answer", bound=Hashable)


class UnreadableError(ValueError):
    """A text is no answer to the task; the message says why."""


class AmbiguousError(UnreadableError):
    """A text could mean several answers; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a reply is worth.

    Attributes:
        correct: whether the answer is right as a whole.
        score: partial credit from 0 to 1, as defined by the task; 1 if and only if the answer is right.
        reason: one line that begins with "right: ", "wrong: " or "unreadable: ".
    """

    correct: bool
    score: float
    reason: str

    @property
    def readable(self) -> bool:
        """Whether there was an answer."""
        return not self.reason.startswith("unreadable")


def right(reason: str) -> Verdict:
    """The verdict on a right answer."""
    return Verdict(correct=True, score=1.0, reason=f"right: {reason}")


def wrong(reason: str, score: float = 0.0) -> Verdict:
    """The verdict on a wrong answer."""
    return Verdict(correct=False, score=score, reason=f"wrong: {reason}")


def leading_share(answer: Sequence[Any], target: Sequence[Any]) -> float:
    """How many elements agree before the first that does not, as a share of the longer of both; in [0, 1]."""
    longest = max(len(answer), len(target))
    agreeing = next((i for i, (a, b) in enumerate(zip(answer, target, strict=False)) if a != b), None)
    return (min(len(answer), len(target)) if agreeing is None else agreeing) / longest if longest else 1.0


class TextForm(ABC, Generic[Answer]):
    """A task in words. Instances are in their compact form, a row of `Instances.data`; only NumPy is needed.

    Attributes:
        task: name of the task.
        styles: name of a style -> what its prompts show and ask for; the first is the default.
        ladders: name of a ladder -> its difficulties, ascending. In ladder "8k", prompt and answer in the default style
            take at most 8,000 tokens together, see `easy_to_hard.text.ladders`.
    """

    task: str
    styles: ClassVar[Mapping[str, str]]
    ladders: ClassVar[Mapping[str, tuple[int, ...]]]

    def check_style(self, style: str) -> str:
        """Return the style, "" standing for the first, or raise ValueError that lists the styles."""
        if style == "":
            return next(iter(self.styles))
        if style not in self.styles:
            raise ValueError(f"unknown style {style!r} of {self.task}: {', '.join(self.styles)}")
        return style

    @abstractmethod
    def prompt(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """What is given, what is asked, and that the reply ends with ``Answer: `` and the answer."""

    @abstractmethod
    def answer(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The right answer, written as the prompt of that style asks for it."""

    @abstractmethod
    def guess(self, data: NDArray[Any], difficulty: int, rng: np.random.Generator) -> str:
        """An answer at random, in the default style: what knowing the rules alone is worth."""

    @abstractmethod
    def read(self, text: str, data: NDArray[Any], difficulty: int) -> Answer:
        """The answer that the whole of a text is, in any of the forms that the task accepts.

        Raises:
            UnreadableError: it is none.
            AmbiguousError: it could mean several.
        """

    @abstractmethod
    def judge(self, answer: Answer, data: NDArray[Any], difficulty: int) -> Verdict:
        """Whether an answer that has been read is right, and its partial credit."""
