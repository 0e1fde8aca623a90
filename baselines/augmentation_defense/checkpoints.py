"""What a run has made so far, so that one that was stopped goes on."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.run_folder import reason_of, save_state


def made_before(
    path: Path, settings: Mapping[str, Any], make: Callable[[], Mapping[str, Tensor]], device: torch.device
) -> tuple[dict[str, Tensor], float]:
    """Tensors by name from a file of a run with the same settings, or made and written there.

    Args:
        path: of the file.
        settings: JSON-able; whatever decides the tensors.
        make: makes them.
        device: where they are read to.

    Returns:
        the tensors, and how many seconds it took to make them.

    Raises:
        ValueError: the file is damaged or of a run with other settings.
        OSError: it cannot be written.
    """
    text = json.dumps(settings, sort_keys=True)
    if path.is_file():
        return _read(path, text, device)
    started = time.perf_counter()
    tensors = dict(make())
    seconds = time.perf_counter() - started
    path.parent.mkdir(parents=True, exist_ok=True)
    save_state({"tensors": tensors, "settings": text, "seconds": seconds}, path)
    return tensors, seconds


def _read(path: Path, text: str, device: torch.device) -> tuple[dict[str, Tensor], float]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if state["settings"] != text:
            raise ValueError("it is of a run with other settings")
        return dict(state["tensors"]), float(state["seconds"])
    except Exception as error:
        raise ValueError(f"cannot go on from {path}: {reason_of(error)}; remove it, or choose another --out") from error
