"""croissant.json: it names what is in the folder, and `mlcroissant` reads the same rows through it as pyarrow."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from easy_to_hard import build, verify
from easy_to_hard.cards.croissant import CROISSANT
from easy_to_hard.cards.folder import dataset_croissant
from easy_to_hard.cards.tables import split_counts
from easy_to_hard.storage.manifest import read_manifest
from easy_to_hard.storage.presets import Part

# Both are known only once the folder is published.
LEFT_OUT = ("https://schema.org/datePublished", "https://schema.org/url")
RESPONSIBLE = {
    *("dataCollection", "dataCollectionType", "dataLimitations", "dataBiases", "dataUseCases"),
    *("personalSensitiveInformation", "dataPreprocessingProtocol"),
}


def _read(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / CROISSANT).read_text(encoding="utf-8"))
    return document


def test_it_names_every_file_and_every_column(tiny_folder: Path) -> None:
    manifest, document = read_manifest(tiny_folder), _read(tiny_folder)
    named = {file["@id"]: file for file in document["distribution"] if file["@type"] == "cr:FileObject"}
    assert list(named) == [entry["path"] for entry in manifest["files"]]
    for entry in manifest["files"]:
        file = named[entry["path"]]
        assert (file["sha256"], file["contentSize"]) == (entry["sha256"], f"{entry['bytes']} B")
    splits, *sets = document["recordSet"]
    assert splits["data"] == [{"splits/name": name} for name in ("train", "validation", "test")]
    assert [one["@id"] for one in sets] == list(split_counts(manifest["files"]))
    for one in sets:
        schema = pq.read_schema(next((tiny_folder / one["@id"]).glob("*.parquet")))
        assert [field["name"] for field in one["field"]] == ["split", *schema.names]
        assert all(field["description"] for field in one["field"])
    [maze] = [field for one in sets for field in one["field"] if field["@id"] == "mazes_9/input"]
    assert (maze["dataType"], maze["isArray"], maze["arrayShape"]) == ("cr:UInt8", True, "3,24,24")


def test_it_says_how_the_data_came_about(tiny_folder: Path, converted: Path) -> None:
    for root, license_ in ((tiny_folder, "MIT"), (converted, "publicdomain")):
        document = _read(root)
        assert document["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
        assert license_ in document["license"]
        assert {f"rai:{name}" for name in RESPONSIBLE} <= {name for name, value in document.items() if value}
    assert "200 rows" not in str(_read(tiny_folder))
    assert "0 of 200 rows" in _read(converted)["rai:dataCollectionMissingData"]


def test_it_does_not_depend_on_how_a_folder_was_built(tmp_path: Path) -> None:
    parts = [Part(task="prefix_sums", difficulty=70, split=split, rows=9) for split in ("train", "test")]
    for name, shards in (("whole", [None]), ("shares", [(1, 2), (2, 2), None])):
        for shard in shards:
            build(tmp_path / name, parts=parts, shard=shard, progress=False)
    assert (tmp_path / "whole" / CROISSANT).read_bytes() == (tmp_path / "shares" / CROISSANT).read_bytes()
    manifest = read_manifest(tmp_path / "whole")
    files = manifest.pop("files")
    assert dataset_croissant(manifest, files) == (tmp_path / "whole" / CROISSANT).read_text(encoding="utf-8")


def test_verify_compares_it_with_the_manifest(tmp_path: Path) -> None:
    build(tmp_path, parts=[Part(task="prefix_sums", difficulty=70, split="test", rows=3)], progress=False)
    path = "prefix_sums_70/test-00000-of-00001.parquet"
    sha256 = read_manifest(tmp_path)["files"][0]["sha256"]
    text = (tmp_path / CROISSANT).read_text(encoding="utf-8")
    for changed, problem in (
        (text.replace(sha256, "0" * 64), f"SHA-256 of {path} is {'0' * 64}, the manifest says {sha256}"),
        (text.replace(f'"@id": "{path}"', '"@id": "other.parquet"'), "other.parquet is not in the manifest"),
        ("[]", "no readable list of files"),
    ):
        assert changed != text
        (tmp_path / CROISSANT).write_text(changed, encoding="utf-8")
        assert problem in " ".join(verify(tmp_path, progress=False).problems)
    # Folders of earlier versions have none.
    (tmp_path / CROISSANT).unlink()
    assert verify(tmp_path, progress=False).problems == ()


def _plain(value: Any) -> Any:
    """A value of a record, or of a row, as Python's own numbers, texts and lists."""
    if isinstance(value, list | np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    return value.decode() if isinstance(value, bytes) else value


def _check_records(root: Path) -> None:
    """Everything is valid, and the records of each config are the rows of its files."""
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=root / CROISSANT)
    issues = dataset.metadata.ctx.issues
    assert issues.errors == set()
    assert [warning for warning in issues.warnings if not any(name in warning for name in LEFT_OUT)] == []
    for config, splits in split_counts(read_manifest(root)["files"]).items():
        rows = [
            {f"{config}/split": split, **{f"{config}/{name}": value for name, value in row.items()}}
            for split in splits
            for path in sorted((root / config).glob(f"{split}-*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        records = [{name: _plain(value) for name, value in row.items()} for row in dataset.records(config)]

        def place(row: dict[str, Any], config: str = config) -> tuple[str, int]:
            return row[f"{config}/split"], row[f"{config}/index"]

        assert sorted(records, key=place) == sorted(rows, key=place)


def _check_in_another_process(root: Path) -> None:
    """`datasets`, where a test has imported it, gives pandas a type for arrays that mlcroissant cannot read."""
    pytest.importorskip("mlcroissant")
    script = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        f"from pathlib import Path; from test_croissant import _check_records; _check_records(Path({str(root)!r}))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


@pytest.mark.slow
def test_mlcroissant_reads_the_rows_of_a_build(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "moved")
    _check_in_another_process(tmp_path / "moved")


@pytest.mark.slow
def test_mlcroissant_reads_the_rows_of_converted_puzzles(converted: Path) -> None:
    _check_in_another_process(converted)
