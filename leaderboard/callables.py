"""Python functions as submissions: how they are found and called, and what they may return."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.datasets.items import Items
from easy_to_hard.leaderboard.submissions.checks import MOST_ITERATIONS
from easy_to_hard.tasks import get_task

Solver = Callable[[Tensor, int], Any]


def load_callable(name: str) -> Solver:
    """Load the function named "module:function".

    Raises:
        ValueError: there is no such function, or it cannot be called.
        ImportError: its module cannot be imported; the message says why.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"a callable is given as module:function, such as my_solver:solve, not {name!r}")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # This includes SystemExit: exiting before anything is scored is not a success.
        raise ImportError(f"module {module!r} cannot be imported: {_one_line(error)}") from error
    if not callable(found):
        raise ValueError(f"module {module!r} has no function {function!r}")
    return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Asked:
    """A batch of items to give to a callable."""

    items: Items
    part: slice
    iterations: int

    def ask(self, function: Solver, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Call the function; returns predictions (B, *size) and iterations (B,)."""
        inputs, targets = self.items[self.part]
        where = f"{name}, items {self.part.start} to {self.part.stop - 1} of {self.items.spec.config}"
        try:
            with torch.inference_mode():
                answer = function(inputs.clone(), self.iterations)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise RuntimeError(f"{where}: raised {_one_line(error)}") from error
        used: Any = self.iterations
        if isinstance(answer, tuple) and len(answer) == 2:
            answer, used = answer
        return self._predictions(answer, inputs, targets, where), self._used(used, len(targets), where)

    def _predictions(self, answer: Any, inputs: Tensor, targets: Tensor, where: str) -> NDArray[np.uint8]:
        values = _as_tensor(answer, where)
        size = tuple(targets.shape)
        logits = (size[0], 2, *size[1:])
        if tuple(values.shape) not in (size, logits):
            raise ValueError(
                f"{where}: the answer must be of shape {size} or, as logits, {logits}, not {tuple(values.shape)}"
            )
        if values.is_floating_point() and bool(values.isnan().any()):
            raise ValueError(f"{where}: the answer contains NaN")
        if tuple(values.shape) == logits:
            decoded = get_task(self.items.spec.task).answers.decode(values.float(), inputs)
            return decoded.to(torch.uint8).numpy()
        if values.is_floating_point():
            raise ValueError(f"{where}: predictions of shape {size} must be integers or booleans, not floating-point")
        if bool(((values != 0) & (values != 1)).any()):
            worst = int(values[(values != 0) & (values != 1)][0])
            raise ValueError(f"{where}: predictions must be 0 or 1, not {worst}")
        return values.to(torch.uint8).numpy()

    def _used(self, used: Any, count: int, where: str) -> NDArray[np.int64]:
        told = f"{where}: the iterations used must be {count} whole numbers from 0 to {MOST_ITERATIONS:,}"
        try:
            numbers = np.broadcast_to(np.asarray(used), (count,)) if np.ndim(used) == 0 else np.asarray(used)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(f"{told} ({_one_line(error)})") from error
        whole = np.issubdtype(numbers.dtype, np.integer)
        if numbers.shape != (count,) or not whole or numbers.min() < 0 or numbers.max() > MOST_ITERATIONS:
            raise ValueError(told)
        return numbers.astype(np.int64)


def _as_tensor(answer: Any, where: str) -> Tensor:
    """Convert an array or tensor of real numbers to a tensor of bool, int64 or float64, on the CPU."""
    dense = isinstance(answer, Tensor) and answer.layout == torch.strided and not answer.is_nested
    if (dense and not answer.is_complex()) or (isinstance(answer, np.ndarray) and answer.dtype.kind in "biuf"):
        try:
            if isinstance(answer, np.ndarray):
                # PyTorch supports neither long doubles nor other byte orders.
                answer = torch.from_numpy(answer.astype({"b": bool, "f": np.float64}.get(answer.dtype.kind, np.int64)))
            values: Tensor = answer.detach().to("cpu")
            if values.dtype == torch.bool:
                return values
            return values.to(torch.float64 if values.is_floating_point() else torch.int64)
        except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"{where}: the answer cannot be read: {_one_line(error)}") from error
    kind = f"{type(answer).__name__} of {answer.dtype}" if hasattr(answer, "dtype") else type(answer).__name__
    raise ValueError(f"{where}: the answer must be a dense tensor or an array of real numbers, not {kind}")


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
