"""Command lines from dataclasses, by tyro, with complaints of one line."""

import contextlib
import io
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import tyro


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
        with contextlib.redirect_stderr(complaint):
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
