"""Linear probes on nets without the data's classes: a ViT-S and a convolutional net that others trained.

A probe is multinomial logistic regression on standardized features; the net itself stays as it is.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.pretrained import EfficientNetLite0, VitSmall
from easy_to_hard.baselines.vit_visualization.vit import as_maps

Part = Literal["features", "keys", "queries", "values"]

# Not tuned.
_WEIGHT_DECAY: Final = 0.03
_ITERATIONS: Final = 100
_BATCH: Final = 50


def fit_probe(features: Tensor, labels: Tensor, classes: int, *, weight_decay: float = _WEIGHT_DECAY) -> nn.Linear:
    """The linear layer that minimizes cross-entropy + weight_decay / 2 |W|^2 on standardized features.

    Args:
        features: (N, d).
        labels: (N,) int64.
        classes: number of classes.
        weight_decay: above 0.

    Returns:
        a layer for features that are not standardized, on their device, without gradients.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0) + 1e-6
    inputs = (features - mean) / deviation
    weight = torch.zeros(classes, features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(classes, device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(inputs @ weight.T + bias, labels) + weight_decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    probe = nn.Linear(features.shape[1], classes, device=features.device).requires_grad_(False)
    probe.weight.copy_(weight.detach() / deviation)
    probe.bias.copy_(bias.detach() - probe.weight @ mean)
    return probe


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What a net makes of some images.

    Attributes:
        after: (N, d) after each block: CLS of a ViT, the mean over space of a convolutional net.
        last: (N, D), what a classifier is trained on.
    """

    after: list[Tensor]
    last: Tensor

    @classmethod
    def of(cls, net: "VitSmall | EfficientNetLite0", images: Tensor) -> "Stages":
        """The stages of images (N, C, H, W) float in [0, 1]."""
        parts = [list(_stages(net, some)) for some in torch.split(images, _BATCH)]
        *after, last = (torch.cat(part) for part in zip(*parts, strict=True))
        return cls(after=after, last=last)


def _stages(net: "VitSmall | EfficientNetLite0", images: Tensor) -> Iterator[Tensor]:
    if isinstance(net, VitSmall):
        tokens = net.embed(images)
        for layer in range(net.depth):
            tokens, _ = net.block(tokens, layer)
            yield tokens[:, 0]
        yield net.norm(tokens[:, 0])
    else:
        hidden = images
        for hidden in net.stages(images):
            yield hidden.mean((2, 3))
        yield net.pooled(hidden)


class ProbedVit(nn.Module):
    """A ViT-S with a probe on CLS as its head; see `TokenNet` and `FeatureNet`.

    Args:
        net: the ViT.
        head: (..., d) -> (..., classes).

    Attributes:
        depth: number of blocks.
    """

    def __init__(self, net: VitSmall, head: nn.Linear) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.norm = net.norm
        self.depth = net.depth

    def embed(self, images: Tensor) -> Tensor:
        """Tokens before the first block."""
        return self.net.embed(images)

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The tokens after a block, and its features."""
        return self.net.block(tokens, layer)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) float in [0, 1]."""
        logits: Tensor = self.head(self.net(images))
        return logits

    def without_positions(self) -> "ProbedVit":
        """A copy in which patches have no learned positions."""
        net = copy.deepcopy(self.net)
        nn.init.zeros_(net.patch_places)
        return ProbedVit(net, self.head)


class ProbedConvNet(nn.Module):
    """EfficientNet-Lite0 with a probe in place of its classifier.

    Args:
        net: the net.
        head: (B, 1280) -> (B, classes).
    """

    def __init__(self, net: EfficientNetLite0, head: nn.Linear) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) float in [0, 1]."""
        logits: Tensor = self.head(self.net.features(images))
        return logits


class AttentionPart(nn.Module):
    """The keys, queries or values of a ViT-S as a `FeatureNet`: the paper finds them harder to read than features.

    Args:
        net: the ViT.
        part: which of them.

    Attributes:
        depth: number of blocks.

    Raises:
        ValueError: an unknown part.
    """

    def __init__(self, net: VitSmall, part: Part) -> None:
        super().__init__()
        if part not in get_args(Part):
            raise ValueError(f"part must be one of {', '.join(get_args(Part))}, not {part!r}")
        self.net = net
        self.part = part
        self.depth = net.depth

    def neurons(self, layer: int) -> int:
        """Width of the part."""
        return self.net.neurons(layer) if self.part == "features" else self.net.width

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Maps (B, n, h, w) of some blocks, without CLS."""
        if self.part == "features":
            return self.net.maps(images, layers)
        number = ("queries", "keys", "values").index(self.part)
        tokens, found = self.net.embed(images), {}
        for layer in range(max(layers) + 1):
            if layer in layers:
                block = self.net.blocks[layer]
                found[layer] = as_maps(block.attention_inputs(tokens)[number][:, self.net.prefix :])  # type: ignore[operator]
            tokens, _ = self.net.block(tokens, layer)
        return [found[layer] for layer in layers]
