"""The nets of the paper: torchvision's, with ImageNet's validation set in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.examined import Examined, as_items, classes_of
from easy_to_hard.baselines.parameter_saliency.profiles import Filters, Subject
from easy_to_hard.baselines.parameter_saliency.recipes import TORCHVISION, Recipe


@dataclass(frozen=True, kw_only=True)
class TorchvisionNets:
    """A net of torchvision and images in `root/CLASS/*`, whose folders are sorted as ImageNet's classes are.

    The images are held in memory: 0.6 MB each, 30 GB for the whole validation set.

    Attributes:
        recipe: sizes.
        name: one of `TORCHVISION`.
        files: torchvision's `ImageFolder`.
        net: with its weights.
        device: of the net.
    """

    recipe: Recipe
    name: str
    files: Any
    net: nn.Module
    device: torch.device

    def count_filters(self) -> int:
        """Of the net."""
        return len(Filters.of(self.net))

    def examine(self, seed: int, folder: Path, *, progress: bool) -> Examined:
        """The net and some of the images, drawn by the seed; nothing is trained."""
        del folder, progress
        order = torch.randperm(len(self.files), generator=generator_of("images", seed))[: self.recipe.items]
        images, labels = zip(*(self.files[row] for row in order.tolist()), strict=True)
        items = as_items(torch.stack(images), torch.tensor(labels))
        subject = Subject(self.net.to(self.device), classes_of, chunk=self.recipe.chunk)
        return Examined(subject=subject, items=items)


def load_torchvision_nets(recipe: Recipe, name: str, root: Path, device: torch.device) -> TorchvisionNets:
    """Find the images and fetch the weights by torchvision's own download.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: no such folder, or no images in it.
        RuntimeError: the weights cannot be had.
        ImportError: torchvision is not installed.
    """
    if name not in TORCHVISION:
        raise ValueError(f"model must be one of {', '.join(TORCHVISION)}, not {name!r}")
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: --data-root must hold ImageNet's validation set as CLASS/*.JPEG")
    torchvision = import_torchvision()
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        files = torchvision.datasets.ImageFolder(str(root), transform=weights.transforms())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no images in {root}: {str(error).splitlines()[0]}") from error
    if len(files) < recipe.items:
        raise ValueError(f"items must be at most {len(files)}, all images in {root}, not {recipe.items}")
    try:
        net = torchvision.models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:150]
        raise RuntimeError(f"the weights of {name} cannot be had: {reason}; torchvision fetches them once") from error
    return TorchvisionNets(recipe=recipe, name=name, files=files, net=net, device=device)
