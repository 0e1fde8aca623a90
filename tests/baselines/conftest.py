"""Images for the tests of all methods."""

from pathlib import Path

import numpy as np
import pytest
from mnist_files import write_idx


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A folder with 40 training and 20 test images in MNIST's files: bars that lie (class 0) or stand (class 1)."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 2).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            place = rng.integers(6, 20)
            (image.T if label else image)[place : place + 3, 4:24] = 255
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte", labels)
    return tmp_path / "data"
