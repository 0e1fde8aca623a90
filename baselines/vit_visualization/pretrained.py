"""Trained nets from torchvision, timm and open_clip, which those packages download themselves, and from packages.

A neuron of a ViT is an output of the activation function in a block's MLP, read by a hook.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.pretrained import FittedImages
from easy_to_hard.baselines.kit.run_folder import reason_of
from easy_to_hard.baselines.vit_visualization.tokens import TokenNet
from easy_to_hard.baselines.vit_visualization.vit import as_maps

TORCHVISION: Final = ("vit_b_16", "vit_b_32", "swin_t")
EFFICIENTNET: Final = "efficientnet_lite0"
CONV_NETS: Final = (EFFICIENTNET, "resnet50", "resnet152", "mobilenet_v2", "densenet121")
"""The first comes inside a package; the others are torchvision's, and in table 2 of the paper."""
# Mean and standard deviation of the channels.
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP: Final = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_CLIP_WEIGHTS: Final = "openai"
_CONV_NET_SIDE: Final = 224

Net = TypeVar("Net", bound=nn.Module)


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
        fit: converts images (B, 1 or 3, H, W) float in [0, 1] to the net's input.
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
        self.fit = FittedImages(side, statistics)
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

    def norm(self, tokens: Tensor) -> Tensor:
        """The norm after the last block."""
        normed: Tensor = self._net.encoder.ln(tokens)
        return normed

    def head(self, tokens: Tensor) -> Tensor:
        """The head, on tokens after the norm."""
        logits: Tensor = self._net.heads(tokens)
        return logits


class TimmTokens:
    """timm's ViT, split into its parts; see `TokenNet`.

    Args:
        hooked: a hooked `timm.models.VisionTransformer` whose only prefix token is CLS.

    Attributes:
        depth: number of blocks.
    """

    def __init__(self, hooked: HookedNet) -> None:
        self._hooked = hooked
        self._net: Any = hooked.net
        self.depth = hooked.depth

    def embed(self, images: Tensor) -> Tensor:
        """Tokens before the first block."""
        tokens: Tensor = self._net.norm_pre(self._net._pos_embed(self._net.patch_embed(self._hooked.fit(images))))
        return tokens

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """The tokens after a block, returned twice."""
        after: Tensor = self._net.blocks[layer](tokens)
        return after, after

    def norm(self, tokens: Tensor) -> Tensor:
        """The norm after the last block."""
        normed: Tensor = self._net.norm(tokens)
        return normed

    def head(self, tokens: Tensor) -> Tensor:
        """The head, on tokens after the norm."""
        logits: Tensor = self._net.head(tokens)
        return logits


def tokens_of(name: str, hooked: HookedNet) -> TokenNet | None:
    """A downloaded ViT split into its parts, or None for a net that has no CLS, or keeps it elsewhere.

    Args:
        name: of the net, as for `load_pretrained`.
        hooked: the net.
    """
    if name.startswith("vit_"):
        return TorchvisionTokens(hooked)
    if name.startswith("timm:vit_") and getattr(hooked.net, "num_prefix_tokens", 0) == 1:
        return TimmTokens(hooked)
    return None


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
    net = _downloaded(name, lambda: _PACKAGES[package](rest) if rest else _from_torchvision(name))
    return net.to(device).eval().requires_grad_(False)


def load_conv_net(name: str, device: torch.device) -> nn.Module:
    """A trained convolutional classifier of torchvision, for images (B, 1 or 3, H, W) float in [0, 1] of any size.

    Args:
        name: one of `CONV_NETS` but the first.
        device: where to put it.

    Raises:
        ImportError: torchvision is not installed.
        OSError: its weights cannot be downloaded.
    """

    def load() -> nn.Module:
        models = import_torchvision().models
        weights = models.get_model_weights(name).IMAGENET1K_V1
        return nn.Sequential(FittedImages(_CONV_NET_SIDE), models.get_model(name, weights=weights))

    return _downloaded(name, load).to(device).eval().requires_grad_(False)


def _downloaded(name: str, load: Callable[[], Net]) -> Net:
    try:
        return load()
    except (ImportError, ValueError):
        raise
    except Exception as error:
        # Each package fails in its own way when it cannot reach its weights.
        raise OSError(f"the weights of {name} cannot be downloaded: {reason_of(error)}") from error
