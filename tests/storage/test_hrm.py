"""Exports in the layout of HRM and TRM, read back by a reader written from the description of that layout."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easy_to_hard import cli, load
from easy_to_hard.generators import mazes
from easy_to_hard.generators.mazes import EAST, GOAL, PATH, SOUTH, START
from easy_to_hard.storage import hrm
from easy_to_hard.storage.hrm import export_hrm
from easy_to_hard.tasks import DataSpec, generate

DTYPES = {
    "inputs": "uint8",
    "labels": "uint8",
    "puzzle_identifiers": "int32",
    "puzzle_indices": "int32",
    "group_indices": "int32",
}
# What both readers require of dataset.json, and what only TRM does.
FIELDS = {
    "pad_id": int,
    "ignore_label_id": int,
    "blank_identifier_id": int,
    "vocab_size": int,
    "seq_len": int,
    "num_puzzle_identifiers": int,
    "total_groups": int,
    "mean_puzzle_examples": float,
    "sets": list,
    "total_puzzles": int,
}
CHARACTERS = " # SGo"


def _read(root: Path, split: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The facts of a split, and its examples in the order of the groups, as a reader of the layout finds them."""
    facts = json.loads((root / split / "dataset.json").read_text())
    assert {name: type(value) for name, value in facts.items()} == FIELDS
    examples = []
    for name in facts["sets"]:
        held = {field: np.load(root / split / f"{name}__{field}.npy", mmap_mode="r") for field in DTYPES}
        assert {field: str(array.dtype) for field, array in held.items()} == DTYPES
        assert held["inputs"].shape == held["labels"].shape == (len(held["inputs"]), facts["seq_len"])
        assert held["inputs"].max() < facts["vocab_size"]
        assert held["group_indices"][-1] == len(held["puzzle_identifiers"]) == facts["total_puzzles"]
        assert held["puzzle_indices"][-1] == len(held["inputs"])
        assert len(held["group_indices"]) == facts["total_groups"] + 1
        for group in range(facts["total_groups"]):
            for puzzle in range(held["group_indices"][group], held["group_indices"][group + 1]):
                for row in range(held["puzzle_indices"][puzzle], held["puzzle_indices"][puzzle + 1]):
                    labels = held["labels"][row].astype(np.int32)
                    # These do not count in the loss.
                    labels[labels == facts["ignore_label_id"]] = -100
                    identifier = held["puzzle_identifiers"][puzzle]
                    examples.append({"inputs": held["inputs"][row], "labels": labels, "identifier": identifier})
    identifiers = json.loads((root / "identifiers.json").read_text())
    assert identifiers[facts["blank_identifier_id"]] == "<blank>"
    assert len(identifiers) == facts["num_puzzle_identifiers"]
    return facts, examples


def _drawn(cells: Any, *, solved: bool) -> str:
    """A maze position by position: walls to the left and above, and none on the other sides, where the grid ends."""
    side = len(cells)
    grid = np.full((2 * side, 2 * side), "#")
    for y in range(side):
        for x in range(side):
            here = int(cells[y, x])
            on_path = solved and here & PATH
            mark = "S" if here & START else "G" if here & GOAL else "o" if on_path else " "
            grid[2 * y + 1, 2 * x + 1] = mark
            for bit, (v, u) in ((EAST, (0, 1)), (SOUTH, (1, 0))):
                if here & bit:
                    both = on_path and int(cells[y + v, x + u]) & PATH
                    grid[2 * y + 1 + v, 2 * x + 1 + u] = "o" if both else " "
    return "".join(grid.reshape(-1).tolist())


def _characters(tokens: Any) -> str:
    return "".join(CHARACTERS[token] for token in tokens)


@pytest.mark.parametrize(("difficulty", "variant"), [(9, ""), (29, "wilson_100to140"), (13, "looped")])
def test_mazes_are_read_as_they_are(difficulty: int, variant: str, tmp_path: Path) -> None:
    export_hrm(tmp_path / "out", task="mazes", difficulty=difficulty, variant=variant, train=30, test=20, seed=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    for split, num in (("train", 30), ("test", 20)):
        facts, examples = _read(tmp_path / "out", split)
        assert (facts["seq_len"], facts["vocab_size"], len(examples)) == ((difficulty + 1) ** 2, 6, num)
        spec = DataSpec(task="mazes", difficulty=difficulty, variant=variant, split=split, seed=4)
        for example, cells in zip(examples, generate(spec, num)[1].data, strict=True):
            assert example["identifier"] == 0
            assert _characters(example["inputs"]) == _drawn(cells, solved=False)
            assert _characters(example["labels"]) == _drawn(cells, solved=True)


def test_many_chunks_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_hrm(tmp_path / "whole", task="mazes", difficulty=9, train=10, test=3)
    monkeypatch.setattr(hrm, "_CHUNK_BYTES", 10_000)
    export_hrm(tmp_path / "chunks", task="mazes", difficulty=9, train=10, test=3)
    for path in (tmp_path / "whole").rglob("*.npy"):
        assert path.read_bytes() == (tmp_path / "chunks" / path.relative_to(tmp_path / "whole")).read_bytes()


def test_strings_are_read_as_they_are(tmp_path: Path) -> None:
    export_hrm(tmp_path / "out", task="prefix_sums", difficulty=20, train=30, test=20)
    for split, num in (("train", 30), ("test", 20)):
        facts, examples = _read(tmp_path / "out", split)
        assert (facts["seq_len"], facts["vocab_size"], len(examples)) == (20, 3, num)
        held = load("prefix_sums", 20, split=split, num_samples=num)
        for number, example in enumerate(examples):
            bits, parities = held[number]
            assert (example["inputs"] - 1).tolist() == (bits[0] > 0).int().tolist()
            assert (example["labels"] - 1).tolist() == parities.tolist()


def _symmetric(grid: Any) -> Iterator[Any]:
    for turned in (grid, grid.T):
        yield from (np.rot90(turned, k) for k in range(4))


def _shortest_path(grid: Any) -> int:
    """Steps of the shortest path from S to G through all that is not a wall."""
    front = {(y, x) for y, x in np.argwhere(grid == 3).tolist()}
    (goal,) = {(y, x) for y, x in np.argwhere(grid == 4).tolist()}
    free = {(y, x) for y, x in np.argwhere(grid > 1).tolist()} - front
    steps = 0
    while goal not in front:
        front = {(y + v, x + u) for y, x in front for v, u in ((0, 1), (1, 0), (0, -1), (-1, 0))} & free
        free -= front
        steps += 1
    return steps


def test_no_augmentation_is_done_and_that_of_their_builders_would_be_sound(tmp_path: Path) -> None:
    """Splits share no walls, turned and mirrored ones included, and each image of a maze is solved by its label's."""
    export_hrm(tmp_path / "out", task="mazes", difficulty=9, variant="looped", train=400, test=100)
    seen: dict[str, set[bytes]] = {}
    for split in ("train", "test"):
        facts, examples = _read(tmp_path / "out", split)
        assert facts["mean_puzzle_examples"] == 1
        grids = [example["inputs"].reshape(10, 10) for example in examples]
        # Without the outer wall, which is on other sides of the turned images.
        seen[split] = {np.ascontiguousarray(grid[1:, 1:] > 1).tobytes() for grid in grids}
        if split == "test":
            walls = {np.ascontiguousarray(image).tobytes() for g in grids for image in _symmetric(g[1:, 1:] > 1)}
            assert not walls & seen["train"]
        for grid, example in zip(grids[:20], examples, strict=False):
            label = example["labels"].reshape(10, 10)
            for image, solved in zip(_symmetric(grid), _symmetric(label), strict=True):
                steps = _shortest_path(image)
                assert steps == int((solved == 5).sum()) + 1
                assert _shortest_path(np.where((solved == 1) | (solved == 2), 1, image)) == steps


def test_the_preset_is_like_maze_hard() -> None:
    from easy_to_hard.storage.presets import get_preset

    parts = get_preset("maze-unique")
    assert {(part.config, part.split, part.rows) for part in parts} == {
        ("mazes_looped_100to140_29", "train", 1000),
        ("mazes_looped_100to140_29", "test", 1000),
    }
    lengths = mazes.sample(29, range(100), variant=parts[0].variant, split="test").path_lengths
    assert 100 <= lengths.min() <= lengths.max() <= 140


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"task": "chess_mates", "difficulty": 1},
            "'chess_mates' cannot be exported: choose one of mazes, prefix_sums",
        ),
        ({"difficulty": 8}, "size must be an odd number from 3 to 1601, not 8"),
        ({"variant": "prim"}, "unknown variant 'prim' of mazes"),
        ({"variant": "looped_50to60"}, "a maze of size 9 has a path of 2 to 48 steps, not of 50 to 60"),
        ({"train": 0}, "train must be at least 1, not 0"),
        ({"test": 2.5}, "test must be an integer, not 2.5"),
        ({"difficulty": 5}, "mazes_5 has 736 distinct instances in split 'train', fewer than the 1000 asked for"),
    ],
)
def test_wrong_arguments_are_told_and_leave_nothing(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        export_hrm(tmp_path / "a" / "out", **{"task": "mazes", "difficulty": 9, **options})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_what_exists_is_left_as_it_is(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.touch()
    else:
        out.symlink_to(tmp_path / "gone")
    with pytest.raises(ValueError, match="out exists: choose a folder that does not"):
        export_hrm(out, task="mazes", difficulty=9)
    assert list(tmp_path.iterdir()) == [out]


def test_an_interrupt_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--task", "mazes", "--difficulty", "9", "--train", "5", "--test", "5"]
    command += ["--out", str(tmp_path / "out"), "--quiet"]
    write_split, seen = hrm._write_split, []

    def stopped(folder: Path, *arguments: Any, **options: Any) -> None:
        seen.append(folder.name)
        if folder.name == "test":
            raise KeyboardInterrupt
        write_split(folder, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(hrm, "_write_split", stopped)
        assert cli.main(command) == 130
    assert seen == ["train", "test"]
    assert list(tmp_path.iterdir()) == []
    assert "nothing was kept; the same command starts over" in capsys.readouterr().err
    # A killed process cannot clear up behind itself; the next one does.
    (tmp_path / ".out.999999999.tmp" / "train").mkdir(parents=True)
    assert cli.main(command) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: 5 training and 5 test instances of mazes_9\n"


def test_other_formats_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "--format", "csv", "--task", "mazes", "--difficulty", "9", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 2
    assert "unknown format 'csv': choose hrm" in capsys.readouterr().err
