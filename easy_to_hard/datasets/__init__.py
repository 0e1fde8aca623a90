"""PyTorch datasets of the benchmark's tasks, and the instances that nets are tested on."""

from typing import TYPE_CHECKING, Any

from easy_to_hard.extras import naming_extra

if TYPE_CHECKING:
    from easy_to_hard.datasets.puzzles import MazeDataset, PrefixSumDataset

__all__ = ["MazeDataset", "PrefixSumDataset"]


def __getattr__(name: str) -> Any:
    # Imported only on first use: other modules import from this package without needing a dataset.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with naming_extra(f"{name} needs"):
        from easy_to_hard.datasets import puzzles

    return getattr(puzzles, name)
