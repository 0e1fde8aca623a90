"""Real images as tensors: MNIST, CIFAR-10 and any folder of images, in torchvision's layout.

MNIST and CIFAR-10 files are read here, without torchvision: MNIST's even if they are still compressed, CIFAR-10's even
if some of the batches are missing. torchvision is needed only to download, and to read folders of images.
"""

import gzip
import pickle
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_MNIST_FILES: Final = {True: "train", False: "t10k"}
_CIFAR_FILES: Final = {True: tuple(f"data_batch_{number}" for number in range(1, 6)), False: ("test_batch",)}
_IDX_UINT8: Final = 8
FOLDER_SIDE: Final = 128


class ImageFacts(NamedTuple):
    """What is known of a set of images without reading it.

    Attributes:
        train, test: number of training and test images.
        shape: (C, H, W) of an image.
    """

    train: int
    test: int
    shape: tuple[int, int, int]


IMAGE_FACTS: Final = {
    "mnist": ImageFacts(60_000, 10_000, (1, 28, 28)),
    "cifar10": ImageFacts(50_000, 10_000, (3, 32, 32)),
}


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images and their classes.

    Attributes:
        name: of the set.
        images: (N, C, H, W) uint8.
        labels: (N,) int64 from 0.
        note: a remark on the set, such as that parts are missing; may be empty.
    """

    name: str
    images: Tensor
    labels: Tensor
    note: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> "ImageSet":
        """The first `count` images.

        Raises:
            ValueError: there are fewer, or count is below 1.
        """
        if not 1 <= count <= len(self):
            raise ValueError(
                f"the number of images must be from 1 to {len(self)}, all that {self.name} has, not {count}"
            )
        return replace(self, images=self.images[:count], labels=self.labels[:count])

    def resized(self, side: int) -> "ImageSet":
        """All images resized to side x side, with antialiasing where they shrink."""
        if tuple(self.images.shape[2:]) == (side, side):
            return self
        parts = [
            functional.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().byte()
            for part in torch.split(self.images, 4096)
        ]
        return replace(self, images=torch.cat(parts))


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def load_images(
    name: str, root: Path, *, train: bool, download: bool = False, side: int = FOLDER_SIDE, most: int = 0
) -> ImageSet:
    """A set of images.

    Args:
        name: "mnist", "cifar10", or "folder" for `root/train/CLASS/*` and `root/test/CLASS/*`.
        root: the folder that holds `MNIST/raw`, `cifar-10-batches-py`, or the two splits.
        train: True for the training split, False for the test split.
        download: fetch MNIST or CIFAR-10 with torchvision if files are missing.
        side: side in pixels to which the pictures of a folder are cut.
        most: number of a folder's pictures to read, drawn at random, the same at every call; 0 for all.

    Raises:
        ValueError: unknown name, or a file that is not what it should be.
        FileNotFoundError: the data are missing; the message says what was looked for.
        ImportError: torchvision is needed and not installed.
    """
    if name not in IMAGE_SETS:
        raise ValueError(f"unknown images {name!r}: choose one of {', '.join(IMAGE_SETS)}")
    if not root.is_dir() and not download:
        raise FileNotFoundError(f"no folder {root}: --data-root must be one that holds the data{_instead(name)}")
    return _read_folder(root, train, side, most) if name == "folder" else _READERS[name](root, train, download)


def _instead(name: str) -> str:
    """What to do if images are missing, as the end of a message."""
    fetched = "--download fetches it, and " if name in IMAGE_FACTS else ""
    return f"; {fetched}mazes, the default, need no files"


def _read_mnist(root: Path, train: bool, download: bool) -> ImageSet:
    folder, split = root / "MNIST" / "raw", _MNIST_FILES[train]
    names = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
    if download and not all(_mnist_file(folder, name) for name in names):
        import_torchvision().datasets.MNIST(str(root), train=train, download=True)
    arrays = []
    for name in names:
        path = _mnist_file(folder, name)
        if path is None:
            raise FileNotFoundError(f"no MNIST in {root}: {folder / name} (or .gz) is missing{_instead('mnist')}")
        arrays.append(read_idx(path))
    images, labels = arrays
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{folder}: images of shape {images.shape} do not fit labels of shape {labels.shape}")
    return ImageSet(name="mnist", images=torch.from_numpy(images)[:, None], labels=torch.from_numpy(labels).long())


def _mnist_file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format of MNIST, compressed or not.

    Raises:
        ValueError: the file is not in that format; the message names it.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    kind, dimensions = (content[2], content[3]) if len(content) >= 4 else (0, 0)
    start = 4 + 4 * dimensions
    if content[:2] != b"\0\0" or kind != _IDX_UINT8 or len(content) < start:
        raise ValueError(f"{path} is not an IDX file of bytes")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    if len(content) - start != int(np.prod(shape)):
        raise ValueError(f"{path} has {len(content) - start} values, not the {int(np.prod(shape))} of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()


def _read_cifar10(root: Path, train: bool, download: bool) -> ImageSet:
    folder, names = root / "cifar-10-batches-py", _CIFAR_FILES[train]
    there = [name for name in names if (folder / name).is_file()]
    if download and len(there) < len(names):
        import_torchvision().datasets.CIFAR10(str(root), train=train, download=True)
        there = list(names)
    if not there:
        raise FileNotFoundError(f"no CIFAR-10 in {root}: {folder / names[0]} is missing{_instead('cifar10')}")
    batches = [_read_cifar_batch(folder / name) for name in there]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    note = "" if len(there) == len(names) else f"{len(images):,} images: {len(there)} of {len(names)} batches are there"
    return ImageSet(name="cifar10", images=torch.from_numpy(images), labels=torch.from_numpy(labels), note=note)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of NumPy arrays and plain values; anything else in a pickle is refused and not run."""

    def find_class(self, module: str, name: str) -> Any:
        """The few functions that make an array."""
        if (module, name) == ("_codecs", "encode"):
            import codecs

            return codecs.encode
        # In NumPy 1 and 2; the second is of pickles in protocol 5.
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]
        if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":
            return np.zeros(0).__reduce_ex__(5)[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise ValueError(f"it asks for {module}.{name}")


def _read_cifar_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 3, 32, 32) and labels (N,) of one file."""
    try:
        with path.open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        data, labels = np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"], np.int64)
        return data.reshape(len(labels), 3, 32, 32), labels
    except Exception as error:
        # A damaged pickle can fail in any way.
        raise ValueError(f"{path} is not a batch of CIFAR-10: {error}") from error


def _read_folder(root: Path, train: bool, side: int, most: int) -> ImageSet:
    folder = root / ("train" if train else "test")
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {folder}: images are read from {root}/train/CLASS and {root}/test/CLASS" + _instead("folder")
        )
    datasets = import_torchvision().datasets
    try:
        files = datasets.ImageFolder(str(folder), loader=partial(_read_picture, side=side))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no images in {folder}: {str(error).splitlines()[0]}") from error
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0)).tolist()
    rows = sorted(order[:most]) if most else range(len(files))
    images, labels = zip(*(files[row] for row in rows), strict=True)
    return ImageSet(name="folder", images=torch.stack(images), labels=torch.tensor(labels))


def _read_picture(path: str, side: int) -> Tensor:
    """The center square of a picture, in color, with a number of pixels a side: (3, side, side) uint8."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            scale = side / min(picture.size)
            width, height = (max(side, round(length * scale)) for length in picture.size)
            pixels = np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} is not a picture that can be read: {error}") from error
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    middle = pixels[top : top + side, left : left + side]
    return torch.from_numpy(middle.copy()).permute(2, 0, 1)


_READERS: Final = {"mnist": _read_mnist, "cifar10": _read_cifar10}
IMAGE_SETS: Final = (*_READERS, "folder")


def import_torchvision() -> Any:
    """Import torchvision, even next to a CPU build of torch for which its compiled operators do not load.

    The import then fails on the two operators that torchvision describes to torch (nms and qnms), though nothing here
    uses them. If they are missing, their signatures are defined, and torchvision is imported again.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    try:
        import torchvision
        import torchvision.datasets
    except ModuleNotFoundError as error:
        raise ImportError("torchvision is needed for this: pip install 'easy-to-hard[vision]'") from error
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        return _import_without_operators()
    return torchvision


def _import_without_operators() -> Any:
    import sys

    for module in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[module]
    for operator in ("nms", "qnms"):
        _OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    import torchvision
    import torchvision.datasets

    return torchvision


_OPERATORS: Final = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
