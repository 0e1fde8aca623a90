"""What an interrupt leaves of each command, as the command says it."""

from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from easy_to_hard import cli
from easy_to_hard.cli import main
from easy_to_hard.commands.data import Generate
from easy_to_hard.commands.nets import Evaluate
from easy_to_hard.commands.reference import Reference

ANEW = "nothing was kept; the same command starts over"
AGAIN = "run the same command again to "
# Those whose work is kept, and what is said of it; all others start over.
KEPT = {
    "build": AGAIN + "continue after the finished files",
    "train": AGAIN + "resume from the last checkpoint",
    "download-lichess": AGAIN + "resume the download",
    "publish": AGAIN + "send what the Hub does not have yet",
    "publish-model": AGAIN + "send what the Hub does not have yet",
    "reference": AGAIN + "continue after the finished parts",
    "generate": "x.npz was not written; the same command starts over",
}
# What each command needs to be one.
ARGUMENTS = {
    "build": "--out x",
    "verify": "x",
    "generate": "mazes 9 --num 1 --out x.npz",
    "export": "--task mazes --difficulty 9 --out x",
    "show": "mazes 9",
    "text": "mazes 9",
    "info": "",
    "convert-lichess": "x.csv --out x",
    "download-lichess": "--out x",
    "perft": "startpos 1",
    "publish": "x --repo-id a/b",
    "publish-model": "x --repo-id a/b",
    "score": "--predictions x.npz",
    "leaderboard": "",
    "train": "mazes",
    "evaluate": "--model x",
    "think": "--model x",
    "perturb": "--model x",
    "align": "--model x",
    "curves": "x.json --config mazes_9",
    "reference": "dp-instahide",
}


def _commands() -> dict[str, type]:
    found = {}
    for one in get_args(cli.Command):
        kind, *marks = get_args(one)
        found[next(mark.name for mark in marks if hasattr(mark, "name"))] = kind
    return found


COMMANDS = _commands()


def test_all_commands_are_here() -> None:
    assert set(ARGUMENTS) == set(COMMANDS)
    assert all(is_dataclass(kind) for kind in COMMANDS.values())


def _interrupt(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(kind, "run", run)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_interrupted_command_says_what_is_true_of_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _interrupt(COMMANDS[name], monkeypatch)
    assert main([name, *ARGUMENTS[name].split()]) == 130
    assert capsys.readouterr().err == f"stopped; {KEPT.get(name, ANEW)}\n"


@pytest.mark.parametrize(
    ("kind", "arguments", "told"),
    [
        (Generate, "generate mazes 9 --num 1 --out folder", AGAIN + "continue after the finished files"),
        (
            Evaluate,
            "evaluate --model x --out a.json",
            "a.json has the difficulties that were finished; the same command starts over",
        ),
        (Reference, "reference show x.json", "nothing was written"),
    ],
)
def test_what_depends_on_the_arguments(
    kind: type, arguments: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _interrupt(kind, monkeypatch)
    assert main(arguments.split()) == 130
    assert capsys.readouterr().err == f"stopped; {told}\n"


def test_generate_begins_anew_after_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from easy_to_hard.commands import data as data_commands

    def stopped(*arguments: object) -> None:
        (tmp_path / "half").touch()
        raise KeyboardInterrupt

    command = ["generate", "prefix_sums", "8", "--num", "3", "--out", str(tmp_path / "x.npz")]
    with monkeypatch.context() as patched:
        patched.setattr(data_commands, "_write_instances", stopped)
        assert main(command) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["half"]
    assert main(command) == 0
