"""Parquet shards: a split's instances in columns that `datasets` can read on its own."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from easy_to_hard.storage.columns import TENSORS, arrow_schema, columns_of
from easy_to_hard.storage.manifest import StorageError
from easy_to_hard.storage.writing import write_atomically as write_atomically
from easy_to_hard.storage.writing import write_json as write_json
from easy_to_hard.tasks import Array, DataSpec, Task, get_task

# How many bytes of rows (decoded) are generated, written and read at a time.
_CHUNK_BYTES: Final = 2**25
_ZSTD_LEVEL: Final = 9
_SAMPLED_ROWS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive rows of a shard.

    Attributes:
        indices: (N,) uint64 item numbers.
        inputs, targets: (N, ...) uint8 in {0, 1}.
        columns: the task's further columns, each (N,).
    """

    indices: NDArray[np.uint64]
    inputs: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    columns: dict[str, Array]

    def __len__(self) -> int:
        return len(self.indices)


class TensorHash:
    """SHA-256 of the decoded inputs and targets, row by row, which does not depend on the file format.

    Attributes:
        target_ones: number of target positions that are 1.
    """

    def __init__(self) -> None:
        self._inputs, self._targets = hashlib.sha256(), hashlib.sha256()
        self.target_ones = 0

    def update(self, chunk: Chunk) -> None:
        """Add the rows of a chunk."""
        self._inputs.update(np.ascontiguousarray(chunk.inputs).data)
        self._targets.update(np.ascontiguousarray(chunk.targets).data)
        self.target_ones += int(np.count_nonzero(chunk.targets))

    def digests(self) -> dict[str, str]:
        """The two hashes so far, in hexadecimal."""
        return {"inputs_sha256": self._inputs.hexdigest(), "targets_sha256": self._targets.hexdigest()}


def sample_rows(rows: int) -> NDArray[np.int64]:
    """Up to four rows, from the first to the last, that represent a file where generating all rows again takes long."""
    return np.unique(np.linspace(0, rows - 1, min(rows, _SAMPLED_ROWS)).round().astype(np.int64))


def sample_sha256(inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> str:
    """SHA-256 of decoded rows, in hexadecimal: the first row's input, then its target, the next row's, and so on.

    Args:
        inputs: (N, ...) uint8 in {0, 1}.
        targets: (N, ...) uint8 in {0, 1}.
    """
    digest = hashlib.sha256()
    for pair in zip(inputs, targets, strict=True):
        for values in pair:
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


class Sample:
    """The rows that represent a file (`sample_rows`), collected chunk by chunk.

    Args:
        rows: number of rows in the file.
    """

    def __init__(self, rows: int) -> None:
        self._rows, self._seen = sample_rows(rows), 0
        self._indices: list[int] = []
        self._tensors: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []

    def update(self, chunk: Chunk) -> None:
        """Add the rows of a chunk."""
        here = self._rows[(self._rows >= self._seen) & (self._rows < self._seen + len(chunk))] - self._seen
        self._indices += chunk.indices[here].tolist()
        self._tensors.append((chunk.inputs[here], chunk.targets[here]))
        self._seen += len(chunk)

    def facts(self) -> dict[str, Any]:
        """Item numbers and hash, as stored in the manifest; the hash is empty if there are no rows."""
        inputs, targets = (np.concatenate(values) for values in zip(*self._tensors, strict=True))
        return {"indices": self._indices, "sha256": sample_sha256(inputs, targets)}


def writer_of(path: Path) -> str:
    """The library that wrote a parquet file, such as "parquet-cpp-arrow version 21.0.0".

    Raises:
        ValueError: it is not a parquet file.
    """
    try:
        return str(pq.read_metadata(path.absolute()).created_by)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: not a readable parquet file ({error})") from error


def this_writer() -> str:
    """The library that writes parquet files here, in the form that `writer_of` returns."""
    content = pa.BufferOutputStream()
    pq.write_table(pa.table({}), content)
    return str(pq.read_metadata(pa.BufferReader(content.getvalue())).created_by)


def arrow_bytes(path: Path) -> int:
    """Bytes of a parquet file's rows in memory, counted as `load_dataset` does: one row group at a time."""
    # Reading column by column, without prefetching, takes less memory.
    with pq.ParquetFile(path.absolute(), pre_buffer=False) as file:
        return sum(
            int(file.read_row_group(group, columns=[name]).combine_chunks().nbytes)
            for group in range(file.num_row_groups)
            for name in file.schema_arrow.names
        )


def row_bytes(task: Task, difficulty: int) -> int:
    """Bytes of one decoded row."""
    return sum(int(np.prod(shape)) for shape in task.shapes(difficulty))


def chunk_rows(task: Task, difficulty: int) -> int:
    """How many rows are held at a time."""
    return max(1, _CHUNK_BYTES // row_bytes(task, difficulty))


def make_chunk(spec: DataSpec, indices: NDArray[np.uint64], num_threads: int | None) -> Chunk:
    """Generate rows."""
    task = get_task(spec.task)
    instances = task.generate(spec, indices, num_threads)
    inputs, targets = task.encode(instances.data, spec.difficulty, num_threads)
    return Chunk(indices=indices, inputs=inputs, targets=targets, columns=dict(instances.columns))


def _nested(values: NDArray[np.uint8], kind: pa.DataType) -> pa.Array:
    """Convert (N, ...) values to an array of lists (of lists ...) of the given Arrow type."""
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)
    array = pa.array(values.reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        lists = int(np.prod(values.shape[:axis]))
        offsets = np.arange(lists + 1, dtype=np.int32) * values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array.cast(kind)


def _to_table(chunk: Chunk, schema: pa.Schema) -> pa.Table:
    tensors = {"input": chunk.inputs, "target": chunk.targets}
    columns = [
        *(_nested(values, schema.field(name).type) for name, values in tensors.items() if name in schema.names),
        *(pa.array(values, type=schema.field(name).type) for name, values in chunk.columns.items()),
        pa.array(chunk.indices.astype(np.int64)),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def write_shard(
    path: Path, spec: DataSpec, indices: NDArray[np.uint64], progress: Callable[[int], object]
) -> dict[str, Any]:
    """Generate the items `indices` of a spec and write them to one parquet file.

    Args:
        path: written as it is; the caller renames it once it is whole.
        spec: which instances.
        indices: (N,) uint64.
        progress: called with the number of rows just written.

    Returns:
        What the manifest says about its content: `num_bytes` in memory, the hashes of the decoded tensors, how many
        target positions are 1, and the item numbers and hash of a sample of rows.
    """
    task = get_task(spec.task)
    schema = arrow_schema(columns_of(task, spec.difficulty))
    step = chunk_rows(task, spec.difficulty)
    tensors, sample = TensorHash(), Sample(len(indices))
    with pq.ParquetWriter(
        path.absolute(),
        schema,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_content_defined_chunking=True,
        write_page_index=True,
    ) as writer:
        for start in range(0, len(indices), step):
            chunk = make_chunk(spec, indices[start : start + step], num_threads=1)
            tensors.update(chunk)
            writer.write_table(_to_table(chunk, schema), row_group_size=step)
            sample.update(chunk)
            progress(len(chunk))
    return {
        "num_bytes": arrow_bytes(path),
        **tensors.digests(),
        "target_ones": tensors.target_ones,
        "sample": sample.facts(),
    }


def _flat(column: pa.ChunkedArray, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    array = column.combine_chunks()
    rows = len(array)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    while not pa.types.is_uint8(array.type):
        array = array.flatten()
    values: NDArray[np.uint8] = array.to_numpy(zero_copy_only=False).astype(np.uint8, copy=False)
    if values.size != rows * int(np.prod(shape)):
        raise ValueError(f"{values.size} values in {rows} rows do not make rows of shape {shape}")
    return values.reshape(rows, *shape)


def read_shard(path: Path, task: Task, difficulty: int) -> Iterator[Chunk]:
    """Read a shard back, one row group at a time.

    Raises:
        ValueError: the file is not a parquet file, lacks a column, or holds rows of a different shape.
    """
    try:
        with pq.ParquetFile(path.absolute()) as file:
            for group in range(file.num_row_groups):
                yield _read_group(file.read_row_group(group), task, difficulty)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable shard of {task.name} ({error})") from error


def _read_group(table: pa.Table, task: Task, difficulty: int) -> Chunk:
    columns = {name: table[name].to_numpy() for name in task.columns}
    if task.stores_tensors:
        inputs, targets = (
            _flat(table[name], shape) for name, shape in zip(TENSORS, task.shapes(difficulty), strict=True)
        )
    else:
        inputs, targets = task.encode(task.from_columns(columns), difficulty, None)
    indices = table["index"].to_numpy().astype(np.uint64)
    return Chunk(indices=indices, inputs=inputs, targets=targets, columns=columns)


def read_whole(path: Path, entry: Mapping[str, Any], task: Task, *, hashed: bool) -> Iterator[Chunk]:
    """Read a shard like `read_shard`, and check at the end that it matched the manifest.

    Args:
        path: of the file.
        entry: the file's entry in the manifest.
        task: the task of the file.
        hashed: hash the tensors too, which is unnecessary if the file's own hash was checked and the manifest is
            trusted.

    Raises:
        StorageError: the number of rows or the tensors differ.
        ValueError: as in `read_shard`.
    """
    tensors, rows = TensorHash(), 0
    for chunk in read_shard(path, task, entry["difficulty"]):
        rows += len(chunk)
        if hashed:
            tensors.update(chunk)
        yield chunk
    if rows != entry["rows"]:
        raise StorageError(f"{path}: {rows} rows, the manifest says {entry['rows']}")
    for name, found in tensors.digests().items() if hashed else ():
        if found != entry[name]:
            raise StorageError(f"{path}: {name} of the decoded tensors is {found}, the manifest says {entry[name]}")


def instances_of(task: Task, chunk: Chunk, rows: Any = slice(None)) -> Array:
    """Rows of a chunk in the task's compact form."""
    if task.stores_tensors:
        return task.decode(chunk.inputs[rows], chunk.targets[rows])
    return task.from_columns({name: values[rows] for name, values in chunk.columns.items()})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
