"""Exports instances as the files of tokens that HRM and TRM read (arXiv 2506.21734 and 2510.04871).

The folder holds `identifiers.json` and, for each of the splits train and test, `dataset.json` and five arrays:

- ``all__inputs.npy`` and ``all__labels.npy``: (N, seq_len) uint8 tokens. 0 is padding, which does not occur here; the
  characters of the vocabulary are 1, 2, and so on.
- ``all__puzzle_identifiers.npy``: (N,) int32, all 0, the one identifier ``<blank>``.
- ``all__puzzle_indices.npy`` and ``all__group_indices.npy``: (N + 1,) int32, 0 to N, since each instance is a puzzle
  and a group of its own.

Nothing is augmented. Their builders add the symmetries of the square before they write, and their readers do not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.writing import replacing, sync, write_json
from easy_to_hard.tasks import DataSpec, get_task

Tokens: TypeAlias = NDArray[np.uint8]

_WALL, _FREE, _START, _GOAL, _PATH = np.arange(1, 6, dtype=np.uint8)
# Pictures of a maze take much more memory than its tokens, so they are made of so many bytes at a time.
_CHUNK_BYTES: Final = 2**26


def _maze_tokens(pictures: NDArray[np.uint8], paths: NDArray[np.uint8]) -> tuple[Tokens, Tokens]:
    """Grids of s + 1 positions a side, without the outer wall on the right and below, where the grid ends anyway."""
    red, green, blue = np.moveaxis(pictures[..., 1:-3:2, 1:-3:2] > 0, 1, 0)
    inputs = np.where(blue, _FREE, _WALL)
    inputs[green & ~red] = _START
    inputs[red & ~green] = _GOAL
    return inputs, np.where(blue & (paths[:, 1:-3:2, 1:-3:2] > 0), _PATH, inputs)


def _bit_tokens(bits: NDArray[np.uint8], parities: NDArray[np.uint8]) -> tuple[Tokens, Tokens]:
    return bits + np.uint8(1), parities + np.uint8(1)


@dataclass(frozen=True, kw_only=True)
class _Vocabulary:
    """The characters of the tokens 1, 2, ..., and how inputs and targets become such tokens."""

    characters: str
    tokens: Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[Tokens, Tokens]]


_VOCABULARIES: Final[Mapping[str, _Vocabulary]] = MappingProxyType(
    {
        "mazes": _Vocabulary(characters="# SGo", tokens=_maze_tokens),
        "prefix_sums": _Vocabulary(characters="01", tokens=_bit_tokens),
    }
)


def export_hrm(
    root: str | Path,
    *,
    task: str,
    difficulty: int,
    variant: str = "",
    train: int = 1_000,
    test: int = 1_000,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """Write the first instances of the splits train and test in the layout of HRM and TRM, whole or not at all.

    A maze of size s becomes a grid of (s + 1) x (s + 1) positions, row by row, of the characters ``# SGo`` (wall, free,
    start, goal, and in labels the path between start and goal), so that seq_len = (s + 1)^2; a string of L bits becomes
    L tokens of ``01``. The two splits share no instance, mazes not even up to the symmetries of the square.

    Args:
        root: the folder to make.
        task: "mazes" or "prefix_sums".
        difficulty: size of the maze, or number of bits.
        variant: of the mazes, "" for `depth_first`; may have bounds of path length, as in "looped_100to140".
        train, test: numbers of instances, from 1 on.
        seed: another seed gives other instances.
        progress: whether to show a bar.

    Raises:
        ValueError: the folder exists, or another argument is not allowed.
        NotEnoughInstancesError: a split holds fewer instances.
        OSError: a file cannot be written; the message names it, and nothing is left.
    """
    root = Path(root)
    if task not in _VOCABULARIES:
        raise ValueError(f"{task!r} cannot be exported: choose one of {', '.join(_VOCABULARIES)}")
    nums = {"train": check_integer("train", train, 1), "test": check_integer("test", test, 1)}
    if root.exists() or root.is_symlink():
        raise ValueError(f"{root} exists: choose a folder that does not")
    specs = [DataSpec(task=task, difficulty=difficulty, variant=variant, split=split, seed=seed) for split in nums]
    for spec in specs:
        get_task(task).sample_count(spec, nums[spec.split])
    root.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(root) as folder,
        progress_bar(
            total=train + test, desc=f"exporting {specs[0].config}", delay=2, unit="items", show=progress
        ) as bar,
    ):
        folder.mkdir()
        write_json(folder / "identifiers.json", ["<blank>"])
        for spec in specs:
            inputs, labels = _make_tokens(spec, nums[spec.split], bar.update)
            _write_split(folder / spec.split, inputs, labels, vocab_size=len(_VOCABULARIES[task].characters) + 1)


def _make_tokens(spec: DataSpec, num: int, update: Callable[[int], Any]) -> tuple[Tokens, Tokens]:
    """Inputs and labels of the first distinct instances, (num, seq_len) each."""
    task = get_task(spec.task)
    indices = task.first_distinct(spec, num, None)
    step = max(1, _CHUNK_BYTES // sum(int(np.prod(shape)) for shape in task.shapes(spec.difficulty)))
    inputs: list[Tokens] = []
    labels: list[Tokens] = []
    for part in np.split(indices, range(step, num, step)):
        pair = task.encode(task.generate(spec, part, None).data, spec.difficulty, None)
        for made, kept in zip(_VOCABULARIES[spec.task].tokens(*pair), (inputs, labels), strict=True):
            kept.append(made.reshape(len(part), -1))
        update(len(part))
    return np.concatenate(inputs), np.concatenate(labels)


def _write_split(folder: Path, inputs: Tokens, labels: Tokens, *, vocab_size: int) -> None:
    folder.mkdir()
    num, seq_len = inputs.shape
    bounds = np.arange(num + 1, dtype=np.int32)
    arrays: dict[str, NDArray[Any]] = {
        "inputs": inputs,
        "labels": labels,
        "puzzle_identifiers": np.zeros(num, dtype=np.int32),
        "puzzle_indices": bounds,
        "group_indices": bounds,
    }
    for name, array in arrays.items():
        path = folder / f"all__{name}.npy"
        np.save(path, array, allow_pickle=False)
        sync(path)
    facts = {
        "pad_id": 0,
        "ignore_label_id": 0,
        "blank_identifier_id": 0,
        "vocab_size": vocab_size,
        "seq_len": seq_len,
        "num_puzzle_identifiers": 1,
        "total_groups": num,
        "mean_puzzle_examples": 1.0,
        # Read by TRM only.
        "total_puzzles": num,
        "sets": ["all"],
    }
    write_json(folder / "dataset.json", facts)
