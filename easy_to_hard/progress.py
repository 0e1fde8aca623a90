"""Progress of long operations: a bar on a terminal, and elsewhere a plain line now and then."""

import sys
import threading
from collections.abc import Iterable
from typing import Any, Final, TextIO

from tqdm import tqdm

_LINE_SECONDS: Final = 10.0
_LINE: Final = "{desc}: {percentage:.0f}%, {n_fmt} of {total_fmt} {unit}, {elapsed} elapsed, {remaining} left{postfix}"
_LINE_WITHOUT_END: Final = "{desc}: {n_fmt} {unit}, {elapsed} elapsed{postfix}"


class _PlainLines:
    """A stream for tqdm that writes each state of a bar on a line of its own."""

    encoding = "ascii"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def write(self, text: str) -> None:
        """Write what a bar shows, without the characters that move a terminal's cursor."""
        line = text.strip("\r\n ")
        if line and line != self._last:
            self._stream.write(line + "\n")
            self._last = line

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def keep_bars_in_this_process() -> None:
    """Give tqdm a lock of this process alone, for a process that may end at once and shares its bars with no other.

    tqdm's own lock is a semaphore. Where processes are not forked, Python warns of one that such an end leaves behind.
    """
    tqdm.set_lock(threading.RLock())


def progress_bar(
    iterable: Iterable[Any] | None = None,
    *,
    desc: str,
    unit: str = "steps",
    total: float | None = None,
    initial: float = 0,
    unit_scale: bool = False,
    leave: bool = True,
    delay: float = 0,
    always: bool = False,
    show: bool = True,
) -> "tqdm[Any]":
    """A bar on standard error; where that is not a terminal, a line every ten seconds.

    A line gives the progress, the time elapsed, the time left, and whatever `set_postfix_str` was given, such as the
    loss.

    Args:
        iterable: what is iterated over; None where `update` is called instead.
        desc: what is being done.
        unit: what is counted, in the plural.
        total: how many there are; None if that is not known or the iterable has a length.
        initial: how many were done before.
        unit_scale: write 1k for 1,000.
        leave: whether the bar stays when it is done.
        delay: seconds before a bar is shown.
        always: write a first and a last line, however short the operation.
        show: False to show nothing at all.
    """
    options: dict[str, Any] = {"total": total, "initial": initial, "desc": desc, "unit_scale": unit_scale}
    stream = sys.stderr
    if not show or stream is None or stream.closed:
        return tqdm(iterable, disable=True, **options)
    if stream.isatty():
        return tqdm(iterable, unit=f" {unit}", leave=leave, delay=delay, **options)
    known = total is not None or hasattr(iterable, "__len__")
    lines: Any = _PlainLines(stream)
    return tqdm(
        iterable,
        unit=unit,
        file=lines,
        bar_format=_LINE if known else _LINE_WITHOUT_END,
        mininterval=_LINE_SECONDS,
        delay=0 if always else _LINE_SECONDS,
        miniters=0,
        **options,
    )
