"""What one seed gave, and what a run keeps of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.run_folder import reason_of, save_state
from easy_to_hard.baselines.kit.statistics import SHARE, Figure


def share(name: str, right: int, total: int, **condition: str | int | float) -> Figure:
    """A share of items."""
    return Figure(name=name, value=right / total, num_items=total, condition=condition, unit=SHARE, right=right)


def plain(name: str, value: float, num_items: int, **condition: str | int | float) -> Figure:
    """A pure number."""
    return Figure(name=name, value=value, num_items=num_items, condition=condition)


def kept(path: Path, settings: Mapping[str, Any]) -> dict[str, Tensor] | None:
    """The tensors that an earlier run left in a file; None where there is no file.

    Raises:
        ValueError: the file is damaged or of a run with other settings.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] != repr(settings):
            raise ValueError("it is of a run with other settings")
        tensors: dict[str, Tensor] = state["tensors"]
    except Exception as error:
        raise ValueError(f"cannot go on from {path}: {reason_of(error)}; remove it to start anew") from error
    return tensors


def keep(path: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Leave tensors for a run that takes this one up; see `kept`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state({"settings": repr(settings), "tensors": dict(tensors)}, path)
