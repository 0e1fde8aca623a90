"""A client of the Hub of the tests that lives through many scenarios: importing the libraries takes seconds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from hub_client import client_environment
from hub_server import HubServer

_LOOP = """
import json, sys
lines, sys.stdout = sys.stdout, sys.stderr
names = {}
for line in sys.stdin:
    answer = {}
    try:
        exec(json.loads(line), names)
        answer["value"] = names.pop("result", None)
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), file=lines, flush=True)
"""


class ClientError(Exception):
    """What the client raised: its type and message."""


class HubSession:
    """A process whose only Hub is `hub`; use as a context.

    Args:
        hub: the server.
        home: HF_HOME.
        token: whether it has one.
        offline: whether the libraries are told that there is no network.
    """

    def __init__(self, hub: HubServer, home: Path, *, token: bool = True, offline: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            env=client_environment(hub, home, token=token, offline=offline),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, code: str) -> Any:
        """Run code in the process; names stay from one call to the next.

        Returns:
            what it called `result`, as JSON gives it.

        Raises:
            ClientError: what the code raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ClientError(answer["error"])
        return answer["value"]

    def use_cache(self, folder: Path) -> None:
        """From now on keep what comes from the Hub in this folder."""
        self.run(f"import huggingface_hub.constants as c; c.HF_HUB_CACHE = {str(folder)!r}")
