"""The `easy-to-hard` command.

Exit codes: 0 success, 1 failure, 2 wrong usage. Each error is one line on standard error.
"""

import difflib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, NoReturn, TypeAlias, get_args

from tyro.conf import subcommand

from easy_to_hard.commands.chess import ConvertLichess, DownloadLichess, Perft
from easy_to_hard.commands.data import Build, Export, Generate, Info, Show, Verify
from easy_to_hard.commands.hub import Publish, PublishModel
from easy_to_hard.commands.leaderboard import Leaderboard, Score
from easy_to_hard.commands.nets import Align, Curves, Evaluate, Perturb, Think, Train
from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference import Method, Reference
from easy_to_hard.commands.text import Text
from easy_to_hard.environment import describe_versions
from easy_to_hard.extras import naming_extra

Command: TypeAlias = (
    Annotated[Build, subcommand("build")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Show, subcommand("show")]
    | Annotated[Info, subcommand("info")]
    | Annotated[ConvertLichess, subcommand("convert-lichess")]
    | Annotated[DownloadLichess, subcommand("download-lichess")]
    | Annotated[Perft, subcommand("perft")]
    | Annotated[Publish, subcommand("publish")]
    | Annotated[PublishModel, subcommand("publish-model")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Leaderboard, subcommand("leaderboard")]
    | Annotated[Text, subcommand("text")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Think, subcommand("think")]
    | Annotated[Perturb, subcommand("perturb")]
    | Annotated[Align, subcommand("align")]
    | Annotated[Curves, subcommand("curves")]
    | Annotated[Reference, subcommand("reference")]
)

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    _open_standard_files()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a wall's character shows a question mark.
        sys.stdout.reconfigure(errors="replace")
    command: Command | None = None
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        command = _parse(given)
        with naming_extra(f"easy-to-hard {' '.join(given[:1])} needs"):
            if command is None:
                return 0
            if arguments is None:
                from easy_to_hard.progress import keep_bars_in_this_process

                keep_bars_in_this_process()
            return command.run()
    except BrokenPipeError:
        # The reader of the pipe has closed it, as in `easy-to-hard show ... | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"stopped; {_when_stopped(command)}", file=sys.stderr)
        return _INTERRUPTED
    except ValueError as error:
        return _fail(str(error), 2)
    except (RuntimeError, OSError, ImportError, MemoryError, OverflowError) as error:
        return _fail(str(error) or type(error).__name__, 1)


def _open_standard_files() -> None:
    """Point closed standard streams, as after ``2>&-``, to the null device, so that no other file gets their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # This gets the lowest free number.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None and number > 0:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _parse(arguments: list[str]) -> Command | None:
    """The command; None if help or the versions were requested, which have then been printed."""
    options: dict[str, Any] = {
        "see": "easy-to-hard --help",
        "prog": "easy-to-hard",
        "description": "Graded datasets for easy-to-hard generalization, and nets that solve them. "
        "`easy-to-hard --version` says which versions are installed.",
    }
    command: Command | None
    if arguments == ["--version"]:
        print(describe_versions())
        return None
    if arguments and not arguments[0].startswith("-"):
        _check_name("command", arguments[0], Command, options["see"])
        options["see"] = f"easy-to-hard {arguments[0]} --help"
        if arguments[0] == "reference" and len(arguments) > 1 and not arguments[1].startswith("-"):
            _check_name("method", arguments[1], Method, options["see"])
    if arguments[:1] == ["train"]:
        # Flags that `train` does not know are settings of the preset.
        parsed = parse(Command, arguments, return_unknown_args=True, **options)
        command = None if parsed is None else replace(parsed[0], overrides=tuple(parsed[1]))
    else:
        command = parse(Command, arguments, **options)
    return command


def _check_name(what: str, given: str, kinds: Any, see: str) -> None:
    """Raise ValueError if a name is not one of those that the annotations in a union of subcommands give."""
    names = [str(get_args(kind)[1].name) for kind in get_args(kinds)]
    if given not in names:
        near = difflib.get_close_matches(given, names, n=1)
        told = f"perhaps you meant {near[0]}" if near else f"choose one of {', '.join(names)}"
        raise ValueError(f"no {what} {given[:60]!r}: {told} (see {see})")


def _when_stopped(command: Command | None) -> str:
    """What an interrupted command leaves behind; commands that keep something define `when_stopped`."""
    told = getattr(command, "when_stopped", None)
    return str(told()) if told is not None else "nothing was kept; the same command starts over"


def _fail(message: str, code: int) -> int:
    print(f"easy-to-hard: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def run() -> NoReturn:
    """Run `main`, then end the process, even if a thread is still computing."""
    code = main()
    if code == _INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run()
