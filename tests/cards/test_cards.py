"""Cards: what README.md, the draft of eval.yaml and the pictures say is what is in the files."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard

import easy_to_hard
from easy_to_hard import TASKS, build, cli
from easy_to_hard.cards import images
from easy_to_hard.cards.dataset import PAPERS, dataset_card
from easy_to_hard.cards.folder import benchmark_draft, card_files
from easy_to_hard.cards.front_matter import front_matter
from easy_to_hard.cards.images import card_images
from easy_to_hard.cards.statistics import NumberStatistics, describe, folder_statistics
from easy_to_hard.cards.tables import folded, markdown_table, split_counts
from easy_to_hard.frozen import frozen_manifest
from easy_to_hard.generators.splits import SPLITS
from easy_to_hard.storage import building
from easy_to_hard.storage.columns import arrow_schema, columns_of
from easy_to_hard.storage.files import read_shard
from easy_to_hard.storage.manifest import read_manifest
from easy_to_hard.storage.presets import Part
from easy_to_hard.tasks import get_task

MADE = [name for name, task in TASKS.items() if not task.imported]
# Configs of the preset "tiny" that a small limit cuts into many files.
CUT = ("mazes_9", "chess_mates_1")
Header = dict[str, Any]
Entries = list[dict[str, Any]]


def _parts(*sets: tuple[str, int, str, str, int]) -> list[Part]:
    return [Part(task=t, difficulty=d, variant=v, split=s, rows=n) for t, d, v, s, n in sets]


# Few enough instances that splits drawn from all of them share some.
CROWDED = _parts(
    ("mazes", 5, "", "train", 60),
    ("mazes", 5, "", "test", 40),
    ("mazes", 5, "wilson", "test", 40),
    ("prefix_sums", 7, "", "train", 60),
    ("prefix_sums", 7, "", "validation", 50),
    ("prefix_sums", 7, "", "test", 40),
    ("prefix_sums", 8, "", "test", 100),
    ("chess_mates", 1, "", "train", 10),
    ("chess_mates", 1, "", "test", 10),
)


def _manifest(root: Path) -> tuple[Header, Entries]:
    manifest = read_manifest(root)
    return manifest, manifest.pop("files")


def _write_cards(root: Path) -> None:
    header, files = _manifest(root)
    for name, content in card_files(root, header, files).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preset "tiny" with its cards; not to be changed."""
    root = tmp_path_factory.mktemp("cards") / "data"
    shutil.copytree(tiny_folder, root)
    _write_cards(root)
    return root


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits that share instances, with another seed than the default; not to be changed."""
    root = tmp_path_factory.mktemp("crowded") / "data"
    build(root, preset="crowded", seed=5, split_rule="original", parts=CROWDED, progress=False)
    _write_cards(root)
    return root


def _body(text: str) -> str:
    return text.split("---\n", 2)[2]


def _text(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def _tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text: rows of cells, the heading first, without the rules."""
    found = re.findall(r"(?:^\|.*\|\n)+", text + "\n", re.MULTILINE)
    rows = [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()] for table in found]
    return [[line for line in table if not set("".join(line)) <= set("-: ")] for table in rows]


# ---- what machines read


def test_the_yaml_is_read_by_the_libraries(folder: Path) -> None:
    _, files = _manifest(folder)
    data = DatasetCard.load(folder / "README.md").data
    assert (data.license, data.pretty_name, data.task_categories) == ("mit", "Easy-to-hard", ["other"])
    assert data.size_categories == ["n<1K"]
    assert {"easy-to-hard", "prefix-sums", "mazes", "chess"} <= set(data.tags)
    configs = MetadataConfigs.from_dataset_card_data(data)
    assert list(configs) == list(split_counts(files))
    assert configs.get_default_config_name() == files[0]["config"]
    for name, splits in split_counts(files).items():
        patterns = {item["split"]: item["path"] for item in configs[name]["data_files"]}
        assert list(patterns) == list(splits)
        for split, pattern in patterns.items():
            paths = sorted(path.relative_to(folder).as_posix() for path in folder.glob(pattern))
            assert paths == [e["path"] for e in files if (e["config"], e["split"]) == (name, split)]
    assert list(DatasetInfosDict.from_dataset_card_data(data)) == list(configs)


def _check_infos(root: Path) -> None:
    """The YAML's sizes and columns are those of the manifest and the files."""
    _, files = _manifest(root)
    infos = DatasetInfosDict.from_directory(root)
    for name, splits in split_counts(files).items():
        entries = [entry for entry in files if entry["config"] == name]
        info = infos[name]
        assert {split: part.num_examples for split, part in info.splits.items()} == splits
        for split, part in info.splits.items():
            assert part.num_bytes == sum(entry["num_bytes"] for entry in entries if entry["split"] == split)
        assert info.dataset_size == sum(entry["num_bytes"] for entry in entries)
        assert info.download_size == sum((root / entry["path"]).stat().st_size for entry in entries)
        assert (
            info.features.arrow_schema.remove_metadata()
            == pq.read_schema(root / entries[0]["path"])
            .remove_metadata()
            .empty_table()
            .cast(info.features.arrow_schema)
            .schema.remove_metadata()
        )


def _check_loading(root: Path, cache: Path, *names: str) -> None:
    """Configs, all if none is named, load with all checks on, and have the sizes that the YAML says."""
    _, files = _manifest(root)
    counts = split_counts(files)
    for name in names or counts:
        splits = counts[name]
        said = datasets.load_dataset_builder(str(root), name, cache_dir=str(cache)).info
        said_bytes = {split: part.num_bytes for split, part in said.splits.items()}
        loaded = datasets.load_dataset(str(root), name, cache_dir=str(cache))
        assert {split: len(data) for split, data in loaded.items()} == splits
        for split, data in loaded.items():
            assert data.info.splits[split].num_bytes == said_bytes[split]
            assert data.info.dataset_size == said.dataset_size == sum(said_bytes.values())
            assert data.features == said.features
            streamed = datasets.load_dataset(str(root), name, split=split, streaming=True)
            assert streamed.features == said.features
            assert list(streamed) == data.to_list()


@pytest.mark.slow
def test_every_config_loads_with_its_sizes(folder: Path, tmp_path: Path) -> None:
    _check_infos(folder)
    _check_loading(folder, tmp_path)
    _, files = _manifest(folder)
    for entry in files:
        info = datasets.load_dataset_builder(str(folder), entry["config"], cache_dir=str(tmp_path)).info
        columns = columns_of(get_task(entry["task"]), entry["difficulty"])
        assert info.features.arrow_schema.serialize().equals(arrow_schema(columns).serialize())


@pytest.mark.slow
def test_lichess_puzzles_load_with_their_sizes(lichess_folder: Callable[[str], Path], tmp_path: Path) -> None:
    for bands in ("rating", "rank"):
        _check_infos(lichess_folder(bands))
        _check_loading(lichess_folder(bands), tmp_path)
    card = DatasetCard.load(lichess_folder("rating") / "README.md")
    assert card.data.license == "cc0-1.0"
    assert "annotations_creators" not in card.data.to_dict()
    counts = split_counts(_manifest(lichess_folder("rating"))[1])
    assert _counts_in(_tables(card.text)[0]) == counts


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (999, "n<1K"),
        (1_000, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (999_999, "100K<n<1M"),
        (1_000_000, "1M<n<10M"),
        (10_000_000, "10M<n<100M"),
        (999_999_999, "100M<n<1B"),
        (1_000_000_000, "1B<n<10B"),
    ],
)
def test_size_categories_are_the_hubs(rows: int, name: str) -> None:
    resources = Path(datasets.__file__).parent / "utils" / "resources"
    assert name in json.loads((resources / "size_categories.json").read_text())
    assert "machine-generated" in json.loads((resources / "creators.json").read_text())["annotations"]
    entry = {"config": "mazes_9", "split": "train", "sha256": "", "num_bytes": 1, "bytes": 1}
    files = [{**entry, "rows": rows - rows // 2}, {**entry, "rows": rows // 2}]
    front = yaml.safe_load(front_matter(files, lambda entry: columns_of(get_task("mazes"), 9), {}).split("---\n")[1])
    assert front["size_categories"] == [name]
    assert front["dataset_info"][0]["splits"] == [{"name": "train", "num_bytes": 2, "num_examples": rows}]


def test_the_yaml_has_no_anchors_and_tells_builds_apart(folder: Path) -> None:
    header, files = _manifest(folder)
    front = _text(folder).split("---\n")[1]
    assert "&" not in front
    changed = [{**files[0], "sha256": "0" * 64}, *files[1:]]
    other = dataset_card(header, changed, folder_statistics(folder, files)).split("---\n")[1]
    told, told_other = (yaml.safe_load(text)["configs"] for text in (front, other))
    assert [a != b for a, b in zip(told, told_other, strict=True)] == [True] + [False] * (len(told) - 1)


# ---- statistics


def _rows(root: Path, files: Entries, config: str, split: str) -> Any:
    chosen = [entry for entry in files if (entry["config"], entry["split"]) == (config, split)]
    task = get_task(chosen[0]["task"])
    return task, [chunk for e in chosen for chunk in read_shard(root / e["path"], task, e["difficulty"])]


@pytest.mark.parametrize("name", ["folder", "crowded"])
def test_statistics_are_those_of_the_rows(name: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(name)
    _, files = _manifest(root)
    statistics = folder_statistics(root, files)
    assert {c: list(splits) for c, splits in statistics.splits.items()} == {
        c: list(splits) for c, splits in split_counts(files).items()
    }
    for config, splits in statistics.splits.items():
        for split, found in splits.items():
            task, chunks = _rows(root, files, config, split)
            columns = {key: np.concatenate([chunk.columns[key] for chunk in chunks]) for key in task.columns}
            assert found.rows == sum(map(len, chunks))
            assert found.target_ones == pytest.approx(np.concatenate([chunk.targets for chunk in chunks]).mean())
            assert set(found.numbers) == {key for key, values in columns.items() if values.dtype.kind == "i"}
            assert set(found.shares) == {key for key, values in columns.items() if values.dtype.kind == "b"}
            for key, share in found.shares.items():
                assert share == pytest.approx(columns[key].mean())
            for key, number in found.numbers.items():
                values = columns[key]
                assert (number.least, number.most) == (values.min(), values.max())
                assert (number.median, number.mean) == pytest.approx((np.median(values), values.mean()))


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([3], [3, 4]),
        ([3, 5, 5, 9], [3, 5, 7, 9, 11]),  # a step of 2
        (range(0, 17), range(0, 19, 2)),
        ([0, 10, 320], range(0, 341, 30)),  # 33 steps of 10 need bins of 3
        ([-5, 0, 7], range(-5, 9)),
        ([1, 2, 1601], range(1, 1700, 101)),
    ],
)
def test_bins_are_equally_wide(values: Sequence[int], edges: Sequence[int]) -> None:
    found = describe(np.array(values))
    assert list(found.counts) == np.histogram(values, list(edges))[0].tolist()
    assert sum(found.counts) == len(values)
    assert len(found.counts) <= 16
    assert found == describe(np.array(values)[::-1])


def test_sparklines() -> None:
    number = NumberStatistics(least=0, median=0, mean=0, most=4, counts=(1, 0, 50, 51, 400))
    assert number.sparkline() == "▁·▁▂█"


def _overlaps_by_sets(root: Path, files: Entries) -> list[tuple[str, str, str, int, int]]:
    found = []
    for name in dict.fromkeys(entry["task"] for entry in files):
        held: dict[str, set[Any]] = {}
        for entry in [entry for entry in files if entry["task"] == name]:
            for chunk in read_shard(root / entry["path"], get_task(name), entry["difficulty"]):
                hashes = next((v for key, v in chunk.columns.items() if key.endswith("_hash")), None)
                told = [row.tobytes() for row in chunk.inputs] if hashes is None else hashes.tolist()
                held.setdefault(entry["split"], set()).update(told)
        for other, split in combinations([split for split in SPLITS if split in held], 2):
            # A string that nothing can be compared with does not count.
            compared = held[split] if name != "prefix_sums" else {t for t in held[split] if len(t) == 7}
            found.append((name, split, other, len(compared), len(compared & held[other])))
    return found


def test_overlaps_are_counted(crowded: Path) -> None:
    _, files = _manifest(crowded)
    found = folder_statistics(crowded, files).overlaps
    expected = _overlaps_by_sets(crowded, files)
    assert [(o.task, o.split, o.other, o.distinct, o.shared) for o in found] == expected
    assert {o.task for o in found if o.shared} >= {"mazes", "prefix_sums"}
    assert any(0 < o.shared < o.distinct for o in found)
    rows = next(table for table in _tables(_text(crowded)) if table[0][:3] == ["task", "instances of", "that are in"])
    assert [tuple(row) for row in rows[1:]] == [(f"`{o[0]}`", o[1], o[2], str(o[3]), str(o[4])) for o in expected]


def test_nothing_is_shared_under_the_hash_rule(folder: Path) -> None:
    _, files = _manifest(folder)
    overlaps = folder_statistics(folder, files).overlaps
    assert {overlap.task for overlap in overlaps} == set(MADE)
    assert all(overlap.distinct > 0 and overlap.shared == 0 for overlap in overlaps)
    assert "so no size, seed or variant brings a test instance" in " ".join(_text(folder).split()).lower()


def test_the_original_rule_has_another_statement(crowded: Path) -> None:
    text = " ".join(_text(crowded).split())
    assert "splits may have instances in common" in text
    assert "decides which split it belongs to" not in text


def test_one_split_has_no_overlaps(tmp_path: Path) -> None:
    build(tmp_path, preset="tiny", parts=_parts(("mazes", 9, "", "validation", 5)), progress=False)
    _write_cards(tmp_path)
    assert "There is one split only" in _text(tmp_path)
    assert "`mazes_9` (validation)" in _text(tmp_path)
    assert yaml.safe_load((tmp_path / "eval.draft.yaml").read_text())["tasks"] == []
    assert "easy-to-hard build" not in _text(tmp_path)
    _run_blocks(tmp_path)


@pytest.mark.slow
def test_the_cut_into_files_changes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_SHARD_BYTES", 4500)
    build(tmp_path / "cut", preset="tiny", progress=False)
    monkeypatch.undo()
    _write_cards(tmp_path / "cut")
    _, cut = _manifest(tmp_path / "cut")
    assert min(sum(e["config"] == name for e in cut if e["split"] == "test") for name in CUT) > 1
    size = r"take [\d.]+ kB, and"  # packed; only this one depends on the cut
    assert re.search(size, _body(_text(folder)))
    assert re.sub(size, "", _body(_text(tmp_path / "cut"))) == re.sub(size, "", _body(_text(folder)))
    assert (tmp_path / "cut" / "eval.draft.yaml").read_bytes() == (folder / "eval.draft.yaml").read_bytes()
    _check_infos(tmp_path / "cut")
    _check_loading(tmp_path / "cut", tmp_path / "cache", *CUT)


def test_statistics_do_not_depend_on_the_cut(crowded: Path, tmp_path: Path) -> None:
    """Every file in three of unequal length."""
    _, files = _manifest(crowded)
    pieces = []
    for entry in files:
        task, table = get_task(entry["task"]), pq.read_table(crowded / entry["path"])
        for start, stop in pairwise((0, 1, 7, len(table))):
            path = f"{entry['config']}-{entry['split']}-{start}.parquet"
            pq.write_table(table.slice(start, stop - start), tmp_path / path)
            ones = sum(int(chunk.targets.sum()) for chunk in read_shard(tmp_path / path, task, entry["difficulty"]))
            pieces.append({**entry, "path": path, "rows": stop - start, "target_ones": ones})
    assert folder_statistics(tmp_path, pieces) == folder_statistics(crowded, files)


# ---- what people read


def _counts_in(table: list[list[str]]) -> dict[str, dict[str, int]]:
    _, *splits = table[0]
    return {
        config.strip("`"): {
            split: int(cell.replace(",", "")) for split, cell in zip(splits, cells, strict=True) if cell
        }
        for config, *cells in table[1:]
    }


@pytest.mark.parametrize("name", ["folder", "crowded"])
def test_tables_are_those_of_the_manifest(name: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(name)
    header, files = _manifest(root)
    tables = _tables(_body(_text(root)))
    counts: dict[str, dict[str, int]] = {}
    for table in tables:
        if table[0][0] == "config" and set(table[0][1:]) <= set(SPLITS):
            difficulties = [int(row[0].strip("`").rsplit("_", 1)[1]) for row in table[1:]]
            assert difficulties == sorted(difficulties)
            counts |= _counts_in(table)
    assert counts == split_counts(files)
    total = sum(entry["rows"] for entry in files)
    assert f"{total:,} rows in {len(counts)} configs" in _text(root)
    told = f"preset `{header['preset']}`, seed {header['seed']}, split rule `{header['split_rule']}`"
    assert told in " ".join(_text(root).split())


def test_tables_of_statistics_are_those_of_the_rows(folder: Path) -> None:
    _, files = _manifest(folder)
    statistics = folder_statistics(folder, files).splits
    shown = {}
    for table in _tables(_body(_text(folder))):
        if "ones in targets" in table[0][:3]:
            shown |= {row[0].strip("`"): dict(zip(table[0], row, strict=True)) for row in table[1:]}
    assert set(shown) == set(statistics)
    for config, row in shown.items():
        part = statistics[config]["test"]
        assert part.target_ones is not None
        assert row["ones in targets"] == f"{100 * part.target_ones:.2f} %"
    for entry in files:
        if entry["task"] == "mazes":
            hashes = pq.read_table(folder / entry["path"])["layout_hash"].to_pylist()
            assert statistics[entry["config"]][entry["split"]].distinct == {"layout_hash": len(set(hashes))}
            if entry["split"] == "test":
                assert shown[entry["config"]]["distinct `layout_hash`"] == f"{len(set(hashes))} of {len(hashes)}"
    mazes = statistics["mazes_13"]["test"].numbers["path_length"]
    assert shown["mazes_13"]["`path_length`: least"] == str(mazes.least)
    assert shown["mazes_13"]["median"] == f"{mazes.median:.1f}"
    assert shown["mazes_13"]["mean"] == f"{mazes.mean:.1f}"
    assert shown["mazes_13"]["most"] == str(mazes.most)
    assert shown["mazes_13"]["distribution"] == f"`{mazes.sparkline()}`"
    mates = statistics["chess_mates_2"]["test"]
    assert shown["chess_mates_2"]["`key_is_check`"] == f"{100 * mates.shares['key_is_check']:.1f} %"
    assert shown["chess_mates_2"]["`legal_moves`: least"] == str(mates.numbers["legal_moves"].least)
    assert not any("mate_in" in name for name in shown["chess_mates_2"])


def _told_type(column: pa.ChunkedArray) -> str:
    """Type and shape of a column's first value, by pyarrow alone."""
    kind = column.type
    while not pa.types.is_primitive(kind) and not pa.types.is_string(kind):
        kind = kind.storage_type if isinstance(kind, pa.ExtensionType) else kind.value_type
    return f"{kind} {np.shape(column[0].as_py())}".removesuffix(" ()")


def test_columns_are_those_of_the_files(folder: Path) -> None:
    _, files = _manifest(folder)
    for name in MADE:
        entry = next(entry for entry in files if entry["task"] == name)
        after = _text(folder).split(f"Columns, types as in `{entry['config']}`:")[1]
        table = pq.read_table(folder / entry["path"])
        expected = {f"`{column}`": _told_type(table[column]) for column in table.column_names}
        assert {row[0]: row[1] for row in _tables(after)[0][1:]} == expected


def test_pictures_and_links_lead_somewhere(folder: Path, crowded: Path) -> None:
    for root in (folder, crowded):
        text = _body(_text(root))
        targets = re.findall(r"\]\(([^)]+)\)", text)
        assert len(targets) >= len(MADE) + len(PAPERS)
        headings = {line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")}
        for target in targets:
            if target.startswith("#"):
                assert target[1:] in headings
            elif not re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{5}", target):
                assert (root / target).is_file()
        assert {path.name for path in (root / "images").iterdir()} == {f"{name}.png" for name in MADE}


def test_lines_of_the_card_are_text_without_traces(folder: Path) -> None:
    text = _text(folder)
    assert "{" not in _body(text).split("```bibtex")[0]
    assert str(folder) not in text
    assert not re.search(r"20(2[3-9]|3\d)-", text)
    assert " \n" not in text
    assert text.endswith("```\n")


def _blocks(text: str, kind: str = "python") -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for told, block in fences if told == kind]


def _local(code: str, root: Path) -> str:
    """A block of the card with a folder in place of the repo."""
    hub = ', source="hub", repo_id="owner/name"'
    code = code.replace('("", ', f"({str(root)!r}, ")
    given = f', source="folder", root={str(root)!r}' if "easy_to_hard.load" in code else ', source="folder"'
    return code.replace(hub, given).replace('"owner/name"', repr(str(root)))


def _run_blocks(root: Path) -> list[dict[str, Any]]:
    """The names that each block leaves behind; the value of its last line as `last` if it is a bare call."""
    spaces = []
    for block in _blocks(_text(root)):
        code = _local(block, root)
        assert "owner/name" not in code
        space: dict[str, Any] = {}
        code = re.sub(r"^(?=[A-Z]\w+Dataset\()", "last = ", code, flags=re.MULTILINE)
        exec(compile(code, "README.md", "exec"), space)
        spaces.append(space)
    return spaces


@pytest.mark.parametrize("name", ["folder", "crowded"])
def test_examples_run(name: str, request: pytest.FixtureRequest) -> None:
    """With another seed and rule the examples say so, or the package would refuse the folder."""
    import torch

    root: Path = request.getfixturevalue(name)
    loading, tensors, package, classes, *_, made = spaces = _run_blocks(root)
    assert len(loading["easy"]) == next(e["rows"] for e in _manifest(root)[1] if e["split"] == "train")
    assert next(iter(loading["hard"]))["input"]
    assert set(tensors["data"][0]) == {"input", "target"}
    assert tensors["data"][0]["input"].dtype == torch.uint8
    assert len(package["hard"][0]) == 2
    assert type(classes["last"]).__name__ in classes
    assert made["row"]["input"] == made["inputs"][0].tolist()
    assert made["row"]["target"] == made["targets"][0].tolist()
    decode = next(space["decode"] for space in spaces if "decode" in space)
    _, files = _manifest(root)
    for entry in [entry for entry in files if entry["task"] == "chess_mates"]:
        chunk = next(read_shard(root / entry["path"], get_task("chess_mates"), entry["difficulty"]))
        for i in range(len(chunk)):
            planes, target = decode(chunk.columns["fen"][i], chunk.columns["move"][i])
            assert np.array_equal(planes, chunk.inputs[i])
            assert np.array_equal(target, chunk.targets[i])


def test_the_package_decodes_as_the_card_says(folder: Path) -> None:
    rows = datasets.Dataset.from_parquet(str(folder / "chess_mates_1/test-00000-of-00001.parquet"), keep_in_memory=True)
    task = TASKS["chess_mates"]
    planes, target = task.encode(task.from_columns(rows[:5]), 1, None)
    assert (planes.shape, target.shape) == ((5, 12, 8, 8), (5, 8, 8))
    assert "task.encode(task.from_columns(rows), mate_in, None)" in _text(folder)


def test_commands_are_commands(folder: Path) -> None:
    lines = [line for block in _blocks(_text(folder), "") for line in block.splitlines()]
    commands = [line.split()[1:] for line in lines if line.startswith("easy-to-hard ")]
    assert [command[0] for command in commands] == ["build", "verify"]
    parsed = cli._parse(commands[0])
    header, _ = _manifest(folder)
    assert (parsed.preset, parsed.seed, parsed.split_rule) == ("tiny", header["seed"], header["split_rule"])
    assert cli._parse(commands[1]).folder == "owner/name"


def test_the_benchmark_is_named(folder: Path) -> None:
    header, files = _manifest(folder)
    statistics = folder_statistics(folder, files)
    frozen = {name: value for name, value in frozen_manifest().items() if name != "files"}
    assert "version v1 of the benchmark" in dataset_card(frozen, files, statistics)
    assert "of the benchmark." not in dataset_card(header, files, statistics)


def test_long_tables_are_folded() -> None:
    rows = [[str(number)] for number in range(13)]
    assert "<details>" in folded("many", markdown_table(["n"], rows))
    assert folded("few", markdown_table(["n"], rows[:12])).startswith("few:\n\n| n |\n| --- |\n| 0 |")


# ---- the registries, the draft, the pictures


@pytest.mark.parametrize("name", MADE)
def test_every_task_has_its_words_and_its_picture(name: str) -> None:
    task, text = TASKS[name], TASKS[name].card
    assert text is not None
    columns = {column.name for column in columns_of(task, task.train_difficulty)} - {"index"}
    assert set(text.columns) == columns
    assert bool(text.decoder) != task.stores_tensors
    assert text.dataset is not None
    dataset, argument = text.dataset
    made = getattr(easy_to_hard, dataset)("", **{argument: task.train_difficulty}, num_samples=1)
    assert made.spec.task == name
    assert list(card_images([name])) == [f"images/{name}.png"]


def test_the_draft_has_every_test_split(folder: Path, crowded: Path) -> None:
    for root in (folder, crowded):
        header, files = _manifest(root)
        text = benchmark_draft(header, files)
        assert text.startswith("# A draft")
        draft = yaml.safe_load(text)
        assert set(draft) == {"name", "description", "evaluation_framework", "tasks"}
        assert draft["description"].startswith("Draft, not registered.")
        assert f"seed {header['seed']}, split rule {header['split_rule']}" in draft["description"]
        tested = [config for config, splits in split_counts(files).items() if "test" in splits]
        assert draft["tasks"] == [{"id": config, "config": config, "split": "test"} for config in tested]
        assert {name for name in MADE if any(name in config for config in tested)} == set(MADE)
        assert (root / "eval.draft.yaml").read_text() == text


def test_pictures_are_small(tmp_path: Path) -> None:
    pictures = card_images(MADE)
    assert len(pictures) == len(MADE)
    for content in pictures.values():
        assert content.startswith(b"\x89PNG\r\n")
        assert len(content) < 40_000
    assert list(card_images(["mazes"])) == ["images/mazes.png"]
    assert card_images(["chess_puzzles"]) == {}


def test_pictures_are_drawn_by_the_package(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    images.draw(tmp_path)
    for path, content in card_images(MADE).items():
        drawn = (tmp_path / Path(path).name).read_bytes()
        # Width and height; the rest depends on the versions of matplotlib and its font.
        assert drawn[16:24] == content[16:24]


MAKE = """
import sys
from pathlib import Path
from easy_to_hard.cards.folder import card_files
from easy_to_hard.storage.manifest import read_manifest
manifest = read_manifest(sys.argv[1])
made = card_files(Path(sys.argv[1]), manifest, manifest.pop("files"))
assert "matplotlib" not in sys.modules
sys.stdout.buffer.write(made["README.md"] + made["eval.draft.yaml"])
"""


@pytest.mark.slow
def test_the_same_bytes_in_every_process_and_no_matplotlib(folder: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    made = subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True, env=environment)
    assert made.stdout == (folder / "README.md").read_bytes() + (folder / "eval.draft.yaml").read_bytes()
