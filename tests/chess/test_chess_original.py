"""The authors' chess files: the same items as the peer's class makes of them."""

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from chess_items import Puzzle, equal, expected_tensors, read_puzzles, source_text, write_folder

from easy_to_hard.chess import datasets as chess_datasets
from easy_to_hard.chess.datasets import ChessPuzzleDataset
from easy_to_hard.datasets.original import OriginalDataError
from easy_to_hard.lichess.convert import convert


@pytest.fixture(scope="module")
def puzzles() -> list[Puzzle]:
    return read_puzzles(source_text())[:50]


def write_original(root: Path, puzzles: Sequence[Puzzle], dtype: torch.dtype = torch.float32, **options: Any) -> Path:
    """Files such as the authors', their targets the other way up than their planes."""
    planes, targets, who_moves = expected_tensors([(p.fen, p.move) for p in puzzles], "white", True)
    (root / "chess_data").mkdir(parents=True)
    for name, tensor in (("data", planes.to(dtype)), ("targets", targets), ("who_moves", who_moves.to(dtype))):
        torch.save(tensor, root / "chess_data" / f"{name}.pth", **options)
    return root


def peers(root: Path, start: int, stop: int) -> list[torch.Tensor]:
    """What the peer's class holds, in the types it says its items have."""
    planes, targets, who_moves = (
        torch.load(root / "chess_data" / f"{name}.pth", weights_only=True) for name in ("data", "targets", "who_moves")
    )
    return [planes[start:stop].float(), targets[start:stop].flip(1), who_moves[start:stop].float()]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
def test_authors_files_give_the_peers_items(
    puzzles: list[Puzzle], tmp_path: Path, dtype: torch.dtype, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_original(tmp_path, puzzles, dtype, _use_new_zipfile_serialization=not legacy)
    data = ChessPuzzleDataset(root, True, 10, 40, source="original", flip_target=True)
    assert equal(data[:], peers(root, 10, 40))
    assert equal(data[[3, 29]], [tensor[[3, 29]] for tensor in peers(root, 10, 40)])
    as_filed = ChessPuzzleDataset(root, True, 10, 40, source="original")
    assert torch.equal(as_filed.targets, data.targets.flip(1))
    monkeypatch.setattr(chess_datasets, "TEST_RANKS", (40, 50))
    assert equal(ChessPuzzleDataset(root, False, source="original", flip_target=True)[:], peers(root, 40, 50))
    # These files hold their targets the wrong way up, so that the flip turns them the right way.
    assert equal(data[:], ChessPuzzleDataset(write_folder(tmp_path, puzzles), True, 10, 40)[:])


def test_items_of_authors_files_can_be_changed(puzzles: list[Puzzle], tmp_path: Path) -> None:
    data = ChessPuzzleDataset(write_original(tmp_path, puzzles[:3]), True, 0, 3, source="original")
    before = [tensor.clone() for tensor in data[1]]
    for tensor in (*data[1], data.who_moves):
        tensor.fill_(7)
    assert equal(data[1], before)
    assert torch.equal(data.who_moves[1], before[2])
    assert equal(pickle.loads(pickle.dumps(data))[1], before)
    assert len(pickle.dumps(data)) < 2_000
    with pytest.raises(AttributeError, match="the original's files have no themes: use source='folder'"):
        data.themes


def test_wrong_authors_files(puzzles: list[Puzzle], tmp_path: Path) -> None:
    def opened(start: int = 0, stop: int = 2, **options: Any) -> ChessPuzzleDataset:
        return ChessPuzzleDataset(tmp_path, True, start, stop, download=False, source="original", **options)

    with pytest.raises(OriginalDataError, match="chess_data not found"):
        opened()
    files = write_original(tmp_path, puzzles[:3]) / "chess_data"
    with pytest.raises(ValueError, match=r"holds 3 puzzles, not ranks \[0, 4\): pass idx_start and idx_end"):
        opened(0, 4)
    with pytest.raises(ValueError, match="source 'original' has the perspective 'white' only, not 'mover'"):
        opened(perspective="mover")
    with pytest.raises(ValueError, match=r"source 'original' has ranks only, not ranks \[0, 2\), themes fork: use"):
        opened(themes=["fork"])
    torch.save(torch.zeros(3, 64), files / "targets.pth")
    with pytest.raises(OriginalDataError, match=r"shapes .*\(3, 64\).* are not those of the original's puzzles"):
        opened()
    torch.save({"targets": 1}, files / "targets.pth")
    with pytest.raises(OriginalDataError, match="holds a dict, not a tensor"):
        opened()
    (files / "targets.pth").write_bytes(b"not a tensor")
    with pytest.raises(OriginalDataError, match="is not a file of tensors"):
        opened()
    (files / "targets.pth").unlink()
    with pytest.raises(OriginalDataError, match=r"neither targets\.pth nor targets\.npy is in"):
        opened()


def test_converted_planes_are_read_in_their_place(lichess_folder: Callable[[str], Path], tmp_path: Path) -> None:
    convert(Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv", tmp_path, planes=True, progress=False)
    planes = ChessPuzzleDataset(tmp_path, True, 10, 90, download=False, source="original")
    assert len(planes) == 80
    assert equal(planes[:], ChessPuzzleDataset(lichess_folder("rating"), True, 10, 90)[:])
    assert (planes[3][0].dtype, planes[3][1].dtype, planes[3][2].shape) == (torch.float32, torch.int64, (1,))
