"""Strings of 2^14 and 2^20 bits through every door, and numbers too long to be written out in none of the messages."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from easy_to_hard import (
    DataSpec,
    MazeDataset,
    NotEnoughInstancesError,
    PrefixSumDataset,
    StreamingDataset,
    build,
    generate,
    load,
    verify,
)
from easy_to_hard.baselines.deep_thinking.scoring import Examination
from easy_to_hard.cli import main
from easy_to_hard.generators import mazes, prefix_sums
from easy_to_hard.generators.chess import sampling
from easy_to_hard.leaderboard.evaluate import Questions
from easy_to_hard.storage.presets import Part
from easy_to_hard.tasks import get_task, parse_config

# 14,285 is the first length whose number of strings has more digits than Python writes.
LENGTHS = [14_285, 2**14, 2**20]
HUGE = 10**5000


def _is_solved(item: Any, num_bits: int) -> bool:
    bits, parities = item[0].numpy() > 0, item[1].numpy()
    return bits.shape == (1, num_bits) and np.array_equal(np.cumsum(bits[0]) % 2, parities)


@pytest.mark.parametrize("num_bits", LENGTHS)
@pytest.mark.parametrize(
    "open_data",
    [
        lambda bits: PrefixSumDataset("unused", bits, num_samples=1)[0],
        lambda bits: PrefixSumDataset("unused", bits, num_samples=1, split="test", split_rule="original")[0],
        lambda bits: load("prefix_sums", bits, num_samples=1)[0],
        lambda bits: next(iter(StreamingDataset("prefix_sums", bits, batch_size=1, start=3)))[0][0:1],
    ],
    ids=["class", "original rule", "load", "stream"],
)
def test_an_item_from_python(open_data: Callable[[int], Any], num_bits: int) -> None:
    item = open_data(num_bits)
    if len(item) == 1:
        assert item[0].shape == (1, num_bits)
    else:
        assert _is_solved(item, num_bits)


@pytest.mark.parametrize("num_bits", LENGTHS)
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_an_item_in_a_file(num_bits: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bits{suffix}"
    assert main(["generate", "prefix_sums", str(num_bits), "--num", "1", "--out", str(path)]) == 0
    filed = np.load(path) if suffix == ".npz" else pq.read_table(path).to_pydict()
    assert np.array_equal(np.cumsum(filed["input"][0]) % 2, filed["target"][0])
    assert len(filed["input"][0]) == num_bits


@pytest.mark.parametrize("num_bits", LENGTHS[1:])
def test_an_item_in_a_folder(num_bits: int, tmp_path: Path) -> None:
    part = Part(task="prefix_sums", difficulty=num_bits, split="test", rows=1)
    build(tmp_path / "data", parts=[part], progress=False)
    assert verify(tmp_path / "data", progress=False).problems == ()
    made = load("prefix_sums", num_bits, split="test", num_samples=1)
    read = load("prefix_sums", num_bits, split="test", source="folder", root=tmp_path / "data")
    assert np.array_equal(read.data, made.data)
    assert _is_solved(read[0], num_bits)


@pytest.mark.parametrize("num_bits", LENGTHS[1:])
def test_an_item_is_drawn(num_bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "prefix_sums", str(num_bits)]) == 0
    bits = re.findall(r"^bits +\d+ ([01]+)$", capsys.readouterr().out, re.MULTILINE)
    assert len("".join(bits)) == num_bits


@pytest.mark.parametrize("num_bits", [2**14, pytest.param(2**20, marks=pytest.mark.slow)])
def test_a_net_is_evaluated(num_bits: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"evaluate --model prefix-sums-cpu --difficulties {num_bits} --items 1 --iterations 2 --quiet"
    assert main(words.split()) == 0
    assert f" {num_bits:,} " in capsys.readouterr().out


# ---- numbers too long to be written out


def _spec(**options: Any) -> DataSpec:
    return DataSpec(**{"task": "prefix_sums", "difficulty": 2**14, **options})


@pytest.mark.parametrize(
    "call",
    [
        lambda: PrefixSumDataset("x", HUGE),
        lambda: MazeDataset("x", size=HUGE + 1),
        lambda: _spec(difficulty=HUGE),
        lambda: _spec(task="chess_puzzles", difficulty=HUGE, root="x"),
        lambda: _spec(task="chess_mates", difficulty=HUGE),
        lambda: _spec(seed=HUGE),
        lambda: _spec(seed=-HUGE),
        lambda: PrefixSumDataset("x", 2**14, num_samples=HUGE),
        lambda: PrefixSumDataset("x", 2**14, num_samples=-HUGE),
        lambda: MazeDataset("x", num_samples=HUGE),
        lambda: load("prefix_sums", 16, num_samples=HUGE),
        lambda: generate(_spec(), 2, num_threads=-HUGE),
        lambda: StreamingDataset("mazes", 9, batch_size=-HUGE),
        lambda: StreamingDataset("mazes", 9, batch_size=2, start=-HUGE),
        lambda: StreamingDataset("mazes", 9, batch_size=2, rank=HUGE, world_size=2),
        lambda: StreamingDataset("mazes", 9, batch_size=2).batch(HUGE),
        lambda: prefix_sums.sample(16, [HUGE]),
        lambda: mazes.sample(9, [-HUGE]),
        lambda: mazes.first_distinct(-HUGE, size=9, variant="wilson", split="train", seed=0, split_rule="hash"),
        lambda: sampling.sample(HUGE, [0]),
        lambda: sampling.first_distinct(-HUGE, mate_in=1, split="test", seed=0, split_rule="hash"),
        lambda: parse_config(f"mazes_{'9' * 5000}"),
    ],
)
def test_no_message_writes_out_a_number_of_five_thousand_digits(call: Callable[[], Any]) -> None:
    with pytest.raises((ValueError, NotEnoughInstancesError)) as caught:
        call()
    assert "integer string conversion" not in str(caught.value)
    assert len(str(caught.value)) < 300 or "unknown config" in str(caught.value)


@pytest.mark.parametrize("number", [1.5, 2.0, True, "2"])
@pytest.mark.parametrize(
    "call",
    [
        lambda number: PrefixSumDataset("x", number),
        lambda number: PrefixSumDataset("x", num_samples=number),
        lambda number: load("mazes", 9, num_samples=number),
        lambda number: generate(_spec(), 2, num_threads=number),
        lambda number: get_task("mazes").encode(np.zeros((2, 11, 11), np.uint8), 9, number),
        lambda number: mazes.first_distinct(number, size=9, variant="wilson", split="train", seed=0, split_rule="hash"),
        lambda number: sampling.first_distinct(number, mate_in=1, split="test", seed=0, split_rule="hash"),
        lambda number: build("x", preset="tiny", num_threads=number),
        lambda number: build("x", parts=[Part(task="mazes", difficulty=9, split="test", rows=number)]),
        lambda number: StreamingDataset("mazes", 9, batch_size=number),
        lambda number: StreamingDataset("mazes", 9, batch_size=2, start=number),
        lambda number: StreamingDataset("mazes", 9, batch_size=2, rank=0, world_size=number),
        lambda number: StreamingDataset("mazes", 9, batch_size=2).batch(number),
        lambda number: Questions(task="mazes", items=(number,)),
        lambda number: Questions(task="mazes", iterations=(number,)),
        lambda number: Questions(task="mazes", batch_size=number),
        lambda number: Examination(task="mazes", difficulties=(9,), items=(number,)),
        lambda number: Examination(task="mazes", difficulties=(9,), iterations=number),
        lambda number: Examination(task="mazes", difficulties=(9,), threads=number),
    ],
)
def test_only_integers_are_counts(
    call: Callable[[Any], Any], number: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"must be an integer, not (1\.5|2\.0|True|'2')"):
        call(number)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["prefix_sums", "mazes", "chess_mates"])
def test_a_set_says_what_it_cannot_hold(task: str) -> None:
    spec = DataSpec(task=task, difficulty=get_task(task).train_difficulty)
    with pytest.raises((ValueError, NotEnoughInstancesError), match=r"10\^18|at most 1000000000000000"):
        get_task(task).sample_count(spec, HUGE)


@pytest.mark.parametrize("num", [2**63 - 1, 2**63, 2**64, 10**15 + 1])
@pytest.mark.parametrize("task", ["prefix_sums 100", "mazes 9", "chess_mates 1"])
@pytest.mark.parametrize("out", ["x.npz", "x.parquet", "x"])
def test_more_instances_than_any_disk_holds_are_refused(
    task: str, num: int, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(f"generate {task} --num {num} --out {out}".split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"easy-to-hard: error: num_samples must be at most 10+, not .*\n", captured.err)
    assert not list(tmp_path.iterdir())


def test_a_folder_has_no_more_files_than_their_names_can_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(f"generate prefix_sums 100 --num {10**15} --out x".split()) == 2
    message = "would fill 372529030 files of half a gigabyte: there may be 99999"
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_command_is_told_in_one_line_that_a_number_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "mazes", "9" * 5000]) == 2
    assert capsys.readouterr().err.count("\n") == 1
