"""Images read from their files."""

import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mnist_files import write_idx

from easy_to_hard.baselines.kit.image_data import (
    IMAGE_SETS,
    ImageSet,
    import_torchvision,
    load_images,
    read_idx,
    to_unit_range,
)


def write_cifar(path: Path, count: int, label: int, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.full((count, 3072), label, np.uint8)
    data[:, 1024] = 200
    path.write_bytes(pickle.dumps({b"data": data, b"labels": [label] * count}, protocol=protocol))


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    write_idx(folder / f"t10k-images-idx3-ubyte{ending}", images)
    write_idx(folder / f"t10k-labels-idx1-ubyte{ending}", [7, 0, 2])
    found = load_images("mnist", tmp_path, train=False)
    assert found.images.shape == (3, 1, 4, 5)
    assert found.images.dtype == torch.uint8
    assert found.images[:, 0].tolist() == images.tolist()
    assert found.labels.tolist() == [7, 0, 2]
    assert (found.name, found.note, len(found), len(found.first(2))) == ("mnist", "", 3, 2)
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte .* is missing; --download fetches it"):
        load_images("mnist", tmp_path, train=True)
    write_idx(folder / f"t10k-labels-idx1-ubyte{ending}", [7, 0])
    with pytest.raises(ValueError, match=r"images of shape \(3, 4, 5\) do not fit labels of shape \(2,\)"):
        load_images("mnist", tmp_path, train=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file of bytes"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "is not an IDX file of bytes"),
        (b"\0\0\x08\x01\0\0\0\x05abc", r"has 3 values, not the 5 of shape \(5,\)"),
    ],
)
def test_broken_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"broken {message}"):
        read_idx(path)
    packed = tmp_path / "broken.gz"
    packed.write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(ValueError, match=r"broken\.gz cannot be read"):
        read_idx(packed)


def test_cifar10_whole_and_in_part(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    for number in (1, 2):
        write_cifar(folder / f"data_batch_{number}", 2, number)
    found = load_images("cifar10", tmp_path, train=True)
    assert found.images.shape == (4, 3, 32, 32)
    assert found.labels.tolist() == [1, 1, 2, 2]
    # The green plane begins at value 1,024.
    assert found.images[2, :, 0, 0].tolist() == [2, 200, 2]
    assert found.note == "4 images: 2 of 5 batches are there"
    for number in (3, 4, 5):
        write_cifar(folder / f"data_batch_{number}", 1, number)
    assert load_images("cifar10", tmp_path, train=True).note == ""
    with pytest.raises(FileNotFoundError, match="test_batch is missing; --download fetches it"):
        load_images("cifar10", tmp_path, train=False)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_cifar10_pickled_anew(tmp_path: Path, protocol: int) -> None:
    """As by somebody who made files of their own; Python 3.14 pickles in protocol 5."""
    write_cifar(tmp_path / "cifar-10-batches-py" / "test_batch", 3, 7, protocol)
    assert load_images("cifar10", tmp_path, train=False).labels.tolist() == [7, 7, 7]


class _Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({b"data": _Harm()}), r"it asks for (posix|nt)\.mkdir"),
        (pickle.dumps({b"labels": [1]}), "data"),
        (b"no pickle", ""),
        (pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [1, 2]}), "reshape"),
    ],
)
def test_cifar10_pickles_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"test_batch is not a batch of CIFAR-10: .*{message}"):
        load_images("cifar10", tmp_path, train=False)
    assert not (tmp_path / "harm").exists()


def test_folder_of_pictures(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    try:
        import_torchvision()
    except ImportError:
        pytest.skip("torchvision is not installed")
    from PIL import Image

    for name, color, size in (("cats", (255, 0, 0), (300, 150)), ("dogs", (0, 0, 255), (20, 40))):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.new("RGB", size, color).save(tmp_path / "train" / name / "one.png")
    found = load_images("folder", tmp_path, train=True)
    assert found.images.shape == (2, 3, 128, 128)
    assert found.images[:, :, 64, 64].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert found.labels.tolist() == [0, 1]
    larger = load_images("folder", tmp_path, train=True, side=200)
    assert larger.images.shape == (2, 3, 200, 200)
    assert larger.images[:, :, 100, 100].tolist() == [[255, 0, 0], [0, 0, 255]]
    some = [load_images("folder", tmp_path, train=True, most=1).labels.tolist() for _ in range(2)]
    assert some[0] == some[1]
    assert len(some[0]) == 1
    with pytest.raises(FileNotFoundError, match=r"no folder .*test: images are read from"):
        load_images("folder", tmp_path, train=False)
    (tmp_path / "train" / "dogs" / "one.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"one\.png is not a picture that can be read"):
        load_images("folder", tmp_path, train=True)


def test_resizing_and_range() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[:, :, :, 2:] = 200
    found = ImageSet(name="x", images=images, labels=torch.zeros(2, dtype=torch.int64))
    assert found.resized(4) is found
    small = found.resized(2).images[0, 0]
    # A triangle four pixels wide around the middle of each half, 1 : 3 : 3 : 1 of it inside.
    assert small.tolist() == [[29, 171]] * 2
    assert to_unit_range(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"the number of images must be from 1 to 2, .*, not {count}"):
            found.first(count)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown images 'svhn': choose one of mnist, cifar10, folder"):
        load_images("svhn", tmp_path, train=True)
    for name in IMAGE_SETS:
        with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: --data-root must be one that"):
            load_images(name, tmp_path / "nowhere", train=True)
        with pytest.raises(FileNotFoundError, match=r"^no "):
            load_images(name, tmp_path, train=True)
