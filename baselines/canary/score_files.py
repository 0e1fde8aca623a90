"""The answers and scores behind a run's figures, kept as one .npz file for each seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from easy_to_hard.baselines.canary.attacks import Statistics
from easy_to_hard.storage.writing import replacing

SCORES: Final = "scores.npz"

_PHI: Final = "phi: "


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write arrays as a compressed .npz file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def statistics_to_arrays(statistics: Statistics) -> dict[str, NDArray[Any]]:
    """Statistics as named arrays: "phi: QUERIES" (N, P, Q) float64, "keep" (N, P) bool, "half" and "seed" ()."""
    return {
        **{_PHI + name: values.numpy() for name, values in statistics.phi.items()},
        "keep": statistics.keep.numpy(),
        "half": np.array(statistics.half),
        "seed": np.array(statistics.seed),
    }


def read_statistics(path: Path) -> Statistics:
    """What the nets of one seed answered, from the `scores.npz` of a run on images, for `all_attacks`.

    Raises:
        ValueError: the file is not one of a run on images; the message names it.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            phi = {name.removeprefix(_PHI): torch.from_numpy(arrays[name]) for name in arrays if name.startswith(_PHI)}
            keep, half, seed = torch.from_numpy(arrays["keep"]), int(arrays["half"]), int(arrays["seed"])
    # A damaged file can fail in any way.
    except Exception as error:
        if isinstance(error, OSError) and not path.is_file():
            raise
        raise ValueError(f"{path} does not hold the scores of a run on images: {error}") from error
    return Statistics(phi=phi, keep=keep, half=half, seed=seed)
