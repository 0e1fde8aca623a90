"""Instances of one difficulty as a PyTorch dataset, from any source.

The sources:

- "generate": generated on the spot
- "folder": read from what ``easy-to-hard build`` wrote
- "hub": the same files from a Hub repo, at one commit; only those of the config and split are downloaded, and they stay
  in the Hub's cache (``HF_HOME``), from which they are read when there is no network
- "original": the authors' files of 2021

All but the last give the same tensors. Files are checked against the SHA-256 in their manifest, and those that claim to
be the benchmark's against the frozen one (`easy_to_hard.frozen`). Instances are held in a compact form (a byte per maze
cell, a bit per position) and expanded on access, whole batches at a time.
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.datasets.batches import BatchedDataset, Transform
from easy_to_hard.datasets.sources import check_source, read_folder, read_hub
from easy_to_hard.generators.integers import check_integer, shown
from easy_to_hard.tasks import Array, DataSpec, Task, generate, get_task

Item: TypeAlias = tuple[Tensor, Tensor]


def to_tensors(task: Task, inputs: NDArray[np.uint8], targets: NDArray[np.uint8]) -> Item:
    """Convert inputs and targets as stored in files to those that a network takes.

    Args:
        task: the task they belong to.
        inputs: (N, ...) uint8 in {0, 1}.
        targets: (N, ...) uint8 in {0, 1}.

    Returns:
        ``(inputs, targets)``: float32 with the task's offset added and a channel axis, and int64.
    """
    values = torch.from_numpy(inputs).to(torch.float32)
    if task.input_offset:
        values += task.input_offset
    if task.input_channels == 1:
        values = values.unsqueeze(1)
    return values, torch.from_numpy(targets).to(torch.int64)


class GradedDataset(BatchedDataset):
    """N instances of one difficulty, held in the compact form of the task.

    Args:
        root: the folder of source "folder", or where source "original" keeps its files.
        spec: which instances.
        num_samples: how many, counted from the start of the set; None for the task's default, or all in the files.
        source: "generate", "folder", "hub" or "original".
        repo_id: "owner/name", for source "hub".
        revision: tag, branch or commit of the repo; None for its newest.
        transform: applied to each input.
        target_transform: applied to each target.
        download: with source "original", fetch the files when they are absent.

    Attributes:
        commit: the repo's commit, where source is "hub"; else None.

    Raises:
        NotEnoughInstancesError: there are fewer distinct instances than num_samples in the split.
        ValueError: an argument is not allowed.
        StorageError: a file is damaged, or the folder or repo does not hold these instances.
        HubError: the Hub cannot be reached, or has no such repo, revision or file.
        OriginalDataError: the authors' files are not there.

    Example:
        >>> from easy_to_hard import DataSpec, GradedDataset
        >>> GradedDataset("", DataSpec(task="mazes", difficulty=13, variant="looped"), num_samples=4)
        GradedDataset(size 13, looped, split train, 4 items, source generate)
    """

    def __init__(
        self,
        root: str | Path,
        spec: DataSpec,
        *,
        num_samples: int | None = None,
        source: str = "generate",
        repo_id: str | None = None,
        revision: str | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = True,
    ) -> None:
        super().__init__(transform, target_transform)
        self.root = Path(root).expanduser()
        self.spec = spec
        self.source = check_source(source, repo_id, revision)
        self.commit: str | None = None
        self._task = get_task(spec.task)
        if source == "generate":
            self._data = generate(spec, num_samples)[1].data
        else:
            self._data = _first(
                self._read(repo_id, revision, download), num_samples, f"{source} {repo_id or self.root}"
            )

    def _read(self, repo_id: str | None, revision: str | None, download: bool) -> Array:
        if self.source == "original":
            return self._read_original(download)
        if self.source == "folder":
            return read_folder(self.root, self.spec)
        data, self.commit = read_hub(repo_id or "", revision, self.spec)
        return data

    def _read_original(self, download: bool) -> Array:
        raise ValueError(f"{self.spec.task} has no original files: use another source")

    @property
    def data(self) -> Array:
        """The instances in the task's compact form, (N, ...)."""
        return self._data

    def _tensors(self, rows: Any) -> Item:
        inputs, targets = self._task.encode(self._data[rows], self.spec.difficulty, None)
        return to_tensors(self._task, inputs, targets)

    def __len__(self) -> int:
        return len(self._data)

    @property
    def nbytes(self) -> int:
        """Bytes that the instances take in memory."""
        return int(self._data.nbytes)

    def __repr__(self) -> str:
        spec = self.spec
        shown = f"{self._task.difficulty_name} {spec.difficulty}" + (f", {spec.variant}" if spec.variant else "")
        commit = f" at {self.commit[:12]}" if self.commit else ""
        return f"{type(self).__name__}({shown}, split {spec.split}, {len(self)} items, source {self.source}{commit})"


def _first(data: Array, num_samples: int | None, where: str) -> Array:
    if num_samples is None:
        return data
    number = check_integer("num_samples", num_samples)
    if not 1 <= number <= len(data):
        raise ValueError(f"num_samples must be from 1 to {len(data)}, as many as {where} has, not {shown(number)}")
    return data[:number]


def load(
    task: str,
    difficulty: int,
    *,
    split: str = "train",
    source: str = "generate",
    variant: str = "",
    seed: int = 0,
    split_rule: str = "hash",
    num_samples: int | None = None,
    root: str | Path = "",
    repo_id: str | None = None,
    revision: str | None = None,
    transform: Transform | None = None,
    target_transform: Transform | None = None,
) -> GradedDataset:
    """Load a task's instances at one difficulty, from any source, as a PyTorch dataset.

    ``load("mazes", 13, split="test")`` generates them; with ``source="hub", repo_id="owner/name", revision="v1"`` the
    same instances are downloaded.

    Args:
        task: name in `TASKS`.
        difficulty: number of bits, size of the maze, moves to mate, lowest rating of the band.
        split: "train", "validation" or "test"; they share no instance.
        source: "generate", "folder" or "hub"; `chess_puzzles` cannot be generated.
        variant: "" for the task's default.
        seed: another seed gives other instances; files hold one seed.
        split_rule: "original" draws every split from all instances; files hold one rule.
        num_samples: how many; None for the task's default, or all that the files hold.
        root: the folder of source "folder".
        repo_id: the Hub repo of source "hub", "owner/name".
        revision: its tag, branch or commit; None for its newest.
        transform: applied to each input.
        target_transform: applied to each target.

    Returns:
        A dataset of items ``(input, target)``, float32 and int64, with shapes and values as in the task's own class.

    Raises:
        NotEnoughInstancesError, ValueError, StorageError, HubError, FileNotFoundError: see `GradedDataset`.

    Example:
        >>> from easy_to_hard import load
        >>> bits, parities = load("prefix_sums", 512, split="test", num_samples=10)[:]
        >>> bits.shape, parities.shape
        (torch.Size([10, 1, 512]), torch.Size([10, 512]))
        >>> bool(((bits[:, 0] + 0.5).cumsum(dim=1) % 2 == parities).all())
        True
    """
    facts = get_task(task)
    if source == "original":
        raise ValueError("the authors' files are read by PrefixSumDataset, MazeDataset and ChessPuzzleDataset only")
    check_source(source, repo_id, revision)
    if facts.imported and source == "generate":
        raise ValueError(f"{task} are read, not made: source must be 'folder' (with root) or 'hub' (with repo_id)")
    if source == "folder" and not root:
        raise ValueError("source 'folder' needs root, the folder that 'easy-to-hard build' made")
    if source != "folder" and root:
        raise ValueError(f"root {str(root)!r} is for source 'folder', not for source {source!r}")
    where = "" if not facts.imported else str(root) if source == "folder" else f"hf://datasets/{repo_id}"
    spec = DataSpec(
        task=task, difficulty=difficulty, variant=variant, split=split, seed=seed, split_rule=split_rule, root=where
    )
    return GradedDataset(
        root,
        spec,
        num_samples=num_samples,
        source=source,
        repo_id=repo_id,
        revision=revision,
        transform=transform,
        target_transform=target_transform,
    )
