"""Command lines from dataclasses, with tyro, and with one-line error messages."""

import contextlib
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import tyro

# In columns; in fewer than six, tyro breaks lines forever.
_NARROWEST: Final = 40


@contextlib.contextmanager
def wide_enough() -> Iterator[None]:
    """Make tyro format its output for at least 40 columns, even in a narrower terminal."""
    if shutil.get_terminal_size().columns >= _NARROWEST:
        yield
        return
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_NARROWEST)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def parse(kind: Any, arguments: Sequence[str], *, see: str, markers: Sequence[Any] = (), **options: Any) -> Any:
    """The result of `tyro.cli`; None if help was requested, which has then been printed.

    Args:
        kind: a dataclass, or a union of subcommands.
        arguments: the command line's arguments.
        see: the command that an error message refers to.
        markers: markers from `tyro.conf`, besides `FlagCreatePairsOff`.
        options: further options of `tyro.cli`.

    Raises:
        ValueError: wrong usage; the message is one line.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), wide_enough():
            return tyro.cli(kind, args=arguments, config=(tyro.conf.FlagCreatePairsOff, *markers), **options)
    except SystemExit as stop:
        if stop.code:
            raise ValueError(_one_line(complaint.getvalue(), see)) from None
        return None


def _one_line(box: str, see: str) -> str:
    """tyro's error box as one line: its first message, its best suggestion, and where to look.

    The border is drawn in Unicode or in ASCII.
    """
    lines = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    # The title is in the border, or above a rule of its own.
    body = lines[1:] if box.startswith("╭") else lines[2:]
    rules = [number for number, line in enumerate(body) if not line.strip("─-")]
    told = " ".join(body[: rules[0]] if rules else body)
    told = re.sub(r"^Error parsing (?:training|net|Recipe): ", "", told)
    meant = [f"; perhaps you meant {after}" for line, after in pairwise(body) if line.startswith("Perhaps")]
    return told + "".join(meant[:1]) + f" (see {see})"
