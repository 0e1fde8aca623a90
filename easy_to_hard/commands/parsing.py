"""Command lines from dataclasses, by tyro, with complaints of one line."""

import contextlib
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import tyro

# Columns: in fewer than six, tyro breaks lines without end.
_NARROWEST: Final = 40


@contextlib.contextmanager
def wide_enough() -> Iterator[None]:
    """Have tyro write as if the terminal were no narrower than 40 columns."""
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
    """What `tyro.cli` gives; None where help was asked for, which is then printed.

    Args:
        kind: a dataclass, or a union of subcommands.
        arguments: of the command line.
        see: the command that a complaint refers to.
        markers: of `tyro.conf`, besides `FlagCreatePairsOff`.
        options: further ones of `tyro.cli`.

    Raises:
        ValueError: wrong usage, in one line.
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
    """What tyro's box says first, what it thinks was meant, and where to look.

    The border is drawn in Unicode or in ASCII.
    """
    lines = [line.strip("│╭╮╰╯ ") for line in box.splitlines()]
    # The title stands in the border, or above a rule of its own.
    body = lines[1:] if box.startswith("╭") else lines[2:]
    rules = [number for number, line in enumerate(body) if not line.strip("─-")]
    told = " ".join(body[: rules[0]] if rules else body)
    told = re.sub(r"^Error parsing (?:training|net|Recipe): ", "", told)
    meant = [f"; perhaps you meant {after}" for line, after in pairwise(body) if line.startswith("Perhaps")]
    return told + "".join(meant[:1]) + f" (see {see})"
