"""What becomes of a mutant of a result file: see `test_result_mutations`."""

import contextlib
import io
import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from fuzz.result_mutants import mutant

from easy_to_hard.cli import main
from easy_to_hard.leaderboard.collect import shipped_results

# Not of chess, whose boards take long to draw.
_RESULTS: Final = ("breadth_first-mazes-looped", "mazes-cpu-seed0", "prefix-sums-cpu-seed1-512-held", "random-mazes")
_REFERENCES: Final = ("canary-cifar10-small", "dp-instahide-mazes-small")


@cache
def _base(name: str) -> dict[str, Any]:
    base: dict[str, Any] = json.loads((shipped_results() / f"{name}.json").read_text(encoding="utf-8"))
    if "/" not in name:
        # To score it again takes no time: the predictions are not here.
        base["submission"] = {"kind": "predictions", "source": "nowhere.parquet", "sha256": "a" * 64}
    return base


def prepare() -> None:
    """Take a whole file of each kind through all commands."""
    for name in (*_RESULTS, *(f"reference/{name}" for name in _REFERENCES)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("reference.json" if "/" in name else "result.json")
            path.write_text(json.dumps(_base(name)))
            assert read(path)[0] == "accepted"


def attempt(number: int) -> tuple[str, str]:
    """What comes of mutant `number`."""
    rng = random.Random(f"result {number}")
    reference = rng.random() < 0.3
    base = _base(f"reference/{rng.choice(_REFERENCES)}" if reference else rng.choice(_RESULTS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("reference.json" if reference else "result.json")
        path.write_bytes(mutant(base, rng))
        return read(path)


def read(path: Path) -> tuple[str, str]:
    """What comes of a file: what all commands that take it say, or the first that says something else."""
    out = str(path.parent / "out")
    commands = {
        "reference.json": (["reference", "show", str(path)],),
        "result.json": (
            ["leaderboard", "--results", str(path), "--out", out],
            ["score", "--again", str(path), "--quiet"],
            ["curves", str(path), "--config", "mazes_13", "--out", f"{out}.svg"],
        ),
    }[path.name]
    outcome, told = "", ""
    for command in commands:
        code, told = _run(command)
        if told.startswith("raised "):
            return f"{command[0]} crashed", told
        # A right file of which there is nothing to score again, or to draw; the page shows what was trained elsewhere.
        fine = ("are not here", "no submission", "no curve at", "configs are named like prefix_sums_32")
        expected = any(words in told for words in fine)
        found = "accepted" if code == 0 or expected else "refused"
        if found == "refused" and (told.count("\n") != 1 or path.name not in told or len(told) > 1000):
            return f"{command[0]} refused it, but not in one line that names it", told
        if found != (outcome or found):
            return f"{outcome}, but {found} by {command[0]}", told
        outcome = found
    return outcome, told


def _run(command: list[str]) -> tuple[int, str]:
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            code = main(command)
    except BaseException as error:
        return 1, f"raised {error!r}"[:2000]
    return code, told.getvalue()
