"""Prediction files in NumPy's format (.npz). Headers are compared with the benchmark before anything is unpacked."""

import io
import tokenize
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.leaderboard.submissions.checks import (
    BATCH_VALUES,
    Batch,
    Plan,
    check_config,
    check_index,
    check_version,
    data_version,
    frozen_part,
    num_entries,
    ordered_iterations,
    target_shape,
)

_HEADER_BYTES: Final = 4096
_MOST_TEXT: Final = 1000
_READERS: Final = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_NAMES: Final = "arrays are named <config>, <config>.index, <config>.iterations or data"


@dataclass(frozen=True, kw_only=True)
class _Array:
    """An array in the file: its archive member, what its header says, and where in the member its values begin."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int


def plan_npz(path: Path, task: str) -> Plan:
    """Check everything but the predictions in a .npz file; `task` is the only task it may be for, "" for any."""
    with zipfile.ZipFile(path) as archive:
        arrays = _headers(archive, task)
        if "data" in arrays:
            check_version(str(_read(archive, arrays.pop("data"))))
        configs = [name for name in arrays if "." not in name]
        if not configs:
            raise ValueError(f"holds no predictions: {_NAMES}")
        indices: dict[str, NDArray[np.int64]] = {}
        iterations: dict[str, NDArray[np.int64] | None] = dict.fromkeys(configs)
        for config in configs:
            indices[config] = np.arange(frozen_part(config).rows)
            if f"{config}.index" in arrays:
                indices[config] = check_index(config, _read(archive, arrays[f"{config}.index"]))
            if f"{config}.iterations" in arrays:
                read = _read(archive, arrays[f"{config}.iterations"])
                iterations[config] = ordered_iterations(config, indices[config], read)
    floats = [name for name in configs if arrays[name].dtype.kind == "f"]
    doubt = f"{floats[0]} is {arrays[floats[0]].dtype}: an integer type is wanted, such as uint8" if floats else ""
    members = {config: arrays[config] for config in configs}
    return Plan(iterations=iterations, doubt=doubt, batches=partial(_batches, path, members, indices))


def write_npz(path: Path, configs: tuple[str, ...]) -> None:
    """Write predictions of all 0s for all items."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "data", np.array(data_version()))
        for config in configs:
            _write(archive, config, np.zeros((frozen_part(config).rows, *target_shape(config)), dtype=np.uint8))


def _write(archive: zipfile.ZipFile, name: str, values: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, values, allow_pickle=False)


def _headers(archive: zipfile.ZipFile, task: str) -> dict[str, _Array]:
    """The arrays by their names; ValueError if one is unknown or has a wrong shape or type."""
    arrays: dict[str, _Array] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        config, _, kind = name.partition(".")
        if name == info.filename or kind not in ("", "index", "iterations") or name in arrays:
            raise ValueError(f"array {name[:60]!r} is unknown or occurs twice: {_NAMES}")
        if name != "data":
            check_config(config, task)
        arrays[name] = _header(archive, info, name)
        _check_array(arrays[name], name, config, kind)
    for name in arrays:
        if name.partition(".")[0] not in arrays:
            raise ValueError(f"array {name} is there without {name.partition('.')[0]}")
    return arrays


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> _Array:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise ValueError(f"array {name} is packed in another way than NumPy's: write the file with numpy.savez")
    with archive.open(info) as member:
        head = io.BytesIO(member.read(_HEADER_BYTES))
    version = np.lib.format.read_magic(head)
    if version not in _READERS:
        raise ValueError(f"array {name} is of .npy version {version}: 1.0 or 2.0 is wanted")
    try:
        shape, by_columns, dtype = _READERS[version](head)
    except (SyntaxError, tokenize.TokenError, RecursionError) as error:
        raise ValueError(f"array {name} has a header that cannot be read ({error})") from error
    if dtype.hasobject:
        raise ValueError(f"array {name} holds pickled Python objects, which are never loaded: integers are wanted")
    if by_columns and len(shape) > 1:
        raise ValueError(f"array {name} is in Fortran order: save numpy.ascontiguousarray(...) of it")
    return _Array(info=info, shape=shape, dtype=dtype, offset=head.tell())


def _check_array(array: _Array, name: str, config: str, kind: str) -> None:
    if name == "data":
        if array.shape != () or array.dtype.kind != "U" or array.dtype.itemsize > _MOST_TEXT:
            raise ValueError(
                f"array data is {str(array.dtype)[:60]} of shape {array.shape}: one short string is wanted"
            )
    else:
        rows = frozen_part(config).rows
        wanted = [(rows,)] if kind else [(rows, *target_shape(config)), (rows, num_entries(config))]
        if array.shape not in wanted:
            shapes = " or ".join(str(shape) for shape in dict.fromkeys(wanted))
            raise ValueError(f"array {name} is of shape {str(array.shape)[:100]}: {shapes} is wanted")
        if array.dtype.kind not in ("iu" if kind else "biuf"):
            raise ValueError(f"array {name} is {str(array.dtype)[:60]}: an integer type is wanted, such as uint8")
    size = array.offset + prod(array.shape) * array.dtype.itemsize
    if array.info.file_size != size:
        raise ValueError(f"array {name} takes {array.info.file_size:,} bytes, its header says {size:,}")


def _read(archive: zipfile.ZipFile, array: _Array) -> NDArray[Any]:
    """Read a small array."""
    (values,) = _pieces(archive, array, prod(array.shape))
    return values.reshape(array.shape)


def _pieces(archive: zipfile.ZipFile, array: _Array, rows: int) -> Iterator[NDArray[Any]]:
    """Read an array in pieces, (n, ...) each, with at most `rows` rows."""
    total = array.shape[0] if array.shape else 1
    each = prod(array.shape[1:]) * array.dtype.itemsize
    with archive.open(array.info) as member:
        member.read(array.offset)
        for start in range(0, total, rows):
            count = min(rows, total - start)
            content = member.read(count * each)
            if len(content) != count * each:
                raise EOFError(f"{array.info.filename} is cut off")
            values = np.frombuffer(content, dtype=array.dtype).reshape(count, -1)
            yield values.view(np.uint8) if array.dtype == np.bool_ else values
        # The checksum is checked only at the end.
        member.read(1)


def _batches(path: Path, arrays: Mapping[str, _Array], indices: Mapping[str, NDArray[np.int64]]) -> Iterator[Batch]:
    with zipfile.ZipFile(path) as archive:
        for config, array in arrays.items():
            start = 0
            for values in _pieces(archive, array, max(1, BATCH_VALUES // num_entries(config))):
                here = indices[config][start : start + len(values)]
                start += len(values)
                yield Batch(config=config, indices=here, values=values)
