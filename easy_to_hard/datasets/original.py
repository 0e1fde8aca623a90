"""The authors' files of 2021: found or downloaded, checked, and read without unpickling anything.

The layout is that of `easy_to_hard_data` 1.0.0: ``prefix_sums_data/<bits>_data.pth`` and ``_targets.pth``,
``maze_data_<train|test>_<size>/inputs.npy`` and ``solutions.npy``. The authors publish no checksums, so a download is
checked by its length, and by decoding every instance and encoding it again.
"""

import os
import pickle
import tarfile
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from easy_to_hard.storage.downloads import DownloadError, Patience
from easy_to_hard.storage.downloads import download as download_file
from easy_to_hard.storage.writing import WriteError, clear_leftovers, remove, telling, temporary_of
from easy_to_hard.tasks import Array, get_task

ORIGINAL_URL: Final = "https://cs.umd.edu/~tomg/download/Easy_to_Hard_Datav2"


class OriginalDataError(RuntimeError):
    """The authors' files are absent, cannot be fetched, or are not what they should be."""


def fetch(root: Path, folder: str, *, download: bool, base_url: str = ORIGINAL_URL) -> Path:
    """The folder with the authors' files, downloaded and extracted when it is absent.

    An interrupted download resumes where it stopped; the archive is extracted under a temporary name with the `data`
    filter, then renamed.

    Args:
        root: where the folder is, or will be.
        folder: its name, which is also the archive's.
        download: False raises instead of downloading.
        base_url: where the archives are.

    Raises:
        OriginalDataError: the folder is absent and `download` is False, or the download failed.
    """
    target = root / folder
    if target.is_dir():
        return target
    if not download:
        raise OriginalDataError(f"{target} not found: use download=True to download it, or another source")
    root.mkdir(parents=True, exist_ok=True)
    archive = root / f"{folder}.tar.gz"
    if not archive.exists():
        try:
            download_file(f"{base_url}/{folder}.tar.gz", archive, patience=Patience(attempts=1))
        except DownloadError as error:
            raise OriginalDataError(f"{error}. Other sources need no download") from error
    clear_leftovers(root, of=folder)
    temporary = temporary_of(target)
    try:
        try:
            with telling(target), tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
        except WriteError:
            raise
        except (tarfile.TarError, EOFError, OSError) as error:
            archive.unlink()
            raise OriginalDataError(f"{archive} cannot be extracted ({error}); it was removed, try again") from error
        if not (temporary / folder).is_dir():
            raise OriginalDataError(f"{archive} holds no folder {folder}")
        os.replace(temporary / folder, target)
    finally:
        remove(temporary)
    archive.unlink()
    return target


def read_prefix_sums(folder: Path, num_bits: int) -> Array:
    """The strings of one length, in the compact form of the task."""
    tensors = []
    for kind in ("data", "targets"):
        path = folder / f"{num_bits}_{kind}.pth"
        if not path.is_file():
            raise OriginalDataError(f"{path} not found: the original has 16 to 64, 72, 128, 256 and 512 bits")
        try:
            tensors.append(torch.load(path, weights_only=True).to(torch.uint8).numpy())
        except (pickle.UnpicklingError, AttributeError, RuntimeError, EOFError) as error:
            raise OriginalDataError(f"{path} is not a file of tensors ({type(error).__name__})") from error
    return _compact("prefix_sums", num_bits, tensors[0], tensors[1], folder)


def read_mazes(folder: Path, size: int) -> Array:
    """All mazes of a folder, in the compact form of the task, read in pieces."""
    arrays = []
    for name in ("inputs.npy", "solutions.npy"):
        path = folder / name
        if not path.is_file():
            raise OriginalDataError(f"{path} not found: remove {folder} and download it again")
        arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
    pieces = []
    for start in range(0, len(arrays[0]), 1000):
        inputs, targets = (np.asarray(array[start : start + 1000]).astype(np.uint8) for array in arrays)
        pieces.append(_compact("mazes", size, inputs, targets, folder))
    return np.concatenate(pieces)


def _compact(name: str, difficulty: int, inputs: NDArray[np.uint8], targets: NDArray[np.uint8], folder: Path) -> Array:
    task = get_task(name)
    shapes = inputs.shape[1:], targets.shape[1:]
    if shapes != task.shapes(difficulty) or len(inputs) != len(targets):
        raise OriginalDataError(f"{folder}: shapes {inputs.shape} and {targets.shape} are not those of {name}")
    data = task.decode(inputs, targets)
    again = task.encode(data, difficulty, None)
    if not (np.array_equal(again[0], inputs) and np.array_equal(again[1], targets)):
        raise OriginalDataError(f"{folder}: some instances are not in the original's format")
    return data
