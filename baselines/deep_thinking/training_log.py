"""The log of a training run: a progress bar, a JSON Lines file, and TensorBoard if it is installed."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from easy_to_hard.baselines.deep_thinking.distributed import place
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.writing import telling, write_atomically


class TrainingLog:
    """The progress bar, JSON Lines file, and, if installed, TensorBoard of one run; silent on ranks other than 0.

    Args:
        folder: where ``log.jsonl`` and ``tensorboard/`` are written; None for nowhere.
        steps: total number of batches.
        every: steps between two lines; the last step has one too.
        done: number of steps done before; lines of later steps are dropped.
        show: whether to show the bar.
    """

    def __init__(self, folder: Path | None, *, steps: int, every: int, done: int, show: bool) -> None:
        first = place()[0] == 0
        self._steps, self._every = steps, every
        self._bar = progress_bar(total=steps, initial=done, desc="training", show=show and first)
        self._file = self._board = None
        if folder is not None and first:
            self._path = folder / "log.jsonl"
            self._file = _open_log(self._path, done)
            self._events = folder / "tensorboard"
            self._board = _open_board(self._events, done)
        self._items = 0
        self._started = time.perf_counter()

    def add(self, step: int, batch_size: int, loss: float, accuracy: float, learning_rate: float) -> None:
        """Log one batch."""
        self._items += batch_size
        speed = self._items / (time.perf_counter() - self._started)
        self._bar.set_postfix_str(f"loss {loss:.5f}, accuracy {accuracy:.1%}, {speed:,.0f} items/s", refresh=False)
        self._bar.update()
        if self._file is None or not (step % self._every == 0 or step == self._steps - 1):
            return
        line = {"loss": loss, "accuracy": accuracy, "learning_rate": learning_rate, "items_per_second": speed}
        with telling(self._path):
            self._file.write(json.dumps({"step": step, **line}) + "\n")
            self._file.flush()
        if self._board is not None:
            with telling(self._events):
                for name, value in line.items():
                    self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close what is open."""
        self._bar.close()
        if self._file is not None:
            with telling(self._path):
                self._file.close()
        if self._board is not None:
            with telling(self._events):
                self._board.close()


def _open_log(path: Path, done: int) -> Any:
    """The log, opened for appending, without the lines of steps that will be repeated."""
    kept = []
    if path.is_file() and done:
        for line in path.read_text(encoding="utf-8").splitlines():
            # A kill can leave half a line.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if json.loads(line)["step"] < done:
                    kept.append(line + "\n")
    write_atomically(path, "".join(kept))
    return path.open("a", encoding="utf-8")


def _open_board(folder: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        return None
    with telling(folder):
        return SummaryWriter(str(folder), purge_step=done)
