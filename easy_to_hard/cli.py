"""The `easy-to-hard` command.

Exit codes: 0 all is well, 1 something failed, 2 wrong usage. Errors are one line on the standard error.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, TypeAlias

import tyro
from tyro.conf import subcommand

from easy_to_hard.data_commands import Build, Generate, Info, Show, Verify
from easy_to_hard.net_commands import Align, Curves, Evaluate, Perturb, Think, Train

Command: TypeAlias = (
    Annotated[Build, subcommand("build")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Info, subcommand("info")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Think, subcommand("think")]
    | Annotated[Perturb, subcommand("perturb")]
    | Annotated[Align, subcommand("align")]
    | Annotated[Curves, subcommand("curves")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a wall's character shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    command = _parse(sys.argv[1:] if arguments is None else list(arguments))
    if isinstance(command, int):
        return command
    try:
        return command.run()
    except BrokenPipeError:
        # The reader of a pipe has gone, as in `easy-to-hard show ... | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("stopped; the same command goes on with what is stored", file=sys.stderr)
        return 130
    except ValueError as error:
        return _fail(str(error), 2)
    except (RuntimeError, OSError, ImportError, MemoryError, OverflowError) as error:
        return _fail(str(error) or type(error).__name__, 1)


def _parse(arguments: list[str]) -> Command | int:
    """The command, or the exit code where there is nothing to run."""
    complaint = io.StringIO()
    options: dict[str, Any] = {
        "prog": "easy-to-hard",
        "description": "Graded datasets for easy-to-hard generalization, and nets that solve them.",
        "args": arguments,
        "config": (tyro.conf.FlagCreatePairsOff,),
    }
    try:
        with contextlib.redirect_stderr(complaint):
            if arguments[:1] == ["train"]:
                # What `train` does not know is for the preset.
                train, unknown = tyro.cli(Command, return_unknown_args=True, **options)
                command: Command = replace(train, overrides=tuple(unknown))
            else:
                command = tyro.cli(Command, **options)
            return command
    except SystemExit as stop:
        return _fail(one_line(complaint.getvalue(), "easy-to-hard --help"), 2) if stop.code else 0


def one_line(box: str, see: str) -> str:
    """What tyro's box says first, what it thinks was meant, and where to look (a command).

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


def _fail(message: str, code: int) -> int:
    print(f"easy-to-hard: error: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
