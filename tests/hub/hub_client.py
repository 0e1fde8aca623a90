"""Clients of the Hub of the tests: fresh processes, since the libraries read their settings when they are imported."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from hub_server import HubServer


def client_environment(hub: HubServer, home: Path, *, token: bool = True, offline: bool = False) -> dict[str, str]:
    """This process's environment with `hub` as the only Hub and `home` for all caches and stored tokens."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        environment.pop(name, None)
        environment.pop(name.upper(), None)
    environment |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    if token:
        environment["HF_TOKEN"] = "hf_test"
    if offline:
        environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return environment


@overload
def run_client(
    hub: HubServer,
    code_or_argv: str | Sequence[str],
    home: Path,
    *,
    token: bool = True,
    offline: bool = False,
    timeout: float = 120,
    wait: Literal[True] = True,
) -> subprocess.CompletedProcess[str]: ...


@overload
def run_client(
    hub: HubServer,
    code_or_argv: str | Sequence[str],
    home: Path,
    *,
    token: bool = True,
    offline: bool = False,
    timeout: float = 120,
    wait: Literal[False],
) -> subprocess.Popen[str]: ...


def run_client(
    hub: HubServer,
    code_or_argv: str | Sequence[str],
    home: Path,
    *,
    token: bool = True,
    offline: bool = False,
    timeout: float = 120,
    wait: bool = True,
) -> subprocess.CompletedProcess[str] | subprocess.Popen[str]:
    """Runs a client of `hub` in a process of its own.

    Args:
        code_or_argv: Python code (str), or the arguments of the `easy-to-hard` command (list).
        home: HF_HOME; a fresh folder is a fresh machine.
        token: whether the client has one.
        offline: whether the libraries are told that there is no network.
        timeout: seconds that the client may take.
        wait: False gives the running process, for the caller to end (`with` closes its pipes and waits).

    Returns:
        What came of it, with stdout and stderr as text; a failure is for the caller to look at.
    """
    if isinstance(code_or_argv, str):
        command = [sys.executable, "-c", code_or_argv]
    else:
        command = [sys.executable, "-m", "easy_to_hard.cli", *code_or_argv]
    environment = client_environment(hub, home, token=token, offline=offline)
    if wait:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
