"""Attempts in a process of its own, so that one that ends the interpreter, hangs or takes all memory is seen.

``python bounded.py MODULE SECONDS START STOP`` calls ``MODULE.attempt(number)`` and prints a line of JSON for each;
``python bounded.py MODULE SECONDS FILE ...`` calls ``MODULE.read(path)``;
before either, ``MODULE.prepare()``.
"""

import importlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of one attempt.

    Attributes:
        number: which.
        outcome: "accepted", "refused", or, where the invariant is broken, anything else.
        told: the message.
        seconds: that it took.
        megabytes: the most memory beyond what was held before; 0 where the system does not tell.
    """

    number: int
    outcome: str
    told: str
    seconds: float
    megabytes: float


def attempt_all(module: str, count: int, seconds: float) -> list[Attempt]:
    """Attempts 0 to count - 1; one that ends its process, or does not end within so many seconds, is "crashed"."""
    return _all(module, range(count), seconds)


def read_files(module: str, paths: Sequence[Path], seconds: float) -> list[Attempt]:
    """What comes of each of some files, likewise."""
    return _all(module, paths, seconds)


def _all(module: str, what: Sequence[int] | Sequence[Path], seconds: float) -> list[Attempt]:
    done: list[Attempt] = []
    while len(done) < len(what):
        rest = [str(len(done)), str(len(what))] if isinstance(what, range) else [*map(str, what[len(done) :])]
        command = [sys.executable, __file__, module, str(seconds), *rest]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line for line in child.stdout.splitlines() if line.endswith("}")]
        done += [Attempt(**json.loads(line) | {"number": len(done) + place}) for place, line in enumerate(lines)]
        if len(done) < len(what):
            told = f"exit code {child.returncode}: {child.stderr[-2000:]}"
            done.append(Attempt(number=len(done), outcome="crashed", told=told, seconds=seconds, megabytes=0.0))
    return done


def summary(attempts: Sequence[Attempt]) -> str:
    """How many there were of each outcome, the slowest one and the one that took most memory."""
    counts = ", ".join(
        f"{count:,} {outcome}" for outcome, count in sorted(Counter(a.outcome for a in attempts).items())
    )
    slowest = max(attempts, key=lambda attempt: attempt.seconds)
    largest = max(attempts, key=lambda attempt: attempt.megabytes)
    return (
        f"{len(attempts):,} attempts: {counts}; slowest {slowest.seconds:.2f} s ({slowest.number}), "
        f"most memory {largest.megabytes:.0f} MB ({largest.number})"
    )


def _held(name: str) -> float:
    if not _STATUS.exists():
        return 0.0
    return int(_STATUS.read_text(encoding="utf-8").split(f"{name}:")[1].split()[0]) / 1000


def _attempt(number: int, seconds: float, function: Callable[[], tuple[str, str]]) -> None:
    if _CLEAR.exists():
        # Begins to count the most memory anew.
        _CLEAR.write_text("5", encoding="utf-8")
    before, started = _held("VmRSS"), time.perf_counter()
    # What it does is to end the process.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    outcome, told = function()
    signal.setitimer(signal.ITIMER_REAL, 0)
    took, most = time.perf_counter() - started, max(0.0, _held("VmHWM") - before)
    done = Attempt(number=number, outcome=outcome, told=told, seconds=round(took, 3), megabytes=round(most, 1))
    print(json.dumps(asdict(done)), flush=True)


def _main(name: str, seconds: float, *what: str) -> None:
    module = importlib.import_module(name)
    # What takes long once in a process is no attempt's.
    module.prepare()
    if what[0].isdecimal():
        for number in range(*map(int, what)):
            _attempt(number, seconds, partial(module.attempt, number))
    else:
        for number, path in enumerate(what):
            _attempt(number, seconds, partial(module.read, Path(path)))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    _main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
