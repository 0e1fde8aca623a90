"""Lichess puzzles converted: every row against python-chess, every way for a row to be broken."""

import csv
import hashlib
import io
import itertools
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from lichess_rows import (
    EXCERPT,
    HEADER,
    SHARED,
    convert_quietly,
    excerpt,
    expected_planes,
    expected_rows,
    good_rows,
    mixed,
    read_rejects,
    read_table,
    write_rows,
)

from easy_to_hard.generators.chess import canonical_hashes, parse_fens
from easy_to_hard.generators.splits import SPLITS, split_of
from easy_to_hard.lichess import bands, csv_rows, rows, sorting
from easy_to_hard.lichess.reading import ConvertError
from easy_to_hard.storage.manifest import read_manifest

# ---- what a conversion gives


def test_rows_are_those_of_python_chess(converted: Path) -> None:
    table = read_table(converted)
    assert table.drop_columns("index").to_pylist() == expected_rows(excerpt())
    types = dict.fromkeys(("rating", "rating_deviation", "popularity", "plays"), "int32")
    types |= {"rank": "int64", "index": "int64"}
    assert {field.name: str(field.type) for field in table.schema} == {
        name: types.get(name, "string") for name in [*bands.COLUMNS, "rank", "index"]
    }


def test_what_is_empty_is_null_or_an_empty_text(tmp_path: Path) -> None:
    lines = good_rows(60)
    for i, line in enumerate(lines):
        fields = line.split(b",")
        for column in range(4, 10):
            if i >> (column - 4) & 1:
                fields[column] = b""
        lines[i] = b",".join(fields)
    report = convert_quietly(write_rows(tmp_path / "rows.csv", lines), tmp_path / "data", strict=True)
    assert report.rows_out == 60
    found = read_table(tmp_path / "data").drop_columns("index").to_pylist()
    assert found == expected_rows(lines)
    assert {None, ""} <= {value for row in found for value in row.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lichess_puzzles_sample.csv.zst", "lichess_puzzles_partial_columns.csv.zst"])
def test_real_files_are_converted_whole(name: str, tmp_path: Path) -> None:
    """All 85,564 and 99,154 rows, against python-chess."""
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not there")
    report = convert_quietly(SHARED / name, tmp_path / "data")
    with zstandard.open(SHARED / name) as file:
        lines = file.read().splitlines()[1:]
    assert report.rows_in == report.rows_out == len(lines)
    assert read_table(tmp_path / "data").drop_columns("index").to_pylist() == expected_rows(lines)
    shares = [sum(e["rows"] for e in read_manifest(tmp_path / "data")["files"] if e["split"] == s) for s in SPLITS]
    assert np.allclose(np.array(shares) / len(lines), [0.8, 0.1, 0.1], atol=0.005)


@pytest.mark.parametrize("kind", ["rating", "rank"])
def test_bands_splits_and_indices(kind: str, tmp_path: Path) -> None:
    edges = (0, 1200, 1500, 1501, 2700) if kind == "rating" else (0, 100, 101, 600, 5000)
    source = write_rows(tmp_path / "rows.csv", good_rows(1000))
    convert_quietly(source, tmp_path / "data", bands=kind, edges=edges)
    seen = 0
    for path in sorted((tmp_path / "data").glob("*/*.parquet")):
        table = pq.read_table(path)
        low = int(path.parent.name.removeprefix("chess_puzzles_").removeprefix("rank_"))
        assert path.parent.name == ("chess_puzzles_" if kind == "rating" else "chess_puzzles_rank_") + str(low)
        high = {**dict(itertools.pairwise(edges)), edges[-1]: 10**9}[low]
        values = table[kind].to_numpy()
        assert low <= values.min() <= values.max() < high
        split = path.name.removesuffix("-00000-of-00001.parquet")
        hashes = canonical_hashes(parse_fens(table["fen"].to_pylist()))
        assert {split_of(value) for value in hashes.tolist()} == {split}
        assert table["index"].to_pylist() == list(range(len(table)))
        assert np.all(np.diff(table["rank"].to_numpy()) > 0)
        seen += len(table)
    assert seen == 1000
    assert read_manifest(tmp_path / "data")["edges"] == list(edges)
    # The band of ranks from 5000 on, and no other, has no rows.
    held = {path.name for path in (tmp_path / "data").iterdir() if path.is_dir()}
    assert len(held) == (5 if kind == "rating" else 4)


def test_no_position_is_in_two_splits(tmp_path: Path) -> None:
    convert_quietly(write_rows(tmp_path / "rows.csv", good_rows(1000)), tmp_path / "data", edges=[0, 1000, 2000])
    owners: dict[str, set[str]] = {}
    for path in (tmp_path / "data").glob("*/*.parquet"):
        for fen in pq.read_table(path)["fen"].to_pylist():
            owners.setdefault(fen, set()).add(path.name)
    assert max(len(files) for files in owners.values()) == 1


@pytest.mark.parametrize("rows_of_a_run", [40, 150, 10_000])
def test_the_order_is_that_of_a_stable_sort(
    rows_of_a_run: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many ties, in one run or many; ratings with more rows than a table of the merge has, and with fewer."""
    monkeypatch.setattr(sorting, "_RUN_ROWS", rows_of_a_run)
    monkeypatch.setattr(sorting, "_BATCH_ROWS", 7)
    monkeypatch.setattr(sorting, "TABLE_ROWS", 120)
    monkeypatch.setattr(rows, "_ROWS_AT_A_TIME", 16)
    lines = good_rows(700)
    convert_quietly(write_rows(tmp_path / "rows.csv", lines), tmp_path / "data")
    frame = pd.read_csv(io.BytesIO(HEADER + b"\n" + b"\n".join(lines)), dtype={"PuzzleId": str})
    frame = frame.sort_values("Rating", kind="mergesort")
    table = read_table(tmp_path / "data")
    assert table["puzzle_id"].to_pylist() == frame["PuzzleId"].tolist()
    assert table["rating"].to_pylist() == frame["Rating"].tolist()
    assert table["popularity"].to_pylist() == frame["Popularity"].tolist()


def test_the_manifest_holds_hashes_of_files_and_tensors(converted: Path) -> None:
    manifest = read_manifest(converted)
    assert {key: manifest[key] for key in ("preset", "seed", "split_rule")} == {
        "preset": "lichess",
        "seed": 0,
        "split_rule": "hash",
    }
    assert manifest["source"] == {
        "name": EXCERPT.name,
        "sha256": hashlib.sha256(EXCERPT.read_bytes()).hexdigest(),
        "rows_in": 200,
        "rows_out": 200,
        "rejects": {},
    }
    paths = {path.relative_to(converted).as_posix() for path in converted.glob("*/*.parquet")}
    assert {entry["path"] for entry in manifest["files"]} == paths
    for entry in manifest["files"]:
        assert entry["path"] == f"{entry['config']}/{entry['split']}-00000-of-00001.parquet"
        assert entry["config"] == f"chess_puzzles_{entry['difficulty']}"
        assert (entry["task"], entry["variant"]) == ("chess_puzzles", "rating")
        content = (converted / entry["path"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        table = pq.read_table(converted / entry["path"])
        assert entry["rows"] == len(table)
        pairs = [
            expected_planes(fen, move, mover=True)
            for fen, move in zip(table["fen"].to_pylist(), table["move"].to_pylist(), strict=True)
        ]
        for place, name in enumerate(("inputs_sha256", "targets_sha256")):
            tensors = b"".join(pair[place].tobytes() for pair in pairs)
            assert entry[name] == hashlib.sha256(tensors).hexdigest()


def test_files_are_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_GROUP_ROWS", 100)
    monkeypatch.setattr(bands, "_HASHED_ROWS", 30)
    monkeypatch.setattr(sorting, "TABLE_ROWS", 170)
    source = write_rows(tmp_path / "rows.csv", good_rows(1000))
    convert_quietly(source, tmp_path / "data", edges=[0])
    monkeypatch.undo()
    convert_quietly(source, tmp_path / "again", edges=[0])
    assert read_table(tmp_path / "data").equals(read_table(tmp_path / "again"))
    metadata = pq.read_metadata(tmp_path / "data" / "chess_puzzles_0" / "train-00000-of-00001.parquet")
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups[:-1] == [100] * (metadata.num_rows // 100)
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    keys = ("rows", "inputs_sha256", "targets_sha256")
    one, other = (read_manifest(tmp_path / name)["files"] for name in ("data", "again"))
    assert [[entry[key] for key in keys] for entry in one] == [[entry[key] for key in keys] for entry in other]


def test_the_same_file_gives_the_same_bytes(converted: Path, tmp_path: Path) -> None:
    convert_quietly(EXCERPT, tmp_path / "data")
    assert (tmp_path / "data" / "manifest.json").read_bytes() == (converted / "manifest.json").read_bytes()


@pytest.mark.slow
def test_load_dataset_reads_it(converted: Path, tmp_path: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    manifest = read_manifest(converted)
    names = get_dataset_config_names(str(converted))
    assert names == list(dict.fromkeys(entry["config"] for entry in manifest["files"]))
    for entry in manifest["files"]:
        data = load_dataset(str(converted), entry["config"], split=entry["split"], cache_dir=str(tmp_path))
        assert data.to_list() == pq.read_table(converted / entry["path"]).to_pylist()
    front = yaml.safe_load((converted / "README.md").read_text().split("---\n")[1])
    assert front["license"] == "cc0-1.0"
    assert "200 rows read, 200 written" in (converted / "README.md").read_text()


def test_only_what_belongs_there_is_left(converted: Path) -> None:
    names = {path.name for path in converted.iterdir()}
    configs = {entry["config"] for entry in read_manifest(converted)["files"]}
    assert names == configs | {"README.md", "croissant.json", "manifest.json", "rejects.csv"}
    assert (converted / "rejects.csv").read_text() == "line,reason,row\n"


def test_planes_are_those_of_the_original_files(tmp_path: Path) -> None:
    report = convert_quietly(EXCERPT, tmp_path / "data", planes=True)
    assert report.rows_out == 200
    folder = tmp_path / "data" / "chess_data"
    names = ("data", "targets", "who_moves", "rating")
    data, targets, who_moves, rating = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in names)
    assert [array.dtype for array in (data, targets, who_moves, rating)] == ["uint8", "uint8", "uint8", "int32"]
    assert [array.shape for array in (data, targets, who_moves, rating)] == [
        (200, 12, 8, 8),
        (200, 8, 8),
        (200, 1),
        (200, 1),
    ]
    for i, row in enumerate(expected_rows(excerpt())):
        inputs, squares = expected_planes(row["fen"], row["move"], mover=False)
        assert np.array_equal(data[i], inputs)
        assert np.array_equal(targets[i], squares)
        assert who_moves[i, 0] == (" b " in row["fen"])
        assert rating[i, 0] == row["rating"]
    assert 0 < who_moves.sum() < 200
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"chess_data", "rejects.csv"}
    told = json.loads((folder / "source.json").read_text())
    assert told["source"]["rows_out"] == 200
    for entry in told["files"]:
        content = (tmp_path / "data" / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()


# ---- rows that are no puzzles


def test_a_thousand_broken_rows_among_good_ones(tmp_path: Path) -> None:
    good = good_rows(500)
    lines, expected = mixed(good, 1000)
    assert len(expected) == 1000
    report = convert_quietly(write_rows(tmp_path / "rows.csv", lines), tmp_path / "data")
    assert (report.rows_in, report.rows_out) == (1500, 500)
    assert read_rejects(tmp_path / "data") == expected
    assert read_table(tmp_path / "data").drop_columns("index").to_pylist() == expected_rows(good)
    kinds: dict[str, list[int]] = {}
    for line, reason in expected:
        kind = reason if reason.startswith("FEN") else reason.split(":")[0]
        kinds.setdefault(kind, []).append(line)
    assert {reject.reason: (reject.count, list(reject.lines)) for reject in report.rejects} == {
        kind: (len(found), found[:3]) for kind, found in kinds.items()
    }
    # Every reason there is comes up.
    assert {reason.split(":")[0].replace("Rating ", "{} ") for reason in kinds} >= {
        reason.split(":")[0] for reason in csv_rows.REASONS[1:]
    }
    assert len([reason for reason in kinds if reason.startswith("FEN")]) == 11
    assert read_manifest(tmp_path / "data")["source"]["rejects"] == {k: len(found) for k, found in kinds.items()}


def test_rejected_rows_stand_in_the_file_as_text(tmp_path: Path) -> None:
    broken = [b'a,"b', b"caf\xe9", b"x\0y", "ж\u2028\\".encode(), b"z" * 10_000]
    convert_quietly(write_rows(tmp_path / "rows.csv", [*broken, good_rows(1)[0]]), tmp_path / "data")
    with (tmp_path / "data" / "rejects.csv").open(newline="", encoding="utf-8") as file:
        shown = [row["row"] for row in csv.DictReader(file)]
    assert shown == ['a,"b', r"caf\xe9", r"x\x00y", "ж\\u2028\\", "z" * 200]


def test_of_two_rows_with_one_id_the_first_stays(tmp_path: Path) -> None:
    good = good_rows(300)
    broken = good[7].replace(b" ", b"  ", 1)
    lines = [broken, *good, *good[:100], good[5]]
    report = convert_quietly(write_rows(tmp_path / "rows.csv", lines), tmp_path / "data")
    assert report.rows_out == 300
    # A row that was rejected does not take the id from a good one.
    assert read_rejects(tmp_path / "data")[0] == (
        2,
        "FEN: there must be four or six fields, with one space between them",
    )
    assert read_rejects(tmp_path / "data")[1:] == [(line, "PuzzleId occurred before") for line in range(303, 404)]


def test_the_table_of_ids_is_exact_and_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(0)
    table, known = np.zeros(64, dtype=np.uint64), set()
    for _ in range(5000):
        key = rng.choice([rng.randrange(1, 2**64, 2), rng.randrange(1, 4001, 2)])
        assert csv_rows.insert(np.uint64(key), table) == (key not in known)
        known.add(key)
        if 2 * len(known) >= len(table):
            larger = np.zeros(2 * len(table), dtype=np.uint64)
            csv_rows.rehash(table, larger)
            table = larger
    monkeypatch.setattr(rows, "_ROWS_AT_A_TIME", 64)
    reader = rows.RowReader("test")
    reader._seen = np.zeros(128, dtype=np.uint64)
    lines = good_rows(1000)
    text = np.frombuffer(b"\n".join([HEADER, *lines, *lines]), dtype=np.uint8).copy()
    batches = list(reader.read(text))
    assert sum(len(batch) for batch, _ in batches) == 1000
    assert [reject.line for _, rejected in batches for reject in rejected] == list(range(1002, 2002))


def test_utf8_is_judged_as_python_does() -> None:
    rng = random.Random(0)
    leads = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE]
    leads += [0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]
    found = {True: 0, False: 0}
    for _ in range(20_000):
        whole = "".join(
            chr(rng.choice([0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0x10000, 0x10FFFF])) for _ in "12"
        )
        text = bytearray(whole.encode())
        for _ in range(rng.randint(0, 2)):
            text[rng.randrange(len(text))] = rng.choice(leads)
        text = text[: rng.randint(1, 8)]
        try:
            text.decode()
            expected = True
        except UnicodeDecodeError:
            expected = False
        assert csv_rows._is_utf8(np.frombuffer(bytes(text), dtype=np.uint8), 0, len(text)) == expected, text
        found[expected] += 1
    assert min(found.values()) > 1000


def test_fields_are_those_of_the_csv_module() -> None:
    rng = random.Random(0)
    spans = np.empty((csv_rows.MAX_FIELDS, 2), dtype=np.int64)
    out = np.empty(csv_rows.MAX_LINE, dtype=np.uint8)
    for _ in range(3000):
        fields = ["".join(rng.choice('a,"é ') for _ in range(rng.randint(0, 4))) for _ in range(rng.randint(1, 12))]
        quoting = rng.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
        line = io.StringIO()
        csv.writer(line, quoting=quoting, lineterminator="").writerow(fields)
        text = np.frombuffer(line.getvalue().encode(), dtype=np.uint8)
        count = csv_rows._unquote(text, 0, len(text), out, spans)
        assert [out[a:b].tobytes().decode() for a, b in spans[:count].tolist()] == fields
    for wrong in ('"', 'a"', '"a"b', 'a,"b', '"""', 'a,b"c",d', '"a" ,b'):
        text = np.frombuffer(wrong.encode(), dtype=np.uint8)
        assert csv_rows._unquote(text, 0, len(text), out, spans) == -1, wrong


def test_strict_stops_at_the_first_broken_row(tmp_path: Path) -> None:
    lines = good_rows(30)
    lines[20] = lines[20].replace(b",", b";")
    source = write_rows(tmp_path / "rows.csv", lines)
    with pytest.raises(ConvertError, match=r"^rows\.csv, line 22: wrong number of fields: 1, not 10$"):
        convert_quietly(source, tmp_path / "new" / "data", strict=True)
    assert not (tmp_path / "new" / "data").exists()
    (tmp_path / "there").mkdir()
    with pytest.raises(ConvertError, match="line 22"):
        convert_quietly(source, tmp_path / "there", strict=True)
    assert list((tmp_path / "there").iterdir()) == []
    assert convert_quietly(write_rows(source, lines[:20]), tmp_path / "there", strict=True).rows_out == 20


def test_a_file_without_any_puzzle_is_an_error(tmp_path: Path) -> None:
    for content, message in (
        (b"", "holds no row"),
        (HEADER, "holds no row"),
        (HEADER + b"\n", "holds no row"),
        (b"\xef\xbb\xbf", "holds no row"),
        (
            b"hello\nworld\n",
            r"holds 2 rows, none of which is a puzzle \(line 1: wrong number of fields: 1, not 9 or 10\)",
        ),
        (b"\n\n\n", r"holds 3 rows, none of which is a puzzle \(line 1: empty line\)"),
    ):
        (tmp_path / "rows.csv").write_bytes(content)
        with pytest.raises(ConvertError, match=message):
            convert_quietly(tmp_path / "rows.csv", tmp_path / "data")
        assert not (tmp_path / "data").exists()
