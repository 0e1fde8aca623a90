"""Easy-to-hard generalization: graded datasets, reference methods and a leaderboard.

The names below are imported when they are first used, so that ``import easy_to_hard`` and the command line's
``--help`` do not wait for torch and numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from easy_to_hard.environment import __version__ as __version__

if TYPE_CHECKING:
    from easy_to_hard.chess.datasets import ChessMateDataset, ChessPuzzleDataset
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
    "ChessMateDataset",
    "ChessPuzzleDataset",
    "DataSpec",
    "GradedDataset",
    "MazeDataset",
    "NotEnoughInstancesError",
    "PrefixSumDataset",
    "StreamingDataset",
    "__version__",
    "build",
    "generate",
    "load",
    "publish",
    "verify",
]

_HOMES = {
    "TASKS": "tasks",
    "ChessMateDataset": "chess.datasets",
    "ChessPuzzleDataset": "chess.datasets",
    "DataSpec": "tasks",
    "GradedDataset": "datasets.graded",
    "MazeDataset": "datasets.puzzles",
    "NotEnoughInstancesError": "generators.splits",
    "PrefixSumDataset": "datasets.puzzles",
    "StreamingDataset": "datasets.streaming",
    "build": "storage.building",
    "generate": "tasks",
    "load": "datasets.graded",
    "publish": "hub.publish",
    "verify": "storage.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"easy_to_hard.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
