"""What the tests of dp_instahide share."""

from pathlib import Path

import numpy as np
import pytest
from mnist_files import write_idx


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A folder with 120 training and 60 test images in MNIST's files: a bright bar at one of six heights, the class."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 120), ("t10k", 60)):
        labels = (np.arange(count) % 6).astype(np.uint8)
        images = rng.integers(0, 40, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * label : 4 * label + 4, 2:20] = 255
        write_idx(folder / f"{split}-images-idx3-ubyte", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte", labels)
    return tmp_path / "data"
