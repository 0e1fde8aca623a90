"""Images in the files of MNIST."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike


def write_idx(path: Path, values: ArrayLike) -> None:
    """A file of bytes as MNIST's are, compressed where its name says so."""
    array = np.asarray(values, np.uint8)
    content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
