"""Prediction files: whatever is in them is read right, or refused in one line that says what is wrong."""

import io
import os
import random
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from easy_to_hard.leaderboard.submissions import (
    ConfigPredictions,
    benchmark_rows,
    configs_in,
    read_submission,
    write_template,
)
from easy_to_hard.leaderboard.submissions.checks import data_version
from easy_to_hard.storage.presets import PRESETS

# Answers as pandas 3.1, polars 2.1 and DuckDB 2.0 write them with their defaults.
WRITTEN_BY_OTHERS = Path(__file__).parents[1] / "data" / "predictions"

MATES, ROWS = "chess_mates_5", 200
SHAPES = {MATES: (ROWS, 8, 8), "chess_mates_4": (1000, 8, 8), "mazes_looped_13": (1000, 32, 32)}


def _answers(config: str = MATES) -> Any:
    return np.random.default_rng(len(config)).integers(0, 2, SHAPES[config], dtype=np.uint8)


def _lists(values: Any, kind: str = "list") -> Any:
    """(N, ...) values to an Arrow array of lists."""
    for length in values.shape[:0:-1] if kind == "nested" else (int(np.prod(values.shape[1:])),):
        values = values if isinstance(values, pa.Array) else pa.array(values.reshape(-1))
        offsets = np.arange(0, len(values) + 1, length)
        if kind == "fixed":
            values = pa.FixedSizeListArray.from_arrays(values, length)
        elif kind == "large":
            values = pa.LargeListArray.from_arrays(offsets, values)
        else:
            values = pa.ListArray.from_arrays(offsets.astype(np.int32), values)
    return values


def _table(*configs: str, **columns: Any) -> Any:
    """The right answers to whole configs; a column that is given stands in for the right one, None for none at all."""
    configs = configs or (MATES,)
    made = {
        "config": pa.concat_arrays([pa.repeat(config, SHAPES[config][0]) for config in configs]),
        "index": np.concatenate([np.arange(SHAPES[config][0]) for config in configs]),
        "prediction": pa.concat_arrays([_lists(_answers(config)) for config in configs]),
        **columns,
    }
    return pa.table({name: column for name, column in made.items() if column is not None})


def _parquet(tmp_path: Path, table: Any, **options: Any) -> Path:
    path = tmp_path / "answers.parquet"
    pq.write_table(table, path, **options)
    return path


def _npz(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "answers.npz"
    np.savez_compressed(path, **{name.replace("__", "."): values for name, values in arrays.items()})
    return path


def _same(path: Path, *configs: str) -> dict[str, ConfigPredictions]:
    """Read a file, and assert that it holds the right answers to these configs."""
    read = {each.config: each for each in read_submission(path)}
    assert set(read) == set(configs) == set(configs_in(path))
    for config in configs:
        assert read[config].predictions.dtype == np.uint8
        np.testing.assert_array_equal(read[config].predictions, _answers(config))
    return read


def _refusal(path: Path, **options: Any) -> str:
    """The one line that a file is refused with, without its name at the start."""
    with pytest.raises(ValueError) as refused:
        for _ in read_submission(path, **options):
            pass
    told = str(refused.value)
    assert "\n" not in told
    assert told.startswith(f"{path.name}: ")
    return told.removeprefix(f"{path.name}: ")


# What is read.


@pytest.mark.parametrize("kind", ["list", "large", "fixed", "nested"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64, np.int8, np.bool_])
def test_every_kind_of_list_is_read(tmp_path: Path, kind: str, dtype: Any) -> None:
    _same(_parquet(tmp_path, _table(prediction=_lists(_answers().astype(dtype), kind))), MATES)


@pytest.mark.parametrize("group", [7, 500, 10**6])
@pytest.mark.parametrize("order", ["in order", "backwards", "shuffled"])
def test_rows_come_in_any_order(tmp_path: Path, order: str, group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_to_hard.leaderboard.submissions.parquet.BATCH_VALUES", 5000)
    table = _table(*SHAPES)
    table = table.append_column("iterations", pa.array(table["index"].to_numpy() * 2 + 1))
    rows = np.arange(len(table))
    chosen = {"in order": rows, "backwards": rows[::-1], "shuffled": np.random.default_rng(0).permutation(rows)}[order]
    read = _same(_parquet(tmp_path, table.take(pa.array(chosen)), row_group_size=group), *SHAPES)
    for config, (number, *_) in SHAPES.items():
        assert read[config].iterations is not None
        assert read[config].iterations.dtype == np.int64
        np.testing.assert_array_equal(read[config].iterations, np.arange(number) * 2 + 1)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_every_way_that_arrow_writes_is_read(tmp_path: Path, version: str, dictionary: bool, compression: str) -> None:
    options = {"data_page_version": version, "use_dictionary": dictionary, "compression": compression}
    for row_group_size in (None, 30):
        _same(_parquet(tmp_path, _table(), **options, row_group_size=row_group_size), MATES)
    table = _table(pages=[["other", "columns"]] * ROWS, nested=[{"config": "x", "index": {"a": 1.5}}] * ROWS)
    _same(_parquet(tmp_path, table, **options, data_page_size=200, write_page_index=True), MATES)


@pytest.mark.parametrize("path", sorted(WRITTEN_BY_OTHERS.glob("*.parquet")), ids=lambda path: path.stem)
def test_files_of_other_writers_are_read(path: Path) -> None:
    _same(path, MATES)


@pytest.mark.parametrize("names", [pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
@pytest.mark.parametrize("numbers", [pa.uint8(), pa.uint64(), pa.int16()])
def test_other_types_of_names_and_numbers(tmp_path: Path, names: Any, numbers: Any) -> None:
    table = _table()
    columns = {"config": table["config"].cast(names), "index": table["index"].cast(numbers), "note": ["x"] * ROWS}
    read = _same(_parquet(tmp_path, _table(**columns), use_dictionary=False), MATES)
    assert read[MATES].iterations is None


def test_a_dictionary_may_hold_names_that_no_row_has(tmp_path: Path) -> None:
    names = pa.DictionaryArray.from_arrays(np.full(ROWS, 1, np.int8), pa.array(["mazes_7", MATES, "nonsense"]))
    table = _table(config=names)
    _same(_parquet(tmp_path, pa.concat_tables([table.slice(0, 90), table.slice(90)]), row_group_size=60), MATES)


def test_arrays_of_datasets_are_read(tmp_path: Path) -> None:
    from datasets import Array2D, Dataset, Features, Value

    kinds = Features(config=Value("string"), index=Value("int64"), prediction=Array2D((8, 8), "uint8"))
    columns = {"config": [MATES] * ROWS, "index": range(ROWS), "prediction": list(_answers())}
    path = tmp_path / "answers.parquet"
    Dataset.from_dict(columns, features=kinds).to_parquet(path)
    _same(path, MATES)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, ">i4"])
def test_npz(tmp_path: Path, flat: bool, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_to_hard.leaderboard.submissions.npz.BATCH_VALUES", 5000)
    order = np.random.default_rng(1).permutation(ROWS)
    arrays = {config: _answers(config).astype(dtype) for config in SHAPES}
    arrays[MATES] = arrays[MATES][order]
    arrays = {name: values.reshape(len(values), -1) if flat else values for name, values in arrays.items()}
    further = {f"{MATES}__index": order, f"{MATES}__iterations": order + 5, "data": np.array(data_version())}
    read = _same(_npz(tmp_path, **arrays, **further), *SHAPES)
    np.testing.assert_array_equal(read[MATES].iterations, np.arange(ROWS) + 5)
    assert read["chess_mates_4"].iterations is None


def test_npz_is_read_unpacked_and_with_long_headers(tmp_path: Path) -> None:
    path = tmp_path / "answers.NPZ"
    with zipfile.ZipFile(path, "w") as archive, archive.open(f"{MATES}.npy", "w") as member:
        np.lib.format.write_array(member, _answers(), version=(2, 0))
    _same(path, MATES)


def test_a_config_goes_out_as_soon_as_it_is_whole(tmp_path: Path) -> None:
    entries = read_submission(_parquet(tmp_path, _table(MATES, "mazes_looped_13"), row_group_size=50))
    assert next(entries).config == MATES
    assert next(entries).config == "mazes_looped_13"
    assert list(entries) == []


# Templates.


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_template_is_an_empty_submission(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"empty{suffix}"
    configs = [MATES, "mazes_looped_13", "prefix_sums_16"]
    assert write_template(configs, path) == 200 + 1000 + 5000
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    read = list(read_submission(path))
    assert [each.config for each in read] == configs
    assert [each.predictions.shape for each in read] == [(200, 8, 8), (1000, 32, 32), (5000, 16)]
    assert not any(each.predictions.any() for each in read)
    held = pq.read_metadata(path).metadata[b"easy_to_hard.data"].decode() if suffix == ".parquet" else None
    assert (held or str(np.load(path)["data"])) == data_version()


@pytest.mark.parametrize(
    ("configs", "name", "message"),
    [
        ([], "a.npz", "each named once, not of none"),
        ([MATES, MATES], "a.npz", "each named once, not of chess_mates_5, chess_mates_5"),
        (["mazes_61"], "a.npz", "mazes_61 is in no frozen split, as mazes_.* is: a model or a callable"),
        (["maze_59"], "a.npz", "no config 'maze_59': perhaps you meant mazes_59"),
        ([MATES], "a.csv", r"a\.csv: .*ends in \.parquet or \.npz, not in '\.csv'"),
    ],
)
def test_template_errors(tmp_path: Path, configs: Sequence[str], name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_template(configs, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_template_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "empty.parquet"
    path.write_bytes(b"what was there")

    def fail(writer: Any, table: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        write_template([MATES], path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"what was there"


def test_rows_of_the_benchmark() -> None:
    for part in PRESETS["full"]:
        if part.split == "test":
            assert benchmark_rows(part.config) == part.rows
    with pytest.raises(ValueError, match="no config 'mazes_loped_13': perhaps you meant mazes_looped_13"):
        benchmark_rows("mazes_loped_13")
    with pytest.raises(ValueError, match=r"chess_puzzles_1200: .*a model or a callable with --root"):
        benchmark_rows("chess_puzzles_1200")


# What is refused. Of each: how the file is made, and what is said.


def _index(**changes: int) -> Any:
    """0 to 199 but for some rows."""
    index = np.arange(ROWS)
    for row, value in changes.items():
        index[int(row.removeprefix("row"))] = value
    return index


def _with(value: Any, dtype: Any, row: int = 41) -> Any:
    """The answers, one entry of which is `value`."""
    answers = _answers().astype(dtype)
    answers[row, 2, 3] = value
    return answers


def _ragged(lengths: dict[int, int]) -> Any:
    """The answers, those of some rows cut or prolonged to a length."""
    lists = [[*row, 0, 0, 0][: lengths.get(number, 64)] for number, row in enumerate(_answers().reshape(ROWS, -1))]
    return pa.array(lists, type=pa.list_(pa.uint8()))


def _nested(rows: int = 8, columns: int = 8) -> Any:
    lists = _answers().tolist()
    lists[41] = [[0] * columns] * rows
    return pa.array(lists, type=pa.list_(pa.list_(pa.uint8())))


def _null(row: int, entry: int | None = None) -> Any:
    lists = _answers().reshape(ROWS, -1).tolist()
    lists[row] = None if entry is None else [*lists[row][:entry], None, *lists[row][entry + 1 :]]
    return pa.array(lists, type=pa.list_(pa.uint8()))


def _names(change: Callable[[int], Any]) -> Any:
    return pa.array([change(row) for row in range(ROWS)])


TABLES: dict[str, tuple[Callable[[], Any], str]] = {
    "missing": (
        lambda: _table().filter(pa.array(~np.isin(np.arange(ROWS), (17, 18, 99)))),
        "chess_mates_5 lacks 3 of 200 items, the first is index 17",
    ),
    "twice": (
        lambda: _table(index=_index(row3=7, row4=7)),
        r"chess_mates_5 holds 1 of 200 items more than once, the first is index 7 \(3 times\)",
    ),
    "beyond": (lambda: _table(index=_index(row3=200)), "chess_mates_5 has no item 200: 0 to 199 are allowed"),
    "negative": (lambda: _table(index=_index(row3=-1)), "chess_mates_5 has no item -1: 0 to 199 are allowed"),
    "huge": (
        lambda: _table(index=np.where(np.arange(ROWS) == 3, np.uint64(2**64 - 1), np.arange(ROWS, dtype=np.uint64))),
        "chess_mates_5 has no item 18446744073709551615",
    ),
    "unknown config": (
        lambda: _table(config=_names(lambda row: "chess_mate_5" if row == 9 else MATES)),
        "the benchmark has no config 'chess_mate_5': perhaps you meant chess_mates_5",
    ),
    "puzzles": (lambda: _table(config=_names(lambda row: "chess_puzzles_1000")), "score a model or a callable with"),
    "null config": (lambda: _table(config=_names(lambda row: None if row else MATES)), "config is null in 199 rows"),
    "null index": (lambda: _table(index=pa.array([None, *range(1, ROWS)])), "index is null in 1 rows"),
    "no prediction": (
        lambda: _table(prediction=None, answer=_lists(_answers())),
        "no columns prediction: needed are config, index, prediction, there are config, index, answer",
    ),
    "no config": (lambda: _table(config=None), "no columns config: needed are config, index, prediction"),
    "no index": (lambda: _table(index=None), "no columns index"),
    "prediction twice": (lambda: _table().append_column("prediction", _lists(_answers())), "2 columns prediction"),
    "config of numbers": (lambda: _table(config=np.arange(ROWS)), "column config is int64: strings are wanted"),
    "index of floats": (lambda: _table(index=np.arange(ROWS) * 1.0), "column index is double: an integer type"),
    "strings": (lambda: _table(prediction=["0" * 64] * ROWS), "column prediction is string: lists of an integer type"),
    "numbers": (lambda: _table(prediction=np.arange(ROWS)), "column prediction is int64: lists of an integer type"),
    "lists of strings": (lambda: _table(prediction=[["0"] * 64] * ROWS), "prediction is list<.*string>: lists of an"),
    "floats": (
        lambda: _table(prediction=_lists(_answers() * 1.0)),
        "column prediction holds double: 0 and 1 of an integer type are wanted, such as uint8",
    ),
    "NaN": (
        lambda: _table(prediction=_lists(_with(np.nan, np.float32, 199))),
        "chess_mates_5, index 199: entry 19 of the prediction is NaN, only 0 and 1 are allowed",
    ),
    "null": (lambda: _table(prediction=_null(41)), "chess_mates_5, index 41: the prediction is null"),
    "null entry": (lambda: _table(prediction=_null(41, 63)), "chess_mates_5, index 41: the prediction is null, or nul"),
    "short": (
        lambda: _table(prediction=_ragged({41: 63})),
        r"chess_mates_5, index 41: a list of 63 entries where 64 are wanted \(8 x 8, row by row\)",
    ),
    "long": (lambda: _table(prediction=_ragged({41: 67})), "index 41: a list of 67 entries where 64 are wanted"),
    "short and long": (lambda: _table(prediction=_ragged({41: 65, 40: 63})), "index 40: a list of 63 entries"),
    "empty": (lambda: _table(prediction=_ragged({41: 0})), "index 41: a list of 0 entries where 64 are wanted"),
    "nested, a row less": (lambda: _table(prediction=_nested(rows=7)), "index 41: a list of 7 entries where 8 are"),
    "nested, a column more": (lambda: _table(prediction=_nested(columns=9)), "index 41: a list of 9 entries where 8"),
    "nested too deep": (
        lambda: _table(prediction=_lists(_answers().reshape(ROWS, 1, 8, 8), "nested")),
        "the predictions of chess_mates_5 are lists 3 deep: flatten them, row by row",
    ),
    "255": (
        lambda: _table(prediction=_lists(_with(255, np.uint8))),
        "chess_mates_5, index 41: entry 19 of the prediction is 255, only 0 and 1 are allowed",
    ),
    "-1": (lambda: _table(prediction=_lists(_with(-1, np.int64))), "index 41: entry 19 of the prediction is -1"),
    "2, nested": (lambda: _table(prediction=_lists(_with(2, np.int8), "nested")), "index 41: entry 19 .* is 2, only"),
    "no iterations": (
        lambda: _table(iterations=np.where(np.arange(ROWS) == 199, 0, 5)),
        "chess_mates_5, index 199: iterations is 0, 1 to 1,000,000,000 are allowed",
    ),
    "iterations of floats": (lambda: _table(iterations=np.ones(ROWS)), "column iterations is double: an integer type"),
    "iterations of null": (lambda: _table(iterations=pa.array([None] + [1] * 199)), "iterations is null in 1 rows"),
    "no rows": (lambda: _table().slice(0, 0), "holds 0 rows: 1 to 694,400"),
    "other data": (
        lambda: _table().replace_schema_metadata({"easy_to_hard.data": "v1:abc"}),
        "made for the data 'v1:abc', not for the benchmark's 'v1:",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_refused_parquet(tmp_path: Path, case: str) -> None:
    make, message = TABLES[case]
    told = _refusal(_parquet(tmp_path, make(), row_group_size=60))
    assert re.search(message, told), told


ARRAYS: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "missing": (
        lambda: {MATES: _answers()[:197]},
        r"array chess_mates_5 is of shape \(197, 8, 8\): \(200, 8, 8\) or \(200, 64\) is wanted",
    ),
    "twice": (
        lambda: {MATES: _answers(), f"{MATES}__index": _index(row3=7)},
        "chess_mates_5 holds 1 of 200 items more than once, the first is index 7",
    ),
    "beyond": (lambda: {MATES: _answers(), f"{MATES}__index": _index(row3=200)}, "no item 200: 0 to 199 are allowed"),
    "fewer numbers": (
        lambda: {MATES: _answers(), f"{MATES}__index": np.arange(199)},
        r"array chess_mates_5.index is of shape \(199,\): \(200,\) is wanted",
    ),
    "numbers alone": (
        lambda: {f"{MATES}__index": _index()},
        "array chess_mates_5.index is there without chess_mates_5",
    ),
    "numbers of floats": (
        lambda: {MATES: _answers(), f"{MATES}__index": _index() * 1.0},
        "array chess_mates_5.index is float64: an integer type is wanted",
    ),
    "unknown config": (
        lambda: {"chess_mate_5": _answers()},
        "no config 'chess_mate_5': perhaps you meant chess_mates_5",
    ),
    "unknown array": (
        lambda: {MATES: _answers(), f"{MATES}__steps": _index()},
        r"array 'chess_mates_5.steps' is unknown.*<config>.index, <config>.iterations or data",
    ),
    "nothing": (lambda: {"data": np.array(data_version())}, "holds no predictions: arrays are named <config>"),
    "other data": (
        lambda: {MATES: _answers(), "data": np.array("v0")},
        "made for the data 'v0', not for the benchmark's",
    ),
    "data of numbers": (lambda: {MATES: _answers(), "data": np.arange(3)}, "array data is int64 of shape"),
    "other shape": (lambda: {MATES: _answers().reshape(ROWS, 4, 16)}, r"of shape \(200, 4, 16\): \(200, 8, 8\) or"),
    "strings": (lambda: {MATES: _answers().astype("U1")}, "array chess_mates_5 is <U1: an integer type is wanted"),
    "pickles": (
        lambda: {MATES: _answers().astype(object)},
        "chess_mates_5 holds pickled Python objects, which are nev",
    ),
    "floats": (lambda: {MATES: _answers() * 1.0}, "chess_mates_5 is float64: an integer type is wanted"),
    "NaN": (lambda: {MATES: _with(np.nan, np.float16)}, "chess_mates_5, index 41: entry 19 of the prediction is NaN"),
    "NaN by number": (
        lambda: {MATES: _with(np.nan, np.float64), f"{MATES}__index": np.arange(ROWS)[::-1]},
        "chess_mates_5, index 158: entry 19 of the prediction is NaN",
    ),
    "255": (lambda: {MATES: _with(255, np.uint8)}, "chess_mates_5, index 41: entry 19 of the prediction is 255"),
    "-1": (lambda: {MATES: _with(-1, np.int16)}, "chess_mates_5, index 41: entry 19 of the prediction is -1"),
    "no iterations": (
        lambda: {MATES: _answers(), f"{MATES}__iterations": np.zeros(ROWS, int), f"{MATES}__index": _index()[::-1]},
        "chess_mates_5, index 199: iterations is 0, 1 to 1,000,000,000 are allowed",
    ),
    "by columns": (lambda: {MATES: np.asfortranarray(_answers())}, "is in Fortran order: save numpy.ascontiguousarray"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_refused_npz(tmp_path: Path, case: str) -> None:
    make, message = ARRAYS[case]
    told = _refusal(_npz(tmp_path, **make()))
    assert re.search(message, told), told


@pytest.mark.parametrize("write", [_parquet, lambda folder, table: _npz(folder, **{MATES: _answers()})])
def test_configs_of_another_task(tmp_path: Path, write: Callable[[Path, Any], Path]) -> None:
    path = write(tmp_path, _table())
    assert [each.config for each in read_submission(path, task="chess_mates")] == [MATES]
    assert _refusal(path, task="mazes") == "chess_mates_5 is of chess_mates: only configs of mazes are scored here"


def test_what_can_be_told_is_told_before_the_first_config(tmp_path: Path) -> None:
    """Of two configs, the second is at fault: nothing of the first is given."""
    short = _lists(_answers("mazes_looped_13").reshape(1000, -1)[:, :-1])
    for column in (
        {"prediction": pa.concat_arrays([_lists(_answers()), short])},
        {"iterations": np.where(np.arange(1200) == 900, 0, 1)},
        {"prediction": pa.concat_arrays([_lists(_answers(each) * 1.0) for each in (MATES, "mazes_looped_13")])},
    ):
        with pytest.raises(ValueError):
            read_submission(_parquet(tmp_path, _table(MATES, "mazes_looped_13", **column), row_group_size=100))


# Files that are none.


def test_paths_that_are_no_prediction_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder.parquet"
    folder.mkdir()
    assert _refusal(folder) == "a folder: a .parquet or .npz file is wanted"
    assert _refusal(tmp_path / "absent.npz") == "there is no such file"
    text = tmp_path / "answers.csv"
    text.write_text("config,index\n")
    assert _refusal(text) == "the name of a prediction file ends in .parquet or .npz, not in '.csv'"
    os.mkfifo(tmp_path / "pipe.npz")
    assert _refusal(tmp_path / "pipe.npz") == "no file: a .parquet or .npz file is wanted"


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_files_of_something_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"answers{suffix}"
    path.touch()
    assert _refusal(path) == "the file is empty (0 bytes)"
    path.write_text("config,index,prediction\nmazes_59,0,0101\n" * 9)
    assert _refusal(path).startswith(f"damaged, or not a {suffix} file at all (")
    whole = write_template([MATES], path)
    assert whole == ROWS
    content = path.read_bytes()
    for length in (1, 4, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        assert _refusal(path).startswith(f"damaged, or not a {suffix} file at all (")


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_overwritten_bytes_are_noticed(tmp_path: Path, suffix: str) -> None:
    """In the middle of the predictions, past everything that is checked first."""
    path = tmp_path / f"answers{suffix}"
    write_template(["mazes_looped_13"], path)
    if suffix == ".npz":
        np.savez(path, mazes_looped_13=_answers("mazes_looped_13"))
    else:
        pq.write_table(_table("mazes_looped_13"), path, compression="none", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(value ^ 1 for value in content[middle : middle + 8])
    path.write_bytes(content)
    assert configs_in(path) == ("mazes_looped_13",)
    assert _refusal(path).startswith(f"damaged, or not a {suffix} file at all (")


@pytest.mark.parametrize("kind", ["zstd", "plain", "second version", "npz", "npz, stored"])
def test_no_damage_is_more_than_a_refusal(tmp_path: Path, kind: str) -> None:
    """200 files with bytes overwritten or the end cut off: each is refused in a line, or read as a whole."""
    table = _table().append_column("iterations", [[3] * ROWS])
    if kind.startswith("npz"):
        path = tmp_path / "answers.npz"
        save = np.savez if "stored" in kind else np.savez_compressed
        save(path, **{MATES: _answers(), f"{MATES}.index": _index(), "data": np.array(data_version())})
    else:
        options: dict[str, Any] = {
            "zstd": {"compression": "zstd"},
            "plain": {"use_dictionary": False, "compression": "none"},
            "second version": {"data_page_version": "2.0", "write_page_index": True},
        }[kind]
        path = _parquet(tmp_path, table, row_group_size=90, **options)
    content, rng, outcomes = path.read_bytes(), random.Random(kind), []
    for _ in range(200):
        damaged = bytearray(content)
        # As many at the end, where footers are, as anywhere.
        start = rng.choice([0, max(0, len(content) - 2500)])
        for _ in range(rng.choice([1, 1, 4])):
            damaged[rng.randrange(start, len(content))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        path.write_bytes(damaged[: rng.randrange(len(content))] if rng.random() < 0.1 else damaged)
        try:
            read = list(read_submission(path))
        except ValueError as error:
            outcomes.append(str(error))
            continue
        assert [(each.config, each.predictions.shape) for each in read] == [(MATES, (200, 8, 8))]
        assert read[0].predictions.max() <= 1
    assert len(outcomes) > 30
    assert all(re.fullmatch(r"answers\.\w+: [^\n]+", told) for told in outcomes)


def test_damaged_names(tmp_path: Path) -> None:
    """Every byte of the names' page is overwritten: some then stand for a name that is not there."""
    path = _parquet(tmp_path, _table(), compression="none")
    content, facts = path.read_bytes(), pq.read_metadata(path).row_group(0).column(0)
    for at in range(facts.data_page_offset, facts.dictionary_page_offset + facts.total_compressed_size):
        for value in (1, 2, 3, 255):
            path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
            try:
                assert [each.config for each in read_submission(path)] == [MATES]
            except ValueError as error:
                assert str(error).startswith("answers.parquet: ")  # noqa: PT017 (either will do)


# Files that are small and unpack to gigabytes.


def _repeated(path: Path, times: int) -> None:
    """Have the footer of a parquet file name its row groups so many times."""
    metadata = pq.read_metadata(path)
    content, size = path.read_bytes(), metadata.serialized_size
    once = pq.read_metadata(path)
    for _ in range(times - 1):
        metadata.append_row_groups(once)
    footer = io.BytesIO()
    metadata.write_metadata_file(footer)
    path.write_bytes(content[: len(content) - size - 8] + footer.getvalue()[4:])


def _bomb(path: Path, name: str, header: tuple[int, ...]) -> None:
    """A .npz file of one member of 10 GB of zeros, behind a header of that shape."""
    zeros, head = bytes(10**8), io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": header})
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    first = packer.compress(head.getvalue()) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, so that it may be repeated.
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(f"{name}.npy")
        with archive.open(info, "w") as member:
            member.write(first + block * 100 + packer.flush())
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, len(head.getvalue()) + 100 * len(zeros)


def _peak_mb(path: Path) -> tuple[str, float]:
    """How a file is refused by a process of its own, and the most memory that it had over what its imports take."""
    script = (
        "import sys; from pathlib import Path; from easy_to_hard.leaderboard.submissions import read_submission\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1000\n"
        "before = peak()\n"
        "try: print(len(list(read_submission(Path(sys.argv[1])))))\n"
        "except ValueError as error: print(error)\n"
        "print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    told, peak = done.stdout.splitlines()
    return told, float(peak)


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}])
def test_ten_gigabytes_of_rows(tmp_path: Path, options: dict[str, Any]) -> None:
    rows, length = 1000, 20_000
    lists = _lists(np.zeros((rows, length), dtype=np.uint8))
    table = pa.table({"config": pa.repeat(MATES, rows), "index": np.arange(rows), "prediction": lists})
    path = _parquet(tmp_path, table, **options)
    _repeated(path, 500)
    assert pq.read_metadata(path).num_rows * length == 10**10
    assert path.stat().st_size < 2e7
    told, peak = _peak_mb(path)
    assert "damaged, or not a .parquet file at all (columns config and config share bytes, from " in told
    assert peak < 100
    _repeated(path, 2)
    assert _refusal(path) == "holds 1,000,000 rows: 1 to 694,400 (the whole benchmark) are allowed"


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "compression": "zstd"}])
def test_few_rows_of_gigabytes(tmp_path: Path, options: dict[str, Any]) -> None:
    lists = _lists(np.zeros((ROWS, 100_000), dtype=np.int8))
    path = _parquet(tmp_path, _table(prediction=lists), **options)
    assert path.stat().st_size < 2e6
    told, peak = _peak_mb(path)
    assert told == "answers.parquet: holds 20,000,000 entries of predictions, 12,800 are wanted"
    assert peak < 100


def _varint(value: int, length: int) -> bytes:
    """A number as Thrift has it in a field of an integer, in so many bytes."""
    return bytes((value * 2 >> 7 * at & 127) | (128 if at < length - 1 else 0) for at in range(length))


def _understated(path: Path, fact: str, said: int) -> None:
    """Have the footer of a parquet file say less of the predictions than is so."""
    metadata = pq.read_metadata(path)
    true = getattr(metadata.row_group(0).column(2), fact)
    content, at = path.read_bytes(), path.stat().st_size - metadata.serialized_size - 8
    length = next(number for number in range(1, 9) if true * 2 < 128**number)
    assert _varint(true, length) in content[at:]
    path.write_bytes(content[:at] + content[at:].replace(_varint(true, length), _varint(said, length)))


@needs_proc
def test_a_footer_that_says_less_values_than_the_pages(tmp_path: Path) -> None:
    """It fits the benchmark; what unpacks to gigabytes is the pages."""
    lists = _lists(np.zeros((ROWS, 100_000), dtype=np.int8))
    path = _parquet(tmp_path, _table(prediction=lists), compression="zstd", use_dictionary=False)
    _understated(path, "num_values", 12_800)
    told, peak = _peak_mb(path)
    assert re.search(
        r"the pages of column prediction say 20,000,000 values, [\d,]+ bytes, its footer 12,800, ", told
    ), told
    assert peak < 100


def test_a_footer_that_says_less_bytes_than_the_pages(tmp_path: Path) -> None:
    path = _parquet(tmp_path, _table(), compression="zstd", use_dictionary=False)
    _understated(path, "total_uncompressed_size", 12_799)
    told = _refusal(path)
    assert re.search(r"the pages of column prediction say 12,800 values, [\d,]+ bytes, its footer 12,800, 12,799", told)


def test_footers_without_end(tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    for footer, message in (
        (b"\x1c" * 5000, "structs never end"),
        (b"\x19" * 5000, "a list of|structs never end"),
        (b"\x19\xfc" + b"\xff" * 8 + b"\x01", "a list of"),
        (b"\x16" + b"\xff" * 99, "a number never ends"),
        (b"\x0f", "it is cut off"),
        (b"\x00", "its footer lacks"),
    ):
        path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
        assert re.search(message, _refusal(path))
    path.write_bytes(b"PAR1" + bytes(2**25) + (2**25).to_bytes(4, "little") + b"PAR1")
    assert _refusal(path) == "the footer takes 33,554,432 bytes: at most 8,388,608 are allowed"


def test_a_name_of_gigabytes(tmp_path: Path) -> None:
    path = _parquet(tmp_path, _table(config=_names(lambda row: "m" * 500_000)), use_dictionary=False)
    assert _refusal(path) == "column config holds more than 67,108,864 bytes: names of configs are wanted"


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((10**10,), "array chess_mates_5 is of shape (10000000000,): (200, 8, 8) or (200, 64) is wanted"),
        ((ROWS, 8, 8), "array chess_mates_5 takes 10,000,000,128 bytes, its header says 12,928"),
    ],
)
def test_ten_gigabytes_of_an_array(tmp_path: Path, header: tuple[int, ...], message: str) -> None:
    path = tmp_path / "bomb.npz"
    _bomb(path, MATES, header)
    assert path.stat().st_size < 5e7
    told, peak = _peak_mb(path)
    assert told == f"bomb.npz: {message}"
    assert peak < 100


def test_an_array_that_lies_about_its_size_everywhere(tmp_path: Path) -> None:
    """The directory, too, says that the member is small: no more is unpacked than it says."""
    path = tmp_path / "bomb.npz"
    _bomb(path, MATES, (ROWS, 8, 8))
    with zipfile.ZipFile(path) as archive:
        wrong = archive.infolist()[0].file_size
    content = path.read_bytes()
    # Above 4 GB the size stands in an extra field of the directory.
    path.write_bytes(content.replace(wrong.to_bytes(8, "little"), (12_928).to_bytes(8, "little")))
    assert _refusal(path).startswith("damaged, or not a .npz file at all (Bad CRC-32")
