"""Easy-to-hard generalization: graded datasets, reference methods and a leaderboard.

The names below are imported when they are first used, so that ``import easy_to_hard`` and the command line's
``--help`` do not wait for numba and torch. Where PyTorch is not installed, its classes raise an ImportError that says
how to get it, and `dir` leaves them out.

Example:
    >>> from easy_to_hard import TASKS, __version__
    >>> list(TASKS)
    ['prefix_sums', 'mazes', 'chess_mates', 'chess_puzzles']
    >>> TASKS["mazes"].train_difficulty
    9
    >>> len(__version__.split("."))
    3
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from easy_to_hard.environment import __version__ as __version__
from easy_to_hard.environment import checkout
from easy_to_hard.extras import naming_extra

if TYPE_CHECKING:
    from easy_to_hard.chess.datasets import ChessMateDataset, ChessPuzzleDataset
    from easy_to_hard.datasets.arrays import ArrayStream, arrays
    from easy_to_hard.datasets.graded import GradedDataset, load
    from easy_to_hard.datasets.puzzles import MazeDataset, PrefixSumDataset
    from easy_to_hard.datasets.streaming import StreamingDataset
    from easy_to_hard.generators.splits import NotEnoughInstancesError
    from easy_to_hard.hub.publish import publish
    from easy_to_hard.storage.building import build
    from easy_to_hard.storage.verification import verify
    from easy_to_hard.tasks import TASKS, DataSpec, generate

__all__ = [
    "TASKS",
    "ArrayStream",
    "ChessMateDataset",
    "ChessPuzzleDataset",
    "DataSpec",
    "GradedDataset",
    "MazeDataset",
    "NotEnoughInstancesError",
    "PrefixSumDataset",
    "StreamingDataset",
    "__version__",
    "arrays",
    "build",
    "generate",
    "load",
    "publish",
    "verify",
]

_HOMES = {
    "TASKS": "tasks",
    "ArrayStream": "datasets.arrays",
    "ChessMateDataset": "chess.datasets",
    "ChessPuzzleDataset": "chess.datasets",
    "DataSpec": "tasks",
    "GradedDataset": "datasets.graded",
    "MazeDataset": "datasets.puzzles",
    "NotEnoughInstancesError": "generators.splits",
    "PrefixSumDataset": "datasets.puzzles",
    "StreamingDataset": "datasets.streaming",
    "arrays": "datasets.arrays",
    "build": "storage.building",
    "generate": "tasks",
    "load": "datasets.graded",
    "publish": "hub.publish",
    "verify": "storage.verification",
}


# Where git makes no symbolic links, as by default on Windows, the folders that they lead to are found in the root.
if (_root := checkout()) is not None and not (_root / "easy_to_hard" / "generators").is_dir():
    __path__.append(str(_root))

# Those of these modules that import torch.
_WITH_TORCH = frozenset({"chess.datasets", "datasets.graded", "datasets.puzzles", "datasets.streaming"})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with naming_extra(f"{name} needs"):
        return getattr(import_module(f"easy_to_hard.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    # Without torch, its classes are left out: tools that look at all names of a module expect no ImportError.
    torch_is_here = find_spec("torch") is not None
    return sorted(name for name in __all__ if torch_is_here or _HOMES.get(name) not in _WITH_TORCH)
