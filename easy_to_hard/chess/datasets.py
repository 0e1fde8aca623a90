"""PyTorch datasets of chess: Lichess puzzles, drop-in for `easy_to_hard_data` 1.0.0, and mates generated here.

Rows and columns of an input and a target are ranks and files: [row, column] is rank row + 1 and file a + column when
White is to move. When Black is to move, it depends on the perspective:

- "white": row 0 is rank 1, whoever is to move, as in the original
- "mover": row 0 is the mover's own back rank, so for Black it is rank 8 and the mover's pawns always go to higher rows

Columns are files a to h in both. An input's channels are the king, queens, bishops, knights, rooks and pawns of the
side to move, then those of the other side. A target is 1 on the move's origin square and on its destination: what a
pawn promotes to is not shown, and castling is a move of the king.
"""

import pickle
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.chess.puzzle_folder import PuzzleFolder, Selection, needed_files
from easy_to_hard.datasets import original
from easy_to_hard.datasets.batches import BatchedDataset, Tensors, Transform
from easy_to_hard.datasets.graded import GradedDataset, Item
from easy_to_hard.datasets.sources import check_source
from easy_to_hard.generators.chess import to_fens, to_planes, to_ucis
from easy_to_hard.generators.chess.board import BLACK_TO_MOVE, POSITION_WORDS, STATE
from easy_to_hard.generators.chess.planes import check_perspective
from easy_to_hard.tasks import DataSpec

# The ranges of the original: easy puzzles to train on, harder ones to test.
TRAIN_RANKS: Final = (0, 600_000)
TEST_RANKS: Final = (600_000, 700_000)
PUZZLE_SOURCES: Final = ("folder", "hub", "original")


def _to_tensors(rows: NDArray[np.uint64], perspective: str) -> Item:
    inputs, targets = to_planes(rows, perspective)
    return torch.from_numpy(inputs).to(torch.float32), torch.from_numpy(targets).to(torch.int64)


def _who_moves(rows: NDArray[np.uint64]) -> Tensor:
    """(N, 1) float32: 1 where Black moves."""
    return torch.from_numpy((rows[:, STATE : STATE + 1] & BLACK_TO_MOVE != 0).astype(np.float32))


def _moves(rows: NDArray[np.uint64]) -> list[str]:
    return to_ucis(rows[:, POSITION_WORDS].astype(np.int64), rows)


class ChessMateDataset(GradedDataset):
    """Positions with a forced mate in exactly `mate_in` moves, and the only move that forces it.

    An item is ``(planes, target)``: (12, 8, 8) float32 in {0, 1} and (8, 8) int64 in {0, 1}, see
    `easy_to_hard.chess.datasets`.

    Args:
        root: where files are looked for; not used with "generate" and "hub".
        mate_in: the mover's moves to mate, including the key move.
        train: True is split "train", False split "test".
        variant: "random" (or "", the default), or "balanced" for positions and keys more like those of people's games.
        split: "train", "validation" or "test", in place of `train`; they share no placement of pieces, not even with
            the colors exchanged or mirrored.
        seed: another seed gives other positions.
        num_samples: how many; None for the task's default.
        transform: applied to each input.
        target_transform: applied to each target.
        split_rule: "original" draws every split from all positions.
        source: "generate"; "folder" reads what `easy-to-hard build` wrote to `root`; "hub" reads the same files from a
            Hub repo.
        repo_id: "owner/name", for source "hub".
        revision: tag, branch or commit of that repo; None for its newest.
        perspective: "mover" or "white".

    Raises:
        NotEnoughInstancesError: there are fewer positions than num_samples in the split.
        ValueError: an argument is not allowed.
        StorageError: files are damaged, or the folder or repo does not hold these positions.
        HubError, FileNotFoundError: files are missing or cannot be fetched.

    Example:
        >>> from easy_to_hard import ChessMateDataset
        >>> mates = ChessMateDataset("data", mate_in=1, num_samples=2)
        >>> mates.fens[0], mates.moves[0]
        ('7n/BQ6/6k1/6pN/1p4P1/6bP/3N2K1/3R4 w - - 0 1', 'b7g7')
        >>> planes, target = mates[0]
        >>> planes.shape, target.nonzero().tolist()  # b7 and g7
        (torch.Size([12, 8, 8]), [[6, 1], [6, 6]])
    """

    def __init__(
        self,
        root: str | Path,
        mate_in: int = 1,
        train: bool = True,
        *,
        variant: str = "",
        split: str | None = None,
        seed: int = 0,
        num_samples: int | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        split_rule: str = "hash",
        source: str = "generate",
        repo_id: str | None = None,
        revision: str | None = None,
        perspective: str = "mover",
    ) -> None:
        self.perspective = check_perspective(perspective)
        chosen = split if split is not None else "train" if train else "test"
        super().__init__(
            root,
            DataSpec(
                task="chess_mates",
                difficulty=mate_in,
                variant=variant,
                split=chosen,
                seed=seed,
                split_rule=split_rule,
            ),
            num_samples=num_samples,
            source=source,
            repo_id=repo_id,
            revision=revision,
            transform=transform,
            target_transform=target_transform,
            download=False,
        )

    def _tensors(self, rows: Any) -> Item:
        return _to_tensors(self._data[rows], self.perspective)

    @property
    def who_moves(self) -> Tensor:
        """(N, 1) float32: 1 where Black moves."""
        return _who_moves(self._data)

    @property
    def fens(self) -> list[str]:
        """The positions."""
        return to_fens(self._data)

    @property
    def moves(self) -> list[str]:
        """The key moves, UCI."""
        return _moves(self._data)


class _FolderPuzzles:
    """Puzzles of a converted folder: 72 bytes each, plus their ratings and ranks."""

    def __init__(self, root: Path, selection: Selection) -> None:
        self._folder = PuzzleFolder(root)
        self._folder.check(selection)
        self._selection = selection
        rated = self._folder.has("rating")
        table = self._folder.read(selection, ["fen", "move", *(["rating"] if rated else [])])
        self.rows = self._folder.rows(table)
        self.ranks: NDArray[np.int64] = table["rank"].to_numpy().astype(np.int64)
        self._ratings: NDArray[np.int32] | None = None
        if rated:
            self._ratings = table["rating"].to_numpy().astype(np.int32)
        self.nbytes = self.rows.nbytes + self.ranks.nbytes + (0 if self._ratings is None else self._ratings.nbytes)

    def __len__(self) -> int:
        return len(self.rows)

    def tensors(self, rows: Any, perspective: str) -> Tensors:
        chosen = self.rows[rows]
        return *_to_tensors(chosen, perspective), _who_moves(chosen)

    def who_moves(self) -> Tensor:
        return _who_moves(self.rows)

    def ratings(self) -> NDArray[np.int32]:
        if self._ratings is None:
            raise AttributeError(f"the puzzles in {self._folder.root} have no ratings")
        return self._ratings

    def texts(self, column: str) -> list[str]:
        """A column of strings, read on each call; "" where a puzzle has none."""
        if not self._folder.has(column):
            raise AttributeError(f"the puzzles in {self._folder.root} have no {column}")
        table = self._folder.read(self._selection, [column])
        if not np.array_equal(table["rank"].to_numpy(), self.ranks):
            raise RuntimeError(f"the files in {self._folder.root} have changed since they were opened")
        return [text or "" for text in table[column].to_pylist()]


class _OriginalPuzzles:
    """Puzzles of the authors' files, mapped into memory, so that only what is accessed is read."""

    def __init__(self, root: Path, ranks: tuple[int, int], download: bool) -> None:
        self._ranks = ranks
        self._path = original.fetch(root, "chess_data", download=download)
        self._open()

    def _open(self) -> None:
        first, stop = self._ranks
        tensors = [_load(self._path / name) for name in ("data", "targets", "who_moves")]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        number = shapes[0][0] if shapes[0] else 0
        if shapes[:2] != [(number, 12, 8, 8), (number, 8, 8)] or shapes[2] not in ((number, 1), (number,)):
            raise original.OriginalDataError(f"{self._path}: shapes {shapes} are not those of the original's puzzles")
        if stop > number:
            raise ValueError(
                f"{self._path} holds {number} puzzles, not ranks [{first}, {stop}): pass idx_start and idx_end"
            )
        self._inputs, self._targets, who_moves = (tensor[first:stop] for tensor in tensors)
        self._who_moves = who_moves.reshape(-1, 1)
        self.nbytes = sum(tensor.nbytes for tensor in (self._inputs, self._targets, self._who_moves))

    def __len__(self) -> int:
        return len(self._inputs)

    def tensors(self, rows: Any, perspective: str) -> Tensors:
        # A copy; otherwise changes made to an item would show up the next time it is read.
        return (
            self._inputs[rows].to(torch.float32, copy=True),
            self._targets[rows].to(torch.int64, copy=True),
            self._who_moves[rows].to(torch.float32, copy=True),
        )

    def who_moves(self) -> Tensor:
        return self._who_moves.to(torch.float32, copy=True)

    def __getstate__(self) -> tuple[Path, tuple[int, int]]:
        # A worker that is not forked maps the files itself; pickling them would copy them whole.
        return self._path, self._ranks

    def __setstate__(self, state: tuple[Path, tuple[int, int]]) -> None:
        self._path, self._ranks = state
        self._open()


def _load(stem: Path) -> Tensor:
    """A tensor of the authors' files, or of what `easy-to-hard convert-lichess --planes` writes."""
    path, array = stem.with_suffix(".pth"), stem.with_suffix(".npy")
    if array.is_file() and not path.is_file():
        # Mapped copy-on-write: torch does not accept memory that cannot be written to.
        return torch.from_numpy(np.load(array, mmap_mode="c", allow_pickle=False))
    if not path.is_file():
        raise original.OriginalDataError(f"neither {path.name} nor {array.name} is in {path.parent}")
    try:
        # Files of the format before torch 1.6 cannot be mapped.
        tensor = torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise original.OriginalDataError(f"{path} is not a file of tensors ({type(error).__name__})") from error
    if not isinstance(tensor, Tensor):
        raise original.OriginalDataError(f"{path} holds a {type(tensor).__name__}, not a tensor")
    return tensor


class ChessPuzzleDataset(BatchedDataset):
    """Lichess puzzles and the first move of their solution (arXiv 2108.06011), from easy to hard.

    An item is ``(planes, target, who_moves)``: (12, 8, 8) float32 in {0, 1}, (8, 8) int64 in {0, 1}, see
    `easy_to_hard.chess.datasets`, and (1,) float32, 1 where Black moves; without the third if `who_moves` is False.

    Puzzles are sorted by rating, and a puzzle's rank is its place in that order. By default, the ranks are the
    original's: 0 to 599,999 for training and 600,000 to 699,999 for testing.

    **Which way the target lies.** Say White's move is e2e4. Row r is rank r + 1 and column c is file c, so e2 is
    ``[1, 4]`` and e4 is ``[3, 4]``: White's pawn is at ``planes[5, 1, 4]``, and ``target[1, 4]`` and ``target[3, 4]``
    are 1. With ``flip_target=True`` the target's rows are in reverse order: ``target[6, 4]`` and ``target[4, 4]`` are
    1, and the pawn stays at ``planes[5, 1, 4]``. That is what `easy_to_hard_data` does to the targets of its file as it
    loads them (``targets.flip(1)``). Black's reply e7e5 is at ``[6, 4]`` and ``[4, 4]`` in the perspective "white", and
    at ``[1, 4]`` and ``[3, 4]``, as the mirror image of e2e4, in the perspective "mover".

    With source "original", ``flip_target=True`` gives what `easy_to_hard_data` gives from the same files, and
    ``flip_target=False`` the targets as they are stored. We have not had access to the authors' file, so we do not know
    whether its targets are stored in the same orientation as its planes.

    Args:
        root: where `easy-to-hard convert-lichess` wrote its files, or where the authors' files are, or will be.
        train: True for the ranks [0, 600000), False for [600000, 700000). Where `rating` or `split` is given instead of
            ranks, True is split "train" and False split "test".
        idx_start: first rank; has an effect only together with `idx_end`, as in `easy_to_hard_data`.
        idx_end: one past the last rank.
        who_moves: whether items say who moves.
        download: with source "original", fetch the files when they are absent.
        rating: (low, high): puzzles rated at least low and less than high.
        themes: puzzles with at least one of these Lichess themes, such as "fork" or "mateIn2".
        split: "train", "validation" or "test", in place of `train`; they share no placement of pieces, not even with
            the colors exchanged or mirrored. Ranges of ranks include puzzles of all splits unless it is given.
        perspective: "white" or "mover"; source "original" has "white" only.
        flip_target: reverse the order of the target's rows, as `easy_to_hard_data` does.
        transform: applied to each input.
        target_transform: applied to each target.
        source: "folder" reads what `easy-to-hard convert-lichess` wrote to `root`; "hub" reads the same files from a
            Hub repo, limited to the split and to the bands that overlap the ratings or ranks; "original" reads the
            authors' files, ``chess_data/{data,targets,who_moves}.pth``, or what ``convert-lichess --planes`` wrote in
            their place (``.npy``); neither has ratings or themes.
        repo_id: "owner/name", for source "hub".
        revision: tag, branch or commit of that repo; None for its newest.

    Raises:
        ValueError: an argument is not allowed, no puzzle fits, or the files do not have these ranks.
        FileNotFoundError: there are no converted files; the message says how to make them.
        OriginalDataError: the authors' files are absent, cannot be fetched, or are not what they should be.

    Deviates:
        From `easy_to_hard_data`: puzzles come from a converted folder by default and nothing is downloaded unless
        source is "hub" or "original"; the target is not flipped by default; a range beyond the last puzzle is an error
        and is not cut short. Ranges of ranks are not splits: a placement of pieces may be in both, unless `split` is
        given.

    Example:
        After ``easy-to-hard convert-lichess lichess.csv.zst --out lichess``:

        >>> from easy_to_hard import ChessPuzzleDataset
        >>> puzzles = ChessPuzzleDataset("lichess", rating=(1000, 2000))
        >>> planes, target, who_moves = puzzles[0]
        >>> planes.shape, int(target.sum())
        (torch.Size([12, 8, 8]), 2)
        >>> bool(puzzles.ratings.min() >= 1000)
        True
    """

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        idx_start: int | None = None,
        idx_end: int | None = None,
        who_moves: bool = True,
        download: bool = True,
        *,
        rating: tuple[float, float] | None = None,
        themes: Sequence[str] | None = None,
        split: str | None = None,
        perspective: str = "white",
        flip_target: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        source: str = "folder",
        repo_id: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__(transform, target_transform)
        if source not in PUZZLE_SOURCES:
            raise ValueError(f"unknown source {source!r}: choose one of {', '.join(PUZZLE_SOURCES)}")
        check_source(source, repo_id, revision)
        self.root = Path(root).expanduser()
        self.train, self.source, self.flip_target = train, source, flip_target
        self.perspective = check_perspective(perspective)
        self._gives_who_moves = who_moves
        ranks = None if idx_start is None or idx_end is None else (idx_start, idx_end)
        if ranks is None and rating is None and split is None:
            ranks = TRAIN_RANKS if train else TEST_RANKS
        elif ranks is None and split is None:
            split = "train" if train else "test"
        if not isinstance(themes, (str, Iterable, type(None))):
            raise ValueError(f"themes must be a list of themes such as 'fork' or 'mateIn2', not {themes!r}")
        names = (themes,) if isinstance(themes, str) else tuple(themes or ())
        bounds = rating if rating is None or not isinstance(rating, Iterable) else tuple(rating)
        self.selection = Selection(ranks=ranks, rating=bounds, themes=names, split=split)
        self._puzzles = self._open(download, repo_id, revision)

    def _open(self, download: bool, repo_id: str | None, revision: str | None) -> _FolderPuzzles | _OriginalPuzzles:
        if self.source == "folder":
            return _FolderPuzzles(self.root, self.selection)
        if self.source == "hub":
            from easy_to_hard.hub.fetch import open_dataset

            data = open_dataset(repo_id or "", revision)
            data.fetch(needed_files(data.manifest, self.selection, data.name))
            return _FolderPuzzles(data.root, self.selection)
        if self.selection.ranks is None or self.selection != Selection(ranks=self.selection.ranks):
            raise ValueError(f"source 'original' has ranks only, not {self.selection}: use source='folder'")
        if self.perspective != "white":
            raise ValueError(f"source 'original' has the perspective 'white' only, not {self.perspective!r}")
        return _OriginalPuzzles(self.root, self.selection.ranks, download)

    def __len__(self) -> int:
        return len(self._puzzles)

    def _tensors(self, rows: Any) -> Tensors:
        inputs, targets, who_moves = self._puzzles.tensors(rows, self.perspective)
        if self.flip_target:
            targets = targets.flip(-2)
        return (inputs, targets, who_moves) if self._gives_who_moves else (inputs, targets)

    @property
    def puzzles(self) -> Tensor:
        """The inputs, under the name that `easy_to_hard_data` has for them."""
        return self.inputs

    @property
    def who_moves(self) -> Tensor:
        """(N, 1) float32: 1 where Black moves."""
        return self._puzzles.who_moves()

    @property
    def fens(self) -> list[str]:
        """The positions, after the opponent's move."""
        return to_fens(self._converted("FENs").rows)

    @property
    def moves(self) -> list[str]:
        """The first move of each solution, UCI."""
        return _moves(self._converted("moves").rows)

    @property
    def ranks(self) -> NDArray[np.int64]:
        """(N,) ranks, ascending: each puzzle's place in the order of ratings."""
        return self._converted("ranks").ranks

    @property
    def ratings(self) -> NDArray[np.int32]:
        """(N,) Lichess ratings, ascending."""
        return self._converted("ratings").ratings()

    @property
    def themes(self) -> list[list[str]]:
        """The Lichess themes of each puzzle; read from the files at every call."""
        return [text.split() for text in self._converted("themes").texts("themes")]

    @property
    def puzzle_ids(self) -> list[str]:
        """Lichess ids; read from the files at every call."""
        return self._converted("ids").texts("puzzle_id")

    def _converted(self, what: str) -> _FolderPuzzles:
        if not isinstance(self._puzzles, _FolderPuzzles):
            raise AttributeError(f"the original's files have no {what}: use source='folder'")
        return self._puzzles

    @property
    def nbytes(self) -> int:
        """Bytes that the puzzles take in memory; with source "original", the size of the mapped part of the files."""
        return self._puzzles.nbytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.selection}, {len(self)} items, source {self.source})"
