"""Verifying: every kind of damage is found and the file named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from easy_to_hard import verify
from easy_to_hard.storage.files import Sample, TensorHash, arrow_bytes, file_sha256, read_shard
from easy_to_hard.tasks import get_task

FILE = "mazes_9/test-00000-of-00001.parquet"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "data"))


def _problems(folder: Path) -> tuple[str, ...]:
    return verify(folder, progress=False).problems


def _forge(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    """Change a shard's table and make the manifest agree, so that only the content is wrong; croissant.json goes."""
    path = folder / name
    table = change(pq.read_table(path))
    pq.write_table(table, path, compression="zstd")
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = next(entry for entry in manifest["files"] if entry["path"] == name)
    tensors, sample = TensorHash(), Sample(len(table))
    for chunk in read_shard(path, get_task(entry["task"]), entry["difficulty"]):
        tensors.update(chunk)
        sample.update(chunk)
    entry.update(bytes=path.stat().st_size, num_bytes=arrow_bytes(path), sample=sample.facts())
    entry.update(sha256=file_sha256(path), rows=len(table), **tensors.digests(), target_ones=tensors.target_ones)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "croissant.json").unlink(missing_ok=True)


def _with_cell(table: Any, column: str, row: int, value: Any) -> Any:
    values = table[column].to_pylist()
    values[row] = value
    import pyarrow as pa

    kind = table.schema.field(column).type
    array = pa.array(values, type=getattr(kind, "storage_type", kind))
    array = pa.ExtensionArray.from_storage(kind, array) if hasattr(kind, "storage_type") else array
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), array)


def test_a_good_folder_has_no_problems(tiny_folder: Path) -> None:
    report = verify(tiny_folder, progress=False)
    assert report.problems == ()
    assert report.rows == 370
    assert report.files == 14


@pytest.mark.parametrize("place", [0, 0.3, 0.6, 1])
def test_any_flipped_byte_is_found(folder: Path, place: float) -> None:
    path = folder / FILE
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
    problems = _problems(folder)
    assert any(
        re.match(rf"{FILE}: SHA-256 is [0-9a-f]{{64}}, the manifest says [0-9a-f]{{64}}", told) for told in problems
    )
    assert all(problem.startswith(FILE) for problem in problems)


def test_missing_unknown_and_truncated_files(folder: Path) -> None:
    (folder / FILE).rename(folder / "mazes_9/other-00000-of-00001.parquet")
    cut = folder / "mazes_13/test-00000-of-00001.parquet"
    cut.write_bytes(cut.read_bytes()[:500])
    problems = _problems(folder)
    assert f"{FILE}: missing" in problems
    assert "mazes_9/other-00000-of-00001.parquet: not in the manifest" in problems
    assert any(problem.startswith("mazes_13/") and "not a readable shard" in problem for problem in problems)


def test_readme_must_name_every_config(folder: Path) -> None:
    readme = folder / "README.md"
    text = readme.read_text()
    readme.write_text(text.replace("config_name: mazes_13", "config_name: mazes_14"))
    assert _problems(folder) == ("README.md: config mazes_13 is missing",)
    readme.write_text("no front matter")
    assert [problem[:29] for problem in _problems(folder)] == ["README.md: no readable config"]


def test_forged_target_is_found_by_solving(folder: Path) -> None:
    target = np.array(pq.read_table(folder / FILE)["target"].to_pylist()[0])
    _forge(folder, FILE, lambda table: _with_cell(table, "target", 0, (1 - target).tolist()))
    problems = _problems(folder)
    assert any("the target is not the solution" in problem for problem in problems)
    assert any("differs from what the generator makes" in problem for problem in problems)


def test_swapped_column_is_found_by_generating(folder: Path) -> None:
    _forge(folder, FILE, lambda table: _with_cell(table, "path_length", 0, 1))
    assert [problem.split(": ")[1].split(" ", 2)[2] for problem in _problems(folder)] == [
        "differs from what the generator makes"
    ]


def test_row_that_occurs_twice(folder: Path) -> None:
    _forge(folder, FILE, lambda table: table.take([0, 0, *range(2, len(table))]))
    assert any("occurs twice" in problem for problem in _problems(folder))


def test_row_of_another_split(folder: Path) -> None:
    train = pq.read_table(folder / "mazes_9/train-00000-of-00001.parquet").slice(0, 20)
    _forge(folder, FILE, lambda table: train)
    problems = _problems(folder)
    assert any("belongs to split train" in problem for problem in problems)
    assert any("is in train too" in problem for problem in problems)


def test_wrong_number_of_rows(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][0]["rows"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    path = manifest["files"][0]["path"]
    assert _problems(folder) == (f"{path}: 50 rows, the manifest says 51",)


@pytest.mark.parametrize("name", ["bytes", "num_bytes", "target_ones", "indices", "sha256"])
def test_every_number_of_the_manifest_is_checked(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = manifest["files"][3]
    if name in ("indices", "sha256"):
        entry["sample"][name] = [0] if name == "indices" else "0" * 64
    else:
        entry[name] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    wrong = "sample" if name in ("indices", "sha256") else name
    (problem,) = _problems(folder)
    assert problem.startswith(f"{entry['path']}: {wrong} ")
    assert "the manifest says" in problem


def test_a_changed_position_is_found_in_no_time(tmp_path: Path, tiny_folder: Path) -> None:
    """A position without a mate is searched no deeper than the difficulty."""
    shutil.copytree(tiny_folder, tmp_path / "data")
    path = next((tmp_path / "data" / "chess_mates_1").glob("test-*"))
    table = pq.read_table(path)
    fens, moves = table["fen"].to_pylist(), table["move"].to_pylist()
    fens[0], moves[0] = "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", "e1g1"
    for name, values in (("fen", fens), ("move", moves)):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    pq.write_table(table, path)
    problems = verify(tmp_path / "data", progress=False).problems
    assert any("the target is not the solution" in problem for problem in problems)
    assert any("SHA-256 is" in problem for problem in problems)
    fens[0] = "garbage"
    pq.write_table(table.set_column(table.schema.get_field_index("fen"), "fen", pa.array(fens)), path)
    problems = verify(tmp_path / "data", progress=False).problems
    assert any("chess_mates_1/test" in problem and "FEN 'garbage'" in problem for problem in problems)
