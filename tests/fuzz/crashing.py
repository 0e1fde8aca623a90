"""Runs of commands that are killed, or find the disk full: each in a fork of one process that has loaded the package.

``python -m fuzz.crashing kill CASES FOLDER POINTS`` kills commands of `CASES`, a comma between two, at file events, and
sees that the same command then ends as if it had never been killed. POINTS is how many events of each, spread evenly;
0 for all of them.
``python -m fuzz.crashing full CASES FOLDER POINTS`` leaves a disk, FOLDER/disk, less and less room instead.
A line of JSON for each command is what came of it.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

KILLED: Final = 77
# And the commit, which is another where somebody commits meanwhile.
_TIMES: Final = ("seconds", "training_seconds", "evaluation_seconds", "items_per_second", "commit")
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS: Final = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate")
_ROWS: Final = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
_NET: Final = ["--width", "8", "--head-widths", "8", "4", "--batch-size", "4", "--max-iterations", "3"]

CASES: Final[Mapping[str, list[str]]] = {
    "build": ["build", "--preset", "tiny", "--threads", "1", "--quiet"],
    "train": ["train", "prefix-sums", "--preset", "fast", "--steps", "3", "--hold-share", "0", "--quiet", *_NET],
    "convert": ["convert-lichess", str(_ROWS), "--quiet"],
    "convert-planes": ["convert-lichess", str(_ROWS), "--planes", "--quiet"],
    "generate": ["generate", "prefix_sums", "16", "--num", "20"],
    "reference": ["reference", "dp-instahide", "--data", "prefix_sums", "--preset", "smoke", "--quiet"],
}
"""Name to the command without its --out."""


def command(case: str, out: Path) -> list[str]:
    """The command's arguments."""
    return [*CASES[case], "--out", str(out / "items.npz" if case == "generate" else out)]


# ---- what a folder holds


def contents(folder: Path) -> dict[str, Any]:
    """Path to what it holds, but for times, which no two runs share."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts)
    return {path.relative_to(folder).as_posix(): _content(path) for path in paths}


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return [_timeless(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".pt":
        import torch

        return repr(_timeless(torch.load(path, weights_only=True)))
    if path.suffix == ".md":
        return re.sub(r"[\d.,]+ s on |commit \S+", "", path.read_text(encoding="utf-8"))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in _TIMES}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


# ---- forks


def in_fork(work: Callable[[], int], told: Path) -> int:
    """The exit code of a function in a process of its own, whose standard error goes to a file."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            for stream, path in ((1, os.devnull), (2, str(told))):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            code = work()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(case: str, out: Path) -> int:
    """The command, in this process."""
    import torch

    from easy_to_hard.cli import main

    torch.set_num_threads(1)
    return main(command(case, out))


class Killer:
    """Counts what this process does to files below a folder, and ends it at one of these events.

    Events are opening for writing, renaming, removing, making a folder, and syncing; at a sync the file is cut in half
    first, as a power failure may leave what was not synced.
    """

    def __init__(self, folder: Path, last: int) -> None:
        self._folder, self._last = str(folder), last
        self.count = 0
        sys.addaudithook(self._heard)
        self._sync = os.fsync
        os.fsync = self._synced  # type: ignore[assignment]

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in "wax+" for letter in mode or "") or bool((flags or 0) & _WRITES)
            if writes and str(path).startswith(self._folder):
                self._happened()
        elif event in _EVENTS and str(arguments[0]).startswith(self._folder):
            self._happened()

    def _synced(self, handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.is_file() and self.count + 1 == self._last:
            with path.open("r+b") as file:
                file.truncate(path.stat().st_size // 2)
        self._happened()
        self._sync(handle)

    def _happened(self) -> None:
        self.count += 1
        if self.count == self._last:
            os._exit(KILLED)


def _count(case: str, out: Path) -> int:
    """How many events an unbroken run has; it leaves its folder."""
    noted = out.with_suffix(".events")

    def work() -> int:
        killer = Killer(out, 0)
        code = run(case, out)
        noted.write_text(str(killer.count))
        return code

    code = in_fork(work, out.with_suffix(".told"))
    if code != 0:
        raise RuntimeError(f"{case} ended with {code}: {out.with_suffix('.told').read_text()}")
    return int(noted.read_text())


def _spread(last: int, points: int) -> list[int]:
    if points == 0 or points >= last:
        return list(range(1, last + 1))
    return sorted({1 + round(number * (last - 1) / (points - 1)) for number in range(points)})


def kill(case: str, folder: Path, points: int) -> dict[str, Any]:
    """Kill at each of so many events, run again, compare."""
    folder = folder / case
    folder.mkdir()
    total = _count(case, folder / "unbroken")
    expected = contents(folder / "unbroken")
    out, told = folder / "killed", folder / "killed.told"
    problems = []
    chosen = _spread(total, points)
    for point in chosen:
        shutil.rmtree(out, ignore_errors=True)

        def killed(last: int = point) -> int:
            Killer(out, last)
            return run(case, out)

        code = in_fork(killed, told)
        if code != KILLED:
            problems.append(f"event {point}: ended with {code} before it came: {told.read_text()}")
            continue
        code = in_fork(lambda: run(case, out), told)
        found = contents(out) if code == 0 else {}
        if code != 0:
            problems.append(f"event {point}: the next run ended with {code}: {told.read_text()}")
        elif found != expected:
            names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            problems.append(f"event {point}: {', '.join(names)} differ from an unbroken run")
    return {"case": case, "events": total, "tried": len(chosen), "problems": problems}


# ---- full disks


def _fill(disk: Path, free: int) -> None:
    """Leave so many bytes of a small disk."""
    with (disk / "filling").open("wb") as file:
        left = shutil.disk_usage(disk).free - free
        while left > 0:
            file.write(bytes(min(left, 2**16)))
            left -= 2**16
        file.flush()


def full(case: str, folder: Path, points: int) -> dict[str, Any]:
    """Run with ever less room, see what is told and left, make room, run again, compare."""
    disk, told = folder / "disk", folder / "full.told"
    unbroken = folder / case
    code = in_fork(lambda: run(case, unbroken), told)
    if code != 0:
        raise RuntimeError(f"{case} ended with {code}: {told.read_text()}")
    expected = contents(unbroken)
    size = sum(path.stat().st_size for path in unbroken.rglob("*") if path.is_file())
    problems, lines = [], []
    chosen = [round(size * number / (points + 1)) for number in range(points)]
    for free in chosen:
        out = disk / "out"
        shutil.rmtree(out, ignore_errors=True)
        _fill(disk, free)
        code = in_fork(lambda: run(case, disk / "out"), told)
        line = told.read_text()
        lines.append(line.strip())
        if code == 0:
            problems.append(f"{free} bytes free: ended with 0")
        elif len(line.strip().splitlines()) != 1 or "disk is full" not in line or str(disk) not in line:
            problems.append(f"{free} bytes free: told {line!r}")
        left = [path.name for path in disk.rglob(".*.tmp")]
        if left:
            problems.append(f"{free} bytes free: left {left}")
        (disk / "filling").unlink()
        code = in_fork(lambda: run(case, disk / "out"), told)
        if code != 0 or contents(disk / "out") != expected:
            problems.append(f"{free} bytes free: the next run ended with {code}: {told.read_text()}")
    return {"case": case, "bytes": size, "tried": len(chosen), "problems": problems, "told": lines}


def main() -> None:
    """See the module."""
    way, cases, folder, points = sys.argv[1:]
    import easy_to_hard.baselines.deep_thinking.training_run
    import easy_to_hard.baselines.dp_instahide.on_puzzles
    import easy_to_hard.cli  # noqa: F401  # loaded once, before the forks
    from easy_to_hard.progress import keep_bars_in_this_process

    keep_bars_in_this_process()
    for case in cases.split(","):
        print(json.dumps({"kill": kill, "full": full}[way](case, Path(folder), int(points))), flush=True)


if __name__ == "__main__":
    main()
