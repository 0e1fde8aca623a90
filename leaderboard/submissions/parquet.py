"""Prediction files in parquet. The footer is compared with the benchmark before any prediction is unpacked."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from easy_to_hard.leaderboard.submissions.checks import (
    BATCH_VALUES,
    Batch,
    Plan,
    all_rows,
    check_config,
    check_index,
    check_version,
    data_version,
    frozen_part,
    num_entries,
    ordered_iterations,
    target_shape,
)
from easy_to_hard.leaderboard.submissions.parquet_footer import (
    check_agreement,
    check_pages,
    read_footer,
)

DATA_KEY: Final = "easy_to_hard.data"

_NEEDED: Final = ("config", "index", "prediction")
# A file with up to this many extra entries is still read, to find out which item is wrong.
_MOST_EXCESS: Final = 2**23
_MOST_NAME_BYTES: Final = 2**26


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Which item each row is: `codes`, (rows,), its config's index in `configs`, and `index`, (rows,), its number."""

    configs: tuple[str, ...]
    codes: NDArray[np.int64]
    index: NDArray[np.int64]


def plan_parquet(path: Path, task: str) -> Plan:
    """Check everything but the predictions in a parquet file; `task` is the only task it may be for, "" for any."""
    footer = read_footer(path, all_rows())
    if sum(chunk.num_bytes for chunk in footer.of("config")) > _MOST_NAME_BYTES:
        raise ValueError(f"column config holds more than {_MOST_NAME_BYTES:,} bytes: names of configs are wanted")
    with _open(path) as file:
        check_agreement(footer, file.metadata)
        schema, version = file.schema_arrow, (file.metadata.metadata or {}).get(DATA_KEY.encode())
    depth, leaf = _check_columns(schema)
    if version is not None:
        check_version(version.decode(errors="replace"))
    keys = [name for name in ("config", "index", "iterations") if name in schema.names]
    for name in keys:
        check_pages(path, footer.of(name), whole_bytes=_MOST_NAME_BYTES if name == "config" else None)
    with _open(path, read_dictionary=["config"]) as file:
        table = file.read(columns=keys, use_threads=False)
    if len(table) != footer.num_rows:
        raise OSError(f"{len(table):,} rows where the footer says {footer.num_rows:,}")
    rows, iterations = _read_rows(table, task)
    doubt = _check_entries(rows, depth, sum(chunk.num_values for chunk in footer.of("prediction")))
    check_pages(path, footer.of("prediction"))
    if pa.types.is_floating(leaf):
        doubt = f"column prediction holds {leaf}: 0 and 1 of an integer type are wanted, such as uint8"
    return Plan(iterations=iterations, doubt=doubt, batches=partial(_batches, path, rows, footer.group_rows))


def write_parquet(path: Path, configs: tuple[str, ...]) -> None:
    """Write a prediction of all 0s for each item."""
    columns = {"config": pa.string(), "index": pa.int64(), "prediction": pa.list_(pa.uint8())}
    schema = pa.schema(columns, metadata={DATA_KEY: data_version()})
    with pq.ParquetWriter(path.absolute(), schema, compression="zstd", write_page_checksum=True) as writer:
        for config in configs:
            rows, entries = frozen_part(config).rows, num_entries(config)
            step = max(1, BATCH_VALUES // entries)
            for start in range(0, rows, step):
                index = np.arange(start, min(start + step, rows))
                offsets = np.arange(len(index) + 1, dtype=np.int32) * entries
                lists = pa.ListArray.from_arrays(offsets, np.zeros(offsets[-1], dtype=np.uint8))
                names = pa.repeat(config, len(index))
                writer.write_table(pa.table([names, pa.array(index), lists], schema=schema))


def _open(path: Path, read_dictionary: list[str] | None = None) -> Any:
    # Read in pieces: without a buffer size, a whole column of a row group would be in memory.
    return pq.ParquetFile(
        path.absolute(),
        read_dictionary=read_dictionary,
        buffer_size=2**20,
        page_checksum_verification=True,
        pre_buffer=False,
    )


def _check_columns(schema: Any) -> tuple[int, Any]:
    """How deeply the lists of predictions are nested, and the type of their elements."""
    for name in (*_NEEDED, "iterations"):
        count = schema.names.count(name)
        if count > 1 or (count == 0 and name in _NEEDED):
            there = ", ".join(schema.names[:12])[:200]
            raise ValueError(f"{count or 'no'} columns {name}: needed are {', '.join(_NEEDED)}, there are {there}")
    names = schema.field("config").type
    names = names.value_type if pa.types.is_dictionary(names) else names
    if not (pa.types.is_string(names) or pa.types.is_large_string(names)):
        raise ValueError(f"column config is {_shown(names)}: strings are wanted, such as mazes_59")
    for name in ("index", "iterations"):
        if name in schema.names and not pa.types.is_integer(schema.field(name).type):
            raise ValueError(f"column {name} is {_shown(schema.field(name).type)}: an integer type is wanted")
    kind = schema.field("prediction").type
    depth, leaf = 0, kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    while _is_list(leaf):
        depth, leaf = depth + 1, leaf.value_type
    if depth == 0 or not (pa.types.is_integer(leaf) or pa.types.is_boolean(leaf) or pa.types.is_floating(leaf)):
        raise ValueError(f"column prediction is {_shown(kind)}: lists of an integer type are wanted, such as uint8")
    return depth, leaf


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _shown(kind: Any) -> str:
    return str(kind)[:100]


def _check_entries(rows: _Rows, depth: int, found: int) -> str:
    """What is wrong with the number of entries, "" if nothing; ValueError if there are too many to look closer."""
    for config in rows.configs:
        if depth not in (1, len(target_shape(config))):
            raise ValueError(f"the predictions of {config} are lists {depth} deep: flatten them, row by row")
    wanted = sum(frozen_part(config).rows * num_entries(config) for config in rows.configs)
    told = f"holds {found:,} entries of predictions, {wanted:,} are wanted"
    if found > wanted + _MOST_EXCESS:
        raise ValueError(told)
    return "" if found == wanted else told


def _read_rows(table: Any, task: str) -> tuple[_Rows, dict[str, NDArray[np.int64] | None]]:
    """Which item each row is, and each config's iterations."""
    # Arrow does not check indices into a dictionary, which may be damaged.
    table.validate(full=True)
    for name in table.column_names:
        if table[name].null_count:
            raise ValueError(f"column {name} is null in {table[name].null_count:,} rows: each needs a value")
    encoded = table["config"].unify_dictionaries().combine_chunks()
    index = table["index"].to_numpy()
    used, codes = np.unique(encoded.indices.to_numpy(), return_inverse=True)
    names = [str(encoded.dictionary[code].as_py()) for code in used.tolist()]
    for name in names:
        check_config(name, task)
    # A dictionary may hold a name twice.
    configs = tuple(dict.fromkeys(names))
    codes = np.array([configs.index(name) for name in names])[codes]
    iterations: dict[str, NDArray[np.int64] | None] = dict.fromkeys(configs)
    for code, config in enumerate(configs):
        here = np.flatnonzero(codes == code)
        numbers = check_index(config, index[here])
        if "iterations" in table.column_names:
            iterations[config] = ordered_iterations(config, numbers, table["iterations"].to_numpy()[here])
    return _Rows(configs=configs, codes=codes, index=index.astype(np.int64)), iterations


def _batches(path: Path, rows: _Rows, group_rows: tuple[int, ...]) -> Iterator[Batch]:
    entries = np.array([num_entries(config) for config in rows.configs])
    start = end = 0
    with _open(path) as file:
        for group, count in enumerate(group_rows):
            end += count
            size = max(1, BATCH_VALUES // int(entries[rows.codes[start:end]].max(initial=1)))
            for batch in file.iter_batches(size, row_groups=[group], columns=["prediction"], use_threads=False):
                batch.validate(full=True)
                yield from _by_config(batch.column(0), rows, start)
                start += len(batch)
            if start != end:
                raise OSError(f"{start:,} predictions where the footer says {end:,}")


def _by_config(column: Any, rows: _Rows, start: int) -> Iterator[Batch]:
    """The predictions of the rows from `start` on, one batch for each config among them."""
    codes = rows.codes[start : start + len(column)]
    for code in np.unique(codes).tolist():
        here = np.flatnonzero(codes == code)
        index = rows.index[start + here]
        part = column if len(here) == len(column) else column.take(pa.array(here))
        values = _unpack(part, rows.configs[code], index)
        yield Batch(config=rows.configs[code], indices=index, values=values)


def _unpack(column: Any, config: str, index: NDArray[np.int64]) -> NDArray[Any]:
    """Convert lists, or lists of lists, to (rows, entries); ValueError if an item is null or of wrong length."""
    shape, lists = target_shape(config), 1
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    for length in shape if _is_list(column.type.value_type) else (num_entries(config),):
        _check_nulls(column, config, index, lists)
        found = pc.list_value_length(column).to_numpy()
        wrong = np.flatnonzero(found != length)
        if wrong.size:
            item = f"{config}, index {int(index[wrong[0] // lists])}"
            wanted = f"{length:,} are wanted ({' x '.join(map(str, shape))}, row by row)"
            raise ValueError(f"{item}: a list of {int(found[wrong[0]]):,} entries where {wanted}")
        column, lists = column.flatten(), lists * length
    _check_nulls(column, config, index, lists)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return (values.view(np.uint8) if values.dtype == np.bool_ else values).reshape(len(index), lists)


def _check_nulls(column: Any, config: str, index: NDArray[np.int64], each: int) -> None:
    if column.null_count:
        first = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"{config}, index {int(index[first // each])}: the prediction is null, or null in part")
