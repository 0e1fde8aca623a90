"""What the commands of all reference methods begin and end with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from easy_to_hard.commands.reference.show import describe_reference
from easy_to_hard.storage.writing import hold_folder

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import ReferenceResult

_RESULT: Final = "result.json"
# What a run prints of its measurements; `show` prints all.
_MOST_LINES: Final = 60


def require_known(flag: str, value: str, known: Sequence[str]) -> None:
    """ValueError that lists what is known where the value of a flag is not among it."""
    if value not in known:
        raise ValueError(f"--{flag} must be one of {', '.join(known)}, not {value!r}")


@contextmanager
def begin(out: Path | None, *parts: str, threads: int) -> Iterator[Path]:
    """Let torch use so many threads of a CPU; make the run's folder this process's alone, and say where it is.

    Args:
        out: the folder, where one was asked for.
        parts: of its name else: runs/PART-PART; empty ones are left out.
        threads: at least 1.

    Raises:
        ValueError: fewer threads, or another run is going on in the folder.
    """
    if threads < 1:
        raise ValueError(f"--threads must be at least 1, not {threads}")
    import torch

    torch.set_num_threads(threads)
    name = "-".join(part for part in parts if part)
    for separator in "_:/":
        name = name.replace(separator, "-")
    out = Path("runs") / name if out is None else out
    with hold_folder(out, "run"):
        yield out


def finish(result: "ReferenceResult", out: Path) -> int:
    """Write the result to the run's folder, say what came out and which files there are; the exit code."""
    from easy_to_hard.scores.reference import write_reference_result

    write_reference_result(result, out / _RESULT)
    print(describe_reference(result, most=_MOST_LINES))
    for path in (out / _RESULT, *sorted(out.glob("*.png"))):
        print(path)
    return 0
