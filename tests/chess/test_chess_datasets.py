"""Chess as PyTorch datasets: items against python-chess and NumPy, every way to choose puzzles, errors."""

import pickle
from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from chess_items import (
    SHARED,
    Converted,
    Puzzle,
    chess,
    equal,
    expected_tensors,
    read_puzzles,
    source_text,
    write_folder,
)
from torch.utils.data import DataLoader, default_collate

from easy_to_hard import build
from easy_to_hard.chess import datasets as chess_datasets
from easy_to_hard.chess.columns import read_rows
from easy_to_hard.chess.datasets import ChessMateDataset, ChessPuzzleDataset
from easy_to_hard.generators.chess import to_fens, to_ucis
from easy_to_hard.storage.presets import Part

PERSPECTIVES = ("white", "mover")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Written by `write_folder`; not to be changed."""
    puzzles = read_puzzles(source_text())
    return Converted(root=write_folder(tmp_path_factory.mktemp("written"), puzzles), puzzles=puzzles)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Written by `convert-lichess`; not to be changed."""
    from easy_to_hard.lichess.convert import convert

    text, root = source_text(), tmp_path_factory.mktemp("converted")
    (root / "puzzles.csv").write_text(text)
    convert(root / "puzzles.csv", root / "data", progress=False)
    return Converted(root=root / "data", puzzles=read_puzzles(text))


def open_all(source: Converted, **options: Any) -> ChessPuzzleDataset:
    return ChessPuzzleDataset(source.root, idx_start=0, idx_end=len(source.puzzles), **options)


# ---- items


@pytest.mark.parametrize("flip_target", [False, True])
@pytest.mark.parametrize("perspective", PERSPECTIVES)
@pytest.mark.parametrize("source", ["folder", "converted"])
def test_puzzles_equal_python_chess(
    source: str, perspective: str, flip_target: bool, request: pytest.FixtureRequest
) -> None:
    held: Converted = request.getfixturevalue(source)
    data = open_all(held, perspective=perspective, flip_target=flip_target)
    assert len(data) == len(held.puzzles) >= (1_000 if SHARED.exists() else 200)
    expected = expected_tensors([(p.fen, p.move) for p in held.puzzles], perspective, flip_target)
    assert equal(data[:], expected)
    assert equal(data[17], [tensor[17] for tensor in expected])
    assert 0.2 < float(data.who_moves.mean()) < 0.8


@pytest.mark.parametrize("perspective", PERSPECTIVES)
def test_mates_equal_python_chess(perspective: str) -> None:
    data = ChessMateDataset("unused", perspective=perspective, num_samples=1_000)
    expected = expected_tensors(list(zip(data.fens, data.moves, strict=True)), perspective)
    assert equal(data[:], expected[:2])
    assert torch.equal(data.who_moves, expected[2])
    assert 0.2 < float(data.who_moves.mean()) < 0.8
    for fen, move in zip(data.fens[:100], data.moves[:100], strict=True):
        board = chess.Board(fen)
        board.push_uci(move)
        assert board.is_checkmate()


def test_default_perspectives() -> None:
    assert signature(ChessPuzzleDataset).parameters["perspective"].default == "white"
    assert signature(ChessMateDataset).parameters["perspective"].default == "mover"


def test_the_example_of_the_docstring(tmp_path: Path) -> None:
    board = chess.Board()
    lines = []
    for move in ("e2e4", "e7e5"):
        lines.append((board.fen(), move))
        board.push_uci(move)
    puzzles = [Puzzle(fen=f, move=m, rating=1300, themes="", puzzle_id="", split="train") for f, m in lines]
    write_folder(tmp_path, puzzles)

    def squares(**options: Any) -> list[list[list[int]]]:
        targets = ChessPuzzleDataset(tmp_path, idx_start=0, idx_end=2, **options).targets
        return [target.nonzero().tolist() for target in targets]

    assert squares() == [[[1, 4], [3, 4]], [[4, 4], [6, 4]]]
    assert squares(flip_target=True)[0] == [[4, 4], [6, 4]]
    assert squares(perspective="mover") == [[[1, 4], [3, 4]], [[1, 4], [3, 4]]]
    planes = ChessPuzzleDataset(tmp_path, idx_start=0, idx_end=1, flip_target=True)[0][0]
    assert planes[5, 1, 4] == 1


def test_what_is_known_of_puzzles(converted: Converted) -> None:
    data = open_all(converted)
    for name, texts in (
        ("fens", data.fens),
        ("moves", data.moves),
        ("puzzle_ids", data.puzzle_ids),
        ("themes", [" ".join(names) for names in data.themes]),
        ("ratings", data.ratings.tolist()),
    ):
        assert texts == [
            getattr(puzzle, name.removesuffix("s") if name != "themes" else name) for puzzle in converted.puzzles
        ]
    assert data.ranks.tolist() == list(range(len(data)))
    assert (data.ratings.dtype, data.ranks.dtype) == (np.int32, np.int64)
    assert data.nbytes == len(data) * (72 + 8 + 4)
    assert torch.equal(data.puzzles, data.inputs)


# ---- the peer's interface


def test_positional_arguments_are_the_peers() -> None:
    positional = {
        p.name: p.default
        for p in signature(ChessPuzzleDataset).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    }
    assert list(positional.items()) == [
        ("root", Parameter.empty),
        ("train", True),
        ("idx_start", None),
        ("idx_end", None),
        ("who_moves", True),
        ("download", True),
    ]


def test_default_ranks_are_the_peers(folder: Converted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (chess_datasets.TRAIN_RANKS, chess_datasets.TEST_RANKS) == ((0, 600_000), (600_000, 700_000))
    monkeypatch.setattr(chess_datasets, "TRAIN_RANKS", (0, 60))
    monkeypatch.setattr(chess_datasets, "TEST_RANKS", (60, 70))
    assert ChessPuzzleDataset(folder.root).ranks.tolist() == list(range(60))
    assert ChessPuzzleDataset(folder.root, False).ranks.tolist() == list(range(60, 70))
    # One bound alone does not count.
    assert len(ChessPuzzleDataset(folder.root, True, 5)) == len(ChessPuzzleDataset(folder.root, idx_end=5)) == 60
    assert ChessPuzzleDataset(folder.root, False, 5, 9).ranks.tolist() == [5, 6, 7, 8]
    forks = ChessPuzzleDataset(folder.root, themes="endgame")
    assert forks.ranks.tolist() == [r for r in folder.ranks(lambda p: "endgame" in p.themes.split()) if r < 60]


def test_items_without_who_moves(folder: Converted) -> None:
    data = ChessPuzzleDataset(folder.root, True, 0, 5, False)
    assert equal(data[:], open_all(folder)[:5][:2])
    assert [len(item) for item in data] == [2] * 5


# ---- which puzzles


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"rating": (1250, 1750)}, lambda p: 1250 <= p.rating < 1750 and p.split == "train"),
        ({"rating": (1250, 1750), "train": False}, lambda p: 1250 <= p.rating < 1750 and p.split == "test"),
        ({"split": "validation"}, lambda p: p.split == "validation"),
        ({"split": "test", "rating": (0, float("inf"))}, lambda p: p.split == "test"),
        ({"split": "train", "themes": ["fork", "pin"]},
         lambda p: p.split == "train" and {"fork", "pin"} & {*p.themes.split()}),
        ({"split": "train", "themes": "mate"}, lambda p: p.split == "train" and "mate" in p.themes.split()),
        ({"rating": (1500, 2500), "themes": ["endgame"], "split": "train"},
         lambda p: 1500 <= p.rating < 2500 and "endgame" in p.themes.split() and p.split == "train"),
    ],
)  # fmt: skip
def test_puzzles_are_chosen(folder: Converted, options: dict[str, Any], fits: Callable[[Puzzle], bool]) -> None:
    data = ChessPuzzleDataset(folder.root, **options)
    ranks = folder.ranks(fits)
    assert ranks
    assert data.ranks.tolist() == ranks
    assert data.fens == [folder.puzzles[rank].fen for rank in ranks]
    assert data.puzzle_ids == [folder.puzzles[rank].puzzle_id for rank in ranks]


def test_themes_are_whole_words(tmp_path: Path) -> None:
    themes = ["fork", "forkless", "superfork pin", "pin fork", "", "long fork short"]
    puzzles = [
        Puzzle(fen=chess.STARTING_FEN, move="e2e4", rating=1300, themes=text, puzzle_id=str(i), split="train")
        for i, text in enumerate(themes)
    ]
    data = ChessPuzzleDataset(write_folder(tmp_path, puzzles), themes="fork", split="train")
    assert data.ranks.tolist() == [0, 3, 5]
    assert data.themes == [["fork"], ["pin", "fork"], ["long", "fork", "short"]]


def test_ranks_and_ratings_narrow_each_other_down(folder: Converted) -> None:
    low, high = folder.puzzles[40].rating, folder.puzzles[80].rating
    data = ChessPuzzleDataset(folder.root, idx_start=20, idx_end=70, rating=(low, high))
    assert data.ranks.tolist() == folder.ranks(lambda p: low <= p.rating < high)[: 70 - int(data.ranks[0])]
    assert data.ranks[-1] == 69
    assert len(ChessPuzzleDataset(folder.root, idx_start=20, idx_end=70, split="test")) < 50


def test_bands_by_rating_and_by_rank_are_read_once(folder: Converted, tmp_path: Path) -> None:
    write_folder(tmp_path, folder.puzzles, prefix="chess_puzzles_rank_")
    assert len(open_all(Converted(root=tmp_path, puzzles=folder.puzzles))) == len(folder.puzzles)
    write_folder(tmp_path, folder.puzzles)
    assert equal(open_all(Converted(root=tmp_path, puzzles=folder.puzzles))[:3], open_all(folder)[:3])


def test_only_the_wanted_rows_are_read(folder: Converted, tmp_path: Path) -> None:
    puzzles = [Puzzle(**{**vars(puzzle), "split": "train", "rating": 1300}) for puzzle in folder.puzzles[:200]]
    root = write_folder(tmp_path, puzzles, group=50)
    path = root / "chess_puzzles_1200" / "train-00000-of-00001.parquet"
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    bytes_of = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    bytes_of[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(bytes_of)
    assert len(ChessPuzzleDataset(root, idx_start=100, idx_end=150)) == 50
    with pytest.raises(ValueError, match=r"not readable \("):
        ChessPuzzleDataset(root, idx_start=60, idx_end=70)


# ---- batches


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("who_moves", [True, False])
def test_loader_batches_equal_collated_items(folder: Converted, workers: int, who_moves: bool) -> None:
    data = ChessPuzzleDataset(folder.root, True, 0, 10, who_moves, False)
    batches = list(DataLoader(data, batch_size=4, num_workers=workers))
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    for number, batch in enumerate(batches):
        assert isinstance(batch, list)
        assert equal(batch, default_collate([data[i] for i in range(4 * number, min(4 * number + 4, 10))]))


def test_indices_of_every_kind(folder: Converted) -> None:
    data = ChessPuzzleDataset(folder.root, True, 30, 42)
    everything = data[:]
    for index in (0, 11, -1, -12, np.int64(3), torch.tensor(4)):
        assert equal(data[index], [tensor[int(index)] for tensor in everything])
    for several in (slice(2, 9, 3), [5, 1], torch.tensor([7, 7]), np.array([0, 11])):
        assert equal(data[several], [tensor[several] for tensor in everything])
    for outside in (12, -13):
        with pytest.raises(IndexError):
            data[outside]
    assert len(list(data)) == 12


def test_transforms(folder: Converted) -> None:
    plain = ChessPuzzleDataset(folder.root, True, 0, 6)
    changed = ChessPuzzleDataset(
        folder.root, True, 0, 6, transform=lambda x: 2 * x, target_transform=lambda y: y.flatten(-2)
    )
    expected = [2 * plain.inputs, plain.targets.flatten(-2), plain.who_moves]
    assert equal(changed[:], expected)
    assert equal(changed[2], [tensor[2] for tensor in expected])
    assert equal(next(iter(DataLoader(changed, batch_size=6))), expected)


def test_a_pickled_dataset_is_the_same(folder: Converted) -> None:
    data = ChessPuzzleDataset(folder.root, True, 3, 20, flip_target=True)
    again = pickle.loads(pickle.dumps(data))
    assert equal(again[:], data[:])
    assert again.themes == data.themes


def test_repr_says_what_it_is(folder: Converted) -> None:
    shown = repr(ChessPuzzleDataset(folder.root, True, 0, 6))
    assert shown == "ChessPuzzleDataset(ranks [0, 6), 6 items, source folder)"
    data = ChessPuzzleDataset(folder.root, rating=(1200, 1400), themes=["fork", "pin"])
    assert repr(data) == (
        f"ChessPuzzleDataset(rating [1200, 1400), themes fork or pin, split train, {len(data)} items, source folder)"
    )


# ---- columns of text


def test_columns_of_every_kind_are_read(folder: Converted) -> None:
    fens, moves = (pa.array([getattr(p, name) for p in folder.puzzles[:30]]) for name in ("fen", "move"))
    rows = read_rows(fens, moves)
    assert to_fens(rows) == fens.to_pylist()
    assert to_ucis(rows[:, 8].astype(np.int64), rows) == moves.to_pylist()
    assert np.array_equal(read_rows(fens[7:19], moves[7:19]), rows[7:19])
    for kind in (pa.large_string(), pa.string_view()):
        assert np.array_equal(read_rows(fens.cast(kind)[3:9], moves.cast(kind)[3:9], 2), rows[3:9])
    assert read_rows(fens[:0], moves[:0]).shape == (0, 9)
    with pytest.raises(ValueError, match="30 FENs cannot have 29 moves"):
        read_rows(fens, moves[1:])


# ---- mates


def test_mates_of_a_folder_equal_those_made(tmp_path: Path) -> None:
    parts = [Part(task="chess_mates", difficulty=2, split=split, rows=20) for split in ("train", "test")]
    build(tmp_path / "data", parts=parts, progress=False)
    for train in (True, False):
        for perspective in PERSPECTIVES:
            read = ChessMateDataset(tmp_path / "data", 2, train, source="folder", perspective=perspective)
            made = ChessMateDataset("unused", 2, train, num_samples=20, perspective=perspective)
            assert equal(read[:], made[:])
            assert (read.fens, read.moves) == (made.fens, made.moves)
            assert torch.equal(read.who_moves, made.who_moves)
    assert len(ChessMateDataset(tmp_path / "data", 2, source="folder", num_samples=7)) == 7


def test_arguments_of_mates_say_which() -> None:
    def fens(*arguments: Any, **options: Any) -> list[str]:
        return ChessMateDataset("unused", *arguments, num_samples=20, **options).fens

    assert fens(1, True) == fens() == fens(split="train")
    assert fens(1, False) == fens(split="test")
    different = [
        fens(),
        fens(2),
        fens(split="test"),
        fens(split="validation"),
        fens(seed=1),
        fens(split_rule="original"),
    ]
    assert all(not {*a} & {*b} for i, a in enumerate(different[:5]) for b in different[:i])
    assert different[0] != different[5]
    data = ChessMateDataset("unused", num_samples=8, transform=lambda x: -x, target_transform=lambda y: y.T)
    assert equal(data[3], [-data.inputs[3], data.targets[3].T])
    assert repr(data) == "ChessMateDataset(moves to mate 1, split train, 8 items, source generate)"
    batches = list(DataLoader(ChessMateDataset("unused", num_samples=8), batch_size=5))
    assert equal(batches[1], ChessMateDataset("unused", num_samples=8)[5:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perspective": "black"}, "unknown perspective 'black': choose one of mover, white"),
        ({"mate_in": 0}, "mate_in must be from 1 to "),
        ({"split": "dev"}, "unknown split 'dev'"),
        ({"source": "original"}, "chess_mates has no original files: use another source"),
        ({"source": "hub"}, "source 'hub' needs repo_id='owner/name'"),
        ({"repo_id": "me/mine"}, "repo_id 'me/mine' is for source 'hub', not for source 'generate'"),
        ({"source": "disk"}, "unknown source 'disk': choose one of generate, folder, hub, original"),
        ({"num_samples": 0}, "num_samples must be at least 1, not 0"),
    ],
)
def test_wrong_arguments_of_mates(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChessMateDataset("unused", **options)


# ---- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"holds \d+ of the 600000 puzzles of ranks \[0, 600000\), and \d+ in all: pass idx_start and idx_end, "),
        ({"train": False}, r"holds 0 of the 100000 puzzles of ranks \[600000, 700000\)"),
        ({"idx_start": 5, "idx_end": 10**6}, r"holds \d+ of the 999995 puzzles"),
        ({"idx_start": 5, "idx_end": 5}, "idx_start must be from 0 to idx_end - 1, not 5 with idx_end 5"),
        ({"idx_start": -5, "idx_end": 5}, "idx_start must be from 0 to idx_end - 1, not -5 with idx_end 5"),
        ({"idx_start": 0, "idx_end": 5.0}, r"idx_start and idx_end must be integers, not 0 and 5\.0"),
        ({"rating": (5000, 6000)}, r"no puzzle in .* fits rating \[5000, 6000\), split train; it holds \d+"),
        ({"rating": (1400, 1200)}, r"rating must be \(low, high\) with low below high, not \(1400, 1200\)"),
        ({"rating": 1400}, r"rating must be two numbers \(low, high\), not 1400"),
        ({"rating": (1200, "1400")}, r"rating must be two numbers \(low, high\), not \(1200, '1400'\)"),
        ({"split": "dev"}, "unknown split 'dev': choose one of train, validation, test"),
        ({"split": "test", "themes": ["frok"]}, "no puzzle in .* fits themes frok, split test"),
        ({"themes": ["fork pin"]}, "a theme is one word such as 'fork' or 'mateIn2', not 'fork pin'"),
        ({"perspective": "black"}, "unknown perspective 'black': choose one of mover, white"),
        ({"source": "generate"}, "unknown source 'generate': choose one of folder, hub, original"),
    ],
)  # fmt: skip
def test_wrong_arguments(folder: Converted, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChessPuzzleDataset(folder.root, **options)


@pytest.mark.parametrize("download", [True, False])
def test_nothing_converted_says_what_to_do(tmp_path: Path, download: bool) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"'easy-to-hard download-lichess --out .* 'easy-to-hard convert-lichess "
    ):
        ChessPuzzleDataset(tmp_path, download=download)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fen": ["8/8/8/8/8/8/8/8 w - - 0 1"]}, "FEN '8/8/8/8/8/8/8/8 w - - 0 1': each side must have one king"),
        ({"move": ["e4"]}, r"move 'e4' in FEN 'rnb.*' is not of the form e2e4 or a7a8q"),
        ({"move": ["e2e5"]}, "move 'e2e5' is not legal in FEN 'rnb"),
        ({"move": pa.array([None], pa.string())}, "1 of 1 FENs or moves are empty"),
        ({"fen": None}, r"train-00000-of-00001\.parquet has no column 'fen', only move, rank, rating, themes"),
        ({"rank": None}, r"has no column 'rank'"),
    ],
)
def test_damaged_puzzles_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    columns = {"fen": [chess.STARTING_FEN], "move": ["e2e4"], "rating": [1300], "themes": [""], "rank": [0]}
    path = tmp_path / "chess_puzzles_0" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({k: v for k, v in {**columns, **change}.items() if v is not None}), path)
    with pytest.raises(ValueError, match=message):
        ChessPuzzleDataset(tmp_path, True, 0, 1)


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    path = tmp_path / "chess_puzzles_0" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(ValueError, match="not readable"):
        ChessPuzzleDataset(tmp_path, True, 0, 1)


def test_columns_that_a_folder_lacks(tmp_path: Path) -> None:
    path = tmp_path / "chess_puzzles_0" / "train-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"fen": [chess.STARTING_FEN], "move": ["e2e4"], "rank": [0]}), path)
    data = ChessPuzzleDataset(tmp_path, True, 0, 1)
    assert data[0][1].sum() == 2
    for name in ("ratings", "themes", "puzzle_ids"):
        assert not hasattr(data, name)
    with pytest.raises(ValueError, match="has no column 'rating'"):
        ChessPuzzleDataset(tmp_path, rating=(0, 3000))
