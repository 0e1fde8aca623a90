"""PyTorch datasets of bit strings and mazes: drop-in for `easy_to_hard_data` 1.0.0, generated instead of downloaded.

Positional arguments, items, dtypes, shapes and value ranges are those of that package.
`easy_to_hard.datasets.graded` says where instances come from.
"""

from pathlib import Path

import torch
from torch import Tensor

from easy_to_hard.datasets import original
from easy_to_hard.datasets.batches import Transform
from easy_to_hard.datasets.graded import GradedDataset, Item
from easy_to_hard.tasks import Array, DataSpec


class PrefixSumDataset(GradedDataset):
    """Bit strings and the parity of every prefix (arXiv 2108.06011).

    An item is ``(input, target)``: (1, L) float32 in {-0.5, 0.5} and (L,) int64 in {0, 1}.

    Args:
        root: where files are looked for, and the authors' are downloaded to; not used with "generate" and "hub".
        num_bits: length L of the strings, 1 to 2^20.
        download: with source "original", fetch the files when they are absent.
        split: "train", "validation" or "test"; they share no string.
        seed: another seed gives other strings.
        num_samples: how many; 10,000 by default (1,000 beyond 2^13 bits, 100 beyond 2^16), or all there are.
        transform: applied to each input.
        target_transform: applied to each target.
        split_rule: "original" draws every split from all strings.
        source: "generate"; "folder" reads what `easy-to-hard build` wrote to `root`; "hub" reads the same files from a
            Hub repo; "original" reads the authors' files, which have one set per length, whatever the split.
        repo_id: "owner/name", for source "hub".
        revision: tag, branch or commit of that repo; None for its newest.

    Raises:
        NotEnoughInstancesError: there are fewer distinct strings than num_samples in the split.
        ValueError: an argument is not allowed.
        StorageError: files are damaged, or the folder or repo does not hold these instances.
        HubError, OriginalDataError, FileNotFoundError: files are missing or cannot be fetched.

    Example:
        >>> from easy_to_hard import PrefixSumDataset
        >>> strings = PrefixSumDataset("data", num_bits=512, num_samples=100)
        >>> bits, parities = strings[0]
        >>> bits.shape, parities.shape
        (torch.Size([1, 512]), torch.Size([512]))
    """

    def __init__(
        self,
        root: str | Path,
        num_bits: int = 32,
        download: bool = True,
        *,
        split: str = "train",
        seed: int = 0,
        num_samples: int | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        split_rule: str = "hash",
        source: str = "generate",
        repo_id: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__(
            root,
            DataSpec(task="prefix_sums", difficulty=num_bits, split=split, seed=seed, split_rule=split_rule),
            num_samples=num_samples,
            source=source,
            repo_id=repo_id,
            revision=revision,
            transform=transform,
            target_transform=target_transform,
            download=download,
        )

    def _read_original(self, download: bool) -> Array:
        folder = original.fetch(self.root, "prefix_sums_data", download=download)
        return original.read_prefix_sums(folder, self.spec.difficulty)


class MazeDataset(GradedDataset):
    """Mazes and their shortest paths (arXiv 2108.06011).

    An item is ``(image, path)``: (3, H, W) float32 in {0, 1}, free positions white, start green, goal red, and
    (H, W) int64, 1 on the path, including both ends; H = W = 2 size + 6.

    Args:
        root: where files are looked for, and the authors' are downloaded to; not used with "generate" and "hub".
        train: True is split "train", False split "test".
        size: odd, 3 to 1601.
        transform: applied to image and path together, a (4, H, W) float tensor, as in `easy_to_hard_data`.
        download: with source "original", fetch the files when they are absent.
        split: "train", "validation" or "test", in place of `train`; they share no wall layout.
        seed: another seed gives other mazes.
        num_samples: how many. By default 50,000 for training and 10,000 for the other splits at sizes 9 to 59; 1,000
            up to 201; 100 beyond.
        variant: "depth_first", "wilson", "kruskal", "open_start" or "looped", and if wanted bounds of path length, as
            in "looped_100to140".
        target_transform: applied to each path, after `transform`.
        split_rule: "original" draws every split from all mazes.
        source: "generate"; "folder" reads what `easy-to-hard build` wrote to `root`; "hub" reads the same files from a
            Hub repo; "original" reads the authors' files.
        repo_id: "owner/name", for source "hub".
        revision: tag, branch or commit of that repo; None for its newest.

    Raises:
        NotEnoughInstancesError: there are fewer distinct mazes than num_samples in the split.
        ValueError: an argument is not allowed.
        StorageError: files are damaged, or the folder or repo does not hold these instances.
        HubError, OriginalDataError, FileNotFoundError: files are missing or cannot be fetched.

    Example:
        >>> from easy_to_hard import MazeDataset
        >>> hard = MazeDataset("data", train=False, size=59, num_samples=10)
        >>> image, path = hard[0]
        >>> image.shape, path.shape
        (torch.Size([3, 124, 124]), torch.Size([124, 124]))
        >>> bool((image[:, path == 1].sum(dim=0) > 0).all())  # the path crosses no wall, which is black
        True
    """

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        size: int = 9,
        transform: Transform | None = None,
        download: bool = True,
        *,
        split: str | None = None,
        seed: int = 0,
        num_samples: int | None = None,
        variant: str = "depth_first",
        target_transform: Transform | None = None,
        split_rule: str = "hash",
        source: str = "generate",
        repo_id: str | None = None,
        revision: str | None = None,
    ) -> None:
        chosen = split if split is not None else "train" if train else "test"
        super().__init__(
            root,
            DataSpec(task="mazes", difficulty=size, variant=variant, split=chosen, seed=seed, split_rule=split_rule),
            num_samples=num_samples,
            source=source,
            repo_id=repo_id,
            revision=revision,
            transform=transform,
            target_transform=target_transform,
            download=download,
        )

    def _read_original(self, download: bool) -> Array:
        spec = self.spec
        if spec.split == "validation" or spec.variant != "depth_first":
            raise ValueError(f"the original has no {spec.variant} mazes in split {spec.split!r}: only train and test")
        folder = original.fetch(self.root, f"maze_data_{spec.split}_{spec.difficulty}", download=download)
        return original.read_mazes(folder, spec.difficulty)

    def _apply(self, transform: Transform, inputs: Tensor, targets: Tensor) -> Item:
        stacked = transform(torch.cat([inputs, targets.unsqueeze(-3).to(inputs.dtype)], dim=-3))
        return stacked[..., :3, :, :].float(), stacked[..., 3, :, :].long()
