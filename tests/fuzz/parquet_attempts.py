"""What becomes of a mutant of a parquet submission: see `test_parquet_mutations`."""

import io
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.parquet_mutants import mutant

from easy_to_hard.leaderboard.submissions import benchmark_rows, configs_in, read_submission

CONFIG: Final = "chess_mates_5"
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {"compression": "none", "use_dictionary": False},
    {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"},
    {"compression": "snappy"},
    {"compression": "snappy", "data_page_version": "2.0", "row_group_size": 60},
    {"compression": "zstd", "use_dictionary": False, "row_group_size": 60},
    {"compression": "gzip", "row_group_size": 110, "write_statistics": False},
    {"compression": "none", "data_page_size": 200, "write_batch_size": 10},
    {"compression": "zstd", "store_schema": False, "write_page_checksum": True},
)


def table() -> Any:
    """Answers to all items of a config."""
    rows = benchmark_rows(CONFIG)
    values = np.random.default_rng(1).integers(0, 2, rows * 64, dtype=np.uint8)
    lists = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * 64, pa.array(values))
    columns = {"config": [CONFIG] * rows, "index": np.arange(rows), "prediction": lists}
    return pa.table({**columns, "iterations": np.arange(rows) + 1})


@cache
def _content(which: int) -> bytes:
    written = io.BytesIO()
    pq.write_table(table(), written, **OPTIONS[which])
    return written.getvalue()


def prepare() -> None:
    """Read a whole file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.parquet"
        path.write_bytes(_content(0))
        assert read(path)[0] == "accepted"


def attempt(number: int) -> tuple[str, str]:
    """What comes of mutant `number`."""
    rng = random.Random(f"parquet {number}")
    content = mutant(_content(rng.randrange(len(OPTIONS))), rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.parquet"
        path.write_bytes(content)
        return read(path)


def read(path: Path) -> tuple[str, str]:
    """What comes of a file; "accepted" only where Arrow, asked plainly, reads the very same answers."""
    try:
        configs = configs_in(path)
        answers = list(read_submission(path))
    except ValueError as error:
        told = str(error)
        right = "\n" not in told and told.startswith("answers.parquet: ") and len(told) < 1000
        return ("refused" if right else "told wrongly"), told
    except Exception as error:
        return "another exception", repr(error)
    if [each.config for each in answers] != [CONFIG] or configs != (CONFIG,):
        return "read as other configs", str(configs)
    plain = pq.ParquetFile(path).read(["index", "prediction"])
    order = np.argsort(plain["index"].to_numpy())
    wanted = np.array(plain["prediction"].to_pylist(), dtype=np.uint8)[order]
    same = np.array_equal(answers[0].predictions.reshape(wanted.shape), wanted)
    return ("accepted" if same else "read wrongly"), ""
