"""A client of the Hub of the tests that runs one snippet after another in one process: imports cost seconds, once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_client import client_environment
from hub_server import HubServer

# Waits are noted and cut short, ours and those of huggingface_hub.
_LOOP = """
import contextlib, io, json, os, sys, time

waits, really_sleep = [], time.sleep


def sleep(seconds):
    waits.append(seconds)
    really_sleep(min(seconds, 0.01))


time.sleep = sleep


def command(*arguments):
    from easy_to_hard.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return code, out.getvalue(), err.getvalue()


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
names = globals()
for line in sys.stdin:
    waits.clear()
    names["answer"] = None
    told = {}
    try:
        exec(json.loads(line), names)
        told["answer"] = names["answer"]
    except Exception as error:
        told["error"], told["message"] = type(error).__name__, str(error)
    told["waits"] = list(waits)
    answers.write(json.dumps(told, default=str) + "\\n")
    answers.flush()
"""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a snippet.

    Attributes:
        answer: what it left in the variable `answer`, through JSON.
        error, message: type and text of what it raised; "" for nothing.
        waits: seconds that it wanted to sleep, in order.
    """

    answer: Any
    error: str
    message: str
    waits: list[float]


class HubSession:
    """A running client; `command(*argv)` in a snippet gives exit code, output and errors of `easy-to-hard`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, code: str) -> Told:
        """Run a snippet; names that former ones defined are still there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client has died"
        told = json.loads(line)
        return Told(
            answer=told.get("answer"),
            error=told.get("error", ""),
            message=told.get("message", ""),
            waits=told["waits"],
        )

    def answer(self, code: str) -> Any:
        """What a snippet that must succeed leaves in `answer`."""
        told = self.run(code)
        assert not told.error, f"{told.error}: {told.message}"
        return told.answer


@contextmanager
def hub_session(hub: HubServer, home: Path, *, token: bool = True, offline: bool = False) -> Iterator[HubSession]:
    """A client of `hub` whose caches are in `home`."""
    environment = client_environment(hub, home, token=token, offline=offline)
    process = subprocess.Popen(
        [sys.executable, "-c", _LOOP],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield HubSession(process)
        finally:
            process.kill()
