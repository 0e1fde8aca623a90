"""Trained vision transformers from torchvision, timm and open_clip, which those packages download themselves.

A neuron is an output of the activation function in a block's MLP, read by a hook.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.run_folder import reason_of
from easy_to_hard.baselines.vit_visualization.vit import as_maps

TORCHVISION: Final = ("vit_b_16", "vit_b_32", "swin_t")
# Mean and standard deviation of the channels.
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP: Final = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_CLIP_WEIGHTS: Final = "openai"


class HookedNet(nn.Module):
    """A net from another package, with a hook on each block's activation function.

    Args:
        net: takes images (B, 3, side, side), normalized.
        activations: name -> activation module of each block, from the first to the last.
        side: side of the images that it takes.
        statistics: mean and standard deviation of its input's channels.

    Attributes:
        depth: number of blocks.
        side: as given.
    """

    def __init__(
        self,
        net: nn.Module,
        activations: Mapping[str, nn.Module],
        *,
        side: int,
        statistics: tuple[Sequence[float], Sequence[float]] = _IMAGENET,
    ) -> None:
        super().__init__()
        if not activations:
            raise ValueError(f"no MLP was found in the blocks of {type(net).__name__}")
        self.net = net
        self.depth = len(activations)
        self.side = side
        self._activations = tuple(activations.values())
        mean, deviation = (torch.tensor(values)[:, None, None] for values in statistics)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        with torch.no_grad():
            maps = self.maps(torch.zeros(1, 3, side, side), range(self.depth))
        self._neurons = tuple(part.shape[1] for part in maps)

    def neurons(self, layer: int) -> int:
        """Width of a block's MLP."""
        return self._neurons[layer]

    def forward(self, images: Tensor) -> Tensor:
        """The net's output for images (B, 1 or 3, H, W) float in [0, 1] of any size."""
        outcome: Tensor = self.net(self.fit(images))
        return outcome

    def fit(self, images: Tensor) -> Tensor:
        """Convert images to the net's input: in color, of its size, and normalized."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if tuple(images.shape[2:]) != (self.side, self.side):
            images = F.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        return (images - self.mean) / self.deviation

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Feature maps of images (B, C, H, W) float in [0, 1]: (B, neurons, h, w) for each layer, without CLS."""
        found: dict[int, Tensor] = {}
        with ExitStack() as hooks:
            for layer in set(layers):
                hooks.enter_context(_hooked(self._activations[layer], found, layer))
            self(images)
        return [spread(found[layer], len(images)) for layer in layers]


class TorchvisionTokens:
    """torchvision's ViT, split into its parts; see `TokenNet`.

    Args:
        hooked: a hooked `torchvision.models.VisionTransformer`.

    Attributes:
        depth: number of blocks.
    """

    def __init__(self, hooked: HookedNet) -> None:
        self._hooked = hooked
        self._net: Any = hooked.net
        self.depth = hooked.depth

    def embed(self, images: Tensor) -> Tensor:
        """Tokens before the first block."""
        patches = self._net._process_input(self._hooked.fit(images))
        tokens = torch.cat([self._net.class_token.expand(len(images), -1, -1), patches], dim=1)
        placed: Tensor = tokens + self._net.encoder.pos_embedding
        return placed

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The tokens after a block, returned twice."""
        after: Tensor = self._net.encoder.layers[layer](tokens)
        return after, after

    def classify(self, tokens: Tensor) -> Tensor:
        """The last norm and the head."""
        logits: Tensor = self._net.heads(self._net.encoder.ln(tokens))
        return logits


def _hooked(module: nn.Module, found: dict[int, Tensor], layer: int) -> Any:
    """Hook a module; as a context manager, the returned handle removes the hook."""

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        found[layer] = output

    return module.register_forward_hook(keep)


def spread(features: Tensor, batch: int) -> Tensor:
    """Convert a block's features to maps (B, n, h, w).

    Args:
        features: (B, h, w, n), or (B, tokens, n) or (tokens, B, n); tokens beyond a square number are dropped in front.
        batch: B.

    Raises:
        ValueError: features of another shape.
    """
    if features.ndim == 4:
        return features.permute(0, 3, 1, 2)
    if features.ndim != 3 or batch not in features.shape[:2]:
        raise ValueError(f"features of shape {tuple(features.shape)} are not tokens of {batch} images")
    tokens = features if features.shape[0] == batch else features.transpose(0, 1)
    side = int(tokens.shape[1] ** 0.5)
    return as_maps(tokens[:, tokens.shape[1] - side**2 :])


def activations_of(net: nn.Module) -> dict[str, nn.Module]:
    """Name -> module of each activation function in an MLP, in the order of the blocks."""
    kinds = ("mlp.1", "mlp.act", "mlp.gelu")
    return {name: module for name, module in net.named_modules() if name.endswith(kinds)}


def _from_torchvision(name: str) -> HookedNet:
    models = import_torchvision().models
    weights = models.get_model_weights(name).DEFAULT
    net = models.get_model(name, weights=weights)
    return HookedNet(net, activations_of(net), side=224)


def _from_timm(name: str) -> HookedNet:
    try:
        import timm  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError(f"timm:{name} needs timm: pip install timm") from error
    if not timm.is_model(name):
        raise ValueError(f"unknown model {name!r}: timm.list_models() lists those of timm")
    net = timm.create_model(name, pretrained=True)
    settings = timm.data.resolve_model_data_config(net)
    statistics = settings["mean"], settings["std"]
    return HookedNet(net, activations_of(net), side=settings["input_size"][-1], statistics=statistics)


def _from_clip(name: str) -> HookedNet:
    try:
        import open_clip  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError(f"clip:{name} needs open_clip: pip install open_clip_torch") from error
    if name not in open_clip.list_models():
        raise ValueError(f"unknown model {name!r}: open_clip.list_models() lists those of open_clip")
    net = open_clip.create_model(name, pretrained=_CLIP_WEIGHTS).visual
    side = net.image_size[0] if isinstance(net.image_size, tuple) else net.image_size
    return HookedNet(net, activations_of(net), side=side, statistics=_CLIP)


_PACKAGES: Final[Mapping[str, Callable[[str], HookedNet]]] = MappingProxyType({"timm": _from_timm, "clip": _from_clip})


def is_known(name: str) -> bool:
    """Whether a name is that of a torchvision model here, or has the form "timm:NAME" or "clip:NAME"."""
    package, colon, rest = name.partition(":")
    return name in TORCHVISION or (package in _PACKAGES and bool(colon) and bool(rest))


def load_pretrained(name: str, device: torch.device) -> HookedNet:
    """A trained model with its weights, which are downloaded if missing.

    Args:
        name: one of `TORCHVISION`, "timm:NAME" or "clip:NAME".
        device: where to put it.

    Raises:
        ValueError: no such model.
        ImportError: its package is not installed; the message says how to install it.
        OSError: its weights cannot be downloaded.
    """
    if not is_known(name):
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(TORCHVISION)}, timm:NAME, clip:NAME")
    package, _, rest = name.partition(":")
    try:
        net = _PACKAGES[package](rest) if rest else _from_torchvision(name)
    except (ImportError, ValueError):
        raise
    except Exception as error:
        # Each package fails in its own way when it cannot reach its weights.
        raise OSError(f"the weights of {name} cannot be downloaded: {reason_of(error)}") from error
    return net.to(device).eval().requires_grad_(False)
